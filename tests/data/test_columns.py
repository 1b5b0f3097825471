"""Every dtype goes out as plain numbers and codes, and comes back as it was."""

from __future__ import annotations

import datetime as dt
import json
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pandas.testing import assert_frame_equal, assert_series_equal

from gan_augment.data.tables.columns import joined, output_frame, plain, plain_columns, restored
from gan_augment.data.tables.inference import infer_column, infer_schema
from gan_augment.data.tables.reader import read_frame
from gan_augment.data.tables.schema import Column, ColumnKind
from gan_augment.errors import DataError

WHOLE = [3, 1, 2, 3, -4]
REAL = [0.25, 1.5, -3.75, 1.5, 0.0]
MOMENTS = ["2024-01-31 10:00:00", "1969-12-31 23:59:59", None, "2024-03-31 01:30:00"]
DAYS = [dt.date(2024, 1, 31), dt.date(1, 1, 1), None, dt.date(9999, 12, 31)]
WORDS = ["b", None, "a", "é", "b"]


def with_gap(values: list[Any]) -> list[Any]:
    return [values[0], None, *values[2:]]


def arrow(values: list[Any], kind: pa.DataType) -> pd.Series:
    return pd.Series(pd.arrays.ArrowExtensionArray(pa.array(values, type=kind)))


def moments(unit: str, zone: str | None = None) -> pd.Series:
    index = pd.DatetimeIndex(pd.to_datetime(MOMENTS)).as_unit(unit)
    return pd.Series(index if zone is None else index.tz_localize("UTC").tz_convert(zone))


def objects(*values: Any) -> pd.Series:
    return pd.Series(values, dtype=object)


