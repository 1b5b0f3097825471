"""Parts of a run on tables: anchors, networks, inputs and outputs.

A sample starts between a real row and one of its nearest neighbours of the class; the generator
adds what interpolation lacks.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from gan_augment.data.batches import Batch, Batches
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
ROWS_AT_ONCE = 1_024
WHITENED_SHARE = 0.95
MOST_COMPONENTS = 256

Matrix = NDArray[np.float32]
Spans = Sequence[tuple[int, int]]


@dataclass(frozen=True)
class AnchorRows:
    """Encoded training rows, sorted by class.

    rows: float32 (N, width). labels: int64 (N,), ascending. neighbours: int64 (N, k), rows of the
    same class; the only row of a class is its own neighbour. lenders: int64 (classes, L), the
    classes that lend each class its spread, padded with -1, or None.
    """

    rows: Matrix
    labels: NDArray[np.int64]
    neighbours: NDArray[np.int64]
    lenders: NDArray[np.int64] | None = None

    def of(self, label: int) -> tuple[int, int]:
        """Return [start, stop) of the rows of a class."""
        start, stop = np.searchsorted(self.labels, [label, label + 1])
        return int(start), int(stop)

    def between(
        self, index: NDArray[np.int64], rng: np.random.Generator, device: torch.device
    ) -> RowAnchors:
        """Draw starts between rows `index` (N,) and a neighbour of each."""
        which = rng.integers(self.neighbours.shape[1], size=len(index))
        position = torch.from_numpy(rng.random(len(index), dtype=np.float32)).to(device)
        first = torch.from_numpy(self.rows[index]).to(device)
        second = torch.from_numpy(self.rows[self.neighbours[index, which]]).to(device)
        categories = torch.where(position[:, None] > 0.5, second, first)
        return RowAnchors(first, second, categories, position)


def anchor_rows(
    rows: Matrix,
    labels: NDArray[np.int64],
    k: int,
    *,
    choices: Spans,
    points: Matrix | None = None,
) -> AnchorRows:
    """Sort the rows by class, and find the k nearest rows of the class for each."""
    order = np.argsort(labels, kind="stable")
    rows, labels = np.ascontiguousarray(rows[order]), labels[order]
    weights = np.ones(rows.shape[1], dtype=np.float32)
    for start, stop in choices:
        weights[start:stop] = np.sqrt(0.5)
    points = rows * weights if points is None else points[order]
    neighbours = np.empty((len(rows), k), dtype=np.int64)
    for label in np.unique(labels):
        start, stop = np.searchsorted(labels, [label, label + 1])
        neighbours[start:stop] = start + nearest_rows(points[start:stop], k)
    return AnchorRows(rows, labels, neighbours)


def nearest_rows(rows: Matrix, k: int) -> NDArray[np.int64]:
    """Return the k nearest other rows (N, k) by Euclidean distance, nearest first.

    Fewer than k others are repeated in order; a single row is its own neighbour. Ties are broken
    the same way for any number of threads, which scikit-learn's search does not promise.
    """
    n = len(rows)
    if n == 1:
        return np.zeros((1, k), dtype=np.int64)
    others = min(k, n - 1)
    squares = np.einsum("nd,nd->n", rows, rows)
    nearest = np.empty((n, others), dtype=np.int64)
    for start in range(0, n, ROWS_AT_ONCE):
        part = rows[start : start + ROWS_AT_ONCE]
        distances = squares - 2 * part @ rows.T  # (part, N), up to each row's own square
        distances[np.arange(len(part)), np.arange(start, start + len(part))] = np.inf
        few = np.argpartition(distances, others - 1, axis=1)[:, :others]
        inner = np.argsort(np.take_along_axis(distances, few, axis=1), axis=1, kind="stable")
        nearest[start : start + len(part)] = np.take_along_axis(few, inner, axis=1)
    return nearest[:, np.arange(k) % others]


def whitened(rows: Matrix) -> Matrix:
    """Return the principal component scores of numbers (N, d), with unit variance, (N, k).

    k is the least number of components with 95 % of the variance, at most 256 and N / 4: with all
    components, N rows are equally far from each other. With the centred X = U s V^T, the result is
    sqrt(N) U. Source: Jolliffe 2002, "Principal component analysis", sections 3.5 and 6.1.
    """
    centred = rows.astype(np.float64) - rows.mean(axis=0, dtype=np.float64)
    wide = rows.shape[1] > len(rows)
    variances, axes = np.linalg.eigh(centred @ centred.T if wide else centred.T @ centred)
    variances, axes = np.maximum(variances[::-1], 0), axes[:, ::-1]
    enough = np.searchsorted(np.cumsum(variances), WHITENED_SHARE * variances.sum()) + 1
    k = max(1, min(int(enough), MOST_COMPONENTS, len(rows) // 4))
    scores = axes[:, :k] if wide else centred @ axes[:, :k]
    spread = np.sqrt((scores**2).mean(axis=0))
    return (scores / np.where(spread > 0, spread, 1)).astype(np.float32)


@dataclass(frozen=True)
class EncodedTable:
    """rows: float32 (N, width). labels: int64 (N,) below `classes`."""

    rows: NDArray[np.float32]
    labels: NDArray[np.int64]
    classes: int
    encoding: TableEncoding
    compute: ComputeConfig


def class_anchors(table: EncodedTable, recipe: Recipe, seed: int) -> AnchorRows:
    """Return the rows that samples of each class start from, at most 4,096 per class."""
    chosen = []
    for label in np.unique(table.labels).tolist():
        own = rng_for(seed, "anchors", label).permutation(np.flatnonzero(table.labels == label))
        chosen.append(np.sort(own[:MOST_ANCHORS]))
    rows, settings = np.concatenate(chosen), recipe.generator
    around = min(max(5, len(table.encoding.numbers) + 1), MOST_AROUND)
    points = None
    if settings.facts.whitened:
        points = whitened(table.rows[rows][:, list(table.encoding.numbers)])
    anchors = anchor_rows(
        table.rows[rows],
        table.labels[rows],
        around if settings.facts.around else settings.neighbours,
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
    layout = table.encoding
    with torch.random.fork_rng(devices=[]):  # constructors draw; only a number is needed
        noise_width = cast(int, new_row_generator(recipe, layout, table.classes).noise_width)
    return Parts(
        recipe=recipe,
        compute=table.compute,
        loss=LOSSES[recipe.objective.loss],
        networks=lambda: (
            new_row_generator(recipe, layout, table.classes),
            new_discriminators(
                recipe.game,
                table.classes,
                functools.partial(RowDiscriminator, layout.width, settings=recipe.discriminator),
            ),
        ),
        draw=functools.partial(draw, recipe, noise_width, anchors),
        make=make,
        step=unrolled_step if recipe.game.unrolled else adversarial_step,
        generator_terms=(feature_matching,) if recipe.objective.feature_matching > 0 else (),
    )


def anchor_batches(recipe: Recipe, table: EncodedTable, anchors: AnchorRows) -> Batches:
    """Return batches of the anchors with the recipe's class shares."""
    device = table.compute.device
    return Batches(
        torch.from_numpy(anchors.rows).to(device),
        anchors.labels,
        table.classes,
        size=recipe.batch,
        power=recipe.label_power,
        device=device,
    )


def new_row_generator(recipe: Recipe, layout: RowLayout, classes: int) -> nn.Module:
    """Return the generator of a recipe, with weights not yet initialised."""
    settings = recipe.generator
    if not settings.free:
        return ResidualRowGenerator(layout, classes, settings)
    return new_generators(recipe.game, classes, lambda n: FreeRowGenerator(layout, n, settings))


def draw(
    recipe: Recipe,
    width: int,
    anchors: AnchorRows,
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
    return GeneratorInput(z.to(device), batch.y, anchors.between(batch.index, rng, device))


def make(network: nn.Module, inputs: GeneratorInput) -> GeneratorOutput:
    """Make encoded rows (N, width)."""
    starts = () if inputs.source is None else (inputs.source,)
    return GeneratorOutput(network(inputs.z, inputs.y, *starts))
