"""What items of torch datasets hold: an image or a vector, and a label; and new ones like them.

An item is a pair (image, label), as a tuple or a list, or a dict. Reading whole datasets is done in
`torch_datasets.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from gan_augment.errors import DataError, UsageError
from gan_augment.kinds.image import SMALLEST_SIDE_PX
from gan_augment.kinds.signal import SHORTEST_WINDOW

Key = Hashable
"""A key of an item that is a dict, or a position in a pair."""

Normalize = tuple[float | Sequence[float], float | Sequence[float]]
"""(mean, std), one number or one a channel, as torchvision's `Normalize` takes them."""

Moments = tuple[NDArray[np.float64], NDArray[np.float64]]
Layout = Literal["HW", "HWC", "CHW"]
_KEYS = ("image", "label")  # of a dict, unless other keys are passed
_CHANNELS = {"1": 1, "L": 1, "LA": 2, "RGB": 3, "RGBA": 4}  # of Pillow's modes
_FEW_CHANNELS = 4
_DARK = 64  # floats that end below are 0..255 only if they are whole numbers


@dataclass(frozen=True, kw_only=True)
class _NumberFormat:
    """Numbers in arrays or tensors. like: no number, in an array or a tensor as items hold them."""

    like: Any = None

    @cached_property
    def array_dtype(self) -> np.dtype[Any]:
        """NumPy's dtype for the items' numbers; float32 for bfloat16."""
        return _as_array(self.like).dtype

    def _rows(self, array: NDArray[Any]) -> list[Any]:
        """The rows of an array, each as items hold it."""
        if not isinstance(self.like, Tensor):
            return list(array)
        kind = type(self.like)
        rows = torch.from_numpy(array).to(self.like.device, self.like.dtype).unbind(0)
        return list(rows) if kind is Tensor else [row.as_subclass(kind) for row in rows]


@dataclass(frozen=True, kw_only=True)
class ImageFormat(_NumberFormat):
    """How items hold their image.

    mode: Pillow's, "" for arrays (H, W) or (H, W, C) and tensors (H, W) or (C, H, W).
    size: (height, width) px, the median where they differ (`varies`). white: what 255 is in the
    item's unit before it is normalised, 1 or 255. moments: the (mean, std) of that, float64 (C,) or
    (1,) each.
    """

    size: tuple[int, int]
    channels: int
    varies: bool = False
    mode: str = ""
    layout: Layout = "HWC"
    white: float = 255.0
    moments: Moments | None = None

    def encode(self, value: Any) -> NDArray[np.uint8]:
        """One image as uint8 (H, W, C). Raises DataError for values outside of the range."""
        if self.mode:
            image = value.convert("L" if self.mode == "1" else self.mode)
            pixels: NDArray[np.uint8] = np.asarray(image)
            return pixels[..., np.newaxis] if pixels.ndim == 2 else pixels  # (H, W) -> (H, W, 1)
        array = _channels_last(_as_array(value), self.layout)
        if array.shape[2] != self.channels:
            raise DataError(
                f"an image has {array.shape[2]} channels and others have {self.channels}; make "
                "them one kind in the dataset"
            )
        if array.dtype == np.bool_:
            return array.astype(np.uint8) * np.uint8(255)
        if array.dtype == np.uint8 and self.moments is None:
            return np.ascontiguousarray(array, dtype=np.uint8)
        return self._levels(array.astype(np.float64))

    def decode(self, pixels: NDArray[np.uint8]) -> list[Any]:
        """Images uint8 (N, H, W, C) as N values of the items' own kind; resized nowhere."""
        n, height, width, channels = pixels.shape
        if self.mode:
            mode = "L" if self.mode == "1" else self.mode
            images = [Image.frombytes(mode, (width, height), one.tobytes()) for one in pixels]
            dither = Image.Dither.NONE
            return (
                [one.convert("1", dither=dither) for one in images] if self.mode == "1" else images
            )
        numbers = self._numbers(pixels)
        if self.layout == "HW":
            numbers = numbers[..., 0]
        elif self.layout == "CHW" and channels > 1:
            numbers = np.ascontiguousarray(numbers.transpose(0, 3, 1, 2))
        elif self.layout == "CHW":  # its strides, which torch.stack looks at, stay plain
            numbers = numbers.reshape(n, 1, height, width)
        return self._rows(numbers)

    def _levels(self, values: NDArray[np.float64]) -> NDArray[np.uint8]:
        """Numbers in the items' unit as rounded levels 0..255."""
        if self.moments is not None:
            mean, std = self.moments
            values = values * std + mean
        levels = np.rint(values * (255.0 / self.white))
        # a level beyond either end is what normalised half precision loses
        if not (levels.min() >= -1 and levels.max() <= 256):  # NaN is refused too
            raise _out_of_range(values, f"0..{self.white:g}", self.moments is not None)
        return np.clip(levels, 0, 255).astype(np.uint8)

    def _numbers(self, pixels: NDArray[np.uint8]) -> NDArray[Any]:
        """Levels (N, H, W, C) in the items' unit, in the order of steps that torchvision takes.

        By NumPy, since torch would start threads for a batch of small images.
        """
        dtype = self.array_dtype
        if dtype == np.bool_:
            return pixels >= 128
        if self.white == 255 and self.moments is None:
            return pixels.astype(dtype)  # a copy, even of uint8
        real = np.float64 if dtype == np.float64 else np.float32
        x: NDArray[Any] = np.divide(pixels, real(255 / self.white), dtype=real)
        if self.moments is not None:
            mean, std = self.moments
            x -= mean.astype(real)
            x /= std.astype(real)
        return x.astype(dtype, copy=False)


