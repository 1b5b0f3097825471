"""Published recipes: their networks, and the trap of each, which a plausible mistake breaks.

Losses are tested in `losses/`, games in `test_games.py`.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gan_augment.data.batches import Batch
from gan_augment.generators.image_gan import ImageGAN
from gan_augment.generators.time_budget import opening_s, step_seconds
from gan_augment.kinds.image import IMAGE
from gan_augment.kinds.kind import Labelled
from gan_augment.machine import compute_config
from gan_augment.networks.geometry import Geometry
from gan_augment.networks.growing import equalised, faded, pixel_norm
from gan_augment.networks.images import DCGANDiscriminator, DCGANGenerator
from gan_augment.networks.style import ModulatedConvolution
from gan_augment.recipes import RECIPES, DiscriminatorSettings, GeneratorSettings, Recipe
from gan_augment.training.images import build
from gan_augment.training.loop import one_step
from gan_augment.training.parts import GeneratorOutput, Parts, TrainState, new_state
from gan_augment.training.published import path_length, slope_lengths, unrolled_loss, unrolled_step
from gan_augment.training.schedule import d_steps_at
from gan_augment.training.step import (
    discriminator_step,
    generate,
    generator_step,
    slope_penalties,
)
from tests.training.toy_runs import image_run, small

UNMOVED = {"initial_probability": 0.0}
"""Settings of a D that sees images without augmentation."""


def begun(name: str, side: int = 16, **changes: dict[str, Any]) -> tuple[TrainState, Parts]:
    """Return the first state of a recipe for two classes of images, without augmentation."""
    recipe = small(name, augment=UNMOVED, **changes)
    parts = build(recipe, (side, side, 1), 2, compute_config("cpu", "float32", 1))
    return new_state(parts, 0), parts


def rows(seed: int = 0, side: int = 16) -> Batch:
    """Eight images of two classes."""
    rng = torch.Generator().manual_seed(seed)
    x = torch.randn(8, 1, side, side, generator=rng)
    return Batch(x, torch.tensor([0, 0, 1, 1, 0, 0, 1, 1]), np.arange(8))


def inputs_of(network: nn.Module) -> list[torch.Tensor]:
    """Return a list that records the inputs of the network from now on."""
    seen: list[torch.Tensor] = []
    network.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach().clone()))
    return seen


def with_objective(parts: Parts, **changes: Any) -> Parts:
    """Return the parts with a changed objective."""
    objective = parts.recipe.objective.model_copy(update=changes)
    return replace(parts, recipe=parts.recipe.model_copy(update={"objective": objective}))


# dcgan


def test_dcgans_running_means_move_by_the_reals_and_then_by_the_fakes():
    state, parts = begun("dcgan")
    batch, fakes, layers = rows(), rows(1).x + 1, state.discriminator.layers
    with torch.no_grad():
        real, fake = (layers[:3](x).mean(dim=(0, 2, 3)) for x in (batch.x, fakes))
    discriminator_step(state, parts, batch, GeneratorOutput(fakes))
    norm = layers[3]
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.num_batches_tracked == 2
    # of both in one batch: .1 (real + fake) / 2
    torch.testing.assert_close(norm.running_mean, 0.9 * 0.1 * real + 0.1 * fake)


# acgan


@pytest.mark.parametrize(("fake_classes", "paid"), [(True, (1.0, 1.0)), (False, (1.0, 0.0))])
def test_acgans_d_learns_the_classes_of_reals_and_of_fakes(fake_classes, paid):
    state, parts = begun("acgan", objective={"classes": 2.0, "fake_classes": fake_classes})
    d, batch, fakes = state.discriminator, rows(), rows(1).x
    each = [F.cross_entropy(d(x, batch.y)[:, 1:], batch.y) for x in (batch.x, fakes)]
    due = 2.0 * (paid[0] * each[0] + paid[1] * each[1])
    (slope,) = torch.autograd.grad(due, d.classes.weight)
    discriminator_step(state, parts, batch, GeneratorOutput(fakes))
    torch.testing.assert_close(d.classes.weight.grad, slope)  # of nothing else in the loss


def test_acgans_g_learns_from_the_classes_and_the_verdict():
    state, parts = begun("acgan", objective={"classes": 2.0})
    batch = rows()
    output = generate(state, parts, batch)
    told = state.discriminator(output.x, batch.y)
    due = F.softplus(-told[:, 0]).mean() + 2.0 * F.cross_entropy(told[:, 1:], batch.y)
    weights = list(state.generator.parameters())
    slopes = torch.autograd.grad(due, weights, retain_graph=True)
    generator_step(state, parts, batch, output)
    for weight, slope in zip(weights, slopes, strict=True):
        torch.testing.assert_close(weight.grad, slope)


# wgan-gp


def test_wgan_gp_draws_a_separate_point_for_every_sample():
    state, parts = begun("wgan-gp")
    batch, heard = rows(), inputs_of(state.discriminator)
    fakes = batch.x + 1
    for turn in (1, 0):
        slope_penalties(state, parts, batch, fakes, turn)
    shares = [(fakes - x).flatten(1) for x in heard]  # x = e r + (1 - e) f
    for share in shares:
        torch.testing.assert_close(share, share[:, :1].expand_as(share), atol=1e-5, rtol=0)
    drawn = torch.stack([share[:, 0] for share in shares])
    assert ((drawn > -1e-5) & (drawn < 1 + 1e-5)).all()
    assert len(set(drawn.flatten().round(decimals=4).tolist())) == 16


# pggan


def test_pggans_reals_fade_as_its_networks_do():
    state, parts = begun("pggan", side=8)
    state.progress = 0.375  # of .5: a quarter until the only fade begins, a quarter of fading
    batch = rows(side=8)
    seen = inputs_of(state.discriminator)
    parts.step(state, parts, [batch])
    assert float(state.discriminator.level) == pytest.approx(0.5)
    assert float(state.generator.decoder.level) == pytest.approx(0.5)
    torch.testing.assert_close(seen[0], faded(batch.x, 0.5, 1))


def test_pggans_drift_is_a_thousandth_of_the_squared_logits_of_reals():
    state, parts = begun("pggan")
    losses = discriminator_step(state, parts, rows(), GeneratorOutput(rows(1).x))
    # of a bias, which is in every logit, the game and its slopes know nothing
    slope = state.discriminator.linear.bias.grad.item()
    assert losses["real_logit"].abs() > 1e-2
    assert slope == pytest.approx(2 * 0.001 * losses["real_logit"].item(), abs=1e-6)


def test_pixel_norm_is_worked_by_hand():
    x = torch.tensor([[3.0, 4.0], [0.1, -0.1]])[:, :, None, None]
    normed = pixel_norm(x)[:, :, 0, 0]
    expected = torch.tensor([[3 / 12.5**0.5, 4 / 12.5**0.5], [1.0, -1.0]])
    torch.testing.assert_close(normed, expected, atol=1e-5, rtol=1e-5)


# stylegan


def styles(**changes: Any):
    """The first generator of `stylegan`, of images of 16 px; noise and classes of four samples."""
    state, _ = begun("stylegan", generator={"style_mixing": 0.0, **changes})
    g = state.generator.decoder
    z = torch.randn(4, g.noise_width, generator=torch.Generator().manual_seed(0))
    return g, z, torch.tensor([0, 1, 0, 1])


def test_the_noise_of_a_layer_enters_by_its_strength_which_begins_at_0():
    g, z, y = styles()
    noise = 2 * g.code + 2  # where that of the first layer begins
    first, second = z.clone(), z.clone()
    first[:, noise : noise + g.noise_sizes[0]] += 1
    second[:, noise + g.noise_sizes[0] :][:, : g.noise_sizes[1]] += 1
    g.eval()
    torch.testing.assert_close(g(first, y), g(z, y))
    with torch.no_grad():
        g.strength[1] = 0.5
    torch.testing.assert_close(g(first, y), g(z, y))
    assert not torch.allclose(g(second, y), g(z, y), atol=1e-3)


def test_the_mapping_depends_on_the_direction_of_z_and_on_the_class():
    g, z, y = styles()
    code = z[:, : g.code]
    w = g.mapping(code, y)
    torch.testing.assert_close(g.mapping(3 * code, y), w, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(g.mapping(code.flip(0), y), w, atol=1e-2)
    assert not torch.allclose(g.mapping(code, 1 - y), w, atol=1e-2)


# unrolled


def test_simulated_steps_leave_the_weights_and_running_means_of_d():
    state, parts = begun("unrolled", discriminator={"network": "dcgan"})
    assert any(isinstance(m, nn.BatchNorm2d) for m in state.discriminator.modules())
    batch = rows()
    output = generate(state, parts, batch)
    before = copy.deepcopy(state.discriminator.state_dict())
    unrolled_loss(state, parts, batch, output).backward()
    for name, value in state.discriminator.state_dict().items():
        assert torch.equal(value, before[name]), name


@pytest.mark.parametrize("network", ["default", "dcgan"])
def test_the_real_step_of_an_unrolled_d_is_from_its_old_weights(network):
    (one, parts), (other, _) = (
        begun("unrolled", discriminator={"network": network}) for _ in range(2)
    )
    batch = rows()
    unrolled_step(one, parts, [batch])
    discriminator_step(other, parts, batch, generate(other, parts, batch))
    after = other.discriminator.state_dict()
    for name, value in one.discriminator.state_dict().items():
        torch.testing.assert_close(value, after[name], rtol=0, atol=1e-7, msg=name)


@pytest.mark.parametrize("adversary", [0.0, 2.0])
def test_an_unrolled_g_minimises_its_other_terms_and_the_weighted_adversary(adversary):
    objective = {"loss": "non-saturating", "feature_matching": 3.0, "adversary": adversary}
    still = {"spectral_norm": False}  # whose vectors move with every call
    state, parts = begun("anchored", objective=objective, game={"unrolled": 2}, discriminator=still)
    batch = rows()
    output = generate(state, parts, batch)
    due = adversary * unrolled_loss(state, with_objective(parts, adversary=1.0), batch, output)
    names = set()
    for term in parts.generator_terms:
        weighted, told = term(state, parts, batch, output)
        due, names = due + weighted, names | told.keys()
    assert names == {"reconstruction", "matching"}
    weights = list(state.generator.parameters())
    slopes = torch.autograd.grad(due, weights, allow_unused=True)
    losses = unrolled_step(state, parts, [batch])
    assert losses.keys() >= {"g_loss", "d_loss", *names}
    for weight, slope in zip(weights, slopes, strict=True):
        torch.testing.assert_close(weight.grad, slope)


# time


@pytest.mark.parametrize("steps", [100, 475, 4000])
def test_a_budget_of_wgan_counts_its_long_steps(steps):
    recipe = RECIPES["image"]["wgan"]
    plain = 0.1 * (recipe.d_steps + 1)  # a step of G as one of D
    taken_s = sum(0.1 * (d_steps_at(recipe, step, 0.5) + 1) for step in range(steps))
    mean_s = plain + (0.1 * 101 - plain) / 500
    assert opening_s(recipe, mean_s) + steps * mean_s == pytest.approx(taken_s, rel=0.05)


# networks of the literature: layers, weights, fades and styles


NAMES = ["dcgan", "pggan", "stylegan", "biggan-lite"]
SHAPES = [(28, 28, 1), (8, 8, 3), (20, 12, 4), (33, 17, 2)]
CASES = [(name, shape) for shape in SHAPES for name in RECIPES["image"]]
CASES += [(n, (1, 100, 2)) for n, r in RECIPES["image"].items() if not r.generator.from_rows]


def networks(recipe: Recipe, shape=(16, 16, 1), classes: int = 3):
    """G's decoder and D with their first weights."""
    g, d = build(recipe, shape, classes, compute_config("cpu", "float32", 1)).new_networks(0)
    return g.decoder, d


