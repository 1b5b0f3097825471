"""A CSV is read with types, and refused with the line and the cure where it cannot be."""

import codecs
import datetime
import os
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gan_augment.data.csv_files import reading
from gan_augment.data.csv_files.reading import read_csv
from gan_augment.data.tables.reader import read_table
from gan_augment.errors import DataError


@pytest.fixture
def read(tmp_path):
    """`read(text or bytes)` -> (frame, source) of a file of that content."""

    def from_text(content):
        path = tmp_path / "table.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_csv(path)

    return from_text


def column(read, *cells, delimiter=";"):
    return read("first" + delimiter + "x\n" + "".join(f"a{delimiter}{cell}\n" for cell in cells))


@pytest.mark.parametrize(
    ("cells", "dtype", "values"),
    [
        (["1", "-2", "+3"], "int64", [1, -2, 3]),
        (["9007199254740993", "1"], "int64", [2**53 + 1, 1]),
        (["1.5", ".5", "5.", "1e3"], "float64", [1.5, 0.5, 5.0, 1000.0]),
        (["0.1", "inf", "-Infinity"], "float64", [0.1, np.inf, -np.inf]),
        (["1,5", "2"], "float64", [1.5, 2.0]),
        (["true", "false"], "bool", [True, False]),
        (["TRUE", "TRUE"], "bool", [True, True]),
        (["007", "12"], "object", ["007", "12"]),
        (["-05.1", "1.2"], "object", ["-05.1", "1.2"]),
        (["true", "True"], "object", ["true", "True"]),
        (["1", "x"], "object", ["1", "x"]),
        (["99999999999999999999", "1"], "object", ["99999999999999999999", "1"]),
        (["1_000", "2"], "object", ["1_000", "2"]),
        (["0x1f", "2"], "object", ["0x1f", "2"]),
        (["1.5", "1,5"], "object", ["1.5", "1,5"]),
        (["٣", "2"], "object", ["٣", "2"]),
    ],
)
def test_the_type_of_a_column_is_what_all_its_cells_are(read, cells, dtype, values):
    frame, _ = column(read, *cells)
    assert str(frame["x"].dtype) == dtype
    assert frame["x"].tolist() == values


