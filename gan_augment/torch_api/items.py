"""How items of torch datasets hold an image, a signal or a vector, and a label.

An item is a pair (image, label), as a tuple or a list, or a dict. `read.py` reads whole
datasets.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from gan_augment.errors import DataError, UsageError
from gan_augment.kinds.image import IMAGE, SMALLEST_SIDE_PX
from gan_augment.kinds.kind import Kind
from gan_augment.kinds.signal import SHORTEST_WINDOW, SIGNAL
from gan_augment.kinds.table import TABLE

Key = Hashable
"""A key of an item that is a dict, or a position in a pair."""
Normalize = tuple[float | Sequence[float], float | Sequence[float]]
"""(mean, std), one number or one per channel, as torchvision's `Normalize` takes them."""
Make = Callable[[Any, Any], Any]
"""Makes an item of a generated image and its label."""

Moments = tuple[NDArray[np.float64], NDArray[np.float64]]
Layout = Literal["HW", "HWC", "CHW"]
_CHANNELS = {"1": 1, "L": 1, "LA": 2, "RGB": 3, "RGBA": 4}  # of Pillow's modes
_FEW_CHANNELS = 4
_DARK = 64  # floats whose maximum is below are 0..255 only if they are whole numbers


@dataclass(frozen=True, kw_only=True)
class PilImages:
    """PIL images. size: (height, width) px, the median where sizes differ (`varies`)."""

    mode: str
    size: tuple[int, int]
    varies: bool
    kind: Kind = IMAGE

    @property
    def channels(self) -> int:
        """Channels of the library's rows."""
        return _CHANNELS[self.mode]

    def encode(self, value: Any) -> NDArray[np.uint8]:
        """Return one image as uint8 (H, W, C)."""
        pixels = np.asarray(value.convert("L" if self.mode == "1" else self.mode))
        return pixels[..., np.newaxis] if pixels.ndim == 2 else pixels  # (H, W) -> (H, W, 1)

    def decode(self, rows: NDArray[np.uint8]) -> list[Any]:
        """Return images uint8 (N, H, W, C) as N PIL images."""
        size, mode = (rows.shape[2], rows.shape[1]), "L" if self.mode == "1" else self.mode
        images = [Image.frombytes(mode, size, one.tobytes()) for one in rows]
        return [
            one.convert("1", dither=Image.Dither.NONE) if self.mode == "1" else one
            for one in images
        ]


