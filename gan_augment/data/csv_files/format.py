"""Everything about how a CSV file writes its cells, and new rows written the same way. No files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.csv_files.dates import TimeFormat, write_times
from gan_augment.data.csv_files.dialect import Delimiter, Dialect, in_quotes, needs_quotes
from gan_augment.data.csv_files.numbers import NumberFormat, write_floats, write_integers
from gan_augment.frozen import Frozen

if TYPE_CHECKING:
    import pandas as pd

MARK = "synthetic"
BOOLEANS = (("true", "false"), ("True", "False"), ("TRUE", "FALSE"))
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_DISTINCT = 4  # where one value in so many is new, each is written once
_ROUND_TRIP = NumberFormat(low=1, high=17)

CellKind = Literal["number", "boolean", "datetime", "text"]


class CellFormat(Frozen):
    """How the cells of one column are written.

    missing: what stands for a missing value. quoted: every cell is in quotes, not only those that
    need it; missing_quoted: so are the missing ones. numbers, times, booleans (true, false): by
    kind.
    """

    name: str
    kind: CellKind = "text"
    missing: str = ""
    quoted: bool = False
    missing_quoted: bool = False
    numbers: NumberFormat = _ROUND_TRIP
    times: TimeFormat = TimeFormat()
    booleans: tuple[str, str] = BOOLEANS[1]


class CsvFormat(Frozen):
    """A file's dialect, its first line as it stands there, and how each column is written."""

    dialect: Dialect = Dialect()
    header: str
    header_quoted: bool = False
    columns: tuple[CellFormat, ...]

    def first_line(self, *, mark: bool = False) -> bytes:
        """The header with its line end, and the byte-order mark if the file has one."""
        text = self.header + self.marked(MARK, self.header_quoted) * mark + self.dialect.terminator
        return b"\xef\xbb\xbf" * self.dialect.bom + text.encode()

    def marked(self, cell: str, quoted: bool = False) -> str:
        """One more cell at the end of a line."""
        quote = self.dialect.quote
        return self.dialect.between + (in_quotes(cell, quote) if quoted else cell)

    @property
    def booleans(self) -> tuple[str, str]:
        """How the file writes true and false."""
        own = (column.booleans for column in self.columns if column.kind == "boolean")
        return next(own, BOOLEANS[1])


def format_rows(
    frame: pd.DataFrame,
    how: CsvFormat,
    *,
    mark: bool | None = None,
    escape_formulas: bool = False,
) -> bytes:
    """The rows of a frame as lines of the file; its columns are found by the text of their names.

    mark: the value of a last column `synthetic`, or None for no such column. escape_formulas: put
    `'` before a text that a spreadsheet would compute.

    >>> import pandas as pd
    >>> how = CsvFormat(header="a,b", columns=(CellFormat(name="a"), CellFormat(name="b")))
    >>> format_rows(pd.DataFrame({"b": ["y", None], "a": ["x,1", "z"]}), how)
    b'"x,1",y\\nz,\\n'
    """
    if not len(frame):
        return b""
    own = {str(name): name for name in frame.columns}
    cells = [
        _column(frame[own[one.name]], one, how.dialect, escape_formulas) for one in how.columns
    ]
    if mark is not None:
        cells.append([how.booleans[not mark]] * len(frame))
    lines = map(how.dialect.between.join, zip(*cells, strict=True))
    end = how.dialect.terminator
    return (end.join(lines) + end).encode("utf-8", "surrogatepass")


def plain_format(frame: pd.DataFrame, delimiter: Delimiter = ",") -> CsvFormat:
    """The usual CSV for a frame that comes from no CSV: quotes where needed, ISO times."""
    columns = tuple(_plain_cell(str(name), frame[name]) for name in frame.columns)
    dialect = Dialect(delimiter=delimiter)
    return CsvFormat(
        dialect=dialect, header=header_of([c.name for c in columns], dialect), columns=columns
    )


def header_of(names: Sequence[str], dialect: Dialect) -> str:
    """A line of names, in quotes where they need it."""
    pattern = needs_quotes(dialect)
    quoted = [in_quotes(n, dialect.quote) if pattern.search(n) else n for n in names]
    return dialect.between.join(quoted)


