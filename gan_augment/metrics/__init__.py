"""Diagnostics of generated rows as functions of feature arrays (N, d).

Functions that compare a generator's rows with real rows take the real rows first. `diagnose` and
`copying` compute all figures of one class. DataError is raised for too few rows, unequal widths,
and values that are not finite.
"""

from __future__ import annotations

from gan_augment.metrics.diagnostics import Figure, copying, diagnose
from gan_augment.metrics.distances import (
    Proportion,
    kernel_distance,
    mean_pairwise_distance,
    two_sample_test,
)
from gan_augment.metrics.neighbours import (
    copied_share,
    copy_threshold,
    coverage,
    density,
    expected_coverage,
    nearer_share,
    nearest_distances,
)

__all__ = [
    "Figure",
    "Proportion",
    "copied_share",
    "copy_threshold",
    "copying",
    "coverage",
    "density",
    "diagnose",
    "expected_coverage",
    "kernel_distance",
    "mean_pairwise_distance",
    "nearer_share",
    "nearest_distances",
    "two_sample_test",
]
