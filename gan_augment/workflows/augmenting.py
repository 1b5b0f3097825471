"""`augment`: from a folder of images to a topped-up one. Training itself is in `fitting`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gan_augment.config import FitOptions, TopUp
from gan_augment.data.export import ManifestRow, Origin, check_png_channels
from gan_augment.data.names import safe_names
from gan_augment.data.readers import ReadImages, data_sha256, read_as_asked
from gan_augment.data.strategy import ClassPlan, choose_classes, targets
from gan_augment.errors import DataError, ResumeMismatchError
from gan_augment.progress import Progress, Silent
from gan_augment.synthesizers.model_file import ModelMeta
from gan_augment.workflows.blocks import blocks_of, write_blocks
from gan_augment.workflows.model_facts import model_facts, model_folder, model_sha256
from gan_augment.workflows.originals import Originals, originals, repeat_name, repeated_rows
from gan_augment.workflows.output_folder import OutputFolder, check_apart, output_folder

__all__ = ["AugmentResult", "augment"]

FEWEST_ROWS = 2  # interpolation and spread need a pair
LARGER = 1.5  # originals beyond this many times the model's size look sharper than it can draw


@dataclass(frozen=True)
class AugmentResult:
    """What the topped-up folder holds.

    counts: {class: {origin: files}}. refused: {class: why it was filled with repeats}. notes: on
    the data, as the scan found it.
    """

    out: Path
    run: Path
    counts: dict[str, dict[str, int]]
    refused: dict[str, str]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "out": str(self.out),
            "run": str(self.run),
            "manifest": str(self.out / "manifest.csv"),
            "counts": self.counts,
            "files": sum(sum(origins.values()) for origins in self.counts.values()),
            "refused": self.refused,
            "warnings": list(self.warnings),
            "notes": list(self.notes),
        }

    def lines(self) -> list[str]:
        """A table: a class a line, a column an origin."""
        wide = max((len(name) for name in self.counts), default=0)
        columns = ("real", "repeat", "synthetic", "companion")
        head = " ".join(f"{column:>9}" for column in (*columns, "total"))
        return [
            f"{'class':<{wide}} {head}",
            *(
                f"{name:<{wide}} "
                + " ".join(f"{n:>9}" for n in (*(of[c] for c in columns), sum(of.values())))
                for name, of in self.counts.items()
            ),
            f"model: {self.run}",
        ]


@dataclass
class _Job:
    """One augmentation under way: what was read, how every class ends, what to tell."""

    source: Path
    out: Path
    read: ReadImages
    plan: dict[str, ClassPlan]
    seed: int
    refused: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def refuse(self, refused: Mapping[str, str], progress: Progress) -> None:
        """Fill classes that cannot be generated with repeats, and say so once."""
        news = {name: why for name, why in refused.items() if name in self.plan}
        if not news:
            return
        for name in news:
            old = self.plan[name]
            repeats = old.repeats + old.synthetic + old.companions
            self.plan[name] = ClassPlan(old.real, repeats)
        self.refused |= news
        listed = "; ".join(f"{name!r}: {why}" for name, why in news.items())
        self.warn(f"filled with repeats of real images instead: {listed}", progress)

    def warn(self, text: str, progress: Progress) -> None:
        self.warnings.append(text)
        progress.warn(text)


def augment(
    data: str | Path,
    out: str | Path,
    *,
    model: str | Path | None = None,
    top_up: TopUp | None = None,
    options: FitOptions | None = None,
    resize_originals: bool = False,
    resume: bool = False,
    overwrite: bool = False,
    run: str | Path | None = None,
    progress: Progress | None = None,
) -> AugmentResult:
    """Write `out/<class>/` with the files of `data`, repeats and synthetic images, and a manifest.

    data: a folder of classes, a `.csv` manifest or an `.npz` file; it is only read.
    model: a trained run to sample from; None trains one first, with `options`, into `run` (by
    default where `fit` puts it). With a model, classes "rare" means those it was fitted for.
    top_up: how many rows of which origin. resize_originals: write the originals at the model's
    size, as PNG. resume: go on where a stopped call with the same arguments was.
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
    ...     quick = FitOptions(steps=2, threads=1)
    ...     done = augment(here / "parts.npz", here / "out", options=quick, run=here / "run")
    >>> done.counts["bad"]
    {'real': 4, 'repeat': 8, 'synthetic': 8, 'companion': 0}
    """
    source, out, progress = Path(data), Path(out), progress or Silent()
    top_up, options = top_up or TopUp(), options or FitOptions()
    check_apart(source, out)
    facts = model_facts(Path(model)) if model else None
    if facts:
        options = _as_the_model(options, facts)
    with output_folder(out, "augment", resume=resume, overwrite=overwrite) as folder:
        read = read_as_asked(source, options, progress)
        check_png_channels(read.data.image_shape[2])
        if facts:
            _check_fits(read, facts)
        job = _plan(source, out, read, top_up, options, progress)
        made_from = _made_from(job, top_up, options, resize_originals)
        made_from |= {"model": model_sha256(Path(model)) if model else None}
        if model:
            trained = Path(model)
            folder.describe(made_from)
            for note in read.notes:
                progress.note(note)
        else:
            trained = _trained(folder, made_from, source, read, options, run, overwrite, progress)
        if not resize_originals:
            _warn_of_size(job, model_facts(trained), progress)
        _write(folder, job, trained, resize_originals, options.workers, progress)
    return AugmentResult(out, trained, _counted(job), job.refused, tuple(job.warnings), read.notes)


def _as_the_model(options: FitOptions, facts: ModelMeta) -> FitOptions:
    height, width, _ = facts.image_shape
    classes = facts.topped_up if options.classes == "rare" else options.classes
    values = {"image_size": (height, width), "resize": facts.resize, "classes": classes}
    return options.model_copy(update=values)


def _plan(
    source: Path,
    out: Path,
    read: ReadImages,
    top_up: TopUp,
    options: FitOptions,
    progress: Progress,
) -> _Job:
    counts = read.data.counts
    plan = targets(counts, top_up, choose_classes(options.classes, counts))
    job = _Job(source, out, read, plan, options.seed)
    few = "it has 1 image, and a generator needs 2"
    single = [c for c, p in plan.items() if p.real < FEWEST_ROWS and p.synthetic + p.companions]
    job.refuse({name: few for name in single if counts[name]}, progress)
    return job


def _check_fits(read: ReadImages, facts: ModelMeta) -> None:
    unknown = [name for name in read.data.names if name not in facts.classes]
    if unknown:
        raise DataError(
            f"the model knows the classes {', '.join(facts.classes)}, not {', '.join(unknown)}, "
            "which the data holds; fit a model to this data."
        )
    given, known = read.data.image_shape[2], facts.image_shape[2]
    if given != known:
        raise DataError(
            f"the data has images of {given} channels, the model makes {known}; fit a model to it."
        )


def _made_from(
    job: _Job, top_up: TopUp, options: FitOptions, resize_originals: bool
) -> dict[str, Any]:
    free = {"workers", "threads", "device", "skip_bad"}
    return {
        "data": data_sha256(job.read.data),
        "top-up": top_up.model_dump(mode="json"),
        "options": options.model_dump(mode="json", exclude=free),
        "resize_originals": resize_originals,
    }


def _trained(
    folder: OutputFolder,
    made_from: dict[str, Any],
    source: Path,
    read: ReadImages,
    options: FitOptions,
    run: str | Path | None,
    overwrite: bool,
    progress: Progress,
) -> Path:
    """The run of a model of this data: fitted now, or what a stopped call began, finished."""
    from gan_augment.workflows.fitting import fit
    from gan_augment.workflows.run_folder import CONFIG, new_run_folder

    target = Path(folder.notes.get("run") or run or new_run_folder(source))
    check_apart(source, target)
    folder.describe(made_from, run=str(target))
    done = folder.notes.get("trained")
    if done is None or done != model_sha256(target):
        begun = folder.resuming and (target / CONFIG).is_file()
        replace = overwrite and run is not None
        fit(
            source,
            target,
            options,
            resume=begun,
            overwrite=replace,
            read=read,
            progress=progress,
        )
    trained = model_sha256(target)
    if done not in (None, trained):
        raise ResumeMismatchError(
            f"the run {str(target)!r} was changed since {str(folder.path)!r} was begun from it; "
            "give --overwrite, or choose another folder."
        )
    folder.describe(made_from, trained=trained)
    return target


def _warn_of_size(job: _Job, facts: ModelMeta, progress: Progress) -> None:
    median, (height, width, _) = job.read.scan.sizes.get("median"), facts.image_shape
    generated = any(plan.synthetic + plan.companions for plan in job.plan.values())
    if generated and median and max(median[0] / height, median[1] / width) > LARGER:
        job.warn(
            f"the originals are {median[1]} x {median[0]} px (median), the synthetic images "
            f"{width} x {height} px: sharpness tells them apart, and a classifier may learn that. "
            "Pass --resize-originals (resize_originals=True), or train at a larger --image-size.",
            progress,
        )


def _write(
    folder: OutputFolder,
    job: _Job,
    trained: Path,
    resized: bool,
    workers: int | None,
    progress: Progress,
) -> None:
    """Synthetic images first, since a refusal changes what is repeated; then the real ones."""
    files = originals(job.source, job.read.data, resized=resized)
    folders = safe_names(job.plan)
    rows = _rows(job, files, folders, trained)
    folder.plan([row for row, _ in rows])
    generated = [row for row, _ in rows if row.origin in ("synthetic", "companion")]
    progress.phase("sampling", len(generated))
    written = write_blocks(
        model_folder(trained),
        job.out,
        [
            block
            for name in job.plan
            for block in blocks_of(name, [row.path for row in generated if row.label == name])
        ],
        seed=job.seed,
        workers=workers,
        keep=folder.resuming,
        advance=progress.advance,
    )
    if written.refused:
        job.refuse(written.refused, progress)
        rows = _rows(job, files, folders, trained)
        folder.plan([row for row, _ in rows])
    real = [(row, original) for row, original in rows if original is not None]
    progress.phase("copying originals", len(real))
    for done, (row, original) in enumerate(real, 1):
        files.write(original, job.out / row.path, folder.resuming)
        progress.advance(done)
    folder.finish([row for row, _ in rows])


def _rows(
    job: _Job, files: Originals, folders: Mapping[str, str], trained: Path
) -> list[tuple[ManifestRow, int | None]]:
    """Every file of the output with the row of `data` that it shows, None for a generated one."""
    data = job.read.data
    rows: list[tuple[ManifestRow, int | None]] = []
    for label, (name, plan) in enumerate(job.plan.items()):
        own = np.flatnonzero(data.labels == label)
        below = folders[name]
        for row in own.tolist():
            path = f"{below}/{files.names[row]}"
            rows.append((ManifestRow(path, name, "real", str(data.ids[row])), row))
        for index, row in enumerate(repeated_rows(own, plan.repeats, name, job.seed)):
            path = f"{below}/{repeat_name(index, files.names[row])}"
            rows.append((ManifestRow(path, name, "repeat", str(data.ids[row]), index), row))
        origin: Origin = "companion" if plan.companions else "synthetic"
        for index in range(plan.synthetic + plan.companions):
            path = f"{below}/synthetic-{index:06d}.png"
            rows.append((ManifestRow(path, name, origin, trained.name, index), None))
    return rows


def _counted(job: _Job) -> dict[str, dict[str, int]]:
    return {
        name: {
            "real": plan.real,
            "repeat": plan.repeats,
            "synthetic": plan.synthetic,
            "companion": plan.companions,
        }
        for name, plan in job.plan.items()
    }
