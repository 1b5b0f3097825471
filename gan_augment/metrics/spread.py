"""Spread: how varied a set of features is. A collapsed generator has next to none."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from gan_augment.errors import DataError
from gan_augment.metrics.distances import feature_rows, same_width, squared_distances


def mean_pairwise_distance(x: ArrayLike) -> float:
    """The mean Euclidean distance over all pairs of different rows.

    Shapes: x (N, d), N >= 2 -> one number, in the unit of the features; 0 where all rows are equal.
    Raises DataError on fewer than two rows or values that are not finite.

    >>> mean_pairwise_distance([[0.0, 0.0], [3.0, 4.0]])
    5.0
    """
    rows = feature_rows(x, "x", least=2)
    total = sum(float(np.sqrt(chunk).sum()) for chunk in squared_distances(rows, rows))
    return total / (len(rows) * (len(rows) - 1))


def spread_ratio(real: ArrayLike, synthetic: ArrayLike) -> float:
    """The mean pairwise distance of the synthetic rows over that of the real ones; ideal 1.

    Shapes: real (N, d), synthetic (M, d), N and M >= 2 -> one number >= 0; under .3 is collapse.
    Raises DataError on fewer than two rows, unequal widths, values that are not finite, or real
    rows that are all equal.

    >>> spread_ratio([[0.0], [4.0]], [[1.0], [2.0]])
    0.25
    """
    a, b = feature_rows(real, "real", least=2), feature_rows(synthetic, "synthetic", least=2)
    same_width(a, b)
    if (a == a[0]).all():
        raise DataError(f"all {len(a)} real rows are equal: there is no spread to compare with.")
    return mean_pairwise_distance(b) / mean_pairwise_distance(a)
