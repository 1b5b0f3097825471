"""Labels of a torch dataset without decoding its items, where it says them."""

from __future__ import annotations

from itertools import chain
from typing import Any

import numpy as np
from torch import Tensor
from torch.utils.data import ConcatDataset, Subset, TensorDataset

from gan_augment.data.items.formats import Key

NAMES = ("targets", "labels")


def declared_labels(dataset: Any, label: Key = 1) -> list[Any] | None:
    """The labels that a dataset declares, one an item, as plain values; None where it does not.

    Found in `targets` or `labels` (as torchvision has them), in a TensorDataset's tensor `label`,
    and through Subset and ConcatDataset. They are what is declared: an item's own label may be
    another, where the dataset has a target transform.

    >>> import torch
    >>> data = TensorDataset(torch.zeros(3, 2), torch.tensor([5, 6, 7]))
    >>> declared_labels(Subset(data, [2, 0]))
    [7, 5]
    """
    if isinstance(dataset, Subset):
        inner = declared_labels(dataset.dataset, label)
        return None if inner is None else [inner[int(i)] for i in dataset.indices]
    if isinstance(dataset, ConcatDataset):
        parts = [declared_labels(part, label) for part in dataset.datasets]
        found = [part for part in parts if part is not None]
        return list(chain.from_iterable(found)) if len(found) == len(parts) else None
    if isinstance(dataset, TensorDataset):
        at = label if isinstance(label, int) else 1
        return _one_a_row(dataset.tensors[at], len(dataset)) if at < len(dataset.tensors) else None
    for name in NAMES:
        labels = _one_a_row(getattr(dataset, name, None), len(dataset))
        if labels is not None:
            return labels
    return None


def _one_a_row(values: Any, n: int) -> list[Any] | None:
    """n plain values, or None where these are none."""
    if values is None or callable(values) or isinstance(values, str | bytes | dict):
        return None
    try:
        array = values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
    except (TypeError, ValueError):  # ragged: several labels an item
        return None
    if array.shape not in ((n,), (n, 1)):
        return None
    rows: list[Any] = array.reshape(n).tolist()
    return rows
