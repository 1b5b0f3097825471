"""`ImageSampler`: candidate i of a class has the same bytes whatever else is drawn, and by whom.

Networks run on whole blocks, since float32 results differ in the last bits between batch sizes, and
on one torch thread, whatever the caller has set.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gan_augment import machine
from gan_augment.data.pixels import pixel_dtype, to_network, to_pixels
from gan_augment.errors import DataError, ModelFileError, UsageError
from gan_augment.generators.model_file import ModelMeta
from gan_augment.generators.source_rows import SourcePool
from gan_augment.input_files import memory_problem
from gan_augment.machine import ComputeConfig
from gan_augment.networks.geometry import Geometry
from gan_augment.networks.inputs import Anchors, GeneratorInput, lenders_of, mixture_weights
from gan_augment.recipes import GeneratorSettings
from gan_augment.rng import rng_for
from gan_augment.training.images import new_discriminator, new_generator
from gan_augment.training.parts import Arrays, below, network_arrays, restored_network

if TYPE_CHECKING:
    from gan_augment.kinds.kind import Labelled
    from gan_augment.networks.images import AnchoredGenerator
    from gan_augment.training.parts import Parts

BLOCK = 64
"""Images in a block."""
BYTES_AT_ONCE = 2 << 30
"""Memory that the images of a block may take at a time."""
CRITIC_BYTES_PER_PIXEL = 4 * 64
"""Memory of the feature maps of a selection classifier."""

Rows = NDArray[np.int64]
Pixels = NDArray[Any]
Block = TypeVar("Block")


def blocks_between(
    block: Callable[[int], Block], size: int, start: int, stop: int, workers: int = 1
) -> tuple[list[Block], slice]:
    """Return the blocks that hold rows [start, stop), and the slice of these rows in them."""
    numbers = range(start // size, (stop - 1) // size + 1)
    with machine.threads(1), ThreadPoolExecutor(min(workers, len(numbers))) as pool:
        drawn = list(map(block, numbers) if workers == 1 else pool.map(block, numbers))
    first = start - numbers[0] * size
    return drawn, slice(first, first + stop - start)


def images_at_once(geometry: Geometry, settings: GeneratorSettings) -> int:
    """Return how many images of a block are drawn together: all, or a power of two within 2 GiB.

    The number depends on the model and not on the machine, so that a block has the same bytes
    everywhere. Parts of 8 images and more give the bytes of the whole block; smaller parts occur
    above 1024 px only.

    >>> settings = GeneratorSettings()
    >>> (
    ...     images_at_once(Geometry.of((64, 64, 3)), settings),
    ...     images_at_once(Geometry.of((1024, 1024, 3)), settings),
    ... )
    (64, 8)
    """
    most = int(BYTES_AT_ONCE / image_bytes(geometry, settings))
    return min(BLOCK, 1 << max(most.bit_length() - 1, 0))


def image_bytes(geometry: Geometry, settings: GeneratorSettings) -> float:
    """Estimate the memory that one image takes in a network: three feature maps, four pictures."""
    height, width = geometry.padded
    maps = settings.width / (2 if settings.network in ("growing", "style") else 4)
    return 4.0 * height * width * (3 * maps + 4 * geometry.shape[2])


@dataclass(frozen=True)
class ImageSampler:
    """Draws the endless sequence of candidates of each class from one trained image generator.

    codes: {label: float32 (n, code)} of the rows that anchor a class; None for other generators.
    settings: of the recipe; they define the size of a code and how codes are mixed.
    sizes: {label: training rows}; None where `codes` holds all of them.
    discriminator: in its final state, where it predicts classes.
    sources: the rows that samples start from, for translating generators.
    """

    network: nn.Module
    geometry: Geometry
    compute: ComputeConfig
    settings: GeneratorSettings
    codes: dict[int, NDArray[np.float32]] | None
    sizes: Mapping[int, int] | None = None
    discriminator: nn.Module | None = None
    sources: SourcePool | None = None

    @classmethod
    def of(
        cls,
        network: nn.Module,
        data: Labelled,
        anchors: dict[int, Rows],
        sizes: Mapping[int, int],
        parts: Parts,
        discriminator: nn.Module | None = None,
    ) -> ImageSampler:
        """Make the sampler of a trained network. anchors: {label: rows of `data`} to start from."""
        geometry, codes = Geometry.of(data.image_shape), None
        settings = parts.recipe.generator
        if settings.anchored:
            anchored = cast("AnchoredGenerator", network)
            codes = encode_anchors(anchored, data.pixels, anchors, geometry, parts.compute)
        sources = SourcePool.of(data, anchors, settings) if settings.from_rows else None
        return cls(network, geometry, parts.compute, settings, codes, sizes, discriminator, sources)

    @classmethod
    def load(
        cls, arrays: Mapping[str, NDArray[np.generic]], meta: ModelMeta, compute: ComputeConfig
    ) -> ImageSampler:
        """Read a saved sampler; ModelFileError where the arrays do not fit the description."""
        geometry, settings = Geometry.of(meta.image_shape), meta.recipe.generator
        classes = len(meta.classes)
        critics = CRITIC_BYTES_PER_PIXEL * bool(meta.selection)
        needed = images_at_once(geometry, settings) * image_bytes(geometry, settings)
        needed += BLOCK * float(np.prod(meta.image_shape)) * (1 + critics)
        if problem := memory_problem(needed):
            raise ModelFileError(f"drawing images of this model's size needs {problem}")
        network = restored_network(
            lambda: new_generator(meta.recipe, geometry, classes),
            below(arrays, "network"),
            compute.device,
        )
        codes = sources = discriminator = None
        if settings.anchored:
            codes = rows_by_label(arrays, "codes", classes, settings.code)
            if not codes:
                raise ModelFileError("this anchored model holds no anchors, so it cannot sample")
        if settings.from_rows:
            sources = SourcePool.load(arrays, settings, geometry)
        if meta.recipe.discriminator.tells_classes:
            discriminator = restored_network(
                lambda: new_discriminator(meta.recipe, geometry, classes),
                below(arrays, "discriminator"),
                compute.device,
            )
        sizes = dict(enumerate(meta.classes.values()))
        return cls(network, geometry, compute, settings, codes, sizes, discriminator, sources)

    def arrays(self) -> Arrays:
        """Return what is saved: weights of both networks, codes, source rows."""
        arrays = {f"network/{k}": v for k, v in network_arrays(self.network).items()}
        if self.discriminator is not None:
            weights = network_arrays(self.discriminator)
            arrays |= {f"discriminator/{k}": v for k, v in weights.items()}
        arrays |= self.sources.arrays() if self.sources else {}
        return arrays | {f"codes/{label}": codes for label, codes in (self.codes or {}).items()}

    @property
    def rows_held(self) -> int:
        """Training rows inside, as codes or as pixels."""
        if self.sources is not None:
            return len(self.sources.labels)
        return sum(len(codes) for codes in (self.codes or {}).values())

    @property
    def near_rows(self) -> bool:
        """Whether samples lie near training rows by design."""
        return self.codes is not None or self.sources is not None

    def rows(
        self, label: int, name: str, start: int, stop: int, seed: int, stream: str = "sample"
    ) -> Pixels:
        """Draw candidates [start, stop) of a class, (stop - start, H, W, C)."""
        if stop <= start:
            return np.empty((0, *self.geometry.shape), pixel_dtype(self.geometry.shape))
        drawn, place = blocks_between(
            lambda number: self.block(label, name, number, seed, stream), BLOCK, start, stop
        )
        return np.concatenate(drawn)[place]

    def block(
        self, label: int, name: str, number: int, seed: int, stream: str = "sample"
    ) -> Pixels:
        """Draw candidates [64 number, 64 number + 64) of a class.

        Raises DataError where no training row anchors the class.
        """
        inputs = self._inputs(label, name, number, seed, stream)
        parts = []
        at_once, size = images_at_once(self.geometry, self.settings), self.geometry.shape[:2]
        with torch.inference_mode(), self.compute.autocast():
            for start in range(0, BLOCK, at_once):
                images: Tensor = self.network(inputs.of(slice(start, start + at_once)))
                parts.append(to_pixels(images, size))
        return np.concatenate(parts)

    def class_probabilities(self, pixels: Pixels) -> NDArray[np.float64]:
        """Return p(class | image) of images (N, H, W, C) by the discriminator, (N, K)."""
        starts = range(0, len(pixels), BLOCK)
        batches = [to_network(pixels[k : k + BLOCK], self.geometry.padded) for k in starts]
        return class_probabilities(self.discriminator, batches, self.compute)

    def _inputs(self, label: int, name: str, number: int, seed: int, stream: str) -> GeneratorInput:
        """Draw the input of the network for one block."""
        rng, device = rng_for(seed, stream, name, number), self.compute.device
        source = None
        if self.sources is not None:
            rows = self.sources.block(label, name, number, seed, stream, BLOCK)
            source = self.sources.tensors(rows, label, rng).to(device)
        width = cast(int, self.network.noise_width)
        z = torch.from_numpy(rng.standard_normal((BLOCK, width), dtype=np.float32)).to(device)
        y = torch.full((BLOCK,), label, device=device)
        if self.codes is None:
            return GeneratorInput(z, y, source)
        if label not in self.codes:
            raise DataError(
                f"class {name!r} has no training row to start from, and an anchored model needs "
                "one. Add images of it and fit again."
            )
        lenders = self._lenders[label]
        borrowed = self.settings.borrowed if lenders else 0.0
        weight = mixture_weights(self.settings, BLOCK, rng, borrowed=borrowed)
        drawn = drawn_codes(self.codes, label, lenders, rng)  # (k, BLOCK, code)
        index = torch.arange(drawn.shape[0] * BLOCK).view(-1, BLOCK).T
        anchors = Anchors(
            torch.from_numpy(drawn.reshape(-1, self.settings.code)).to(device),
            index.to(device),
            torch.from_numpy(weight).to(device),
        )
        return GeneratorInput(z, y, anchors)

    @cached_property
    def _lenders(self) -> dict[int, tuple[int, ...]]:
        most, codes = self.settings.lenders if self.settings.borrowed else 0, self.codes or {}
        return {label: lenders_of(codes, label, most, self.sizes) for label in codes}


def class_probabilities(
    discriminator: nn.Module | None, batches: Sequence[Tensor], compute: ComputeConfig
) -> NDArray[np.float64]:
    """Return the softmax of D's class logits, (N, K); UsageError where D predicts no classes."""
    if discriminator is None:
        raise UsageError(
            "the discriminator of this model does not predict classes; fit with the recipe "
            "'semi-supervised' or 'acgan'"
        )
    found = []
    for x in batches:
        y = torch.zeros(len(x), dtype=torch.long, device=compute.device)
        with torch.inference_mode(), compute.autocast():
            logits = discriminator(x.to(compute.device), y)[:, 1:]
        found.append(logits.double().softmax(dim=1).cpu().numpy())
    return np.concatenate(found)


