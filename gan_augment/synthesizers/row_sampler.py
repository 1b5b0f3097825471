"""Table rows in aligned blocks: row i of a class is the same whatever else is drawn."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gan_augment import devices
from gan_augment.data.tables.anchors import AnchorRows
from gan_augment.data.tables.encoding import TableEncoding
from gan_augment.data.tables.schema import Name
from gan_augment.devices import Machine
from gan_augment.errors import DataError
from gan_augment.networks.inputs import RowAnchors
from gan_augment.randomness import generator as random_generator
from gan_augment.recipes import GeneratorSettings
from gan_augment.training.tables import AnchorTensors

BLOCK = 1_024
"""Rows a block. Networks run on whole blocks: else float32 differs in the last bits."""
FEW_ROWS = 10
"""Classes of fewer rows are not generated: their rows are jittered, a lone one repeated."""

Cells = dict[Name, NDArray[np.generic]]


@dataclass(frozen=True)
class RowSampler:
    """Draws the endless sequence of rows of each class from one trained generator.

    anchors: the rows that samples start from; for a free generator those of small classes alone.
    wanted: how it draws. A block is one torch thread's, whatever the caller has, so that any number
    of them at once gives the same bytes.
    """

    network: nn.Module
    encoding: TableEncoding
    anchors: AnchorRows
    machine: Machine
    wanted: GeneratorSettings

    def cells(
        self, label: int, name: str, start: int, stop: int, seed: int, workers: int = 1
    ) -> Cells:
        """Rows [start, stop) of a class as plain cells, {column: (stop - start,)}.

        workers: blocks that are made at the same time.
        """
        if stop <= start:
            return dict(self.encoding.decode(np.empty((0, self.encoding.width), dtype=np.float32)))
        blocks = range(start // BLOCK, (stop - 1) // BLOCK + 1)
        with devices.threads(1), ThreadPoolExecutor(min(workers, len(blocks))) as pool:
            drawn = list(
                pool.map(lambda b: self.encoding.decode(self.block(label, name, b, seed)), blocks)
            )
        skipped = start - blocks[0] * BLOCK
        wanted = slice(skipped, skipped + stop - start)
        return {
            column: np.concatenate([part[column] for part in drawn])[wanted]
            for column in self.encoding.columns
        }

    def block(
        self, label: int, name: str, number: int, seed: int, stream: str = "sample"
    ) -> NDArray[np.float32]:
        """Encoded rows [1024 number, 1024 number + 1024) of a class, float32 (1024, width)."""
        rng = random_generator(seed, stream, name, number)
        start, stop = self.anchors.of(label)
        free = self.wanted.kind == "free"
        if stop - start < FEW_ROWS and (stop > start or not free):
            return self._jittered(name, start, stop, rng)
        device = self.machine.device
        noise = rng.standard_normal((BLOCK, self.wanted.code), dtype=np.float32)
        z, y = torch.from_numpy(noise).to(device), torch.full((BLOCK,), label, device=device)
        with torch.inference_mode():
            if free:
                rows: Tensor = self.network(z, y)
            else:
                starts = self._starts(start, stop, rng)
                rows = self.network(z, y, starts, self.wanted.strength)
        encoded: NDArray[np.float32] = rows.float().cpu().numpy()
        return encoded

    def _jittered(
        self, name: str, start: int, stop: int, rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """Rows between those of a class of 2 to 9, moved a little; those of a lone row as it is."""
        if stop == start:
            raise DataError(
                f"class {name!r} has no training row to start from, so it cannot be drawn. Add "
                "rows of it and fit again."
            )
        found = self._starts(start, stop, rng)
        between = torch.lerp(found.first, found.second, found.position[:, None])
        rows: NDArray[np.float32]
        rows = torch.where(self._is_number, between, found.levels).cpu().numpy()
        if stop - start == 1:
            return rows
        noise = rng.standard_normal(rows.shape, dtype=np.float32)
        jitter = np.float32(self.wanted.jitter)
        return rows + jitter * self._spread * noise

    def _starts(self, start: int, stop: int, rng: np.random.Generator) -> RowAnchors:
        """Where the rows of a block start: an anchor, one of its neighbours, how far between."""
        index = start + rng.integers(stop - start, size=BLOCK)
        which = rng.integers(self.anchors.neighbours.shape[1], size=BLOCK)
        position = rng.random(BLOCK, dtype=np.float32)
        device = self.machine.device
        drawn = (torch.from_numpy(k).to(device) for k in (index, which, position))
        return self._tensors.between(*drawn)

    @cached_property
    def _is_number(self) -> Tensor:
        mask = torch.zeros(self.encoding.width, dtype=torch.bool)
        mask[list(self.encoding.numbers)] = True
        return mask.to(self.machine.device)

    @cached_property
    def _tensors(self) -> AnchorTensors:
        return AnchorTensors.of(self.anchors, self.machine.device)

    @cached_property
    def _spread(self) -> NDArray[np.float32]:
        return spread_within(self.anchors, self.encoding)


def spread_within(anchors: AnchorRows, encoding: TableEncoding) -> NDArray[np.float32]:
    """(width,): standard deviation of each number within classes, pooled; 0 for other entries."""
    total, degrees = np.zeros(encoding.width), 0
    for label in np.unique(anchors.labels):
        start, stop = anchors.of(int(label))
        rows = anchors.rows[start:stop].astype(np.float64)
        total += ((rows - rows.mean(axis=0)) ** 2).sum(axis=0)
        degrees += stop - start - 1
    mask = np.zeros(encoding.width)
    mask[list(encoding.numbers)] = 1
    return (mask * np.sqrt(total / max(degrees, 1))).astype(np.float32)
