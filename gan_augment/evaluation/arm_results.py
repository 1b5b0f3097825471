"""What the arms of an evaluation got right, read from the lines of its journal. No verdict."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, Literal

import numpy as np
from numpy.typing import NDArray

from gan_augment.evaluation.amount import NOTHING, Amount, AmountScores, choose_amount
from gan_augment.evaluation.arms import FIXED, NONE, SOURCE_OF_ARM, Candidate, amounts_of_arm
from gan_augment.evaluation.figures import OF_RANKS, Counts, figures_of
from gan_augment.evaluation.plan import Setup
from gan_augment.evaluation.protocol import Split
from gan_augment.evaluation.statistics import (
    Contrast,
    contrast,
    contrast_of_seeds,
    one_flip,
    paired_bootstrap,
)
from gan_augment.generators.generator import Data
from gan_augment.rng import derived_seed
from gan_augment.storage.journal import Journal, Line, unpack_labels

Column = Literal["default", "tuned", "corrected"]
Place = tuple[int, int]
Values = dict[Place, float]
"""A figure by (repeat, fold); splits that have none are absent."""
ERROR_DRAWS = 500
"""Of a bootstrap for a standard error alone."""
_NOTHING_ADDED = "no amount of it adds a row to this data"


@dataclass(frozen=True, eq=False)
class ArmResult:
    """What the fits of one arm or candidate got right, one in each of J splits.

    lines: of its cells in the journal, in the order of the splits. amounts: the chosen ones as
    text, None of an arm that chooses none.
    """

    setup: Setup[Any]
    lines: Sequence[Line]
    amounts: tuple[str, ...] | None = None

    @cached_property
    def places(self) -> tuple[Place, ...]:
        """(repeat, fold) of each split."""
        return tuple((line["repeat"], line["fold"]) for line in self.lines)

    @cached_property
    def confusions(self) -> dict[Column, Counts]:
        """int64 (J, K, K) of each decision; where there is but one, the default ones."""
        counts = [line["test"]["confusion"] for line in self.lines]
        tuned = [one["tuned"] or one["default"] for one in counts]
        default = [one["default"] for one in counts]
        return {
            "default": np.asarray(default, dtype=np.int64),
            self.setup.decision: np.asarray(tuned, dtype=np.int64),
        }

    @cached_property
    def average_precision(self) -> NDArray[np.float64]:
        """float64 (J, K), NaN where there is none."""
        return np.array([line["test"]["average_precision"] for line in self.lines], np.float64)

    def values(self, metric: str, column: Column) -> Values:
        """Compute a metric of every split; average precision is the mean over the rare classes."""
        if metric in OF_RANKS:
            rare = self.average_precision[:, list(self.setup.judged_rare)]
            known = [row[np.isfinite(row)] for row in rare]
            return self._placed([row.mean() if len(row) else np.nan for row in known])
        return self._placed(figures_of(metric, self.confusions[column], self.setup.evaluated))

    def spread(self, metric: str, column: Column) -> dict[str, Any]:
        """Compute a metric's mean and deviation (n - 1), and list its values by split."""
        values = self.values(metric, column)
        known = list(values.values())
        return {
            "mean": float(np.mean(known)) if known else None,
            "sd": float(np.std(known, ddof=1)) if len(known) > 1 else None,
            "values": [values.get(place) for place in self.places],
        }

    def recalls(self, label: int, column: Column) -> Values:
        """Compute the recall of one class in every split that tests it."""
        return self._placed(figures_of("balanced_accuracy", self.confusions[column], [label]))

    def log_losses(self) -> Values:
        """Read the log losses after correcting the class shares, in nats."""
        calibrations = (line["test"]["calibration"] for line in self.lines)
        return self._placed(np.nan if c is None else c["after"]["log_loss"] for c in calibrations)

    def first(self, column: Column) -> Counts:
        """Select the confusions of the first repeat's splits: int64 (k, K, K)."""
        return self.confusions[column][[repeat == 0 for repeat, _ in self.places]]

    def first_called(self, column: Column) -> NDArray[np.int64]:
        """Read what the test rows of the first repeat are called, split by split: int64."""
        kind = "default" if column == "default" else "tuned"
        called = (line["called"] for line in self.lines if line["repeat"] == 0)
        return np.concatenate([unpack_labels(one[kind] or one["default"]) for one in called])

    def _placed(self, values: Iterable[Any]) -> Values:
        pairs = zip(self.places, values, strict=True)
        return {place: float(value) for place, value in pairs if np.isfinite(value)}


