"""An encoded table, and what a run on it needs: anchors, batches, parts, state, a sampler."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from gan_augment.data.batches import RowBatches
from gan_augment.data.tables.anchors import AnchorRows, anchor_rows
from gan_augment.data.tables.encoding import TableEncoding
from gan_augment.devices import Machine
from gan_augment.randomness import generator
from gan_augment.recipes import Recipe
from gan_augment.synthesizers.row_sampler import FEW_ROWS, RowSampler
from gan_augment.training.callbacks import Callback, StopFlag
from gan_augment.training.loop import Run
from gan_augment.training.monitor import SCORES_A_RUN, Score
from gan_augment.training.parts import Parts, new_state
from gan_augment.training.tables import build_table, layout_of

MOST_ANCHORS = 4_096
"""Rows of a class that samples start from, drawn at random where it has more."""


@dataclass(frozen=True)
class EncodedTable:
    """rows: float32 (N, width). labels: int64 (N,) below `classes`. groups: int64 (N,) or None."""

    rows: NDArray[np.float32]
    labels: NDArray[np.int64]
    classes: int
    encoding: TableEncoding
    machine: Machine
    groups: NDArray[np.int64] | None = None

    def take(self, rows: NDArray[np.int64]) -> EncodedTable:
        """The given rows."""
        groups = None if self.groups is None else self.groups[rows]
        return replace(self, rows=self.rows[rows], labels=self.labels[rows], groups=groups)


class Unscored:
    """A scorer that knows nothing: the last generator is kept."""

    def __init__(self) -> None:
        self._asked = 0

    def score(self, network: nn.Module) -> Score:
        """Lower each time."""
        self._asked += 1
        return Score(-float(self._asked))


def new_run(
    table: EncodedTable,
    recipe: Recipe,
    steps: int,
    seed: int,
    *,
    stop: StopFlag,
    callbacks: Sequence[Callback] = (),
    scores: int = SCORES_A_RUN,
) -> tuple[Run, AnchorRows]:
    """A run from its start, its scorer not yet set, and the anchors that its batches count."""
    anchors = _anchors(table, recipe, seed)
    parts = build_table(recipe, layout_of(table.encoding), table.classes, table.machine, anchors)
    batches = RowBatches(
        torch.from_numpy(anchors.rows).to(table.machine.device),
        anchors.labels,
        table.classes,
        size=recipe.batch,
        power=recipe.label_power,
    )
    state = new_state(parts, seed)
    run = Run(
        parts, batches, state, steps, Unscored(), callbacks=callbacks, stop=stop, scores=scores
    )
    return run, anchors


def sampler_of(
    network: nn.Module, anchors: AnchorRows, table: EncodedTable, parts: Parts
) -> RowSampler:
    """What draws rows from a trained network; a free one keeps the rows of small classes alone."""
    wanted = parts.recipe.generator
    kept = _of_small_classes(anchors) if wanted.kind == "free" else anchors
    return RowSampler(network, table.encoding, kept, parts.machine, wanted)


def _anchors(table: EncodedTable, recipe: Recipe, seed: int) -> AnchorRows:
    kept = []
    for label in np.unique(table.labels):
        own = np.flatnonzero(table.labels == label)
        if len(own) > MOST_ANCHORS:
            drawn = generator(seed, "anchors", int(label)).permutation(own)[:MOST_ANCHORS]
            own = np.sort(drawn)
        kept.append(own)
    rows = np.concatenate(kept)
    wanted = recipe.generator
    return anchor_rows(
        table.rows[rows],
        table.labels[rows],
        wanted.neighbours,
        choices=table.encoding.choices,
        vectors=table.encoding.vectors,
        vote=wanted.levels == "vote",
    )


def _of_small_classes(anchors: AnchorRows) -> AnchorRows:
    counts = np.bincount(anchors.labels)
    kept = np.flatnonzero(counts[anchors.labels] < FEW_ROWS)
    votes = None if anchors.votes is None else anchors.votes[kept]
    neighbours = np.searchsorted(kept, anchors.neighbours[kept])  # of the class, so kept as well
    return AnchorRows(anchors.rows[kept], anchors.labels[kept], neighbours, votes)
