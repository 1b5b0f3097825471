"""CSV and Parquet in: typed or refused in one line; out: behind the original, with a manifest."""

import csv
import errno
import os
import tempfile
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gan_augment.data.tables import csv as csv_files
from gan_augment.data.tables import manifest_path
from gan_augment.data.tables.csv import Dialect, read_csv, sniff
from gan_augment.data.tables.export import NewRows, write_table
from gan_augment.data.tables.reader import read_table
from gan_augment.errors import DataError, WriteFailedError


@pytest.fixture
def read(tmp_path):
    """`read(text or bytes)` -> (frame, dialect) of a file of that content."""

    def from_text(content):
        path = tmp_path / "table.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_csv(path)

    return from_text


def column(read, *cells):
    return read("x;last\n" + "".join(f"{cell};k\n" for cell in cells))


CELLS = [  # what a column holds, its dtype, the first value, the cells written as new
    (["1", "-2", "30"], "int64", 1, None),
    (["+3", "1", "-2"], "int64", 3, ["3", "1", "-2"]),
    (["9007199254740993", "?", "1"], "Int64", 2**53 + 1, None),
    (["1", "NA", "?", "?", "2"], "Int64", 1, ["1", "?", "?", "?", "2"]),
    (["", "NA"], "float64", None, ["", ""]),
    (["1.50", "22.75", "-0.10", "3"], "float64", 1.5, ["1.5", "22.75", "-0.1", "3"]),
    (["0.1", "0.30000000000000004", "12345.678901234567"], "float64", 0.1, None),
    (["1.5E-5", ".5", "3.75e+0"], "float64", 1.5e-5, ["0.000015", "0.5", "3.75"]),
    (["1,5", "22,75", "3"], "float64", 1.5, None),
    (["true", "false", ""], "object", "true", None),
    (["99999999999999999999", "1"], "object", "99999999999999999999", None),
    (["owl", "wren", "null"], "object", "owl", None),
    (['"say ""hi"""', " x ", "NA"], "object", 'say "hi"', ['"say ""hi"""', "x", "NA"]),
    (["2024-05-31", "", "1999-01-01"], "object", "2024-05-31", None),
]


@pytest.mark.parametrize(("cells", "dtype", "first", "written"), CELLS)
def test_a_column_has_the_type_of_all_its_cells_and_is_written_plainly(
    read, cells, dtype, first, written
):
    frame, dialect = column(read, *cells)
    assert str(frame["x"].dtype) == dtype
    if first is None:
        assert frame["x"].isna().all()
    else:
        assert frame["x"][0] == first
    assert Dialect.model_validate_json(dialect.model_dump_json()) == dialect
    lines = dialect.frame_lines(frame).decode().splitlines()
    assert [line.removesuffix(";k") for line in lines] == (cells if written is None else written)


@pytest.mark.parametrize("text", ["007", "-05.1", "x", "1_000", "0x1f", "1,5", "٣", "1.2.3"])
def test_one_other_cell_makes_a_column_text(read, text):
    assert column(read, "1.5", text)[0]["x"].tolist() == ["1.5", text]


def test_a_file_has_one_decimal_mark(read):
    frame, dialect = read("a\tb\n1,234\t0.5\n5,678\t1.5\n")
    assert (frame["a"].tolist(), dialect.decimal) == (["1,234", "5,678"], ".")


@pytest.mark.parametrize(
    ("content", "names", "first"),
    [
        (b"\xef\xbb\xbfa,b\n1,2\n3,4\n", ["a", "b"], [1, 3]),
        (b",b\n0,x\n1,y", ["Unnamed: 0", "b"], [0, 1]),
        (b"\n\na,b\r\n1,2\r\n\r\n3,4\r\n\r\n\r\n", ["a", "b"], [1, 3]),
    ],
)
def test_names_and_rows_are_those_of_the_file(read, content, names, first):
    frame = read(content)[0]
    assert list(frame) == names
    assert frame[names[0]].tolist() == first


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"a,b\n", "no row below"),
        (b"a,b\n1,2\n3\n", "Expected 2 columns, got 1"),
        (b'a,b\n1,"x\ny"\n1,2,3\n', "got 3.*double quotes"),
        (b"a,b\n1,2\n3,\xe9\n", "not UTF-8 text.* iconv"),
        (b'a,b\n1,"x\n2,y\n', "quote is not closed"),
        (b"a,b,a\n1,2,3\n4,5,6\n", r"\['a'\] occur more than once"),
    ],
)
def test_a_file_that_is_no_table_is_refused_in_one_line(tmp_path, content, message):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read_table(tmp_path / "t.csv", "b")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_too_large_or_cannot_be_read_is_refused(read, tmp_path, monkeypatch):
    monkeypatch.setattr(csv_files, "MOST_BYTES", 10)
    with pytest.raises(DataError, match="Parquet"):
        read("a,b\n1,2\n3,4\n5,6\n")
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(DataError, match="cannot be read"):
            read_csv(path)


