"""Items of a user's dataset by their numbers, a batch at a time, as fast as that dataset allows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Subset, TensorDataset

_SMALL_BYTES = 16_384  # rows up to here are gathered faster than indexed one by one (1 us each)
_TORCH_ONLY = (torch.bfloat16, torch.complex32)  # dtypes without a NumPy one


class RealItems:
    """The items of a map-style dataset, in order, as `[dataset[i] for i in rows]` has them.

    By its own `__getitems__` where it has one. A TensorDataset, whose whole cost is indexing, is
    read tensor by tensor: small rows are gathered, and are then copies, where its own are views.

    >>> dataset = TensorDataset(torch.arange(6).view(3, 2), torch.tensor([7, 8, 9]))
    >>> RealItems(dataset).of(np.array([2, 0]))
    [(tensor([4, 5]), tensor(9)), (tensor([0, 1]), tensor(7))]
    """

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset
        self._rows: NDArray[np.int64] | None = None
        if type(dataset) is Subset and type(dataset.dataset) is TensorDataset:
            self._dataset = dataset.dataset
            self._rows = np.array([int(i) for i in dataset.indices], dtype=np.int64)
        tensors = self._dataset.tensors if type(self._dataset) is TensorDataset else ()
        self._gathered = [_is_small(tensor) for tensor in tensors]

    def of(self, rows: NDArray[np.int64]) -> list[Any]:
        """The items of the given rows."""
        rows = rows if self._rows is None else self._rows[rows]
        dataset, listed = self._dataset, rows.tolist()
        if self._gathered:
            held = zip(dataset.tensors, self._gathered, strict=True)
            parts = [_gathered(t, rows) if small else [t[i] for i in listed] for t, small in held]
            return list(zip(*parts, strict=True))
        together = getattr(dataset, "__getitems__", None)
        if callable(together):
            return list(together(listed))
        return [dataset[i] for i in listed]


def _gathered(tensor: Tensor, rows: NDArray[np.int64]) -> Sequence[Tensor]:
    """Copies of rows, by NumPy: torch's index_select is slower, and would start threads."""
    return torch.from_numpy(tensor.numpy().take(rows, axis=0)).unbind(0)


def _is_small(tensor: Tensor) -> bool:
    """Whether rows are plain numbers, and so few that copying them costs nothing."""
    here = type(tensor) is Tensor and tensor.device.type == "cpu"
    plain = here and not tensor.requires_grad and tensor.dtype not in _TORCH_ONLY
    return plain and tensor.element_size() * tensor[:1].numel() <= _SMALL_BYTES
