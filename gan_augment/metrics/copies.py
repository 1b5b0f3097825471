"""Copying: the share of generated rows that repeat training rows or lie unusually near to them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from gan_augment.errors import UsageError
from gan_augment.metrics.distances import (
    Rows,
    draw_rows,
    feature_rows,
    feature_sets,
    nearest_rows,
)
from gan_augment.metrics.two_sample import Proportion
from gan_augment.rng import rng_for


def nearest_distances(x: ArrayLike, to: ArrayLike) -> Rows:
    """Measure the Euclidean distance of each row of x to the nearest row of `to`.

    Shapes: x (N, d), to (M, d), M >= 1 -> float64 (N,), in the unit of the features.

    >>> nearest_distances([[0.0], [5.0]], to=[[1.0], [7.0]]).tolist()
    [1.0, 2.0]
    """
    others = feature_rows(to, "to")
    rows, _ = feature_sets(0, x=x, to=others)
    return nearest_rows(rows, others)[1]


def copy_threshold(
    train: ArrayLike, held_out: ArrayLike | None = None, quantile: float = 0.01
) -> float:
    """Compute the distance below which a row counts as a copy of a training row of its class.

    Parameters
    ----------
    train
        Real training rows (N, d); N >= 2 without held-out rows.
    held_out
        Real rows (M, d) that no generator saw.
    quantile
        Which quantile of the distances to the nearest training row is the threshold. The distances
        are those of the held-out rows, or of the training rows to each other without held-out rows.
    """
    if not 0 <= quantile <= 1:
        raise UsageError(f"quantile={quantile} is outside 0..1; 0.01 is usual.")
    if held_out is not None:
        return float(np.quantile(nearest_distances(held_out, train), quantile))
    rows = feature_rows(train, "train", least=2)
    return float(np.quantile(nearest_rows(rows, rows)[1], quantile))


def copied_share(x: ArrayLike, train: ArrayLike, threshold: float) -> float:
    """Compute the share 0..1 of the rows x (N, d) nearer than `threshold` to a row of `train`.

    An exact copy counts at any threshold.

    >>> copied_share([[0.0], [3.0]], train=[[0.1], [9.0]], threshold=0.5)
    0.5
    """
    distances = nearest_distances(feature_rows(x, "x"), train)
    return float(np.mean((distances < threshold) | (distances == 0)))


def identical_share(x: ArrayLike, train: ArrayLike) -> float:
    """Compute the share 0..1 of the rows x (N, d) that equal a row of `train` in every feature.

    >>> identical_share([[1.0, 2.0], [1.0, 3.0]], train=[[1.0, 3.0]])
    0.5
    """
    rows, others = feature_sets(x=x, train=train)
    known = {row.tobytes() for row in others + 0.0}  # -0.0 equals 0.0
    return sum(row.tobytes() in known for row in rows + 0.0) / len(rows)


def nearer_share(
    real: ArrayLike, synthetic: ArrayLike, held_out: ArrayLike, seed: int = 0
) -> Proportion:
    """Compute the share of synthetic rows that are nearer to a training row than to a held-out row.

    Parameters
    ----------
    real
        Training rows (N, d), N >= 1. As many of `real` as of `held_out` are drawn with the seed.
    synthetic
        Generated rows (M, d), M >= 1. A tie counts half.
    held_out
        Real rows (H, d) that the generator did not see, H >= 1.
    seed
        Of the draw.

    Returns
    -------
    Proportion
        1/2 is expected without copying. The Wilson interval is that of as many independent trials
        as reproduce the variance of the share when the names "real" and "held out" are exchanged at
        random. With 10 and 10 real rows, 200 synthetic rows are worth about 30 trials; an interval
        of 200 trials would cover 1/2 in 53 % of cases only.

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
    n = min(len(a), len(other))
    rng = rng_for(seed, "nearer share", n)
    at_real, to_real = nearest_rows(b, draw_rows(a, n, rng))
    at_other, to_other = nearest_rows(b, draw_rows(other, n, rng))
    won = (to_real < to_other) + 0.5 * (to_real == to_other)
    counts = np.bincount(at_real, won, n), np.bincount(at_other, 1 - won, n)
    trials = _independent_trials(np.concatenate(counts))
    return Proportion.of(float(won.sum()) / len(b), trials)


def _independent_trials(counts: Rows) -> float:
    """Compute how many independent trials M choices among real rows are worth; counts (2n,).

    If half of the 2n rows are called "real" at random, the share has the variance
    sum (c - mean)^2 / (4 M^2) 2n/(2n-1); the share of t fair trials has 1 / 4t. At most M.
    """
    m, pooled = counts.sum(), len(counts)
    spread = ((counts - m / pooled) ** 2).sum() * pooled / (pooled - 1)
    return float(min(m, m * m / spread)) if spread > 0 else float(m)
