"""Penalties against values worked by hand, invariants, and finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gan_augment.losses.penalties import (
    between,
    lecam,
    one_centred,
    slopes,
    zero_centred,
)

X = torch.randn(5, 1, 3, 3, generator=torch.Generator().manual_seed(0))
Y = torch.zeros(5, dtype=torch.int64)


def linear(weight: torch.Tensor):
    return lambda x, y: (x.flatten(1) * weight).sum(dim=1)


def curved(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return x.flatten(1).sin().sum(dim=1) + x.flatten(1).square().sum(dim=1)


def differences(x: torch.Tensor, h: float = 1e-6) -> torch.Tensor:
    """(entries, N): the slope of `curved` at each row, without autograd."""
    steps = h * torch.eye(9, dtype=torch.float64).reshape(9, 1, 3, 3)
    return torch.stack([(curved(x + s, Y) - curved(x - s, Y)) / (2 * h) for s in steps])


def test_r1_and_r2_of_a_linear_d_are_half_its_squared_weight():
    weight = torch.arange(9.0)
    penalty = zero_centred(linear(weight), X, Y).item()
    assert penalty == pytest.approx(weight.square().sum().item() / 2)


def test_wgan_gp_of_a_linear_d_is_how_far_its_norm_is_from_1():
    weight = torch.tensor([3.0, 4.0, *[0.0] * 7])
    assert one_centred(linear(weight), X, Y).item() == pytest.approx(16)
    assert one_centred(linear(weight / 5), X, Y).item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("penalty", [zero_centred, one_centred])
def test_a_slope_penalty_does_not_see_a_constant_added_to_the_logits(penalty):
    weight = torch.arange(9.0)
    moved = penalty(lambda x, y: linear(weight)(x, y) + 7, X, Y)
    torch.testing.assert_close(moved, penalty(linear(weight), X, Y))


def test_slope_penalties_agree_with_finite_differences():
    x, squared = X.double(), differences(X.double()).square().sum(dim=0)
    close = {"rtol": 1e-6, "atol": 0}
    torch.testing.assert_close(zero_centred(curved, x, Y), squared.mean() / 2, **close)
    other = (squared.sqrt() - 1).square().mean()
    torch.testing.assert_close(one_centred(curved, x, Y), other, **close)


def test_slope_penalties_can_be_minimised_through_the_weights_of_d():
    weight = torch.ones(9, requires_grad=True)
    (slope,) = torch.autograd.grad(zero_centred(linear(weight), X, Y), weight)
    torch.testing.assert_close(slope, torch.ones(9))
    (slope,) = torch.autograd.grad(one_centred(linear(weight), X, Y), weight)
    torch.testing.assert_close(slope, torch.full((9,), 4 / 3))  # 2 (|w| - 1) w / |w|, |w| = 3
    flat = torch.zeros(9, requires_grad=True)
    (slope,) = torch.autograd.grad(one_centred(linear(flat), X, Y), flat)
    assert torch.isfinite(slope).all()


def test_wgan_gp_looks_between_reals_and_fakes_and_at_both_ends():
    real, fake = X, -X
    torch.testing.assert_close(between(real, fake, torch.ones(5)), real)
    torch.testing.assert_close(between(real, fake, torch.zeros(5)), fake)
    share = torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0])
    other = np.einsum("n,nchw->nchw", 2 * share.numpy() - 1, X.numpy())
    torch.testing.assert_close(between(real, fake, share), torch.from_numpy(other))


def test_slopes_are_the_rows_of_a_jacobian():
    jacobian = torch.func.jacrev(lambda x: curved(x, Y))(X)  # (N, N, C, H, W)
    by_row = jacobian[range(5), range(5)].flatten(1)
    torch.testing.assert_close(slopes(curved, X, Y), by_row)


def test_lecam_is_8_at_the_published_example_and_0_below_the_other_mean():
    one, mean = torch.ones(3), torch.tensor(1.0)
    assert lecam(one, -one, mean, -mean).item() == 8
    assert lecam(-one, one, mean, -mean).item() == 0


def test_lecam_does_not_move_the_running_means():
    means = torch.ones(2, requires_grad=True)
    real = torch.zeros(3, requires_grad=True)
    lecam(real, real, means[0], means[1]).backward()
    assert means.grad is None
    assert real.grad is not None
