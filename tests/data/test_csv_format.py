"""New rows are written as the file writes its own."""

import csv
import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gan_augment.data.csv_files.dialect import Dialect
from gan_augment.data.csv_files.format import CellFormat, CsvFormat, format_rows, plain_format
from gan_augment.data.csv_files.reading import read_csv


@pytest.fixture
def again(tmp_path):
    """`again(text)` -> the file read and written as if all its rows were new."""

    def written(text):
        path = tmp_path / "table.csv"
        path.write_bytes(text.encode())
        frame, source = read_csv(path)
        return (source.format.first_line() + format_rows(frame, source.format)).decode()

    return written


def one_column(again, cells, delimiter=";"):
    lines = "".join(f"{cell}{delimiter}k\n" for cell in cells)
    text = again(f"x{delimiter}last\n{lines}")
    return [line.split(delimiter)[0] for line in text.splitlines()[1:]]


@pytest.mark.parametrize(
    "cells",
    [
        ["1", "-2", "30"],
        ["1.50", "22.75", "-0.10"],
        ["1.5", "22.75", "3"],
        ["1.5", "22.75", "3.0"],
        ["1.00", "2.50", "3.125"],
        ["0.1", "0.30000000000000004", "12345.678901234567"],
        [".5", "-.25", "12.5"],
        ["5.", "-12."],
        ["5.", "1.25"],
        ["1.33333333333333325932", "0.50000000000000000000"],
        ["+1.5", "-2.5", "+10.0"],
        ["+1", "-2"],
        ["1,5", "22,75", "3"],
        ["1,50", "0,75"],
        ["1.5e-05", "2.25e+10", "3.75e+00"],
        ["1.5E-5", "2.5E10"],
        ["1e-07", "0.25", "3.0"],
        ["0.00001", "0.5"],
        ["0", "NA", "5"],
        ["9007199254740993", "?", "1"],
        ["true", "false", ""],
        ["TRUE", "FALSE"],
        ["2024-05-31", "", "1999-01-01"],
        ["31.05.2024", "01.06.2024"],
        ["5/31/2024 9:05", "12/1/2024 13:30"],
        ["2024-05-31T13:07:09Z", "2023-05-31T00:00:00Z"],
        ["2024-05-31 13:07:09.120", "2024-05-31 13:07:09.003"],
        ["2024-05-31 13:07:09.12", "2024-05-31 13:07:09", "2024-05-31 13:07:09.003"],
        ["2024-05-31T13:07:09.123456789", "1970-01-01T00:00:00.000000001"],
        ["2024-05-31 13:07+05:30", "1961-05-31 23:07+05:30"],
        ["0044", "0043"],
        ["owl", "wren", "null"],
        ["=1+1", "@home", "'quoted'"],
    ],
)
def test_cells_come_back_as_they_were(again, cells):
    assert one_column(again, cells) == cells


@pytest.mark.parametrize(
    "text",
    [
        '"a";"b"\n"1";"x"\n"2";"y"\n',
        '"a","b"\n1,"x"\n2,NA\n3,"say ""hi"""\n',
        'a,b\n1,"x, y"\n2,z\n',
        'a,b\n1,"two\nlines"\n2,z\n',
        "a\tb\r\n1\tx\r\n2\ty\r\n",
        "a|b\r1|x\r2|y\r",
        "a, b, c\n1, x, 2.5\n2, ?, 3.5\n",
        "a,b\n1,'x, y'\n2,'it''s'\n",
        "\ufeffname,größe\nÖl,1.5\nTee,2.5\n",
        '"size (cm)","b"\n1.5,"1"\n2.5,"2"\n',
        "a,b,\n1,x,\n2,y,\n",
        ",a,b\n0,1.5,x\n1,2.5,y\n",
    ],
)
def test_lines_come_back_as_they_were(again, text):
    assert again(text) == text


def test_a_column_of_quoted_texts_quotes_new_ones_and_no_missing_ones(again):
    text = '"a","b"\n1,"x"\n2,NA\n'
    assert again(text) == text


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=5)


