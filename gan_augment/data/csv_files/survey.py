"""What each column of a CSV holds and how it writes it, found in one pass over all its cells.

Cells become shapes (see `numbers`), which are few and are kept; the cells are not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from gan_augment.data.csv_files.dates import TimeFormat, most_used_zone, parse_times, time_formats
from gan_augment.data.csv_files.dialect import Cell, all_quoted
from gan_augment.data.csv_files.format import BOOLEANS, CellFormat
from gan_augment.data.csv_files.numbers import (
    INFINITE,
    NumberFormat,
    looks_like_thousands,
    number_format,
    significant_digits,
)

MISSING = frozenset(["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?"])
MOST_SHAPES = 20_000  # a column of more is text
_MOST_TIME_SHAPES = 500
_NINES = bytes.maketrans(b"012345678", b"9" * 9)
_ONES = bytes.maketrans(b"23456789", b"1" * 8)
_ZEROS_FIRST = [a + b"0" + b for a in (b"\0", b"\0+", b"\0-", b" ") for b in (b"0", b"1")]
_INT64 = range(-(2**63), 2**63)


@dataclass(frozen=True)
class Surveyed:
    """A column: how it is written, which of its cells mean missing, what a person should know."""

    how: CellFormat
    missing: frozenset[str]
    note: str = ""


class ColumnSurvey:
    """Takes the cells of a column chunk by chunk; `finish` says what they are."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._shapes: set[str] = set()
        self._missing: Counter[str] = Counter()
        self._textual = False
        self._whole_fits = True
        self._zeros_first = False
        self._digits = 0
        self._times: list[TimeFormat] | None = None
        self._zones: Counter[str] = Counter()

    def take(self, cells: Sequence[str]) -> None:
        """One more chunk of the column."""
        distinct = set(cells) if self._textual else self._shapes_of(cells)
        found = {cell for cell in distinct if cell.strip() in MISSING}
        self._missing.update({cell: cells.count(cell) for cell in found})
        if not self._textual:
            self._look_closer([c for c in cells if c not in found] if found else cells)

    def finish(self, *, comma: bool) -> Surveyed:
        """What the column is. comma: whether its numbers may have a decimal comma."""
        tokens = frozenset(self._missing)
        token = self._missing.most_common(1)[0][0] if self._missing else ""
        how = CellFormat(name=self.name, missing=token)
        shapes = self.shapes
        if not shapes and not self._textual:  # all missing
            return Surveyed(how.model_copy(update={"kind": "number"}), tokens)
        numbers = self._numbers(comma=comma)
        if numbers is not None:
            how = how.model_copy(update={"kind": "number", "numbers": numbers})
        elif (booleans := self._booleans()) is not None:
            how = how.model_copy(update={"kind": "boolean", "booleans": booleans})
        elif self._times:
            how = how.model_copy(update={"kind": "datetime", "times": self._time()})
            return Surveyed(how, tokens, self._time_note())
        return Surveyed(how, tokens)

    @property
    def shapes(self) -> set[str]:
        """The shapes of the cells that are not missing."""
        return {shape for shape in self._shapes if shape.strip() not in MISSING}

    @property
    def parts_thousands(self) -> bool:
        """Whether the commas of its numbers may part thousands."""
        return not self._textual and looks_like_thousands(self.shapes)

    def _shapes_of(self, cells: Sequence[str]) -> set[str]:
        joined = "\0".join(cells).encode("utf-8", "surrogatepass")
        if not self._zeros_first:
            marked = b"\0" + joined.translate(_ONES)
            self._zeros_first = any(start in marked for start in _ZEROS_FIRST)
        shapes = set(joined.translate(_NINES).split(b"\0"))
        found = {shape.decode("utf-8", "surrogatepass") for shape in shapes}
        self._shapes |= found
        return found

    def _look_closer(self, cells: Sequence[str]) -> None:
        """What shapes cannot say: the size of whole numbers, digits that count, days that exist."""
        shapes = self.shapes
        as_numbers = number_format(shapes, comma=True) if len(shapes) <= MOST_SHAPES else None
        if as_numbers is not None:
            if as_numbers.whole and any(len(shape.strip("+- ")) > 18 for shape in shapes):
                finite = (cell for cell in cells if cell.strip() not in INFINITE)
                self._whole_fits = self._whole_fits and all(int(c) in _INT64 for c in finite)
            if not as_numbers.whole and as_numbers.exponents is None:
                self._digits = max(self._digits, significant_digits(cells))
        elif not shapes <= {word for pair in BOOLEANS for word in pair}:
            self._follow_times(shapes, cells)
            self._textual = self._times == []
        if self._textual:
            self._shapes.clear()

    def _follow_times(self, shapes: set[str], cells: Sequence[str]) -> None:
        formats = time_formats(shapes) if len(shapes) <= _MOST_TIME_SHAPES else ()
        alive = None if self._times is None else {how.order for how in self._times}
        self._times = []
        for how in formats:
            if alive is None or how.order in alive:
                zone = {"zone": most_used_zone(cells)} if how.zone else {}
                if parse_times(cells, how) is not None:
                    self._times.append(how.model_copy(update=zone))
        if self._times and self._times[0].zone:
            self._zones[self._times[0].zone] += len(cells)

    def _numbers(self, *, comma: bool) -> NumberFormat | None:
        if self._textual or self._zeros_first or not self._whole_fits:
            return None
        return number_format(self.shapes, comma=comma, digits=self._digits or 99)

    def _booleans(self) -> tuple[str, str] | None:
        shapes = self.shapes
        pairs = (pair for pair in BOOLEANS if shapes and shapes <= set(pair))
        return None if self._textual else next(pairs, None)

    def _time(self) -> TimeFormat:
        assert self._times
        how = self._times[0]
        return (
            how.model_copy(update={"zone": self._zones.most_common(1)[0][0]}) if how.zone else how
        )

    def _time_note(self) -> str:
        assert self._times
        if len(self._times) == 1:
            return ""
        first = {"mdy": "month", "dmy": "day"}[self._times[0].order]
        return f"column {self.name!r}: its dates are read with the {first} first, both would fit"


def finish_all(columns: Sequence[ColumnSurvey], *, comma: bool) -> list[Surveyed]:
    """Every column's format. comma: none parts the cells, so that in numbers it may be a point.

    `1,234` in a file whose other numbers have points is a text, and a note says so.
    """
    found = [column.finish(comma=comma) for column in columns]
    numbers = [one.how.numbers for one in found if one.how.kind == "number"]
    points = any(n.point == "." and not n.whole and n.high for n in numbers)
    for i, column in enumerate(columns):
        if points and found[i].how.numbers.point == "," and column.parts_thousands:
            note = f"column {column.name!r}: 1,234 is taken as text; write 1234 for a number"
            text = CellFormat(name=column.name, missing=found[i].how.missing)
            found[i] = Surveyed(text, found[i].missing, note)
    return found


def with_quotes(found: Sequence[Surveyed], lines: Sequence[Sequence[Cell]]) -> list[Surveyed]:
    """The formats with the habit of quotes that the first lines show, the header left out."""
    rows = [line for line in lines if len(line) == len(found)]
    everything = all_quoted(rows)
    quoted = []
    for i, one in enumerate(found):
        cells = [row[i] for row in rows]
        present = [cell.quoted for cell in cells if cell.text not in one.missing]
        empty = [cell.quoted for cell in cells if cell.text == one.how.missing]
        habits = {
            "quoted": all(present) if present else everything,
            "missing_quoted": all(empty) if empty else everything,
        }
        quoted.append(Surveyed(one.how.model_copy(update=habits), one.missing, one.note))
    return quoted
