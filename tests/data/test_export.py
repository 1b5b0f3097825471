"""A table is written behind its original, whole or not at all, with a manifest of what is new."""

import csv
import errno
import os
from hashlib import sha256

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gan_augment.data.tables.csv import read_csv
from gan_augment.data.tables.export import (
    FileFormat,
    NewRows,
    ParquetFormat,
    check_mark,
    manifest_path,
    write_table,
)
from gan_augment.data.tables.reader import read_parquet
from gan_augment.errors import DataError, UsageError, WriteFailedError


def append(path, out, *, mark=False, alone=False):
    """Write `out`: the file at `path`, unless alone, and its first two rows as if they were new."""
    frame, source = (read_csv if path.suffix == ".csv" else read_parquet)(path)
    return write_table(
        out,
        FileFormat.of(source),
        frame,
        [NewRows(frame.iloc[[i]], "rare", "synthetic", "run", i) for i in range(2)],
        original=None if alone else source,
        mark=mark,
    )


@pytest.mark.parametrize(
    ("content", "mark", "written"),
    [
        (b"a,b\n1,x\n2,y\n", False, b"a,b\n1,x\n2,y\n1,x\n2,y\n"),
        (b"a,b\r\n1,x\r\n2,y", False, b"a,b\r\n1,x\r\n2,y\r\n1,x\r\n2,y\r\n"),
        (
            b"\xef\xbb\xbfa;b\n1,5;x\n2,5;y\n\n\n",
            False,
            b"\xef\xbb\xbfa;b\n1,5;x\n2,5;y\n\n\n1,5;x\n2,5;y\n",
        ),
        (b'"a",b\n"1",x\n"2","y, z"\n', False, b'"a",b\n"1",x\n"2","y, z"\n1,x\n2,"y, z"\n'),
        (
            b'a,b\n1,"two\nlines"\n2, y\n',
            False,
            b'a,b\n1,"two\nlines"\n2, y\n1,"two\nlines"\n2, y\n',
        ),
        (b"a,b\n1,x\n2,y", True, b"a,b,synthetic\n1,x,False\n2,y,False\n1,x,True\n2,y,True\n"),
        (
            b'a,b\r\n1,"two\r\nlines"\r\n\r\n2,y\r\n',
            True,
            b'a,b,synthetic\r\n1,"two\r\nlines",False\r\n\r\n2,y,False\r\n'
            b'1,"two\r\nlines",True\r\n2,y,True\r\n',
        ),
        (
            b'\xef\xbb\xbf"a";"b"\n"1";"true"\n"2";"false"\n',
            True,
            b'\xef\xbb\xbf"a";"b";synthetic\n"1";"true";false\n"2";"false";false\n'
            b"1;true;true\n2;false;true\n",
        ),
    ],
)
def test_the_original_keeps_its_bytes_but_for_a_mark_on_every_line(
    tmp_path, content, mark, written
):
    path, out = tmp_path / "data.csv", tmp_path / "out.csv"
    path.write_bytes(content)
    assert append(path, out, mark=mark) == 2
    assert out.read_bytes() == written
    assert path.read_bytes() == content


def test_a_table_of_new_rows_alone_begins_with_the_header(tmp_path):
    path, out = tmp_path / "data.csv", tmp_path / "out.csv"
    path.write_bytes(b"\xef\xbb\xbfa;b\r\n1,5;x\r\n2,5;x\r\n")
    append(path, out, mark=True, alone=True)
    assert out.read_bytes() == b"\xef\xbb\xbfa;b;synthetic\r\n1,5;x;True\r\n2,5;x;True\r\n"


def test_the_manifest_has_a_line_for_every_new_row(tmp_path):
    path, out = tmp_path / "data.csv", tmp_path / "out.csv"
    path.write_text("a,b\n1,x\n2,y\n3,z\n")
    frame, source = read_csv(path)
    added = [
        NewRows(frame.iloc[[2, 2]], 'ra"re', "repeat", ["row-000002", "row-000002"]),
        NewRows(frame.iloc[:1], "rare", "synthetic", "my,run", first=7),
    ]
    progress = []
    stored = FileFormat.of(source)
    assert write_table(out, stored, frame, added, original=source, advance=progress.append) == 3
    assert progress == [2, 3]
    with manifest_path(out).open(newline="") as file:
        assert list(csv.reader(file)) == [
            ["row", "label", "origin", "source", "index"],
            ["0", "", "real", "data.csv", "3"],
            ["3", 'ra"re', "repeat", "row-000002", "0"],
            ["4", 'ra"re', "repeat", "row-000002", "1"],
            ["5", "rare", "synthetic", "my,run", "7"],
            ["6", "", "table", f"sha256:{sha256(out.read_bytes()).hexdigest()}", "6"],
        ]


