"""Parts of a run on tables: anchors, networks, inputs and outputs.

A sample starts between a real row and one of its nearest neighbours of the class; the generator
adds what interpolation lacks.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gan_augment.data.batches import Batch, RowBatches
from gan_augment.data.tables.anchors import AnchorRows, anchor_rows, whitened
from gan_augment.data.tables.encoding import TableEncoding
from gan_augment.losses.adversarial import LOSSES
from gan_augment.machine import ComputeConfig
from gan_augment.networks.ensembles import new_discriminators, new_generators
from gan_augment.networks.inputs import GeneratorInput, RowAnchors, lenders_of
from gan_augment.networks.tables import (
    FreeRowGenerator,
    ResidualRowGenerator,
    RowDiscriminator,
    RowLayout,
)
from gan_augment.recipes import Recipe
from gan_augment.rng import rng_for
from gan_augment.training.parts import GeneratorOutput, Parts
from gan_augment.training.published import unrolled_step
from gan_augment.training.step import adversarial_step, feature_matching

MOST_ANCHORS = 4_096
"""Most rows of a class that samples start from; larger classes are subsampled."""

MOST_AROUND = 50
"""Most neighbours of a row in `gaussian`; with d numbers there are d + 1, at least 5."""


@dataclass(frozen=True)
class AnchorTensors:
    """`AnchorRows` on the device: rows (N, width), neighbours int64 (N, k)."""

    rows: Tensor
    neighbours: Tensor

    @classmethod
    def of(cls, anchors: AnchorRows, device: torch.device) -> AnchorTensors:
        """Convert the arrays to tensors; on the CPU they share memory."""
        rows = torch.from_numpy(anchors.rows).to(device)
        return cls(rows, torch.from_numpy(anchors.neighbours).to(device))

    def between(self, index: Tensor, which: Tensor, position: Tensor) -> RowAnchors:
        """Return starts from rows `index` (N,) towards neighbour number `which` (N,) of each."""
        other = self.neighbours[index, which]
        first, second = self.rows[index], self.rows[other]
        levels = torch.where(position[:, None] > 0.5, second, first)
        return RowAnchors(first, second, levels, position)


@dataclass(frozen=True)
class EncodedTable:
    """rows: float32 (N, width). labels: int64 (N,) below `classes`."""

    rows: NDArray[np.float32]
    labels: NDArray[np.int64]
    classes: int
    encoding: TableEncoding
    compute: ComputeConfig


def class_anchors(table: EncodedTable, recipe: Recipe, seed: int) -> AnchorRows:
    """Return the rows that samples of each class start from, at most 4,096 per class.

    `features` measures distances between rows, and between classes, in whitened space.
    """
    chosen = []
    for label in np.unique(table.labels):
        own = np.flatnonzero(table.labels == label)
        if len(own) > MOST_ANCHORS:
            drawn = rng_for(seed, "anchors", int(label)).permutation(own)[:MOST_ANCHORS]
            own = np.sort(drawn)
        chosen.append(own)
    rows, settings = np.concatenate(chosen), recipe.generator
    around = min(max(5, len(table.encoding.numbers) + 1), MOST_AROUND)
    points = None
    if settings.borrows_moves:
        points = whitened(table.rows[rows][:, list(table.encoding.numbers)])
    anchors = anchor_rows(
        table.rows[rows],
        table.labels[rows],
        around if settings.around else settings.neighbours,
        choices=table.encoding.choices,
        points=points,
    )
    if points is None:
        return anchors
    codes = {int(label): points[table.labels[rows] == label] for label in anchors.labels}
    lenders = np.full((table.classes, settings.lenders), -1)
    for label in codes:
        lent = lenders_of(codes, label, settings.lenders)
        lenders[label, : len(lent)] = lent
    return replace(anchors, lenders=lenders)


def build_table(recipe: Recipe, table: EncodedTable, anchors: AnchorRows) -> Parts:
    """Build the parts of a recipe; `index` of a batch refers to the rows of `anchors`."""
    layout = layout_of(table.encoding)
    with torch.device("meta"):  # only a number is needed
        noise_width = cast(int, new_row_generator(recipe, layout, table.classes).noise_width)
    starts = AnchorTensors.of(anchors, table.compute.device)
    return Parts(
        recipe=recipe,
        compute=table.compute,
        loss=LOSSES[recipe.objective.loss],
        networks=lambda: (
            new_row_generator(recipe, layout, table.classes),
            new_row_discriminator(recipe, layout.width, table.classes),
        ),
        draw=functools.partial(draw, recipe, noise_width, starts),
        make=make,
        step=unrolled_step if recipe.game.unrolled else adversarial_step,
        generator_terms=(feature_matching,) if recipe.objective.feature_matching > 0 else (),
    )


def anchor_batches(
    recipe: Recipe,
    table: EncodedTable,
    anchors: AnchorRows,
    unlabelled: NDArray[np.float32] | None = None,
) -> RowBatches:
    """Return batches of the anchors with the recipe's class shares; unlabelled: extra rows."""
    device = table.compute.device
    return RowBatches(
        torch.from_numpy(anchors.rows).to(device),
        anchors.labels,
        table.classes,
        size=recipe.batch,
        power=recipe.label_power,
        unlabelled=None if unlabelled is None else torch.from_numpy(unlabelled).to(device),
    )


def layout_of(encoding: TableEncoding) -> RowLayout:
    """Return where a row has numbers, one-hots and embeddings."""
    return RowLayout(encoding.width, encoding.choices, encoding.vectors)


def new_row_generator(recipe: Recipe, layout: RowLayout, classes: int) -> nn.Module:
    """Return the generator of a recipe, with weights not yet initialised."""
    settings = recipe.generator
    sizes = settings.code, settings.embedding, settings.width
    if not settings.free:
        return ResidualRowGenerator(layout, classes, *sizes)
    return new_generators(recipe.game, classes, lambda n: FreeRowGenerator(layout, n, *sizes))


def new_row_discriminator(recipe: Recipe, entries: int, classes: int) -> nn.Module:
    """Return the discriminator of a recipe, not yet initialised; entries: width of a row."""
    settings = recipe.discriminator

    new = functools.partial(
        RowDiscriminator,
        entries,
        width=settings.width,
        condition=settings.condition,
        spectral_norm=settings.spectral_norm,
    )
    return new_discriminators(recipe.game, classes, new)


def draw(
    recipe: Recipe,
    width: int,
    anchors: AnchorTensors,
    seed: int,
    step: int,
    turn: int,
    batch: Batch,
) -> GeneratorInput:
    """Draw noise (N, width); for an anchored generator also each row and one of its neighbours."""
    rng, n, device = rng_for(seed, "noise", step, turn), len(batch.y), batch.y.device
    z = torch.from_numpy(rng.standard_normal((n, width), dtype=np.float32))
    if recipe.generator.free:
        return GeneratorInput(z.to(device), batch.y)
    which = torch.from_numpy(rng.integers(anchors.neighbours.shape[1], size=n)).to(device)
    position = torch.from_numpy(rng.random(n, dtype=np.float32)).to(device)
    index = torch.from_numpy(batch.index).to(device)
    return GeneratorInput(z.to(device), batch.y, anchors.between(index, which, position))


def make(network: nn.Module, inputs: GeneratorInput) -> GeneratorOutput:
    """Make encoded rows (N, width)."""
    starts = () if inputs.source is None else (inputs.source,)
    return GeneratorOutput(network(inputs.z, inputs.y, *starts))
