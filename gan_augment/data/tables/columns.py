"""Columns as plain numbers and codes, and back with the dtype and the values they had.

The cells of a column are read once: what they are, which are missing, their numbers or levels. What
is between (encoding, learning) sees plain arrays only. What a column means is inferred in
`inference.py` and described in `schema.py`.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray
from pandas.util import hash_array

from gan_augment.data.tables import MissingAs, Unit
from gan_augment.data.tables.schema import Column, Name, TableSchema, dtype_text
from gan_augment.data.tables.text import MomentNotation, notation_of, text_moments, text_numbers
from gan_augment.errors import DataError
from gan_augment.kinds.kind import Labelled

NumberFamily = Literal["integer", "float", "decimal", "boolean", "datetime", "duration"]
Family = NumberFamily | Literal["text", "category", "scalars", "nothing"]
Numbers = NDArray[np.int64] | NDArray[np.uint64] | NDArray[np.float64]
Ticks = NDArray[np.int64]
Mask = NDArray[np.bool_]
Codes = NDArray[np.int32]
Plain = NDArray[np.float64] | NDArray[np.int32]
FEW_COLUMNS = 90  # of more, held one by one, pandas warns at an insertion; a copy joins them

_SECOND = 1_000_000_000
NANOSECONDS: dict[Unit, int] = {"D": 86_400 * _SECOND, "h": 3_600 * _SECOND, "m": 60 * _SECOND}
NANOSECONDS |= {"s": _SECOND, "ms": 1_000_000, "us": 1_000, "ns": 1}
EXACT = 2**53  # whole numbers up to here are float64s
_NO_TIME = np.iinfo(np.int64).min
_HASH_OF_MISSING = 0x9E3779B97F4A7C15  # any number will do
_BY_ARROW_TYPE: tuple[tuple[Callable[[Any], bool], Family], ...] = (
    (pa.types.is_null, "nothing"),
    (pa.types.is_floating, "float"),
    (pa.types.is_integer, "integer"),
    (pa.types.is_decimal, "decimal"),
    (pa.types.is_boolean, "boolean"),
    (pa.types.is_string, "text"),
    (pa.types.is_large_string, "text"),
    (pa.types.is_dictionary, "category"),
    (pa.types.is_date, "datetime"),
    (pa.types.is_timestamp, "datetime"),
    (pa.types.is_duration, "duration"),
    (pa.types.is_time, "duration"),
)


@dataclass(frozen=True, eq=False)
class Cells:
    """The cells of one column of a frame.

    family: what they are. python: their type where they are Python's objects of one type, text
    apart. unit: of the ticks of moments and durations; None for periods. zone: of moments, or "".
    missing_as: what stands for the first missing cell among Python's objects.
    """

    series: pd.Series
    family: Family
    python: str | None = None
    unit: Unit | None = None
    zone: str = ""
    missing_as: MissingAs = "None"

    @cached_property
    def missing(self) -> Mask:
        """(N,); Float64 and Arrow's floats may hold NaN beside NA."""
        missing: Mask = self.series.isna().to_numpy(dtype=bool)
        if self.family == "float" and self.series.dtype != np.dtype(object):
            missing = np.isnan(self.series.to_numpy(dtype=np.float64, na_value=np.nan))
        return missing

    @cached_property
    def numbers(self) -> Numbers:
        """(N,) whole numbers, float64, or ticks of `unit`; anything where missing."""
        dtype: Any = self.series.dtype
        if self.python is not None:
            cells = self.series.to_numpy()
            if self.python == "Decimal":
                cells = np.where(self.missing, 0, cells).astype(np.float64)
            kind = arrow_type(dtype, self.python, self.zone)
            return _arrow_numbers(pa.array(cells, type=kind, mask=self.missing))
        array: Any = self.series.array
        if hasattr(array, "asi8"):
            return np.asarray(array.asi8)
        if not isinstance(dtype, np.dtype):
            return _arrow_numbers(pa.array(array))
        storage: Any = {"u": np.uint64, "f": np.float64}.get(dtype.kind, np.int64)
        numbers: Numbers = self.series.to_numpy().astype(storage)
        return numbers

    @property
    def holds_numbers(self) -> bool:
        """Whether the cells are numbers, booleans, moments or durations."""
        return self.family in get_args(NumberFamily)

    @property
    def known(self) -> Numbers:
        """The numbers without the missing ones."""
        return self.numbers[~self.missing]

    @cached_property
    def coded(self) -> tuple[NDArray[np.int64], list[object]]:
        """(codes (N,), distinct cells); -1 where missing. 1 is not "1".

        The values of a pandas category or an Arrow dictionary are in their order, others in any.
        Raises DataError for cells that nothing here could write again.
        """
        series: pd.Series = self.series
        if self.family == "category" and isinstance(series.dtype, pd.ArrowDtype):
            series = _pandas_category(series)
        if isinstance(series.dtype, pd.CategoricalDtype):
            codes, distinct = series.cat.codes.to_numpy(), series.dtype.categories.tolist()
        elif series.dtype != np.dtype(object) or self.family == "text":
            codes, uniques = pd.factorize(series)
            distinct = uniques.tolist()
        else:
            index: dict[tuple[type, object], int] = {}
            codes, distinct = np.full(len(series), -1), []
            cells = series.to_numpy()
            for row in np.flatnonzero(~self.missing).tolist():
                scalar = as_scalar(cells[row])
                key = (type(scalar), scalar) if scalar is not None else (type(cells[row]), None)
                codes[row] = index.setdefault(key, len(index))
                if codes[row] == len(distinct):
                    distinct.append(cells[row])
        used = np.bincount(codes[codes >= 0], minlength=len(distinct)) > 0
        codes = np.append(np.cumsum(used) - 1, -1)[codes]
        levels = [as_scalar(cell) for cell, occurs in zip(distinct, used, strict=True) if occurs]
        if None in levels:
            row = int((codes == levels.index(None)).argmax())
            raise DataError(
                f"column {series.name!r} holds a {type(series.iloc[row]).__name__} in row {row}; "
                "expected numbers, text, dates or other single values. Drop the column, or make it "
                "text with astype(str)."
            )
        return codes, levels

    @property
    def hashes(self) -> NDArray[np.uint64]:
        """(N,), the types of cells included: 1 is not "1" in a column of Python's objects."""
        if self.holds_numbers and self.family != "decimal":
            hashes = hash_array(self.numbers)
        else:
            codes, distinct = self.coded
            words = [f"{type(cell).__name__} {cell!r}" for cell in distinct]
            hashes = hash_array(np.array([*words, ""], dtype=object), categorize=False)[codes]
        return np.where(self.missing, np.uint64(_HASH_OF_MISSING), hashes)


