"""The real rows that samples of a translating model start from, and which of them a block has.

A network without noise makes of a row one sample of a class and no other: it has each row once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

import numpy as np
import torch
from numpy.typing import NDArray

from gan_augment.data.groups import grouped_by_source, join_groups
from gan_augment.data.pixels import edge_padded, to_network
from gan_augment.errors import DataError, ModelFileError, TooFewAcceptedError, UsageError
from gan_augment.kinds.kind import Labelled
from gan_augment.kinds.signal import SIGNAL
from gan_augment.networks.geometry import Geometry
from gan_augment.networks.inputs import SourceRows
from gan_augment.networks.translation import lowered
from gan_augment.recipes import GeneratorSettings, Recipe
from gan_augment.rng import rng_for
from gan_augment.training.parts import Arrays, below
from gan_augment.training.translation import drawn_masks

KEPT_BYTES = 1 << 28
"""Of the rows that a model keeps."""
KEPT_A_CLASS = 4096

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class SourceBlock:
    """Which rows of a pool the candidates of a block start from.

    index: int64 (n,), into the pool. fresh: (n,), False for a row that an earlier candidate had,
    where a row makes one sample of a class alone.
    """

    index: NDArray[np.int64]
    fresh: NDArray[np.bool_]


@dataclass(frozen=True)
class SourcePool:
    """Rows to start from, the model's own or the user's.

    pixels: uint8 (M, H, W, C), of the user's rows for a super-resolver at the smaller side. labels:
    int64 (M,), -1 for a class that the model does not know. ids: (M,). masks: uint8 (M, H, W), not
    0 where a row is to be redrawn; None to draw them. own: beside the user's rows the model's.
    """

    settings: GeneratorSettings
    geometry: Geometry
    pixels: Pixels
    labels: NDArray[np.int64]
    ids: NDArray[np.str_]
    masks: Pixels | None = None
    own: SourcePool | None = None

    @classmethod
    def of(
        cls,
        data: Labelled,
        rows_of: Mapping[int, NDArray[np.int64]],
        settings: GeneratorSettings,
    ) -> SourcePool:
        """Take some rows of labelled images, {label: rows}, as the pool of a model."""
        rows = np.concatenate([*rows_of.values(), np.empty(0, dtype=np.int64)])
        geometry = Geometry.of(data.image_shape)
        return cls(settings, geometry, data.pixels[rows], data.labels[rows], data.ids[rows])

    def beside(self, source: Labelled, names: Sequence[str], masks: Pixels | None) -> SourcePool:
        """Make the pool of rows that the user gives to a model of the classes `names`.

        Raises UsageError where rows or masks do not fit.
        """
        expected, kind = self.geometry.shape, self.settings.kind
        if kind == "super-resolution":
            height, width, channels = expected
            expected = (height // self.settings.scale, width // self.settings.scale, channels)
        if source.image_shape != expected:
            raise UsageError(
                f"the source rows are of shape {source.image_shape}, and the model starts from "
                f"{expected} (height, width, channels); bring them to that"
            )
        if masks is not None and kind != "inpainting":
            raise UsageError("masks are for the recipe 'inpaint'; leave them out")
        if masks is not None and masks.shape != source.pixels.shape[:3]:
            raise UsageError(
                f"masks are of shape {masks.shape}; expected {source.pixels.shape[:3]}, one a row"
            )
        label_of = {name: label for label, name in enumerate(names)}
        known = np.array([label_of.get(name, -1) for name in source.names], dtype=np.int64)
        labels = known[source.labels]
        own = self.own or self
        return SourcePool(
            self.settings, self.geometry, source.pixels, labels, source.ids, masks, own
        )

    def rows_for(self, label: int) -> NDArray[np.int64]:
        """List the rows that samples of a class start from: those of other classes, or its own."""
        if self.settings.from_others:
            return np.flatnonzero(self.labels != label)
        if self.own is not None and self.settings.kind == "inpainting":  # whatever the user chose
            return np.arange(len(self.labels))
        return np.flatnonzero(self.labels == label)

    def check(self, counts: Mapping[str, int], names: Sequence[str]) -> None:
        """Raise DataError or TooFewAcceptedError for classes with no row, or too few, to start."""
        for name, n in counts.items():
            rows = len(self.rows_for(names.index(name)))
            if n and not rows:
                raise self._without_rows(name)
            if self.settings.once and n > rows:
                raise TooFewAcceptedError(_too_few(name, f"{n:,}", rows))

    def block(
        self, label: int, name: str, number: int, seed: int, stream: str, n: int
    ) -> SourceBlock:
        """Say which rows the n candidates of block `number` of a class start from.

        The user's rows in their order, the model's in one drawn for the class; then from the first
        again, which are not fresh where a row makes one sample of a class. Raises DataError where
        there is no row, TooFewAcceptedError where no fresh one is left.
        """
        rows = self.rows_for(label)
        if not len(rows):
            raise self._without_rows(name)
        if self._styles and label not in (self.own or self).labels:
            raise DataError(f"class {name!r} has no row to take the style of; fit with some")
        if self.own is None:
            rows = rng_for(seed, stream, "source order", name).permutation(rows)
        place = n * number + np.arange(n)
        once = self.settings.once and stream == "sample"  # scores and thresholds may repeat rows
        fresh = (place < len(rows)) | (not once)
        if not fresh.any():
            raise TooFewAcceptedError(_too_few(name, "more", len(rows)))
        return SourceBlock(rows[place % len(rows)], fresh)

    def tensors(self, block: SourceBlock, label: int, rng: np.random.Generator) -> SourceRows:
        """Make the input of the network; styles are rows of class `label`, drawn like masks."""
        kind, geometry, pixels = self.settings.kind, self.geometry, self.pixels[block.index]
        if kind == "super-resolution":
            low = to_network(pixels, pixels.shape[1:3])
            return SourceRows(low if self.own else lowered(low, self.settings.scale))
        styles = masks = None
        if self._styles:
            own = self.own or self
            rows = np.flatnonzero(own.labels == label)
            drawn = rows[rng.integers(len(rows), size=len(pixels))]
            styles = to_network(own.pixels[drawn], geometry.padded)
        if self.masks is not None:
            inside = (self.masks[block.index] > 0).astype(np.float32)[:, None]
            masks = edge_padded(torch.from_numpy(inside), geometry.padded)
        elif kind == "inpainting":
            masks = torch.from_numpy(drawn_masks(len(pixels), geometry.padded, rng))
        return SourceRows(to_network(pixels, geometry.padded), None, styles, masks)

    def arrays(self) -> Arrays:
        """List what is saved below "sources/"; ids as UTF-8 bytes, parted by 0."""
        ids = np.frombuffer("\0".join(self.ids.tolist()).encode(), dtype=np.uint8).copy()
        parts: Arrays = {"pixels": self.pixels, "labels": self.labels, "ids": ids}
        return {f"sources/{name}": array for name, array in parts.items()}

    @property
    def _styles(self) -> bool:
        """Whether samples take the style of rows of their class."""
        return self.settings.kind in ("style", "fourier")

    def _without_rows(self, name: str) -> DataError:
        others = "another class" if self.settings.from_others else "the class"
        return DataError(
            f"there is no row of {others} that samples of {name!r} could start from; fit with such "
            "rows, or give them as `source`"
        )


def _too_few(name: str, samples: str, rows: int) -> str:
    return (
        f"{samples} samples of {name!r} were asked for, and {rows:,} rows are there to start from, "
        "each of which makes one (or none, where selection drops it): ask for fewer, add rows, or "
        "take --recipe adain, which draws a row in many styles"
    )


def kept_a_class(shape: tuple[int, int, int], classes: int) -> int:
    """Say how many rows of each class a model keeps to start from.

    >>> kept_a_class((28, 28, 1), 10), kept_a_class((64, 64, 3), 10)
    (4096, 2184)
    """
    return min(KEPT_A_CLASS, max(KEPT_BYTES // int(np.prod(shape)) // max(classes, 1), 64))


def load_pool(
    arrays: Mapping[str, NDArray[np.generic]],
    settings: GeneratorSettings,
    geometry: Geometry,
    classes: int,
) -> SourcePool:
    """Read the rows that a model kept; ModelFileError where they are not of its shape."""
    saved = below(arrays, "sources")
    pixels, labels, text = (saved.get(name) for name in ("pixels", "labels", "ids"))
    if pixels is None or labels is None or text is None or not len(pixels):
        raise ModelFileError("this model starts from rows and holds none, so it cannot sample")
    ids = np.array(bytes(text).decode(errors="replace").split("\0"))
    fits = pixels.dtype == np.uint8 and pixels.shape[1:] == geometry.shape
    fits &= (
        text.dtype == np.uint8
        and labels.dtype == np.int64
        and labels.shape == ids.shape == (len(pixels),)
    )
    if not (fits and labels.min() >= 0 and labels.max() < classes):
        raise ModelFileError(
            f"the saved rows of shape {pixels.shape}, with {len(ids)} ids, are of no class of this "
            "model"
        )
    return SourcePool(settings, geometry, pixels.astype(np.uint8), labels.astype(np.int64), ids)


def partners(data: Labelled) -> NDArray[np.int64]:
    """Find for each row that of the other class whose file has the same name, -1 for none, (N,).

    >>> ids = np.array(["a/1.png", "a/2.png", "b/1.png"])
    >>> pixels = np.zeros((3, 8, 8, 1), np.uint8)
    >>> from gan_augment.kinds.image import IMAGE
    >>> partners(IMAGE.of(pixels, np.array([0, 0, 1]), ids)).tolist()
    [2, -1, 0]
    """
    rows = zip(data.labels.tolist(), data.ids.tolist(), strict=True)
    files = [(label, PurePosixPath(id_).stem) for label, id_ in rows]
    row_of = {file: row for row, file in reversed(list(enumerate(files)))}  # the first of a name
    other = [row_of.get((1 - label, stem), -1) for label, stem in files]
    return np.array(other, dtype=np.int64)


def checked_data(recipe: Recipe, data: Labelled) -> Labelled:
    """Check that a recipe can be fitted to data, and keep what belongs together in one group.

    That is a row and what was drawn from it, and pairs of files. Raises UsageError or DataError.
    """
    data = grouped_by_source(data)
    settings, (height, width, _) = recipe.generator, data.image_shape
    held = [name for name, n in data.counts.items() if n]
    if settings.from_rows and data.kind is SIGNAL:
        raise UsageError(
            f"the recipe {recipe.name!r} is for images, and the data is signals; take 'anchored', "
            "'free' or another recipe that draws from noise"
        )
    if settings.from_others and len(held) < 2:
        raise DataError(
            f"the recipe {recipe.name!r} draws rows of one class as another, and the data has "
            f"{len(held)} class{'es' * (len(held) != 1)} with rows; add another one"
        )
    of_two = settings.kind == "pairs" or (settings.from_rows and recipe.game.by_class)
    if of_two and len(data.names) != 2:
        raise UsageError(
            f"the recipe {recipe.name!r} is for one pair of classes, and the data has "
            f"{len(data.names)}: take 'stargan', or `translate --from A --to B`"
        )
    if settings.kind == "super-resolution" and (height % settings.scale or width % settings.scale):
        raise UsageError(
            f"images of {width} x {height} px cannot be {settings.scale} times another size; take "
            f"an --image-size whose sides are multiples of {settings.scale}"
        )
    if settings.kind != "pairs":
        return data
    other = partners(data)
    pairs = np.flatnonzero(other >= 0)
    if not len(pairs):
        first = [str(data.ids[data.labels == label][0]) for label in (0, 1)]
        raise DataError(
            f"no file of {held[0]!r} has the name of one of {held[1]!r} ({first[0]!r} and "
            f"{first[1]!r} come first); expected pairs, such as a/0001.png and b/0001.png"
        )
    same = [[int(row), int(other[row])] for row in pairs if row < other[row]]
    return replace(data, groups=join_groups(len(data), same, data.groups))