@pytest.mark.parametrize(("name", "shape"), CASES)
def test_images_and_signals_of_every_shape_pass_through_the_networks(name, shape):
    recipe = small(name)
    parts = build(recipe, shape, 3, compute_config("cpu", "float32", 1))
    g, d = parts.new_networks(0)
    channels = shape[2] * (2 if name == "pix2pix" else 1)  # both images of a pair
    y = torch.tensor([0, 0, 1, 1, 2, 2, 0, 0])
    batch = Batch(torch.rand(8, channels, *Geometry.of(shape).padded), y, np.arange(8))
    made = parts.make(g, parts.draw(0, 0, 0, batch)).x
    assert made.shape == batch.x.shape
    assert torch.isfinite(made).all()
    assert len(d.eval()(made, y)) == 8


def toy_images() -> Labelled:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 60, (24, 8, 8, 1), dtype=np.uint8)
    pixels[19:, 2:6, 2:6] += 180
    ids = np.array([f"row-{i:02d}" for i in range(24)])
    return IMAGE.of(pixels, np.repeat([0, 1], [19, 5]), ids, class_names=("dark", "square"))


@pytest.mark.parametrize("name", [*NAMES, "egan"])
def test_a_saved_model_draws_the_same_samples_and_few_are_a_prefix_of_many(name, tmp_path):
    gan = ImageGAN(recipe=small(name), steps=2, selection=False, threads=1).fit(toy_images())
    gan.save(tmp_path / "model")
    few = gan.sample({"square": 10}, random_state=1).pixels
    many = ImageGAN.load(tmp_path / "model").sample({"square": 100}, random_state=1).pixels
    assert np.array_equal(few, many[:10])


