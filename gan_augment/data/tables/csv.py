"""CSV files: their dialect, their rows as a typed frame, and new rows behind the original's bytes.

A file is read once, column by column as text; `text.py` says what the text of a column means. New
rows are written in the file's dialect, with its point, decimals, dates and word for missing;
`.5`, `+3`, `1E5` and quotes that no cell needs are not imitated.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import errno
import io
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from gan_augment.data.tables import check_width
from gan_augment.data.tables.columns import Cells, arrow_type, read_cells
from gan_augment.data.tables.text import (
    FORMULA_STARTS,
    MomentNotation,
    NumberNotation,
    escaped,
    looks_like_thousands,
    shapes_of,
    starts_with_zero,
)
from gan_augment.errors import DataError
from gan_augment.input_files import regular_file
from gan_augment.settings import Frozen
from gan_augment.storage.files import NewFile

if TYPE_CHECKING:
    from _csv import Reader

Delimiter = Literal[",", ";", "\t", "|"]
Quote = Literal['"', "'"]
Row = list[str]

MARK = "synthetic"
MISSING = frozenset(["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?"])
BOOLEANS = (("true", "false"), ("True", "False"), ("TRUE", "FALSE"))
MOST_BYTES = 1 << 30
CELLS_AT_ONCE = 1_000_000
ROWS_AT_ONCE = 16_384
MOST_SHAPES = 20_000  # a column of more is text
LINES_LOOKED_AT = 1000
_CONSISTENT = 0.9  # share of lines with as many cells as the header
_TYPED = re.compile(r"\s*[+-]?[0-9]*[.,]?[0-9]*(?:[eE][+-]?[0-9]+)?\s*")
_APART = "\x1f"  # the unit separator, which no delimiter is
_BLOCK_BYTES = 1 << 20
_EXACT = 2**53  # whole numbers below it are exact as float64
_LINE_ENDS = ("\r\n", "\n", "\r")


class Dialect(Frozen, extra="ignore"):
    """Holds what separates, quotes and ends the cells of a file; quotes in quotes are doubled.

    space_after: a space follows every delimiter. bom: the file begins with a byte-order mark.
    """

    delimiter: Delimiter = ","
    quote: Quote = '"'
    terminator: Literal["\n", "\r\n", "\r"] = "\n"
    space_after: bool = False
    bom: bool = False

    def reader(self, lines: Iterable[str], *, strict: bool = True) -> Reader:
        """Read rows of cells, as text; an empty line is a row of none."""
        delimiter, quote, space = self.delimiter, self.quote, self.space_after
        csv.field_size_limit(max(csv.field_size_limit(), MOST_BYTES))  # of the whole process
        return csv.reader(
            lines, delimiter=delimiter, quotechar=quote, skipinitialspace=space, strict=strict
        )

    def records(self, lines: Iterable[str], *, strict: bool = True) -> Iterator[tuple[Row, str]]:
        """Yield the cells of every record, and its text as it stands in the file."""
        record: list[str] = []

        def copied() -> Iterator[str]:
            for line in lines:
                record.append(line)
                yield line

        for row in self.reader(copied(), strict=strict):
            yield row, "".join(record)
            record.clear()

    @property
    def between(self) -> str:
        """What stands between two cells."""
        return self.delimiter + " " * self.space_after

    def quoted(self, cells: Iterable[str]) -> list[str]:
        """Put cells in quotes where they need them, those inside doubled."""
        inner = re.escape(self.delimiter + self.quote + "\r\n")
        needed = re.compile(f"[{inner}]" + "|^ " * self.space_after)
        return [self.in_quotes(cell) if needed.search(cell) else cell for cell in cells]

    def in_quotes(self, cell: str) -> str:
        """Put a cell in quotes, those inside doubled."""
        return f"{self.quote}{cell.replace(self.quote, self.quote * 2)}{self.quote}"


class CellFormat(Frozen, extra="ignore"):
    """Holds how the cells of one column are written.

    missing: what stands for a missing value. numbers, times, booleans (true, false): by kind.
    """

    name: str
    kind: Literal["number", "boolean", "datetime", "text"] = "text"
    missing: str = ""
    numbers: NumberNotation = NumberNotation(low=1, high=17)
    times: MomentNotation = MomentNotation()
    booleans: tuple[str, str] = BOOLEANS[1]

    def read(self, cells: Sequence[str]) -> NDArray[Any]:
        """Read cells that are not missing as int64, float64, bool, datetime64 or text (N,).

        Raises ValueError for a day that does not exist, OverflowError beyond 64 bits.
        """
        if self.kind == "text":
            return np.array(cells, dtype=object)
        if self.kind == "boolean":
            return np.array([cell == self.booleans[0] for cell in cells])
        if self.kind == "number":
            return self.numbers.read(cells)
        moments = self.times.read(cells)
        dated = np.datetime_data(moments.dtype)[0] in ("D", "m")  # pandas has no such units
        return moments.astype("datetime64[s]") if dated else moments

    def write(self, series: pd.Series) -> list[str]:
        """Write the values of a series without missing ones, before quotes."""
        cells = read_cells(series)
        numbers: Any = cells.numbers if _is_plain(cells) else None
        if numbers is None:
            return list(map(str, series.tolist()))
        if cells.family == "boolean":
            return [self.booleans[not value] for value in numbers.tolist()]
        if cells.family == "datetime":
            return self.times.write(numbers.view(f"M8[{cells.unit}]"))
        if cells.family == "decimal":
            numbers = series.to_numpy(np.float64)  # nearer than Arrow's
        elif cells.family == "float" and arrow_type(series.dtype).bit_width < 64:
            numbers = numbers.astype(np.float32).astype("U32").astype(np.float64)  # the shortest
        return self.numbers.write(numbers)


class CsvFormat(Frozen, extra="ignore"):
    """Holds a file's dialect, its first line as it stands, and the format of each column."""

    dialect: Dialect = Dialect()
    header: str
    columns: tuple[CellFormat, ...]

    @classmethod
    def of(cls, columns: Sequence[CellFormat], dialect: Dialect) -> CsvFormat:
        """Make the format of a file that begins with the names of these columns."""
        header = dialect.between.join(dialect.quoted(column.name for column in columns))
        return cls(dialect=dialect, header=header, columns=tuple(columns))

    def first_line(self, *, mark: bool = False, escape_formulas: bool = False) -> bytes:
        """Return the header with its line end, and the byte-order mark if the file has one."""
        header, names = self.header, [column.name for column in self.columns]
        if escape_formulas and any(name.startswith(FORMULA_STARTS) for name in names):
            header = self.dialect.between.join(self.dialect.quoted(map(escaped, names)))
        added = (self.dialect.between + MARK) * mark
        text = header + added + self.dialect.terminator
        return codecs.BOM_UTF8 * self.dialect.bom + text.encode()

    @property
    def booleans(self) -> tuple[str, str]:
        """How the file writes true and false."""
        own = (column.booleans for column in self.columns if column.kind == "boolean")
        return next(own, BOOLEANS[1])


