"""`fit`: read, plan, train in a run folder, draw `samples.png`. `plan_fit`: only the plan."""

from __future__ import annotations

import contextlib
import json
import platform
import shutil
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gan_augment.config import FitOptions, Recipe, read_toml, to_toml
from gan_augment.data.contact_sheet import SheetRow, contact_sheet
from gan_augment.data.contract import LabelledImages
from gan_augment.data.export import png_bytes
from gan_augment.data.readers import ReadImages, read_images
from gan_augment.data.strategy import choose_classes, explain_rare
from gan_augment.devices import Machine, choose_machine
from gan_augment.errors import OutputExistsError, ResumeMismatchError, UsageError
from gan_augment.progress import Progress, Silent
from gan_augment.recipes import resolve_recipe
from gan_augment.storage import FolderLock, clean_stale, write_errors, write_file
from gan_augment.storage.lock import LOCK_FILE
from gan_augment.synthesizers.image_gan import ImageGAN
from gan_augment.training.callbacks import (
    Callback,
    HistoryFile,
    StopFlag,
    StopRequested,
    stop_on_signals,
)
from gan_augment.training.checkpoint import CheckpointStore

SAMPLES_A_CLASS = 12
CONFIG, HISTORY, SAMPLES, ENVIRONMENT = (
    "config.toml",
    "history.jsonl",
    "samples.png",
    "environment.json",
)
_OWN = ("model", "checkpoints", CONFIG, HISTORY, SAMPLES, ENVIRONMENT)


@dataclass(frozen=True)
class FitPlan:
    """What a fit would do: its data, its classes, its recipe, its machine, its folder."""

    source: str
    run: Path
    counts: dict[str, int]
    topped_up: tuple[str, ...]
    why: str
    image_shape: tuple[int, int, int]
    recipe: Recipe
    machine: Machine
    options: FitOptions
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "source": self.source,
            "run": str(self.run),
            "classes": self.counts,
            "topped_up": list(self.topped_up),
            "why": self.why,
            "image_shape": list(self.image_shape),
            "recipe": self.recipe.model_dump(mode="json"),
            "machine": self.machine.line(),
            "length": self.length,
            "notes": list(self.notes),
        }

    @property
    def length(self) -> str:
        """How long it trains, in words."""
        if self.options.steps is not None:
            return f"{self.options.steps} steps"
        if self.options.budget_s is not None:
            return f"as many steps as fit into {self.options.budget_s:g} s"
        return f"{self.recipe.steps} steps (the recipe's own)"

    def lines(self) -> list[str]:
        """The same for people, the machine first."""
        height, width, channels = self.image_shape
        return [
            self.machine.line(),
            f"{sum(self.counts.values())} images of {len(self.counts)} classes, "
            f"{width} x {height} px, channels {channels}",
            f"topped up: {', '.join(self.topped_up)}. {self.why}",
            f"recipe {self.recipe.name}, {self.length}; run folder {self.run}",
            *self.notes,
        ]


@dataclass(frozen=True)
class FitResult:
    """What a fit left. score: of the kept generator, lower is better; None: none was eligible."""

    run: Path
    steps: int
    score: float | None
    chosen: str
    warnings: tuple[str, ...] = ()

    @property
    def samples(self) -> Path:
        """The picture of reals above synthetics."""
        return self.run / SAMPLES

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "run": str(self.run),
            "samples": str(self.samples),
            "steps": self.steps,
            "score": self.score,
            "chosen": self.chosen,
            "warnings": list(self.warnings),
        }

    def lines(self) -> list[str]:
        """The same for people."""
        kept = "no scored generator was fit to keep; the last one was"
        if self.score is not None:
            kept = f"kept: {self.chosen} (held-out score {self.score:.4g}, lower is better)"
        return [f"{self.steps} steps; {kept}", f"look at {self.samples}"]


def plan_fit(
    data: str | Path, options: FitOptions | None = None, out: str | Path | None = None
) -> FitPlan:
    """Read the data and decide all that `fit` would decide before training. Writes nothing."""
    options = options or FitOptions()
    read = _read(data, options, Silent())
    return _plan(data, read, options, Path(out) if out else new_run_folder(data))


