"""Rows of a table as vectors for the networks, and back.

A numeric column becomes a normal score, plus a one-hot state if some cells are missing or spikes. A
column of at most 32 categories becomes a one-hot; more become a short embedding, decoded to the
nearest category.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.tables.schema import Name, TableSchema
from gan_augment.errors import DataError
from gan_augment.rng import rng_for

MOST_ONE_HOT = 32
MOST_CATEGORIES = 100_000
MOST_ROWS_RANKED = 10_000
MOST_KNOTS = 1_000
LABEL_POWER = 0.5  # as training draws labels: rare classes get more weight than their rows
SIZE = 8  # entries of the embedding of a category
ROWS_TO_KNOW = 10
NOISE = 0.01
CONTEXT_BINS = 8
MOST_COUNTED = 1 << 23
"""Cells of the contingency table of a column; 400 MB of memory."""

Floats = NDArray[np.float64]
Matrix = NDArray[np.float32]
Codes = NDArray[np.int32]
Cells = Mapping[Name, NDArray[np.generic]]


@dataclass(frozen=True)
class NumericColumn:
    """A learned column of numbers; octiles are the entries that are contexts of categories.

    values, scores: (K,) ascending knots and their normal scores. spikes: frequent values. missing:
    whether some cells are NaN.
    """

    values: Floats
    scores: Floats
    spikes: tuple[float, ...]
    missing: bool
    numbers: ClassVar[int] = 1
    entries: ClassVar[int] = CONTEXT_BINS

    @property
    def one_hot(self) -> bool:
        """Return whether the vector holds a one-hot of states."""
        return bool(self.spikes or self.missing)

    @property
    def states(self) -> int:
        """Return the one-hot entries: ordinary, each spike, missing; 0 without states."""
        return 1 + len(self.spikes) + self.missing if self.one_hot else 0

    @property
    def width(self) -> int:
        """Return the entries of the encoded vector."""
        return 1 + self.states

    def entry_of(self, cells: NDArray[Any]) -> NDArray[np.int64]:
        """Return the octile of each number (N,); missing cells are a ninth bin."""
        edges = np.nanquantile(cells, np.linspace(0, 1, CONTEXT_BINS + 1)[1:-1])
        bins = np.searchsorted(edges, np.nan_to_num(cells), side="right")
        return np.where(np.isnan(cells), CONTEXT_BINS, bins).astype(np.int64)

    def encode(self, cells: Floats) -> Matrix:
        """Encode numbers (N,), NaN where missing, as (N, width)."""
        out = np.zeros((len(cells), self.width), dtype=np.float32)
        known = ~np.isnan(cells)
        out[known, 0] = np.interp(cells[known], self.values, self.scores)
        if self.states:
            state = np.zeros(len(cells), dtype=np.int64)
            for number, spike in enumerate(self.spikes, 1):
                state[cells == spike] = number
            state[~known] = self.states - 1
            out[np.arange(len(cells)), 1 + state] = 1
        return out

    def decode(self, encoded: Matrix) -> Floats:
        """Decode (N, width) as (N,), within the range of the training cells."""
        cells = np.interp(encoded[:, 0], self.scores, self.values)
        if self.states:
            state = encoded[:, 1:].argmax(axis=1)
            for number, spike in enumerate(self.spikes, 1):
                cells[state == number] = spike
            if self.missing:
                cells[state == self.states - 1] = np.nan
        return cells


@dataclass(frozen=True)
class CategoryColumn:
    """A learned column of categories, as codes 0..categories - 1, -1 for missing (one more entry).

    embedding: (categories + missing, d), or None for a one-hot.
    """

    categories: int
    missing: bool
    embedding: Matrix | None = None
    numbers: ClassVar[int] = 0
    spikes: ClassVar[tuple[float, ...]] = ()

    @property
    def one_hot(self) -> bool:
        """Return whether the vector is a one-hot."""
        return self.embedding is None

    @property
    def entries(self) -> int:
        """Return the number of categories, plus one for missing cells."""
        return self.categories + self.missing

    @property
    def width(self) -> int:
        """Return the entries of the encoded vector."""
        return self.entries if self.embedding is None else int(self.embedding.shape[1])

    def entry_of(self, codes: NDArray[Any]) -> NDArray[np.int64]:
        """Return the entry of each code (N,); missing cells have the last."""
        return np.where(codes < 0, self.entries - 1, codes).astype(np.int64)

    def encode(self, codes: Codes) -> Matrix:
        """Encode codes (N,) as (N, width)."""
        entry = self.entry_of(codes)
        if self.embedding is not None:
            return self.embedding[entry]
        out = np.zeros((len(codes), self.entries), dtype=np.float32)
        out[np.arange(len(codes)), entry] = 1
        return out

    def decode(self, encoded: Matrix) -> Codes:
        """Decode (N, width) as codes (N,): the largest entry, or the nearest category."""
        if self.embedding is None:
            entry = encoded.argmax(axis=1)
        else:
            from scipy.spatial import KDTree

            entry = KDTree(self.embedding).query(np.nan_to_num(encoded))[1]
        missing = self.missing & (entry == self.categories)
        return np.where(missing, -1, entry).astype(np.int32)


EncodedColumn = NumericColumn | CategoryColumn


@dataclass(frozen=True)
class TableEncoding:
    """The learned columns of a table, by name and in order; one vector per row."""

    columns: Mapping[str | int, EncodedColumn]

    @property
    def width(self) -> int:
        """Return the entries of an encoded row."""
        return sum(column.width for column in self.columns.values())

    @property
    def choices(self) -> tuple[tuple[int, int], ...]:
        """Return [start, stop) of every one-hot of categories or states."""
        return tuple(
            (start + column.numbers, stop)
            for start, stop, column in self._spans()
            if column.one_hot
        )

    def without_spikes(self, rows: Matrix) -> Matrix:
        """Turn spikes of encoded rows (N, width) into ordinary numbers, in place.

        A moved row is an ordinary number even if its anchor was a spike.
        """
        for start, _, column in self._spans():
            if column.spikes:
                last = start + 2 + len(column.spikes)
                rows[:, start + 1] = rows[:, start + 1 : last].sum(axis=1)
                rows[:, start + 2 : last] = 0
        return rows

    @property
    def numbers(self) -> tuple[int, ...]:
        """Return the entry of every normal score."""
        return tuple(start for start, _, column in self._spans() if column.numbers)

    def encode(self, cells: Mapping[str | int, NDArray[np.generic]]) -> Matrix:
        """Encode {name: (N,)}, float64 or int32, as float32 (N, width)."""
        n = len(next(iter(cells.values()))) if cells else 0
        rows = np.empty((n, self.width), dtype=np.float32)
        for (start, stop, column), name in zip(self._spans(), self.columns, strict=True):
            rows[:, start:stop] = column.encode(cells[name])  # type: ignore[arg-type]
        return rows

    def decode(self, encoded: Matrix) -> dict[str | int, Floats | Codes]:
        """Decode float32 (N, width) as {name: (N,)}."""
        return {
            name: column.decode(encoded[:, start:stop])
            for (start, stop, column), name in zip(self._spans(), self.columns, strict=True)
        }

    def _spans(self) -> list[tuple[int, int, EncodedColumn]]:
        """Return (start, stop, column) of each column in a row."""
        stops = np.cumsum([column.width for column in self.columns.values()]).tolist()
        columns = zip(stops, self.columns.values(), strict=True)
        return [(int(stop) - column.width, int(stop), column) for stop, column in columns]


def fit_numeric(
    cells: Floats, weights: Floats, rng: np.random.Generator, spikes: Sequence[float] = ()
) -> NumericColumn:
    """Fit knots at weighted quantiles of at most 10,000 cells (N,), NaN where missing.

    The score of a value is the normal score of its mid-rank under the weights (N,). The extremes
    are knots half a row's rank from the ends, so that no score is infinite.
    """
    known = np.flatnonzero(~np.isnan(cells))
    ends = np.array([cells[known].min(), cells[known].max()])
    if len(known) > MOST_ROWS_RANKED:
        share = weights[known] / weights[known].sum()
        known = known[np.searchsorted(np.cumsum(share), rng.random(MOST_ROWS_RANKED) * share.sum())]
        weights = np.ones_like(weights)
    mass = np.append(weights[known], [0.0, 0.0])
    values, where = np.unique(np.append(cells[known], ends), return_inverse=True)
    masses = np.bincount(where, weights=mass)
    half_row = 0.5 * mass[mass > 0].min()
    rank = (np.cumsum(masses) - 0.5 * masses + half_row) / (masses.sum() + 2 * half_row)
    if len(values) > MOST_KNOTS:
        even = np.linspace(rank[0], rank[-1], MOST_KNOTS)
        knots = np.unique(np.append(np.searchsorted(rank, even[:-1]), len(rank) - 1))
        values, rank = values[knots], rank[knots]
    from scipy.special import ndtri

    return NumericColumn(values, ndtri(rank), tuple(spikes), bool(np.isnan(cells).any()))


def fit_encoding(
    cells: Cells, schema: TableSchema, labels: NDArray[np.int64], seed: int
) -> TableEncoding:
    """Fit the encoding of the learned columns; DataError beyond 100,000 categories."""
    counts = np.bincount(labels)
    weights = counts[labels].astype(np.float64) ** (LABEL_POWER - 1)
    columns: dict[Name, EncodedColumn] = {}
    for column in schema.learned:
        name, categories, own = column.name, len(column.categories), cells[column.name]
        if column.has_numbers:
            rng = rng_for(seed, "encoding", str(name))
            spikes = [float(spike - column.origin) for spike in column.spikes]
            columns[name] = fit_numeric(own.astype(float), weights, rng, spikes)
        elif categories > MOST_CATEGORIES:
            raise DataError(
                f"column {name!r} has {categories} categories, more than {MOST_CATEGORIES}: leave "
                f"it out as an id, --columns {name}=id (columns={{{name!r}: 'id'}}), or group them."
            )
        else:
            missing = bool((own < 0).any())  # type: ignore[operator]
            columns[name] = CategoryColumn(categories, missing)
    few = {name: one for name, one in columns.items() if one.entries <= MOST_ONE_HOT}
    for name, many in columns.items():
        if name not in few and isinstance(many, CategoryColumn):
            most = MOST_COUNTED // many.entries
            bins = np.cumsum([1 + one.entries for one in few.values()])
            context = [
                one.entry_of(cells[other])
                for (other, one), counted in zip(few.items(), bins, strict=True)
                if counted <= most
            ]
            embedding = embed_categories(many.entry_of(cells[name]), many.entries, context)
            columns[name] = replace(many, embedding=embedding)
    return TableEncoding(columns)


def encoded_width(schema: TableSchema) -> int:
    """Return the entries of an encoded row, from the schema only."""
    none, width = np.empty(0), 0
    for column in schema.learned:
        missing = column.missing > 0
        if column.has_numbers:
            width += NumericColumn(none, none, column.spikes, missing).width
        else:
            entries = len(column.categories) + missing
            width += entries if entries <= MOST_ONE_HOT else SIZE
    return width


def embed_categories(
    entry: NDArray[np.integer], entries: int, context: Sequence[NDArray[np.integer]]
) -> NDArray[np.float32]:
    """Embed categories by correspondence analysis, float32 (entries, 8).

    entry: int (N,), the category of each row. context: int (N,) columns of few values each, never
    the labels, which would leak held-out rows. The embedding is the leading left singular vectors
    of the standardised residuals of the contingency table, scaled to unit variance over the rows. A
    category of n rows is shrunk by n / (n + 10). Noise of 0.01 separates equal contexts. Memory:
    entries x values of all contexts. Source: Greenacre 1984, "Theory and applications of
    correspondence analysis", eq. 4.1.7.
    """
    vectors = NOISE * rng_for(0, "levels", entries).standard_normal((entries, SIZE))
    if not context:
        return vectors.astype(np.float32)
    seen = np.bincount(entry, minlength=entries).astype(np.float64)
    tables = []
    for column in context:
        values = int(column.max()) + 1
        flat = np.bincount(entry * values + column, minlength=entries * values)
        tables.append(flat.reshape(entries, values))
    counts = np.concatenate(tables, axis=1).astype(np.float64)
    counts = counts[:, counts.sum(axis=0) > 0] / len(entry)
    rows, columns = seen / len(entry), counts.sum(axis=0)
    expected = np.outer(rows, columns)
    residuals = (counts - expected) / np.sqrt(np.maximum(expected, 1e-12))
    gram = residuals.T @ residuals
    values_, axes = np.linalg.eigh(gram)
    size = min(SIZE, len(values_), max(entries - 1, 1))
    lead = axes[:, ::-1][:, :size]
    coordinates = (residuals @ lead) / np.sqrt(np.maximum(rows, 1e-12))[:, None]
    spread = np.sqrt((rows[:, None] * coordinates**2).sum(axis=0))
    known = (seen / (seen + ROWS_TO_KNOW))[:, None] * coordinates / np.maximum(spread, 1e-12)
    vectors[:, :size] += known
    return vectors.astype(np.float32)
