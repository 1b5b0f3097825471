"""What a table's content hashes to: the "same data" of a resumed run. No files."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.contract import LabelledTable
from gan_augment.data.tables.schema import MissingAs, Unit, as_scalar
from gan_augment.errors import DataError

if TYPE_CHECKING:
    from pandas import DataFrame, DatetimeIndex, Series

    from gan_augment.data.tables.schema import MissingAs

_TIMESTAMP = re.compile(r"timestamp\[(\w+), tz=(.+)\]")
_DECIMAL = re.compile(r"decimal(32|64|128|256)\((\d+), (-?\d+)\)")
_DICTIONARY = re.compile(r"dictionary<values=(.+), indices=(\w+), ordered=([01])>")


def dtype_text(dtype: Any) -> str:
    """A dtype's name, from which `dtype_of_text` makes it again; categories apart.

    pandas calls two dtypes "string[pyarrow]"; here Arrow's own types are "arrow:string", and
    text whose missing value is NaN (the default of pandas 3) is "str[pyarrow]" or "str[python]".
    """
    import pandas as pd

    if isinstance(dtype, pd.ArrowDtype):
        return f"arrow:{dtype.pyarrow_dtype}"
    if isinstance(dtype, pd.StringDtype):
        return f"{'string' if dtype.na_value is pd.NA else 'str'}[{dtype.storage}]"
    return "category" if isinstance(dtype, pd.CategoricalDtype) else str(dtype)


def dtype_of_text(
    text: str,
    categories: Sequence[object] | None = None,
    categories_dtype: str | None = None,
    ordered: bool = False,
) -> Any:
    """The dtype of `dtype_text`. Raises TypeError or ValueError where there is none."""
    import numpy as np
    import pandas as pd

    if text == "category":
        levels = pd.Index(list(categories or ()), dtype=dtype_of_text(categories_dtype or "object"))
        return pd.CategoricalDtype(levels, ordered=ordered)
    if text.startswith("arrow:"):
        return pd.ArrowDtype(_arrow_type(text.removeprefix("arrow:")))
    if text.startswith("str["):
        return _text_dtype(text[4:-1])
    dtype = pd.api.types.pandas_dtype(text)
    if isinstance(dtype, np.dtype) and dtype.kind not in "biufcmMO":  # "S2000000000" takes memory
        raise TypeError(f"{text!r} is no dtype of a column")
    return dtype


def _text_dtype(storage: str) -> Any:
    """Text with NaN for missing. Without pyarrow here, or before pandas 2.3, the nearest there is.

    A model learned where pyarrow is installed is thus also of use where it is not.
    """
    import numpy as np
    import pandas as pd

    attempts: tuple[dict[str, Any], ...] = (
        {"storage": storage.removesuffix("_numpy"), "na_value": np.nan},
        {"storage": "python", "na_value": np.nan},
        {"storage": storage},
    )
    for options in attempts:
        try:
            return pd.StringDtype(**options)
        except (ImportError, TypeError, ValueError):
            continue
    return np.dtype(object)


def _arrow_type(text: str) -> Any:
    import pyarrow as pa

    if match := _TIMESTAMP.fullmatch(text):
        return pa.timestamp(match[1], tz=match[2])
    if match := _DECIMAL.fullmatch(text):
        make = getattr(pa, f"decimal{match[1]}")
        return make(int(match[2]), int(match[3]))
    if match := _DICTIONARY.fullmatch(text):
        values, indices = _arrow_type(match[1]), _arrow_type(match[2])
        return pa.dictionary(indices, values, ordered=match[3] == "1")
    return pa.type_for_alias(text)


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


Ticks = NDArray[np.int64]


def to_wall(ticks: Ticks, unit: str | None, zone: str) -> Ticks:
    """(N,) ticks since 1970 in UTC -> what the zone's clocks show, as if it were UTC."""
    return np.asarray(_in_utc(ticks, unit).tz_convert(zone).tz_localize(None).asi8)


def from_wall(ticks: Ticks, unit: str | None, zone: str) -> Ticks:
    """The other way; the first of two equal times, and the next time that there is."""
    naive = _in_utc(ticks, unit).tz_localize(None)
    first = np.ones(len(naive), dtype=bool)
    local = naive.tz_localize(zone, ambiguous=first, nonexistent="shift_forward")
    return np.asarray(local.tz_convert("UTC").asi8)


