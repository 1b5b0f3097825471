"""CSV files: read as a typed frame with their dialect, and new rows in one plain notation."""

from __future__ import annotations

import csv
import errno
import io
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv as arrow_csv

from gan_augment.data.tables.columns import read_cells
from gan_augment.errors import DataError
from gan_augment.input_files import regular_file
from gan_augment.settings import Frozen

Delimiter = Literal[";", "\t", "|", ","]

MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?")
MOST_BYTES = 1 << 30
MOST_COLUMNS = 50_000
LINES_SNIFFED = 1000
_CONSISTENT = 0.9  # share of lines with as many cells as the header
_BLOCK_BYTES = 1 << 24
MOST_DIGITS = 19
"""Whole numbers of so many characters are text: they need more than 64 bits."""
_WHOLE = r"^[+-]?\d+$"
_REAL = {
    mark: rf"^[+-]?((\d+[{mark}]?\d*|[{mark}]\d+)([eE][+-]?\d+)?|(?i:inf|infinity))$"
    for mark in (".", ",")
}
_ZERO_FIRST = r"^[+-]?0\d"


class Dialect(Frozen, extra="ignore"):
    """How a file writes its cells; text that holds a delimiter is in double quotes."""

    delimiter: Delimiter = ","
    terminator: Literal["\n", "\r\n"] = "\n"
    decimal: Literal[".", ","] = "."
    missing: str = ""

    def lines(self, rows: Iterable[Sequence[object]]) -> bytes:
        """Return rows of text as lines of the file."""
        text = io.StringIO(newline="")
        csv.writer(text, delimiter=self.delimiter, lineterminator=self.terminator).writerows(rows)
        return text.getvalue().encode()

    def frame_lines(self, frame: pd.DataFrame, *more: str) -> bytes:
        """Return the rows of a frame as lines of the file; more: further cells of every row.

        >>> Dialect().frame_lines(pd.DataFrame({"a": ["x,1", None], "b": [0.5, 2]}), "true")
        b'"x,1",0.5,true\\n,2,true\\n'
        """

        def number(value: float) -> str:
            return np.format_float_positional(value, trim="-").replace(".", self.decimal)

        columns = [_written(frame.iloc[:, i]) for i in range(len(frame.columns))]
        columns += [np.full(len(frame), cell) for cell in more]
        text: str = pd.DataFrame(dict(enumerate(columns)), copy=False).to_csv(
            index=False,
            header=False,
            sep=self.delimiter,
            lineterminator=self.terminator,
            na_rep=self.missing,
            float_format=number,
        )
        return text.encode()


def _written(series: pd.Series) -> Any:
    """Return cells as `to_csv` formats them: floats of NumPy without -0, and dates in UTC."""
    cells, plain = read_cells(series), isinstance(series.dtype, np.dtype)
    if cells.family == "float":
        return (series.to_numpy() if plain else cells.values) + 0  # float32 has fewer digits
    return cells.values if cells.family == "datetime" else cells.series.array


def read_csv(path: Path) -> tuple[pd.DataFrame, Dialect]:
    """Read a CSV (UTF-8, a header, up to 1 GiB) as a frame, and its dialect.

    A column is numbers where all its cells are, else text (object, NaN where missing). Whole
    numbers are int64, or Int64 with missing cells; others float64 with NaN. Spaces around cells are
    dropped. Cells with leading zeros (`007`) and whole numbers of more than 18 digits are text.
    Raises DataError with the line.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "t.csv").write_text("size;when\\n1,5;2024-05-01\\n;2024-05-02\\n")
    ...     frame, dialect = read_csv(Path(folder) / "t.csv")
    >>> [str(dtype) for dtype in frame.dtypes], dialect.decimal
    (['float64', 'object'], ',')
    """
    table, dialect = _read_text(path)
    if len(table) < 2:
        raise DataError(f"{str(path)!r} holds no row below the line of column names")
    texts, gaps = [], Counter[str]()
    for number, cells in enumerate(table.columns):
        name = (cells[0].as_py() or "").strip()
        texts.append(_Text.of(name or f"Unnamed: {number}", cells.slice(1), gaps))
    reals = [text for text in texts if not text.matches(_WHOLE)]
    commas = any(text.matches(_REAL[","]) for text in reals)
    points = any(text.matches(_REAL["."]) for text in reals)
    decimal = "," if commas and not points and dialect.delimiter != "," else "."
    frame = pd.DataFrame({i: text.typed(decimal) for i, text in enumerate(texts)}, copy=False)
    frame.columns = pd.Index([text.name for text in texts])
    missing = next((word for word, _ in gaps.most_common(1)), "")
    return frame, dialect.model_copy(update={"decimal": decimal, "missing": missing})


