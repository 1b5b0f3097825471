"""Plan an evaluation: choose groups, splits, learner and generator, and time a few fits."""

from __future__ import annotations

import math
import time
from bisect import bisect
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
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
from gan_augment.data.tables.reader import row_times, set_aside
from gan_augment.data.topup_plan import choose_classes, plan_topup
from gan_augment.errors import DataError, ResumeMismatchError, UsageError, plural
from gan_augment.evaluation.decisions import OF_RANKS
from gan_augment.evaluation.design import Design, Origin, plan_protocol, with_test_rows
from gan_augment.evaluation.estimators import fingerprint, one_thread
from gan_augment.evaluation.generators import generator_of
from gan_augment.evaluation.learners import Training, learner_of
from gan_augment.evaluation.options import EvaluationOptions
from gan_augment.evaluation.verdict import FEWEST_UNITS
from gan_augment.kinds.kind import Labelled
from gan_augment.kinds.signal import SIGNAL
from gan_augment.progress import Progress, duration
from gan_augment.report.wording import percent

IMAGE_BUDGET_S = 1800.0
"""Sets the steps of the generators for images if neither a budget nor steps are given."""
LEAST_GAN_S = 60.0
"""Least time of a generator fit for images, whatever the budget of the evaluation."""
LARGER = 1.25
"""Approximate duration of a fit on topped-up rows, relative to one on real rows."""
PROBE_UPDATES = 5, 60
"""Updates of a network: for the imports and caches of a first fit, and to time."""
_PACKAGES = ("gan-augment", "torch", "numpy", "scipy", "scikit-learn", "imbalanced-learn", "pandas")


@dataclass(frozen=True)
class Plan:
    """An evaluation before the first fit, with the timed seconds of one fit of each sort."""

    design: Design
    learner_s: float
    generator_s: float
    n_jobs: int
    notes: tuple[str, ...] = ()

    @property
    def split_s(self) -> float:
        """Return the expected seconds of one split."""
        arms = len(self.design.arms)
        return self.generator_s + self.learner_s * LARGER * arms / min(self.n_jobs, arms)

    @property
    def seconds(self) -> float:
        """Return the expected seconds of all fits; a diagnosis costs about two learner fits."""
        design, first = self.design, len(self.design.first_repeat)
        learners = self.fits["learners"] * LARGER + 2 * first * design.options.diagnostics
        work_s = self.learner_s * learners + self.generator_s * design.protocol.generators
        return max(work_s / self.n_jobs, self.split_s)

    @property
    def rare_units(self) -> dict[str, int]:
        """Count the independent rows of each class that is topped up."""
        units = self.design.protocol.units
        return {name: units.get(name, 0) for name in self.design.rare}

    @property
    def doomed(self) -> str:
        """Say why the verdict can only be INSUFFICIENT DATA; "" if other verdicts are possible."""
        units = self.design.rare_units
        few = f"{units} independent rare {self.design.protocol.unit}"
        insufficient = f"INSUFFICIENT DATA: {few}, and a verdict needs {FEWEST_UNITS}"
        return insufficient if units < FEWEST_UNITS else ""

    def check(self, force: bool) -> None:
        if self.doomed and not force:
            raise DataError(f"{self.doomed}; collect more, or add --force (force=True) to evaluate")

    @property
    def fits(self) -> dict[str, int]:
        splits, design = len(self.design.protocol.splits), self.design
        generators = design.protocol.generators if design.keeps_generators else 0
        return {"generators": generators, "learners": splits * len(design.arms)}

    def to_dict(self) -> dict[str, Any]:
        design = self.design
        return {
            "metric": design.options.metric,
            "delta": design.options.delta,
            "arms": [arm.name for arm in design.arms],
            "folds": design.protocol.folds,
            "repeats": design.protocol.repeats,
            "steps": design.steps,
            "unit": design.protocol.unit,
            "rare_units": self.rare_units,
            "doomed": self.doomed,
            "fits": self.fits,
            "seconds": self.seconds,
            "n_jobs": self.n_jobs,
            "detectable": design.detectable if math.isfinite(design.detectable) else None,
            "notes": self.notes,
        }

    def lines(self) -> list[str]:
        design, protocol = self.design, self.design.protocol
        units = ", ".join(f"{name} ({n} {protocol.unit})" for name, n in self.rare_units.items())
        if protocol.has_test_set:
            train = design.data.take(protocol.splits[0].train).counts
            units = ", ".join(
                f"{name} ({plural(train[name], 'row')} to train on, {n} to test)"
                for name, n in self.rare_units.items()
            )
        steps = "the recipe's own steps" if design.steps is None else f"{design.steps:,} steps"
        fits = plural(self.fits["learners"], "learner fit")
        if self.fits["generators"]:
            fits = f"{plural(self.fits['generators'], 'generator fit')} ({steps} each), {fits}"
        dealt = f"{plural(protocol.folds, 'fold')} x {protocol.repeats}"
        if protocol.has_test_set:
            tested = len(protocol.splits[0].test)
            seeds = plural(protocol.repeats, "seed")
            dealt = f"{plural(tested, 'test row')}, {seeds} of the classifier"
        shown = (
            f"a difference of less than about {percent(design.detectable)} points cannot be shown "
            f"to be above {100 * design.options.delta:g}"
        )
        if not math.isfinite(design.detectable):
            shown = "no difference can be shown"
        return [
            f"plan: {dealt}; {fits}; about {duration(self.seconds)} with "
            f"{plural(self.n_jobs, 'process')}",
            f"arms: {', '.join(arm.name for arm in design.arms)}; judged by "
            f"{design.options.metric}, gan - none, decisions corrected for the class shares",
            f"topped up: {units}; {shown}",
            *filter(None, [self.doomed]),
            *self.notes,
        ]


