"""CSV files: their dialect, their rows as a typed frame, and new rows behind the original's bytes.

A file is read once, column by column as text; `text.py` says what the text of a column means. New
rows are written in the file's dialect, with its point, decimals, dates and word for missing;
`.5`, `+3`, `1E5` and quotes that no cell needs are not imitated.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.tables.csv_dialect import Delimiter, Dialect, sniff
from gan_augment.data.tables.text import (
    MomentNotation,
    NumberNotation,
    looks_like_thousands,
    shapes_of,
    starts_with_zero,
)
from gan_augment.errors import DataError
from gan_augment.settings import Frozen
from gan_augment.storage.files import NewFile

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

MARK = "synthetic"
MISSING = frozenset(["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?"])
BOOLEANS = (("true", "false"), ("True", "False"), ("TRUE", "FALSE"))
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
MOST_BYTES = 1 << 30
CELLS_AT_ONCE = 1_000_000
ROWS_AT_ONCE = 16_384
MOST_SHAPES = 20_000  # a column of more is text
_BLOCK_BYTES = 1 << 20
_EXACT = 2**53  # whole numbers below it are exact as float64
_LINE_ENDS = ("\r\n", "\n", "\r")


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
        """Read cells that are not missing as int64, float64, bool or datetime64 (N,), by kind.

        Raises ValueError for a day that does not exist, OverflowError beyond 64 bits.
        """
        if self.kind == "boolean":
            return np.fromiter((cell == self.booleans[0] for cell in cells), bool, len(cells))
        if self.kind == "number":
            return self.numbers.read(cells)
        moments = self.times.read(cells)
        dated = np.datetime_data(moments.dtype)[0] in ("D", "m")  # pandas has no such units
        return moments.astype("datetime64[s]") if dated else moments

    def write(self, series: pd.Series) -> list[str]:
        """Write the values of a series without missing ones, before quotes."""
        import pandas as pd

        types = pd.api.types
        if types.is_bool_dtype(series.dtype):
            return [self.booleans[not value] for value in series.tolist()]
        if types.is_datetime64_any_dtype(series.dtype):
            return self.times.write(_utc(series))
        if types.is_numeric_dtype(series.dtype):
            return self.numbers.write(_numbers(series))
        return [value if isinstance(value, str) else str(value) for value in series.tolist()]


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

    def first_line(self, *, mark: bool = False) -> bytes:
        """Return the header with its line end, and the byte-order mark if the file has one."""
        added = (self.dialect.between + MARK) * mark
        text = self.header + added + self.dialect.terminator
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
            raise _changed(self.path)

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
    import pandas as pd

    path = Path(path)
    facts, start, ended = _opened(path)
    dialect, header = _sniffed(path, start)
    columns = [_Column(name) for name in _names(path, dialect)]
    rows = 0
    for chunk in _chunks(path, dialect, len(columns)):
        rows += len(chunk[0])
        for column, cells in zip(columns, chunk, strict=True):
            column.take(cells)
    if not rows:
        raise DataError(f"{str(path)!r} holds a header and no row; expected a line for each row.")
    numbers = [column.numbers(comma=dialect.delimiter != ",") for column in columns]
    points = any(n and n.point == "." and not n.whole and n.high for n in numbers)
    decoded = [
        column.decoded(number, points) for column, number in zip(columns, numbers, strict=True)
    ]
    formats = tuple(one.format for one in decoded)
    csv_format = CsvFormat(dialect=dialect, header=header, columns=formats)
    notes = tuple(one.note for one in decoded if one.note)
    source = CsvSource(path, facts.st_size, facts.st_mtime_ns, ended, rows, csv_format, notes)
    source.check_unchanged()
    return pd.DataFrame({one.format.name: one.series for one in decoded}, copy=False), source


class CsvRows:
    """Writes a table as CSV: behind a copy of the original, or in a file of its own.

    mark: with a last column `synthetic`. escape_formulas: as in `format_rows`.
    """

    def __init__(
        self,
        file: NewFile,
        csv_format: CsvFormat,
        *,
        mark: bool = False,
        escape_formulas: bool = False,
    ) -> None:
        self._file = file
        self._format = csv_format
        self._mark = mark
        self._escape = escape_formulas

    def begin(self) -> None:
        """Write the header of a file of new rows."""
        self._file.write(self._format.first_line(mark=self._mark))

    def copy(self, source: CsvSource) -> None:
        """Write the original's bytes, each line with one cell more if marked, and a last line end.

        Raises DataError where the file is no longer as it was read.
        """
        source.check_unchanged()
        for block in _marked(source) if self._mark else _blocks(source.path):
            self._file.write(block)
        source.check_unchanged()
        if not source.ended:
            self._file.write(source.format.dialect.terminator.encode())

    def add(self, frame: pd.DataFrame) -> None:
        """Write new rows, with every column of the format."""
        lines = format_rows(frame, self._format, mark=self._mark, escape_formulas=self._escape)
        self._file.write(lines)

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

    >>> import pandas as pd
    >>> csv_format = CsvFormat.of([CellFormat(name="a"), CellFormat(name="b")], Dialect())
    >>> format_rows(pd.DataFrame({"b": ["y", None], "a": ["x,1", "z"]}), csv_format)
    b'"x,1",y\\nz,\\n'
    """
    import pandas as pd

    if not len(frame):
        return b""
    own = {str(name): name for name in frame.columns}
    cells = []
    for column in csv_format.columns:
        series = frame[own[column.name]]
        codes, distinct = pd.factorize(series)  # -1 where missing
        written = column.write(pd.Series(distinct, dtype=series.dtype))
        if escape_formulas and column.kind == "text":
            written = [f"'{text}" if text.startswith(FORMULA_STARTS) else text for text in written]
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