PIECES = [
    *("1", "2.5", "-3", "1e5", "+4", "", "NA", "?", "true", "a", "b c", '"q"', '"a,b"', "1,5"),
    *('"x\ny"', "'s'", "2020-01-02", "03/04/2021", "2020-01-02T10:11:12Z", "007", "inf", " x"),
    *("\t", "é", "=1", "9" * 20, "1." + "3" * 20, ".5", "5.", "1_0", "\u2028", "\x0b"),
]


@given(
    rows=st.integers(1, 4).flatmap(
        lambda width: st.lists(
            st.lists(st.sampled_from(PIECES), min_size=width, max_size=width), max_size=6
        )
    ),
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
    end=st.sampled_from(["\n", "\r\n"]),
    broken=st.none() | st.tuples(st.integers(0, 200), st.binary(min_size=1, max_size=1)),
)
@settings(max_examples=100, deadline=None)
def test_any_file_is_a_table_or_refused_in_one_line(rows, delimiter, end, broken):
    width = len(rows[0]) if rows else 2
    lines = [[f"n{i}" for i in range(width)], *rows]
    content = end.join(delimiter.join(line) for line in lines).encode()
    if broken is not None:
        content = content[: broken[0]] + broken[1] + content[broken[0] + 1 :]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv"
        path.write_bytes(content)
        refusal = ""
        try:
            assert len(read_csv(path)[0])
        except DataError as error:
            refusal = str(error)
    assert "\n" not in refusal


def test_a_class_that_is_called_as_a_missing_cell_is_refused(tmp_path):
    path = tmp_path / "sleep.csv"
    path.write_text("hours,trouble\n7,None\n5,insomnia\n8,None\n")
    with pytest.raises(DataError, match=r"2 of 3 rows.*rename a class"):
        read_table(path, "trouble")


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
@settings(max_examples=50, deadline=None)
def test_numbers_in_full_are_read_back_exactly(values):
    text = Dialect().frame_lines(pd.DataFrame({"x": values, "k": "k"})).decode()
    assert [float(line.split(",")[0]) for line in text.splitlines()] == values


def test_frames_of_other_types_are_written_plainly():
    frame = pd.DataFrame(
        {
            "whole": pd.array([1, None], dtype="Int64"),
            "kind": pd.Categorical(["a", "b,c"]),
            "day": pd.to_datetime(["2024-05-01", None]),
            "at": pd.to_datetime(["2024-05-01 10:00", "2024-05-01 11:30"]).tz_localize("UTC"),
            "yes": pd.array([True, None], dtype="boolean"),
            "size": np.array([0.1, 2], dtype="float32"),
        }
    )
    assert Dialect().frame_lines(frame).decode().splitlines() == [
        "1,a,2024-05-01,2024-05-01 10:00:00,True,0.1",
        ',"b,c",,2024-05-01 11:30:00,,2',
    ]
    assert Dialect().frame_lines(frame.iloc[:0]) == b""


@pytest.mark.parametrize(
    ("text", "delimiter", "width"),
    [
        ("size,cm;weight,kg\n1,5;2,25\n10,0;3,5\n", ";", 2),  # decimal commas
        ('"name";"place"\n"a, b, c";"x"\n"d";"y, z"\n', ";", 2),
        ("id\ttext\n1\tone, two\n2\tthree\n3\tfour, five, six\n", "\t", 2),
        # a ragged line
        ("a,b,c\n" + "".join(f"{i},{i}|x,{i}\n" for i in range(40)) + "1,2|2\n", ",", 3),
        ("a,b\n1,'tis\n2,'z'\n", ",", 2),
        ('"size\n(cm)",b\r\n1,2\r\n', ",", 2),
    ],
)
def test_the_delimiter_is_the_one_that_explains_the_lines(text, delimiter, width):
    assert sniff(text) == (delimiter, width)


def append(path, out, *, mark=False, alone=False):
    """Write `out`: the file at `path`, unless alone, and its first two rows as if they were new."""
    target = "b" if path.suffix == ".csv" else "kind"
    read = read_table(path, target)
    whole = read.table.frame.copy()
    whole.insert(read.schema.position, target, [read.table.names[i] for i in read.table.labels])
    return write_table(
        out,
        read.source.dialect,
        whole,
        [NewRows(whole.iloc[[i]], "rare", ("repeat", "synthetic")[i], "run", i) for i in range(2)],
        original=None if alone else read.source,
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
        (b"a,b\n1,x\n2,y", True, b"a,b,origin\n1,x,real\n2,y,real\n1,x,repeat\n2,y,synthetic\n"),
        (
            b'a;"b"\r\n"1";"two, x"\r\n\r\n2;"y;"\r\n',
            True,
            b'a;b;origin\r\n1;two, x;real\r\n2;"y;";real\r\n'
            b'1;two, x;repeat\r\n2;"y;";synthetic\r\n',
        ),
    ],
)
def test_the_original_keeps_its_bytes_and_with_a_mark_its_cells(tmp_path, content, mark, written):
    path, out = tmp_path / "data.csv", tmp_path / "out.csv"
    path.write_bytes(content)
    assert append(path, out, mark=mark) == 2
    assert out.read_bytes() == written
    assert path.read_bytes() == content