@dataclass(frozen=True)
class CsvSource:
    """Describes a CSV file that was read: its place, its format, and how to notice a change.

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
            raise DataError(f"{str(self.path)!r} was changed since it was read; begin again.")

    def check_labels(self, target: str | int) -> None:
        """Raise DataError where words like None, which mean missing in a CSV, stand for labels."""
        for column in self.format.columns:
            if column.name == str(target) and column.missing.strip():
                raise DataError(
                    f"column {column.name!r} holds {column.missing.strip()!r} as a label, which "
                    "means missing in a CSV; drop those rows, or rename that class in the file"
                )


def read_csv(path: str | Path) -> tuple[pd.DataFrame, CsvSource]:
    """Read a CSV (UTF-8, a header, up to 1 GiB) as a frame, with its dialect and formats.

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
    path = Path(path)
    facts, dialect, header, ended = _opened(path)
    records = _records(path, dialect)
    names = _names(path, next(records)[0])
    parts: list[list[pa.Array]] = [[] for _ in names]
    for chunk in _chunks(path, records, len(names), dialect.delimiter):
        for part, cells in zip(parts, chunk, strict=True):
            part.append(pa.array(cells, pa.large_string()))
    if not parts[0]:
        raise DataError(f"{str(path)!r} holds a header and no row; expected a line for each row.")
    columns = []
    for name, part in zip(names, parts, strict=True):
        columns.append(_Column.of(name, part, comma=dialect.delimiter != ","))
        part.clear()
    points = any(n.point == "." and not n.whole and n.high for c in columns if (n := c.numbers))
    formats, series, notes = zip(*(column.decoded(points) for column in columns), strict=True)
    csv_format = CsvFormat(dialect=dialect, header=header, columns=formats)
    notes = tuple(filter(None, notes))
    source = CsvSource(
        path, facts.st_size, facts.st_mtime_ns, ended, len(series[0]), csv_format, notes
    )
    source.check_unchanged()
    return pd.DataFrame(dict(zip(names, series, strict=True)), copy=False), source