def sniff(text: str) -> tuple[Delimiter, int]:
    """Return the delimiter of the first lines of a file, and the number of columns.

    It gives nine lines of ten as many cells as the header. A comma may be a decimal mark or stand
    in text, so it is tried last.

    >>> sniff("size;weight\\n1,5;2\\n2,5;3\\n")
    (';', 2)
    """
    csv.field_size_limit(max(csv.field_size_limit(), MOST_BYTES))  # of the whole process
    width = 0
    for delimiter in get_args(Delimiter):
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        widths = [len(row) for row in islice(filter(None, reader), LINES_SNIFFED + 1)]
        width = widths[0] if widths else 0
        if width > 1 and widths.count(width) >= _CONSISTENT * len(widths):
            return delimiter, width
    return ",", width


def _read_text(path: Path) -> tuple[pa.Table, Dialect]:
    """Read every cell as text, the line of names first. Raises DataError."""
    delimiter: Delimiter = ","
    try:
        with regular_file(path, MOST_BYTES) as file:
            start = file.read(1 << 20) + file.readline()
            delimiter, width = sniff(start.decode("utf-8-sig", "replace"))
            if not width:
                raise DataError(f"{str(path)!r} is empty; expected column names, then the rows.")
            if width > MOST_COLUMNS:
                raise DataError(
                    f"{str(path)!r} has {width:,} columns; {MOST_COLUMNS:,} are the limit of CSV "
                    "files. Save the table as Parquet, or leave some out."
                )
            file.seek(0)
            table = arrow_csv.read_csv(
                file,
                arrow_csv.ReadOptions(autogenerate_column_names=True, block_size=_BLOCK_BYTES),
                arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
                arrow_csv.ConvertOptions(
                    column_types={f"f{i}": pa.large_string() for i in range(width)}
                ),
            )
            file.seek(max(os.fstat(file.fileno()).st_size - 9, 0))
            ending = file.read().rstrip(b"\r\n")
            if "\n" in str(table.column(width - 1)[-1]) and not ending.endswith(b'"'):
                raise pa.ArrowInvalid("a quote is not closed")
    except OSError as error:
        more = ". Save the table as Parquet, or leave rows out." * (error.errno == errno.EFBIG)
        raise DataError(f"{str(path)!r} cannot be read: {error.strerror}{more}") from None
    except pa.ArrowInvalid as error:
        if "UTF8" in str(error):
            raise DataError(
                f"{str(path)!r} is not UTF-8 text. Save the CSV as UTF-8, for example with: iconv "
                "-f WINDOWS-1252 -t UTF-8"
            ) from None
        raise DataError(
            f"{str(path)!r} is not a regular CSV: {' '.join(str(error).split())[:200]}. Complete "
            f"the line, or put cells that hold {delimiter!r} in double quotes."
        ) from None
    return table, Dialect(delimiter=delimiter, terminator="\r\n" if b"\r\n" in start else "\n")


@dataclass
class _Text:
    """A column as text. codes: (N,) into the distinct cells `known`, -1 where missing."""

    name: str
    codes: NDArray[np.int32]
    known: pa.Array

    @classmethod
    def of(cls, name: str, cells: pa.ChunkedArray, gaps: Counter[str]) -> _Text:
        """Code the cells, and count in `gaps` how often which word stands for a missing cell."""
        coded = pc.utf8_trim_whitespace(cells).combine_chunks().dictionary_encode()
        distinct, indices = coded.dictionary, np.asarray(coded.indices)
        no = np.asarray(pc.is_in(distinct, pa.array(MISSING, pa.large_string())))
        counts = np.bincount(indices, minlength=len(no))
        for place in np.flatnonzero(no).tolist():
            gaps[distinct[place].as_py()] += int(counts[place])
        codes = np.where(no, -1, np.cumsum(~no) - 1).astype(np.int32)[indices]
        return cls(name, codes, distinct.filter(pa.array(~no)))

    def matches(self, pattern: str, *, any_cell: bool = False) -> bool:
        """Return whether all known cells, or any, match a regular expression."""
        found = pc.match_substring_regex(self.known, pattern)
        return bool((pc.any if any_cell else pc.all)(found, min_count=0).as_py())

    def typed(self, decimal: str) -> pd.Series:
        """Return the cells as numbers, or else as text."""
        cells, whole = self.known.to_pylist(), self.matches(_WHOLE)
        values: Any = np.array(cells, dtype=object)
        if self.matches(_REAL[decimal]) and not self.matches(_ZERO_FIRST, any_cell=True):
            if not whole or not cells:
                values = np.array([float(cell.replace(",", ".")) for cell in cells], np.float64)
            elif max(map(len, cells)) < MOST_DIGITS:
                values = np.array(list(map(int, cells)), np.int64)
                values = pd.array(values, "Int64") if (self.codes < 0).any() else values
        taken = pd.api.extensions.take(values, self.codes, allow_fill=True, fill_value=np.nan)
        return pd.Series(taken, dtype=taken.dtype, name=self.name)
