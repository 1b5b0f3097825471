"""An evaluation from data to verdict: set up, planned, run, read off. Start here.

Splits are in `protocol.py`, what is tried in `arms.py`, one fit and its figures in `fits.py`,
statistics and verdict in files of those names.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from joblib import effective_n_jobs
from numpy.typing import NDArray

from gan_augment.data.groups import (
    group_codes,
    grouped_by_source,
    join_groups,
    near_duplicates,
    same_rows,
)
from gan_augment.data.tables.inference import infer_schema
from gan_augment.data.tables.reader import moments, set_aside
from gan_augment.data.tables.schema import Overrides
from gan_augment.data.topup_plan import choose_classes
from gan_augment.errors import DataError, OutputExistsError, ResumeMismatchError, UsageError
from gan_augment.evaluation.amount import Amount, plan_for
from gan_augment.evaluation.arms import FEATURES, TABLE_RIVALS
from gan_augment.evaluation.diagnosis.features import user_features
from gan_augment.evaluation.figures import OF_RANKS
from gan_augment.evaluation.generators import MODELS, generator_of, unfitted_twin
from gan_augment.evaluation.learners import Learner, NetworkLearner, PretrainedRows, learner_of
from gan_augment.evaluation.options import EvaluationOptions
from gan_augment.evaluation.plan import OUTER, Design, Plan, Setup, designed
from gan_augment.evaluation.protocol import INNER_FOLDS, plan_protocol, with_test_rows
from gan_augment.evaluation.result import REPORT, RESULT, TIMINGS, EvaluationResult
from gan_augment.evaluation.schedule import Pace, costs_of, run
from gan_augment.evaluation.sections import build_result, build_timings
from gan_augment.evaluation.user_code import fingerprint
from gan_augment.kinds.kind import Labelled
from gan_augment.kinds.signal import SIGNAL
from gan_augment.progress import Progress
from gan_augment.storage import clean_stale, hold_folder, write_errors
from gan_augment.storage.journal import Journal
from gan_augment.storage.lock import LOCK_FILE

AnyData = Labelled
Features = tuple[str, NDArray[np.float32]]

JOURNAL = "journal.jsonl"
REPORT_S = 3.0
"""Of a budget, what is kept for the result and its page."""
_FILES = (JOURNAL, RESULT, TIMINGS, REPORT, MODELS)
_PACKAGES = ("gan-augment", "torch", "numpy", "scipy", "scikit-learn", "imbalanced-learn", "pandas")


def evaluate(
    data: AnyData,
    options: EvaluationOptions | None = None,
    *,
    test: AnyData | None = None,
    features: Features | None = None,
    photos: Labelled | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    on_plan: Callable[[Plan], None] | None = None,
    progress: Progress | None = None,
    started_s: float | None = None,
) -> EvaluationResult:
    """Measure by how much topping up changes what a learner gets right, and say whether to do it.

    Parameters
    ----------
    data
        Labelled rows; they are split, topped up and learned from, and stay as they are.
    test
        Rows of the same classes to test on, of images of the same shape; `data` is then not split
        but trains, one generator is fitted, and repeats are seeds of the learner.
    features
        Of images: the name of a pretrained network, and its features of the rows of `data`, then of
        those of `test`, float32 (N, D). They are an arm, which a verdict has to beat.
    photos
        Of rows that are features of photos, with the same ids: what the report shows of them.
    out, resume, overwrite
        A folder for the journal, kept generators and the result, None for none on disk; whether to
        go on with the journal there, to the very bytes of an undisturbed run, or to replace it.
    on_plan
        Called with the plan before the first fit.
    started_s
        When the budget began, by `time.monotonic()`; None is now.

    Raises
    ------
    DataError
        Where nothing can be judged.
    LeakError, UsageError, OutputExistsError, ResumeMismatchError, WriteFailedError,
    FolderInUseError
        And whatever the learner raises on real rows.
    """
    options, progress = options or EvaluationOptions(), progress or Progress()
    started_s = time.monotonic() if started_s is None else started_s
    with _output_folder(out, resume, overwrite) as folder:
        journal = Journal(folder / JOURNAL if out is not None else None)
        if resume:
            journal.read()
        more: dict[str, Any] = {"test": test, "features": features, "started_s": started_s}
        plan = prepare(data, options, journal.header, progress, photos=photos, **more)
        if journal.header is None:
            journal.append(plan.setup.header)
        if on_plan:
            on_plan(plan)
        try:
            # workers that joblib kept from an earlier call may be in another folder
            pace = None
            if options.budget_s is not None:
                pace = Pace(plan, journal, started_s + options.budget_s - REPORT_S)
            done = run(plan.setup, journal, folder.absolute(), options.n_jobs, progress, pace)
        except KeyboardInterrupt as stop:
            if out is not None:
                stop.resume_hint = "--resume goes on after the last finished cell"  # type: ignore[attr-defined]
            raise
        result = EvaluationResult(build_result(done, journal), build_timings(journal))
        if out is not None:
            result.save(folder)
            _drop_models(folder)
    return result


def prepare(
    data: AnyData,
    options: EvaluationOptions,
    header: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    *,
    test: AnyData | None = None,
    features: Features | None = None,
    photos: Labelled | None = None,
    started_s: float | None = None,
) -> Plan:
    """Decide everything that is decided before the first fit; time a few fits to plan.

    header: of a journal to go on with; its design is kept, and it must be of the same evaluation.
    features, photos, started_s: as of `evaluate`. Raises as it does.
    """
    started_s = time.monotonic() if started_s is None else started_s
    tested = None
    if test is not None:
        if options.metric in OF_RANKS:
            raise UsageError(
                f"{options.metric} has no interval on a test set of its own; take another --metric "
                "(metric), or leave --test (test) out"
            )
        data, tested = with_test_rows(data, test)
    data, times, columns = _with_groups_and_times(data, options)
    data, duplicates, notes = _duplicates_grouped(data, options)
    own = data if tested is None else data.take(np.flatnonzero(~tested))
    rare, kinds = _gaining_classes(own, options), _kinds(data, columns)
    protocol = plan_protocol(
        data,
        rare,
        folds=options.folds,
        repeats=options.repeats,
        times=times,
        gap=options.gap,
        seed=options.fit.seed,
        tested=tested,
    )
    everything = Design(
        repeats=protocol.repeats,
        to=options.to,
        cheap_to=options.to,
        curves=options.curves,
        steps=options.fit.steps,
    )
    learner = learner_of(options.learner, data, updates=options.updates, overrides=kinds)
    setup = Setup[Any](
        options=options,
        data=data,
        protocol=protocol,
        learner=_with_features(learner, data, features),
        generator=generator_of(options, data, rare),
        rare=rare,
        design=everything,
        overrides=kinds,
        photos=photos,
    )
    _check_methods(setup)
    requested = _requested(setup, duplicates, columns)
    if header is not None:
        _check_same(header["asked"], requested)
    if options.extractor is not None:  # that it fails is to be told before hours of fits
        user_features(options.extractor).of(setup.data.take([0, 1]))
    (progress or Progress()).phase("timing a few fits")
    processes = effective_n_jobs(options.n_jobs)
    costs = costs_of(setup, options.n_jobs, processes)
    if header is None:
        begun_s = time.monotonic() - started_s + REPORT_S
        design = designed(setup, costs, processes, begun_s)
    else:
        design = Design.model_validate(header["planned"])
    gan = setup.generator
    if setup.keeps_generators:
        timed = {} if design.precision == "auto" else {"precision": design.precision}
        gan = unfitted_twin(gan, options.fit.seed, steps=design.steps, budget_s=None, **timed)
    setup = replace(setup.redesigned(design), generator=gan, requested=requested)
    seconds, notes = costs.seconds(setup, processes), [*notes, *protocol.notes]
    return Plan(setup, seconds, processes, tuple(notes), costs)


def _with_features(learner: Learner, data: AnyData, features: Features | None) -> Learner:
    """Return the learner with a pretrained network's features of the rows beside it."""
    if features is None:
        return learner
    name, values = features
    if not isinstance(learner, NetworkLearner):
        raise UsageError(
            f"features of the pretrained network {name} are compared with a network that is "
            f"trained on images, and the learner is {learner.name}"
        )
    assert len(values) == len(data)
    return replace(learner, pretrained=PretrainedRows(name, data.ids, values))


