"""What the arms of a finished evaluation got right, read off its journal. No verdict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, Literal

import numpy as np
from numpy.typing import NDArray

from gan_augment.evaluation.amount import NOTHING, Amount, AmountScores, choose_amount
from gan_augment.evaluation.arms import FIXED, SOURCE_OF_ARM, Candidate, amounts_of_arm
from gan_augment.evaluation.figures import OF_RANKS, Counts, figures_of
from gan_augment.evaluation.journal import Journal, Line
from gan_augment.evaluation.plan import Setup
from gan_augment.evaluation.protocol import Split
from gan_augment.evaluation.statistics import Contrast, contrast, one_flip
from gan_augment.synthesizers.base import Data


@dataclass(frozen=True)
class ArmSplit:
    """An arm in one split: the journal's line of the candidate that stands for it.

    amount: the chosen one as text, None for arms that choose none. reason: of that choice.
    """

    split: Split
    line: Line
    amount: str | None
    reason: str | None


@dataclass(frozen=True)
class Arm:
    """An arm in every split; `missing` says why there is none, and then `splits` is empty."""

    name: str
    splits: tuple[ArmSplit, ...]
    missing: str | None = None


def read_arm(setup: Setup[Data], journal: Journal, name: str) -> Arm:
    """The arm in every split. A candidate that failed in one split is none of it anywhere."""
    tried = [c for c in setup.candidates if _why_failed(setup, journal, c) is None]
    if name in SOURCE_OF_ARM or name == "auto":
        among = amounts_of_arm(name, tried)
        if not among or (name == "auto" and len(among) == 1):
            return Arm(name, (), _first_failure(setup, journal, name))
        return Arm(name, tuple(_chosen(setup, journal, s, name, among) for s in _splits(setup)))
    key = FIXED.get(name, f"sampler:{name}")
    candidate = next((c for c in setup.candidates if c.key == key), None)
    if candidate is None:
        return Arm(name, (), f"the learner {setup.learner.name} knows no class weights")
    failed = _why_failed(setup, journal, candidate)
    if failed is not None:
        return Arm(name, (), failed)
    lines = [(split, line_of(journal, split, candidate)) for split in _splits(setup)]
    return Arm(name, tuple(ArmSplit(split, line, None, None) for split, line in lines if line))


def chosen_amount(setup: Setup[Data], journal: Journal, split: Split, name: str) -> Amount | None:
    """The amount that an arm chose in a split; None where all of them failed there."""
    tried = [c for c in setup.candidates if _why_failed(setup, journal, c) is None]
    among = amounts_of_arm(name, tried)
    return _choice(setup, journal, split, name, among)[0] if among else None


def line_of(journal: Journal, split: Split, candidate: Candidate) -> Line | None:
    """A cell's line of the journal."""
    return journal.get(("cell", split.repeat, split.fold, candidate.key))


def _splits(setup: Setup[Data]) -> tuple[Split, ...]:
    return setup.protocol.splits


def _chosen(
    setup: Setup[Data], journal: Journal, split: Split, name: str, among: dict[Amount, Candidate]
) -> ArmSplit:
    amount, reason = _choice(setup, journal, split, name, among)
    line = line_of(journal, split, among[amount])
    assert line is not None, "an arm is read before its cells are there"
    return ArmSplit(split, line, str(amount), reason)


def _choice(
    setup: Setup[Data], journal: Journal, split: Split, name: str, among: dict[Amount, Candidate]
) -> tuple[Amount, str]:
    """By the inner folds. An arm's default is the most rows of its own source; auto's is nothing.

    With a tuned decision nothing is hard to beat, and auto is to do no harm: in the trials with
    rows of the wrong class (examples/benchmarks/evaluator_trials.py, "auto_worse") a GAN as its
    default lost more than delta too often.
    """
    default = NOTHING if name == "auto" else max(among, key=lambda amount: amount.to)
    figures = {}
    for amount, candidate in among.items():
        line = line_of(journal, split, candidate)
        assert line is not None, "an arm is read before its cells are there"
        figures[amount] = np.array([np.nan if v is None else v for v in line["inner"]])
    choice = choose_amount(AmountScores({setup.metric: figures}, {}), setup.metric, default)
    if choice.amount not in among:  # the inner folds could not be judged
        return default, f"{default}: {choice.reason}"
    return choice.amount, choice.reason


def _why_failed(setup: Setup[Data], journal: Journal, candidate: Candidate) -> str | None:
    """The first reason why a candidate could not be made in some split."""
    for split in _splits(setup):
        line = line_of(journal, split, candidate)
        if line is not None and line["error"] is not None:
            return str(line["error"])
    return None


def _first_failure(setup: Setup[Data], journal: Journal, name: str) -> str:
    for candidate in amounts_of_arm(name, setup.candidates).values():
        why = _why_failed(setup, journal, candidate)
        if why is not None:
            return why
    return "no amount of it adds a row to this data"


Column = Literal["default", "tuned"]
Values = dict[tuple[int, int], float]
"""A figure by (repeat, fold); splits that have none are absent."""


