"""Generation in aligned blocks: candidate i of a class is the same whatever else is drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gan_augment import devices
from gan_augment.data.pixels import to_network, to_pixels
from gan_augment.devices import Machine
from gan_augment.errors import DataError
from gan_augment.networks.generators import AnchoredGenerator, Anchors, GeneratorInput
from gan_augment.networks.geometry import Geometry
from gan_augment.randomness import generator as random_generator

BLOCK = 64
"""Images a block. Networks run on whole blocks: else float32 differs in the last bits."""


@dataclass(frozen=True)
class BlockSampler:
    """Draws the endless sequence of candidates of each class from one trained generator.

    codes: {label: float32 (n, code)} of the rows that anchor a class; None for a free generator.
    One torch thread, whatever the caller has, so that any number of workers gives the same bytes.
    """

    network: nn.Module
    geometry: Geometry
    machine: Machine
    code: int
    codes: dict[int, NDArray[np.float32]] | None

    def rows(
        self, label: int, name: str, start: int, stop: int, seed: int, stream: str = "sample"
    ) -> NDArray[np.uint8]:
        """Candidates [start, stop) of a class, uint8 (stop - start, H, W, C)."""
        height, width, channels = self.geometry.shape
        if stop <= start:
            return np.empty((0, height, width, channels), dtype=np.uint8)
        blocks = range(start // BLOCK, (stop - 1) // BLOCK + 1)
        with devices.threads(1):
            drawn = [self.block(label, name, b, seed, stream) for b in blocks]
        skipped = start - blocks[0] * BLOCK
        return np.concatenate(drawn)[skipped : skipped + stop - start]

    def block(
        self, label: int, name: str, number: int, seed: int, stream: str
    ) -> NDArray[np.uint8]:
        """Candidates [64 number, 64 number + 64) of a class; DataError if nothing anchors it."""
        rng = random_generator(seed, stream, name, number)
        inputs = self._inputs(label, name, rng)
        with torch.inference_mode(), self.machine.autocast():
            images: Tensor = self.network(inputs)
        return to_pixels(images, self.geometry.shape[:2])

    def _inputs(self, label: int, name: str, rng: np.random.Generator) -> GeneratorInput:
        device = self.machine.device
        z = torch.from_numpy(rng.standard_normal((BLOCK, self.code), dtype=np.float32))
        y = torch.full((BLOCK,), label, device=device)
        if self.codes is None:
            return GeneratorInput(z.to(device), y)
        if label not in self.codes:
            raise DataError(
                f"class {name!r} has no training row to start from: an anchored model cannot draw "
                "it. Add images of it and fit again."
            )
        codes = torch.from_numpy(self.codes[label]).to(device)
        first, second = _pairs(len(codes), rng)
        position = torch.from_numpy(rng.random(BLOCK, dtype=np.float32)).to(device)
        anchors = Anchors(codes, first.to(device), second.to(device), position)
        return GeneratorInput(z.to(device), y, anchors)


def encode_anchors(
    network: AnchoredGenerator,
    pixels: NDArray[np.uint8],
    rows_of: dict[int, NDArray[np.int64]],
    geometry: Geometry,
    machine: Machine,
) -> dict[int, NDArray[np.float32]]:
    """The codes of each class's rows, {label: float32 (n, code)}, by the evaluating network."""
    codes: dict[int, NDArray[np.float32]] = {}
    for label, rows in rows_of.items():
        parts = []
        for start in range(0, len(rows), BLOCK):
            x = to_network(pixels[rows[start : start + BLOCK]], geometry.padded)
            with torch.inference_mode(), machine.autocast():
                code = network.encode(x.to(machine.device))
            parts.append(code.float().cpu().numpy())
        if parts:
            codes[label] = np.concatenate(parts)
    return codes


def _pairs(n: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """For each of a block, two rows of n, different where n > 1."""
    first = rng.integers(n, size=BLOCK)
    second = (first + 1 + rng.integers(max(n - 1, 1), size=BLOCK)) % n
    return torch.from_numpy(first), torch.from_numpy(second)
