"""The method for tables: where a row starts, what G matches beside D's logits, the parts of a run.

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
"""Rows of a class that samples start from, drawn at random where it has more."""

MOST_AROUND = 50
"""Rows of a neighbourhood at most; of d numbers it has d + 1, at least 5, beside its row."""


@dataclass(frozen=True)
class AnchorTensors:
    """`AnchorRows` on the device: rows (N, width), neighbours int64 (N, k)."""

    rows: Tensor
    neighbours: Tensor

    @classmethod
    def of(cls, anchors: AnchorRows, device: torch.device) -> AnchorTensors:
        """The same arrays as tensors; on the CPU they share memory."""
        rows = torch.from_numpy(anchors.rows).to(device)
        return cls(rows, torch.from_numpy(anchors.neighbours).to(device))

    def between(self, index: Tensor, which: Tensor, position: Tensor) -> RowAnchors:
        """From rows `index` (N,) towards neighbour number `which` (N,) of each."""
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
    """The rows that samples of each class start from, 4,096 of a class at most.

    Of `features` near is what is near in whitened space, as are the classes that lend.
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
    if settings.kind == "features":
        points = whitened(table.rows[rows][:, list(table.encoding.numbers)])
    anchors = anchor_rows(
        table.rows[rows],
        table.labels[rows],
        around if settings.kind == "gaussian" else settings.neighbours,
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
    """Resolve names to parts; `index` of a batch counts the rows of `anchors`."""
    layout = layout_of(table.encoding)
    with torch.device("meta"):  # asked for a number alone
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
    """Batches of the anchors, classes drawn as the recipe says; unlabelled: rows without one."""
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
    """The parts of a row as its networks need to know them."""
    return RowLayout(encoding.width, encoding.choices, encoding.vectors)


def new_row_generator(recipe: Recipe, layout: RowLayout, classes: int) -> nn.Module:
    """The generator that a recipe names, its weights not yet set."""
    settings = recipe.generator
    sizes = settings.code, settings.embedding, settings.width
    if settings.kind != "free":
        return ResidualRowGenerator(layout, classes, *sizes)
    return new_generators(recipe.game, classes, lambda n: FreeRowGenerator(layout, n, *sizes))


def new_row_discriminator(recipe: Recipe, entries: int, classes: int) -> nn.Module:
    """The discriminator that a recipe names, its weights not yet set; entries: of a row."""
    settings = recipe.discriminator

    def discriminator(classes: int) -> RowDiscriminator:
        return RowDiscriminator(
            entries,
            classes,
            width=settings.width,
            condition=settings.condition,
            spectral_norm=settings.spectral_norm,
        )

    return new_discriminators(recipe.game, classes, discriminator)


def draw(
    recipe: Recipe,
    width: int,
    anchors: AnchorTensors,
    seed: int,
    step: int,
    turn: int,
    batch: Batch,
) -> GeneratorInput:
    """Noise (N, width) for the batch; for an anchored generator, each row and a neighbour of it."""
    rng, n, device = rng_for(seed, "noise", step, turn), len(batch.y), batch.y.device
    z = torch.from_numpy(rng.standard_normal((n, width), dtype=np.float32))
    if recipe.generator.kind == "free":
        return GeneratorInput(z.to(device), batch.y)
    which = torch.from_numpy(rng.integers(anchors.neighbours.shape[1], size=n)).to(device)
    position = torch.from_numpy(rng.random(n, dtype=np.float32)).to(device)
    index = torch.from_numpy(batch.index).to(device)
    return GeneratorInput(z.to(device), batch.y, anchors.between(index, which, position))


def make(network: nn.Module, inputs: GeneratorInput) -> GeneratorOutput:
    """Encoded rows (N, width)."""
    source = inputs.source
    if not isinstance(network, ResidualRowGenerator):
        return GeneratorOutput(network(inputs.z, inputs.y))
    if not isinstance(source, RowAnchors):
        raise TypeError("an anchored generator needs GeneratorInput.source, rows of the class")
    return GeneratorOutput(network(inputs.z, inputs.y, source))
