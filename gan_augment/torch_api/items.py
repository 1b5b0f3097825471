"""How items of torch datasets hold an image, a signal or a vector, and a label.

An item is a pair (image, label), as a tuple or a list, or a dict. `read.py` reads whole
datasets.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from gan_augment.data.images.resize import resize_batch
from gan_augment.errors import DataError, UsageError, plural, warn
from gan_augment.kinds.image import IMAGE, SMALLEST_SIDE_PX
from gan_augment.kinds.kind import Kind
from gan_augment.kinds.signal import SHORTEST_WINDOW, SIGNAL
from gan_augment.kinds.table import TABLE

Key = Hashable
"""A key of an item that is a dict, or a position in a pair."""
Normalize = tuple[float | Sequence[float], float | Sequence[float]]
"""(mean, std), one number or one per channel, as torchvision's `Normalize` takes them."""

Moments = tuple[NDArray[np.float64], NDArray[np.float64]]
_MODES = ("L", "RGB", "RGBA")  # of PIL images
_EXPECTED = "a PIL image, an array (H, W, C), (C, L) or (columns,), or a tensor (C, H, W), (C, L)"
SHARPER = 1.5
"""From this ratio of sides on, sharpness distinguishes items from the model's images."""
_FEW_CHANNELS = 4


@dataclass(frozen=True, kw_only=True)
class Images:
    """Describe items that are images: PIL images, arrays (H, W, C) or tensors (C, H, W).

    dtype: of NumPy or torch, or the mode of PIL images as text. size: (height, width) px, the
    median where sizes differ (`varies`). white: the value of 255 before normalising, 1 or 255.
    moments: mean and standard deviation by which the dataset normalises, float64 (C,) or (1,) each.
    """

    dtype: Any
    channels: int
    size: tuple[int, int]
    varies: bool = False
    white: float = 255.0
    moments: Moments | None = None
    kind: Kind = IMAGE

    def encode(self, value: Any) -> NDArray[np.uint8]:
        """Return one image as uint8 (H, W, C). Raises DataError for values outside the range."""
        if isinstance(value, Image.Image):
            value = value.convert(self.dtype)
        array = _channels_last(value)
        if array.shape[2] != self.channels:
            raise DataError(
                f"an image has {plural(array.shape[2], 'channel')} and others have "
                f"{self.channels}; convert them to one format in the dataset"
            )
        if array.dtype == np.uint8 and self.moments is None:
            return np.ascontiguousarray(array, dtype=np.uint8)
        mean, std = self.moments or (0.0, 1.0)
        levels = np.rint((array.astype(np.float64) * std + mean) * (255.0 / self.white))
        # normalised half precision may miss either end by a level; NaN fails this test too
        if not (levels.min() >= -1 and levels.max() <= 256):
            raise _out_of_range(array, f"0..{self.white:g}")
        return np.clip(levels, 0, 255).astype(np.uint8)

    def decode(self, rows: NDArray[np.uint8]) -> list[Any]:
        """Return images uint8 (N, H, W, C) as N images of the items' size and scale.

        NumPy scales them, since torch would start threads for a batch of small images.
        """
        x: NDArray[Any] = resize_batch(rows, self.size)
        if isinstance(self.dtype, str):
            return [Image.fromarray(row[..., 0] if self.channels == 1 else row) for row in x]
        if self.white != 255 or self.moments is not None:
            real = np.float64 if "float64" in str(self.dtype) else np.float32
            x = np.divide(x, real(255 / self.white), dtype=real)
            if self.moments is not None:
                x -= self.moments[0].astype(real)
                x /= self.moments[1].astype(real)
        if isinstance(self.dtype, torch.dtype):
            one = self.channels == 1  # a reshape keeps the strides plain, which torch.stack checks
            x = x.reshape(len(x), 1, *self.size) if one else x.transpose(0, 3, 1, 2)
        return _values(np.ascontiguousarray(x), self.dtype)


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """Vectors (columns,), which are rows of a table, or signals (C, L)."""

    dtype: Any
    shape: tuple[int, ...]
    kind: Kind

    def encode(self, value: Any) -> NDArray[Any]:
        """Return one vector or signal in its own unit. Raises DataError for another shape."""
        array = as_array(value)
        if array.shape != self.shape:
            raise DataError(
                f"an item has shape {array.shape}, and others have {self.shape}; give all items of "
                "the dataset one shape"
            )
        return array

    def decode(self, rows: NDArray[Any]) -> list[Any]:
        """Return rows (N, ...) as N arrays or tensors; integer dtypes are rounded."""
        return _values(np.rint(rows) if "int" in str(self.dtype) else rows.copy(), self.dtype)


Picture = Images | Numbers


