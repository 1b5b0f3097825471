"""X as images: arrays of pixels of any shape, dtype and scale, read into the contract and back."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.arrays import FAINT, label_pixels, to_uint8
from gan_augment.data.contract import LabelledImages
from gan_augment.errors import DataError, UsageError, warn
from gan_augment.sklearn_api.containers import ListRows, Rows, rows_of
from gan_augment.sklearn_api.label_form import ReadLabels

Scale = Literal["bool", "0..1", "0..255"]
Columns = tuple[Any, ...]


@dataclass(frozen=True)
class ImageForm:
    """How images came. shape: of one, (H, W), (H, W, C) or, flattened, (H x W x C,).

    scale: what white is. rows, columns: of flattened ones, their container and its columns.
    nested: whether they came as lists of lists.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    scale: Scale
    rows: Rows | None = None
    columns: Columns = ()
    nested: bool = False
    kind: Literal["image"] = "image"

    def given_back(self, data: LabelledImages) -> Any:
        """New images of the contract in X's container, shape, dtype and scale."""
        values = self.scaled(data.pixels).reshape(-1, *self.shape)  # (M, H, W, C) -> (M, ...)
        if self.rows is not None:
            import pandas as pd

            return self.rows.given_back(pd.DataFrame(values, columns=list(self.columns)))
        return values.tolist() if self.nested else values

    def joined(self, x: Any, rows: Any) -> Any:
        """X, and new images behind it."""
        if self.rows is not None:
            return self.rows.joined(x, rows)
        return [*x, *rows] if self.nested else np.concatenate([np.asarray(x), rows])

    @property
    def exact(self) -> bool:
        """Whether pixels lose nothing on the way to uint8 and back."""
        return self.dtype.kind != "f"

    def scaled(self, pixels: NDArray[np.uint8]) -> NDArray[Any]:
        """uint8 0..255 in X's own dtype and scale; what `to_uint8` reads comes back."""
        if self.scale == "bool":
            return pixels >= 128
        if self.scale == "0..255":
            return pixels.astype(self.dtype)
        return (pixels / 255.0).astype(self.dtype)


def read_image_form(
    x: Any, labels: ReadLabels, image_shape: tuple[int, ...] | None
) -> tuple[LabelledImages, ImageForm]:
    """X (N, H, W[, C]), or (N, H x W x C) with `image_shape` = (H, W[, C]), as labelled images.

    Pixels are read by the rules of `data.arrays.to_uint8`. Raises DataError for a range that is
    none of pixels, UsageError for an image_shape that does not fit.
    """
    values, rows, columns = _values(x)
    shaped = _shaped(values, image_shape)
    try:
        pixels, _ = to_uint8(shaped)
    except DataError as error:
        if values.dtype.kind in "if" and (values.min() < 0 or values.max() > 255):
            raise DataError(
                f"{error}. In a pipeline, put a scaler such as StandardScaler behind GANAugmenter, "
                "not before it."
            ) from None
        raise
    _warn_if_dark(pixels)
    scale: Scale = "0..255"
    if values.dtype.kind == "b":
        scale = "bool"
    elif values.dtype.kind == "f" and float(values.max()) <= 1:
        scale = "0..1"
    data = label_pixels(pixels, labels.codes, class_names=labels.form.names)
    nested = rows is None and isinstance(x, list | tuple)
    return data, ImageForm(values.shape[1:], values.dtype, scale, rows, columns, nested)


def checked_shape(image_shape: Any) -> tuple[int, ...] | None:
    """(H, W) or (H, W, C) as integers, or None. Raises UsageError.

    >>> checked_shape([28, 28])
    (28, 28)
    """
    if image_shape is None:
        return None
    try:
        shape = tuple(int(side) for side in image_shape)
        whole = all(int(side) == side and side >= 1 for side in image_shape)
    except (TypeError, ValueError):
        shape, whole = (), False
    if not whole or len(shape) not in (2, 3):
        raise UsageError(
            f"image_shape={image_shape!r}; expected (height, width) or (height, width, channels) "
            "in whole px, such as (28, 28), or None for a table"
        )
    return shape


def _values(x: Any) -> tuple[NDArray[Any], Rows | None, Columns]:
    """(pixels as an array, the container of flattened ones, its columns)."""
    if isinstance(x, list | tuple):
        try:
            cells = np.asarray(x)
        except ValueError:
            raise DataError("the images of X are of different shapes; resize them to one") from None
        if cells.ndim != 2:
            return cells, None, ()
        return cells, ListRows(), tuple(range(cells.shape[1]))
    if isinstance(x, np.ndarray):
        return (x, rows_of(x), tuple(range(x.shape[1]))) if x.ndim == 2 else (x, None, ())
    rows = rows_of(x)
    frame = rows.frame(x)
    kinds = {np.dtype(getattr(d, "numpy_dtype", d)) if _plain(d) else None for d in frame.dtypes}
    if None in kinds:
        odd = [name for name, dtype in frame.dtypes.items() if not _plain(dtype)]
        raise DataError(
            f"columns {odd[:5]} of X are no numbers ({frame[odd[0]].dtype}); with image_shape "
            "every column is a pixel. Drop the others, or leave out image_shape for a table."
        )
    dtype = kinds.pop() if len(kinds) == 1 else np.dtype(np.float64)
    if frame.isna().to_numpy().any():
        raise DataError(
            "pixels are missing (NaN or None) in X; with image_shape every column is a pixel. "
            "Fill them first, for example with SimpleImputer."
        )
    return frame.to_numpy(dtype=dtype), rows, tuple(frame.columns)


def _plain(dtype: Any) -> bool:
    return getattr(dtype, "kind", "O") in "biuf"


def _shaped(values: NDArray[Any], image_shape: tuple[int, ...] | None) -> NDArray[Any]:
    """(N, ...) as (N, H, W) or (N, H, W, C)."""
    held = values.shape[1:]
    if image_shape is None:
        return values
    if values.ndim == 2:
        if math.prod(image_shape) != held[0]:
            raise UsageError(
                f"image_shape={image_shape} is {math.prod(image_shape)} numbers an image; X has "
                f"{held[0]} columns. Expected height x width x channels of them."
            )
        return values.reshape(-1, *image_shape)  # (N, H x W x C) -> (N, H, W[, C])
    if held != image_shape and (*held, 1) != image_shape and held != (*image_shape, 1):
        raise UsageError(
            f"image_shape={image_shape} and X holds images of shape {held}; leave image_shape out, "
            "it is for flattened images (N, height x width x channels)"
        )
    return values


def _warn_if_dark(pixels: NDArray[np.uint8]) -> None:
    most = int(pixels.max())
    if most < FAINT:
        warn(
            f"the brightest pixel of X is {most} of 255, so the images are nearly black to the "
            "generator; if it stands for white, scale X to 0..1 first (X / X.max())"
        )