def _in_utc(ticks: Ticks, unit: str | None) -> DatetimeIndex:
    import pandas as pd

    return pd.DatetimeIndex(ticks.view(f"M8[{unit}]")).tz_localize("UTC")


Numbers = NDArray[np.int64] | NDArray[np.uint64] | NDArray[np.float64]
Mask = NDArray[np.bool_]
TICKS = {
    "D": 86_400_000_000_000,
    "h": 3_600_000_000_000,
    "m": 60_000_000_000,
    "s": 1_000_000_000,
    "ms": 1_000_000,
    "us": 1_000,
    "ns": 1,
}
EXACT = 2**53  # whole numbers up to here are float64s
_NO_TIME = np.iinfo(np.int64).min


def numbers_of(series: Series, storage: Storage) -> Numbers:
    """(N,) whole numbers, float64, or ticks of the storage's unit; anything where missing."""
    import pandas as pd

    dtype = series.dtype
    if isinstance(dtype, pd.ArrowDtype):
        return _arrow_numbers(series)
    if storage.python is not None:
        return _object_numbers(series, storage)
    if isinstance(dtype, pd.PeriodDtype):
        return np.asarray(pd.PeriodIndex(series).asi8)
    if storage.family == "datetime":
        return np.asarray(pd.DatetimeIndex(series).asi8)
    if storage.family == "duration":
        return np.asarray(pd.TimedeltaIndex(series).asi8)
    kinds = {"u": np.uint64, "f": np.float64}
    wanted = kinds.get(dtype.kind, np.int64)
    if isinstance(dtype, np.dtype):
        return series.to_numpy().astype(wanted)  # type: ignore[no-any-return]
    return series.to_numpy(dtype=wanted, na_value=0)  # type: ignore[no-any-return]


def stored(numbers: Numbers, missing: Mask, dtype: Any, python: str | None, zone: str) -> Any:
    """An array of the dtype that holds the numbers (ticks of the dtype's unit), as `numbers_of`.

    zone: of Python's datetimes in an object column, or "". Columns without room for missing cells
    are never asked for any.
    """
    import pandas as pd

    if isinstance(dtype, pd.ArrowDtype):
        return _arrow_stored(numbers, missing, dtype)
    if isinstance(dtype, pd.PeriodDtype):
        ticks = np.where(missing, _NO_TIME, numbers).astype(np.int64)
        return pd.PeriodIndex.from_ordinals(ticks, freq=dtype.freq).array
    if isinstance(dtype, pd.DatetimeTZDtype):
        moments = pd.DatetimeIndex(_moments(numbers, missing, "M8", dtype.unit))
        return moments.tz_localize("UTC").tz_convert(dtype.tz).array
    if dtype.kind in "Mm":
        unit = np.datetime_data(dtype)[0]
        return _moments(numbers, missing, dtype.kind + "8", unit)
    if python is not None:
        return _objects(numbers, missing, python, zone)
    if dtype.kind == "f" and isinstance(dtype, np.dtype):
        return np.where(missing, np.nan, numbers).astype(dtype)
    if isinstance(dtype, np.dtype):
        assert not missing.any(), f"{dtype} has no room for a missing cell"
        return (numbers != 0) if dtype.kind == "b" else numbers.astype(dtype)
    return _masked(numbers, missing, dtype)


def unit_of(dtype: Any, python: str | None = None) -> str | None:
    """The unit of a dtype's ticks; None where it holds no moments or durations."""
    import pandas as pd

    if python in ("date", "datetime", "timedelta", "Timestamp", "Timedelta"):
        return {"date": "D", "Timestamp": "ns", "Timedelta": "ns"}.get(python, "us")
    if isinstance(dtype, pd.ArrowDtype):
        import pyarrow as pa

        kind = dtype.pyarrow_dtype
        if pa.types.is_date(kind):
            return "D" if pa.types.is_date32(kind) else "ms"
        return getattr(kind, "unit", None)
    if isinstance(dtype, np.dtype) and dtype.kind in "Mm":
        return np.datetime_data(dtype)[0]
    return dtype.unit if isinstance(dtype, pd.DatetimeTZDtype) else None


