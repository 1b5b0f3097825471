"""Steps: each touches one optimiser, losses fall, every optimiser and loss trains."""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from toy_runs import encoded_rows, table_run

from gan_augment.data.batches import Batch
from gan_augment.losses.adversarial import LOSSES
from gan_augment.networks.tables import RowDiscriminator
from gan_augment.recipes import (
    AugmentSettings,
    DiscriminatorSettings,
    GeneratorSettings,
    ObjectiveSettings,
    OptimiserSettings,
)
from gan_augment.training import step as steps
from gan_augment.training.loop import one_step
from gan_augment.training.parts import GeneratorOutput, network_arrays
from gan_augment.training.step import feature_matching

FREE = GeneratorSettings(kind="free", code=8, embedding=4, width=8, max_width=8)
TINY_D = DiscriminatorSettings(width=8, max_width=8, spectral_norm=False)


def copied(network):
    return {name: value.copy() for name, value in network_arrays(network).items()}


def changed(network, before) -> bool:
    return any((before[name] != value).any() for name, value in network_arrays(network).items())


def test_an_anchored_image_mixes_its_row_with_the_other_row_of_its_pair(toy_run):
    run = toy_run()
    batch = run.batches.at(0, 0)
    index = run.parts.draw(0, 0, 0, batch).source.index.numpy()
    pairs = np.arange(len(batch.y)).reshape(-1, 2)
    assert np.array_equal(index[:, 0], pairs.reshape(-1))
    assert np.array_equal(index[:, 1], pairs[:, ::-1].reshape(-1))


def test_the_step_of_one_network_leaves_the_other_and_its_optimiser(any_run):
    run = any_run()
    state, parts, batch = run.state, run.parts, run.batches.at(0, 0)
    output = steps.generate(state, parts, batch)
    before = copied(state.generator), copied(state.discriminator)
    losses = steps.discriminator_step(state, parts, batch, output)
    assert not changed(state.generator, before[0])
    assert changed(state.discriminator, before[1])
    assert not state.generator_optimiser.state
    weights = [weight.clone() for weight in state.discriminator.parameters()]
    moments = copy.deepcopy(state.discriminator_optimiser.state_dict()["state"])
    losses |= steps.generator_step(state, parts, batch, output)
    assert changed(state.generator, before[0])
    assert not any(loss.requires_grad for loss in losses.values())
    assert all(map(torch.equal, weights, state.discriminator.parameters()))
    after = state.discriminator_optimiser.state_dict()["state"]
    assert all(torch.equal(after[i][k], v) for i, one in moments.items() for k, v in one.items())
    assert all(weight.requires_grad for weight in state.discriminator.parameters())


def test_reconstruction_falls_on_four_samples(toy_run):
    run = toy_run(batch=4, generator_optimiser=OptimiserSettings(rate=5e-3))
    batch = run.batches.at(0, 0)
    losses = [
        steps.terms_step(run.state, run.parts, [batch])["reconstruction"].item() for _ in range(40)
    ]
    assert sum(losses[-5:]) < 0.6 * sum(losses[:5])


def d_step(run) -> dict[str, torch.Tensor]:
    """One update of D on the first batch, and as fakes its rows negated and upside down."""
    batch = run.batches.at(0, 0)
    fake = GeneratorOutput(-batch.x.flip(2) if batch.x.ndim == 4 else -batch.x)
    return steps.discriminator_step(run.state, run.parts, batch, fake)


@pytest.mark.parametrize(("name", "rate"), [("adam", 5e-3), ("rmsprop", 2e-3), ("sgd", 0.05)])
def test_every_optimiser_teaches_d_four_samples(toy_run, name, rate):
    run = toy_run(batch=4, discriminator_optimiser=OptimiserSettings(name=name, rate=rate))
    losses = [d_step(run)["d_loss"].item() for _ in range(60)]
    assert losses[-1] < 0.5 * losses[0]


HELD = {  # each loss with what holds D's slope, at every step
    "hinge": {"gradient_penalty": 1.0},
    "non-saturating": {"r1": 0.1},
    "minimax": {"gradient_penalty": 1.0},
    "least-squares": {"r1": 0.1, "r2": 0.1},
    "wasserstein": {"gradient_penalty": 10.0},
    "relativistic": {"r1": 0.1, "r2": 0.1},
}


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_with_its_penalty_teaches_d_four_samples(toy_run, loss):
    objective = ObjectiveSettings(loss=loss, r1_every=1, **HELD[loss])
    run = toy_run(batch=4, discriminator=TINY_D, objective=objective)
    totals = []
    for run.state.step in range(60):
        losses = d_step(run)
        penalty = sum(weight * losses[name] for name, weight in HELD[loss].items())
        totals.append((losses["d_loss"] + penalty).item())
    assert totals[-1] < 0.9 * totals[0]


def test_clipping_keeps_every_weight_of_d_within_the_limit_and_the_loss_still_falls(toy_run):
    slow = OptimiserSettings(name="rmsprop", rate=5e-4)
    objective = ObjectiveSettings(loss="wasserstein", clip=0.1)
    run = toy_run(batch=4, discriminator=TINY_D, objective=objective, discriminator_optimiser=slow)
    losses = []
    for _ in range(60):
        losses.append(d_step(run)["d_loss"].item())
        held = [weight.abs().max().item() for weight in run.state.discriminator.parameters()]
        assert max(held) <= np.float32(0.1)
    assert losses[-1] < losses[1] - 1e-3  # [0] is from before the first clip


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_teaches_g(toy_run, loss):
    run = toy_run(generator=FREE, objective=ObjectiveSettings(loss=loss), batch=4)
    batch, losses = run.batches.at(0, 0), []
    for _ in range(20):
        output = steps.generate(run.state, run.parts, batch)
        losses.append(steps.generator_step(run.state, run.parts, batch, output)["g_loss"].item())
    assert losses[-1] < losses[0]


