"""What is decided before any fit: the setup, the design that a budget has room for, the plan."""

from __future__ import annotations

import functools
import math
import time
from bisect import bisect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Generic, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.tables.inference import infer_schema
from gan_augment.data.tables.schema import Overrides, TableSchema
from gan_augment.errors import UsageError
from gan_augment.evaluation.amount import Amount, plan_for
from gan_augment.evaluation.arms import BY_METHOD, TABLE_RIVALS, Candidate, candidates_of
from gan_augment.evaluation.figures import OF_RANKS
from gan_augment.evaluation.leaks import check_disjoint
from gan_augment.evaluation.learners import Learner, NetworkLearner, Training
from gan_augment.evaluation.options import EvaluationOptions
from gan_augment.evaluation.protocol import INNER_FOLDS, Protocol, Split, inner_folds
from gan_augment.evaluation.statistics import Contrast, expected_error
from gan_augment.generators.generator import Data
from gan_augment.generators.image_gan import ImageGAN
from gan_augment.generators.tabular_gan import TabularGAN
from gan_augment.generators.time_budget import Forecast, duration
from gan_augment.kinds.kind import Labelled
from gan_augment.machine import Precision
from gan_augment.report.wording import percent
from gan_augment.rng import derived_seed
from gan_augment.settings import Frozen

OUTER = "outer"
INNER = ("inner0", "inner1", "inner2")
IMAGE_BUDGET_S = 1800.0
"""Of an evaluation of images about whose time nothing is said."""
FEATURES_BUDGET_S = 180.0
"""The same of rows of features, once they are there: 1,000 photos are judged in 5 minutes then. It
takes longer, and is not refused, where even the least does."""
WORTH_JUDGING, LEAST_GAN_S = 0.4, 60.0
"""A generator of images that gets fewer is not worth judging: other things are left out first. The
seconds are what it gets where nothing more can be left out."""
OPTIONAL_ARMS = (
    *("permuted", "plain", "gan+trivial_augment", "gan+cmo", "gan+balanced_softmax"),
    *("gan+mixup_balanced_softmax", "gan+mixup", "trivial_augment", "cmo", "smote"),
    *("class_weight", "balanced_softmax", "mixup_balanced_softmax", "mixup"),
)
"""Of images, in the order in which they go, unless they were named: those that wait for a generator
first, and last the methods that were the strongest beside the GAN's rows on Fashion-MNIST."""
LARGER = 1.25
"""Times the time of a fit on real rows: what one of topped-up and of inner parts takes, about."""


class Design(Frozen):
    """What is tried. to, cheap_to: fractions of the GAN, and of repeats and SMOTE.

    steps: of every generator fit, None for the recipe's own. precision: of those, "auto" where it
    was not timed. inner: whether inner folds tune decisions and choose amounts. no_arms: arms that
    are not tried. left_out: sentences.
    """

    repeats: int
    to: tuple[float, ...]
    cheap_to: tuple[float, ...]
    curves: bool
    steps: int | None
    precision: Precision = "auto"
    inner: bool = True
    no_arms: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    def without(self, what: str, **smaller: Any) -> Design:
        """Return the design with something smaller, which is named as left out."""
        return self.model_copy(update={**smaller, "left_out": (*self.left_out, what)})


class Fits(NamedTuple):
    """How many fits there will be. waiting: those of the learners that need a generator first."""

    generators: int
    learners: int
    waiting: int


@dataclass(frozen=True)
class TrainTestPart(Generic[Data]):
    """Rows to train on (`part`) and rows to judge on (`held`), disjoint, of a split.

    name: "outer", where the test rows are held out, or that of an inner fold.
    """

    name: str
    split: Split
    part: Data
    held: Data
    overrides: Overrides

    @functools.cached_property
    def schema(self) -> TableSchema | None:
        """Infer what the columns of the part are from it alone; None for images."""
        part = self.part
        return infer_schema(part.frame, self.overrides) if part.kind.tabular else None


