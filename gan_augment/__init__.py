"""Top up rare classes with GAN samples. Names load their modules on first use.

Other modules: `gan_augment.commands` (each command as a function), `gan_augment.metrics`,
`gan_augment.evaluation.result`, `gan_augment.report.html`, `gan_augment.recipes`,
`gan_augment.training.callbacks`, `gan_augment.data.arrays`, `gan_augment.distributed` and
`gan_augment.errors`. The faces `gan_augment.sklearn_api` and `gan_augment.torch_api` export the
names of their kind.

>>> import gan_augment
>>> sorted(gan_augment.__all__)[:3]
['AugmentedClassifier', 'AugmentedDataset', 'DataError']
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.2.0"

SPIN_COUNT = "10000"
"""Rounds that an idle OpenMP thread spins before it sleeps; libgomp's default is 300,000.

A longer spin takes the cores that other processes need (see examples/benchmarks/threads.py).
libgomp reads the variable when torch is imported, and worker processes inherit it.
"""
if "torch" not in sys.modules and "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)

_NAMES = {
    "options": ("FitOptions", "TopUp"),
    "kinds.kind": ("Labelled",),
    "data.images.reader": ("read_images",),
    "data.signals": ("read_signals",),
    "data.tables.reader": ("read_frame", "read_table"),
    "errors": ("DataError", "GanAugmentError", "UsageError"),
    "evaluation.options": ("EvaluationOptions",),
    "evaluation.runner": ("fit_remedy",),
    "sklearn_api": (
        "AugmentedClassifier",
        "GANAugmenter",
        "PriorCorrectedClassifier",
        "make_pipeline",
    ),
    "sklearn_api.evaluating": ("evaluate",),
    "sklearn_api.features": ("FrozenFeatures",),
    "generators.baselines": ("Repeats", "Smote"),
    "generators.image_gan": ("ImageGAN",),
    "generators.tabular_gan": ("TabularGAN",),
    "torch_api": ("AugmentedDataset", "augment_loader"),
}
_HOMES = {name: f"gan_augment.{home}" for home, names in _NAMES.items() for name in names}

if TYPE_CHECKING:
    from gan_augment.data.images.reader import read_images as read_images
    from gan_augment.data.signals import read_signals as read_signals
    from gan_augment.data.tables.reader import read_frame as read_frame
    from gan_augment.data.tables.reader import read_table as read_table
    from gan_augment.errors import DataError as DataError
    from gan_augment.errors import GanAugmentError as GanAugmentError
    from gan_augment.errors import UsageError as UsageError
    from gan_augment.evaluation.options import EvaluationOptions as EvaluationOptions
    from gan_augment.evaluation.runner import fit_remedy as fit_remedy
    from gan_augment.generators.baselines import Repeats as Repeats
    from gan_augment.generators.baselines import Smote as Smote
    from gan_augment.generators.image_gan import ImageGAN as ImageGAN
    from gan_augment.generators.tabular_gan import TabularGAN as TabularGAN
    from gan_augment.kinds.kind import Labelled as Labelled
    from gan_augment.options import FitOptions as FitOptions
    from gan_augment.options import TopUp as TopUp
    from gan_augment.sklearn_api import AugmentedClassifier as AugmentedClassifier
    from gan_augment.sklearn_api import GANAugmenter as GANAugmenter
    from gan_augment.sklearn_api import PriorCorrectedClassifier as PriorCorrectedClassifier
    from gan_augment.sklearn_api import make_pipeline as make_pipeline
    from gan_augment.sklearn_api.evaluating import evaluate as evaluate
    from gan_augment.sklearn_api.features import FrozenFeatures as FrozenFeatures
    from gan_augment.torch_api import AugmentedDataset as AugmentedDataset
    from gan_augment.torch_api import augment_loader as augment_loader
else:
    __all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> object:
    """Import a public name from its home on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(["__version__", *_HOMES])
