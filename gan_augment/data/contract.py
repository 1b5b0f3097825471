"""The shape of data inside: `LabelledImages`. Readers make it from anything; no files here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gan_augment.errors import DataError

SMALLEST_SIDE_PX = 8


@dataclass(frozen=True)
class LabelledImages:
    """Labelled pictures of one size.

    pixels: uint8 0..255, (N, H, W, C), any C >= 1, H and W >= 8 px; in memory or memory-mapped.
    labels: int64 (N,), indices into `class_names`.
    ids: str (N,), unique; they survive every split and are what "seen" means.
    groups: int64 (N,) or None; rows of one group stay on one side of any split (-1: alone).
    class_names: one unique non-empty string a class, or None for "0", "1", ....
    Raises DataError on construction where these do not hold. Never copies or changes the arrays.
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    ids: NDArray[np.str_]
    groups: NDArray[np.int64] | None = None
    class_names: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.class_names is None:
            top = int(self.labels.max()) + 1 if len(self.labels) else 0
            object.__setattr__(self, "class_names", tuple(str(i) for i in range(top)))
        _check(self)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def names(self) -> tuple[str, ...]:
        """Class names by label index."""
        return self.class_names or ()

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) in px, px, channels."""
        height, width, channels = self.pixels.shape[1:]
        return int(height), int(width), int(channels)

    @property
    def counts(self) -> dict[str, int]:
        """Rows of each class, {name: n}, in class order, zeros included."""
        n = np.bincount(self.labels, minlength=len(self.names))
        return {name: int(k) for name, k in zip(self.names, n, strict=True)}

    def take(self, rows: Sequence[int] | NDArray[np.int64]) -> LabelledImages:
        """The given rows, in the given order, ids and groups with them."""
        index = np.asarray(rows, dtype=np.int64)
        groups = None if self.groups is None else self.groups[index]
        return replace(
            self,
            pixels=self.pixels[index],
            labels=self.labels[index],
            ids=self.ids[index],
            groups=groups,
        )


def _check(data: LabelledImages) -> None:
    pixels, labels = data.pixels, data.labels
    if pixels.dtype != np.uint8 or pixels.ndim != 4:
        raise DataError(
            f"pixels are {pixels.dtype} of shape {pixels.shape}; expected uint8 of shape "
            "(N, H, W, C). gan_augment.data.arrays.from_arrays converts other arrays."
        )
    if min(pixels.shape[1:3]) < SMALLEST_SIDE_PX or pixels.shape[3] < 1:
        raise DataError(
            f"images of {pixels.shape[1]} x {pixels.shape[2]} px with {pixels.shape[3]} channels; "
            f"expected at least {SMALLEST_SIDE_PX} px a side and one channel. Enlarge them first."
        )
    n, k = len(pixels), len(data.names)
    if labels.dtype != np.int64 or labels.shape != (n,):
        raise DataError(f"labels are {labels.dtype} {labels.shape}; expected int64 ({n},)")
    if n and (labels.min() < 0 or labels.max() >= k):
        raise DataError(f"labels reach from {labels.min()} to {labels.max()}; class_names has {k}")
    if len(set(data.names)) != len(data.names) or not all(data.names):
        raise DataError(f"class names must be unique and not empty; given {data.names}")
    if data.ids.shape != labels.shape or len(np.unique(data.ids)) != len(data.ids):
        raise DataError("ids must be one unique string a row")
    groups = data.groups
    if groups is not None and (groups.shape != (n,) or groups.dtype != np.int64):
        raise DataError(f"groups are {groups.dtype} {groups.shape}; expected int64 ({n},)")
