"""The real rows that samples of a translating model start from: kept by class, dealt out in turn.

A network without noise makes of a row one sample of a class and no other: each row is dealt once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from gan_augment.data.contract import LabelledImages, LabelledSignals
from gan_augment.data.groups import join_groups
from gan_augment.data.pixels import edge_padded, to_network
from gan_augment.errors import DataError, ModelFileError, TooFewAcceptedError, UsageError
from gan_augment.networks.geometry import Geometry
from gan_augment.networks.inputs import SourceRows
from gan_augment.networks.translation import lowered
from gan_augment.randomness import generator
from gan_augment.recipes import GeneratorSettings, Recipe
from gan_augment.training.parts import Arrays, below
from gan_augment.training.translation import drawn_masks

KEPT_BYTES = 1 << 28
"""Of the rows that a model keeps."""
KEPT_A_CLASS = 4096
SPAN_CANDIDATES = 2048
"""Rows that each span of 1,024 samples has for itself, where a row is dealt once."""
SELECTED_SPAN = 1 << 20
"""Blocks between the first blocks of spans of which samples are selected (`selection`)."""

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Dealt:
    """The rows that a block starts from. ids: (n,). fresh: (n,), False for one dealt before."""

    rows: SourceRows
    ids: NDArray[np.str_]
    fresh: NDArray[np.bool_]


@dataclass(frozen=True)
class SourcePool:
    """Rows to start from.

    pixels: {label: uint8 (n, H, W, C)}, -1 for rows of classes that the model does not know; of
    given rows of a model that enlarges, at the smaller side. ids: {label: (n,)}. styles: rows of
    each class to take the style of. masks: {label: uint8 (n, H, W)}, not 0 where a row is to be
    redrawn; None to draw them. given: whether they are the user's own choice.
    """

    settings: GeneratorSettings
    geometry: Geometry
    pixels: Mapping[int, Pixels]
    ids: Mapping[int, NDArray[np.str_]]
    styles: Mapping[int, Pixels] = field(default_factory=dict)
    masks: Mapping[int, Pixels] | None = None
    given: bool = False

    @classmethod
    def of(
        cls,
        data: LabelledImages,
        rows_of: Mapping[int, NDArray[np.int64]],
        settings: GeneratorSettings,
        *,
        masks: Pixels | None = None,
    ) -> SourcePool:
        """Some rows of labelled images, {label: rows}, as the pool of a model."""
        rows_of = {label: rows for label, rows in rows_of.items() if len(rows)}
        pixels = {label: data.pixels[rows] for label, rows in rows_of.items()}
        ids = {label: data.ids[rows] for label, rows in rows_of.items()}
        regions = None if masks is None else {k: masks[rows] for k, rows in rows_of.items()}
        return cls(settings, Geometry.of(data.image_shape), pixels, ids, pixels, regions)

    def replaced(self, source: LabelledImages, names: Sequence[str], masks: Pixels | None) -> Self:
        """The pool of rows that the user gives. Raises UsageError where they do not fit."""
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
        labels = np.array([label_of.get(name, -1) for name in source.names] or [-1])
        labels = labels[source.labels]
        rows_of = {int(label): np.flatnonzero(labels == label) for label in np.unique(labels)}
        own = SourcePool.of(source, rows_of, self.settings, masks=masks)
        return replace(self, pixels=own.pixels, ids=own.ids, masks=own.masks, given=True)

    @property
    def once(self) -> bool:
        """Whether a row makes one sample of a class alone: without noise, styles and masks."""
        return self.settings.kind in ("translation", "super-resolution")

    def labels_for(self, label: int) -> tuple[int, ...]:
        """The classes whose rows samples of a class start from."""
        if self.settings.from_others:
            return tuple(other for other in self.pixels if other != label)
        anywhere = self.given and self.settings.kind == "inpainting"
        return tuple(other for other in self.pixels if anywhere or other == label)

    def size(self, label: int) -> int:
        """How many rows samples of a class start from."""
        return sum(len(self.pixels[other]) for other in self.labels_for(label))

    def check(self, counts: Mapping[str, int], names: Sequence[str]) -> None:
        """Refuse what there are too few rows for: DataError for none, TooFewAcceptedError."""
        for name, n in counts.items():
            rows = self.size(names.index(name))
            if n and not rows:
                others = "another class" if self.settings.from_others else "the class"
                raise DataError(
                    f"there is no row of {others} that samples of {name!r} could start from; fit "
                    "with such rows, or give them as `source`"
                )
            if self.once and n > rows:
                raise TooFewAcceptedError(_too_few(name, n, rows))

    def deal(self, label: int, name: str, number: int, seed: int, stream: str, n: int) -> Dealt:
        """The rows that the n candidates of block `number` of a class start from.

        They come in an order drawn for the class, given ones as they are, in the next round again;
        a row that may be dealt once is not fresh then. Raises DataError where there is none,
        TooFewAcceptedError where no fresh one is left.
        """
        labels, rows = self.labels_for(label), self.size(label)
        if not rows:
            self.check({name: 1}, [*[""] * label, name])
        rng = generator(seed, stream, "source rows", name, number)
        place, last = self._place(number, n, rows)
        strict = self.once and stream == "sample"
        fresh = (place < last) if strict else np.ones(n, dtype=np.bool_)
        if not fresh.any():
            raise TooFewAcceptedError(_too_few(name, None, rows))
        order = np.arange(rows)
        if not self.given:
            order = generator(seed, stream, "source order", name).permutation(rows)
        index = order[place % rows]
        pixels, ids, masks = self._taken(labels, index)
        styles = None
        if self.settings.kind in ("style", "fourier"):
            own = self.styles.get(label)
            if own is None:
                raise DataError(f"class {name!r} has no row to take the style of")
            styles = own[rng.integers(len(own), size=n)]
        return Dealt(self._tensors(pixels, styles, masks, rng), ids, fresh)

    def arrays(self) -> Arrays:
        """Pixels below "sources/", ids as UTF-8 bytes, parted by 0, below "source-ids/"."""
        arrays: Arrays = {f"sources/{label}": rows for label, rows in self.pixels.items()}
        for label, ids in self.ids.items():
            text = "\0".join(ids.tolist()).encode()
            arrays[f"source-ids/{label}"] = np.frombuffer(text, dtype=np.uint8).copy()
        return arrays

    def _place(self, number: int, n: int, rows: int) -> tuple[NDArray[np.int64], int]:
        """Where in the order the candidates of a block stand, (n,), and where their span ends."""
        span, block = divmod(number, SELECTED_SPAN)
        last = rows
        if span:
            last = min(rows, (span + 1) * SPAN_CANDIDATES)
        return span * SPAN_CANDIDATES + n * block + np.arange(n), last

    def _taken(
        self, labels: Sequence[int], index: NDArray[np.int64]
    ) -> tuple[Pixels, NDArray[np.str_], Pixels | None]:
        """Pixels, ids and masks of rows by their number in all rows of some classes."""
        starts = np.cumsum([0, *(len(self.pixels[label]) for label in labels)])
        which = np.searchsorted(starts, index, side="right") - 1
        each = [(labels[w], int(i - starts[w])) for w, i in zip(which, index, strict=True)]
        ids = np.array([str(self.ids[label][row]) for label, row in each])
        pixels = np.stack([self.pixels[label][row] for label, row in each])
        if self.masks is None:
            return pixels, ids, None
        return pixels, ids, np.stack([self.masks[label][row] for label, row in each])

    def _tensors(
        self, pixels: Pixels, styles: Pixels | None, masks: Pixels | None, rng: np.random.Generator
    ) -> SourceRows:
        kind, geometry = self.settings.kind, self.geometry
        if kind == "super-resolution":
            if self.given:
                return SourceRows(to_network(pixels, pixels.shape[1:3]))
            whole = to_network(pixels, geometry.shape[:2])
            return SourceRows(lowered(whole, self.settings.scale))
        rows = to_network(pixels, geometry.padded)
        regions = None
        if kind == "inpainting" and masks is None:
            regions = torch.from_numpy(drawn_masks(len(pixels), geometry.padded, rng))
        elif masks is not None:
            inside = torch.from_numpy((masks > 0).astype(np.float32))[:, None]
            regions = edge_padded(inside, geometry.padded)
        with_style = None if styles is None else to_network(styles, geometry.padded)
        return SourceRows(rows, None, with_style, regions)


def _too_few(name: str, wanted: int | None, rows: int) -> str:
    more = "more" if wanted is None else f"{wanted:,}"
    return (
        f"{more} samples of {name!r} were asked for, and {rows:,} rows are there to start from, "
        "each of which makes one (or none, where selection drops it): ask for fewer, add rows, or "
        "take --recipe adain, which draws a row in many styles"
    )


def kept_a_class(shape: tuple[int, int, int], classes: int) -> int:
    """How many rows of each class a model keeps to start from.

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
    """The rows that a model kept; ModelFileError where they are not of its shape."""
    pixels, ids = {}, {}
    texts = below(arrays, "source-ids")
    for key, rows in below(arrays, "sources").items():
        label = int(key) if key.isdecimal() else -1
        text = texts.get(key)
        right = rows.dtype == np.uint8 and rows.shape[1:] == geometry.shape and len(rows) > 0
        if not (0 <= label < classes and right and text is not None and text.dtype == np.uint8):
            raise ModelFileError(f"the saved rows sources/{key} belong to no class of this model")
        pixels[label] = np.array(rows, dtype=np.uint8)
        ids[label] = np.array(bytes(text).decode(errors="replace").split("\0"))
        if len(ids[label]) != len(rows):
            raise ModelFileError(f"the saved rows sources/{key} have {len(ids[label])} ids")
    if not pixels:
        raise ModelFileError("this model starts from rows and holds none, so it cannot sample")
    return SourcePool(settings, geometry, pixels, ids, pixels)


