"""Frames, arrays and Parquet files as labelled tables; columns of groups and times set aside."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pandas.testing import assert_frame_equal
from scipy.sparse import csr_array

from gan_augment.data.tables.columns import joined, output_frame, plain
from gan_augment.data.tables.containers import rows_like
from gan_augment.data.tables.reader import ReadTable, read_frame, read_table, row_times, set_aside
from gan_augment.data.tables.schema import TableSchema
from gan_augment.errors import DataError, UsageError
from gan_augment.kinds.kind import Labelled
from gan_augment.kinds.table import TABLE


def a_frame(n: int = 6) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "size": np.arange(n) % 4 + 0.5,
            "y": ["rare", *["common"] * (n - 1)],
            "colour": pd.Categorical(["red", "blue"] * (n // 2)),
        },
        index=[f"case {i}" for i in range(n)],
    )


def again(read: ReadTable, like: Any = None) -> Any:
    """The rows that were read, made again from plain values, in the container that they came in."""
    schema = TableSchema.model_validate(read.schema.model_dump(mode="json"))
    values = {c.name: plain(read.table.frame[c.name], c) for c in schema.learned}
    features = output_frame(values, schema, len(read.table))
    rows = joined(features, read.table.labels, schema)
    return rows if like is None else rows_like(like, rows)


def test_a_frame_becomes_features_and_labels() -> None:
    frame = a_frame()
    before = frame.copy(deep=True)
    read = read_frame(frame, "y")
    assert read.table.frame.columns.tolist() == ["size", "colour"]
    assert read.table.frame.index.tolist() == frame.index.tolist()
    assert read.table.counts == {"common": 5, "rare": 1}
    assert read.table.ids[:2].tolist() == ["row-000000", "row-000001"]
    assert read.schema.target is not None
    assert (read.schema.target.name, read.schema.position) == ("y", 1)
    assert_frame_equal(again(read), frame.reset_index(drop=True))
    assert_frame_equal(frame, before)


LABELS: dict[str, pd.Series] = {
    "str": pd.Series(["b", "a", "b"]),
    "object": pd.Series(["b", "a", "b"], dtype=object),
    "int8": pd.Series([10, 9, 10], dtype="int8"),
    "Int64": pd.Series([10, 9, 10], dtype="Int64"),
    "bool": pd.Series([True, False, True]),
    "boolean": pd.Series([True, False, True], dtype="boolean"),
    "whole floats": pd.Series([1.0, 0.0, 1.0]),
    "category": pd.Series(pd.Categorical(["b", "a", "b"], categories=["c", "b", "a"])),
    "category of ints": pd.Series(pd.Categorical([2, 1, 2], ordered=True)),
    "string[pyarrow]": pd.Series(["b", "a", "b"], dtype="string[pyarrow]"),
}


@pytest.mark.parametrize("name", LABELS)
def test_labels_come_back_in_their_own_type(name: str) -> None:
    frame = pd.DataFrame({"x": [0.1, 0.2, 0.3], "y": LABELS[name]})
    read = read_frame(frame, "y")
    assert sorted(read.table.counts.values()) == [1, 2]
    assert_frame_equal(again(read), frame)


def test_labels_may_stand_beside_the_frame() -> None:
    read = read_frame(a_frame()[["size"]], y=pd.Series([1, 0, 0, 1, 0, 0], name="sick"))
    assert read.schema.target is not None
    assert (read.schema.target.name, read.schema.position) == ("sick", None)
    assert again(read).columns.tolist() == ["size"]
    frame = a_polars_frame()
    assert read_frame(frame.drop("y"), y=frame["y"]).table.counts == {"p": 1, "q": 2}
    assert read_frame(np.eye(3), y=[10, 9, 10]).table.names == ("9", "10")  # ordered as numbers


def test_an_array_has_numbered_columns_and_comes_back_as_one() -> None:
    x = np.array([[0.5, 1.0], [1.25, np.nan], [2.0, 4.0]])
    read = read_frame(x, y=np.array([0, 1, 1]))
    assert read.schema.names == (0, 1)
    assert np.array_equal(again(read, x), x, equal_nan=True)
    whole = np.array([[1, 0], [2, 1], [5, 1]])
    read = read_frame(whole, target="1")
    assert read.schema.names == (0,)
    assert again(read, whole).tolist() == whole.tolist()


def test_a_list_of_rows_and_a_sparse_matrix_are_read_as_tables() -> None:
    read = read_frame([[1, "a"], [2, "b"], [4, "a"]], y=[0, 0, 1])
    assert [column.kind for column in read.schema.columns] == ["numeric", "categorical"]
    dense = read_frame(csr_array(np.eye(3)), y=[0, 1, 1]).table.frame
    assert dense.to_numpy().tolist() == np.eye(3).tolist()


def test_an_array_of_objects_is_read_by_its_cells() -> None:
    x = np.array([[1, "a", 1.5], [2, "b", 2.5], [4, "a", 3.5]], dtype=object)
    read = read_frame(x, y=[0, 0, 1])
    assert [column.kind for column in read.schema.columns] == ["numeric", "categorical", "numeric"]
    assert again(read, x).tolist() == x.tolist()


def a_polars_frame() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "whole": pl.Series([1, None, 3], dtype=pl.Int16),
            "real": [0.5, None, 2.5],
            "word": ["a", None, "b"],
            "flag": [True, None, False],
            "day": [dt.date(2024, 1, 1), None, dt.date(2024, 2, 1)],
            "time": pl.Series(
                [dt.datetime(2024, 1, 1, 5), None, dt.datetime(2024, 7, 1)],
                dtype=pl.Datetime("ms", "Europe/Berlin"),
            ),
            "level": pl.Series(["u", None, "v"], dtype=pl.Categorical),
            "enum": pl.Series(["y", None, "x"], dtype=pl.Enum(["x", "y", "z"])),
            "y": ["p", "q", "q"],
        }
    )


@pytest.mark.parametrize("container", [pl.DataFrame, pl.DataFrame.to_arrow])
def test_a_polars_frame_and_an_arrow_table_come_back_with_their_types(container: Any) -> None:
    table = container(a_polars_frame())
    out = again(read_frame(table, "y"), table)
    assert out.schema == table.schema
    assert pl.DataFrame(out).equals(pl.DataFrame(table))


def test_the_order_of_an_ordered_dictionary_is_kept() -> None:
    kind = pa.dictionary(pa.int8(), pa.string(), ordered=True)
    values = pa.DictionaryArray.from_arrays(
        pa.array([2, 0, None], pa.int8()), pa.array(["low", "mid", "high"]), ordered=True
    )
    table = pa.table({"x": pa.chunked_array([values, values]), "y": [0, 1, 1, 0, 1, 1]})
    read = read_frame(table, "y")
    assert read.schema.columns[0].categories == ("low", "high")
    out = again(read, table)
    assert out.schema.field("x").type == kind
    assert out.column("x").to_pylist() == ["high", "low", None] * 2


def test_a_parquet_file_is_read_with_its_types(tmp_path: Path) -> None:
    table = a_polars_frame().to_arrow()
    pq.write_table(table, tmp_path / "t.parquet")
    read = read_table(tmp_path / "t.parquet", "y")
    kinds = {column.name: column.kind for column in read.schema.columns}
    assert kinds["day"] == kinds["time"] == "datetime"
    assert kinds["level"] == "categorical"
    assert kinds["flag"] == "categorical"
    assert read.source is not None
    assert read.source.rows == 3
    assert again(read).dtypes.equals(pd.concat([read.table.frame, again(read)["y"]], axis=1).dtypes)


def test_an_index_that_pandas_wrote_into_a_parquet_file_is_an_id(tmp_path: Path) -> None:
    frame = a_frame(30).reset_index(drop=True)
    frame.index = frame.index + 100
    frame.to_parquet(tmp_path / "t.parquet", index=True)
    read = read_table(tmp_path / "t.parquet", "y")
    kinds = {column.name: column.kind for column in read.schema.columns}
    assert kinds["__index_level_0__"] == "id"
    assert any("__index_level_0__" in note for note in read.notes)


@pytest.mark.parametrize("content", [b"", b"PAR1 no", b"a,b\n1,2\n"])
def test_a_file_that_is_no_parquet_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t.parquet").write_bytes(content)
    with pytest.raises(DataError, match=r"t\.parquet"):
        read_table(tmp_path / "t.parquet", "y")
    with pytest.raises(DataError, match="cannot be read"):
        read_table(tmp_path / "none.parquet", "y")


def frame_of(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame(columns)


@pytest.mark.parametrize(
    ("x", "target", "y", "error", "message"),
    [
        (a_frame(), "Y", None, UsageError, "Did you mean 'y'"),
        (a_frame(), None, None, UsageError, "name the target"),
        (a_frame(), "y", [1], UsageError, "exactly one of both"),
        (a_frame(), None, [1, 2], DataError, "6 rows and 2 labels"),
        (a_frame(), None, np.eye(6), DataError, "argmax"),
        (a_frame(), None, 7, DataError, "labels are a int"),
        (a_frame().iloc[:0], "y", None, DataError, "no rows"),
        (a_frame()[["y"]], "y", None, DataError, "0 feature columns"),
        (frame_of(x=[1, 2, 3], y=["a", "a", "a"]), "y", None, DataError, "1 class only"),
        (frame_of(x=[1, 2, 3], y=["a", None, None]), "y", None, DataError, r"2 of 3.*row 1\)"),
        (frame_of(x=[1, 2], y=[(1,), (2,)]), "y", None, DataError, "type tuple"),
        (frame_of(x=[1, 2], y=[1, np.inf]), "y", None, DataError, "inf; expected.*finite"),
        (frame_of(x=[1, 2], y=[1, "1"]), "y", None, DataError, "int, str"),
        (frame_of(x=[1, 2], y=[0.5, 1]), "y", None, DataError, "looks like a regression target"),
        (
            frame_of(x=[1, 2], y=pd.to_datetime(["2024", "2023"])),
            "y",
            None,
            DataError,
            "text first",
        ),
        (np.zeros(3), None, [0, 1, 1], DataError, "reshape"),
        (np.zeros((2, 2, 2)), None, [0, 1], DataError, "reshape"),
        (np.zeros((2, 2), dtype=complex), None, [0, 1], DataError, "complex128"),
        ([[1, 2], [3]], None, [0, 1], DataError, "different lengths"),
        (a_polars_frame().lazy(), "y", None, DataError, "collect"),
        ("data.csv", "y", None, DataError, "the table is a str"),
    ],
)
def test_unusable_input_is_refused(
    x: Any, target: str | None, y: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        read_frame(x, target, y=y)


@pytest.mark.parametrize(("name", "target"), [("t.xlsx", "y"), ("t.csv", None)])
def test_other_files_and_a_missing_target_are_usage_errors(name: str, target: str | None) -> None:
    with pytest.raises(UsageError):
        read_table(name, target)


def test_ids_constants_and_equal_rows_of_two_classes_are_noted() -> None:
    frame = a_frame(30).assign(key=[f"k{i}" for i in range(30)], same=1)
    notes = " ".join(read_frame(frame, "y").notes)
    assert "'key' is not learned: an id" in notes
    assert "'same' is not learned: one value in every row" in notes
    frame = frame_of(x=[1.0, 1.0, 2.0, np.nan, np.nan], y=["a", "b", "a", "a", "b"])
    assert read_frame(frame, "y").notes == (
        "4 rows equal a row of a different class in every feature: 2 combinations of values, the "
        "most frequent one in 1 of a and 1 of b",
    )
    frame = frame_of(x=["03/04/2024", "05/06/2024"], y=["a", "b"])
    assert "dates are read with the month first" in read_frame(frame, "y").notes[0]


def test_a_kind_may_be_asked_for_and_one_of_the_target_is_ignored() -> None:
    read = read_frame(a_frame(), "y", {"y": "categorical", "size": "categorical"})
    assert [column.kind for column in read.schema.columns] == ["categorical", "categorical"]


def test_python_and_the_command_line_infer_the_same_columns(tmp_path: Path) -> None:
    n = 60
    at = pd.Series(pd.date_range("2025-01-01", periods=n, freq="37min"))
    frame = pd.DataFrame(
        {
            "when": at.dt.strftime("%Y-%m-%d %H:%M:%S"),
            "day": at.dt.strftime("%d.%m.%Y"),
            "key": [f"k{i}" for i in range(n)],
            "zip": [10115, 80331, 20095] * (n // 3),
            "number": np.arange(n) + 7,
            "visits": np.arange(n) % 5,
            "size": np.arange(n) % 7 + 0.5,
            "word": ["a", "b", None] * (n // 3),
            "y": ["p", "q"] * (n // 2),
        }
    )
    frame.to_csv(tmp_path / "t.csv", index=False)
    by_file = read_table(tmp_path / "t.csv", "y")
    by_frame = read_frame(pd.read_csv(tmp_path / "t.csv"), "y")
    left_out = {"dtype"}
    facts = [
        [column.model_dump(exclude=left_out) for column in read.schema.columns]
        for read in (by_file, by_frame)
    ]
    assert facts[0] == facts[1]
    kinds = [column.kind for column in by_frame.schema.columns]
    assert kinds[:4] == ["datetime", "datetime", "id", "categorical"]
    assert kinds[4:] == ["id", "numeric", "numeric", "categorical"]
    columns = ["when", "day"]
    assert again(by_frame)[columns].equals(frame[columns])


def rows_of(**columns: object) -> Labelled:
    frame = pd.DataFrame(columns)
    n = len(frame)
    return TABLE.of(frame, np.arange(n) % 2, np.array([f"r{i}" for i in range(n)]))


def test_a_group_and_a_time_are_no_features_and_a_missing_group_stands_alone() -> None:
    rows = rows_of(x=[1.0, 2.0, 3.0, 4.0], who=["b", None, "a", "b"])
    features, times = set_aside(rows, group="who")
    assert list(features.frame.columns) == ["x"]
    assert features.groups is not None
    assert features.groups.tolist() == [0, -1, 1, 0]
    assert times is None
    assert list(rows.frame.columns) == ["x", "who"]
    both, times = set_aside(rows_of(x=[1, 2, 3], day=[7, 7, 5]), group="day", time="day")
    assert list(both.frame.columns) == ["x"]
    assert both.groups is not None
    assert (both.groups[0], times is not None) == (both.groups[1], True)


@pytest.mark.parametrize(
    "times",
    [
        [10, 9, 11],
        [True, False, True],
        pd.to_datetime(["2024-10-01", "2024-09-30", "2024-10-02"]),
    ],
)
def test_rows_are_ordered_by_numbers_and_dates(times: object) -> None:
    found = row_times(pd.Series(times, name="when"))
    assert found[1] == found.min() < found[0]


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (["10", "9"], "'when' cannot order rows in time: it holds '10'"),
        ([1.0, np.nan], "the first: row 1"),
    ],
)
def test_times_that_order_no_rows_are_refused(times: list[Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        row_times(pd.Series(times, name="when"))


def test_a_misspelt_column_and_a_table_of_nothing_else_are_refused() -> None:
    with pytest.raises(UsageError, match="Did you mean 'who'"):
        set_aside(rows_of(x=[1, 2], who=["a", "b"]), group="wo")
    with pytest.raises(DataError, match="no feature is left"):
        set_aside(rows_of(who=["a", "b"]), group="who")
