"""Diagnostics of generated rows over feature arrays (N, d), each usable alone. No files.

`from gan_augment.metrics import coverage` loads the module of that metric alone. What compares a
generator's rows with real ones takes the real rows first; `diagnose` and `copying` compute all of
one class at once.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
_HOMES = {
    "copies": "authenticity copied_share copy_threshold data_copying_limit data_copying_score "
    "identical_share nearer_share nearest_distances",
    "densities": "coverage density expected_coverage neighbour_limit precision recall",
    "diagnostics": "Figure copying diagnose",
    "distances": "frechet_distance frechet_limit kernel_distance kernel_test "
    "mean_pairwise_distance spread_ratio",
    "inception": "Inception InceptionScore fid inception_score inception_score_limit",
    "two_sample": "Proportion Score class_fidelity gan_test gan_train two_sample_test "
    "wilson_interval",
}

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


def __getattr__(name: str) -> object:
    """Import a metric from its module on first use (PEP 562)."""
    for home, names in _HOMES.items():
        if name in names.split():
            value = getattr(import_module(f"{__name__}.{home}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
