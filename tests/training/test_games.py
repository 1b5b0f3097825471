"""Games: the output of D, long D steps, balance, unrolling, several networks."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from toy_runs import image_run, table_run

from gan_augment.data.batches import Batch
from gan_augment.losses.adversarial import AdversarialLoss
from gan_augment.networks.ensembles import (
    ByClass,
    Discriminators,
    Generators,
    routed,
)
from gan_augment.networks.layers import ConditionalDiscriminator
from gan_augment.recipes import RECIPES, OptimiserSettings
from gan_augment.training.loop import one_step
from gan_augment.training.parts import GeneratorOutput, state_arrays
from gan_augment.training.published import moved, unrolled_loss
from gan_augment.training.schedule import d_steps_at, d_weight
from gan_augment.training.step import adversarial_step, discriminator_step
from tests.training.test_recipes import toy

PLAIN = {"loss": "non-saturating"}
FREE = {"kind": "free", "code": 4, "embedding": 4, "width": 8, "max_width": 8}


def test_equal_class_logits_cost_ln_k_and_give_a_verdict_of_three_quarters():
    d = ConditionalDiscriminator()
    d.set_head(3, 4, "classes", lambda layer: layer, 0)
    for weight in d.parameters():
        nn.init.zeros_(weight)
    said = d.verdict(torch.randn(5, 4), torch.zeros(5, dtype=torch.long))
    assert said.shape == (5, 4)
    assert torch.sigmoid(said[:, 0]).tolist() == pytest.approx([0.75] * 5)  # Z / (Z + 1), Z = 3
    cross_entropy = nn.functional.cross_entropy(said[:, 1:], torch.tensor([0, 1, 2, 0, 1]))
    assert cross_entropy.item() == pytest.approx(math.log(3))


@pytest.mark.parametrize("network", ["default", "dcgan", "growing", "row"])
@pytest.mark.parametrize("condition", ["auxiliary", "concatenation", "projection", "none"])
def test_a_verdict_depends_on_the_class_unless_d_predicts_it_or_is_not_told(network, condition):
    sizes = {"width": 8, "max_width": 8, "condition": condition, "spectral_norm": False}
    if network == "row":
        run = table_run(discriminator=sizes)
    else:
        run = image_run(discriminator={**sizes, "network": network})
    batch, d = run.batches.at(0, 0), run.state.discriminator.eval()
    logits = [d(batch.x, torch.full_like(batch.y, y)) for y in (0, 1)]
    auxiliary = condition == "auxiliary"
    assert logits[0].shape == ((len(batch.y), 3) if auxiliary else batch.y.shape)
    assert torch.allclose(logits[0], logits[1]) == (condition in ("auxiliary", "none"))


@pytest.mark.parametrize("make", [image_run, table_run])
def test_a_d_that_predicts_classes_learns_them(make):
    values = RECIPES["image" if make is image_run else "table"]["semi-supervised"].model_dump()
    values["generator"] |= {"code": 8, "embedding": 4, "width": 8, "max_width": 8}
    values["discriminator"] |= {"width": 16, "max_width": 16}
    run = make(**values | {"batch": 8})
    for _ in range(150):
        one_step(run)
    batch = run.batches.at(1, 0)
    predicted = run.state.discriminator(batch.x, batch.y)[:, 1:].argmax(dim=1)
    assert (predicted == batch.y).float().mean() >= 0.75


def test_wgan_takes_100_d_steps_for_the_first_25_g_steps_and_at_every_500th():
    recipe = RECIPES["image"]["wgan"]
    steps = [d_steps_at(recipe, step, 0.5) for step in range(1001)]
    assert steps[:25] == [100] * 25
    assert [step for step in range(25, 1001) if steps[step] == 100] == [500, 1000]
    assert set(steps) == {5, 100}
    assert recipe.discriminator_optimiser.name == "rmsprop"


def test_the_weight_and_the_number_of_d_steps_follow_the_balance():
    accuracies = np.linspace(0, 1, 51)
    weights = [d_weight(accuracy) for accuracy in accuracies]
    steps = [d_steps_at(RECIPES["image"]["sgan"], 0, accuracy) for accuracy in accuracies]
    assert weights == sorted(weights, reverse=True)
    assert steps == sorted(steps, reverse=True)
    for accuracy, weight, d_steps in ((0.5, 1, 5), (0.75, 1, 1), (0.875, 0.5, 1), (1, 0.05, 1)):
        assert d_weight(accuracy) == pytest.approx(weight)
        assert d_steps_at(RECIPES["image"]["sgan"], 0, accuracy) == d_steps


class Fixed(nn.Module):
    """A discriminator with one logit for all reals and one for all fakes, which are above 5."""

    def __init__(self, real: float, fake: float) -> None:
        super().__init__()
        self.real, self.fake, self.weight = real, fake, nn.Parameter(torch.zeros(()))

    def forward(self, x, y):
        return torch.where(x.flatten(1).mean(1) > 5, self.fake, self.real) + 0 * self.weight


@pytest.mark.parametrize(
    ("real", "fake", "accuracy"), [(2.0, -2.0, 1.0), (2.0, 2.0, 0.5), (-2.0, 2.0, 0.0)]
)
def test_the_balance_of_a_game_is_the_accuracy_of_d(real, fake, accuracy):
    run = table_run("free", game={"balanced": True}, batch=8, objective=PLAIN)
    run.state.discriminator = Fixed(real, fake)
    batch = run.batches.at(0, 0)
    fakes = GeneratorOutput(torch.full_like(batch.x, 10.0))
    for _ in range(500):
        discriminator_step(run.state, run.parts, batch, fakes)
    assert float(run.state.numbers["d_accuracy"]) == pytest.approx(accuracy, abs=0.01)


def test_a_d_that_always_wins_trains_at_a_twentieth_of_its_rate():
    run = table_run("free", game={"balanced": True}, schedule={"name": "constant"})
    run.state.numbers["d_accuracy"].fill_(1.0)
    one_step(run)
    rate = run.parts.recipe.discriminator_optimiser.rate
    assert run.state.discriminator_optimiser.param_groups[0]["lr"] == pytest.approx(rate / 20)
    assert run.state.generator_optimiser.param_groups[0]["lr"] == pytest.approx(rate)


class Number(nn.Module):
    """One weight: the output of D is weight times x."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(value))

    def forward(self, x, y):
        return self.weight * x[:, 0]