def plain(series: pd.Series, column: Column) -> Plain:
    """Return the cells (N,) of a learned column as a model sees them.

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
            numbers, notation = text_moments(cells)
            unit = notation.unit
        else:
            numbers = text_numbers(cells)[0]
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


def plain_columns(frame: pd.DataFrame, columns: Sequence[Column]) -> dict[Name, Plain]:
    """Return {name: `plain` of the cells}; at once where all are floats of NumPy's, 30 times so."""
    names = [column.name for column in columns]
    if len(names) > 1 and all(map(_is_float, columns)):
        rows = frame[names]
        if all(isinstance(dtype, np.dtype) and dtype.kind == "f" for dtype in rows.dtypes):
            cells = np.ascontiguousarray(rows.to_numpy(np.float64).T)
            return dict(zip(names, cells, strict=True))
    return {column.name: plain(frame[column.name], column) for column in columns}


def restored(values: ArrayLike, column: Column) -> pd.Series:
    """Turn cells (N,) as of `plain` into a series of exactly `column.dtype`, named as the column.

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
    """Make n rows of all feature columns in the schema's order, with their dtypes.

    values: (n,) as of `plain`, for every learned column. Constants are filled in; ids are refilled,
    the rows being the synthetic rows number `first`, `first` + 1, ....
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
        if column.kind == "id"
        else restored(values[column.name] if column.learned else np.zeros(n), column)
        for column in schema.columns
    }
    return pd.DataFrame(series, copy=False)


