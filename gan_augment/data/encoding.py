"""Tables as vectors and back: what a table's generator and discriminator see. No frames, no files.

A numeric column becomes a normal score, with a one-hot state beside it where some of its cells are
missing or stand on a spike; a column of at most 32 levels becomes a one-hot; one of more levels a
short embedding, decoded to the nearest level.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from gan_augment.data.level_embedding import nearest_level

MOST_LEVELS_ONE_HOT = 32
MOST_ROWS_RANKED = 10_000
MOST_KNOTS = 1_000

Floats = NDArray[np.float64]
Matrix = NDArray[np.float32]
Codes = NDArray[np.int32]


@dataclass(frozen=True)
class NumericColumn:
    """A learned column of numbers. spikes: values that hold >= 5 % of its cells; missing: has NaN.

    values: ascending knots; scores: the normal scores they stand at. Both (K,).
    """

    values: Floats
    scores: Floats
    spikes: tuple[float, ...]
    missing: bool

    @property
    def states(self) -> int:
        """One-hot entries beside the score: ordinary, each spike, missing; 0 where all are one."""
        return 1 + len(self.spikes) + self.missing if self.spikes or self.missing else 0

    @property
    def width(self) -> int:
        """Entries of the encoded vector."""
        return 1 + self.states

    def encode(self, cells: Floats) -> Matrix:
        """(N,) with NaN for missing -> (N, width)."""
        out = np.zeros((len(cells), self.width), dtype=np.float32)
        known = ~np.isnan(cells)
        out[known, 0] = _interpolated(cells[known], self.values, self.scores)
        if self.states:
            state = np.zeros(len(cells), dtype=np.int64)
            for number, spike in enumerate(self.spikes, 1):
                state[cells == spike] = number
            state[~known] = self.states - 1
            out[np.arange(len(cells)), 1 + state] = 1
        return out

    def decode(self, encoded: Matrix) -> Floats:
        """(N, width) -> (N,), within the range of the training cells."""
        cells = _interpolated(encoded[:, 0], self.scores, self.values)
        if self.states:
            state = encoded[:, 1:].argmax(axis=1)
            for number, spike in enumerate(self.spikes, 1):
                cells[state == number] = spike
            if self.missing:
                cells[state == self.states - 1] = np.nan
        return cells


@dataclass(frozen=True)
class LevelColumn:
    """A learned column of levels, as codes 0..levels - 1, -1 for missing (one more entry).

    embedding: (levels + missing, d) where the levels are too many for a one-hot, else None.
    """

    levels: int
    missing: bool
    embedding: Matrix | None = None

    @property
    def entries(self) -> int:
        """Levels, and one for missing."""
        return self.levels + self.missing

    @property
    def width(self) -> int:
        """Entries of the encoded vector."""
        return self.entries if self.embedding is None else int(self.embedding.shape[1])

    def encode(self, codes: Codes) -> Matrix:
        """(N,) -> (N, width)."""
        entry = np.where(codes < 0, self.entries - 1, codes)
        if self.embedding is not None:
            return self.embedding[entry]
        out = np.zeros((len(codes), self.entries), dtype=np.float32)
        out[np.arange(len(codes)), entry] = 1
        return out

    def decode(self, encoded: Matrix) -> Codes:
        """(N, width) -> (N,): the largest entry, or the nearest level."""
        if self.embedding is None:
            entry = encoded.argmax(axis=1)
        else:
            entry = nearest_level(encoded, self.embedding)
        missing = self.missing & (entry == self.levels)
        return np.where(missing, -1, entry).astype(np.int32)


def _interpolated(x: NDArray[np.floating], knots: Floats, values: Floats) -> Floats:
    """As `np.interp`, (N,) -> (N,), but the nearest knot's value where a slope overflows."""
    found = np.interp(x, knots, values)
    odd = ~np.isfinite(found)
    if odd.any():
        right = np.minimum(np.searchsorted(knots, x[odd]), len(knots) - 1)
        left = np.maximum(right - 1, 0)
        half = x[odd] / 2  # differences of halves are finite
        nearer = half - knots[left] / 2 < knots[right] / 2 - half
        found[odd] = values[np.where(nearer, left, right)]
    within: Floats = np.clip(found, values[0], values[-1])
    return within


