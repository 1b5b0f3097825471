"""Diagnostics of generated rows as functions of feature arrays (N, d).

Functions that compare a generator's rows with real rows take the real rows first. `diagnose` and
`copying` compute all figures of one class. DataError is raised for too few rows, unequal widths,
and values that are not finite.
"""

from __future__ import annotations

from gan_augment.metrics.copies import (
    copied_share,
    copy_threshold,
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
    class_fidelity,
    two_sample_test,
    wilson_interval,
)

# No module has the name of a public function: importing the module would hide the function.
__all__ = [
    "Figure",
    "Inception",
    "InceptionScore",
    "Proportion",
    "class_fidelity",
    "copied_share",
    "copy_threshold",
    "copying",
    "coverage",
    "density",
    "diagnose",
    "expected_coverage",
    "fid",
    "frechet_distance",
    "frechet_limit",
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
