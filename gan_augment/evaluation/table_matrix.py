"""Rows of a table as the numbers that most classifiers want; encoded as the real rows ask.

Plain matrices of what is there: nothing is learned from labels. A model's own encoding is in
`data/encoding.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.contract import LabelledTable
from gan_augment.data.tables.columns import Plain, plain
from gan_augment.data.tables.schema import TableSchema

MOST_LEVELS = 64
"""Levels of a column with a place of their own, the most frequent ones; the rest share one."""

Matrix = NDArray[np.float32]


@dataclass(frozen=True)
class NumberScale:
    """Of a column of numbers or moments: missing cells become the median; mean 0, deviation 1."""

    median: float
    mean: float
    deviation: float

    width = 1

    @classmethod
    def of(cls, cells: Plain) -> NumberScale:
        """From the real rows (N,). A column without a known cell, or of one value, becomes 0."""
        known = cells[~np.isnan(cells)]
        if not len(known):
            return cls(0.0, 0.0, 1.0)
        median = float(np.median(known))
        filled = np.where(np.isnan(cells), median, cells)
        return cls(median, float(filled.mean()), float(filled.std()) or 1.0)

    def write(self, cells: Plain, out: Matrix) -> None:
        """Cells (N,) into out (N, 1)."""
        out[:, 0] = (np.where(np.isnan(cells), self.median, cells) - self.mean) / self.deviation


@dataclass(frozen=True)
class LevelPlaces:
    """Of a column of levels: one 0/1 column a level, a missing cell being a level too.

    place: int64 (levels + 1,): the output column of each code, the missing one last; -1 for none.
    """

    place: NDArray[np.int64]
    width: int

    @classmethod
    def of(cls, codes: Plain, levels: int) -> LevelPlaces:
        """From the real rows (N,); levels that they do not hold share the place of rare ones."""
        counts = np.bincount(np.where(codes < 0, levels, codes), minlength=levels + 1)
        order = np.argsort(-counts, kind="stable")[:MOST_LEVELS]
        own = np.sort(order[counts[order] > 0])
        several = (counts > 0).sum() > len(own)
        place = np.full(levels + 1, len(own) if several else -1)
        place[own] = np.arange(len(own))
        return cls(place, len(own) + int(several))

    def write(self, codes: Plain, out: Matrix) -> None:
        """Codes (N,) into out (N, width), which holds zeros."""
        places = self.place[codes]  # -1 finds the last one
        rows = np.flatnonzero(places >= 0)
        out[rows, places[rows]] = 1


@dataclass(frozen=True)
class TableMatrix:
    """The learned columns of a schema as a float32 matrix (N, width); ids and constants are not."""

    schema: TableSchema
    parts: tuple[NumberScale | LevelPlaces, ...]

    @classmethod
    def fitted(
        cls, real: LabelledTable, table: LabelledTable, schema: TableSchema
    ) -> tuple[TableMatrix, Matrix]:
        """The encoding that the real rows ask for, and all rows of `table` by it."""
        parts = tuple(
            LevelPlaces.of(cells, len(column.levels))
            if column.kind in ("categorical", "boolean")
            else NumberScale.of(cells)
            for cells, column in zip(_cells(real, schema), schema.learned, strict=True)
        )
        matrix = cls(schema, parts)
        return matrix, matrix.of(table)

    def of(self, table: LabelledTable) -> Matrix:
        """Any rows with the same columns. Raises DataError where a column holds something else."""
        return self._of(_cells(table, self.schema), len(table))

    def _of(self, columns: Sequence[Plain], n: int) -> Matrix:
        out = np.zeros((n, sum(part.width for part in self.parts)), dtype=np.float32)
        first = 0
        for part, cells in zip(self.parts, columns, strict=True):
            part.write(cells, out[:, first : first + part.width])
            first += part.width
        return out


def _cells(table: LabelledTable, schema: TableSchema) -> list[Plain]:
    return [plain(table.frame[column.name], column) for column in schema.learned]
