"""Figures by nearest neighbours: density, coverage, and copies of training rows."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gan_augment.errors import UsageError
from gan_augment.metrics.distances import Proportion, Rows, draw_rows, feature_rows, feature_sets
from gan_augment.rng import rng_for

NEIGHBOURS = 5
"""k of Naeem et al. 2020, section 4: two equal distributions then cover over 95 % of each other."""
COPIES = 0.01
"""Share of real rows that `copy_threshold` takes for copies."""


def nearest_rows(x: Rows, to: Rows, k: int = 1) -> tuple[NDArray[np.intp], Rows]:
    """Find the k-th nearest row of `to` (M, d) for each row of x (N, d): index and distance, (N,).

    Where `x is to`, a row is not its own neighbour; an equal row is one, at distance 0. The search
    expands the square, which loses digits far from the origin, so rows are centred first and the
    distance is computed again by subtraction.
    """
    from sklearn.neighbors import NearestNeighbors

    if not len(x):
        return np.empty(0, dtype=np.intp), np.empty(0)
    centre = to.mean(axis=0)
    search = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(to - centre)
    wanted = None if x is to else x - centre
    at = search.kneighbors(wanted, return_distance=False)[:, k - 1]
    return at, np.linalg.norm(x - to[at], axis=1)


def nearest_distances(x: ArrayLike, to: ArrayLike) -> Rows:
    """Measure the Euclidean distance of each row to the nearest row of another set.

    Parameters
    ----------
    x, to
        Features (N, d) and (M, d).

    Returns
    -------
    array (N,)
        The distances, in the unit of the features.

    Examples
    --------
    >>> nearest_distances([[0.0], [5.0]], to=[[1.0], [7.0]]).tolist()
    [1.0, 2.0]
    """
    others = feature_rows(to, "to")
    rows, _ = feature_sets(0, x=x, to=others)
    return nearest_rows(rows, others)[1]


def _inside(real: ArrayLike, synthetic: ArrayLike, k: int | None) -> tuple[NDArray[np.bool_], int]:
    """Return whether each synthetic row lies in the ball of each real row, (M, N), and k."""
    from scipy.spatial.distance import cdist

    a, b = feature_sets(2, real=real, synthetic=synthetic)
    k = _neighbours(len(a), k)
    # A copy of the k-th neighbour must lie inside the ball: two ways to compute a distance differ
    # in the last digits.
    reach = nearest_rows(a, a, k)[1] * (1 + 1e-12)
    return cdist(b, a) <= reach, k


def density(real: ArrayLike, synthetic: ArrayLike, k: int | None = None) -> float:
    """Count the real neighbourhoods that hold a synthetic row, relative to the expected k.

    density = 1/(k M) sum_j sum_i 1[|s_j - r_i| <= |r_i - NN_k(r_i)|]

    Parameters
    ----------
    real, synthetic
        Features (N, d) and (M, d), N and M >= 2; figures of fewer than 10 rows mean little.
    k
        A neighbourhood reaches to the k-th nearest other row; min(5, N - 1) by default.

    Returns
    -------
    float
        A perfect generator has 1 on average; one that stays near the modes has more.

    Notes
    -----
    Source: Naeem et al. 2020, "Reliable fidelity and diversity metrics", eq. 3.

    Examples
    --------
    >>> real = [[float(i)] for i in range(10)]
    >>> density(real, [[99.0]] * 10, k=1)
    0.0
    """
    inside, k = _inside(real, synthetic, k)
    return float(inside.sum(axis=1).mean()) / k


def coverage(real: ArrayLike, synthetic: ArrayLike, k: int | None = None) -> float:
    """Compute the share of real rows whose neighbourhood holds at least one synthetic row.

    coverage = 1/N sum_i 1[exists j: |s_j - r_i| <= |r_i - NN_k(r_i)|]. Source: Naeem et al. 2020,
    eq. 4.

    Parameters
    ----------
    real, synthetic, k
        As in `density`.

    Returns
    -------
    float
        In 0..1. A perfect generator does not reach 1: compare with `expected_coverage`.

    Examples
    --------
    >>> real = [[float(i)] for i in range(10)]
    >>> coverage(real, [[0.5]] * 10, k=1)
    0.2
    """
    inside, _ = _inside(real, synthetic, k)
    return float(inside.any(axis=0).mean())


def expected_coverage(n_real: int, n_synthetic: int, k: int | None = None) -> float:
    """Compute the mean coverage of a perfect generator: 1 - prod_{i=1..k} (N-i)/(M+N-i).

    A neighbourhood is empty if the k nearest of the N - 1 + M other rows are all real. Source:
    Naeem et al. 2020, eq. 9.

    Parameters
    ----------
    n_real, n_synthetic
        N and M.
    k
        As in `density`.

    Returns
    -------
    float
        In 0..1.

    Examples
    --------
    >>> round(expected_coverage(100, 100), 3)
    0.971
    """
    k = _neighbours(n_real, k)
    return 1 - math.prod((n_real - i) / (n_synthetic + n_real - i) for i in range(1, k + 1))


def copy_threshold(train: ArrayLike, held_out: ArrayLike | None = None) -> float:
    """Compute the distance below which a row counts as a copy of a training row of its class.

    Parameters
    ----------
    train
        Real training rows (N, d); N >= 2 without held-out rows.
    held_out
        Real rows (M, d) that no generator saw.

    Returns
    -------
    float
        The 1 % quantile of the distances of held-out rows to the nearest training row, or, without
        held-out rows, of training rows to each other; in the unit of the features.
    """
    if held_out is None:
        rows = feature_rows(train, "train", least=2)
        return float(np.quantile(nearest_rows(rows, rows)[1], COPIES))
    return float(np.quantile(nearest_distances(held_out, train), COPIES))


def copied_share(x: ArrayLike, train: ArrayLike, threshold: float) -> float:
    """Compute the share of rows that are nearer to a training row than a threshold.

    Parameters
    ----------
    x, train
        Rows to judge (N, d), and training rows (M, d).
    threshold
        In the unit of the features. An exact copy counts at any threshold.

    Returns
    -------
    float
        In 0..1.

    Examples
    --------
    >>> copied_share([[0.0], [3.0]], train=[[0.1], [9.0]], threshold=0.5)
    0.5
    """
    distances = nearest_distances(feature_rows(x, "x"), train)
    return float(np.mean((distances < threshold) | (distances == 0)))


def nearer_share(
    real: ArrayLike, synthetic: ArrayLike, held_out: ArrayLike, seed: int = 0
) -> Proportion:
    """Compute the share of synthetic rows that are nearer to a training row than to a held-out row.

    Parameters
    ----------
    real, synthetic, held_out
        Training rows (N, d), generated rows (M, d), and real rows (H, d) that the generator did not
        see. Equally many real and held-out rows are drawn. A tie counts half.
    seed
        Seed of the draw.

    Returns
    -------
    Proportion
        1/2 is expected without copying. The Wilson interval counts only as many trials as explain
        the variance of the share when the names "real" and "held out" are exchanged at random: with
        10 and 10 real rows, 200 synthetic rows are worth about 30 trials.

    Notes
    -----
    Source: Platzer & Reutterer 2021, "Holdout-based empirical assessment of mixed-type synthetic
    data", section 3.2.

    Examples
    --------
    >>> nearer_share([[0.0]], [[0.1], [0.2], [0.9]], held_out=[[1.0]]).value
    0.6666666666666666
    """
    a, b, other = feature_sets(real=real, synthetic=synthetic, held_out=held_out)
    n, m = min(len(a), len(other)), len(b)
    rng = rng_for(seed, "nearer share", n)
    at_real, to_real = nearest_rows(b, draw_rows(a, n, rng))
    at_other, to_other = nearest_rows(b, draw_rows(other, n, rng))
    won = (to_real < to_other) + 0.5 * (to_real == to_other)
    # If half of the 2n real rows are called "real" at random, the share has the variance
    # sum (c - mean)^2 / (4 M^2) 2n/(2n-1), c being the rows won by each; t fair trials have 1 / 4t.
    counts = np.concatenate([np.bincount(at_real, won, n), np.bincount(at_other, 1 - won, n)])
    spread = ((counts - m / (2 * n)) ** 2).sum() * 2 * n / (2 * n - 1)
    trials = min(m, m * m / spread) if spread > 0 else m
    return Proportion.of(float(won.sum()) / m, float(trials))


def _neighbours(n: int, k: int | None) -> int:
    """Return k, by default min(5, n - 1); raise UsageError unless 1 <= k <= n - 1."""
    chosen = min(NEIGHBOURS, n - 1) if k is None else k
    if not 1 <= chosen <= n - 1:
        raise UsageError(f"k={chosen} neighbours among {n} rows; expected 1..{n - 1}.")
    return chosen
