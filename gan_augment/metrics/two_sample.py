"""The two-sample test: how well a classifier distinguishes real from synthetic rows."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from gan_augment.metrics.distances import draw_rows, feature_sets
from gan_augment.rng import rng_for

_FOLDS = 5


class Proportion(NamedTuple):
    """A share 0..1 with the bounds of its 95 % interval."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, value: float, trials: float) -> Proportion:
        """Add the interval of Wilson 1927 to a share of `trials` independent trials.

        Trials need not be whole, unlike in `scipy.stats.binomtest`: folds share training rows.

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
