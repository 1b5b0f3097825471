"""How sure a difference is: the corrected t, its forecast, Holm, and tests row by row."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array
from scipy.special import stdtr, stdtrit

from gan_augment.data.groups import unit_of_rows
from gan_augment.errors import UsageError
from gan_augment.evaluation.decisions import OF_RANKS, Labels, figures_of
from gan_augment.rng import rng_for

CERTAIN, POWER = 0.95, 0.80
DISAGREEMENT = 0.1
"""Share of a class's rows that one of two arms gets right and the other wrong, before it is known.

Repeats, SMOTE and SMOTE with noise against nothing, tuned decisions, two learners on seven tables:
s^2 was that of shares from .01 to .33, the median .08 (with noise .10).
"""


@dataclass(frozen=True)
class Contrast:
    """The posterior of a true mean difference D after J paired differences.

    D is mean + error * T, T of Student's distribution with `freedom` degrees: the posterior of the
    correlated Bayesian t-test, whose intervals are the corrected frequentist ones. error: the
    corrected standard error, in the unit of the differences; 0 is certainty of the mean, infinity
    (one difference has no spread: freedom 0) is no knowledge. n: J. limit: the largest difference
    there can be, 1 for metrics in 0..1; no interval goes beyond it.

    >>> one = Contrast(mean=0.03, error=0.01, freedom=14, n=15)
    >>> [round(end, 4) for end in one.interval()], round(one.above(0.01), 3)
    ([0.0086, 0.0514], 0.967)
    """

    mean: float
    error: float
    freedom: int
    n: int
    limit: float = math.inf

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Compute (low, high), with the probability (1 - level) / 2 beyond each."""
        if not math.isfinite(self.error):
            return -math.inf, math.inf
        reach = self.error * self._quantile((1 + level) / 2) if self.error else 0.0
        return max(-self.limit, self.mean - reach), min(self.limit, self.mean + reach)

    def above(self, x: float) -> float:
        """Compute P(D > x)."""
        return self._probability(self.mean - x)

    def below(self, x: float) -> float:
        """Compute P(D < x)."""
        return self._probability(x - self.mean)

    def within(self, x: float) -> float:
        """Compute P(|D| <= x), x >= 0."""
        if not math.isfinite(self.error):
            return 0.0
        return max(0.0, 1.0 - self.above(x) - self.below(-x))

    def detectable(self, delta: float) -> float:
        """Compute the true difference that is found above delta in four of five trials.

        delta + (t_.95 + t_.80) error; infinite without degrees of freedom and beyond the limit.

        >>> round(Contrast(mean=0.03, error=0.01, freedom=14, n=15).detectable(0.01), 4)
        0.0363
        """
        if not math.isfinite(self.error) or self.freedom < 1:
            return math.inf
        found = delta + (self._quantile(CERTAIN) + self._quantile(POWER)) * self.error
        return found if found <= self.limit else math.inf

    def to_dict(self, delta: float) -> dict[str, Any]:
        """Make it ready for JSON; None for an infinite error and the interval it leaves open."""
        known = math.isfinite(self.error)
        return {
            "mean": self.mean,
            "error": self.error if known else None,
            "freedom": self.freedom,
            "n": self.n,
            "interval": list(self.interval()) if known else None,
            "p_below": self.below(-delta),
            "p_within": self.within(delta),
            "p_above": self.above(delta),
            "p_positive": self.above(0.0),
        }

    def _quantile(self, p: float) -> float:
        return float(stdtrit(self.freedom, p))

    def _probability(self, distance: float) -> float:
        """P(T error < distance); a half where nothing is known."""
        if not math.isfinite(self.error):
            return 0.5
        if self.error == 0:
            return 1.0 if distance > 0 else 0.0
        return float(stdtr(self.freedom, distance / self.error))


