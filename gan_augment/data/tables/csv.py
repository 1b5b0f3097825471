"""CSV files: dialect, rows as a typed frame, and new rows in one plain notation.

The original's bytes are never rewritten. New cells use the decimal mark of the file, and the
digits, the date pattern and the word for missing values of their column.
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
from itertools import islice, product, tee
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gan_augment.data.tables import check_width
from gan_augment.data.tables.columns import read_cells
from gan_augment.errors import DataError
from gan_augment.input_files import regular_file
from gan_augment.settings import Frozen
from gan_augment.storage.files import NewFile

Delimiter = Literal[",", ";", "\t", "|"]
Row = list[str]

MARK = "synthetic"
MISSING = frozenset(["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?"])
BOOLEANS = (("True", "False"), ("true", "false"), ("TRUE", "FALSE"))
PATTERNS = tuple(
    date + clock
    for date, clock in product(
        ("%Y-%m-%d", "%Y/%m/%d", "%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%d-%m-%Y"),
        ("", " %H:%M", " %H:%M:%S", "T%H:%M:%S", "T%H:%M:%SZ", " %H:%M:%S.%f"),
    )
)
"""Dates and times that are read, the likelier first where two fit: `/` has the month first."""
MOST_BYTES = 1 << 30
CELLS_AT_ONCE = 1_000_000
ROWS_AT_ONCE = 16_384
LINES_SNIFFED = 1000
_CONSISTENT = 0.9  # share of lines with as many cells as the header
_BLOCK_BYTES = 1 << 20
_LINE_ENDS = ("\r\n", "\n", "\r")
_SAMPLE = 100  # distinct cells that rule out most patterns
_WHOLE = r"^ *[+-]?\d+ *$"
_REAL = {
    mark: rf"^ *[+-]?((\d+{mark}?\d*|{mark}\d+)([eE][+-]?\d+)?|(?i:inf|infinity)) *$"
    for mark in (r"\.", ",")
}
_ZERO_FIRST = r"^ *[+-]?0\d"
_DATED = re.compile(r"\d{1,4}[-/.]\d")
_TYPED = re.compile(r"\s*[+-]?\d*[.,]?\d*(?:[eE][+-]?\d+)?\s*")


class Dialect(Frozen, extra="ignore"):
    """How a file separates and ends its cells; text that holds a delimiter is in double quotes.

    decimal: the decimal mark. space_after: a space follows every delimiter. bom: the file begins
    with a byte-order mark.
    """

    delimiter: Delimiter = ","
    terminator: Literal["\n", "\r\n", "\r"] = "\n"
    decimal: Literal[".", ","] = "."
    space_after: bool = False
    bom: bool = False

    def records(self, lines: Iterable[str], *, strict: bool = True) -> Iterator[tuple[Row, str]]:
        """Yield the cells of every record, and its text in the file. Empty lines have no cell."""
        csv.field_size_limit(max(csv.field_size_limit(), MOST_BYTES))  # of the whole process
        kept, parsed = tee(lines)
        reader = csv.reader(
            parsed, delimiter=self.delimiter, skipinitialspace=self.space_after, strict=strict
        )
        done = 0
        for row in reader:
            yield row, "".join(islice(kept, reader.line_num - done))
            done = reader.line_num

    @property
    def between(self) -> str:
        """Return the text between two cells."""
        return self.delimiter + " " * self.space_after

    def quoted(self, cells: Iterable[str]) -> list[str]:
        """Put cells in quotes where they need them; double the quotes in cells."""
        needed = re.compile(f'[{re.escape(self.delimiter)}"\r\n]' + "|^ " * self.space_after)
        return [
            '"{}"'.format(cell.replace('"', '""')) if needed.search(cell) else cell
            for cell in cells
        ]


class CellFormat(Frozen, extra="ignore"):
    """How the cells of one column are written.

    missing: the word for a missing value. digits: after the decimal mark, or None for as many as a
    number needs. pattern: of strptime. booleans: (true, false).
    """

    name: str
    kind: Literal["number", "boolean", "datetime", "text"] = "text"
    missing: str = ""
    digits: int | None = None
    pattern: str = PATTERNS[0]
    booleans: tuple[str, str] | None = None

    def write(self, series: pd.Series, decimal: str) -> list[str]:
        """Write values that are not missing, without quotes."""
        cells = read_cells(series)
        if cells.family == "boolean":
            words = self.booleans or BOOLEANS[0]
            return [words[not value] for value in cells.values.tolist()]
        if cells.family == "datetime":
            return list(pd.Series(cells.values).dt.strftime(self.pattern))
        if cells.family == "integer":
            return list(map(str, cells.values.tolist()))
        if cells.family == "levels":
            return list(map(str, series.tolist()))
        values = (cells.values + 0.0).tolist()  # no -0
        if self.digits is not None:
            texts = [f"{value:.{self.digits}f}" for value in values]
        else:
            texts = list(map(str, values))
            if series.dtype == np.float32:  # has fewer digits
                texts = list(map(str, series.to_numpy() + np.float32(0)))
            texts = [
                np.format_float_positional(float(text), trim="-") if "e" in text else text
                for text in texts
            ]
            texts = [text.removesuffix(".0") for text in texts]
        return texts if decimal == "." else [text.replace(".", decimal) for text in texts]


class CsvFormat(Frozen, extra="ignore"):
    """A file's dialect, its first line, and the format of each column."""

    dialect: Dialect = Dialect()
    header: str
    columns: tuple[CellFormat, ...]

    @classmethod
    def of(cls, columns: Sequence[CellFormat], dialect: Dialect) -> CsvFormat:
        """Make the format of a file that begins with the names of these columns."""
        header = dialect.between.join(dialect.quoted(column.name for column in columns))
        return cls(dialect=dialect, header=header, columns=tuple(columns))

    def first_line(self, *, mark: bool = False) -> bytes:
        """Return the header with its line end, and the byte-order mark if the file has one."""
        added = (self.dialect.between + MARK) * mark
        text = self.header + added + self.dialect.terminator
        return codecs.BOM_UTF8 * self.dialect.bom + text.encode()

    @property
    def booleans(self) -> tuple[str, str]:
        """Return how the file writes true and false."""
        return next((one.booleans for one in self.columns if one.booleans), BOOLEANS[0])