@dataclass(frozen=True)
class Setup(Generic[Data]):
    """What is evaluated and how; the same for every fit, and small enough to travel to a worker.

    generator: unfitted. rare: the classes that are topped up. overrides: what columns are, for
    learner and generators alike. requested: what a journal of it begins with, beside the design.
    photos: of rows of features, small, to show what generated ones are near to.
    """

    options: EvaluationOptions
    data: Data
    protocol: Protocol
    learner: Learner
    generator: Any
    rare: tuple[str, ...]
    design: Design
    overrides: Overrides = field(default_factory=Overrides)
    requested: Mapping[str, Any] = field(default_factory=dict)
    photos: Labelled | None = None

    def __sizeof__(self) -> int:
        """Count the bytes of the rows: engines send an argument this large once to a worker."""
        data: Any = self.data
        return int(data.frame.memory_usage().sum() if self.table else data.pixels.nbytes)

    @property
    def header(self) -> dict[str, Any]:
        """Return what a journal begins with."""
        planned = self.design.model_dump()
        return {"kind": "header", "asked": dict(self.requested), "planned": planned}

    @property
    def table(self) -> bool:
        """Tell whether the rows are a table's."""
        return self.data.kind.tabular

    @property
    def learned(self) -> Data:
        """Return the rows that are topped up: without a test set of its own, all of them."""
        data: Data = self.data
        return data.take(self.protocol.splits[0].train) if self.protocol.kind == "test" else data

    @property
    def arms(self) -> tuple[str, ...]:
        """List the arms that are reported: those that this learner and this design can have."""
        known, absent = self.learner.methods, set(self.design.no_arms)
        absent |= set() if self.table else set(TABLE_RIVALS)
        absent |= {name for name, one in BY_METHOD.items() if one.method not in known}
        absent |= set() if self.design.inner else {"auto"}
        return tuple(name for name in self.options.arm_names if name not in absent)

    @property
    def decision(self) -> Literal["tuned", "corrected"]:
        """Say what the decision beside the learner's own is."""
        return "tuned" if self.design.inner else "corrected"

    @property
    def fits_a_cell(self) -> int:
        """Count the fits of a candidate in a split."""
        return 1 + INNER_FOLDS * self.design.inner

    @functools.cached_property
    def candidates(self) -> tuple[Candidate, ...]:
        """List what is tried for the arms, without amounts that add nothing to this data."""
        design, top_up, learned = self.design, self.options.top_up, self.learned
        candidates = candidates_of(
            self.arms,
            design.to,
            cheap_to=design.cheap_to,
            curves=design.curves,
            weighs=self.learner.weighs,
            methods=self.learner.methods,
            samplers=tuple(self.options.samplers),
        )
        return tuple(
            c
            for c in candidates
            if c.kind != "amount" or plan_for(c.amount, learned, self.rare, top_up).added
        )

    @property
    def fits(self) -> Fits:
        """Count the fits of the design."""
        splits = self.protocol.folds * self.design.repeats
        sources = {c.generated for c in self.candidates if c.generated}
        share = self.design.curves and "gan" in sources  # only generated rows, at what is chosen
        free = sum(not c.generated for c in self.candidates)
        each = splits * self.fits_a_cell
        fitted = self.fits_a_cell if self.protocol.kind == "test" else each
        return Fits(
            generators=fitted * len(sources) if self.keeps_generators else 0,
            learners=each * (len(self.candidates) + int(share)),
            waiting=each * (len(self.candidates) + int(share) - free),
        )

    @property
    def evaluated(self) -> tuple[int, ...]:
        """List the labels of the classes that macro metrics are taken over."""
        return tuple(self.data.names.index(name) for name in self.protocol.evaluated)

    @property
    def judged_rare(self) -> tuple[int, ...]:
        """List the labels of the topped-up classes that can be judged."""
        judged = (name for name in self.rare if name in self.protocol.evaluated)
        return tuple(self.data.names.index(name) for name in judged)

    @property
    def keeps_generators(self) -> bool:
        """Tell whether fitted generators are kept in files, or fitted where they are needed."""
        return isinstance(self.generator, ImageGAN | TabularGAN)

    @property
    def first_repeat(self) -> tuple[Split, ...]:
        """List the splits in which every row is tested once at most."""
        return tuple(split for split in self.protocol.splits if split.repeat == 0)

    @property
    def detectable(self) -> float:
        """Forecast the smallest difference that this data could show, in 0..1."""
        protocol, metric = self.protocol, self.options.metric
        judged = [n for n in protocol.evaluated if metric not in OF_RANKS or n in self.rare]
        counts = {name: protocol.units[name] for name in judged}
        error = expected_error(
            counts, metric, folds=protocol.folds, repeats=protocol.repeats, shared=protocol.shared
        )
        n = protocol.folds * protocol.repeats
        if protocol.kind == "test":
            n = sum(counts.values())
        return Contrast(0.0, error, n - 1, n).detectable(self.options.delta)

    def redesigned(self, design: Design) -> Setup[Data]:
        """Return the same with another design, whose repeats of the folds alone are left."""
        protocol = self.protocol.with_repeats(design.repeats)
        return replace(self, design=design, protocol=protocol)

    def seed_of(self, what: str, split: Split, level: str) -> int:
        """Derive the seed of one fit: the same for every candidate of a split.

        On a test set of its own, of every split but for the learner's.
        """
        of = split if what == "learner" else self.protocol.generator_split(split)
        seed = self.options.fit.seed
        return derived_seed(seed, f"evaluation-{what}", of.repeat, of.fold, level)

    def levels(self, split: Split) -> dict[str, TrainTestPart[Data]]:
        """Return the inner parts of a split, then the outer one, by name.

        The outer part is judged on the test rows, an inner one, where the design has inner folds,
        on training rows left out of it.
        Raises LeakError where a test row is among those to train on.
        """
        data: Data = self.data
        train, test = data.take(split.train), data.take(split.test)
        check_disjoint(train.ids, test.ids, f"a fit of fold {split.fold + 1}")
        parts = {}
        if self.design.inner:
            fold_of_row = inner_folds(train, self.seed_of("inner", split, OUTER))
            for number, name in enumerate(INNER):
                held = fold_of_row == number
                part, left_out = train.take(np.flatnonzero(~held)), train.take(np.flatnonzero(held))
                parts[name] = TrainTestPart(name, split, part, left_out, self.overrides)
        return {**parts, OUTER: TrainTestPart(OUTER, split, train, test, self.overrides)}


