"""What is inferred of columns, what a user may override, and what is refused with which words."""

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
        (pd.to_timedelta(["1h", "2h"]), "x", "numeric"),
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
    assert (price.low, price.high, price.decimals, price.integer) == (0.5, 12.25, 2, False)
    assert price.missing == 1
    whole = column_of([1.0, np.nan, 5.0])
    assert (whole.low, whole.high, whole.integer) == (1, 5, True)
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


def test_spikes_of_moments_stand_among_the_plain_numbers() -> None:
    days = pd.Series(pd.to_datetime(["2024-01-01", *pd.date_range("2024-01-02", periods=60)]))
    days = pd.concat([days, pd.Series(pd.to_datetime(["2024-01-11"] * 9))], ignore_index=True)
    column = column_of(days)
    assert column.plain_spikes == (10.0,)
    assert (plain(days, column) == 10).sum() == 10


def test_the_resolution_of_moments_is_found() -> None:
    moments = ["2024-01-01", "2024-01-01 05:00", "2024-01-01 05:30", "2024-01-01 05:30:01"]
    moments += ["2024-01-01 05:30:01.5", "2024-01-01 05:30:01.000005"]
    for text, unit in zip(moments, ("D", "h", "m", "s", "ms", "us"), strict=True):
        assert column_of(pd.Series([pd.Timestamp("2020-01-01"), pd.Timestamp(text)])).unit == unit


def test_generated_days_in_a_zone_are_local_midnights() -> None:
    days = pd.Series(pd.date_range("2024-03-01", "2024-04-30", tz="Europe/Berlin"))
    column = column_of(days)
    assert (column.unit, column.wall) == ("D", True)
    made = restored(np.arange(60) + 0.4, column)
    assert made.dtype == days.dtype
    assert (made.dt.hour == 0).all()


def test_levels_keep_their_order_and_their_types() -> None:
    column = column_of(pd.Categorical(["mid", "lo"], categories=["lo", "mid", "hi"], ordered=True))
    assert (column.levels, column.ordered) == (("lo", "mid"), True)
    assert column.categories == ("lo", "mid", "hi")
    levels = column_of(pd.Series([1, "1", True, 1.0, Decimal("1"), None] * 2, dtype=object)).levels
    assert [type(level).__name__ for level in levels] == ["Decimal", "bool", "float", "int", "str"]


def test_what_a_column_may_be_instead_is_remarked_on() -> None:
    assert "most are rare" in column_of([f"w{i % 120}" for i in range(200)]).why
    assert "--numeric x" in column_of([f"{i}.5" for i in range(N)]).why
    assert "--categorical" in column_of([0, 1, 2] * 9).why


def refilled(cells: Any, n: int, first: int = 0, name: str = "id") -> list[Any]:
    series = pd.Series(cells)
    frame = pd.DataFrame({name: series, "x": np.arange(len(series)) % 3})
    schema = infer_schema(frame, Overrides.of(id=[name]))
    out = output_frame({"x": np.zeros(n)}, schema, n, first)
    assert out.dtypes.equals(frame.dtypes)
    return out[name].tolist()  # type: ignore[no-any-return]


def test_ids_are_refilled_with_what_never_occurred() -> None:
    assert refilled([3, 9, 5], 2) == [10, 11]
    assert refilled([3, 9, 5], 2, first=7) == [17, 18]
    assert refilled(pd.Series([3, None, 5], dtype="Int64"), 2) == [6, 7]
    assert refilled(pd.Series([3, 4], dtype=pd.ArrowDtype(pa.int8())), 1) == [5]
    assert refilled(pd.Series([3, 4, None], dtype=object), 1) == [5]
    assert refilled(["a", "b", "c"], 2) == ["synthetic-000001", "synthetic-000002"]
    assert refilled(["a", "synthetic-000041", "c"], 2, first=1) == [
        "synthetic-000043",
        "synthetic-000044",
    ]
    text = pd.Series(["a", "b"], dtype=pd.ArrowDtype(pa.string()))
    assert refilled(text, 1) == ["synthetic-000001"]


def test_other_ids_are_left_empty() -> None:
    assert np.isnan(refilled([0.5, 1.5, 2.5], 1)).all()
    assert refilled(pd.date_range("2024-01-01", periods=3), 1) == [pd.NaT]
    assert pd.isna(refilled(pd.Series(pd.Categorical(["a", "b"])), 1)).all()
    assert refilled(pd.Series([1, "b", None], dtype=object), 1) == [None]
    with pytest.raises(DataError, match="no new ids"):
        refilled([True, False], 1)


