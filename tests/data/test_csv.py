"""A CSV is read with types or refused in one line; new rows are written in the file's dialect."""

import codecs
import csv
import datetime
import io
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gan_augment.data.tables import csv as csv_files
from gan_augment.data.tables.csv import (
    CellFormat,
    CsvFormat,
    Dialect,
    format_rows,
    plain_format,
    read_csv,
    sniff,
)
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


def column(read, *cells):
    return read("x;last\n" + "".join(f"{cell};k\n" for cell in cells))


def again(read, text):
    """The text of a file whose rows are all written as if they were new."""
    frame, source = read(text)
    return (source.format.first_line() + format_rows(frame, source.format)).decode()


CELLS = [  # what a column holds, its dtype, the first value (of a date), the cells written as new
    (["1", "-2", "30"], "int64", 1, None),
    (["+3", "1", "-2"], "int64", 3, ["3", "1", "-2"]),
    (["9007199254740993", "?", "1"], "Int64", 2**53 + 1, None),
    (["0", "NA", "5"], "Int64", 0, None),
    (["", "NA"], "float64", None, ["", ""]),
    (["1.50", "22.75", "-0.10"], "float64", 1.5, None),
    (["1.5", "22.75", "3"], "float64", 1.5, None),
    (["1.0", "22.75"], "float64", 1.0, ["1", "22.75"]),
    (["0.1", "0.30000000000000004", "12345.678901234567"], "float64", 0.1, None),
    (["1.33333333333333325932", "0.5"], "float64", 4 / 3, ["1.3333333333333333", "0.5"]),
    (["1.5E-5", "2.5E10", "3.75e+0"], "float64", 1.5e-5, ["0.000015", "25000000000", "3.75"]),
    ([".5", "-.25", "5."], "float64", 0.5, ["0.5", "-0.25", "5"]),
    (["1", "NA", "?", "?", "2"], "Int64", 1, ["1", "?", "?", "?", "2"]),
    (["1,5", "22,75", "3"], "float64", 1.5, None),
    (["1,50", "0,75"], "float64", 1.5, None),
    (["true", "false", ""], "boolean", True, None),
    (["TRUE", "TRUE"], "bool", True, None),
    (["99999999999999999999", "1"], "object", "99999999999999999999", None),
    (["owl", "wren", "null"], "object", "owl", None),
    (["=1+1", "@home", "'quoted'"], "object", "=1+1", None),
    (['"x"', '"say ""hi"""', "NA"], "object", "x", ["x", '"say ""hi"""', "NA"]),
    (["2024-05-31", "", "1999-01-01"], "datetime64[s]", "2024-05-31", None),
    (["2024/05/31", "2024/06/01"], "datetime64[s]", "2024-05-31", None),
    (["31.05.2024", "01.06.2024"], "datetime64[s]", "2024-05-31", None),
    (["5/31/2024", "12/1/2024"], "datetime64[s]", "2024-05-31", ["05/31/2024", "12/01/2024"]),
    (["31/05/2024", "01/06/2024"], "datetime64[s]", "2024-05-31", None),
    (["05/31/2024 09:05"], "datetime64[s]", "2024-05-31 09:05", None),
    (["2024-05-31T13:07:09"], "datetime64[s]", "2024-05-31 13:07:09", None),
    (["2024-05-31T13:07:09Z"], "datetime64[s, UTC]", "2024-05-31 13:07:09Z", None),
    (
        ["2024-05-31 13:07:09.12", "2024-05-31 13:07:09.003"],
        *("datetime64[us]", "2024-05-31 13:07:09.12"),
        ["2024-05-31 13:07:09.120000", "2024-05-31 13:07:09.003000"],
    ),
]


@pytest.mark.parametrize(("cells", "dtype", "first", "written"), CELLS)
def test_a_column_has_the_type_of_all_its_cells_and_is_written_alike(
    read, cells, dtype, first, written
):
    frame, source = column(read, *cells)
    assert str(frame["x"].dtype) == dtype
    if first is None:
        assert frame["x"].isna().all()
    else:
        assert frame["x"][0] == (pd.Timestamp(first) if dtype.startswith("datetime") else first)
    lines = format_rows(frame, source.format).decode().splitlines()
    assert [line.removesuffix(";k") for line in lines] == (cells if written is None else written)