@dataclass(frozen=True)
class CsvRows:
    """Writes a table as CSV: behind a copy of the original, or in a file of its own.

    mark: with a last column `synthetic`. escape_formulas: as in `format_rows`.
    """

    file: NewFile
    format: CsvFormat
    mark: bool = False
    escape_formulas: bool = False

    def begin(self, original: CsvSource | None = None) -> None:
        """Write the header, or the original's bytes, each line with one cell more if marked.

        Raises DataError where the original is no longer as it was read.
        """
        if original is None:
            how = {"mark": self.mark, "escape_formulas": self.escape_formulas}
            self.file.write(self.format.first_line(**how))
            return
        original.check_unchanged()
        for block in _marked(original) if self.mark else _blocks(original.path):
            self.file.write(block)
        original.check_unchanged()
        if not original.ended:
            self.file.write(original.format.dialect.terminator.encode())

    def add(self, frame: pd.DataFrame) -> None:
        """Write new rows, with every column of the format."""
        how = {"mark": self.mark, "escape_formulas": self.escape_formulas}
        self.file.write(format_rows(frame, self.format, **how))

    def end(self) -> None:
        """Do nothing: a CSV has no end of its own."""


def format_rows(
    frame: pd.DataFrame,
    csv_format: CsvFormat,
    *,
    mark: bool = False,
    escape_formulas: bool = False,
) -> bytes:
    """Write the rows of a frame as lines of the file; its columns go by the text of their names.

    mark: with a last column `synthetic`, true in every row. escape_formulas: put `'` before a text
    that a spreadsheet would compute.

    >>> csv_format = CsvFormat.of([CellFormat(name="a"), CellFormat(name="b")], Dialect())
    >>> format_rows(pd.DataFrame({"b": ["y", None], "a": ["x,1", "z"]}), csv_format)
    b'"x,1",y\\nz,\\n'
    """
    if not len(frame):
        return b""
    own = {str(name): name for name in frame.columns}
    cells = []
    for column in csv_format.columns:
        series = frame[own[column.name]]
        codes, distinct = pd.factorize(series)  # -1 where missing
        written = column.write(pd.Series(distinct, dtype=series.dtype))
        if escape_formulas and column.kind == "text":
            written = list(map(escaped, written))
        written = csv_format.dialect.quoted([*written, column.missing])
        cells.append(list(map(written.__getitem__, codes.tolist())))
    if mark:
        cells.append([csv_format.booleans[0]] * len(frame))
    lines = map(csv_format.dialect.between.join, zip(*cells, strict=True))
    end = csv_format.dialect.terminator
    return (end.join(lines) + end).encode("utf-8", "surrogatepass")


def plain_format(frame: pd.DataFrame, delimiter: Delimiter = ",") -> CsvFormat:
    """Make the usual format for a frame that comes from no CSV: quotes where needed, ISO times."""
    columns = [_plain_cell(str(name), frame[name]) for name in frame.columns]
    return CsvFormat.of(columns, Dialect(delimiter=delimiter))


def sniff(text: str) -> tuple[Dialect, str]:
    """Find the dialect of the first lines of a file, and the header as it stands there.

    text: the start of the file without a byte-order mark, ending with a whole line if it can.
    A delimiter is right if the lines have as many cells as the header; of several such, the one
    that leaves the most numbers, then the most columns. Quotes are `'` only where some column is
    quoted so from top to bottom and nothing is in double quotes.

    >>> sniff("size;weight\\n1,5;2\\n2,5;3\\n")[0].delimiter
    ';'
    """
    dialect, records = _most_likely(text, '"')
    if "'" in text and not any(any(_in_quotes(dialect, *record)) for record in records):
        other, others = _most_likely(text, "'")
        quoted = [_in_quotes(other, *one) for one in others[1:] if len(one[0]) == len(others[0][0])]
        if any(map(all, zip(*quoted, strict=True))):
            dialect, records = other, others
    header = records[0][1] if records else ""
    end = next((end for end in _LINE_ENDS if header.endswith(end)), "")
    return dialect.model_copy(update={"terminator": end or "\n"}), header.removesuffix(end)


