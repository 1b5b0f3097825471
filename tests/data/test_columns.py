"""What a column holds is inferred and described; cells go out as numbers and come back."""

from __future__ import annotations

import datetime as dt
import json
import uuid
import warnings
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal, assert_series_equal

from gan_augment.data.tables.columns import joined, output_frame, plain, plain_columns, restored
from gan_augment.data.tables.containers import plain_series
from gan_augment.data.tables.inference import infer_column, infer_schema
from gan_augment.data.tables.reader import read_frame
from gan_augment.data.tables.schema import Column, ColumnKind, TableSchema
from gan_augment.errors import DataError, UsageError

WHOLE = [3, 1, 2, 3, -4]
REAL = [0.25, 1.5, -3.75, 1.5, 0.0]
DATES = ["2024-01-31 10:00:00", "1969-12-31 23:59:59", None, "2024-03-31 01:30:00"]
WORDS = ["b", None, "a", "é", "b"]
N = 40
RNG = np.random.Generator(np.random.Philox(0))
KEYS = [f"word {i}" for i in range(N)]


def dates(unit: str, zone: str | None = None) -> pd.Series:
    index = pd.DatetimeIndex(pd.to_datetime(DATES)).as_unit(unit)
    return pd.Series(index if zone is None else index.tz_localize("UTC").tz_convert(zone))


def objects(*values: Any) -> pd.Series:
    return pd.Series(values, dtype=object)


def column_of(cells: Any, name: str | int = "x", forced: Any = None) -> Column:
    return infer_column(cells if isinstance(cells, pd.Series) else pd.Series(cells), name, forced)


CELLS: list[tuple[str, ColumnKind, pd.Series]] = [
    *((name, "numeric", pd.Series(WHOLE, dtype=name)) for name in ("int8", "int64", ">i4")),
    ("Int64", "numeric", pd.Series([3, None, 1], dtype="Int64")),
    ("uint64", "numeric", pd.Series([3, 1, 200], dtype="uint64")),
    *((name, "numeric", pd.Series(REAL, dtype=name)) for name in ("float16", "float32", "float64")),
    ("Float64", "numeric", pd.Series([0.25, None, 1.5], dtype="Float64")),
    ("whole floats", "numeric", pd.Series([1.0, np.nan, 3.0])),
    ("thirds", "numeric", pd.Series([1 / 3, 2 / 3, 7.1])),
    ("float32 of decimals", "numeric", pd.Series([0.1, 0.25, 12.34], dtype="float32")),
    *((f"M8[{unit}]", "datetime", dates(unit)) for unit in ("s", "ms", "us", "ns")),
    ("in a zone", "datetime", dates("ns", "Europe/Berlin")),
    ("fixed offset", "datetime", dates("us", "UTC+02:00")),
    ("bool", "categorical", pd.Series([True, False, True])),
    ("boolean", "categorical", pd.Series([True, None, False], dtype="boolean")),
    *((f"text {kind}", "categorical", pd.Series(WORDS, dtype=kind)) for kind in (None, "string")),
    ("object text", "categorical", objects("b", np.nan, "a")),
    ("category", "categorical", pd.Series(WORDS, dtype="category")),
    *(
        (f"dates in {kind} by {text}", "datetime", pd.Series([text, None, other, text], dtype=kind))
        for text, other in (
            ("2024-05-31", "1999-01-01"),
            ("31.05.2024", "01.06.2024"),
            ("05/31/2024 09:30", "12/01/2024 23:59"),
            ("2024-05-31T13:07:09Z", "2023-05-31T00:00:00Z"),
            ("2024-05-31 13:07:09.120000", "2024-05-31 13:07:09.000001"),
        )
        for kind in (None, "string")
    ),
    ("dates as objects", "datetime", objects("31/05/2024", np.nan, "01/06/2024")),
    ("one date as text", "constant", pd.Series(["2024-05-31"] * 2)),
    (
        "ordered category with unused",
        "categorical",
        pd.Series(pd.Categorical(["b", None, "a"], categories=["c", "b", "a"], ordered=True)),
    ),
    ("category of ints", "categorical", pd.Series(pd.Categorical([3, 1, 3], categories=[9, 3, 1]))),
    ("int64 forced", "categorical", pd.Series([7, 5, 7])),
    ("one int8", "constant", pd.Series([7, 7], dtype="int8")),
    (
        "one date",
        "constant",
        pd.Series(pd.to_datetime(["2024-01-01"] * 2).tz_localize("Asia/Tokyo")),
    ),
    ("one category", "constant", pd.Series(pd.Categorical(["a", "a"], categories=["b", "a"]))),
    ("all NaN", "constant", pd.Series([np.nan, np.nan])),
    ("all NA", "constant", pd.Series([None, None], dtype="Int64")),
    ("all NaT", "constant", pd.Series(pd.to_datetime([None, None]))),
    (
        "all categories missing",
        "constant",
        pd.Series(pd.Categorical([None, None], categories=["a"])),
    ),
]


