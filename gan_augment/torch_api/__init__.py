"""The PyTorch face: topped-up data sets and loaders, and remedies that need no new rows.

`AugmentedDataset` and `augment_loader` take a model that samples, an augmenter that holds one, or
the folder of a saved run. `LogitAdjustedLoss`, `corrected_logits`, `Mixup` and `CMO` work in any
training loop.
"""

from gan_augment.augment.mixing import CMO, Mixup
from gan_augment.losses.imbalance import LogitAdjustedLoss, corrected_logits
from gan_augment.torch_api.dataset import AugmentedDataset, augment_loader

__all__ = [
    "CMO",
    "AugmentedDataset",
    "LogitAdjustedLoss",
    "Mixup",
    "augment_loader",
    "corrected_logits",
]
