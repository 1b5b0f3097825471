"""Datasets and transforms that worker processes can import."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset


class Items(Dataset):
    """A list of items; `read` counts how often it is read."""

    def __init__(self, items: list[Any], **attributes: Any) -> None:
        self.items, self.read = items, 0
        self.__dict__ |= attributes

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Any:
        self.read += 1
        return self.items[index]


def add_noise(image: torch.Tensor) -> torch.Tensor:
    """A transform of the usual kind: it draws from all three global generators."""
    drawn = random.random() + np.random.rand() + torch.rand(()).item()  # noqa: NPY002
    return image + drawn