def contrast(differences: ArrayLike, shared: float, least_error: float = 0.0) -> Contrast:
    """Contrast two arms by J paired differences (J,) over splits, J >= 1.

    Var = s^2 (1 / J + shared), s^2 the sample variance; t with J - 1 degrees of freedom. shared:
    what the splits' common training rows add, 1 / (k - 1) for k folds, n_test / n_train otherwise.
    least_error: below which the standard error is never taken, since differences that happen to
    agree prove nothing. Sources: Nadeau & Bengio 2003, "Inference for the generalization error",
    section 3; Corani & Benavoli 2015, "A Bayesian approach for comparing cross-validated
    algorithms on multiple data sets", eq. 7.

    UsageError: no differences, or some that are not numbers.
    """
    values = np.asarray(differences, dtype=np.float64)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise UsageError(
            f"differences {values.tolist()}; expected one finite number a split, at least one."
        )
    n = len(values)
    if n == 1:
        return Contrast(float(values[0]), math.inf, 0, 1)
    error = math.sqrt(float(values.var(ddof=1)) * (1 / n + shared))
    return Contrast(float(values.mean()), max(error, least_error), n - 1, n)


def contrast_of_seeds(
    differences: ArrayLike, sampling: float, units: int, least_error: float = 0.0
) -> Contrast:
    """Contrast two arms by the differences (R,) of R seeds on one test set, R >= 1.

    Var = s^2 / R + sampling^2, the variance over seeds plus that over the test rows, which all
    seeds share, from a bootstrap over `units` independent rows. Degrees of freedom by Welch 1947,
    "The generalization of Student's problem when several different population variances are
    involved".
    """
    values = np.asarray(differences, dtype=np.float64)
    n = len(values)
    of_seeds = float(values.var(ddof=1)) / n if n > 1 else 0.0
    variance, freedom = of_seeds + sampling**2, max(1, units - 1)
    if of_seeds:
        terms = of_seeds**2 / (n - 1) + sampling**4 / max(1, units - 1)
        freedom = max(1, int(variance**2 / terms))
    return Contrast(float(values.mean()), max(math.sqrt(variance), least_error), freedom, n)


def expected_error(
    counts: Mapping[str, int],
    metric: str,
    *,
    folds: int,
    repeats: int,
    shared: float,
    disagreement: float = DISAGREEMENT,
) -> float:
    """Forecast a contrast's standard error before any fit.

    counts: independent rows (or groups) of the classes that the metric is taken over. disagreement:
    the share q of a class's rows that only one of the two arms gets right, either as likely. A
    split tests n_c / k rows of class c, so the difference of two mean recalls over K classes has
    the variance s^2 = (k q / K^2) sum_c 1 / n_c, that of two accuracies k q / sum_c n_c. The
    other metrics of classes are taken to move as mean recall does, which they nearly do.

    >>> round(expected_error({"a": 900, "b": 100}, "accuracy", folds=5, repeats=3, shared=0.25), 4)
    0.0126
    """
    n = np.array([count for count in counts.values() if count > 0], dtype=np.float64)
    if not len(n):
        return math.inf
    each = 1 / n.sum() if metric == "accuracy" else float((1 / n).sum()) / len(n) ** 2
    return math.sqrt(folds * disagreement * each * (1 / (folds * repeats) + shared))


def one_flip(
    confusions: Sequence[NDArray[np.int64]], metric: str, evaluated: Sequence[int], label: int
) -> float:
    """Compute how far one row of a class moves the mean of a metric over a repeat's splits.

    confusions: (K, K) each, of an arm in the splits of one repeat. In each split with rows of the
    class a row that is right becomes wrong, called what the class is mostly mistaken for; where
    none is right, a wrong one becomes right. The mean absolute change over those splits, divided by
    the number of all splits, since the row is tested in one of them. It is the same where the row
    flips in every repeat. A metric of ranks is taken to move as mean recall does.
    """
    counted = "balanced_accuracy" if metric in OF_RANKS else metric
    before = np.stack([np.asarray(counts, dtype=np.int64) for counts in confusions])
    after = before.copy()
    for counts in after:
        own = counts[label]
        wrong = own.copy()
        wrong[label] = -1
        mistaken = int(wrong.argmax())
        step = 1 if own[label] > 0 else -1
        if own.sum():
            own[label] -= step
            own[mistaken] += step
    tested = before[:, label].sum(axis=1) > 0
    if not tested.any():
        return 0.0
    changes = figures_of(counted, after[tested], evaluated) - figures_of(
        counted, before[tested], evaluated
    )
    change = float(np.nanmean(np.abs(changes)))
    if change == 0 and counted != "balanced_accuracy":  # a G-mean of 0 stays 0
        return one_flip(confusions, "balanced_accuracy", evaluated, label)
    return change / len(before)


