"""Spectral normalisation: planted and random spectra, purity, torch's singular values."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gan_augment.networks.layers import initialise, spectrally_normalised


def largest(weight: torch.Tensor) -> float:
    return torch.linalg.matrix_norm(weight.flatten(1), ord=2).item()


def planted(ratio: float) -> nn.Linear:
    """A linear layer whose second singular value is `ratio` of its first, 3."""
    rng = torch.Generator().manual_seed(0)
    u, _ = torch.linalg.qr(torch.randn(6, 6, generator=rng))
    v, _ = torch.linalg.qr(torch.randn(6, 6, generator=rng))
    values = 3 * torch.tensor([1.0] + [ratio] * 5)
    layer = nn.Linear(6, 6, bias=False)
    spectrally_normalised(layer)
    initialise(layer, 0)
    with torch.no_grad():
        layer.parametrizations.weight.original.copy_(u @ torch.diag(values) @ v.T)
    return layer.train()


def test_a_planted_spectrum_is_normalised_to_1_after_20_forwards():
    layer = planted(0.5)
    for _ in range(20):
        layer(torch.zeros(1, 6))
    assert largest(layer.eval().weight) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_random_3x3_layers_end_between_1_and_1_03_after_20_forwards(seed):
    layer = spectrally_normalised(nn.Conv2d(32, 64, 3))
    initialise(layer, seed)
    layer.train()
    for _ in range(20):
        layer(torch.zeros(1, 32, 3, 3))
    assert 1 - 1e-5 <= largest(layer.eval().weight) <= 1.03


def test_scaling_a_weight_changes_nothing():
    layer = planted(0.5).eval()
    before = layer.weight.clone()
    with torch.no_grad():
        layer.parametrizations.weight.original.mul_(5)
    torch.testing.assert_close(layer.weight, before)


def test_evaluation_is_pure():
    layer = planted(0.9).eval()
    torch.testing.assert_close(layer.weight, layer.weight, rtol=0, atol=0)


def test_the_scale_is_computed_in_float32_under_autocast():
    layer = planted(0.5)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer.weight.dtype == torch.float32