def test_dcgan_has_the_layers_of_its_paper():
    g = DCGANGenerator(Geometry.of((32, 32, 3)), 2, GeneratorSettings(width=16, max_width=64))
    ups = [m for m in g.modules() if isinstance(m, nn.ConvTranspose2d)]
    shapes = [(m.in_channels, m.out_channels, m.kernel_size, m.stride) for m in ups]
    each = ((4, 4), (2, 2))
    assert shapes == [(64, 32, *each), (32, 16, *each), (16, 3, *each)]
    assert isinstance(list(g.layers)[-1], nn.ConvTranspose2d)  # no norm at G's output
    settings = DiscriminatorSettings(width=16, max_width=64, spectral_norm=False)
    d = DCGANDiscriminator(Geometry.of((32, 32, 3)), 2, settings)
    kinds = [type(m) for m in d.layers]
    assert kinds[:2] == [nn.Conv2d, nn.LeakyReLU]  # nor at D's input
    assert kinds[2:] == [nn.Conv2d, nn.BatchNorm2d, nn.LeakyReLU] * 2


@pytest.mark.parametrize("level", [0, 1])
def test_what_begins_to_fade_in_changes_nothing(level):
    g, d = networks(small("pggan"), (16, 16, 1))
    z, y, x = torch.randn(4, 8), torch.tensor([0, 1, 2, 0]), torch.rand(4, 1, 16, 16)
    told = []
    for alpha in (0.0, 1e-6):
        for network in (g, d):
            network.level.fill_(level + alpha)
        now = faded(x, level + alpha, 2)
        told.append((g(z, y), d(now, y), now))
    for old, new in zip(*told, strict=True):
        torch.testing.assert_close(old, new, rtol=1e-4, atol=1e-4)


