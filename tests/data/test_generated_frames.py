"""Frames of any columns: read, made plain and restored with their dtypes, or refused in words."""

from __future__ import annotations

import datetime as dt
import json
import zoneinfo
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pandas.testing import assert_series_equal

from gan_augment.data.columns import joined, output_frame, plain, restored
from gan_augment.data.schema import TableSchema
from gan_augment.data.table_hash import table_sha256
from gan_augment.data.tables import read_frame
from gan_augment.errors import DataError

Build = Any
Z = zoneinfo.ZoneInfo
ZONES = ("UTC", "Europe/Berlin", "America/Havana", "Asia/Kathmandu", "Australia/Lord_Howe")
words = st.text(max_size=4) | st.sampled_from(["a", "b", "c", "1", "True", "nan", "2024-01-01"])
doubles = st.floats(allow_nan=False, allow_infinity=False)
tidy = st.integers(-(10**4), 10**4).map(lambda n: n / 100)
moments = st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1))
decimals = st.decimals(-1000, 1000, places=2, allow_nan=False)
anything = st.one_of(
    words,
    st.integers(-(10**25), 10**25),
    st.booleans(),
    tidy,
    decimals,
    st.dates(),
    st.datetimes(timezones=st.sampled_from([Z(zone) for zone in ZONES])),
    st.binary(max_size=2),
    st.timedeltas(),
    st.times(),
    st.uuids(),
    st.tuples(st.integers(0, 2), words),
)


def whole(dtype: str) -> st.SearchStrategy[int]:
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
    unused = ["unused", "and another"] if all(isinstance(c, str | None) for c in cells) else []
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
    "float64": (doubles | tidy, True, typed("float64")),
    "float32": (st.floats(width=32, allow_nan=False, allow_infinity=False), True, typed("float32")),
    "Float64": (tidy, True, typed("Float64")),
    "bool": (st.booleans(), False, typed("bool")),
    "boolean": (st.booleans(), True, typed("boolean")),
    "text": (words, True, typed(None)),
    "object": (words, True, typed(object)),
    "string": (words, True, typed("string[python]")),
    "string[pyarrow]": (words, True, typed("string[pyarrow]")),
    "anything": (anything, True, typed(object)),
    "object ints": (st.integers(-(2**70), 2**70), True, typed(object)),
    "object decimals": (decimals, True, typed(object)),
    "object dates": (st.dates(), True, typed(object)),
    "object datetimes": (st.datetimes(), True, typed(object)),
    "lists": (st.lists(st.integers(), max_size=1), True, typed(object)),
    "infinite": (st.sampled_from([1.0, np.inf]), False, typed("float64")),
    "category of text": (words, True, category),
    "category of ints": (st.integers(-3, 3), True, category),
    **{f"moments in {unit}": (moments, True, in_unit(unit)) for unit in ("s", "ms", "us", "ns")},
    **{f"moments in {zone}": (moments, True, in_unit("us", zone)) for zone in ZONES},
    "days": (st.dates(dt.date(1700, 1, 1), dt.date(2200, 1, 1)), True, in_unit("s")),
    "timedeltas": (
        st.timedeltas(dt.timedelta(-99999), dt.timedelta(99999)),
        True,
        typed("timedelta64[us]"),
    ),
    "periods": (
        st.dates(dt.date(1700, 1, 1), dt.date(2200, 1, 1)),
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
    cell, gaps, build = COLUMNS[draw(st.sampled_from(sorted(COLUMNS)))]
    if draw(st.booleans()):  # few values, so that they repeat
        cell = st.sampled_from(draw(st.lists(cell, min_size=1, max_size=3)))
    if gaps and draw(st.booleans()):
        cell = st.none() | cell
    return build(draw(st.lists(cell, min_size=rows, max_size=rows)))


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    rows = draw(st.integers(1, 30))
    count = draw(st.integers(1, 5))
    names = draw(st.lists(words | st.integers(0, 9), min_size=count, max_size=count, unique=True))
    out = {name: draw(columns(rows)) for name in names}
    frame = pd.DataFrame(out) if out else pd.DataFrame(index=range(rows))
    frame.insert(draw(st.integers(0, count)), "the target", [f"c{i % 2}" for i in range(rows)])
    return frame


def check(frame: pd.DataFrame) -> bool:
    """Whether the frame was read; all that a reader promises holds if it was."""
    before = frame.copy(deep=True)
    try:
        read = read_frame(frame, "the target")
    except DataError:
        return False
    schema = TableSchema.model_validate(json.loads(json.dumps(read.schema.model_dump())))
    assert len(schema.lines()) == len(frame.columns) + 1
    assert len(table_sha256(read.table)) == 64
    values = {}
    for column in schema.learned:
        cells = read.table.frame[column.name]
        values[column.name] = plain(cells, column)
        back = restored(values[column.name], column)
        assert back.dtype == cells.dtype
        assert (back.isna() == cells.isna()).all()
        whole = column.integer and column.low is not None and column.high is not None
        if column.levels or (whole and column.high - column.low < 2**53):
            assert_series_equal(back, cells, check_exact=True)
    n = len(frame)
    out = joined(output_frame(values, schema, n), read.table.labels, schema)
    assert out.dtypes.equals(frame.dtypes)
    assert out.columns.tolist() == frame.columns.tolist()
    assert out["the target"].tolist() == frame["the target"].tolist()
    pd.testing.assert_frame_equal(frame, before)
    return True


QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large]


@pytest.mark.slow
@settings(max_examples=250, deadline=None, derandomize=True, suppress_health_check=QUIET)
@given(frames())
def test_generated_frames_are_read_and_given_back_or_refused_in_words(frame: pd.DataFrame) -> None:
    check(frame)


@pytest.mark.campaign
@settings(max_examples=5_000, deadline=None, suppress_health_check=QUIET)
@given(frames())
def test_very_many_generated_frames(frame: pd.DataFrame) -> None:
    check(frame)
