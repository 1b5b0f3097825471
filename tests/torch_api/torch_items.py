"""Datasets and transforms that processes started by the tests of the PyTorch face can import."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset


class Items(Dataset):
    """What it is given, item by item; counts how often it is read."""

    def __init__(self, items: list[Any]) -> None:
        self.items, self.read = items, 0

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Any:
        self.read += 1
        return self.items[index]


def add_noise(image: torch.Tensor) -> torch.Tensor:
    """A transform of the usual kind: it draws from all three global generators."""
    drawn = random.random() + np.random.rand() + torch.rand(()).item()  # noqa: NPY002
    return image + drawn


class Compose:
    """What is used of albumentations' Compose, without its import of a second."""

    def __init__(self, dtype: type = np.uint8) -> None:
        self.dtype, self.rng = dtype, np.random.default_rng()

    def set_random_state(
        self, random_generator: np.random.Generator, py_random: random.Random
    ) -> None:
        self.rng = random_generator

    def __call__(self, *, image: np.ndarray) -> dict[str, np.ndarray]:
        assert image.dtype == np.uint8
        assert image.ndim == 3
        image[:2] = self.rng.integers(0, 256, image[:2].shape)
        return {"image": image.astype(self.dtype)}
