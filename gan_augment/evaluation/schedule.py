"""What a journal lacks, done side by side: generator fits, cells and diagnoses, a line each."""

from __future__ import annotations

import math
import os
import platform
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from joblib import effective_n_jobs

from gan_augment.errors import GanAugmentError, UsageError
from gan_augment.evaluation.amount import Amount
from gan_augment.evaluation.arm_results import ArmResults
from gan_augment.evaluation.arms import ALL_GENERATED, NONE, Candidate
from gan_augment.evaluation.diagnosis.folds import SOURCE, diagnose_split, diagnosed_splits
from gan_augment.evaluation.fits import run_cell, training_set
from gan_augment.evaluation.generators import fit_generator
from gan_augment.evaluation.plan import INNER, OUTER, Costs, Plan, Setup, finished, shrunk
from gan_augment.evaluation.protocol import Split
from gan_augment.generators.generator import Data
from gan_augment.generators.time_budget import TIMING_SHARE
from gan_augment.processes import end_with_parent
from gan_augment.progress import Progress
from gan_augment.storage.journal import Journal, Key, Line, key_of

MOST_LOSSES = 2
"""Of workers in succession, with nothing done between them, before an evaluation ends."""
SLACK = 1.1
"""Times the time that is left, what the rest may be forecast to take before anything is left out:
the first units of a process take longer than the others."""
WORKERS_START_S = 30.0
"""Of timing, from which on it is worth the start of processes."""
SHORT_BUDGET_S, SHORT_TIMING_S = 600.0, 3.0
"""Up to which a budget is timed so shortly: what does not fit is refused in ten seconds."""


@dataclass(frozen=True)
class Task:
    """One line of the journal that is to be made.

    key: the line's. work: makes it of the setup, which travels apart, and `about`. needs: lines of
    kept generators.
    """

    key: Key
    work: Callable[..., Any]
    about: tuple[Any, ...] = ()
    needs: tuple[Key, ...] = ()

    def run(self, setup: Setup[Any]) -> Any:
        """Do the work."""
        return self.work(setup, *self.about)