class _Column:
    """Gathers the cells of a column as text, chunk by chunk, and decodes them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._parts: list[pa.Array] = []
        self._shapes: set[str] = set()
        self._missing: Counter[str] = Counter()
        self._zero_first = False

    def take(self, cells: Sequence[str]) -> None:
        """Take one more chunk of the column."""
        import pyarrow as pa

        self._parts.append(pa.array(cells, pa.large_string()))
        textual = len(self._shapes) > MOST_SHAPES
        distinct = set(cells) if textual else shapes_of(cells)
        missing = {cell for cell in distinct if cell.strip() in MISSING}
        self._missing.update({cell: cells.count(cell) for cell in missing})
        if not textual:
            self._shapes |= distinct - missing
            self._zero_first = self._zero_first or starts_with_zero(cells)

    def numbers(self, *, comma: bool) -> NumberNotation | None:
        """Learn how its numbers are written, if all are. comma: whether `1,5` may be one."""
        if self._zero_first or len(self._shapes) > MOST_SHAPES:
            return None
        return NumberNotation.learn(self._shapes, comma=comma)

    def decoded(self, numbers: NumberNotation | None, points: bool) -> _Decoded:
        """Decode the column. numbers: of `numbers`; points: other columns have decimal points.

        `1,234` in a file whose other numbers have points is a text, and a note says so.
        """
        text = CellFormat(
            name=self.name, missing=next(iter(self._missing.most_common(1)), ("",))[0]
        )
        if not self._shapes:
            number = text.model_copy(update={"kind": "number"})
            return _Decoded(number, self._series(number))
        if points and numbers and numbers.point == "," and looks_like_thousands(self._shapes):
            note = f"column {self.name!r}: 1,234 is taken as text; write 1234 for a number"
            return _Decoded(text, self._series(text), note)
        readable = []
        for candidate in self._candidates(text, numbers):
            with contextlib.suppress(ValueError, OverflowError):  # no such day; beyond 64 bits
                readable.append(_Decoded(candidate, self._series(candidate)))
        if not readable:
            return _Decoded(text, self._series(text))
        if len(readable) > 1:
            first = {"mdy": "month", "dmy": "day"}[readable[0].format.times.order]
            note = (
                f"column {self.name!r}: its dates are read with the {first} first, both would fit"
            )
            return replace(readable[0], note=note)
        return readable[0]

    def _candidates(self, text: CellFormat, numbers: NumberNotation | None) -> list[CellFormat]:
        """List what the column may be; two only for dates with the month or the day first."""
        if len(self._shapes) > MOST_SHAPES:
            return []
        if numbers is not None:
            return [text.model_copy(update={"kind": "number", "numbers": numbers})]
        for pair in BOOLEANS:
            if self._shapes <= set(pair):
                return [text.model_copy(update={"kind": "boolean", "booleans": pair})]
        times = (one.in_zone_of(self._first()) for one in MomentNotation.learn(self._shapes))
        return [text.model_copy(update={"kind": "datetime", "times": one}) for one in times]

    def _first(self) -> str:
        cells: Iterator[str] = (cell for part in self._parts for cell in part.to_pylist())
        return next(cell for cell in cells if cell not in self._missing)

    def _series(self, cell_format: CellFormat) -> pd.Series:
        """Decode as float64, int64 (Int64), bool (boolean), datetime64 or object, by kind."""
        import pandas as pd

        missing = self._missing
        if cell_format.kind == "text":
            once: dict[str, str | None] = dict.fromkeys(missing)  # equal texts are one object
            parts = (part.to_pylist() for part in self._parts)
            texts = [once.setdefault(cell, cell) for part in parts for cell in part]
            return pd.Series(texts, dtype=object)
        read, gaps = [], []
        for part in self._parts:
            cells = part.to_pylist()
            gaps.append(np.fromiter(map(missing.__contains__, cells), bool, len(cells)))
            read.append(cell_format.read([cell for cell in cells if cell not in missing]))
        return _spread(np.concatenate(read), np.concatenate(gaps), cell_format)


@dataclass(frozen=True)
class _Decoded:
    format: CellFormat
    series: pd.Series
    note: str = ""


def _spread(values: NDArray[Any], gaps: NDArray[np.bool_], cell_format: CellFormat) -> pd.Series:
    """Place the known values of a column between its gaps."""
    import pandas as pd

    kind = values.dtype.kind
    filling = {"f": np.nan, "M": np.datetime64("NaT"), "i": 0, "b": False}[kind]
    cells = np.full(len(gaps), filling, values.dtype)
    cells[~gaps] = values
    if kind == "M":
        series = pd.Series(cells)
        return series.dt.tz_localize("UTC") if cell_format.times.zone else series
    if kind == "f" or not gaps.any():
        return pd.Series(cells)
    if kind == "b":
        return pd.Series(pd.arrays.BooleanArray(cells, gaps))
    if np.abs(values).max() < _EXACT:
        return pd.Series(np.where(gaps, np.nan, cells))
    return pd.Series(pd.arrays.IntegerArray(cells, gaps))


def _opened(path: Path) -> tuple[os.stat_result, bytes, bool]:
    """Return a file's (facts, first bytes, whether its last line has an end)."""
    with _read_errors(path), path.open("rb") as file:
        facts = os.fstat(file.fileno())
        start = file.read(_BLOCK_BYTES)
        file.seek(max(facts.st_size - 1, 0))
        ended = file.read() in (b"\n", b"\r")
    if facts.st_size > MOST_BYTES:
        raise DataError(
            f"{str(path)!r} has {facts.st_size >> 20} MiB; {MOST_BYTES >> 20} MiB of CSV "
            "is the limit. Save the table as Parquet, or leave columns or rows out."
        )
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise DataError(f"{str(path)!r} is UTF-16 text; save the CSV as UTF-8.")
    return facts, start, ended


