"""The PyTorch face: `AugmentedDataset`, `augment_loader`.

All take a model that samples, an augmenter that holds one, or the folder of a saved run.
"""

from gan_augment.torch_api.dataset import AugmentedDataset
from gan_augment.torch_api.loader import augment_loader

__all__ = ["AugmentedDataset", "augment_loader"]