@dataclass(frozen=True, kw_only=True)
class VectorFormat(_NumberFormat):
    """How items hold a vector of `length` numbers."""

    length: int

    def encode(self, value: Any) -> NDArray[Any]:
        """One vector as an array (length,)."""
        array = _as_array(value)
        if array.shape != (self.length,):
            raise DataError(
                f"an item is a vector of shape {array.shape}, and others are of ({self.length},)"
            )
        return array

    def decode(self, rows: NDArray[Any]) -> list[Any]:
        """Rows (N, length) as N vectors of the items' own kind."""
        return self._rows(rows.astype(self.array_dtype))


@dataclass(frozen=True, kw_only=True)
class SignalFormat(_NumberFormat):
    """How items hold a signal: an array or a tensor of `shape` (C, L), or (L,) of one channel."""

    shape: tuple[int, ...]

    @property
    def channels_length(self) -> tuple[int, int]:
        """(C, L)."""
        return (1, self.shape[0]) if len(self.shape) == 1 else (self.shape[0], self.shape[1])

    def encode(self, value: Any) -> NDArray[np.float32]:
        """One signal as float32 (C, L), in its own unit."""
        array = _as_array(value)
        if array.shape != self.shape:
            raise DataError(
                f"an item is a signal of shape {array.shape}, and others are of {self.shape}; cut "
                "windows of one length in the dataset"
            )
        return array.astype(np.float32).reshape(self.channels_length)

    def decode(self, values: NDArray[np.float32]) -> list[Any]:
        """Signals (N, C, L) as N values of the items' own kind; whole numbers are rounded."""
        if self.array_dtype.kind in "iu":
            limits = np.iinfo(self.array_dtype)
            values = np.clip(np.rint(values), limits.min, limits.max)
        return self._rows(values.astype(self.array_dtype).reshape(len(values), *self.shape))


Picture = ImageFormat | SignalFormat | VectorFormat


