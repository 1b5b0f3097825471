"""Columns as plain numbers and codes, and back in the dtype of the training data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from gan_augment.data.tables.containers import plain_series
from gan_augment.data.tables.schema import Column, Name, Scalar, TableSchema
from gan_augment.errors import DataError

Family = Literal["integer", "float", "boolean", "datetime", "category"]
Plain = NDArray[np.float64] | NDArray[np.int32]
EXACT = 2**53  # whole numbers up to here are float64s

_FAMILIES: dict[str, Family] = {"i": "integer", "u": "integer", "f": "float", "b": "boolean"}
_FAMILIES |= {"M": "datetime", "O": "category"}


@dataclass(frozen=True, eq=False)
class Cells:
    """The cells of one column of a plain dtype; "category" is the family of all text."""

    series: pd.Series

    @property
    def family(self) -> Family:
        """Return the type that all cells have."""
        return _FAMILIES[self.series.dtype.kind]

    @cached_property
    def missing(self) -> NDArray[np.bool_]:
        """Return where cells are missing, (N,)."""
        cells = self.values if self.family == "float" else self.series
        return np.asarray(pd.isna(cells), dtype=bool)

    @cached_property
    def values(self) -> NDArray[Any]:
        """Return the cells (N,) as int64, float64, bool, datetime64 in UTC, or codes of categories.

        Values of missing cells are arbitrary.
        """
        series: Any = self.series
        if self.family == "category":
            return self.coded[0]
        if self.family == "datetime":
            zoned = isinstance(series.dtype, pd.DatetimeTZDtype)
            return np.asarray(series.dt.tz_convert(None) if zoned else series)
        stored: Any = {"float": np.float64, "boolean": np.bool_}.get(self.family, np.int64)
        gap = np.nan if self.family == "float" else stored(0)
        return np.asarray(series.to_numpy(dtype=stored, na_value=gap))

    @property
    def known(self) -> NDArray[Any]:
        """Return the values that are not missing."""
        return self.values[~self.missing]

    @cached_property
    def coded(self) -> tuple[NDArray[np.int64], tuple[Scalar, ...]]:
        """Return codes (N,), -1 where missing, and the distinct cells in their order."""
        if self.family == "datetime":
            raise DataError(
                f"column {self.series.name!r} holds dates and cannot be categorical; make them "
                "text first: astype(str)"
            )
        cells = self.series.astype("category").cat.remove_unused_categories().cat
        return cells.codes.to_numpy().astype(np.int64), tuple(cells.categories.tolist())


def read_cells(series: pd.Series) -> Cells:
    """Read the cells of a column. Raises DataError for a dtype or a cell that is not supported."""
    return Cells(plain_series(series))


def datetimes_of(series: pd.Series, pattern: str) -> pd.Series:
    """Read text as datetimes by strptime's pattern; cells that do not follow it are missing."""
    read: pd.Series = pd.to_datetime(series.astype(object), format=pattern, errors="coerce")
    return read.dt.tz_localize(None)


def plain(series: pd.Series, column: Column) -> Plain:
    """Return the cells (N,) of a learned column as a model sees them.

    numeric, datetime: float64 distances from `column.origin`, NaN where missing. categorical:
    int32 codes into `categories`, -1 where missing or never seen.
    Raises DataError where the series holds other cells than the column did.
    """
    assert column.learned, f"column {column.name!r} is {column.kind}: it is not learned"
    cells = read_cells(series)
    if column.pattern and cells.family == "category":
        cells = Cells(datetimes_of(cells.series, column.pattern))
    if column.kind == "categorical":
        codes, own = cells.coded
        index = {category: code for code, category in enumerate(column.categories)}
        return np.array([*(index.get(one, -1) for one in own), -1], dtype=np.int32)[codes]
    if cells.missing.all():
        return np.full(len(series), np.nan)
    values, dates = cells.values, column.unit is not None
    if cells.family == "category" or dates != (cells.family == "datetime"):
        raise DataError(
            f"column {column.name!r} was learned as {column.kind} ({column.dtype}) and holds "
            f"{series.dtype} here; convert it to {column.dtype}"
        )
    if dates:  # floors to the column's unit
        values = values.astype(f"M8[{column.unit}]").astype(np.int64)
    distance: NDArray[np.float64] = (values - column.origin).astype(np.float64)
    distance[cells.missing] = np.nan
    return distance


def plain_columns(frame: pd.DataFrame, columns: Sequence[Column]) -> dict[Name, Plain]:
    """Return {name: `plain` of the cells}. All-float frames take a path 30 times as fast."""
    names = [column.name for column in columns]
    if len(names) > 1 and all(column.kind == "numeric" for column in columns):
        rows = frame[names]
        if all(isinstance(dtype, np.dtype) and dtype.kind == "f" for dtype in rows.dtypes):
            cells = np.ascontiguousarray(rows.to_numpy(np.float64).T)
            return dict(zip(names, cells, strict=True))
    return {column.name: plain(frame[column.name], column) for column in columns}


