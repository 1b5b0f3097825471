"""`RowSampler`: row i of a class of a table is the same whatever else is drawn, and by whom."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from gan_augment import machine
from gan_augment.data.tables.encoding import CategoryColumn, NumericColumn, TableEncoding
from gan_augment.data.tables.schema import Name
from gan_augment.generators.model_file import ModelMeta
from gan_augment.machine import ComputeConfig
from gan_augment.networks.inputs import RowAnchors
from gan_augment.recipes import GeneratorSettings
from gan_augment.rng import rng_for
from gan_augment.training.parts import Arrays, above, below, network_arrays, restored_network
from gan_augment.training.tables import AnchorRows, new_row_generator

ROW_BLOCK = 1_024
"""Table rows in a block."""
STRENGTH = 0.5
"""Share of the learned residual in samples."""
ROWS_AT_ONCE = 64
"""Rows whose neighbourhoods are held in memory at a time."""

Cells = dict[Name, NDArray[np.generic]]


@dataclass(frozen=True)
class RowSampler:
    """Draws the endless sequence of rows of each class from one trained generator of rows."""

    network: nn.Module
    encoding: TableEncoding
    anchors: AnchorRows
    compute: ComputeConfig
    settings: GeneratorSettings

    @classmethod
    def load(
        cls, arrays: Mapping[str, NDArray[np.generic]], meta: ModelMeta, compute: ComputeConfig
    ) -> RowSampler:
        """Read a saved sampler."""
        assert meta.table is not None
        columns: dict[Name, NumericColumn | CategoryColumn] = {}
        for number, described in enumerate(meta.table.learned):
            saved: dict[str, Any] = dict(below(arrays, f"columns/{number}"))
            for name in saved.keys() & {"categories", "missing", "spikes"}:
                saved[name] = saved[name].tolist()
            column = NumericColumn if described.has_numbers else CategoryColumn
            columns[described.name] = column(**saved)
        encoding, own = TableEncoding(columns), dict[str, Any](below(arrays, "anchors"))
        network = restored_network(
            lambda: new_row_generator(meta.recipe, encoding, len(meta.classes)),
            below(arrays, "network"),
            compute.device,
        )
        return cls(network, encoding, AnchorRows(**own), compute, meta.recipe.generator)

    def arrays(self) -> Arrays:
        """Return the arrays to save: weights, anchors, columns by their number."""
        arrays = above(network_arrays(self.network), "network")
        arrays |= above(vars(self.anchors), "anchors")
        for number, column in enumerate(self.encoding.columns.values()):
            arrays |= above(asdict(column), f"columns/{number}")
        return arrays

    @property
    def rows_held(self) -> int:
        """Training rows inside, encoded."""
        return len(self.anchors.rows)

    def cells(
        self, label: int, name: str, start: int, stop: int, seed: int, workers: int = 1
    ) -> Cells:
        """Draw rows [start, stop) of a class as {column: cells}, by `workers` threads."""
        if stop <= start:
            return dict(self.encoding.decode(np.empty((0, self.encoding.width), dtype=np.float32)))
        numbers = range(start // ROW_BLOCK, (stop - 1) // ROW_BLOCK + 1)

        def decoded(number: int) -> Cells:
            return dict(self.encoding.decode(self.block(label, name, number, seed)))

        with machine.threads(1), ThreadPoolExecutor(min(workers, len(numbers))) as pool:
            drawn = list(pool.map(decoded, numbers))
        first = start - numbers[0] * ROW_BLOCK
        place = slice(first, first + stop - start)
        return {
            column: np.concatenate([part[column] for part in drawn])[place]
            for column in self.encoding.columns
        }

    def block(
        self, label: int, name: str, number: int, seed: int, stream: str = "sample"
    ) -> NDArray[np.float32]:
        """Draw encoded rows [1024 number, 1024 number + 1024) of a class, float32 (1024, width)."""
        rng, settings = rng_for(seed, stream, name, number), self.settings
        device, width = self.compute.device, cast(int, self.network.noise_width)
        noise = rng.standard_normal((ROW_BLOCK, width), dtype=np.float32)
        z, y = torch.from_numpy(noise).to(device), torch.full((ROW_BLOCK,), label, device=device)
        starts: tuple[Any, ...] = ()
        if settings.facts.whitened:
            starts = self._moved(label, rng), STRENGTH
        elif settings.facts.around:
            starts = self._around(label, rng), STRENGTH
        elif not settings.free:
            start, stop = self.anchors.of(label)
            index = start + rng.integers(stop - start, size=ROW_BLOCK)
            starts = self.anchors.between(index, rng, device), STRENGTH
        with torch.inference_mode():
            rows: NDArray[np.float32] = self.network(z, y, *starts).float().cpu().numpy()
        return rows

    def _around(self, label: int, rng: np.random.Generator) -> RowAnchors:
        """Draw from the normals of rows' neighbourhoods; categories and states are the row's own.

        The numbers of a row and of its K nearest of the class, x_0 .. x_K of mean m, give
        m + sum z_i (x_i - m) / sqrt(K + 1), z ~ N(0, 1): the covariance is theirs. Source: Sakho,
        Malherbe & Scornet 2024 (arXiv 2402.03819), here in the encoded space.
        """
        numbers, anchors = list(self.encoding.numbers), self.anchors
        start, stop = anchors.of(label)
        index = start + rng.integers(stop - start, size=ROW_BLOCK)
        rows = anchors.rows[index]
        near = np.column_stack([index, anchors.neighbours[index]])
        near = near[:, : stop - start]  # neighbours repeat in a class of fewer rows
        z = rng.standard_normal((ROW_BLOCK, near.shape[1]), dtype=np.float32)
        for first in range(0, ROW_BLOCK, ROWS_AT_ONCE):
            part = slice(first, first + ROWS_AT_ONCE)
            hoods = anchors.rows[near[part]][:, :, numbers]  # (part, K + 1, numbers)
            mean = hoods.mean(axis=1)
            moved = np.einsum("nk,nkd->nd", z[part], hoods - mean[:, None])
            rows[part, numbers] = mean + moved / np.float32(near.shape[1] ** 0.5)
        return self._unchanged(rows)

    def _moved(self, label: int, rng: np.random.Generator) -> RowAnchors:
        """Move rows of a class as rows of the class and of its L lenders differ.

        A row x of class c becomes x + reach d. For the share `borrowed` d = b - a, two near rows of
        one lender; for the others d ~ N(0, S) by the calibrated covariance, S = (S_c + sum S_l) /
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
            difference = self.anchors.rows[other] - self.anchors.rows[one]
            moves[borrows] = difference[borrows][:, numbers]
        rows[:, numbers] += np.float32(self.settings.reach) * moves
        return self._unchanged(self.encoding.without_spikes(rows))

    def _unchanged(self, rows: NDArray[np.float32]) -> RowAnchors:
        """Return rows as anchors that an untrained network passes on."""
        drawn = torch.from_numpy(rows).to(self.compute.device)
        return RowAnchors(drawn, drawn, drawn, torch.zeros(ROW_BLOCK, device=drawn.device))
