"""What a table's content hashes to: the "same data" of a resumed run. No files."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.cells.dtypes import dtype_text
from gan_augment.data.cells.levels import coded
from gan_augment.data.cells.numbers import numbers_of
from gan_augment.data.cells.storage import storage_of
from gan_augment.data.contract import LabelledTable

if TYPE_CHECKING:
    from pandas import DataFrame, Series

MISSING = 0x9E3779B97F4A7C15  # any number will do


def table_sha256(table: LabelledTable) -> str:
    """sha256 in hexadecimal of names, dtypes, cells, labels, ids, groups and class names.

    The frame's index does not matter; the order of rows and columns does.
    """
    total = hashlib.sha256(repr((len(table), table.names)).encode())
    for number, name in enumerate(table.frame.columns):
        column = table.frame.iloc[:, number]
        total.update(repr((name, dtype_text(column.dtype))).encode("utf-8", "surrogatepass"))
        total.update(_cell_hashes(column).data)
    total.update(np.ascontiguousarray(table.labels.astype("<i8")).data)
    total.update("\0".join(table.ids.tolist()).encode())
    if table.groups is not None:
        total.update(b"\0groups" + np.ascontiguousarray(table.groups.astype("<i8")).tobytes())
    return total.hexdigest()


def row_hashes(frame: DataFrame) -> NDArray[np.uint64]:
    """(N,): equal for rows that are equal in every cell, missing ones included."""
    out = np.zeros(len(frame), dtype=np.uint64)
    for number in range(frame.shape[1]):
        out = out * np.uint64(6364136223846793005) + _cell_hashes(frame.iloc[:, number])
        out ^= out >> np.uint64(33)
    return out


def _cell_hashes(column: Series) -> NDArray[np.uint64]:
    """(N,), the types of cells included: 1 is not "1" in a column of Python's objects."""
    from pandas.util import hash_array

    storage = storage_of(column)
    if storage.family in ("integer", "float", "boolean", "datetime", "duration"):
        hashes = hash_array(numbers_of(column, storage))
    else:
        codes, distinct = coded(column)
        words = [f"{type(cell).__name__} {cell!r}" for cell in distinct]
        hashes = hash_array(np.array([*words, ""], dtype=object), categorize=False)[codes]
    out: NDArray[np.uint64] = np.where(storage.missing, np.uint64(MISSING), hashes)
    return out
