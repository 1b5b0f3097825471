"""How a CSV file separates, quotes and ends its cells, seen on its first lines. No values."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING, Literal, get_args

from gan_augment.settings import Frozen

if TYPE_CHECKING:
    from _csv import Reader

Delimiter = Literal[",", ";", "\t", "|"]
Quote = Literal['"', "'"]

LINES_LOOKED_AT = 1000
_CONSISTENT = 0.9  # share of lines with as many cells as the header
_TYPED = re.compile(r"\s*[+-]?[0-9]*[.,]?[0-9]*(?:[eE][+-]?[0-9]+)?\s*")


class Dialect(Frozen, extra="ignore"):
    """Holds what separates, quotes and ends the cells of a file; quotes in quotes are doubled.

    space_after: a space follows every delimiter. bom: the file begins with a byte-order mark.
    """

    delimiter: Delimiter = ","
    quote: Quote = '"'
    terminator: Literal["\n", "\r\n", "\r"] = "\n"
    space_after: bool = False
    bom: bool = False

    def reader(self, lines: Iterable[str]) -> Reader:
        """Read rows of cells, as text; an empty line is a row of none."""
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

    def quoted(self, cells: Iterable[str]) -> list[str]:
        """Put cells in quotes where they need them, those inside doubled."""
        inner = re.escape(self.delimiter + self.quote + "\r\n")
        needed = re.compile(f"[{inner}]" + "|^ " * self.space_after)
        q = self.quote
        return [f"{q}{c.replace(q, q * 2)}{q}" if needed.search(c) else c for c in cells]


def sniff(text: str) -> tuple[Dialect, str]:
    """Find the dialect of the first lines of a file, and the header as it stands there.

    text: the start of the file without a byte-order mark, ending with a whole line if it can.
    A delimiter is right if the lines have as many cells as the header; of several such, the one
    that leaves the most numbers, then the most columns. Quotes are `'` only where some column is
    quoted so from top to bottom and nothing is in double quotes.

    >>> sniff("size;weight\\n1,5;2\\n2,5;3\\n")[0].delimiter
    ';'
    """
    dialect, header, lines = _looked_through(text, '"')
    if "'" in text and not any(quoted for line in lines for quoted in line):
        other, its_header, lines = _looked_through(text, "'")
        rows = [line for line in lines[1:] if len(line) == len(lines[0])]
        if any(all(column) for column in zip(*rows, strict=True)):
            return other, its_header
    return dialect, header


def _looked_through(text: str, quote: Quote) -> tuple[Dialect, str, list[list[bool]]]:
    """Return the dialect, the header, and whether the first lines' cells are in quotes."""
    known: tuple[Delimiter, ...] = get_args(Delimiter)
    delimiter = max(known, key=lambda delimiter: _merit(text, delimiter, quote))
    d, q = re.escape(delimiter), re.escape(quote)
    inside = rf"{q}(?:[^{q}]|{q}{q})*{q}"
    cell = re.compile(rf"( *)(?:({inside})(?={d}|\r|\n|\Z)|[^{d}\r\n]*)({d}|\r\n|\n|\r|\Z)")
    lines: list[list[tuple[str, bool]]] = []  # of each cell: spaces before it, quotes around it
    cells: list[tuple[str, bool]] = []
    header, terminator, start, position = "", "", 0, 0
    while position < len(text) and len(lines) <= LINES_LOOKED_AT:
        match = cell.match(text, position)
        assert match is not None, "any text is a cell"
        position = match.end()
        cells.append((match[1], match[2] is not None))
        if match[3] != delimiter:
            if line := text[start : match.start(3)]:
                header, terminator = header or line, terminator or match[3]
                lines.append(cells)
            cells, start = [], position
    later = [spaces for line in lines for spaces, _ in line[1:]]
    dialect = Dialect.model_validate(
        {
            "delimiter": delimiter,
            "quote": quote,
            "terminator": terminator or "\n",
            "space_after": bool(later) and all(later),
        }
    )
    own = dialect.space_after  # else quotes behind a space are text
    return dialect, header, [[q and (own or not spaces) for spaces, q in line] for line in lines]


def _merit(text: str, delimiter: str, quote: str) -> tuple[bool, float, int]:
    """Score how well a delimiter explains the lines, to be compared."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quotechar=quote)
    try:
        rows = list(islice(filter(None, reader), LINES_LOOKED_AT + 1))
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
