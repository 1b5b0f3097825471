"""Columns as plain numbers and codes, and back with the dtype and the values they had.

What is between (encoding, learning) sees plain arrays only. How a column is described is in
`schema.py`; how dtypes hold cells is in `cells.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from gan_augment.data.tables.cells import (
    EXACT,
    NANOSECONDS,
    Numbers,
    arrow_type,
    codes_of,
    decimal_cells,
    from_wall,
    level_cells,
    number_cells,
    read_cells,
    to_wall,
    unit_of,
)
from gan_augment.data.tables.schema import Column, Name, TableSchema
from gan_augment.data.tables.text import text_moments, text_numbers, written_texts
from gan_augment.errors import DataError

Plain = NDArray[np.float64] | NDArray[np.int32]
FEW_COLUMNS = 90  # of more, held one by one, pandas warns at an insertion; a copy joins them


def plain(series: pd.Series, column: Column) -> Plain:
    """The cells (N,) of a learned column as a model sees them.

    numeric, datetime: float64, NaN where missing; moments in whole units since `low`, integers
    beyond 2^53 from `low` on. categorical, boolean: int32 codes into `levels`, -1 where missing or
    never seen. Raises DataError where the series holds something else than the column did.
    """
    assert column.learned, f"column {column.name!r} is {column.kind}: it is not learned"
    cells = read_cells(series)
    if column.kind in ("categorical", "boolean"):
        return codes_of(cells, column.levels)
    unit = cells.unit
    numbers: Numbers
    if cells.family == "text" and column.text is not None:
        if column.kind == "datetime":
            numbers, notation = text_moments(series)
            unit = notation.unit
        else:
            numbers = text_numbers(series)[0]
    elif cells.holds_numbers:
        numbers = cells.numbers
    elif cells.family == "nothing":
        numbers = np.zeros(len(series))
    else:
        raise DataError(
            f"column {column.name!r} was learned as {column.kind} ({column.dtype}) and is "
            f"{cells.family} ({series.dtype}) here; convert it to what it was"
        )
    if column.wall:
        numbers = to_wall(numbers.astype(np.int64), cells.unit, cells.zone)
    if column.unit is not None and unit is not None and unit != column.unit:
        finer, coarser = NANOSECONDS[unit], NANOSECONDS[column.unit]
        numbers = numbers // (coarser // finer) if coarser > finer else numbers * (finer // coarser)
    distance = _distance(numbers, column.origin)
    distance[cells.missing] = np.nan
    return distance


def restored(values: ArrayLike, column: Column) -> pd.Series:
    """Cells (N,) as of `plain` -> a series of exactly `column.dtype`, named as the column.

    Numbers are rounded as the training data was, and lie in [low, high]. NaN and -1 become missing
    cells, for which the column must have room. A constant's values are not looked at.
    """
    array = np.asarray(values)
    if column.kind == "constant":
        array = np.full(len(array), 0 if column.levels else -1)
    if column.kind in ("numeric", "datetime"):
        cells = _cells_of_numbers(array.astype(np.float64), column)
    else:
        cells = level_cells(array, column.levels, column.pandas_dtype, column.missing_cell)
    return pd.Series(cells, name=column.name, copy=False, dtype=column.pandas_dtype)


def output_frame(
    values: Mapping[Name, ArrayLike], schema: TableSchema, n: int, first: int = 0
) -> pd.DataFrame:
    """n rows of all feature columns in the schema's order, with their dtypes.

    values: (n,) as of `plain`, for every learned column. Constants are filled in; ids are refilled,
    the rows being the synthetic rows number `first`, `first` + 1, ....
    """
    series = {
        column.name: _new_ids(column, column.pandas_dtype, n, first)
        if column.kind == "id"
        else restored(values[column.name] if column.learned else np.zeros(n), column)
        for column in schema.columns
    }
    return pd.DataFrame(series, copy=False)


def joined(frame: pd.DataFrame, labels: NDArray[np.int64], schema: TableSchema) -> pd.DataFrame:
    """A frame of features with the target put back at its place, with its own dtype and values.

    labels: (N,) class indices. The frame is not changed; without a place for the target (labels
    given beside the frame) it comes back as it is.
    """
    target = schema.target
    if target is None or target.position is None:
        return frame
    column = restored(labels, target.cells)
    column.index = frame.index
    whole = frame.copy(deep=len(frame.columns) > FEW_COLUMNS)
    whole.insert(min(target.position, len(whole.columns)), target.name, column)
    return whole


def with_new_ids(
    frame: pd.DataFrame, schema: TableSchema, like: pd.DataFrame, first: int
) -> pd.DataFrame:
    """The rows with id-like columns refilled from the synthetic row number `first` on.

    like: a frame with the dtypes of these columns.
    """
    frame = frame.copy(deep=False)
    for column in (column for column in schema.columns if column.kind == "id"):
        cells = _new_ids(column, like[column.name].dtype, len(frame), first)
        frame[column.name] = cells.set_axis(frame.index)
    return frame


def _distance(numbers: Numbers, origin: int) -> NDArray[np.float64]:
    """numbers - origin, of integers exact before it is made a float: in 64 bits without a sign."""
    if numbers.dtype.kind == "f" or not origin:
        return numbers.astype(np.float64) - float(origin)
    unsigned = numbers.astype(np.uint64)
    base = np.uint64(origin % 2**64)
    below = numbers < origin
    return np.where(below, -((base - unsigned).astype(np.float64)), (unsigned - base).astype(float))


def _cells_of_numbers(values: NDArray[np.float64], column: Column) -> Any:
    missing = np.isnan(values)
    dtype = column.pandas_dtype
    numbers = _rounded(np.where(missing, 0.0, values), column)
    if column.text is not None:
        cells = written_texts(numbers, missing, column.text, column.decimals, dtype)
    elif column.python == "Decimal":
        cells = decimal_cells(numbers.astype(np.float64), missing, column.decimals or 0)
    else:
        unit = unit_of(arrow_type(dtype, column.python))
        if column.unit is not None and unit is not None:
            numbers = numbers.astype(np.int64) * (NANOSECONDS[column.unit] // NANOSECONDS[unit])
            numbers = from_wall(numbers, unit, column.zone) if column.wall else numbers
        cells = number_cells(numbers, missing, dtype, column.python, column.zone)
    if dtype == np.dtype(object):
        cells[missing] = column.missing_cell
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
    exact = exact + np.uint64(low % 2**64)
    return exact if high >= 2**63 else exact.view(np.int64)


def _new_ids(column: Column, dtype: Any, n: int, first: int) -> pd.Series:
    """n new ids in the dtype, for the synthetic rows number `first` on; none occurs in training.

    Integers continue after `last`; above the dtype's maximum they count down from below `low`.
    Raises DataError where no number is left.
    """
    last, low = int(column.last or 0), int(column.low or 0)
    ids: list[Any] = [None] * n
    if column.refill == "strings":
        ids = [f"synthetic-{last + 1 + number:06d}" for number in range(first, first + n)]
    elif column.refill == "integers":
        smallest, largest = _range_of(dtype, column.python)
        above = largest - last
        if first + n - above > low - smallest:
            raise DataError(
                f"id column {column.name!r} is {column.dtype}, which has no numbers left for "
                f"{first + n:,} synthetic rows; make it int64 before fitting"
            )
        ids = [
            last + 1 + number if number < above else low - 1 + above - number
            for number in range(first, first + n)
        ]
    return pd.Series(ids, dtype=dtype)


def _range_of(dtype: Any, python: str | None) -> tuple[int, int]:
    if python is not None:
        return -(2**63), 2**63 - 1
    if isinstance(dtype, pd.ArrowDtype):
        dtype = np.dtype(dtype.pyarrow_dtype.to_pandas_dtype())
    limits = np.iinfo(getattr(dtype, "numpy_dtype", dtype))
    return int(limits.min), int(limits.max)
