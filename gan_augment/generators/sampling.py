"""Block sampling: row i of a class is the same whatever else is drawn, by however many workers.

`BlockSampler` draws images, `RowSampler` table rows, each from one trained network; both become
arrays of a bundle (`saved_samplers` makes samplers of them again). Networks run on whole blocks,
else float32 differs in the last bits, and a block on one torch thread, whatever the caller has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gan_augment import machine
from gan_augment.data.pixels import pixel_dtype, to_network, to_pixels
from gan_augment.data.tables.encoding import (
    AnchorRows,
    EncodedColumn,
    NumericColumn,
    TableEncoding,
)
from gan_augment.data.tables.schema import Name
from gan_augment.errors import DataError, UsageError
from gan_augment.generators.source_rows import SourceBlock, SourcePool
from gan_augment.machine import ComputeConfig
from gan_augment.networks.geometry import Geometry
from gan_augment.networks.inputs import (
    Anchors,
    GeneratorInput,
    RowAnchors,
    SourceRows,
    lenders_of,
    mixture_weights,
)
from gan_augment.recipes import GeneratorSettings
from gan_augment.rng import rng_for
from gan_augment.training.parts import Arrays, network_arrays
from gan_augment.training.tables import (
    AnchorTensors,
    EncodedTable,
)

if TYPE_CHECKING:
    from gan_augment.kinds.kind import Labelled
    from gan_augment.networks.images import AnchoredGenerator
    from gan_augment.training.parts import Parts

BLOCK = 64
"""Images a block."""
AT_ONCE_BYTES = 2 << 30
"""Of the images of a block, what is held in memory together."""
ROW_BLOCK = 1_024
"""Table rows a block."""
CELLS_AT_ONCE = 1 << 22
"""Of the neighbourhoods of a block, what is held in memory together."""
FEW_ROWS = 10
"""Classes of fewer rows of a table are not learned: they are jittered, a lone row is repeated."""

Cells = dict[Name, NDArray[np.generic]]
Block = TypeVar("Block")


def blocks_between(
    block: Callable[[int], Block], size: int, start: int, stop: int, workers: int = 1
) -> tuple[list[Block], slice]:
    """The blocks that hold rows [start, stop), made in parallel, and the place of these rows."""
    numbers = range(start // size, (stop - 1) // size + 1)
    with machine.threads(1), ThreadPoolExecutor(min(workers, len(numbers))) as pool:
        drawn = list(map(block, numbers) if workers == 1 else pool.map(block, numbers))
    first = start - numbers[0] * size
    return drawn, slice(first, first + stop - start)


def images_at_once(geometry: Geometry, settings: GeneratorSettings) -> int:
    """How many images of a block are drawn together: all, or a power of two that takes 2 GiB.

    The model alone says so, not the machine: a block has the same bytes everywhere. Parts of 8 and
    more are the bytes of the whole; fewer than 8 are drawn above 1024 px only.

    >>> settings = GeneratorSettings()
    >>> (
    ...     images_at_once(Geometry.of((64, 64, 3)), settings),
    ...     images_at_once(Geometry.of((1024, 1024, 3)), settings),
    ... )
    (64, 8)
    """
    most = int(AT_ONCE_BYTES / image_bytes(geometry, settings))
    return min(BLOCK, 1 << max(most.bit_length() - 1, 0))


def image_bytes(geometry: Geometry, settings: GeneratorSettings) -> float:
    """Memory of an image at work: three maps at half the side, four pictures (float32).

    Of some networks the maps are of the full side, half as many.
    """
    height, width = geometry.padded
    maps = settings.width / (2 if settings.network in ("growing", "style") else 4)
    return 4.0 * height * width * (3 * maps + 4 * geometry.shape[2])


def _part(inputs: GeneratorInput, rows: slice) -> GeneratorInput:
    """The input of some samples of a block."""
    source = inputs.source
    if isinstance(source, Anchors):
        source = Anchors(source.rows, source.index[rows], source.weight[rows])
    elif source is not None:
        source = source.of(rows)
    return GeneratorInput(inputs.z[rows], inputs.y[rows], source)


@dataclass(frozen=True)
class BlockSampler:
    """Draws the endless sequence of candidates of each class from one trained image generator.

    codes: {label: float32 (n, code)} of the rows that anchor a class; None for a free generator.
    discriminator: as training left it, where it tells the classes.
    settings: the recipe's, which say how many numbers a code has and how codes are mixed.
    sizes: {label: rows}, of classes of which `codes` holds a part; None where they are all there.
    sources: the rows that samples start from, of kinds that start from one.
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
        anchors: dict[int, NDArray[np.int64]],
        sizes: Mapping[int, int],
        parts: Parts,
        discriminator: nn.Module | None = None,
    ) -> BlockSampler:
        """The sampler of a trained network; anchored, it starts from `anchors`, {label: rows}."""
        geometry, codes = Geometry.of(data.image_shape), None
        if parts.recipe.generator.kind == "anchored":
            anchored = cast("AnchoredGenerator", network)
            codes = encode_anchors(anchored, data.pixels, anchors, geometry, parts.compute)
        settings = parts.recipe.generator
        sources = SourcePool.of(data, anchors, settings) if settings.from_rows else None
        return cls(network, geometry, parts.compute, settings, codes, sizes, discriminator, sources)

    @property
    def rows_held(self) -> int:
        """How many training rows it holds, as codes or as they are."""
        if self.sources is not None:
            return len(self.sources.labels)
        return sum(len(codes) for codes in (self.codes or {}).values())

    @property
    def near_rows(self) -> bool:
        """Whether samples lie near training rows by design."""
        return self.codes is not None or self.sources is not None

    def rows(
        self, label: int, name: str, start: int, stop: int, seed: int, stream: str = "sample"
    ) -> NDArray[np.uint8]:
        """Candidates [start, stop) of a class, uint8 (stop - start, H, W, C)."""
        if stop <= start:
            return np.empty((0, *self.geometry.shape), pixel_dtype(self.geometry.shape))
        drawn, place = blocks_between(
            lambda number: self.block(label, name, number, seed, stream), BLOCK, start, stop
        )
        return np.concatenate(drawn)[place]

    def block(
        self, label: int, name: str, number: int, seed: int, stream: str = "sample"
    ) -> NDArray[np.uint8]:
        """Candidates [64 number, 64 number + 64) of a class; DataError if nothing anchors it."""
        rng = rng_for(seed, stream, name, number)
        if self.sources is None:
            inputs = self._inputs(label, name, rng)
        else:
            block = self.source_block(label, name, number, seed, stream)
            inputs = self._from_rows(self.sources.tensors(block, label, rng), label, rng)
        parts = []
        at_once, size = images_at_once(self.geometry, self.settings), self.geometry.shape[:2]
        with torch.inference_mode(), self.compute.autocast():
            for start in range(0, BLOCK, at_once):
                images: Tensor = self.network(_part(inputs, slice(start, start + at_once)))
                parts.append(to_pixels(images, size))
        return np.concatenate(parts)

    def of_rows(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """What an enlarging network makes of each of some images (N, h, w, C)."""
        made = [np.empty((0, *self.geometry.shape), dtype=np.uint8)]
        with machine.threads(1), torch.inference_mode(), self.compute.autocast():
            for start in range(0, len(pixels), BLOCK):
                part = pixels[start : start + BLOCK]
                rows = to_network(part, part.shape[1:3]).to(self.compute.device)
                y = torch.zeros(len(part), dtype=torch.long, device=rows.device)
                images = self.network(
                    GeneratorInput(rows.new_zeros(len(part), 0), y, SourceRows(rows))
                )
                made.append(to_pixels(images, self.geometry.shape[:2]))
        return np.concatenate(made)

    def arrays(self) -> Arrays:
        """The network's weights below "network/", the codes of each label's rows below "codes/"."""
        arrays = {f"network/{k}": v for k, v in network_arrays(self.network).items()}
        arrays |= _discriminator_arrays(self.discriminator)
        arrays |= self.sources.arrays() if self.sources else {}
        return arrays | {f"codes/{label}": codes for label, codes in (self.codes or {}).items()}

    def source_block(
        self, label: int, name: str, number: int, seed: int, stream: str = "sample"
    ) -> SourceBlock:
        """Say which rows the candidates of a block start from."""
        assert self.sources is not None
        return self.sources.block(label, name, number, seed, stream, BLOCK)

    def class_probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        """p(class | image) of images (N, H, W, C) by the discriminator, (N, K)."""

        def batch(start: int) -> Tensor:
            return to_network(pixels[start : start + BLOCK], self.geometry.padded)

        starts = range(0, len(pixels), BLOCK)
        return _class_probabilities(self.discriminator, map(batch, starts), self.compute)

    def _inputs(self, label: int, name: str, rng: np.random.Generator) -> GeneratorInput:
        device = self.compute.device
        width = cast(int, self.network.noise_width)
        noise = rng.standard_normal((BLOCK, width), dtype=np.float32)
        z, y = torch.from_numpy(noise), torch.full((BLOCK,), label, device=device)
        if self.codes is None:
            return GeneratorInput(z.to(device), y)
        if label not in self.codes:
            raise DataError(
                f"class {name!r} has no training row to start from: an anchored model cannot draw "
                "it. Add images of it and fit again."
            )
        lenders = self._lenders[label]
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

    def _from_rows(
        self, source: SourceRows, label: int, rng: np.random.Generator
    ) -> GeneratorInput:
        device, width = self.compute.device, cast(int, self.network.noise_width)
        z = torch.from_numpy(rng.standard_normal((BLOCK, width), dtype=np.float32))
        y = torch.full((BLOCK,), label, device=device)
        return GeneratorInput(z.to(device), y, source.to(device))

    @cached_property
    def _lenders(self) -> dict[int, tuple[int, ...]]:
        most, codes = self.settings.lenders if self.settings.borrowed else 0, self.codes or {}
        return {label: lenders_of(codes, label, most, self.sizes) for label in codes}


def _discriminator_arrays(network: nn.Module | None) -> Arrays:
    weights = {} if network is None else network_arrays(network)
    return {f"discriminator/{name}": value for name, value in weights.items()}


def _class_probabilities(
    discriminator: nn.Module | None, batches: Iterable[Tensor], compute: ComputeConfig
) -> NDArray[np.float64]:
    """Softmax of the class logits of batches, (N, K). UsageError where D tells no classes."""
    if discriminator is None:
        raise UsageError(
            "the discriminator of this model does not tell classes; fit with the recipe "
            "'semi-supervised' or 'acgan'"
        )
    found = []
    for x in batches:
        y = torch.zeros(len(x), dtype=torch.long, device=compute.device)
        with torch.inference_mode(), compute.autocast():
            told = discriminator(x.to(compute.device), y)[:, 1:]
        found.append(told.double().softmax(dim=1).cpu().numpy())
    return np.concatenate(found)


def encode_anchors(
    network: AnchoredGenerator,
    pixels: NDArray[np.uint8],
    rows_of: dict[int, NDArray[np.int64]],
    geometry: Geometry,
    compute: ComputeConfig,
) -> dict[int, NDArray[np.float32]]:
    """The codes of each class's rows, {label: float32 (n, code)}, by the evaluating network."""
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
    """(k, BLOCK, code): for each sample of a block the k rows of codes that it mixes.

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


def _pairs(
    n: NDArray[np.int64], rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Two rows of n (BLOCK,) each, different where n > 1."""
    first = rng.integers(n)
    return first, (first + 1 + rng.integers(np.maximum(n - 1, 1))) % n


@dataclass(frozen=True)
class RowSampler:
    """Draws the endless sequence of rows of each class from one trained generator of rows.

    anchors: the rows that samples start from; for a free generator those of small classes alone.
    """

    network: nn.Module
    encoding: TableEncoding
    anchors: AnchorRows
    compute: ComputeConfig
    settings: GeneratorSettings
    discriminator: nn.Module | None = None

    @classmethod
    def of(
        cls,
        network: nn.Module,
        anchors: AnchorRows,
        table: EncodedTable,
        settings: GeneratorSettings,
    ) -> RowSampler:
        """The sampler of a trained network; a free one keeps the rows of small classes alone."""
        starts = _of_small_classes(anchors) if settings.kind == "free" else anchors
        return cls(network, table.encoding, starts, table.compute, settings)

    def cells(
        self, label: int, name: str, start: int, stop: int, seed: int, workers: int = 1
    ) -> Cells:
        """Rows [start, stop) of a class as plain cells, {column: (stop - start,)}.

        workers: blocks that are made at the same time.
        """
        if stop <= start:
            return dict(self.encoding.decode(np.empty((0, self.encoding.width), dtype=np.float32)))
        drawn, place = blocks_between(
            lambda number: self.encoding.decode(self.block(label, name, number, seed)),
            ROW_BLOCK,
            start,
            stop,
            workers,
        )
        return {
            column: np.concatenate([part[column] for part in drawn])[place]
            for column in self.encoding.columns
        }

    def block(
        self, label: int, name: str, number: int, seed: int, stream: str = "sample"
    ) -> NDArray[np.float32]:
        """Encoded rows [1024 number, 1024 number + 1024) of a class, float32 (1024, width)."""
        rng = rng_for(seed, stream, name, number)
        start, stop = self.anchors.of(label)
        free = self.settings.kind == "free"
        if stop - start < FEW_ROWS and (stop > start or not free):
            return self._jittered(name, start, stop, rng)
        device = self.compute.device
        width = cast(int, self.network.noise_width)
        noise = rng.standard_normal((ROW_BLOCK, width), dtype=np.float32)
        z, y = torch.from_numpy(noise).to(device), torch.full((ROW_BLOCK,), label, device=device)
        with torch.inference_mode():
            if free:
                rows: Tensor = self.network(z, y)
            else:
                starts = self._drawn(label, start, stop, rng)
                rows = self.network(z, y, starts, self.settings.strength)
        encoded: NDArray[np.float32] = rows.float().cpu().numpy()
        return encoded

    def arrays(self) -> Arrays:
        """Weights below "network/", anchors below "anchors/", columns by number, "columns/0/"."""
        arrays = {f"network/{k}": v for k, v in network_arrays(self.network).items()}
        arrays |= _discriminator_arrays(self.discriminator)
        arrays |= {
            "anchors/rows": self.anchors.rows,
            "anchors/labels": self.anchors.labels,
            "anchors/neighbours": self.anchors.neighbours,
        }
        if self.anchors.votes is not None:
            arrays["anchors/votes"] = self.anchors.votes
        if self.anchors.lenders is not None:
            arrays["anchors/lenders"] = self.anchors.lenders
        for number, column in enumerate(self.encoding.columns.values()):
            for name, value in _column_arrays(column).items():
                arrays[f"columns/{number}/{name}"] = value
        return arrays

    def class_probabilities(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """p(class | row) of encoded rows (N, width) by the discriminator, (N, K)."""
        return _class_probabilities(self.discriminator, [torch.from_numpy(rows)], self.compute)

    def _jittered(
        self, name: str, start: int, stop: int, rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """Rows between those of a class of 2 to 9, moved a little; a lone row as it is."""
        if stop == start:
            raise DataError(
                f"class {name!r} has no training row to start from, so it cannot be drawn. Add "
                "rows of it and fit again."
            )
        starts = self._starts(start, stop, rng)
        between = torch.lerp(starts.first, starts.second, starts.position[:, None])
        rows: NDArray[np.float32]
        rows = torch.where(self._is_number, between, starts.levels).cpu().numpy()
        if stop - start == 1:
            return rows
        noise = rng.standard_normal(rows.shape, dtype=np.float32)
        jitter = np.float32(self.settings.jitter)
        return rows + jitter * self._spread * noise

    def _drawn(self, label: int, start: int, stop: int, rng: np.random.Generator) -> RowAnchors:
        """Where the rows of a block start, or, of a kind that is not trained, what they are."""
        if self.settings.kind == "features":
            return self._moved(label, rng)
        return (self._around if self.settings.kind == "gaussian" else self._starts)(
            start, stop, rng
        )

    def _starts(self, start: int, stop: int, rng: np.random.Generator) -> RowAnchors:
        """Where the rows of a block start: an anchor, one of its neighbours, how far between."""
        index = start + rng.integers(stop - start, size=ROW_BLOCK)
        which = rng.integers(self.anchors.neighbours.shape[1], size=ROW_BLOCK)
        position = rng.random(ROW_BLOCK, dtype=np.float32)
        device = self.compute.device
        drawn = (torch.from_numpy(k).to(device) for k in (index, which, position))
        return self._tensors.between(*drawn)

    def _around(self, start: int, stop: int, rng: np.random.Generator) -> RowAnchors:
        """Draws from the normals of rows' neighbourhoods; levels and states are the row's own.

        The numbers of a row and of its K nearest of the class, x_0 .. x_K of mean m, give
        m + sum z_i (x_i - m) / sqrt(K + 1), z ~ N(0, 1): the covariance is theirs. Source: Sakho,
        Malherbe & Scornet 2024 (arXiv 2402.03819), here in the encoded space.
        """
        numbers, anchors = list(self.encoding.numbers), self.anchors
        index = start + rng.integers(stop - start, size=ROW_BLOCK)
        rows = anchors.rows[index]
        near = np.column_stack([index, anchors.neighbours[index]])
        near = near[:, : stop - start]  # in a class of fewer rows neighbours come again
        z = rng.standard_normal((ROW_BLOCK, near.shape[1]), dtype=np.float32)
        at_once = max(1, CELLS_AT_ONCE // max(1, near.shape[1] * len(numbers)))
        for first in range(0, ROW_BLOCK, at_once):
            part = slice(first, first + at_once)
            hoods = anchors.rows[near[part]][:, :, numbers]  # (part, K + 1, numbers)
            mean = hoods.mean(axis=1)
            moved = np.einsum("nk,nkd->nd", z[part], hoods - mean[:, None])
            rows[part, numbers] = mean + moved / np.float32(near.shape[1] ** 0.5)
        return self._as_they_are(rows)

    def _moved(self, label: int, rng: np.random.Generator) -> RowAnchors:
        """Rows of a class, their numbers moved as rows of it and of its L lenders differ.

        A row x of class c becomes x + reach d. Of the share `borrowed` d = b - a, two near rows of
        one lender; of the others d ~ N(0, S) by the calibrated covariance, S = (S_c + sum S_l) /
        (1 + L), drawn as sum z_i (x_i - m) / sqrt(n (1 + L)) over the n rows of each class, of mean
        m, z ~ N(0, 1): no matrix is made, and a class of few rows has the spread of many. Sources:
        Yang, Liu & Xu 2021, "Free lunch for few-shot learning: distribution calibration", eq. 5-6,
        whose mean is left out, since it draws rows of a class to its lenders; Schwartz et al. 2018,
        "Delta-encoder", for differences within other classes.
        """
        numbers, (start, stop) = list(self.encoding.numbers), self.anchors.of(label)
        rows = self.anchors.rows[start + rng.integers(stop - start, size=ROW_BLOCK)]
        assert self.anchors.lenders is not None
        lenders = [self.anchors.of(int(one)) for one in self.anchors.lenders[label] if one >= 0]
        borrows = rng.random(ROW_BLOCK) < (self.settings.borrowed if lenders else 0.0)
        moves = np.zeros((ROW_BLOCK, len(numbers)), dtype=np.float32)
        spans = [(start, stop), *lenders]
        for first, last in spans:
            own = self.anchors.rows[first:last, numbers]
            z = rng.standard_normal((ROW_BLOCK, len(own)), dtype=np.float32)
            moves += z @ (own - own.mean(axis=0)) / np.float32((len(own) * len(spans)) ** 0.5)
        if borrows.any():
            first, last = np.array(lenders)[rng.integers(len(lenders), size=ROW_BLOCK)].T
            one, near = rng.integers(first, last), self.anchors.neighbours
            other = near[one, rng.integers(near.shape[1], size=ROW_BLOCK)]
            apart = self.anchors.rows[other] - self.anchors.rows[one]
            moves[borrows] = apart[borrows][:, numbers]
        rows[:, numbers] += np.float32(self.settings.reach) * moves
        return self._as_they_are(self.encoding.without_spikes(rows))

    def _as_they_are(self, rows: NDArray[np.float32]) -> RowAnchors:
        """Rows that the network leaves alone."""
        drawn = torch.from_numpy(rows).to(self.compute.device)
        return RowAnchors(drawn, drawn, drawn, torch.zeros(ROW_BLOCK, device=drawn.device))

    @cached_property
    def _is_number(self) -> Tensor:
        mask = torch.zeros(self.encoding.width, dtype=torch.bool)
        mask[list(self.encoding.numbers)] = True
        return mask.to(self.compute.device)

    @cached_property
    def _tensors(self) -> AnchorTensors:
        return AnchorTensors.of(self.anchors, self.compute.device)

    @cached_property
    def _spread(self) -> NDArray[np.float32]:
        """(width,): standard deviation of each number within classes, pooled; 0 elsewhere."""
        total, degrees = np.zeros(self.encoding.width), 0
        for label in np.unique(self.anchors.labels):
            start, stop = self.anchors.of(int(label))
            rows = self.anchors.rows[start:stop].astype(np.float64)
            total += ((rows - rows.mean(axis=0)) ** 2).sum(axis=0)
            degrees += stop - start - 1
        mask = self._is_number.cpu().numpy()
        return (mask * np.sqrt(total / max(degrees, 1))).astype(np.float32)


def _of_small_classes(anchors: AnchorRows) -> AnchorRows:
    counts = np.bincount(anchors.labels)
    rows = np.flatnonzero(counts[anchors.labels] < FEW_ROWS)
    votes = None if anchors.votes is None else anchors.votes[rows]
    neighbours = np.searchsorted(rows, anchors.neighbours[rows])  # of the class, so among them
    return AnchorRows(anchors.rows[rows], anchors.labels[rows], neighbours, votes)


def _column_arrays(column: EncodedColumn) -> Arrays:
    missing = np.array([column.missing])
    if isinstance(column, NumericColumn):
        spikes = np.array(column.spikes, dtype=np.float64)
        numbers = {"values": column.values, "scores": column.scores, "spikes": spikes}
        return numbers | {"missing": missing}
    vectors = {} if column.embedding is None else {"embedding": column.embedding}
    return {"missing": missing} | vectors
