"""How the items of a torch dataset hold a picture or a vector, and the way there and back.

Pictures go to uint8 (H, W, C) and back to their own type, shape, dtype and range. No labels, no
containers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from gan_augment.data.items.ranges import Normalize, mean_and_std, out_of_range, white_of
from gan_augment.data.sizing import resize_batch
from gan_augment.errors import DataError, UsageError

Layout = Literal["HW", "HWC", "CHW"]
_MODES = {"1": 1, "L": 1, "LA": 2, "RGB": 3, "RGBA": 4, "CMYK": 4, "YCbCr": 3, "HSV": 3, "LAB": 3}
_FEW_CHANNELS = 4


@dataclass(frozen=True)
class ImageFormat:
    """How items hold their picture.

    kind: "pil" (mode: Pillow's), "numpy" or "torch" (dtype, layout; a tensor's class and device).
    white: what 255 is in the item's unit, before it is normalised: 1 or 255 (booleans: True).
    mean, std: float64 (C,) or (1,), or None. size: (height, width) px, the median where they
    differ (`varies`).
    """

    kind: Literal["pil", "numpy", "torch"]
    size: tuple[int, int]
    channels: int
    varies: bool = False
    mode: str = ""
    layout: Layout = "HWC"
    dtype: Any = None
    white: float = 255.0
    mean: NDArray[np.float64] | None = None
    std: NDArray[np.float64] | None = None
    tensor: type[Tensor] = Tensor
    device: torch.device | None = None

    def encode(self, value: Any) -> NDArray[np.uint8]:
        """One picture as uint8 (H, W, C). Raises DataError for values outside of the range."""
        if self.kind == "pil":
            return _of_pil(value, self.mode)
        pixels = _channels_last(_as_array(value), self.layout)
        if pixels.shape[2] != self.channels:
            raise DataError(
                f"an image has {pixels.shape[2]} channels and others have {self.channels}; make "
                "them one kind in the dataset"
            )
        if pixels.dtype == np.bool_:
            return pixels.astype(np.uint8) * np.uint8(255)
        if pixels.dtype == np.uint8 and self.mean is None:
            return np.ascontiguousarray(pixels, dtype=np.uint8)
        return self._levels(pixels.astype(np.float64))

    def decode(self, pixels: NDArray[np.uint8]) -> list[Any]:
        """Pictures uint8 (N, H, W, C) as N values of the items' own kind; resized nowhere."""
        if self.kind == "pil":
            return [_to_pil(image, self.mode) for image in pixels]
        numbers = _in_layout(self._numbers(pixels), self.layout)
        if self.kind == "numpy":
            return list(numbers)
        x = torch.from_numpy(numbers).to(self.device, self.dtype)
        return _one_by_one(x, self.tensor)

    def resized(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Pictures uint8 (N, H, W, C) at the items' size."""
        return resize_batch(pixels, self.size)

    def _levels(self, values: NDArray[np.float64]) -> NDArray[np.uint8]:
        """Numbers in the items' unit as rounded levels 0..255."""
        if self.mean is not None and self.std is not None:
            values = values * self.std + self.mean
        levels = np.rint(values * (255.0 / self.white))
        # a level beyond either end is what normalised half precision loses
        if not (levels.min() >= -1 and levels.max() <= 256):  # NaN is refused too
            raise out_of_range(values, self.white, self.mean is not None)
        return np.clip(levels, 0, 255).astype(np.uint8)

    def _numbers(self, pixels: NDArray[np.uint8]) -> NDArray[Any]:
        """Levels (N, H, W, C) in the items' unit, in the order of steps that torchvision takes.

        By NumPy, since torch would start threads for a batch of small pictures.
        """
        kind = self._array_dtype
        if kind == np.bool_:
            return pixels >= 128
        if self.white == 255 and self.mean is None:
            return pixels.astype(kind)  # a copy, even of uint8
        real = np.float64 if kind == np.float64 else np.float32
        white = real(255 / self.white)
        x: NDArray[Any] = np.divide(pixels, white, dtype=real)
        if self.mean is not None and self.std is not None:
            x -= self.mean.astype(real)
            x /= self.std.astype(real)
        return x.astype(kind, copy=False)

    @cached_property
    def _array_dtype(self) -> np.dtype[Any]:
        return _array_dtype(self.kind, self.dtype)


@dataclass(frozen=True)
class VectorFormat:
    """How items hold a vector of `length` numbers: "numpy" or "torch", and its dtype."""

    kind: Literal["numpy", "torch"]
    length: int
    dtype: Any
    tensor: type[Tensor] = Tensor
    device: torch.device | None = None

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
        if self.kind == "numpy":
            return list(rows.astype(self.dtype))
        x = torch.from_numpy(np.array(rows)).to(self.device, self.dtype)
        return _one_by_one(x, self.tensor)

    @property
    def array_dtype(self) -> np.dtype[Any]:
        """NumPy's dtype of `encode`."""
        return _array_dtype(self.kind, self.dtype)


Picture = ImageFormat | VectorFormat


def is_picture(value: object) -> bool:
    """Whether a value can be an item's picture or vector."""
    if isinstance(value, Image.Image):
        return True
    return isinstance(value, np.ndarray | Tensor) and 1 <= value.ndim <= 3 and _size(value) > 1


def picture_format(values: Sequence[Any], normalize: Normalize | None) -> Picture:
    """How the given pictures or vectors, a few of a dataset, are held.

    Raises DataError where they are of several kinds, or of a kind or range that is not known.
    """
    kinds = {_kind(value) for value in values}
    if len(kinds) > 1:
        raise DataError(
            f"the images are of several types: {', '.join(sorted(map(str, kinds)))}; expected one"
        )
    if isinstance(values[0], Image.Image):
        if normalize is not None:
            raise UsageError("normalize is for arrays and tensors, and the items are PIL images")
        return _pil_format(values)
    if values[0].ndim == 1:
        if normalize is not None:
            raise UsageError("normalize is for images, and the items are vectors")
        return _vector_format(values[0])
    return _array_format(values, normalize)


def tensor_images(
    size: tuple[int, int], channels: int, normalize: Normalize | None = None
) -> ImageFormat:
    """Pictures as float32 tensors (C, H, W) in 0..1, or normalised: what torchvision would give."""
    mean, std = mean_and_std(normalize, channels)
    return ImageFormat(
        kind="torch",
        size=size,
        channels=channels,
        layout="CHW",
        dtype=torch.float32,
        white=white_of([], mean, std),
        mean=mean,
        std=std,
    )


def same_picture(one: Any, other: Any) -> bool:
    """Whether two values hold the same numbers."""
    if isinstance(one, Image.Image):
        return bool(one.size == other.size and one.tobytes() == other.tobytes())
    a, b = _as_array(one), _as_array(other)
    return a.shape == b.shape and bool(np.array_equal(a, b, equal_nan=a.dtype.kind == "f"))


def _kind(value: Any) -> str:
    if isinstance(value, Image.Image):
        return "PIL image"
    return f"{type(value).__name__} of {value.dtype} with {value.ndim} dimensions"


def _one_by_one(x: Tensor, kind: type[Tensor]) -> list[Any]:
    """The rows of a batch, each of the items' class of tensor."""
    rows = x.unbind(0)
    return list(rows) if kind is Tensor else [row.as_subclass(kind) for row in rows]


def _array_dtype(kind: str, dtype: Any) -> np.dtype[Any]:
    """NumPy's dtype for numbers of a dtype, NumPy's or torch's; float32 for bfloat16."""
    held = _as_array(torch.empty(0, dtype=dtype)).dtype if kind == "torch" else dtype
    same: np.dtype[Any] = np.dtype(held)
    return same


def _size(value: Any) -> int:
    return int(value.numel() if isinstance(value, Tensor) else value.size)


def _as_array(value: Any) -> NDArray[Any]:
    """An array or a tensor as an array of the same numbers."""
    if not isinstance(value, Tensor):
        return np.asarray(value)
    x = value.detach().cpu()
    x = x.float() if x.dtype == torch.bfloat16 else x
    return x.as_subclass(Tensor).numpy()


def _vector_format(value: Any) -> VectorFormat:
    if _as_array(value).dtype.kind not in "biuf":
        raise DataError(f"the items hold {value.dtype}; expected numbers")
    if isinstance(value, Tensor):
        return VectorFormat("torch", len(value), value.dtype, **_tensor_kind(value))
    return VectorFormat("numpy", len(value), value.dtype)


def _tensor_kind(value: Any) -> dict[str, Any]:
    if not isinstance(value, Tensor):
        return {}
    device = None if value.device.type == "cpu" else value.device
    plain = type(value) in (Tensor, torch.nn.Parameter)
    return {"tensor": Tensor if plain else type(value), "device": device}


def _pil_format(values: Sequence[Image.Image]) -> ImageFormat:
    mode = Counter(value.mode for value in values).most_common(1)[0][0]
    if mode not in _MODES:
        raise DataError(
            f"the PIL images are of mode {mode!r}; expected one of {', '.join(_MODES)}. Convert "
            "them in the dataset: image.convert('RGB')"
        )
    size, varies = _sizes([(value.height, value.width) for value in values])
    return ImageFormat(kind="pil", size=size, channels=_MODES[mode], varies=varies, mode=mode)


def _array_format(values: Sequence[Any], normalize: Normalize | None) -> ImageFormat:
    torch_tensor = isinstance(values[0], Tensor)
    arrays = [_as_array(value) for value in values]
    if arrays[0].dtype.kind not in "biuf":
        raise DataError(f"the images hold {arrays[0].dtype}; expected numbers")
    layout = _layout(arrays[0].shape, torch_tensor)
    shapes = [_channels_last(array, layout).shape for array in arrays]
    size, varies = _sizes([(int(shape[0]), int(shape[1])) for shape in shapes])
    mean, std = mean_and_std(normalize, shapes[0][2])
    return ImageFormat(
        kind="torch" if torch_tensor else "numpy",
        size=size,
        channels=int(shapes[0][2]),
        varies=varies,
        layout=layout,
        dtype=values[0].dtype,
        white=white_of(arrays, mean, std),
        mean=mean,
        std=std,
        **_tensor_kind(values[0]),
    )


def _sizes(sizes: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], bool]:
    heights, widths = np.median(np.array(sizes), axis=0)
    return (int(heights), int(widths)), len(set(sizes)) > 1