def _most_likely(text: str, quote: Quote) -> tuple[Dialect, list[tuple[Row, str]]]:
    """Return the likeliest dialect with these quotes, and the first records as it has them."""
    known: tuple[Delimiter, ...] = get_args(Delimiter)
    dialects = [Dialect(delimiter=delimiter, quote=quote) for delimiter in known]
    dialect = max(dialects, key=lambda one: _merit(one.delimiter, _first_records(text, one)))
    spaced = dialect.model_copy(update={"space_after": True})
    records = _first_records(text, spaced)
    apart = dialect.model_copy(update={"delimiter": _APART})
    again = _first_records(text.replace(spaced.between, _APART), apart)
    widths = [len(row) for row, _ in records]
    if max(widths, default=0) > 1 and widths == [len(row) for row, _ in again]:
        return spaced, records
    return dialect, _first_records(text, dialect)


def _first_records(text: str, dialect: Dialect) -> list[tuple[Row, str]]:
    """Read the first records that are rows; none where an apostrophe cannot be a quote."""
    records = dialect.records(io.StringIO(text, newline=""), strict=dialect.quote == "'")
    try:
        return list(islice(((row, text) for row, text in records if row), LINES_LOOKED_AT + 1))
    except csv.Error:
        return []


def _in_quotes(dialect: Dialect, row: Row, text: str) -> list[bool]:
    """Return whether each cell of a record is in quotes there."""
    return [dialect.in_quotes(cell) in text for cell in row]


def _merit(delimiter: str, records: list[tuple[Row, str]]) -> tuple[bool, float, int]:
    """Score how well a delimiter explains the lines, to be compared."""
    rows = [row for row, _ in records]
    width = len(rows[0]) if rows else 0
    if width < 2:
        return False, 0.0, 0
    same = [row for row in rows if len(row) == width]
    cells = [cell for row in same[1:] for cell in row]
    typed = sum(bool(_TYPED.fullmatch(cell)) for cell in cells) / max(len(cells), 1)
    if delimiter == "," and typed:
        typed -= 1e-9  # between equals, a comma may be a decimal one
    return len(same) >= _CONSISTENT * len(rows), round(typed, 6), width