NUMBERS: dict[str, pd.Series] = {
    **{name: pd.Series(WHOLE, dtype=name) for name in ("int8", "int64", ">i4")},
    "uint64": pd.Series([3, 1, 200], dtype="uint64"),
    **{name: pd.Series(with_gap(WHOLE), dtype=name) for name in ("Int8", "Int64")},
    **{name: pd.Series(REAL, dtype=name) for name in ("float16", "float32", "float64")},
    **{name: pd.Series(with_gap(REAL), dtype=name) for name in ("Float32", "Float64", "float64")},
    "whole floats": pd.Series([1.0, np.nan, 3.0]),
    "thirds": pd.Series([1 / 3, 2 / 3, 7.1]),
    "float32 of two decimals": pd.Series([0.1, 0.25, 12.34], dtype="float32"),
    "huge floats": pd.Series([1e300, -1e300, 5e-324]),
    "int64 beyond 2^53": pd.Series([2**60, 2**60 + 1, 2**60 + 7]),
    "Int64 beyond 2^53": pd.Series([2**60, None, 2**60 + 7], dtype="Int64"),
    "arrow int16": arrow(with_gap(WHOLE), pa.int16()),
    "arrow float": arrow(with_gap(REAL), pa.float32()),
    "object ints": objects(*with_gap(WHOLE)),
    "object NumPy ints": objects(np.int8(3), np.int64(4), 5),
    "object floats": objects(0.5, np.nan, 2.25),
}
TIMES: dict[str, pd.Series] = {
    **{f"datetime64[{unit}]": moments(unit) for unit in ("s", "ms", "us", "ns")},
    "in a zone": moments("ns", "Europe/Berlin"),
    "fixed offset": moments("us", "UTC+02:00"),
    "arrow date32": arrow(DAYS, pa.date32()),
    "arrow timestamp": arrow([dt.datetime(2024, 1, 31, 10), None], pa.timestamp("us")),
    "arrow timestamp in a zone": arrow(
        [dt.datetime(2024, 1, 31, 10), None], pa.timestamp("ns", tz="America/New_York")
    ),
    "object dates": objects(*DAYS),
    "object datetimes": objects(dt.datetime(1, 1, 1, 1), None, dt.datetime(9999, 1, 1, 0, 0, 5)),
    "object Timestamps": objects(pd.Timestamp("2024-01-01"), pd.NaT, pd.Timestamp("2023-05-01")),
}
LEVELS: dict[str, pd.Series] = {
    "bool": pd.Series([True, False, True]),
    "boolean": pd.Series([True, None, False], dtype="boolean"),
    "arrow bool": arrow([True, None, False], pa.bool_()),
    "object bools": objects(True, False, None),
    **{f"text as {kind}": pd.Series(WORDS, dtype=kind) for kind in (None, object, "string")},
    "object text with NaN": objects("b", np.nan, "a"),
    "arrow string": arrow(WORDS, pa.string()),
    "arrow large_string": arrow(WORDS, pa.large_string()),
    "category": pd.Series(WORDS, dtype="category"),
    "ordered category with unused": pd.Series(
        pd.Categorical(["b", None, "a"], categories=["c", "b", "a"], ordered=True)
    ),
    "category of ints": pd.Series(pd.Categorical([3, 1, 3], categories=[9, 3, 1])),
    "category of objects": pd.Series(pd.Categorical([True, "x", 2], categories=[2, "x", True])),
    "object of several types": objects(1, "1", 2.5, None),
    "object big ints": objects(10**30, -(10**30), None),
    "int64 forced": pd.Series([7, 5, 7]),
    "float16 forced": pd.Series([0.5, np.nan, 2.5], dtype="float16"),
}
CONSTANTS: dict[str, pd.Series] = {
    "one int8": pd.Series([7, 7], dtype="int8"),
    "one moment in a zone": pd.Series(pd.to_datetime(["2024-01-01"] * 2).tz_localize("Asia/Tokyo")),
    "one date": arrow([dt.date(2024, 1, 1)] * 2, pa.date32()),
    "one category": pd.Series(pd.Categorical(["a", "a"], categories=["b", "a"])),
    "one half": pd.Series([0.5, 0.5], dtype="float16"),
    "all None": objects(None, None),
    "all NaN": pd.Series([np.nan, np.nan]),
    "all NA": pd.Series([None, None], dtype="Int64"),
    "all NaT": pd.Series(pd.to_datetime([None, None])),
    "all text missing": pd.Series([None, None], dtype="string[pyarrow]"),
    "all category missing": pd.Series(pd.Categorical([None, None], categories=["a"])),
    "arrow null": arrow([None, None], pa.null()),
}
ALL = [
    pytest.param(name, series, kind, id=name)
    for kind, cases in (
        ("numeric", NUMBERS),
        ("datetime", TIMES),
        ("categorical", LEVELS),
        ("constant", CONSTANTS),
    )
    for name, series in cases.items()
]


def there_and_back(series: pd.Series, kind: ColumnKind | None = None) -> tuple[Column, pd.Series]:
    column = infer_column(series.rename("x"), "x", kind)
    column = Column.model_validate(json.loads(json.dumps(column.model_dump(mode="json"))))
    given = plain(series, column) if column.learned else np.zeros(len(series))
    return column, restored(given, column)


@pytest.mark.parametrize(("name", "series", "kind"), ALL)
def test_cells_come_back_in_their_dtype_and_type(name: str, series: pd.Series, kind: str) -> None:
    column, back = there_and_back(series, "categorical" if "forced" in name else None)
    assert column.kind == ("boolean" if "bool" in name else kind)
    assert_series_equal(back, series.rename("x"), check_exact=True)
    if kind == "datetime":
        assert np.nanmin(plain(series, column)) == 0
    if kind == "categorical" and series.dtype == object:
        assert list(map(type, back)) == list(map(type, series))


def test_generated_numbers_are_written_as_the_training_data_has_them() -> None:
    prices = infer_column(pd.Series([0.25, 10.5, 99.99]), "price")
    assert prices.decimals == 2
    assert restored([-3.0, 5.123456, 1e9, 0.1 + 0.2], prices).tolist() == [0.25, 5.12, 99.99, 0.3]
    counts = infer_column(pd.Series([1, 2, 9], dtype="int8"), "count")
    assert restored([1.6, -7, 1e30], counts).tolist() == [2, 1, 9]
    for cells in ([-1.5, 1.5, 0.2], [-1.0, 1.0, np.nan]):  # no negative zero
        assert not np.signbit(restored([-0.001], infer_column(pd.Series(cells), "x"))).any()