def fit(
    data: str | Path,
    out: str | Path | None = None,
    options: FitOptions | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
    force: bool = False,
    progress: Progress | None = None,
    callbacks: Sequence[Callback] = (),
) -> FitResult:
    """Train a generator on a folder of classes, an image manifest or an `.npz`, into a run folder.

    out: the run folder, by default `runs/<name of data>`, then `-2`, `-3`. resume: go on with what
    `out` began, with its settings, to the very bytes of an undisturbed run (force: although data or
    settings changed). overwrite: replace an earlier run. Ctrl-C and SIGTERM save a checkpoint and
    raise StopRequested.
    Raises the errors of `gan_augment.errors`; a class named `rare` that is none is a
    NoRareClassError.
    """
    options, progress = options or FitOptions(), progress or Silent()
    run = _run_folder(data, out, resume)
    with _held(run, resume=resume, overwrite=overwrite), stop_on_signals() as stop:
        if resume:
            options = _stored_options(run, options, force)
        read = _read(data, options, progress)
        plan = _plan(data, read, options, run)
        for line in plan.lines():
            progress.note(line)
        return _train(plan, read, callbacks, progress, stop, resume=resume, force=force)


def new_run_folder(data: str | Path) -> Path:
    """`runs/<name of data>`, or with the first free of -2, -3, ... behind it."""
    name = Path(data).resolve().stem if Path(data).is_file() else Path(data).resolve().name
    folder = Path("runs") / (name or "data")
    number = 2
    candidate = folder
    while candidate.exists():
        candidate = folder.with_name(f"{folder.name}-{number}")
        number += 1
    return candidate


def _train(
    plan: FitPlan,
    read: ReadImages,
    callbacks: Sequence[Callback],
    progress: Progress,
    stop: StopFlag,
    *,
    resume: bool,
    force: bool,
) -> FitResult:
    """Everything inside the run folder, which this process holds."""
    run, options = plan.run, plan.options
    store, history = CheckpointStore(run / "checkpoints"), HistoryFile(run / HISTORY)
    if not resume:
        _write_settings(plan, None)
    newest = store.latest() if resume else None
    with write_errors(run / HISTORY):
        history.begin(newest.step if newest else 0)
    gan = ImageGAN(
        recipe=plan.recipe,
        steps=options.steps,
        budget_s=options.budget_s,
        classes=plan.topped_up,
        device=options.device,
        precision=options.precision,
        threads=options.threads,
        random_state=options.seed,
        callbacks=[history, *callbacks],
    )
    try:
        gan.fit(
            read.data,
            checkpoints=store,
            resume=resume,
            force=force,
            on_steps=lambda steps, machine: _write_settings(replace(plan, machine=machine), steps),
            progress=progress,
            stop=stop,
            original_size=_median_size(read),
            resize=options.resize,
        )
    except StopRequested as stopped:
        hint = f"go on with: fit {plan.source} --out {run} --resume"
        raise StopRequested(stopped.signal, hint) from None
    progress.phase("writing the model")
    if (run / "model").exists():
        with write_errors(run):
            shutil.rmtree(run / "model")
    gan.save(run / "model")
    write_file(run / SAMPLES, png_bytes(samples_sheet(gan, read.data)))
    score = gan.meta_.score
    return FitResult(run, gan.steps_, score.value, gan.meta_.chosen, plan.notes)


def samples_sheet(gan: ImageGAN, data: LabelledImages) -> NDArray[np.uint8]:
    """Per class reals above synthetics, topped-up classes first; uint8 (H, W, 3)."""
    rows = []
    for name in sorted(gan.classes_, key=lambda name: name not in gan.topped_up_):
        own = np.flatnonzero(data.labels == data.names.index(name))
        if len(own):
            real = data.pixels[own[:SAMPLES_A_CLASS]]
            made = gan.sample_range(name, 0, SAMPLES_A_CLASS)
            rows.append(SheetRow(name, len(own), real, made))
    return contact_sheet(rows, columns=SAMPLES_A_CLASS)


def _read(data: str | Path, options: FitOptions, progress: Progress) -> ReadImages:
    return read_images(
        data,
        image_size=options.image_size,
        resize=options.resize,
        skip_bad=options.skip_bad,
        workers=options.workers,
        progress=progress,
    )


