"""`evaluate`: plan, fit, judge, and write the result. The entry point of this package.

Each fit is a line of a journal, made by `fit_generator`, `judge_arm` or `diagnose_split` in this
process or in joblib's workers. `evaluate` calls `run`, `run` does all fits, `judge_arm` is one.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import platform
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from joblib import effective_n_jobs
from numpy.typing import NDArray

from gan_augment.errors import DataError, GanAugmentError, LeakError, OutputExistsError
from gan_augment.evaluation.decisions import corrected_decision, split_figures
from gan_augment.evaluation.design import Column, Design, Origin, Protocol, Split, check_disjoint
from gan_augment.evaluation.diagnosis import diagnose_split
from gan_augment.evaluation.estimators import one_thread
from gan_augment.evaluation.generators import (
    MODELS,
    check_not_leaking,
    copies,
    fit_generator,
    generator_of,
    model_path,
    training_set,
)
from gan_augment.evaluation.learners import learner_of, shares_of
from gan_augment.evaluation.options import Arm, EvaluationOptions
from gan_augment.evaluation.plan import Plan, gaining_classes, prepare
from gan_augment.evaluation.result import APPLY, CHART, REPORT, RESULT, TIMINGS, EvaluationResult
from gan_augment.evaluation.results import build_result, build_timings
from gan_augment.kinds.kind import Labelled
from gan_augment.processes import end_with_parent
from gan_augment.progress import Progress
from gan_augment.storage.files import clean_stale, remove_named
from gan_augment.storage.journal import Journal, Key, Line
from gan_augment.storage.lock import LOCK_FILE, hold_folder

JOURNAL = "journal.jsonl"
REPORT_S = 3.0
"""Part of a budget that is reserved for the result and its report."""
_FILES = (JOURNAL, RESULT, TIMINGS, REPORT, CHART, APPLY, MODELS)
Tasks = dict[Key, tuple[Any, ...]]
"""{key of a line: (the function that makes it, its arguments after the design)}."""


def evaluate(
    data: Labelled,
    options: EvaluationOptions | None = None,
    *,
    test: Labelled | None = None,
    photos: Labelled | None = None,
    origin: Origin | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    on_plan: Callable[[Plan], None] | None = None,
    progress: Progress | None = None,
    started_s: float | None = None,
) -> EvaluationResult:
    """Measure whether topping up the rare classes helps a learner on this data.

    test: a separate test set of the same classes and shape; `data` is not split then, one generator
    is fitted, and repeats are seeds of the learner. photos: if the rows are features of photos,
    these, with the same ids, for the report. origin: where the rows came from, for the code that
    applies the recommendation. out, resume, overwrite: the folder for journal, generators and
    result (None: a temporary one); whether to resume the journal there, to the same bytes as
    without the interruption, or to replace it. on_plan: called before the first fit, and may refuse
    the plan. started_s: when the budget began, by `time.monotonic()`, None for now.

    Raises DataError and GanAugmentError if nothing can be judged, rows leak, or options or folder
    do not fit. Errors of the learner on real rows pass.
    """
    options, progress = options or EvaluationOptions(), progress or Progress()
    started_s = time.monotonic() if started_s is None else started_s
    with _output_folder(out, resume, overwrite) as folder:
        journal = Journal(folder / JOURNAL if out is not None else None)
        if resume:
            journal.read()
        rows: dict[str, Any] = {"test": test, "photos": photos, "origin": origin}
        plan = prepare(data, options, journal.header, progress, **rows, started_s=started_s)
        if on_plan:
            on_plan(plan)
        if journal.header is None:
            journal.append(plan.design.header)
        due_s = None if options.budget is None else started_s + options.budget - REPORT_S
        # absolute: reused joblib workers may have a different working directory
        run(plan.design, journal, folder.absolute(), options.n_jobs, progress, due_s)
        built = build_result(plan.design, journal), build_timings(plan.design, journal)
        result = EvaluationResult(*built)
        if out is not None:
            result.save(folder)
            shutil.rmtree(folder / MODELS, ignore_errors=True)
    return result


def run(
    design: Design,
    journal: Journal,
    folder: Path,
    n_jobs: int | None,
    progress: Progress,
    due_s: float | None = None,
) -> None:
    """Do all fits that the journal lacks.

    n_jobs: processes, -1 for all cores, None for joblib's setting; the lines do not depend on it.
    due_s: when to end, by `time.monotonic()`. Splits are then judged in batches of n_jobs, and no
    batch begins that would end later than that. A generator is deleted after its last split.
    Raises errors of the arm `none`, and LeakError.
    """

    def do(tasks: Tasks, phase: str) -> None:
        _do(design, tasks, journal, n_jobs, progress, phase)

    splits, of = design.protocol.splits, design.protocol.generator_split
    size = effective_n_jobs(n_jobs)
    if due_s is None:
        size = max(size, design.protocol.folds)
    for first in range(0, len(splits), size):
        batch, began_s = splits[first : first + size], time.monotonic()
        generators: Tasks = {
            ("generator", s.repeat, s.fold, None): (fit_generator, s, folder)
            for s in map(of, batch)
            if design.keeps_generators
        }
        cells: Tasks = {
            ("arm", s.repeat, s.fold, arm.name): (judge_arm, s, arm, folder)
            for arm in design.fitted_arms
            for s in batch
        }
        free = {key: cell for key, cell in cells.items() if cell[2].source != "gan"}
        do(generators | free, "fitting generators and learners")
        do(cells, "fitting and judging learners")
        judged_s = time.monotonic() - began_s
        # a plug-in is not saved and has to be fitted again, so one split has to do
        shown = 1 if not design.keeps_generators else len(splits)
        diagnoses: Tasks = {
            ("diagnosis", s.repeat, s.fold, None): (diagnose_split, s, folder)
            for s in batch
            if design.options.diagnostics and s.repeat == 0 and s.fold < shown
        }
        do(diagnoses, "describing generated rows")
        needed = {model_path(of(split)) for split in splits[first + size :]}
        for model in {model_path(of(split)) for split in batch} - needed:
            (folder / model).unlink(missing_ok=True)
        if due_s is not None and time.monotonic() + judged_s > due_s:
            break


def judge_arm(design: Design, split: Split, arm: Arm, folder: Path) -> Line:
    """Fit the learner of an arm in a split; return its line of the journal, or its error's."""
    part, times = design.part(split), [time.perf_counter()]
    results: dict[str, Any]
    with one_thread():
        try:
            training = training_set(design, part, arm, folder)
            check_disjoint(training.real.ids, part.test.ids, f"{arm.name} of fold {split.fold + 1}")
            plug_in = arm.source == "gan" and not design.keeps_generators
            if training.generated is not None and (plug_in or arm.source == "sampler"):
                check_not_leaking(training.generated, part.train, part.test, arm.name, part.schema)
            times.append(time.perf_counter())
            fitted = design.learner.fit(training, design.seed_of("learner", split))
            times.append(time.perf_counter())
            scores = fitted.scores(part.test)
            times.append(time.perf_counter())
            copied = None
            if arm.name == "gan" and training.generated is not None:
                copied = copies(training.generated, part.train, part.test, part.schema)
            about = (part.test.labels, fitted.shares, shares_of(part.train), design.options.metric)
            figures = split_figures(scores, *about)
            results = {"error": None, **figures, "rows": training.rows, "copies": copied}
        except LeakError:
            raise
        except Exception as failure:  # learners and samplers of users raise any kind
            if arm.name == "none":
                raise
            results = {"error": f"{type(failure).__name__}: {failure}"}
    key = {"kind": "arm", "repeat": split.repeat, "fold": split.fold, "arm": arm.name}
    spent_s = [later - earlier for earlier, later in itertools.pairwise(times)]
    seconds = dict(zip(("make", "fit", "predict"), spent_s, strict=False))
    return {**key, **results, "seconds": seconds}