def joined(frame: pd.DataFrame, labels: NDArray[np.int64], schema: TableSchema) -> pd.DataFrame:
    """Put the target back at its place in a frame of features, with its own dtype and values.

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
    """Return the rows with id-like columns refilled from the synthetic row number `first` on.

    like: a frame with the dtypes of these columns.
    """
    frame = frame.copy(deep=False)
    for column in (column for column in schema.columns if column.kind == "id"):
        cells = _new_ids(column, like[column.name].dtype, len(frame), first)
        frame[column.name] = cells.set_axis(frame.index)
    return frame


def read_cells(series: pd.Series) -> Cells:
    """Read the cells of a column. Raises DataError for a dtype that could not be written again.

    Object columns of one type (int, float, Decimal, date, datetime, timedelta, str) are that; of
    several, "scalars".
    """
    dtype: Any = series.dtype
    if dtype == np.dtype(object):
        return _object_cells(series)
    kind = arrow_type(dtype)
    family = _family_of(kind)
    if isinstance(dtype, pd.CategoricalDtype | pd.PeriodDtype):
        family = "category" if dtype == "category" else "datetime"
    if family is None:
        raise DataError(
            f"column {series.name!r} is {dtype}, which is not learned; make it plain numbers or "
            "text with astype, split it into plain columns, or drop it"
        )
    zone = getattr(getattr(dtype, "pyarrow_dtype", dtype), "tz", None) or ""
    return Cells(series, family, None, unit_of(kind), str(zone))


def codes_of(cells: Cells, levels: Sequence[object]) -> Codes:
    """Return the index of each cell among the levels, int32 (N,); -1 where it is none of them."""
    codes, distinct = cells.coded
    typed = len({type(level) for level in levels}) > 1  # 2.0 is the level 2 where all are numbers

    def key(level: object) -> object:
        return (type(level), level) if typed else level

    index = {key(level): code for code, level in enumerate(levels)}
    return np.array([*(index.get(key(cell), -1) for cell in distinct), -1], dtype=np.int32)[codes]


def table_sha256(table: Labelled, unlabelled: Labelled | None = None) -> str:
    """Return the fingerprint of a table, by which a resumed run knows its data again.

    sha256 in hexadecimal of names, dtypes, cells, labels, ids, groups and class names. The frame's
    index does not matter; the order of rows and columns does.
    """
    total = hashlib.sha256(repr((len(table), table.names)).encode())
    for number, name in enumerate(table.frame.columns):
        column = table.frame.iloc[:, number]
        total.update(repr((name, dtype_text(column.dtype))).encode("utf-8", "surrogatepass"))
        total.update(read_cells(column).hashes.data)
    total.update(np.ascontiguousarray(table.labels.astype("<i8")).data)
    total.update("\0".join(table.ids.tolist()).encode())
    if table.groups is not None:
        total.update(b"\0groups" + np.ascontiguousarray(table.groups.astype("<i8")).tobytes())
    if unlabelled is not None:
        total.update(b"\0unlabelled" + table_sha256(unlabelled).encode())
    return total.hexdigest()


def row_hashes(frame: pd.DataFrame) -> NDArray[np.uint64]:
    """Hash rows, (N,): equal for rows that are equal in every cell, missing ones included."""
    hashes = np.zeros(len(frame), dtype=np.uint64)
    for number in range(frame.shape[1]):
        column = read_cells(frame.iloc[:, number]).hashes
        hashes = hashes * np.uint64(6364136223846793005) + column
        hashes ^= hashes >> np.uint64(33)
    return hashes


def number_cells(numbers: Numbers, missing: Mask, dtype: Any, python: str | None, zone: str) -> Any:
    """Return an array of the dtype that holds the numbers (N,), ticks being of the dtype's unit.

    zone: of Python's datetimes in an object column, or "". Columns without room for missing cells
    are never asked for any; those of Python's objects are the caller's to set.
    """
    if python is not None:
        cells = _arrow_cells(numbers, missing, arrow_type(dtype, python, zone))
        if python == "date":  # ten times as fast
            return cells.to_numpy(zero_copy_only=False).astype(object)
        return np.fromiter(cells.to_pylist(), dtype=object, count=len(cells))
    if not isinstance(dtype, np.dtype | pd.PeriodDtype):
        return dtype.__from_arrow__(_arrow_cells(numbers, missing, arrow_type(dtype)))
    if dtype.kind == "f":
        return np.where(missing, np.nan, numbers).astype(dtype)
    if isinstance(dtype, np.dtype) and dtype.kind not in "Mm":
        assert not missing.any(), f"{dtype} has no room for a missing cell"
        return (numbers != 0) if dtype.kind == "b" else numbers.astype(dtype)
    ticks = np.where(missing, _NO_TIME, numbers).astype(np.int64)
    if isinstance(dtype, pd.PeriodDtype):
        return pd.PeriodIndex.from_ordinals(ticks, freq=dtype.freq).array
    return ticks.view(f"{dtype.kind}8[{np.datetime_data(dtype)[0]}]")


def level_cells(codes: Codes, levels: Sequence[object], dtype: Any, missing: object = None) -> Any:
    """Return the levels by code, (N,), as an array of the dtype; code -1 is `missing`."""
    some_missing = bool((codes < 0).any())
    if isinstance(dtype, pd.ArrowDtype) and pa.types.is_dictionary(dtype.pyarrow_dtype):
        kind = dtype.pyarrow_dtype  # pandas converts dictionaries of few types only
        places = pa.array(range(len(levels)), type=kind.index_type)
        values = pa.array(levels, type=kind.value_type)
        dictionary = pa.DictionaryArray.from_arrays(places, values, ordered=kind.ordered)
        return pd.arrays.ArrowExtensionArray(dictionary).take(codes, allow_fill=True)
    if isinstance(dtype, np.dtype) and dtype.kind in "biu":
        assert not some_missing, f"{dtype} has no room for a missing cell"
    known = [*levels, missing] if some_missing else levels
    distinct = np.fromiter(known, dtype=object, count=len(known))
    plain = dtype == np.dtype(object)
    return distinct[codes] if plain else pd.Series(distinct, dtype=dtype).array.take(codes)


def to_wall(ticks: Ticks, unit: str | None, zone: str) -> Ticks:
    """Turn ticks (N,) since 1970 in UTC into what the zone's clocks show, as if it were UTC."""
    moments = pd.DatetimeIndex(ticks.view(f"M8[{unit}]")).tz_localize("UTC")
    return np.asarray(moments.tz_convert(zone).tz_localize(None).asi8)


