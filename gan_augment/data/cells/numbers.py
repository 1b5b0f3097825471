"""Numbers and moments out of a column's storage, and into it again. No rules, no rounding."""

from __future__ import annotations

import datetime as dt
from decimal import Context, Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.cells.storage import Storage

if TYPE_CHECKING:
    from pandas import Series

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