def check_rows(picture: Picture, shape: tuple[int, ...]) -> None:
    """Raise DataError if a model's rows do not fit the items; warn if they are smaller images."""
    if isinstance(picture, Images):
        fits, expected = shape[2:] == (picture.channels,), f"images of {picture.channels} channels"
    else:
        fits, expected = shape == picture.shape, f"rows of shape {picture.shape}"
    if not fits:
        raise DataError(
            f"the model makes rows of shape {shape}, and the items are {expected}; fit a model to "
            "this data"
        )
    if isinstance(picture, Images) and max(picture.size) > SHARPER * max(shape[:2]):
        warn(
            f"the items are {picture.size[0]} x {picture.size[1]} px and the model makes "
            f"{shape[0]} x {shape[1]} px, so that sharpness distinguishes real from generated "
            "images. Fit at a larger image_size=(height, width)."
        )


@dataclass(frozen=True)
class ItemFormat:
    """How to read items, and how to make new ones of the same format.

    empty: a pair without values, or {}. image, label: keys of the image (or signal, or vector) and
    the label. more: further keys of a dict. labels: for each class index, the label as items hold
    it.
    """

    empty: Any
    image: Key
    label: Key
    picture: Picture
    more: tuple[Key, ...] = ()
    labels: tuple[Any, ...] = ()

    def new_item(self, image: Any, code: int) -> Any:
        """Return a new item of an image as items hold it, and a class index."""
        return self.changed(self.empty, {self.image: image, self.label: self.labels[code]})

    def changed(self, item: Any, values: Mapping[Key, Any]) -> Any:
        """Return a copy of a pair or a dict with other values at some keys."""
        if isinstance(item, dict):
            return {**item, **values}
        return type(item)([values.get(key, value) for key, value in enumerate(item)])


def item_format(
    items: Sequence[Any],
    normalize: Normalize | None = None,
    keys: tuple[Key, Key] | None = None,
    *,
    signal: bool = False,
) -> ItemFormat:
    """Return the format of a dataset's items, from a few of them.

    normalize: the (mean, std) that the dataset applies to its images. keys: (image, label) of items
    that are dicts; None is "image" and "label". signal: the items are signals (C, L); arrays with
    fewer channels than an image has pixels per side are signals in any case. Raises DataError and
    UsageError for items of an unknown format or range.

    >>> item_format([{"image": np.zeros((8, 8, 1)), "label": 3}]).image
    'image'
    """
    item = items[0]
    pair = type(item) in (tuple, list) and len(item) == 2
    if not pair and type(item) is not dict:
        raise DataError(
            f"an item is a {type(item).__name__}; expected a tuple or list (image, label), or a "
            "dict with keys=(image, label)"
        )
    known: list[Key] = [0, 1] if pair else list(item)
    image, label = keys or ((0, 1) if pair else ("image", "label"))
    if image not in known or label not in known or image == label:
        names = ", ".join(map(repr, known))
        error = DataError if keys is None else UsageError
        raise error(f"items have the keys {names}; name two of them with keys=(image, label)")
    plain_label(item[label], f"item 0 (part {label!r})")
    picture = _picture([one[image] for one in items], normalize, signal)
    more = tuple(key for key in known if key not in (image, label))
    return ItemFormat(type(item)((None, None)) if pair else {}, image, label, picture, more)


def plain_label(value: Any, where: str) -> str | bool | int | float:
    """Return a label as a plain value. Raises DataError for one-hot and several labels, and None.

    >>> plain_label(np.array([3]), "item 0"), plain_label(np.True_, "item 1")
    (3, True)
    """
    if isinstance(value, Tensor | np.ndarray | np.generic):
        if np.prod(value.shape) != 1:
            raise DataError(
                f"the label of {where} has shape {tuple(value.shape)}; expected one class. For "
                "one-hot labels return label.argmax(); several labels per item are not supported."
            )
        value = value.item()
    if isinstance(value, str | bool | int | float):
        return value
    raise DataError(
        f"the label of {where} is a {type(value).__name__}; expected text, an integer or a boolean"
    )


