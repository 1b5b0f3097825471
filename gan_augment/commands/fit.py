"""`fit`: read, plan, train in a run folder, show samples. `plan_fit`: only the plan."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gan_augment.commands.source import Source, read_data, read_meta
from gan_augment.commands.writing import (
    CHECKPOINT,
    CONFIG,
    CURVES,
    HISTORY,
    MODEL,
    RUN_FILES,
    Result,
    default_folders,
    folder_to_write,
    is_run,
    next_command,
    run_folder,
)
from gan_augment.data.topup_plan import choose_classes, explain_rare
from gan_augment.distributed import all_ranks, world
from gan_augment.errors import DivergedError, ModelFileError, ResumeMismatchError, UsageError
from gan_augment.generators.generator import RunContext
from gan_augment.generators.model_file import ModelMeta
from gan_augment.input_files import read_regular
from gan_augment.machine import ComputeConfig
from gan_augment.options import FitOptions, with_options
from gan_augment.processes import restarts
from gan_augment.progress import Progress, duration
from gan_augment.recipes import AUTO, Recipe, resolve_recipe, with_components
from gan_augment.settings import read_toml, to_toml
from gan_augment.storage.bundle import load_bundle
from gan_augment.storage.files import remove_named, write_file
from gan_augment.training.callbacks import Callback, HistoryFile, interruptible, stop_on_signals
from gan_augment.training.checkpoint import saved_step

__all__ = ["FitPlan", "FitResult", "fit", "fitted_for", "plan_fit"]

_FREE = ("workers", "skip_bad", "device")
"""Settings that a resumed fit may change."""
_RESOLVED = ("steps", "precision", "threads")
"""Settings that training decides, unless they are given."""


@dataclass(frozen=True)
class FitPlan:
    """What a fit would do: data, recipe, machine and folder."""

    run: Path
    data: Source
    recipe: Recipe
    machine: ComputeConfig

    @property
    def length(self) -> str:
        """Return the length of the training, in words."""
        options = self.data.options
        if not self.recipe.generator.trained:
            cure = " (--steps and --budget train)" if self.data.kind.tabular else ""
            return f"nothing is trained{cure}"
        if options.steps is None and options.budget is not None:
            return f"as many steps as fit into {duration(options.budget)}"
        return f"{options.steps or self.recipe.steps} steps"

    def to_dict(self) -> dict[str, Any]:
        data = self.data
        values = {"source": str(data.path), "run": str(self.run), "classes": dict(data.counts)}
        values |= {"topped_up": list(data.topped_up), "why": explain_rare(data.counts)}
        values |= {"recipe": self.recipe.model_dump(mode="json"), "machine": self.machine.line()}
        return values | data.facts() | {"length": self.length, "notes": list(data.notes)}

    def lines(self) -> list[str]:
        """Return the plan for people: the data in one line, and what was chosen in another."""
        data, machine = self.data, self.machine.line().partition(":")[0]
        topped_up = ", ".join(f"{name} ({data.counts[name]:,})" for name in data.topped_up)
        start = " from principal components" * self.recipe.generator.components
        name, seed = self.recipe.name, data.options.seed
        chosen = f"recipe {name}{start}, {self.length}, {machine}, seed {seed}"
        return [
            f"{data.line()}; topped up: {topped_up}",
            f"{chosen}; run folder {self.run}",
            *data.notes,
        ]


class FitResult(Result):
    """The result of a fit.

    score: held-out score of the kept generator, lower is better; None if no generator was eligible.
    distinguished, more_steps: as in `ModelMeta`. chosen, kept: which generator was kept, and why.
    samples, curves: files of real and synthetic rows, and of losses and scores (None: no training).
    """

    run: Path
    steps: int
    score: float | None
    chosen: str
    samples: Path
    curves: Path | None
    kept: str
    distinguished: float | None = None
    more_steps: int | None = None
    found: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        pictures = " and ".join(str(one) for one in (self.samples, self.curves) if one)
        return [self.kept, *self.found, f"look at {pictures}"]


def plan_fit(
    data: str | Path | Source,
    options: FitOptions | None = None,
    out: str | Path | None = None,
    *,
    resume: bool = False,
) -> FitPlan:
    """Decide all that `fit` decides before training; `resume` takes the settings of the run."""
    path = data.path if isinstance(data, Source) else data
    run = folder_to_write(path, out, resume=resume)
    return _prepared(data, run, options or FitOptions(), resume=resume)


def fit(
    data: str | Path | Source,
    out: str | Path | None = None,
    options: FitOptions | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
    callbacks: Sequence[Callback] = (),
) -> FitResult:
    """Train a generator into a run folder, on images or, with `options.target`, on a table.

    - data: A folder of classes, an image manifest or an `.npz`; or a table as .csv or .parquet. Or
      what `read_data` made of it.
    - out: The run folder, by default `runs/<name of data>`, then `-2`, `-3`.
    - options: How to read the data and to train.
    - resume: Continue the run in `out`, by default the last unfinished run of `data`, with its
      settings; the result has the bytes of an undisturbed run.
    - overwrite: Replace an earlier run, after the data was read.
    - progress, callbacks: Show progress, notes and warnings; observe training.

    Raises GanAugmentError (the errors of `gan_augment.errors`; NoRareClassError if no class is
    rare); StopRequested (after Ctrl-C and SIGTERM, once a checkpoint is saved).

    Under torchrun all ranks train together, and rank 0 writes. Restarted ranks continue the run.
    """
    options, (again, most) = options or FitOptions(), restarts()
    if most and out is None:
        raise UsageError("name the run's folder, --out RUN: ranks started again would not know it")
    resume = resume or (again > 0 and out is not None and is_run(Path(out)))
    with all_ranks() as ranks:
        ranks.agree(settings=options.model_dump(mode="json", exclude={"device", "workers"}))
        done = None
        if ranks.leads:
            how = {"resume": resume, "overwrite": overwrite}
            done = _lead(data, out, options, progress or Progress(), callbacks, **how)
        elif shared := ranks.share():  # None if rank 0 has nothing to train
            read = read_data(data, shared)
            with interruptible(lambda: ""), stop_on_signals() as stop:
                context = RunContext(stop=stop, fingerprint=read.sha256)
                read.generator().fit(read.data, run=context, schema=read.schema)
        result: FitResult = ranks.share(done)
    return result


def _lead(
    source: str | Path | Source,
    out: str | Path | None,
    options: FitOptions,
    progress: Progress,
    callbacks: Sequence[Callback],
    *,
    resume: bool,
    overwrite: bool,
) -> FitResult:
    path, started_s = source.path if isinstance(source, Source) else source, time.monotonic()
    run = folder_to_write(path, out, resume=resume, progress=progress)
    with run_folder(run, resume=resume, overwrite=overwrite):
        plan = _prepared(source, run, options, progress, resume=resume)
        if resume and (done := _finished(plan)):
            progress.note(f"{str(run)!r} is finished; nothing is left to train")
            world().share(None)
            return done
        for line in plan.lines():
            progress.note(line)
        if overwrite and not resume:
            remove_named(run, RUN_FILES)
        world().share(plan.data.options)
        return _train(plan, callbacks, progress, started_s, resume=resume)


def _prepared(
    source: str | Path | Source,
    run: Path,
    options: FitOptions,
    progress: Progress | None = None,
    *,
    resume: bool,
) -> FitPlan:
    """Read the data and plan the fit; a resumed one takes the settings of the run, or raises."""
    begun = options
    if resume:
        begun, usual = _begun(run), FitOptions(budget=options.budget)
        asked = {name: value for name, value in options if value != getattr(usual, name)}
        options = begun.model_copy(update=asked)
        begun = begun.model_copy(update={name: getattr(options, name) for name in _FREE})
    data = read_data(source, begun, progress)
    if differ := _differing(begun, options, data) if resume else ():
        before, after = (
            ", ".join(f"{n} = {getattr(getattr(s, n), 'name', getattr(s, n))!r}" for n in differ)
            for s in (begun, options)
        )
        raise ResumeMismatchError(
            f"{str(run)!r} was begun with {before}, not {after}; leave that out, or start a new "
            "run."
        )
    _ = data.topped_up  # what is unknown is refused before anything is written
    return FitPlan(run, data, recipe=data.recipe(), machine=data.machine())


def _begun(run: Path) -> FitOptions:
    """Return the options that a run was begun with, and what training has decided."""
    values, file = read_toml(run / CONFIG), str(run / CONFIG)
    pinned = values["resolved"] if "steps" in values["fit"] else {}  # else nothing was trained
    recipe = Recipe.checked(values["recipe"], file)
    return FitOptions.checked({**values["fit"], **pinned, "recipe": recipe}, file)


def _differing(begun: FitOptions, asked: FitOptions, data: Source) -> list[str]:
    """Return the names of the settings that differ in what they mean for the data."""
    recipe = with_options(resolve_recipe(asked.recipe, begun.data_kind), begun)
    if asked.recipe in ("auto", AUTO) and isinstance(begun.recipe, Recipe):  # by the length
        recipe = with_components(recipe, begun.recipe.generator.components)
    now: dict[str, Any] = {"recipe": recipe}
    if {*choose_classes(asked.classes, data.counts)} == {*begun.classes}:
        now["classes"] = begun.classes
    asked = asked.model_copy(update=now)
    return [n for n, value in asked if n not in _FREE and value != getattr(begun, n)]


def fitted_for(
    read: Source, run: str | Path | None, progress: Progress, *, overwrite: bool = False
) -> Path:
    """Fit a model for an output and return its run, or continue or take that of the same data."""
    there = default_folders(read.path) if run is None else [Path(run)]
    folder = next((one for one in reversed(there) if _is_same(one, read)), None)
    if folder is not None:
        return fit(read, folder, read.options, resume=True, progress=progress).run
    return fit(read, run, read.options, overwrite=overwrite, progress=progress).run


def _is_same(run: Path, read: Source) -> bool:
    """Return whether a folder holds a run of this data that was begun with these options."""
    if not is_run(run) or read_toml(run / CONFIG).get("data_sha256") != read.sha256:
        return False
    try:
        begun = _begun(run)
    except UsageError:  # of another version
        return False
    usual, asked = FitOptions(), read.options
    known = [name for name in _RESOLVED if getattr(asked, name) == getattr(usual, name)]
    now = {name: getattr(begun, name) for name in known} | {"recipe": read.recipe()}
    return not _differing(begun, asked.model_copy(update=now), read)


def _train(
    plan: FitPlan,
    callbacks: Sequence[Callback],
    progress: Progress,
    started_s: float,
    *,
    resume: bool,
) -> FitResult:
    """Train, and write the run folder, which this process holds."""
    run, data = plan.run, plan.data
    checkpoint, history = run / CHECKPOINT, HistoryFile(run / HISTORY)
    if not resume:
        _write_settings(plan, data.options.steps)

    def begin(steps: int, machine: ComputeConfig) -> None:
        """Write the settings and cut the history, once a resumed run is accepted."""
        history.begin((saved_step(checkpoint) or 0) if resume else 0)
        if not (resume and data.options.steps):  # else they stay as they began, to the byte
            _write_settings(replace(plan, machine=machine), steps)

    gan = data.generator([history, *callbacks])
    again = ["gan-augment", "fit", str(data.path), "--out", str(run), "--resume"]
    with interruptible(lambda: f"go on with: {shlex.join(again)}"), stop_on_signals() as stop:
        context = RunContext(
            checkpoint=checkpoint,
            resume=resume,
            on_steps=begin,
            progress=progress,
            stop=stop,
            started_s=started_s,
            fingerprint=data.sha256,
        )
        try:
            gan.fit(data.data, run=context, schema=data.schema)
        except DivergedError:
            if hasattr(gan, "meta_"):  # the best generator so far
                _write_run(plan, gan)
            raise
        progress.phase("writing the model")
        _write_run(plan, gan)
    return _result(plan, gan.meta_)


def _write_run(plan: FitPlan, gan: Any) -> None:
    from gan_augment.report.charts import curves

    plan.data.write_run(plan.run, gan)
    history = read_regular(plan.run / HISTORY).decode().splitlines()
    picture = curves([json.loads(line) for line in history], gan.topped_up_)
    if picture:
        write_file(plan.run / CURVES, picture)


def _finished(plan: FitPlan) -> FitResult | None:
    """Return the result of a run that is complete, else None."""
    if not (plan.run / plan.data.samples).is_file():
        return None
    try:
        steps = saved_step(plan.run / CHECKPOINT)
        meta = read_meta(plan.run)
        load_bundle(plan.run / MODEL, schema=dict)  # its arrays are whole
    except ModelFileError:
        return None
    same = meta.steps == steps and meta.data_sha256 == plan.data.sha256
    return _result(plan, meta) if same else None


def _result(plan: FitPlan, meta: ModelMeta) -> FitResult:
    kept, *found = meta.kept_lines()
    path, asked = plan.data.path, plan.data.options
    out = f"{path.resolve().stem}-topped-up{path.suffix if plan.data.kind.tabular else ''}"
    then = next_command("augment", path, out, model=plan.run)
    if meta.more_steps:
        more: dict[str, Any] = {"window": asked.window, "steps": meta.more_steps}
        more["image_size"] = asked.image_size and "x".join(map(str, asked.image_size))
        recipe = getattr(asked.recipe, "name", asked.recipe)
        then = next_command("fit", path, recipe=None if recipe == "auto" else recipe, **more)
    names = ("steps", "chosen", "distinguished", "more_steps")
    return FitResult(
        **{name: getattr(meta, name) for name in names},
        run=plan.run,
        score=meta.score.value,
        samples=plan.run / plan.data.samples,
        curves=plan.run / CURVES if meta.steps else None,
        kept=kept,
        found=tuple(found),
        following=then,
        warnings=plan.data.notes,
    )


def _write_settings(plan: FitPlan, steps: int | None) -> None:
    """Write config.toml, which repeats the run."""
    options = plan.data.options.model_copy(update={"steps": steps, "classes": plan.data.topped_up})
    values = {
        "data": str(plan.data.path),
        "data_sha256": plan.data.sha256,
        "fit": options.model_dump(mode="json", exclude={"recipe"}),
        "resolved": {name: getattr(plan.machine, name) for name in ("precision", "threads")},
        "recipe": plan.recipe.model_dump(mode="json"),
    }
    write_file(plan.run / CONFIG, to_toml(values).encode("utf-8", "replace"))
