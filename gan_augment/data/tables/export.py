"""Write tables: new rows after an unchanged original, and a manifest of the new rows.

Also Parquet's format and rows; `csv.py` has those of CSV. `FileFormat` is saved with a model, so
that its samples look like the training file.
"""

from __future__ import annotations

import base64
import binascii
import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from gan_augment.data.tables import PARQUET_SUFFIXES, TABLE_SUFFIXES, manifest_path
from gan_augment.data.tables.csv import (
    MARK,
    CsvFormat,
    CsvRows,
    CsvSource,
    Delimiter,
    plain_format,
)
from gan_augment.data.topup_plan import AddedOrigin
from gan_augment.errors import DataError, ModelFileError, UsageError
from gan_augment.settings import Frozen
from gan_augment.storage import check_room, new_file
from gan_augment.storage.files import NewFile

MANIFEST_COLUMNS = ("row", "label", "origin", "source", "index")
ROWS_A_GROUP = 131_072


class ParquetFormat(Frozen):
    """Schema and compression of a Parquet file.

    arrow: the Arrow schema, serialised, in base64. codecs: {path of a column: compression}, or one
    compression for all.
    """

    arrow: str
    codecs: dict[str, str] | str = "snappy"

    @classmethod
    def of(cls, schema: pa.Schema, codecs: dict[str, str] | str = "snappy") -> ParquetFormat:
        """Make the format of a schema with its metadata."""
        arrow = base64.b64encode(schema.serialize().to_pybytes()).decode()
        return cls(arrow=arrow, codecs=codecs)

    @classmethod
    def of_file(cls, file: pq.ParquetFile) -> ParquetFormat:
        """Make the format of a file, with the compression of its first row group."""
        if not file.num_row_groups:
            return cls.of(file.schema_arrow)
        group = file.metadata.row_group(0)
        columns = (group.column(i) for i in range(group.num_columns))
        names = {c.path_in_schema: c.compression for c in columns}
        codecs = {p: "none" if n == "UNCOMPRESSED" else n.lower() for p, n in names.items()}
        return cls.of(file.schema_arrow, codecs)

    @classmethod
    def plain(cls, example: pd.DataFrame) -> ParquetFormat:
        """Make the default format of a frame; columns without values become text."""
        schema = pa.Schema.from_pandas(example, preserve_index=False)
        fields = [f.with_type(pa.string()) if pa.types.is_null(f.type) else f for f in schema]
        return cls.of(pa.schema(fields))

    def arrow_schema(self) -> pa.Schema:
        """Decode the Arrow schema. Raises ModelFileError if it is damaged."""
        try:
            return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(self.arrow, validate=True)))
        except (pa.ArrowException, binascii.Error, OSError) as error:
            raise ModelFileError(f"the format of the training file is damaged: {error}") from None


@dataclass(frozen=True)
class ParquetSource:
    """A Parquet file that was read."""

    path: Path
    rows: int
    format: ParquetFormat


Source = CsvSource | ParquetSource


class FileFormat(Frozen):
    """Format of the training file; both are None for frames."""

    csv: CsvFormat | None = None
    parquet: ParquetFormat | None = None

    @classmethod
    def of(cls, source: Source | None) -> FileFormat:
        """Return the format of a file that was read."""
        if isinstance(source, CsvSource):
            return cls(csv=source.format)
        return cls(parquet=source.format) if source else cls()


