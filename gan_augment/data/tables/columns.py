"""Columns as plain numbers and codes, and back in the dtype of the training data."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from gan_augment.data.tables.containers import normalised
from gan_augment.data.tables.schema import Column, Name, Scalar, TableSchema
from gan_augment.errors import DataError
from gan_augment.kinds.kind import Labelled

Family = Literal["integer", "float", "boolean", "datetime", "levels"]
Plain = NDArray[np.float64] | NDArray[np.int32]
FEW_COLUMNS = 90  # pandas warns at an insertion into a frame of more separate columns
EXACT = 2**53  # whole numbers up to here are float64s

_FAMILIES: dict[str, Family] = {"i": "integer", "u": "integer", "f": "float", "b": "boolean"}
_FAMILIES |= {"M": "datetime", "O": "levels"}


@dataclass(frozen=True, eq=False)
class Cells:
    """The cells of one column in canonical form.

    values: (N,) int64, float64, bool or datetime64 in UTC, by family; of levels int64 codes into
    `levels`. Where `missing`, (N,), is true, values are arbitrary.
    """

    series: pd.Series
    family: Family
    missing: NDArray[np.bool_]
    values: NDArray[Any]
    levels: tuple[Scalar, ...] = ()

    @property
    def known(self) -> NDArray[Any]:
        """Return the values that are not missing."""
        return self.values[~self.missing]

    @cached_property
    def coded(self) -> tuple[NDArray[np.int64], tuple[Scalar, ...]]:
        """Return codes (N,), -1 where missing, and the distinct cells in their order."""
        if self.family == "levels":
            return self.values, self.levels
        if self.family == "datetime":
            raise DataError(
                f"column {self.series.name!r} holds dates and cannot be categorical; make them "
                "text first: astype(str)"
            )
        codes = np.full(len(self.values), -1, dtype=np.int64)
        distinct, codes[~self.missing] = np.unique(self.known, return_inverse=True)
        return codes, tuple(distinct.tolist())


def read_cells(series: pd.Series) -> Cells:
    """Read the cells of a column. Raises DataError for a dtype or a cell that is not supported."""
    series = normalised(series)
    dtype: Any = series.dtype
    missing = series.isna().to_numpy(dtype=bool)
    family = _FAMILIES[dtype.kind]
    if isinstance(dtype, pd.CategoricalDtype):
        codes, distinct = series.cat.codes.to_numpy().astype(np.int64), dtype.categories
        used = np.unique(codes[codes >= 0])
        places = np.full(len(distinct) + 1, -1)
        places[used] = np.arange(len(used))
        return Cells(series, "levels", missing, places[codes], tuple(distinct[used].tolist()))
    if family == "levels":
        codes, distinct = pd.factorize(series)
        levels = sorted(distinct.tolist())
        place = {level: number for number, level in enumerate(levels)}
        places = np.array([*(place[level] for level in distinct.tolist()), -1], dtype=np.int64)
        return Cells(series, "levels", missing, places[codes], tuple(levels))
    if family == "datetime":
        zoned = isinstance(dtype, pd.DatetimeTZDtype)
        moments = series.dt.tz_convert("UTC").dt.tz_localize(None) if zoned else series
        return Cells(series, family, missing, moments.to_numpy())
    if family == "float":
        values = series.to_numpy(dtype=np.float64, na_value=np.nan)
        return Cells(series, family, np.isnan(values), values)
    stored: Any = np.bool_ if family == "boolean" else np.int64
    return Cells(series, family, missing, series.to_numpy(dtype=stored, na_value=stored(0)))


def plain(series: pd.Series, column: Column) -> Plain:
    """Return the cells (N,) of a learned column as a model sees them.

    numeric, datetime: float64 distances from `column.origin`, NaN where missing. categorical,
    boolean: int32 codes into `levels`, -1 where missing or never seen.
    Raises DataError where the series holds other cells than the column did.
    """
    assert column.learned, f"column {column.name!r} is {column.kind}: it is not learned"
    cells = read_cells(series)
    if column.has_levels:
        codes, own = cells.coded
        index = {level: code for code, level in enumerate(column.levels)}
        return np.array([*(index.get(level, -1) for level in own), -1], dtype=np.int32)[codes]
    moments, gone = cells.family == "datetime", bool(cells.missing.all())
    if not gone and (cells.family == "levels" or moments != (column.unit is not None)):
        raise DataError(
            f"column {column.name!r} was learned as {column.kind} ({column.dtype}) and holds "
            f"{series.dtype} here; convert it to {column.dtype}"
        )
    values = cells.values
    if moments:  # floors to the column's unit
        values = values.astype(f"M8[{column.unit}]").astype(np.int64)
    elif values.dtype == np.bool_:
        values = values.astype(np.int64)
    distance = (values - column.origin).astype(np.float64)
    distance[cells.missing] = np.nan
    return distance


def plain_columns(frame: pd.DataFrame, columns: Sequence[Column]) -> dict[Name, Plain]:
    """Return {name: `plain` of the cells}. All-float frames take a path 30 times as fast."""
    names = [column.name for column in columns]
    if len(names) > 1 and all(map(_is_float, columns)):
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
        array = np.full(len(array), 0 if column.levels or column.unit else -1)
    if not column.has_numbers and column.unit is None:
        gap = [np.nan if dtype == np.dtype(object) else None] if (array < 0).any() else []
        known = [*column.levels, *gap]
        cells = pd.Series(known, dtype=dtype).take(array)
        return cells.reset_index(drop=True).rename(column.name)
    missing = np.isnan(array)
    numbers = _rounded(np.where(missing, 0.0, array), column)
    if column.unit is None:
        series = pd.Series(numbers).astype(dtype)
    else:
        unit = "s" if column.unit in ("D", "h", "m") else column.unit  # pandas' coarsest unit
        ticks = numbers.astype(np.int64).view(f"M8[{column.unit}]")
        moments = pd.Series(ticks.astype(f"M8[{unit}]"))
        zoned = isinstance(dtype, pd.DatetimeTZDtype)
        series = (moments.dt.tz_localize("UTC") if zoned else moments).astype(dtype)
    if missing.any():
        series[missing] = None
    return series.rename(column.name)


def output_frame(
    values: Mapping[Name, ArrayLike], schema: TableSchema, n: int, first: int = 0
) -> pd.DataFrame:
    """Make n rows of all feature columns in the schema's order, with their dtypes.

    values: (n,) as returned by `plain`, for every learned column. Constants are filled in. Ids are
    refilled from the synthetic row number `first` on.
    """
    columns = schema.columns
    if len({column.dtype for column in columns}) == 1 and all(map(_is_float, columns)):
        constants = {c.name: np.full(n, (*c.levels, np.nan)[0]) for c in columns if not c.learned}
        every: Any = {**values, **constants}
        numbers = np.stack([_digits(every[c.name], c.decimals) for c in columns], axis=1)
        low = [-np.inf if c.low is None else c.low for c in columns]
        high = [np.inf if c.high is None else c.high for c in columns]
        near = np.clip(numbers, low, high) + 0.0  # no -0.0
        names, dtype = [column.name for column in columns], columns[0].pandas_dtype
        return pd.DataFrame(near.astype(dtype), columns=names, copy=False)
    series = {
        column.name: _new_ids(column, column.pandas_dtype, n, first)
        if column.is_id
        else restored(values[column.name] if column.learned else np.zeros(n), column)
        for column in columns
    }
    return pd.DataFrame(series, copy=False)


def joined(frame: pd.DataFrame, labels: NDArray[np.int64], schema: TableSchema) -> pd.DataFrame:
    """Return the features with the target in its place, in its own dtype and values.

    labels: (N,) class indices. Returns the frame itself where the labels came without a column.
    """
    if schema.target is None or schema.position is None:
        return frame
    column = restored(labels, schema.target).set_axis(frame.index)
    whole = frame.copy(deep=len(frame.columns) > FEW_COLUMNS)
    whole.insert(min(schema.position, len(whole.columns)), schema.target.name, column)
    return whole


def with_new_ids(
    frame: pd.DataFrame, schema: TableSchema, like: pd.DataFrame, first: int
) -> pd.DataFrame:
    """Return the rows with id columns refilled from the synthetic row number `first` on.

    like: a frame with the dtypes of these columns.
    """
    frame = frame.copy(deep=False)
    for column in (column for column in schema.columns if column.is_id):
        cells = _new_ids(column, like[column.name].dtype, len(frame), first)
        frame[column.name] = cells.set_axis(frame.index)
    return frame


def table_sha256(table: Labelled, unlabelled: Labelled | None = None) -> str:
    """Return the fingerprint of a table, in hexadecimal.

    It covers names, dtypes, cells, labels, ids, groups and class names in their order, but not the
    frame's index.
    """
    total = hashlib.sha256(repr((len(table), table.names)).encode())
    for number, name in enumerate(table.frame.columns):
        column = table.frame.iloc[:, number]
        total.update(repr((name, str(column.dtype))).encode("utf-8", "surrogatepass"))
        total.update(pd.util.hash_pandas_object(column, index=False).to_numpy().data)
    total.update(np.ascontiguousarray(table.labels.astype("<i8")).data)
    total.update("\0".join(table.ids.tolist()).encode())
    if table.groups is not None:
        total.update(b"\0groups" + np.ascontiguousarray(table.groups.astype("<i8")).tobytes())
    if unlabelled is not None:
        total.update(b"\0unlabelled" + table_sha256(unlabelled).encode())
    return total.hexdigest()


def _is_float(column: Column) -> bool:
    """Return whether the cells are plain NumPy floats, learned or constant."""
    return not (column.has_levels or column.is_id) and column.dtype in ("float32", "float64")


def _digits(values: ArrayLike, decimals: int | None) -> NDArray[np.float64]:
    """Round to so many digits after the point; None keeps all digits."""
    numbers = np.asarray(values, dtype=np.float64)
    return numbers if decimals is None else np.round(numbers, decimals)


def _rounded(values: NDArray[np.float64], column: Column) -> NDArray[np.float64 | np.int64]:
    """Round to the digits of the training data, within its range; integers become int64."""
    low, high = column.low or 0, column.high or 0
    if column.decimals != 0 or isinstance(low, float) or isinstance(high, float):
        return np.clip(_digits(values, column.decimals), low, high) + 0.0  # no -0.0
    low, high = low - column.origin, high - column.origin
    whole = np.clip(np.rint(values), low, high).astype(np.int64)
    return np.clip(whole, low, high) + column.origin  # a float bound may be rounded outwards


def _new_ids(column: Column, dtype: Any, n: int, first: int) -> pd.Series:
    """Make n new ids for the synthetic rows number `first` on; none occurs in training.

    Raises DataError where the dtype has no number left.
    """
    if column.last is None:
        return pd.Series([None] * n, dtype=dtype)
    numbers = range(column.last + 1 + first, column.last + 1 + first + n)
    if dtype.kind not in "iu":
        return pd.Series([f"synthetic-{number:06d}" for number in numbers], dtype=dtype)
    if numbers.stop - 1 > np.iinfo(getattr(dtype, "numpy_dtype", dtype)).max:
        raise DataError(
            f"id column {column.name!r} is {dtype}, which has no numbers left for "
            f"{first + n:,} synthetic rows; make it int64 before fitting, or drop it"
        )
    return pd.Series(numbers, dtype=dtype)
