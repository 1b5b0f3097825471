"""Datasets and transforms that worker processes can import."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from gan_augment.kinds.kind import Labelled
from gan_augment.torch_api.items import ItemFormat
from gan_augment.torch_api.read import describe_dataset


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


def read_dataset(source: Any, image_size: Any = None, **how: Any) -> tuple[Labelled, ItemFormat]:
    """Read every item of a dataset, with the format of its items."""
    described = describe_dataset(source, **how)
    return described.read(image_size), described.format


def add_noise(image: torch.Tensor) -> torch.Tensor:
    """A transform of the usual kind: it draws from all three global generators."""
    drawn = random.random() + np.random.rand() + torch.rand(()).item()  # noqa: NPY002
    return image + drawn
