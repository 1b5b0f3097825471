"""Training batches as a function of (seed, step): class-balanced, in same-class pairs."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gan_augment.kinds.kind import Labelled
from gan_augment.networks.geometry import to_network
from gan_augment.rng import rng_for


@dataclass(frozen=True)
class Batch:
    """Rows for one step; y, index: int64 (N,), index into the data.

    x: float32 (N, C, H, W) -1..1 of images, (N, width) of encoded rows.
    Rows 2i and 2i + 1 are of one class, and two different rows where the class has two.
    unlabelled: as many rows as x whose classes nobody knows, or None.
    """

    x: Tensor
    y: Tensor
    index: NDArray[np.int64]
    unlabelled: Tensor | None = None


class Batches:
    """Draw batches of `size` rows in same-class pairs; labels follow q_c ~ n_c^power.

    A batch is a pure function of (seed, step, turn); rows are drawn with replacement over steps.
    labels: int64 (N,), below `classes`. power: 1 is the data's own share of each class, 0 an equal
    share; the same for reals and fakes. among: the rows to draw from; None for all. unlabelled:
    rows without a class; each batch also draws `size` of them.
    """

    def __init__(
        self,
        labels: NDArray[np.int64],
        classes: int,
        *,
        size: int,
        power: float,
        device: torch.device,
        among: NDArray[np.int64] | None = None,
        unlabelled: Tensor | NDArray[np.uint8] | None = None,
    ) -> None:
        self._unlabelled = unlabelled
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
        batch = Batch(self._features(index), y, index)
        if self._unlabelled is None:
            return batch
        rng = rng_for(seed, "unlabelled", step, turn)
        drawn = self._unlabelled[rng.integers(len(self._unlabelled), size=self._size)]
        return replace(batch, unlabelled=self._on_device(drawn))

    def _features(self, index: NDArray[np.int64]) -> Tensor:
        """Return the rows of a batch on the device."""
        raise NotImplementedError

    def _on_device(self, rows: Any) -> Tensor:
        """Return rows in the networks' format."""
        raise NotImplementedError

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


class PairedBatches(Batches):
    """Batches of images, edge-padded to `padded` px; their pixels are read in place.

    partners: int64 (N,), a row whose channels are appended to those of each row; or None. how: the
    settings of `Batches`.
    """

    def __init__(
        self,
        data: Labelled,
        *,
        padded: tuple[int, int],
        partners: NDArray[np.int64] | None = None,
        **how: Any,
    ) -> None:
        super().__init__(data.labels, len(data.names), **how)
        self._pixels, self._padded, self._partners = data.pixels, padded, partners

    def _features(self, index: NDArray[np.int64]) -> Tensor:
        x = self._on_device(self._pixels[index])
        if self._partners is not None:
            x = torch.cat([x, self._on_device(self._pixels[self._partners[index]])], dim=1)
        return x

    def _on_device(self, rows: NDArray[np.uint8]) -> Tensor:
        return to_network(rows, self._padded).to(self._device)


class RowBatches(Batches):
    """Batches of encoded rows (N, width). how: the settings of `Batches`."""

    def __init__(self, rows: Tensor, labels: NDArray[np.int64], classes: int, **how: Any) -> None:
        super().__init__(labels, classes, device=rows.device, **how)
        self._encoded = rows

    def _features(self, index: NDArray[np.int64]) -> Tensor:
        return self._encoded[torch.from_numpy(index).to(self._device)]

    def _on_device(self, rows: Tensor) -> Tensor:
        return rows
