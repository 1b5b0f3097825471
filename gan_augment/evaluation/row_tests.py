"""Tests of calls row by row, shown beside a verdict: bootstrap, McNemar, and copies by Fisher."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, gammaln

from gan_augment.data.splits import unit_of_rows
from gan_augment.evaluation.confusions import confusion, figure, figures_of
from gan_augment.evaluation.decisions import Labels
from gan_augment.randomness import generator

DRAWS = 2000
LEVEL = 0.05
_CHUNK = 4_000_000
"""Weights drawn at once: 32 MB."""


def mcnemar_exact(only_a: int, only_b: int) -> float:
    """Two-sided p of the rows that just one of two arms gets right, were either as likely.

    2 P(X <= min(only_a, only_b)) of a fair binomial, at most 1; 1 without such rows. Source:
    McNemar 1947, "Note on the sampling error of the difference between correlated proportions".

    >>> round(mcnemar_exact(1, 5), 5)
    0.21875
    """
    n = only_a + only_b
    return min(1.0, 2 * float(bdtr(min(only_a, only_b), n, 0.5))) if n else 1.0


def paired_bootstrap(
    labels: Labels,
    called_a: Labels,
    called_b: Labels,
    groups: NDArray[np.int64] | None,
    metric: str,
    evaluated: Sequence[int],
    *,
    classes: int,
    seed: int,
    draws: int = DRAWS,
) -> dict[str, Any]:
    """A metric of calls a minus that of calls b on the same pooled rows, and how it would vary.

    labels, called: int64 (N,) in 0..classes - 1. groups: int64 (N,) or None; rows of a group are
    drawn together, -1 stands alone. Returns "mean": the difference as it is; "low", "high": the
    2.5 and 97.5 percentiles of the draws, None where no draw holds an evaluated row; "draws",
    "units": how many independent units were drawn from. Source: Efron & Tibshirani 1993, "An
    introduction to the bootstrap", section 13.3.
    """
    rows, unit, shares, units = _units(labels, called_a, called_b, groups, classes)
    pairs = [(labels * classes + called)[rows] for called in (called_a, called_b)]
    chance = generator(seed, "paired-bootstrap")
    drawn, step = [], max(1, _CHUNK // max(len(shares), classes**2))
    for start in range(0, draws, step):
        weights = chance.multinomial(units, shares, size=min(step, draws - start))
        drawn.append(_differences(weights, unit, pairs, classes, metric, evaluated))
    found = np.concatenate(drawn)
    found = found[np.isfinite(found)]
    low, high = np.percentile(found, [2.5, 97.5]) if len(found) else (None, None)
    mean = figure(metric, confusion(labels, called_a, classes), evaluated) - figure(
        metric, confusion(labels, called_b, classes), evaluated
    )
    return {
        "mean": mean if np.isfinite(mean) else None,
        "low": None if low is None else float(low),
        "high": None if high is None else float(high),
        "draws": draws,
        "units": units,
    }


def identical_above(identical: int, generated: int, held_identical: int, held: int) -> bool:
    """Whether generated rows equal a training row more often than held-out real rows do.

    identical of `generated` against held_identical of `held`: Fisher's exact test, one-sided, at
    .05. Without held-out rows there is nothing to compare with: False.

    >>> identical_above(6, 100, 0, 100), identical_above(6, 100, 3, 100)
    (True, False)
    """
    p = identical_chance(identical, generated, held_identical, held)
    return p is not None and p <= LEVEL


def identical_chance(
    identical: int, generated: int, held_identical: int, held: int
) -> float | None:
    """The p-value of that test; None without rows on either side.

    >>> round(identical_chance(6, 100, 0, 100), 3), identical_chance(0, 100, 0, 100)
    (0.014, 1.0)
    """
    total, equal = generated + held, identical + held_identical
    if not generated or not held:
        return None
    x = np.arange(identical, min(generated, equal) + 1)
    x = x[equal - x <= held]
    logs = _log_choose(generated, x) + _log_choose(held, equal - x) - _log_choose(total, equal)
    return min(1.0, float(np.exp(logs).sum()))


def _units(
    labels: Labels,
    called_a: Labels,
    called_b: Labels,
    groups: NDArray[np.int64] | None,
    classes: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], int]:
    """(rows, the unit that each is of, how likely each unit is drawn, how many are drawn).

    Where rows stand alone, those with the same label and calls are exchangeable: one of them stands
    for all, drawn as often as they are many.
    """
    if groups is not None and (groups >= 0).any():
        held, unit = np.unique(unit_of_rows(groups), return_inverse=True)
        shares = np.full(len(held), 1 / len(held))
        return np.arange(len(labels)), unit, shares, len(held)
    code = (labels * classes + called_a) * classes + called_b
    _, rows, how_many = np.unique(code, return_index=True, return_counts=True)
    return rows, np.arange(len(rows)), how_many / len(labels), len(labels)


def _differences(
    weights: NDArray[np.int64],
    unit: NDArray[np.int64],
    pairs: Sequence[NDArray[np.int64]],
    classes: int,
    metric: str,
    evaluated: Sequence[int],
) -> NDArray[np.float64]:
    """The metric of a minus that of b, float64 (draws,), with units weighted (draws, units).

    pairs: of a and b, label * classes + called for each row.
    """
    found = []
    for pair in pairs:
        counts = [np.bincount(pair, drawn[unit], minlength=classes**2) for drawn in weights]
        stack = np.stack(counts).astype(np.int64).reshape(-1, classes, classes)
        found.append(figures_of(metric, stack, evaluated))
    return found[0] - found[1]


def _log_choose(n: int, k: NDArray[np.int64] | int) -> NDArray[np.float64]:
    whole = np.asarray(k, dtype=np.float64)
    logs: NDArray[np.float64] = gammaln(n + 1) - gammaln(whole + 1) - gammaln(n - whole + 1)
    return logs
