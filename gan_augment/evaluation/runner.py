"""`evaluate`: plan, fit, judge, and write the result. The entry point of this package.

Each fit is a line of a journal, made by `fit_generator`, `judge_arm` or `diagnose_split` in this
process or in joblib's workers. `evaluate` calls `run`, `run` does all fits, `judge_arm` is one.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from joblib import effective_n_jobs

from gan_augment import machine
from gan_augment.errors import GanAugmentError, LeakError, OutputExistsError
from gan_augment.evaluation.decisions import (
    Labels,
    Scores,
    Values,
    average_precisions,
    calibration,
    confusion,
    corrected,
    corrected_decision,
)
from gan_augment.evaluation.design import Design, TrainTestPart
from gan_augment.evaluation.diagnosis import diagnose_split, diagnosed_splits
from gan_augment.evaluation.estimators import one_thread
from gan_augment.evaluation.generators import MODELS, fit_generator, seen, training_set
from gan_augment.evaluation.leaks import check_disjoint, check_not_leaking, copies
from gan_augment.evaluation.learners import Fitted, Training, shares_of
from gan_augment.evaluation.options import Arm, EvaluationOptions
from gan_augment.evaluation.plan import Plan, prepare
from gan_augment.evaluation.protocol import Split
from gan_augment.evaluation.result import REPORT, RESULT, TIMINGS, EvaluationResult
from gan_augment.evaluation.results import build_result, build_timings
from gan_augment.kinds.kind import Labelled
from gan_augment.processes import end_with_parent
from gan_augment.progress import Progress
from gan_augment.storage import clean_stale, hold_folder, write_errors
from gan_augment.storage.journal import Journal, Key, Line, packed_labels
from gan_augment.storage.lock import LOCK_FILE

JOURNAL = "journal.jsonl"
REPORT_S = 3.0
"""Part of a budget that is reserved for the result and its report."""
MOST_LOSSES = 2
"""Consecutive losses of a worker that an evaluation survives."""
_FILES = (JOURNAL, RESULT, TIMINGS, REPORT, MODELS)


def evaluate(
    data: Labelled,
    options: EvaluationOptions | None = None,
    *,
    test: Labelled | None = None,
    photos: Labelled | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    on_plan: Callable[[Plan], None] | None = None,
    progress: Progress | None = None,
    started_s: float | None = None,
) -> EvaluationResult:
    """Measure whether topping up the rare classes helps a learner on this data.

    Parameters
    ----------
    data, test
        Labelled rows, and a separate test set of the same classes and shape. With a test set `data`
        is not split: one generator is fitted, and repeats are seeds of the learner.
    options, started_s
        None for the defaults; when the budget began, by `time.monotonic()`, None for now.
    photos
        If the rows are features of photos, with the same ids: the photos, for the report.
    out, resume, overwrite
        The folder for journal, generators and result (None: a temporary one); whether to resume
        the journal there, to the same bytes as without the interruption, or to replace it.
    on_plan, progress
        Called with the plan before the first fit; receives phases and warnings.

    Returns
    -------
    EvaluationResult

    Raises
    ------
    DataError
        If nothing can be judged.
    GanAugmentError
        If rows leak, or options or folder do not fit. Errors of the learner on real rows pass.
    """
    options, progress = options or EvaluationOptions(), progress or Progress()
    started_s = time.monotonic() if started_s is None else started_s
    with _output_folder(out, resume, overwrite) as folder:
        journal = Journal(folder / JOURNAL if out is not None else None)
        if resume:
            journal.read()
        more: dict[str, Any] = {"test": test, "photos": photos, "started_s": started_s}
        plan = prepare(data, options, journal.header, progress, **more)
        if journal.header is None:
            journal.append(plan.design.header)
        if on_plan:
            on_plan(plan)
        due_s = None if options.budget_s is None else started_s + options.budget_s - REPORT_S
        # absolute: reused joblib workers may have a different working directory
        design = run(plan.design, journal, folder.absolute(), options.n_jobs, progress, due_s)
        result = EvaluationResult(build_result(design, journal), build_timings(design, journal))
        if out is not None:
            _save(result, folder)
    return result


def _save(result: EvaluationResult, folder: Path) -> None:
    """Write the result, and remove the generators of all repeats but the first."""
    result.save(folder)
    for model in (folder / MODELS).glob("r[1-9]*"):
        _remove(model)


@dataclass(frozen=True)
class Task:
    """One line of the journal: its key, the function that makes it, and the arguments."""

    key: Key
    work: Callable[..., Line]
    arguments: tuple[Any, ...]


def run(
    design: Design,
    journal: Journal,
    folder: Path,
    n_jobs: int | None,
    progress: Progress,
    due_s: float | None = None,
) -> Design:
    """Do all fits that the journal lacks; return the design of the judged splits.

    n_jobs: processes, -1 for all cores, None for joblib's setting; the lines do not depend on it.
    due_s: when to end, by `time.monotonic()`. Splits are then judged in batches of n_jobs, and no
    batch begins that would end later than that. Raises errors of the arm `none`, and LeakError.
    """

    def do(tasks: Sequence[Task], phase: str) -> None:
        _do(design, tasks, journal, n_jobs, progress, phase)

    splits = design.protocol.splits
    size = len(splits) if due_s is None else effective_n_jobs(n_jobs)
    judged: list[Split] = []
    for first in range(0, len(splits), size):
        batch, began_s = splits[first : first + size], time.monotonic()
        generators = _generator_tasks(design, batch, folder) if design.keeps_generators else []
        cells = [
            Task(("arm", s.repeat, s.fold, arm.name), judge_arm, (s, arm, folder))
            for arm in design.arms
            if design.learner.weighs or not arm.weighed
            for s in batch
        ]
        if any(journal.get(cell.key) is None for cell in cells):
            _forget_lost(journal, folder)
            free = [cell for cell in cells if cell.arguments[1].source != "gan"]
            do([*generators, *free], "fitting generators and learners")
            do(cells, "fitting and judging learners")
        judged += batch
        now_s = time.monotonic()
        if due_s is not None and now_s + (now_s - began_s) > due_s:
            break
    if len(judged) < len(splits):
        what = f"{len(splits) - len(judged)} of {len(splits)} splits: the budget was spent"
        protocol = replace(design.protocol, splits=tuple(judged))
        design = replace(design, protocol=protocol, left_out=(*design.left_out, what))
    if design.options.diagnostics:
        diagnosed = diagnosed_splits(design)
        diagnoses = [
            Task(("diagnosis", s.repeat, s.fold, None), diagnose_split, (s, folder))
            for s in diagnosed
        ]
        if design.keeps_generators and any(journal.get(one.key) is None for one in diagnoses):
            _forget_lost(journal, folder)
            do(_generator_tasks(design, diagnosed, folder), "fitting generators that were lost")
        do(diagnoses, "describing generated rows")
    return design


def judge_arm(design: Design, split: Split, arm: Arm, folder: Path) -> Line:
    """Fit the learner of an arm in a split, and return its line of the journal.

    An arm that cannot be made gives a line with the reason as its `error`. The errors of `none`,
    with which everything is compared, are raised, and LeakError.
    """
    part = design.part(split)
    results: dict[str, Any]
    seconds = dict.fromkeys(("make", "fit", "predict"), 0.0)
    with one_thread(), machine.threads(1):
        try:
            clock = time.perf_counter()
            training = training_set(design, part, arm, folder)
            check_disjoint(training.real.ids, part.test.ids, f"{arm.name} of fold {split.fold + 1}")
            _check_plug_in(design, arm, training, part)
            seconds["make"], clock = time.perf_counter() - clock, time.perf_counter()
            fitted = design.learner.fit(training, design.seed_of("learner", split))
            seconds["fit"], clock = time.perf_counter() - clock, time.perf_counter()
            scores = _scores(fitted, part.test, design.options.batch)
            seconds["predict"] = time.perf_counter() - clock
            results = _judged(design, arm, training, part, scores)
        except LeakError:
            raise
        except Exception as failure:  # learners and samplers of users raise any kind
            if arm.name == "none":
                raise
            results = {"error": f"{type(failure).__name__}: {failure}"}
    about = {"kind": "arm", "repeat": split.repeat, "fold": split.fold, "arm": arm.name}
    return {**about, **results, "seconds": seconds}


def _judged(
    design: Design, arm: Arm, training: Training, part: TrainTestPart, scores: Scores
) -> dict[str, Any]:
    """Return the figures of a fitted arm."""
    trained, real = training.class_shares(even=design.learner.balances), shares_of(part.train)
    copied = None
    if arm.name == "gan" and training.generated is not None:
        copied = copies(training.generated, part.train, part.test, part.schema)
    return {
        "error": None,
        **split_figures(scores, part.test.labels, trained, real, design.options.metric),
        "rows": training.rows,
        "copies": copied,
        "seen": seen(training.real.ids),
    }


def split_figures(
    scores: Scores, labels: Labels, trained: Values, real: Values, metric: str
) -> dict[str, Any]:
    """Return the figures of one fit on N test rows as JSON.

    Parameters
    ----------
    scores
        The predictions.
    labels : int64 (N,)
        The truth.
    trained, real : float64 (K,)
        Class shares that the learner was trained on, and those of the real training rows.
    metric
        The metric that the corrected decision is for.

    Returns
    -------
    dict
        "confusion" (K x K counts, rows = truth) and "called" (packed labels), each {"default",
        "corrected"}, the latter None without probabilities; "average_precision", K values or None;
        "calibration", {"before", "after"} correcting the class shares, or None.
    """
    classes = len(real)
    called = {
        "default": scores.called,
        "corrected": corrected_decision(scores, trained, real, metric),
    }
    calibrations = None
    if scores.are_probabilities and scores.values is not None and len(labels):
        after = corrected(scores.values, trained, real)
        calibrations = {
            "before": calibration(scores.values, labels),
            "after": calibration(after, labels),
        }
    return {
        "confusion": {
            column: None if own is None else confusion(labels, own, classes).tolist()
            for column, own in called.items()
        },
        "average_precision": average_precisions(scores.ranking, labels, classes),
        "calibration": calibrations,
        "called": {
            column: None if own is None else packed_labels(own) for column, own in called.items()
        },
    }


def _scores(fitted: Fitted, test: Labelled, batch: int) -> Scores:
    """Score all rows, `batch` at a time, rounded to float32.

    The last bits of float64 matrix products depend on the number of rows.
    """
    rows = np.arange(len(test))
    starts = range(0, max(1, len(test)), batch)
    batches = [fitted.scores(test.take(rows[start : start + batch])) for start in starts]
    values = [one.values for one in batches if one.values is not None]
    return Scores(
        np.concatenate([one.called for one in batches]),
        np.concatenate(values).astype(np.float32).astype(np.float64) if values else None,
        batches[0].kind,
    )


def _check_plug_in(design: Design, arm: Arm, training: Training, part: TrainTestPart) -> None:
    """Raise LeakError if a generator or sampler of the user gives held-out rows."""
    sampler = arm.source == "sampler"
    own = sampler or (arm.source == "gan" and not design.keeps_generators)
    if own and training.generated is not None:
        check_not_leaking(
            training.generated, part.train, part.test, arm.name, part.schema, resampled=sampler
        )


def _generator_tasks(design: Design, splits: Sequence[Split], folder: Path) -> list[Task]:
    served = {(s.repeat, s.fold): s for s in map(design.protocol.generator_split, splits)}
    return [
        Task(("generator", *place, None), fit_generator, (split, folder))
        for place, split in served.items()
    ]


def _forget_lost(journal: Journal, folder: Path) -> None:
    """Drop the lines of generators whose files are gone."""

    def lost(line: Line) -> bool:
        fitted = line["kind"] == "generator" and line["error"] is None
        return fitted and not (folder / line["model"]).exists()

    journal.forget(lost)


def _do(
    design: Design,
    tasks: Sequence[Task],
    journal: Journal,
    n_jobs: int | None,
    progress: Progress,
    phase: str,
) -> None:
    """Do every task whose line is missing; tasks of a lost worker are done again."""
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    losses = 0
    while left := [task for task in tasks if journal.get(task.key) is None]:
        done = len(tasks) - len(left)
        progress.phase(phase, len(tasks))
        try:
            with warnings.catch_warnings():
                # joblib warns in a thread when it replaces a worker that has grown by 300 MB; an
                # error there would end the thread, and no more results would arrive
                warnings.filterwarnings("ignore", "A worker stopped while some jobs", UserWarning)
                for line in _lines(design, left, n_jobs):
                    journal.append(line)
                    done, losses = done + 1, 0
                    progress.advance(done)
        except (TerminatedWorkerError, CancelledError) as error:
            reason, losses = " ".join(str(error).split()), losses + 1
            if losses > MOST_LOSSES:
                raise GanAugmentError(
                    f"a worker ended early for the third time: {reason}"
                ) from None
            progress.warn(f"a worker ended early, its fits are done again: {reason}")


def _lines(design: Design, tasks: Sequence[Task], n_jobs: int | None) -> Iterator[Line]:
    """Yield the line of each task as it is done, here or in joblib's workers."""
    if n_jobs == 1:
        yield from (task.work(design, *task.arguments) for task in tasks)
        return
    from joblib import Parallel, delayed
    from joblib.parallel import get_active_backend

    side_by_side = Parallel(n_jobs=n_jobs, return_as="generator_unordered", batch_size=1)
    children = type(get_active_backend()[0]).__name__ == "LokyBackend"
    parent = (os.getpid(), platform.node()) if children else None
    yield from side_by_side(delayed(_in_worker)(design, task, parent) for task in tasks)


