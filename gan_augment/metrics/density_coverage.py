"""Density and coverage: precision and recall that one outlier cannot spoil."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gan_augment.errors import UsageError
from gan_augment.metrics.neighbours import checked_pair, inside, neighbours_of, radii


def density(real: ArrayLike, synthetic: ArrayLike, k: int | None = None) -> float:
    """How many real balls a synthetic row lies in, against the k that are expected.

    density = 1/(k M) sum_j sum_i 1[|s_j - r_i| <= |r_i - NN_k(r_i)|]
    Shapes: real (N, d), synthetic (M, d), N and M >= 2 -> >= 0; a perfect generator has 1 on
    average, one that stays near the modes more. k is min(5, N - 1) unless given.
    Source: Naeem et al. 2020, "Reliable fidelity and diversity metrics", eq. 3.
    Raises DataError on fewer than two rows, unequal widths or values that are not finite.
    Warns with SmallSampleWarning under 10 rows.

    >>> real = [[float(i)] for i in range(10)]
    >>> density(real, [[99.0]] * 10, k=1)
    0.0
    """
    a, b = checked_pair(real, synthetic)
    return density_and_coverage(a, b, k)[0]


def coverage(real: ArrayLike, synthetic: ArrayLike, k: int | None = None) -> float:
    """The share of real rows with a synthetic row within their ball, up to their k-th neighbour.

    coverage = 1/N sum_i 1[exists j: |s_j - r_i| <= |r_i - NN_k(r_i)|]
    Shapes, errors, warnings as `density`; 0..1. Even a perfect generator does not reach 1: compare
    with `expected_coverage`. Source: Naeem et al. 2020, eq. 4.

    >>> real = [[float(i)] for i in range(10)]
    >>> coverage(real, [[0.5]] * 10, k=1)
    0.2
    """
    a, b = checked_pair(real, synthetic)
    return density_and_coverage(a, b, k)[1]


def expected_coverage(n_real: int, n_synthetic: int, k: int | None = None) -> float:
    """The coverage that a perfect generator has on average: 1 - prod_{i=1..k} (N-i)/(M+N-i).

    N real rows, M synthetic ones: none lies in a ball if the k nearest of the N - 1 + M others are
    all real. k is min(5, N - 1) unless given. Source: Naeem et al. 2020, eq. 9.

    >>> round(expected_coverage(100, 100), 3)
    0.971
    """
    if n_synthetic < 0:
        raise UsageError(f"n_synthetic={n_synthetic}; expected 0 or more.")
    chosen = neighbours_of(n_real, k)
    return 1 - math.prod((n_real - i) / (n_synthetic + n_real - i) for i in range(1, chosen + 1))


def density_and_coverage(
    real: NDArray[np.float64], synthetic: NDArray[np.float64], k: int | None = None
) -> tuple[float, float]:
    """Both of checked rows, from one pass over the distances."""
    chosen = neighbours_of(len(real), k)
    reach = radii(real, chosen)
    total, covered = 0, np.zeros(len(real), dtype=bool)
    for chunk in inside(synthetic, real, reach):
        total += int(chunk.sum())
        covered |= chunk.any(axis=0)
    return total / (chosen * len(synthetic)), float(covered.mean())
