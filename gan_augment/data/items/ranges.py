"""The range of pictures: what 255 is in their unit, and a normalisation to undo. No layouts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gan_augment.errors import DataError, UsageError

Normalize = tuple[float | Sequence[float], float | Sequence[float]]
"""(mean, std), one number or one a channel, as torchvision's `Normalize` takes them."""

_FAINT = 64  # floats that end below are 0..255 only if they are whole numbers
_NORMALIZE = "if the dataset normalises its images, pass normalize=(mean, std), as it uses them"


def mean_and_std(
    normalize: Normalize | None, channels: int
) -> tuple[NDArray[np.float64] | None, NDArray[np.float64] | None]:
    """(mean, std) as float64 (C,) or (1,), or both None. Raises UsageError.

    >>> mean_and_std((0.5, [0.2, 0.2, 0.2]), 3)
    (array([0.5]), array([0.2, 0.2, 0.2]))
    """
    if normalize is None:
        return None, None
    wanted = f"expected (mean, std), numbers or {channels} of each, with std above 0"
    try:
        mean, std = (np.atleast_1d(np.asarray(v, dtype=np.float64)) for v in normalize)
    except (TypeError, ValueError):
        raise UsageError(f"normalize={normalize!r}; {wanted}") from None
    fitting = all(v.shape in ((1,), (channels,)) and np.isfinite(v).all() for v in (mean, std))
    if not fitting or not (std > 0).all():
        raise UsageError(f"normalize={normalize!r}; {wanted}")
    return mean, std


def white_of(
    arrays: Sequence[NDArray[Any]],
    mean: NDArray[np.float64] | None,
    std: NDArray[np.float64] | None,
) -> float:
    """1 or 255, by the range over all of the given pictures; DataError where it is neither."""
    if mean is not None and std is not None:
        return 255.0 if max(mean.max(), std.max()) > 1 else 1.0
    if not arrays:
        return 1.0
    kind = arrays[0].dtype.kind
    if kind == "b" or arrays[0].dtype == np.uint8:
        return 255.0
    least, most = min(float(a.min()) for a in arrays), max(float(a.max()) for a in arrays)
    if not (least >= 0 and most <= 255):
        raise out_of_range(np.array([least, most]), 255, False)
    if kind != "f":
        return 255.0
    if most <= 1:
        return 1.0
    if most < _FAINT and any((a != np.floor(a)).any() for a in arrays):
        raise DataError(
            f"the images are {arrays[0].dtype} from {least:g} to {most:g}, neither 0..1 nor "
            f"0..255; scale them to 0..1, or {_NORMALIZE}"
        )
    return 255.0


def out_of_range(values: NDArray[Any], white: float, normalised: bool) -> DataError:
    """The error for pixels outside of the range that was found, with the cure."""
    least, most = float(values.min()), float(values.max())
    if not (np.isfinite(least) and np.isfinite(most)):
        return DataError("an image holds NaN or infinite values; replace them in the dataset")
    if normalised:
        return DataError(
            f"an image goes from {least:g} to {most:g} once normalize=(mean, std) is undone; "
            f"expected 0..{white:g}. Pass mean and std exactly as the dataset uses them."
        )
    if white == 1:
        return DataError(
            f"an image goes from {least:g} to {most:g}, and the first ones looked at are in 0..1; "
            f"bring all to one range, or, {_NORMALIZE}"
        )
    return DataError(
        f"the images go from {least:g} to {most:g}; expected 0..1 or 0..255: {_NORMALIZE}"
    )