def _check_methods(setup: Setup[Any]) -> None:
    """Raise UsageError for an arm that was named and that this learner cannot have."""
    absent = [name for name in setup.options.arm_names if name not in setup.arms]
    if absent and setup.options.arms not in ("default", "all"):
        why = (
            f"is a way to train the small CNN, and the learner is {setup.learner.name}; leave it "
            "out, or evaluate images with learner='cnn'"
        )
        if absent[0] in TABLE_RIVALS:
            why = "adds rows to tables, and the data is images; leave it out"
        if absent[0] == FEATURES:
            why = "is a pretrained network's; name its file with --backbone (backbone)"
        raise UsageError(f"the arm {absent[0]!r} {why}")


def _requested(
    setup: Setup[Any], duplicates: Mapping[str, Any], columns: Overrides
) -> dict[str, Any]:
    """Describe an evaluation, JSON-ready: a journal of another one is not gone on with."""
    data, options, protocol = setup.data, setup.options, setup.protocol
    requested = {
        "data": data.kind.sha256(data),
        "kind": data.kind.name,
        "seed": options.fit.seed,
        "duplicates": duplicates,
        "classes": list(setup.rare),
        "metric": options.metric,
        "delta": options.delta,
        "learner": setup.learner.described(),
        "generator": fingerprint(setup.generator),
        "samplers": {name: fingerprint(one) for name, one in options.samplers.items()},
        "arms": list(setup.arms),
        "top_up": options.top_up.model_dump(),
        "to": list(options.to),
        "curves": options.curves,
        "steps": options.fit.steps,
        "folds": protocol.folds,
        "splits": protocol.sha256(),
        "columns": {str(name): kind for name, kind in columns.columns.items()},
        "inner_folds": INNER_FOLDS,
        "library": {name: version(name) for name in _PACKAGES},
    }
    if options.extractor is not None:
        space = user_features(options.extractor)
        requested["extractor"] = {"name": space.name, "sha256": space.sha256}
    return requested