def prepare(
    data: Labelled,
    options: EvaluationOptions,
    header: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    *,
    test: Labelled | None = None,
    photos: Labelled | None = None,
    origin: Origin | None = None,
    started_s: float | None = None,
) -> Plan:
    """Return the plan of an evaluation, after timing a few fits."""
    started_s = time.monotonic() if started_s is None else started_s
    tested = None
    if test is not None:
        if options.metric in OF_RANKS:
            raise UsageError(
                f"{options.metric} has no interval on a separate test set; choose another "
                "--metric, or leave --test out"
            )
        data, tested = with_test_rows(data, test)
    data, times = _with_groups_and_times(data, options)
    data, duplicates, notes = _duplicates_grouped(data, options)
    own = data if tested is None else data.take(np.flatnonzero(~tested))
    rare, kinds = gaining_classes(own, options), options.kinds
    # of all rows, without labels: a text that differs in nearly all rows of a part looks like an id
    if schema := data.kind.schema(data, kinds):
        kinds = {column.name: column.kind for column in schema.columns if column.kind != "constant"}
    protocol = plan_protocol(
        data,
        rare,
        folds=options.folds,
        # features of photos have hundreds of columns: one repeat of them takes minutes
        repeats=options.repeats or (1 if photos is not None and tested is None else None),
        times=times,
        seed=options.fit.seed,
        tested=tested,
    )
    learner = learner_of(options.learner, data, updates=options.updates, overrides=kinds)
    generator = generator_of(options, data, rare)
    design = Design(options, data, protocol, learner, generator, rare, None, kinds, {}, photos)
    design = replace(design, origin=origin or Origin())
    if tested is not None and options.repeats is None and _ignores_seed(design):
        notes.append("one seed is judged: the classifier gives the same with another")
        once = replace(protocol, repeats=1, shared=0.0, splits=protocol.splits[:1])
        design = replace(design, protocol=once)
    design = replace(design, requested=_requested(design, duplicates))
    if header is not None:
        _check_same(header["asked"], design.requested)
    (progress or Progress()).phase("timing a few fits")
    plan = _learner_timed(design)
    if header is None and _from_budget(design):  # refused before a generator is timed: seconds
        _check_budget(options, started_s, replace(plan, generator_s=LEAST_GAN_S))
    plan = _generator_timed(plan, None if header is None else header["steps"])
    if header is None:
        _check_budget(options, started_s, plan)
    return replace(plan, notes=(*notes, *protocol.notes))


