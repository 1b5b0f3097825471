"""Evaluate whether topping up helps your own network, given as a training function.

    python examples/09_own_training_function.py OUT

A training function takes the rows of a fold and returns what predicts; `evaluate` calls it for
every fold and every way of topping up, for the same number of updates each time. On the command
line: gan-augment evaluate photos/ --learner my_module:train
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from shapes import drawn
from torch import nn

from gan_augment import ImageGAN, evaluate
from gan_augment.kinds.kind import Labelled

BATCH = 32


def train(
    data: Labelled, *, seed: int, updates: int, weights: np.ndarray | None
) -> Callable[[np.ndarray], torch.Tensor]:
    """A small network trained for exactly `updates` steps, every row drawn equally often.

    data.pixels: uint8 (N, H, W, C); data.labels: int64 (N,), indices into data.names. weights:
    float32 (K,), what each class weighs in the loss, or None. Returns a function of uint8 pixels
    (n, H, W, C) that gives logits (n, K).
    """
    rng = np.random.default_rng(seed)
    height, width, channels = data.image_shape
    torch.manual_seed(seed)  # the caller's generators come back as they were
    net = nn.Sequential(
        nn.Conv2d(channels, 8, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(8 * -(-height // 2) * -(-width // 2), len(data.names)),
    )
    loss = nn.CrossEntropyLoss(None if weights is None else torch.from_numpy(weights))
    optimiser = torch.optim.Adam(net.parameters(), lr=3e-3)
    for _ in range(updates):
        rows = rng.integers(len(data), size=BATCH)
        optimiser.zero_grad()
        loss(net(as_input(data.pixels[rows])), torch.from_numpy(data.labels[rows])).backward()
        optimiser.step()
    net.eval()
    return lambda pixels: net(as_input(pixels))


def as_input(pixels: np.ndarray) -> torch.Tensor:
    """uint8 (n, H, W, C) -> float32 (n, C, H, W) in 0..1."""
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255


def main(out: Path) -> None:
    """Evaluate on drawn pictures, a few bars among rings and crosses, and print the verdict."""
    pictures, labels = drawn()
    found = evaluate(
        pictures,
        labels,
        learner=train,
        updates=40,
        augmenter=ImageGAN(steps=5, selection=False),  # after 5 steps nothing is worth keeping
        classes=["bar"],
        arms=["oversample"],  # in addition to "none" and "gan"; the default has more
        folds=2,
        out=out,
        force=True,  # a verdict needs 30 bars
    )
    print("\n".join(found.lines()))
    print("the verdict:", found.verdict)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
