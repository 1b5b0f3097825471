"""Rows into a CSV file: behind a copy of the original byte for byte, or in a file of their own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from gan_augment.data.csv_files.format import CsvFormat, format_rows
from gan_augment.data.csv_files.reading import CsvSource
from gan_augment.errors import DataError
from gan_augment.storage.files import NewFile

if TYPE_CHECKING:
    import pandas as pd

ROWS_AT_ONCE = 16_384
_BLOCK_BYTES = 1 << 20
_LINE_ENDS = ("\r\n", "\n", "\r")


class CsvRows:
    """Writes a table as CSV. mark: with a last column `synthetic`. escape_formulas: see there."""

    def __init__(
        self, file: NewFile, how: CsvFormat, *, mark: bool = False, escape_formulas: bool = False
    ) -> None:
        self._file = file
        self._how = how
        self._mark = mark
        self._escape = escape_formulas

    def begin(self) -> None:
        """The header of a file of new rows."""
        self._file.write(self._how.first_line(mark=self._mark))

    def copy(self, source: CsvSource) -> None:
        """The original: its bytes, each line with one cell more if marked, and a last line end.

        Raises DataError where the file is no longer as it was read.
        """
        source.check_unchanged()
        for block in _marked(source) if self._mark else _blocks(source):
            self._file.write(block)
        source.check_unchanged()
        if not source.ended:
            self._file.write(source.format.dialect.terminator.encode())

    def add(self, frame: pd.DataFrame) -> None:
        """New rows, with every column of the format."""
        for start in range(0, len(frame), ROWS_AT_ONCE):
            rows = frame.iloc[start : start + ROWS_AT_ONCE]
            mark = True if self._mark else None
            lines = format_rows(rows, self._how, mark=mark, escape_formulas=self._escape)
            self._file.write(lines)

    def end(self) -> None:
        """A CSV has no end of its own."""


def _blocks(source: CsvSource) -> Iterator[bytes]:
    try:
        with source.path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                yield block
    except OSError as error:
        raise DataError(f"{str(source.path)!r} cannot be read: {error.strerror}") from None


def _marked(source: CsvSource) -> Iterator[bytes]:
    """The original with one cell more a line; empty lines, which are no rows, stay empty."""
    how = source.format
    cell = how.marked(how.booleans[1])
    yield how.first_line(mark=True)
    block: list[str] = []
    for record, is_row in _raw_records(source):
        end = next((end for end in _LINE_ENDS if record.endswith(end)), "")
        body = record.removesuffix(end)
        block.append(f"{body}{cell}{end}" if is_row else record)
        if len(block) >= ROWS_AT_ONCE:
            yield "".join(block).encode()
            block.clear()
    yield "".join(block).encode()


def _raw_records(source: CsvSource) -> Iterator[tuple[str, bool]]:
    """The text of every record behind the header, and whether it is a row."""
    lines: list[str] = []

    def kept() -> Iterator[str]:
        for line in file:
            lines.append(line)
            yield line

    try:
        with source.path.open(encoding="utf-8-sig", newline="") as file:
            header = True
            for row in source.format.dialect.reader(kept()):
                if not (header and row):
                    yield "".join(lines), bool(row)
                header = header and not row
                lines.clear()
    except OSError as error:
        raise DataError(f"{str(source.path)!r} cannot be read: {error.strerror}") from None
