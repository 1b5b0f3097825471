"""`evaluate`: read, plan, measure, judge, into a folder. `plan_evaluation`: only the plan.
`report`: the page of a result.

The measuring and judging is `gan_augment.evaluation`'s.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan_augment.data.images.sources import PARTS, parts_of
from gan_augment.errors import OutputExistsError, UsageError
from gan_augment.evaluation.options import EvaluationOptions
from gan_augment.evaluation.result import REPORT, EvaluationResult
from gan_augment.evaluation.start import JOURNAL, prepare
from gan_augment.evaluation.start import evaluate as run
from gan_augment.input_files import read_regular
from gan_augment.progress import Progress
from gan_augment.report.html import is_report
from gan_augment.storage import clean_stale, write_errors, write_file
from gan_augment.training.callbacks import interruptible
from gan_augment.workflows.kinds import ImageKind, Kind, read_data
from gan_augment.workflows.outputs import check_apart, new_run_folder

if TYPE_CHECKING:
    from gan_augment.evaluation.plan import Plan

_HINT = "what is finished was kept; go on with the same command, --out {} and --resume"


@dataclass(frozen=True)
class WrittenReport:
    """A result, and the page that it was written to."""

    evaluation: EvaluationResult
    out: Path

    @property
    def verdict(self) -> str:
        """The word of the verdict."""
        return self.evaluation.verdict

    def to_dict(self) -> dict[str, Any]:
        """Make it ready for JSON."""
        sentence = self.evaluation.sentence
        return {"out": str(self.out), "verdict": self.verdict, "sentence": sentence}

    def lines(self) -> list[str]:
        """Write it for people."""
        return [self.evaluation.sentence]


@dataclass(frozen=True)
class EvaluationRun(WrittenReport):
    """An evaluation and the folder where it is."""

    def to_dict(self) -> dict[str, Any]:
        """Make it ready for JSON, with the whole result."""
        return {**super().to_dict(), "result": self.evaluation.to_dict()}

    def lines(self) -> list[str]:
        """Write it for people, with where to look."""
        return [*self.evaluation.lines(), "", f"the report to look at: {self.out / REPORT}"]


def plan_evaluation(
    data: str | Path, options: EvaluationOptions | None = None, *, test: str | Path | None = None
) -> Plan:
    """Read the data and decide all that `evaluate` would decide. Writes nothing."""
    options = options or EvaluationOptions()
    kind, tested = _read(Path(data), test, options, Progress())
    return prepare(kind.data, options, test=None if tested is None else tested.data)


def evaluate(
    data: str | Path,
    out: str | Path | None = None,
    options: EvaluationOptions | None = None,
    *,
    test: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> EvaluationRun:
    """Measure and judge whether topping up helps a classifier on images or a table.

    out: a folder for the result, the journal and models, by default `reports/<name of data>`, then
    `-2`, `-3`. resume: go on with what `out` began, to the very bytes of an undisturbed run.
    overwrite: replace an earlier evaluation. test: data of the same kind to test on, with `data` to
    train on; by default the test (or val) folder beside train in `data`, unless the options name
    folds. Raises StopRequested for Ctrl-C and SIGTERM, what was
    done being kept, and GanAugmentError.
    """
    options, progress = options or EvaluationOptions(), progress or Progress()
    started_s = time.monotonic()
    if resume and out is None:
        raise UsageError("--resume needs --out, the folder of the evaluation that was stopped")
    folder = new_run_folder(data, "reports") if out is None else Path(out)
    check_apart(Path(data), folder)
    kind, tested = _read(Path(data), test, options, progress)
    of_test = () if tested is None else (f"test rows: {note}" for note in tested.read.notes)

    def show(plan: Plan) -> None:
        for line in (*kind.read.notes, *of_test, *plan.lines()):
            progress.note(line)

    def hint() -> str:
        return _HINT.format(folder) if (folder / JOURNAL).is_file() else ""

    with interruptible(hint):
        result = run(
            kind.data,
            options,
            test=None if tested is None else tested.data,
            out=folder,
            resume=resume,
            overwrite=overwrite,
            on_plan=show,
            progress=progress,
            started_s=started_s,
        )
    return EvaluationRun(result, folder)


def _read(
    data: Path, test: str | Path | None, options: EvaluationOptions, progress: Progress
) -> tuple[Kind, Kind | None]:
    """The rows to learn from, and those of a test set of its own, images as large as the others."""
    kind, fit = read_data(data, options.fit, progress), options.fit
    if test is None and fit.target is None and data.is_dir() and options.folds is None:
        parts = parts_of(data)
        test = next((parts[name] for name in PARTS if name in parts and name != "train"), None)
    if test is None:
        return kind, None
    if isinstance(kind, ImageKind):
        fit = fit.model_copy(update={"image_size": kind.data.image_shape[:2]})
    return kind, read_data(Path(test), fit, progress)


def report(
    result: str | Path, out: str | Path | None = None, *, overwrite: bool = False
) -> WrittenReport:
    """Write the result of an evaluation as one HTML file that needs nothing else.

    Parameters
    ----------
    result
        The folder of an evaluation, or its result.json.
    out
        A file, by default report.html beside it.
    overwrite
        Replace an earlier report; what is no report of ours is never replaced.

    Raises
    ------
    ModelFileError
        Where there is no result.
    UsageError, OutputExistsError, WriteFailedError
    """
    source = Path(result)
    evaluation = EvaluationResult.load(source)
    target = (source if source.is_dir() else source.parent) / REPORT if out is None else Path(out)
    name = str(target)
    if target.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"--out {name!r} is no HTML file; expected a name such as {REPORT!r}")
    clean_stale(target.parent, {target.name})
    if target.exists():
        with write_errors(target):
            ours = target.is_file() and is_report(read_regular(target))
        if not ours:
            raise OutputExistsError(
                f"{name!r} is there, and no report of gan-augment; name another file with --out."
            )
        if not overwrite:
            raise OutputExistsError(
                f"{name!r} is there already; --overwrite replaces it, --out names another file."
            )
    write_file(target, evaluation.to_html().encode(), replace=overwrite)
    return WrittenReport(evaluation, target)