def from_wall(ticks: Ticks, unit: str | None, zone: str) -> Ticks:
    """Turn them back; into the first of two equal times, and the next time that there is."""
    naive = pd.DatetimeIndex(ticks.view(f"M8[{unit}]"))
    first = np.ones(len(naive), dtype=bool)
    local = naive.tz_localize(zone, ambiguous=first, nonexistent="shift_forward")
    return np.asarray(local.tz_convert("UTC").asi8)


def arrow_type(dtype: Any, python: str | None = None, zone: str = "") -> Any:
    """Return the Arrow type that holds numbers, moments or text of a dtype, or of Python's objects.

    None where there is none: for categories, periods and what is not learned. zone: of objects.
    """
    if python is not None:
        return {
            "int": pa.int64(),
            "float": pa.float64(),
            "Decimal": pa.float64(),
            "date": pa.date32(),
            "datetime": pa.timestamp("us", zone or None),
            "Timestamp": pa.timestamp("ns", zone or None),
            "timedelta": pa.duration("us"),
            "Timedelta": pa.duration("ns"),
        }[python]
    if isinstance(dtype, pd.ArrowDtype):
        return dtype.pyarrow_dtype
    if isinstance(dtype, pd.DatetimeTZDtype):
        return pa.timestamp(dtype.unit)
    if isinstance(dtype, pd.StringDtype):
        return pa.large_string()
    plain = getattr(dtype, "numpy_dtype", dtype)
    known = isinstance(plain, np.dtype) and plain.kind in "biufMm"
    return pa.from_numpy_dtype(plain.newbyteorder("=")) if known else None


