"""From the cells of a table and its schema to the encoding that its generator learns in."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.encoding import (
    MOST_LEVELS_ONE_HOT,
    EncodedColumn,
    LevelColumn,
    NumericColumn,
    TableEncoding,
    fit_numeric,
)
from gan_augment.data.level_embedding import embed_levels
from gan_augment.data.schema import Name, TableSchema
from gan_augment.errors import DataError
from gan_augment.randomness import generator

Cells = Mapping[Name, NDArray[np.generic]]

LABEL_POWER = 0.5  # as training draws labels: rare classes count more than their rows
CONTEXT_BINS = 8
MOST_LEVELS = 100_000
MOST_COUNTED = 1 << 23
"""Cells of the table of a column's levels and what they occur with: about 400 MB at work."""


def fit_encoding(
    cells: Cells, schema: TableSchema, labels: NDArray[np.int64], seed: int
) -> TableEncoding:
    """The encoding of the learned columns; cells as `columns.plain` gives them, labels int64 (N,).

    Raises DataError where nothing is left to learn, or a column has over 100,000 levels.
    """
    if not schema.learned:
        raise DataError(
            "no column is left to learn: all are constant or id-like. Name a kind for one of them "
            "(--numeric, --categorical), or use repeats."
        )
    counts = np.bincount(labels)
    weights = counts[labels].astype(np.float64) ** (LABEL_POWER - 1)
    columns: dict[Name, EncodedColumn] = {}
    for facts in schema.learned:
        own = cells[facts.name]
        if own.dtype.kind == "f":
            rng = generator(seed, "encoding", str(facts.name))
            numbers = own.astype(np.float64)
            columns[facts.name] = fit_numeric(numbers, weights, rng, facts.plain_spikes)
        else:
            columns[facts.name] = _levels(facts.name, own, len(facts.levels))
    for name, column in columns.items():
        if isinstance(column, LevelColumn) and column.entries > MOST_LEVELS_ONE_HOT:
            columns[name] = _embedded(name, column, columns, cells)
    return TableEncoding(columns)


def encoded_width(schema: TableSchema) -> int:
    """Entries of an encoded row, as far as the schema tells before anything is read again."""
    width = 0
    for column in schema.learned:
        missing = column.missing > 0
        if column.kind in ("numeric", "datetime"):
            width += 1 + (1 + len(column.spikes) + missing if column.spikes or missing else 0)
        else:
            entries = len(column.levels) + missing
            width += entries if entries <= MOST_LEVELS_ONE_HOT else 8
    return width


def _levels(name: Name, codes: NDArray[np.generic], levels: int) -> LevelColumn:
    if levels > MOST_LEVELS:
        raise DataError(
            f"column {name!r} has {levels} levels, more than {MOST_LEVELS}: leave it out as an id "
            f"(--id {name}), or group its levels first."
        )
    return LevelColumn(levels, bool((codes < 0).any()))  # type: ignore[operator]


def _embedded(
    name: Name,
    column: LevelColumn,
    columns: Mapping[Name, EncodedColumn],
    cells: Cells,
) -> LevelColumn:
    """The column with vectors for its levels, from what they occur with in the other columns.

    As many of them as memory allows; not the labels (see `embed_levels`).
    """
    context: list[NDArray[np.int64]] = []
    counted = 0
    for other, held in columns.items():
        values = 1 + (CONTEXT_BINS if isinstance(held, NumericColumn) else held.entries)
        if other == name or counted + column.entries * values > MOST_COUNTED:
            continue
        found = _context(held, cells[other])
        context += found
        counted += column.entries * values * len(found)
    entry = np.where(cells[name] < 0, column.entries - 1, cells[name]).astype(np.int64)  # type: ignore[operator]
    return LevelColumn(column.levels, column.missing, embed_levels(entry, column.entries, context))


def _context(column: EncodedColumn, cells: NDArray[np.generic]) -> list[NDArray[np.int64]]:
    """A column as a few values: eighths of its range by rank, or its levels where they are few."""
    if isinstance(column, NumericColumn):
        numbers = cells.astype(np.float64)
        edges = np.nanquantile(numbers, np.linspace(0, 1, CONTEXT_BINS + 1)[1:-1])
        bins = np.searchsorted(edges, np.nan_to_num(numbers), side="right")
        return [np.where(np.isnan(numbers), CONTEXT_BINS, bins).astype(np.int64)]
    if column.entries > MOST_LEVELS_ONE_HOT:
        return []
    return [np.where(cells < 0, column.entries - 1, cells).astype(np.int64)]  # type: ignore[operator]