@dataclass(frozen=True)
class ItemFormat:
    """What items are like, for reading them and for new ones of the same kind.

    kind: tuple, list or dict. keys: all keys of an item, in order; 0 and 1 of a pair. image, label:
    the two of them that hold the image (or vector) and the label. picture: how the first is held.
    labels: by class index, a label as items hold it. fill: {key: value} of what else new items
    hold.
    """

    kind: type
    keys: tuple[Key, ...]
    image: Key
    label: Key
    picture: Picture
    labels: tuple[Any, ...] = ()
    fill: Mapping[Key, Any] = field(default_factory=dict)

    @property
    def others(self) -> tuple[Key, ...]:
        """Keys of what is neither image nor label."""
        return tuple(key for key in self.keys if key not in (self.image, self.label))

    def new_items(self, images: Sequence[Any], codes: NDArray[np.int64]) -> list[Any]:
        """New items of images (or vectors) in the items' own type and class indices (N,)."""
        pairs = zip(images, [self.labels[code] for code in codes.tolist()], strict=True)
        if self.kind is tuple:
            return list(pairs)
        if self.kind is list:
            return [list(pair) for pair in pairs]
        items = [{**self.fill, self.image: image, self.label: label} for image, label in pairs]
        return [{key: item[key] for key in self.keys} for item in items]

    def with_image(self, item: Any, image: Any) -> Any:
        """An item with another image (or vector); the item passed stays as it is."""
        if self.kind is dict:
            return {**item, self.image: image}
        return self.kind((image, item[1]))

    def with_fill(self, fill: Mapping[Key, Any] | None) -> ItemFormat:
        """The same, knowing what new items hold beside image and label. Raises UsageError."""
        values = dict(fill or {})
        if set(values) != set(self.others):
            needed = "{" + ", ".join(f"{key!r}: ..." for key in self.others) + "}"
            raise UsageError(
                f"fill={values!r}; expected fill={needed}: what generated items hold beside image "
                "and label, which are made"
            )
        return replace(self, fill=values)


def item_format(
    items: Sequence[Any],
    normalize: Normalize | None = None,
    keys: tuple[Key, Key] | None = None,
    *,
    signal: bool = False,
) -> ItemFormat:
    """What the items of a dataset look like, by a few of them.

    normalize: the (mean, std) that the dataset applies to its images. keys: (image, label) of items
    that are dicts; None is "image" and "label". signal: they are signals (C, L), as all of fewer
    channels than images have pixels a side are. Raises DataError and UsageError for items that are
    neither pairs nor dicts, and for images of a kind or range that is not known.

    >>> item_format([{"path": "a.png", "image": np.zeros((8, 8)), "label": 3}]).others
    ('path',)
    """
    item = items[0]
    listed: tuple[Key, ...] = (0, 1)
    image, label = listed
    if type(item) is dict:
        listed = tuple(item)
        image, label = _named_keys(keys, listed)
    else:
        _check_pair(item, keys)
    values = [one[image] for one in items]
    if not (isinstance(values[0], Image.Image) or 1 <= getattr(values[0], "ndim", 0) <= 3):
        shape = f" of shape {tuple(values[0].shape)}" if hasattr(values[0], "shape") else ""
        raise DataError(
            f"part {image!r} of an item is a {type(values[0]).__name__}{shape}; expected a PIL "
            "image, an array (H, W), (H, W, C) or (columns,), or a tensor (H, W), (C, H, W) or "
            "(columns,)"
        )
    plain_label(item[label], f"item 0 (part {label!r})")
    return ItemFormat(type(item), listed, image, label, _picture_format(values, normalize, signal))


def pair_format(picture: Picture, labels: Sequence[Any]) -> ItemFormat:
    """The format of tuples (image, label), labels by class index."""
    return ItemFormat(tuple, (0, 1), 0, 1, picture, tuple(labels))


def tensor_images(
    size: tuple[int, int], channels: int, normalize: Normalize | None = None
) -> ImageFormat:
    """Images as float32 tensors (C, H, W) in 0..1, or normalised: what torchvision would give."""
    moments = _checked_moments(normalize, channels)
    return ImageFormat(
        like=torch.empty(0),
        size=size,
        channels=channels,
        layout="CHW",
        white=1.0 if moments is None else _white([], moments),
        moments=moments,
    )


