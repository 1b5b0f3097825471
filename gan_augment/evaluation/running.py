"""Doing what a journal lacks: generator fits and cells, side by side, a line as each is done."""

from __future__ import annotations

import os
import platform
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from gan_augment.evaluation.arms import chosen_amount
from gan_augment.evaluation.candidates import Candidate
from gan_augment.evaluation.cells import run_cell
from gan_augment.evaluation.diagnosis.splits import SOURCE, diagnose_split, diagnosed_splits
from gan_augment.evaluation.generators import fit_generator
from gan_augment.evaluation.journal import Journal, Key, Line, key_of
from gan_augment.evaluation.protocol import Split
from gan_augment.evaluation.setup import INNER, OUTER, Setup
from gan_augment.progress import Progress
from gan_augment.storage.files import process_lives
from gan_augment.synthesizers.protocol import Data

ALL_GENERATED = 1.0
_LOOK_S = 0.5


@dataclass(frozen=True)
class Task:
    """One line of the journal that is to be made. key: the line's. waits: for kept generators."""

    key: Key
    run: Callable[[], Line]
    waits: bool = False


def run(
    setup: Setup[Data], journal: Journal, folder: Path, n_jobs: int | None, progress: Progress
) -> None:
    """Fill the journal. n_jobs: processes, -1 for all cores; None is joblib's own setting.

    The lines do not depend on n_jobs, nor on what was there before. Raises what a cell raises; the
    lines before that are kept.
    """
    cells: list[Task] = _cells(setup, folder)
    if setup.keeps_generators and _cells_left(setup, journal, folder):
        journal.forget(lambda line: _lost(line, folder))
        outer: list[Task] = _generators(setup, folder, (OUTER,))
        free: list[Task] = [task for task in cells if not task.waits]  # for idle processes
        _do([*outer, *free], journal, n_jobs, progress, "fitting generators and learners")
        inner: list[Task] = _generators(setup, folder, INNER)
        _do(inner, journal, n_jobs, progress, "fitting generators of inner parts")
    _do(cells, journal, n_jobs, progress, "fitting and judging learners")
    if setup.curves:
        more = _shares(setup, journal, folder)
        _do(more, journal, n_jobs, progress, "varying the share of generated rows")
    if setup.diagnostics:
        _look(setup, journal, folder, n_jobs, progress)


def all_generated(setup: Setup[Data], journal: Journal, split: Split) -> list[Candidate]:
    """The chosen amount of a split with nothing but generated rows added, for the share's curve."""
    amount = chosen_amount(setup, journal, split, "gan")
    return [] if amount is None else [Candidate("amount", amount, share=ALL_GENERATED)]


def _generators(setup: Setup[Data], folder: Path, levels: Sequence[str]) -> list[Task]:
    """The generator fits of these levels; an inner one needs the outer one of its split."""
    sources = dict.fromkeys(c.generated for c in setup.candidates if c.generated)
    return [
        _generator_task(setup, split, level, source, folder)
        for split in setup.protocol.splits
        for source in sources
        for level in levels
    ]


def _cells(setup: Setup[Data], folder: Path) -> list[Task]:
    """All cells that are known before the first of them is done."""
    return [
        _cell_task(setup, split, candidate, folder)
        for split in setup.protocol.splits
        for candidate in setup.candidates
    ]


def _shares(setup: Setup[Data], journal: Journal, folder: Path) -> list[Task]:
    """The cells of the share's curve, at the amounts that were chosen."""
    return [
        _cell_task(setup, split, share, folder)
        for split in setup.protocol.splits
        for share in all_generated(setup, journal, split)
    ]


def _look(
    setup: Setup[Data], journal: Journal, folder: Path, n_jobs: int | None, progress: Progress
) -> None:
    """Look at what each generator of the first repeat makes."""
    splits = diagnosed_splits(setup)
    looks = [
        Task(
            ("diagnosis", split.repeat, split.fold, f"{SOURCE} {OUTER}"),
            partial(diagnose_split, setup, split, folder),
        )
        for split in splits
    ]
    if setup.keeps_generators and any(journal.get(look.key) is None for look in looks):
        makers = [_generator_task(setup, split, OUTER, SOURCE, folder) for split in splits]
        keys = {maker.key for maker in makers}
        journal.forget(lambda line: key_of(line) in keys and _lost(line, folder))
        _do(makers, journal, n_jobs, progress, "fitting generators that were lost")
    _do(looks, journal, n_jobs, progress, "looking at what was generated")


def _cells_left(setup: Setup[Data], journal: Journal, folder: Path) -> bool:
    """Whether any cell is to be made, so that generators are needed."""

    def left(tasks: list[Task]) -> bool:
        return any(journal.get(task.key) is None for task in tasks)

    return left(_cells(setup, folder)) or (setup.curves and left(_shares(setup, journal, folder)))


def _lost(line: Line, folder: Path) -> bool:
    """Whether a generator was fitted, and its files are gone."""
    fitted = line["kind"] == "generator" and line["error"] is None
    return fitted and not (folder / line["model"]).is_dir()


def _generator_task(
    setup: Setup[Data], split: Split, level: str, source: str, folder: Path
) -> Task:
    key = ("generator", split.repeat, split.fold, f"{source} {level}")
    return Task(key, partial(fit_generator, setup, split, level, source, folder))


def _cell_task(setup: Setup[Data], split: Split, candidate: Candidate, folder: Path) -> Task:
    key = ("cell", split.repeat, split.fold, candidate.key)
    waits = setup.keeps_generators and candidate.generated is not None
    return Task(key, partial(run_cell, setup, split, candidate, folder), waits)


def _do(
    tasks: Sequence[Task], journal: Journal, n_jobs: int | None, progress: Progress, phase: str
) -> None:
    """Every task whose line is not there yet."""
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


def _lines(tasks: Sequence[Task], n_jobs: int | None) -> Iterator[Line]:
    """The lines of the tasks as each is done, in this process or in others."""
    if n_jobs == 1:
        yield from (task.run() for task in tasks)
        return
    from joblib import Parallel, delayed

    side_by_side = Parallel(n_jobs=n_jobs, return_as="generator_unordered", batch_size=1)
    here = os.getpid(), platform.node()
    yield from side_by_side(delayed(_run)(task, *here) for task in tasks)


def _run(task: Task, parent: int, machine: str) -> Line:
    _end_with(parent, machine)
    return task.run()


@cache
def _end_with(parent: int, machine: str) -> None:
    """Let a worker process end when `parent`, which started it on this machine, is gone.

    After a kill nobody reads its lines; joblib's workers would go through their queue all the same,
    those that had only begun to start too. Threads and workers of another kind go on.
    """
    if os.getpid() == parent or platform.node() != machine:
        return
    if not process_lives(parent):
        os._exit(1)
    if os.getppid() != parent:
        return

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK_S)
        os._exit(1)

    threading.Thread(target=watch, name="end with the evaluation", daemon=True).start()
