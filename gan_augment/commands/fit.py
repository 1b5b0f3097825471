"""`fit`: read, plan, train in a run folder, show samples. `plan_fit`: only the plan."""

from __future__ import annotations

import json
import platform
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gan_augment.commands.doctor import installed_version
from gan_augment.commands.source import (
    Meta,
    Source,
    model_sha256,
    read_data,
    read_meta,
)
from gan_augment.commands.writing import (
    CHECKPOINTS,
    CONFIG,
    ENVIRONMENT,
    HISTORY,
    MODEL,
    RUN_FILES,
    Output,
    Result,
    check_apart,
    folder_to_write,
    is_run,
    new_run_folder,
    remove_named,
    run_folder,
)
from gan_augment.data.topup_plan import choose_classes, explain_rare, plan_topup
from gan_augment.distributed import World, all_ranks, world
from gan_augment.errors import DivergedError, ModelFileError, ResumeMismatchError, UsageError
from gan_augment.generators.generator import RunContext
from gan_augment.generators.image_gan import ImageGAN
from gan_augment.generators.tabular_gan import TabularGAN
from gan_augment.machine import ComputeConfig
from gan_augment.options import FitOptions, TopUp, with_options
from gan_augment.processes import restarts
from gan_augment.progress import Progress
from gan_augment.recipes import Recipe, resolve_recipe
from gan_augment.settings import read_toml, to_toml
from gan_augment.storage.bundle import load_bundle
from gan_augment.storage.files import write_file
from gan_augment.training.callbacks import (
    Callback,
    HistoryFile,
    StopFlag,
    interruptible,
    stop_on_signals,
)
from gan_augment.training.checkpoint import CheckpointStore

__all__ = ["FitPlan", "FitResult", "fit", "fit_model", "plan_fit"]

_VERSIONS = ("gan-augment", "torch", "numpy", "pandas", "pillow", "scikit-learn")
_FREE = {"budget", "workers", "skip_bad", "device", "recipe", "classes", "flips"}


@dataclass(frozen=True)
class FitPlan:
    """What a fit would do: data, recipe, machine and folder."""

    source: str
    run: Path
    data: Source
    recipe: Recipe
    machine: ComputeConfig

    @property
    def counts(self) -> dict[str, int]:
        """Return {class: rows}."""
        return dict(self.data.counts)

    @property
    def topped_up(self) -> tuple[str, ...]:
        """Return the classes that are topped up."""
        return self.data.topped_up

    @property
    def notes(self) -> tuple[str, ...]:
        """Return sentences about the data."""
        return self.data.notes

    @property
    def length(self) -> str:
        """Return the length of the training, in words."""
        options, trained = self.data.options, self.recipe.generator.trained
        if trained and options.steps is not None:
            return f"{options.steps} steps"
        if trained and options.budget is not None:
            return f"as many steps as fit into {options.budget:g} s"
        return self.data.own_length(self.recipe)

    def ends(self, top_up: TopUp) -> dict[str, dict[str, int]]:
        """Return how every class ends in a top-up, {class: {origin: rows}}."""
        return plan_topup(self.counts, top_up, self.topped_up, self.data.name).counts

    def to_dict(self) -> dict[str, Any]:
        """Return the plan, ready for JSON."""
        return {
            "source": self.source,
            "run": str(self.run),
            "classes": self.counts,
            "topped_up": list(self.topped_up),
            "why": explain_rare(self.counts),
            **self.data.facts(),
            "recipe": self.recipe.model_dump(mode="json"),
            "machine": self.machine.line(),
            "length": self.length,
            "notes": list(self.notes),
        }

    def lines(self) -> list[str]:
        """Return the plan for people, the machine first."""
        return [
            self.machine.line(),
            self.data.line(),
            f"topped up: {', '.join(self.topped_up)}. {explain_rare(self.counts)}",
            f"recipe {self.recipe.name}, {self.length}; run folder {self.run}",
            *self.notes,
        ]


