"""Nearer share: do synthetic rows lie nearer to the rows they were learned from than to others?"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gan_augment.metrics.distances import drawn, exact_distances, feature_rows, same_width
from gan_augment.metrics.intervals import Share, share_worth
from gan_augment.randomness import generator


def nearer_share(
    real: ArrayLike, synthetic: ArrayLike, held_out: ArrayLike, seed: int = 0
) -> Share:
    """The share of synthetic rows nearer to a training row than to any held-out one; expected 1/2.

    As many of `real` as of `held_out` are drawn with the seed; a tie counts half.
    Shapes: real (N, d), synthetic (M, d), held_out (H, d), one row each at least -> share with its
    Wilson interval of so many independent trials as give the spread that the share has when "real"
    and "held out" are dealt at random: with 10 and 10 real rows, 200 synthetic ones that choose
    between them are worth about 30, and an interval of 200 holds 1/2 in 53 % of cases only.
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
    rng = generator(seed, "nearer share", n)
    at_real, to_real = _nearest(b, drawn(a, n, rng))
    at_other, to_other = _nearest(b, drawn(other, n, rng))
    won = (to_real < to_other) + 0.5 * (to_real == to_other)
    counts = np.bincount(at_real, won, n), np.bincount(at_other, 1 - won, n)
    trials = _independent(np.concatenate(counts))
    return share_worth(float(won.sum()) / len(b), trials)


def _independent(counts: NDArray[np.float64]) -> float:
    """How many independent trials the synthetic rows are worth, nearest to 2n real rows (2n,).

    Dealt at random, half of the rows have a share of variance sum (c - mean)^2 / (4 M^2) 2n/(2n-1);
    that of t fair trials is 1 / 4t. Never more than the M that there are.
    """
    m, pooled = counts.sum(), len(counts)
    spread = ((counts - m / pooled) ** 2).sum() * pooled / (pooled - 1)
    return float(min(m, m * m / spread)) if spread > 0 else float(m)


def _nearest(
    x: NDArray[np.float64], to: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """For each of x (N, d) the number of the nearest row of `to`, and how far it is."""
    chunks = [(chunk.argmin(axis=1), chunk.min(axis=1)) for chunk in exact_distances(x, to)]
    return np.concatenate([at for at, _ in chunks]), np.concatenate([far for _, far in chunks])
