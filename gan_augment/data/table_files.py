"""How a table file is written: as the one it was learned from, or plainly. Makes no cells itself.

`FileFormat` is kept with a model, so that its samples look like the training data's file.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan_augment.data.csv_files.format import CsvFormat, plain_format
from gan_augment.data.csv_files.reading import CsvSource
from gan_augment.data.csv_files.rows import CsvRows
from gan_augment.data.parquet_rows import ParquetRows, parquet_codecs
from gan_augment.data.table_export import Original, TableWriter, check_mark
from gan_augment.data.tables.containers import need_pyarrow
from gan_augment.data.tables.reader import CSV_SUFFIXES, PARQUET_SUFFIXES, ParquetSource
from gan_augment.errors import DataError, ModelFileError, UsageError
from gan_augment.frozen import Frozen
from gan_augment.storage.files import NewFile

if TYPE_CHECKING:
    import pandas as pd

Source = CsvSource | ParquetSource
NewWriter = Callable[[NewFile], TableWriter]


class ParquetFormat(Frozen):
    """How a Parquet file is written. arrow: its schema, as Arrow's own bytes in base64."""

    arrow: str
    codecs: dict[str, str] | str = "snappy"

    def arrow_schema(self) -> Any:
        """The pyarrow.Schema. Raises ModelFileError where it is none."""
        import pyarrow as pa

        try:
            return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(self.arrow, validate=True)))
        except (pa.ArrowException, binascii.Error, OSError) as error:
            raise ModelFileError(f"the format of the training file is damaged: {error}") from None


class FileFormat(Frozen):
    """How the training file was written: one of the two."""

    csv: CsvFormat | None = None
    parquet: ParquetFormat | None = None


def format_of(source: Source | None) -> FileFormat:
    """How a file that was read is written; nothing for tables that come from none."""
    if isinstance(source, CsvSource):
        return FileFormat(csv=source.format)
    if source is None:
        return FileFormat()
    arrow = base64.b64encode(source.schema.serialize().to_pybytes()).decode()
    return FileFormat(parquet=ParquetFormat(arrow=arrow, codecs=parquet_codecs(source.path)))


def check_out(out: Path, source: Source | None = None) -> None:
    """Raise UsageError where a table cannot be written to `out`, or behind `source` there."""
    suffix = out.suffix.lower()
    if suffix not in CSV_SUFFIXES + PARQUET_SUFFIXES:
        known = ", ".join(CSV_SUFFIXES + PARQUET_SUFFIXES)
        raise UsageError(f"OUT {str(out)!r} is no table; expected a file of {known}")
    parquet = suffix in PARQUET_SUFFIXES
    if parquet:
        need_pyarrow("Parquet files")
    if source is not None and parquet != isinstance(source, ParquetSource):
        raise UsageError(
            f"OUT {str(out)!r} is of another kind than DATA {str(source.path)!r}, whose rows are "
            "kept as they are; give it the same suffix."
        )


def new_writer(
    out: Path,
    stored: FileFormat,
    example: pd.DataFrame,
    *,
    mark: bool = False,
    escape_formulas: bool = False,
) -> NewWriter:
    """What writes `out`: in the stored format where its suffix is of that kind, else plainly.

    example: some rows with every column. Raises UsageError for a mark that is there already.
    """
    if mark:
        check_mark(list(example.columns))
    if out.suffix.lower() in PARQUET_SUFFIXES:
        if escape_formulas:
            raise UsageError("--escape-formulas is for CSV files; Parquet holds no formulas")
        how = stored.parquet
        schema = _plain_schema(example) if how is None else how.arrow_schema()
        codecs = "snappy" if how is None else how.codecs
        return lambda file: ParquetRows(file, schema, codecs=codecs, mark=mark)
    plain = plain_format(example, "\t" if out.suffix.lower() == ".tsv" else ",")
    lines = stored.csv or plain
    return lambda file: CsvRows(file, lines, mark=mark, escape_formulas=escape_formulas)


def original_of(source: Source) -> Original:
    """A file that was read, as the table to put rows behind."""

    def copy(rows: TableWriter) -> None:
        if isinstance(source, CsvSource):
            assert isinstance(rows, CsvRows)
            rows.copy(source)
            return
        assert isinstance(rows, ParquetRows)
        if rows.copy(source.path) != source.rows:
            raise DataError(f"{str(source.path)!r} was changed since it was read; begin again.")

    return Original(source.path.name, source.rows, copy)


def _plain_schema(example: pd.DataFrame) -> Any:
    """The Arrow schema of a frame; a column without any value is of texts."""
    import pyarrow as pa

    schema = pa.Schema.from_pandas(example, preserve_index=False)
    fields = [f.with_type(pa.string()) if pa.types.is_null(f.type) else f for f in schema]
    return pa.schema(fields)