def _layout(shape: tuple[int, ...], torch_tensor: bool) -> Layout:
    """The library's own habit, unless the shape of the picture says otherwise."""
    if len(shape) == 2:
        return "HW"
    first, _, last = shape
    if first <= _FEW_CHANNELS < last:
        return "CHW"
    if last <= _FEW_CHANNELS < first:
        return "HWC"
    if shape[0] == shape[1] != last:
        return "HWC"
    if shape[1] == shape[2] != first:
        return "CHW"
    return "CHW" if torch_tensor else "HWC"


def _channels_last(array: NDArray[Any], layout: Layout) -> NDArray[Any]:
    """One picture as (H, W, C)."""
    if array.ndim != len(layout):
        raise DataError(f"an image has shape {array.shape}, and others have {len(layout)} axes")
    if layout == "HW":
        return array[..., np.newaxis]  # (H, W) -> (H, W, 1)
    return array.transpose(1, 2, 0) if layout == "CHW" else array


def _in_layout(x: NDArray[Any], layout: Layout) -> NDArray[Any]:
    """Pictures (N, H, W, C) in the items' layout."""
    if layout == "HW":
        return x[..., 0]
    if layout == "HWC":
        return x
    n, height, width, channels = x.shape
    if channels > 1:
        return np.ascontiguousarray(x.transpose(0, 3, 1, 2))
    return x.reshape(n, 1, height, width)  # its strides, which torch.stack looks at, are plain


def _of_pil(value: Image.Image, mode: str) -> NDArray[np.uint8]:
    image = value if value.mode == mode else value.convert(mode)
    pixels = np.asarray(image.convert("L") if mode == "1" else image)
    return pixels[..., np.newaxis] if pixels.ndim == 2 else pixels  # (H, W) -> (H, W, 1)


def _to_pil(pixels: NDArray[np.uint8], mode: str) -> Image.Image:
    height, width = pixels.shape[:2]
    if mode == "1":
        grey = Image.frombytes("L", (width, height), pixels.tobytes())
        return grey.point([0] * 128 + [255] * 128, "1")
    return Image.frombytes(mode, (width, height), pixels.tobytes())
