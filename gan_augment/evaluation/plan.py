"""What is decided before any fit: the design that a budget has room for, and the setup."""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Generic

import numpy as np

from gan_augment.config import TopUp
from gan_augment.data.contract import LabelledTable
from gan_augment.data.tables.inference import infer_schema
from gan_augment.data.tables.schema import Overrides, TableSchema
from gan_augment.evaluation.arms import Candidate, candidates_of
from gan_augment.evaluation.leaks import check_disjoint
from gan_augment.evaluation.learners import Learner, Training
from gan_augment.evaluation.options import Options
from gan_augment.evaluation.protocol import INNER_FOLDS, Protocol, Split, inner_folds
from gan_augment.randomness import derived_seed
from gan_augment.synthesizers.base import Data
from gan_augment.synthesizers.image_gan import ImageGAN
from gan_augment.synthesizers.tabular_gan import TabularGAN
from gan_augment.synthesizers.time_budget import Forecast

FITS_A_CELL = INNER_FOLDS + 1
LEAST_GAN_S = 60.0
"""A generator of images that gets less is not worth judging: other things are left out first."""
LARGER = 1.25
"""Times the time of a fit on real rows: what one of topped-up and of inner parts takes, about."""


@dataclass(frozen=True)
class Design:
    """What is tried. to, cheap_to: fractions of the GAN, and of repeats and SMOTE.

    steps: of every generator fit, None for the recipe's own. left_out: sentences.
    """

    repeats: int
    to: tuple[float, ...]
    cheap_to: tuple[float, ...]
    curves: bool
    steps: int | None
    left_out: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; `from_dict` reads it back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, given: dict[str, Any]) -> Design:
        """The inverse of `to_dict`, also of what JSON made of it."""
        lists = {name: tuple(given[name]) for name in ("to", "cheap_to", "left_out")}
        return cls(**{**given, **lists})

    def candidates(self, options: Options, learner: Learner) -> tuple[Candidate, ...]:
        """What has to be tried for the arms that were asked."""
        return candidates_of(
            arms_of(options, learner),
            self.to,
            cheap_to=self.cheap_to,
            curves=self.curves,
            weighs=learner.weighs,
            samplers=tuple(options.samplers),
        )


@dataclass(frozen=True)
class Costs:
    """Seconds, one thread. learner_s: of a fit with its predictions. generators: of GAN fits; None
    where they are a plug-in's, which are not timed."""

    learner_s: float
    generators: Forecast | None = None

    def looks_s(self, options: Options, folds: int) -> float:
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
class Fits:
    """How many fits there will be: `generators`, `learners`."""

    generators: int
    learners: int


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
        return asdict(self)

    def lines(self) -> list[str]:
        """For people."""
        units = ", ".join(f"{name} ({n} {self.unit})" for name, n in self.rare_units.items())
        steps = self.design.steps
        trained = "the recipe's own steps" if steps is None else f"{steps:,} steps"
        made = f"{self.fits.generators} generator fits ({trained} each), " * bool(
            self.fits.generators
        )
        processes = "1 process" if self.n_jobs == 1 else f"{self.n_jobs} processes"
        return [
            f"plan: {self.folds} folds x {self.design.repeats}; {made}{self.fits.learners:,} "
            f"learner fits; about {said_seconds(self.seconds)} with {processes}",
            f"arms: {', '.join(self.arms)}; judged by {self.metric}, gan - none, decisions tuned",
            f"topped up: {units}; a difference of less than about {100 * self.detectable:.1f} "
            f"points cannot be shown to be above {100 * self.delta:g}",
            *(f"left out: {what}" for what in self.design.left_out),
            *self.notes,
        ]


