"""Authenticity: which synthetic rows are more than a training row with noise on it?"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from gan_augment.metrics.distances import exact_distances, feature_rows, same_width
from gan_augment.metrics.neighbours import radii


def authenticity(real: ArrayLike, synthetic: ArrayLike) -> float:
    """The share of synthetic rows farther from their nearest real row than its nearest real one.

    authenticity = 1/M sum_j 1[|s_j - r_i| > min_{l != i} |r_i - r_l|], r_i nearest to s_j
    Shapes: real (N, d), synthetic (M, d), N >= 2, M >= 1 -> 0..1. Copies give 0; fresh real rows do
    not give 1, so compare with the same number of held-out real rows.
    Source: Alaa et al. 2022, "How faithful is your synthetic data?", section 4.
    Raises DataError on too few rows, unequal widths or values that are not finite.

    >>> authenticity([[0.0], [1.0], [10.0]], [[0.1], [5.0]])
    0.5
    """
    a, b = feature_rows(real, "real", least=2), feature_rows(synthetic, "synthetic")
    same_width(a, b)
    chunks = [(chunk.argmin(axis=1), chunk.min(axis=1)) for chunk in exact_distances(b, a)]
    nearest = np.concatenate([index for index, _ in chunks])
    distances = np.concatenate([distance for _, distance in chunks])
    # Only real rows that are nearest to some synthetic one need their own neighbour.
    centres, which = np.unique(nearest, return_inverse=True)
    return float((distances > radii(a, 1, of=centres)[which]).mean())
