"""Diagnostics of generated rows over feature arrays (N, d), each usable alone. No files.

What compares a generator's rows with real ones takes the real rows first; `diagnose` and `copying`
compute all of one class at once. DataError is raised on too few rows, unequal widths, and values
that are not finite.
"""

from __future__ import annotations

from gan_augment.metrics.copies import (
    authenticity,
    copied_share,
    copy_threshold,
    data_copying_limit,
    data_copying_score,
    identical_share,
    nearer_share,
    nearest_distances,
)
from gan_augment.metrics.densities import (
    coverage,
    density,
    expected_coverage,
    neighbour_limit,
    precision,
    recall,
)
from gan_augment.metrics.diagnostics import Figure, copying, diagnose
from gan_augment.metrics.distances import (
    frechet_distance,
    frechet_limit,
    kernel_distance,
    kernel_test,
    mean_pairwise_distance,
    spread_ratio,
)
from gan_augment.metrics.inception import (
    Inception,
    InceptionScore,
    fid,
    inception_score,
    inception_score_limit,
)
from gan_augment.metrics.two_sample import (
    Proportion,
    Score,
    class_fidelity,
    gan_test,
    gan_train,
    two_sample_test,
    wilson_interval,
)

# No module is called as a public function is, or importing the module would hide the function.
__all__ = [
    "Figure",
    "Inception",
    "InceptionScore",
    "Proportion",
    "Score",
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
