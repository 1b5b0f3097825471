"""`augment` for tables: the original as it is, new rows behind it. Training is in `fitting`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gan_augment.config import FitOptions, TopUp
from gan_augment.data.tables.columns import joined, with_new_ids
from gan_augment.data.tables.csv import MARK
from gan_augment.data.tables.export import (
    AddedOrigin,
    FileFormat,
    NewRows,
    check_mark,
    check_out,
    manifest_path,
    new_writer,
    write_table,
)
from gan_augment.data.tables.reader import ReadTable
from gan_augment.data.topup_plan import TopUpPlan, repeated_rows
from gan_augment.progress import Progress, Silent
from gan_augment.workflows.matching import as_the_table_model, check_table_fits
from gan_augment.workflows.model_facts import model_folder, table_facts
from gan_augment.workflows.output_file import check_file_apart, check_not_there, output_file
from gan_augment.workflows.reading import read_as_asked
from gan_augment.workflows.table_samples import RowSource
from gan_augment.workflows.topping_up import (
    AugmentResult,
    Job,
    job_of,
    made_from,
    trained_model,
)

if TYPE_CHECKING:
    import pandas as pd

ROWS_AT_ONCE = 16_384  # whole blocks of the sampler


@dataclass(frozen=True)
class TableCall:
    """How a table is to be topped up. mark: with a last column `synthetic`.

    escape_formulas: put `'` before texts of new rows that a spreadsheet would compute.
    """

    top_up: TopUp
    options: FitOptions
    mark: bool = False
    escape_formulas: bool = False
    resume: bool = False
    overwrite: bool = False


def augment_table(
    source: Path,
    out: Path,
    call: TableCall,
    *,
    model: str | Path | None = None,
    run: str | Path | None = None,
    progress: Progress,
) -> AugmentResult:
    """Write `out`: the rows of `source` byte for byte (Parquet: value for value), new ones behind.

    A CSV's new lines are written as its own; Parquet gets row groups of the same schema. With
    `call.mark` every line has one cell more. Id-like columns are numbered on through all new rows,
    repeats too. Raises what `augment` raises.
    """
    options = call.options
    facts = table_facts(Path(model)) if model else None
    if facts:
        options = as_the_table_model(options, facts)
    check_out(out)
    check_file_apart(source, out)
    with output_file(out, "augment", resume=call.resume, overwrite=call.overwrite) as output:
        read = read_as_asked(source, options, progress)
        assert isinstance(read, ReadTable)
        check_out(out, read.source)
        if call.mark:
            check_mark([*read.schema.names, options.target])
        if facts:
            check_table_fits(read, facts)
        job = job_of(source, out, read, call.top_up, options, progress)
        marks = {"mark": call.mark, "escape_formulas": call.escape_formulas}
        described = made_from(job, call.top_up, options, model, **marks)
        if model:
            trained = Path(model)
            output.describe(described)
            for note in read.notes:
                progress.note(note)
        else:
            trained = trained_model(
                output, described, job, read, options, run, call.overwrite, progress
            )
        check_not_there(out, overwrite=call.overwrite)
        _write(job, read, trained, call, progress)
    return AugmentResult(
        out=out,
        run=trained,
        manifest=manifest_path(out),
        counts=job.plan.counts,
        refused=dict(job.plan.refused),
        warnings=tuple(job.warnings),
        notes=read.notes,
        unit="rows",
    )


def plan_rows(source: Path, out: Path, top_up: TopUp, options: FitOptions, run: Path) -> TopUpPlan:
    """How every class would end with rows of a trained run; for `plan_augment`."""
    facts = table_facts(run)
    options = as_the_table_model(options, facts)
    check_out(out)
    check_file_apart(source, out)
    read = read_as_asked(source, options)
    assert isinstance(read, ReadTable)
    check_out(out, read.source)
    check_table_fits(read, facts)
    return job_of(source, out, read, top_up, options, Silent()).plan


def _write(job: Job, read: ReadTable, trained: Path, call: TableCall, progress: Progress) -> None:
    from gan_augment.synthesizers.tabular_gan import TabularGAN

    assert read.source is not None
    if call.escape_formulas:
        job.warn(
            "texts of new rows that begin with = + - @ get a ' before them: these levels differ "
            "from the original's",
            progress,
        )
    if call.mark and job.out.suffix.lower() not in (".parquet", ".pq"):
        progress.note(f"every line of the original gets one cell more, {MARK!r}; the rest stays")
    table = read.table
    example = joined(table.frame.iloc[:1], table.labels[:1], read.schema)
    writer = new_writer(
        job.out,
        FileFormat.of(read.source),
        example,
        mark=call.mark,
        escape_formulas=call.escape_formulas,
    )
    gan = TabularGAN.load(model_folder(trained))
    added = job.plan.added
    progress.phase("writing rows", added)
    write_table(
        job.out,
        writer,
        _new_rows(job, read, gan, trained.name),
        original=read.source,
        advance=progress.advance,
    )


def _new_rows(job: Job, read: ReadTable, gan: RowSource, model: str) -> Iterator[NewRows]:
    """Class by class the repeats, then the generated rows, in chunks."""
    data, number = read.table, 0
    for label, (name, plan) in enumerate(job.plan.items()):
        again = repeated_rows(np.flatnonzero(data.labels == label), plan.repeats, name, job.seed)
        for start in range(0, len(again), ROWS_AT_ONCE):
            rows = again[start : start + ROWS_AT_ONCE]
            frame = data.frame.iloc[rows].reset_index(drop=True)
            whole = _finished(frame, label, read, number)
            yield NewRows(whole, name, "repeat", data.ids[rows].tolist(), start)
            number += len(rows)
        origin: AddedOrigin = "companion" if plan.companions else "synthetic"
        generated = plan.synthetic + plan.companions
        for start in range(0, generated, ROWS_AT_ONCE):
            stop = min(start + ROWS_AT_ONCE, generated)
            frame = gan.sample_range(name, start, stop, random_state=job.seed)
            yield NewRows(_finished(frame, label, read, number), name, origin, model, start)
            number += stop - start


def _finished(frame: pd.DataFrame, label: int, read: ReadTable, first: int) -> pd.DataFrame:
    """New rows with ids from number `first` on, and the target at its place."""
    numbered = with_new_ids(frame, read.schema, read.table.frame, first)
    return joined(numbered, np.full(len(frame), label, dtype=np.int64), read.schema)
