"""The PyTorch face: `AugmentedDataset`, `SyntheticDataset`, `augment_loader`.

It takes anything that samples: a synthesizer, an augmenter that keeps one, or a saved run.
"""

from gan_augment.torch_api.dataset import AugmentedDataset, SyntheticDataset
from gan_augment.torch_api.loader import augment_loader

__all__ = ["AugmentedDataset", "SyntheticDataset", "augment_loader"]
