"""A CSV file as a pandas frame with types, and what is needed to write more rows of its kind.

Read twice in chunks: once to survey the columns, once for their values. Nothing is written here.
"""

from __future__ import annotations

import codecs
import csv
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from gan_augment.data.csv_files.dialect import Dialect, Sniffed, sniff
from gan_augment.data.csv_files.format import CsvFormat
from gan_augment.data.csv_files.survey import ColumnSurvey, Surveyed, finish_all, with_quotes
from gan_augment.data.csv_files.values import ColumnValues
from gan_augment.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

MOST_BYTES = 1 << 30
CELLS_AT_ONCE = 1_000_000
KEPT_BYTES = 16 << 20  # cells of a file up to this stay in memory between the two passes
_BLOCK_BYTES = 1 << 20

Chunk = list[tuple[str, ...]]  # the columns of some rows, as text


@dataclass(frozen=True)
class CsvSource:
    """A CSV file that was read: where it is, how it is written, and how to tell that it is as then.

    ended: whether its last line has a line end. rows: without the header.
    """

    path: Path
    size: int
    modified_ns: int
    ended: bool
    rows: int
    format: CsvFormat
    notes: tuple[str, ...] = ()

    def check_unchanged(self) -> None:
        """Raise DataError if the file is not the one that was read."""
        try:
            now = self.path.stat()
        except OSError as error:
            raise DataError(f"{str(self.path)!r} can no longer be read: {error.strerror}") from None
        if (now.st_size, now.st_mtime_ns) != (self.size, self.modified_ns):
            raise changed_since(self.path)


def read_csv(path: str | Path) -> tuple[pd.DataFrame, CsvSource]:
    """A CSV (UTF-8, a header, up to 1 GiB) as a frame, with its dialect and formats.

    A column is numbers, booleans or times where all its cells are, written plainly; else texts
    (object, missing ones None). Numbers are int64, or float64 with NaN, or Int64 beyond 2^53 with
    missing ones. Leading zeros (`007`) and whole numbers beyond 64 bits make texts.
    Raises DataError, with the line and the cure.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "t.csv").write_text("size;when\\n1,5;2024-05-01\\n;2024-05-02\\n")
    ...     frame, source = read_csv(Path(folder) / "t.csv")
    >>> [str(dtype) for dtype in frame.dtypes], source.format.columns[0].numbers.point
    (['float64', 'datetime64[s]'], ',')
    """
    import pandas as pd

    path = Path(path)
    size, modified_ns, ended = _looked_at(path)
    sniffed = _sniffed(path)
    names = _names(path, sniffed.dialect)
    chunks: Callable[[], Iterable[Chunk]] = partial(_chunks, path, sniffed.dialect, len(names))
    if size <= KEPT_BYTES:
        kept = list(chunks())
        chunks = partial(iter, kept)
    surveyed, rows = _surveyed(path, names, chunks(), comma=sniffed.dialect.delimiter != ",")
    surveyed = with_quotes(surveyed, sniffed.lines[1:])
    how = CsvFormat(
        dialect=sniffed.dialect,
        header=sniffed.header,
        header_quoted=sniffed.lines[0][-1].quoted,
        columns=tuple(one.how for one in surveyed),
    )
    notes = tuple(one.note for one in surveyed if one.note)
    source = CsvSource(path, size, modified_ns, ended, rows, how, notes)
    columns = [ColumnValues(one) for one in surveyed]
    for chunk in chunks():
        for column, cells in zip(columns, chunk, strict=True):
            column.take(cells)
    source.check_unchanged()
    series = {name: column.series() for name, column in zip(names, columns, strict=True)}
    return pd.DataFrame(series, copy=False), source