def said_seconds(seconds: float) -> str:
    """A duration for people.

    >>> said_seconds(42), said_seconds(400), said_seconds(9000)
    ('42 s', '7 min', '2.5 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def arms_of(options: Options, learner: Learner) -> tuple[str, ...]:
    """The arms asked for that this learner can have."""
    return tuple(arm for arm in options.asked_arms() if arm != "plain" or learner.augments)


def counted(design: Design, tried: Sequence[Candidate], folds: int, keeps_generators: bool) -> Fits:
    """The fits of a design. tried: its candidates."""
    splits = folds * design.repeats
    sources = {c.generated for c in tried if c.generated}
    share = design.curves and "gan" in sources  # nothing but generated rows, at what is chosen
    cells = len(tried) + int(share)
    generators = splits * FITS_A_CELL * len(sources) if keeps_generators else 0
    return Fits(generators, splits * FITS_A_CELL * cells)


def designed(
    options: Options,
    tried: Callable[[Design], Sequence[Candidate]],
    protocol: Protocol,
    costs: Costs | None,
    *,
    keeps_generators: bool,
    images: bool,
    processes: int,
) -> Design:
    """The most that a budget has room for: things are left out in a fixed order until it fits.

    tried: the candidates of a design. costs: None where there is no budget. Of images the
    generators get what is left, from 60 s a fit on, unless their steps are given.
    """
    full = Design(
        protocol.repeats, options.to, options.to, options.curves, options.steps, left_out=()
    )
    gans = None if costs is None else costs.generators
    if costs is not None and gans is not None and options.gan_budget_s and not options.steps:
        full = replace(full, steps=gans.steps_within(options.gan_budget_s))
    if costs is None or options.budget_s is None:
        return full
    room_s = options.budget_s * processes - costs.looks_s(options, protocol.folds)
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
            return replace(design, steps=min(flexible.steps, flexible.steps_within(each_s)))
    over = "nothing more can be left out: it will take longer than the budget"
    last = replace(design, left_out=(*design.left_out, over))
    return replace(last, steps=flexible.steps_within(LEAST_GAN_S)) if flexible else last


def _smaller(full: Design, options: Options) -> Iterator[Design]:
    """From all to the least: curves first, then amounts of the cheap arms, repeats, amounts."""
    design = full
    yield design
    if design.curves:
        what = "the curves of the share of generated rows and of real rows"
        design = replace(design, curves=False, left_out=(*design.left_out, what))
        yield design
    most = (max(full.to),)
    if len(full.cheap_to) > 1:
        what = f"smaller amounts of repeats and SMOTE than {most[0]:g} of the majority"
        design = replace(design, cheap_to=most, left_out=(*design.left_out, what))
        yield design
    kept = design.left_out
    if options.repeats is None:
        for repeats in range(full.repeats - 1, 0, -1):
            what = f"{full.repeats - repeats} of {full.repeats} repeats of the folds"
            design = replace(design, repeats=repeats, left_out=(*kept, what))
            yield design
    if len(full.to) > 1:
        what = f"smaller amounts of the GAN's rows than {most[0]:g} of the majority"
        yield replace(design, to=most, left_out=(*design.left_out, what))


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


def without_repeats(protocol: Protocol, repeats: int) -> Protocol:
    """The protocol with its first repeats alone."""
    if repeats == protocol.repeats:
        return protocol
    kept = tuple(split for split in protocol.splits if split.repeat < repeats)
    return replace(protocol, repeats=repeats, splits=kept)


def rare_units(protocol: Protocol, rare: Sequence[str]) -> dict[str, int]:
    """Independent units of each topped-up class."""
    return {name: protocol.units.get(name, 0) for name in rare}


OUTER = "outer"
INNER = ("inner0", "inner1", "inner2")


@dataclass(frozen=True)
class TrainTestPart(Generic[Data]):
    """Rows to train on (`part`) and rows to judge on (`held`), disjoint, of a split."""

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
    """What is evaluated and how; the same for every cell.

    rare: the classes that are topped up. arms: the ones that are reported; candidates: what is
    tried for them. generator: unfitted. diagnostics: whether generated rows are looked at, and
    extractor through whose features. header: what a journal of it begins with.
    """

    data: Data
    protocol: Protocol
    learner: Learner
    generator: Any
    samplers: Mapping[str, Any]
    rare: tuple[str, ...]
    top_up: TopUp
    metric: str
    delta: float
    arms: tuple[str, ...]
    candidates: tuple[Candidate, ...]
    curves: bool
    batch: int
    overrides: Overrides
    seed: int
    diagnostics: bool = True
    extractor: Any = None
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
    def judged_rare(self) -> tuple[str, ...]:
        """The topped-up classes that can be judged."""
        return tuple(name for name in self.rare if name in self.protocol.evaluated)

    @property
    def keeps_generators(self) -> bool:
        """Whether fitted generators are kept in files; others are fitted where they are needed."""
        return isinstance(self.generator, ImageGAN | TabularGAN)

    def seed_of(self, what: str, split: Split, level: str) -> int:
        """A seed for one fit: the same for every candidate of a split."""
        return derived_seed(self.seed, f"evaluation-{what}", split.repeat, split.fold, level)

    def levels(self, split: Split) -> dict[str, TrainTestPart[Data]]:
        """The inner levels of a split, then the outer one, by name.

        The outer level is judged on the test rows, an inner one on training rows left out of it.
        Raises LeakError where a test row is among those to train on.
        """
        data: Data = self.data
        train, test = data.take(split.train), data.take(split.test)
        check_disjoint(train.ids, test.ids, f"a fit of fold {split.fold + 1}")
        dealt = inner_folds(train, self.seed_of("inner", split, OUTER))
        found = {}
        for number, name in enumerate(INNER):
            held = dealt == number
            part, left_out = train.take(np.flatnonzero(~held)), train.take(np.flatnonzero(held))
            found[name] = TrainTestPart(name, split, part, left_out, self.overrides)
        return {**found, OUTER: TrainTestPart(OUTER, split, train, test, self.overrides)}


def unfitted_twin(gan: ImageGAN | TabularGAN, seed: int, **settings: Any) -> ImageGAN | TabularGAN:
    """A GAN of the same settings, unfitted, of one thread, with a seed of its own.

    settings: what is to be another's.
    """
    names = list(inspect.signature(type(gan)).parameters)
    kept = {name: getattr(gan, name) for name in names}
    return type(gan)(**{**kept, "threads": 1, "callbacks": (), "random_state": seed, **settings})