@dataclass
class _Column:
    """Holds a column as text. codes: of each cell among `known`, -1 where it is missing.

    known: the distinct cells that are not missing. missing: the word for missing that is used most.
    shapes: those of `known`, or None of a column that is text whatever it holds.
    """

    name: str
    codes: NDArray[np.int32]
    known: pa.Array
    missing: str
    shapes: set[str] | None
    numbers: NumberNotation | None

    @classmethod
    def of(cls, name: str, parts: list[pa.Array], *, comma: bool) -> _Column:
        """Take a column apart. comma: whether `1,5` may be a number."""
        coded = pa.chunked_array(parts).dictionary_encode().combine_chunks()
        distinct, indices = coded.dictionary, np.asarray(coded.indices)
        gaps = np.array([c.strip() in MISSING for part in _portions(distinct) for c in part])
        most = (np.bincount(indices) * gaps).argmax()
        missing = distinct[int(most)].as_py() if gaps.any() else ""
        known = distinct.filter(pa.array(~gaps))
        codes = np.where(gaps, -1, np.cumsum(~gaps) - 1).astype(np.int32)[indices]
        shapes: set[str] = set()
        for part in _portions(known):
            shapes |= shapes_of(part)
            if len(shapes) > MOST_SHAPES:
                return cls(name, codes, known, missing, None, None)
        coded_zeros = any(map(starts_with_zero, _portions(known)))
        numbers = None if coded_zeros else NumberNotation.learn(shapes, comma=comma)
        return cls(name, codes, known, missing, shapes, numbers)

    def decoded(self, points: bool) -> tuple[CellFormat, pd.Series, str]:
        """Return the format, the cells, and a note or "". points: others have decimal points.

        `1,234` in a file whose other numbers have points is a text, and a note says so.
        """
        text = CellFormat(name=self.name, missing=self.missing)
        thousands = (
            self.numbers and self.numbers.point == "," and looks_like_thousands(self.shapes or ())
        )
        if points and thousands:
            note = f"column {self.name!r}: 1,234 is taken as text; write 1234 for a number"
            return text, self._series(text), note
        readable = []
        for candidate in self._candidates(text):
            with contextlib.suppress(ValueError, OverflowError):  # no such day; beyond 64 bits
                readable.append((candidate, self._series(candidate), ""))
        if len(readable) < 2:
            return readable[0] if readable else (text, self._series(text), "")
        first = {"mdy": "month", "dmy": "day"}[readable[0][0].times.order]
        note = f"column {self.name!r}: its dates are read with the {first} first, both would fit"
        return *readable[0][:2], note

    def _candidates(self, text: CellFormat) -> list[CellFormat]:
        """List what the column may be; two only for dates with the month or the day first."""
        if self.shapes is None:
            return []
        if self.numbers is not None or not len(self.known):
            numbers = self.numbers or text.numbers
            return [text.model_copy(update={"kind": "number", "numbers": numbers})]
        for pair in BOOLEANS:
            if self.shapes <= set(pair):
                return [text.model_copy(update={"kind": "boolean", "booleans": pair})]
        times = (one.in_zone_of(self.known[0].as_py()) for one in MomentNotation.learn(self.shapes))
        return [text.model_copy(update={"kind": "datetime", "times": one}) for one in times]

    def _series(self, cell_format: CellFormat) -> pd.Series:
        """Decode as float64, int64 (Int64), bool (boolean), datetime64 or object, by kind."""
        read = [cell_format.read(part) for part in _portions(self.known)]
        values = np.concatenate(read) if read else np.array([np.nan])
        cells, gaps = values[self.codes], self.codes < 0
        kind = values.dtype.kind
        if kind == "M":
            cells[gaps] = np.datetime64("NaT")
            series = pd.Series(cells)
            return series.dt.tz_localize("UTC") if cell_format.times.zone else series
        if kind == "b" and gaps.any():
            return pd.Series(pd.arrays.BooleanArray(cells, gaps))
        if kind == "i" and gaps.any() and np.abs(values).max() >= _EXACT:
            return pd.Series(pd.arrays.IntegerArray(cells, gaps))
        if gaps.any():
            cells = cells.astype(np.float64) if kind == "i" else cells
            cells[gaps] = None if kind == "O" else np.nan
        return pd.Series(cells, dtype=cells.dtype)


def _portions(cells: pa.Array) -> Iterator[list[str]]:
    """Yield texts in parts that take little memory at work."""
    for start in range(0, len(cells), CELLS_AT_ONCE):
        yield cells.slice(start, CELLS_AT_ONCE).to_pylist()


def _opened(path: Path) -> tuple[os.stat_result, Dialect, str, bool]:
    """Return a file's (facts, dialect, header, whether its last line has an end)."""
    with _read_errors(path), regular_file(path, MOST_BYTES) as file:
        facts = os.fstat(file.fileno())
        start = file.read(_BLOCK_BYTES)
        file.seek(max(facts.st_size - 1, 0))
        ended = file.read() in (b"\n", b"\r")
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise DataError(f"{str(path)!r} is UTF-16 text; save the CSV as UTF-8.")
    text = start.decode("utf-8-sig", "replace")
    if len(start) == _BLOCK_BYTES:
        text = text[: max(text.rfind("\n"), text.rfind("\r")) + 1] or text
    if not text.strip("\r\n"):
        raise DataError(f"{str(path)!r} is empty; expected a line of column names, then the rows.")
    dialect, header = sniff(text)
    bom = start.startswith(codecs.BOM_UTF8)
    return facts, dialect.model_copy(update={"bom": bom}), header, ended


def _names(path: Path, header: Row) -> list[str]:
    """Check the column names; an empty one is called as pandas calls it."""
    check_width(len(header), repr(str(path)))
    names = [name.strip() or f"Unnamed: {i}" for i, name in enumerate(header)]
    for name, n in Counter(names).items():
        if n > 1:
            raise DataError(
                f"{str(path)!r}, line 1: {n} columns are called {name[:60]!r}. Every column needs "
                "a name of its own in the first line; rename one, or add the line if there is none."
            )
    return names


