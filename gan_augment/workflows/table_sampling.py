"""`sample` for tables: exact counts from a trained run into one file, the same bytes every time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import ValidationError

from gan_augment.data.tables.columns import joined
from gan_augment.data.tables.export import (
    FileFormat,
    NewRows,
    check_out,
    new_writer,
    write_table,
)
from gan_augment.data.tables.schema import TableSchema
from gan_augment.errors import ModelFileError
from gan_augment.progress import Progress
from gan_augment.workflows.model_facts import model_folder
from gan_augment.workflows.output_file import check_not_there, output_file
from gan_augment.workflows.run_folder import FILE_FORMAT
from gan_augment.workflows.sampling import SampleResult
from gan_augment.workflows.table_augmenting import ROWS_AT_ONCE
from gan_augment.workflows.table_samples import RowSource

if TYPE_CHECKING:
    import pandas as pd

    from gan_augment.synthesizers.tabular_gan import TabularGAN


def sample_table(
    run: Path,
    out: Path,
    wanted: Mapping[str, int],
    *,
    seed: int,
    mark: bool,
    escape_formulas: bool,
    overwrite: bool,
    resume: bool,
    progress: Progress,
) -> SampleResult:
    """Write `wanted` = {class: n >= 1} rows to `out`, every column of the training file.

    A CSV is written as the one that the run learned from, a Parquet file with its schema. Row i of
    a class depends on the run, the seed and i only, but for id-like columns, which are numbered
    through the whole file. A stopped call left nothing: with `resume` it is done again.
    Raises UsageError, OutputExistsError, ModelFileError, WriteFailedError.
    """
    from gan_augment.synthesizers.tabular_gan import TabularGAN

    started = time.monotonic()
    check_out(out)
    with output_file(out, "sample", resume=resume, overwrite=overwrite):
        gan = TabularGAN.load(model_folder(run))
        writer = new_writer(
            out, file_format(run), _example(gan), mark=mark, escape_formulas=escape_formulas
        )
        progress.phase("sampling", sum(wanted.values()))
        check_not_there(out, overwrite=overwrite)
        rows = _new_rows(gan, gan.schema_, wanted, seed, run.name)
        write_table(out, writer, rows, advance=progress.advance)
    seconds = time.monotonic() - started
    return SampleResult(out, run, dict(wanted), 0, seed, seconds, unit="rows")


def file_format(run: Path) -> FileFormat:
    """How the file that a run learned from is written; nothing known for a model alone."""
    path = model_folder(run).parent / FILE_FORMAT
    try:
        return FileFormat.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return FileFormat()
    except (OSError, ValidationError) as error:
        raise ModelFileError(
            f"{str(path)!r} cannot be read ({type(error).__name__}); remove it to have plain CSV."
        ) from None


def _example(gan: TabularGAN) -> pd.DataFrame:
    name = next(iter(gan.classes_))
    return joined(gan.sample_range(name, 0, 1), np.zeros(1, dtype=np.int64), gan.schema_)


def _new_rows(
    gan: RowSource, schema: TableSchema, wanted: Mapping[str, int], seed: int, model: str
) -> Iterator[NewRows]:
    number, names = 0, list(gan.classes_)
    for name, n in wanted.items():
        labels = np.full(min(n, ROWS_AT_ONCE), names.index(name), dtype=np.int64)
        for start in range(0, n, ROWS_AT_ONCE):
            stop = min(start + ROWS_AT_ONCE, n)
            frame = gan.sample_range(name, start, stop, random_state=seed, first_id=number)
            whole = joined(frame, labels[: stop - start], schema)
            yield NewRows(whole, name, "synthetic", model, start)
            number += stop - start
