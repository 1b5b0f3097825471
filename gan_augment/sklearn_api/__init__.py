"""The scikit-learn face: `GANAugmenter`, `AugmentedClassifier`, imbalanced-learn's pipelines."""

from imblearn.pipeline import Pipeline, make_pipeline

from gan_augment.sklearn_api.augmenter import GANAugmenter
from gan_augment.sklearn_api.classifier import AugmentedClassifier

__all__ = ["AugmentedClassifier", "GANAugmenter", "Pipeline", "make_pipeline"]
