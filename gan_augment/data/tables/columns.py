"""Columns as plain numbers and codes, and back with the dtype and the values they had.

What is between (encoding, learning) sees plain arrays only. How a column is described is in
`schema.py`; how dtypes hold cells is in `cells/`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gan_augment.data.tables.cells import (
    EXACT,
    TICKS,
    Numbers,
    cells_of,
    codes_of,
    decimal_objects,
    dtype_of_text,
    from_wall,
    level_cells,
    missing_object,
    numbers_of,
    storage_of,
    stored,
    to_wall,
)
from gan_augment.data.tables.schema import Column, Name, TableSchema
from gan_augment.data.tables.text import (
    moment_texts,
    number_texts,
    text_moments,
    text_numbers,
    unit_of_format,
)
from gan_augment.errors import DataError

if TYPE_CHECKING:
    from pandas import DataFrame, Series


def refilled(column: Column, dtype: Any, n: int, first: int) -> Any:
    """n new ids in the dtype, for the synthetic rows number `first` on; none occurs in training.

    Integers continue after `last`; above the dtype's maximum they count down from below `low`.
    Raises DataError where no number is left.
    """
    numbers = np.arange(first, first + n, dtype=np.int64)
    if column.refill == "strings":
        start = 1 + (column.last or 0)
        return level_cells([f"synthetic-{start + number:06d}" for number in numbers], dtype)
    if column.refill == "missing":
        return level_cells([None] * n, dtype)
    return level_cells(_free_numbers(column, dtype, numbers), dtype)


def _free_numbers(column: Column, dtype: Any, numbers: NDArray[np.int64]) -> Any:
    last, low = int(column.last or 0), int(column.low or 0)
    smallest, largest = _range_of(dtype, column.python)
    above = largest - last
    end = int(numbers[-1]) + 1 if len(numbers) else 0
    if end <= above:
        return _counted(last + 1, numbers, 1)
    if end - above > low - smallest:
        raise DataError(
            f"id column {column.name!r} is {column.dtype}, which has no numbers left for "
            f"{end:,} synthetic rows; make it int64 before fitting"
        )
    up = _counted(last + 1, numbers[numbers < above], 1)
    return [*up, *_counted(low - 1 + above, numbers[numbers >= above], -1)]


def _counted(start: int, numbers: NDArray[np.int64], sign: int) -> Any:
    """start + sign x numbers, as Python's integers where 64 bits with a sign are too few."""
    if -(2**62) < start < 2**62:
        return start + sign * numbers
    return [start + sign * number for number in numbers.tolist()]


def _range_of(dtype: Any, python: str | None) -> tuple[int, int]:
    import pandas as pd

    if python is not None:
        return -(2**63), 2**63 - 1
    if isinstance(dtype, pd.ArrowDtype):
        kind = np.dtype(dtype.pyarrow_dtype.to_pandas_dtype())
    else:
        kind = getattr(dtype, "numpy_dtype", dtype)
    limits = np.iinfo(kind)
    return int(limits.min), int(limits.max)


def with_new_ids(frame: DataFrame, schema: TableSchema, like: DataFrame, first: int) -> DataFrame:
    """The rows with id-like columns refilled from the synthetic row number `first` on.

    like: a frame with the dtypes of these columns.
    """
    import pandas as pd

    filled = {}
    for column in schema.columns:
        if column.kind == "id":
            dtype = like[column.name].dtype
            cells = refilled(column, dtype, len(frame), first)
            filled[column.name] = pd.Series(cells, index=frame.index, dtype=dtype)
    if not filled:
        return frame
    frame = frame.copy(deep=False)
    for name, cells in filled.items():
        frame[name] = cells
    return frame


Plain = NDArray[np.float64] | NDArray[np.int32]
FEW_COLUMNS = 90  # of more, held one by one, pandas warns at an insertion; a copy joins them
_NUMBERS = ("integer", "float", "decimal", "boolean", "datetime", "duration")


def plain(series: Series, column: Column) -> Plain:
    """The cells (N,) of a learned column as a model sees them.

    numeric, datetime: float64, NaN where missing; moments in whole units since `low`, integers
    beyond 2^53 from `low` on. categorical, boolean: int32 codes into `levels`, -1 where missing or
    never seen. Raises DataError where the series holds something else than the column did.
    """
    assert column.learned, f"column {column.name!r} is {column.kind}: it is not learned"
    if column.kind in ("categorical", "boolean"):
        return codes_of(series, column.levels)
    numbers, missing = _column_numbers(series, column)
    if numbers.dtype.kind == "f" or not column.origin:
        out = numbers.astype(np.float64) - float(column.origin)
    else:
        out = _distance(numbers, column.origin)
    out[missing] = np.nan
    return out


def restored(values: ArrayLike, column: Column) -> Series:
    """Cells (N,) as of `plain` -> a series of exactly `column.dtype`, named as the column.

    Numbers are rounded as the training data was, and lie in [low, high]. NaN and -1 become missing
    cells, for which the column must have room. A constant's values are not looked at.
    """
    import pandas as pd

    given = np.asarray(values)
    if column.kind in ("categorical", "boolean", "constant"):
        empty = not column.levels
        codes = given if column.kind != "constant" else np.full(len(given), -1 if empty else 0)
        cells = cells_of(codes, _level_cells(column), missing_object(column.missing_as))
    else:
        cells = _number_cells(given.astype(np.float64), column)
    return pd.Series(cells, name=column.name, copy=False, dtype=_dtype(column))