@dataclass(frozen=True, eq=False)
class ArmResults(Generic[Data]):
    """All arms of an evaluation, as its journal has them once no cell is missing."""

    setup: Setup[Data]
    journal: Journal

    @cached_property
    def arms(self) -> dict[str, ArmResult]:
        """The arms that could be judged."""
        return {n: arm for n, arm in self._all.items() if not isinstance(arm, str)}

    @cached_property
    def missing(self) -> dict[str, str]:
        """{arm: why it could not be judged}."""
        return {n: why for n, why in self._all.items() if isinstance(why, str)}

    @cached_property
    def column(self) -> Column:
        """The decision that was declared, or default where the learner's scores allow no other."""
        known = [line["test"]["confusion"]["tuned"] for line in self._lines(NONE) if line]
        return self.setup.decision if any(known) else "default"

    @property
    def none(self) -> ArmResult:
        """The arm that everything is compared with."""
        return self.arms["none"]

    @cached_property
    def smallest(self) -> int:
        """The label of the rare class with the fewest independent rows."""
        units, names = self.setup.protocol.units, self.setup.data.names
        return min(self.setup.judged_rare, key=lambda label: (units[names[label]], label))

    def line(self, split: Split, candidate: Candidate) -> Line | None:
        """Look up a cell's line of the journal."""
        return self.journal.get(("cell", split.repeat, split.fold, candidate.key))

    def candidate(self, candidate: Candidate) -> ArmResult | None:
        """Read a candidate in every split; None where it failed in one, or was not tried in all."""
        return self.of_lines(self._lines(candidate))

    def of_lines(self, lines: Sequence[Line | None]) -> ArmResult | None:
        """Read what these cells got right; None where one failed, or is absent."""
        known = [line for line in lines if line is not None and line["error"] is None]
        return None if len(known) < len(lines) else ArmResult(self.setup, known)

    def chosen_amount(self, name: str, split: Split) -> Amount | None:
        """Choose the amount of an arm in a split; None where all of them failed."""
        among = amounts_of_arm(name, self._usable)
        return self._choice(name, split, among) if among else None

    def difference(
        self, one: ArmResult, other: ArmResult, metric: str, column: Column
    ) -> Contrast | None:
        """Subtract an arm from another by a metric; None where no split has both.

        The standard error is at least what one row of the smallest rare class moves the mean of
        `none` by.
        """
        judged = self.setup.judged_rare if metric in OF_RANKS else self.setup.evaluated
        least = one_flip(list(self.none.first(column)), metric, judged, self.smallest)
        sampling = self._sampling(one, other, metric, column, judged)
        return self.paired(
            one.values(metric, column), other.values(metric, column), least, sampling
        )

    def primary(self, one: ArmResult, other: ArmResult) -> Contrast | None:
        """Subtract an arm from another by what was declared."""
        return self.difference(one, other, self.setup.options.metric, self.column)

    def recall_difference(self, one: ArmResult, label: int, column: Column) -> Contrast | None:
        """Compare the recall of one class with that of `none`; its own row is what may flip."""
        confusions = list(self.none.first(column))
        least = one_flip(confusions, "balanced_accuracy", [label], label)
        sampling = self._sampling(one, self.none, "balanced_accuracy", column, [label])
        return self.paired(
            one.recalls(label, column), self.none.recalls(label, column), least, sampling
        )

    def paired(
        self,
        one: Values,
        other: Values,
        least: float = 0.0,
        sampling: tuple[float, int] | None = None,
    ) -> Contrast | None:
        """Contrast one with the other over the splits that have both.

        sampling: on a test set of its own, the standard error of its rows and how many units they
        are; where that is not known nothing is said of a test set.
        """
        both = [one[place] - other[place] for place in other if place in one]
        if self.setup.protocol.kind == "test":
            return contrast_of_seeds(both, *sampling, least) if both and sampling else None
        return contrast(both, self.setup.protocol.shared, least) if both else None

    def _sampling(
        self, one: ArmResult, other: ArmResult, metric: str, column: Column, judged: Sequence[int]
    ) -> tuple[float, int] | None:
        """The bootstrap's standard error of a difference on a test set, by its first seed."""
        data, test = self.setup.data, self.setup.protocol.splits[0].test
        if self.setup.protocol.kind != "test" or metric in OF_RANKS:
            return None
        drawn = paired_bootstrap(
            data.labels[test],
            one.first_called(column),
            other.first_called(column),
            None if data.groups is None else data.groups[test],
            metric,
            judged,
            classes=len(data.names),
            seed=derived_seed(self.setup.options.fit.seed, "evaluation-bootstrap"),
            draws=ERROR_DRAWS,
        )
        return None if drawn["error"] is None else (drawn["error"], drawn["units"])

    @cached_property
    def _all(self) -> dict[str, ArmResult | str]:
        return {name: self._read(name) for name in self.setup.arms}

    @cached_property
    def _usable(self) -> list[Candidate]:
        """Those that never failed: one that failed in a split stands for an arm in none."""
        return [c for c in self.setup.candidates if self._failure(c) is None]

    def _read(self, name: str) -> ArmResult | str:
        """The arm in every split, or why it is missing."""
        if name in SOURCE_OF_ARM or name == "auto":
            among = amounts_of_arm(name, self._usable)
            if not among or (name == "auto" and len(among) == 1):
                tried = amounts_of_arm(name, self.setup.candidates).values()
                failures = filter(None, map(self._failure, tried))
                return next(failures, _NOTHING_ADDED)
            splits = self.setup.protocol.splits
            chosen = [self._choice(name, split, among) for split in splits]
            lines = [
                self._made(split, among[amount])
                for split, amount in zip(splits, chosen, strict=True)
            ]
            chosen_of = tuple(str(amount) for amount in chosen) if self.setup.design.inner else None
            return ArmResult(self.setup, lines, chosen_of)
        key = FIXED.get(name, f"sampler:{name}")
        candidate = next((c for c in self.setup.candidates if c.key == key), None)
        if candidate is None and name == "class_weight":
            return f"the learner {self.setup.learner.name} knows no class weights"
        if candidate is None:
            return _NOTHING_ADDED
        failure = self._failure(candidate)
        if failure is not None:
            return failure
        return ArmResult(self.setup, [self._made(s, candidate) for s in self.setup.protocol.splits])

    def _choice(self, name: str, split: Split, among: dict[Amount, Candidate]) -> Amount:
        """By the inner folds, without them the default: the most rows of an arm's own source.

        The default of auto is nothing.

        With a tuned decision nothing is hard to beat, and auto is to do no harm: in the trials with
        rows of the wrong class (examples/benchmarks/evaluator_trials.py, "auto_worse") a GAN as its
        default lost more than delta too often.
        """
        default = NOTHING if name == "auto" else max(among, key=lambda amount: amount.to)
        if not self.setup.design.inner:
            return default
        metric = self.setup.options.metric
        figures = {
            amount: np.array(self._made(split, candidate)["inner"], dtype=np.float64)
            for amount, candidate in among.items()
        }
        choice = choose_amount(AmountScores({metric: figures}, {}), metric, default)
        return choice.amount if choice.amount in among else default  # may be unjudgeable

    def _lines(self, candidate: Candidate) -> list[Line | None]:
        return [self.line(split, candidate) for split in self.setup.protocol.splits]

    def _made(self, split: Split, candidate: Candidate) -> Line:
        line = self.line(split, candidate)
        assert line is not None, "an arm is read before its cells are there"
        return line

    def _failure(self, candidate: Candidate) -> str | None:
        """The first reason why a candidate could not be made in some split."""
        lines = self._lines(candidate)
        return next((str(line["error"]) for line in lines if line and line["error"]), None)
