"""Adversarial losses against values worked by hand, invariants, and torch's own cross entropy."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from gan_augment.losses.adversarial import hinge_d, hinge_g, minimax_d, non_saturating_g

ZERO = torch.zeros(4)


def logits(seed: int, n: int = 6) -> torch.Tensor:
    return torch.randn(n, generator=torch.Generator().manual_seed(seed))


def test_hinge_is_2_and_0_where_every_logit_is_0():
    assert hinge_d(ZERO, ZERO).item() == 2
    assert hinge_g(ZERO).item() == 0


def test_hinge_is_0_when_every_margin_is_met():
    assert hinge_d(torch.tensor([1.0, 3.0]), torch.tensor([-1.0, -2.0])).item() == 0


def test_hinge_agrees_with_torchs_margin_loss():
    real, fake = logits(0), logits(1)
    signs = torch.cat([torch.ones(6), -torch.ones(6)])
    other = F.multi_margin_loss(
        torch.stack([torch.cat([real, fake]) * signs, torch.zeros(12)], dim=1),
        torch.zeros(12, dtype=torch.int64),
    )
    assert hinge_d(real, fake).item() == pytest.approx(4 * other.item(), rel=1e-6)


def test_minimax_is_2_ln_2_where_d_knows_nothing():
    assert minimax_d(ZERO, ZERO).item() == pytest.approx(2 * math.log(2))
    assert non_saturating_g(ZERO).item() == pytest.approx(math.log(2))


def test_non_saturating_keeps_its_gradient_where_d_is_sure_and_minimax_does_not():
    s = torch.full((1,), -10.0, requires_grad=True)
    (lives,) = torch.autograd.grad(non_saturating_g(s), s)
    (dies,) = torch.autograd.grad(-F.softplus(s).mean(), s)
    assert lives.item() == pytest.approx(-0.99995, abs=1e-5)
    assert dies.item() == pytest.approx(-4.5e-5, abs=1e-6)


def test_minimax_agrees_with_binary_cross_entropy():
    real, fake = logits(2), logits(3)
    other = F.binary_cross_entropy_with_logits(real, torch.ones(6))
    other = other + F.binary_cross_entropy_with_logits(fake, torch.zeros(6))
    torch.testing.assert_close(minimax_d(real, fake), other)
    other = F.binary_cross_entropy_with_logits(fake, torch.ones(6))
    torch.testing.assert_close(non_saturating_g(fake), other)


def test_the_best_d_of_the_minimax_game_is_the_share_of_reals():
    real_at, fake_at = torch.tensor([7, 3]), torch.tensor([2, 8])  # ten of each, at two places
    s = (real_at / fake_at).double().log().requires_grad_()
    real, fake = s.repeat_interleave(real_at), s.repeat_interleave(fake_at)
    (slope,) = torch.autograd.grad(minimax_d(real, fake), s)
    torch.testing.assert_close(slope, torch.zeros_like(s), atol=1e-7, rtol=0)
    torch.testing.assert_close(torch.sigmoid(s), (real_at / (real_at + fake_at)).double())


@pytest.mark.parametrize("loss", [hinge_d, minimax_d])
def test_a_better_d_has_a_lower_loss(loss):
    assert loss(logits(4) + 1, logits(5) - 1) < loss(logits(4), logits(5))
