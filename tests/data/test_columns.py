"""Every dtype goes out as plain numbers and comes back as it was."""

from __future__ import annotations

import datetime as dt
import json
import time
import warnings
import zoneinfo
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pandas.testing import assert_frame_equal, assert_series_equal

from gan_augment.data.tables.columns import joined, output_frame, plain, plain_columns, restored
from gan_augment.data.tables.inference import infer_column, infer_schema
from gan_augment.data.tables.reader import read_frame
from gan_augment.data.tables.schema import Column, ColumnKind, Overrides, TableSchema
from gan_augment.errors import DataError

WHOLE = [3, 1, 2, 3, -4]
MAYBE_WHOLE = [3, None, 2, 3, -4]
REAL = [0.25, 1.5, -3.75, 1.5, 0.0]
MAYBE_REAL = [0.25, None, -3.75, 1.5, 0.0]
MOMENTS = ["2024-01-31 10:00:00", "1969-12-31 23:59:59", None, "2024-03-31 01:30:00"]
DAYS = [dt.date(2024, 1, 31), dt.date(1, 1, 1), None, dt.date(9999, 12, 31)]
WORDS = ["b", "a", "é", "b", "\udce9"]
MAYBE_WORDS = ["b", None, "a", "b"]
BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")


def arrow(values: list[Any], kind: pa.DataType) -> pd.Series:
    return pd.Series(pd.arrays.ArrowExtensionArray(pa.array(values, type=kind)))


def in_utc(unit: str) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(pd.to_datetime(MOMENTS)).as_unit(unit)


def objects(values: list[Any]) -> pd.Series:
    return pd.Series(values, dtype=object)


