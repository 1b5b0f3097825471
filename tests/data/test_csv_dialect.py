"""A CSV's delimiter, quotes and line ends are found on its first lines."""

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gan_augment.data.csv_files.dialect import Dialect, sniff


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_delimiters_and_line_ends_are_found(delimiter, end):
    lines = [["id", "name", "size"], ["1", "owl", "2.5"], ["2", "wren", "0.5"]]
    text = end.join(delimiter.join(line) for line in lines) + end
    found = sniff(text)
    assert found.dialect == Dialect(delimiter=delimiter, terminator=end)
    assert found.header == delimiter.join(lines[0])


def test_a_semicolon_with_decimal_commas_is_no_comma():
    text = "size,cm;weight,kg\n1,5;2,25\n10,0;3,5\n"
    assert sniff(text).dialect.delimiter == ";"


def test_commas_in_quoted_cells_part_nothing():
    text = '"name";"place"\n"a, b, c";"x"\n"d";"y, z"\n'
    assert sniff(text).dialect.delimiter == ";"


def test_commas_in_texts_do_not_hide_a_tab():
    text = "id\ttext\n1\tone, two\n2\tthree\n3\tfour, five, six\n"
    assert sniff(text).dialect.delimiter == "\t"


def test_one_ragged_line_does_not_change_the_delimiter():
    rows = "".join(f"{i},{i}|x,{i}\n" for i in range(40))
    assert sniff(f"a,b|b,c\n{rows}1,2|2\n").dialect.delimiter == ","


def test_a_space_behind_every_delimiter_belongs_to_the_dialect():
    found = sniff('a, b, c\n1, "x, y", 2\n2, z, 3\n')
    assert found.dialect.space_after
    assert [cell.text for cell in found.lines[1]] == ["1", "x, y", "2"]
    assert not sniff("a,b\n1, x\n2,y\n").dialect.space_after


def test_single_quotes_quote_only_where_a_whole_column_is_in_them():
    assert sniff("a,b\n1,'x, y'\n2,'z'\n").dialect.quote == "'"
    assert sniff("a,b\n1,'tis\n2,'z'\n").dialect.quote == '"'


def test_a_header_with_a_line_end_in_quotes_stays_whole():
    found = sniff('"size\n(cm)",b\r\n1,2\r\n')
    assert found.header == '"size\n(cm)",b'
    assert found.dialect.terminator == "\r\n"


def test_empty_lines_before_the_header_do_not_count():
    assert sniff("\n\na,b\n1,2\n").header == "a,b"


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=6)


@given(
    rows=st.integers(2, 4).flatmap(
        lambda width: st.lists(
            st.lists(CELLS.filter(lambda c: c != ""), min_size=width, max_size=width),
            min_size=2,
            max_size=6,
        )
    ),
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
)
@settings(max_examples=150, deadline=None)
def test_the_cells_that_are_looked_at_are_those_that_are_read(rows, delimiter):
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows(rows)
    found = sniff(text.getvalue())
    if found.dialect == Dialect(delimiter=delimiter):
        assert [[cell.text for cell in line] for line in found.lines] == rows
