"""`SourcePool`: the real rows that samples of a translating model start from.

A network without noise maps a row to exactly one sample of a class, so each row is used once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gan_augment.data.groups import grouped_by_source, join_groups
from gan_augment.errors import DataError, TooFewAcceptedError, UsageError
from gan_augment.kinds.image import IMAGE
from gan_augment.kinds.kind import Labelled
from gan_augment.kinds.signal import SIGNAL
from gan_augment.networks.geometry import Geometry, to_network
from gan_augment.networks.inputs import SourceRows
from gan_augment.networks.translation import lowered
from gan_augment.recipes import GeneratorSettings, Recipe
from gan_augment.rng import rng_for
from gan_augment.training.parts import Arrays, below
from gan_augment.training.translation import drawn_masks

BLOCK = 64
"""Images that are drawn together."""

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class SourcePool:
    """The rows from which samples start: given ones, or those that the model keeps."""

    settings: GeneratorSettings
    geometry: Geometry
    model: Labelled
    given: Labelled | None = None

    @classmethod
    def load(
        cls,
        arrays: Mapping[str, NDArray[np.generic]],
        settings: GeneratorSettings,
        geometry: Geometry,
        names: Sequence[str],
    ) -> SourcePool:
        """Read the rows that a model kept."""
        saved: dict[str, Any] = dict(below(arrays, "sources"))
        ids = np.array(bytes(saved["ids"]).decode().split("\0"))
        rows = IMAGE.of(saved["pixels"], saved["labels"], ids, class_names=tuple(names))
        return cls(settings, geometry, rows)

    def arrays(self) -> Arrays:
        """Return the arrays to save below "sources/"; ids are UTF-8 bytes, separated by 0."""
        joined, rows = "\0".join(self.model.ids.tolist()).encode(), self.model
        ids = np.frombuffer(joined, dtype=np.uint8).copy()
        return {"sources/pixels": rows.pixels, "sources/labels": rows.labels, "sources/ids": ids}

    @property
    def rows(self) -> Labelled:
        """The rows in use."""
        return self.model if self.given is None else self.given

    def starting_from(self, given: Labelled) -> SourcePool:
        """Return the pool with rows of the user. Raises UsageError for rows of another shape."""
        height, width, channels = self.geometry.shape
        scale = self.settings.enlarges
        expected = (height // scale, width // scale, channels)
        if given.image_shape != expected:
            raise UsageError(
                f"the source rows have the shape {given.image_shape}; this model needs {expected} "
                "(height, width, channels)"
            )
        return replace(self, given=given)

    def rows_for(self, name: str) -> Rows:
        """List the rows, of this class or of the others, from which samples of a class start."""
        from_others = self.settings.facts.start == "other class"
        of_class = np.array([one == name for one in self.rows.names])[self.rows.labels]
        if self.given is not None and self.settings.facts.masked:
            of_class[:] = True  # the user chose the rows
        rows = np.flatnonzero(of_class != from_others)
        if not len(rows):
            others = "another class" if from_others else "the class"
            raise DataError(
                f"samples of {name!r} start from rows of {others}, and there are none; fit with "
                "such rows, or give them to `starting_from`"
            )
        return rows

    def check(self, counts: Mapping[str, int]) -> None:
        """Raise DataError or TooFewAcceptedError for classes with too few rows to start from."""
        for name, n in counts.items():
            rows = len(self.rows_for(name)) if n else 0
            if self.settings.facts.once and n > rows:
                raise _too_few(name, rows)

    def block(self, name: str, number: int, seed: int, stream: str) -> Rows:
        """Return the rows that the 64 candidates of block `number` of a class start from, (64,).

        Rows of the user keep their order; rows of the model are shuffled for each class. After the
        last row the sequence starts again (see `unused`). Raises DataError if there is no row, and
        TooFewAcceptedError if all rows were used and none may be used twice.
        """
        rows = self.rows_for(name)
        if self.given is None:
            rows = rng_for(seed, stream, "source order", name).permutation(rows)
        # scores and thresholds may repeat rows
        if stream == "sample" and self.unused(name, number) <= 0:
            raise _too_few(name, len(rows))
        return rows[(BLOCK * number + np.arange(BLOCK)) % len(rows)]

    def unused(self, name: str, number: int) -> int:
        """Return how many of a block's first candidates repeat no row that is for one sample."""
        return len(self.rows_for(name)) - BLOCK * number if self.settings.facts.once else BLOCK

    def tensors(self, rows: Rows, label: int, rng: np.random.Generator) -> SourceRows:
        """Make the input of the network; draw styles of class `label`, and masks."""
        settings, padded, pixels = self.settings, self.geometry.padded, self.rows.pixels[rows]
        if settings.enlarges > 1:
            low = to_network(pixels, pixels.shape[1:3])
            return SourceRows(low if self.given is not None else lowered(low, settings.scale))
        styles = masks = None
        if settings.facts.styled:
            of_class = np.flatnonzero(self.model.labels == label)
            drawn = of_class[rng.integers(len(of_class), size=len(pixels))]
            styles = to_network(self.model.pixels[drawn], padded)
        if settings.facts.masked:
            masks = torch.from_numpy(drawn_masks(len(pixels), padded, rng))
        return SourceRows(to_network(pixels, padded), None, styles, masks)


def _too_few(name: str, rows: int) -> TooFewAcceptedError:
    return TooFewAcceptedError(
        f"there are {rows:,} rows to start from for samples of {name!r}, and each gives one sample "
        "at most: request fewer, add rows, or use --recipe adain (recipe='adain'), which draws a "
        "row in many styles"
    )


def partners(data: Labelled) -> Rows:
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
    data, settings = grouped_by_source(data), recipe.generator
    if not settings.from_rows:
        return data
    if data.kind is SIGNAL:
        raise UsageError(
            f"the recipe {recipe.name!r} is for images, and the data is signals; use 'anchored' or "
            "'free'"
        )
    held = [name for name, n in data.counts.items() if n]
    if settings.facts.start == "other class" and len(held) < 2:
        raise DataError(
            f"the recipe {recipe.name!r} translates rows between classes, and one class has rows; "
            "add another class"
        )
    if (settings.facts.paired or recipe.game.by_class) and len(data.names) != 2:
        raise UsageError(
            f"the recipe {recipe.name!r} is for one pair of classes, but the data has "
            f"{len(data.names)}: use 'stargan', or `translate --from A --to B`"
        )
    height, width, _ = data.image_shape
    if height % settings.enlarges or width % settings.enlarges:
        raise UsageError(
            f"the sides of images of {width} x {height} px are not multiples of {settings.scale}; "
            "use an --image-size whose sides are"
        )
    if not settings.facts.paired:
        return data
    other = partners(data)
    pairs = np.flatnonzero(other >= 0)
    if not len(pairs):
        raise DataError(
            f"no file of {held[0]!r} has the same name as a file of {held[1]!r}; expected pairs, "
            "such as a/0001.png and b/0001.png"
        )
    same = [[int(row), int(other[row])] for row in pairs if row < other[row]]
    return replace(data, groups=join_groups(len(data), same, data.groups))