@pytest.mark.parametrize("token", ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?", " "])
@pytest.mark.parametrize(
    ("cell", "dtype"),
    [
        ("1.5", "float64"),
        ("7", "float64"),
        ("9007199254740993", "Int64"),
        ("true", "boolean"),
        ("2024-05-01", "datetime64[s]"),
        ("owl", "object"),
    ],
)
def test_a_missing_cell_is_missing_in_every_type(read, token, cell, dtype):
    frame, source = column(read, cell, token, cell)
    assert str(frame["x"].dtype) == dtype
    assert frame["x"].isna().tolist() == [False, True, False]
    assert source.format.columns[1].missing == token


def test_the_missing_token_that_is_used_most_is_remembered(read):
    _, source = column(read, "1", "NA", "?", "?", "2")
    assert source.format.columns[1].missing == "?"


def test_a_column_without_a_value_is_all_missing(read):
    frame, _ = column(read, "", "NA")
    assert frame["x"].isna().all()
    assert str(frame["x"].dtype) == "float64"


@pytest.mark.parametrize(
    ("cells", "first"),
    [
        (["2024-05-31"], "2024-05-31"),
        (["2024/05/31", "2024/06/01"], "2024-05-31"),
        (["31.05.2024", "01.06.2024"], "2024-05-31"),
        (["5/31/2024", "12/1/2024"], "2024-05-31"),
        (["31/5/2024", "1/6/2024"], "2024-05-31"),
        (["31-05-2024"], "2024-05-31"),
        (["2024-05-31 13:07"], "2024-05-31 13:07"),
        (["2024-05-31T13:07:09"], "2024-05-31 13:07:09"),
        (["2024-05-31 13:07:09.123", "2024-05-31 13:07:09"], "2024-05-31 13:07:09.123"),
        (["2024-05-31T13:07:09.123456789"], "2024-05-31 13:07:09.123456789"),
        (["2024-05-31T13:07:09Z"], "2024-05-31 13:07:09+00:00"),
        (["2024-05-31T13:07:09+02:00", "2024-01-31T13:07:09+01:00"], "2024-05-31 11:07:09+00:00"),
        (["2024-05-31 13:07:09-0330"], "2024-05-31 16:37:09+00:00"),
        (["9999-12-31", "0001-01-01"], datetime.datetime(9999, 12, 31)),
    ],
)
def test_dates_of_one_format_are_times(read, cells, first):
    frame, _ = column(read, *cells)
    assert isinstance(frame["x"].dtype, np.dtype | pd.DatetimeTZDtype)
    assert frame["x"].dtype.kind == "M"
    assert frame["x"][0] == pd.Timestamp(first)


@pytest.mark.parametrize(
    "cells",
    [
        ["2024-02-30"],
        ["2024-05-31", "31.05.2024"],
        ["2024-05-31", "2024-05-31 13:07"],
        ["13/31/2024"],
        ["123-45-6789"],
        ["2024-05-31 25:00"],
        ["2024-05-31 13:07:60"],
        ["1.2.3"],
        ["1999-01-01T00:00:00.000000001", "2300-01-01T00:00:00.000000001"],
        ["2024-05-31T13:07:09Z", "2024-05-31T13:07:09"],
    ],
)
def test_what_is_no_date_of_one_format_is_text(read, cells):
    frame, _ = column(read, *cells)
    assert str(frame["x"].dtype) == "object"
    assert frame["x"].tolist() == cells


def test_dates_that_fit_two_orders_are_noted(read):
    frame, source = column(read, "03/04/2024", "05/06/2024")
    assert frame["x"][0] == pd.Timestamp("2024-03-04")
    assert source.notes == ("column 'x': its dates are read with the month first, both would fit",)


def test_thousands_in_a_file_with_decimal_points_are_text(read):
    frame, source = read("a\tb\n1,234\t0.5\n5,678\t1.5\n")
    assert frame["a"].tolist() == ["1,234", "5,678"]
    assert "1,234 is taken as text" in source.notes[0]


def test_a_column_that_turns_to_text_late_is_text(read, monkeypatch):
    monkeypatch.setattr(reading, "CELLS_AT_ONCE", 6)
    for early in ("1", "true", "2024-05-01", "NA"):
        frame, _ = column(read, *[early] * 10, "owl")
        assert frame["x"].iloc[-1] == "owl"
        assert str(frame["x"].dtype) == "object"


def test_chunks_make_no_difference(read, monkeypatch):
    cells = ["1.50", "NA", "22.75", "3.10"] * 5
    whole, one = column(read, *cells)
    monkeypatch.setattr(reading, "CELLS_AT_ONCE", 4)
    monkeypatch.setattr(reading, "KEPT_BYTES", 0)
    parts, many = column(read, *cells)
    pd.testing.assert_frame_equal(whole, parts)
    assert one.format == many.format


def test_numbers_are_the_nearest_to_what_is_written(read):
    rng = np.random.default_rng(0)
    values = rng.normal(size=200) * 10.0 ** rng.integers(-30, 30, 200)
    frame, _ = column(read, *map(repr, values.tolist()))
    assert (frame["x"].to_numpy() == values).all()


def test_a_byte_order_mark_is_no_part_of_the_first_name(read):
    frame, source = read(codecs.BOM_UTF8 + b"a,b\n1,2\n")
    assert list(frame) == ["a", "b"]
    assert source.format.dialect.bom


def test_a_name_that_is_empty_is_called_as_pandas_calls_it(read):
    frame, _ = read(",b\n0,x\n1,y\n")
    assert list(frame) == ["Unnamed: 0", "b"]


def test_empty_lines_are_no_rows(read):
    frame, source = read("a,b\n1,2\n\n3,4\n\n\n")
    assert frame["a"].tolist() == [1, 3]
    assert source.rows == 2


@pytest.mark.parametrize(("content", "ended"), [("a,b\n1,2", False), ("a,b\n1,2\r\n", True)])
def test_whether_the_last_line_ends_is_known(read, content, ended):
    assert read(content)[1].ended is ended


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"a,b\n", "a header and no row"),
        (b"\r \r", "a header and no row"),
        (b"a,b\n1,2\n3\n", "line 3: it has 1 cell, the first line has 2"),
        (b'a,b\n1,"x\ny"\n1,2,3\n', "line 4: it has 3 cells"),
        (b"a,b\n1,2\n3,\x004\n", "line 3: it holds a NUL byte"),
        (b"a,b\n1,2\n3,\xe9\n", "line 3: it is not UTF-8 text.* iconv"),
        (codecs.BOM_UTF16_LE + "a,b\n1,2\n".encode("utf-16-le"), "UTF-16"),
        (b"a,b,a\n1,2,3\n", "2 columns are called 'a'"),
        (b'a,b\n1,"x\n2,y\n', "line 3: a quote that was opened before is not closed"),
        (b'a,b\n1,"x" y\n', "line 2: text follows a closing quote"),
    ],
)
def test_a_file_that_is_no_table_is_refused_in_one_line(read, content, message):
    with pytest.raises(DataError, match=message) as caught:
        read(content)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 3


