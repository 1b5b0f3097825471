"""Samples that start from a row: closed forms of each term, the pool, what the networks keep."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from gan_augment.machine import compute_config
from gan_augment.networks.inputs import GeneratorInput, SourceRows
from gan_augment.networks.translation import (
    FrequencyMixer,
    TranslationGenerator,
    adain,
    lowered,
)
from gan_augment.recipes import RECIPES
from gan_augment.training.images import build
from gan_augment.training.loop import one_step
from gan_augment.training.parts import GeneratorOutput, load_state, state_arrays
from gan_augment.training.step import generate
from gan_augment.training.translation import (
    LEAST_MASK,
    MOST_MASK,
    autoencoding_step,
    cycle_term,
    drawn_masks,
    from_pool,
    identity_term,
    pixel_term,
    rows_of_others,
    style_step,
    style_term,
)
from tests.training.test_recipes import toy
from tests.training.toy_runs import small


def noise(seed: int, *shape: int) -> torch.Tensor:
    """Images of -1 to 1 at random."""
    return 2 * torch.rand(shape, generator=torch.Generator().manual_seed(seed)) - 1


def networks(name: str, shape=(8, 8, 1), classes: int = 2, **generator):
    """Return G and D of a small recipe with their first weights."""
    recipe, compute = small(name, generator=generator), compute_config("cpu", "float32", 1)
    return build(recipe, shape, classes, compute).new_networks(0)


def test_the_pool_holds_so_many_of_each_class_and_shows_half_past_ones():
    pool, held = torch.zeros(2, 50, 1, 1, 1), torch.zeros(2)
    labels = torch.zeros(100, dtype=torch.long)
    rng = np.random.default_rng(0)
    first = torch.arange(1.0, 101.0).view(100, 1, 1, 1)
    shown = from_pool(pool, held, first, labels, rng)
    assert held.tolist() == [50, 0]
    assert torch.equal(shown[:50], first[:50])
    new = torch.arange(101.0, 1101.0).view(1000, 1, 1, 1)
    shown = from_pool(pool, held, new, torch.zeros(1000, dtype=torch.long), rng)
    past = float((shown != new).float().mean())
    assert 0.45 < past < 0.55
    assert set(pool[0].flatten().tolist()) <= set(range(1, 1101))
    assert not pool[1].any()


def test_a_sample_is_shown_by_the_pool_of_its_own_class():
    pool, held = torch.zeros(2, 3, 1, 1, 1), torch.zeros(2)
    labels = torch.arange(400) % 2
    shown = from_pool(
        pool, held, labels.float().view(-1, 1, 1, 1), labels, np.random.default_rng(0)
    )
    assert torch.equal(shown.flatten(), labels.float())


def test_outside_of_a_mask_a_row_stays_bit_for_bit():
    network, row = networks("inpaint")[0].eval(), noise(0, 2, 1, 8, 8)
    masks = torch.zeros(2, 1, 8, 8)
    masks[:, :, 2:5, 1:6] = 1
    inputs = GeneratorInput(
        torch.randn(2, network.noise_width), torch.tensor([0, 1]), SourceRows(row, masks=masks)
    )
    drawn, inside = network(inputs), masks.bool()
    assert torch.equal(drawn[~inside], row[~inside])
    assert (drawn[inside] != row[inside]).any()
    changed = SourceRows(torch.where(inside, torch.rand(()), row), masks=masks)
    again = network(GeneratorInput(inputs.z, inputs.y, changed))
    assert torch.equal(again[inside], drawn[inside])  # what was there is not looked at


def test_drawn_masks_are_rectangles_of_a_quarter_to_three_fifths_of_a_side():
    masks = drawn_masks(200, (20, 30), np.random.default_rng(0))
    for axis, side in ((2, 20), (1, 30)):
        lengths = masks[:, 0].max(axis=axis).sum(axis=1)
        assert lengths.min() >= LEAST_MASK * side - 1
        assert lengths.max() <= MOST_MASK * side + 1
    heights, widths = masks[:, 0].max(axis=2).sum(axis=1), masks[:, 0].max(axis=1).sum(axis=1)
    assert np.array_equal(masks.sum(axis=(1, 2, 3)), heights * widths)


class Moved(torch.nn.Module):
    """A translator that gives a row back, moved by a number."""

    def __init__(self, by: float) -> None:
        super().__init__()
        self.by = by

    def forward(self, rows, *_):
        return rows + self.by


def moved(state, arrays) -> set[str]:
    """The names of what differs from earlier arrays of a state."""
    after = state_arrays(state)
    return {name for name in arrays if not np.array_equal(arrays[name], after[name])}


# what holds a sample to its row


def test_terms_of_a_map_that_moves_every_pixel_by_a_quarter_are_worked_by_hand():
    run = toy("image", "cyclegan")
    run.state.generator = TranslationGenerator(Moved(0.25))
    batch = run.batches.at(0, 0)
    output = generate(run.state, run.parts, batch)
    cycle, told = cycle_term(run.state, run.parts, batch, output)
    assert cycle.item() == pytest.approx(10 * 0.5)  # there and back
    assert told["cycle"].item() == pytest.approx(0.5)
    identity, _ = identity_term(run.state, run.parts, batch, output)
    assert identity.item() == pytest.approx(5 * 0.25)


def test_a_cycle_goes_back_to_the_class_that_a_row_came_from():
    run, asked = toy("image", "stargan"), []

    class Watched(Moved):
        def forward(self, rows, y, *more):
            asked.append(y)
            return rows

    run.state.generator = TranslationGenerator(Watched(0.0))
    batch = run.batches.at(0, 0)
    output = generate(run.state, run.parts, batch)
    cycle_term(run.state, run.parts, batch, output)
    assert torch.equal(asked[0], batch.y)
    assert torch.equal(asked[1], output.source.labels)
    assert (asked[0] != asked[1]).any()


@pytest.mark.parametrize(("name", "weight"), [("pix2pix", 100.0), ("inpaint", 10.0)])
def test_the_error_beside_a_known_row_is_the_mean_absolute_one(name, weight):
    run = toy("image", name)
    batch = run.batches.at(0, 0)
    output = GeneratorOutput(batch.x + 0.5)
    loss, told = pixel_term(run.state, run.parts, batch, output)
    assert told["reconstruction"].item() == pytest.approx(0.5)
    assert loss.item() == pytest.approx(weight * 0.5)


def test_a_row_in_its_own_style_costs_no_style():
    run = toy("image", "adain")
    batch = run.batches.at(0, 0)
    same = GeneratorOutput(batch.x, source=SourceRows(batch.x, styles=batch.x))
    loss, told = style_term(run.state, run.parts, batch, same)
    assert loss.item() == pytest.approx(0, abs=1e-6)
    other = SourceRows(batch.x, styles=batch.x.flip(0) + 0.5)
    _, told = style_term(run.state, run.parts, batch, GeneratorOutput(batch.x, source=other))
    assert told["style"] > 1e-4
    assert told["content"] > 1e-6


# where samples start


def test_rows_come_from_other_classes_and_never_from_themselves():
    labels, rng = np.array([0, 0, 0, 1, 1, 2]), np.random.default_rng(0)
    each = np.stack([rows_of_others(labels, rng) for _ in range(200)])
    assert (labels[each] != labels).all()
    for row, label in enumerate(labels):
        assert set(each[:, row]) == set(np.flatnonzero(labels != label))


def test_the_only_class_of_a_batch_starts_from_its_other_rows():
    rng = np.random.default_rng(0)
    each = np.stack([rows_of_others(np.zeros(4, dtype=np.int64), rng) for _ in range(50)])
    assert (each != np.arange(4)).all()
    assert rows_of_others(np.array([0]), rng).tolist() == [0]


def test_the_rows_that_each_kind_starts_from():
    def drawn(name):
        run = toy("image", name)
        batch = run.batches.at(0, 0)
        return batch, run.parts.draw(0, 0, 0, batch).source

    batch, source = drawn("stargan")
    assert len(set(batch.y.tolist())) == 2
    assert (source.labels != batch.y).all()
    batch, source = drawn("adain")
    assert torch.equal(source.styles, batch.x)
    batch, source = drawn("inpaint")
    assert torch.equal(source.rows, batch.x)
    assert source.masks.shape == (len(batch.y), 1, 8, 8)
    batch, source = drawn("srgan")
    assert torch.equal(source.rows, lowered(batch.x, 2))
    batch, source = drawn("pix2pix")
    assert torch.equal(source.rows, batch.x[:, 1:])


# the pool


def test_the_pool_is_as_large_as_the_recipe_says_and_is_in_the_checkpoint():
    assert RECIPES["image"]["cyclegan"].game.pool == 50
    run = toy("image", "cyclegan", game={"by_class": True, "pool": 5})
    assert run.state.numbers["pool"].shape == (2, 5, 1, 8, 8)
    for _ in range(6):
        one_step(run)
    saved = state_arrays(run.state)
    assert saved["numbers/pooled"].tolist() == [5, 5]
    assert (np.abs(saved["numbers/pool"]).max(axis=(2, 3, 4)) > 0).all()
    other = toy("image", "cyclegan", game={"by_class": True, "pool": 5})
    load_state(other.state, saved)
    assert torch.equal(other.state.numbers["pool"], run.state.numbers["pool"])
    assert other.state.numbers["pooled"].tolist() == [5, 5]


class _Tails:
    """A generator of random numbers that always shows a past sample, the first."""

    def random(self) -> float:
        return 0.0

    def integers(self, n: int) -> int:
        return 0


def test_a_past_sample_gives_its_place_to_the_new_one_and_the_given_samples_stay():
    pool, held = torch.full((1, 2, 1, 1, 1), 7.0), torch.tensor([2.0])
    new = torch.tensor([1.0, 2.0]).view(2, 1, 1, 1)
    shown = from_pool(pool, held, new, torch.tensor([0, 0]), _Tails())
    assert shown.flatten().tolist() == [7, 1]  # the second sample is replaced by the first
    assert pool.flatten().tolist() == [2, 7]
    assert new.flatten().tolist() == [1, 2]


# which networks a step moves


def test_the_encoder_stays_while_styles_are_learned_and_moves_before():
    run = toy("image", "adain")
    batch, before = run.batches.at(0, 0), state_arrays(run.state)
    autoencoding_step(run.state, run.parts, [batch])
    assert any("generator/network.encoder" in name for name in moved(run.state, before))
    before = state_arrays(run.state)
    for _ in range(3):
        style_step(run.state, run.parts, [batch])
    changed = {name for name in moved(run.state, before) if name.startswith("generator/")}
    assert changed
    assert not any("encoder" in name for name in changed)
    assert all(weight.requires_grad for weight in run.state.generator.parameters())


def test_adain_learns_to_decode_for_its_share_of_the_run_and_styles_then():
    run = toy("image", "adain")  # .4 of 10 steps
    terms = [sorted(one_step(run)) for _ in range(10)]
    assert ["reconstruction" in losses for losses in terms] == [True] * 4 + [False] * 6
    assert all({"content", "style"} <= set(losses) for losses in terms[4:])


def test_srgan_learns_only_the_error_for_half_of_the_run():
    run, before, trained = toy("image", "srgan"), {}, []
    for before in (state_arrays(run.state), None):
        before = before or state_arrays(run.state)
        for _ in range(5):
            one_step(run)
        trained.append(any(name.startswith("discriminator/") for name in moved(run.state, before)))
    assert trained == [False, True]


@pytest.mark.parametrize("name", ["stargan", "pix2pix", "inpaint", "adain"])
def test_the_distance_to_the_source_row_falls(name):
    run = toy("image", name, steps=1000)  # the first 400 steps of adain only decode
    loss = "cycle" if name == "stargan" else "reconstruction"
    losses = [float(one_step(run)[loss]) for _ in range(30)]
    assert np.mean(losses[-5:]) < 0.9 * np.mean(losses[:5])


# networks that draw an image from another one


def rows_for(name: str) -> SourceRows:
    """Three rows of 8 px that the generator of a recipe may start from."""
    masks = torch.zeros(3, 1, 8, 8)
    masks[:, :, 2:5, 1:4] = 1
    return SourceRows(noise(0, 3, 1, 8, 8), masks=masks if name == "inpaint" else None)


@pytest.mark.parametrize("name", ["stargan", "pix2pix", "inpaint"])
def test_no_norm_takes_the_class_out_again(name):
    g, _ = networks(name, classes=3)
    z, source = torch.ones(3, g.noise_width), rows_for(name)
    images = [g.eval()(GeneratorInput(z, torch.full((3,), y), source)) for y in range(3)]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert (images[one] - images[other]).abs().amax(dim=(1, 2, 3)).min() > 1e-3


def test_by_class_a_row_is_drawn_by_the_network_of_the_class_asked_for():
    g, _ = networks("cyclegan")
    source = rows_for("cyclegan")
    both = g(GeneratorInput(torch.zeros(3, 0), torch.tensor([0, 1, 1]), source))
    members = g.network.members
    one, other = (network(source.rows, torch.zeros(3, dtype=torch.long)) for network in members)
    torch.testing.assert_close(both, torch.stack([one[0], other[1], other[2]]))


def test_adain_is_worked_by_hand_and_leaves_maps_of_their_own_style():
    content, style = torch.tensor([[[[1.0, 3.0]]]]), torch.tensor([[[[10.0, 30.0]]]])
    assert adain(content, style).flatten().tolist() == pytest.approx([10, 30], abs=1e-3)
    torch.testing.assert_close(adain(content, content), content)


# frequencies


def test_a_band_of_one_half_gives_the_amplitudes_of_the_style_and_keeps_the_phases():
    rows, styles = 0.3 * noise(0, 2, 3, 8, 6), 0.3 * noise(1, 2, 3, 8, 6)
    mixed = FrequencyMixer(0.5)(rows, styles)
    assert mixed.abs().max() < 1  # nothing was cut
    waves, own, others = (torch.fft.fft2(x) for x in (mixed, rows, styles))
    torch.testing.assert_close(waves.abs(), others.abs(), rtol=1e-3, atol=1e-4)
    turned = waves * own.conj()
    torch.testing.assert_close(turned.real, waves.abs() * own.abs(), rtol=1e-3, atol=1e-3)


def test_frequencies_beyond_the_band_are_the_rows_own_and_the_mean_is_the_styles():
    rows, styles = 0.3 * noise(0, 2, 1, 16, 16), 0.3 * noise(1, 2, 1, 16, 16) + 0.2
    mixed = FrequencyMixer(0.1)(rows + 0.1, styles)
    waves, own = torch.fft.fft2(mixed), torch.fft.fft2(rows + 0.1)
    near = np.abs(np.fft.fftfreq(16)) <= 0.1
    low = torch.from_numpy(near[:, None] & near[None])
    torch.testing.assert_close(waves[..., ~low], own[..., ~low], rtol=1e-3, atol=1e-3)
    assert not torch.allclose(waves[..., low].abs(), own[..., low].abs(), rtol=0.01)
    torch.testing.assert_close(mixed.mean(dim=(2, 3)), styles.mean(dim=(2, 3)))


# enlargement


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("side", [(4, 4), (7, 5)])
def test_a_super_resolver_is_bicubic_before_training(scale, side):
    shape = (scale * side[0], scale * side[1], 3)
    g, _ = networks("srgan", shape, scale=scale)
    rows = noise(0, 2, 3, *side)
    images = g(GeneratorInput(torch.zeros(2, 0), torch.tensor([0, 1]), SourceRows(rows)))
    expected = F.interpolate(rows, shape[:2], mode="bicubic", align_corners=False)
    torch.testing.assert_close(images, expected)


def test_lowered_pixels_are_means_of_those_that_they_stand_for():
    images = torch.arange(32, dtype=torch.float32).view(1, 2, 4, 4)
    assert lowered(images, 2)[0, 0].tolist() == [[2.5, 4.5], [10.5, 12.5]]
    assert lowered(images, 4).flatten().tolist() == [7.5, 23.5]


# noise


@pytest.mark.parametrize("name", ["pix2pix", "inpaint"])
def test_dropped_channels_are_the_noise_also_when_sampling_and_z_says_which(name):
    g, _ = networks(name)
    g.eval()
    source, y = rows_for(name), torch.tensor([0, 1, 1])
    z = torch.ones(3, g.noise_width)
    other = z.clone()
    other[:, : g.noise_width // 2] = -1
    images = g(GeneratorInput(z, y, source))
    assert torch.equal(images, g(GeneratorInput(z, y, source)))
    assert torch.equal(images, g(GeneratorInput(5 * z, y, source)))  # the sign alone counts
    assert not torch.allclose(images, g(GeneratorInput(other, y, source)))


def test_d_of_pairs_sees_both_images():
    _, d = networks("pix2pix", (8, 8, 3))
    y, pair = torch.tensor([0, 1]), noise(0, 2, 6, 8, 8)
    said, other = d.eval()(pair, y), pair.clone()
    other[:, 3:] = -other[:, 3:]
    assert said.shape == (2,)
    assert not torch.allclose(said, d(other, y))
    with pytest.raises(RuntimeError, match="channels"):
        d(pair[:, :3], y)