def test_half_faded_reals_are_the_mean_of_both_sides():
    x = torch.zeros(1, 1, 8, 8)
    x[..., 0, 0] = 4.0  # down and up again: 1 in each of the four
    assert faded(x, 0.5, 1)[0, 0, :2, :2].tolist() == [[2.5, 0.5], [0.5, 0.5]]


def test_equalised_weights_of_n_0_1_are_scaled_by_sqrt_2_over_fan_in():
    layer = equalised(nn.Conv2d(8, 4, 3))
    kept = layer.parametrizations.weight.original
    torch.testing.assert_close(layer.weight, kept * (2 / 72) ** 0.5)
    g, _ = networks(small("pggan", generator={"width": 32, "max_width": 32}))
    kept = g.levels[0].layers[0].parametrizations.weight.original
    assert kept.std().item() == pytest.approx(1, abs=0.1)


def test_a_run_grows_forgets_its_moments_and_samples_at_its_level():
    run = image_run(**small("pggan").model_dump() | {"steps": 10})
    levels, moments = [], []
    for _ in range(10):
        one_step(run)
        levels.append(float(run.state.average.decoder.level))
        slots = run.state.generator_optimiser.state.values()
        moments.append(max(int(slot["step"]) for slot in slots))
    assert levels == pytest.approx([0, 0, 0, 0.2, 0.6] + [1] * 5)
    assert moments == [1, 2, 3, 1, 2, 3, 4, 5, 6, 7]


