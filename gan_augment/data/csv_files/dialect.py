"""How a CSV file is written: delimiter, quotes, line ends, seen on its first lines. No values."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

from gan_augment.frozen import Frozen

Delimiter = Literal[",", ";", "\t", "|"]
Quote = Literal['"', "'"]
Terminator = Literal["\n", "\r\n", "\r"]

LINES_LOOKED_AT = 1000
_CONSISTENT = 0.9  # share of lines with as many cells as the header
_TYPED = re.compile(r"\s*[+-]?[0-9]*[.,]?[0-9]*(?:[eE][+-]?[0-9]+)?\s*")


class Dialect(Frozen):
    """What separates, quotes and ends the cells of a file; quotes in quotes are doubled.

    space_after: a space follows every delimiter. bom: the file begins with a byte-order mark.
    """

    delimiter: Delimiter = ","
    quote: Quote = '"'
    terminator: Terminator = "\n"
    space_after: bool = False
    bom: bool = False

    def reader(self, lines: Iterable[str]) -> Records:
        """Rows of cells, as text; an empty line is a row of none."""
        return csv.reader(
            lines,
            delimiter=self.delimiter,
            quotechar=self.quote,
            skipinitialspace=self.space_after,
            strict=True,
        )

    @property
    def between(self) -> str:
        """What stands between two cells."""
        return self.delimiter + " " * self.space_after


class Records(Protocol):
    """The rows of a CSV, and the number of the line it has come to."""

    @property
    def line_num(self) -> int:
        """How many lines were taken so far."""

    def __iter__(self) -> Iterator[list[str]]: ...


@dataclass(frozen=True)
class Cell:
    """A cell as it stands in the file: its text, whether in quotes, and the spaces before it."""

    text: str
    quoted: bool
    spaces: str


@dataclass(frozen=True)
class Sniffed:
    """A dialect, the first lines of the file, and the header as it stands there."""

    dialect: Dialect
    lines: list[list[Cell]]
    header: str


def sniff(text: str) -> Sniffed:
    """The dialect of the first lines of a file, and these lines, the header first.

    text: the start of the file without a byte-order mark, ending with a whole line if it can.
    A delimiter is right if the lines have as many cells as the header; of several such, the one
    that leaves the most numbers, then the most columns. Quotes are `'` only where some column is
    quoted so from top to bottom and nothing is in double quotes.

    >>> sniff("size;weight\\n1,5;2\\n2,5;3\\n").dialect.delimiter
    ';'
    """
    found = _look(text, _best_delimiter(text, '"'), '"')
    if "'" not in text or any(cell.quoted for line in found.lines for cell in line):
        return found
    other = _look(text, _best_delimiter(text, "'"), "'")
    rows = [line for line in other.lines[1:] if len(line) == len(other.lines[0])]
    wrapped = any(all(cell.quoted for cell in column) for column in zip(*rows, strict=True))
    return other if wrapped else found


def needs_quotes(dialect: Dialect) -> re.Pattern[str]:
    """What in a cell makes quotes necessary."""
    inner = re.escape(dialect.delimiter + dialect.quote + "\r\n")
    return re.compile(f"[{inner}]" + ("|^ " if dialect.space_after else ""))


def in_quotes(text: str, quote: str) -> str:
    """The cell in quotes, those inside doubled."""
    return f"{quote}{text.replace(quote, quote * 2)}{quote}"


def _merit(text: str, delimiter: str, quote: str) -> tuple[bool, float, int]:
    """How well a delimiter explains the lines, to be compared."""
    given = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quotechar=quote)
    rows = []
    try:
        for row in given:
            if row:
                rows.append(row)
            if len(rows) > LINES_LOOKED_AT:
                break
    except csv.Error:
        return False, 0.0, 0
    if not rows or len(rows[0]) < 2:
        return False, 0.0, 0
    width = len(rows[0])
    same = [row for row in rows if len(row) == width]
    cells = [cell for row in same[1:] for cell in row]
    typed = sum(bool(_TYPED.fullmatch(cell)) for cell in cells) / max(len(cells), 1)
    if delimiter == "," and typed:
        typed -= 1e-9  # between equals, a comma may be a decimal one
    return len(same) >= _CONSISTENT * len(rows), round(typed, 6), width


def _best_delimiter(text: str, quote: str) -> Delimiter:
    known: tuple[Delimiter, ...] = get_args(Delimiter)
    return max(known, key=lambda delimiter: _merit(text, delimiter, quote))


def _look(text: str, delimiter: Delimiter, quote: Quote) -> Sniffed:
    lines: list[list[Cell]] = [[]]
    ends: list[str] = []
    start, header = 0, ""
    for cell, end, position in _cells(text, delimiter, quote):
        lines[-1].append(cell)
        if end != delimiter:
            if len(lines[-1]) > 1 or cell.text or cell.spaces:
                ends.append(end)
                header = header or text[start : position - len(end)]
                lines.append([])
            lines[-1], start = [], position
        if len(ends) > LINES_LOOKED_AT:
            break
    lines = [line for line in lines if line]
    later = [cell for line in lines for cell in line[1:]]
    dialect = Dialect.model_validate(
        {
            "delimiter": delimiter,
            "quote": quote,
            "terminator": (ends or [""])[0] or "\n",
            "space_after": bool(later) and all(cell.spaces for cell in later),
        }
    )
    return Sniffed(dialect, [[_as_read(cell, dialect) for cell in line] for line in lines], header)


def _cells(text: str, delimiter: str, quote: str) -> Iterator[tuple[Cell, str, int]]:
    """Every cell, what ends it (a delimiter, a line end or nothing), and where the next begins."""
    d, q = re.escape(delimiter), re.escape(quote)
    inside = rf"{q}(?:[^{q}]|{q}{q})*{q}"
    pattern = re.compile(rf"( *)({inside}(?={d}|\r|\n|\Z)|[^{d}\r\n]*)({d}|\r\n|\n|\r|\Z)")
    position = 0
    while position < len(text):
        match = pattern.match(text, position)
        if match is None:
            return
        spaces, body, end = match.groups()
        quoted = len(body) > 1 and body[0] == body[-1] == quote
        position = match.end()
        yield Cell(body, quoted, spaces), end, position


def _as_read(cell: Cell, dialect: Dialect) -> Cell:
    """The cell as a reader of the dialect sees it: behind a space, quotes are only text."""
    spaces = "" if dialect.space_after else cell.spaces
    if spaces or not cell.quoted:
        return Cell(spaces + cell.text, False, "")
    return Cell(cell.text[1:-1].replace(dialect.quote * 2, dialect.quote), True, "")


def all_quoted(lines: Sequence[Sequence[Cell]]) -> bool:
    """Whether every cell of these lines is in quotes."""
    return bool(lines) and all(cell.quoted for line in lines for cell in line)
