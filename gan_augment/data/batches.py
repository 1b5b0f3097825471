"""Training batches as a function of (seed, step): class-balanced, in same-class pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gan_augment.data.contract import LabelledImages
from gan_augment.data.images.memmap import drop_pages
from gan_augment.data.pixels import to_network
from gan_augment.randomness import generator

_DROP_PAGES_EVERY = 16  # of 64 rows: at most 64 MiB of a mapped file count as the process's own


@dataclass(frozen=True)
class Batch:
    """Rows for one step; y, index: int64 (N,), index into the data.

    x: float32 (N, C, H, W) -1..1 of images, (N, width) of encoded rows.
    Rows 2i and 2i + 1 are of one class, and two different rows where the class has two.
    """

    x: Tensor
    y: Tensor
    index: NDArray[np.int64]


class Batches(Protocol):
    """Where a run's batches come from."""

    def at(self, seed: int, step: int, turn: int = 0) -> Batch:
        """The batch of one step, a pure function; `turn` counts D steps inside one G step."""


class PairedRows:
    """Draws row numbers in same-class pairs, their labels following q_c ~ n_c^power.

    labels: int64 (N,); among: the rows to draw from, None for all. power 1 is the data's own share
    of each class, 0 an equal share.
    """

    def __init__(
        self,
        labels: NDArray[np.int64],
        classes: int,
        *,
        power: float,
        among: NDArray[np.int64] | None = None,
    ) -> None:
        among = np.arange(len(labels)) if among is None else among
        self._order = among[np.argsort(labels[among], kind="stable")]
        self._counts = np.bincount(labels[among], minlength=classes)
        self._starts = np.cumsum(self._counts) - self._counts
        weights = np.where(self._counts > 0, self._counts.astype(np.float64) ** power, 0.0)
        self._edges: NDArray[np.float64] = np.cumsum(weights / weights.sum())  # (K,), of 0..1

    def draw(self, size: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """(size,) row numbers; 2i and 2i + 1 are of one class, different where it has two rows."""
        pairs = size // 2
        last = np.flatnonzero(self._counts)[-1]
        label = np.minimum(np.searchsorted(self._edges, rng.random(pairs), side="right"), last)
        count = self._counts[label]
        first = (rng.random(pairs) * count).astype(np.int64)
        step_on = 1 + (rng.random(pairs) * np.maximum(count - 1, 1)).astype(np.int64)
        both = np.stack([first, (first + step_on) % count], axis=1)  # (pairs, 2)
        rows: NDArray[np.int64] = self._order[(self._starts[label][:, None] + both).reshape(-1)]
        return rows


class PairedBatches:
    """Batches of `size` images whose labels follow q_c ~ n_c^power, the same for reals and fakes.

    power, among: as `PairedRows` has them. Rows are drawn with replacement over steps.
    The pixels are read in place, never copied whole.
    """

    def __init__(
        self,
        data: LabelledImages,
        *,
        size: int,
        power: float,
        padded: tuple[int, int],
        device: torch.device,
        among: NDArray[np.int64] | None = None,
    ) -> None:
        self._data, self._size = data, size
        self._padded, self._device = padded, device
        self._rows = PairedRows(data.labels, len(data.names), power=power, among=among)

    def at(self, seed: int, step: int, turn: int = 0) -> Batch:
        """The batch of one step."""
        index = self._rows.draw(self._size, generator(seed, "batches", step, turn))
        x = to_network(self._data.pixels[index], self._padded).to(self._device)
        if step % _DROP_PAGES_EVERY == 0:
            drop_pages(self._data.pixels)
        y = torch.from_numpy(self._data.labels[index]).to(self._device)
        return Batch(x, y, index)


class RowBatches:
    """Batches of `size` encoded rows (N, width), drawn as `PairedBatches` draws images."""

    def __init__(
        self,
        rows: Tensor,
        labels: NDArray[np.int64],
        classes: int,
        *,
        size: int,
        power: float,
    ) -> None:
        self._encoded, self._labels, self._size = rows, torch.from_numpy(labels), size
        self._rows = PairedRows(labels, classes, power=power)

    def at(self, seed: int, step: int, turn: int = 0) -> Batch:
        """The batch of one step; `index` counts the given rows."""
        index = self._rows.draw(self._size, generator(seed, "batches", step, turn))
        device, where = self._encoded.device, torch.from_numpy(index)
        return Batch(self._encoded[where.to(device)], self._labels[where].to(device), index)
