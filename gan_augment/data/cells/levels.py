"""Levels out of a column's storage as codes, and codes into it again. No rules, no numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.cells.scalars import as_scalar

if TYPE_CHECKING:
    from pandas import Series

    from gan_augment.data.schema import MissingAs

Codes = NDArray[np.int32]


def coded(series: Series) -> tuple[NDArray[np.int64], list[object]]:
    """(codes (N,), distinct cells in any order); -1 where missing. Types are told apart: 1 and "1".

    Of a pandas category or an Arrow dictionary: all its values in their order, unused ones too.
    """
    import pandas as pd

    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        levels = [as_scalar(level) for level in dtype.categories.tolist()]
        return series.cat.codes.to_numpy(dtype=np.int64), levels
    if isinstance(dtype, pd.ArrowDtype):
        return _arrow_coded(series)
    if dtype == np.dtype(object):
        cells = series.to_numpy().tolist()
        if len(set(map(type, cells)) - {str, type(None), float}) > 0:
            return _coded_by_type(cells, series.isna().to_numpy(dtype=bool))
    codes, distinct = pd.factorize(series)
    return codes.astype(np.int64), [as_scalar(cell) for cell in distinct.tolist()]


def codes_of(series: Series, levels: Sequence[object]) -> Codes:
    """int32 (N,): the index of each cell among the levels; -1 where missing or none of them."""
    codes, distinct = coded(series)
    index = _index(levels)
    typed = len({type(level) for level in levels}) > 1
    found = [index.get((type(cell), cell) if typed else cell, -1) for cell in distinct]
    return np.array([*found, -1], dtype=np.int32)[codes]


def cells_of(codes: Codes, levels: Any, missing: object) -> Any:
    """The cells (N,) of `level_cells` by code, in its dtype.

    missing: what stands for code -1 among Python's objects.
    """
    if not isinstance(levels, np.ndarray):
        return levels.take(codes, allow_fill=True)
    if levels.dtype == np.dtype(object):
        spare = np.empty(1, dtype=object)
        spare[0] = missing
        return np.concatenate([levels, spare])[codes]
    if levels.dtype.kind in "fMm":
        spare = np.array([np.nan if levels.dtype.kind == "f" else "NaT"], dtype=levels.dtype)
        return np.concatenate([levels, spare])[codes]
    assert not (codes < 0).any(), f"{levels.dtype} has no room for a missing cell"
    return levels[codes]


def level_cells(levels: Sequence[object], dtype: Any) -> Any:
    """The levels as an array of the dtype, (levels,)."""
    import pandas as pd

    if dtype == np.dtype(object):
        cells = np.empty(len(levels), dtype=object)
        cells[:] = levels
        return cells
    if isinstance(dtype, np.dtype) and dtype.kind in "biuf":
        return np.array(levels, dtype=dtype)
    if isinstance(dtype, np.dtype):
        return pd.Series(list(levels), dtype=dtype).to_numpy()
    if isinstance(dtype, pd.ArrowDtype):
        return _arrow_levels(levels, dtype)
    return pd.array(list(levels), dtype=dtype)


def missing_object(name: MissingAs) -> object:
    """The object that stands for a missing cell in an object column."""
    import pandas as pd

    return {"None": None, "nan": np.nan, "NA": pd.NA, "NaT": pd.NaT}[name]


def in_order(levels: Sequence[object]) -> list[object]:
    """Levels sorted, each type by itself; those that know no order by how they are written.

    >>> in_order([2, "b", 1, "a"])
    [1, 2, 'a', 'b']
    """
    by_type: dict[str, list[Any]] = {}
    for level in levels:
        by_type.setdefault(type(level).__name__, []).append(level)
    out: list[object] = []
    for name in sorted(by_type):
        try:
            out += sorted(by_type[name])
        except TypeError:
            out += sorted(by_type[name], key=repr)
    return out


def _index(levels: Sequence[object]) -> Mapping[object, int]:
    if len({type(level) for level in levels}) > 1:
        return {(type(level), level): code for code, level in enumerate(levels)}
    return {level: code for code, level in enumerate(levels)}


def _coded_by_type(
    cells: Sequence[object], missing: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], list[object]]:
    first: dict[object, int] = {}
    distinct: list[object] = []
    codes = np.full(len(cells), -1, dtype=np.int64)
    for row, cell in enumerate(cells):
        if missing[row]:
            continue
        scalar = as_scalar(cell)
        key = (type(scalar), scalar)
        code = first.get(key)
        if code is None:
            code = first[key] = len(distinct)
            distinct.append(scalar)
        codes[row] = code
    return codes, distinct


def _arrow_levels(levels: Sequence[object], dtype: Any) -> Any:
    import pandas as pd
    import pyarrow as pa

    kind = dtype.pyarrow_dtype
    if not pa.types.is_dictionary(kind):
        return pd.array(list(levels), dtype=dtype)
    codes = pa.array(range(len(levels)), type=kind.index_type)  # long text cannot be made directly
    values = pa.array(levels, type=kind.value_type)
    cells = pa.DictionaryArray.from_arrays(codes, values, ordered=kind.ordered)
    return pd.arrays.ArrowExtensionArray(cells)


def _arrow_coded(series: Series) -> tuple[NDArray[np.int64], list[object]]:
    import pyarrow as pa

    cells = pa.chunked_array(pa.array(series.array))
    if pa.types.is_dictionary(cells.type) and cells.num_chunks:
        cells = cells.unify_dictionaries()
        values = cells.chunk(0).dictionary.to_pylist()
        if None not in values and len(set(values)) == len(values):
            codes = [chunk.indices.cast(pa.int64()).fill_null(-1) for chunk in cells.chunks]
            return np.concatenate(codes), [as_scalar(cell) for cell in values]
    if pa.types.is_dictionary(cells.type):
        cells = cells.cast(cells.type.value_type)
    encoded = pa.array(cells.combine_chunks()).dictionary_encode()
    indices = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return indices.astype(np.int64), [as_scalar(cell) for cell in encoded.dictionary.to_pylist()]