def _with_groups_and_times(
    data: AnyData, options: EvaluationOptions
) -> tuple[AnyData, NDArray[Any] | None, Overrides]:
    """Return the data with its requested groups, times (N,) or None, and kinds of its columns.

    Columns that are named as group or time are taken out of a table's features.
    """
    asked = {"group": options.group, "time": options.time}
    names = {key: name for key, name in asked.items() if isinstance(name, str | int)}
    times = None
    if names and not data.kind.tabular:
        key, name = next(iter(names.items()))
        raise UsageError(
            f"{key} {name!r} names a column, and images have none; pass one value an image, (N,), "
            "or list the images in a manifest .csv of path,label,group"
        )
    if names and data.kind.tabular:
        data, times = set_aside(data, **names)
    if options.time is not None and "time" not in names:
        times = _times(options.time, len(data))
    if options.group is not None and "group" not in names:
        same: list[list[int]] = []
        if not data.kind.tabular and data.groups is not None:  # the same pictures
            own = data.groups
            same = [np.flatnonzero(own == g).tolist() for g in np.unique(own[own >= 0])]
        codes = group_codes(options.group, len(data))
        data = replace(data, groups=join_groups(len(data), same, codes))
    gone = {str(name) for name in names.values()}
    kinds = {name: kind for name, kind in options.fit.columns.items() if str(name) not in gone}
    return data, times, Overrides.checked({"columns": kinds}, "column kinds")


def _times(time: Any, n: int) -> NDArray[np.float64]:
    """Return (n,) values that rows are ordered by. Raises UsageError for another length."""
    import pandas as pd

    series = pd.Series(time if hasattr(time, "iloc") else np.asarray(time).ravel(), name="time")
    if len(series) != n:
        raise UsageError(f"time has {len(series)} values; expected {n}, one a row")
    return moments(series)


