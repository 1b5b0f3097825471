"""`IMAGE`: labelled images of one size, uint8 (N, H, W, C)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.groups import digest
from gan_augment.errors import DataError, plural
from gan_augment.kinds.kind import Kind, KindName, Labelled, RecipeKind, check_model_classes

SMALLEST_SIDE_PX = 8
_STRIP = "height: 4em; max-width: none; image-rendering: pixelated"


class ImageKind(Kind):
    """Images: uint8 0..255, (N, H, W, C), any C >= 1, at least 8 px per side.

    >>> pixels, labels = np.zeros((2, 8, 8, 1), np.uint8), np.array([0, 1])
    >>> data = IMAGE.of(pixels, labels, class_names=("bad", "good"))
    >>> data.counts, data.image_shape, data.kind
    ({'bad': 1, 'good': 1}, (8, 8, 1), IMAGE)
    """

    name: ClassVar[KindName] = "image"
    unit: ClassVar[str] = "images"
    recipes: ClassVar[RecipeKind] = "image"
    tabular: ClassVar[bool] = False

    def check(self, data: Labelled) -> None:
        """Raise DataError unless the rows are uint8 images of at least 8 px per side."""
        pixels = data.rows
        if getattr(pixels, "dtype", None) != np.uint8 or pixels.ndim != 4:
            found = f"{getattr(pixels, 'dtype', type(pixels).__name__)}"
            raise DataError(
                f"pixels are {found} of shape {getattr(pixels, 'shape', '?')}; expected uint8 of "
                "shape (N, H, W, C). gan_augment.data.arrays.from_arrays converts other arrays."
            )
        if min(pixels.shape[1:3]) < SMALLEST_SIDE_PX or pixels.shape[3] < 1:
            raise DataError(
                f"images of {pixels.shape[1]} x {pixels.shape[2]} px with {pixels.shape[3]} "
                f"channels; expected at least {SMALLEST_SIDE_PX} px a side and one channel. "
                "Enlarge them first."
            )

    def concat(self, parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
        """Join pixels (n, H, W, C) of several containers, in order."""
        return np.concatenate(list(parts))

    def joined(self, data: Labelled, more: Labelled) -> NDArray[Any]:
        """Return the pixels of both; raise DataError if their shapes differ."""
        if data.image_shape != more.image_shape:
            raise DataError(
                f"the test {self.unit} have the shape {more.image_shape} (height, width, "
                f"channels), the others {data.image_shape}; make them alike"
            )
        return self.concat([data.rows, more.rows])

    def features(self, data: Labelled) -> NDArray[np.float32]:
        """Return the pixels as float32 0..1, (n, H W C)."""
        flat = data.pixels.reshape(len(data), -1).astype(np.float32)
        return flat / np.float32(255)

    def from_features(self, features: Any, like: Labelled) -> NDArray[Any]:
        """Round numbers 0..1, (n, H W C), to pixels (n, H, W, C)."""
        rounded = np.clip(np.rint(255 * np.asarray(features, dtype=np.float64)), 0, 255)
        return rounded.astype(np.uint8).reshape(-1, *like.image_shape)

    def item_rows(self, data: Labelled) -> NDArray[Any]:
        """Return the pixels, uint8 (n, H, W, C)."""
        return data.pixels

    def row_keys(self, data: Labelled) -> list[str]:
        """Return one key per row; equal pixels have equal keys."""
        return [digest(image) for image in data.pixels]

    def content(self, data: Labelled) -> Iterator[bytes | memoryview]:
        """Yield shape, scale and pixels."""
        yield repr((data.pixels.shape, data.meta)).encode()
        yield np.ascontiguousarray(data.pixels).data

    def suffix(self, rate: int | None) -> str:
        """Return ".png"."""
        return ".png"

    def encode(self, data: Labelled) -> list[bytes]:
        """Return each image as the bytes of a PNG file that names the row it was drawn from."""
        from gan_augment.data.images.png_folder import png_bytes

        sources = [""] * len(data) if data.sources is None else data.sources.tolist()
        return [
            png_bytes(pixels, synthetic=True, source=source)
            for pixels, source in zip(data.pixels, sources, strict=True)
        ]

    def check_model(self, data: Labelled, meta: Any, schema: Any = None) -> None:
        """Raise DataError if the model has other classes or channels, or makes signals."""
        check_model_classes(data, meta)
        if meta.kind != self.name:
            raise DataError("the data is images, the model makes signals; fit a model to it.")
        channels, known = data.image_shape[2], meta.image_shape[2]
        if channels != known:
            raise DataError(
                f"the data has images of {plural(channels, 'channel')}, the model makes {known}; "
                "fit a model to it."
            )

    def describe(self, data: Labelled) -> str:
        """Return the number of images and their size."""
        height, width, channels = data.image_shape
        rows, classes = plural(len(data), "image"), plural(len(data.names), "class")
        return f"{rows} of {classes}, {width} x {height} px, {plural(channels, 'channel')}"

    def html(self, data: Labelled) -> str:
        """Return a row of pictures for each class."""
        from gan_augment.data.images.contact_sheet import strip_png

        rows = []
        for label in np.unique(data.labels):
            png = strip_png(data.pixels[data.labels == label])
            picture = f'<img style="{_STRIP}" src="data:image/png;base64,{png}" alt="images">'
            rows.append(f"<tr><th>{escape(data.names[label])}</th><td>{picture}</td></tr>")
        return f'<div style="overflow-x: auto"><table>{"".join(rows)}</table></div>'

    def facts(self, data: Labelled) -> dict[str, Any]:
        """Return the shape of the images."""
        return {"image_shape": list(data.image_shape)}


IMAGE = ImageKind()