def _moments(numbers: Numbers, missing: Mask, kind: str, unit: str) -> NDArray[Any]:
    ticks = np.where(missing, _NO_TIME, numbers).astype(np.int64)
    return ticks.view(f"{kind}[{unit}]")


def _masked(numbers: Numbers, missing: Mask, dtype: Any) -> Any:
    import pandas as pd

    if dtype.kind == "b":
        return pd.arrays.BooleanArray(numbers != 0, missing)
    known = np.where(missing, numbers.dtype.type(0), numbers).astype(dtype.numpy_dtype)
    array = pd.arrays.FloatingArray if dtype.kind == "f" else pd.arrays.IntegerArray
    return array(known, missing)


def _arrow_numbers(series: Series) -> Numbers:
    import pyarrow as pa

    cells = pa.chunked_array(pa.array(series.array))  # one array or several: several
    kind = cells.type
    if pa.types.is_decimal(kind) or pa.types.is_floating(kind):
        wanted = pa.float64()
    elif pa.types.is_unsigned_integer(kind):
        wanted = pa.uint64()
    else:
        wanted = pa.int64()
        if pa.types.is_date32(kind) or pa.types.is_time32(kind):
            cells = cells.cast(pa.int32())
    return np.asarray(cells.cast(wanted).fill_null(0).to_numpy())


def _arrow_stored(numbers: Numbers, missing: Mask, dtype: Any) -> Any:
    import pandas as pd
    import pyarrow as pa

    kind = dtype.pyarrow_dtype
    wanted: Any = numbers.dtype
    if pa.types.is_decimal(kind):
        wanted = np.float64  # integers would need room for 19 digits
    elif pa.types.is_float16(kind):
        wanted = np.float16
    elif pa.types.is_date32(kind) or pa.types.is_time32(kind):
        wanted = np.int32
    cells = pa.array(numbers.astype(wanted), mask=missing)
    return pd.arrays.ArrowExtensionArray(cells.cast(kind))


def _object_numbers(series: Series, storage: Storage) -> Numbers:
    cells = series.to_numpy()[~storage.missing]
    if storage.family in ("integer", "float", "decimal"):
        numbers = cells.astype(np.int64 if storage.family == "integer" else np.float64)
    else:
        kind = "m8" if storage.family == "duration" else "M8"
        plain = [_naive(cell) for cell in cells.tolist()]
        numbers = np.array(plain, dtype=f"{kind}[{storage.unit}]").view(np.int64)
    out = np.zeros(len(series), dtype=numbers.dtype)
    out[~storage.missing] = numbers
    return out


def _naive(cell: Any) -> Any:
    if isinstance(cell, dt.datetime) and cell.tzinfo is not None:
        cell = cell.astimezone(dt.UTC).replace(tzinfo=None)
    return cell.asm8 if hasattr(cell, "asm8") else cell


def _objects(numbers: Numbers, missing: Mask, python: str, zone: str) -> NDArray[np.object_]:
    """Python's objects; the missing ones are the caller's to set."""
    import pandas as pd

    if python in ("int", "float"):
        kind = np.int64 if python == "int" else np.float64
        return np.where(missing, 0, numbers).astype(kind).astype(object)
    known = np.where(missing, 0, numbers).astype(np.int64)
    if python == "date":
        return known.view("M8[D]").astype(object)
    if python == "timedelta":
        return known.view("m8[us]").astype(object)
    if python == "Timedelta":
        return np.asarray(pd.TimedeltaIndex(known.view("m8[ns]")).astype(object))
    moments = pd.DatetimeIndex(known.view("M8[ns]" if python == "Timestamp" else "M8[us]"))
    if zone:
        moments = moments.tz_localize("UTC").tz_convert(zone)
    return np.asarray(moments.astype(object) if python == "Timestamp" else moments.to_pydatetime())


def decimal_objects(
    numbers: NDArray[np.float64], missing: Mask, decimals: int
) -> NDArray[np.object_]:
    """Decimals with that many digits after the point; the missing ones are the caller's to set."""
    distinct, inverse = np.unique(np.where(missing, 0.0, numbers), return_inverse=True)
    step, wide = Decimal(1).scaleb(-decimals), Context(prec=400)
    objects = np.empty(len(distinct), dtype=object)
    objects[:] = [
        Decimal(repr(number)).quantize(step, context=wide) for number in distinct.tolist()
    ]
    return objects[inverse]


