"""`ImageSampler`: candidate i of a class has the same bytes whatever else is drawn, and by whom.

Networks run on whole blocks, since float32 results differ in the last bits between batch sizes, and
on one torch thread, whatever the caller has set.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gan_augment import machine
from gan_augment.errors import TooFewAcceptedError
from gan_augment.generators.model_file import ModelMeta
from gan_augment.generators.selection import Selection, rows_by_label
from gan_augment.generators.source_rows import BLOCK, SourcePool
from gan_augment.machine import ComputeConfig
from gan_augment.networks.geometry import Geometry, pixel_dtype, to_network, to_pixels
from gan_augment.networks.inputs import Anchors, GeneratorInput, lenders_of, mixture_weights
from gan_augment.recipes import GeneratorSettings
from gan_augment.rng import rng_for
from gan_augment.training.images import new_generator
from gan_augment.training.parts import Arrays, above, below, network_arrays, restored_network

if TYPE_CHECKING:
    from gan_augment.kinds.kind import Labelled
    from gan_augment.networks.images import AnchoredGenerator
    from gan_augment.training.parts import Parts

LARGE_PX, AT_ONCE = 256 * 256, 8
"""Images of more pixels are drawn 8 at a time, which gives the bytes of a whole block."""
PATIENCE_BLOCKS = 16
LEAST_KEPT = 0.02
"""Share of the candidates of `PATIENCE_BLOCKS` blocks below which a sequence gives up."""

Rows = NDArray[np.int64]
Pixels = NDArray[Any]


@dataclass(frozen=True)
class ImageSampler:
    """Draws the endless sequence of images of each class from one trained generator.

    Candidates come in blocks of 64. With a selection, samples come in spans of 1,024: sample i of a
    span is the i-th kept of the span's own candidates, so that spans can be drawn independently.

    codes: {label: float32 (n, code)} of the rows that anchor a class; None for other generators.
    sizes: {label: training rows}; None where `codes` holds all of them.
    sources: the rows that samples start from, for translating generators.
    """

    network: nn.Module
    geometry: Geometry
    compute: ComputeConfig
    settings: GeneratorSettings
    codes: dict[int, NDArray[np.float32]] | None
    sizes: Mapping[int, int] | None = None
    sources: SourcePool | None = None
    selection: Selection | None = None
    _kept: dict[tuple[int, int, int], int] = field(init=False, default_factory=dict)

    @classmethod
    def of(
        cls,
        network: nn.Module,
        data: Labelled,
        anchors: Mapping[int, Rows],
        sizes: Mapping[int, int],
        parts: Parts,
    ) -> ImageSampler:
        """Make the sampler of a trained network. anchors: {label: rows of `data`} to start from."""
        geometry, codes, sources = Geometry.of(data.image_shape), None, None
        settings = parts.recipe.generator
        if settings.facts.start == "rows":
            anchored = cast("AnchoredGenerator", network)
            codes = encode_anchors(anchored, data.pixels, anchors, geometry, parts.compute)
        if settings.from_rows:
            rows = np.concatenate([*anchors.values()])
            sources = SourcePool(settings, geometry, replace(data, groups=None).take(rows))
        return cls(network, geometry, parts.compute, settings, codes, sizes, sources)

    @classmethod
    def load(
        cls, arrays: Mapping[str, NDArray[np.generic]], meta: ModelMeta, compute: ComputeConfig
    ) -> ImageSampler:
        """Read a saved sampler."""
        geometry, settings, classes = Geometry.of(meta.shape), meta.recipe.generator, meta.classes
        network = restored_network(
            lambda: new_generator(meta.recipe, geometry, len(classes)),
            below(arrays, "network"),
            compute.device,
        )
        codes = sources = None
        if settings.facts.start == "rows":
            codes = rows_by_label(arrays, "codes")
        if settings.from_rows:
            sources = SourcePool.load(arrays, settings, geometry, [*classes])
        sizes, selection = dict(enumerate(classes.values())), Selection.load(arrays, meta, compute)
        return cls(network, geometry, compute, settings, codes, sizes, sources, selection)

    def arrays(self) -> Arrays:
        """Return the arrays to save: weights, codes, source rows, and those of the selection."""
        arrays = above(network_arrays(self.network), "network") | above(self.codes or {}, "codes")
        for part in (self.sources, self.selection):
            arrays |= part.arrays() if part else {}
        return arrays

    @property
    def rows_held(self) -> int:
        """Training rows inside, as codes or as pixels; samples lie near them by design."""
        if self.sources is not None:
            return len(self.sources.model)
        return sum(len(codes) for codes in (self.codes or {}).values())

    def rows(
        self, label: int, name: str, start: int, stop: int, seed: int
    ) -> tuple[Pixels, NDArray[np.str_] | None]:
        """Draw samples [start, stop) of a class and the ids of the rows they start from."""
        parts = [np.empty((0, *self.geometry.shape), pixel_dtype(self.geometry.shape))]
        ids, size = [np.empty(0, dtype=np.str_)], BLOCK
        if self.selection is not None:
            self.selection.check_served(name)
            size = self.settings.span
        for span in range(start // size, -(-stop // size)) if stop > start else ():
            first, end = span * size, min(stop, (span + 1) * size)
            # a span with a selection has as many blocks as it needs
            for number in [span] if self.selection is None else itertools.count(span << 20):
                if first >= end:
                    break
                kept = self._kept.get((label, seed, number))
                if kept is None or first + kept > start:
                    place = slice(max(start - first, 0), end - first)
                    if self.selection and self.sources and self.sources.unused(name, number) <= 0:
                        arrived = first - span * size
                        raise TooFewAcceptedError(
                            f"{arrived} of {len(self.sources.rows_for(name)):,} rows arrived as "
                            f"{name!r}, as classifiers see them: request at most {arrived}, name "
                            "more rows, or --no-selection (selection=False)"
                        )
                    drawn, reasons = self.judged(label, name, number, seed)
                    parts.append(drawn[reasons == ""][place])
                    if self.sources is not None:
                        rows = self.sources.block(name, number, seed, "sample")[: len(reasons)]
                        ids.append(self.sources.rows.ids[rows[reasons == ""][place]])
                first += self._kept[label, seed, number]
                if self.selection is not None:
                    check_going_on(name, first - span * size, number + 1 - (span << 20))
        return np.concatenate(parts), None if self.sources is None else np.concatenate(ids)

    def judged(
        self, label: int, name: str, number: int, seed: int
    ) -> tuple[Pixels, NDArray[np.str_]]:
        """Draw a block of candidates, and why each is rejected ("" for none), (64,).

        The last block is shorter where a row makes one sample and no more rows are there.
        """
        with machine.threads(1):
            drawn = self.block(label, name, number, seed)
            reasons = np.full(len(drawn), "", dtype="U9")
            if self.selection is not None:
                reasons = self.selection.reasons(drawn, label)
        if self.sources is not None:
            unused = self.sources.unused(name, number)
            drawn, reasons = drawn[:unused], reasons[:unused]
        self._kept[label, seed, number] = int((reasons == "").sum())
        return drawn, reasons

    def candidates(self, label: int, name: str, n: int, seed: int, stream: str) -> Pixels:
        """Draw the first n candidates of a class, (n, H, W, C)."""
        with machine.threads(1):
            numbers = range(-(-n // BLOCK))
            drawn = [self.block(label, name, number, seed, stream) for number in numbers]
        return np.concatenate(drawn)[:n]

    def block(
        self, label: int, name: str, number: int, seed: int, stream: str = "sample"
    ) -> Pixels:
        """Draw candidates [64 number, 64 number + 64) of a class."""
        inputs, size = self._inputs(label, name, number, seed, stream), self.geometry.shape[:2]
        at_once = BLOCK if size[0] * size[1] <= LARGE_PX else AT_ONCE
        parts = []
        with torch.inference_mode(), self.compute.autocast():
            for start in range(0, BLOCK, at_once):
                images: Tensor = self.network(inputs.of(slice(start, start + at_once)))
                parts.append(to_pixels(images, size))
        return np.concatenate(parts)

    def _inputs(self, label: int, name: str, number: int, seed: int, stream: str) -> GeneratorInput:
        """Draw the input of the network for one block."""
        rng, device = rng_for(seed, stream, name, number), self.compute.device
        source = None
        if self.sources is not None:
            rows = self.sources.block(name, number, seed, stream)
            source = self.sources.tensors(rows, label, rng).each(lambda one: one.to(device))
        width = cast(int, self.network.noise_width)
        z = torch.from_numpy(rng.standard_normal((BLOCK, width), dtype=np.float32)).to(device)
        y = torch.full((BLOCK,), label, device=device)
        if self.codes is None:
            return GeneratorInput(z, y, source)
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


def check_going_on(name: str, kept: int, blocks: int) -> None:
    """Raise TooFewAcceptedError where the first blocks of a span hardly hold a kept sample."""
    if blocks >= PATIENCE_BLOCKS and kept < LEAST_KEPT * blocks * BLOCK:
        raise TooFewAcceptedError(
            f"selection keeps {kept} of the first {blocks * BLOCK} candidates for {name!r} with "
            "this seed, far fewer than at the end of the fit: use another seed, or fit with "
            "--no-selection (selection=False)"
        )


def encode_anchors(
    network: AnchoredGenerator,
    pixels: Pixels,
    rows_of: Mapping[int, Rows],
    geometry: Geometry,
    compute: ComputeConfig,
) -> dict[int, NDArray[np.float32]]:
    """Encode the rows of each class that has rows, {label: float32 (n, code)}."""
    codes: dict[int, NDArray[np.float32]] = {}
    for label, rows in ((label, rows) for label, rows in rows_of.items() if len(rows)):
        parts = []
        for start in range(0, len(rows), BLOCK):
            x = to_network(pixels[rows[start : start + BLOCK]], geometry.padded)
            with torch.inference_mode(), compute.autocast():
                parts.append(network.encode(x.to(compute.device)).float().cpu().numpy())
        codes[label] = np.concatenate(parts)
    return codes


def drawn_codes(
    codes: Mapping[int, NDArray[np.float32]],
    label: int,
    lenders: Sequence[int],
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Draw the codes (k, BLOCK, code) that samples mix: two rows of a class, two of a lender."""

    def pairs(n: Rows) -> tuple[Rows, Rows]:
        """Draw two rows below each n (BLOCK,), different ones where n > 1."""
        first = rng.integers(n)
        return first, (first + 1 + rng.integers(np.maximum(n - 1, 1))) % n

    own = codes[label]
    drawn = [own[rows] for rows in pairs(np.full(BLOCK, len(own)))]
    if lenders:
        others = [codes[lender] for lender in lenders]
        which = rng.integers(len(others), size=BLOCK)
        pair = pairs(np.array([len(rows) for rows in others])[which])
        drawn += [
            np.stack([others[w][i] for w, i in zip(which, rows, strict=True)]) for rows in pair
        ]
    return np.stack(drawn)
