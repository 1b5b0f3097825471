"""Losses and penalties against hand values, invariants, finite differences and torch."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from gan_augment.losses.adversarial import (
    LOSSES,
    hinge_d,
    hinge_g,
    least_squares_d,
    least_squares_g,
    minimax_d,
    minimax_g,
    non_saturating_g,
    relativistic_d,
    relativistic_g,
    wasserstein_d,
)
from gan_augment.losses.penalties import between, lecam, one_centred, zero_centred

ZERO, NONE = torch.zeros(4), torch.zeros(0)


def logits(seed: int, n: int = 6) -> torch.Tensor:
    return torch.randn(n, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("loss", "real", "fake", "value"),
    [
        (hinge_d, ZERO, ZERO, 2),
        (hinge_d, torch.tensor([1.0, 3.0]), torch.tensor([-1.0, -2.0]), 0),
        (hinge_g, NONE, ZERO, 0),
        (minimax_d, ZERO, ZERO, 2 * math.log(2)),
        (minimax_g, NONE, ZERO, -math.log(2)),
        (non_saturating_g, NONE, ZERO, math.log(2)),
        (least_squares_d, ZERO, ZERO, 0.5),
        (least_squares_g, NONE, ZERO, 0.5),
        (least_squares_d, ZERO + 1, ZERO, 0),
        (least_squares_g, NONE, ZERO + 1, 0),
        (relativistic_d, logits(12), logits(12), math.log(2)),
        (relativistic_g, logits(12), logits(12), math.log(2)),
    ],
)
def test_a_loss_is_what_was_worked_by_hand(loss, real, fake, value):
    assert loss(real, fake).item() == pytest.approx(value)


def test_non_saturating_keeps_its_gradient_where_d_is_sure_and_minimax_does_not():
    s = torch.full((1,), -10.0, requires_grad=True)
    (lives,) = torch.autograd.grad(non_saturating_g(NONE, s), s)
    (dies,) = torch.autograd.grad(minimax_g(NONE, s), s)
    assert lives.item() == pytest.approx(-0.99995, abs=1e-5)
    assert dies.item() == pytest.approx(-4.5e-5, abs=1e-6)


def test_minimax_is_one_game_what_d_wins_g_loses():
    fake = logits(6)
    of_d = minimax_d(torch.full((6,), 40.0), fake).item()
    assert of_d == pytest.approx(-minimax_g(NONE, fake).item())


def test_losses_agree_with_those_of_torch():
    real, fake, ones = logits(2), logits(3), torch.ones(6)
    margin = F.hinge_embedding_loss  # relu(1 - s) where the target is -1
    other = margin(real, -ones) + margin(-fake, -ones)
    torch.testing.assert_close(hinge_d(real, fake), other)
    entropy = F.binary_cross_entropy_with_logits
    other = entropy(real, ones) + entropy(fake, 0 * ones)
    torch.testing.assert_close(minimax_d(real, fake), other)
    torch.testing.assert_close(minimax_g(NONE, fake), -entropy(fake, 0 * ones))
    torch.testing.assert_close(non_saturating_g(NONE, fake), entropy(fake, ones))
    other = (F.mse_loss(real, ones) + F.mse_loss(fake, 0 * ones)) / 2
    torch.testing.assert_close(least_squares_d(real, fake), other)
    torch.testing.assert_close(least_squares_g(NONE, fake), F.mse_loss(fake, ones) / 2)


@pytest.mark.parametrize(
    ("loss", "logit", "atol"),
    [(minimax_d, torch.logit, 1e-7), (least_squares_d, torch.clone, 1e-12)],
)
def test_the_best_d_is_the_share_of_reals(loss, logit, atol):
    real_at, fake_at = torch.tensor([7, 3]), torch.tensor([2, 8])  # ten of each, at two places
    s = logit(real_at / (real_at + fake_at).double()).requires_grad_()
    real, fake = s.repeat_interleave(real_at), s.repeat_interleave(fake_at)
    (slope,) = torch.autograd.grad(loss(real, fake), s)
    torch.testing.assert_close(slope, torch.zeros_like(s), atol=atol, rtol=0)


def test_the_clipped_linear_critic_ends_at_the_clip_and_the_loss_at_the_shift_times_it():
    real, fake, limit = torch.tensor([1.0, 4.0]), torch.tensor([5.0, 6.0]), 0.01  # shift: -3
    w = torch.tensor(0.0, requires_grad=True)
    for _ in range(5):
        loss = wasserstein_d(w * real, w * fake)
        (slope,) = torch.autograd.grad(loss, w)
        with torch.no_grad():
            w.sub_(slope).clamp_(-limit, limit)
    assert w.item() == pytest.approx(-limit)
    assert wasserstein_d(w * real, w * fake).item() == pytest.approx(-limit * 3)


@pytest.mark.parametrize("side", [wasserstein_d, relativistic_d, relativistic_g])
def test_a_critic_does_not_see_a_constant_added_to_the_logits(side):
    real, fake = logits(13), logits(14)
    torch.testing.assert_close(side(real + 7, fake + 7), side(real, fake))


def test_relativistic_agrees_with_the_cross_entropy_of_which_of_a_pair_is_real():
    real, fake = logits(15), logits(16)
    first = torch.zeros(6, dtype=torch.int64)
    pairs = torch.stack([real, fake], dim=1)
    torch.testing.assert_close(relativistic_d(real, fake), F.cross_entropy(pairs, first))
    torch.testing.assert_close(relativistic_g(real, fake), F.cross_entropy(pairs, 1 - first))


@pytest.mark.parametrize("name", LOSSES)
def test_a_better_d_has_a_lower_loss_and_a_better_g_as_well(name):
    real, fake, loss = logits(4) - 1, logits(5) + 1, LOSSES[name]
    assert loss.discriminator(real + 0.5, fake - 0.5) < loss.discriminator(real, fake)
    real, fake = logits(4) + 1, logits(5) - 1
    assert loss.generator(real, fake + 0.5) < loss.generator(real, fake)


@pytest.mark.parametrize("name", LOSSES)
def test_only_a_loss_that_says_so_shows_reals_to_g(name):
    real, fake, loss = logits(17), logits(18), LOSSES[name]
    told = loss.generator(real, fake) != loss.generator(real + 1, fake)
    assert bool(told) == loss.generator_sees_reals


# penalties

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
