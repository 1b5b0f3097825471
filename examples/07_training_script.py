"""PyTorch: what to do about rare classes, and what it changes on images that nothing has seen.

    python examples/07_training_script.py OUT

A third of scikit-learn's digits is for training, with 5 of its 3s, 8s and 9s; the evaluation tests
on another third and recommends a remedy. The training loop with the remedy is measured on the last.
"""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler

from gan_augment import FitOptions, GANAugmenter, ImageGAN, augment_loader, evaluate
from gan_augment.torch_api import LogitAdjustedLoss, Mixup, corrected_logits

UPDATES, BATCH = 100, 32
RARE, RARE_ROWS = (3, 8, 9), 5
Part = tuple[np.ndarray, np.ndarray]


def thirds() -> list[Part]:
    """Split the digits, uint8 (N, 8, 8), and keep 5 of each rare digit in the first third."""
    digits = load_digits()
    x, y = np.rint(digits.images * 255 / 16).astype(np.uint8), digits.target
    rest, last = train_test_split(np.arange(len(y)), test_size=1 / 3, stratify=y, random_state=0)
    first, second = train_test_split(rest, test_size=0.5, stratify=y[rest], random_state=0)
    for digit in RARE:
        first = first[(y[first] != digit) | (np.cumsum(y[first] == digit) <= RARE_ROWS)]
    return [(x[rows], y[rows]) for rows in (first, second, last)]


def tensors(part: Part) -> TensorDataset:
    """Return the images as float32 (N, 1, 8, 8) in 0..1, with their labels."""
    x, y = part
    return TensorDataset(torch.from_numpy(x)[:, None] / 255, torch.from_numpy(y))


def train(data: TensorDataset, arm: str) -> nn.Module:
    """Train a network as you do; each remedy changes one of the lines before the loop."""
    torch.manual_seed(0)
    labels = data.tensors[1]
    counts = labels.bincount()
    loader = DataLoader(data, BATCH, shuffle=True)
    if arm in ("oversample", "mixup"):
        evenly = WeightedRandomSampler(1 / counts[labels], len(labels))
        loader = DataLoader(data, BATCH, sampler=evenly)
    if arm == "gan":
        fit = FitOptions(selection=False)
        loader = augment_loader(loader, GANAugmenter(steps=60, options=fit, random_state=0))
    loss = LogitAdjustedLoss(counts) if arm == "balanced_softmax" else nn.CrossEntropyLoss()
    mix = Mixup(classes=10) if arm == "mixup" else None

    network = nn.Sequential(
        nn.Conv2d(1, 16, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 6 * 6, len(counts))
    )
    optimiser = torch.optim.Adam(network.parameters(), lr=2e-3)
    done = 0
    while done < UPDATES:
        for x, y in loader:
            if mix is not None:
                x, y = mix(x, y)
            optimiser.zero_grad()
            loss(network(x), y).backward()
            optimiser.step()
            done += 1
    return network


def recalls(logits: Tensor, labels: Tensor) -> dict[str, float]:
    """Return the mean recall of the rare digits, of the others, and of all, in percent."""
    right = logits.argmax(dim=1) == labels
    of_class = [100 * right[labels == label].float().mean().item() for label in range(10)]
    others = [recall for digit, recall in enumerate(of_class) if digit not in RARE]
    return {
        "recall of rare digits": float(np.mean([of_class[digit] for digit in RARE])),
        "recall of other digits": float(np.mean(others)),
        "balanced accuracy": float(np.mean(of_class)),
    }


def main(out: Path) -> None:
    """Evaluate, read the recommendation, apply it, and measure it."""
    first, second, last = thirds()
    found = evaluate(
        *first,
        test=second,
        classes=RARE,
        updates=UPDATES,
        arms=["oversample", "balanced_softmax", "mixup"],  # in addition to "none" and "gan"
        augmenter=ImageGAN(steps=60, selection=False),  # a real one trains for minutes
        repeats=2,
        diagnostics=False,
        out=out,
    )
    print(textwrap.fill(found.recommendation, 100))

    advice = found.to_dict()["recommendation"]
    chosen = advice["suggestion"] or advice
    data, (x, y) = tensors(first), tensors(last).tensors
    as_it_is, remedied = (train(data, arm)(x).detach() for arm in ("none", chosen["arm"]))
    if (chosen["arm"], chosen["decision"]) == ("none", "corrected"):
        remedied = corrected_logits(remedied, data.tensors[1].bincount())
    table = pd.DataFrame({"as it is": recalls(as_it_is, y), "recommended": recalls(remedied, y)})
    table["change"] = table["recommended"] - table["as it is"]
    print(f"on {len(y)} images set aside:")
    print(table.round(1).to_string())


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python 07_training_script.py OUT")
    main(Path(sys.argv[1]))
