"""The arms of an evaluation as they were judged, read from a journal, and the contrasts of two."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gan_augment.evaluation.decisions import OF_RANKS, Counts, Labels, figures_of
from gan_augment.evaluation.design import Column, Design, Split
from gan_augment.evaluation.statistics import (
    Contrast,
    bootstrap_error,
    contrast,
    contrast_of_seeds,
    one_flip,
)
from gan_augment.rng import derived_seed
from gan_augment.storage.journal import Journal, Line, unpack_labels

Values = NDArray[np.float64]
"""A figure of every judged split, (J,); NaN where it is undefined."""


@dataclass(frozen=True, eq=False)
class JudgedArm:
    """An arm at one decision in J splits. lines: the journal's lines of the arm, in order."""

    design: Design
    lines: Sequence[Line]
    column: Column

    @cached_property
    def confusions(self) -> Counts:
        """int64 (J, K, K); without probabilities every decision is the learner's own."""
        counts = [line["confusion"] for line in self.lines]
        return np.asarray([one[self.column] or one["default"] for one in counts], dtype=np.int64)

    @property
    def first(self) -> Counts:
        """The confusions of the first repeat, int64 (k, K, K)."""
        return self.confusions[[line["repeat"] == 0 for line in self.lines]]

    @property
    def first_called(self) -> Labels:
        """The predicted labels of the first repeat's test rows, split by split."""
        called = (line["called"] for line in self.lines if line["repeat"] == 0)
        return np.concatenate([unpack_labels(one[self.column] or one["default"]) for one in called])

    def values(self, metric: str, classes: Sequence[int] | None = None) -> Values:
        """Return a metric of every split; average precision is the mean over the rare classes.

        classes: labels for the macro metrics; None for all evaluated classes.
        """
        if metric not in OF_RANKS:
            return figures_of(metric, self.confusions, classes or self.design.evaluated)
        ranks = np.array([line["average_precision"] for line in self.lines], dtype=np.float64)
        known = np.ma.masked_invalid(ranks[:, list(self.design.judged_rare)])
        return np.asarray(known.mean(axis=1).filled(np.nan))

    def losses(self, figure: Literal["log_loss", "brier"], *, corrected: bool) -> Values:
        """Return log losses in nats, or Brier scores, of the probabilities.

        corrected: those of probabilities that are corrected to the real class shares.
        """
        known = (line["calibration"] for line in self.lines)
        when = "after" if corrected else "before"
        return np.array([math.nan if c is None else c[when][figure] for c in known])

    def figure(self, metric: str) -> dict[str, Any]:
        """Return mean, standard deviation (n - 1) and values of a metric over the splits."""
        values = self.values(metric)
        known = values[np.isfinite(values)]
        return {
            "mean": float(known.mean()) if len(known) else None,
            "sd": float(known.std(ddof=1)) if len(known) > 1 else None,
            "values": [float(value) if math.isfinite(value) else None for value in values],
        }


@dataclass(frozen=True, eq=False)
class Results:
    """All arms of an evaluation in the splits that the journal holds completely."""

    design: Design
    journal: Journal

    @cached_property
    def splits(self) -> list[Split]:
        """The judged splits; a budget may have left out the last ones."""
        arms, get = self.design.fitted_arms, self.journal.get
        splits = self.design.protocol.splits
        return [s for s in splits if all(get(("arm", s.repeat, s.fold, a.name)) for a in arms)]

    @property
    def left_out(self) -> list[str]:
        """Describe what the budget left out."""
        planned = len(self.design.protocol.splits)
        left = planned - len(self.splits)
        return [f"{left} of {planned} splits: the budget was spent"] if left else []

    @cached_property
    def lines(self) -> list[Line]:
        """Lines of the judged splits, in an order independent of the workers."""
        judged = {(split.repeat, split.fold) for split in self.splits}
        return [li for li in self.journal.lines() if (li["repeat"], li["fold"]) in judged]

    @cached_property
    def missing(self) -> dict[str, str]:
        """{arm: reason} of arms that could not be judged: an error, or nothing to add."""
        missing = {}
        for arm in self.design.arms:
            lines = self._lines(arm.name)
            failed = next((str(line["error"]) for line in lines if line["error"]), None)
            if failed:
                missing[arm.name] = failed
            elif arm not in self.design.fitted_arms:
                missing[arm.name] = f"{self.design.learner.name} does not support class weights"
            elif arm.source not in ("none", "sampler"):
                added = (origins for line in lines for origins in line["rows"].values())
                if not any(n for origins in added for o, n in origins.items() if o != "real"):
                    missing[arm.name] = "no row is added to this data"
        return missing

    @cached_property
    def column(self) -> Column:
        """The declared decision: corrected, or default if the scores do not allow it."""
        known = [line["confusion"]["corrected"] for line in self._lines("none")]
        return "corrected" if any(known) else "default"

    @cached_property
    def arms(self) -> dict[str, dict[Column, JudgedArm]]:
        """{arm: {decision: figures}} of the arms that could be judged."""
        columns = list[Column](dict.fromkeys(["default", self.column]))
        return {
            arm.name: {c: JudgedArm(self.design, self._lines(arm.name), c) for c in columns}
            for arm in self.design.arms
            if arm.name not in self.missing
        }

    def arm(self, name: str) -> JudgedArm | None:
        """Return an arm at the declared decision; None if it could not be judged."""
        return self.arms[name][self.column] if name in self.arms else None

    def difference(
        self,
        one: JudgedArm,
        other: JudgedArm,
        metric: str | None = None,
        label: int | None = None,
    ) -> Contrast | None:
        """Contrast two arms, each at its decision, `one` minus `other`; None if no split has both.

        metric: None for the declared one. label: of the only class in the metric; None for all
        evaluated classes. The standard error is at least the change that one flipped row, of that
        class or else of the smallest rare one, makes in the mean of `none`.
        """
        design, units = self.design, self.design.protocol.units
        metric = metric or design.options.metric
        judged = design.judged_rare if metric in OF_RANKS else design.evaluated
        classes = None if label is None else [label]
        if label is None:
            names = design.data.names
            label = min(design.judged_rare, key=lambda rare: (units[names[rare]], rare))
        baseline = self.arms["none"][other.column]
        least = one_flip(list(baseline.first), metric, classes or judged, label)
        sampling = None
        if design.protocol.has_test_set and metric not in OF_RANKS:
            data, test = design.data, design.protocol.splits[0].test  # of the first seed
            sampling = bootstrap_error(
                data.labels[test],
                one.first_called,
                other.first_called,
                None if data.groups is None else data.groups[test],
                metric,
                classes or judged,
                classes=len(data.names),
                seed=derived_seed(design.options.fit.seed, "evaluation-bootstrap"),
            )
        changes = one.values(metric, classes) - other.values(metric, classes)
        found = self.paired(changes, least, sampling)
        return None if found is None else replace(found, limit=1.0)  # all metrics are in 0..1

    def paired(
        self, changes: Values, least: float = 0.0, sampling: tuple[float, int] | None = None
    ) -> Contrast | None:
        """Contrast two figures by their differences over the splits that have both.

        sampling: on a separate test set, the standard error from its rows and the number of units.
        """
        known = changes[np.isfinite(changes)]
        if self.design.protocol.has_test_set:
            return contrast_of_seeds(known, *sampling, least) if len(known) and sampling else None
        return contrast(known, self.design.protocol.shared, least) if len(known) else None

    def _lines(self, name: str) -> list[Line]:
        found = (self.journal.get(("arm", s.repeat, s.fold, name)) for s in self.splits)
        return [line for line in found if line is not None]