NUMBERS: dict[str, pd.Series] = {
    **{name: pd.Series(WHOLE, dtype=name) for name in ("int8", "int32", "int64", ">i4")},
    **{name: pd.Series([3, 1, 2, 3, 200], dtype=name) for name in ("uint8", "uint64")},
    **{name: pd.Series(MAYBE_WHOLE, dtype=name) for name in ("Int8", "Int64")},
    **{name: pd.Series(REAL, dtype=name) for name in ("float16", "float32", "float64")},
    **{name: pd.Series(MAYBE_REAL, dtype=name) for name in ("Float32", "Float64")},
    "UInt64": pd.Series([3, None, 200], dtype="UInt64"),
    "float64 with gaps": pd.Series(MAYBE_REAL),
    "whole floats": pd.Series([1.0, np.nan, 3.0]),
    "thirds": pd.Series([1 / 3, 2 / 3, 7.1]),
    "float32 of two decimals": pd.Series([0.1, 0.25, 12.34], dtype="float32"),
    "huge floats": pd.Series([1e300, -1e300, 5e-324]),
    "int64 beyond 2^53": pd.Series([2**60, 2**60 + 1, 2**60 + 7]),
    "int64 of both ends": pd.Series([-(2**63), 2**63 - 1, 0]),
    "uint64 beyond 2^63": pd.Series([2**64 - 1, 2**64 - 5, 2**64 - 4], dtype="uint64"),
    "Int64 beyond 2^53": pd.Series([2**60, None, 2**60 + 7], dtype="Int64"),
    "timedelta64[ns]": pd.Series(pd.to_timedelta(["1h", None, "2h"])),
    "timedelta64[s]": pd.Series(pd.to_timedelta(["1s", None, "-90s"])).dt.as_unit("s"),
    "arrow int16": arrow(MAYBE_WHOLE, pa.int16()),
    "arrow float": arrow(MAYBE_REAL, pa.float32()),
    "arrow halffloat": arrow([np.float16(0.5), None, np.float16(2)], pa.float16()),
    "arrow decimal": arrow([Decimal("1.50"), None, Decimal("-3.25")], pa.decimal128(5, 2)),
    "arrow whole decimal": arrow([Decimal(1), None, Decimal(3)], pa.decimal128(3, 2)),
    "arrow uint64": arrow([2**64 - 1, None, 2**64 - 9], pa.uint64()),
    "arrow duration": arrow([dt.timedelta(hours=1), None, dt.timedelta(1)], pa.duration("us")),
    "arrow time32": arrow([dt.time(1, 2, 3), None, dt.time(23)], pa.time32("s")),
    "arrow time64": arrow([dt.time(1, 2, 3, 4), None, dt.time(23)], pa.time64("us")),
    "object ints": objects(MAYBE_WHOLE),
    "object NumPy ints": objects([np.int8(3), np.int64(4), 5]),
    "object floats": objects([0.5, None, 2.25]),
    "object decimals": objects([Decimal("1.50"), None, Decimal("2.00")]),
    "object timedeltas": objects([dt.timedelta(1), None, dt.timedelta(seconds=5)]),
    "object Timedeltas": objects([pd.Timedelta("1h"), pd.NaT, pd.Timedelta("5ns")]),
}
MOMENT_COLUMNS: dict[str, pd.Series] = {
    **{f"datetime64[{unit}]": pd.Series(in_utc(unit)) for unit in ("s", "ms", "us", "ns")},
    **{
        f"datetime64[{unit}, Europe/Berlin]": pd.Series(
            in_utc(unit).tz_localize("UTC").tz_convert("Europe/Berlin")
        )
        for unit in ("s", "ns")
    },
    "fixed offset": pd.Series(in_utc("us").tz_localize("UTC").tz_convert("UTC+02:00")),
    "local midnights": pd.Series(
        pd.to_datetime(["2024-01-01", "2024-07-01", "2024-03-31"]).tz_localize("Europe/Berlin")
    ),
    "nanoseconds": pd.Series(
        pd.to_datetime(["2024-01-01T00:00:00.123456789", "2030-01-01T00:00:00.000000001"])
    ),
    "periods": pd.Series(pd.PeriodIndex(["2024-01", "NaT", "1969-12"], freq="M")),
    "arrow date32": arrow(DAYS, pa.date32()),
    "arrow date64": arrow([dt.date(2024, 1, 31), None, dt.date(1960, 1, 1)], pa.date64()),
    "arrow timestamp": arrow([dt.datetime(2024, 1, 31, 10), None], pa.timestamp("us")),
    "arrow timestamp with a zone": arrow(
        [dt.datetime(2024, 1, 31, 10), None, dt.datetime(2024, 7, 1, 1, 2, 3)],
        pa.timestamp("ns", tz="America/New_York"),
    ),
    "object dates": objects(DAYS),
    "object datetimes": objects([dt.datetime(1, 1, 1, 1), None, dt.datetime(9999, 1, 1, 0, 0, 5)]),
    "object datetimes with a zone": objects(
        [dt.datetime(2024, 1, 1, 1, tzinfo=BERLIN), dt.datetime(2024, 7, 1, tzinfo=BERLIN)]
    ),
    "object Timestamps": objects([pd.Timestamp("2024-01-01"), pd.NaT, pd.Timestamp(5)]),
}
LEVELS: dict[str, pd.Series] = {
    "bool": pd.Series([True, False, True]),
    "boolean": pd.Series([True, None, False], dtype="boolean"),
    "arrow bool": arrow([True, None, False], pa.bool_()),
    "boolean of one value": pd.Series([True, None], dtype="boolean"),
    "text": pd.Series(MAYBE_WORDS),
    "object text with None": objects(MAYBE_WORDS),
    "object text with NaN": objects(["b", np.nan, "a"]),
    "object text with NA": objects(["b", pd.NA, "a"]),
    "string[python]": pd.Series(MAYBE_WORDS, dtype="string[python]"),
    "string[pyarrow]": pd.Series(MAYBE_WORDS, dtype="string[pyarrow]"),
    "arrow string": arrow(MAYBE_WORDS, pa.string()),
    "arrow large_string": arrow(MAYBE_WORDS, pa.large_string()),
    "arrow dictionary": arrow(MAYBE_WORDS, pa.dictionary(pa.int32(), pa.string())),
    "arrow ordered dictionary": arrow(
        MAYBE_WORDS, pa.dictionary(pa.int8(), pa.large_string(), ordered=True)
    ),
    "category": pd.Series(MAYBE_WORDS, dtype="category"),
    "ordered category with unused": pd.Series(
        pd.Categorical(["b", None, "a"], categories=["c", "b", "a"], ordered=True)
    ),
    "category of ints": pd.Series(pd.Categorical([3, 1, 3], categories=[9, 3, 1])),
    "category of objects": pd.Series(pd.Categorical([True, "x", 2], categories=[2, "x", True])),
    "category of floats": pd.Series(pd.Categorical([0.5, None, 2.0])),
    "category of bools": pd.Series(pd.Categorical([True, False])),
    "category of moments": pd.Series(pd.Categorical(pd.to_datetime(["2024-01-01", "2023-01-01"]))),
    "object bools": objects([True, False, None, True]),
    "object of many types": objects([1, "1", True, 1.0, Decimal("1"), None, dt.date(2024, 1, 1)]),
    "object datetimes of two zones": objects(
        [dt.datetime(2024, 1, 1, tzinfo=BERLIN), dt.datetime(2024, 1, 1, tzinfo=dt.UTC), None]
    ),
    "object big ints": objects([10**30, -(10**30), None]),
    "object Timestamps in text": objects([pd.Timestamp("2024-01-01", tz="UTC"), "x"]),
    "int64 forced": pd.Series([7, 5, 7]),
    "float64 forced": pd.Series([0.5, np.nan, 2.5]),
    "datetime64[s] forced": pd.Series(in_utc("s")),
    "float16 forced": pd.Series([0.5, np.nan, 2.5], dtype="float16"),
}
CONSTANTS: dict[str, pd.Series] = {
    "one int8": pd.Series([7, 7], dtype="int8"),
    "one decimal": objects([Decimal("1.50"), Decimal("1.50")]),
    "one moment with a zone": pd.Series(
        pd.to_datetime(["2024-01-01"] * 2).tz_localize("Asia/Tokyo")
    ),
    "one date": arrow([dt.date(2024, 1, 1)] * 2, pa.date32()),
    "one category": pd.Series(pd.Categorical(["a", "a"], categories=["b", "a"])),
    "one period": pd.Series(pd.PeriodIndex(["2024-01", "2024-01"], freq="M")),
    "one timedelta": pd.Series(pd.to_timedelta(["1h", "1h"])),
    "one half": pd.Series([0.5, 0.5], dtype="float16"),
    "all None": objects([None, None]),
    "all NaN": pd.Series([np.nan, np.nan]),
    "all NA": pd.Series([None, None], dtype="Int64"),
    "all NaT": pd.Series(pd.to_datetime([None, None])),
    "all text missing": pd.Series([None, None], dtype="string[pyarrow]"),
    "all category missing": pd.Series(pd.Categorical([None, None], categories=["a"])),
    "arrow null": arrow([None, None], pa.null()),
    "arrow all missing": arrow([None, None], pa.timestamp("us", tz="UTC")),
}