Family = Literal[
    "integer",
    "float",
    "decimal",
    "boolean",
    "datetime",
    "duration",
    "text",
    "category",
    "scalars",
    "nothing",
]


_FAMILIES: dict[str, Family] = {"b": "boolean", "i": "integer", "u": "integer", "f": "float"}


@dataclass(frozen=True)
class Storage:
    """family: what the cells are. python: their type where they are Python's objects.

    missing: bool (N,). unit: of the ticks of moments and durations. zone: the moments' zone or "".
    missing_as: what stands for a missing cell among Python's objects.
    """

    family: Family
    missing: NDArray[np.bool_]
    python: str | None = None
    unit: Unit | None = None
    zone: str = ""
    missing_as: MissingAs = "None"


def storage_of(series: Series) -> Storage:
    """How the column holds its cells. Raises DataError where nothing here could write them again.

    Object columns of one type (int, float, Decimal, date, datetime, timedelta, str) are that; of
    several, "scalars".
    """
    import pandas as pd

    dtype, missing = series.dtype, series.isna().to_numpy(dtype=bool)
    if isinstance(dtype, pd.ArrowDtype):
        return _arrow_storage(series, dtype.pyarrow_dtype, missing)
    if isinstance(dtype, np.dtype):
        return _numpy_storage(series, dtype, missing)
    return _extension_storage(series, dtype, missing)


def _numpy_storage(series: Series, dtype: np.dtype[Any], missing: NDArray[np.bool_]) -> Storage:
    if dtype.kind == "O":
        return _object_storage(series, missing)
    if dtype.kind in "Mm":
        unit: Any = np.datetime_data(dtype)[0]
        return Storage("datetime" if dtype.kind == "M" else "duration", missing, unit=unit)
    if dtype.kind not in _FAMILIES:
        raise _refused(series, str(dtype), "split it into its real and imaginary parts, or drop it")
    return Storage(_FAMILIES[dtype.kind], missing)


def _extension_storage(series: Series, dtype: Any, missing: NDArray[np.bool_]) -> Storage:
    import pandas as pd

    if isinstance(dtype, pd.DatetimeTZDtype):
        return Storage("datetime", missing, unit=dtype.unit, zone=str(dtype.tz))
    kinds: tuple[tuple[type, Family], ...] = (
        (pd.CategoricalDtype, "category"),
        (pd.StringDtype, "text"),
        (pd.IntervalDtype, "scalars"),
        (pd.PeriodDtype, "datetime"),
    )
    for kind, family in kinds:
        if isinstance(dtype, kind):
            return Storage(family, missing)
    masked = (pd.arrays.IntegerArray, pd.arrays.FloatingArray, pd.arrays.BooleanArray)
    if not isinstance(series.array, masked):
        raise _refused(series, str(dtype), "make it dense or plain with astype, or drop it")
    if dtype.kind == "f":  # Float64 may hold NaN beside NA
        missing = np.isnan(series.to_numpy(dtype=np.float64, na_value=np.nan))
    return Storage(_FAMILIES[dtype.kind], missing)


def _refused(series: Series, what: str, cure: str) -> DataError:
    return DataError(f"column {series.name!r} is {what}, which is not learned here; {cure}")


def _arrow_storage(series: Series, kind: Any, missing: NDArray[np.bool_]) -> Storage:
    import pyarrow as pa

    is_: Any = pa.types
    if is_.is_null(kind):
        return Storage("nothing", missing)
    if is_.is_floating(kind):
        return Storage("float", np.isnan(series.to_numpy(dtype=np.float64, na_value=np.nan)))
    if is_.is_date(kind):
        return Storage("datetime", missing, unit="D" if is_.is_date32(kind) else "ms")
    if is_.is_timestamp(kind):
        return Storage("datetime", missing, unit=kind.unit, zone=kind.tz or "")
    if is_.is_duration(kind) or is_.is_time(kind):
        return Storage("duration", missing, unit=kind.unit)
    rules: tuple[tuple[Callable[[Any], bool], Family], ...] = (
        (is_.is_integer, "integer"),
        (is_.is_decimal, "decimal"),
        (is_.is_boolean, "boolean"),
        (is_.is_string, "text"),
        (is_.is_large_string, "text"),
        (is_.is_dictionary, "category"),
        (is_.is_binary, "scalars"),
        (is_.is_large_binary, "scalars"),
    )
    for holds, family in rules:
        if holds(kind):
            return Storage(family, missing)
    raise _refused(series, f"Arrow {kind}", "split it into plain columns, or drop it")