@pytest.mark.parametrize(("name", "kind", "series"), CELLS, ids=[name for name, _, _ in CELLS])
def test_cells_come_back_in_their_dtype(name: str, kind: str, series: pd.Series) -> None:
    column = column_of(series, "x", "categorical" if "forced" in name else None)
    column = Column.model_validate(json.loads(json.dumps(column.model_dump(mode="json"))))
    given = plain(series, column) if column.learned else np.zeros(len(series))
    assert column.kind == kind
    assert_series_equal(restored(given, column), series.rename("x"), check_exact=True)
    if kind == "datetime":
        assert np.nanmin(given) == 0


@pytest.mark.parametrize(
    ("series", "dtype"),
    [
        (objects(3, None, 1), "Int64"),
        (objects(0.5, np.nan, 2), "float64"),
        (objects(True, False, None), "boolean"),
        (objects("a", None, "b"), "object"),
        (objects(dt.date(2024, 1, 31), None), "datetime64[us]"),
        (objects(pd.Timestamp("2024-01-01"), pd.NaT), "datetime64[us]"),
        (objects(None, None), "float64"),
        (pd.Series(pd.Categorical(["a"], pd.Index(["a"], dtype=object))), "category"),
    ],
)
def test_objects_become_plain_dtypes(series: pd.Series, dtype: str) -> None:
    cells = plain_series(series)
    found = str(cells.dtype)
    assert found == dtype or (found.startswith("datetime64[") and dtype.startswith("datetime64["))
    assert cells.isna().tolist() == series.isna().tolist()


def test_generated_numbers_are_written_as_the_training_data_has_them() -> None:
    prices = infer_column(pd.Series([0.25, 10.5, 99.99]), "price")
    assert prices.decimals == 2
    assert restored([-3.0, 5.123456, 1e9, 0.1 + 0.2], prices).tolist() == [0.25, 5.12, 99.99, 0.3]
    counts = infer_column(pd.Series([1, 2, 9], dtype="int8"), "count")
    assert restored([1.6, -7, 1e30], counts).tolist() == [2, 1, 9]
    for cells in ([-1.5, 1.5, 0.2], [-1.0, 1.0, np.nan]):  # no negative zero
        assert not np.signbit(restored([-0.001], infer_column(pd.Series(cells), "x"))).any()


def test_dates_too_fine_for_a_float_stay_within_their_range() -> None:
    cells = pd.Series(np.array(["1700-01-01T00:00:00.123456789", "2200-01-01"], dtype="M8[ns]"))
    column = column_of(cells)
    back = restored(plain(cells, column), column)
    assert cells.min() <= back.min() <= back.max() <= cells.max()


def test_a_column_is_read_whatever_dtype_its_cells_have_by_now() -> None:
    column = infer_column(pd.Series([1, 2, 3], dtype="int64"), "x")
    assert plain(pd.Series([2, None], dtype="Int8"), column)[0] == 2
    codes = infer_column(pd.Series([1, 2, 1]), "x", "categorical")
    assert plain(pd.Series([2.0, np.nan]), codes).tolist() == [1, -1]
    date = infer_column(pd.Series(pd.to_datetime(["2024-01-01", "2024-01-05"])), "x")
    assert date.unit == "D"
    assert plain(objects(dt.date(2024, 1, 3)), date).tolist() == [2]
    words = infer_column(pd.Series(["a", "b", "a"]), "x")
    assert plain(pd.Series(["b", "new", None]), words).tolist() == [1, -1, -1]
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


@pytest.mark.parametrize(
    "text", ["2024-02-30", "31.05.2024", "2024-05-31 25:00", "123-45-6789", "nan"]
)
def test_one_cell_that_is_no_date_makes_a_column_text(text: str) -> None:
    assert column_of(["2024-05-31", text]).kind == "categorical"