def through_json(column: Column) -> Column:
    return Column.model_validate(json.loads(json.dumps(column.model_dump(mode="json"))))


def there_and_back(series: pd.Series, kind: ColumnKind | None = None) -> tuple[Column, pd.Series]:
    column = through_json(infer_column(series.rename("x"), "x", kind))
    given = plain(series, column) if column.learned else np.zeros(len(series))
    return column, restored(given, column)


ALL = [
    *((name, series, "numeric") for name, series in NUMBERS.items()),
    *((name, series, "datetime") for name, series in MOMENT_COLUMNS.items()),
    *((name, series, "levels") for name, series in LEVELS.items()),
    *((name, series, "constant") for name, series in CONSTANTS.items()),
]


@pytest.mark.parametrize(("name", "series", "kind"), ALL, ids=[name for name, *_ in ALL])
def test_cells_come_back_in_their_dtype_and_type(name: str, series: pd.Series, kind: str) -> None:
    column, back = there_and_back(series, "categorical" if "forced" in name else None)
    if kind == "levels":
        kind = "boolean" if series.dtype.kind == "b" else "categorical"
    assert column.kind == kind
    exact = name != "int64 of both ends"
    assert_series_equal(back, series.rename("x"), check_exact=exact)
    if kind == "datetime":
        assert np.nanmin(plain(series, column)) == 0
    if kind == "categorical" and series.dtype == object:
        assert list(map(type, back)) == list(map(type, series))


@pytest.mark.parametrize("kind", [pa.decimal128(38, 4), pa.decimal256(60, 4), None])
def test_decimals_of_more_digits_than_a_float_has_stay_within_their_range(kind: Any) -> None:
    cells = [Decimal("0.1"), Decimal("9" * 30 + ".5"), Decimal("-" + "9" * 30 + ".5")]
    series = objects(cells) if kind is None else arrow(cells, kind)
    _, back = there_and_back(series)
    assert back.dtype == series.dtype
    assert back[0] == cells[0]
    assert cells[2] <= back.min() < back.max() <= cells[1]