def test_a_table_of_new_rows_begins_with_the_header(tmp_path):
    path, out = tmp_path / "data.csv", tmp_path / "out.csv"
    path.write_bytes(b"a;b\r\n1,5;x\r\n2,5;y\r\n")
    append(path, out, mark=True, alone=True)
    assert out.read_bytes() == b"a;b;origin\r\n1,5;x;repeat\r\n2,5;y;synthetic\r\n"


def test_the_manifest_has_a_line_for_every_new_row(tmp_path):
    path, out = tmp_path / "data.csv", tmp_path / "out.csv"
    path.write_text("a,b\n1,x\n2,y\n3,z\n")
    read = read_table(path, "b")
    frame = read.table.frame.assign(b=list("xyz"))
    added = [
        NewRows(frame.iloc[[2, 2]], 'ra"re', "repeat", ["row-000002", "row-000002"]),
        NewRows(frame.iloc[:1], "rare", "synthetic", "my,run", first=7),
    ]
    seen = []
    assert write_table(out, None, frame, added, original=read.source, advance=seen.append) == 3
    assert seen == [2, 3]
    with manifest_path(out).open(newline="") as file:
        assert list(csv.reader(file)) == [
            ["row", "label", "origin", "source", "index"],
            ["0", "", "real", "data.csv", "3"],
            ["3", 'ra"re', "repeat", "row-000002", "0"],
            ["4", 'ra"re', "repeat", "row-000002", "1"],
            ["5", "rare", "synthetic", "my,run", "7"],
            ["6", "", "table", f"sha256:{sha256(out.read_bytes()).hexdigest()}", "6"],
        ]


@pytest.fixture
def typed_parquet(tmp_path):
    """A Parquet file of many types in three row groups, with an index and metadata."""
    frame = pd.DataFrame(
        {
            "small": np.arange(7, dtype="int8") % 4,
            "size": np.linspace(0, 1, 7, dtype="float32"),
            "gaps": pd.array([1, None, 3, 4, 5, 6, 7], dtype="Int32"),
            "kind": pd.Categorical(list("abcabca"), categories=list("abcd")),
            "text": ["x", None, "z", "x", "z", "u", "z"],
            "at": pd.date_range("2024-05-01", periods=7, tz="Europe/Berlin"),
            "yes": [True, False] * 3 + [True],
        },
        index=pd.Index(list("hijklmn"), name="key"),
    )
    table = pa.Table.from_pandas(frame)
    table = table.set_column(5, "at", pa.array([1, None] * 3 + [2], pa.date32()))
    table = table.replace_schema_metadata({**table.schema.metadata, b"mine": b"kept"})
    pq.write_table(table, tmp_path / "data.parquet", row_group_size=3)
    return tmp_path / "data.parquet"


@pytest.mark.parametrize("mark", [False, True])
def test_parquet_keeps_values_schema_metadata_and_row_groups(typed_parquet, tmp_path, mark):
    out = tmp_path / "out.parquet"
    assert append(typed_parquet, out, mark=mark) == 2
    before, after = pq.ParquetFile(typed_parquet), pq.ParquetFile(out)
    groups = [after.metadata.row_group(i) for i in range(after.num_row_groups)]
    assert [group.num_rows for group in groups] == [3, 3, 1, 1, 1]
    table = after.read()
    if mark:
        assert table["origin"].to_pylist() == ["real"] * 7 + ["repeat", "synthetic"]
        table = table.drop_columns("origin")
    assert table.schema.equals(before.schema_arrow, check_metadata=True)
    assert table.slice(0, 7).equals(before.read())
    assert table.slice(7, 2).to_pylist() == before.read().slice(0, 2).to_pylist()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
@pytest.mark.parametrize("nth", [1, 3, 5])
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_disk_that_refuses_a_write_leaves_the_earlier_files(
    typed_parquet, tmp_path, refuse, number, nth, kind
):
    path, out = tmp_path / f"data.{kind}", tmp_path / f"out.{kind}"
    if kind == "csv":
        path.write_text("a,b\n1,x\n2,y\n")
    append(path, out)
    before = {entry.name: entry.read_bytes() for entry in tmp_path.iterdir()}
    refuse("write", number, nth)
    with pytest.raises(WriteFailedError, match="could not write"):
        append(path, out)
    assert {entry.name: entry.read_bytes() for entry in tmp_path.iterdir()} == before


def test_an_original_that_changed_since_it_was_read_is_no_write_error(typed_parquet, tmp_path):
    out = tmp_path / "out.parquet"
    read = read_table(typed_parquet, "kind")
    os.utime(typed_parquet, ns=(1, 1))
    with pytest.raises(DataError, match="was changed"):
        write_table(out, None, read.table.frame, [], original=read.source)
    assert not list(tmp_path.glob("out*"))
