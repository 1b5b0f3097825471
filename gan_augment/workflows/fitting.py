"""`fit`: read, plan, train in a run folder, show samples. `plan_fit`: only the plan.

What depends on the kind of data is in `image_task.py` and `table_task.py`.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gan_augment.config import FitOptions
from gan_augment.data.images.reader import ReadImages
from gan_augment.data.tables.reader import ReadTable
from gan_augment.data.topup_plan import choose_classes, explain_rare
from gan_augment.devices import ComputeConfig
from gan_augment.errors import DivergedError, ModelFileError, UsageError
from gan_augment.progress import Progress, Silent
from gan_augment.recipes import Recipe
from gan_augment.training.callbacks import (
    Callback,
    HistoryFile,
    StopFlag,
    StopRequested,
    stop_on_signals,
)
from gan_augment.training.checkpoint import CheckpointStore
from gan_augment.workflows.output_folder import check_apart
from gan_augment.workflows.reading import read_as_asked
from gan_augment.workflows.run_folder import (
    CHECKPOINTS,
    HISTORY,
    begun_with,
    check_classes,
    held,
    new_run_folder,
    remove_earlier_run,
    write_settings,
)
from gan_augment.workflows.tasks import Described, Fit, Task, task_of


@dataclass(frozen=True)
class FitPlan:
    """What a fit would do: its data, its classes, its recipe, its machine, its folder."""

    source: str
    run: Path
    task: Task
    counts: dict[str, int]
    topped_up: tuple[str, ...]
    why: str
    recipe: Recipe
    machine: ComputeConfig
    options: FitOptions

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on the data."""
        return self.task.notes

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "source": self.source,
            "run": str(self.run),
            "classes": self.counts,
            "topped_up": list(self.topped_up),
            "why": self.why,
            **self.task.facts(),
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
        return self.task.length(self.recipe)

    def lines(self) -> list[str]:
        """The same for people, the machine first."""
        return [
            self.machine.line(),
            self.task.in_words(),
            f"topped up: {', '.join(self.topped_up)}. {self.why}",
            f"recipe {self.recipe.name}, {self.length}; run folder {self.run}",
            *self.notes,
        ]


@dataclass(frozen=True)
class FitResult:
    """What a fit left. score: of the kept generator, lower is better; None: none was eligible.

    samples: reals beside synthetics. kept: which generator was kept and why, in words. found: of
    images, what selection keeps and how easily it is told from real ones, in lines.
    """

    run: Path
    steps: int
    score: float | None
    chosen: str
    samples: Path
    kept: str
    found: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "run": str(self.run),
            "samples": str(self.samples),
            "steps": self.steps,
            "score": self.score,
            "chosen": self.chosen,
            "found": list(self.found),
            "warnings": list(self.warnings),
        }

    def lines(self) -> list[str]:
        """The same for people."""
        return [f"{self.steps} steps; {self.kept}", *self.found, f"look at {self.samples}"]


def plan_fit(
    data: str | Path, options: FitOptions | None = None, out: str | Path | None = None
) -> FitPlan:
    """Read the data and decide all that `fit` would decide before training. Writes nothing."""
    options = options or FitOptions()
    run = _run_folder(data, out, resume=False)
    return _plan(data, task_of(read_as_asked(data, options), options), options, run)


def fit(
    data: str | Path,
    out: str | Path | None = None,
    options: FitOptions | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
    force: bool = False,
    read: ReadImages | ReadTable | None = None,
    progress: Progress | None = None,
    callbacks: Sequence[Callback] = (),
) -> FitResult:
    """Train a generator into a run folder, on images or, with `options.target`, on a table.

    data: a folder of classes, an image manifest or an `.npz`; or a table as .csv or .parquet.
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
        task = task_of(read or read_as_asked(data, options, progress), options)
        if resume:
            options = check_classes(run, options, asked, task.data.counts, force=force)
        plan = _plan(data, task, options, run)
        if resume and not force and (done := _finished(plan)):
            progress.note(f"{str(run)!r} is finished; nothing is left to train")
            return done
        for line in plan.lines():
            progress.note(line)
        if overwrite and not resume:
            remove_earlier_run(run)
        with stop_on_signals() as stop:
            return _train(plan, callbacks, progress, stop, resume=resume, force=force)


def _train(
    plan: FitPlan,
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

    def begin(steps: int, machine: ComputeConfig) -> None:
        """Settings and the tail of the history, which a refused resume must not have touched."""
        newest = store.latest() if resume else None
        history.begin(newest.step if newest else 0)
        _write_settings(replace(plan, machine=machine), steps)

    fitting = plan.task.begin(plan, [history, *callbacks])
    try:
        fitting.train(
            checkpoints=store,
            resume=resume,
            force=force,
            on_steps=begin,
            progress=progress,
            stop=stop,
        )
    except StopRequested as stopped:
        again = shlex.join(["gan-augment", "fit", plan.source, "--out", str(run), "--resume"])
        raise StopRequested(stopped.signal, f"go on with: {again}") from None
    except DivergedError:
        if fitting.about is not None:
            fitting.write(run)
        raise
    progress.phase("writing the model")
    fitting.write(run)
    return _result(plan, fitting)


def _finished(plan: FitPlan) -> FitResult | None:
    """The result of a run that has nothing left to do, None for any other."""
    steps = CheckpointStore(plan.run / CHECKPOINTS).newest_step
    shown = plan.run / plan.task.samples
    if steps is None or steps != plan.options.steps or not shown.is_file():
        return None
    try:
        about = plan.task.saved(plan.run)
    except ModelFileError:
        return None
    same = about.steps == steps and about.data_sha256 == plan.task.sha256()
    return _described(plan, about) if same else None


def _result(plan: FitPlan, fitting: Fit) -> FitResult:
    about = fitting.about
    assert about is not None
    return _described(plan, about)


def _described(plan: FitPlan, about: Described) -> FitResult:
    return FitResult(
        run=plan.run,
        steps=about.steps,
        score=about.score.value,
        chosen=about.chosen,
        samples=plan.run / plan.task.samples,
        kept=plan.task.chosen(about),
        found=plan.task.found(about),
        warnings=plan.notes,
    )


def _plan(data: str | Path, task: Task, options: FitOptions, run: Path) -> FitPlan:
    counts = task.data.counts
    return FitPlan(
        source=str(data),
        run=run,
        task=task,
        counts=counts,
        topped_up=choose_classes(options.classes, counts),
        why=explain_rare(counts),
        recipe=task.recipe(options),
        machine=task.machine(options),
        options=options,
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
