"""What a generator starts from: noise, a class, and real rows with the weights that mix them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gan_augment.recipes import GeneratorSettings


@dataclass(frozen=True)
class Anchors:
    """Real rows, and for each sample the few of them that its code is a mixture of.

    rows: images (M, C, H, W) float -1..1 in training, their codes (M, code) when sampling.
    index: int64 (N, k), rows of a sample. weight: float (N, k); a sample's sum to 1.
    """

    rows: Tensor
    index: Tensor
    weight: Tensor


@dataclass(frozen=True)
class RowAnchors:
    """Where each of N samples starts, encoded rows of its class.

    first, second: (N, width), the rows it lies between. levels: (N, width), the row whose levels it
    takes (only choices and vectors are read). position: lambda (N,), 0 at `first`, 1 at `second`.
    """

    first: Tensor
    second: Tensor
    levels: Tensor
    position: Tensor

    def of(self, rows: slice) -> RowAnchors:
        """Those of some samples."""
        each = (self.first, self.second, self.levels, self.position)
        return RowAnchors(*(tensor[rows] for tensor in each))


@dataclass(frozen=True)
class SourceRows:
    """The real row that each of N samples starts from.

    rows: images (N, C, H, W) float -1..1. labels: int64 (N,), their classes, where they are known.
    styles: a row of the class asked for, (N, C, H, W), of kinds that take its style. masks: of
    those that redraw a region, (N, 1, H, W), 1 in it and 0 elsewhere.
    """

    rows: Tensor
    labels: Tensor | None = None
    styles: Tensor | None = None
    masks: Tensor | None = None

    def of(self, rows: slice) -> SourceRows:
        """Those of some samples."""
        return self._with(lambda part: part[rows])

    def to(self, device: torch.device) -> SourceRows:
        """The same on a device."""
        return self._with(lambda part: part.to(device))

    def _with(self, change: Callable[[Tensor], Tensor]) -> SourceRows:
        more = (self.labels, self.styles, self.masks)
        changed = (None if part is None else change(part) for part in more)
        return SourceRows(change(self.rows), *changed)


@dataclass(frozen=True)
class GeneratorInput:
    """What a sample is made of. z: standard normal (N, code); y: int64 (N,); source: its start."""

    z: Tensor
    y: Tensor
    source: Anchors | RowAnchors | SourceRows | None = None


def mixture_weights(
    settings: GeneratorSettings,
    n: int,
    rng: np.random.Generator,
    *,
    borrowed: float,
    own: slice | None = None,
) -> NDArray[np.float32]:
    """(n, 4) float32, or (n, 2) where nothing is borrowed; every row sums to 1.

    Columns: a row of the class, another of it, and two rows of one other class. Between the first
    two: (1 - lambda, lambda), lambda uniform in -extrapolation .. 1 + extrapolation; (sqrt(3) - 1)
    / 2 = .366 keeps the class's variance, which lambda in 0 .. 1 cuts to two thirds. A share
    `borrowed` of the samples starts at the first row alone and adds t (third - fourth), t uniform
    in 0 .. reach. own: samples at their first row.

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
        alone = np.where(borrows, 0, position)
        columns = [1 - alone, alone, amount, -amount]
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
    """The classes that lend a class their variation: of those of at least twice its rows, the
    `most` whose mean code is nearest; none for a class as large as any.

    sizes: {label: rows}, where `codes` are of some only. A shirt varies as coats do, hardly as
    shoes do.

    >>> codes = {0: np.zeros((9, 1)), 1: np.ones((8, 1)), 2: np.full((4, 1), 0.9)}
    >>> lenders_of(codes, 2, most=1), lenders_of(codes, 0, most=1)
    ((1,), ())
    """
    sizes = sizes or {other: len(rows) for other, rows in codes.items()}
    large = [other for other in codes if sizes[other] >= 2 * sizes[label]]
    centre = codes[label].mean(axis=0)
    apart = {other: float(np.linalg.norm(codes[other].mean(axis=0) - centre)) for other in large}
    return tuple(sorted(large, key=lambda other: (apart[other], other))[:most])