def output_frame(
    values: Mapping[Name, ArrayLike], schema: TableSchema, n: int, first: int = 0
) -> DataFrame:
    """n rows of all feature columns in the schema's order, with their dtypes.

    values: (n,) as of `plain`, for every learned column. Constants are filled in; ids are refilled,
    the rows being the synthetic rows number `first`, `first` + 1, ....
    """
    import pandas as pd

    series = {
        column.name: pd.Series(refilled(column, _dtype(column), n, first), dtype=_dtype(column))
        if column.kind == "id"
        else restored(values[column.name] if column.learned else np.zeros(n), column)
        for column in schema.columns
    }
    return pd.DataFrame(series, copy=False)


def joined(frame: DataFrame, labels: NDArray[np.int64], schema: TableSchema) -> DataFrame:
    """A frame of features with the target put back at its place, with its own dtype and values.

    labels: (N,) class indices. The frame is not changed; without a place for the target (labels
    given beside the frame) it comes back as it is.
    """
    target = schema.target
    if target is None or target.position is None:
        return frame
    column = restored(labels, target.cells)
    column.index = frame.index
    out = frame.copy(deep=len(frame.columns) > FEW_COLUMNS)
    out.insert(min(target.position, len(out.columns)), target.name, column)
    return out


def _column_numbers(series: Series, column: Column) -> tuple[Numbers, NDArray[np.bool_]]:
    """Numbers in the column's unit, and which cells are missing."""
    storage = storage_of(series)
    unit = storage.unit
    numbers: Numbers
    if storage.family == "text" and column.text is not None:
        if column.kind == "datetime":
            numbers, pattern = text_moments(series)
            unit = unit_of_format(pattern)  # type: ignore[assignment]
        else:
            numbers = text_numbers(series)[0]
    elif storage.family in _NUMBERS:
        numbers = numbers_of(series, storage)
    elif storage.family == "nothing":
        numbers = np.zeros(len(series))
    else:
        raise DataError(
            f"column {column.name!r} was learned as {column.kind} ({column.dtype}) and is "
            f"{storage.family} ({series.dtype}) here; convert it to what it was"
        )
    if column.wall:
        numbers = to_wall(numbers.astype(np.int64), storage.unit, storage.zone)
    if column.unit is not None and unit is not None and unit != column.unit:
        finer, coarser = TICKS[unit], TICKS[column.unit]
        numbers = numbers // (coarser // finer) if coarser > finer else numbers * (finer // coarser)
    return numbers, storage.missing


def _distance(numbers: Numbers, origin: int) -> NDArray[np.float64]:
    """numbers - origin, exact before it is made a float: in 64 bits without a sign."""
    unsigned = numbers.astype(np.uint64)
    base = np.uint64(origin % 2**64)
    below = numbers < origin
    return np.where(below, -((base - unsigned).astype(np.float64)), (unsigned - base).astype(float))


def _number_cells(values: NDArray[np.float64], column: Column) -> Any:
    missing = np.isnan(values)
    dtype = _dtype(column)
    numbers = _rounded(np.where(missing, 0.0, values), column)
    if column.text is not None:
        cells = (
            moment_texts(numbers.astype(np.int64), missing, column.text, dtype)
            if column.kind == "datetime"
            else number_texts(numbers, missing, column.text, column.decimals, dtype)
        )
    elif column.python == "Decimal":
        cells = decimal_objects(numbers.astype(np.float64), missing, column.decimals or 0)
    else:
        cells = stored(_ticks(numbers, column), missing, dtype, column.python, column.zone)
    if dtype == np.dtype(object):
        cells[missing] = missing_object(column.missing_as)
    return cells


def _rounded(values: NDArray[np.float64], column: Column) -> Numbers:
    """Numbers in the column's unit, written as the training data has them and within its range."""
    low, high = column.low or 0, column.high or 0
    if not column.integer:
        if column.decimals is not None:
            values = np.round(values, column.decimals)
        return np.clip(values, low, high) + 0.0  # no -0.0
    whole = np.rint(values)
    if isinstance(low, float) or isinstance(high, float):
        return np.clip(whole, low, high)
    if max(-low, high) <= EXACT:
        near: NDArray[np.int64] = np.clip(whole + column.origin, low, high).astype(np.int64)
        return near
    span, steps = high - low, np.maximum(whole, 0)
    top = steps >= float(span)
    exact = np.where(top, 0, steps).astype(np.uint64)
    exact[top] = span
    out = exact + np.uint64(low % 2**64)
    return out if high >= 2**63 else out.view(np.int64)


def _ticks(numbers: Numbers, column: Column) -> Numbers:
    """Numbers of the column's unit as ticks of its dtype's."""
    from gan_augment.data.tables.cells import unit_of

    unit = unit_of(_dtype(column), column.python)
    if column.unit is None or unit is None:
        return numbers
    ticks = numbers.astype(np.int64) * (TICKS[column.unit] // TICKS[unit])
    return from_wall(ticks, unit, column.zone) if column.wall else ticks


def _dtype(column: Column) -> Any:
    return _dtype_kept(column, tuple(map(type, column.categories or ())))


def _level_cells(column: Column) -> Any:
    return _level_cells_kept(column, tuple(map(type, column.levels)))


@lru_cache(maxsize=256)
def _dtype_kept(column: Column, types: tuple[type, ...]) -> Any:
    """types: since 1 and True are one key."""
    return dtype_of_text(
        column.dtype, column.categories, column.categories_dtype, ordered=column.ordered
    )


@lru_cache(maxsize=256)
def _level_cells_kept(column: Column, types: tuple[type, ...]) -> Any:
    return level_cells(column.levels, _dtype(column))
