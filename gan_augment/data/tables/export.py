"""Write tables: new rows after an unchanged original, and a manifest of the new rows."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from gan_augment.data.tables import PARQUET_SUFFIXES, TABLE_SUFFIXES, manifest_path
from gan_augment.data.tables.csv import Dialect
from gan_augment.data.topup_plan import AddedOrigin
from gan_augment.errors import DataError, UsageError
from gan_augment.storage.files import NewFile, check_room, new_file

MANIFEST_COLUMNS = ("row", "label", "origin", "source", "index")
MARK = "synthetic"
ROWS_AT_ONCE = 16_384


@dataclass(frozen=True)
class TableFile:
    """A file that was read: its rows, its dialect, and how to notice a change.

    dialect: of a CSV; None for Parquet.
    """

    path: Path
    rows: int
    dialect: Dialect | None
    size: int
    modified_ns: int

    @classmethod
    def of(cls, path: Path, rows: int, dialect: Dialect | None = None) -> TableFile:
        """Describe a file as it is now."""
        facts = path.stat()
        return cls(path, rows, dialect, facts.st_size, facts.st_mtime_ns)

    def check_unchanged(self) -> None:
        """Raise DataError if the file changed since it was read."""
        try:
            now = self.path.stat()
        except OSError as error:
            raise DataError(f"{str(self.path)!r} can no longer be read: {error.strerror}") from None
        if (now.st_size, now.st_mtime_ns) != (self.size, self.modified_ns):
            raise DataError(f"{str(self.path)!r} was changed since it was read; begin again.")


@dataclass(frozen=True)
class NewRows:
    """New rows of one class and one origin, with every column of the file.

    source: the model's name, or the id of the original of each repeat. first: the number of the
    first row among all rows of its class and origin.
    """

    frame: pd.DataFrame
    label: str
    origin: AddedOrigin
    source: str | Sequence[str]
    first: int = 0

    def entries(self, row: int) -> Iterator[tuple[object, ...]]:
        """Yield the cells of the manifest's lines; row: the number of the first row in the file."""
        n = len(self.frame)
        sources = [self.source] * n if isinstance(self.source, str) else self.source
        for i, source in enumerate(sources):
            yield row + i, self.label, self.origin, source, self.first + i


class _CsvRows:
    """Writes CSV: a header or the bytes of an original, then rows.

    With mark, rows have a last cell `synthetic`; an original is then rewritten cell by cell.
    """

    def __init__(
        self,
        file: NewFile,
        dialect: Dialect,
        example: pd.DataFrame,
        original: TableFile | None,
        mark: bool,
    ) -> None:
        self._file, self._dialect, self._mark = file, dialect, mark
        if original is None:
            names = list(map(str, example.columns))
            file.write(dialect.lines([[*names, MARK] if mark else names]))
        elif mark:
            with original.path.open(encoding="utf-8-sig", newline="") as text:
                rows = filter(None, csv.reader(text, delimiter=dialect.delimiter))
                file.write(dialect.lines([[*next(rows), MARK]]))
                while block := [[*row, "false"] for row in islice(rows, ROWS_AT_ONCE)]:
                    file.write(dialect.lines(block))
        else:
            copied = b""
            with original.path.open("rb") as opened:
                while part := opened.read(1 << 20):
                    copied = part
                    file.write(part)
            if not copied.endswith((b"\n", b"\r")):
                file.write(dialect.terminator.encode())

    def add(self, frame: pd.DataFrame) -> None:
        """Write new rows."""
        self._file.write(self._dialect.frame_lines(frame, *["true"] * self._mark))

    def end(self) -> None:
        """Do nothing: a CSV needs no end."""