def _duplicates_grouped(
    data: AnyData, options: EvaluationOptions
) -> tuple[AnyData, dict[str, Any], list[str]]:
    """Return the data with equal rows in one group, {kind: how many}, and notes for people.

    Images: always, near duplicates too. Tables: exact repeats, where `group_duplicates` says so.
    """
    if not data.kind.tabular:
        data = grouped_by_source(data)
        same = same_rows(data.kind.row_keys(data))
        signals = data.kind is SIGNAL  # beats of one heart are all near
        near = [] if signals else near_duplicates(data.pixels)
        exact, close = sum(map(len, same)), sum(map(len, near))
        counts: dict[str, Any] = {"exact": exact, "near": close, "grouped": True}
        groups = join_groups(len(data), [*same, *near], data.groups)
    else:
        same = same_rows(data.kind.row_keys(data))
        exact, close = sum(map(len, same)), 0
        counts = {"exact": exact, "grouped": options.group_duplicates}
        groups = data.groups
        if options.group_duplicates:
            groups = join_groups(len(data), same, data.groups)
    notes = []
    if exact and counts["grouped"]:
        notes.append(f"{exact} rows that repeat others stay on one side of every split")
    elif exact:
        notes.append(
            f"{exact} rows equal another in every feature, and may be on both sides of a "
            "split; --group-duplicates (group_duplicates=True) keeps them together"
        )
    if close:
        notes.append(f"{close} images that nearly repeat others stay on one side")
    return replace(data, groups=groups), counts, notes


def _gaining_classes(data: Any, options: EvaluationOptions) -> tuple[str, ...]:
    """List the requested classes that the largest amount adds to. Raises DataError for none."""
    classes = choose_classes(options.fit.classes, data.counts)
    ends = plan_for(Amount("gan", max(options.to)), data, classes, options.top_up)
    gaining = tuple(name for name in classes if ends[name].total > ends[name].real)
    if not gaining:
        listed = ", ".join(f"{name} ({n})" for name, n in data.counts.items())
        raise DataError(
            f"nothing would be added to the classes {', '.join(classes)}: the counts are {listed}. "
            "Name smaller classes, or larger amounts."
        )
    return gaining


def _kinds(data: AnyData, chosen: Overrides) -> Overrides:
    """Infer what columns are, for learner and generators alike, from all rows without labels.

    Fewer rows may look otherwise: a text that differs in nearly all of them is taken for an id.
    """
    if not data.kind.tabular:
        return chosen
    schema = infer_schema(data.frame, chosen)
    kinds = {column.name: column.kind for column in schema.columns if column.kind != "constant"}
    return Overrides(columns=kinds)


def _check_same(stored: Mapping[str, Any], requested: Mapping[str, Any]) -> None:
    """Raise ResumeMismatchError for a journal of another evaluation."""
    for name in {**requested, **stored}:
        if stored.get(name) != requested.get(name):
            raise ResumeMismatchError(
                f"the journal is of another evaluation: its {name} is {stored.get(name)!r}, asked "
                f"was {requested.get(name)!r}. Use the data and options it began with, or "
                "--overwrite it."
            )


@contextlib.contextmanager
def _output_folder(out: str | Path | None, resume: bool, overwrite: bool) -> Iterator[Path]:
    """Hold the folder to work in for this process; a temporary one without `out`."""
    if out is None:
        with tempfile.TemporaryDirectory(prefix="gan-augment-") as temporary:
            yield Path(temporary)
        return
    folder = Path(out)
    with hold_folder(folder):
        clean_stale(folder, _FILES)
        if not resume:
            _make_room(folder, overwrite)
        yield folder


def _make_room(folder: Path, overwrite: bool) -> None:
    """Remove an evaluation that is to be replaced. Raises OutputExistsError for all else."""
    journal = folder / JOURNAL
    if journal.is_file() and Journal.is_torn(journal):  # killed in its first write: not begun
        _remove(journal)
    present = sorted(path.name for path in folder.iterdir() if path.name != LOCK_FILE)
    if not present:
        return
    if not overwrite or not {JOURNAL, RESULT} & set(present):
        raise OutputExistsError(
            f"{str(folder)!r} holds something already ({present[0]!r}); name another folder, "
            "--resume the evaluation that is there, or --overwrite it."
        )
    for name in _FILES:
        _remove(folder / name)


def _drop_models(folder: Path) -> None:
    """Keep the generators of the first repeat's training parts alone."""
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