def test_d_steps_are_updates_of_d_per_update_of_g(toy_run):
    run = toy_run(d_steps=3, objective=ObjectiveSettings(reconstruct_only=0))
    one_step(run)
    for optimiser, updates in (
        (run.state.discriminator_optimiser, 3),
        (run.state.generator_optimiser, 1),
    ):
        assert next(iter(optimiser.state.values()))["step"].item() == updates


def test_r1_is_applied_only_at_every_kth_step(toy_run):
    run = toy_run(objective=ObjectiveSettings(reconstruct_only=0, r1=1.0, r1_every=4))
    assert ["r1" in one_step(run) for _ in range(6)] == [True, False, False, False, True, False]


def test_lecam_joins_once_its_images_are_seen(toy_run, monkeypatch):
    monkeypatch.setattr(steps, "LECAM_FROM_IMAGES", 16)  # two steps of eight
    plain, with_lecam = (
        toy_run(objective=ObjectiveSettings(reconstruct_only=0, lecam=weight)) for weight in (0, 50)
    )
    same = []
    for _ in range(4):
        one_step(plain), one_step(with_lecam)
        same.append(not changed(plain.state.discriminator, copied(with_lecam.state.discriminator)))
    assert same == [True, True, False, False]


@pytest.mark.parametrize(
    ("loss", "seen"), [("hinge", ["improved"]), ("relativistic", ["improved", "beside improved"])]
)
def test_g_sees_reals_only_where_its_loss_compares_with_them(toy_run, loss, seen):
    run, names = toy_run(generator=FREE, objective=ObjectiveSettings(loss=loss)), []
    batch = run.batches.at(0, 0)
    parts = replace(
        run.parts, augment=lambda parts, state, x, which, turn: names.append(which) or x
    )
    steps.generator_step(run.state, parts, batch, steps.generate(run.state, parts, batch))
    assert names == seen


def test_r1_every_four_steps_moves_d_as_far_as_r1_every_step(toy_run):
    def moved(**penalty) -> np.ndarray:
        """How far four D steps on one batch carry the weights, at a rate that hardly moves them."""
        slow = OptimiserSettings(name="sgd", rate=1e-6)
        run = toy_run(discriminator_optimiser=slow, objective=ObjectiveSettings(**penalty))
        batch = run.batches.at(0, 0)
        before = copied(run.state.discriminator)
        run.state.discriminator.eval()  # the singular vectors stand still
        for _ in range(4):
            steps.discriminator_step(run.state, run.parts, batch, GeneratorOutput(-batch.x))
            run.state.step += 1
        after = network_arrays(run.state.discriminator)
        return np.concatenate([(after[k].astype(np.float64) - before[k]).ravel() for k in before])

    without = moved()
    every_step = moved(r1=1000.0, r1_every=1) - without
    lazily = moved(r1=1000.0, r1_every=4) - without
    assert np.abs(every_step).max() > 1e-5
    np.testing.assert_allclose(lazily, every_step, atol=0.03 * np.abs(every_step).max())


def test_the_augmentation_grows_while_d_is_sure_of_reals_and_shrinks_otherwise(toy_run):
    run = toy_run(augment=AugmentSettings(initial_probability=0.4))
    numbers, run.state.step = run.state.numbers, 3
    for sure, direction in ((1.0, 1), (-1.0, -1)):
        before = numbers["augment_probability"].item()
        logits = torch.full((8,), sure)
        steps._observe_logits(run.state, run.parts, logits, logits)
        assert math.copysign(1, numbers["augment_probability"].item() - before) == direction
    numbers["augment_probability"].fill_(steps.MOST_PROBABILITY)
    steps._observe_logits(run.state, run.parts, torch.ones(8), torch.ones(8))
    assert numbers["augment_probability"].item() == pytest.approx(steps.MOST_PROBABILITY)


def test_with_several_d_steps_the_augmentation_follows_their_mean(toy_run):
    run = toy_run(d_steps=2, augment=AugmentSettings(initial_probability=0.4))
    logits = torch.tensor([1.0] * 7 + [-1.0] * 3)  # E sign is .4, the target .6
    for run.state.step in range(4):
        for turn in (1, 0):
            steps._observe_logits(run.state, run.parts, logits, logits, turn)
    moved = run.state.numbers["augment_probability"].item() - 0.4
    assert moved == pytest.approx(-10 / 20_000, rel=1e-3)


# tables


class FirstEntries(RowDiscriminator):
    """A discriminator whose features are the first two entries of a row."""

    def features(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x[:, :2]


def matching(real, fake, y) -> float:
    run = table_run()
    run.state.discriminator = FirstEntries(2, 2, DiscriminatorSettings(width=16))
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


@pytest.mark.parametrize("kind", ["anchored", "free"])
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
    assert torch.equal(anchors.categories, nearer)


def test_batches_draw_rare_classes_more_often_than_they_occur():
    run = table_run()
    y = torch.cat([run.batches.at(0, step).y for step in range(1_000)])
    expected = np.sqrt(15) / (np.sqrt(15) + np.sqrt(45))  # n^.5
    assert (y == 1).float().mean().item() == pytest.approx(expected, abs=0.02)