def plain_label(value: Any, where: str) -> str | bool | int | float:
    """A label as a plain value. Raises DataError for one-hot and several labels, and for None.

    >>> plain_label(np.array([3]), "item 0"), plain_label(np.True_, "item 1")
    (3, True)
    """
    if isinstance(value, Tensor | np.ndarray | np.generic):
        if np.prod(value.shape) != 1:
            raise DataError(
                f"the label of {where} has shape {tuple(value.shape)}; expected one class. For "
                "one-hot labels give label.argmax(); several labels an item are not supported."
            )
        value = value.item()
    if isinstance(value, str | bool | int | float):
        return value
    raise DataError(
        f"the label of {where} is a {type(value).__name__}; expected text, a whole number or a "
        "boolean"
    )


def _named_keys(keys: Any, listed: tuple[Key, ...]) -> tuple[Key, Key]:
    """The keys of a dict's image and label. Raises DataError, or UsageError for `keys`."""
    pair = _KEYS if keys is None else keys
    if isinstance(pair, tuple | list) and len(set(pair)) == len(pair) == 2 and {*pair} <= {*listed}:
        return pair[0], pair[1]
    names = ", ".join(map(repr, listed))
    if keys is not None:
        raise UsageError(f"keys={keys!r}; expected (image, label), two of {names}")
    raise DataError(
        f"which part of an item is the image, which the label? It holds {names}. Say so: "
        "keys=('image', 'label')"
    )


def _check_pair(item: Any, keys: object) -> None:
    cure = "return (image, label), or a dict with keys=(image, label), from the dataset"
    if type(item) not in (tuple, list):
        raise DataError(
            f"an item is a {type(item).__name__}; expected a tuple, a list or a dict of an image "
            f"(or a vector) and its label: {cure}"
        )
    if len(item) != 2:
        parts = "1 part" if len(item) == 1 else f"{len(item)} parts"
        raise DataError(f"an item holds {parts}; expected an image and a label: {cure}")
    if keys is not None:
        raise UsageError(
            f"keys={keys!r} are for items that are dicts, and the items are pairs (image, label)"
        )


def _picture_format(values: Sequence[Any], normalize: Normalize | None, signal: bool) -> Picture:
    """How the images or vectors are held. Raises DataError where they are of several kinds."""
    kinds = {_kind(value) for value in values}
    if len(kinds) > 1:
        raise DataError(
            f"the images are of several types: {', '.join(sorted(map(str, kinds)))}; expected one"
        )
    first = values[0]
    if isinstance(first, Image.Image):
        if normalize is not None:
            raise UsageError("normalize is for arrays and tensors, and the items are PIL images")
        return _pil_format(values)
    if _as_array(first).dtype.kind not in "biuf":
        raise DataError(f"the items hold {first.dtype}; expected numbers")
    if signal or _looks_like_signal(first.shape):
        if first.ndim > 2 or normalize is not None:
            raise UsageError(
                f"the items are signals of shape {tuple(first.shape)}; expected (channels, length) "
                "or (length,), and no normalize, which is for images"
            )
        return SignalFormat(shape=tuple(first.shape), like=_empty_like(first))
    if first.ndim > 1:
        return _array_format(values, normalize)
    if normalize is not None:
        raise UsageError("normalize is for images, and the items are vectors")
    return VectorFormat(length=len(first), like=_empty_like(first))


def _looks_like_signal(shape: tuple[int, ...]) -> bool:
    """Whether two axes are channels and length, since no image is so low."""
    return len(shape) == 2 and shape[0] < SMALLEST_SIDE_PX and shape[1] >= SHORTEST_WINDOW


def _kind(value: Any) -> str:
    if isinstance(value, Image.Image):
        return "PIL image"
    return f"{type(value).__name__} of {value.dtype} with {value.ndim} dimensions"


