"""Doing what a journal lacks: generator fits and cells, side by side, a line as each is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gan_augment.evaluation.arms import chosen_amount
from gan_augment.evaluation.candidates import Candidate
from gan_augment.evaluation.cells import run_cell
from gan_augment.evaluation.generators import fit_generator
from gan_augment.evaluation.journal import Journal, Key, Line
from gan_augment.evaluation.protocol import Split
from gan_augment.evaluation.setup import INNER, OUTER, Setup
from gan_augment.progress import Progress
from gan_augment.synthesizers.protocol import Data

ALL_GENERATED = 1.0


@dataclass(frozen=True)
class Task:
    """One line of the journal that is to be made. key: the line's. seconds are not known yet."""

    key: Key
    run: Callable[[], Line]


def run(
    setup: Setup[Data], journal: Journal, folder: Path, n_jobs: int | None, progress: Progress
) -> None:
    """Fill the journal. n_jobs: processes, -1 for all cores; None is joblib's own setting.

    The lines do not depend on n_jobs, nor on what was there before. Raises what a cell raises; the
    lines before that are kept.
    """
    sources = dict.fromkeys(c.generated for c in setup.candidates if c.generated)
    if setup.keeps_generators:
        for levels in ((OUTER,), INNER):
            fits = [
                _generator_task(setup, split, level, source, folder)
                for split in setup.protocol.splits
                for source in sources
                for level in levels
            ]
            _do(fits, journal, n_jobs, progress, "fitting generators")
    cells = [
        _cell_task(setup, split, candidate, folder)
        for split in setup.protocol.splits
        for candidate in setup.candidates
    ]
    _do(cells, journal, n_jobs, progress, "fitting and judging learners")
    if setup.curves:
        more = [
            _cell_task(setup, split, share, folder)
            for split in setup.protocol.splits
            for share in all_generated(setup, journal, split)
        ]
        _do(more, journal, n_jobs, progress, "varying the share of generated rows")


def all_generated(setup: Setup[Data], journal: Journal, split: Split) -> list[Candidate]:
    """The chosen amount of a split with nothing but generated rows added, for the share's curve."""
    amount = chosen_amount(setup, journal, split, "gan")
    return [] if amount is None else [Candidate("amount", amount, share=ALL_GENERATED)]


def _generator_task(
    setup: Setup[Data], split: Split, level: str, source: str, folder: Path
) -> Task:
    key = ("generator", split.repeat, split.fold, f"{source} {level}")
    return Task(key, partial(fit_generator, setup, split, level, source, folder))


def _cell_task(setup: Setup[Data], split: Split, candidate: Candidate, folder: Path) -> Task:
    key = ("cell", split.repeat, split.fold, candidate.key)
    return Task(key, partial(run_cell, setup, split, candidate, folder))


def _do(
    tasks: Sequence[Task], journal: Journal, n_jobs: int | None, progress: Progress, phase: str
) -> None:
    """Every task whose line is not there yet."""
    left = [task for task in tasks if journal.get(task.key) is None]
    if not left:
        return
    progress.phase(phase, len(tasks))
    done = len(tasks) - len(left)
    for line in _lines(left, n_jobs):
        journal.append(line)
        done += 1
        progress.advance(done)


def _lines(tasks: Sequence[Task], n_jobs: int | None) -> Iterator[Line]:
    """The lines of the tasks as they are done, in this process or in others."""
    if n_jobs == 1:
        yield from (task.run() for task in tasks)
        return
    from joblib import Parallel, delayed

    side_by_side = Parallel(n_jobs=n_jobs, return_as="generator_unordered")
    yield from side_by_side(delayed(_run)(task) for task in tasks)


def _run(task: Task) -> Line:
    return task.run()