class ParquetRows:
    """Writes a table as Parquet in a given format, with the schema's metadata.

    mark: add a last boolean column `synthetic`. Columns that the frames lack, such as a stored
    index, are null in new rows. New rows have their own row groups.
    """

    def __init__(self, file: NewFile, parquet_format: ParquetFormat, *, mark: bool = False) -> None:
        schema = parquet_format.arrow_schema()
        self._mark = mark
        self._schema = schema.append(pa.field(MARK, pa.bool_())) if mark else schema
        self._writer = pq.ParquetWriter(file, self._schema, compression=parquet_format.codecs)
        self._waiting: list[pa.Table] = []

    def begin(self, original: ParquetSource | None = None) -> None:
        """Write the original's values, by row group, in its order."""
        rows = 0
        for table in _row_groups(original.path) if original else ():
            self._writer.write_table(self._marked(table, False), table.num_rows or 1)
            rows += len(table)
        if original and rows != original.rows:
            raise DataError(f"{str(original.path)!r} was changed since it was read; begin again.")

    def add(self, frame: pd.DataFrame) -> None:
        """Write new rows; columns match by the text of their names."""
        columns = {str(name): frame[name] for name in frame.columns}
        fields = [field for field in self._schema if not (self._mark and field.name == MARK)]
        arrays = [
            _array(columns[field.name], field)
            if field.name in columns
            else pa.nulls(len(frame), field.type)
            for field in fields
        ]
        self._waiting.append(self._marked(pa.table(arrays, schema=pa.schema(fields)), True))
        if sum(len(table) for table in self._waiting) >= ROWS_A_GROUP:
            self._flush()

    def end(self) -> None:
        """Write the last row group and the footer."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._waiting:
            table = pa.concat_tables(self._waiting).replace_schema_metadata(self._schema.metadata)
            self._writer.write_table(table, ROWS_A_GROUP)
            self._waiting.clear()

    def _marked(self, table: pa.Table, new: bool) -> pa.Table:
        if self._mark:
            table = table.append_column(MARK, pa.array([new] * len(table), pa.bool_()))
        return table.cast(self._schema) if table.schema != self._schema else table


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


def check_out(out: Path, source: Source | None = None) -> None:
    """Raise UsageError for an `out` that is not a table, or not in the format of `source`."""
    suffix = out.suffix.lower()
    if suffix not in TABLE_SUFFIXES:
        known = ", ".join(TABLE_SUFFIXES)
        raise UsageError(f"OUT {str(out)!r} is not a table; expected a file of {known}")
    parquet = suffix in PARQUET_SUFFIXES
    if source is not None and parquet != isinstance(source, ParquetSource):
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
    stored: FileFormat,
    example: pd.DataFrame,
    added: Iterable[NewRows],
    *,
    original: Source | None = None,
    mark: bool = False,
    rows_to_come: int = 0,
    advance: Callable[[int], None] = lambda done: None,
) -> int:
    """Write a table, then its manifest, each whole or not at all; return the number of new rows.

    The table has the stored format if that fits the suffix of `out`, else the default. The manifest
    `OUT.manifest.csv` has a line per new row: its row number in OUT (from 0), class, origin, source
    and number there. All original rows share one line: row 0, origin `real`, the file's name, and
    their number as index. The last line has the origin `table`, the sha256 of OUT as source, and
    the number of all rows as index. It shows that OUT is complete.

    Parameters
    ----------
    example : DataFrame
        Some rows with every column.
    rows_to_come : int
        New rows in all, to check the free space early.
    advance : callable
        Called with the new rows so far.

    Raises
    ------
    UsageError, WriteFailedError
        For an existing mark, and for a full disk; an earlier OUT is intact then.
    """
    if mark:
        check_mark(list(example.columns))
    first, done = original.rows if original else 0, 0
    with new_file(manifest_path(out)) as manifest:
        with new_file(out) as table:
            rows = _writer(table, out, stored, example, mark)
            begin: Callable[[Any], None] = rows.begin  # of the writer's format
            begin(original)
            manifest.write(_lines([MANIFEST_COLUMNS]))
            if original:
                manifest.write(_lines([(0, "", "real", original.path.name, original.rows)]))
            begun = table.bytes
            for part in added:
                rows.add(part.frame)
                manifest.write(_lines(part.entries(first + done)))
                done += len(part.frame)
                bytes_a_row = (table.bytes - begun + manifest.bytes) // max(done, 1)
                check_room(out.parent, bytes_a_row * (rows_to_come - done), 2)
                advance(done)
            rows.end()
        total = first + done
        manifest.write(_lines([(total, "", "table", f"sha256:{table.sha256}", total)]))
    return done


def _writer(
    file: NewFile, out: Path, stored: FileFormat, example: pd.DataFrame, mark: bool
) -> CsvRows | ParquetRows:
    """Return the writer for the suffix of `out`."""
    suffix = out.suffix.lower()
    if suffix in PARQUET_SUFFIXES:
        return ParquetRows(file, stored.parquet or ParquetFormat.plain(example), mark=mark)
    delimiter: Delimiter = "\t" if suffix == ".tsv" else ","
    return CsvRows(file, stored.csv or plain_format(example, delimiter), mark)


def _lines(entries: Iterable[Sequence[object]]) -> bytes:
    """Return lines of the manifest."""
    lines = io.StringIO(newline="")
    csv.writer(lines).writerows(entries)
    return lines.getvalue().encode()


def _array(series: pd.Series, field: pa.Field) -> pa.Array:
    """Convert a column to the type in the file. Raises DataError if it does not fit."""
    try:
        return pa.array(series, type=field.type, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(
            f"new cells of column {field.name!r} do not fit its type {field.type}: {reason}. Fit a "
            "model to this very file."
        ) from None


def _row_groups(path: Path) -> Iterator[pa.Table]:
    try:
        with pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                yield file.read_row_group(group)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{str(path)!r} can no longer be read: {error}") from None
