"""`fit`: read, plan, train in a run folder, draw `samples.png`. `plan_fit`: only the plan."""

from __future__ import annotations

import shlex
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gan_augment.config import FitOptions, Recipe
from gan_augment.data.contact_sheet import SheetRow, contact_sheet
from gan_augment.data.contract import LabelledImages
from gan_augment.data.export import png_bytes
from gan_augment.data.readers import ReadImages, data_sha256, read_as_asked
from gan_augment.data.strategy import choose_classes, explain_rare
from gan_augment.devices import Machine, choose_machine
from gan_augment.errors import DivergedError, ModelFileError, UsageError
from gan_augment.progress import Progress, Silent
from gan_augment.randomness import generator
from gan_augment.recipes import resolve_recipe
from gan_augment.storage import load_bundle, write_file
from gan_augment.synthesizers.image_gan import ImageGAN
from gan_augment.synthesizers.model_file import NAME, ModelMeta
from gan_augment.training.callbacks import (
    Callback,
    HistoryFile,
    StopFlag,
    StopRequested,
    stop_on_signals,
)
from gan_augment.training.checkpoint import CheckpointStore
from gan_augment.workflows.output_folder import check_apart
from gan_augment.workflows.run_folder import (
    CHECKPOINTS,
    HISTORY,
    MODEL,
    SAMPLES,
    begun_with,
    check_classes,
    held,
    new_run_folder,
    remove_earlier_run,
    with_flips,
    write_settings,
)

SAMPLES_A_CLASS = 12
CLASSES_A_SHEET = 50


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
    run = _run_folder(data, out, resume=False)
    return _plan(data, read_as_asked(data, options), options, run)


def fit(
    data: str | Path,
    out: str | Path | None = None,
    options: FitOptions | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
    force: bool = False,
    read: ReadImages | None = None,
    progress: Progress | None = None,
    callbacks: Sequence[Callback] = (),
) -> FitResult:
    """Train a generator on a folder of classes, an image manifest or an `.npz`, into a run folder.

    out: the run folder, by default `runs/<name of data>`, then `-2`, `-3`. resume: go on with what
    `out` began, with its settings, to the very bytes of an undisturbed run (force: although data or
    settings changed). overwrite: replace an earlier run, once the data is read and can be used.
    read: `data`, read already. Ctrl-C and SIGTERM save a checkpoint and raise StopRequested.
    Raises the errors of `gan_augment.errors`; `rare` where no class is rare is a NoRareClassError.
    """
    asked, progress = options or FitOptions(), progress or Silent()
    run = _run_folder(data, out, resume)
    with held(run, resume=resume, overwrite=overwrite):
        options = begun_with(run, asked, force=force) if resume else asked
        read = read or read_as_asked(data, options, progress)
        if resume:
            options = check_classes(run, options, asked, read.data.counts, force=force)
        plan = _plan(data, read, options, run)
        if resume and not force and (done := _finished(plan, read)):
            progress.note(f"{str(run)!r} is finished; nothing is left to train")
            return done
        for line in plan.lines():
            progress.note(line)
        if overwrite and not resume:
            remove_earlier_run(run)
        with stop_on_signals() as stop:
            return _train(plan, read, callbacks, progress, stop, resume=resume, force=force)


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
    store, history = CheckpointStore(run / CHECKPOINTS), HistoryFile(run / HISTORY)
    if not resume:
        _write_settings(plan, options.steps)

    def begin(steps: int, machine: Machine) -> None:
        """Settings and the tail of the history, which a refused resume must not have touched."""
        newest = store.latest() if resume else None
        history.begin(newest.step if newest else 0)
        _write_settings(replace(plan, machine=machine), steps)

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
            on_steps=begin,
            progress=progress,
            stop=stop,
            original_size=_median_size(read),
            resize=options.resize,
        )
    except StopRequested as stopped:
        again = shlex.join(["gan-augment", "fit", plan.source, "--out", str(run), "--resume"])
        raise StopRequested(stopped.signal, f"go on with: {again}") from None
    except DivergedError:
        if hasattr(gan, "meta_"):
            _write_model(gan, plan, read)
        raise
    progress.phase("writing the model")
    return _write_model(gan, plan, read)


def _write_model(gan: ImageGAN, plan: FitPlan, read: ReadImages) -> FitResult:
    """The model, replacing one that is there, then the picture of its samples."""
    gan.save(plan.run / MODEL)
    write_file(plan.run / SAMPLES, png_bytes(samples_sheet(gan, read.data)))
    return _result(plan, gan.meta_)


def _finished(plan: FitPlan, read: ReadImages) -> FitResult | None:
    """The result of a run that has nothing left to do, None for any other."""
    steps = CheckpointStore(plan.run / CHECKPOINTS).newest_step
    if steps is None or steps != plan.options.steps or not (plan.run / SAMPLES).is_file():
        return None
    try:
        _, meta = load_bundle(plan.run / MODEL, NAME, schema=ModelMeta)
    except ModelFileError:
        return None
    same = meta.steps == steps and meta.data_sha256 == data_sha256(read.data)
    return _result(plan, meta) if same else None


def _result(plan: FitPlan, meta: ModelMeta) -> FitResult:
    return FitResult(plan.run, meta.steps, meta.score.value, meta.chosen, plan.notes)


def samples_sheet(gan: ImageGAN, data: LabelledImages) -> NDArray[np.uint8]:
    """Per class reals above synthetics, topped-up classes first, 50 at most; uint8 (H, W, 3)."""
    rows = []
    first = sorted(gan.classes_, key=lambda name: name not in gan.topped_up_)
    for name in first[:CLASSES_A_SHEET]:
        own = np.flatnonzero(data.labels == data.names.index(name))
        if len(own):
            shown = generator(0, "samples sheet", name).permutation(own)[:SAMPLES_A_CLASS]
            real = data.pixels[np.sort(shown)]  # rows that follow each other may be alike
            made = gan.sample_range(name, 0, SAMPLES_A_CLASS)
            rows.append(SheetRow(name, len(own), real, made))
    return contact_sheet(rows, columns=SAMPLES_A_CLASS)


def _plan(data: str | Path, read: ReadImages, options: FitOptions, run: Path) -> FitPlan:
    counts = read.data.counts
    topped_up = choose_classes(options.classes, counts)
    recipe = with_flips(resolve_recipe(options.recipe), options.flips)
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
    if resume and out is None:
        raise UsageError("--resume needs --out RUN, the folder of the run that was stopped")
    run = new_run_folder(data) if out is None else Path(out)
    check_apart(Path(data), run)
    return run


def _write_settings(plan: FitPlan, steps: int | None) -> None:
    """The settings as they were decided; `steps` are known once a budget has become steps."""
    options = plan.options.model_copy(update={"steps": steps, "classes": plan.topped_up})
    write_settings(plan.run, plan.source, options, plan.recipe, plan.machine)


def _median_size(read: ReadImages) -> tuple[int, int]:
    entries = read.scan.entries
    height = statistics.median_low([entry.height for entry in entries])
    width = statistics.median_low([entry.width for entry in entries])
    return int(height), int(width)