def seconds_by_parts(
    work: Callable[[int], object], whole: int, within_s: float, least: int = 1
) -> float:
    """The seconds of `work(whole)`, timed within `within_s` by parts of it, each twice the last.

    The last two stand for the whole, as a line through both.
    """
    n, part_s = min(least, whole), list[float]()
    if n < whole:
        work(n)  # imports and kernels that are made once
    while True:
        began_s = time.monotonic()
        work(n)
        part_s.append(time.monotonic() - began_s)
        if n == whole:
            return part_s[-1]
        if sum(part_s) + 2 * part_s[-1] > within_s:
            more_s = part_s[-1] - part_s[-2] if len(part_s) > 1 else part_s[-1] / 2
            return part_s[-1] + max(0.0, more_s) * (whole - n) / (n / 2)
        n = min(2 * n, whole)


@dataclass(frozen=True)
class Costs:
    """Seconds, one thread. learner_s: of a fit with its predictions. generators: of GAN fits; None
    where they are a plug-in's, which are not timed. spent_s: what the timing took."""

    learner_s: float
    generators: Forecast | None = None
    spent_s: float = 0.0

    @classmethod
    def timed(cls, setup: Setup[Any], within_s: float = math.inf) -> Costs:
        """Time a fit of the learner on real rows, the second of two where it is short.

        within_s: about how long the timing may take; a part of the work then stands for all of it.
        """
        started_s = time.perf_counter()
        split, learner, spent_s = setup.protocol.splits[0], setup.learner, 0.0
        part, held = setup.data.take(split.train), setup.data.take(split.test)
        forecast = setup.generator.forecast(part) if setup.keeps_generators else None
        order, whole = _spread(part.labels), len(part)
        if isinstance(learner, NetworkLearner):
            whole = learner.updates

        def fit(n: int) -> None:
            """Fit by so many updates, or on so many rows, and judge as large a part of the rest."""
            one, rows = learner, part
            if isinstance(one, NetworkLearner):
                one = replace(one, updates=n)
            elif n < whole:
                rows = part.take(np.sort(order[:n]))
            tested = held.take(np.arange(math.ceil(len(held) * n / whole)))
            one.fit(Training(rows, rows), setup.options.fit.seed).scores(tested)

        least = whole if math.isinf(within_s) else math.ceil(whole / 16)
        for _ in range(2):
            spent_s = seconds_by_parts(fit, whole, within_s / 4, least)
            if spent_s > 1:
                break
        return cls(spent_s, forecast, time.perf_counter() - started_s)

    def unit_s(self, setup: Setup[Any], kind: str) -> float:
        """Forecast a unit of a journal: a "generator", a "cell", a "diagnosis"."""
        if kind == "generator":
            return self.generators.seconds(setup.design.steps) if self.generators else 0.0
        return self.learner_s * (3 if kind == "diagnosis" else setup.fits_a_cell * LARGER)

    def seconds(self, setup: Setup[Any], processes: int = 1, steps: int | None = None) -> float:
        """Forecast how long all of it takes, in the order of `schedule.run`.

        Learners that wait for no generator are fitted beside the outer ones. A diagnosis is two
        learner fits, and about as much as a third for figures. steps: None for the design's.
        """

        def rounds(n: int) -> int:
            return math.ceil(n / processes)

        fits, learner_s = setup.fits, self.learner_s * LARGER
        looks = rounds(setup.protocol.folds) * setup.options.diagnostics
        free_s = (fits.learners - fits.waiting) * learner_s
        after_s = rounds(fits.waiting) * learner_s + looks * 3 * self.learner_s
        if self.generators is None:
            return free_s / processes + after_s
        steps = steps or setup.design.steps
        outer = fits.generators // setup.fits_a_cell
        fit_s = self.generators.seconds(steps)
        begun_s = max(rounds(outer) * fit_s, (outer * fit_s + free_s) / processes)
        return begun_s + rounds(fits.generators - outer) * fit_s + after_s


