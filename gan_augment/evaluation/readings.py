"""What the arms of a finished evaluation got right, read from the journal's lines. No verdict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, Literal

import numpy as np
from numpy.typing import NDArray

from gan_augment.evaluation.arms import Arm, line_of, read_arm
from gan_augment.evaluation.candidates import Candidate
from gan_augment.evaluation.confusions import OF_RANKS, Counts, figures_of
from gan_augment.evaluation.journal import Journal, Line
from gan_augment.evaluation.protocol import Split
from gan_augment.evaluation.setup import Setup
from gan_augment.evaluation.statistics import Contrast, contrast, one_flip
from gan_augment.synthesizers.protocol import Data

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
