"""A model of two toy classes, fitted once."""

from __future__ import annotations

import numpy as np
import pytest

from gan_augment import ImageGAN, LabelledImages


def toy_images(counts: dict[str, int], side: int = 8, channels: int = 1) -> LabelledImages:
    """Noise of another brightness for each class; ids are unique."""
    rng = np.random.default_rng(0)
    parts, labels = [], []
    for label, n in enumerate(counts.values()):
        low = 20 + 60 * label
        size = (n, side, side, channels)
        parts.append(rng.integers(low, low + 50, size, dtype=np.uint8))
        labels += [label] * n
    ids = np.array([f"row-{i:03d}" for i in range(len(labels))])
    names = tuple(counts)
    return LabelledImages(np.concatenate(parts), np.array(labels), ids, class_names=names)


@pytest.fixture(scope="session")
def make_images():
    """`toy_images`, for tests that want other counts or shapes."""
    return toy_images


@pytest.fixture(scope="session")
def toy() -> LabelledImages:
    return toy_images({"good": 110, "bad": 6, "ugly": 5})


@pytest.fixture(scope="session")
def fitted(toy: LabelledImages) -> ImageGAN:
    return ImageGAN(steps=12, device="cpu", threads=1).fit(toy)