def unit_of(kind: Any) -> Unit | None:
    """Return the unit of an Arrow type's ticks; None where it holds no moments or durations."""
    unit: Unit | None = getattr(kind, "unit", None)
    return {pa.date32(): "D", pa.date64(): "ms"}.get(kind, unit)  # type: ignore[return-value]


def _family_of(kind: Any) -> Family | None:
    return next((family for holds, family in _BY_ARROW_TYPE if kind and holds(kind)), None)


def _arrow_numbers(array: Any) -> Numbers:
    cells = pa.chunked_array(array)  # one array or several: several
    kind, storage = cells.type, pa.int64()
    if pa.types.is_decimal(kind) or pa.types.is_floating(kind):
        storage = pa.float64()
    elif pa.types.is_unsigned_integer(kind):
        storage = pa.uint64()
    elif pa.types.is_date32(kind) or pa.types.is_time32(kind):
        cells = cells.cast(pa.int32())
    return np.asarray(cells.cast(storage).fill_null(0).to_numpy())


def _arrow_cells(numbers: Numbers, missing: Mask, kind: Any) -> Any:
    storage: Any = numbers.dtype
    if pa.types.is_decimal(kind):
        storage = np.float64  # integers would need room for 19 digits
    elif pa.types.is_float16(kind):
        storage = np.float16
    elif pa.types.is_date32(kind) or pa.types.is_time32(kind):
        storage = np.int32
    return pa.array(numbers.astype(storage), mask=missing).cast(kind)


def _pandas_category(series: pd.Series) -> pd.Series:
    """Turn an Arrow dictionary into a pandas category; a damaged one into its values."""
    cells = pa.chunked_array(pa.array(series.array)).unify_dictionaries().combine_chunks()
    try:
        return pd.Series(cells.to_pandas(), name=series.name)
    except ValueError:  # values that are null or there twice
        values = cells.cast(cells.type.value_type)
        return pd.Series(pd.arrays.ArrowExtensionArray(values), name=series.name)


def _object_cells(series: pd.Series) -> Cells:
    missing = series.isna().to_numpy(dtype=bool)
    first = series.iloc[int(missing.argmax())] if missing.any() else None
    names: tuple[tuple[object, MissingAs], ...] = ((None, "None"), (pd.NA, "NA"), (pd.NaT, "NaT"))
    missing_as: MissingAs = next((name for cell, name in names if first is cell), "nan")
    if missing.all():
        return Cells(series, "nothing", missing_as=missing_as)
    known = series.to_numpy()[~missing].tolist()
    python = _python_type(known)
    if python is None or python == "str":
        return Cells(series, "text" if python else "scalars", missing_as=missing_as)
    zones = {str(getattr(cell, "tzinfo", None) or "") for cell in known}
    try:
        (zone,) = zones
        pd.DatetimeTZDtype(tz=zone or "UTC")
        kind = arrow_type(series.dtype, python, zone)
        family = "decimal" if python == "Decimal" else _family_of(kind) or "scalars"
        cells = Cells(series, family, python, unit_of(kind), zone, missing_as)
        assert cells.numbers is not None
    except (OverflowError, ValueError, TypeError, KeyError):
        # more than 64 bits hold, years that nanoseconds do not reach, several or unknown zones
        return Cells(series, "scalars", missing_as=missing_as)
    return cells


