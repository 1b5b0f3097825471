"""Training batches as a function of (seed, step): class-balanced, in same-class pairs."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gan_augment.networks.geometry import to_network
from gan_augment.rng import rng_for

Rows = Tensor | NDArray[np.uint8]


@dataclass(frozen=True)
class Batch:
    """Rows for one step; y, index: int64 (N,), index into the data.

    x: float32 (N, C, H, W) -1..1 of images, (N, width) of encoded rows.
    Rows 2i and 2i + 1 are of one class, and two different rows where the class has two.
    """

    x: Tensor
    y: Tensor
    index: NDArray[np.int64]


class Batches:
    """Draw batches of `size` rows in same-class pairs; labels follow q_c ~ n_c^power.

    A batch is a pure function of (seed, step, turn); rows are drawn with replacement over steps.
    rows: encoded rows (N, width) on the device, or pixels (N, H, W, C), which become edge-padded to
    `padded` px. labels: int64 (N,), below `classes`. power: 1 is the data's own share of each
    class, 0 an equal share; the same for reals and fakes. among: the rows to draw from; None for
    all. partners: int64 (N,), a row whose channels are appended to those of each row; or None.
    """

    def __init__(
        self,
        rows: Rows,
        labels: NDArray[np.int64],
        classes: int,
        *,
        size: int,
        power: float,
        device: torch.device,
        padded: tuple[int, int] | None = None,
        among: NDArray[np.int64] | None = None,
        partners: NDArray[np.int64] | None = None,
    ) -> None:
        self._rows, self._padded = rows, padded
        self._partners = partners
        among = np.arange(len(labels)) if among is None else among
        self._labels, self._size, self._device = labels, size, device
        self._order = among[np.argsort(labels[among], kind="stable")]
        self._counts = np.bincount(labels[among], minlength=classes)
        self._starts = np.cumsum(self._counts) - self._counts
        weights = np.where(self._counts > 0, self._counts.astype(np.float64) ** power, 0.0)
        self._edges: NDArray[np.float64] = np.cumsum(weights / weights.sum())  # (K,), of 0..1

    def part(self, size: int) -> Self:
        """Return the same batches with another size."""
        part = copy.copy(self)
        part._size = size
        return part

    def at(self, seed: int, step: int, turn: int = 0) -> Batch:
        """Return the batch of a step; `turn` counts the D steps within a G step."""
        index = self._drawn(rng_for(seed, "batches", step, turn))
        y = torch.from_numpy(self._labels[index]).to(self._device)
        x = self._on_device(self._rows[index])
        if self._partners is not None:
            x = torch.cat([x, self._on_device(self._rows[self._partners[index]])], dim=1)
        return Batch(x, y, index)

    def _on_device(self, rows: Any) -> Tensor:
        """Return rows in the networks' format."""
        encoded: Tensor = rows
        return encoded if self._padded is None else to_network(rows, self._padded).to(self._device)

    def _drawn(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """Return rows (size,); 2i and 2i + 1 share a class, and differ if it has two rows."""
        pairs = self._size // 2
        last = np.flatnonzero(self._counts)[-1]
        label = np.minimum(np.searchsorted(self._edges, rng.random(pairs), side="right"), last)
        count = self._counts[label]
        first = (rng.random(pairs) * count).astype(np.int64)
        step_on = 1 + (rng.random(pairs) * np.maximum(count - 1, 1)).astype(np.int64)
        both = np.stack([first, (first + step_on) % count], axis=1)  # (pairs, 2)
        rows: NDArray[np.int64] = self._order[(self._starts[label][:, None] + both).reshape(-1)]
        return rows
