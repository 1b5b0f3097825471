"""Small drawn pictures for the examples: rings, crosses, and a few bars as the rare class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SIDE_PX = 16
COUNTS = {"ring": 60, "cross": 60, "bar": 8}


def drawn(seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.str_]]:
    """Pictures uint8 (128, 16, 16) and their labels (128,)."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(list(COUNTS), list(COUNTS.values()))
    return np.stack([_picture(str(label), rng) for label in labels]), labels


def _picture(label: str, rng: np.random.Generator) -> NDArray[np.uint8]:
    middle, size = SIDE_PX / 2 + rng.uniform(-2, 2, size=2), rng.uniform(3, 5)
    y, x = np.indices((SIDE_PX, SIDE_PX)) - middle[:, None, None]
    radius = np.hypot(x, y)
    off = {
        "ring": np.abs(radius - size),
        "cross": np.where(radius < size + 1, np.minimum(abs(x), abs(y)), 9),
        "bar": np.where(np.abs(x) < size + 1, np.abs(y), 9),
    }[label]
    ink = 230 * np.clip(1.8 - off, 0, 1) + rng.normal(15, 6, size=(SIDE_PX, SIDE_PX))
    return np.rint(ink).clip(0, 255).astype(np.uint8)