def _from_budget(design: Design) -> bool:
    """Return whether the budget of the evaluation sets the steps of its generators."""
    if not design.keeps_generators or design.data.kind.tabular:
        return False
    own = design.options.fit.budget or design.generator.budget_s
    return own is None and design.generator.steps is None


def _check_budget(options: EvaluationOptions, started_s: float, plan: Plan) -> None:
    """Raise UsageError for a budget that cannot hold the preparation and one split."""
    budget_s, least_s = options.budget, time.monotonic() - started_s + plan.split_s
    if budget_s and least_s > budget_s:
        least = math.ceil(least_s / 60 + 0.5)
        raise UsageError(
            f"a budget of {duration(budget_s)} cannot hold one split; give --budget {least}m "
            f"(budget='{least}m') or more, or fewer --arms"
        )


def _ignores_seed(design: Design) -> bool:
    """Return whether the learner gives the same scores with two seeds; networks never do."""
    if design.learner.updates is not None:
        return False
    part = design.part(design.protocol.splits[0])
    training = Training(part.train, part.train)
    with one_thread():
        one, other = (design.learner.fit(training, seed).scores(part.test) for seed in (0, 1))
    return all(np.array_equal(getattr(one, n), getattr(other, n)) for n in ("called", "values"))


def _learner_timed(design: Design) -> Plan:
    """Time a learner fit; for a network, time a few updates."""
    options, part, learner = design.options, design.part(design.protocol.splits[0]), design.learner
    scale = max(1.0, (learner.updates or 0) / PROBE_UPDATES[-1])
    for updates in PROBE_UPDATES:  # the first fit of a process includes imports
        if scale > 1:
            learner = learner_of(options.learner, design.data, updates=updates)
        began_s = time.perf_counter()
        with one_thread():
            fitted = learner.fit(Training(part.train, part.train), options.fit.seed)
            fit_s = time.perf_counter() - began_s
            scores = fitted.scores(part.test)
        scores_s = time.perf_counter() - began_s - fit_s
        if scale == 1 and fit_s + scores_s > 1:
            break
    if scores.values is None and options.metric in OF_RANKS:
        raise UsageError(
            f"{options.metric} needs probabilities, and {learner.name} has no "
            "predict_proba; take another metric, or wrap the learner in CalibratedClassifierCV"
        )
    return Plan(design, scale * fit_s + scores_s, 0.0, effective_n_jobs(options.n_jobs))


def _generator_timed(plan: Plan, steps: int | None) -> Plan:
    """Time a generator fit and set its steps. steps: those of a resumed journal."""
    design, options = plan.design, plan.design.options
    if not design.keeps_generators:
        return plan
    gan = design.generator
    forecast = gan.forecast(design.part(design.protocol.splits[0]).train)
    steps = steps or gan.steps
    within_s = options.fit.budget or gan.budget_s
    if steps is None and forecast.steps:
        if _from_budget(design):
            left_s, fits = (options.budget or IMAGE_BUDGET_S) - plan.seconds, plan.fits
            at_once = min(plan.n_jobs, fits["generators"]) / fits["generators"]
            within_s = max(LEAST_GAN_S, left_s * at_once)
        if within_s is not None:
            possible = range(1, forecast.steps + 1)
            steps = max(1, bisect(possible, within_s, key=forecast.seconds))
    design = replace(design, steps=steps)
    return replace(plan, design=design, generator_s=forecast.seconds(steps))


