"""Precision and recall: do synthetic rows look real, and do they reach all that is real?"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gan_augment.metrics.neighbours import checked_pair, inside, neighbours_of, radii


def precision(real: ArrayLike, synthetic: ArrayLike, k: int | None = None) -> float:
    """The share of synthetic rows within the ball of some real row, up to its k-th neighbour.

    precision = 1/M sum_j 1[exists i: |s_j - r_i| <= |r_i - NN_k(r_i)|]
    Shapes: real (N, d), synthetic (M, d), N and M >= 2 -> 0..1. k is min(5, N - 1) unless given; a
    row is no neighbour of itself, an equal row is. One outlier among the real rows has a vast ball:
    see `density`. Source: Kynkäänniemi et al. 2019, "Improved precision and recall metric", eq. 2.
    Raises DataError on fewer than two rows, unequal widths or values that are not finite.
    Warns with SmallSampleWarning under 10 rows.

    >>> real = [[float(i)] for i in range(10)]
    >>> precision(real, [[4.5]] * 9 + [[99.0]])
    0.9
    """
    return share_within(*checked_pair(real, synthetic), k=k)


def recall(real: ArrayLike, synthetic: ArrayLike, k: int | None = None) -> float:
    """The share of real rows within the ball of some synthetic row: precision the other way round.

    Shapes and errors as `precision`; k is min(5, M - 1) unless given. It falls with the number of
    synthetic rows' neighbours coming closer: compare only values of equal sizes.
    """
    a, b = checked_pair(real, synthetic)
    return share_within(b, a, k=k)


def share_within(
    centres: NDArray[np.float64], x: NDArray[np.float64], k: int | None = None
) -> float:
    """The share of checked rows x (M, d) within the ball of some centre (N, d)."""
    reach = radii(centres, neighbours_of(len(centres), k))
    hits = sum(int(chunk.any(axis=1).sum()) for chunk in inside(x, centres, reach))
    return hits / len(x)
