"""Networks that draw an image from another one: closed forms, masks, noise, what stays put."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from gan_augment.machine import compute_config
from gan_augment.networks.inputs import GeneratorInput, SourceRows
from gan_augment.networks.translation import (
    FrequencyMixer,
    adain,
    lowered,
)
from gan_augment.training.images import build
from tests.training.toy_runs import small


def noise(seed: int, *shape: int) -> torch.Tensor:
    """Images of -1 to 1 at random."""
    return 2 * torch.rand(shape, generator=torch.Generator().manual_seed(seed)) - 1


def networks(name: str, shape=(8, 8, 1), classes: int = 2, **generator):
    """Return G and D of a small recipe with their first weights."""
    recipe, compute = small(name, generator=generator), compute_config("cpu", "float32", 1)
    return build(recipe, shape, classes, compute).new_networks(0)


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
