"""The scikit-learn face: sampler, classifiers, and imbalanced-learn's pipelines."""

from imblearn.pipeline import Pipeline, make_pipeline

from gan_augment.evaluation.estimators import TableEncoder
from gan_augment.sklearn_api.augmenter import GANAugmenter
from gan_augment.sklearn_api.classifier import AugmentedClassifier
from gan_augment.sklearn_api.prior import PriorCorrectedClassifier

__all__ = [
    "AugmentedClassifier",
    "GANAugmenter",
    "Pipeline",
    "PriorCorrectedClassifier",
    "TableEncoder",
    "make_pipeline",
]
