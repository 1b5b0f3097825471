"""Distances between two sets of features, the two-sample test, and the checks of all metrics."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gan_augment.errors import DataError
from gan_augment.rng import rng_for

Rows = NDArray[np.float64]
"""Features (N, d)."""
_FOLDS = 5


def feature_rows(values: ArrayLike, name: str, least: int = 1) -> Rows:
    """Check `values` and return them as float64 (N, d), N >= least.

    Raises DataError, with `name`, for another shape, too few rows, or values that are not finite.
    """
    rows = np.asarray(values, dtype=np.float64)
    if rows.ndim != 2 or len(rows) < least or rows.shape[1] < 1:
        raise DataError(
            f"{name} has shape {rows.shape}; expected (N, d) with N >= {least} and d >= 1."
        )
    if not np.isfinite(rows).all():
        bad = int((~np.isfinite(rows).all(axis=1)).sum())
        raise DataError(f"{bad} of {len(rows)} rows of {name} are not finite. Drop them first.")
    return rows


def feature_sets(least: int = 1, **sets: ArrayLike) -> list[Rows]:
    """Check several sets of one width by `feature_rows`; the keywords are their names."""
    rows = [feature_rows(values, name, least) for name, values in sets.items()]
    widths = [one.shape[1] for one in rows]
    if len(set(widths)) > 1:
        raise DataError(f"the sets have {widths} features; expected one feature map for all.")
    return rows


def draw_rows(rows: Rows, n: int, rng: np.random.Generator) -> Rows:
    """Draw n of the rows (N, d) without replacement, independent of their order; all if N <= n."""
    keys = [row.tobytes() for row in rows + 0.0]  # -0.0 equals 0.0
    ordered = rows[sorted(range(len(rows)), key=keys.__getitem__)]
    if len(rows) <= n:
        return ordered
    return ordered[np.sort(rng.choice(len(rows), n, replace=False))]


def kernel_distance(x: ArrayLike, y: ArrayLike) -> float:
    """Compute the unbiased squared maximum mean discrepancy with k(a, b) = (a.b / d + 1)^3.

    Parameters
    ----------
    x, y
        Features (N, d) and (M, d), N and M >= 2. The kernel matrices are held in memory.

    Returns
    -------
    float
        In the unit of the kernel. Its mean is 0 for two sets of one distribution, so it may be
        slightly negative.

    Notes
    -----
    Source: Binkowski et al. 2018, "Demystifying MMD GANs", eq. 4 and section 3.

    Examples
    --------
    >>> kernel_distance([[0.0], [0.0]], [[1.0], [1.0]])
    7.0
    """
    a, b = feature_sets(2, x=x, y=y)
    inside = 0.0
    for rows in (a, b):
        within = _kernel(rows, rows)
        inside += (within.sum() - within.trace()) / (len(rows) * (len(rows) - 1))
    return float(inside - 2 * _kernel(a, b).mean())


def mean_pairwise_distance(x: ArrayLike) -> float:
    """Compute the mean Euclidean distance over all pairs of different rows.

    Parameters
    ----------
    x
        Features (N, d), N >= 2.

    Returns
    -------
    float
        The ratio of synthetic to real rows shows lost variety: below 0.3 is collapse.

    Examples
    --------
    >>> mean_pairwise_distance([[0.0, 0.0], [3.0, 4.0]])
    5.0
    """
    from scipy.spatial.distance import pdist

    return float(pdist(feature_rows(x, "x", least=2)).mean())


def _kernel(a: Rows, b: Rows) -> Rows:
    """Compute the kernel of all pairs, (N, M)."""
    products = a @ b.T / a.shape[1] + 1
    return np.asarray(products * products * products)  # ten times as fast as a power


class Proportion(NamedTuple):
    """A share with its 95 % interval.

    Parameters
    ----------
    value, low, high
        The share and the bounds of its interval, all in 0..1.
    """

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, value: float, trials: float) -> Proportion:
        """Add the interval of Wilson 1927 to a share of `trials` independent trials.

        Parameters
        ----------
        value, trials
            The share in 0..1. Trials need not be whole, unlike in `scipy.stats.binomtest`: folds
            share training rows.

        Returns
        -------
        Proportion
            The share with its interval.

        Examples
        --------
        >>> [round(number, 4) for number in Proportion.of(0.5, 10)]
        [0.5, 0.2366, 0.7634]
        """
        z = 1.959963984540054
        scale, centre = 1 + z * z / trials, value + z * z / (2 * trials)
        half = z * math.sqrt(value * (1 - value) / trials + (z / (2 * trials)) ** 2)
        return cls(value, max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale))


def two_sample_test(real: ArrayLike, synthetic: ArrayLike, *, seed: int = 0) -> Proportion:
    """Measure the accuracy of a classifier that distinguishes real from synthetic rows.

    The ideal is 0.5. Near 1, a classifier trained on topped-up data could learn "looks generated,
    so it is the rare class".

    Parameters
    ----------
    real, synthetic
        Features (N, d) and (M, d), N and M >= 4. Equally many rows of both sets are drawn.
    seed
        Seed of the draw and of the folds. The order of the rows does not matter.

    Returns
    -------
    Proportion
        Accuracy in five folds of logistic regression on standardised features. Folds share training
        rows, so the variance of k folds is taken as 1 + k/(k-1) times that of independent
        judgements (measured: 1.5 to 1.9 times with 20 to 300 rows and 8 to 64 features).

    Notes
    -----
    Sources: Lopez-Paz & Oquab 2017, "Revisiting classifier two-sample tests"; Nadeau & Bengio 2003,
    "Inference for the generalization error" (the variance).

    Examples
    --------
    >>> real = [[float(i)] for i in range(20)]
    >>> two_sample_test(real, [[row[0] + 50] for row in real]).value
    1.0
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import PredefinedSplit, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    a, b = feature_sets(4, real=real, synthetic=synthetic)
    n = min(len(a), len(b))
    rng = rng_for(seed, "two sample", n)
    x = np.concatenate([draw_rows(a, n, rng), draw_rows(b, n, rng)])
    y = np.repeat([0, 1], n)
    fold = np.concatenate([rng.permutation(n) % _FOLDS for _ in range(2)])
    learner = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    hits = int((cross_val_predict(learner, x, y, cv=PredefinedSplit(fold)) == y).sum())
    folds = min(_FOLDS, n)
    return Proportion.of(hits / (2 * n), 2 * n / (1 + folds / (folds - 1)))