EncodedColumn = NumericColumn | LevelColumn


@dataclass(frozen=True)
class TableEncoding:
    """The learned columns of a table, by name and in order, as one vector a row."""

    columns: Mapping[str | int, EncodedColumn]

    @property
    def width(self) -> int:
        """Entries of an encoded row."""
        return sum(column.width for column in self.columns.values())

    @property
    def starts(self) -> tuple[int, ...]:
        """The first entry of each column."""
        widths = [column.width for column in self.columns.values()]
        return tuple(int(k) for k in np.cumsum([0, *widths[:-1]])) if widths else ()

    @property
    def choices(self) -> tuple[tuple[int, int], ...]:
        """[start, stop) of every one-hot: levels of a column, or states of a numeric one."""
        found = []
        for start, column in zip(self.starts, self.columns.values(), strict=True):
            if isinstance(column, NumericColumn):
                if column.states:
                    found.append((start + 1, start + column.width))
            elif column.embedding is None:
                found.append((start, start + column.width))
        return tuple(found)

    @property
    def vectors(self) -> tuple[tuple[int, int], ...]:
        """[start, stop) of every column of many levels."""
        return tuple(
            (start, start + column.width)
            for start, column in zip(self.starts, self.columns.values(), strict=True)
            if isinstance(column, LevelColumn) and column.embedding is not None
        )

    @property
    def numbers(self) -> tuple[int, ...]:
        """The entry of every number's score."""
        return tuple(
            start
            for start, column in zip(self.starts, self.columns.values(), strict=True)
            if isinstance(column, NumericColumn)
        )

    def encode(self, cells: Mapping[str | int, NDArray[np.generic]]) -> Matrix:
        """{name: (N,)} float64 or int32 -> float32 (N, width)."""
        n = len(next(iter(cells.values()))) if cells else 0
        out = np.empty((n, self.width), dtype=np.float32)
        for start, (name, column) in zip(self.starts, self.columns.items(), strict=True):
            out[:, start : start + column.width] = column.encode(cells[name])  # type: ignore[arg-type]
        return out

    def decode(self, encoded: Matrix) -> dict[str | int, Floats | Codes]:
        """float32 (N, width) -> {name: (N,)}."""
        return {
            name: column.decode(encoded[:, start : start + column.width])
            for start, (name, column) in zip(self.starts, self.columns.items(), strict=True)
        }


def fit_numeric(
    cells: Floats, weights: Floats, rng: np.random.Generator, spikes: Sequence[float] = ()
) -> NumericColumn:
    """Knots at weighted quantiles of at most 10,000 of the cells; (N,) with NaN for missing.

    A value stands at the normal score of its mid-rank among rows of the given weights (N,), so that
    a region where only a rare class lies has knots of its own. The least and the greatest value are
    always knots, half a row's rank from the ends, so that no score is infinite.
    """
    known = np.flatnonzero(~np.isnan(cells))
    ends = np.array([cells[known].min(), cells[known].max()])
    if len(known) > MOST_ROWS_RANKED:
        share = weights[known] / weights[known].sum()
        known = known[np.searchsorted(np.cumsum(share), rng.random(MOST_ROWS_RANKED) * share.sum())]
        weights = np.ones_like(weights)
    mass = np.append(weights[known], [0.0, 0.0])
    values, where = np.unique(np.append(cells[known], ends), return_inverse=True)
    held = np.bincount(where, weights=mass)
    half_row = 0.5 * mass[mass > 0].min()
    rank = (np.cumsum(held) - 0.5 * held + half_row) / (held.sum() + 2 * half_row)
    if len(values) > MOST_KNOTS:
        even = np.linspace(rank[0], rank[-1], MOST_KNOTS)
        kept = np.unique(np.append(np.searchsorted(rank, even[:-1]), len(rank) - 1))
        values, rank = values[kept], rank[kept]
    return NumericColumn(values, ndtri(rank), tuple(spikes), bool(np.isnan(cells).any()))
