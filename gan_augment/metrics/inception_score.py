"""Inception score: how sure a classifier of photographs is, and of how many different things."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from gan_augment.errors import DataError, UsageError
from gan_augment.metrics.distances import feature_rows, in_order
from gan_augment.randomness import generator
from gan_augment.user_warnings import SmallSampleWarning, warn

_FEWEST = 5_000


class InceptionScore(NamedTuple):
    """The mean over the splits, and their standard deviation (that of the population)."""

    mean: float
    std: float


def inception_score(probabilities: ArrayLike, splits: int = 10, *, seed: int = 0) -> InceptionScore:
    """exp(mean_x KL(p(y|x) || p(y))), in each of equal parts of the images, drawn with the seed.

    Shapes: probabilities (N, K), rows that sum to 1, N >= splits -> mean and deviation, 1..K. It
    sees no real image, and knows the 1,008 things of ImageNet: on other pictures it says little.
    Source: Salimans et al. 2016, "Improved techniques for training GANs", section 4.
    Raises DataError where rows are no probabilities, UsageError on more splits than images.
    Warns with SmallSampleWarning under 5,000 images a split.

    >>> import warnings
    >>> with warnings.catch_warnings(action="ignore"):
    ...     inception_score([[1.0, 0.0], [0.0, 1.0]], splits=1)
    InceptionScore(mean=2.0, std=0.0)
    """
    rows = feature_rows(probabilities, "probabilities")
    if (rows < 0).any() or not np.allclose(rows.sum(axis=1), 1, atol=1e-4):
        raise DataError("rows of probabilities must be >= 0 and sum to 1; apply a softmax first.")
    if not 1 <= splits <= len(rows):
        raise UsageError(f"splits={splits} of {len(rows)} images; expected 1..{len(rows)}.")
    limit = inception_score_limit(len(rows), splits)
    if limit:
        warn(limit, SmallSampleWarning)
    order = generator(seed, "inception score", len(rows)).permutation(len(rows))
    parts = np.array_split(in_order(rows)[order], splits)
    scores = [_score(part) for part in parts]
    return InceptionScore(float(np.mean(scores)), float(np.std(scores)))


def inception_score_limit(n: int, splits: int = 10) -> str | None:
    """Why an Inception score of n images says little, or None from 5,000 images a split on."""
    if n >= _FEWEST * splits:
        return None
    return (
        f"Inception score of {n} images in {splits} splits falls short of its large-sample value: "
        f"it is reported at {_FEWEST} a split. Compare only equal numbers, or use kernel_distance."
    )


def _score(part: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float:
    from scipy.special import rel_entr

    return float(np.exp(rel_entr(part, part.mean(axis=0)).sum(axis=1).mean()))
