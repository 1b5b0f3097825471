"""Precision, recall, density and coverage, by balls that reach to the k-th nearest neighbour."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from gan_augment.errors import SmallSampleWarning, UsageError, warn
from gan_augment.metrics.distances import Rows, distance_chunks, feature_sets, nearest_rows

NEIGHBOURS = 5
"""k of Naeem et al. 2020, section 4: two equal distributions then cover over 95 % of each other."""

_FEWEST = 10


def precision(real: ArrayLike, synthetic: ArrayLike, k: int | None = None) -> float:
    """Compute the share of synthetic rows that lie in the ball of at least one real row.

    precision = 1/M sum_j 1[exists i: |s_j - r_i| <= |r_i - NN_k(r_i)|]

    Parameters
    ----------
    real
        Features (N, d), N >= 2.
    synthetic
        Features (M, d), M >= 2.
    k
        A ball reaches to the k-th nearest other row; min(5, N - 1) by default. An equal row counts
        as another row.

    Returns
    -------
    float
        In 0..1. One outlier among the real rows has a vast ball: see `density`.

    Warns
    -----
    SmallSampleWarning
        Below 10 rows.

    Notes
    -----
    Source: Kynkäänniemi et al. 2019, "Improved precision and recall metric", eq. 2.

    Examples
    --------
    >>> real = [[float(i)] for i in range(10)]
    >>> precision(real, [[4.5]] * 9 + [[99.0]])
    0.9
    """
    return share_within(*_checked_pair(real, synthetic), k=k)


def recall(real: ArrayLike, synthetic: ArrayLike, k: int | None = None) -> float:
    """Compute the share of real rows that lie in the ball of at least one synthetic row.

    This is `precision` with the sets exchanged. It depends on the number of synthetic rows, so
    compare values of equal sizes only.
    """
    a, b = _checked_pair(real, synthetic)
    return share_within(b, a, k=k)


def density(real: ArrayLike, synthetic: ArrayLike, k: int | None = None) -> float:
    """Count the real balls that hold a synthetic row, relative to the expected k.

    density = 1/(k M) sum_j sum_i 1[|s_j - r_i| <= |r_i - NN_k(r_i)|]
    Shapes: real (N, d), synthetic (M, d), N and M >= 2 -> >= 0. A perfect generator has 1 on
    average; a generator that stays near the modes has more. k as in `precision`.
    Source: Naeem et al. 2020, "Reliable fidelity and diversity metrics", eq. 3.

    >>> real = [[float(i)] for i in range(10)]
    >>> density(real, [[99.0]] * 10, k=1)
    0.0
    """
    return density_and_coverage(*_checked_pair(real, synthetic), k)[0]


def coverage(real: ArrayLike, synthetic: ArrayLike, k: int | None = None) -> float:
    """Compute the share of real rows whose ball holds at least one synthetic row.

    coverage = 1/N sum_i 1[exists j: |s_j - r_i| <= |r_i - NN_k(r_i)|]
    Shapes as in `density`; 0..1. Even a perfect generator does not reach 1: compare with
    `expected_coverage`. Source: Naeem et al. 2020, eq. 4.

    >>> real = [[float(i)] for i in range(10)]
    >>> coverage(real, [[0.5]] * 10, k=1)
    0.2
    """
    return density_and_coverage(*_checked_pair(real, synthetic), k)[1]


def expected_coverage(n_real: int, n_synthetic: int, k: int | None = None) -> float:
    """Compute the mean coverage of a perfect generator: 1 - prod_{i=1..k} (N-i)/(M+N-i).

    With N real and M synthetic rows, a ball is empty if the k nearest of the N - 1 + M other rows
    are all real. k is min(5, N - 1) by default. Source: Naeem et al. 2020, eq. 9.

    >>> round(expected_coverage(100, 100), 3)
    0.971
    """
    if n_synthetic < 0:
        raise UsageError(f"n_synthetic={n_synthetic}; expected 0 or more.")
    chosen = _neighbours(n_real, k)
    return 1 - math.prod((n_real - i) / (n_synthetic + n_real - i) for i in range(1, chosen + 1))


def neighbour_limit(n_real: int, n_synthetic: int) -> str | None:
    """Explain why the four figures mean little at these sizes; None from 10 rows each."""
    if min(n_real, n_synthetic) >= _FEWEST:
        return None
    return (
        f"{n_real} real and {n_synthetic} synthetic rows are too few: precision, recall, density "
        f"and coverage need {_FEWEST} of each. Use kernel_distance with kernel_test instead."
    )


def share_within(centres: Rows, x: Rows, k: int | None = None) -> float:
    """Compute the share of checked rows x (M, d) within the ball of some centre (N, d)."""
    reach = _radii(centres, _neighbours(len(centres), k))
    chunks = distance_chunks(x, centres)
    return sum(int((chunk <= reach).any(axis=1).sum()) for chunk in chunks) / len(x)


def density_and_coverage(real: Rows, synthetic: Rows, k: int | None = None) -> tuple[float, float]:
    """Compute density and coverage of checked rows in one pass over the distances."""
    chosen = _neighbours(len(real), k)
    reach = _radii(real, chosen)
    total, covered = 0, np.zeros(len(real), dtype=bool)
    for chunk in distance_chunks(synthetic, real):
        inside = chunk <= reach
        total += int(inside.sum())
        covered |= inside.any(axis=0)
    return total / (chosen * len(synthetic)), float(covered.mean())


def _radii(rows: Rows, k: int) -> Rows:
    """Measure the distance of each row (N, d) to its k-th nearest other row.

    The last digits differ between two ways to compute a distance. A copy of the k-th neighbour must
    lie inside the ball, so the radius is enlarged by 1e-12 of itself.
    """
    return nearest_rows(rows, rows, k)[1] * (1 + 1e-12)


def _checked_pair(real: ArrayLike, synthetic: ArrayLike) -> tuple[Rows, Rows]:
    """Check both sets as float64 of one width with at least two rows; warn below ten rows."""
    a, b = feature_sets(2, real=real, synthetic=synthetic)
    limit = neighbour_limit(len(a), len(b))
    if limit:
        warn(limit, SmallSampleWarning)
    return a, b


def _neighbours(n: int, k: int | None) -> int:
    """Return k, by default min(5, n - 1); raise UsageError unless 1 <= k <= n - 1."""
    chosen = min(NEIGHBOURS, n - 1) if k is None else k
    if not 1 <= chosen <= n - 1:
        raise UsageError(f"k={chosen} neighbours among {n} rows; expected 1..{n - 1}.")
    return chosen