def test_a_budget_is_timed_at_the_full_side():
    run, levels = image_run(**small("pggan").model_dump()), []

    def step(state, parts, batches):
        losses = run.parts.step(state, parts, batches)
        levels.append(float(state.generator.decoder.level))
        return losses

    step_seconds(replace(run.parts, step=step), run.batches, probe_s=0.1)
    assert set(levels) == {1.0}


def test_a_demodulated_convolution_is_a_convolution_by_rows_of_norm_1():
    layer, x, w = ModulatedConvolution(8, 4, code=6), torch.randn(5, 8, 6, 6), torch.randn(5, 6)
    s, d = layer.scales(w)
    rows = layer.convolution.weight * s[:, None, :, None, None] * d[:, :, None, None, None]
    assert rows.flatten(2).norm(dim=2).flatten().tolist() == pytest.approx([1.0] * 20, abs=1e-3)
    each = torch.cat([nn.functional.conv2d(x[i : i + 1], rows[i], padding=1) for i in range(5)])
    torch.testing.assert_close(layer(x, w), each, rtol=1e-4, atol=1e-5)


def trained_style(**changes):
    run = image_run(**small("stylegan", **changes).model_dump() | {"steps": 10})
    for _ in range(6):
        one_step(run)
    return run


def test_styles_are_mixed_in_training_alone_and_by_z():
    g = trained_style(generator={"style_mixing": 1.0}).state.generator.decoder
    z, y = torch.randn(4, g.noise_width), torch.zeros(4, dtype=torch.long)
    other = z.clone()
    other[:, g.code : 2 * g.code] += 3
    torch.testing.assert_close(g.train()(z, y), g(z, y))
    assert not torch.allclose(g(z, y), g(other, y))
    torch.testing.assert_close(g.eval()(z, y), g(other, y))


def test_a_linear_maps_path_length_is_worked_by_hand():
    w = torch.tensor([[1.0, 2.0], [0.5, -1.0]], requires_grad=True)
    matrix = torch.tensor([[1.0, 0.0, 2.0, 0.0], [0.0, 3.0, 0.0, 4.0]])  # (2, 4 pixels)
    images = (w @ matrix).view(2, 1, 2, 2)
    lengths = slope_lengths(images, w, torch.ones(2, 1, 2, 2))
    assert lengths.tolist() == pytest.approx([(3**2 + 7**2) ** 0.5 / 2] * 2)


def test_path_lengths_come_every_fourth_step_with_four_times_the_weight():
    run = trained_style()
    batch, terms = run.batches.at(0, 0), []
    for step in range(9):
        run.state.step = step
        term, _ = path_length(run.state, run.parts, batch, GeneratorOutput(batch.x))
        terms.append(term.item())
    assert [step for step, term in enumerate(terms) if term] == [0, 4, 8]
    assert float(run.state.numbers["path_length"]) > 0


def test_biggans_code_reaches_every_block():
    g, _ = networks(small("biggan-lite"))
    nn.init.zeros_(g.start.weight)
    one, other = g.eval()(torch.randn(2, 8), torch.zeros(2, dtype=torch.long))
    assert not torch.allclose(one, other)


def test_dcgans_first_weights_have_the_moments_of_its_paper():
    for network in networks(small("dcgan", generator={"width": 64, "max_width": 64})):
        for module in network.modules():
            weight = getattr(module, "weight", None)
            if isinstance(module, nn.BatchNorm2d):
                assert weight.mean().item() == pytest.approx(1, abs=0.03)
                assert 0.005 < weight.std().item() < 0.035
            elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                assert weight.mean().item() == pytest.approx(0, abs=0.005)
                assert weight.std().item() == pytest.approx(0.02, rel=0.2)