class _ParquetRows:
    """Writes Parquet, in the schema of an original; with mark, a last boolean column is added."""

    def __init__(
        self, file: NewFile, example: pd.DataFrame, original: TableFile | None, mark: bool
    ) -> None:
        if original is None:
            schema = pa.Schema.from_pandas(example, preserve_index=False)
            types = [pa.string() if pa.types.is_null(one.type) else one.type for one in schema]
            schema = pa.schema(list(zip(schema.names, types, strict=True)))
        else:
            schema = pq.read_schema(original.path)
        self._mark = mark
        self._schema = schema.append(pa.field(MARK, pa.bool_())) if mark else schema
        self._writer = pq.ParquetWriter(file, self._schema)
        if original is not None:
            with pq.ParquetFile(original.path) as rows:
                for group in range(rows.num_row_groups):
                    self._write(rows.read_row_group(group).columns, new=False)

    def add(self, frame: pd.DataFrame) -> None:
        """Write new rows in a separate row group. Raises DataError if a cell does not fit."""
        columns = []
        for number, field in enumerate(self._schema.names[: len(frame.columns)]):
            series, kind = frame.iloc[:, number], self._schema.types[number]
            try:
                columns.append(pa.Array.from_pandas(series).cast(kind))
            except (pa.ArrowException, TypeError, ValueError) as error:
                reason = " ".join(str(error).split())[:200]
                raise DataError(
                    f"new cells of column {field!r} do not fit its type {kind}: {reason}. Fit a "
                    "model to this very file."
                ) from None
        self._write(columns, new=True)

    def end(self) -> None:
        """Write the footer."""
        self._writer.close()

    def _write(self, columns: list[pa.Array], *, new: bool) -> None:
        if self._mark:
            columns = [*columns, pa.array(np.full(len(columns[0]), new))]
        table = pa.table(columns, schema=self._schema)
        self._writer.write_table(table, len(table) or 1)


def check_out(out: Path, source: TableFile | None = None) -> None:
    """Raise UsageError for an `out` that is not a table, or not in the format of `source`."""
    suffix = out.suffix.lower()
    if suffix not in TABLE_SUFFIXES:
        known = ", ".join(TABLE_SUFFIXES)
        raise UsageError(f"OUT {str(out)!r} is not a table; expected a file of {known}")
    parquet = suffix in PARQUET_SUFFIXES
    if source is not None and parquet != (source.dialect is None):
        raise UsageError(
            f"OUT {str(out)!r} and DATA {str(source.path)!r} have different formats, but rows "
            "are copied unchanged; use the same suffix."
        )


def check_mark(names: Sequence[object]) -> None:
    """Raise UsageError if the data has a column `synthetic` already."""
    if MARK in names:
        raise UsageError(
            f"the data has a column {MARK!r} already, which --mark would add; rename it, or leave "
            "--mark out: the manifest next to the output lists the new rows."
        )


def write_table(
    out: Path,
    dialect: Dialect | None,
    example: pd.DataFrame,
    added: Iterable[NewRows],
    *,
    original: TableFile | None = None,
    mark: bool = False,
    rows_to_come: int = 0,
    advance: Callable[[int], None] = lambda done: None,
) -> int:
    """Write a table, then its manifest, each whole or not at all; return the number of new rows.

    The manifest `OUT.manifest.csv` has a line per new row: its row number in OUT (from 0), class,
    origin, source and number there. All original rows share one line: row 0, origin `real`, the
    file's name, and their number as index. The last line has the origin `table`, the sha256 of OUT
    as source, and the number of all rows as index. It shows that OUT is complete.

    dialect: of a CSV; None for the default. example: some rows with every column. rows_to_come: new
    rows in all, to check the free space early. advance: called with the new rows so far.
    Raises UsageError for an existing mark, DataError if the original changed since it was read,
    WriteFailedError for a full disk; an earlier OUT is intact then.
    """
    if mark:
        check_mark(list(example.columns))
    first, done, manifest_lines = original.rows if original else 0, 0, Dialect().lines
    with new_file(manifest_path(out)) as manifest:
        with new_file(out) as table:
            if original:
                original.check_unchanged()
            parquet = out.suffix.lower() in PARQUET_SUFFIXES
            plain = Dialect(delimiter="\t" if out.suffix.lower() == ".tsv" else ",")
            rows = (
                _ParquetRows(table, example, original, mark)
                if parquet
                else _CsvRows(table, dialect or plain, example, original, mark)
            )
            manifest.write(manifest_lines([MANIFEST_COLUMNS]))
            if original:
                original.check_unchanged()
                manifest.write(manifest_lines([(0, "", "real", original.path.name, first)]))
            begun = table.tell()
            for part in added:
                rows.add(part.frame)
                manifest.write(manifest_lines(part.entries(first + done)))
                done += len(part.frame)
                bytes_a_row = (table.tell() - begun + manifest.tell()) // max(done, 1)
                check_room(out.parent, bytes_a_row * (rows_to_come - done), 2)
                advance(done)
            rows.end()
        total = first + done
        manifest.write(
            manifest_lines([(total, "", "table", f"sha256:{table.sha256.hexdigest()}", total)])
        )
    return done
