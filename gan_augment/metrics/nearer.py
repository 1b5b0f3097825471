"""Nearer share: do synthetic rows lie nearer to the rows they were learned from than to others?"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gan_augment.metrics.distances import drawn, exact_distances, feature_rows, same_width
from gan_augment.metrics.intervals import Share, share_of
from gan_augment.randomness import generator


def nearer_share(
    real: ArrayLike, synthetic: ArrayLike, held_out: ArrayLike, seed: int = 0
) -> Share:
    """The share of synthetic rows nearer to a training row than to any held-out one; expected 1/2.

    As many of `real` as of `held_out` are drawn with the seed; a tie counts half.
    Shapes: real (N, d), synthetic (M, d), held_out (H, d), one row each at least -> share with its
    Wilson interval, which is about the synthetic rows, given these real ones.
    Source: Platzer & Reutterer 2021, "Holdout-based empirical assessment of mixed-type synthetic
    data", section 3.2.
    Raises DataError on no rows, unequal widths or values that are not finite.

    >>> nearer_share([[0.0]], [[0.1], [0.2], [0.9]], held_out=[[1.0]]).value
    0.6666666666666666
    """
    a, b = feature_rows(real, "real"), feature_rows(synthetic, "synthetic")
    other = feature_rows(held_out, "held_out")
    same_width(a, b)
    same_width(a, other)
    n = min(len(a), len(other))
    random = generator(seed, "nearer share", n)
    to_real = _nearest(b, drawn(a, n, random))
    to_other = _nearest(b, drawn(other, n, random))
    hits = float((to_real < to_other).sum() + 0.5 * (to_real == to_other).sum())
    return share_of(hits, len(b))


def _nearest(x: NDArray[np.float64], to: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([chunk.min(axis=1) for chunk in exact_distances(x, to)])
