"""How a pandas column holds its cells: numbers, moments, text, levels, or Python's objects.

What the cells mean is for `infer_schema.py`; getting them out and in is in `numbers.py` and
`levels.py`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.cells.scalars import as_scalar
from gan_augment.data.schema import MissingAs, Unit
from gan_augment.errors import DataError

if TYPE_CHECKING:
    from pandas import Series

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
