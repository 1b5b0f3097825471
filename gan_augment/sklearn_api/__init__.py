"""The scikit-learn face: `GANAugmenter`, `AugmentedClassifier`, imbalanced-learn's pipelines."""

from gan_augment.sklearn_api.augmenter import GANAugmenter
from gan_augment.sklearn_api.classifier import AugmentedClassifier
from gan_augment.sklearn_api.pipelines import Pipeline, make_pipeline

__all__ = ["AugmentedClassifier", "GANAugmenter", "Pipeline", "make_pipeline"]