def _plain_cell(name: str, series: pd.Series) -> CellFormat:
    import pandas as pd

    kind: CellKind = "text"
    times, numbers = TimeFormat(), _ROUND_TRIP
    if pd.api.types.is_bool_dtype(series.dtype):
        kind = "boolean"
    elif pd.api.types.is_integer_dtype(series.dtype):
        kind, numbers = "number", NumberFormat(whole=True)
    elif pd.api.types.is_float_dtype(series.dtype):
        kind = "number"
    elif pd.api.types.is_datetime64_any_dtype(series.dtype):
        kind, times = "datetime", _iso(series)
    return CellFormat(name=name, kind=kind, times=times, numbers=numbers)


def _iso(series: pd.Series) -> TimeFormat:
    values, zoned = _utc(series.dropna())
    unit = np.datetime_data(values.dtype)[0]
    if (values == values.astype("datetime64[D]")).all() and not zoned:
        return TimeFormat()
    digits = {"s": 0, "ms": 3, "us": 6, "ns": 9}.get(unit, 0)
    if (values == values.astype("datetime64[s]")).all():
        digits = 0
    given = {"joiner": " ", "fraction": (digits, digits), "zone": "+00:00" if zoned else ""}
    return TimeFormat.model_validate({**given, "unit": unit if digits else "s"})


def _column(series: pd.Series, how: CellFormat, dialect: Dialect, escape: bool) -> list[str]:
    """The cells of a column, missing ones and quotes included."""
    missing = series.isna().to_numpy()
    if not missing.any():
        return _present(series, how, dialect, escape)
    empty = how.missing
    if how.missing_quoted or needs_quotes(dialect).search(empty):
        empty = in_quotes(empty, dialect.quote)
    cells = [empty] * len(series)
    there = np.flatnonzero(~missing).tolist()
    if there:
        for row, cell in zip(there, _present(series[~missing], how, dialect, escape), strict=True):
            cells[row] = cell
    return cells


def _present(series: pd.Series, how: CellFormat, dialect: Dialect, escape: bool) -> list[str]:
    """The cells of a column without missing values; values that come again are written once."""
    import pandas as pd

    codes, distinct = pd.factorize(series)
    if len(distinct) * _DISTINCT > len(series):
        return _quoted(_texts(series, how), how, dialect, escape)
    written = _quoted(_texts(pd.Series(distinct), how), how, dialect, escape)
    return list(map(written.__getitem__, codes.tolist()))


def _texts(series: pd.Series, how: CellFormat) -> list[str]:
    import pandas as pd

    types = pd.api.types
    if types.is_bool_dtype(series.dtype):
        return [how.booleans[not value] for value in series.tolist()]
    if types.is_datetime64_any_dtype(series.dtype):
        return write_times(_utc(series)[0], how.times)
    if types.is_integer_dtype(series.dtype) and how.numbers.whole:
        return write_integers(_integers(series), how.numbers)
    if types.is_numeric_dtype(series.dtype):
        return _numbers(_floats(series), how.numbers)
    return [value if isinstance(value, str) else str(value) for value in series.tolist()]


def _integers(series: pd.Series) -> NDArray[Any]:
    unsigned = str(series.dtype).lower() == "uint64"
    return np.asarray(series.to_numpy(np.uint64 if unsigned else np.int64))


def _floats(series: pd.Series) -> NDArray[np.float64]:
    """float64, where numbers of less precision are those that their shortest text says."""
    short = str(series.dtype).lower() in ("float32", "float16", "float[pyarrow]")
    values = series.to_numpy(np.float32 if short else np.float64)
    return np.asarray(values.astype("U32") if short else values).astype(np.float64)


def _numbers(values: NDArray[np.float64], how: NumberFormat) -> list[str]:
    if how.whole and (np.abs(values) < 2**63).all():
        return write_integers(np.round(values).astype(np.int64), how)
    return write_floats(values, how)


def _utc(series: pd.Series) -> tuple[NDArray[np.datetime64], bool]:
    """The times without a zone, UTC where they had one, and whether they had."""
    zoned = getattr(series.dtype, "tz", None) is not None
    if zoned:
        series = series.dt.tz_convert("UTC").dt.tz_localize(None)
    plain = isinstance(series.dtype, np.dtype)
    return np.asarray(series.to_numpy(None if plain else "datetime64[ns]")), zoned


def _quoted(texts: Sequence[str], how: CellFormat, dialect: Dialect, escape: bool) -> list[str]:
    if how.kind == "text":
        if escape:
            texts = [f"'{text}" if text.startswith(FORMULA_STARTS) else text for text in texts]
        pattern = needs_quotes(dialect)
        return [
            in_quotes(text, dialect.quote) if how.quoted or pattern.search(text) else text
            for text in texts
        ]
    return [in_quotes(text, dialect.quote) for text in texts] if how.quoted else list(texts)