def _picture(values: Sequence[Any], normalize: Normalize | None, signal: bool) -> Picture:
    """Return the format of images, signals or vectors. Raises DataError for several types."""
    first = values[0]
    if len({(type(value), getattr(value, "dtype", None)) for value in values}) > 1:
        raise DataError("the images are of several types or dtypes; expected one")
    if isinstance(first, Image.Image):
        mode = Counter(value.mode for value in values).most_common(1)[0][0]
        if mode not in _MODES:
            raise DataError(
                f"the PIL images have mode {mode!r}; expected one of {', '.join(_MODES)}. Convert "
                "them in the dataset: image.convert('RGB')"
            )
        if normalize is not None:
            raise UsageError("normalize is for arrays and tensors, and the items are PIL images")
        return _images([value.convert(mode) for value in values], mode, None)
    shape = tuple(getattr(first, "shape", ()))
    if not shape or as_array(first).dtype.kind not in "iuf":
        raise DataError(f"an item holds a {type(first).__name__}; expected {_EXPECTED}")
    if len(shape) == 3 and not signal:
        return _images(values, first.dtype, normalize)
    # two axes are channels and length if the first is shorter than any image
    signal |= len(shape) == 2 and shape[0] < SMALLEST_SIDE_PX and shape[1] >= SHORTEST_WINDOW
    if len(shape) != (2 if signal else 1):
        raise DataError(f"an item has shape {shape}; expected {_EXPECTED}")
    if normalize is not None:
        raise UsageError(f"normalize is for images, and an item has shape {shape}")
    return Numbers(dtype=first.dtype, shape=shape, kind=SIGNAL if signal else TABLE)


def _images(values: Sequence[Any], dtype: Any, normalize: Normalize | None) -> Images:
    """Return the format of images. Raises DataError if axes have the other library's order."""
    arrays = [_channels_last(value) for value in values]
    height, width = np.median([array.shape[:2] for array in arrays], axis=0)
    channels = arrays[0].shape[2]
    if min(arrays[0].shape[:2]) <= _FEW_CHANNELS < channels:
        raise DataError(
            f"an image has shape {tuple(values[0].shape)}; expected arrays (H, W, C), or tensors "
            "(C, H, W): return x.transpose(1, 2, 0) or x.permute(2, 0, 1) in the dataset"
        )
    moments = _moments(normalize, channels)
    return Images(
        dtype=dtype,
        channels=channels,
        size=(int(height), int(width)),
        varies=len({array.shape[:2] for array in arrays}) > 1,
        white=_white(moments, arrays),
        moments=moments,
    )


def _moments(normalize: Normalize | None, channels: int) -> Moments | None:
    """Return (mean, std) as float64 (C,) or (1,). Raises UsageError."""
    if normalize is None:
        return None
    with suppress(TypeError, ValueError):
        mean, std = (np.atleast_1d(np.asarray(v, dtype=np.float64)) for v in normalize)
        fits = all(v.shape in ((1,), (channels,)) and np.isfinite(v).all() for v in (mean, std))
        if fits and (std > 0).all():
            return mean, std
    raise UsageError(
        f"normalize={normalize!r}; expected (mean, std), numbers or {channels} of each, with std "
        "above 0"
    )


def _white(moments: Moments | None, arrays: Sequence[NDArray[Any]]) -> float:
    """Return the value of 255, 1 or 255, from the moments or the range of the images."""
    if moments is not None:
        return 255.0 if max(part.max() for part in moments) > 1 else 1.0
    least, most = min(float(a.min()) for a in arrays), max(float(a.max()) for a in arrays)
    fractions = arrays[0].dtype.kind == "f"
    if not (least >= 0 and most <= 255) or (fractions and 1 < most < 2):
        raise _out_of_range(np.array([least, most]), "0..1 or 0..255")
    return 1.0 if fractions and most <= 1 else 255.0


def _channels_last(value: Any) -> NDArray[Any]:
    """Return one image as an array (H, W, C)."""
    array = as_array(value)
    if isinstance(value, Image.Image) and array.ndim == 2:
        array = array[..., np.newaxis]  # (H, W) -> (H, W, 1)
    if array.ndim != 3:
        raise DataError(f"an image has shape {array.shape}, and others have 3 axes")
    return array.transpose(1, 2, 0) if isinstance(value, Tensor) else array


def as_array(value: Any) -> NDArray[Any]:
    """Return an image, array or tensor as an array; bfloat16 becomes float32."""
    if not isinstance(value, Tensor):
        return np.asarray(value)
    x = value.detach().cpu()
    return (x.float() if x.dtype == torch.bfloat16 else x).as_subclass(Tensor).numpy()


def _values(array: NDArray[Any], dtype: Any) -> list[Any]:
    """Return the rows of an array as arrays, or as tensors, of a dtype of NumPy or torch."""
    if isinstance(dtype, torch.dtype):
        return list(torch.from_numpy(array).to(dtype).unbind(0))
    return list(array.astype(dtype, copy=False))


def _out_of_range(values: NDArray[Any], expected: str) -> DataError:
    return DataError(
        f"the images have values from {values.min():g} to {values.max():g}; expected {expected}, "
        "without NaN. If the dataset normalises its images, pass normalize=(mean, std) exactly as "
        "the dataset uses them."
    )
