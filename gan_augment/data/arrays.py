"""Read arrays and .npz files as labelled images, with one rule for each dtype of pixels."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gan_augment.data.groups import digest, group_codes, join_groups, same_rows
from gan_augment.data.labels import encode_labels
from gan_augment.errors import DataError
from gan_augment.input_files import memory_problem, regular_file
from gan_augment.kinds.image import IMAGE
from gan_augment.kinds.kind import Labelled, Meta, row_ids

_KEYS = (
    "x or images (N, H, W[, C]), or signals (N, C, L), y or labels (N,), and if wanted "
    "class_names, groups, ids"
)
_BLOCK = 1024  # rows converted at a time, so that no float copy of everything exists
FAINT = 64
"""Images whose brightest pixel is below this are called dark."""
DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, TypeError, KeyError, RuntimeError)
"""Errors of NumPy and zipfile for damaged files and files of another format."""


def from_arrays(
    x: ArrayLike,
    y: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    class_names: Sequence[str] | None = None,
) -> Labelled:
    """Return arrays as labelled images, by the rules of `to_uint8` and `encode_labels`.

    Parameters
    ----------
    x : (N, H, W) or (N, H, W, C)
        At least 8 px per side. Nothing is changed, and uint8 pixels are not copied.
    y : (N,) of str, int, bool or float
        Labels.
    groups : (N,) or None
        Rows of a group belong together; rows with equal pixels share a group.
    class_names
        Names by label index, if y holds indices.

    Returns
    -------
    Labelled
        The images.

    Raises
    ------
    DataError
        For pixels or labels that cannot be used.

    >>> import numpy as np
    >>> x = np.linspace(0, 1, 3 * 8 * 8).reshape(3, 8, 8)
    >>> data = from_arrays(x, ["cat", "dog", "cat"])
    >>> data.pixels.shape, data.counts, str(data.ids[2])
    ((3, 8, 8, 1), {'cat': 2, 'dog': 1}, 'row-000002')
    """
    pixels, _ = to_uint8(x)
    return label_pixels(pixels, y, groups=groups, class_names=class_names)


def label_pixels(
    pixels: NDArray[Any],
    y: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    class_names: Sequence[str] | NDArray[np.generic] | None = None,
    ids: ArrayLike | None = None,
    digests: Sequence[str] | None = None,
    like: Labelled | None = None,
) -> Labelled:
    """Return uint8 pixels (N, H, W, C) and the user's labels as labelled images.

    digests: one per row, of the originals before resizing; None computes them from the pixels.
    like: labelled rows with the kind and meta to use; None for images.
    """
    names = None if class_names is None else [str(name) for name in np.ravel(class_names)]
    labels, class_names = encode_labels(y, names)
    if len(labels) != len(pixels):
        raise DataError(
            f"{len(pixels)} images and {len(labels)} labels; expected one label per image"
        )
    same = same_rows([digest(image) for image in pixels] if digests is None else digests)
    return Labelled(
        pixels,
        labels,
        row_ids(len(labels)) if ids is None else np.asarray(ids).astype(np.str_),
        join_groups(len(labels), same, group_codes(groups, len(labels))),
        class_names,
        kind=IMAGE if like is None else like.kind,
        meta=Meta() if like is None else like.meta,
    )


def read_npz(path: Path) -> dict[str, Any]:
    """Return x and y of an .npz file, and class_names, groups, ids, if any. Unpickles nothing."""
    try:
        with regular_file(path) as file:
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise zipfile.BadZipFile("it is a single array")
            keys = {"x": _one_of(path, archive.files, "x", "images", "signals")}
            keys["y"] = _one_of(path, archive.files, "y", "labels")
            keys |= {name: name for name in ("class_names", "groups", "ids") if name in archive}
            assert archive.zip is not None
            sizes = (archive.zip.getinfo(f"{key}.npy").file_size for key in keys.values())
            if problem := memory_problem(sum(sizes)):
                raise DataError(f"the arrays of {str(path)!r} need {problem}; take fewer rows")
            arrays = {name: archive[key] for name, key in keys.items()}
        if not all(isinstance(array, np.ndarray) for array in arrays.values()):
            raise ValueError("a member is not an array")
        return arrays
    except DataError:
        raise
    except MemoryError:
        raise DataError(f"{str(path)!r} does not fit into memory") from None
    except OSError as error:
        raise DataError(f"{str(path)!r} cannot be read: {error.strerror or error}") from None
    except DAMAGED as error:
        if "Object arrays" in str(error):
            raise DataError(
                f"{str(path)!r} holds Python objects; save them as numbers or text: y.astype(str)"
            ) from None
        raise DataError(f"{str(path)!r} is not an intact .npz file: {error}") from None


def _one_of(path: Path, names: Sequence[str], *known: str) -> str:
    fitting = [name for name in known if name in names]
    if len(fitting) == 1:
        return fitting[0]
    listed = ", ".join(repr(name) for name in names[:12]) or "nothing"
    raise DataError(
        f"{str(path)!r} holds {listed}; expected exactly one of {' and '.join(known)}. "
        f"The arrays of an .npz file are {_KEYS}."
    )


def to_uint8(x: ArrayLike) -> tuple[NDArray[np.uint8], str | None]:
    """Return (uint8 pixels (N, H, W, C), a note on the conversion or None).

    The dtype and the range of the whole array decide. uint8 and other integers in 0..255 keep
    their values; True becomes 255. Floats are multiplied by 255 if their maximum is at most 1.
    Values are rounded, never clipped. Raises DataError for values that are negative, above 255 or
    NaN, for other shapes, and for channels first.
    """
    values = _with_channels(np.asarray(x))
    kind = values.dtype.kind
    if values.dtype == np.uint8:
        return values.astype(np.uint8, copy=False), None
    if kind == "b":
        return values.astype(np.uint8) * np.uint8(255), "boolean pixels: True becomes 255"
    if kind not in "iuf":
        raise DataError(
            f"pixels are {values.dtype}; expected uint8, or floats in 0..1 or 0..255, of one shape"
        )
    least, most = float(values.min()), float(values.max())
    if not (least >= 0 and most <= 255):
        cure = "divide by its white (65535 for 16 bits) so that they are floats in 0..1"
        if least < 0:
            cure = (
                "of signals (N, C, L) call the array signals; for -1..1 pass (x + 1) / 2; in a "
                "pipeline, put a scaler after GANAugmenter, not before it"
            )
        if not (np.isfinite(least) and np.isfinite(most)):
            cure = "replace NaN and infinite values first (numpy.nan_to_num)"
        raise DataError(
            f"{values.dtype} pixels from {least:g} to {most:g}; expected 0..1 or 0..255: {cure}"
        )
    unit = kind == "f" and most <= 1
    pixels = np.empty(values.shape, dtype=np.uint8)
    for start in range(0, len(values), _BLOCK):
        block = values[start : start + _BLOCK].astype(np.float64)
        pixels[start : start + _BLOCK] = np.rint(block * (255.0 if unit else 1.0)).astype(np.uint8)
    scale = "0..1" if unit else "0..255"
    return pixels, f"{values.dtype} pixels from {least:g} to {most:g}: read as {scale}"


def faint(most: float) -> str | None:
    """Return a warning if the brightest pixel `most` of 0..255 is dark, else None."""
    if most >= FAINT:
        return None
    return (
        f"the brightest pixel is {most:g} of 255, so the images are dark; "
        "if that value is white, scale the images to 0..1 first"
    )


def _with_channels(values: NDArray[Any]) -> NDArray[Any]:
    """Return (N, H, W) as (N, H, W, 1), (N, H, W, C) unchanged. Raises DataError for others."""
    if values.ndim == 3:
        values = values[..., np.newaxis]  # (N, H, W) -> (N, H, W, 1)
    if values.ndim != 4 or 0 in values.shape:
        raise DataError(
            f"images have shape {values.shape}; expected (N, H, W) or (N, H, W, C) of one size, "
            "and at least one image"
        )
    if values.shape[1] <= 4 and min(values.shape[2:]) >= 8:
        raise DataError(
            f"images have shape {values.shape}, which looks like channels first (N, C, H, W); "
            "expected channels last: pass x.transpose(0, 2, 3, 1), in torch x.permute(0, 2, 3, 1)"
        )
    return values