def _plan(data: str | Path, read: ReadImages, options: FitOptions, run: Path) -> FitPlan:
    counts = read.data.counts
    topped_up = choose_classes(options.classes, counts)
    recipe = resolve_recipe(options.recipe)
    if options.flips:
        flipping = recipe.augment.model_copy(update={"flips": True})
        recipe = recipe.model_copy(update={"augment": flipping})
    return FitPlan(
        source=str(data),
        run=run,
        counts=counts,
        topped_up=topped_up,
        why=explain_rare(counts),
        image_shape=read.data.image_shape,
        recipe=recipe,
        machine=choose_machine(options.device, options.precision, options.threads),
        options=options,
        notes=read.notes,
    )


def _run_folder(data: str | Path, out: str | Path | None, resume: bool) -> Path:
    if out is not None:
        return Path(out)
    if resume:
        raise UsageError("--resume needs --out RUN, the folder of the run that was stopped")
    return new_run_folder(data)


@contextlib.contextmanager
def _held(run: Path, *, resume: bool, overwrite: bool) -> Iterator[None]:
    """Hold the run folder for this process, empty or as `resume` and `overwrite` allow."""
    if run.exists() and not run.is_dir():
        raise OutputExistsError(f"{str(run)!r} is a file; expected the path of a folder.")
    new = not run.exists()
    try:
        with FolderLock(run):
            clean_stale(run)
            if resume and not (run / CONFIG).is_file():
                raise ResumeMismatchError(
                    f"{str(run)!r} holds no run to resume; leave out --resume"
                )
            if not resume:
                _make_room(run, overwrite)
            yield
    finally:
        if new:
            with contextlib.suppress(OSError):
                run.rmdir()  # only if nothing was written


def _make_room(run: Path, overwrite: bool) -> None:
    there = {entry.name for entry in run.iterdir()} - {LOCK_FILE}
    if there and not overwrite:
        raise OutputExistsError(
            f"{str(run)!r} is not empty. Choose another --out, or --resume to go on with its run, "
            "or --overwrite to replace it."
        )
    if there and CONFIG not in there:
        raise OutputExistsError(
            f"{str(run)!r} holds no run, and --overwrite replaces only runs. Choose another --out."
        )
    with write_errors(run):
        for name in there & set(_OWN):
            path = run / name
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _write_settings(plan: FitPlan, steps: int | None) -> None:
    """config.toml, once before training and again when a budget has become steps."""
    options = plan.options.model_dump(mode="json", exclude={"recipe"})
    if steps is not None:
        options["steps"] = steps
    options["classes"] = list(plan.topped_up)
    values = {
        "data": plan.source,
        "fit": options,
        "resolved": {"precision": plan.machine.precision, "threads": plan.machine.threads},
        "recipe": plan.recipe.model_dump(mode="json"),
    }
    write_file(plan.run / CONFIG, to_toml(values).encode())
    environment = {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "machine": plan.machine.line(),
        "versions": {name: _version(name) for name in ("gan-augment", "torch", "numpy", "pillow")},
    }
    write_file(plan.run / ENVIRONMENT, (json.dumps(environment, indent=1) + "\n").encode())


def _stored_options(run: Path, asked: FitOptions, force: bool) -> FitOptions:
    """The settings a run began with. What was asked must be the same, or left at its default."""
    values = read_toml(run / CONFIG)
    stored = FitOptions.checked(values.get("fit", {}), str(run / CONFIG))
    recipe = Recipe.checked(values.get("recipe", {}), str(run / CONFIG))
    defaults = FitOptions()
    free = {"budget_s", "workers", "skip_bad", "recipe", "classes", "device"}
    for name in set(FitOptions.model_fields) - free:
        mine, theirs = getattr(asked, name), getattr(stored, name)
        if mine not in (getattr(defaults, name), theirs) and not force:
            raise ResumeMismatchError(
                f"{str(run)!r} was begun with {name} = {theirs!r}, not {mine!r}; leave it out, "
                "start a new run, or give --force."
            )
    resolved = values.get("resolved", {})
    pinned = {name: resolved.get(name, getattr(stored, name)) for name in ("precision", "threads")}
    update = {**pinned, "recipe": recipe, "workers": asked.workers}
    return stored.model_copy(update=update)


def _median_size(read: ReadImages) -> tuple[int, int]:
    entries = read.scan.entries
    height = statistics.median_low([entry.height for entry in entries])
    width = statistics.median_low([entry.width for entry in entries])
    return int(height), int(width)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