@pytest.mark.parametrize(
    ("cells", "name", "kind"),
    [
        ([True, False], "x", "categorical"),
        (pd.Series([True, None], dtype="boolean"), "x", "categorical"),
        (pd.Series([True, False, None], dtype=object), "x", "categorical"),
        (["yes", "no"], "x", "categorical"),
        ([0, 1, 0], "x", "numeric"),
        (np.arange(N) + 7, "x", "id"),
        (np.arange(N)[::-1].astype("uint8"), "x", "id"),
        (pd.Series(np.arange(N)).astype(object), "x", "id"),
        (np.arange(N)[:10], "x", "numeric"),
        (np.arange(N) * 2, "x", "numeric"),
        (np.arange(N) * 2, "patient_id", "id"),
        (np.arange(N) * 2, "rowId", "id"),
        (np.arange(N) * 1.0, "patient_id", "numeric"),
        (np.arange(N) * 2, "Unnamed: 0", "id"),
        (np.arange(N) * 2, "paid", "numeric"),
        (np.arange(N) // 2, "patient_id", "numeric"),
        ([10115, 80331, 20095, 50667] * 10, "zip", "categorical"),
        ([10, 20, 30] * 5, "x", "categorical"),
        (pd.Series([7] * 9 + [None], dtype="Int64"), "x", "numeric"),
        ([10, 20, 30] * 4, "x", "numeric"),  # too few rows to tell
        ([0, 1, 2, 3, 4, 40] * 9, "x", "numeric"),  # a count
        (np.arange(N) % 30 * 10, "x", "numeric"),
        ([-(2**62), 5, 2**62], "hash", "id"),
        (np.arange(N) + 0.5, "x", "numeric"),
        (KEYS, "x", "id"),
        (KEYS[:10], "x", "categorical"),
        (KEYS[:10], "key_id", "id"),
        ([*KEYS[:38], "a", "a"], "x", "id"),
        ([*KEYS[:30], *["a"] * 10], "x", "categorical"),
        (pd.Categorical(KEYS), "x", "categorical"),
        (pd.date_range("2024-01-01", periods=N), "x", "datetime"),
        (pd.Series([dt.date(2024, 1, 1), None, dt.date(2024, 1, 2)]), "x", "datetime"),
        (["2024-01-01", "2024-01-02", "2024-01-01"], "x", "datetime"),
        (["2024-01-01", "2024-01-02", "2024-01-32"], "x", "categorical"),
        (pd.Categorical(["2024-01-01", "2024-01-02"]), "x", "categorical"),
        (["a", None], "x", "categorical"),
        ([1.0, np.nan], "x", "numeric"),
        ([1, 1], "x", "constant"),
        ([None, None], "x", "constant"),
    ],
)
def test_kinds_are_inferred(cells: Any, name: str, kind: str) -> None:
    column = column_of(cells, name)
    assert column.kind == kind
    assert column.why


def test_numbers_are_described() -> None:
    price = column_of([0.5, 12.25, np.nan, 3.0])
    assert (price.low, price.high, price.decimals, price.missing) == (0.5, 12.25, 2, 1)
    whole = column_of([1.0, np.nan, 5.0])
    assert (whole.low, whole.high, whole.decimals) == (1, 5, 0)
    assert column_of([1 / 3, 2 / 7]).decimals is None
    assert column_of(np.array([0.1, 0.75], dtype="float32")).decimals == 2
    assert column_of(RNG.normal(size=N).astype("float32")).decimals is None
    assert column_of([1e-13, 1.0]).decimals is None


def test_spikes_are_values_of_a_twentieth_of_the_cells() -> None:
    cells = np.concatenate([np.zeros(30), np.full(5, 9.5), np.arange(65) + 0.5, [np.nan] * 50])
    column = column_of(cells)
    assert column.spikes == (0.0, 9.5)
    assert "often 0, 9.5" in column.why
    assert column_of([0] * 9 + [1, 2, 3]).spikes == ()
    days = pd.Series(pd.date_range("2024-01-02", periods=60))
    days = pd.concat([days, pd.Series(pd.to_datetime(["2024-01-11"] * 9))], ignore_index=True)
    assert [spike - column_of(days).origin for spike in column_of(days).spikes] == [9]
    assert (plain(days, column_of(days)) == 9).sum() == 10


def test_the_resolution_of_dates_is_found() -> None:
    dates = ["2024-01-01", "2024-01-01 05:00", "2024-01-01 05:30", "2024-01-01 05:30:01"]
    dates += ["2024-01-01 05:30:01.5", "2024-01-01 05:30:01.000005"]
    for text, unit in zip(dates, ("D", "h", "m", "s", "ms", "us"), strict=True):
        assert column_of(pd.Series([pd.Timestamp("2020-01-01"), pd.Timestamp(text)])).unit == unit


def test_categories_keep_their_order() -> None:
    column = column_of(pd.Categorical(["mid", "lo"], categories=["lo", "mid", "hi"], ordered=True))
    assert (column.categories, column.ordered) == (("lo", "mid"), True)
    assert column.dtype_categories == ("lo", "mid", "hi")


def test_remarks_name_other_kinds() -> None:
    assert "most are rare" in column_of([f"w{i % 120}" for i in range(200)]).why
    assert "=categorical" in column_of([0, 1, 2] * 9).why
    assert "=numeric" in column_of([0, 10, 20] * 9).why


def refilled(cells: Any, n: int, first: int = 0) -> list[Any]:
    series = pd.Series(cells)
    frame = pd.DataFrame({"id": series, "x": np.arange(len(series)) % 3})
    schema = infer_schema(frame, {"id": "id"})
    out = output_frame({"x": np.zeros(n)}, schema, n, first)
    assert out.dtypes.equals(frame.dtypes)
    return out["id"].tolist()  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("cells", "n", "first", "ids"),
    [
        ([3, 9, 5], 2, 0, [10, 11]),
        ([3, 9, 5], 2, 7, [17, 18]),
        (pd.Series([3, None, 5], dtype="Int64"), 2, 0, [6, 7]),
        (["a", "b", "c"], 2, 0, ["synthetic-000001", "synthetic-000002"]),
        (["a", "synthetic-000041"], 1, 1, ["synthetic-000043"]),
        (["a", "repeat-000041"], 1, 1, ["synthetic-000043"]),
        (pd.date_range("2024-01-01", periods=3), 1, 0, [pd.NaT]),
    ],
)
def test_ids_are_refilled_with_new_ones(cells: Any, n: int, first: int, ids: list[Any]) -> None:
    assert refilled(cells, n, first) == ids