@dataclass(frozen=True, eq=False)
class Reading:
    """The lines of one arm or candidate, a split each. evaluated, rare: labels of classes.

    rare: those that are topped up and can be judged.
    """

    lines: tuple[Line, ...]
    evaluated: tuple[int, ...]
    rare: tuple[int, ...]

    @cached_property
    def places(self) -> tuple[tuple[int, int], ...]:
        """(repeat, fold) of every line."""
        return tuple((line["repeat"], line["fold"]) for line in self.lines)

    @cached_property
    def confusions(self) -> dict[Column, Counts]:
        """int64 (J, K, K) of each column; where nothing was tuned, the default ones."""
        default = [line["test"]["confusion"]["default"] for line in self.lines]
        tuned = [line["test"]["confusion"]["tuned"] for line in self.lines]
        tuned = [one or other for one, other in zip(tuned, default, strict=True)]
        return {
            "default": np.asarray(default, dtype=np.int64),
            "tuned": np.asarray(tuned, dtype=np.int64),
        }

    def values(self, metric: str, column: Column) -> Values:
        """A metric of every split. Average precision is the mean over the rare classes."""
        if metric in OF_RANKS:
            found = [
                [line["test"]["average_precision"][label] for label in self.rare]
                for line in self.lines
            ]
            known = [[value for value in values if value is not None] for values in found]
            return self._placed([np.mean(values) if values else np.nan for values in known])
        return self._placed(figures_of(metric, self.confusions[column], self.evaluated))

    def recalls(self, label: int, column: Column) -> Values:
        """The recall of one class in every split that tests it."""
        return self._placed(figures_of("balanced_accuracy", self.confusions[column], [label]))

    def log_losses(self) -> Values:
        """After correcting the class shares, in nats."""
        told = [line["test"]["calibration"] for line in self.lines]
        return self._placed([np.nan if one is None else one["after"]["log_loss"] for one in told])

    def first(self, column: Column) -> Counts:
        """int64 (k, K, K): the confusions of the first repeat's splits."""
        own = [at for at, (repeat, _) in enumerate(self.places) if repeat == 0]
        return self.confusions[column][own]

    def _placed(self, values: Iterable[Any]) -> Values:
        pairs = zip(self.places, values, strict=True)
        return {place: float(value) for place, value in pairs if np.isfinite(value)}


@dataclass(frozen=True, eq=False)
class Readings(Generic[Data]):
    """All arms of an evaluation. arms: {name: arm}, also those that are missing.

    column: the decision that was declared: tuned, or default where nothing can be tuned.
    """

    setup: Setup[Data]
    journal: Journal
    arms: Mapping[str, Arm]
    of: Mapping[str, Reading]
    column: Column

    @property
    def none(self) -> Reading:
        """The arm that everything is compared with."""
        return self.of["none"]

    @cached_property
    def smallest(self) -> int:
        """The label of the rare class with the fewest independent rows."""
        units, names = self.setup.protocol.units, self.setup.data.names
        return min(rare_labels(self.setup), key=lambda label: (units[names[label]], label))

    def candidate(self, candidate: Candidate) -> Reading | None:
        """A candidate in every split; None where it failed in one, or was not tried in all."""
        found = [line_of(self.journal, split, candidate) for split in self.setup.protocol.splits]
        lines = [line for line in found if line is not None and line["error"] is None]
        if len(lines) < len(found):
            return None
        return Reading(tuple(lines), self.setup.evaluated, rare_labels(self.setup))

    def difference(
        self, one: Reading, other: Reading, metric: str, column: Column
    ) -> Contrast | None:
        """One minus the other by a metric; None where no split has both.

        The standard error is at least what one row of the smallest rare class moves the mean of
        `none` by.
        """
        judged = other.rare if metric in OF_RANKS else other.evaluated
        least = one_flip(list(self.none.first(column)), metric, judged, self.smallest)
        return self.paired(one.values(metric, column), other.values(metric, column), least)

    def recall_difference(self, one: Reading, label: int, column: Column) -> Contrast | None:
        """Of the recall of one class, against none; its own row is what may flip."""
        confusions = list(self.none.first(column))
        least = one_flip(confusions, "balanced_accuracy", [label], label)
        return self.paired(one.recalls(label, column), self.none.recalls(label, column), least)

    def paired(self, one: Values, other: Values, least: float = 0.0) -> Contrast | None:
        """The contrast of one minus the other over the splits that have both."""
        both = [one[place] - other[place] for place in other if place in one]
        return contrast(both, self.setup.protocol.shared, least) if both else None


def read_all(setup: Setup[Data], journal: Journal) -> Readings[Data]:
    """Every arm of a journal that lacks nothing."""
    arms = {name: read_arm(setup, journal, name) for name in setup.arms}
    labels = setup.evaluated, rare_labels(setup)
    readings = {
        name: Reading(tuple(one.line for one in arm.splits), *labels)
        for name, arm in arms.items()
        if arm.missing is None
    }
    tuned = any(line["test"]["confusion"]["tuned"] for line in readings["none"].lines)
    return Readings(setup, journal, arms, readings, "tuned" if tuned else "default")


def rare_labels(setup: Setup[Data]) -> tuple[int, ...]:
    """Labels of the topped-up classes that can be judged."""
    return tuple(setup.data.names.index(name) for name in setup.judged_rare)


def first_repeat(setup: Setup[Data]) -> tuple[Split, ...]:
    """The splits in which every row is tested once at most."""
    return tuple(split for split in setup.protocol.splits if split.repeat == 0)


def judged_rows(splits: Sequence[Split]) -> NDArray[np.int64]:
    """int64: the test rows of the splits, one split after the other."""
    return np.concatenate([split.test for split in splits])