def test_a_file_beyond_the_limit_is_refused_before_it_is_read(read, monkeypatch):
    monkeypatch.setattr(reading, "MOST_BYTES", 10)
    with pytest.raises(DataError, match="Parquet"):
        read("a,b\n1,2\n3,4\n5,6\n")


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(DataError, match="cannot be read"):
            read_csv(path)


def test_a_file_that_changed_since_is_noticed(read):
    _, source = read("a,b\n1,2\n")
    source.check_unchanged()
    os.utime(source.path, ns=(1, 1))
    with pytest.raises(DataError, match="was changed"):
        source.check_unchanged()


PIECES = [
    *("1", "2.5", "-3", "1e5", "+4", "", "NA", "?", "true", "False", "a", "b c", '"q"', '"a,b"'),
    *('"x\ny"', "'s'", "2020-01-02", "03/04/2021", "2020-01-02T10:11:12Z", "1,5", "007", "inf"),
    *(" x", " ", "\t", "é", "=1", "9" * 20, "1." + "3" * 20, ".5", "5.", "1_0", "\u2028", "\x0b"),
]


@given(
    rows=st.integers(1, 4).flatmap(
        lambda width: st.lists(
            st.lists(st.sampled_from(PIECES), min_size=width, max_size=width), max_size=6
        )
    ),
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    last=st.booleans(),
    broken=st.none() | st.tuples(st.integers(0, 200), st.binary(min_size=1, max_size=1)),
)
@settings(max_examples=300, deadline=None)
def test_any_file_is_a_table_or_refused_in_one_line(rows, delimiter, end, last, broken):
    width = len(rows[0]) if rows else 2
    lines = [[f"n{i}" for i in range(width)], *rows]
    content = (end.join(delimiter.join(line) for line in lines) + end * last).encode()
    if broken is not None:
        content = content[: broken[0]] + broken[1] + content[broken[0] + 1 :]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv"
        path.write_bytes(content)
        refusal = ""
        try:
            frame, source = read_csv(path)
        except DataError as error:
            refusal = str(error)
        else:
            assert len(frame) == source.rows > 0
            assert list(frame) == [column.name for column in source.format.columns]
        assert "\n" not in refusal


@pytest.mark.parametrize("word", ["None", "NA"])
def test_a_class_that_is_called_as_a_missing_cell_is_refused_by_that_name(tmp_path, word):
    path = tmp_path / "sleep.csv"
    path.write_text(f"hours,trouble\n7,{word}\n5,insomnia\n8,{word}\n")
    with pytest.raises(DataError, match=f"'{word}' as a label, which means missing in a CSV"):
        read_table(path, "trouble")
