"""Photos and a pretrained network: features first, rows in their space, and a recommendation.

    python examples/12_photos.py OUT

The photos are drawn, and so that nothing is downloaded the network is a fixed one of random
weights; put a file of real ones in its place, such as `FrozenFeatures("lite0.pth")`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from shapes import drawn
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.preprocessing import StandardScaler

import gan_augment
from gan_augment import FrozenFeatures, GANAugmenter, make_pipeline


def photos(folder: Path) -> tuple[list[Path], list[str]]:
    """Write JPEGs of 96 px, a folder a class; their paths and labels."""
    paths, labels = [], []
    for number, (picture, label) in enumerate(zip(*drawn(), strict=True)):
        path = folder / str(label) / f"{number:04d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).resize((96, 96)).convert("RGB").save(path)
        paths.append(path)
        labels.append(str(label))
    return paths, labels


def network() -> torch.nn.Module:
    """Stands in for a pretrained network: three layers of fixed random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = [torch.nn.Conv2d(*c, 3, stride=2) for c in ((3, 16), (16, 32), (32, 64))]
    return torch.nn.Sequential(*(part for layer in layers for part in (layer, torch.nn.ReLU())))


def main(out: Path) -> None:
    """Train a head on half of the photos with and without added rows; then ask the evaluator."""
    paths, labels = photos(out / "photos")
    features = FrozenFeatures(network(), image_size=64)
    first, second = slice(0, None, 2), slice(1, None, 2)
    for name, more in (("as it is", ()), ("topped up", (GANAugmenter(random_state=0),))):
        model = make_pipeline(features, StandardScaler(), *more, LogisticRegression(C=0.01))
        called = model.fit(paths[first], labels[first]).predict(paths[second])
        print(f"{name}: balanced accuracy {balanced_accuracy_score(labels[second], called):.3f}")

    rows = features.fit_transform(paths)  # each photo was computed once, and is not again
    print(f"{len(rows)} photos, {rows.shape[1]} features each")
    head = LogisticRegression(C=0.01)
    how = {"folds": 2, "repeats": 1, "force": True}  # a verdict needs 30 rare photos
    found = gan_augment.evaluate(rows, np.array(labels), learner=head, **how)
    print(found.recommendation)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
