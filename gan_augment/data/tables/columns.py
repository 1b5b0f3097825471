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
    if family == "levels":
        coded = series.astype("category").cat  # text is sorted
        codes, distinct = coded.codes.to_numpy().astype(np.int64), coded.categories
        used = np.unique(codes[codes >= 0])
        places = np.full(len(distinct) + 1, -1)
        places[used] = np.arange(len(used))
        return Cells(series, family, missing, places[codes], tuple(distinct[used].tolist()))
    if family == "datetime":
        zoned = isinstance(dtype, pd.DatetimeTZDtype)
        moments = series.dt.tz_convert("UTC").dt.tz_localize(None) if zoned else series
        return Cells(series, family, missing, moments.to_numpy())
    if family == "float":
        values = series.to_numpy(dtype=np.float64, na_value=np.nan)
        return Cells(series, family, np.isnan(values), values)
    stored: Any = np.bool_ if family == "boolean" else np.int64
    return Cells(series, family, missing, series.to_numpy(dtype=stored, na_value=stored(0)))


def moments_of(series: pd.Series, pattern: str) -> pd.Series:
    """Read text as moments by strptime's pattern; cells that do not follow it are missing."""
    moments: pd.Series = pd.to_datetime(series, format=pattern, errors="coerce")
    zoned = isinstance(moments.dtype, pd.DatetimeTZDtype)
    return moments.dt.tz_localize(None) if zoned else moments


def plain(series: pd.Series, column: Column) -> Plain:
    """Return the cells (N,) of a learned column as a model sees them.

    numeric, datetime: float64 distances from `column.origin`, NaN where missing. categorical,
    boolean: int32 codes into `levels`, -1 where missing or never seen.
    Raises DataError where the series holds other cells than the column did.
    """
    assert column.learned, f"column {column.name!r} is {column.kind}: it is not learned"
    cells = read_cells(series)
    if column.pattern and cells.family == "levels":
        cells = read_cells(moments_of(cells.series.astype(object), column.pattern))
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
        array = np.full(len(array), 0 if column.levels or column.unit else -1)
    if not column.has_numbers and column.unit is None:
        gap = [np.nan if dtype == np.dtype(object) else None] if (array < 0).any() else []
        known = [*column.levels, *gap]
        cells = pd.Series(known, dtype=dtype).take(array)
        return cells.reset_index(drop=True).rename(column.name)
    missing = np.isnan(array)
    numbers = _rounded(np.where(missing, 0.0, array), column)
    series = pd.Series(numbers, name=column.name)
    if column.unit is not None:
        unit = "s" if column.unit in ("D", "h", "m") else column.unit  # pandas' coarsest unit
        ticks = numbers.astype(np.int64).view(f"M8[{column.unit}]")
        series = pd.Series(ticks.astype(f"M8[{unit}]"), name=column.name)
        if column.pattern:
            series = series.dt.strftime(column.pattern)
        elif isinstance(dtype, pd.DatetimeTZDtype):
            series = series.dt.tz_localize("UTC")
    series = series.astype(dtype)
    if missing.any():
        series[missing] = np.nan
    return series


def output_frame(
    values: Mapping[Name, ArrayLike], schema: TableSchema, n: int, first: int = 0
) -> pd.DataFrame:
    """Make n rows of all feature columns in the schema's order, with their dtypes.

    values: (n,) as returned by `plain`, for every learned column. Constants are filled in. Ids are
    refilled from the synthetic row number `first` on.
    """
    series = {
        column.name: _new_ids(column, column.pandas_dtype, ["synthetic"] * n, first)
        if column.is_id
        else restored(values[column.name] if column.learned else np.zeros(n), column)
        for column in schema.columns
    }
    return pd.DataFrame(series, copy=False)


def joined(frame: pd.DataFrame, labels: NDArray[np.int64], schema: TableSchema) -> pd.DataFrame:
    """Return the features with the target in its place, in its own dtype and values.

    labels: (N,) class indices. Returns the frame itself where the labels came without a column.
    """
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
    """Return the rows with id columns refilled from the added row number `first` on.

    like: a frame with the dtypes of these columns. origins: the rows' origins, which begin ids of
    text.
    """
    frame = frame.copy(deep=False)
    for column in (column for column in schema.columns if column.is_id):
        cells = _new_ids(column, like[column.name].dtype, origins, first)
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


def _rounded(values: NDArray[np.float64], column: Column) -> NDArray[np.float64 | np.int64]:
    """Round to the digits of the training data, within its range; integers become int64."""
    low, high = column.low or 0, column.high or 0
    if column.decimals != 0 or isinstance(low, float) or isinstance(high, float):
        near = values if column.decimals is None else np.round(values, column.decimals)
        return np.clip(near, low, high) + 0.0  # no -0.0
    low, high = low - column.origin, high - column.origin
    whole = np.clip(np.rint(values), low, high).astype(np.int64)
    return np.clip(whole, low, high) + column.origin  # a float bound may be rounded outwards


def _new_ids(column: Column, dtype: Any, origins: Sequence[str], first: int) -> pd.Series:
    """Make new ids for the added rows number `first` on; none occurs in training.

    Raises DataError where the dtype has no number left.
    """
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
