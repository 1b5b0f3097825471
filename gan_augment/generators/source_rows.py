"""`SourcePool`: the real rows that samples of a translating model start from.

A network without noise maps a row to exactly one sample of a class, so each row is used once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

import numpy as np
import torch
from numpy.typing import NDArray

from gan_augment.data.groups import grouped_by_source, join_groups
from gan_augment.data.pixels import to_network
from gan_augment.errors import DataError, ModelFileError, TooFewAcceptedError, UsageError
from gan_augment.kinds.kind import Labelled
from gan_augment.kinds.signal import SIGNAL
from gan_augment.networks.geometry import Geometry
from gan_augment.networks.inputs import SourceRows
from gan_augment.networks.translation import lowered
from gan_augment.recipes import GeneratorSettings, Recipe
from gan_augment.recipes.settings import OTHER_CLASS_KINDS, STYLE_KINDS
from gan_augment.rng import rng_for
from gan_augment.training.parts import Arrays, below
from gan_augment.training.translation import drawn_masks

KEPT_BYTES = 1 << 28
"""Largest memory, in bytes, of the rows that a model keeps."""
KEPT_A_CLASS = 4096

Rows = NDArray[np.int64]
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class SourcePool:
    """The rows from which samples start: rows of the model, or rows given by the user.

    pixels: uint8 (M, H, W, C); the user's rows for super-resolution have the smaller side.
    labels: int64 (M,), -1 for a class that the model does not know. ids: (M,).
    own: the rows of the model, if this pool holds rows of the user.
    """

    settings: GeneratorSettings
    geometry: Geometry
    pixels: Pixels
    labels: Rows
    ids: NDArray[np.str_]
    own: SourcePool | None = None

    @classmethod
    def of(
        cls, data: Labelled, rows_of: Mapping[int, Rows], settings: GeneratorSettings
    ) -> SourcePool:
        """Make the pool of a model from some rows of the training data, {label: rows}."""
        rows = np.concatenate([*rows_of.values(), np.empty(0, dtype=np.int64)])
        geometry = Geometry.of(data.image_shape)
        return cls(settings, geometry, data.pixels[rows], data.labels[rows], data.ids[rows])

    @classmethod
    def load(
        cls,
        arrays: Mapping[str, NDArray[np.generic]],
        settings: GeneratorSettings,
        geometry: Geometry,
    ) -> SourcePool:
        """Read the rows that a model kept; ModelFileError if their shapes do not fit the model."""
        saved = below(arrays, "sources")
        if not {"pixels", "labels", "ids"} <= saved.keys() or not saved["pixels"].size:
            raise ModelFileError("this model starts from rows and holds none, so it cannot sample")
        pixels, labels = saved["pixels"], saved["labels"]
        ids = np.array(bytes(saved["ids"]).decode(errors="replace").split("\0"))
        fits = pixels.dtype == np.uint8 and pixels.shape[1:] == geometry.shape
        fits &= labels.dtype == np.int64 and labels.shape == ids.shape == (len(pixels),)
        if not fits:
            raise ModelFileError(f"the saved rows {pixels.shape} do not fit this model")
        return cls(settings, geometry, pixels.astype(np.uint8), labels.astype(np.int64), ids)

    def arrays(self) -> Arrays:
        """Return the arrays to save below "sources/"; ids are UTF-8 bytes, separated by 0."""
        ids = np.frombuffer("\0".join(self.ids.tolist()).encode(), dtype=np.uint8).copy()
        parts: Arrays = {"pixels": self.pixels, "labels": self.labels, "ids": ids}
        return {f"sources/{name}": array for name, array in parts.items()}

    def with_rows_of(self, source: Labelled, names: Sequence[str]) -> SourcePool:
        """Make the pool of the user's rows for this model. names: the model's classes.

        Raises UsageError where the rows have another shape than the model needs.
        """
        height, width, channels = self.geometry.shape
        scale = self.settings.scale if self.settings.enlarges else 1
        expected = (height // scale, width // scale, channels)
        if source.image_shape != expected:
            raise UsageError(
                f"the source rows have the shape {source.image_shape}; this model needs {expected} "
                "(height, width, channels)"
            )
        label_of = {name: label for label, name in enumerate(names)}
        known = np.array([label_of.get(name, -1) for name in source.names], dtype=np.int64)
        return replace(
            self,
            pixels=source.pixels,
            labels=known[source.labels],
            ids=source.ids,
            own=self.own or self,
        )

    def rows_for(self, label: int) -> Rows:
        """List the rows, of this class or of the others, from which samples of a class start."""
        if self.settings.kind in OTHER_CLASS_KINDS:
            return np.flatnonzero(self.labels != label)
        if self.own is not None and self.settings.inpaints:
            return np.arange(len(self.labels))  # the user chose the rows
        return np.flatnonzero(self.labels == label)

    def check(self, counts: Mapping[str, int], names: Sequence[str]) -> None:
        """Raise DataError or TooFewAcceptedError for classes with too few rows to start from."""
        for name, n in counts.items():
            rows = len(self.rows_for(names.index(name)))
            if n and not rows:
                raise self._without_rows(name)
            if self.settings.once and n > rows:
                raise _too_few(name, f"{n:,}", rows)

    def block(self, label: int, name: str, number: int, seed: int, stream: str, n: int) -> Rows:
        """Return the rows that the n candidates of block `number` of a class start from, (n,).

        Rows of the user keep their order; rows of the model are shuffled for each class. After the
        last row the sequence starts again (see `fresh`). Raises DataError if there is no row, and
        TooFewAcceptedError if all rows were used and none may be used twice.
        """
        rows = self.rows_for(label)
        if not len(rows):
            raise self._without_rows(name)
        if self.settings.kind in STYLE_KINDS and label not in (self.own or self).labels:
            raise DataError(f"class {name!r} has no row to take the style of; fit with some")
        if self.own is None:
            rows = rng_for(seed, stream, "source order", name).permutation(rows)
        # scores and thresholds may repeat rows
        if stream == "sample" and not self.fresh(label, number, n).any():
            raise _too_few(name, "more", len(rows))
        return rows[(n * number + np.arange(n)) % len(rows)]

    def fresh(self, label: int, number: int, n: int) -> NDArray[np.bool_]:
        """Return which candidates of a block do not repeat a row that may be used once, (n,)."""
        first = n * number + np.arange(n) < len(self.rows_for(label))
        return first | (not self.settings.once)

    def tensors(self, rows: Rows, label: int, rng: np.random.Generator) -> SourceRows:
        """Make the input of the network; draw styles of class `label`, and masks."""
        settings, geometry, pixels = self.settings, self.geometry, self.pixels[rows]
        if settings.enlarges:
            low = to_network(pixels, pixels.shape[1:3])
            return SourceRows(low if self.own else lowered(low, settings.scale))
        styles = masks = None
        if settings.kind in STYLE_KINDS:
            own = self.own or self
            of_class = np.flatnonzero(own.labels == label)
            drawn = of_class[rng.integers(len(of_class), size=len(pixels))]
            styles = to_network(own.pixels[drawn], geometry.padded)
        if settings.inpaints:
            masks = torch.from_numpy(drawn_masks(len(pixels), geometry.padded, rng))
        return SourceRows(to_network(pixels, geometry.padded), None, styles, masks)

    def _without_rows(self, name: str) -> DataError:
        others = "another class" if self.settings.kind in OTHER_CLASS_KINDS else "the class"
        return DataError(
            f"samples of {name!r} start from rows of {others}, and there are none; fit with such "
            "rows, or give them as `source`"
        )


def _too_few(name: str, samples: str, rows: int) -> TooFewAcceptedError:
    return TooFewAcceptedError(
        f"{samples} samples of {name!r} were requested, but there are {rows:,} rows to start from, "
        "and each gives one sample at most: request fewer, add rows, or use --recipe adain, which "
        "draws a row in many styles"
    )


def kept_a_class(shape: tuple[int, int, int], classes: int) -> int:
    """Return how many rows of each class a model keeps to start from.

    >>> kept_a_class((28, 28, 1), 10), kept_a_class((64, 64, 3), 10)
    (4096, 2184)
    """
    return min(KEPT_A_CLASS, max(KEPT_BYTES // int(np.prod(shape)) // max(classes, 1), 64))


def partners(data: Labelled) -> NDArray[np.int64]:
    """Find the row of the other class whose file has the same name, -1 for none, (N,).

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
    """Check that a recipe fits the data; group rows with their sources and pairs of files.

    Raises UsageError or DataError.
    """
    data = grouped_by_source(data)
    settings, (height, width, _) = recipe.generator, data.image_shape
    held = [name for name, n in data.counts.items() if n]
    if settings.from_rows and data.kind is SIGNAL:
        raise UsageError(
            f"the recipe {recipe.name!r} is for images, but the data is signals; use 'anchored', "
            "'free' or another recipe that draws from noise"
        )
    if settings.kind in OTHER_CLASS_KINDS and len(held) < 2:
        raise DataError(
            f"the recipe {recipe.name!r} translates rows between classes, but the data has "
            f"{len(held)} class{'es' * (len(held) != 1)} with rows; add another class"
        )
    of_two = settings.paired or (settings.from_rows and recipe.game.by_class)
    if of_two and len(data.names) != 2:
        raise UsageError(
            f"the recipe {recipe.name!r} is for one pair of classes, but the data has "
            f"{len(data.names)}: use 'stargan', or `translate --from A --to B`"
        )
    if settings.enlarges and (height % settings.scale or width % settings.scale):
        raise UsageError(
            f"the sides of images of {width} x {height} px are not multiples of {settings.scale}; "
            "use an --image-size whose sides are"
        )
    if not settings.paired:
        return data
    other = partners(data)
    pairs = np.flatnonzero(other >= 0)
    if not len(pairs):
        first = [str(data.ids[data.labels == label][0]) for label in (0, 1)]
        raise DataError(
            f"no file of {held[0]!r} has the same name as a file of {held[1]!r} (the first are "
            f"{first[0]!r} and {first[1]!r}); expected pairs, such as a/0001.png and b/0001.png"
        )
    same = [[int(row), int(other[row])] for row in pairs if row < other[row]]
    return replace(data, groups=join_groups(len(data), same, data.groups))