def _in_worker(design: Design, task: Task, parent: tuple[int, str] | None) -> Line:
    if parent:
        end_with_parent(*parent)
    return task.work(design, *task.arguments)


@contextlib.contextmanager
def _output_folder(out: str | Path | None, resume: bool, overwrite: bool) -> Iterator[Path]:
    """Lock the output folder for this process; a temporary one without `out`."""
    if out is None:
        with tempfile.TemporaryDirectory(prefix="gan-augment-") as temporary:
            yield Path(temporary)
        return
    folder = Path(out)
    with hold_folder(folder):
        clean_stale(folder, _FILES)
        clean_stale(folder / MODELS)
        if not resume:
            _make_room(folder, overwrite)
        yield folder


def _make_room(folder: Path, overwrite: bool) -> None:
    """Remove an evaluation before it is replaced. Raises OutputExistsError for other files."""
    journal = folder / JOURNAL
    if journal.is_file() and Journal.is_torn(journal):  # killed in its first write
        _remove(journal)
    present = sorted(path.name for path in folder.iterdir() if path.name != LOCK_FILE)
    if not present:
        return
    if not overwrite or not {JOURNAL, RESULT} & set(present):
        raise OutputExistsError(
            f"{str(folder)!r} is not empty ({present[0]!r}); name another folder, --resume the "
            "evaluation in it, or --overwrite it."
        )
    for name in _FILES:
        _remove(folder / name)


def _remove(path: Path) -> None:
    with write_errors(path):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
