"""An evaluation from data to verdict: set up, planned, run, read off. Start here.

Splits are in `protocol.py`, what is tried in `arms.py`, one fit and its figures in `fits.py`,
statistics and verdict in files of those names.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from gan_augment.data.contract import LabelledImages, LabelledTable
from gan_augment.data.groups import digest, join_groups, near_duplicates, same_rows
from gan_augment.data.images.reader import data_sha256
from gan_augment.data.tables.cells import row_hashes, table_sha256
from gan_augment.data.tables.inference import infer_schema
from gan_augment.data.tables.schema import Overrides
from gan_augment.data.topup_plan import choose_classes
from gan_augment.errors import DataError, OutputExistsError, ResumeMismatchError
from gan_augment.evaluation.amount import Amount, adds, plan_for
from gan_augment.evaluation.arm_results import chosen_amount
from gan_augment.evaluation.arms import ALL_GENERATED, Candidate
from gan_augment.evaluation.diagnosis.spaces import own_space
from gan_augment.evaluation.diagnosis.splits import SOURCE, diagnose_split, diagnosed_splits
from gan_augment.evaluation.figures import OF_RANKS
from gan_augment.evaluation.fits import run_cell
from gan_augment.evaluation.generators import MODELS, fit_generator
from gan_augment.evaluation.journal import Journal, Key, Line, key_of
from gan_augment.evaluation.learners import Learner, learner_of
from gan_augment.evaluation.options import IMAGE_BUDGET_S, Options
from gan_augment.evaluation.plan import (
    INNER,
    OUTER,
    Costs,
    Design,
    Plan,
    Setup,
    arms_of,
    counted,
    designed,
    rare_units,
    timed_learner,
    unfitted_twin,
    without_repeats,
)
from gan_augment.evaluation.protocol import INNER_FOLDS, Protocol, Split, plan_protocol
from gan_augment.evaluation.result import REPORT, RESULT, TIMINGS, EvaluationResult
from gan_augment.evaluation.sections import build_result, build_timings
from gan_augment.evaluation.statistics import detectable, expected_error
from gan_augment.evaluation.user_code import check_generator, described
from gan_augment.processes import available_cores
from gan_augment.progress import Progress, Silent
from gan_augment.storage import FolderLock, write_errors
from gan_augment.storage.files import process_lives
from gan_augment.storage.lock import LOCK_FILE
from gan_augment.synthesizers.base import Data
from gan_augment.synthesizers.image_gan import ImageGAN
from gan_augment.synthesizers.tabular_gan import TabularGAN

AnyData = LabelledImages | LabelledTable

_PACKAGES = ("gan-augment", "torch", "numpy", "scipy", "scikit-learn", "imbalanced-learn", "pandas")


@dataclass(frozen=True)
class Prepared:
    """What can be run: the setup, and the plan to show before."""

    setup: Setup[Any]
    plan: Plan


def evaluate(
    data: AnyData,
    options: Options | None = None,
    *,
    out: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    on_plan: Callable[[Plan], None] | None = None,
    progress: Progress | None = None,
) -> EvaluationResult:
    """Measure by how much topping up changes what a learner gets right, and say whether to do it.

    out: a folder for the journal, kept generators, result.json and timings.json; None keeps nothing
    on disk. resume: go on with the journal there; the result is the one of an undisturbed run, byte
    for byte. overwrite: replace an evaluation that is there. on_plan: told the plan first.
    Raises DataError (nothing to judge), LeakError, UsageError, OutputExistsError,
    ResumeMismatchError, WriteFailedError, FolderInUseError, and what the learner raises.
    """
    options, progress = options or Options(), progress or Silent()
    options.check()
    with held_folder(out, resume, overwrite) as folder:
        journal = Journal(folder / JOURNAL if out is not None else None)
        if resume:
            journal.read()
        ready = prepare(data, options, journal.header, progress)
        if journal.header is None:
            journal.append(dict(ready.setup.header))
        if on_plan:
            on_plan(ready.plan)
        try:
            run(ready.setup, journal, folder, options.n_jobs, progress)
        except KeyboardInterrupt as stop:
            if out is not None:
                stop.resume_hint = "--resume goes on after the last finished cell"  # type: ignore[attr-defined]
            raise
        found = EvaluationResult(
            build_result(ready.setup, journal), build_timings(ready.setup, journal)
        )
        if out is not None:
            found.save(folder)
            drop_models(folder)
    return found


def prepare(
    data: AnyData,
    options: Options,
    header: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Prepared:
    """Everything that is decided before the first fit; a few fits are timed to plan.

    header: of a journal to go on with; its design is kept, and it must be of the same evaluation.
    Raises as `evaluate` does.
    """
    options.check()
    progress = progress or Silent()
    data, found = _grouped(data, options)
    rows: Any = data
    rare, kinds = _topped_up(rows, options), _kinds(data, options.overrides)
    learner = learner_of(options.learner, data, updates=options.updates, overrides=kinds)
    gan = _generator(data, options, rare)
    protocol = plan_protocol(
        data,
        rare,
        folds=options.folds,
        repeats=options.repeats,
        times=options.times,
        gap=options.gap,
        seed=options.seed,
    )
    asked = _asked(data, options, learner, gan, rare, protocol, found)
    if header is not None:
        _check_same(header["asked"], asked)
    if options.extractor is not None:  # that it fails is to be told before hours of fits
        own_space(options.extractor).of(rows.take([0, 1]))
    progress.phase("timing a few fits")
    costs = _costs(data, options, learner, gan, protocol)
    images = isinstance(data, LabelledImages)
    processes, keeps = _processes(options.n_jobs), isinstance(gan, ImageGAN | TabularGAN)
    options = _within_default(options, images)

    def tried(design: Design) -> tuple[Candidate, ...]:
        """Without amounts that add nothing to this data."""
        return tuple(
            c
            for c in design.candidates(options, learner)
            if c.kind != "amount" or adds(c.amount, rows, rare, options.top_up)
        )

    if header is None:
        design = designed(
            options,
            tried,
            protocol,
            costs,
            keeps_generators=keeps,
            images=images,
            processes=processes,
        )
    else:
        design = Design.from_dict(header["planned"])
    if keeps:
        gan = unfitted_twin(gan, options.seed, steps=design.steps, budget_s=None)
    protocol = without_repeats(protocol, design.repeats)
    setup = Setup[Any](
        data=data,
        protocol=protocol,
        learner=learner,
        generator=gan,
        samplers=options.samplers,
        rare=rare,
        top_up=options.top_up,
        metric=options.metric,
        delta=options.delta,
        arms=arms_of(options, learner),
        candidates=tried(design),
        curves=design.curves,
        batch=options.batch,
        overrides=kinds,
        seed=options.seed,
        diagnostics=options.diagnostics,
        extractor=options.extractor,
        header={"kind": "header", "asked": asked, "planned": design.to_dict()},
    )
    return Prepared(setup, _plan_of(setup, design, costs, options, found["notes"]))


def _plan_of(
    setup: Setup[Any], design: Design, costs: Costs, options: Options, notes: Sequence[str]
) -> Plan:
    """What is shown before the first fit."""
    protocol = setup.protocol
    fits = counted(design, setup.candidates, protocol.folds, setup.keeps_generators)
    processes = _processes(options.n_jobs)
    looks_s = costs.looks_s(options, protocol.folds)
    return Plan(
        metric=setup.metric,
        delta=setup.delta,
        design=design,
        arms=setup.arms,
        folds=protocol.folds,
        unit=protocol.unit,
        rare_units=rare_units(protocol, setup.rare),
        fits=fits,
        seconds=(costs.seconds(design, fits) + looks_s) / processes,
        n_jobs=processes,
        detectable=smallest_difference(protocol, setup.metric, setup.delta, setup.rare),
        notes=(*notes, *protocol.notes),
    )


def smallest_difference(
    protocol: Protocol, metric: str, delta: float, rare: Sequence[str]
) -> float:
    """What the data could show, forecast before any fit, in the metric's unit."""
    judged = [name for name in protocol.evaluated if metric not in OF_RANKS or name in rare]
    counts = {name: protocol.units[name] for name in judged}
    error = expected_error(
        counts, metric, folds=protocol.folds, repeats=protocol.repeats, shared=protocol.shared
    )
    return detectable(error, protocol.folds * protocol.repeats - 1, delta)