@dataclass(frozen=True, kw_only=True)
class ArrayImages:
    """Images in arrays (H, W) or (H, W, C), or in tensors (H, W) or (C, H, W).

    like: an empty array or tensor of the items' dtype. white: the value of 255 before normalising,
    1 or 255. moments: the dataset's (mean, std), float64 (C,) or (1,) each.
    """

    like: Any
    layout: Layout
    channels: int
    size: tuple[int, int]
    varies: bool = False
    white: float = 255.0
    moments: Moments | None = None
    kind: Kind = IMAGE

    def encode(self, value: Any) -> NDArray[np.uint8]:
        """Return one image as uint8 (H, W, C). Raises DataError for values outside the range."""
        array = _channels_last(_as_array(value), self.layout)
        if array.shape[2] != self.channels:
            raise DataError(
                f"an image has {array.shape[2]} channels and others have {self.channels}; convert "
                "them to one format in the dataset"
            )
        if array.dtype == np.bool_:
            return array.astype(np.uint8) * np.uint8(255)
        if array.dtype == np.uint8 and self.moments is None:
            return np.ascontiguousarray(array, dtype=np.uint8)
        values = array.astype(np.float64)
        if self.moments is not None:
            mean, std = self.moments
            values = values * std + mean
        levels = np.rint(values * (255.0 / self.white))
        # normalised half precision may miss either end by a level; NaN fails this test too
        if not (levels.min() >= -1 and levels.max() <= 256):
            raise _out_of_range(values, f"0..{self.white:g}", self.moments is not None)
        return np.clip(levels, 0, 255).astype(np.uint8)

    def decode(self, rows: NDArray[np.uint8]) -> list[Any]:
        """Return images uint8 (N, H, W, C) as N arrays or tensors, as torchvision scales them."""
        numbers = self._numbers(rows)
        if self.layout == "HW":
            numbers = numbers[..., 0]
        elif self.layout == "CHW" and self.channels > 1:
            numbers = np.ascontiguousarray(numbers.transpose(0, 3, 1, 2))
        elif self.layout == "CHW":  # a reshape keeps the strides plain, which torch.stack checks
            numbers = numbers.reshape(len(rows), 1, *rows.shape[1:3])
        return _values(numbers, self.like)

    def _numbers(self, pixels: NDArray[np.uint8]) -> NDArray[Any]:
        """Return levels (N, H, W, C) in the items' unit.

        NumPy does it, since torch would start threads for a batch of small images.
        """
        dtype = _as_array(self.like).dtype
        if dtype == np.bool_:
            return pixels >= 128
        if self.white == 255 and self.moments is None:
            return pixels.astype(dtype)
        real = np.float64 if dtype == np.float64 else np.float32
        x: NDArray[Any] = np.divide(pixels, real(255 / self.white), dtype=real)
        if self.moments is not None:
            mean, std = self.moments
            x -= mean.astype(real)
            x /= std.astype(real)
        return x.astype(dtype, copy=False)


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """Vectors (columns,), which are rows of a table, or signals (C, L) or (L,) of one channel.

    like: an empty array or tensor of the items' dtype.
    """

    like: Any
    shape: tuple[int, ...]
    kind: Kind

    @property
    def row_shape(self) -> tuple[int, ...]:
        """The shape of a generated row: (columns,) or (C, L)."""
        return (1, *self.shape) if self.kind is SIGNAL and len(self.shape) == 1 else self.shape

    def encode(self, value: Any) -> NDArray[Any]:
        """Return one vector or signal in its own unit. Raises DataError for another shape."""
        array = _as_array(value)
        if array.shape != self.shape:
            raise DataError(
                f"an item has shape {array.shape}, and others have {self.shape}; give all items of "
                "the dataset one shape"
            )
        return array.astype(np.float32).reshape(self.row_shape) if self.kind is SIGNAL else array

    def decode(self, rows: NDArray[Any]) -> list[Any]:
        """Return rows (N, ...) as N arrays or tensors; integer dtypes are rounded."""
        dtype = _as_array(self.like).dtype
        if dtype.kind in "iu" and rows.dtype.kind == "f":
            limits = np.iinfo(dtype)
            rows = np.clip(np.rint(rows), limits.min, limits.max)
        return _values(rows.astype(dtype).reshape(len(rows), *self.shape), self.like)


Picture = PilImages | ArrayImages | Numbers