def test_a_column_called_synthetic_cannot_be_added_twice():
    check_mark(["a", "b"])
    with pytest.raises(UsageError, match="--mark"):
        check_mark(["a", "synthetic"])


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
@pytest.mark.parametrize("nth", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_disk_that_refuses_a_write_leaves_the_earlier_files(
    tmp_path, monkeypatch, number, nth, kind
):
    path, out = tmp_path / f"data.{kind}", tmp_path / f"out.{kind}"
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    frame.to_csv(path, index=False) if kind == "csv" else frame.to_parquet(path)
    append(path, out)
    before = {entry.name: entry.read_bytes() for entry in tmp_path.iterdir()}
    real, calls = os.write, []

    def failing(*args):
        calls.append(args)
        if len(calls) == nth:
            raise OSError(number, os.strerror(number))
        return real(*args)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", failing)
        with pytest.raises(WriteFailedError, match="could not write") as caught:
            append(path, out)
    assert caught.value.exit_code == 74
    assert {entry.name: entry.read_bytes() for entry in tmp_path.iterdir()} == before


@pytest.fixture
def typed_parquet(tmp_path):
    """A Parquet file of many types in three row groups, with an index and metadata."""
    frame = pd.DataFrame(
        {
            "small": np.arange(7, dtype="int8"),
            "size": np.linspace(0, 1, 7, dtype="float32"),
            "gaps": pd.array([1, None, 3, 4, 5, 6, 7], dtype="Int32"),
            "kind": pd.Categorical(list("abcabca"), categories=list("abcd")),
            "text": ["x", None, "z", "w", "v", "u", "t"],
            "at": pd.date_range("2024-05-01", periods=7, tz="Europe/Berlin"),
            "yes": [True, False] * 3 + [True],
        },
        index=pd.Index(list("hijklmn"), name="key"),
    )
    table = pa.Table.from_pandas(frame)
    table = table.replace_schema_metadata({**table.schema.metadata, b"mine": b"kept"})
    pq.write_table(table, tmp_path / "data.parquet", row_group_size=3, compression="zstd")
    return tmp_path / "data.parquet"


@pytest.mark.parametrize("mark", [False, True])
def test_parquet_keeps_values_schema_metadata_and_row_groups(typed_parquet, tmp_path, mark):
    out = tmp_path / "out.parquet"
    assert append(typed_parquet, out, mark=mark) == 2
    before, after = pq.ParquetFile(typed_parquet), pq.ParquetFile(out)
    groups = [after.metadata.row_group(i) for i in range(after.num_row_groups)]
    assert [group.num_rows for group in groups] == [3, 3, 1, 2]
    assert {group.column(0).compression for group in groups} == {"ZSTD"}
    table = after.read()
    if mark:  # a boolean column at the end
        assert table.schema.names[-1] == "synthetic"
        assert table["synthetic"].to_pylist() == [False] * 7 + [True] * 2
        table = table.drop_columns("synthetic")
    assert table.schema.equals(before.schema_arrow, check_metadata=True)
    assert table.slice(0, 7).equals(before.read())
    assert table.slice(7, 2).equals(before.read().slice(0, 2))


def test_columns_that_new_rows_lack_are_null(tmp_path):
    schema = pa.schema([("a", pa.int64()), ("__index_level_0__", pa.string())])
    frame = pd.DataFrame({"a": [1, 2]})
    write_table(
        tmp_path / "out.parquet",
        FileFormat(parquet=ParquetFormat.of(schema)),
        frame,
        [NewRows(frame, "x", "synthetic", "run")],
    )
    assert pq.read_table(tmp_path / "out.parquet").to_pylist() == [
        {"a": 1, "__index_level_0__": None},
        {"a": 2, "__index_level_0__": None},
    ]


@pytest.mark.parametrize(
    ("kind", "says"), [("csv", "was changed"), ("parquet", "can no longer be read")]
)
def test_an_original_that_changed_since_it_was_read_is_no_write_error(typed_parquet, kind, says):
    path, out = typed_parquet.with_name(f"data.{kind}"), typed_parquet.with_name(f"out.{kind}")
    if kind == "csv":
        path.write_text("a,b\n1,x\n2,y\n")
    frame, source = (read_csv if kind == "csv" else read_parquet)(path)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(DataError, match=says):
        write_table(out, FileFormat.of(source), frame, [], original=source)
    assert not list(path.parent.glob("out*"))


def test_a_csv_of_the_same_size_that_changed_since_it_was_read_is_noticed(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("a,b\n1,2\n")
    _, source = read_csv(path)
    source.check_unchanged()
    os.utime(path, ns=(1, 1))
    with pytest.raises(DataError, match="was changed"):
        source.check_unchanged()
