"""Tables of generated columns are read, learned and given back, or refused."""

from __future__ import annotations

import datetime as dt
import json
import zoneinfo
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal, assert_series_equal

from gan_augment import TabularGAN
from gan_augment.data.tables.columns import joined, output_frame, plain, restored
from gan_augment.data.tables.reader import read_frame
from gan_augment.data.tables.schema import Column, TableSchema
from gan_augment.errors import DataError, GanAugmentError
from gan_augment.generators.generator import RunContext
from gan_augment.kinds.table import TABLE

QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large]
DRAWN = 40
"""Number of drawn cells; longer columns repeat them."""

Build = Callable[[list[Any]], pd.Series]
Z = zoneinfo.ZoneInfo
ZONES = ("UTC", "Europe/Berlin", "America/Havana", "Asia/Kathmandu", "Australia/Lord_Howe")
words = st.text(max_size=4) | st.sampled_from(["a", "b", "c", "1", "True", "nan", "2024-01-01", ""])
doubles = st.floats(allow_nan=False, allow_infinity=False)
tidy = st.integers(-(10**4), 10**4).map(lambda n: n / 100)
datetimes = st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1))
zoned = st.datetimes(timezones=st.sampled_from([Z(zone) for zone in ZONES]), allow_imaginary=False)
decimals = st.decimals(-1000, 1000, places=2, allow_nan=False)
scalars = [words, st.integers(-(10**25), 10**25), st.booleans(), tidy, decimals, st.dates(), zoned]