def records(path: Path, dialect: Dialect) -> Iterator[tuple[list[str], int]]:
    """(cells, number of the last line) of every record, the header first, empty lines left out."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = dialect.reader(file)
            try:
                for row in reader:
                    if row:
                        yield row, reader.line_num
            except csv.Error as error:
                raise _unreadable(path, reader.line_num, error) from None
    except UnicodeDecodeError:
        raise changed_since(path) from None
    except OSError as error:
        raise DataError(f"{str(path)!r} cannot be read: {error.strerror}") from None


def changed_since(path: Path) -> DataError:
    """The error for a file that is not as it was when it was read."""
    return DataError(f"{str(path)!r} was changed since it was read; begin again.")


def _chunks(path: Path, dialect: Dialect, width: int) -> Iterator[Chunk]:
    """The columns of so many rows at once, each as (N,) texts."""
    rows = (row for row, _ in records(path, dialect))
    next(rows, None)
    while chunk := list(islice(rows, max(CELLS_AT_ONCE // width, 1))):
        if set(map(len, chunk)) != {width}:
            raise _ragged(path, dialect, width)
        yield list(zip(*chunk, strict=True))


def _surveyed(
    path: Path, names: Sequence[str], chunks: Iterable[Chunk], *, comma: bool
) -> tuple[list[Surveyed], int]:
    surveys = [ColumnSurvey(name) for name in names]
    rows = 0
    for chunk in chunks:
        rows += len(chunk[0])
        for survey, cells in zip(surveys, chunk, strict=True):
            survey.take(cells)
    if not rows:
        raise DataError(f"{str(path)!r} holds a header and no row; expected a line for each row.")
    return finish_all(surveys, comma=comma), rows


def _looked_at(path: Path) -> tuple[int, int, bool]:
    """(size, time of its last change, whether its last line has an end) of a file that is text."""
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            if found.st_size > MOST_BYTES:
                raise DataError(
                    f"{str(path)!r} has {found.st_size >> 20} MiB; {MOST_BYTES >> 20} MiB of CSV "
                    "is the limit. Save the table as Parquet, or leave columns or rows out."
                )
            last = _checked_text(path, file)
    except OSError as error:
        raise DataError(f"{str(path)!r} cannot be read: {error.strerror}") from None
    return found.st_size, found.st_mtime_ns, last in (b"\n", b"\r")


def _checked_text(path: Path, file: BinaryIO) -> bytes:
    """The last byte of a file; DataError where it is not UTF-8 or holds a NUL."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    last = b""
    try:
        while block := file.read(_BLOCK_BYTES):
            if not last and block.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                raise DataError(f"{str(path)!r} is UTF-16 text; save the CSV as UTF-8.")
            if b"\0" in block:
                raise _not_text(path)
            decoder.decode(block)
            last = block[-1:]
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise _not_text(path) from None
    return last


def _sniffed(path: Path) -> Sniffed:
    with path.open("rb") as file:
        start = file.read(_BLOCK_BYTES)
    bom = start.startswith(codecs.BOM_UTF8)
    text = start.decode("utf-8-sig", "replace")
    if len(start) == _BLOCK_BYTES:
        text = text[: max(text.rfind("\n"), text.rfind("\r")) + 1] or text
    if not text.strip("\r\n"):
        raise DataError(f"{str(path)!r} is empty; expected a line of column names, then the rows.")
    found = sniff(text)
    return replace(found, dialect=found.dialect.model_copy(update={"bom": bom}))


def _names(path: Path, dialect: Dialect) -> list[str]:
    """The column names; one that is empty is called as pandas calls it."""
    header, _ = next(records(path, dialect))
    names = [name.strip() or f"Unnamed: {i}" for i, name in enumerate(header)]
    for name, n in Counter(names).items():
        if n > 1:
            raise DataError(
                f"{str(path)!r}, line 1: {n} columns are called {name[:60]!r}. Every column needs "
                "a name of its own in the first line; rename one, or add the line if there is none."
            )
    return names


def _ragged(path: Path, dialect: Dialect, width: int) -> DataError:
    for row, line in records(path, dialect):
        if len(row) != width:
            n = len(row)
            return DataError(
                f"{str(path)!r}, line {line}: it has {n} cell{'s' * (n != 1)}, the first line has "
                f"{width}. Put a cell that holds {dialect.delimiter!r} in quotes, or complete the "
                "line."
            )
    return changed_since(path)


def _unreadable(path: Path, line: int, error: csv.Error) -> DataError:
    reason = str(error)
    if "end of data" in reason or "field limit" in reason:
        reason = "a quote that was opened before is not closed; close it, or double a quote in text"
    elif "expected after" in reason:
        reason = "text follows a closing quote; a quote inside quotes is written twice"
    return DataError(f"{str(path)!r}, line {line}: {reason}.")


def _not_text(path: Path) -> DataError:
    """The error for the first line that is not UTF-8, or holds a NUL."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if b"\0" in line:
                return DataError(
                    f"{str(path)!r}, line {number}: it holds a NUL byte, which no text does. Save "
                    "the CSV as UTF-8; it may be UTF-16, or damaged."
                )
            if not _is_utf8(line):
                break
    return DataError(
        f"{str(path)!r}, line {number}: it is not UTF-8 text. Save the CSV as UTF-8, for example "
        "with: iconv -f WINDOWS-1252 -t UTF-8"
    )


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True