def _requested(design: Design, duplicates: Mapping[str, Any]) -> dict[str, Any]:
    """Describe an evaluation as JSON; a journal is resumed only for the same description."""
    data, options, protocol = design.data, design.options, design.protocol
    return {
        "data": data.kind.sha256(data),
        "kind": data.kind.name,
        "seed": options.fit.seed,
        "duplicates": duplicates,
        "classes": list(design.rare),
        "metric": options.metric,
        "delta": options.delta,
        "learner": design.learner.described(),
        "generator": fingerprint(design.generator),
        "samplers": {name: fingerprint(one) for name, one in options.samplers.items()},
        "arms": [arm.name for arm in design.arms],
        "top_up": options.top_up.model_dump(),
        "steps": options.fit.steps,
        "folds": protocol.folds,
        "splits": protocol.sha256(),
        "columns": {str(name): kind for name, kind in options.kinds.items()},
        "library": {name: version(name) for name in _PACKAGES},
    }


def _check_same(stored: Mapping[str, Any], requested: Mapping[str, Any]) -> None:
    for name in {**requested, **stored}:
        if stored.get(name) != requested.get(name):
            raise ResumeMismatchError(
                f"the journal is of another evaluation: its {name} is {stored.get(name)!r}, "
                f"requested is {requested.get(name)!r}. Use the same data and options, or "
                "--overwrite (overwrite=True)."
            )


def _with_groups_and_times(
    data: Labelled, options: EvaluationOptions
) -> tuple[Labelled, NDArray[Any] | None]:
    """Return the data with its groups, its features only, and times (N,) or None."""
    import pandas as pd

    names, times = options.aside, None
    if names and not data.kind.tabular:
        key, name = next(iter(names.items()))
        raise UsageError(
            f"{key} {name!r} names a column, and {data.kind.unit} have none; pass one value per "
            "row, (N,), or list the images in a manifest .csv of path,label,group"
        )
    if names:
        data, times = set_aside(data, **names)
    if options.time is not None and "time" not in names:
        series = pd.Series(options.time, name="time")
        if len(series) != len(data):
            raise UsageError(f"time has {len(series)} values; expected {len(data)}, one per row")
        times = row_times(series)
    if options.group is not None and "group" not in names:
        codes = group_codes(options.group, len(data))
        data = replace(data, groups=join_groups(len(data), [], codes))
    return data, times


def _duplicates_grouped(
    data: Labelled, options: EvaluationOptions
) -> tuple[Labelled, dict[str, Any], list[str]]:
    """Return the data with equal rows in one group, {kind of duplicate: rows}, and notes."""
    images, near, notes = not data.kind.tabular, list[list[int]](), []
    if images:
        data = grouped_by_source(data)
        # all beats of one heart are near duplicates
        near = [] if data.kind is SIGNAL else near_duplicates(data.pixels)
    same = same_rows(data.kind.row_keys(data))
    exact, alike, grouped = sum(map(len, same)), sum(map(len, near)), images
    grouped |= options.group_duplicates
    if grouped:
        data = replace(data, groups=join_groups(len(data), [*same, *near], data.groups))
    if exact and grouped:
        notes.append(f"{exact} rows that repeat others stay on one side of every split")
    elif exact:
        notes.append(duplicates_warning(exact))
    if near:
        notes.append(f"{alike} images that nearly repeat others stay on one side")
    counts = {"exact": exact, "grouped": grouped} | ({"near": alike} if images else {})
    return data, counts, notes


def duplicates_warning(rows: int) -> str:
    """Return the warning about repeated rows of a table that are not grouped."""
    return (
        f"{rows} rows equal another in every feature, and may be on both sides of a split; "
        "--group-duplicates (group_duplicates=True) keeps them together"
    )


def gaining_classes(data: Labelled, options: EvaluationOptions) -> tuple[str, ...]:
    """Return the requested classes that gain rows. Raises DataError if there are none."""
    classes = choose_classes(options.fit.classes, data.counts)
    ends = plan_topup(data.counts, options.top_up, classes, data.kind.recipes)
    gaining = tuple(name for name in classes if ends[name].total > ends[name].real)
    if not gaining:
        listed = ", ".join(f"{name} ({n})" for name, n in data.counts.items())
        raise DataError(
            f"nothing would be added to the classes {', '.join(classes)}: the counts are {listed}. "
            "Name smaller classes."
        )
    return gaining
