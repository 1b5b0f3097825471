"""Parquet files: read with Arrow's types, and new rows behind the original's row groups."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan_augment.data.tables.containers import arrow_frame
from gan_augment.data.tables.csv import MARK
from gan_augment.errors import DataError, ModelFileError
from gan_augment.settings import Frozen
from gan_augment.storage.files import NewFile

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

ROWS_A_GROUP = 131_072


@dataclass(frozen=True)
class ParquetSource:
    """Describes a Parquet file that was read. schema: its pyarrow.Schema with metadata."""

    path: Path
    schema: Any
    rows: int


class ParquetFormat(Frozen):
    """Holds how a Parquet file is written.

    arrow: its schema, as Arrow's own bytes in base64. codecs: {path of a column: compression}, or
    one for all.
    """

    arrow: str
    codecs: dict[str, str] | str = "snappy"

    @classmethod
    def of(cls, schema: pa.Schema, codecs: dict[str, str] | str = "snappy") -> ParquetFormat:
        """Make the format of a schema, metadata included."""
        arrow = base64.b64encode(schema.serialize().to_pybytes()).decode()
        return cls(arrow=arrow, codecs=codecs)

    @classmethod
    def of_file(cls, source: ParquetSource) -> ParquetFormat:
        """Make the format of a file; columns are compressed as in its first row group."""
        import pyarrow.parquet as pq

        about = pq.read_metadata(source.path)
        if not about.num_row_groups:
            return cls.of(source.schema)
        group = about.row_group(0)
        columns = (group.column(i) for i in range(group.num_columns))
        names = {c.path_in_schema: c.compression for c in columns}
        codecs = {p: "none" if n == "UNCOMPRESSED" else n.lower() for p, n in names.items()}
        return cls.of(source.schema, codecs)

    @classmethod
    def plain(cls, example: pd.DataFrame) -> ParquetFormat:
        """Make the format of a frame; a column without any value is of texts."""
        import pyarrow as pa

        schema = pa.Schema.from_pandas(example, preserve_index=False)
        fields = [f.with_type(pa.string()) if pa.types.is_null(f.type) else f for f in schema]
        return cls.of(pa.schema(fields))

    def arrow_schema(self) -> pa.Schema:
        """Decode the Arrow schema. Raises ModelFileError where it is none."""
        import pyarrow as pa

        try:
            return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(self.arrow, validate=True)))
        except (pa.ArrowException, binascii.Error, OSError) as error:
            raise ModelFileError(f"the format of the training file is damaged: {error}") from None


def read_parquet(path: Path) -> tuple[pd.DataFrame, ParquetSource]:
    """Read a Parquet file as a frame of Arrow dtypes. Raises DataError."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(path).read()
    except OSError as error:
        why = error.strerror or error
        raise DataError(f"{str(path)!r} cannot be read: {why}") from None
    except pa.ArrowException as error:
        raise DataError(f"{str(path)!r} is no readable Parquet file: {error}") from None
    return arrow_frame(table), ParquetSource(path, table.schema, table.num_rows)


class ParquetRows:
    """Writes a table as Parquet in a given format, the schema's metadata included.

    mark: with a last boolean column `synthetic`. Columns that the frames lack (a stored index) are
    null in new rows. New rows are gathered to row groups of their own.
    """

    def __init__(self, file: NewFile, parquet_format: ParquetFormat, *, mark: bool = False) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        schema = parquet_format.arrow_schema()
        self._mark = mark
        self._schema = schema.append(pa.field(MARK, pa.bool_())) if mark else schema
        self._writer = pq.ParquetWriter(file, self._schema, compression=parquet_format.codecs)
        self._waiting: list[pa.Table] = []

    def begin(self) -> None:
        """Do nothing: the schema stands at the end of a Parquet file."""

    def copy(self, source: ParquetSource) -> None:
        """Write the original's values, row group by row group, in its order."""
        rows = 0
        for table in _row_groups(source.path):
            self._writer.write_table(self._marked(table, False), table.num_rows or 1)
            rows += len(table)
        if rows != source.rows:
            raise DataError(f"{str(source.path)!r} was changed since it was read; begin again.")

    def add(self, frame: pd.DataFrame) -> None:
        """Write new rows; columns are found by the text of their names."""
        import pyarrow as pa

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
        """Write the last row group and the description of the file."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._waiting:
            table = pa.concat_tables(self._waiting).replace_schema_metadata(self._schema.metadata)
            self._writer.write_table(table, ROWS_A_GROUP)
            self._waiting.clear()

    def _marked(self, table: pa.Table, new: bool) -> pa.Table:
        import pyarrow as pa

        if self._mark:
            table = table.append_column(MARK, pa.array([new] * len(table), pa.bool_()))
        return table.cast(self._schema) if table.schema != self._schema else table


def _array(series: pd.Series, field: pa.Field) -> pa.Array:
    """Convert a column to the file's own type. Raises DataError where it does not fit."""
    import pyarrow as pa

    try:
        return pa.array(series, type=field.type, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(
            f"new cells of column {field.name!r} do not fit its type {field.type}: {reason}. Fit a "
            "model to this very file."
        ) from None


def _row_groups(path: Path) -> Iterator[pa.Table]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                yield file.read_row_group(group)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{str(path)!r} can no longer be read: {error}") from None