def holm(values: Mapping[str, float]) -> dict[str, float]:
    """Adjust p-values {name: p} for being several, in the order given.

    The i-th smallest of m becomes the largest of (m - j) p_j over j <= i, counted from 0, at most
    1. Source: Holm 1979, "A simple sequentially rejective multiple test procedure".

    >>> holm({"a": 0.01, "b": 0.04, "c": 0.03})
    {'a': 0.03, 'b': 0.06, 'c': 0.06}
    """
    ordered = sorted(values, key=lambda name: values[name])
    scaled = [min(1.0, (len(ordered) - rank) * values[n]) for rank, n in enumerate(ordered)]
    adjusted = dict(zip(ordered, itertools.accumulate(scaled, max), strict=True))
    return {name: adjusted[name] for name in values}


DRAWS = 500
LEVEL = 0.05
_CHUNK = 4_000_000
"""Weights drawn at once: 32 MB."""


def bootstrap_error(
    labels: Labels,
    called_a: Labels,
    called_b: Labels,
    groups: NDArray[np.int64] | None,
    metric: str,
    evaluated: Sequence[int],
    *,
    classes: int,
    seed: int,
) -> tuple[float, int] | None:
    """Estimate the standard error of the difference of a metric between two predictions.

    labels, called: int64 (N,) in 0..classes - 1. groups: int64 (N,) or None; rows of a group are
    drawn together, -1 is a row without a group. Returns the standard deviation of 500 draws and the
    number of independent units; None where no draw holds an evaluated row. Source: Efron &
    Tibshirani 1993, "An introduction to the bootstrap", section 13.3.
    """
    if groups is not None and (groups >= 0).any():
        names, unit = np.unique(unit_of_rows(groups, len(labels)), return_inverse=True)
        rows, units = np.arange(len(labels)), len(names)
        shares = np.full(units, 1 / units)
    else:  # alike rows are exchangeable: one stands for all, drawn as often as they are many
        code = (labels * classes + called_a) * classes + called_b
        _, rows, how_many = np.unique(code, return_index=True, return_counts=True)
        unit, units, shares = np.arange(len(rows)), len(labels), how_many / len(labels)
    once, size = np.ones(len(rows), dtype=np.int64), (len(shares), classes**2)
    cells = [  # rows of each unit that are of one class and called another, (units, K * K)
        csr_array((once, (unit, (labels * classes + called)[rows])), shape=size)
        for called in (called_a, called_b)
    ]
    chance = rng_for(seed, "paired-bootstrap")
    drawn, step = [], max(1, _CHUNK // max(size))
    for start in range(0, DRAWS, step):
        weights = chance.multinomial(units, shares, size=min(step, DRAWS - start))
        counts = [(weights @ own).reshape(-1, classes, classes) for own in cells]
        a, b = (figures_of(metric, each, evaluated) for each in counts)
        drawn.append(a - b)
    differences = np.concatenate(drawn)
    known = differences[np.isfinite(differences)]
    return (float(known.std(ddof=1)), units) if len(known) > 1 else None


def identical_chance(counts: Mapping[str, int]) -> float | None:
    """Compute the chance of so many more copies among generated than among held-out rows.

    counts: "identical" of "generated" rows equal a training row, "held_identical" of "held" do.
    Fisher's exact test, one-sided; None without rows on either side.

    >>> round(
    ...     identical_chance({"identical": 6, "generated": 100, "held_identical": 0, "held": 100}),
    ...     3,
    ... )
    0.014
    """
    if not counts["generated"] or not counts["held"]:
        return None
    from scipy.stats import fisher_exact

    pairs = (("identical", "generated"), ("held_identical", "held"))
    table = [[counts[same], counts[rows] - counts[same]] for same, rows in pairs]
    return float(fisher_exact(table, alternative="greater").pvalue)