def test_other_ids_are_left_empty_or_refused() -> None:
    assert np.isnan(refilled([0.5, 1.5, 2.5], 1)).all()
    assert pd.isna(refilled(pd.Series(pd.Categorical(["a", "b"])), 1)).all()
    with pytest.raises(DataError, match="boolean"):
        refilled([True, False], 1)
    with pytest.raises(DataError, match="no numbers left for 3"):
        refilled(pd.Series([1, 254], dtype="uint8"), 3)


@pytest.mark.parametrize(
    ("cells", "forced", "check"),
    [
        ([1, 2, 1], "categorical", lambda c: c.categories == (1, 2)),
        ([0.5, 2.5, np.nan], "categorical", lambda c: c.categories == (0.5, 2.5)),
        (KEYS, "categorical", lambda c: len(c.categories) == N),
        ([True, False], "numeric", lambda c: (c.low, c.high) == (0, 1)),
        (np.arange(N), "numeric", lambda c: c.high == N - 1),
        ([5, 5], "numeric", lambda c: (c.low, c.high) == (5, 5)),
    ],
)
def test_a_kind_can_be_forced_where_it_makes_sense(cells: Any, forced: str, check: Any) -> None:
    series = pd.Series(cells)
    column = column_of(series, "x", forced)
    assert column.kind == forced
    assert check(column)
    assert column.why.startswith("asked for")
    if column.learned:
        assert restored(plain(series, column), column).equals(series)