def bilinear(d: float, k: int, optimiser: OptimiserSettings):
    """The game L_G = g d, L_D = -g d, at weight d of D, unrolled k steps."""
    changes = {"game": {"unrolled": k}, "objective": PLAIN}
    run = table_run("free", discriminator_optimiser=optimiser, **changes)
    game = AdversarialLoss(lambda real, fake: -fake.mean(), lambda real, fake: fake.mean())
    run.state.discriminator = Number(d)
    for group in run.state.discriminator_optimiser.param_groups:
        group["lr"] = optimiser.rate
    return run.state, replace(run.parts, loss=game)


@pytest.mark.parametrize("k", [1, 2, 5])
def test_the_slope_through_k_steps_of_a_bilinear_game_worked_by_hand(k):
    d, g, rate = 0.3, torch.tensor(0.7, requires_grad=True), 0.1
    state, parts = bilinear(d, k, OptimiserSettings(name="sgd", rate=rate))
    rows = g * torch.ones(4, 1)
    batch = Batch(torch.zeros(4, 1), torch.zeros(4, dtype=torch.long), np.arange(4))
    unrolled_loss(state, parts, batch, GeneratorOutput(rows)).backward()
    assert g.grad.item() == pytest.approx(d + 2 * k * rate * 0.7, rel=1e-5)  # detached: d + k eta g
    assert state.discriminator.weight.item() == pytest.approx(d)


def test_a_simulated_step_of_adam_is_that_of_torch():
    torch.manual_seed(0)
    weight, slope = torch.randn(5), torch.randn(5)
    settings = OptimiserSettings(rate=1e-2, betas=(0.5, 0.9))
    real = nn.Parameter(weight.clone())
    optimiser = torch.optim.Adam([real], lr=1e-2, betas=(0.5, 0.9))
    simulated, moments = [weight], [(torch.zeros(5), torch.zeros(5))]
    for step in (1, 2, 3):
        real.grad = slope * step
        optimiser.step()
        simulated, moments = moved(simulated, [slope * step], moments, settings, 1e-2, step)
    torch.testing.assert_close(simulated[0], real.detach(), rtol=1e-5, atol=1e-7)


def test_an_ensemble_of_one_discriminator_is_the_plain_gan_bit_for_bit():
    plain, ensemble = image_run(generator=FREE), image_run(generator=FREE)
    ensemble.state.discriminator = Discriminators([ensemble.state.discriminator])
    for _ in range(4):
        one_step(plain), one_step(ensemble)
    mine, theirs = state_arrays(plain.state), state_arrays(ensemble.state)
    for name, value in mine.items():
        if name.startswith("discriminator/"):
            name = name.replace("/", "/members.0.", 1)
        assert np.array_equal(value, theirs[name]), name


class Constant(nn.Module):
    """A generator that makes its number, whatever the noise."""

    noise_width = 2

    def __init__(self, number: float) -> None:
        super().__init__()
        self.number = number

    def forward(self, z, y):
        return torch.full((len(z), 1), self.number) + 10 * y[:, None]


def test_generators_share_a_batch_evenly_in_training_and_in_sampling():
    network = Generators([Constant(0.0), Constant(1.0)])
    zeros = torch.zeros(8, dtype=torch.long)
    drawn = network.train()(torch.zeros(8, 3), zeros).flatten().tolist()
    assert drawn == [0, 0, 1, 1, 0, 0, 1, 1]
    z = torch.randn(4000, network.noise_width, generator=torch.Generator().manual_seed(0))
    drawn = network.eval()(z, torch.zeros(4000, dtype=torch.long))
    assert drawn.mean().item() == pytest.approx(0.5, abs=0.03)


def test_by_class_every_row_goes_through_its_classs_network_in_its_order():
    network = ByClass([Constant(0.0), Constant(1.0), Constant(2.0)])
    y = torch.tensor([2, 0, 1, 2])
    assert network(torch.zeros(4, 2), y).flatten().tolist() == [2, 0, 1, 2]
    assert routed(network.members, torch.tensor([0, 0]), torch.zeros(2, 2), torch.zeros(2)).shape


def test_by_class_a_step_on_one_class_leaves_the_networks_of_other_classes():
    run = toy("table", "class-by-class")
    batch = run.batches.at(0, 0)
    batch = replace(batch, y=torch.zeros_like(batch.y))
    before = state_arrays(run.state)
    adversarial_step(run.state, run.parts, [batch])
    after = state_arrays(run.state)
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert any(name.startswith("generator/members.0.") for name in changed)
    assert not any("/members.1." in name for name in changed if "optimiser" not in name)