class Pace:
    """Keeps an evaluation within its time: by what finished units took, the rest is planned again.

    due_s: of `clock`, when all must be done. setup: with the design as it is by now; the journal is
    told of every change, so that a resumed evaluation goes on with it.
    """

    def __init__(
        self,
        plan: Plan,
        journal: Journal,
        due_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.setup, self._costs, self._processes = plan.setup, plan.costs, plan.n_jobs
        self._journal, self._due_s, self._clock = journal, due_s, clock
        self._planned = self._wanted = set(units_of(plan.setup))
        self._seconds = self._observed()

    def admits(self, task: Task) -> bool:
        """Tell whether a task is still planned, and would end in time.

        Two folds are judged all the same where that was forced.
        """
        wanted = task.key in self._wanted
        if not wanted and task.key in self._planned:
            return False
        if wanted and self.setup.options.force and self.judged() is None:
            return True
        return self._clock() + self._unit_s(task.key) <= self._due_s

    def plan_again(self) -> None:
        """Take the first design of which the rest fits into the time that is left, or the least."""
        self._seconds, left_s = self._observed(), self._due_s - self._clock()
        for setup in shrunk(self.setup):
            missing = [key for key in units_of(setup) if self._journal.get(key) is None]
            if sum(map(self._unit_s, missing)) / self._processes <= SLACK * left_s:
                break
        else:
            if self.judged() is not None:
                return  # folds are left out then, and nothing of those that are done
        if setup.design != self.setup.design:
            self.setup, self._wanted = setup, set(units_of(setup))
            self._journal.append(setup.header)

    def judged(self) -> Setup[Any] | None:
        """Return the setup of what is done, see `finished`."""
        return finished(
            self.setup,
            lambda s, c: self._journal.get(("cell", s.repeat, s.fold, c.key)) is not None,
        )

    def _observed(self) -> dict[Key, float]:
        """Average the seconds of finished units by what they are, and by their kind alone."""
        spent_s: dict[Key, list[float]] = defaultdict(list)
        for line in self._journal.lines():
            kind, *_, about = key_of(line)
            for key in ((kind,), (kind, about)):
                spent_s[key].append(sum(line["seconds"].values()))
        return {key: sum(values) / len(values) for key, values in spent_s.items()}

    def _unit_s(self, key: Key) -> float:
        kind, *_, about = key
        known = self._seconds.get((kind, about), self._seconds.get((kind,)))
        return self._costs.unit_s(self.setup, kind) if known is None else known


def units_of(setup: Setup[Any]) -> list[Key]:
    """List what there is to do, but for the cells of the share's curve, which are few."""
    sources, keys = {c.generated for c in setup.candidates}, list[Key]()
    for split in setup.protocol.splits:
        keys += [key for source in sources for key in _needed(setup, split, source)]
        keys += [("cell", split.repeat, split.fold, c.key) for c in setup.candidates]
    looks = diagnosed_splits(setup) if setup.options.diagnostics else ()
    return [*dict.fromkeys(keys), *map(_look, looks)]


def run(
    setup: Setup[Data],
    journal: Journal,
    folder: Path,
    n_jobs: int | None,
    progress: Progress,
    pace: Pace | None = None,
) -> Setup[Data]:
    """Fill the journal; return the setup of what was done, which only a `pace` makes smaller.

    n_jobs: processes, -1 for all cores; None is joblib's own setting. The lines do not depend on
    it, nor on what was there before. With a pace as many folds are begun as there are processes, so
    that whole ones are there when time is up. Raises what a cell raises, the lines before that are
    kept; UsageError where time was up before two folds were judged.
    """

    def do(setup: Setup[Data], tasks: Sequence[Task], phase: str) -> None:
        _do(setup, tasks, journal, n_jobs, progress, phase, pace)

    splits = setup.protocol.splits
    each = len(splits) if pace is None else effective_n_jobs(n_jobs)
    for first in range(0, len(splits), each):
        now: Setup[Any] = setup if pace is None else pace.setup
        own = [one for one in splits[first : first + each] if one.repeat < now.design.repeats]
        _judge_splits(now, own, journal, do, folder)
    if pace is not None:
        judged = pace.judged()
        if judged is None:
            raise UsageError(
                "the time is up and no two folds are judged, so there is no verdict; --resume goes "
                "on with what is done, where it was kept, and takes another --budget"
            )
        setup = judged
    if setup.options.diagnostics:
        _diagnose(setup, journal, do, folder)
    return setup


def _judge_splits(
    setup: Setup[Data],
    splits: Sequence[Split],
    journal: Journal,
    do: Callable[[Setup[Data], Sequence[Task], str], None],
    folder: Path,
) -> None:
    """Fit and judge everything in some splits."""

    def lacks(tasks: Sequence[Task]) -> bool:
        return any(journal.get(task.key) is None for task in tasks)

    first = sorted(setup.candidates, key=lambda c: c != NONE and c.generated != "gan")
    sources = dict.fromkeys(c.generated for c in first if c.generated)
    cells = [_cell(setup, split, c, folder) for c in first for split in splits]
    served = map(setup.protocol.generator_split, splits)
    fitted = {(split.repeat, split.fold): split for split in served}.values()

    def generators(levels: Sequence[str]) -> list[Task]:
        return [
            _generator(setup, split, level, source, folder)
            for split in fitted
            for source in sources
            for level in levels
        ]

    def of_share() -> list[Task]:
        """List the cells of the share's curve, at the amounts that were chosen."""
        return [
            _cell(setup, split, candidate, folder)
            for split in splits
            for candidate in (all_generated(setup, journal, split) if setup.design.curves else ())
        ]

    if setup.keeps_generators and (lacks(cells) or lacks(of_share())):
        journal.forget(lambda line: _lost(line, folder))
        free: list[Task] = [task for task in cells if not task.needs]  # for idle processes
        do(setup, [*generators((OUTER,)), *free], "fitting generators and learners")
        inner = generators(INNER if setup.design.inner else ())
        do(setup, inner, "fitting generators of inner parts")
    do(setup, cells, "fitting and judging learners")
    if not lacks(cells):
        do(setup, of_share(), "varying the share of generated rows")


def _diagnose(
    setup: Setup[Data],
    journal: Journal,
    do: Callable[[Setup[Data], Sequence[Task], str], None],
    folder: Path,
) -> None:
    """Look at what was generated in the splits that are kept."""
    splits = diagnosed_splits(setup)
    looks = [
        Task(_look(one), diagnose_split, (one, folder), _needed(setup, one, SOURCE))
        for one in splits
    ]
    if setup.keeps_generators and any(journal.get(look.key) is None for look in looks):
        fitted = [_generator(setup, split, OUTER, SOURCE, folder) for split in splits]
        keys = {task.key for task in fitted}
        journal.forget(lambda line: key_of(line) in keys and _lost(line, folder))
        do(setup, fitted, "fitting generators that were lost")
    do(setup, looks, "looking at what was generated")


def costs_of(setup: Setup[Any], n_jobs: int | None, processes: int) -> Costs:
    """Time a few fits; of images in as many processes as there will be, unless steps were given.

    Beside each other they are slower than alone, and of images a budget decides by these times.
    Rows of features take as long to make as to learn: the time of a fit is that of both then.
    """
    budget_s = setup.options.budget_s
    within_s = math.inf if budget_s is None else TIMING_SHARE * budget_s
    if within_s < TIMING_SHARE * SHORT_BUDGET_S:
        within_s = min(within_s, SHORT_TIMING_S)
    timing = Task((), Costs.timed, (within_s,))
    if setup.table or setup.options.fit.steps or within_s < WORKERS_START_S:
        costs = Costs.timed(setup, within_s)
        if setup.photos is None or "smote" not in setup.arms:
            return costs
        level, began_s = setup.levels(setup.protocol.splits[0])[OUTER], time.perf_counter()
        training_set(setup, level, Candidate("amount", Amount("smote", 1.0)), Path())
        made_s = time.perf_counter() - began_s
        return replace(costs, learner_s=costs.learner_s + made_s, spent_s=costs.spent_s + made_s)
    tasks = [timing] * min(processes, setup.fits.learners)
    timed: Iterator[Costs] = _lines(setup, tasks, n_jobs)
    return max(timed, key=lambda costs: costs.learner_s)


def all_generated(setup: Setup[Data], journal: Journal, split: Split) -> list[Candidate]:
    """Return a split's chosen amount with generated rows alone, for the curve of the share."""
    amount = ArmResults(setup, journal).chosen_amount("gan", split)
    return [] if amount is None else [Candidate("amount", amount, share=ALL_GENERATED)]


def _lost(line: Line, folder: Path) -> bool:
    """Tell whether a generator was fitted, and its files are gone."""
    fitted = line["kind"] == "generator" and line["error"] is None
    return fitted and not (folder / line["model"]).is_file()


def _generator(setup: Setup[Data], split: Split, level: str, source: str, folder: Path) -> Task:
    key = ("generator", split.repeat, split.fold, f"{source} {level}")
    return Task(key, fit_generator, (split, level, source, folder))


def _cell(setup: Setup[Data], split: Split, candidate: Candidate, folder: Path) -> Task:
    key = ("cell", split.repeat, split.fold, candidate.key)
    needs = _needed(setup, split, candidate.generated)
    return Task(key, run_cell, (split, candidate, folder), needs)


def _needed(setup: Setup[Any], split: Split, source: str | None) -> tuple[Key, ...]:
    """List the lines of the kept generators of a split."""
    if source is None or not setup.keeps_generators:
        return ()
    levels = (OUTER, *(INNER if setup.design.inner else ()))
    of = setup.protocol.generator_split(split)
    return tuple(("generator", of.repeat, of.fold, f"{source} {name}") for name in levels)


def _do(
    setup: Setup[Any],
    tasks: Sequence[Task],
    journal: Journal,
    n_jobs: int | None,
    progress: Progress,
    phase: str,
    pace: Pace | None,
) -> None:
    """Do every task whose line is not there yet, as far as a pace admits them.

    One whose generators are not there is not done either: the time was up before them. What a
    worker had when it was lost, the rows that a cluster's engine kept there too, is begun again.
    """
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    losses = 0
    while True:
        left = [task for task in tasks if journal.get(task.key) is None]
        left = [task for task in left if all(map(journal.get, task.needs))]
        if not left:
            return
        progress.phase(phase, len(tasks))
        done = len(tasks) - len(left)
        admitted = (task for task in left if not pace or pace.admits(task))
        try:
            with warnings.catch_warnings():
                # joblib replaces a worker that has grown by 300 MB, and warns in a thread of its
                # own: no news, and where warnings are errors that thread would end, and nobody
                # take in results
                warnings.filterwarnings("ignore", "A worker stopped while some jobs", UserWarning)
                for line in _lines(setup, admitted, n_jobs):
                    journal.append(line)
                    done, losses = done + 1, 0
                    progress.advance(done)
                    if pace:
                        pace.plan_again()
        except (TerminatedWorkerError, CancelledError) as error:
            reason, losses = " ".join(str(error).split()), losses + 1
            if losses > MOST_LOSSES:
                raise GanAugmentError(
                    f"a worker ended early for the third time: {reason}"
                ) from None
            progress.warn(f"a worker ended early, its fits are begun again: {reason}")
        else:
            return


def _look(split: Split) -> Key:
    return "diagnosis", split.repeat, split.fold, f"{SOURCE} {OUTER}"


def _lines(setup: Setup[Any], tasks: Iterable[Task], n_jobs: int | None) -> Iterator[Any]:
    """Yield the lines of the tasks as each is done, in this process or by joblib's engine."""
    if n_jobs == 1:
        yield from (task.run(setup) for task in tasks)
        return
    from joblib import Parallel, delayed
    from joblib.parallel import get_active_backend

    side_by_side = Parallel(n_jobs=n_jobs, return_as="generator_unordered", batch_size=1)
    own = type(get_active_backend()[0]).__name__ == "LokyBackend"  # whose workers are children
    parent = (os.getpid(), platform.node()) if own else None
    yield from side_by_side(delayed(_run)(setup, task, parent) for task in tasks)


def _run(setup: Setup[Any], task: Task, parent: tuple[int, str] | None) -> Any:
    if parent:
        end_with_parent(*parent)
    return task.run(setup)