@dataclass(frozen=True)
class FittedRemedy:
    """A learner that `fit_remedy` fitted to `data`."""

    data: Labelled
    called: Callable[[Labelled], NDArray[np.int64]]

    def predict(self, rows: Labelled) -> NDArray[np.str_]:
        """Predict the class names of rows of the same kind and shape or columns, (N,)."""
        first = self.data.take([0])
        joined = self.data.kind.joined(first, rows)
        same = self.data.kind.take(joined, np.arange(1, len(joined)))
        new = self.data.with_rows(same, np.zeros(len(rows), dtype=np.int64), rows.ids)
        return np.array(self.data.names)[self.called(new)]


def fit_remedy(
    data: Labelled, options: EvaluationOptions, arm: str, decision: Column = "default"
) -> FittedRemedy:
    """Fit the learner to all rows with a remedy, as `evaluate` fits an arm in a split.

    Parameters
    ----------
    data, options
        As of `evaluate`; `options.fit` names the steps of a generator.
    arm, decision
        A name such as "cmo", and "default" or "corrected".

    Returns
    -------
    FittedRemedy
        Has `predict(rows)`.

    Raises
    ------
    DataError, UsageError
        If the rows of the arm cannot be made, or the options do not fit.
    """
    rare, kinds = gaining_classes(data, options), options.kinds
    learner = learner_of(options.learner, data, updates=options.updates, overrides=kinds)
    every = Split(0, 0, np.arange(len(data)), np.empty(0, dtype=np.int64))
    protocol = Protocol("rows", 1, 1, 0.0, (every,), "rows", data.counts, data.names, {}, ())
    one = options.model_copy(update={"arms": (arm,)})
    generator = generator_of(one, data, rare)
    design = Design(one, data, protocol, learner, generator, rare, options.fit.steps, kinds)
    chosen = next(each for each in design.arms if each.name == arm)
    with one_thread(), tempfile.TemporaryDirectory(prefix="gan-augment-") as folder:
        if chosen.source == "gan" and design.keeps_generators:
            failed = fit_generator(design, every, Path(folder))["error"]
            if failed:
                raise DataError(failed)
        training = training_set(design, design.part(every), chosen, Path(folder))
        fitted = learner.fit(training, design.seed_of("learner", every))
    real = shares_of(data)

    def called(rows: Labelled) -> NDArray[np.int64]:
        with one_thread():
            scores = fitted.scores(rows)
        fair = corrected_decision(scores, fitted.shares, real, options.metric)
        return scores.called if decision == "default" or fair is None else fair

    return FittedRemedy(data, called)