def _pil_format(values: Sequence[Image.Image]) -> ImageFormat:
    mode = Counter(value.mode for value in values).most_common(1)[0][0]
    if mode not in _CHANNELS:
        raise DataError(
            f"the PIL images are of mode {mode!r}; expected one of {', '.join(_CHANNELS)}. Convert "
            "them in the dataset: image.convert('RGB')"
        )
    size, varies = _sizes([(value.height, value.width) for value in values])
    return ImageFormat(size=size, channels=_CHANNELS[mode], varies=varies, mode=mode)


def _array_format(values: Sequence[Any], normalize: Normalize | None) -> ImageFormat:
    arrays = [_as_array(value) for value in values]
    layout = _layout(arrays[0].shape, isinstance(values[0], Tensor))
    shapes = [_channels_last(array, layout).shape for array in arrays]
    size, varies = _sizes([(int(shape[0]), int(shape[1])) for shape in shapes])
    moments = _checked_moments(normalize, shapes[0][2])
    return ImageFormat(
        size=size,
        channels=int(shapes[0][2]),
        varies=varies,
        layout=layout,
        white=_white(arrays, moments),
        moments=moments,
        like=_empty_like(values[0]),
    )


def _empty_like(value: Any) -> Any:
    """No number, in an array or a tensor of the same dtype, class and device."""
    if not isinstance(value, Tensor):
        return np.empty(0, value.dtype)
    empty = torch.empty(0, dtype=value.dtype, device=value.device)
    plain = type(value) in (Tensor, torch.nn.Parameter)
    return empty if plain else empty.as_subclass(type(value))


def _layout(shape: tuple[int, ...], is_tensor: bool) -> Layout:
    """Each library's own layout. Raises DataError where the shape looks like the other's."""
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
    """One image as (H, W, C)."""
    if array.ndim != len(layout):
        raise DataError(f"an image has shape {array.shape}, and others have {len(layout)} axes")
    if layout == "HW":
        return array[..., np.newaxis]  # (H, W) -> (H, W, 1)
    return array.transpose(1, 2, 0) if layout == "CHW" else array


def _sizes(sizes: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], bool]:
    heights, widths = np.median(np.array(sizes), axis=0)
    return (int(heights), int(widths)), len(set(sizes)) > 1


def _as_array(value: Any) -> NDArray[Any]:
    """An array or a tensor as an array of the same numbers."""
    if not isinstance(value, Tensor):
        return np.asarray(value)
    x = value.detach().cpu()
    x = x.float() if x.dtype == torch.bfloat16 else x
    return x.as_subclass(Tensor).numpy()


def _checked_moments(normalize: Normalize | None, channels: int) -> Moments | None:
    """(mean, std) as float64 (C,) or (1,). Raises UsageError."""
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


def _white(arrays: Sequence[NDArray[Any]], moments: Moments | None) -> float:
    """1 or 255, by the range over all of the images; DataError where it is neither."""
    if moments is not None:
        return 255.0 if max(part.max() for part in moments) > 1 else 1.0
    dtype = arrays[0].dtype
    if dtype.kind == "b" or dtype == np.uint8:
        return 255.0
    least, most = min(float(a.min()) for a in arrays), max(float(a.max()) for a in arrays)
    whole = dtype.kind != "f" or all((a == np.floor(a)).all() for a in arrays)
    if not (least >= 0 and most <= 255) or (1 < most < _DARK and not whole):
        raise _out_of_range(np.array([least, most]), "0..1 or 0..255", False)
    return 1.0 if dtype.kind == "f" and most <= 1 else 255.0


def _out_of_range(values: NDArray[Any], expected: str, normalised: bool) -> DataError:
    """The error for pixels outside of the range of the first ones, with the cure."""
    least, most = float(values.min()), float(values.max())
    if not (np.isfinite(least) and np.isfinite(most)):
        return DataError("an image holds NaN or infinite values; replace them in the dataset")
    undone = " once normalize=(mean, std) is undone" if normalised else ""
    return DataError(
        f"the images go from {least:g} to {most:g}{undone}; expected {expected}. Bring all to one "
        "range; if the dataset normalises its images, pass normalize=(mean, std) exactly as the "
        "dataset uses them."
    )