@given(
    rows=st.integers(2, 4).flatmap(
        lambda width: st.lists(
            st.lists(TEXTS, min_size=width, max_size=width), min_size=1, max_size=8
        )
    ),
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
    space_after=st.booleans(),
    quoted=st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_any_texts_are_read_back_by_another_reader(rows, delimiter, space_after, quoted):
    names = [f"c{i}" for i in range(len(rows[0]))]
    how = CsvFormat(
        dialect=Dialect(delimiter=delimiter, space_after=space_after),
        header=delimiter.join(names),
        columns=tuple(CellFormat(name=name, quoted=quoted) for name in names),
    )
    frame = pd.DataFrame(rows, columns=names, dtype=object)
    text = format_rows(frame, how).decode()
    lines = io.StringIO(text, newline="")
    back = csv.reader(lines, delimiter=delimiter, skipinitialspace=space_after, strict=True)
    assert list(back) == rows


NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(NUMBERS, min_size=1, max_size=20))
@settings(max_examples=200, deadline=None)
def test_numbers_in_full_are_read_back_exactly(values):
    frame = pd.DataFrame({"x": values, "k": "k"})
    text = format_rows(frame, plain_format(frame)).decode()
    assert [float(line.split(",")[0]) for line in text.splitlines()] == values


@given(
    values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20),
    low=st.integers(0, 3),
    more=st.integers(0, 3),
)
@settings(max_examples=200, deadline=None)
def test_decimals_are_never_more_nor_fewer_than_the_columns(values, low, more):
    numbers = {"low": low, "high": low + more}
    cell = CellFormat.model_validate({"name": "x", "kind": "number", "numbers": numbers})
    how = CsvFormat(header="x", columns=(cell,))
    for line in format_rows(pd.DataFrame({"x": values}), how).decode().splitlines():
        assert low <= len(line.partition(".")[2]) <= low + more
        assert line.strip("-0.") or "-" not in line


def test_numbers_keep_the_significant_digits_of_the_column(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("x,k\n1234.57,a\n0.0123457,a\n-12.3457,a\n")
    _, source = read_csv(path)
    new = pd.DataFrame({"x": [987.654321, 0.000123456789, 123456.789], "k": "a"})
    assert format_rows(new, source.format).decode() == "987.654,a\n0.0001235,a\n123457,a\n"


def test_whole_numbers_given_as_floats_have_no_point(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("x,k\n1,a\n,a\n30,b\n")
    frame, source = read_csv(path)
    assert frame["x"].dtype == np.float64
    assert format_rows(frame, source.format) == b"1,a\n,a\n30,b\n"


def test_a_text_that_a_spreadsheet_would_compute_is_escaped_only_on_request():
    how = CsvFormat(
        header="t,n",
        columns=(CellFormat(name="t"), CellFormat(name="n", kind="number")),
    )
    frame = pd.DataFrame({"t": ["=1", "+1", "-1", "@a", "\tb", "\rc", "ok"], "n": -1.0})
    plain = format_rows(frame, how).decode()
    escaped = format_rows(frame, how, escape_formulas=True).decode()
    assert plain == '=1,-1.0\n+1,-1.0\n-1,-1.0\n@a,-1.0\n\tb,-1.0\n"\rc",-1.0\nok,-1.0\n'
    assert escaped == (
        "'=1,-1.0\n'+1,-1.0\n'-1,-1.0\n'@a,-1.0\n'\tb,-1.0\n\"'\rc\",-1.0\nok,-1.0\n"
    )


def test_a_mark_is_written_as_the_file_writes_true():
    boolean = CellFormat(name="b", kind="boolean", booleans=("TRUE", "FALSE"))
    how = CsvFormat(header="b", columns=(boolean,))
    assert format_rows(pd.DataFrame({"b": [False]}), how, mark=True) == b"FALSE,TRUE\n"


def test_a_format_survives_json(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("x;when;y\n1,5E-3;2024-05-01T10:00:00Z;a\n2,5E-3;;b\n")
    _, source = read_csv(path)
    assert CsvFormat.model_validate_json(source.format.model_dump_json()) == source.format


def test_frames_of_other_types_are_written_plainly():
    frame = pd.DataFrame(
        {
            "whole": pd.array([1, None], dtype="Int64"),
            "kind": pd.Categorical(["a", "b,c"]),
            "day": pd.to_datetime(["2024-05-01", None]),
            "at": pd.to_datetime(["2024-05-01 10:00", "2024-05-01 11:30"]).tz_localize(
                "Europe/Berlin"
            ),
            "yes": pd.array([True, None], dtype="boolean"),
            "size": np.array([0.1, 2], dtype="float32"),
        }
    )
    assert format_rows(frame, plain_format(frame)).decode().splitlines() == [
        "1,a,2024-05-01,2024-05-01 08:00:00+00:00,True,0.1",
        ',"b,c",,2024-05-01 09:30:00+00:00,,2.0',
    ]


def test_no_rows_are_no_lines():
    frame = pd.DataFrame({"x": [1.5]})
    assert format_rows(frame.iloc[:0], plain_format(frame)) == b""