def partners(data: LabelledImages) -> NDArray[np.int64]:
    """For each row that of the other class whose file has the same name, -1 for none, (N,).

    >>> ids = np.array(["a/1.png", "a/2.png", "b/1.png"])
    >>> pixels = np.zeros((3, 8, 8, 1), np.uint8)
    >>> partners(LabelledImages(pixels, np.array([0, 0, 1]), ids)).tolist()
    [2, -1, 0]
    """
    names = [str(id_).rpartition("/")[2].rpartition(".")[0] or str(id_) for id_ in data.ids]
    places: dict[tuple[int, str], int] = {}
    for row, (label, name) in enumerate(zip(data.labels.tolist(), names, strict=True)):
        places.setdefault((label, name), row)
    found = [
        places.get((1 - label, name), -1)
        for label, name in zip(data.labels.tolist(), names, strict=True)
    ]
    return np.array(found, dtype=np.int64)


def check_rows(recipe: Recipe, data: LabelledImages) -> LabelledImages:
    """The data, of pairs in one group each; raises UsageError or DataError where a recipe whose
    samples start from rows cannot be fitted to it.
    """
    settings, (height, width, _) = recipe.generator, data.image_shape
    held = [name for name, n in data.counts.items() if n]
    if settings.from_rows and isinstance(data, LabelledSignals):
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
