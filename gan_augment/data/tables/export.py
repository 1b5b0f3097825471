"""Tables out: new rows behind an original that stays as it is, and a manifest of the new ones.

How rows become bytes is in `csv.py` and `parquet.py`. `FileFormat` is kept with a model, so that
its samples look like the file that it learned from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gan_augment.data.tables import (
    PARQUET_SUFFIXES,
    TABLE_SUFFIXES,
    manifest_path,
)
from gan_augment.data.tables.csv import (
    MARK,
    CsvFormat,
    CsvRows,
    CsvSource,
    plain_format,
)
from gan_augment.data.tables.csv_dialect import Delimiter, Dialect
from gan_augment.data.tables.parquet import (
    ParquetFormat,
    ParquetRows,
    ParquetSource,
)
from gan_augment.errors import UsageError
from gan_augment.settings import Frozen
from gan_augment.storage import new_files
from gan_augment.storage.files import NewFile

if TYPE_CHECKING:
    import pandas as pd

MANIFEST_COLUMNS = ("row", "label", "origin", "source", "index")
AddedOrigin = Literal["repeat", "synthetic", "companion"]
Source = CsvSource | ParquetSource
_MANIFEST = Dialect(terminator="\r\n")


@dataclass(frozen=True)
class NewRows:
    """Holds new rows of one class and one origin, with every column of the file.

    source: the model's name, or for repeats the id of each row's original. first: the number of
    the first one among the rows of its class and origin.
    """

    frame: pd.DataFrame
    label: str
    origin: AddedOrigin
    source: str | Sequence[str]
    first: int = 0


class FileFormat(Frozen):
    """Holds how the training file was written: one of the two."""

    csv: CsvFormat | None = None
    parquet: ParquetFormat | None = None

    @classmethod
    def of(cls, source: Source | None) -> FileFormat:
        """Return the format of a file that was read; empty for tables that come from none."""
        if isinstance(source, CsvSource):
            return cls(csv=source.format)
        return cls(parquet=ParquetFormat.of_file(source)) if source else cls()


TableWriter = CsvRows | ParquetRows
NewWriter = Callable[[NewFile], TableWriter]


def check_out(out: Path, source: Source | None = None) -> None:
    """Raise UsageError where a table cannot be written to `out`, or behind `source` there."""
    suffix = out.suffix.lower()
    if suffix not in TABLE_SUFFIXES:
        known = ", ".join(TABLE_SUFFIXES)
        raise UsageError(f"OUT {str(out)!r} is no table; expected a file of {known}")
    parquet = suffix in PARQUET_SUFFIXES
    if source is not None and parquet != isinstance(source, ParquetSource):
        raise UsageError(
            f"OUT {str(out)!r} is of another kind than DATA {str(source.path)!r}, whose rows are "
            "kept as they are; give it the same suffix."
        )


def check_mark(names: Sequence[object]) -> None:
    """Raise UsageError where a column `synthetic` cannot be added, since there is one."""
    if MARK in names:
        raise UsageError(
            f"the data has a column {MARK!r} already, which --mark would add; rename it, or leave "
            "--mark out: the manifest beside the output says which rows are new."
        )


def new_writer(
    out: Path,
    stored: FileFormat,
    example: pd.DataFrame,
    *,
    mark: bool = False,
    escape_formulas: bool = False,
) -> NewWriter:
    """Return the writer of `out`: in the stored format if its suffix fits, else plainly.

    example: some rows with every column. Raises UsageError for a mark that is there already.
    """
    if mark:
        check_mark(list(example.columns))
    if out.suffix.lower() in PARQUET_SUFFIXES:
        if escape_formulas:
            raise UsageError("--escape-formulas is for CSV files; Parquet holds no formulas")
        parquet = stored.parquet or ParquetFormat.plain(example)
        return lambda file: ParquetRows(file, parquet, mark=mark)
    delimiter: Delimiter = "\t" if out.suffix.lower() == ".tsv" else ","
    csv = stored.csv or plain_format(example, delimiter)
    return lambda file: CsvRows(file, csv, mark=mark, escape_formulas=escape_formulas)


def write_table(
    out: Path,
    writer: NewWriter,
    added: Iterable[NewRows],
    *,
    original: Source | None = None,
    advance: Callable[[int], None] = lambda done: None,
) -> int:
    """Write a table and its manifest, both whole or not at all; returns the number of new rows.

    The manifest, `OUT.manifest.csv`, has a line for each new row: its number among the rows of OUT
    (from 0), its class, its origin, what it comes from, its number there. Rows of an original are
    one line: row 0, origin `real`, the file's name, and as index how many they are.
    `advance` is told the number of new rows so far. Raises WriteFailedError; OUT is intact then.
    """
    done = 0
    with new_files(out, manifest_path(out)) as (table, manifest):
        rows = writer(table)
        manifest.write(_lines([MANIFEST_COLUMNS]))
        if original:
            copy: Callable[[Any], None] = rows.copy  # of a file of the writer's own kind
            copy(original)
            manifest.write(_lines([(0, "", "real", original.path.name, original.rows)]))
        else:
            rows.begin()
        for part in added:
            rows.add(part.frame)
            manifest.write(_lines(_entries(part, (original.rows if original else 0) + done)))
            done += len(part.frame)
            advance(done)
        rows.end()
    return done


def _entries(part: NewRows, row: int) -> Iterator[tuple[object, ...]]:
    n = len(part.frame)
    sources = [part.source] * n if isinstance(part.source, str) else part.source
    for i, source in enumerate(sources):
        yield row + i, part.label, part.origin, source, part.first + i


def _lines(entries: Iterable[Sequence[object]]) -> bytes:
    lines = (",".join(_MANIFEST.quoted(map(str, cells))) + "\r\n" for cells in entries)
    return "".join(lines).encode("utf-8", "surrogatepass")
