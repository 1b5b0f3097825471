"""What is decided before any fit: the design that a budget has room for, and the setup."""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Generic

import numpy as np

from gan_augment.data.contract import LabelledTable
from gan_augment.data.tables.inference import infer_schema
from gan_augment.data.tables.schema import Overrides, TableSchema
from gan_augment.evaluation.arms import Candidate, candidates_of
from gan_augment.evaluation.leaks import check_disjoint
from gan_augment.evaluation.learners import Learner, Training
from gan_augment.evaluation.options import EvaluationOptions
from gan_augment.evaluation.protocol import INNER_FOLDS, Protocol, Split, inner_folds
from gan_augment.randomness import derived_seed
from gan_augment.settings import Frozen
from gan_augment.synthesizers.base import Data
from gan_augment.synthesizers.image_gan import ImageGAN
from gan_augment.synthesizers.tabular_gan import TabularGAN
from gan_augment.synthesizers.time_budget import Forecast

OUTER = "outer"
INNER = ("inner0", "inner1", "inner2")
FITS_A_CELL = INNER_FOLDS + 1
IMAGE_BUDGET_S = 1800.0
"""Of an evaluation of images about whose time nothing is said."""
LEAST_GAN_S = 60.0
"""A generator of images that gets less is not worth judging: other things are left out first."""
LARGER = 1.25
"""Times the time of a fit on real rows: what one of topped-up and of inner parts takes, about."""


class Design(Frozen):
    """What is tried. to, cheap_to: fractions of the GAN, and of repeats and SMOTE.

    steps: of every generator fit, None for the recipe's own. left_out: sentences.
    """

    repeats: int
    to: tuple[float, ...]
    cheap_to: tuple[float, ...]
    curves: bool
    steps: int | None
    left_out: tuple[str, ...] = ()

    def without(self, what: str, **smaller: Any) -> Design:
        """The design with something smaller, which is named as left out."""
        return self.model_copy(update={**smaller, "left_out": (*self.left_out, what)})

    def candidates(self, options: EvaluationOptions, learner: Learner) -> tuple[Candidate, ...]:
        """What has to be tried for the arms."""
        return candidates_of(
            arms_of(options, learner),
            self.to,
            cheap_to=self.cheap_to,
            curves=self.curves,
            weighs=learner.weighs,
            samplers=tuple(options.samplers),
        )


@dataclass(frozen=True)
class Fits:
    """How many fits there will be: `generators`, `learners`."""

    generators: int
    learners: int


@dataclass(frozen=True)
class Costs:
    """Seconds, one thread. learner_s: of a fit with its predictions. generators: of GAN fits; None
    where they are a plug-in's, which are not timed."""

    learner_s: float
    generators: Forecast | None = None

    def looks_s(self, options: EvaluationOptions, folds: int) -> float:
        """Of the diagnoses of the first repeat: two fits of the learner each, and about as much as
        a third for the figures."""
        return folds * 3 * self.learner_s * options.diagnostics

    def seconds(self, design: Design, fits: Fits) -> float:
        """Of all fits, one after the other."""
        total = fits.learners * self.learner_s * LARGER
        if self.generators is not None:
            outer = self.generators.seconds(design.steps, trials=True)
            inner = self.generators.seconds(design.steps)
            total += fits.generators / FITS_A_CELL * (outer + INNER_FOLDS * inner)
        return total