def _topped_up(data: Any, options: Options) -> tuple[str, ...]:
    """The classes asked for to which the largest amount adds rows. Raises DataError for none."""
    asked = choose_classes(
        options.classes if isinstance(options.classes, str) else tuple(options.classes),
        data.counts,
    )
    ends = plan_for(Amount("gan", max(options.to)), data, asked, options.top_up)
    gaining = tuple(name for name in asked if ends[name].total > ends[name].real)
    if not gaining:
        listed = ", ".join(f"{name} ({n})" for name, n in data.counts.items())
        raise DataError(
            f"nothing would be added to the classes {', '.join(asked)}: the counts are {listed}. "
            "Name smaller classes, or larger amounts."
        )
    return gaining


def _kinds(data: AnyData, given: Overrides) -> Overrides:
    """What columns are for learner and generators alike, of all rows without their labels.

    Fewer rows may look otherwise: a text that differs in nearly all of them is taken for an id.
    """
    if isinstance(data, LabelledImages):
        return given
    schema = infer_schema(data.frame, given)
    found = {column.name: column.kind for column in schema.columns if column.kind != "constant"}
    return Overrides(columns=found)


def _grouped(data: AnyData, options: Options) -> tuple[AnyData, dict[str, Any]]:
    """The data with rows that show the same in one group, and what was found.

    Images: always, near duplicates too. Tables: exact repeats, where `group_duplicates` says so.
    """
    if isinstance(data, LabelledImages):
        same = same_rows([digest(image) for image in data.pixels])
        near = near_duplicates(data.pixels)
        joined = join_groups(len(data), [*same, *near], data.groups)
        found = {"exact": sum(map(len, same)), "near": sum(map(len, near)), "grouped": True}
    else:
        same = same_rows([str(value) for value in row_hashes(data.frame).tolist()])
        found = {"exact": sum(map(len, same)), "grouped": options.group_duplicates}
        joined = data.groups
        if options.group_duplicates:
            joined = join_groups(len(data), same, data.groups)
    return replace(data, groups=joined), {**found, "notes": _duplicate_notes(found)}


