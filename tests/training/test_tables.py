"""Training on tables: feature matching by hand, where a sample starts, when penalties come."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from toy_runs import encoded_rows, table_run

from gan_augment.data.batches import Batch
from gan_augment.networks.tables import RowDiscriminator
from gan_augment.training.parts import GeneratorOutput
from gan_augment.training.step import feature_matching

KINDS = ("anchored", "free")


class FirstEntries(RowDiscriminator):
    """A discriminator whose features are the first two entries of a row."""

    def features(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x[:, :2]


def matching(real, fake, y) -> float:
    run = table_run()
    run.state.discriminator = FirstEntries(2, 2, width=16)
    batch = Batch(torch.tensor(real).float(), torch.tensor(y), np.arange(len(y)))
    term, losses = feature_matching(
        run.state, run.parts, batch, GeneratorOutput(torch.tensor(fake).float())
    )
    weight = run.parts.recipe.objective.feature_matching
    assert term.item() == pytest.approx(weight * losses["matching"].item())
    return float(losses["matching"])


SAME = [[0.0, 1.0], [2.0, 3.0], [5.0, 1.0]]


@pytest.mark.parametrize(
    ("real", "fake", "y", "gap"),
    [
        # class 0: means (1, 0) and (2, 1), mean square 1; class 1: 0 and 9, mean 4.5
        ([[0, 0], [2, 0], [5, 1]], [[1, 1], [3, 1], [5, 4]], [0, 0, 1], (1 + 4.5) / 2),
        ([[0, 0], [2, 0]], [[3, 0], [3, 0]], [1, 1], 2),  # the only class of the batch
        (SAME, [SAME[1], SAME[0], SAME[2]], [0, 0, 1], 0),  # equal means
    ],
)
def test_feature_matching_is_the_squared_gap_of_class_means_worked_by_hand(real, fake, y, gap):
    assert matching(real, fake, y) == pytest.approx(gap)


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_generator_is_given_is_a_function_of_seed_step_and_turn(kind):
    run = table_run(kind)
    batch = run.batches.at(0, 3)
    same, again, other = (run.parts.draw(0, 3, turn, batch) for turn in (0, 0, 1))
    assert torch.equal(same.z, again.z)
    assert not torch.equal(same.z, other.z)
    assert torch.equal(same.y, batch.y)


def test_an_anchored_sample_starts_between_rows_of_its_class():
    run, (_, held) = table_run(), encoded_rows()
    batch = run.batches.at(0, 0)
    anchors = run.parts.draw(0, 0, 0, batch).source
    assert torch.equal(anchors.first, batch.x)
    for row, second in zip(batch.index, anchors.second.numpy(), strict=True):
        others = held.neighbours[row]
        assert (held.labels[others] == held.labels[row]).all()
        assert (held.rows[others] == second).all(axis=1).any()
    assert ((anchors.position >= 0) & (anchors.position < 1)).all()
    nearer = torch.where(anchors.position[:, None] > 0.5, anchors.second, anchors.first)
    assert torch.equal(anchors.levels, nearer)


def test_batches_draw_rare_classes_more_often_than_they_occur():
    run = table_run()
    y = torch.cat([run.batches.at(0, step).y for step in range(1_000)])
    expected = np.sqrt(15) / (np.sqrt(15) + np.sqrt(45))  # n^.5
    assert (y == 1).float().mean().item() == pytest.approx(expected, abs=0.02)


def test_an_anchored_generator_without_rows_is_refused():
    run = table_run()
    inputs = replace(run.parts.draw(0, 0, 0, run.batches.at(0, 0)), source=None)
    with pytest.raises(TypeError, match="rows of the class"):
        run.parts.make(run.state.generator, inputs)
