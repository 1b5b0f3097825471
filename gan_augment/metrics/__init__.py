"""Formulas over feature arrays (N, d), each usable alone. No networks, no files.

`from gan_augment.metrics import coverage`. What compares a generator's rows with real ones takes
the real rows first; `diagnose` and `copying` compute all of one class at once.
"""

from gan_augment.metrics.authentic import authenticity
from gan_augment.metrics.class_fidelity import class_fidelity
from gan_augment.metrics.classification_score import Score, gan_test, gan_train
from gan_augment.metrics.copies import (
    copied_share,
    copy_threshold,
    identical_share,
    nearest_distances,
)
from gan_augment.metrics.data_copying import data_copying_limit, data_copying_score
from gan_augment.metrics.density_coverage import coverage, density, expected_coverage
from gan_augment.metrics.diagnose import Figure, copying, diagnose
from gan_augment.metrics.frechet import frechet_distance, frechet_limit
from gan_augment.metrics.inception import Inception, fid
from gan_augment.metrics.inception_score import (
    InceptionScore,
    inception_score,
    inception_score_limit,
)
from gan_augment.metrics.intervals import Share, wilson_interval
from gan_augment.metrics.kernel_distance import kernel_distance
from gan_augment.metrics.nearer import nearer_share
from gan_augment.metrics.neighbours import neighbour_limit
from gan_augment.metrics.permutation_test import kernel_test
from gan_augment.metrics.precision_recall import precision, recall
from gan_augment.metrics.spread import mean_pairwise_distance, spread_ratio
from gan_augment.metrics.two_sample import two_sample_test

__all__ = [
    "Figure",
    "Inception",
    "InceptionScore",
    "Score",
    "Share",
    "authenticity",
    "class_fidelity",
    "copied_share",
    "copy_threshold",
    "copying",
    "coverage",
    "data_copying_limit",
    "data_copying_score",
    "density",
    "diagnose",
    "expected_coverage",
    "fid",
    "frechet_distance",
    "frechet_limit",
    "gan_test",
    "gan_train",
    "identical_share",
    "inception_score",
    "inception_score_limit",
    "kernel_distance",
    "kernel_test",
    "mean_pairwise_distance",
    "nearer_share",
    "nearest_distances",
    "neighbour_limit",
    "precision",
    "recall",
    "spread_ratio",
    "two_sample_test",
    "wilson_interval",
]