def whole(dtype: str) -> st.SearchStrategy[int]:
    """Integers of a range with room for new ids, and few ones."""
    limits = np.iinfo(dtype.lower())
    return st.integers(int(limits.min), int(limits.max) // 4) | st.integers(0, 3)


def typed(dtype: Any) -> Build:
    return lambda cells: pd.Series(cells, dtype=dtype)


def in_unit(unit: str, zone: str | None = None) -> Build:
    def build(cells: list[Any]) -> pd.Series:
        index = pd.DatetimeIndex(np.array(cells, dtype="M8[us]")).as_unit(unit)
        return pd.Series(index if zone is None else index.tz_localize("UTC").tz_convert(zone))

    return build


def category(cells: list[Any]) -> pd.Series:
    """Make a category, ordered or not, with unused levels."""
    text = any(isinstance(cell, str) for cell in cells)
    unused = ("unused", "and another") if text else (97, 98)
    series = pd.Series(pd.Categorical(cells))
    series = series.cat.add_categories([u for u in unused if u not in series.cat.categories])
    return series.cat.as_ordered() if len(cells) % 2 else series


# (a cell, whether it may be missing, how cells become a series)
COLUMNS: list[tuple[st.SearchStrategy[Any], bool, Build]] = [
    *((whole(name), False, typed(name)) for name in ("int8", "uint16", "int64")),
    *((whole(name), True, typed(name)) for name in ("Int8", "Int64")),
    (doubles, True, typed("float64")),
    (tidy, True, typed("float64")),
    (st.floats(width=32, allow_nan=False, allow_infinity=False), True, typed("float32")),
    (st.booleans(), False, typed("bool")),
    (st.booleans(), True, typed("boolean")),
    *((words, True, typed(dtype)) for dtype in (None, object, "string[pyarrow]")),
    (st.one_of(*scalars), True, typed(object)),
    (words | st.integers(0, 3) | st.booleans() | tidy, True, typed(object)),
    *((cell, True, typed(object)) for cell in (st.dates(), st.datetimes())),
    (st.sampled_from([1.0, 2.0, np.inf]), False, typed("float64")),
    (words, True, category),
    (st.integers(-3, 3), True, category),
    *((datetimes, True, in_unit(unit)) for unit in ("s", "us", "ns")),
    *((datetimes, True, in_unit("us", zone)) for zone in ZONES),
    (datetimes.map(dt.datetime.date), True, in_unit("s")),
]


@st.composite
def columns(draw: st.DrawFn, rows: int) -> pd.Series:
    """A column of any of the kinds above, with gaps where they may be."""
    cell, gaps, build = COLUMNS[draw(st.integers(0, len(COLUMNS) - 1))]
    if draw(st.booleans()):  # few values, so that they repeat
        cell = st.sampled_from(draw(st.lists(cell, min_size=1, max_size=4)))
    if gaps and draw(st.booleans()):
        cell = st.none() | cell
    n = min(rows, DRAWN)
    cells = draw(st.lists(cell, min_size=n, max_size=n))
    more = np.random.default_rng(draw(st.integers(0, 99))).integers(0, n, rows - n)
    return build([*cells, *(cells[i] for i in more)])


@st.composite
def features(draw: st.DrawFn, rows: int) -> pd.DataFrame:
    """One to five columns, called by words or numbers."""
    count = draw(st.integers(1, 5))
    names = draw(st.lists(words | st.integers(0, 9), min_size=count, max_size=count, unique=True))
    return pd.DataFrame({name: draw(columns(rows)) for name in names})


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    """A frame of 1 to 30 rows with a target of its own among its columns."""
    rows = draw(st.integers(1, 30))
    frame = draw(features(rows))
    place = draw(st.integers(0, len(frame.columns)))
    frame.insert(place, "the target", [f"c{i % 2}" for i in range(rows)])
    return frame


@st.composite
def tables(draw: st.DrawFn) -> tuple[pd.DataFrame, list[Any]]:
    """A frame of 2 to 130 rows, and labels of two or three classes, some of one row."""
    labels = draw(
        st.sampled_from([["rare", "common", "third"], [True, False], [3, 1, 2], [0.0, 1.0]])
    )
    sizes = [draw(st.sampled_from([1, 2, 9, 10, 24]) | st.integers(1, 30)) for _ in labels[1:]]
    y = np.repeat(np.array(labels, dtype=object), [*sizes, draw(st.integers(1, 70))])
    order = np.random.default_rng(len(y)).permutation(len(y))
    return draw(features(len(y))), y[order].tolist()


def check_reading(frame: pd.DataFrame) -> None:
    """Check what a reader promises of a frame, unless it refuses the frame."""
    before = frame.copy(deep=True)
    try:
        read = read_frame(frame, "the target")
    except DataError:
        return
    schema = TableSchema.model_validate(json.loads(json.dumps(read.schema.model_dump())))
    assert len(schema.lines()) == len(frame.columns) + 1
    assert len(TABLE.sha256(read.table)) == 64
    values = {}
    for column in schema.learned:
        cells = read.table.frame[column.name]
        values[column.name] = plain(cells, column)
        back = restored(values[column.name], column)
        assert back.dtype == cells.dtype == column.pandas_dtype
        assert (back.isna() == cells.isna()).all()
        near = column.decimals == 0 and column.low is not None and column.high is not None
        if column.categories or (near and column.high - column.low < 2**53):
            assert_series_equal(back, cells, check_exact=True)
    rows = joined(output_frame(values, schema, len(frame)), read.table.labels, schema)
    assert rows.columns.tolist() == frame.columns.tolist()
    assert rows["the target"].tolist() == frame["the target"].tolist()
    assert_frame_equal(frame, before)


def check_column(column: Column, new: pd.Series, seen: pd.Series) -> None:
    """Check that levels were seen, numbers are in range, and missing cells are as in training."""
    cells, known = new.dropna(), seen.dropna()
    if not seen.isna().any() and (column.kind != "id" or column.last is not None):
        assert len(cells) == len(new)
    if column.kind in ("categorical", "constant"):
        levels = [(type(cell), cell) for cell in known.tolist()]
        assert all((type(cell), cell) in levels for cell in cells.tolist())
    elif column.kind != "id" and len(cells):
        assert known.min() <= cells.min() <= cells.max() <= known.max()


def check_learning(frame: pd.DataFrame, y: list[Any], recipe: str, steps: int) -> str:
    """Check the sampled rows; return "sampled", or the name of the error."""
    before = frame.copy(deep=True)
    try:
        read = read_frame(frame, y=y)
        rare = [min(read.table.counts, key=lambda name: read.table.counts[name])]
        gan = TabularGAN(recipe=recipe, classes=rare, steps=steps, device="cpu", threads=1)
        gan.fit(read.table, run=RunContext(), schema=read.schema)
        new = gan.sample(dict.fromkeys(gan.classes_, 7))
    except GanAugmentError as error:
        return type(error).__name__
    assert new.counts == dict.fromkeys(read.table.names, 7)
    assert new.frame.columns.tolist() == frame.columns.tolist()
    for column in read.schema.columns:
        check_column(column, new.frame[column.name], read.table.frame[column.name])
    again = gan.rows(new.names[-1], 0, 3, first_id=7 * (len(new.names) - 1))
    assert_frame_equal(again.frame, new.frame[-7:-4].reset_index(drop=True))
    assert_frame_equal(frame, before)
    return "sampled"


@pytest.mark.slow
@settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=QUIET)
@given(frames())
def test_generated_frames_are_read_and_given_back_or_refused(frame: pd.DataFrame) -> None:
    check_reading(frame)


@pytest.mark.slow
def test_generated_tables_are_learned_and_sampled_in_kind_or_refused() -> None:
    tally: Counter[str] = Counter()

    @settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=QUIET)
    @given(tables(), st.sampled_from(["auto", "auto", "free"]), st.integers(2, 4))
    def each(table: tuple[pd.DataFrame, list[Any]], recipe: str, steps: int) -> None:
        tally[check_learning(*table, recipe, steps)] += 1

    each()
    assert set(tally) <= {"sampled", "DataError"}
    assert tally["sampled"] >= 15, tally