def _duplicate_notes(found: Mapping[str, Any]) -> list[str]:
    notes = []
    if found["exact"] and found["grouped"]:
        notes.append(f"{found['exact']} rows that repeat others stay on one side of every split")
    elif found["exact"]:
        notes.append(
            f"{found['exact']} rows equal another in every feature, and may be on both sides of a "
            "split; --group-duplicates (group_duplicates=True) keeps them together"
        )
    if found.get("near"):
        notes.append(f"{found['near']} images that nearly repeat others stay on one side")
    return notes


def _generator(data: AnyData, options: Options, rare: tuple[str, ...]) -> Any:
    """The generator to evaluate, unfitted, with what the options say of it."""
    gan = options.generator
    if gan is None:
        gan = ImageGAN() if isinstance(data, LabelledImages) else TabularGAN()
    if isinstance(gan, ImageGAN | TabularGAN):
        steps = gan.steps if options.steps is None else options.steps
        return unfitted_twin(gan, options.seed, steps=steps, classes=rare)
    check_generator(gan)
    return gan


def _within_default(options: Options, images: bool) -> Options:
    """Images without any word on time get half an hour."""
    told = options.steps or options.gan_budget_s or options.budget_s
    return replace(options, budget_s=IMAGE_BUDGET_S) if images and not told else options


def _costs(
    data: AnyData, options: Options, learner: Learner, gan: Any, protocol: Protocol
) -> Costs:
    first: Any = data.take(protocol.splits[0].train)
    timed = gan.forecast(first) if isinstance(gan, ImageGAN | TabularGAN) else None
    return Costs(timed_learner(learner, data, protocol, options.seed), timed)