def _chunks(
    path: Path, records: Iterator[tuple[Row, int]], width: int, delimiter: str
) -> Iterator[list[tuple[str, ...]]]:
    """Yield the columns of so many rows at once, each as (N,) texts."""
    while chunk := list(islice(records, max(CELLS_AT_ONCE // width, 1))):
        for row, line in chunk:
            if len(row) != width:
                n = len(row)
                raise DataError(
                    f"{str(path)!r}, line {line}: it has {n} cell{'s' * (n != 1)}, the first line "
                    f"has {width}. Put a cell that holds {delimiter!r} in quotes, or "
                    "complete the line."
                )
        yield list(zip(*(row for row, _ in chunk), strict=True))


def _records(path: Path, dialect: Dialect) -> Iterator[tuple[Row, int]]:
    """Yield (cells, number of the last line) of every record, the header first."""
    reader = dialect.reader(_lines(path))
    try:
        for row in reader:
            if row:
                yield row, reader.line_num
    except csv.Error as error:
        reason = str(error)
        if "end of data" in reason:
            reason = "a quote opened before is not closed; close it, or double a quote in text"
        elif "expected after" in reason:
            reason = "text follows a closing quote; a quote inside quotes is written twice"
        raise DataError(f"{str(path)!r}, line {reader.line_num}: {reason}.") from None


def _lines(path: Path) -> Iterator[str]:
    with _read_errors(path), path.open(encoding="utf-8-sig", newline="") as file:
        for line in file:
            if "\0" in line:
                raise _not_text(path)
            yield line


def _marked(source: CsvSource) -> Iterator[bytes]:
    """Yield the original with one cell more a line; empty lines, which are no rows, stay."""
    cell = source.format.dialect.between + source.format.booleans[1]
    yield source.format.first_line(mark=True)
    block: list[str] = []
    header = True
    for row, record in source.format.dialect.records(_lines(source.path)):
        if header and row:
            header = False
            continue
        end = next((end for end in _LINE_ENDS if record.endswith(end)), "")
        block.append(f"{record.removesuffix(end)}{cell}{end}" if row else record)
        if len(block) >= ROWS_AT_ONCE:
            yield "".join(block).encode()
            block.clear()
    yield "".join(block).encode()


def _blocks(path: Path) -> Iterator[bytes]:
    with _read_errors(path), path.open("rb") as file:
        yield from iter(lambda: file.read(_BLOCK_BYTES), b"")


@contextlib.contextmanager
def _read_errors(path: Path) -> Iterator[None]:
    """Turn what goes wrong in reading a file into a DataError."""
    try:
        yield
    except UnicodeDecodeError:
        raise _not_text(path) from None
    except OSError as error:
        more = ". Save the table as Parquet, or leave rows out." * (error.errno == errno.EFBIG)
        raise DataError(f"{str(path)!r} cannot be read: {error.strerror}{more}") from None


def _not_text(path: Path) -> DataError:
    """Return the error for the first line that is not UTF-8, or holds a NUL."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if b"\0" in line:
                return DataError(
                    f"{str(path)!r}, line {number}: it holds a NUL byte, which no text does. Save "
                    "the CSV as UTF-8; it may be UTF-16, or damaged."
                )
            if line.decode("utf-8", "ignore").encode() != line:
                break
    return DataError(
        f"{str(path)!r}, line {number}: it is not UTF-8 text. Save the CSV as UTF-8, for example "
        "with: iconv -f WINDOWS-1252 -t UTF-8"
    )


def _plain_cell(name: str, series: pd.Series) -> CellFormat:
    cells = read_cells(series)
    if not _is_plain(cells):
        return CellFormat(name=name)
    if cells.family == "boolean":
        return CellFormat(name=name, kind="boolean")
    if cells.family != "datetime":
        numbers = NumberNotation(low=1, high=17, whole=cells.family == "integer")
        return CellFormat(name=name, kind="number", numbers=numbers)
    moments = cells.known.view(f"M8[{cells.unit}]")
    if (moments == moments.astype("M8[D]")).all() and not cells.zone:
        return CellFormat(name=name, kind="datetime")
    whole = (moments == moments.astype("M8[s]")).all()
    digits = "" if whole else f".%{ {'ms': 3, 'us': 6, 'ns': 9}[str(cells.unit)] }f"
    pattern = f"%Y-%m-%d %H:%M:%S{digits}{'+00:00' if cells.zone else ''}"
    return CellFormat(name=name, kind="datetime", times=MomentNotation(pattern=pattern))


def _is_plain(cells: Cells) -> bool:
    """Return whether cells are numbers, booleans or moments of a dtype, not Python's objects."""
    known = cells.holds_numbers and cells.python is None and cells.family != "duration"
    return known and (cells.family != "datetime" or cells.unit is not None)