def test_ids_at_the_end_of_their_type_go_on_below_the_smallest() -> None:
    assert refilled(pd.Series([100, 126], dtype="int8"), 3) == [127, 99, 98]
    assert refilled(pd.Series([100, 126], dtype="int8"), 2, first=1) == [99, 98]
    assert refilled(pd.Series([0, 2**64 - 2], dtype="uint64"), 1) == [2**64 - 1]
    assert refilled(pd.Series([5, 2**63 - 1]), 2) == [4, 3]
    with pytest.raises(DataError, match=r"no numbers left for 3 synthetic rows; make it int64"):
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
        (["1.50", "12.25"], "numeric", lambda c: (c.decimals, c.text) == (2, "fixed")),
        (["1", "12", None], "numeric", lambda c: (c.low, c.high, c.text) == (1, 12, "whole")),
        (["1.5", "20"], "numeric", lambda c: (c.high, c.text) == (20, "shortest")),
        (np.arange(N), "numeric", lambda c: c.high == N - 1),
        (["2024-01-31", "2024-02-01"], "datetime", lambda c: c.unit == "D"),
        (["2024-01-31 10:00:05", None], "datetime", lambda c: c.unit == "s"),
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
    ("cells", "forced", "message"),
    [
        (["1", "2", "x7", "y"], "numeric", r"row 2: 'x7' is not a number; 2 of 4"),
        *(
            (["1", "2.5", cell], "numeric", "row 2: .* is not a number; 1 of 3 cells")
            for cell in ("inf", ".", "1\x002", "1,5", "", "١")
        ),
        (["2024-01-31", "31.1.2024"], "datetime", r"row 1: '31.1.2024' is not a date like"),
        (["2024-01-31", "2024-02-30"], "datetime", "2024-02-30"),
        ([1, 2], "datetime", "cannot be datetime"),
        (pd.Categorical([1, 2]), "numeric", "cannot be numeric"),
        ([1, 2, 3], "boolean", "at most two"),
        ([1, 2], "constant", "not constant"),
        ([None, None], "categorical", "every cell"),
        ([None, None], "numeric", "every cell"),
    ],
)
def test_a_kind_that_cannot_be_is_refused_with_the_cause(
    cells: Any, forced: str, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        column_of(cells, "x", forced)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (
            [1.0, np.inf, -np.inf, 2.0],
            r"'x' holds 2 infinite values.*rows 1, 2.*replace",
        ),
        (pd.Series([1.0, np.inf], dtype="Float64"), "infinite"),
        (pd.Series([Decimal("Infinity"), Decimal("1")], dtype=object), "infinite"),
        ([1 + 2j, 3j], "complex128, which is not learned"),
        (pd.Series([[1], [2]]), "'x' holds a list in row 0.*Drop the column"),
        (pd.Series([{"a": 1}, None]), "holds a dict in row 0"),
        (pd.Series([1j, "a"], dtype=object), "holds a complex"),
        (pd.Series([1.0, 0.0], dtype="Sparse[float64]"), "Sparse"),
        (
            pd.Series([[1], [2]], dtype=pd.ArrowDtype(pa.list_(pa.int64()))),
            "list<.*split it",
        ),
        (pd.Series([(1, 2), "a"]), "holds a tuple in row 0"),
        (pd.Series([uuid.UUID(int=1), uuid.UUID(int=2)]), "holds a UUID in row 0"),
        (pd.Series([b"a", b"b"]), "holds a bytes in row 0"),
        (pd.Series([b"a"], dtype=pd.ArrowDtype(pa.binary())), "binary.*not learned"),
        (pd.cut(pd.Series([1.0, 5.0]), 2), "holds a Interval in row 0"),
        (pd.Series(pd.interval_range(0, 2)), "interval.*not learned"),
        (pd.DataFrame({"a": []}), "0 rows and 1 feature columns"),
        (pd.DataFrame(index=range(3)), "3 rows and 0 feature columns"),
        (pd.DataFrame(np.eye(2), columns=["a", "a"]), r"\['a'\] occur more than once"),
        (pd.DataFrame(np.eye(2), columns=pd.MultiIndex.from_tuples([(1, 2), (1, 3)])), "2 levels"),
        (pd.DataFrame(np.eye(2), columns=[0.5, 1.5]), "astype"),
        (
            pd.DataFrame(np.eye(2), columns=pd.Index(["\udce9", "a"], dtype=object)),
            "expected text",
        ),
        (pd.DataFrame({"a": [1, 1], "b": WORDS[:2]}).iloc[:1], "no column can be learned: 'a' is"),
    ],
)
def test_tables_that_cannot_be_learned_are_refused(cells: Any, message: str) -> None:
    frame = cells if isinstance(cells, pd.DataFrame) else pd.DataFrame({"x": cells})
    with pytest.raises(DataError, match=message):
        infer_schema(frame)


def test_overrides_name_columns_that_are_there() -> None:
    frame = pd.DataFrame({"size": [1, 2], 3: [4, 5]})
    kinds = [c.kind for c in infer_schema(frame, Overrides.of(categorical=["3", "size"])).columns]
    assert infer_schema(frame).of(3).kind == "numeric"
    assert kinds == ["categorical", "categorical"]
    with pytest.raises(UsageError, match="Did you mean 'size'"):
        infer_schema(frame, Overrides.of(categorical=["sise"]))
    with pytest.raises(DataError, match="Did you mean 'size'"):
        infer_schema(frame).of("sise")
    with pytest.raises(UsageError, match="name it once"):
        Overrides.of(categorical=["a"], id=["a"])


def test_overrides_come_from_toml_or_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "schema.toml"
    path.write_text('[columns]\nzip = "categorical"\n"Unnamed: 0" = "id"\n')
    read = Overrides.read(path)
    assert read.columns == {"zip": "categorical", "Unnamed: 0": "id"}
    later = read.merged(Overrides.of(numeric=["zip"]))
    assert later.columns == {"zip": "numeric", "Unnamed: 0": "id"}
    for text, message in {
        '[colums]\nzip = "id"': r"no table \[columns\]",
        '[columns]\nzip = "categories"': r"columns.zip = 'categories' is refused",
        "[columns]\nzip = 3": "refused",
        "[columns": "no readable TOML",
    }.items():
        path.write_text(text)
        with pytest.raises(UsageError, match=message):
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
    when = pd.date_range("2021-03-01 08:00", periods=3, freq="13h", tz="Europe/Berlin")
    line = infer_schema(pd.DataFrame({"when": when})).lines()[1]
    assert "2021-03-01 08:00:00 to 2021-03-02 10:00:00" in line  # on its own clocks


def test_a_schema_survives_json() -> None:
    frame = pd.DataFrame(
        {
            "mixed": pd.Series([1, "é", "\udce9", dt.date(2024, 1, 1), None] * 2, dtype=object),
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