def _spread(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Order rows (N,) so that the first ones of them hold every class by its share, from one on."""
    place = np.empty(len(labels))
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        place[own] = np.arange(len(own)) / len(own)
    return np.argsort(place, kind="stable")


def designed(setup: Setup[Any], costs: Costs, processes: int, begun_s: float = 0.0) -> Design:
    """Leave things out in a fixed order until the rest fits into the budget.

    begun_s: of the budget, what is spent already. Raises UsageError where somebody set a budget
    that not even the least fits into, unless it is forced.

    setup: with the full design. Of images the generators get what is left, from two fifths of
    their recipe's steps on, unless their steps are given; inner folds are kept only where every
    fit gets all steps of its recipe, or where the arm auto was named, which is nothing without
    them.
    """
    full, fit, gans = setup.design, setup.options.fit, costs.generators
    named = setup.options.arms not in ("default", "all")
    with_inner = setup.table or (named and "auto" in setup.arms)
    budget_s, begun_s = _budget_s(setup, begun_s)
    if gans is not None and fit.budget_s and not fit.steps:
        full = full.model_copy(update={"steps": gans.steps_within(fit.budget_s)})
    if not with_inner and (budget_s is None or gans is None):  # nobody said that there is time
        full = _without_inner(full)
    if budget_s is None:
        return full
    budget_s -= max(begun_s, costs.spent_s)
    designs = list(_smaller(full, _optional(setup), with_inner, setup.options.repeats is not None))
    took_s = [partial(costs.seconds, replace(setup, design=d), processes) for d in designs]
    over = "nothing more can be left out: it will take longer than the budget"
    if setup.table or full.steps is not None or gans is None or not gans.steps:
        fitting = (d for d, seconds in zip(designs, took_s, strict=True) if seconds() <= budget_s)
        if (design := next(fitting, None)) is None:
            _check_forced(setup, took_s[-1]() - budget_s)
            return designs[-1].without(over)
        return design
    worth = math.ceil(WORTH_JUDGING * gans.steps)
    room = range(1, gans.steps + 1)
    steps = [bisect(room, budget_s, key=seconds) for seconds in took_s]
    for design, within in zip(designs, steps, strict=True):
        if within >= (gans.steps if design.inner and not with_inner else worth):
            return design.model_copy(update={"steps": within})
    most, least = steps[-1], min(gans.steps, gans.steps_within(LEAST_GAN_S))
    if most < least:
        _check_forced(setup, took_s[-1](least) - budget_s)
        return designs[-1].without(over, steps=least)
    fewer = (
        f"steps: {most:,} of each generator, which is worth judging from {worth:,} on; a budget of "
        f"{_duration(took_s[-1](worth))} has room for these"
    )
    return designs[steps.index(most)].without(fewer, steps=most)  # what takes no step away stays


def _optional(setup: Setup[Any]) -> list[str]:
    """List the arms that may be left out to save time, in their order."""
    named = setup.options.arms not in ("default", "all")
    return [] if setup.table or named else [n for n in OPTIONAL_ARMS if n in setup.arms]


def _budget_s(setup: Setup[Any], begun_s: float) -> tuple[float | None, float]:
    """The seconds for all of it, and those that are gone; about which nothing may be said."""
    fit = setup.options.fit
    if setup.options.budget_s is not None or fit.steps or fit.budget_s:
        return setup.options.budget_s, begun_s
    if setup.photos is not None:
        return FEATURES_BUDGET_S, 0.0  # from when the features are there
    return None if setup.table else IMAGE_BUDGET_S, begun_s


def _check_forced(setup: Setup[Any], missing_s: float) -> None:
    """Raise UsageError where the least takes so many seconds more than somebody's budget."""
    budget_s = setup.options.budget_s
    if budget_s is None or setup.options.force:
        return
    would_do = duration(1.1 * (budget_s + missing_s))
    raise UsageError(
        f"a budget of {_duration(budget_s)} has no room for the least that gives a verdict, one "
        f"repeat of {setup.protocol.folds} folds: --budget {would_do} would do (budget_s=), "
        "fewer --folds need less, and --force begins all the same"
    )


def shrunk(setup: Setup[Any]) -> Iterator[Setup[Any]]:
    """Yield the setup and what may be left out of it under way, in the same order, to the least."""
    keeps_repeats = setup.options.repeats is not None
    for design in _smaller(setup.design, _optional(setup), True, keeps_repeats):
        yield setup.redesigned(design)


def finished(setup: Setup[Data], done: Callable[[Split, Candidate], bool]) -> Setup[Data] | None:
    """Return what can be judged when time is up: whole folds, two at least, or a seed of a test
    set, the first among them; None where there are none.

    done: whether a candidate was judged in a split. Arms go only where no two folds have them.
    """
    arms = [name for name in reversed(setup.arms) if name not in ("none", "gan")]
    for design in _smaller(setup.design, arms, True, True):
        smaller = setup.redesigned(design)
        splits = smaller.protocol.splits
        whole = tuple(s for s in splits if all(done(s, c) for c in smaller.candidates))
        if whole and whole[0].repeat:
            continue  # rows are compared one by one in the first repeat
        if len(whole) >= (1 if setup.protocol.kind == "test" else 2):
            if len(whole) < len(splits):
                what = f"{len(splits) - len(whole)} of {len(splits)} "
                what += "seeds" if setup.protocol.kind == "test" else "folds"
                what += ": the time was up"
                smaller = replace(smaller, design=design.without(what))
            return replace(smaller, protocol=replace(smaller.protocol, splits=whole))
    return None


def _smaller(
    full: Design, optional: Sequence[str], keep_inner: bool, keep_repeats: bool
) -> Iterator[Design]:
    """Yield all to the least: inner folds go first, then curves, amounts of the cheap arms,
    optional arms one by one, repeats, amounts."""
    yield full
    design, most = full, (max(full.to),)
    if design.inner and not keep_inner:
        design = _without_inner(design)
        yield design
    if design.curves:
        what = "the curves of the share of generated rows and of real rows"
        design = design.without(what, curves=False)
        yield design
    if len(design.cheap_to) > 1:
        what = f"smaller amounts of repeats and SMOTE than {most[0]:g} of the majority"
        design = design.without(what, cheap_to=most)
        yield design
    every = design
    for n in range(1, len(optional) + 1):
        gone = tuple(optional[:n])
        what = f"the arm{'s' * (n > 1)} {', '.join(gone)}"
        design = every.without(what, no_arms=(*every.no_arms, *gone))
        yield design
    every = design
    for repeats in () if keep_repeats else range(full.repeats - 1, 0, -1):
        what = f"{full.repeats - repeats} of {full.repeats} repeats of the folds"
        design = every.without(what, repeats=repeats)
        yield design
    if len(design.to) > 1:
        what = f"smaller amounts of the GAN's rows than {most[0]:g} of the majority"
        yield design.without(what, to=most)


def _without_inner(design: Design) -> Design:
    """Take every candidate at the most that it adds, and every decision as corrected."""
    most = (max(design.to),)
    what = (
        f"inner folds: no amount is chosen ({Amount('gan', most[0])}), decisions are corrected for "
        "the class shares instead of tuned, and there is no arm auto"
    )
    return design.without(what, inner=False, to=most, cheap_to=most)


@dataclass(frozen=True)
class Plan:
    """What an evaluation is going to do. seconds: about, all fits by n_jobs processes."""

    setup: Setup[Any]
    seconds: float
    n_jobs: int
    notes: tuple[str, ...]
    costs: Costs = Costs(0.0)

    @property
    def fits(self) -> Fits:
        """Count the fits that there will be."""
        return self.setup.fits

    @property
    def rare_units(self) -> dict[str, int]:
        """Count the independent rows of each class that is topped up."""
        units = self.setup.protocol.units
        return {name: units.get(name, 0) for name in self.setup.rare}

    def to_dict(self) -> dict[str, Any]:
        """Make it ready for JSON."""
        setup = self.setup
        return {
            "metric": setup.options.metric,
            "delta": setup.options.delta,
            "design": setup.design.model_dump(),
            "arms": setup.arms,
            "decision": setup.decision,
            "folds": setup.protocol.folds,
            "unit": setup.protocol.unit,
            "rare_units": self.rare_units,
            "fits": self.fits._asdict(),
            "seconds": self.seconds,
            "n_jobs": self.n_jobs,
            "detectable": setup.detectable,
            "notes": self.notes,
        }

    def lines(self) -> list[str]:
        """Write it for people."""
        setup, fits, steps = self.setup, self.fits, self.setup.design.steps
        options, protocol, generators = setup.options, setup.protocol, ""
        units = ", ".join(f"{name} ({n} {protocol.unit})" for name, n in self.rare_units.items())
        if fits.generators:
            trained = "the recipe's own steps each" if steps is None else f"{steps:,} steps each"
            if (
                isinstance(setup.generator, ImageGAN | TabularGAN)
                and setup.generator.untrained
                and not steps
            ):
                trained = "untrained"
            generators = f"{fits.generators} generator fits ({trained}), "
        dealt = f"{protocol.folds} folds x {setup.design.repeats}"
        if protocol.kind == "test":
            tested = len(protocol.splits[0].test)
            dealt = f"{tested:,} test rows, {setup.design.repeats} seeds of the classifier"
        processes = "1 process" if self.n_jobs == 1 else f"{self.n_jobs} processes"
        return [
            f"plan: {dealt}; {generators}"
            f"{fits.learners:,} learner fits; about {_duration(self.seconds)} with {processes}",
            f"arms: {', '.join(setup.arms)}; judged by {options.metric}, gan - none, decisions "
            f"{setup.decision}",
            f"topped up: {units}; a difference of less than about {percent(setup.detectable)} "
            f"points cannot be shown to be above {100 * options.delta:g}",
            *(f"left out: {what}" for what in setup.design.left_out),
            *self.notes,
        ]


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
