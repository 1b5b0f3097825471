"""What the arms of an evaluation got right, read once from the lines of its journal. No verdict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, Literal, Self

import numpy as np
from numpy.typing import NDArray

from gan_augment.evaluation.amount import NOTHING, Amount, AmountScores, choose_amount
from gan_augment.evaluation.arms import FIXED, NONE, SOURCE_OF_ARM, Candidate, amounts_of_arm
from gan_augment.evaluation.figures import OF_RANKS, Counts, figures_of
from gan_augment.evaluation.journal import Journal, Line, unpack_labels
from gan_augment.evaluation.plan import Setup
from gan_augment.evaluation.protocol import Split
from gan_augment.evaluation.statistics import Contrast, contrast, one_flip
from gan_augment.synthesizers.base import Data

Column = Literal["default", "tuned"]
Place = tuple[int, int]
Values = dict[Place, float]
"""A figure by (repeat, fold); splits that have none are absent."""


@dataclass(frozen=True, eq=False)
class ArmResult:
    """What the fits of one arm or candidate got right, one in each of J splits.

    places: (repeat, fold) of each. confusions: int64 (J, K, K) of each decision; where nothing was
    tuned, the default ones. called: what the test rows were called, as text, by decision.
    average_precision: float64 (J, K), NaN where there is none. calibration: before and after
    correcting the class shares, None without probabilities. rows: of the training sets, by class
    and origin. copies: exact ones, None where nothing was generated. amounts: the chosen ones as
    text, None of an arm that chooses none. evaluated: the labels of the macro metrics; rare: those
    that are topped up and can be judged.
    """

    places: tuple[Place, ...]
    confusions: Mapping[Column, Counts]
    called: tuple[Mapping[Column, str], ...]
    average_precision: NDArray[np.float64]
    calibration: tuple[Mapping[str, Any] | None, ...]
    rows: tuple[Mapping[str, Mapping[str, int]], ...]
    copies: tuple[Mapping[str, int] | None, ...]
    amounts: tuple[str, ...] | None
    evaluated: tuple[int, ...]
    rare: tuple[int, ...]

    @classmethod
    def of(
        cls, setup: Setup[Any], lines: Sequence[Line], amounts: tuple[str, ...] | None = None
    ) -> Self:
        """From the lines of the arm's cells, in the order of the splits."""
        tests = [line["test"] for line in lines]
        default = [test["confusion"]["default"] for test in tests]
        tuned = [test["confusion"]["tuned"] or test["confusion"]["default"] for test in tests]
        called = [line["called"] for line in lines]
        return cls(
            places=tuple((line["repeat"], line["fold"]) for line in lines),
            confusions={
                "default": np.asarray(default, dtype=np.int64),
                "tuned": np.asarray(tuned, dtype=np.int64),
            },
            called=tuple(
                {"default": one["default"], "tuned": one["tuned"] or one["default"]}
                for one in called
            ),
            average_precision=np.array([t["average_precision"] for t in tests], dtype=np.float64),
            calibration=tuple(test["calibration"] for test in tests),
            rows=tuple(line["rows"] for line in lines),
            copies=tuple(line["copies"] for line in lines),
            amounts=amounts,
            evaluated=setup.evaluated,
            rare=setup.judged_rare,
        )

    def values(self, metric: str, column: Column) -> Values:
        """A metric of every split. Average precision is the mean over the rare classes."""
        if metric in OF_RANKS:
            known = [row[np.isfinite(row)] for row in self.average_precision[:, list(self.rare)]]
            return self._placed([row.mean() if len(row) else np.nan for row in known])
        return self._placed(figures_of(metric, self.confusions[column], self.evaluated))

    def recalls(self, label: int, column: Column) -> Values:
        """The recall of one class in every split that tests it."""
        return self._placed(figures_of("balanced_accuracy", self.confusions[column], [label]))

    def log_losses(self) -> Values:
        """After correcting the class shares, in nats."""
        return self._placed(
            np.nan if one is None else one["after"]["log_loss"] for one in self.calibration
        )

    def first(self, column: Column) -> Counts:
        """int64 (k, K, K): the confusions of the first repeat's splits."""
        own = [at for at, (repeat, _) in enumerate(self.places) if repeat == 0]
        return self.confusions[column][own]

    def labels_called(self, splits: Iterable[Split], column: Column) -> NDArray[np.int64]:
        """int64: what the test rows of these splits are called, one split after the other."""
        by_place = dict(zip(self.places, self.called, strict=True))
        called = [by_place[(split.repeat, split.fold)][column] for split in splits]
        return np.concatenate([unpack_labels(text) for text in called])

    def _placed(self, values: Iterable[Any]) -> Values:
        pairs = zip(self.places, values, strict=True)
        return {place: float(value) for place, value in pairs if np.isfinite(value)}