@dataclass(frozen=True)
class Plan:
    """What an evaluation is going to do. seconds: about, all fits by n_jobs processes.

    detectable: the smallest difference that this data could show, forecast; in the metric's unit.
    """

    metric: str
    delta: float
    design: Design
    arms: tuple[str, ...]
    folds: int
    unit: str
    rare_units: dict[str, int]
    fits: Fits
    seconds: float
    n_jobs: int
    detectable: float
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**asdict(self), "design": self.design.model_dump()}

    def lines(self) -> list[str]:
        """For people."""
        units = ", ".join(f"{name} ({n} {self.unit})" for name, n in self.rare_units.items())
        steps, generators = self.design.steps, ""
        if self.fits.generators:
            trained = "the recipe's own steps" if steps is None else f"{steps:,} steps"
            generators = f"{self.fits.generators} generator fits ({trained} each), "
        processes = "1 process" if self.n_jobs == 1 else f"{self.n_jobs} processes"
        return [
            f"plan: {self.folds} folds x {self.design.repeats}; {generators}"
            f"{self.fits.learners:,} learner fits; about {duration(self.seconds)} with {processes}",
            f"arms: {', '.join(self.arms)}; judged by {self.metric}, gan - none, decisions tuned",
            f"topped up: {units}; a difference of less than about {100 * self.detectable:.1f} "
            f"points cannot be shown to be above {100 * self.delta:g}",
            *(f"left out: {what}" for what in self.design.left_out),
            *self.notes,
        ]


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
        """What the columns of the part are, inferred from it alone; None for images."""
        part = self.part
        return infer_schema(part.frame, self.overrides) if isinstance(part, LabelledTable) else None


@dataclass(frozen=True)
class Setup(Generic[Data]):
    """What is evaluated and how; the same for every fit, and small enough to travel to a worker.

    generator: unfitted. rare: the classes that are topped up. arms: the ones that are reported;
    candidates: what is tried for them. overrides: what columns are, for learner and generators
    alike. header: what a journal of it begins with.
    """

    options: EvaluationOptions
    data: Data
    protocol: Protocol
    learner: Learner
    generator: Any
    rare: tuple[str, ...]
    arms: tuple[str, ...]
    candidates: tuple[Candidate, ...]
    curves: bool = False
    overrides: Overrides = field(default_factory=Overrides)
    header: Mapping[str, Any] = field(default_factory=dict)

    @property
    def table(self) -> bool:
        """Whether the rows are a table's."""
        return isinstance(self.data, LabelledTable)

    @property
    def evaluated(self) -> tuple[int, ...]:
        """Labels of the classes that macro metrics are taken over."""
        return tuple(self.data.names.index(name) for name in self.protocol.evaluated)

    @property
    def judged_rare(self) -> tuple[int, ...]:
        """Labels of the topped-up classes that can be judged."""
        judged = (name for name in self.rare if name in self.protocol.evaluated)
        return tuple(self.data.names.index(name) for name in judged)

    @property
    def keeps_generators(self) -> bool:
        """Whether fitted generators are kept in files; others are fitted where they are needed."""
        return isinstance(self.generator, ImageGAN | TabularGAN)

    @property
    def first_repeat(self) -> tuple[Split, ...]:
        """The splits in which every row is tested once at most."""
        return tuple(split for split in self.protocol.splits if split.repeat == 0)

    def seed_of(self, what: str, split: Split, level: str) -> int:
        """A seed for one fit: the same for every candidate of a split."""
        seed = self.options.fit.seed
        return derived_seed(seed, f"evaluation-{what}", split.repeat, split.fold, level)

    def levels(self, split: Split) -> dict[str, TrainTestPart[Data]]:
        """The inner parts of a split, then the outer one, by name.

        The outer part is judged on the test rows, an inner one on training rows left out of it.
        Raises LeakError where a test row is among those to train on.
        """
        data: Data = self.data
        train, test = data.take(split.train), data.take(split.test)
        check_disjoint(train.ids, test.ids, f"a fit of fold {split.fold + 1}")
        fold_of_row = inner_folds(train, self.seed_of("inner", split, OUTER))
        parts = {}
        for number, name in enumerate(INNER):
            held = fold_of_row == number
            part, left_out = train.take(np.flatnonzero(~held)), train.take(np.flatnonzero(held))
            parts[name] = TrainTestPart(name, split, part, left_out, self.overrides)
        return {**parts, OUTER: TrainTestPart(OUTER, split, train, test, self.overrides)}


def unfitted_twin(gan: ImageGAN | TabularGAN, seed: int, **settings: Any) -> ImageGAN | TabularGAN:
    """A GAN of the same settings but for `settings`, unfitted, of one thread, with its own seed."""
    names = list(inspect.signature(type(gan)).parameters)
    same = {name: getattr(gan, name) for name in names}
    return type(gan)(**{**same, "threads": 1, "callbacks": (), "random_state": seed, **settings})


