"""`evaluate`: read, plan, measure, judge, into a folder. `plan_evaluation`: only the plan.

The measuring and judging is `gan_augment.evaluation`'s.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gan_augment.config import EvaluationOptions, FitOptions
from gan_augment.data.contract import LabelledImages, LabelledTable
from gan_augment.data.images.reader import ReadImages
from gan_augment.data.tables.reader import ReadTable, set_aside
from gan_augment.data.tables.schema import Overrides
from gan_augment.errors import UsageError
from gan_augment.evaluation.options import Options
from gan_augment.evaluation.result import REPORT
from gan_augment.evaluation.start import JOURNAL, prepare
from gan_augment.evaluation.start import evaluate as run
from gan_augment.evaluation.user_code import OwnCode, OwnSampler
from gan_augment.progress import Progress, Silent
from gan_augment.recipes import resolve_recipe
from gan_augment.synthesizers.image_gan import ImageGAN
from gan_augment.synthesizers.tabular_gan import TabularGAN
from gan_augment.training.callbacks import StopRequested
from gan_augment.workflows.output_folder import check_apart
from gan_augment.workflows.reading import read_as_asked
from gan_augment.workflows.run_folder import new_run_folder, with_flips

if TYPE_CHECKING:
    from gan_augment.evaluation.plan import Plan
    from gan_augment.evaluation.result import EvaluationResult

Data = LabelledImages | LabelledTable
_HINT = "what is finished was kept; go on with the same command, --out {} and --resume"


@dataclass(frozen=True)
class EvaluationRun:
    """An evaluation and the folder where it is."""

    evaluation: EvaluationResult
    out: Path

    @property
    def verdict(self) -> str:
        """The word of the verdict."""
        return str(self.evaluation.verdict)

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "out": str(self.out),
            "verdict": self.verdict,
            "sentence": self.evaluation.sentence,
            "result": self.evaluation.to_dict(),
        }

    def lines(self) -> list[str]:
        """The same for people."""
        return [*self.evaluation.lines(), "", f"the report to look at: {self.out / REPORT}"]


def plan_evaluation(data: str | Path, options: EvaluationOptions | None = None) -> Plan:
    """Read the data and decide all that `evaluate` would decide. Writes nothing."""
    options = options or EvaluationOptions()
    asked = _asked(options)
    found = _read(Path(data), options, Silent())
    return prepare(found.data, _about(asked, found, options.fit)).plan


def evaluate(
    data: str | Path,
    out: str | Path | None = None,
    options: EvaluationOptions | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> EvaluationRun:
    """Measure and judge whether topping up helps a classifier on images or a table.

    data: as of `fit`. out: a folder for the result, the journal and models, by
    default `reports/<name of data>`, then `-2`, `-3`. resume: go on with what `out` began, to the
    very bytes of an undisturbed one. overwrite: replace an earlier evaluation. Ctrl-C and SIGTERM
    raise StopRequested; what was done is kept. Raises the errors of `gan_augment.errors`.
    """
    options, progress = options or EvaluationOptions(), progress or Silent()
    folder, asked = _folder(data, out, resume), _asked(options)
    found = _read(Path(data), options, progress)

    def show(plan: Plan) -> None:
        for line in (*found.notes, *plan.lines()):
            progress.note(line)

    try:
        done = run(
            found.data,
            _about(asked, found, options.fit),
            out=folder,
            resume=resume,
            overwrite=overwrite,
            on_plan=show,
            progress=progress,
        )
    except KeyboardInterrupt as stop:
        number = int(getattr(stop, "signal", signal.SIGINT))
        begun = (folder / JOURNAL).is_file()
        raise StopRequested(number, _HINT.format(folder) if begun else "") from None
    return EvaluationRun(done, folder)


@dataclass(frozen=True)
class _Found:
    """What DATA holds. times: (N,) of the rows, where a column tells. notes: for people."""

    data: Data
    times: NDArray[np.float64] | None
    overrides: Overrides
    notes: tuple[str, ...]


def _read(source: Path, options: EvaluationOptions, progress: Progress) -> _Found:
    """DATA by the contract, the columns of group and time taken out of a table's features."""
    read: ReadImages | ReadTable = read_as_asked(source, options.fit, progress)
    if isinstance(read, ReadImages):
        for flag in ("group", "time"):
            if (given := getattr(options, flag)) is not None:
                raise UsageError(
                    f"--{flag} {given} names a column, and images have none; "
                    "a manifest .csv of path,label,group says which images belong together"
                )
        return _Found(read.data, None, Overrides(), read.notes)
    table, times = set_aside(read.table, options.group, options.time)
    away = {options.group, options.time}
    kinds = {name: kind for name, kind in options.fit.columns.items() if name not in away}
    overrides = Overrides.checked({"columns": kinds}, "column kinds")
    return _Found(table, times, overrides, read.notes)


def _asked(options: EvaluationOptions) -> Options:
    """What is asked, but for what depends on the data. Raises UsageError before that is read."""
    fit = options.fit
    asked = Options(
        learner=options.learner,
        samplers=_samplers(options.samplers),
        classes=fit.classes,
        metric=options.metric,
        delta=options.delta,
        folds=options.folds,
        repeats=options.repeats,
        arms=options.arms,
        steps=fit.steps,
        budget_s=options.budget_s,
        gan_budget_s=fit.budget_s,
        updates=options.updates,
        times=None if options.time is None else np.zeros(0),
        gap=options.gap,
        diagnostics=options.diagnostics,
        extractor=None if options.extractor is None else OwnCode.of(options.extractor),
        group_duplicates=options.group_duplicates,
        seed=fit.seed,
        n_jobs=options.n_jobs,
    )
    asked.check()
    asked.asked_arms()
    return asked


def _about(asked: Options, found: _Found, fit: FitOptions) -> Options:
    """What is asked of this data."""
    return replace(
        asked,
        generator=_generator(found.data, fit),
        times=found.times,
        overrides=found.overrides,
    )


def _generator(data: Data, fit: FitOptions) -> ImageGAN | TabularGAN:
    if isinstance(data, LabelledTable):
        return TabularGAN(
            recipe=fit.recipe, classes=fit.classes, device=fit.device, precision=fit.precision
        )
    recipe = with_flips(resolve_recipe(fit.recipe), fit.flips)
    return ImageGAN(
        recipe=recipe,
        classes=fit.classes,
        device=fit.device,
        precision=fit.precision,
        selection=fit.selection,
    )


def _samplers(named: tuple[str, ...]) -> dict[str, OwnSampler]:
    """Arms of one's own, called as in their files. Raises UsageError for what is no sampler."""
    found: dict[str, OwnSampler] = {}
    for text in named:
        sampler = OwnSampler(OwnCode.of(text))
        sampler.made()
        if sampler.code.name in found:
            raise UsageError(
                f"two samplers are called {sampler.code.name!r}; an arm is called as its sampler "
                "is, so give one of them another name in its file"
            )
        found[sampler.code.name] = sampler
    return found


def _folder(data: str | Path, out: str | Path | None, resume: bool) -> Path:
    if resume and out is None:
        raise UsageError("--resume needs --out, the folder of the evaluation that was stopped")
    folder = new_run_folder(data, "reports") if out is None else Path(out)
    check_apart(Path(data), folder)
    return folder
