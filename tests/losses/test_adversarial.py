"""Adversarial losses against values worked by hand, invariants, and independent implementations."""

from __future__ import annotations

import math

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


def test_minimax_is_one_game_what_d_wins_g_loses():
    fake = logits(6)
    assert minimax_d(torch.full((6,), 40.0), fake).item() == pytest.approx(
        -minimax_g(NONE, fake).item()
    )


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
