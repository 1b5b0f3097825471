"""Columns of every dtype that a table may have, as hypothesis draws them. No tests here."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from hypothesis import HealthCheck
from hypothesis import strategies as st

QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large]
DRAWN = 40
"""Cells of a column that are drawn; a longer column holds them again and again."""

Build = Callable[[list[Any]], pd.Series]
Z = zoneinfo.ZoneInfo
ZONES = ("UTC", "Europe/Berlin", "America/Havana", "Asia/Kathmandu", "Australia/Lord_Howe")
words = st.text(max_size=4) | st.sampled_from(["a", "b", "c", "1", "True", "nan", "2024-01-01", ""])
doubles = st.floats(allow_nan=False, allow_infinity=False)
tidy = st.integers(-(10**4), 10**4).map(lambda n: n / 100)
moments = st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1))
days = st.dates(dt.date(1700, 1, 1), dt.date(2200, 1, 1))
zoned = st.datetimes(timezones=st.sampled_from([Z(zone) for zone in ZONES]))
decimals = st.decimals(-1000, 1000, places=2, allow_nan=False)
anything = st.one_of(
    words,
    st.integers(-(10**25), 10**25),
    st.booleans(),
    tidy,
    decimals,
    st.dates(),
    zoned,
    st.binary(max_size=2),
    st.timedeltas(),
    st.times(),
    st.uuids(),
    st.tuples(st.integers(0, 2), words),
)


def whole(dtype: str) -> st.SearchStrategy[int]:
    """Integers of the whole range, and few ones."""
    limits = np.iinfo(dtype.lower())
    return st.integers(int(limits.min), int(limits.max)) | st.integers(0, 3)


def typed(dtype: Any) -> Build:
    return lambda cells: pd.Series(cells, dtype=dtype)


def arrow(kind: pa.DataType) -> Build:
    return lambda cells: pd.Series(pd.arrays.ArrowExtensionArray(pa.array(cells, type=kind)))


def in_unit(unit: str, zone: str | None = None) -> Build:
    def build(cells: list[Any]) -> pd.Series:
        index = pd.DatetimeIndex(np.array(cells, dtype="M8[us]")).as_unit(unit)
        return pd.Series(index if zone is None else index.tz_localize("UTC").tz_convert(zone))

    return build


def category(cells: list[Any]) -> pd.Series:
    """Every other one ordered, all with levels that no cell holds."""
    text = any(isinstance(cell, str) for cell in cells)
    unused = ("unused", "and another") if text else (97, 98)
    series = pd.Series(pd.Categorical(cells))
    series = series.cat.add_categories([u for u in unused if u not in series.cat.categories])
    return series.cat.as_ordered() if len(cells) % 2 else series


# name: (a cell, whether it may be missing, how cells become a series)
COLUMNS: dict[str, tuple[st.SearchStrategy[Any], bool, Build]] = {
    **{
        name: (whole(name), False, typed(name))
        for name in ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")
    },
    **{name: (whole(name), True, typed(name)) for name in ("Int8", "UInt32", "Int64", "UInt64")},
    "float64": (doubles, True, typed("float64")),
    "prices": (tidy, True, typed("float64")),
    "float32": (st.floats(width=32, allow_nan=False, allow_infinity=False), True, typed("float32")),
    "Float64": (tidy, True, typed("Float64")),
    "bool": (st.booleans(), False, typed("bool")),
    "boolean": (st.booleans(), True, typed("boolean")),
    "text": (words, True, typed(None)),
    "object": (words, True, typed(object)),
    "string": (words, True, typed("string[python]")),
    "string[pyarrow]": (words, True, typed("string[pyarrow]")),
    "anything": (anything, True, typed(object)),
    "mixed objects": (words | st.integers(0, 3) | st.booleans() | tidy, True, typed(object)),
    "object ints": (st.integers(-(2**70), 2**70), True, typed(object)),
    "object decimals": (decimals, True, typed(object)),
    "object dates": (st.dates(), True, typed(object)),
    "object datetimes": (st.datetimes(), True, typed(object)),
    "object zoned datetimes": (zoned, True, typed(object)),
    "object datetimes of Berlin": (
        st.datetimes(timezones=st.just(Z("Europe/Berlin"))),
        True,
        typed(object),
    ),
    "lists": (st.lists(st.integers(), max_size=1), True, typed(object)),
    "infinite": (st.sampled_from([1.0, 2.0, np.inf]), False, typed("float64")),
    "category of text": (words, True, category),
    "category of ints": (st.integers(-3, 3), True, category),
    **{f"moments in {unit}": (moments, True, in_unit(unit)) for unit in ("s", "ms", "us", "ns")},
    **{f"moments in {zone}": (moments, True, in_unit("us", zone)) for zone in ZONES},
    "days": (days, True, in_unit("s")),
    "timedeltas": (
        st.timedeltas(dt.timedelta(-99999), dt.timedelta(99999)),
        True,
        typed("timedelta64[us]"),
    ),
    "periods": (
        days,
        True,
        lambda cells: pd.Series(pd.PeriodIndex([str(c or "NaT") for c in cells], freq="D")),
    ),
    "arrow int": (whole("int16"), True, arrow(pa.int16())),
    "arrow double": (doubles, True, arrow(pa.float64())),
    "arrow string": (words, True, arrow(pa.string())),
    "arrow bool": (st.booleans(), True, arrow(pa.bool_())),
    "arrow date": (st.dates(), True, arrow(pa.date32())),
    "arrow timestamp": (moments, True, arrow(pa.timestamp("us"))),
    "arrow zoned": (moments, True, arrow(pa.timestamp("ms", tz="Europe/Berlin"))),
    "arrow decimal": (decimals, True, arrow(pa.decimal128(9, 3))),
    "arrow dictionary": (words, True, arrow(pa.dictionary(pa.int8(), pa.string()))),
}


@st.composite
def columns(draw: st.DrawFn, rows: int) -> pd.Series:
    """A column of any of the kinds above, with gaps where they may be."""
    cell, gaps, build = COLUMNS[draw(st.sampled_from(sorted(COLUMNS)))]
    if draw(st.booleans()):  # few values, so that they repeat
        cell = st.sampled_from(draw(st.lists(cell, min_size=1, max_size=4)))
    if gaps and draw(st.booleans()):
        cell = st.none() | cell
    n = min(rows, DRAWN)
    held = draw(st.lists(cell, min_size=n, max_size=n))
    more = np.random.default_rng(draw(st.integers(0, 99))).integers(0, n, rows - n)
    return build([*held, *(held[i] for i in more)])


@st.composite
def features(draw: st.DrawFn, rows: int) -> pd.DataFrame:
    """One to five columns, called by words or numbers."""
    count = draw(st.integers(1, 5))
    names = draw(st.lists(words | st.integers(0, 9), min_size=count, max_size=count, unique=True))
    return pd.DataFrame({name: draw(columns(rows)) for name in names})
