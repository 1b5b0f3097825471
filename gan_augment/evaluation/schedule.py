"""What a journal lacks, done side by side: generator fits, cells and diagnoses, a line each."""

from __future__ import annotations

import os
import platform
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from gan_augment.evaluation.arm_results import ArmResults
from gan_augment.evaluation.arms import ALL_GENERATED, Candidate
from gan_augment.evaluation.diagnosis.folds import SOURCE, diagnose_split, diagnosed_splits
from gan_augment.evaluation.fits import run_cell
from gan_augment.evaluation.generators import fit_generator
from gan_augment.evaluation.journal import Journal, Key, Line, key_of
from gan_augment.evaluation.plan import INNER, OUTER, Costs, Setup
from gan_augment.evaluation.protocol import Split
from gan_augment.processes import end_with_parent
from gan_augment.progress import Progress
from gan_augment.synthesizers.base import Data


@dataclass(frozen=True)
class Task:
    """One line of the journal that is to be made. key: the line's. waits: for kept generators."""

    key: Key
    run: Callable[[], Any]
    waits: bool = False


def run(
    setup: Setup[Data], journal: Journal, folder: Path, n_jobs: int | None, progress: Progress
) -> None:
    """Fill the journal. n_jobs: processes, -1 for all cores; None is joblib's own setting.

    The lines do not depend on n_jobs, nor on what was there before. Raises what a cell raises; the
    lines before that are kept.
    """

    def lacks(tasks: Sequence[Task]) -> bool:
        return any(journal.get(task.key) is None for task in tasks)

    def do(tasks: Sequence[Task], phase: str) -> None:
        _do(tasks, journal, n_jobs, progress, phase)

    splits = setup.protocol.splits
    sources = dict.fromkeys(c.generated for c in setup.candidates if c.generated)
    cells = [_cell(setup, split, c, folder) for split in splits for c in setup.candidates]

    def generators(levels: Sequence[str]) -> list[Task]:
        return [
            _generator(setup, split, level, source, folder)
            for split in setup.protocol.generator_splits
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
        free: list[Task] = [task for task in cells if not task.waits]  # for idle processes
        do([*generators((OUTER,)), *free], "fitting generators and learners")
        do(generators(INNER if setup.design.inner else ()), "fitting generators of inner parts")
    do(cells, "fitting and judging learners")
    do(of_share(), "varying the share of generated rows")
    if setup.options.diagnostics:
        splits_seen = diagnosed_splits(setup)
        looks = [
            Task(
                ("diagnosis", split.repeat, split.fold, f"{SOURCE} {OUTER}"),
                partial(diagnose_split, setup, split, folder),
            )
            for split in splits_seen
        ]
        if setup.keeps_generators and lacks(looks):
            fitted = [_generator(setup, split, OUTER, SOURCE, folder) for split in splits_seen]
            keys = {task.key for task in fitted}
            journal.forget(lambda line: key_of(line) in keys and _lost(line, folder))
            do(fitted, "fitting generators that were lost")
        do(looks, "looking at what was generated")


def costs_of(setup: Setup[Any], n_jobs: int | None, processes: int) -> Costs:
    """Time a few fits; of images in as many processes as there will be, unless steps were given.

    Beside each other they are slower than alone, and of images a budget decides by these times.
    """
    timing = partial(Costs.timed, setup)
    if setup.table or setup.options.fit.steps:
        return timing()
    tasks = [Task((), timing)] * min(processes, setup.fits.learners)
    timed: Iterator[Costs] = _lines(tasks, n_jobs)
    return max(timed, key=lambda costs: costs.learner_s)


def all_generated(setup: Setup[Data], journal: Journal, split: Split) -> list[Candidate]:
    """Return a split's chosen amount with generated rows alone, for the curve of the share."""
    amount = ArmResults(setup, journal).chosen_amount("gan", split)
    return [] if amount is None else [Candidate("amount", amount, share=ALL_GENERATED)]


def _lost(line: Line, folder: Path) -> bool:
    """Tell whether a generator was fitted, and its files are gone."""
    fitted = line["kind"] == "generator" and line["error"] is None
    return fitted and not (folder / line["model"]).is_dir()


def _generator(setup: Setup[Data], split: Split, level: str, source: str, folder: Path) -> Task:
    key = ("generator", split.repeat, split.fold, f"{source} {level}")
    return Task(key, partial(fit_generator, setup, split, level, source, folder))


def _cell(setup: Setup[Data], split: Split, candidate: Candidate, folder: Path) -> Task:
    key = ("cell", split.repeat, split.fold, candidate.key)
    waits = setup.keeps_generators and candidate.generated is not None
    return Task(key, partial(run_cell, setup, split, candidate, folder), waits)


def _do(
    tasks: Sequence[Task], journal: Journal, n_jobs: int | None, progress: Progress, phase: str
) -> None:
    """Do every task whose line is not there yet."""
    left = [task for task in tasks if journal.get(task.key) is None]
    if not left:
        return
    progress.phase(phase, len(tasks))
    done = len(tasks) - len(left)
    with warnings.catch_warnings():
        # joblib replaces a worker that has grown by 300 MB, and warns in a thread of its own: no
        # news, and where warnings are errors that thread would end, and nobody take in results
        warnings.filterwarnings("ignore", "A worker stopped while some jobs", UserWarning)
        for line in _lines(left, n_jobs):
            journal.append(line)
            done += 1
            progress.advance(done)


def _lines(tasks: Sequence[Task], n_jobs: int | None) -> Iterator[Any]:
    """Yield the lines of the tasks as each is done, in this process or in others."""
    if n_jobs == 1:
        yield from (task.run() for task in tasks)
        return
    from joblib import Parallel, delayed

    side_by_side = Parallel(n_jobs=n_jobs, return_as="generator_unordered", batch_size=1)
    here = os.getpid(), platform.node()
    yield from side_by_side(delayed(_run)(task, *here) for task in tasks)


def _run(task: Task, parent: int, machine: str) -> Any:
    end_with_parent(parent, machine)
    return task.run()