def encode_anchors(
    network: AnchoredGenerator,
    pixels: Pixels,
    rows_of: dict[int, Rows],
    geometry: Geometry,
    compute: ComputeConfig,
) -> dict[int, NDArray[np.float32]]:
    """Encode the rows of each class that has rows, {label: float32 (n, code)}."""
    codes: dict[int, NDArray[np.float32]] = {}
    for label, rows in rows_of.items():
        parts = []
        for start in range(0, len(rows), BLOCK):
            x = to_network(pixels[rows[start : start + BLOCK]], geometry.padded)
            with torch.inference_mode(), compute.autocast():
                code = network.encode(x.to(compute.device))
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
    """Draw the codes that each sample of a block mixes, (k, BLOCK, code).

    Two different rows of class `label`, the same one twice where the class has one row. With
    lenders two more rows, of one of these classes, each class equally often.
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


def _pairs(n: Rows, rng: np.random.Generator) -> tuple[Rows, Rows]:
    """Draw two rows below each n (BLOCK,), different ones where n > 1."""
    first = rng.integers(n)
    return first, (first + 1 + rng.integers(np.maximum(n - 1, 1))) % n


def rows_by_label(
    arrays: Mapping[str, NDArray[np.generic]], prefix: str, classes: int, width: int
) -> dict[int, NDArray[np.float32]]:
    """Read {label: float32 (n, width)} from the arrays "prefix/label"; or ModelFileError."""
    rows: dict[int, NDArray[np.float32]] = {}
    for key, value in below(arrays, prefix).items():
        label = int(key) if key.isdecimal() else -1
        fits = value.ndim == 2 and value.shape[1:] == (width,) and value.dtype == np.float32
        if not (0 <= label < classes and fits and len(value)):
            raise ModelFileError(f"the saved {prefix}/{key} {value.shape} fit no class")
        rows[label] = np.array(value, dtype=np.float32)
    return rows
