"""Rows into a Parquet file: behind the row groups of the original, or in a file of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from gan_augment.data.csv_files.format import MARK
from gan_augment.errors import DataError
from gan_augment.storage.files import NewFile

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

ROWS_A_GROUP = 131_072


class ParquetRows:
    """Writes a table as Parquet with a given schema, its metadata included.

    codecs: {path of a column: compression}, or one for all. mark: with a last boolean column
    `synthetic`. Columns that the frames lack (a stored index) are null in new rows. New rows are
    gathered to row groups of their own.
    """

    def __init__(
        self,
        file: NewFile,
        schema: pa.Schema,
        *,
        codecs: str | dict[str, str] = "snappy",
        mark: bool = False,
    ) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._mark = mark
        self._schema = schema.append(pa.field(MARK, pa.bool_())) if mark else schema
        self._writer = pq.ParquetWriter(file, self._schema, compression=codecs)
        self._waiting: list[pa.Table] = []

    def begin(self) -> None:
        """Nothing: the schema stands at the end of a Parquet file."""

    def copy(self, path: Path) -> int:
        """The original's values, row group by row group, in its order; returns its rows."""
        rows = 0
        for table in _row_groups(path):
            self._writer.write_table(self._marked(table, False), table.num_rows or 1)
            rows += len(table)
        return rows

    def add(self, frame: pd.DataFrame) -> None:
        """New rows; columns are found by the text of their names."""
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
        """The last row group, and the description of the file."""
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
    """A column in the file's own type. Raises DataError where it does not fit."""
    import pyarrow as pa

    try:
        return pa.array(series, type=field.type, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(
            f"new cells of column {field.name!r} do not fit its type {field.type}: {reason}. Fit a "
            "model to this very file."
        ) from None


def parquet_codecs(path: Path) -> str | dict[str, str]:
    """The compression of each column of a file, as its first row group has it."""
    import pyarrow.parquet as pq

    about = pq.read_metadata(path)
    if not about.num_row_groups:
        return "snappy"
    group = about.row_group(0)
    columns = (group.column(i) for i in range(group.num_columns))
    return {c.path_in_schema: _codec(c.compression) for c in columns}


def _codec(name: str) -> str:
    return "none" if name == "UNCOMPRESSED" else name.lower()


def _row_groups(path: Path) -> Iterator[pa.Table]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            groups = range(file.num_row_groups)
            for group in groups:
                yield file.read_row_group(group)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{str(path)!r} can no longer be read: {error}") from None
