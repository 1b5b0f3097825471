"""The scikit-learn face: `GANAugmenter`, and imbalanced-learn's `Pipeline` and `make_pipeline`."""

from gan_augment.sklearn_api.augmenter import GANAugmenter
from gan_augment.sklearn_api.pipelines import Pipeline, make_pipeline

__all__ = ["GANAugmenter", "Pipeline", "make_pipeline"]