TEXTS_LIKE_NUMBERS = [
    "007",
    "-05.1",
    "x",
    "1_000",
    "0x1f",
    "1,5",
    "٣",
    "1.2.3",
]
TEXTS_LIKE_DATES = ["2024-02-30", "31.05.2024", "2024-05-31 25:00", "13/31/2024", "123-45-6789"]


@pytest.mark.parametrize("text", [*TEXTS_LIKE_NUMBERS, *TEXTS_LIKE_DATES])
def test_one_other_cell_makes_a_column_text(read, text):
    likely = "2024-05-31" if text in TEXTS_LIKE_DATES else "1.5"
    frame, source = column(read, likely, text)
    assert frame["x"].tolist() == [likely, text]
    assert source.format.columns[0].kind == "text"


@pytest.mark.parametrize("token", ["", "NA", "None", "?", " "])
@pytest.mark.parametrize(
    ("cell", "dtype"),
    [
        ("1.5", "float64"),
        ("7", "Int64"),
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
    assert source.format.columns[0].missing == token


def test_dates_that_fit_two_orders_are_noted(read):
    frame, source = column(read, "03/04/2024", "05/06/2024")
    assert frame["x"][0] == pd.Timestamp("2024-03-04")
    assert source.notes == ("column 'x': its dates are read with the month first, both would fit",)


def test_a_file_has_one_decimal_mark(read):
    frame, source = read("a\tb\n1,234\t0.5\n5,678\t1.5\n")
    assert frame["a"].tolist() == ["1,234", "5,678"]
    assert source.format.dialect.decimal == "."


@pytest.mark.parametrize("early", ["1.50", "true", "2024-05-01", "NA"])
@pytest.mark.parametrize("late", ["3.10", "NA", "owl"])
def test_a_file_is_read_in_parts_as_in_one(read, monkeypatch, early, late):
    whole, source = column(read, *[early] * 10, late)
    monkeypatch.setattr(csv_files, "CELLS_AT_ONCE", 6)
    parts, again = column(read, *[early] * 10, late)
    pd.testing.assert_frame_equal(whole, parts)
    assert source.format == again.format
    assert late != "owl" or parts["x"].iloc[-1] == "owl"


@pytest.mark.parametrize(
    ("content", "names", "first", "ended"),
    [
        (codecs.BOM_UTF8 + b"a,b\n1,2\n3,4\n", ["a", "b"], [1, 3], True),
        (b",b\n0,x\n1,y", ["Unnamed: 0", "b"], [0, 1], False),
        (b"\n\na,b\r\n1,2\r\n\r\n3,4\r\n\r\n\r\n", ["a", "b"], [1, 3], True),
    ],
    ids=["a byte-order mark", "an empty name, an open line", "empty lines"],
)
def test_names_and_rows_are_those_of_the_file(read, content, names, first, ended):
    frame, source = read(content)
    assert list(frame) == names
    assert frame[names[0]].tolist() == first
    assert (source.rows, source.ended) == (2, ended)
    assert source.format.dialect.bom == content.startswith(codecs.BOM_UTF8)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"a,b\n", "a header and no row"),
        (b"\r \r", "a header and no row"),
        (b"a,b\n1,2\n3\n", "a line has 1 cells, the first line has 2"),
        (b'a,b\n1,"x\ny"\n1,2,3\n', "a line has 3 cells"),
        (b"a,b\n1,2\n3,\x004\n", "NUL bytes"),
        (b"a,b\n1,2\n3,\xe9\n", "not UTF-8 text.* iconv"),
        (codecs.BOM_UTF16_LE + "a,b\n1,2\n".encode("utf-16-le"), "UTF-16"),
        (b"a,b,a\n1,2,3\n", "2 columns are called 'a'"),
        (b'a,b\n1,"x\n2,y\n', "quote that is not closed"),
        (b'a,b\n1,"x" y\n', "quote that is not closed or not doubled"),
    ],
)
def test_a_file_that_is_no_table_is_refused_in_one_line(read, content, message):
    with pytest.raises(DataError, match=message) as caught:
        read(content)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 3


def test_a_file_that_is_too_large_or_cannot_be_read_is_refused(read, tmp_path, monkeypatch):
    monkeypatch.setattr(csv_files, "MOST_BYTES", 10)
    with pytest.raises(DataError, match="Parquet"):
        read("a,b\n1,2\n3,4\n5,6\n")
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(DataError, match="cannot be read"):
            read_csv(path)


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
@settings(max_examples=150, deadline=None)
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


