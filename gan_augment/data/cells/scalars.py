"""Single cells as JSON and back, types kept: text, numbers, dates, intervals. No columns, no files.

What JSON has (text, whole numbers, booleans, finite floats) stands as it is; anything else becomes
an object of one entry, {"date": "2024-01-31"}.
"""

from __future__ import annotations

import base64
import datetime as dt
import math
import uuid
import zoneinfo
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any

import numpy as np
from pydantic import BeforeValidator, PlainSerializer

_PLAIN = (str, bool, int, float)


def as_scalar(value: Any) -> object | None:
    """The cell as one of the types kept here (NumPy's as Python's), or None where it is none.

    >>> as_scalar(np.int8(3)), as_scalar([3])
    (3, None)
    """
    kept: object = value
    if type(value) in _PLAIN:
        return kept
    if isinstance(value, np.generic) and not isinstance(value, np.datetime64 | np.timedelta64):
        value = kept = value.item()
    if type(value) in (*_WRITE, *_pandas_kinds()):
        return kept
    plain = (type_ for type_ in _PLAIN if isinstance(value, type_))  # enumerations and the like
    return next((type_(value) for type_ in plain), None)


def to_json(value: object) -> object:
    """JSON's form of a cell that `as_scalar` let through."""
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(value)}
    if isinstance(value, str) and not value.isascii():
        return value if _is_unicode(value) else {"surrogates": _base64(value)}
    if type(value) in _PLAIN:
        return value
    kind = type(value)
    if kind in _WRITE:
        name, write, _ = _WRITE[kind]
        return {name: write(value)}
    return _pandas_to_json(value)


def from_json(value: object) -> object:
    """The cell of `to_json`; cells pass as they are."""
    if not isinstance(value, dict) or len(value) != 1:
        return value
    ((name, held),) = value.items()
    if name == "float":
        return float(held)
    if name == "surrogates":
        return base64.b64decode(held).decode("utf-8", "surrogatepass")
    for known, _, read in _WRITE.values():
        if known == name:
            return read(held)
    return _pandas_from_json(name, held)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _base64(text: str) -> str:
    return base64.b64encode(text.encode("utf-8", "surrogatepass")).decode()


def _write_datetime(value: dt.datetime) -> list[object]:
    naive = value.replace(tzinfo=None, fold=0).isoformat()
    if value.tzinfo is None:
        return [naive]
    offset = value.utcoffset() or dt.timedelta()
    key = getattr(value.tzinfo, "key", None)
    return [naive, key or offset.total_seconds(), value.fold]


def _read_datetime(held: list[Any]) -> dt.datetime:
    naive = dt.datetime.fromisoformat(held[0])
    if len(held) == 1:
        return naive
    zone: dt.tzinfo
    if isinstance(held[1], str):
        zone = zoneinfo.ZoneInfo(held[1])
    else:
        zone = dt.timezone(dt.timedelta(seconds=held[1])) if held[1] else dt.UTC
    return naive.replace(tzinfo=zone, fold=held[2])


_WRITE: dict[type, tuple[str, Callable[[Any], object], Callable[[Any], object]]] = {
    Decimal: ("decimal", str, Decimal),
    dt.datetime: ("datetime", _write_datetime, _read_datetime),
    dt.date: ("date", dt.date.isoformat, dt.date.fromisoformat),
    dt.time: ("time", dt.time.isoformat, dt.time.fromisoformat),
    dt.timedelta: (
        "timedelta",
        lambda v: [v.days, v.seconds, v.microseconds],
        lambda held: dt.timedelta(*held),
    ),
    bytes: ("bytes", lambda v: base64.b64encode(v).decode(), base64.b64decode),
    uuid.UUID: ("uuid", str, uuid.UUID),
    tuple: (
        "tuple",
        lambda v: [to_json(one) for one in v],
        lambda held: tuple(from_json(one) for one in held),
    ),
}


def _pandas_kinds() -> tuple[type, ...]:
    import pandas as pd

    return (pd.Timestamp, pd.Timedelta, pd.Interval, pd.Period)


def _pandas_to_json(value: Any) -> object:
    import pandas as pd

    if isinstance(value, pd.Interval):
        left, right = (to_json(as_scalar(end)) for end in (value.left, value.right))
        return {"interval": [left, right, value.closed]}
    if isinstance(value, pd.Period):
        return {"period": [value.ordinal, value.freqstr]}
    ticks = int(value.asm8.view("int64"))
    if isinstance(value, pd.Timedelta):
        return {"Timedelta": [ticks, value.unit]}
    return {"Timestamp": [ticks, value.unit, None if value.tz is None else str(value.tz)]}


def _pandas_from_json(name: str, held: Any) -> object:
    import pandas as pd

    if name == "interval":
        return pd.Interval(from_json(held[0]), from_json(held[1]), closed=held[2])
    if name == "period":
        return pd.Period(ordinal=held[0], freq=held[1])
    if name == "Timedelta":
        return pd.Timedelta(np.timedelta64(held[0], held[1])).as_unit(held[1])
    if name == "Timestamp":
        moment = pd.Timestamp(np.datetime64(held[0], held[1])).as_unit(held[1])
        return moment if held[2] is None else moment.tz_localize("UTC").tz_convert(held[2])
    raise ValueError(f"there is no kind of cell called {name!r}")


def _read(value: object) -> object:
    """`from_json` for pydantic, which takes a ValueError alone as a refusal."""
    try:
        return from_json(value)
    except (TypeError, LookupError, ArithmeticError, AttributeError, OSError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from None


Scalar = Annotated[object, BeforeValidator(_read), PlainSerializer(to_json)]
