"""`augment`: from labelled data to a topped-up copy. Here for images; training is in `fitting`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from gan_augment.config import FitOptions, TopUp
from gan_augment.data.images.png_folder import ManifestRow, Origin, check_png_channels, safe_names
from gan_augment.data.images.reader import ReadImages
from gan_augment.data.topup_plan import TopUpPlan, repeated_rows
from gan_augment.errors import UsageError
from gan_augment.progress import Progress, Silent
from gan_augment.synthesizers.model_file import ModelMeta
from gan_augment.workflows.blocks import write_blocks
from gan_augment.workflows.matching import as_the_image_model, check_images_fit
from gan_augment.workflows.model_facts import image_facts, model_facts, model_folder
from gan_augment.workflows.originals import Originals, originals, repeat_name
from gan_augment.workflows.output_folder import OutputFolder, check_apart, output_folder
from gan_augment.workflows.reading import images_as_asked
from gan_augment.workflows.topping_up import (
    AugmentResult,
    Job,
    follow_model,
    job_of,
    made_from,
    trained_model,
)

__all__ = ["AugmentResult", "augment", "plan_augment"]

LARGER = 1.5  # originals beyond this many times the model's size look sharper than it can draw


def augment(
    data: str | Path,
    out: str | Path,
    *,
    model: str | Path | None = None,
    top_up: TopUp | None = None,
    options: FitOptions | None = None,
    resize_originals: bool = False,
    mark: bool = False,
    escape_formulas: bool = False,
    resume: bool = False,
    overwrite: bool = False,
    run: str | Path | None = None,
    progress: Progress | None = None,
) -> AugmentResult:
    """Write `out/<class>/` with the files of `data`, repeats and synthetic images, and a manifest.

    data: a folder of classes, a `.csv` manifest or an `.npz` file; it is only read. With
    `options.target`, or the model of a table, it is a table, and `out` a file of the same kind: the
    rows of `data` as they are, new rows behind them, `out.manifest.csv` beside it.
    model: a trained run to sample from; None trains one first, with `options`, into `run` (by
    default where `fit` puts it). With a model, classes "rare" means those it was fitted for.
    top_up: how many rows of which origin. resize_originals: write the originals at the model's
    size, as PNG. mark, escape_formulas: of tables, see `table_augmenting`. resume: go on where a
    stopped call with the same arguments was.
    Classes that the model refuses, or of one row, are filled with repeats, and a warning says so.
    Raises DataError, UsageError, OutputExistsError, WriteFailedError, and what `fit` raises.

    >>> import tempfile
    >>> import numpy as np
    >>> from gan_augment import FitOptions
    >>> rng = np.random.default_rng(0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     here = Path(folder)
    ...     x, y = rng.random((24, 8, 8)), ["good"] * 20 + ["bad"] * 4
    ...     np.savez(here / "parts.npz", x=x, y=y)
    ...     quick = FitOptions(steps=2, threads=1, selection=False)
    ...     done = augment(here / "parts.npz", here / "out", options=quick, run=here / "run")
    >>> done.counts["bad"]
    {'real': 4, 'repeat': 16, 'synthetic': 16, 'companion': 0}
    """
    source, out, progress = Path(data), Path(out), progress or Silent()
    top_up, options = top_up or TopUp(), options or FitOptions()
    facts = model_facts(Path(model)) if model else None
    if options.target is not None or (facts is not None and facts.kind == "table"):
        from gan_augment.workflows.table_augmenting import TableCall, augment_table

        how = TableCall(top_up, options, mark, escape_formulas, resume, overwrite)
        return augment_table(source, out, how, model=model, run=run, progress=progress)
    if mark or escape_formulas:
        raise UsageError("marks and escaped formulas are for tables: name the --target COLUMN")
    check_apart(source, out)
    about = image_facts(Path(model)) if model else None
    if about:
        options = as_the_image_model(options, about)
    with output_folder(out, "augment", resume=resume, overwrite=overwrite) as folder:
        read = images_as_asked(source, options, progress)
        check_png_channels(read.data.image_shape[2])
        if about:
            check_images_fit(read, about)
        job = job_of(source, out, read, top_up, options, progress)
        described = made_from(job, top_up, options, model, resize_originals=resize_originals)
        if model:
            trained = Path(model)
            folder.describe(described)
            for note in read.notes:
                progress.note(note)
        else:
            trained = trained_model(folder, described, job, read, options, run, overwrite, progress)
        follow_model(job, top_up, options, image_facts(trained), progress)
        if not resize_originals:
            _warn_of_size(job, read, image_facts(trained), progress)
        _write(folder, job, read, trained, resize_originals, options.workers, progress)
    return AugmentResult(
        out=out,
        run=trained,
        manifest=out / "manifest.csv",
        counts=job.plan.counts,
        refused=dict(job.plan.refused),
        warnings=tuple(job.warnings),
        notes=read.notes,
    )


def plan_augment(
    data: str | Path,
    out: str | Path,
    *,
    model: str | Path,
    top_up: TopUp | None = None,
    options: FitOptions | None = None,
) -> TopUpPlan:
    """How every class would end in `augment` with the same arguments. Writes nothing.

    No row is drawn, so a class that the model would refuse is not known yet. Raises what `augment`
    raises before it writes.
    """
    source, out, run = Path(data), Path(out), Path(model)
    top_up, options = top_up or TopUp(), options or FitOptions()
    if options.target is not None or model_facts(run).kind == "table":
        from gan_augment.workflows.table_augmenting import plan_rows

        return plan_rows(source, out, top_up, options, run)
    check_apart(source, out)
    facts = image_facts(run)
    options = as_the_image_model(options, facts)
    read = images_as_asked(source, options)
    check_images_fit(read, facts)
    job = job_of(source, out, read, top_up, options, Silent())
    follow_model(job, top_up, options, facts, Silent())
    return job.plan


def _warn_of_size(job: Job, read: ReadImages, facts: ModelMeta, progress: Progress) -> None:
    median, (height, width, _) = read.scan.sizes.get("median"), facts.image_shape
    if job.plan.generated and median and max(median[0] / height, median[1] / width) > LARGER:
        job.warn(
            f"the originals are {median[1]} x {median[0]} px (median), the synthetic images "
            f"{width} x {height} px: sharpness tells them apart, and a classifier may learn that. "
            "Pass --resize-originals (resize_originals=True), or train at a larger --image-size.",
            progress,
        )


def _write(
    folder: OutputFolder,
    job: Job,
    read: ReadImages,
    trained: Path,
    resized: bool,
    workers: int | None,
    progress: Progress,
) -> None:
    """Synthetic images first, since a refusal changes what is repeated; then the real ones."""
    files = originals(job.source, read.data, resized=resized)
    folders = safe_names(job.plan)
    rows = _rows(job, read, files, folders, trained)
    folder.plan([row for row, _ in rows])
    generated = [row for row, _ in rows if row.origin in ("synthetic", "companion")]
    progress.phase("sampling", len(generated))
    written = write_blocks(
        model_folder(trained),
        job.out,
        {name: [row.path for row in generated if row.label == name] for name in job.plan},
        seed=job.seed,
        workers=workers,
        keep=folder.resuming,
        advance=progress.advance,
    )
    if written.refused:
        job.refuse(written.refused, progress, late=True)
        rows = _rows(job, read, files, folders, trained)
        folder.plan([row for row, _ in rows])
    real = [(row, original) for row, original in rows if original is not None]
    progress.phase("copying originals", len(real))
    for done, (row, original) in enumerate(real, 1):
        files.write(original, job.out / row.path, folder.resuming)
        progress.advance(done)
    folder.finish([row for row, _ in rows])


def _rows(
    job: Job, read: ReadImages, files: Originals, folders: Mapping[str, str], trained: Path
) -> list[tuple[ManifestRow, int | None]]:
    """Every file of the output with the row of `data` that it shows, None for a generated one."""
    data = read.data
    rows: list[tuple[ManifestRow, int | None]] = []
    for label, (name, plan) in enumerate(job.plan.items()):
        own = np.flatnonzero(data.labels == label)
        below = folders[name]
        for row in own.tolist():
            path = f"{below}/{files.names[row]}"
            rows.append((ManifestRow(path, name, "real", str(data.ids[row])), row))
        for index, row in enumerate(repeated_rows(own, plan.repeats, name, job.seed).tolist()):
            path = f"{below}/{repeat_name(index, files.names[row])}"
            rows.append((ManifestRow(path, name, "repeat", str(data.ids[row]), index), row))
        origin: Origin = "companion" if plan.companions else "synthetic"
        for index in range(plan.synthetic + plan.companions):
            path = f"{below}/synthetic-{index:06d}.png"
            rows.append((ManifestRow(path, name, origin, trained.name, index), None))
    return rows