@pytest.mark.parametrize(
    ("cells", "forced", "key"),
    [
        (["1", "2"], "numeric", "to_numeric"),
        (["2024-01-31", "2024-02-31"], "datetime", "to_datetime"),
        (pd.to_datetime(["2024-01-31", "2024-02-01"]), "categorical", "text first"),
        ([1, 2], "datetime", "cannot be datetime"),
        (pd.Categorical([1, 2]), "numeric", "cannot be numeric"),
        ([None, None], "categorical", "every cell"),
        ([-(2**62), 2**62], "numeric", "too large"),
        # cells
        ([1.0, np.inf, -np.inf, 1e301], None, r"3 infinite values.*rows 1, 2.*replace"),
        (pd.Series([1.0, np.inf], dtype="Float64"), None, "infinite"),
        ([1 + 2j, 3j], None, "complex"),
        (pd.Series([[1], [2]]), None, "list.*convert it first"),
        (pd.Series([{"a": 1}, None]), None, "dict"),
        (pd.Series([1.0, 0.0], dtype="Sparse[float64]"), None, "Sparse"),
        (pd.Series([1.5], dtype="double[pyarrow]"), None, "double.*Table.from_pandas"),
        (pd.Series([(1, 2), "a"]), None, "str, tuple"),
        (pd.Series([1, "1"]), None, "int, str"),
        ([10**30, 1], None, "type int"),
        (pd.Series([uuid.UUID(int=1), uuid.UUID(int=2)]), None, "UUID"),
        (pd.Series([b"a", b"b"]), None, "bytes"),
        (pd.cut(pd.Series([1.0, 5.0]), 2), None, "Interval"),
        (pd.Series([Decimal("1.5"), None]), None, "Decimal.*convert it first"),
        (pd.to_timedelta(["1h", "2h"]), None, "timedelta.*convert it first"),
        (pd.Series([dt.time(1), dt.time(2)]), None, "time"),
        (pd.Series(pd.PeriodIndex(["2024-01"], freq="M")), None, "period.*convert it first"),
        (pd.Series([2**64 - 1], dtype="uint64"), None, "2\\^63"),
        (pd.Series(["\udce9", "a"], dtype=object), None, "type str"),
    ],
)
def test_columns_that_cannot_be_learned_are_refused(cells: Any, forced: str, key: str) -> None:
    with pytest.raises(DataError, match=key):
        column_of(cells, "x", forced)


@pytest.mark.parametrize(
    ("frame", "key"),
    [
        (pd.DataFrame({"a": []}), "0 rows and 1 feature columns"),
        (pd.DataFrame(index=range(3)), "3 rows and 0 feature columns"),
        (pd.DataFrame(np.eye(2), columns=["a", "a"]), r"\['a'\] occur more than once"),
        (pd.DataFrame(np.eye(2), columns=pd.MultiIndex.from_tuples([(1, 2), (1, 3)])), "2 levels"),
        (pd.DataFrame(np.eye(2), columns=[0.5, 1.5]), "astype"),
        (pd.DataFrame(np.eye(2), columns=pd.Index(["\udce9", "a"], dtype=object)), "expected text"),
        (pd.DataFrame({"a": [1], "b": ["x"]}), "no column can be learned: 'a' is"),
    ],
)
def test_tables_that_cannot_be_learned_are_refused(frame: pd.DataFrame, key: str) -> None:
    with pytest.raises(DataError, match=key):
        infer_schema(frame)


def test_overrides_name_known_columns() -> None:
    frame = pd.DataFrame({"size": [1, 2], 3: [4, 5]})
    asked = {"3": "categorical", "size": "categorical"}
    kinds = [[c.kind for c in infer_schema(frame, one).columns] for one in (None, asked)]
    assert kinds == [["numeric"] * 2, ["categorical"] * 2]
    with pytest.raises(UsageError, match="Did you mean 'size'"):
        infer_schema(frame, {"sise": "categorical"})
    with pytest.raises(UsageError, match="'size' cannot be 'number'; the kinds are numeric"):
        infer_schema(frame, {"size": "number"})


def test_the_schema_is_shown_a_line_a_column() -> None:
    frame = pd.DataFrame({"size": [0.5, 2.25], "row_id": [3, 4], "word": ["a", None], 7: [1, 1]})
    heading, *lines = infer_schema(frame).lines()
    assert heading.split() == ["column", "kind", "type", "missing", "values", "why"]
    assert [line.split()[:2] for line in lines] == [
        ["size", "numeric"],
        ["row_id", "id"],
        ["word", "categorical"],
        ["7", "constant"],
    ]
    assert "0.5 to 2.25" in lines[0]
    assert "the name says so" in lines[1]
    when = pd.date_range("2021-03-01 08:00", periods=3, freq="13h")
    line = infer_schema(pd.DataFrame({"when": when})).lines()[1]
    assert "2021-03-01 08 to 2021-03-02 10" in line


def test_a_schema_survives_json() -> None:
    frame = pd.DataFrame(
        {
            "text": ["a", "é", None, "b", "c"] * 2,
            "bins": pd.cut(np.arange(10), 3, labels=["lo", "mid", "hi"]),
            "zone": pd.date_range("2024-01-01", periods=10, tz="Europe/Berlin"),
            0: np.arange(10) / 3,
        }
    )
    schema = infer_schema(frame)
    again = TableSchema.model_validate(json.loads(json.dumps(schema.model_dump(mode="json"))))
    assert again == schema
    assert [type(name) for name in again.names] == [str, str, str, int]
    assert TableSchema.model_validate_json(schema.model_dump_json()) == schema