@dataclass(frozen=True)
class ItemFormat:
    """How to read items, and how to make new ones of the same format.

    container: tuple, list or dict. keys: all keys of an item, in order; (0, 1) for a pair. image,
    label: the two keys of the image (or signal, or vector) and the label. labels: for each class
    index, the label as items hold it. make: makes a generated item; None fills the container.
    """

    container: type
    keys: tuple[Key, ...]
    image: Key
    label: Key
    picture: Picture
    labels: tuple[Any, ...] = ()
    make: Make | None = field(default=None)

    def new_items(self, images: Sequence[Any], codes: NDArray[np.int64]) -> list[Any]:
        """Return new items of images as items hold them, and class indices (N,)."""
        pairs = list(zip(images, [self.labels[code] for code in codes.tolist()], strict=True))
        if self.make is not None:
            return [self.make(image, label) for image, label in pairs]
        if self.container is dict:
            first, second = (0, 1) if self.keys == (self.image, self.label) else (1, 0)
            return [dict(zip(self.keys, (p[first], p[second]), strict=True)) for p in pairs]
        return [self.container(pair) for pair in pairs]

    def with_image(self, item: Any, image: Any) -> Any:
        """Return a copy of an item with another image."""
        if self.container is dict:
            return {**item, self.image: image}
        return self.container((image, item[1]))


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

    >>> item_format([{"image": np.zeros((8, 8)), "label": 3}]).keys
    ('image', 'label')
    """
    item = items[0]
    listed: tuple[Key, ...] = (0, 1)
    image, label = listed
    if type(item) is dict:
        listed = tuple(item)
        image, label = _named_keys(keys, listed)
    elif type(item) not in (tuple, list) or len(item) != 2:
        parts = f" of {len(item)} parts" if type(item) in (tuple, list) else ""
        raise DataError(
            f"an item is a {type(item).__name__}{parts}; expected a tuple or list (image, label), "
            "or a dict with keys=(image, label)"
        )
    elif keys is not None:
        raise UsageError(f"keys={keys!r} are for items that are dicts, and the items are pairs")
    values = [one[image] for one in items]
    if not (isinstance(values[0], Image.Image) or 1 <= getattr(values[0], "ndim", 0) <= 3):
        shape = f" of shape {tuple(values[0].shape)}" if hasattr(values[0], "shape") else ""
        raise DataError(
            f"part {image!r} of an item is a {type(values[0]).__name__}{shape}; expected a PIL "
            "image, an array (H, W), (H, W, C) or (columns,), or a tensor (H, W), (C, H, W) or "
            "(columns,)"
        )
    plain_label(item[label], f"item 0 (part {label!r})")
    return ItemFormat(type(item), listed, image, label, _picture(values, normalize, signal))


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


def checked_moments(normalize: Normalize | None, channels: int) -> Moments | None:
    """Return (mean, std) as float64 (C,) or (1,). Raises UsageError."""
    if normalize is None:
        return None
    expected = f"expected (mean, std), numbers or {channels} of each, with std above 0"
    try:
        mean, std = (np.atleast_1d(np.asarray(v, dtype=np.float64)) for v in normalize)
    except (TypeError, ValueError):
        raise UsageError(f"normalize={normalize!r}; {expected}") from None
    fitting = all(v.shape in ((1,), (channels,)) and np.isfinite(v).all() for v in (mean, std))
    if not fitting or not (std > 0).all():
        raise UsageError(f"normalize={normalize!r}; {expected}")
    return mean, std


def white_of(moments: Moments | None, arrays: Sequence[NDArray[Any]] = ()) -> float:
    """Return the value of 255, 1 or 255, from the moments or the range of the images."""
    if moments is not None or not arrays:
        return 255.0 if moments is not None and max(part.max() for part in moments) > 1 else 1.0
    dtype = arrays[0].dtype
    if dtype.kind == "b" or dtype == np.uint8:
        return 255.0
    least, most = min(float(a.min()) for a in arrays), max(float(a.max()) for a in arrays)
    whole = dtype.kind != "f" or all((a == np.floor(a)).all() for a in arrays)
    if not (least >= 0 and most <= 255) or (1 < most < _DARK and not whole):
        raise _out_of_range(np.array([least, most]), "0..1 or 0..255", False)
    return 1.0 if dtype.kind == "f" and most <= 1 else 255.0


def _named_keys(keys: Any, listed: tuple[Key, ...]) -> tuple[Key, Key]:
    """Return the keys of a dict's image and label. Raises DataError, or UsageError for `keys`."""
    pair = ("image", "label") if keys is None else keys
    if isinstance(pair, tuple | list) and len(set(pair)) == len(pair) == 2 and {*pair} <= {*listed}:
        return pair[0], pair[1]
    names = ", ".join(map(repr, listed))
    if keys is not None:
        raise UsageError(f"keys={keys!r}; expected (image, label), two of {names}")
    raise DataError(
        f"items are dicts with the keys {names}; name those of image and label with keys=(image, "
        "label)"
    )


def _picture(values: Sequence[Any], normalize: Normalize | None, signal: bool) -> Picture:
    """Return the format of images, signals or vectors. Raises DataError for several types."""
    first = values[0]
    kinds = {
        "PIL image"
        if isinstance(value, Image.Image)
        else f"{type(value).__name__} of {value.dtype} with {value.ndim} dimensions"
        for value in values
    }
    if len(kinds) > 1:
        raise DataError(
            f"the images are of several types: {', '.join(sorted(kinds))}; expected one"
        )
    if isinstance(first, Image.Image):
        mode = Counter(value.mode for value in values).most_common(1)[0][0]
        if normalize is not None:
            raise UsageError("normalize is for arrays and tensors, and the items are PIL images")
        if mode not in _CHANNELS:
            raise DataError(
                f"the PIL images have mode {mode!r}; expected one of {', '.join(_CHANNELS)}. "
                "Convert them in the dataset: image.convert('RGB')"
            )
        size, varies = _sizes([(value.height, value.width) for value in values])
        return PilImages(mode=mode, size=size, varies=varies)
    if _as_array(first).dtype.kind not in "biuf":
        raise DataError(f"the items hold {first.dtype}; expected numbers")
    shape = tuple(first.shape)
    # two axes are channels and length if the first is shorter than any image
    low = len(shape) == 2 and shape[0] < SMALLEST_SIDE_PX and shape[1] >= SHORTEST_WINDOW
    if not signal and not low and len(shape) > 1:
        return _array_images(values, normalize)
    if len(shape) > 2 or normalize is not None:
        raise UsageError(
            f"the items are signals or vectors of shape {shape}; expected (channels, length), "
            "(length,) or (columns,), and no normalize, which is for images"
        )
    return Numbers(like=_empty(first), shape=shape, kind=SIGNAL if signal or low else TABLE)


