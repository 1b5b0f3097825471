"""A PyTorch training script, before and after: the difference is one line.

python examples/07_training_script.py OUT
"""

from __future__ import annotations

import sys

import torch
from shapes import COUNTS, drawn
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from gan_augment import FitOptions, GANAugmenter, augment_loader

CLASSES = list(COUNTS)
EPOCHS = 20


def dataset(seed: int) -> TensorDataset:
    """Drawn pictures as float32 (1, 16, 16) in 0..1, and class indices."""
    pictures, labels = drawn(seed)
    x = torch.from_numpy(pictures).unsqueeze(1).float().div(255)
    return TensorDataset(x, torch.tensor([CLASSES.index(label) for label in labels]))


def train(loader: DataLoader) -> nn.Module:
    """The training loop that you have: it knows nothing of what is in the loader."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 7 * 7, len(CLASSES))
    )
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(EPOCHS):
        for images, labels in loader:
            optimiser.zero_grad()
            nn.functional.cross_entropy(model(images), labels).backward()
            optimiser.step()
    return model


def report(title: str, loader: DataLoader) -> None:
    """Train, and say what an epoch held and how many unseen pictures of each class are found."""
    model = train(loader)
    held = torch.cat([labels for _, labels in loader]).bincount(minlength=len(CLASSES)).tolist()
    images, labels = dataset(seed=1).tensors
    right = model(images).argmax(1) == labels
    found = {name: f"{right[labels == i].float().mean():.0%}" for i, name in enumerate(CLASSES)}
    print(f"{title}: {len(loader)} batches an epoch of {dict(zip(CLASSES, held, strict=True))}")
    print(f"  found of unseen pictures: {found}")


def main() -> None:
    """The same script twice; the second time with the one line."""
    loader = DataLoader(dataset(seed=0), batch_size=16, shuffle=True)
    report("before", loader)

    # So few steps make nothing that selection would keep, and it is left out.
    augmenter = GANAugmenter(
        steps=60, n_jobs=1, random_state=0, options=FitOptions(selection=False)
    )
    loader = augment_loader(loader, augmenter)  # the one line
    report("after", loader)
    print("of what:", loader.dataset.counts["2"])


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python 07_training_script.py OUT (nothing is written there)")
    main()