def _python_type(known: Sequence[object]) -> str | None:
    """Return the one type of all cells, by name; None where they are of several, or of another."""
    kinds = set(map(type, known))
    if all(issubclass(kind, str) for kind in kinds):
        return "str"
    if all(issubclass(k, int | float | np.integer | np.floating) and k is not bool for k in kinds):
        return "float" if any(issubclass(k, float | np.floating) for k in kinds) else "int"
    exact = (Decimal, dt.date, dt.datetime, dt.timedelta, pd.Timestamp, pd.Timedelta)
    (kind, *others) = kinds
    return kind.__name__ if not others and kind in exact else None


_SCALARS = {str, bool, int, float, Decimal, dt.datetime, dt.date, dt.time, dt.timedelta}
_SCALARS |= {pd.Period, pd.Timedelta, pd.Timestamp}


def as_scalar(value: Any) -> object | None:
    """Return the cell as one of the types that a column may hold (NumPy's as Python's), else None.

    >>> as_scalar(np.int8(3)), as_scalar([3])
    (3, None)
    """
    if isinstance(value, np.generic) and not isinstance(value, np.datetime64 | np.timedelta64):
        value = value.item()
    if type(value) in _SCALARS:
        return value  # type: ignore[no-any-return]
    plain = (kind for kind in (str, bool, int, float) if isinstance(value, kind))
    return next((kind(value) for kind in plain), None)  # enumerations and the like


def _is_float(column: Column) -> bool:
    """Tell whether the cells are plain floats of NumPy's, or all the same one."""
    known = column.kind in ("numeric", "constant") and column.dtype in ("float32", "float64")
    return known and not (column.text or column.python or column.unit)


def _digits(values: ArrayLike, decimals: int | None) -> NDArray[np.float64]:
    """Round to so many digits after the point; None: as they are."""
    numbers = np.asarray(values, dtype=np.float64)
    return numbers if decimals is None else np.round(numbers, decimals)


def _distance(numbers: Numbers, origin: int) -> NDArray[np.float64]:
    """Return numbers - origin as floats; exact for integers, in 64 bits without a sign."""
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
    if column.text is not None or column.python == "Decimal":
        distinct, inverse = np.unique(numbers[~missing], return_inverse=True)
        codes = np.full(len(numbers), -1, dtype=np.int32)
        codes[~missing] = inverse
        cells = level_cells(codes, _written(distinct, column), dtype)
    else:
        unit = unit_of(arrow_type(dtype, column.python))
        if column.unit is not None and unit is not None:
            numbers = numbers.astype(np.int64) * (NANOSECONDS[column.unit] // NANOSECONDS[unit])
            numbers = from_wall(numbers, unit, column.zone) if column.wall else numbers
        cells = number_cells(numbers, missing, dtype, column.python, column.zone)
    if dtype == np.dtype(object):
        cells[missing] = column.missing_cell
    return cells


def _written(numbers: NDArray[Any], column: Column) -> list[Any]:
    """Return the numbers as the texts or Decimals that a column holds."""
    if column.text is None:
        step, wide = Decimal(1).scaleb(-(column.decimals or 0)), Context(prec=400)
        texts = map(repr, numbers.astype(np.float64).tolist())
        return [Decimal(text).quantize(step, context=wide) for text in texts]
    notation = notation_of(column.text, column.decimals)
    if isinstance(notation, MomentNotation):
        return notation.write(numbers.astype(np.int64).view(f"M8[{notation.unit}]"))
    return notation.write(numbers)


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
    """Make n new ids, for the synthetic rows number `first` on; none occurs in training.

    Integers continue after `last`; above the dtype's maximum they count down from below `low`.
    Raises DataError where no number is left.
    """
    last, low = int(column.last or 0), int(column.low or 0)
    ids: list[Any] = [None] * n
    if column.refill == "strings":
        ids = [f"synthetic-{last + 1 + number:06d}" for number in range(first, first + n)]
    elif column.refill == "integers":
        limits = np.iinfo(arrow_type(dtype, column.python).to_pandas_dtype())
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