def duration(seconds: float) -> str:
    """A duration for people.

    >>> duration(42), duration(400), duration(9000)
    ('42 s', '7 min', '2.5 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def arms_of(options: EvaluationOptions, learner: Learner) -> tuple[str, ...]:
    """The arms that this learner can have."""
    return tuple(arm for arm in options.arm_names if arm != "plain" or learner.augments)


def counted(design: Design, tried: Sequence[Candidate], folds: int, keeps_generators: bool) -> Fits:
    """The fits of a design. tried: its candidates."""
    splits = folds * design.repeats
    sources = {c.generated for c in tried if c.generated}
    share = design.curves and "gan" in sources  # nothing but generated rows, at what is chosen
    cells = len(tried) + int(share)
    generators = splits * FITS_A_CELL * len(sources) if keeps_generators else 0
    return Fits(generators, splits * FITS_A_CELL * cells)


def designed(
    options: EvaluationOptions,
    tried: Callable[[Design], Sequence[Candidate]],
    protocol: Protocol,
    costs: Costs,
    *,
    keeps_generators: bool,
    images: bool,
    processes: int,
) -> Design:
    """The most that a budget has room for: things are left out in a fixed order until it fits.

    tried: the candidates of a design. Of images the generators get what is left, from 60 s a fit
    on, unless their steps are given.
    """
    fit, gans, budget_s = options.fit, costs.generators, options.budget_s
    if images and not (fit.steps or fit.budget_s or budget_s):
        budget_s = IMAGE_BUDGET_S
    full = Design(
        repeats=protocol.repeats,
        to=options.to,
        cheap_to=options.to,
        curves=options.curves,
        steps=fit.steps,
    )
    if gans is not None and fit.budget_s and not fit.steps:
        full = full.model_copy(update={"steps": gans.steps_within(fit.budget_s)})
    if budget_s is None:
        return full
    room_s = budget_s * processes - costs.looks_s(options, protocol.folds)
    flexible = gans if images and full.steps is None else None
    for design in _smaller(full, options):
        fits = counted(design, tried(design), protocol.folds, keeps_generators)
        if flexible is None:
            if costs.seconds(design, fits) <= room_s:
                return design
            continue
        left_s = room_s - fits.learners * costs.learner_s * LARGER
        each_s = left_s / max(1, fits.generators)
        if each_s >= min(LEAST_GAN_S, flexible.seconds()):
            steps = min(flexible.steps, flexible.steps_within(each_s))
            return design.model_copy(update={"steps": steps})
    over = "nothing more can be left out: it will take longer than the budget"
    least = design.steps if flexible is None else flexible.steps_within(LEAST_GAN_S)
    return design.without(over, steps=least)


def _smaller(full: Design, options: EvaluationOptions) -> Iterator[Design]:
    """From all to the least: curves first, then amounts of the cheap arms, repeats, amounts."""
    design = full
    yield design
    if design.curves:
        what = "the curves of the share of generated rows and of real rows"
        design = design.without(what, curves=False)
        yield design
    most = (max(full.to),)
    if len(full.cheap_to) > 1:
        what = f"smaller amounts of repeats and SMOTE than {most[0]:g} of the majority"
        design = design.without(what, cheap_to=most)
        yield design
    every = design
    if options.repeats is None:
        for repeats in range(full.repeats - 1, 0, -1):
            what = f"{full.repeats - repeats} of {full.repeats} repeats of the folds"
            design = every.without(what, repeats=repeats)
            yield design
    if len(full.to) > 1:
        what = f"smaller amounts of the GAN's rows than {most[0]:g} of the majority"
        yield design.without(what, to=most)


def timed_learner(learner: Learner, data: Any, protocol: Protocol, seed: int) -> float:
    """Seconds of one fit on real rows with its predictions, the second of two where it is short."""
    split = protocol.splits[0]
    part, held = data.take(split.train), data.take(split.test)
    spent_s = 0.0
    for _ in range(2):
        began_s = time.perf_counter()
        learner.fit(Training(part, part), seed).scores(held)
        spent_s = time.perf_counter() - began_s
        if spent_s > 1:
            break
    return spent_s
