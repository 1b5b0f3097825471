"""`sample`: draw exact counts from a trained run into a folder or a file."""

from __future__ import annotations

import reprlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from gan_augment.commands.source import Meta, model_sha256, read_meta
from gan_augment.commands.writing import FILE_FORMAT, Output, Result, draw_images, output
from gan_augment.data.images.png_folder import check_png_channels, safe_names
from gan_augment.data.tables.columns import joined
from gan_augment.data.tables.csv import Dialect
from gan_augment.data.tables.export import NewRows, check_out, write_table
from gan_augment.data.topup_plan import check_planned, choose_classes, plan_topup
from gan_augment.errors import ModelFileError, TooFewAcceptedError, UsageError, unknown_class
from gan_augment.generators import load_model, model_path
from gan_augment.input_files import read_regular
from gan_augment.kinds import kind_named
from gan_augment.kinds.image import IMAGE
from gan_augment.options import MOST, TopUp
from gan_augment.progress import Progress

if TYPE_CHECKING:
    from gan_augment.generators.image_gan import ImageGAN
    from gan_augment.generators.tabular_gan import TabularGAN

__all__ = ["SampleResult", "sample"]

ROWS_AT_ONCE = 16_384
"""Rows of a table that are drawn together: whole blocks of its sampler."""


@dataclass(frozen=True)
class SampleResult(Result):
    """What was drawn. counts: {class: rows}. unit: the plural noun for rows."""

    out: Path
    run: Path
    counts: dict[str, int]
    seed: int
    seconds: float
    unit: str = "images"

    @property
    def rate(self) -> float:
        """Return the rows generated and written per second, loading included."""
        return sum(self.counts.values()) / max(self.seconds, 1e-9)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON, with the total under the name of the unit."""
        total = {self.unit: sum(self.counts.values()), f"{self.unit}_per_s": round(self.rate, 1)}
        return {**super().to_dict(), **total, "seconds": round(self.seconds, 3)}

    def lines(self) -> list[str]:
        """Return the summary for people."""
        rows = [f"  {name}: {n}" for name, n in self.counts.items()]
        rate = f"{self.seconds:.1f} s, {self.rate:.0f} {self.unit}/s"
        return [f"{sum(self.counts.values())} synthetic {self.unit}, {rate}", *rows]


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
    only. The output is built in `OUT.part`; after an interruption the same call continues there.

    Parameters
    ----------
    run, out
        The folder of the run, or a saved model; the folder or file to write.
    counts
        Rows of each class {name: n}, or one number for every class of `classes`. None brings each
        of them level with the largest class.
    classes
        As in `fit`; None for the classes that the run was fitted to top up.
    seed, workers
        The seed of the rows, and the threads that draw images; None for one per core.
    mark, overwrite
        Whether a table gets a last column `synthetic`; whether an earlier output is replaced.
    progress
        Shows progress and notes.

    Raises
    ------
    GanAugmentError
        Among them TooFewAcceptedError for a class that the model cannot draw.
    """
    run, out, progress = Path(run), Path(out), progress or Progress()
    meta, started_s = read_meta(run), time.monotonic()
    target_counts = counts_to_draw(meta, counts, classes)
    check_planned(sum(target_counts.values()))
    table = kind_named(meta.kind).tabular
    made_from = {"model": model_sha256(run), "seed": seed, "counts": target_counts, "mark": mark}
    if table:
        check_out(out)
    elif mark:
        raise UsageError(f"--mark is for tables, and this run is of {meta.unit}")
    total = sum(target_counts.values())
    with output(out, "sample", table=table, overwrite=overwrite) as held:
        held.check_room(0, 2 if table else total)
        gan: Any = load_model(run, threads=1)
        held.describe(made_from)
        progress.phase("sampling", total)
        if table and not held.finished:
            _write_table(held, gan, run, target_counts, seed, mark, progress)
        elif not table:
            _write_folder(held, gan, run, target_counts, seed, workers, progress)
    return SampleResult(out, run, target_counts, seed, time.monotonic() - started_s, meta.unit)


def counts_to_draw(
    meta: Meta, counts: Mapping[str, int] | int | None, classes: str | Sequence[str] | None
) -> dict[str, int]:
    """Return the rows to draw {class: n}, n >= 1.

    Raises UnknownClassError, and UsageError if the numbers are invalid or nothing is left.
    """
    unit = meta.unit
    if isinstance(counts, Mapping):
        if classes is not None:
            raise UsageError("counts by class and classes were both given; the counts name them")
        target_counts = dict(counts)
    else:
        selected = meta.topped_up if classes is None else choose_classes(classes, meta.classes)
        level = TopUp(synthetic_share=1.0, companions=False)
        plan = plan_topup(meta.classes, level, selected)
        target_counts = {c: plan[c].added if counts is None else counts for c in selected}
    for name, n in target_counts.items():
        if name not in meta.classes:
            raise unknown_class(name, meta.classes)
        if isinstance(n, bool) or not isinstance(n, int) or not 0 <= n <= MOST:
            raise UsageError(
                f"{reprlib.repr(n)} {unit} of {name!r}; expected a whole number, 0 to {MOST:,}"
            )
    target_counts = {name: n for name, n in target_counts.items() if n}
    if not target_counts:
        raise UsageError(f"there is nothing to draw; say how many {unit}, such as --counts 100")
    return target_counts


def _write_folder(
    held: Output,
    gan: ImageGAN,
    run: Path,
    counts: Mapping[str, int],
    seed: int,
    workers: int | None,
    progress: Progress,
) -> None:
    """Write the images and the manifest, then raise for classes that the model refuses."""
    kind = kind_named(gan.meta_.kind)
    suffix = kind.suffix(gan.meta_.rate)
    if kind is IMAGE:
        check_png_channels(gan.image_shape_[2])
    below = safe_names(counts)
    paths = {c: [f"{below[c]}/{i:06d}{suffix}" for i in range(n)] for c, n in counts.items()}
    refused = draw_images(
        gan, held.part, paths, seed=seed, workers=workers, advance=progress.advance
    )
    held.finish_drawn(paths, refused, run)
    if refused:
        raise TooFewAcceptedError("; ".join(refused.values()))


def _write_table(
    held: Output,
    gan: TabularGAN,
    run: Path,
    counts: Mapping[str, int],
    seed: int,
    mark: bool,
    progress: Progress,
) -> None:
    first = gan.rows(next(iter(gan.classes_)), 0, 1, seed).frame
    write_table(
        held.part / held.path.name,
        _dialect(run),
        joined(first, np.zeros(1, int), gan.schema_),
        _table_rows(gan, counts, seed, run.name),
        mark=mark,
        rows_to_come=sum(counts.values()),
        advance=progress.advance,
    )
    held.finish_table()


def _table_rows(
    gan: TabularGAN, counts: Mapping[str, int], seed: int, model: str
) -> Iterator[NewRows]:
    """Yield the rows of every class in chunks; ids are numbered through all classes."""
    number, names = 0, list(gan.classes_)
    for name, n in counts.items():
        for start in range(0, n, ROWS_AT_ONCE):
            stop = min(start + ROWS_AT_ONCE, n)
            frame = gan.rows(name, start, stop, seed, first_id=number).frame
            labels = np.full(stop - start, names.index(name), dtype=np.int64)
            yield NewRows(joined(frame, labels, gan.schema_), name, "synthetic", model, start)
            number += stop - start


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
