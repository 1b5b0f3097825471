"""Write tables: new rows after an unchanged original, and a manifest of the new rows."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from gan_augment.data.tables import is_parquet, manifest_path
from gan_augment.data.tables.csv import Dialect
from gan_augment.data.topup_plan import AddedOrigin
from gan_augment.errors import DataError, UsageError
from gan_augment.storage.files import NewFile, new_file

MANIFEST_COLUMNS = ("row", "label", "origin", "source", "index")
MARK = "origin"
"""The column that `--mark` adds: real, repeat or synthetic."""
ROWS_AT_ONCE = 16_384


@dataclass(frozen=True)
class TableFile:
    """A file that was read, with its time of change. dialect: the CSV's; None for Parquet."""

    path: Path
    rows: int
    dialect: Dialect | None
    modified_ns: int

    @classmethod
    def of(cls, path: Path, rows: int, dialect: Dialect | None = None) -> TableFile:
        """Describe a file as it is now."""
        return cls(path, rows, dialect, path.stat().st_mtime_ns)

    def check_unchanged(self) -> None:
        """Raise DataError if the file changed since it was read."""
        if not self.path.exists() or self.path.stat().st_mtime_ns != self.modified_ns:
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

    @property
    def mark(self) -> str:
        """Return the cell of the column `origin`."""
        return "repeat" if self.origin == "repeat" else "synthetic"

    def entries(self, row: int) -> Iterator[tuple[object, ...]]:
        """Yield the cells of the manifest's lines; row: the number of the first row in the file."""
        n = len(self.frame)
        sources = [self.source] * n if isinstance(self.source, str) else self.source
        for i, source in enumerate(sources):
            yield row + i, self.label, self.origin, source, self.first + i


Add = Callable[[NewRows], object]
"""Writes new rows."""


@contextmanager
def _csv_rows(
    file: NewFile, dialect: Dialect, example: pd.DataFrame, original: TableFile | None, mark: bool
) -> Iterator[Add]:
    """Write a header or an original as CSV, with `mark` cell by cell; give what writes new rows."""
    if original is None:
        names = list(map(str, example.columns))
        file.write(dialect.lines([[*names, MARK] if mark else names]))
    elif mark:
        with original.path.open(encoding="utf-8-sig", newline="") as text:
            rows = filter(None, csv.reader(text, delimiter=dialect.delimiter))
            file.write(dialect.lines([[*next(rows), MARK]]))
            while block := [[*row, "real"] for row in islice(rows, ROWS_AT_ONCE)]:
                file.write(dialect.lines(block))
    else:
        copied = b""
        with original.path.open("rb") as opened:
            while part := opened.read(1 << 20):
                copied = part
                file.write(part)
        if not copied.endswith((b"\n", b"\r")):
            file.write(dialect.terminator.encode())
    yield lambda part: file.write(dialect.frame_lines(part.frame, *[part.mark] * mark))


@contextmanager
def _parquet_rows(
    file: NewFile, example: pd.DataFrame, original: TableFile | None, mark: bool
) -> Iterator[Add]:
    """Write the rows of an original as Parquet, in its schema; give what writes new rows."""
    if original is None:
        schema = pa.Schema.from_pandas(example, preserve_index=False)
        types = [pa.string() if pa.types.is_null(one.type) else one.type for one in schema]
        schema = pa.schema(list(zip(schema.names, types, strict=True)))
    else:
        schema = pq.read_schema(original.path)
    whole = schema.append(pa.field(MARK, pa.string())) if mark else schema

    def write(table: pa.Table, origin: str) -> None:
        if mark:
            table = table.append_column(MARK, pa.array([origin] * len(table), pa.string()))
        writer.write_table(table, len(table) or 1)

    def add(part: NewRows) -> None:
        frame = part.frame.set_axis(schema.names, axis=1)
        try:
            table = pa.Table.from_pandas(frame, schema, preserve_index=False)
        except (pa.ArrowException, TypeError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise DataError(
                f"new cells do not fit the columns of the file: {reason}. Fit a model to this very "
                "file."
            ) from None
        write(table, part.mark)

    with pq.ParquetWriter(file, whole) as writer:
        if original is not None:
            with pq.ParquetFile(original.path) as rows:
                for group in range(rows.num_row_groups):
                    write(rows.read_row_group(group), "real")
        yield add


def check_out(out: Path, source: TableFile | None = None) -> None:
    """Raise UsageError for an `out` that is not a table, or not in the format of `source`."""
    parquet = is_parquet(out, "OUT ")
    if source is not None and parquet != (source.dialect is None):
        raise UsageError(
            f"OUT {str(out)!r} and DATA {str(source.path)!r} have different formats, but rows "
            "are copied unchanged; use the same suffix."
        )


def check_mark(names: Sequence[object]) -> None:
    """Raise UsageError if the data has a column `origin` already."""
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
    advance: Callable[[int], None] = lambda done: None,
) -> int:
    """Write a table, then its manifest, each whole or not at all; return the number of new rows.

    The manifest `OUT.manifest.csv` has a line per new row: its row number in OUT (from 0), class,
    origin, source and number there. All original rows share one line: row 0, origin `real`, the
    file's name, and their number as index. The last line has the origin `table`, the sha256 of OUT
    as source, and the number of all rows as index. It shows that OUT is complete.

    dialect: the CSV's; None for the default. example: some rows with every column. advance: called
    with the new rows so far. Raises UsageError for an existing mark, DataError if the original
    changed since it was read, WriteFailedError for a full disk; an earlier OUT is intact then.
    """
    if mark:
        check_mark(list(example.columns))
    first, done, manifest_lines = original.rows if original else 0, 0, Dialect().lines
    dialect = dialect or Dialect(delimiter="\t" if out.suffix.lower() == ".tsv" else ",")
    with new_file(manifest_path(out)) as manifest:
        with new_file(out) as table:
            rows = (
                _parquet_rows(table, example, original, mark)
                if is_parquet(out)
                else _csv_rows(table, dialect, example, original, mark)
            )
            manifest.write(manifest_lines([MANIFEST_COLUMNS]))
            with rows as add:
                if original:
                    original.check_unchanged()
                    manifest.write(manifest_lines([(0, "", "real", original.path.name, first)]))
                for part in added:
                    add(part)
                    manifest.write(manifest_lines(part.entries(first + done)))
                    done += len(part.frame)
                    advance(done)
        total = first + done
        manifest.write(
            manifest_lines([(total, "", "table", f"sha256:{table.sha256.hexdigest()}", total)])
        )
    return done
