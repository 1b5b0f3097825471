"""Generation in aligned blocks: candidate i of a class is the same whatever else is drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gan_augment import devices
from gan_augment.data.pixels import to_network, to_pixels
from gan_augment.devices import Machine
from gan_augment.errors import DataError
from gan_augment.networks.geometry import Geometry
from gan_augment.networks.images import AnchoredGenerator
from gan_augment.networks.inputs import Anchors, GeneratorInput, mixture_weights
from gan_augment.randomness import generator as random_generator
from gan_augment.recipes import GeneratorSettings

BLOCK = 64
"""Images a block. Networks run on whole blocks: else float32 differs in the last bits."""


@dataclass(frozen=True)
class BlockSampler:
    """Draws the endless sequence of candidates of each class from one trained generator.

    codes: {label: float32 (n, code)} of the rows that anchor a class; None for a free generator.
    settings: the recipe's, which say how many numbers a code has and how codes are mixed.
    sizes: {label: rows}, of classes of which `codes` holds a part; None where they are all there.
    One torch thread, whatever the caller has, so that any number of workers gives the same bytes.
    """

    network: nn.Module
    geometry: Geometry
    machine: Machine
    settings: GeneratorSettings
    codes: dict[int, NDArray[np.float32]] | None
    sizes: Mapping[int, int] | None = None
    _lent: dict[int, tuple[int, ...]] = field(default_factory=dict, repr=False, compare=False)

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
        z = torch.from_numpy(rng.standard_normal((BLOCK, self.settings.code), dtype=np.float32))
        y = torch.full((BLOCK,), label, device=device)
        if self.codes is None:
            return GeneratorInput(z.to(device), y)
        if label not in self.codes:
            raise DataError(
                f"class {name!r} has no training row to start from: an anchored model cannot draw "
                "it. Add images of it and fit again."
            )
        lenders = self._lenders(label)
        borrowed = self.settings.borrowed if lenders else 0.0
        weight = mixture_weights(self.settings, BLOCK, rng, borrowed=borrowed)
        rows = drawn_codes(self.codes, label, lenders, rng)  # (k, BLOCK, code)
        index = torch.arange(rows.shape[0] * BLOCK).view(-1, BLOCK).T
        anchors = Anchors(
            torch.from_numpy(rows.reshape(-1, self.settings.code)).to(device),
            index.to(device),
            torch.from_numpy(weight).to(device),
        )
        return GeneratorInput(z.to(device), y, anchors)

    def _lenders(self, label: int) -> tuple[int, ...]:
        """As `lenders_of`, worked out once a class."""
        if label not in self._lent:
            assert self.codes is not None
            most = self.settings.lenders if self.settings.borrowed else 0
            self._lent[label] = lenders_of(self.codes, label, most, self.sizes)
        return self._lent[label]


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


def drawn_codes(
    codes: Mapping[int, NDArray[np.float32]],
    label: int,
    lenders: Sequence[int],
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """(k, BLOCK, code): for each of a block k rows of codes, those that are mixed.

    Two different rows of class `label`, the same twice where it has one; and, if there are lenders,
    two of one of these classes, each equally often.
    """
    own = codes[label]
    first, second = _pairs(np.full(BLOCK, len(own)), rng)
    drawn = [own[first], own[second]]
    if lenders:
        others = [codes[lender] for lender in lenders]
        which = rng.integers(len(others), size=BLOCK)
        pair = _pairs(np.array([len(rows) for rows in others])[which], rng)
        drawn += [
            np.stack([others[w][i] for w, i in zip(which, rows, strict=True)]) for rows in pair
        ]
    return np.stack(drawn)


def lenders_of(
    codes: Mapping[int, NDArray[np.float32]],
    label: int,
    most: int,
    sizes: Mapping[int, int] | None = None,
) -> tuple[int, ...]:
    """The classes that lend a class their variation: of those of at least twice its rows, the
    `most` whose mean code is nearest; none for a class as large as any.

    sizes: {label: rows}, where `codes` are of some only. A shirt varies as coats do, hardly as
    shoes do.

    >>> codes = {0: np.zeros((9, 1)), 1: np.ones((8, 1)), 2: np.full((4, 1), 0.9)}
    >>> lenders_of(codes, 2, most=1), lenders_of(codes, 0, most=1)
    ((1,), ())
    """
    sizes = sizes or {other: len(rows) for other, rows in codes.items()}
    large = [other for other in codes if sizes[other] >= 2 * sizes[label]]
    centre = codes[label].mean(axis=0)
    apart = {other: float(np.linalg.norm(codes[other].mean(axis=0) - centre)) for other in large}
    return tuple(sorted(large, key=lambda other: (apart[other], other))[:most])


def _pairs(
    n: NDArray[np.int64], rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Two rows of n (BLOCK,) each, different where n > 1."""
    first = rng.integers(n)
    return first, (first + 1 + rng.integers(np.maximum(n - 1, 1))) % n