def test_generated_numbers_are_written_as_the_training_data_has_them() -> None:
    prices = infer_column(pd.Series([0.25, 10.5, 99.99]), "price")
    assert prices.decimals == 2
    back = restored([-3.0, 5.123456, 1e9, 0.1 + 0.2], prices)
    assert back.tolist() == [0.25, 5.12, 99.99, 0.3]
    counts = infer_column(pd.Series([1, 2, 9], dtype="int8"), "count")
    assert restored([1.6, -7, 1e30], counts).tolist() == [2, 1, 9]
    for cells in ([-1.5, 1.5, 0.2], [-1.0, 1.0, np.nan]):  # no negative zero is made
        assert not np.signbit(restored([-0.001], infer_column(pd.Series(cells), "x"))).any()


def test_a_column_is_read_whatever_dtype_its_cells_have_by_now() -> None:
    column = infer_column(pd.Series([1, 2, 3], dtype="int64"), "x")
    assert plain(pd.Series([2, None], dtype="Int8"), column)[0] == 2
    level = infer_column(pd.Series([1, 2, 1]), "x", "categorical")
    assert plain(pd.Series([2.0, np.nan]), level).tolist() == [1, -1]
    moment = infer_column(pd.Series(pd.to_datetime(["2024-01-01", "2024-01-05"])), "x")
    assert moment.unit == "D"
    assert plain(objects([dt.date(2024, 1, 3)]), moment).tolist() == [2]
    levels = infer_column(pd.Series(["a", "b", "a"]), "x")
    assert plain(pd.Series(["b", "new", None]), levels).tolist() == [1, -1, -1]
    far = infer_column(pd.Series([2**60, 2**60 + 4]), "x")
    assert plain(pd.Series([2**60 - 3, 2**60 + 9]), far).tolist() == [-3, 9]


def test_text_that_is_not_what_the_column_was_is_refused() -> None:
    column = infer_column(pd.Series([1, 2, 3]), "x")
    with pytest.raises(DataError, match=r"learned as numeric \(int64\) and is text"):
        plain(pd.Series(["a", "b"]), column)


