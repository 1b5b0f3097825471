"""Spread: how varied a set of features is. A collapsed generator has next to none."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from gan_augment.metrics.distances import feature_rows, squared_distances


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