@dataclass(frozen=True)
class CsvSource:
    """A CSV file that was read: its place, its format, and how to notice a change.

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
        """Raise DataError if the file changed since it was read."""
        try:
            now = self.path.stat()
        except OSError as error:
            raise DataError(f"{str(self.path)!r} can no longer be read: {error.strerror}") from None
        if (now.st_size, now.st_mtime_ns) != (self.size, self.modified_ns):
            raise DataError(f"{str(self.path)!r} was changed since it was read; begin again.")

    def check_labels(self, target: str | int) -> None:
        """Raise DataError where a word for missing values, such as None, is a label."""
        for column in self.format.columns:
            if column.name == str(target) and column.missing.strip():
                raise DataError(
                    f"column {column.name!r} holds {column.missing.strip()!r} as a label, which "
                    "means missing in a CSV; drop those rows, or rename that class in the file"
                )


def read_csv(path: str | Path) -> tuple[pd.DataFrame, CsvSource]:
    """Read a CSV (UTF-8, a header, up to 1 GiB) as a frame, with its dialect and formats.

    A column is numbers, booleans or times where all its cells are, else text (object, None where
    missing). Whole numbers are int64, or Int64 with missing cells; others float64 with NaN. Cells
    with leading zeros (`007`) and whole numbers beyond 64 bits are text.
    Raises DataError, with the line and the cure.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "t.csv").write_text("size;when\\n1,5;2024-05-01\\n;2024-05-02\\n")
    ...     frame, source = read_csv(Path(folder) / "t.csv")
    >>> [str(dtype) for dtype in frame.dtypes], source.format.dialect.decimal
    (['float64', 'datetime64[s]'], ',')
    """
    path = Path(path)
    facts, dialect, header, ended = _opened(path)
    records = (row for row, _ in _records(path, dialect) if row)
    names = _names(path, next(records))
    parts: list[list[pa.Array]] = [[] for _ in names]
    while chunk := list(islice(records, max(CELLS_AT_ONCE // len(names), 1))):
        for part, cells in zip(parts, zip(*chunk, strict=True), strict=True):
            part.append(pa.array(cells, pa.large_string()))
    if not parts[0]:
        raise DataError(f"{str(path)!r} holds a header and no row; expected a line for each row.")
    columns = []
    for name, part in zip(names, parts, strict=True):
        columns.append(_Text.of(name, part))
        part.clear()
    commas = any(column.matches(_REAL[","]) and not column.whole for column in columns)
    points = any(column.matches(_REAL[r"\."]) and not column.whole for column in columns)
    if commas and not points and dialect.delimiter != ",":
        dialect = dialect.model_copy(update={"decimal": ","})
    formats, series, notes = zip(*(one.decoded(dialect.decimal) for one in columns), strict=True)
    source = CsvSource(
        path,
        facts.st_size,
        facts.st_mtime_ns,
        ended,
        len(series[0]),
        CsvFormat(dialect=dialect, header=header, columns=formats),
        tuple(filter(None, notes)),
    )
    source.check_unchanged()
    return pd.DataFrame(dict(zip(names, series, strict=True)), copy=False), source


@dataclass(frozen=True)
class CsvRows:
    """Writes a table as CSV: after a copy of the original, or in a file of its own.

    mark: add a last column `synthetic`.
    """

    file: NewFile
    format: CsvFormat
    mark: bool = False

    def begin(self, original: CsvSource | None = None) -> None:
        """Write the header, or the original's bytes, with one more cell in each line if marked.

        Raises DataError where the original changed.
        """
        if original is None:
            self.file.write(self.format.first_line(mark=self.mark))
            return
        original.check_unchanged()
        for block in _marked(original) if self.mark else _blocks(original.path):
            self.file.write(block)
        original.check_unchanged()
        if not original.ended:
            self.file.write(original.format.dialect.terminator.encode())

    def add(self, frame: pd.DataFrame) -> None:
        """Write new rows, with every column of the format."""
        self.file.write(format_rows(frame, self.format, mark=self.mark))

    def end(self) -> None:
        """Do nothing: a CSV needs no end."""


def format_rows(frame: pd.DataFrame, csv_format: CsvFormat, *, mark: bool = False) -> bytes:
    """Write the rows of a frame as lines of the file; columns match by the text of their names.

    mark: add a last column `synthetic`, true in every row.

    >>> csv_format = CsvFormat.of([CellFormat(name="a"), CellFormat(name="b")], Dialect())
    >>> format_rows(pd.DataFrame({"b": ["y", None], "a": ["x,1", "z"]}), csv_format)
    b'"x,1",y\\nz,\\n'
    """
    if not len(frame):
        return b""
    own, dialect = {str(name): name for name in frame.columns}, csv_format.dialect
    cells = []
    for column in csv_format.columns:
        series = frame[own[column.name]]
        codes, distinct = pd.factorize(series)  # -1 where missing
        written = column.write(pd.Series(distinct, dtype=series.dtype), dialect.decimal)
        written = dialect.quoted([*written, column.missing])
        cells.append(list(map(written.__getitem__, codes.tolist())))
    if mark:
        cells.append([csv_format.booleans[0]] * len(frame))
    lines = map(dialect.between.join, zip(*cells, strict=True))
    return (dialect.terminator.join(lines) + dialect.terminator).encode()


def plain_format(frame: pd.DataFrame, delimiter: Delimiter = ",") -> CsvFormat:
    """Return the default format of a frame that was not read from a CSV."""
    columns = []
    for name in frame.columns:
        cells = read_cells(frame[name])
        facts: dict[str, Any] = {"name": str(name)}
        if cells.family in ("integer", "float"):
            facts |= {"kind": "number"}
        elif cells.family in ("boolean", "datetime"):
            facts |= {"kind": cells.family}
        if cells.family == "datetime":
            known = cells.known
            fits = (unit for unit in ("D", "s") if (known.astype(f"M8[{unit}]") == known).all())
            facts["pattern"] = {"D": "%Y-%m-%d", "s": "%Y-%m-%d %H:%M:%S"}.get(
                next(fits, ""), "%Y-%m-%d %H:%M:%S.%f"
            )
        columns.append(CellFormat(**facts))
    return CsvFormat.of(columns, Dialect(delimiter=delimiter))


def sniff(text: str) -> tuple[Dialect, str]:
    """Return the dialect of the first lines of a file, and its header.

    text: the start of the file without a byte-order mark, if possible up to a line end. The right
    delimiter gives the lines as many cells as the header; among several, the one that leaves the
    most numbers wins, then the one with the most columns.

    >>> sniff("size;weight\\n1,5;2\\n2,5;3\\n")[0].delimiter
    ';'
    """

    def first(dialect: Dialect) -> list[tuple[Row, str]]:
        records = dialect.records(io.StringIO(text, newline=""), strict=False)
        return list(islice((record for record in records if record[0]), LINES_SNIFFED + 1))

    known: tuple[Delimiter, ...] = get_args(Delimiter)
    dialects = [Dialect(delimiter=delimiter) for delimiter in known]
    dialect = max(dialects, key=lambda one: _merit(one.delimiter, [row for row, _ in first(one)]))
    records = first(dialect)
    if all(row[1:] and all(cell[:1] == " " for cell in row[1:]) for row, _ in records):
        dialect = dialect.model_copy(update={"space_after": True})
    header = records[0][1] if records else ""
    end = next((end for end in _LINE_ENDS if header.endswith(end)), "")
    return dialect.model_copy(update={"terminator": end or "\n"}), header.removesuffix(end)


def _merit(delimiter: str, rows: list[Row]) -> tuple[bool, float, int]:
    """Score how well a delimiter explains the lines, for comparison."""
    width = len(rows[0]) if rows else 0
    if width < 2:
        return False, 0.0, 0
    same = [row for row in rows if len(row) == width]
    cells = [cell for row in same[1:] for cell in row]
    typed = sum(bool(_TYPED.fullmatch(cell)) for cell in cells) / max(len(cells), 1)
    if delimiter == "," and typed:
        typed -= 1e-9  # among equals, a comma may be a decimal mark
    return len(same) >= _CONSISTENT * len(rows), round(typed, 6), width


@dataclass
class _Text:
    """A column as text. codes: (N,) into `known`, -1 where missing.

    known: the distinct cells that are not missing. missing: the most frequent word for missing.
    """

    name: str
    codes: NDArray[np.int32]
    known: pa.Array
    missing: str

    @classmethod
    def of(cls, name: str, parts: list[pa.Array]) -> _Text:
        coded = pa.chunked_array(parts).dictionary_encode().combine_chunks()
        distinct, indices = coded.dictionary, np.asarray(coded.indices)
        words = pa.array(MISSING, pa.large_string())
        gaps = np.asarray(pc.is_in(pc.utf8_trim_whitespace(distinct), words))
        most = (np.bincount(indices) * gaps).argmax()
        missing = distinct[int(most)].as_py() if gaps.any() else ""
        codes = np.where(gaps, -1, np.cumsum(~gaps) - 1).astype(np.int32)[indices]
        return cls(name, codes, distinct.filter(pa.array(~gaps)), missing)

    def matches(self, pattern: str) -> bool:
        """Return whether every known cell matches a regular expression."""
        return bool(pc.all(pc.match_substring_regex(self.known, pattern), min_count=0).as_py())

    @property
    def whole(self) -> bool:
        """Return whether every known cell is a whole number."""
        return self.matches(_WHOLE)

    def decoded(self, decimal: str) -> tuple[CellFormat, pd.Series, str]:
        """Return the format, the cells, and a note or ""."""
        text = CellFormat(name=self.name, missing=self.missing)
        codes = bool(pc.any(pc.match_substring_regex(self.known, _ZERO_FIRST)).as_py())
        if not codes and self.matches(_REAL["," if decimal == "," else r"\."]):
            with contextlib.suppress(OverflowError):  # beyond 64 bits
                return self._numbers(text, decimal)
        few = self.known[:3].to_pylist()
        for pair in BOOLEANS:
            if set(few) <= set(pair):
                truth = np.array([cell == pair[0] for cell in few])
                update = {"kind": "boolean", "booleans": pair}
                return text.model_copy(update=update), self._series(truth), ""
        fits = [pattern for pattern in PATTERNS if self._moments(pattern, _SAMPLE) is not None]
        read = [(one, values) for one in fits if (values := self._moments(one)) is not None]
        if not read:
            return text, self._series(np.array(self.known.to_pylist(), dtype=object)), ""
        pattern, moments = read[0]
        series = self._series(moments)
        if pattern.endswith("Z"):
            series = series.dt.tz_localize("UTC")
        note = ""
        if len(read) > 1:  # a day and a month change places
            part = "month" if pattern.startswith("%m") else "day"
            note = f"column {self.name!r}: its dates are read with the {part} first, both would fit"
        return text.model_copy(update={"kind": "datetime", "pattern": pattern}), series, note

    def _numbers(self, text: CellFormat, decimal: str) -> tuple[CellFormat, pd.Series, str]:
        """Decode numbers. Raises OverflowError for whole ones beyond 64 bits."""
        cells = self.known.to_pylist()
        if self.whole and cells:
            series = self._series(np.fromiter(map(int, cells), np.int64, len(cells)))
            return text.model_copy(update={"kind": "number", "digits": 0}), series, ""
        cells = [cell.strip().replace(",", ".").lower() for cell in cells]
        numbers = self._series(np.fromiter(map(float, cells), np.float64, len(cells)))
        digits = {len(cell.partition(".")[2]) for cell in cells}
        plain = len(digits) == 1 and not any("e" in cell for cell in cells)
        update = {"kind": "number", "digits": digits.pop() if plain else None}
        return text.model_copy(update=update), numbers, ""

    def _moments(self, pattern: str, most: int | None = None) -> NDArray[Any] | None:
        """Return the moments of the first `most` known cells, or None where one does not fit."""
        cells = self.known[:most].to_pylist()
        if not cells or not _DATED.match(cells[0]):
            return None
        try:
            moments = pd.to_datetime(pd.Series(cells), format=pattern)
        except (ValueError, OverflowError):
            return None
        values: NDArray[Any] = moments.to_numpy()
        return values.astype("M8[us]" if pattern.endswith("%f") else "M8[s]")

    def _series(self, values: NDArray[Any]) -> pd.Series:
        """Return the values by code, with missing cells."""
        gaps, kind = self.codes < 0, values.dtype.kind
        if not gaps.any():
            return pd.Series(values[self.codes], dtype=values.dtype)
        gap = {"M": np.datetime64("NaT"), "O": None, "i": 0, "b": False, "f": np.nan}[kind]
        cells = np.append(values, np.array([gap], dtype=values.dtype))[self.codes]
        if kind == "b":
            return pd.Series(pd.arrays.BooleanArray(cells, gaps))
        if kind == "i":
            return pd.Series(pd.arrays.IntegerArray(cells, gaps))
        return pd.Series(cells, dtype=cells.dtype)


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
    """Check the column names; an empty one becomes "Unnamed: 3", as in pandas."""
    check_width(len(header), repr(str(path)))
    names = [name.strip() or f"Unnamed: {i}" for i, name in enumerate(header)]
    name, n = Counter(names).most_common(1)[0]
    if n > 1:
        raise DataError(
            f"{str(path)!r}: {n} columns are called {name[:60]!r}; the first line must hold a "
            "different name for every column"
        )
    return names


def _records(path: Path, dialect: Dialect) -> Iterator[tuple[Row, str]]:
    """Yield the cells and the text of every record, the header first.

    Raises DataError for ragged lines, and for files that are not CSV in UTF-8.
    """
    width = 0
    with _read_errors(path), path.open(encoding="utf-8-sig", newline="") as file:
        for row, text in dialect.records(file):
            width = width or len(row)
            if row and len(row) != width:
                raise DataError(
                    f"{str(path)!r}: a line has {len(row)} cells, the first line has {width}: "
                    f"{text[:60]!r}. Complete it, or quote cells that hold {dialect.delimiter!r}."
                )
            if "\0" in text:
                raise DataError(f"{str(path)!r} holds NUL bytes; save the CSV as UTF-8")
            yield row, text


def _marked(source: CsvSource) -> Iterator[bytes]:
    """Yield the original with one more cell in each row; empty lines stay."""
    cell = source.format.dialect.between + source.format.booleans[1]
    yield source.format.first_line(mark=True)
    records = _records(source.path, source.format.dialect)
    next(row for row, _ in records if row)  # the header
    while block := list(islice(records, ROWS_AT_ONCE)):
        ends = (text[len(text.rstrip("\r\n")) :] for _, text in block)
        marked = (
            f"{text.removesuffix(end)}{cell}{end}" if row else text
            for (row, text), end in zip(block, ends, strict=True)
        )
        yield "".join(marked).encode()


def _blocks(path: Path) -> Iterator[bytes]:
    """Yield the bytes of a file in blocks."""
    with _read_errors(path), path.open("rb") as file:
        yield from iter(lambda: file.read(_BLOCK_BYTES), b"")


@contextlib.contextmanager
def _read_errors(path: Path) -> Iterator[None]:
    """Turn the errors of reading a file into DataErrors."""
    try:
        yield
    except UnicodeDecodeError:
        raise DataError(
            f"{str(path)!r} is not UTF-8 text. Save the CSV as UTF-8, for example with: iconv -f "
            "WINDOWS-1252 -t UTF-8"
        ) from None
    except csv.Error as error:
        raise DataError(
            f"{str(path)!r} has a quote that is not closed or not doubled: {error}"
        ) from None
    except OSError as error:
        more = ". Save the table as Parquet, or leave rows out." * (error.errno == errno.EFBIG)
        raise DataError(f"{str(path)!r} cannot be read: {error.strerror}{more}") from None