def test_moments_too_fine_for_a_float_stay_within_their_range() -> None:
    cells = pd.Series(np.array(["1700-01-01T00:00:00.123456789", "2200-01-01"], dtype="M8[ns]"))
    _, back = there_and_back(cells)
    assert cells.min() <= back.min() <= back.max() <= cells.max()


def test_a_column_is_read_whatever_dtype_its_cells_have_by_now() -> None:
    column = infer_column(pd.Series([1, 2, 3], dtype="int64"), "x")
    assert plain(pd.Series([2, None], dtype="Int8"), column)[0] == 2
    level = infer_column(pd.Series([1, 2, 1]), "x", "categorical")
    assert plain(pd.Series([2.0, np.nan]), level).tolist() == [1, -1]
    moment = infer_column(pd.Series(pd.to_datetime(["2024-01-01", "2024-01-05"])), "x")
    assert moment.unit == "D"
    assert plain(objects(dt.date(2024, 1, 3)), moment).tolist() == [2]
    levels = infer_column(pd.Series(["a", "b", "a"]), "x")
    assert plain(pd.Series(["b", "new", None]), levels).tolist() == [1, -1, -1]
    far = infer_column(pd.Series([2**60, 2**60 + 4]), "x")
    assert plain(pd.Series([2**60 - 3, 2**60 + 9]), far).tolist() == [-3, 9]
    for cells in (pd.Series(["a", "b"]), pd.Series(pd.to_datetime(["2024-01-01"]))):
        with pytest.raises(DataError, match="learned as numeric"):
            plain(cells, column)


def test_an_output_frame_has_the_schema_of_the_input() -> None:
    n = 30
    frame = pd.DataFrame(
        {
            "row_id": np.arange(5, 5 + n, dtype=np.int16),
            "age": [30, 40] * (n // 2),
            "same": ["x"] * n,
            "key": [f"k{i}" for i in range(n)],
            0: pd.Categorical(["a", "b"] * (n // 2)),
        }
    )
    schema = infer_schema(frame)
    values = {column.name: plain(frame[column.name], column) for column in schema.learned}
    out = output_frame(values, schema, n, first=2)
    assert out.dtypes.equals(frame.dtypes)
    assert_frame_equal(out[["age", "same", 0]], frame[["age", "same", 0]])
    assert out["row_id"].tolist() == list(range(37, 67))
    assert out["key"].iloc[0] == "synthetic-000003"
    none = output_frame({name: [] for name in schema.names}, schema, 0)
    assert (len(none), none.dtypes.equals(frame.dtypes)) == (0, True)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_all_float_frames_take_the_fast_path_with_the_same_result(dtype: str) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(50, 4)).round(3), columns=list("abcd")).astype(dtype)
    frame.loc[3, "b"] = np.nan
    frame["one"] = np.array(2.5, dtype=dtype)
    schema = infer_schema(frame)
    fast = plain_columns(frame, schema.learned)
    slow = {column.name: plain(frame[column.name], column) for column in schema.learned}
    for name, cells in slow.items():
        np.testing.assert_array_equal(fast[name], cells)
    made = {name: cells * 3 for name, cells in slow.items()}
    columns = [restored(made.get(column.name, np.zeros(50)), column) for column in schema.columns]
    assert_frame_equal(output_frame(made, schema, 50), pd.concat(columns, axis=1))


def test_the_target_joins_a_frame_of_many_columns_without_a_warning() -> None:
    frame = pd.DataFrame({f"gene {i}": np.arange(4.0) for i in range(150)})
    read = read_frame(frame.assign(y=list("abab")), target="y")
    made = output_frame({name: np.arange(4.0) for name in read.schema.names}, read.schema, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        whole = joined(made, np.array([0, 1, 0, 1]), read.schema)
    assert whole["y"].tolist() == list("abab")
    assert len(whole.columns) == 151