def _processes(n_jobs: int | None) -> int:
    if n_jobs is None:
        from joblib import effective_n_jobs

        return int(effective_n_jobs(None))
    return n_jobs if n_jobs > 0 else max(1, available_cores() + 1 + n_jobs)


def _asked(
    data: AnyData,
    options: Options,
    learner: Learner,
    gan: Any,
    rare: tuple[str, ...],
    protocol: Protocol,
    found: Mapping[str, Any],
) -> dict[str, Any]:
    """What identifies an evaluation: two of them with the same journal must agree in it."""
    images = isinstance(data, LabelledImages)
    asked = {
        "data": data_sha256(data) if isinstance(data, LabelledImages) else table_sha256(data),
        "kind": "image" if images else "table",
        "seed": options.seed,
        "duplicates": {key: value for key, value in found.items() if key != "notes"},
        "classes": list(rare),
        "metric": options.metric,
        "delta": options.delta,
        "learner": learner.described(),
        "generator": described(gan),
        "samplers": {name: described(one) for name, one in options.samplers.items()},
        "arms": list(arms_of(options, learner)),
        "top_up": options.top_up.model_dump(),
        "to": list(options.to),
        "curves": options.curves,
        "steps": options.steps,
        "folds": protocol.folds,
        "splits": protocol.sha256(),
        "columns": {str(name): kind for name, kind in options.overrides.columns.items()},
        "inner_folds": INNER_FOLDS,
        "library": {name: version(name) for name in _PACKAGES},
    }
    if options.extractor is not None:
        space = own_space(options.extractor)
        asked["extractor"] = {"name": space.name, "sha256": space.sha256}
    return asked


def _check_same(known: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    """Raise ResumeMismatchError for a journal of another evaluation."""
    for name in {**asked, **known}:
        if known.get(name) != asked.get(name):
            raise ResumeMismatchError(
                f"the journal is of another evaluation: its {name} is {known.get(name)!r}, asked "
                f"was {asked.get(name)!r}. Use the data and options it began with, or --overwrite "
                "it."
            )


JOURNAL = "journal.jsonl"
_OWN = (JOURNAL, RESULT, TIMINGS, REPORT, MODELS)


@contextlib.contextmanager
def held_folder(out: str | Path | None, resume: bool, overwrite: bool) -> Iterator[Path]:
    """The folder to work in, held for this process; a temporary one without `out`."""
    if out is None:
        with tempfile.TemporaryDirectory(prefix="gan-augment-") as temporary:
            yield Path(temporary)
        return
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise OutputExistsError(f"{str(folder)!r} is a file; expected the path of a folder.")
    new = not folder.exists()
    try:
        with write_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        with FolderLock(folder):
            _make_room(folder, resume, overwrite)
            yield folder
    finally:
        if new:  # and nothing came of it
            with contextlib.suppress(OSError):
                folder.rmdir()


def _make_room(folder: Path, resume: bool, overwrite: bool) -> None:
    """Remove an evaluation that is to be replaced. Raises OutputExistsError for all else."""
    held = sorted(path.name for path in folder.iterdir() if path.name != LOCK_FILE)
    if not held or resume:
        return
    if not overwrite or not {JOURNAL, RESULT} & set(held):
        raise OutputExistsError(
            f"{str(folder)!r} holds something already ({held[0]!r}); name another folder, "
            "--resume the evaluation that is there, or --overwrite it."
        )
    with write_errors(folder):
        for name in _OWN:
            _remove(folder / name)


def drop_models(folder: Path) -> None:
    """Of a finished evaluation the generators of the first repeat's training parts are kept."""
    models = folder / MODELS
    if models.is_dir():
        for model in models.iterdir():
            if not (model.name.startswith("r0-") and model.name.endswith(f"gan-{OUTER}")):
                _remove(model)


def _remove(path: Path) -> None:
    with write_errors(path):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


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