def _object_storage(series: Series, missing: NDArray[np.bool_]) -> Storage:
    if missing.all():
        return Storage("nothing", missing, missing_as=_missing_as(series, missing))
    cells = series.to_numpy()[~missing]
    kinds = set(map(type, cells.tolist()))
    python = _python_kind(cells, kinds)
    family, unit = _OBJECTS.get(python or "", ("scalars", None))
    if family == "scalars":
        _check_scalars(series, kinds)
    zone = _zone(cells[0]) if family == "datetime" and python != "date" else ""
    kept = None if family in ("text", "scalars") else python
    return Storage(family, missing, kept, unit, zone, _missing_as(series, missing))


_OBJECTS: dict[str, tuple[Family, Unit | None]] = {
    "int": ("integer", None),
    "float": ("float", None),
    "Decimal": ("decimal", None),
    "date": ("datetime", "D"),
    "datetime": ("datetime", "us"),
    "Timestamp": ("datetime", "ns"),
    "timedelta": ("duration", "us"),
    "Timedelta": ("duration", "ns"),
    "str": ("text", None),
}


def _python_kind(cells: NDArray[np.object_], kinds: set[type]) -> str | None:
    """The one type of all cells, by name; None where they are of several."""
    whole = {kind for kind in kinds if issubclass(kind, int | np.integer) and kind is not bool}
    real = {kind for kind in kinds if issubclass(kind, float | np.floating)}
    if kinds == whole:
        return "int" if _fits(lambda: cells.astype(np.int64)) else None
    if real and kinds == whole | real:
        return "float" if _fits(lambda: cells.astype(np.float64)) else None
    if all(issubclass(kind, str) for kind in kinds):
        return "str"
    if len(kinds) > 1:
        return None
    (kind,) = kinds
    if kind in (Decimal, dt.date, dt.timedelta):
        return kind.__name__
    if kind.__name__ in ("datetime", "Timestamp"):
        zones = {_zone(cell) for cell in cells}
        return kind.__name__ if len(zones) == 1 and _known_zone(*zones) and _in_ns(cells) else None
    return "Timedelta" if kind.__name__ == "Timedelta" else None


def _fits(convert: Callable[[], object]) -> bool:
    try:
        convert()
    except OverflowError:
        return False
    return True


def _zone(cell: dt.datetime) -> str:
    return "" if cell.tzinfo is None else str(cell.tzinfo)


def _known_zone(zone: str) -> bool:
    import pandas as pd

    try:
        pd.DatetimeTZDtype(tz=zone or "UTC")
    except (TypeError, KeyError, ValueError):
        return False
    return True


def _in_ns(cells: NDArray[np.object_]) -> bool:
    """Whether pandas' moments all lie between 1678 and 2261, where whole nanoseconds reach."""
    years = [cell.year for cell in cells if type(cell) is not dt.datetime]
    return not years or (min(years) > 1677 and max(years) < 2262)


def _check_scalars(series: Series, kinds: set[type]) -> None:
    known = {kind for kind in kinds if issubclass(kind, str | int | float | bytes | np.generic)}
    for row, cell in enumerate(series.to_numpy().tolist()):
        if type(cell) in known or cell is None:
            continue
        scalar = as_scalar(cell)
        if (scalar is None or not _hashable(scalar)) and not _is_missing(cell):
            raise DataError(
                f"column {series.name!r} holds a {type(cell).__name__} in row {row}; expected "
                "numbers, text, dates or other single values. Drop the column, or make it text "
                "with astype(str)."
            )


def _hashable(value: object) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _is_missing(cell: object) -> bool:
    import pandas as pd

    return bool(pd.api.types.is_scalar(cell) and pd.isna(cell))


def _missing_as(series: Series, missing: NDArray[np.bool_]) -> MissingAs:
    import pandas as pd

    if not missing.any():
        return "None"
    first = series.iloc[int(missing.argmax())]
    if first is pd.NA:
        return "NA"
    return "NaT" if first is pd.NaT else "None" if first is None else "nan"


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