def restored(values: ArrayLike, column: Column) -> pd.Series:
    """Turn cells (N,) as returned by `plain` into a series of `column.dtype`.

    Numbers are rounded to the digits of the training data and lie in [low, high]. NaN and -1
    become missing cells; the dtype must have room for them. The values of a constant are ignored.
    """
    array, dtype = np.asarray(values), column.pandas_dtype
    if not column.learned:
        array = np.full(len(array), 0 if column.categories or column.unit else -1)
    if not column.has_numbers and column.unit is None:
        gap = [np.nan if dtype == np.dtype(object) else None] if (array < 0).any() else []
        cells = pd.Series([*column.categories, *gap], dtype=dtype).take(array)
        return cells.reset_index(drop=True).rename(column.name)
    missing = np.isnan(array)
    numbers: NDArray[Any]
    values, low, high = np.where(missing, 0.0, array), column.low or 0, column.high or 0
    if column.decimals != 0 or isinstance(low, float) or isinstance(high, float):
        near = values if column.decimals is None else np.round(values, column.decimals)
        numbers = np.clip(near, low, high) + 0.0  # no -0.0
    else:
        low, high = low - column.origin, high - column.origin
        whole = np.clip(np.rint(values), low, high).astype(np.int64)
        numbers = np.clip(whole, low, high) + column.origin  # a float bound may be rounded outwards
    if column.unit is None:
        series = pd.Series(numbers).astype(dtype)
    else:
        series = _dates(pd.Series(numbers.astype(np.int64).view(f"M8[{column.unit}]")), column)
    if missing.any():
        series[missing] = np.nan
    return series.rename(column.name)


def _dates(dates: pd.Series, column: Column) -> pd.Series:
    """Return datetimes in UTC as a column has them: text by its pattern, or of its dtype."""
    if column.pattern:
        dates = dates.dt.strftime(column.pattern)
    elif isinstance(column.pandas_dtype, pd.DatetimeTZDtype):
        dates = dates.dt.tz_localize("UTC")
    return dates.astype(column.pandas_dtype)


def output_frame(
    values: Mapping[Name, ArrayLike], schema: TableSchema, n: int, first: int = 0
) -> pd.DataFrame:
    """Make n rows of all feature columns in the schema's order, with their dtypes.

    values: (n,) as returned by `plain`, for every learned column. Constants are filled in. Ids are
    refilled from the synthetic row number `first` on.
    """
    series = {
        column.name: _new_ids(column, column.pandas_dtype, ["synthetic"] * n, first)
        if column.kind == "id"
        else restored(values[column.name] if column.learned else np.zeros(n), column)
        for column in schema.columns
    }
    return pd.DataFrame(series, copy=False)


def as_columns_of(frame: pd.DataFrame, made: TableSchema, schema: TableSchema) -> pd.DataFrame:
    """Return rows of another schema in the column order and date format of `schema`."""
    columns = {column.name: column for column in made.columns}
    out = frame[list(schema.names)].copy(deep=False)
    for column in schema.columns:
        was, cells = columns[column.name], frame[column.name]
        if was.unit is not None and (was.pattern, was.dtype) != (column.pattern, column.dtype):
            dates = datetimes_of(cells, was.pattern) if was.pattern else Cells(cells).values
            out[column.name] = _dates(pd.Series(dates), column).set_axis(frame.index)
    return out


def joined(frame: pd.DataFrame, labels: NDArray[np.int64], schema: TableSchema) -> pd.DataFrame:
    """Return the features with the target in its place, in its own dtype and values."""
    if schema.target is None or schema.position is None:
        return frame
    column, at = restored(labels, schema.target).set_axis(frame.index), schema.position
    return pd.concat([frame.iloc[:, :at], column, frame.iloc[:, at:]], axis=1)


def with_new_ids(
    frame: pd.DataFrame,
    schema: TableSchema,
    like: pd.DataFrame,
    first: int,
    origins: Sequence[str],
) -> pd.DataFrame:
    """Return rows with id columns refilled from number `first` on; text begins with `origins`."""
    frame = frame.copy(deep=False)
    for column in schema.id_columns:
        cells = _new_ids(column, like[column.name].dtype, origins, first)
        frame[column.name] = cells.set_axis(frame.index)
    return frame


def _new_ids(column: Column, dtype: Any, origins: Sequence[str], first: int) -> pd.Series:
    """Make new ids for the added rows number `first` on; DataError if a dtype has no more."""
    n = len(origins)
    if column.last is None:
        return pd.Series([None] * n, dtype=dtype)
    numbers = range(column.last + 1 + first, column.last + 1 + first + n)
    if dtype.kind not in "iu":
        pairs = zip(origins, numbers, strict=True)
        return pd.Series([f"{origin}-{number:06d}" for origin, number in pairs], dtype=dtype)
    if numbers.stop - 1 > np.iinfo(getattr(dtype, "numpy_dtype", dtype)).max:
        raise DataError(
            f"id column {column.name!r} is {dtype}, which has no numbers left for "
            f"{first + n:,} added rows; make it int64 before fitting, or drop it"
        )
    return pd.Series(numbers, dtype=dtype)
