"""What a column holds is inferred, described and overridden."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from gan_augment.data.tables.columns import output_frame, plain, restored
from gan_augment.data.tables.inference import infer_column, infer_schema
from gan_augment.data.tables.schema import Column, Overrides, TableSchema
from gan_augment.errors import DataError, UsageError

N = 40
RNG = np.random.Generator(np.random.Philox(0))
WORDS = [f"word {i}" for i in range(N)]


def column_of(cells: Any, name: str | int = "x", forced: Any = None) -> Column:
    return infer_column(cells if isinstance(cells, pd.Series) else pd.Series(cells), name, forced)


@pytest.mark.parametrize(
    ("cells", "name", "kind"),
    [
        ([True, False], "x", "boolean"),
        (pd.Series([True, None], dtype="boolean"), "x", "boolean"),
        (pd.Series([True, False, None], dtype=object), "x", "boolean"),
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
        ([-(2**62), 5, 2**62], "hash", "id"),
        (np.arange(N) + 0.5, "x", "numeric"),
        (WORDS, "x", "id"),
        (WORDS[:10], "x", "categorical"),
        (WORDS[:10], "key_id", "id"),
        ([*WORDS[:38], "a", "a"], "x", "id"),
        ([*WORDS[:30], *["a"] * 10], "x", "categorical"),
        (pd.Categorical(WORDS), "x", "categorical"),
        (pd.date_range("2024-01-01", periods=N), "x", "datetime"),
        (pd.Series([dt.date(2024, 1, 1), None, dt.date(2024, 1, 2)]), "x", "datetime"),
        (["2024-01-01", "2024-01-02", "2024-01-01"], "x", "categorical"),
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
    assert "often 0 (30%), 9.5 (6%)" in column.why
    assert column_of([0] * 9 + [1, 2, 3]).spikes == ()
    days = pd.Series(pd.date_range("2024-01-02", periods=60))
    days = pd.concat([days, pd.Series(pd.to_datetime(["2024-01-11"] * 9))], ignore_index=True)
    assert column_of(days).plain_spikes == (9.0,)
    assert (plain(days, column_of(days)) == 9).sum() == 10


def test_the_resolution_of_moments_is_found() -> None:
    moments = ["2024-01-01", "2024-01-01 05:00", "2024-01-01 05:30", "2024-01-01 05:30:01"]
    moments += ["2024-01-01 05:30:01.5", "2024-01-01 05:30:01.000005"]
    for text, unit in zip(moments, ("D", "h", "m", "s", "ms", "us"), strict=True):
        assert column_of(pd.Series([pd.Timestamp("2020-01-01"), pd.Timestamp(text)])).unit == unit


def test_levels_keep_their_order() -> None:
    column = column_of(pd.Categorical(["mid", "lo"], categories=["lo", "mid", "hi"], ordered=True))
    assert (column.levels, column.ordered) == (("lo", "mid"), True)
    assert column.categories == ("lo", "mid", "hi")
    assert column_of(pd.Series([1, "b", 0.5, "a"], dtype=object)).levels == (0.5, 1, "a", "b")


def test_remarks_name_other_kinds() -> None:
    assert "most are rare" in column_of([f"w{i % 120}" for i in range(200)]).why
    assert "=categorical" in column_of([0, 1, 2] * 9).why


def refilled(cells: Any, n: int, first: int = 0) -> list[Any]:
    series = pd.Series(cells)
    frame = pd.DataFrame({"id": series, "x": np.arange(len(series)) % 3})
    schema = infer_schema(frame, Overrides.of(id=["id"]))
    out = output_frame({"x": np.zeros(n)}, schema, n, first)
    assert out.dtypes.equals(frame.dtypes)
    return out["id"].tolist()  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("cells", "n", "first", "ids"),
    [
        ([3, 9, 5], 2, 0, [10, 11]),
        ([3, 9, 5], 2, 7, [17, 18]),
        (pd.Series([3, None, 5], dtype="Int64"), 2, 0, [6, 7]),
        (pd.Series([3, 4], dtype=pd.ArrowDtype(pa.int8())), 1, 0, [5]),
        (pd.Series([3, 4, None], dtype=object), 1, 0, [5]),
        (["a", "b", "c"], 2, 0, ["synthetic-000001", "synthetic-000002"]),
        (["a", "synthetic-000041"], 1, 1, ["synthetic-000043"]),
        (pd.Series(["a", "b"], dtype=pd.ArrowDtype(pa.string())), 1, 0, ["synthetic-000001"]),
        (pd.Series([1, "b", None], dtype=object), 1, 0, [None]),
        (pd.date_range("2024-01-01", periods=3), 1, 0, [pd.NaT]),
        # at the end of their type: below the smallest
        (pd.Series([100, 126], dtype="int8"), 3, 0, [127, 99, 98]),
        (pd.Series([100, 126], dtype="int8"), 2, 1, [99, 98]),
        ([5, 2**63 - 1], 2, 0, [4, 3]),
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
        ([1, 2, 1], "categorical", lambda c: c.levels == (1, 2)),
        ([0.5, 2.5, np.nan], "categorical", lambda c: c.levels == (0.5, 2.5)),
        (WORDS, "categorical", lambda c: len(c.levels) == N),
        ([0, 1, 1], "boolean", lambda c: c.levels == (0, 1)),
        (["n", "y", "n"], "boolean", lambda c: c.levels == ("n", "y")),
        ([True, False], "numeric", lambda c: (c.low, c.high) == (0, 1)),
        (np.arange(N), "numeric", lambda c: c.high == N - 1),
        ([5, 5], "numeric", lambda c: (c.low, c.high) == (5, 5)),
        ([5, 5], "constant", lambda c: c.levels == (5,)),
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
        (["2024-01-31", "2024-02-01"], "datetime", "to_datetime"),
        (pd.to_datetime(["2024-01-31", "2024-02-01"]), "categorical", "text first"),
        ([1, 2], "datetime", "cannot be datetime"),
        (pd.Categorical([1, 2]), "numeric", "cannot be numeric"),
        ([1, 2, 3], "boolean", "at most two"),
        ([1, 2], "constant", "not constant"),
        ([None, None], "categorical", "every cell"),
        ([-(2**62), 2**62], "numeric", "too far apart"),
        # cells
        ([1.0, np.inf, -np.inf, 2.0], None, r"2 infinite values.*rows 1, 2.*replace"),
        (pd.Series([1.0, np.inf], dtype="Float64"), None, "infinite"),
        ([1 + 2j, 3j], None, "complex"),
        (pd.Series([[1], [2]]), None, "list.*convert it first"),
        (pd.Series([{"a": 1}, None]), None, "dict"),
        (pd.Series([1.0, 0.0], dtype="Sparse[float64]"), None, "Sparse"),
        (pd.Series([[1]], dtype=pd.ArrowDtype(pa.list_(pa.int64()))), None, "list<"),
        (pd.Series([(1, 2), "a"]), None, "tuple"),
        (pd.Series([uuid.UUID(int=1), uuid.UUID(int=2)]), None, "UUID"),
        (pd.Series([b"a", b"b"]), None, "bytes"),
        (pd.cut(pd.Series([1.0, 5.0]), 2), None, "Interval"),
        (pd.Series([Decimal("1.5"), None]), None, "decimal.*convert it first"),
        (pd.Series([Decimal(1)], dtype=pd.ArrowDtype(pa.decimal128(3, 2))), None, "decimal128"),
        (pd.to_timedelta(["1h", "2h"]), None, "timedelta.*convert it first"),
        (pd.Series([dt.time(1), dt.time(2)]), None, "time.*convert it first"),
        (pd.Series(pd.PeriodIndex(["2024-01"], freq="M")), None, "period.*convert it first"),
        (pd.Series([dt.datetime(2024, 1, 1, tzinfo=dt.UTC), None], dtype=object), None, "zone"),
        (pd.Series([2**64 - 1], dtype="uint64"), None, "2\\^63"),
        (pd.Series(["\udce9", "a"], dtype=object), None, "surrogates"),
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
    kinds = [c.kind for c in infer_schema(frame, Overrides.of(categorical=["3", "size"])).columns]
    assert infer_schema(frame).of(3).kind == "numeric"
    assert kinds == ["categorical", "categorical"]
    with pytest.raises(UsageError, match="Did you mean 'size'"):
        infer_schema(frame, Overrides.of(categorical=["sise"]))
    with pytest.raises(DataError, match="Did you mean 'size'"):
        infer_schema(frame).of("sise")
    with pytest.raises(UsageError, match="list it once"):
        Overrides.of(categorical=["a"], id=["a"])


def test_overrides_come_from_toml_or_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "schema.toml"
    path.write_text('[columns]\nzip = "categorical"\n"Unnamed: 0" = "id"\n')
    read = Overrides.read(path)
    assert read.columns == {"zip": "categorical", "Unnamed: 0": "id"}
    later = read.merged(Overrides.of(numeric=["zip"]))
    assert later.columns == {"zip": "numeric", "Unnamed: 0": "id"}
    for text, key in {
        '[colums]\nzip = "id"': r"no table \[columns\]",
        '[columns]\nzip = "categories"': r"columns.zip = 'categories'",
        "[columns]\nzip = 3": "refused",
        "[columns": "TOML",
    }.items():
        path.write_text(text)
        with pytest.raises(UsageError, match=key):
            Overrides.read(path)


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
            "mixed": pd.Series([1, "é", 1.5, True, None] * 2, dtype=object),
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