def _sniffed(path: Path, start: bytes) -> tuple[Dialect, str]:
    text = start.decode("utf-8-sig", "replace")
    if len(start) == _BLOCK_BYTES:
        text = text[: max(text.rfind("\n"), text.rfind("\r")) + 1] or text
    if not text.strip("\r\n"):
        raise DataError(f"{str(path)!r} is empty; expected a line of column names, then the rows.")
    dialect, header = sniff(text)
    return dialect.model_copy(update={"bom": start.startswith(codecs.BOM_UTF8)}), header


def _names(path: Path, dialect: Dialect) -> list[str]:
    """Read the column names; an empty one is called as pandas calls it."""
    header, _ = next(_records(path, dialect))
    names = [name.strip() or f"Unnamed: {i}" for i, name in enumerate(header)]
    for name, n in Counter(names).items():
        if n > 1:
            raise DataError(
                f"{str(path)!r}, line 1: {n} columns are called {name[:60]!r}. Every column needs "
                "a name of its own in the first line; rename one, or add the line if there is none."
            )
    return names


def _chunks(path: Path, dialect: Dialect, width: int) -> Iterator[list[tuple[str, ...]]]:
    """Yield the columns of so many rows at once, each as (N,) texts."""
    rows = _records(path, dialect)
    next(rows, None)
    while chunk := list(islice(rows, max(CELLS_AT_ONCE // width, 1))):
        for row, line in chunk:
            if len(row) != width:
                n = len(row)
                raise DataError(
                    f"{str(path)!r}, line {line}: it has {n} cell{'s' * (n != 1)}, the first line "
                    f"has {width}. Put a cell that holds {dialect.delimiter!r} in quotes, or "
                    "complete the line."
                )
        yield list(zip(*(row for row, _ in chunk), strict=True))


def _records(path: Path, dialect: Dialect) -> Iterator[tuple[list[str], int]]:
    """Yield (cells, number of the last line) of every record, the header first."""
    reader = dialect.reader(_lines(path))
    try:
        for row in reader:
            if row:
                yield row, reader.line_num
    except csv.Error as error:
        reason = str(error)
        if "end of data" in reason or "field limit" in reason:
            reason = (
                "a quote that was opened before is not closed; close it, or double a quote in text"
            )
        elif "expected after" in reason:
            reason = "text follows a closing quote; a quote inside quotes is written twice"
        raise DataError(f"{str(path)!r}, line {reader.line_num}: {reason}.") from None


def _raw_records(source: CsvSource) -> Iterator[tuple[str, bool]]:
    """Yield the text of every record behind the header, and whether it is a row."""
    lines: list[str] = []

    def copied() -> Iterator[str]:
        for line in _lines(source.path):
            lines.append(line)
            yield line

    header = True
    for row in source.format.dialect.reader(copied()):
        if not (header and row):
            yield "".join(lines), bool(row)
        header = header and not row
        lines.clear()


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
    for record, is_row in _raw_records(source):
        end = next((end for end in _LINE_ENDS if record.endswith(end)), "")
        block.append(f"{record.removesuffix(end)}{cell}{end}" if is_row else record)
        if len(block) >= ROWS_AT_ONCE:
            yield "".join(block).encode()
            block.clear()
    yield "".join(block).encode()


def _blocks(path: Path) -> Iterator[bytes]:
    with _read_errors(path), path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            yield block


@contextlib.contextmanager
def _read_errors(path: Path) -> Iterator[None]:
    """Turn what goes wrong in reading a file into a DataError."""
    try:
        yield
    except UnicodeDecodeError:
        raise _not_text(path) from None
    except OSError as error:
        raise DataError(f"{str(path)!r} cannot be read: {error.strerror}") from None


def _not_text(path: Path) -> DataError:
    """The error for the first line that is not UTF-8, or holds a NUL."""
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


def _changed(path: Path) -> DataError:
    """The error for a file that is not as it was when it was read."""
    return DataError(f"{str(path)!r} was changed since it was read; begin again.")


def _plain_cell(name: str, series: pd.Series) -> CellFormat:
    import pandas as pd

    types, dtype = pd.api.types, series.dtype
    if types.is_bool_dtype(dtype):
        return CellFormat(name=name, kind="boolean")
    if types.is_numeric_dtype(dtype):
        whole = types.is_integer_dtype(dtype)
        return CellFormat(
            name=name, kind="number", numbers=NumberNotation(low=1, high=17, whole=whole)
        )
    if not types.is_datetime64_any_dtype(dtype):
        return CellFormat(name=name)
    values, zoned = _utc(series.dropna()), getattr(dtype, "tz", None) is not None
    if (values == values.astype("datetime64[D]")).all() and not zoned:
        return CellFormat(name=name, kind="datetime")
    digits = {"s": 0, "ms": 3, "us": 6, "ns": 9}[np.datetime_data(values.dtype)[0]]
    whole = not digits or (values == values.astype("datetime64[s]")).all()
    pattern = "%Y-%m-%d %H:%M:%S" + ("" if whole else f".%{digits}f") + "+00:00" * zoned
    return CellFormat(name=name, kind="datetime", times=MomentNotation(pattern=pattern))


def _numbers(series: pd.Series) -> NDArray[Any]:
    """Return whole numbers as they are, others as float64: float32 by its shortest text."""
    dtype = str(series.dtype).lower()
    if "int" in dtype:
        return np.asarray(series.to_numpy(np.uint64 if dtype.startswith("uint64") else np.int64))
    short = dtype in ("float32", "float16", "float[pyarrow]", "halffloat[pyarrow]")
    values = series.to_numpy(np.float32 if short else np.float64)
    return np.asarray(values.astype("U32") if short else values).astype(np.float64)


def _utc(series: pd.Series) -> NDArray[np.datetime64]:
    """Return the moments without a zone, in UTC where they had one."""
    if getattr(series.dtype, "tz", None) is not None:
        series = series.dt.tz_convert("UTC").dt.tz_localize(None)
    plain = isinstance(series.dtype, np.dtype)
    return np.asarray(series.to_numpy(None if plain else "datetime64[ns]"))
