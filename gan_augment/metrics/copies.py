"""Copying: do generated rows repeat the rows they were learned from, or lie too near to them?"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gan_augment.errors import DataError, SmallSampleWarning, UsageError, warn
from gan_augment.metrics.densities import radii
from gan_augment.metrics.distances import (
    Rows,
    draw_rows,
    feature_rows,
    feature_sets,
    nearest_rows,
    squared_distances,
)
from gan_augment.metrics.two_sample import Proportion
from gan_augment.rng import rng_for

_FEWEST = 10

Cells = Callable[[Rows], ArrayLike]
"""Rows (N, d) -> the number of the cell of each, (N,)."""


def nearest_distances(x: ArrayLike, to: ArrayLike) -> Rows:
    """Measure the Euclidean distance of each row of x to the nearest row of `to`.

    Shapes: x (N, d), to (M, d), M >= 1 -> float64 (N,), in the unit of the features; in bounded
    memory.

    >>> nearest_distances([[0.0], [5.0]], to=[[1.0], [7.0]]).tolist()
    [1.0, 2.0]
    """
    others = feature_rows(to, "to")
    rows, _ = feature_sets(0, x=x, to=others)
    return _nearest(rows, others)


def copy_threshold(
    train: ArrayLike, held_out: ArrayLike | None = None, quantile: float = 0.01
) -> float:
    """Compute the distance under which a row counts as a copy of a training row of its class.

    The `quantile` of the distances of held-out real rows (M, d) to the training rows (N, d);
    without held-out rows, of each training row to its nearest other one (N >= 2).
    """
    if not 0 <= quantile <= 1:
        raise UsageError(f"quantile={quantile} is not in 0..1; .01 is usual.")
    if held_out is not None:
        return float(np.quantile(nearest_distances(held_out, train), quantile))
    rows = feature_rows(train, "train", least=2)
    return float(np.quantile(_nearest(rows, rows, itself=False), quantile))


def copied_share(x: ArrayLike, train: ArrayLike, threshold: float) -> float:
    """Compute the share 0..1 of the rows x (N, d) nearer than `threshold` to a row of `train`.

    An exact copy always counts, whatever the threshold.

    >>> copied_share([[0.0], [3.0]], train=[[0.1], [9.0]], threshold=0.5)
    0.5
    """
    rows = feature_rows(x, "x")
    distances = nearest_distances(rows, train)
    return float(np.mean((distances < threshold) | (distances == 0)))


def identical_share(x: ArrayLike, train: ArrayLike) -> float:
    """Compute the share 0..1 of the rows x (N, d) that equal a row of `train` in every feature.

    >>> identical_share([[1.0, 2.0], [1.0, 3.0]], train=[[1.0, 3.0]])
    0.5
    """
    rows, others = feature_sets(x=x, train=train)
    known = {row.tobytes() for row in others + 0.0}  # -0.0 equals 0.0
    return sum(row.tobytes() in known for row in rows + 0.0) / len(rows)


def authenticity(real: ArrayLike, synthetic: ArrayLike) -> float:
    """Compute the share of synthetic rows farther from their nearest real row than its own one is.

    authenticity = 1/M sum_j 1[|s_j - r_i| > min_{l != i} |r_i - r_l|], r_i nearest to s_j
    Shapes: real (N, d), synthetic (M, d), N >= 2, M >= 1 -> 0..1. Copies give 0; fresh real rows do
    not give 1, so compare with the same number of held-out real rows.
    Source: Alaa et al. 2022, "How faithful is your synthetic data?", section 4.

    >>> authenticity([[0.0], [1.0], [10.0]], [[0.1], [5.0]])
    0.5
    """
    real = feature_rows(real, "real", least=2)
    a, b = feature_sets(real=real, synthetic=synthetic)
    nearest, distances = nearest_rows(b, a)
    # Only real rows that are nearest to some synthetic one need their own neighbour.
    centres, which = np.unique(nearest, return_inverse=True)
    return float((distances > radii(a, 1, of=centres)[which]).mean())


def nearer_share(
    real: ArrayLike, synthetic: ArrayLike, held_out: ArrayLike, seed: int = 0
) -> Proportion:
    """Compute the share of synthetic rows nearer to a training row than to any held-out one.

    As many of `real` as of `held_out` are drawn with the seed; a tie counts half; expected 1/2.
    Shapes: real (N, d), synthetic (M, d), held_out (H, d), one row each at least -> share with its
    Wilson interval of so many independent trials as give the spread that the share has when "real"
    and "held out" are dealt at random: with 10 and 10 real rows, 200 synthetic ones that choose
    between them are worth about 30, and an interval of 200 holds 1/2 in 53 % of cases only.
    Source: Platzer & Reutterer 2021, "Holdout-based empirical assessment of mixed-type synthetic
    data", section 3.2.

    >>> nearer_share([[0.0]], [[0.1], [0.2], [0.9]], held_out=[[1.0]]).value
    0.6666666666666666
    """
    a, b, other = feature_sets(real=real, synthetic=synthetic, held_out=held_out)
    n = min(len(a), len(other))
    rng = rng_for(seed, "nearer share", n)
    at_real, to_real = nearest_rows(b, draw_rows(a, n, rng))
    at_other, to_other = nearest_rows(b, draw_rows(other, n, rng))
    won = (to_real < to_other) + 0.5 * (to_real == to_other)
    counts = np.bincount(at_real, won, n), np.bincount(at_other, 1 - won, n)
    trials = _independent_trials(np.concatenate(counts))
    return Proportion.of(float(won.sum()) / len(b), trials)


def data_copying_score(
    real: ArrayLike, synthetic: ArrayLike, held_out: ArrayLike, cells: Cells | None = None
) -> float:
    """Compute C_T, the z-score of "synthetic rows are farther from `real` than held-out rows are".

    z = (U - m n / 2) / sqrt(m n (m + n + 1) / 12), U the pairs (synthetic, held-out) in which the
    synthetic row's distance to its nearest training row is larger (ties half, and taken out of the
    variance). Below about -3: copying; about 0: none; above 3: rows that fall short of the data.
    With `cells` (say the `predict` of a k-means fitted on `real`): the mean of the cells' z over
    those that hold both kinds, weighed by their held-out rows.
    Shapes: real (N, d), synthetic (M, d), held_out (H, d), one row each at least -> one number.
    Source: Meehan, Chaudhuri & Dasgupta 2020, "A non-parametric test to detect data-copying in
    generative models", section 4.
    Raises DataError where no cell holds both.
    Warns with SmallSampleWarning under 10 rows.

    >>> real = [[float(10 * i)] for i in range(10)]
    >>> near, far = ([[row[0] + by] for row in real] for by in (0.1, 3.0))
    >>> round(data_copying_score(real, synthetic=near, held_out=far), 1)
    -4.1
    """
    a, b, other = feature_sets(real=real, synthetic=synthetic, held_out=held_out)
    limit = data_copying_limit(len(b), len(other))
    if limit:
        warn(limit, SmallSampleWarning)
    return copying_score(a, b, other, cells)


def data_copying_limit(n_synthetic: int, n_held_out: int) -> str | None:
    """Say why a C_T of these sizes means little; None from 10 rows on."""
    if min(n_synthetic, n_held_out) >= _FEWEST:
        return None
    return (
        f"C_T of {n_synthetic} synthetic and {n_held_out} held-out rows is no z-score yet: a sum "
        f"of ranks is near normal from {_FEWEST} of each on. Use nearer_share with its interval."
    )


def copying_score(real: Rows, synthetic: Rows, held_out: Rows, cells: Cells | None = None) -> float:
    """Compute C_T of checked rows."""
    far_b, far_other = (_nearest(rows, real) for rows in (synthetic, held_out))
    cell_b = _cells(cells, synthetic, "synthetic")
    cell_other = _cells(cells, held_out, "held_out")
    both = np.intersect1d(cell_b, cell_other)
    if not len(both):
        raise DataError("no cell holds synthetic and held-out rows. Use fewer cells.")
    weights = [int((cell_other == cell).sum()) for cell in both]
    scores = [_rank_score(far_b[cell_b == cell], far_other[cell_other == cell]) for cell in both]
    return float(np.average(scores, weights=weights))


def _rank_score(x: Rows, y: Rows) -> float:
    """Mann & Whitney's z that x (M,) is larger than y (N,); 0 where all are equal.

    `scipy.stats.mannwhitneyu` tells its p alone, which is 0 where z is far out.
    """
    from scipy.stats import rankdata, tiecorrect

    m, n = len(x), len(y)
    ranks = rankdata(np.concatenate([x, y]))
    variance = m * n / 12 * (m + n + 1) * tiecorrect(ranks)
    u = ranks[:m].sum() - m * (m + 1) / 2
    return float((u - m * n / 2) / math.sqrt(variance)) if variance > 1e-9 else 0.0


def _cells(cells: Cells | None, rows: Rows, name: str) -> NDArray[np.int_]:
    if cells is None:
        return np.zeros(len(rows), dtype=int)
    numbers = np.asarray(cells(rows))
    if numbers.shape != (len(rows),):
        raise DataError(
            f"cells gave shape {numbers.shape} for {len(rows)} {name} rows; expected "
            f"({len(rows)},)."
        )
    return numbers


def _independent_trials(counts: Rows) -> float:
    """How many independent trials the rows are worth that chose among `counts` (2n,) real rows.

    Dealt at random, half of the rows have a share of variance sum (c - mean)^2 / (4 M^2) 2n/(2n-1);
    that of t fair trials is 1 / 4t. Never more than the M that there are.
    """
    m, pooled = counts.sum(), len(counts)
    spread = ((counts - m / pooled) ** 2).sum() * pooled / (pooled - 1)
    return float(min(m, m * m / spread)) if spread > 0 else float(m)


def _nearest(rows: Rows, others: Rows, *, itself: bool = True) -> Rows:
    """The distance of each row to the nearest of the others; itself: row i may be nearest to row i.

    By subtraction in the end: the expanded square leaves 1e-8 between equal rows.
    """
    nearest, start = [np.empty(0, dtype=np.intp)], 0
    for chunk in squared_distances(rows, others):
        own = np.arange(len(chunk))
        if not itself:
            chunk[own, start + own] = np.inf
        nearest.append(chunk.argmin(axis=1))
        start += len(chunk)
    distances: Rows = np.linalg.norm(rows - others[np.concatenate(nearest)], axis=1)
    return distances
