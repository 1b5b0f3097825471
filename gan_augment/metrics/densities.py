"""Precision, recall, density, coverage: who lies in balls that reach to the k-th neighbour."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gan_augment.errors import SmallSampleWarning, UsageError, warn
from gan_augment.metrics.distances import Rows, exact_distances, feature_sets

NEIGHBOURS = 5
"""k of Naeem et al. 2020, section 4: with it, two equal sets cover 95 % of each other and more."""

_FEWEST = 10


def precision(real: ArrayLike, synthetic: ArrayLike, k: int | None = None) -> float:
    """Compute the share of synthetic rows in the ball of some real row, up to its k-th neighbour.

    precision = 1/M sum_j 1[exists i: |s_j - r_i| <= |r_i - NN_k(r_i)|]
    Shapes: real (N, d), synthetic (M, d), N and M >= 2 -> 0..1. k is min(5, N - 1) unless given; a
    row is no neighbour of itself, an equal row is. One outlier among the real rows has a vast ball:
    see `density`. Source: Kynkäänniemi et al. 2019, "Improved precision and recall metric", eq. 2.
    Warns with SmallSampleWarning under 10 rows.

    >>> real = [[float(i)] for i in range(10)]
    >>> precision(real, [[4.5]] * 9 + [[99.0]])
    0.9
    """
    return share_within(*_checked_pair(real, synthetic), k=k)


def recall(real: ArrayLike, synthetic: ArrayLike, k: int | None = None) -> float:
    """Compute the share of real rows in the ball of some synthetic row: precision turned round.

    Shapes and errors as `precision`; k is min(5, M - 1) unless given. It falls with the number of
    synthetic rows' neighbours coming closer: compare only values of equal sizes.
    """
    a, b = _checked_pair(real, synthetic)
    return share_within(b, a, k=k)


def density(real: ArrayLike, synthetic: ArrayLike, k: int | None = None) -> float:
    """Count the real balls that a synthetic row lies in, against the k that are expected.

    density = 1/(k M) sum_j sum_i 1[|s_j - r_i| <= |r_i - NN_k(r_i)|]
    Shapes: real (N, d), synthetic (M, d), N and M >= 2 -> >= 0; a perfect generator has 1 on
    average, one that stays near the modes more. k is min(5, N - 1) unless given.
    Source: Naeem et al. 2020, "Reliable fidelity and diversity metrics", eq. 3.
    Errors and warnings as `precision`.

    >>> real = [[float(i)] for i in range(10)]
    >>> density(real, [[99.0]] * 10, k=1)
    0.0
    """
    return density_and_coverage(*_checked_pair(real, synthetic), k)[0]


def coverage(real: ArrayLike, synthetic: ArrayLike, k: int | None = None) -> float:
    """Compute the share of real rows with a synthetic row in their ball, up to the k-th neighbour.

    coverage = 1/N sum_i 1[exists j: |s_j - r_i| <= |r_i - NN_k(r_i)|]
    Shapes, errors, warnings as `density`; 0..1. Even a perfect generator does not reach 1: compare
    with `expected_coverage`. Source: Naeem et al. 2020, eq. 4.

    >>> real = [[float(i)] for i in range(10)]
    >>> coverage(real, [[0.5]] * 10, k=1)
    0.2
    """
    return density_and_coverage(*_checked_pair(real, synthetic), k)[1]


def expected_coverage(n_real: int, n_synthetic: int, k: int | None = None) -> float:
    """Compute the coverage of a perfect generator on average: 1 - prod_{i=1..k} (N-i)/(M+N-i).

    N real rows, M synthetic ones: none lies in a ball if the k nearest of the N - 1 + M others are
    all real. k is min(5, N - 1) unless given. Source: Naeem et al. 2020, eq. 9.

    >>> round(expected_coverage(100, 100), 3)
    0.971
    """
    if n_synthetic < 0:
        raise UsageError(f"n_synthetic={n_synthetic}; expected 0 or more.")
    chosen = _neighbours(n_real, k)
    return 1 - math.prod((n_real - i) / (n_synthetic + n_real - i) for i in range(1, chosen + 1))


def neighbour_limit(n_real: int, n_synthetic: int) -> str | None:
    """Say why the four figures mean little at these sizes; None from 10 rows of each on."""
    if min(n_real, n_synthetic) >= _FEWEST:
        return None
    return (
        f"{n_real} real and {n_synthetic} synthetic rows: precision, recall, density and coverage "
        f"need {_FEWEST} of each to say anything. Look at kernel_distance with kernel_test."
    )


def share_within(centres: Rows, x: Rows, k: int | None = None) -> float:
    """Compute the share of checked rows x (M, d) within the ball of some centre (N, d)."""
    reach = radii(centres, _neighbours(len(centres), k))
    chunks = exact_distances(x, centres)
    return sum(int((chunk <= reach).any(axis=1).sum()) for chunk in chunks) / len(x)


def density_and_coverage(real: Rows, synthetic: Rows, k: int | None = None) -> tuple[float, float]:
    """Compute both of checked rows, from one pass over the distances."""
    chosen = _neighbours(len(real), k)
    reach = radii(real, chosen)
    total, covered = 0, np.zeros(len(real), dtype=bool)
    for chunk in exact_distances(synthetic, real):
        inside = chunk <= reach
        total += int(inside.sum())
        covered |= inside.any(axis=0)
    return total / (chosen * len(synthetic)), float(covered.mean())


def radii(rows: Rows, k: int, of: NDArray[np.intp] | None = None) -> Rows:
    """Measure how far each row (N, d), or those numbered `of`, lies from its k-th nearest other.

    A row is no neighbour of itself by its number, so an equal row is one, at 0.
    """
    which = np.arange(len(rows)) if of is None else of
    reach, start = [], 0
    for chunk in exact_distances(rows[which], rows):
        own = np.arange(len(chunk))
        chunk[own, which[start + own]] = np.inf
        reach.append(np.partition(chunk, k - 1, axis=1)[:, k - 1])
        start += len(chunk)
    return np.concatenate(reach)


def _checked_pair(real: ArrayLike, synthetic: ArrayLike) -> tuple[Rows, Rows]:
    """Both as float64 of one width with two rows at least; warns under ten rows."""
    a, b = feature_sets(2, real=real, synthetic=synthetic)
    limit = neighbour_limit(len(a), len(b))
    if limit:
        warn(limit, SmallSampleWarning)
    return a, b


def _neighbours(n: int, k: int | None) -> int:
    """k, or by default min(5, n - 1); UsageError unless 1 <= k <= n - 1."""
    chosen = min(NEIGHBOURS, n - 1) if k is None else k
    if not 1 <= chosen <= n - 1:
        raise UsageError(f"k={chosen} neighbours among {n} rows; expected 1..{n - 1}.")
    return chosen
