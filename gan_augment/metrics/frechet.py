"""Frechet distance: how far apart two sets of features lie, taken as two normal distributions."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gan_augment.metrics.distances import feature_rows, same_width
from gan_augment.user_warnings import SmallSampleWarning, warn


def frechet_distance(real: ArrayLike, synthetic: ArrayLike) -> float:
    """|m1 - m2|^2 + tr S1 + tr S2 - 2 sum sqrt(eig(S1 S2)), m and S being means and covariances.

    Shapes: real (N, d), synthetic (M, d), N and M >= 2 -> one number >= 0. Unit: the features',
    squared. Covariances divide by N - 1. It is biased upwards, more so with few rows: compare only
    values of equal sizes, and see `frechet_limit`. It is FID only in Inception features.
    Source: Heusel et al. 2017, "GANs trained by a two time-scale update rule", eq. 6; the distance
    is Dowson & Landau's of 1982.
    Raises DataError on fewer than two rows, unequal widths or values that are not finite.
    Warns with SmallSampleWarning below 10 rows a feature.

    >>> import warnings
    >>> with warnings.catch_warnings(action="ignore"):
    ...     frechet_distance([[0.0], [2.0]], [[5.0], [7.0]])
    25.0
    """
    a, b = feature_rows(real, "real", least=2), feature_rows(synthetic, "synthetic", least=2)
    same_width(a, b)
    limit = frechet_limit(len(a), len(b), a.shape[1])
    if limit:
        warn(limit, SmallSampleWarning)
    return frechet_between(a, b)


def frechet_limit(n_real: int, n_synthetic: int, width: int) -> str | None:
    """Why a Frechet distance of these sizes says little, or None from 10 rows a feature on."""
    fewest = min(n_real, n_synthetic)
    if fewest >= 10 * width:
        return None
    return (
        f"Frechet distance of {n_real} and {n_synthetic} rows in {width} features is not "
        f"interpretable: its covariances need {10 * width} rows (10 a feature). "
        "Use kernel_distance, which is unbiased at any size."
    )


def frechet_between(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """The distance of rows that are checked: (N, d) and (M, d), both of two rows or more."""
    shift = a.mean(axis=0) - b.mean(axis=0)
    root_a, root_b = _root(a), _root(b)
    # eig(A'A B'B) are the squared singular values of A B': no square root of a singular matrix.
    overlap = np.linalg.svd(root_a @ root_b.T, compute_uv=False).sum()
    value = shift @ shift + (root_a**2).sum() + (root_b**2).sum() - 2 * overlap
    return max(0.0, float(value))


def _root(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Some A with A'A = the covariance: the centred rows, or their triangle where that is less."""
    centred: NDArray[np.float64] = (rows - rows.mean(axis=0)) / np.sqrt(len(rows) - 1)
    if len(rows) <= rows.shape[1]:
        return centred
    return np.asarray(np.linalg.qr(centred, mode="r"))
