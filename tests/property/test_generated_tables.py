"""Generated tables of any columns: learned and made again in kind, or refused in words."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gan_augment import TabularGAN
from gan_augment.data.schema import Column
from gan_augment.data.tables import read_frame
from gan_augment.errors import GanAugmentError

Build = Callable[[list[Any]], pd.Series]

words = st.text(max_size=4) | st.sampled_from(["a", "b", "1", "True", "nan", "2024-01-01", ""])
doubles = st.floats(allow_nan=False, allow_infinity=False)
tidy = st.integers(-(10**4), 10**4).map(lambda n: n / 100)
moments = st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1))
days = st.dates(dt.date(1700, 1, 1), dt.date(2200, 1, 1))
decimals = st.decimals(-1000, 1000, places=2, allow_nan=False)


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
    series = pd.Series(pd.Categorical(cells))
    series = series.cat.add_categories([u for u in (97, 98) if u not in series.cat.categories])
    return series.cat.as_ordered() if len(cells) % 2 else series


# name: (a cell, whether it may be missing, how cells become a series)
COLUMNS: dict[str, tuple[st.SearchStrategy[Any], bool, Build]] = {
    **{name: (whole(name), False, typed(name)) for name in ("int8", "uint16", "int64", "uint64")},
    **{name: (whole(name), True, typed(name)) for name in ("Int8", "Int64", "UInt64")},
    "float64": (doubles, True, typed("float64")),
    "prices": (tidy, True, typed("float64")),
    "float32": (st.floats(width=32, allow_nan=False, allow_infinity=False), True, typed("float32")),
    "Float64": (tidy, True, typed("Float64")),
    "bool": (st.booleans(), False, typed("bool")),
    "boolean": (st.booleans(), True, typed("boolean")),
    "text": (words, True, typed(None)),
    "object": (words, True, typed(object)),
    "string": (words, True, typed("string[python]")),
    "mixed objects": (words | st.integers(0, 3) | st.booleans() | tidy, True, typed(object)),
    "object ints": (st.integers(-(2**70), 2**70), True, typed(object)),
    "object decimals": (decimals, True, typed(object)),
    "object dates": (days, True, typed(object)),
    "object datetimes": (
        st.datetimes(timezones=st.just(zoneinfo.ZoneInfo("Europe/Berlin"))),
        True,
        typed(object),
    ),
    "lists": (st.lists(st.integers(), max_size=1), True, typed(object)),
    "infinite": (st.sampled_from([1.0, 2.0, np.inf]), False, typed("float64")),
    "category": (st.integers(-3, 3), True, category),
    "moments": (moments, True, in_unit("ns")),
    "moments to the second": (moments, True, in_unit("s")),
    "moments in Havana": (moments, True, in_unit("us", "America/Havana")),
    "days": (days, True, in_unit("s")),
    "waits": (
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
    "arrow date": (days, True, arrow(pa.date32())),
    "arrow timestamp": (moments, True, arrow(pa.timestamp("us", tz="Europe/Berlin"))),
    "arrow decimal": (decimals, True, arrow(pa.decimal128(9, 3))),
    "arrow dictionary": (words, True, arrow(pa.dictionary(pa.int8(), pa.string()))),
}
LABELS = st.sampled_from([["rare", "common", "third"], [True, False], [3, 1, 2], [0.5, 1.5]])


@st.composite
def columns(draw: st.DrawFn, rows: int) -> pd.Series:
    cell, gaps, build = COLUMNS[draw(st.sampled_from(sorted(COLUMNS)))]
    if draw(st.booleans()):  # few values, so that they repeat
        cell = st.sampled_from(draw(st.lists(cell, min_size=1, max_size=4)))
    if gaps and draw(st.booleans()):
        cell = st.none() | cell
    held = draw(st.lists(cell, min_size=1, max_size=40))
    order = np.random.default_rng(draw(st.integers(0, 99))).integers(0, len(held), rows)
    return build([held[i] for i in order])


@st.composite
def tables(draw: st.DrawFn) -> tuple[pd.DataFrame, list[Any]]:
    """A frame of 2 to 130 rows, and labels of two or three classes, some of one row."""
    labels = draw(LABELS)
    sizes = [draw(st.sampled_from([1, 2, 9, 10, 24]) | st.integers(1, 30)) for _ in labels[1:]]
    y = [label for label, n in zip(labels, [*sizes, draw(st.integers(1, 70))], strict=True)
         for _ in range(n)]  # fmt: skip
    count = draw(st.integers(1, 5))
    names = draw(st.lists(words | st.integers(0, 9), min_size=count, max_size=count, unique=True))
    order = np.random.default_rng(len(y)).permutation(len(y))
    frame = pd.DataFrame({name: draw(columns(len(y))) for name in names})
    if not len(frame.columns):
        frame = pd.DataFrame(index=range(len(y)))
    return frame, [y[i] for i in order]


def check_column(column: Column, made: pd.Series, seen: pd.Series) -> None:
    """Every level seen in training, every number within its range, missing only where some were."""
    assert made.dtype == seen.dtype
    cells, known = made.dropna(), seen.dropna()
    if not seen.isna().any() and column.refill != "missing":
        assert len(cells) == len(made)
    if column.kind in ("categorical", "boolean", "constant"):
        levels = [(type(cell), cell) for cell in known.tolist()]
        assert all((type(cell), cell) in levels for cell in cells.tolist())
    elif column.kind != "id" and len(cells):
        assert cells.min() >= known.min()
        assert cells.max() <= known.max()


def check(frame: pd.DataFrame, y: list[Any], recipe: str, steps: int) -> str:
    """What came of it: rows as promised ("made"), or the kind of the error."""
    before = frame.copy(deep=True)
    try:
        read = read_frame(frame, y=y)
        rare = [min(read.table.counts, key=lambda name: read.table.counts[name])]
        gan = TabularGAN(recipe=recipe, classes=rare, steps=steps, device="cpu", threads=1)
        gan.fit(read.table, schema=read.schema)
        made = gan.sample(dict.fromkeys(gan.classes_, 7))
    except GanAugmentError as error:
        return type(error).__name__
    assert made.counts == dict.fromkeys(read.table.names, 7)
    assert made.frame.columns.tolist() == frame.columns.tolist()
    for column in read.schema.columns:
        check_column(column, made.frame[column.name], frame[column.name])
    again = gan.sample_range(made.names[-1], 0, 3, first_id=7 * (len(made.names) - 1))
    pd.testing.assert_frame_equal(again, made.frame[-7:-4].reset_index(drop=True))
    pd.testing.assert_frame_equal(frame, before)
    return "made"


QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large]
RECIPES = st.sampled_from(["auto", "auto", "free"])


@pytest.mark.slow
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=QUIET)
@given(tables(), RECIPES, st.integers(2, 4))
def test_generated_tables_are_learned_and_made_in_kind_or_refused_in_words(
    table: tuple[pd.DataFrame, list[Any]], recipe: str, steps: int
) -> None:
    check(*table, recipe, steps)


@pytest.mark.campaign
def test_a_thousand_generated_tables() -> None:
    tally: Counter[str] = Counter()

    @settings(max_examples=1_000, deadline=None, suppress_health_check=QUIET)
    @given(tables(), RECIPES, st.integers(2, 4))
    def each(table: tuple[pd.DataFrame, list[Any]], recipe: str, steps: int) -> None:
        tally[check(*table, recipe, steps)] += 1

    each()
    assert set(tally) <= {"made", "DataError"}
    assert tally["made"] >= 500, tally
