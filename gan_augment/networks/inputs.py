"""Inputs of a generator: noise, classes, and real rows with the weights that mix them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from gan_augment.recipes import GeneratorSettings


class Source:
    """Tensors with an entry for each sample; `shared` names those that all samples read."""

    shared: ClassVar[frozenset[str]] = frozenset()

    def each(self, change: Callable[[Tensor], Tensor]) -> Self:
        """Return the source with its tensors changed, such as moved or cut."""
        old = {k: v for k, v in vars(self).items() if v is not None and k not in self.shared}
        return type(self)(**vars(self) | {name: change(tensor) for name, tensor in old.items()})


@dataclass(frozen=True)
class Anchors(Source):
    """Real rows, and which of them each sample mixes.

    rows: images (M, C, H, W) float -1..1 in training, their codes (M, code) when sampling.
    index: int64 (N, k), rows per sample. weight: float (N, k), with sum 1 per sample.
    """

    rows: Tensor
    index: Tensor
    weight: Tensor
    shared = frozenset({"rows"})


@dataclass(frozen=True)
class RowAnchors(Source):
    """The encoded rows of its class that each of N samples starts from.

    first, second: (N, width), both ends. categories: (N, width), the row that gives the categories
    (only one-hots and embeddings are read). position: lambda (N,), 0 at `first`, 1 at `second`.
    """

    first: Tensor
    second: Tensor
    categories: Tensor
    position: Tensor


@dataclass(frozen=True)
class SourceRows(Source):
    """The real row that each of N samples starts from.

    rows: images (N, C, H, W) float -1..1. labels: int64 (N,), their classes, if known.
    styles: (N, C, H, W), rows of the target class whose style is used. masks: (N, 1, H, W), 1 in
    the region to redraw, else 0.
    """

    rows: Tensor
    labels: Tensor | None = None
    styles: Tensor | None = None
    masks: Tensor | None = None


@dataclass(frozen=True)
class GeneratorInput:
    """Input of N samples. z: standard normal (N, code); y: int64 (N,); source: their rows."""

    z: Tensor
    y: Tensor
    source: Anchors | RowAnchors | SourceRows | None = None

    def of(self, rows: slice) -> GeneratorInput:
        source = None if self.source is None else self.source.each(lambda one: one[rows])
        return GeneratorInput(self.z[rows], self.y[rows], source)


def mixture_weights(
    settings: GeneratorSettings,
    n: int,
    rng: np.random.Generator,
    *,
    borrowed: float,
    own: slice | None = None,
) -> NDArray[np.float32]:
    """Draw mixture weights (n, 4), float32, or (n, 2) without borrowing; every row sums to 1.

    Columns: a row of the class, another of it, and two rows of one other class. Between the first
    two: (1 - lambda, lambda), lambda uniform in -extrapolation .. 1 + extrapolation; (sqrt(3) - 1)
    / 2 = .366 keeps the class's variance, which lambda in 0 .. 1 cuts to two thirds. A share
    `borrowed` of the samples is the first row plus t (third - fourth), t uniform in 0 .. reach.
    own: samples that stay at their first row.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> weights = mixture_weights(GeneratorSettings(extrapolation=0.0), 1, rng, borrowed=1.0)
    >>> weights.astype(float).round(2).tolist()
    [[1.0, 0.0, 0.64, -0.64]]
    """
    reach = settings.extrapolation
    position = -reach + (1 + 2 * reach) * rng.random(n, dtype=np.float32)
    columns = [1 - position, position]
    if borrowed:
        borrows = rng.random(n) < borrowed
        amount = np.where(borrows, settings.reach * rng.random(n, dtype=np.float32), 0)
        unborrowed = np.where(borrows, 0, position)
        columns = [1 - unborrowed, unborrowed, amount, -amount]
    weights = np.stack(columns, axis=1).astype(np.float32)
    if own is not None:
        weights[own] = 0
        weights[own, 0] = 1
    return weights


def lenders_of(
    codes: Mapping[int, NDArray[np.float32]],
    label: int,
    most: int,
    sizes: Mapping[int, int] | None = None,
) -> tuple[int, ...]:
    """Return the classes that lend a class their variation.

    These are the `most` with the nearest mean codes, among classes with at least twice its rows.
    sizes: {label: rows}, if `codes` holds only some of them.

    >>> codes = {0: np.zeros((9, 1)), 1: np.ones((8, 1)), 2: np.full((4, 1), 0.9)}
    >>> lenders_of(codes, 2, most=1), lenders_of(codes, 0, most=1)
    ((1,), ())
    """
    sizes = sizes or {other: len(rows) for other, rows in codes.items()}
    large = [other for other in codes if sizes[other] >= 2 * sizes[label]]
    centre = codes[label].mean(axis=0)
    apart = {other: float(np.linalg.norm(codes[other].mean(axis=0) - centre)) for other in large}
    return tuple(sorted(large, key=lambda other: (apart[other], other))[:most])