@dataclass(frozen=True)
class FitResult(Result):
    """The result of a fit.

    score: of the kept generator, lower is better; None if no generator was eligible. chosen, kept:
    which generator was kept, and why. samples: the file of real and synthetic rows. found: lines
    about the selection.
    """

    run: Path
    steps: int
    score: float | None
    chosen: str
    samples: Path
    kept: str
    found: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Return the summary for people."""
        length = f"{self.steps} steps; " if self.steps else ""
        return [length + self.kept, *self.found, f"look at {self.samples}"]


def plan_fit(
    data: str | Path,
    options: FitOptions | None = None,
    out: str | Path | None = None,
    *,
    resume: bool = False,
) -> FitPlan:
    """Read the data and decide all that `fit` decides before training. Writes nothing.

    resume: take the settings of the run in `out`.
    """
    run, options = folder_to_write(data, out, resume=resume), options or FitOptions()
    if resume:
        options = _begun_with(run, options)
    return _plan(data, read_data(data, options, sampled=True), run)


def fit(
    data: str | Path,
    out: str | Path | None = None,
    options: FitOptions | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
    callbacks: Sequence[Callback] = (),
) -> FitResult:
    """Train a generator into a run folder, on images or, with `options.target`, on a table.

    Parameters
    ----------
    data
        A folder of classes, an image manifest or an `.npz`; or a table as .csv or .parquet.
    out
        The run folder, by default `runs/<name of data>`, then `-2`, `-3`.
    options
        How to read the data and to train.
    resume
        Continue the run in `out` with its settings; the result has the bytes of an undisturbed run.
    overwrite
        Replace an earlier run, after the data was read.
    progress, callbacks
        Show progress, notes and warnings; observe training.

    Raises
    ------
    GanAugmentError
        The errors of `gan_augment.errors`; NoRareClassError if no class is rare.
    StopRequested
        After Ctrl-C and SIGTERM, once a checkpoint is saved.

    Notes
    -----
    Under torchrun all ranks train together, and rank 0 writes. Restarted ranks continue the run.
    """
    options, (again, most) = options or FitOptions(), restarts()
    if most and out is None:
        raise UsageError("name the run's folder, --out RUN: ranks started again would not know it")
    resume = resume or (again > 0 and out is not None and is_run(Path(out)))
    with all_ranks() as ranks:
        ranks.agree(settings=options.model_dump(mode="json", exclude={"device", "workers"}))
        if not ranks.leads:
            return _assist(data, ranks)
        result, _ = fit_model(
            data,
            out,
            options,
            resume=resume,
            overwrite=overwrite,
            progress=progress or Progress(),
            callbacks=callbacks,
        )
        ranks.share(result.to_dict())
    return result


def _assist(source: str | Path, ranks: World) -> FitResult:
    """Train together with rank 0, which writes the run."""
    if options := ranks.share():
        data = read_data(source, FitOptions.model_validate(options), sampled=True)
        with interruptible(lambda: ""), stop_on_signals() as stop:
            gan: Any = data.generator(())
            run = RunContext(stop=stop, fingerprint=data.sha256)
            gan.fit(data.data, run, **data.fit_arguments())
    values = ranks.share()
    paths = {name: Path(values[name]) for name in ("run", "samples")}
    lists = {name: tuple(values[name]) for name in ("found", "warnings")}
    return FitResult(**{**values, **paths, **lists})


def fit_model(
    source: str | Path,
    out: str | Path | None,
    options: FitOptions,
    *,
    resume: bool,
    overwrite: bool,
    progress: Progress,
    data: Source | None = None,
    callbacks: Sequence[Callback] = (),
) -> tuple[FitResult, ImageGAN | TabularGAN | None]:
    """Fit as `fit` does; return the result and the model, None if the run was finished already.

    data: the content of `source`, if it was read already.
    """
    run, requested = folder_to_write(source, out, resume=resume), options
    started_s = time.monotonic()
    with run_folder(run, resume=resume, overwrite=overwrite):
        if resume:
            options = _begun_with(run, requested)
        data = data or read_data(source, options, progress, sampled=True)
        if resume:
            _check_classes(run, options, requested, data.counts)
            data = replace(data, options=options)
        plan = _plan(source, data, run)
        if resume and (done := _finished(plan)):
            progress.note(f"{str(run)!r} is finished; nothing is left to train")
            world().share(None)
            return done, None
        for line in plan.lines():
            progress.note(line)
        if overwrite and not resume:
            remove_named(run, RUN_FILES)
        again = ["gan-augment", "fit", plan.source, "--out", str(run), "--resume"]
        hint = f"go on with: {shlex.join(again)}"
        world().share(plan.data.options.model_dump(mode="json"))
        with interruptible(lambda: hint), stop_on_signals() as stop:
            return _train(plan, callbacks, progress, stop, started_s, resume=resume)


def fitted_for(
    held: Output,
    made_from: Mapping[str, Any],
    source: Path,
    read: Source,
    model: str | Path | None,
    run: str | Path | None,
    progress: Progress,
) -> tuple[ImageGAN | TabularGAN | None, Path]:
    """Fit a model of the data for an output, or continue what an earlier call began.

    Returns the model, None if it was finished already, and its run: `model`, if that is given.
    Raises ResumeMismatchError if the run was changed since.
    """
    held.describe(made_from)
    if model:
        return None, Path(model)
    earlier = held.record.get("run")
    folder = Path(earlier or run or new_run_folder(source))
    check_apart(source, folder)
    held.describe(made_from, run=str(folder))
    gan = fit_model(
        source,
        folder,
        read.options,
        resume=earlier is not None and (folder / CONFIG).is_file(),
        overwrite=held.overwrite and run is not None,
        data=read,
        progress=progress,
    )[1]
    digest = model_sha256(folder)
    if held.record.get("trained") not in (None, digest):
        raise ResumeMismatchError(
            f"the run {str(folder)!r} was changed since {str(held.path)!r} was begun from it; "
            "give --overwrite, or choose another output."
        )
    held.describe(made_from, trained=digest)
    return gan, folder


def _train(
    plan: FitPlan,
    callbacks: Sequence[Callback],
    progress: Progress,
    stop: StopFlag,
    started_s: float,
    *,
    resume: bool,
) -> tuple[FitResult, ImageGAN | TabularGAN]:
    """Train, and write the run folder, which this process holds."""
    run, data = plan.run, plan.data
    store, history = CheckpointStore(run / CHECKPOINTS), HistoryFile(run / HISTORY)
    if not resume:
        _write_settings(plan, data.options.steps)

    def begin(steps: int, machine: ComputeConfig) -> None:
        """Write the settings and cut the history, once a resumed run is accepted."""
        newest = store.latest() if resume else None
        history.begin(newest.step if newest else 0)
        kept = resume and data.options.steps is not None  # as it began, to the byte
        _write_settings(replace(plan, machine=machine), steps, config=not kept)

    gan: Any = data.generator([history, *callbacks])
    try:
        gan.fit(
            data.data,
            RunContext(
                checkpoints=store,
                resume=resume,
                on_steps=begin,
                progress=progress,
                stop=stop,
                started_s=started_s,
                fingerprint=data.sha256,
            ),
            **data.fit_arguments(),
        )
    except DivergedError:
        if hasattr(gan, "meta_"):  # the best generator so far
            data.write_run(run, gan)
        raise
    progress.phase("writing the model")
    data.write_run(run, gan)
    return _result(plan, gan.meta_), gan


def _finished(plan: FitPlan) -> FitResult | None:
    """Return the result of a run that is complete, else None."""
    steps = CheckpointStore(plan.run / CHECKPOINTS).newest_step
    if steps is None or not (plan.run / plan.data.samples).is_file():
        return None
    try:
        meta = read_meta(plan.run)
        load_bundle(plan.run / MODEL, schema=dict)  # its arrays are whole
    except ModelFileError:
        return None
    same = meta.steps == steps and meta.data_sha256 == plan.data.sha256
    return _result(plan, meta) if same else None


def _result(plan: FitPlan, meta: Meta) -> FitResult:
    kept, *others = meta.kept_lines()
    return FitResult(
        run=plan.run,
        steps=meta.steps,
        score=meta.score.value,
        chosen=meta.chosen,
        samples=plan.run / plan.data.samples,
        kept=kept,
        found=tuple(others),
        warnings=plan.notes,
    )


def _plan(source: str | Path, data: Source, run: Path) -> FitPlan:
    plan = FitPlan(str(source), run, data, recipe=data.recipe(), machine=data.machine())
    _ = plan.topped_up, data.unlabelled  # what is unknown is refused before anything is written
    return plan


def _write_settings(plan: FitPlan, steps: int | None, *, config: bool = True) -> None:
    """Write config.toml, which repeats the run, and environment.json about the machine."""
    options = plan.data.options.model_copy(update={"steps": steps, "classes": plan.topped_up})
    machine = plan.machine
    values = {
        "data": plan.source,
        "fit": options.model_dump(mode="json", exclude={"recipe"}),
        "resolved": {"precision": machine.precision, "threads": machine.threads},
        "recipe": plan.recipe.model_dump(mode="json"),
    }
    if config:
        write_file(plan.run / CONFIG, to_toml(values).encode("utf-8", "replace"))
    environment = {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "machine": machine.line(),
        "versions": {name: installed_version(name) or "not installed" for name in _VERSIONS},
    }
    write_file(plan.run / ENVIRONMENT, (json.dumps(environment, indent=1) + "\n").encode())


def _begun_with(run: Path, requested: FitOptions) -> FitOptions:
    """Return the settings of a run, to resume it.

    A requested setting must be equal or at its default, else ResumeMismatchError. `_check_classes`
    compares the classes later.
    """
    values = read_toml(run / CONFIG)
    pinned = values["resolved"] if "steps" in values["fit"] else {}  # else nothing was trained
    stored = FitOptions.checked({**values["fit"], **pinned}, str(run / CONFIG))
    if "recipe" not in values["fit"]:
        recipe = Recipe.checked(values["recipe"], str(run / CONFIG))
        stored = stored.model_copy(update={"recipe": recipe})
    for name, value in _changed(stored, requested).items():
        raise _mismatch(run, stored, name, value)
    free: dict[str, Any] = {
        "workers": requested.workers,
        "skip_bad": requested.skip_bad or stored.skip_bad,
    }
    if requested.device != "auto":
        free["device"] = requested.device
    return stored.model_copy(update=free)


def _check_classes(
    run: Path, stored: FitOptions, requested: FitOptions, counts: Mapping[str, int]
) -> None:
    """Raise ResumeMismatchError for other classes than those that the run was begun with."""
    if requested.classes != FitOptions().classes:
        classes = choose_classes(requested.classes, counts)
        if set(classes) != set(stored.classes):
            raise _mismatch(run, stored, "classes", classes)


def _changed(stored: FitOptions, requested: FitOptions) -> dict[str, Any]:
    """Return {setting: value} of the requested settings that differ."""
    defaults, changed = FitOptions(), {}
    for name in sorted(set(FitOptions.model_fields) - _FREE):
        value = getattr(requested, name)
        if value not in (getattr(defaults, name), getattr(stored, name)):
            changed[name] = value
    if requested.flips and not stored.flips:
        changed["flips"] = True
    if requested.recipe != defaults.recipe:
        recipe = with_options(resolve_recipe(requested.recipe, stored.data_kind), stored)
        if recipe != stored.recipe:
            changed["recipe"] = recipe
    return changed


def _mismatch(run: Path, stored: FitOptions, name: str, value: object) -> ResumeMismatchError:
    before, now = (getattr(each, "name", each) for each in (getattr(stored, name), value))
    return ResumeMismatchError(
        f"{str(run)!r} was begun with {name} = {before!r}, not {now!r}; leave it out, or start a "
        "new run."
    )