def a_frame(n: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "row_id": np.arange(5, 5 + n, dtype=np.int16),
            "age": [30, 40] * (n // 2),
            "same": ["x"] * n,
            "key": [f"k{i}" for i in range(n)],
            0: pd.Categorical(["a", "b"] * (n // 2)),
        }
    )


def test_an_output_frame_has_the_schema_of_the_input() -> None:
    frame = a_frame(30)
    schema = infer_schema(frame)
    values = {column.name: plain(frame[column.name], column) for column in schema.learned}
    out = output_frame(values, schema, 30, first=2)
    assert out.dtypes.equals(frame.dtypes)
    assert out.columns.tolist() == frame.columns.tolist()
    assert_frame_equal(out[["age", "same", 0]], frame[["age", "same", 0]])
    assert out["row_id"].tolist() == list(range(37, 67))
    assert out["key"].iloc[0] == "synthetic-000003"
    none = output_frame({name: [] for name in schema.names}, schema, 0)
    assert (len(none), none.dtypes.equals(frame.dtypes)) == (0, True)


@pytest.mark.slow
def test_a_million_rows_of_fifteen_columns_are_restored_in_seconds() -> None:
    n, rng = 1_000, np.random.Generator(np.random.Philox(0))
    words = [f"word {i}" for i in range(40)]
    frame = pd.DataFrame(
        {
            **{f"real {i}": rng.normal(size=n) for i in range(4)},
            **{f"whole {i}": rng.integers(0, 50, n) for i in range(3)},
            **{f"price {i}": rng.normal(size=n).round(2) for i in range(2)},
            **{f"level {i}": rng.choice(words, n) for i in range(4)},
            "flag": rng.integers(0, 2, n).astype(bool),
            "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 99, n), "D"),
        }
    )
    schema = TableSchema.model_validate(infer_schema(frame).model_dump(mode="json"))
    rows = rng.integers(0, n, 1_000_000)
    values = {c.name: plain(frame[c.name], c)[rows] for c in schema.learned}
    began = time.perf_counter()
    out = output_frame(values, schema, len(rows))
    assert time.perf_counter() - began < 4
    assert out.dtypes.equals(frame.dtypes)
    assert_frame_equal(out.head(50), frame.iloc[rows[:50]].reset_index(drop=True))


def test_the_target_joins_a_frame_of_many_columns_without_a_warning():
    frame = pd.DataFrame({f"gene {i}": np.arange(4.0) for i in range(150)})
    read = read_frame(frame.assign(y=list("abab")), target="y")
    made = output_frame({name: np.arange(4.0) for name in read.schema.names}, read.schema, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        whole = joined(made, np.array([0, 1, 0, 1]), read.schema)
    assert whole["y"].tolist() == list("abab")
    assert len(whole.columns) == 151


ROUND_TRIPS = [
    ("numeric", ["007", "12", None], ["7", "12", None]),
    ("numeric", ["1.50", "22.75", "-0.10"], None),
    ("numeric", ["1.5", "22.75", "3"], None),
    ("numeric", ["0.1", "1e-3", "2"], ["0.1", "0.001", "2"]),
    ("datetime", ["2024-01-31", None, "1999-12-01"], None),
    ("datetime", ["2024-01-31 10:00", "2024-02-01 23:59"], None),
    ("datetime", ["2024-01-31T10:00:05", "0001-01-01T00:00:00"], None),
    ("datetime", ["31.05.2024", "01.06.1999"], None),
    ("datetime", ["5/31/2024 9:05", "12/1/2024 13:30"], None),
    ("datetime", ["2024-05-31 10:00:00.120+02:00", "2024-01-31 10:00:00.004+02:00"], None),
]


@pytest.mark.parametrize(("kind", "cells", "again"), ROUND_TRIPS)
@pytest.mark.parametrize("dtype", ["str", "object"])
def test_text_that_is_named_by_its_kind_comes_back_as_text(
    kind: ColumnKind, cells: list[str | None], again: list[str | None] | None, dtype: str
) -> None:
    frame = pd.DataFrame({"x": pd.Series(cells, dtype=dtype)})
    column = infer_column(frame["x"], "x", kind)
    expected = pd.Series(cells if again is None else again, dtype=dtype, name="x")
    assert_series_equal(restored(plain(frame["x"], column), column), expected)


@pytest.mark.parametrize(
    "levels",
    [
        pa.array([dt.date(2024, 1, 31), dt.date(2025, 2, 1)]),
        pa.array([dt.datetime(2024, 1, 31), dt.datetime(2025, 2, 1)], pa.timestamp("us", "UTC")),
        pa.array([Decimal("1.50"), Decimal("2.25")]),
        pa.array(["x", "y"]),
    ],
    ids=["date", "moment", "decimal", "text"],
)
def test_dictionaries_of_any_value_come_back(levels):
    cells = pa.DictionaryArray.from_arrays(pa.array([0, 1, None, 1] * 5), levels)
    frame = pa.table({"a": cells}).to_pandas(types_mapper=pd.ArrowDtype)
    column = infer_schema(frame, Overrides.of(categorical=["a"])).columns[0]
    again = restored(plain(frame["a"], column), column)
    assert again.dtype == frame["a"].dtype
    assert again.tolist() == frame["a"].tolist()


def test_a_dtype_without_room_for_a_missing_cell_gets_none():
    column = infer_schema(pd.DataFrame({"a": [True, False] * 9})).columns[0]
    with pytest.raises(AssertionError, match="no room"):
        restored(np.array([-1, 0]), column)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_many_floats_are_read_and_made_at_once_as_one_by_one(dtype):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(40, 5)).astype(dtype), columns=list("abcde"))
    frame.iloc[3, 2], frame.iloc[4, 1] = np.nan, -0.0
    frame["whole"], frame["tenths"] = rng.integers(-2, 9, (2, 40)).astype(dtype) / [[1], [10]]
    frame = frame.astype(dtype)
    frame["same"], frame["none"] = np.array(0.3, dtype), np.array(np.nan, dtype)
    schema = infer_schema(frame)
    at_once = plain_columns(frame, schema.learned)
    one_by_one = {column.name: plain(frame[column.name], column) for column in schema.learned}
    for name, cells in one_by_one.items():
        np.testing.assert_array_equal(at_once[name], cells)
        assert at_once[name].dtype == cells.dtype
    names = [column.name for column in schema.learned]
    values = {name: rng.normal(scale=5, size=40) for name in names}
    values["c"][7] = np.nan
    made = output_frame(values, schema, 40)
    each = {
        column.name: restored(values.get(column.name, np.zeros(40)), column)
        for column in schema.columns
    }
    pd.testing.assert_frame_equal(made, pd.DataFrame(each))
    assert len(made._mgr.blocks) == 1


def test_a_frame_of_other_types_than_its_schema_is_read_one_by_one():
    frame = pd.DataFrame({"a": [0.1, 1 / 3, 0.7], "b": [1 / 7, 2.5, 3.5]})
    schema = infer_schema(frame)
    other = frame.astype({"a": "Float64", "b": object})
    for name, cells in plain_columns(other, schema.learned).items():
        np.testing.assert_array_equal(cells, frame[name])