def _array_images(values: Sequence[Any], normalize: Normalize | None) -> ArrayImages:
    """Return the format of images in arrays or tensors."""
    arrays = [_as_array(value) for value in values]
    layout = _layout(arrays[0].shape, isinstance(values[0], Tensor))
    shapes = [_channels_last(array, layout).shape for array in arrays]
    size, varies = _sizes([(int(shape[0]), int(shape[1])) for shape in shapes])
    channels = int(shapes[0][2])
    moments = checked_moments(normalize, channels)
    return ArrayImages(
        like=_empty(values[0]),
        layout=layout,
        channels=channels,
        size=size,
        varies=varies,
        white=white_of(moments, arrays),
        moments=moments,
    )


def _layout(shape: tuple[int, ...], is_tensor: bool) -> Layout:
    """Return each library's own layout. Raises DataError if the shape looks like the other's."""
    if len(shape) == 2:
        return "HW"
    channels, side = (shape[0], shape[2]) if is_tensor else (shape[2], shape[0])
    if side <= _FEW_CHANNELS < channels:
        what, cure = "an array", "(H, W, C): return x.transpose(1, 2, 0)"
        if is_tensor:
            what, cure = "a tensor", "(C, H, W): return x.permute(2, 0, 1)"
        raise DataError(f"an image is {what} of shape {shape}; expected {cure} in the dataset")
    return "CHW" if is_tensor else "HWC"


def _channels_last(array: NDArray[Any], layout: Layout) -> NDArray[Any]:
    """Return one image as (H, W, C)."""
    if array.ndim != len(layout):
        raise DataError(f"an image has shape {array.shape}, and others have {len(layout)} axes")
    if layout == "HW":
        return array[..., np.newaxis]  # (H, W) -> (H, W, 1)
    return array.transpose(1, 2, 0) if layout == "CHW" else array


def _sizes(sizes: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], bool]:
    heights, widths = np.median(np.array(sizes), axis=0)
    return (int(heights), int(widths)), len(set(sizes)) > 1


def _as_array(value: Any) -> NDArray[Any]:
    """Return an array or a tensor as an array of the same numbers; bfloat16 becomes float32."""
    if not isinstance(value, Tensor):
        return np.asarray(value)
    x = value.detach().cpu()
    return (x.float() if x.dtype == torch.bfloat16 else x).as_subclass(Tensor).numpy()


def _empty(value: Any) -> Any:
    """Return an empty array or tensor of the same dtype and tensor class."""
    if not isinstance(value, Tensor):
        return np.empty(0, value.dtype)
    return torch.empty(0, dtype=value.dtype).as_subclass(type(value))


def _values(array: NDArray[Any], like: Any) -> list[Any]:
    """Return the rows of an array, each as items hold it."""
    if not isinstance(like, Tensor):
        return list(array)
    rows = torch.from_numpy(array).to(like.dtype).unbind(0)
    return list(rows) if type(like) is Tensor else [row.as_subclass(type(like)) for row in rows]


def _out_of_range(values: NDArray[Any], expected: str, normalised: bool) -> DataError:
    """Return the error for pixels outside the range of the first images, with the cure."""
    least, most = float(values.min()), float(values.max())
    if not (np.isfinite(least) and np.isfinite(most)):
        return DataError("an image holds NaN or infinite values; replace them in the dataset")
    undone = " once normalize=(mean, std) is undone" if normalised else ""
    return DataError(
        f"the images have values from {least:g} to {most:g}{undone}; expected {expected}. Bring "
        "all to one range; if the dataset normalises its images, pass normalize=(mean, std) "
        "exactly as the dataset uses them."
    )