@pytest.mark.parametrize(
    "text",
    [
        'a,b\n1,"x, y"\n2,z\n',
        'a,b\n1,"two\nlines"\n2,z\n',
        "a\tb\r\n1\tx\r\n2\ty\r\n",
        "a|b\r1|x\r2|y\r",
        'a, b, c\n1, "x, y", 2.5\n2, ?, 3.5\n',
        "\ufeffname,größe\nÖl,1.5\nTee,2.5\n",
        "a,b,\n1,x,\n2,y,\n",
        ",a,b\n0,1.5,x\n1,2.5,y\n",
    ],
)
def test_lines_come_back_as_they_were(read, text):
    assert again(read, text) == text


WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=5)


@given(
    rows=st.integers(2, 4).flatmap(
        lambda width: st.lists(
            st.lists(WORDS, min_size=width, max_size=width), min_size=1, max_size=8
        )
    ),
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
    space_after=st.booleans(),
)
@settings(max_examples=100, deadline=None)
def test_any_texts_are_read_back_by_another_reader(rows, delimiter, space_after):
    names = [f"c{i}" for i in range(len(rows[0]))]
    dialect = Dialect(delimiter=delimiter, space_after=space_after)
    csv_format = CsvFormat.of([CellFormat(name=name) for name in names], dialect)
    frame = pd.DataFrame(rows, columns=names, dtype=object)
    text = format_rows(frame, csv_format).decode()
    lines = io.StringIO(text, newline="")
    back = csv.reader(lines, delimiter=delimiter, skipinitialspace=space_after, strict=True)
    assert list(back) == rows


NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(NUMBERS, min_size=1, max_size=20))
@settings(max_examples=100, deadline=None)
def test_numbers_in_full_are_read_back_exactly(values):
    frame = pd.DataFrame({"x": values, "k": "k"})
    text = format_rows(frame, plain_format(frame)).decode()
    assert [float(line.split(",")[0]) for line in text.splitlines()] == values


def test_a_mark_is_written_as_the_file_writes_true():
    boolean = CellFormat(name="b", kind="boolean", booleans=("TRUE", "FALSE"))
    csv_format = CsvFormat.of([boolean], Dialect())
    assert format_rows(pd.DataFrame({"b": [False]}), csv_format, mark=True) == b"FALSE,TRUE\n"


def test_a_format_survives_json(read):
    _, source = read("x;when;y\n1,5E-3;2024-05-01T10:00:00Z;a\n2,5E-3;;b\n")
    assert CsvFormat.model_validate_json(source.format.model_dump_json()) == source.format


def test_frames_of_other_types_are_written_plainly():
    late = pd.Timestamp("2024-05-01T10:00:00.5Z")
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
            "old": pd.array([datetime.date(131, 6, 20), None], pd.ArrowDtype(pa.date32())),
            "far": pd.array([late, None], pd.ArrowDtype(pa.timestamp("ms", "UTC"))),
        }
    )
    assert format_rows(frame, plain_format(frame)).decode().splitlines() == [
        "1,a,2024-05-01,2024-05-01 08:00:00,True,0.1,0131-06-20,2024-05-01 10:00:00.500000",
        ',"b,c",,2024-05-01 09:30:00,,2,,',
    ]
    assert format_rows(frame.iloc[:0], plain_format(frame)) == b""


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("size,cm;weight,kg\n1,5;2,25\n10,0;3,5\n", {"delimiter": ";"}),  # decimal commas
        ('"name";"place"\n"a, b, c";"x"\n"d";"y, z"\n', {"delimiter": ";"}),
        ("id\ttext\n1\tone, two\n2\tthree\n3\tfour, five, six\n", {"delimiter": "\t"}),
        # a ragged line
        ("a,b|b,c\n" + "".join(f"{i},{i}|x,{i}\n" for i in range(40)) + "1,2|2\n", {}),
        ('a, b, c\n1, "x, y", 2\n2, z, 3\n', {"space_after": True}),
        ("a,b\n1, x\n2,y\n", {}),
        ("a,b\n1,'tis\n2,'z'\n", {}),
        ("a,b\n1,'tis\n2,'tis\n", {}),
        ('"size\n(cm)",b\r\n1,2\r\n', {"terminator": "\r\n"}),
        ("\n\na,b\n1,2\n", {}),
    ],
)
def test_the_dialect_is_the_one_that_explains_the_lines(text, known):
    dialect, header = sniff(text)
    assert dialect == Dialect.model_validate(known)
    assert header == ('"size\n(cm)",b' if "(cm)" in text else text.strip("\n").split("\n")[0])