@dataclass(frozen=True, eq=False)
class ArmResults(Generic[Data]):
    """All arms of an evaluation. arms: the ones that could be judged; missing: {arm: why not}.

    column: the decision that was declared: tuned, or default where nothing can be tuned.
    """

    setup: Setup[Data]
    journal: Journal
    arms: Mapping[str, ArmResult]
    missing: Mapping[str, str]
    column: Column

    @property
    def none(self) -> ArmResult:
        """The arm that everything is compared with."""
        return self.arms["none"]

    @cached_property
    def smallest(self) -> int:
        """The label of the rare class with the fewest independent rows."""
        units, names = self.setup.protocol.units, self.setup.data.names
        return min(self.setup.judged_rare, key=lambda label: (units[names[label]], label))

    def candidate(self, candidate: Candidate) -> ArmResult | None:
        """A candidate in every split; None where it failed in one, or was not tried in all."""
        splits = self.setup.protocol.splits
        lines = [line_of(self.journal, split, candidate) for split in splits]
        known = [line for line in lines if line is not None and line["error"] is None]
        return None if len(known) < len(lines) else ArmResult.of(self.setup, known)

    def difference(
        self, one: ArmResult, other: ArmResult, metric: str, column: Column
    ) -> Contrast | None:
        """One minus the other by a metric; None where no split has both.

        The standard error is at least what one row of the smallest rare class moves the mean of
        `none` by.
        """
        judged = other.rare if metric in OF_RANKS else other.evaluated
        least = one_flip(list(self.none.first(column)), metric, judged, self.smallest)
        return self.paired(one.values(metric, column), other.values(metric, column), least)

    def primary(self, one: ArmResult, other: ArmResult) -> Contrast | None:
        """One minus the other by what was declared."""
        return self.difference(one, other, self.setup.options.metric, self.column)

    def recall_difference(self, one: ArmResult, label: int, column: Column) -> Contrast | None:
        """Of the recall of one class, against none; its own row is what may flip."""
        confusions = list(self.none.first(column))
        least = one_flip(confusions, "balanced_accuracy", [label], label)
        return self.paired(one.recalls(label, column), self.none.recalls(label, column), least)

    def paired(self, one: Values, other: Values, least: float = 0.0) -> Contrast | None:
        """The contrast of one minus the other over the splits that have both."""
        both = [one[place] - other[place] for place in other if place in one]
        return contrast(both, self.setup.protocol.shared, least) if both else None


def read_results(setup: Setup[Data], journal: Journal) -> ArmResults[Data]:
    """Every arm of a journal that lacks nothing."""
    arms, missing = {}, {}
    for name in setup.arms:
        arm = _read_arm(setup, journal, name)
        if isinstance(arm, str):
            missing[name] = arm
        else:
            arms[name] = arm
    tuned = any(
        line["test"]["confusion"]["tuned"]
        for line in (line_of(journal, split, NONE) for split in setup.protocol.splits)
        if line is not None
    )
    return ArmResults(setup, journal, arms, missing, "tuned" if tuned else "default")


def chosen_amount(setup: Setup[Data], journal: Journal, split: Split, name: str) -> Amount | None:
    """The amount that an arm chose in a split; None where all of them failed."""
    among = amounts_of_arm(name, _never_failed(setup, journal))
    return _choice(setup, journal, split, name, among) if among else None


def line_of(journal: Journal, split: Split, candidate: Candidate) -> Line | None:
    """A cell's line of the journal."""
    return journal.get(("cell", split.repeat, split.fold, candidate.key))


def _read_arm(setup: Setup[Data], journal: Journal, name: str) -> ArmResult | str:
    """The arm in every split, or why it is missing.

    A candidate that failed in one split stands for the arm in none.
    """
    splits = setup.protocol.splits
    if name in SOURCE_OF_ARM or name == "auto":
        among = amounts_of_arm(name, _never_failed(setup, journal))
        if not among or (name == "auto" and len(among) == 1):
            return _first_failure(setup, journal, name)
        chosen = [_choice(setup, journal, split, name, among) for split in splits]
        lines = [
            _line(journal, split, among[amount])
            for split, amount in zip(splits, chosen, strict=True)
        ]
        return ArmResult.of(setup, lines, tuple(str(amount) for amount in chosen))
    key = FIXED.get(name, f"sampler:{name}")
    candidate = next((c for c in setup.candidates if c.key == key), None)
    if candidate is None:
        return f"the learner {setup.learner.name} knows no class weights"
    failure = _failure(setup, journal, candidate)
    if failure is not None:
        return failure
    return ArmResult.of(setup, [_line(journal, split, candidate) for split in splits])


def _choice(
    setup: Setup[Data], journal: Journal, split: Split, name: str, among: dict[Amount, Candidate]
) -> Amount:
    """By the inner folds. An arm's default is the most rows of its own source; auto's is nothing.

    With a tuned decision nothing is hard to beat, and auto is to do no harm: in the trials with
    rows of the wrong class (examples/benchmarks/evaluator_trials.py, "auto_worse") a GAN as its
    default lost more than delta too often.
    """
    default = NOTHING if name == "auto" else max(among, key=lambda amount: amount.to)
    metric = setup.options.metric
    figures = {
        amount: np.array(_line(journal, split, candidate)["inner"], dtype=np.float64)
        for amount, candidate in among.items()
    }
    choice = choose_amount(AmountScores({metric: figures}, {}), metric, default)
    return choice.amount if choice.amount in among else default  # inner folds may be unjudgeable


def _line(journal: Journal, split: Split, candidate: Candidate) -> Line:
    line = line_of(journal, split, candidate)
    assert line is not None, "an arm is read before its cells are there"
    return line


def _never_failed(setup: Setup[Data], journal: Journal) -> list[Candidate]:
    return [c for c in setup.candidates if _failure(setup, journal, c) is None]


def _failure(setup: Setup[Data], journal: Journal, candidate: Candidate) -> str | None:
    """The first reason why a candidate could not be made in some split."""
    for split in setup.protocol.splits:
        line = line_of(journal, split, candidate)
        if line is not None and line["error"] is not None:
            return str(line["error"])
    return None


def _first_failure(setup: Setup[Data], journal: Journal, name: str) -> str:
    for candidate in amounts_of_arm(name, setup.candidates).values():
        why = _failure(setup, journal, candidate)
        if why is not None:
            return why
    return "no amount of it adds a row to this data"
