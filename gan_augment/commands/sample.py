"""`sample`: draw exact counts from a trained run into a folder or a file."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from gan_augment.commands.source import read_meta
from gan_augment.commands.writing import (
    FILE_FORMAT,
    Result,
    next_command,
    output,
    write_drawn,
)
from gan_augment.data.tables.columns import as_columns_of, joined, with_new_ids
from gan_augment.data.tables.csv import Dialect
from gan_augment.data.tables.export import NewRows, check_out, write_table
from gan_augment.data.topup_plan import Block, check_planned, choose_classes, plan_topup
from gan_augment.errors import ModelFileError, UsageError, unknown_class
from gan_augment.generators import load_model, model_path
from gan_augment.generators.generator import checked_counts
from gan_augment.input_files import read_regular
from gan_augment.kinds import kind_named
from gan_augment.kinds.kind import Labelled
from gan_augment.options import TopUp
from gan_augment.progress import Progress

if TYPE_CHECKING:
    from gan_augment.data.tables.schema import TableSchema
    from gan_augment.generators.tabular_gan import TabularGAN

__all__ = ["SampleResult", "plan_sample", "sample"]

ROWS_AT_ONCE = 16_384
"""Rows of a table that are drawn together: whole blocks of its sampler."""


class SampleResult(Result):
    """What was drawn. counts: {class: rows}. unit: the plural noun for rows."""

    out: Path
    run: Path
    counts: dict[str, int]
    seed: int
    seconds: float
    unit: str = "images"

    def lines(self) -> list[str]:
        rows = [f"  {name}: {n}" for name, n in self.counts.items()]
        return [f"{sum(self.counts.values())} synthetic {self.unit}, {self.seconds:.1f} s", *rows]


def sample(
    run: str | Path,
    out: str | Path,
    *,
    counts: Mapping[str, int] | int | None = None,
    classes: str | Sequence[str] | None = None,
    seed: int = 0,
    workers: int | None = None,
    mark: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> SampleResult:
    """Write `out/<class>/000000.png`, ... and `out/manifest.csv` with images of a trained run.

    Windows of signals become .npy or .wav files, as in the training data. For a table, `out` is one
    CSV or Parquet file with `out.manifest.csv`. Row i of a class depends on the run, the seed and i
    only. An interrupted call leaves nothing.

    - run, out: The folder of the run, or a saved model; the folder or file to write.
    - counts: Rows of each class {name: n}, or one number for every class of `classes`. None brings
      each of them level with the largest class.
    - classes: As in `fit`; None for the classes that the run was fitted to top up.
    - seed, workers: The seed of the rows, and the threads that draw images; None for one per core.
    - mark, overwrite, progress: Whether a table gets a last column `origin`, an earlier output is
      replaced; shows progress.

    Raises GanAugmentError (among them TooFewAcceptedError for a class that the model cannot draw).
    """
    run, out, progress = Path(run), Path(out), progress or Progress()
    meta, started_s = read_meta(run), time.monotonic()
    wanted = plan_sample(run, counts=counts, classes=classes)
    check_planned(sum(wanted.values()))
    if meta.hardly_trained:
        progress.warn(meta.hardly_trained)
    table = kind_named(meta.kind).tabular
    if table:
        check_out(out)
    elif mark:
        raise UsageError(f"--mark is for tables, and this run is of {meta.unit}")
    with output(out, table=table, overwrite=overwrite) as part:
        gan: Any = load_model(run, threads=1)
        how: dict[str, Any] = {"seed": seed, "progress": progress}
        if table:
            _write_table(part / out.name, gan, run, wanted, mark=mark, **how)
        else:
            write_drawn(part, gan, run.name, wanted, workers=workers, **how)
    seconds = round(time.monotonic() - started_s, 3)
    drawn: dict[str, Any] = {"out": out, "run": run, "counts": wanted, "seed": seed}
    then = next_command("inspect", run)
    return SampleResult(**drawn, seconds=seconds, unit=meta.unit, following=then)


def plan_sample(
    run: str | Path,
    *,
    counts: Mapping[str, int] | int | None = None,
    classes: str | Sequence[str] | None = None,
) -> dict[str, int]:
    """Return the rows that `sample` would draw, {class: n}. Writes nothing."""
    meta = read_meta(run)
    unit = meta.unit
    if isinstance(counts, Mapping):
        if classes is not None:
            raise UsageError("counts by class and classes were both given; the counts name them")
        return wanted_rows(counts, meta.classes, unit)
    selected = meta.topped_up if classes is None else choose_classes(classes, meta.classes)
    plan = plan_topup(meta.classes, TopUp(synthetic_share=1.0, companions=False), selected)
    wanted = {c: plan[c].added if counts is None else counts for c in selected}
    return wanted_rows(wanted, meta.classes, unit)


def wanted_rows(counts: Mapping[str, int], known: Mapping[str, int], unit: str) -> dict[str, int]:
    """Return the counts {class: n} without zeros.

    Raises UnknownClassError for a class that is not in `known`, and UsageError if a number is
    invalid or nothing is left.
    """
    for name in counts:
        if name not in known:
            raise unknown_class(name, known)
    wanted = {name: n for name, n in checked_counts(counts).items() if n}
    if not wanted:
        raise UsageError(f"there is nothing to draw; say how many {unit}, such as --counts 100")
    return wanted


def _write_table(
    file: Path,
    gan: TabularGAN,
    run: Path,
    counts: Mapping[str, int],
    *,
    seed: int,
    mark: bool,
    progress: Progress,
) -> None:
    """Write all rows as one table, in the dialect of the training file."""
    names, total = list(gan.classes_), sum(counts.values())
    first = gan.rows(names[0], 0, 1, seed).frame
    generated = ((name, np.broadcast_to(np.int64(-1), n)) for name, n in counts.items())
    blocks = (Block(names.index(name), "synthetic", rows) for name, rows in generated)
    progress.phase("sampling", total)
    write_table(
        file,
        _dialect(run),
        joined(first, np.zeros(1, int), gan.schema_),
        table_rows(gan, blocks, names, gan.schema_, seed=seed, model=run.name),
        mark=mark,
        advance=progress.advance,
    )


def table_rows(
    gan: TabularGAN | None,
    blocks: Iterable[Block],
    names: Sequence[str],
    schema: TableSchema,
    *,
    seed: int,
    model: str,
    data: Labelled | None = None,
) -> Iterator[NewRows]:
    """Yield the rows of blocks in chunks; ids are numbered through all of them.

    names: the class names by label. model: the name of the run. data: the rows that are repeated.
    """
    done = 0
    for block in blocks:
        name = names[block.label]
        for start in range(0, len(block.source), ROWS_AT_ONCE):
            rows = block.source[start : start + ROWS_AT_ONCE]
            source: str | list[str] = model
            if block.origin == "repeat":
                assert data is not None
                frame = data.frame.iloc[rows].reset_index(drop=True)
                source, origins = data.ids[rows].tolist(), ["repeat"] * len(rows)
            else:
                assert gan is not None
                frame = gan.rows(name, start, start + len(rows), seed).frame
                frame = as_columns_of(frame, gan.schema_, schema)
                origins = ["synthetic"] * len(rows)
            like = frame if data is None else data.frame
            frame = with_new_ids(frame, schema, like, done, origins)
            whole = joined(frame, np.full(len(rows), block.label), schema)
            yield NewRows(whole, name, block.origin, source, start)
            done += len(rows)


def _dialect(run: Path) -> Dialect | None:
    """Return the dialect of the CSV that a run learned from; None for other data."""
    path = model_path(run).parent / FILE_FORMAT
    try:
        return Dialect.model_validate_json(read_regular(path))
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise ModelFileError(
            f"{str(path)!r} cannot be read ({type(error).__name__}); remove it to have plain CSV."
        ) from None
