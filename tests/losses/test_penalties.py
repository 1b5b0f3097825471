"""Penalties against values worked by hand, invariants, and finite differences."""

from __future__ import annotations

import pytest
import torch

from gan_augment.losses.penalties import lecam, r1

X = torch.randn(5, 1, 3, 3, generator=torch.Generator().manual_seed(0))
Y = torch.zeros(5, dtype=torch.int64)


def linear(weight: torch.Tensor):
    return lambda x, y: (x.flatten(1) * weight).sum(dim=1)


def test_r1_of_a_linear_d_is_half_its_squared_weight():
    weight = torch.arange(9.0)
    assert r1(linear(weight), X, Y).item() == pytest.approx(weight.square().sum().item() / 2)


def test_r1_does_not_see_a_constant_added_to_the_logits():
    weight = torch.arange(9.0)
    moved = r1(lambda x, y: linear(weight)(x, y) + 7, X, Y)
    torch.testing.assert_close(moved, r1(linear(weight), X, Y))


def test_r1_agrees_with_finite_differences():
    def curved(x, y):
        return x.flatten(1).sin().sum(dim=1) + x.flatten(1).square().sum(dim=1)

    x, h = X.double(), 1e-6
    steps = h * torch.eye(9, dtype=torch.float64).reshape(9, 1, 3, 3)
    slopes = torch.stack([(curved(x + s, Y) - curved(x - s, Y)) / (2 * h) for s in steps])
    torch.testing.assert_close(
        r1(curved, x, Y), slopes.square().sum(dim=0).mean() / 2, rtol=1e-6, atol=0
    )


def test_r1_can_be_minimised_through_the_weights_of_d():
    weight = torch.ones(9, requires_grad=True)
    (slope,) = torch.autograd.grad(r1(linear(weight), X, Y), weight)
    torch.testing.assert_close(slope, torch.ones(9))


def test_lecam_is_8_at_the_published_example():
    one = torch.ones(3)
    assert lecam(one, -one, torch.tensor(1.0), torch.tensor(-1.0)).item() == 8


def test_lecam_is_0_where_each_side_stays_below_the_others_mean():
    assert lecam(-torch.ones(3), torch.ones(3), torch.tensor(1.0), torch.tensor(-1.0)).item() == 0


def test_lecam_does_not_move_the_running_means():
    means = torch.ones(2, requires_grad=True)
    real = torch.zeros(3, requires_grad=True)
    lecam(real, real, means[0], means[1]).backward()
    assert means.grad is None
    assert real.grad is not None