def _do(
    design: Design,
    tasks: Tasks,
    journal: Journal,
    n_jobs: int | None,
    progress: Progress,
    phase: str,
) -> None:
    """Do every task whose line is missing, here or in joblib's workers."""
    from joblib import Parallel, delayed
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    left = [task for key, task in tasks.items() if journal.get(key) is None]
    if not left:
        return
    done, parent = len(tasks) - len(left), (os.getpid(), platform.node())
    progress.phase(phase, len(tasks), done)
    side_by_side = Parallel(n_jobs=n_jobs, return_as="generator_unordered", batch_size=1)
    with warnings.catch_warnings():
        # joblib warns in a thread when it replaces a worker that has grown by 300 MB; an error
        # there would end the thread, and no more results would arrive
        warnings.filterwarnings("ignore", "A worker stopped while some jobs", UserWarning)
        try:
            for line in side_by_side(delayed(_work)(design, task, parent) for task in left):
                journal.append(line)
                done += 1
                progress.advance(done)
        except (TerminatedWorkerError, CancelledError) as error:
            raise GanAugmentError(
                f"a worker ended early ({' '.join(str(error).split())}), maybe for lack of memory; "
                "finished fits of an output folder are kept: --resume with fewer --n-jobs"
            ) from None


def _work(design: Design, task: tuple[Any, ...], parent: tuple[int, str]) -> Line:
    end_with_parent(*parent)
    work, *arguments = task
    line: Line = work(design, *arguments)
    return line


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
        present = sorted(path.name for path in folder.iterdir() if path.name != LOCK_FILE)
        if present and not resume:
            if not overwrite or not {JOURNAL, RESULT} & set(present):
                raise OutputExistsError(
                    f"{str(folder)!r} is not empty ({present[0]!r}); name another folder, go on "
                    "with the evaluation in it by --resume (resume=True), or give --overwrite "
                    "(overwrite=True)."
                )
            remove_named(folder, _FILES)
        yield folder
