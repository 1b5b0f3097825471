"""Columns as plain numbers and codes, and back in the dtype of the training data.

`read_cells` brings every dtype into one of five canonical forms; everything else sees these only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from gan_augment.data.tables.schema import Column, Name, Scalar, TableSchema, dtype_text
from gan_augment.errors import DataError
from gan_augment.kinds.kind import Labelled

Family = Literal["integer", "float", "boolean", "datetime", "levels", "empty"]
Mask = NDArray[np.bool_]
Codes = NDArray[np.int32]
Plain = NDArray[np.float64] | NDArray[np.int32]
FEW_COLUMNS = 90  # pandas warns at an insertion into a frame of more separate columns
EXACT = 2**53  # whole numbers up to here are float64s

_BY_KIND: dict[str, Family] = {"i": "integer", "u": "integer", "f": "float", "b": "boolean"}
_BY_KIND |= {"M": "datetime"}
_BY_OBJECTS: dict[str, Family] = {"integer": "integer", "floating": "float", "boolean": "boolean"}
_BY_OBJECTS |= {"mixed-integer-float": "float", "integer-na": "integer", "date": "datetime"}
_BY_OBJECTS |= {"datetime": "datetime", "datetime64": "datetime", "string": "levels"}
_BY_OBJECTS |= {"mixed": "levels", "mixed-integer": "levels", "empty": "empty"}
_STORED = {"integer": np.int64, "float": np.float64, "boolean": np.bool_}


@dataclass(frozen=True, eq=False)
class Cells:
    """The cells of one column in canonical form.

    values: (N,) int64, float64, bool or datetime64 in UTC, by family; of levels int64 codes into
    `levels`. Where `missing`, (N,), is true, values are arbitrary.
    """

    series: pd.Series
    family: Family
    missing: Mask
    values: NDArray[Any]
    levels: tuple[Scalar, ...] = ()
    dates: bool = False

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
    dtype: Any = series.dtype
    missing = series.isna().to_numpy(dtype=bool)
    if dtype == np.dtype(object):
        return _read_objects(series, missing)
    text = isinstance(dtype, pd.StringDtype) or dtype.kind == "U"
    if text or isinstance(dtype, pd.CategoricalDtype):
        return _read_levels(series, missing)
    family = None if isinstance(dtype, pd.SparseDtype) else _BY_KIND.get(dtype.kind)
    if family is None:
        if missing.all() and dtype_text(dtype) == "arrow:null":
            return Cells(series, "empty", missing, np.zeros(len(series)))
        raise _unsupported(series, str(dtype))
    if family == "datetime":
        moments = series
        if isinstance(dtype, pd.ArrowDtype):
            moments = pd.Series(pa.array(series.array).to_pandas(date_as_object=False))
        if isinstance(moments.dtype, pd.DatetimeTZDtype):
            moments = moments.dt.tz_convert("UTC").dt.tz_localize(None)
        return Cells(series, family, missing, moments.to_numpy())
    if family == "float":
        values = series.to_numpy(dtype=np.float64, na_value=np.nan)
        return Cells(series, family, np.isnan(values), values)
    stored = np.uint64 if dtype.kind == "u" else _STORED[family]
    values = series.to_numpy(dtype=stored, na_value=False if family == "boolean" else 0)
    if dtype.kind == "u" and (values >= 2**63).any():
        raise _unsupported(series, f"{dtype} beyond 2^63")
    return Cells(series, family, missing, values.astype(_STORED[family], copy=False))


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
    moments = cells.family == "datetime"
    if cells.family == "levels" or (moments != bool(column.unit) and cells.family != "empty"):
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
    cells: Any
    if not column.learned:
        array = np.full(len(array), 0 if column.levels or column.unit else -1)
    if column.has_numbers or column.unit is not None:
        missing = np.isnan(array)
        numbers = _rounded(np.where(missing, 0.0, array), column)
        if column.unit is not None:
            cells = _moments(numbers, missing, column)
        elif isinstance(dtype, np.dtype) and dtype.kind == "f":
            cells = np.where(missing, np.nan, numbers).astype(dtype)
        else:
            masked = (
                pd.arrays.IntegerArray if numbers.dtype.kind == "i" else pd.arrays.FloatingArray
            )
            cells = pd.Series(masked(numbers, missing)).astype(dtype)
    else:
        missing = array < 0
        known = [*column.levels, None] if missing.any() else column.levels
        distinct = np.fromiter(known, dtype=object, count=len(known))
        objects = dtype == np.dtype(object)
        cells = distinct[array] if objects else pd.Series(distinct, dtype=dtype).array.take(array)
    series = pd.Series(cells, name=column.name, copy=False, dtype=dtype)
    if dtype == np.dtype(object) and missing.any() and (column.none or column.unit is None):
        series[missing] = None if column.none else np.nan
    return series


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
        low, high = (
            [getattr(c, end) or 0 if c.learned else endless for c in columns]
            for end, endless in (("low", -np.inf), ("high", np.inf))
        )
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
        total.update(repr((name, dtype_text(column.dtype))).encode("utf-8", "surrogatepass"))
        total.update(pd.util.hash_pandas_object(column, index=False).to_numpy().data)
    total.update(np.ascontiguousarray(table.labels.astype("<i8")).data)
    total.update("\0".join(table.ids.tolist()).encode())
    if table.groups is not None:
        total.update(b"\0groups" + np.ascontiguousarray(table.groups.astype("<i8")).tobytes())
    if unlabelled is not None:
        total.update(b"\0unlabelled" + table_sha256(unlabelled).encode())
    return total.hexdigest()


def row_hashes(frame: pd.DataFrame) -> NDArray[np.uint64]:
    """Hash rows, (N,): equal for rows with equal cells; two missing cells are equal."""
    hashes: NDArray[np.uint64] = pd.util.hash_pandas_object(frame, index=False).to_numpy()
    return hashes


def _read_objects(series: pd.Series, missing: Mask) -> Cells:
    """Read an object column by the common type of its cells."""
    found = pd.api.types.infer_dtype(series, skipna=True)
    family = _BY_OBJECTS.get(found)
    if family is None:
        raise _unsupported(series, f"{found} objects")
    if family == "levels":
        return _read_levels(series, missing)
    if family == "datetime":
        try:
            moments = pd.to_datetime(series)
            if isinstance(moments.dtype, pd.DatetimeTZDtype):
                raise ValueError
        except (ValueError, OverflowError):  # several zones, or years out of range
            raise _unsupported(series, "Python datetimes with a time zone") from None
        return Cells(series, family, missing, moments.to_numpy(), dates=found == "date")
    values: NDArray[Any] = np.zeros(len(series), dtype=_STORED.get(family, np.float64))
    try:
        values[~missing] = series.to_numpy()[~missing].astype(values.dtype)
    except OverflowError:  # beyond 64 bits
        return _read_levels(series, missing)
    return Cells(series, family, missing, values)


def _read_levels(series: pd.Series, missing: Mask) -> Cells:
    """Code text, categories and mixed objects. Raises DataError for cells of other types."""
    ordered = isinstance(series.dtype, pd.CategoricalDtype)
    try:
        if ordered:
            codes, distinct = series.cat.codes.to_numpy().astype(int), series.cat.categories
        else:
            codes, distinct = pd.factorize(series)
        levels = [level_of(cell) for cell in distinct]
    except (TypeError, ValueError) as error:
        raise _unsupported(series, f"cells that are not plain values ({error})") from None
    used = np.flatnonzero(np.bincount(codes[codes >= 0], minlength=len(levels))).tolist()
    order = (
        used
        if ordered
        else sorted(used, key=lambda code: (type(levels[code]).__name__, levels[code]))
    )
    places = np.full(len(levels) + 1, -1)
    places[order] = np.arange(len(order))
    return Cells(series, "levels", missing, places[codes], tuple(levels[code] for code in order))


def level_of(cell: Any) -> Scalar:
    """Return a cell as Python's text, boolean or number.

    Raises TypeError for other cells, ValueError for text that UTF-8 cannot hold.

    >>> level_of(np.int8(3))
    3
    """
    value = cell.item() if isinstance(cell, np.generic) else cell
    if isinstance(value, str):
        value.encode()
        return str(value)
    for kind in (bool, int, float):
        if isinstance(value, kind):
            return kind(value)
    raise TypeError(f"a {type(cell).__name__}")


def _unsupported(series: pd.Series, what: str) -> DataError:
    return DataError(
        f"column {series.name!r} holds {what}, which is not supported; convert it first: to "
        "numbers with astype(float), to dates with pandas.to_datetime, to text with astype(str). "
        "Or drop it."
    )


def _is_float(column: Column) -> bool:
    """Return whether the cells are plain NumPy floats, learned or constant."""
    return not (column.has_levels or column.is_id) and column.dtype in ("float32", "float64")


def _digits(values: ArrayLike, decimals: int | None) -> NDArray[np.float64]:
    """Round to so many digits after the point; None keeps all digits."""
    numbers = np.asarray(values, dtype=np.float64)
    return numbers if decimals is None else np.round(numbers, decimals)


def _moments(ticks: NDArray[Any], missing: Mask, column: Column) -> Any:
    """Turn ticks (N,) in UTC into cells of the column's dtype."""
    unit = "s" if column.unit in ("D", "h", "m") else column.unit  # pandas has no coarser unit
    moments = ticks.astype(np.int64).view(f"M8[{column.unit}]").astype(f"M8[{unit}]")
    moments[missing] = np.datetime64("NaT")
    cells, dtype = pd.Series(moments), column.pandas_dtype
    if dtype == np.dtype(object):
        return (cells.dt.date if column.dates else cells).astype(object)
    zone = getattr(getattr(dtype, "pyarrow_dtype", dtype), "tz", None)
    return (cells.dt.tz_localize("UTC") if zone else cells).astype(dtype)


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

    Integers continue after `last`; above the dtype's maximum they count down from below `low`.
    Raises DataError where no number is left.
    """
    last, low = int(column.last or 0), int(column.low or 0)
    ids: list[Any] = [None] * n
    if column.refill == "strings":
        ids = [f"synthetic-{last + 1 + number:06d}" for number in range(first, first + n)]
    elif column.refill == "integers":
        stored = np.dtype(getattr(dtype, "numpy_dtype", dtype))
        limits = np.iinfo(np.int64 if stored.kind == "O" else stored)
        above = int(limits.max) - last
        if first + n - above > low - int(limits.min):
            raise DataError(
                f"id column {column.name!r} is {column.dtype}, which has no numbers left for "
                f"{first + n:,} synthetic rows; make it int64 before fitting"
            )
        ids = [
            last + 1 + number if number < above else low - 1 + above - number
            for number in range(first, first + n)
        ]
    return pd.Series(ids, dtype=dtype)
