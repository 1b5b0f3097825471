"""Penalties on the discriminator: its gradients, or how far its logits are from running means.

A gradient penalty is one of two formulas at one of three places: R1 and R2 are `zero_centred` on
reals and on fakes, WGAN-GP is `one_centred` at points `between` the two. Weights are the recipe's.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

Critic = Callable[[Tensor, Tensor], Tensor]
"""x (N, ...), y (N,) -> logits (N,) (or fewer, where rows are judged in packs)."""


def zero_centred(critic: Critic, x: Tensor, y: Tensor) -> Tensor:
    """Half the mean squared gradient norm: 1/2 E |grad_x s(x, y)|^2.

    Shapes: x (N, ...), y (N,) -> (). Differentiable in D's weights. Source: Mescheder et al. 2018,
    "Which Training Methods for GANs do actually Converge?", eq. 9 (R1, on reals) and 10 (R2, on
    fakes).
    """
    return slopes(critic, x, y).square().sum(dim=1).mean() / 2


def one_centred(critic: Critic, x: Tensor, y: Tensor) -> Tensor:
    """Penalise gradient norms other than 1: E (|grad_x s(x, y)| - 1)^2.

    Shapes: x (N, ...), y (N,) -> (). Differentiable in D's weights. Source: Gulrajani et al. 2017,
    "Improved Training of Wasserstein GANs", eq. 3.
    """
    norm: Tensor = torch.linalg.vector_norm(slopes(critic, x, y), dim=1)
    return (norm - 1).square().mean()


def slopes(critic: Critic, x: Tensor, y: Tensor) -> Tensor:
    """D's gradient at each row, (N, entries of a row), with its own graph."""
    x = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(x, y).sum(), x, create_graph=True)
    by_row: Tensor = gradient.flatten(1)
    return by_row


def between(real: Tensor, fake: Tensor, share: Tensor) -> Tensor:
    """e r + (1 - e) f, where WGAN-GP looks. Shapes: (N, ...) both, share e (N,) 0..1."""
    return torch.lerp(fake, real, share.view(-1, *[1] * (real.ndim - 1)))


def lecam(real: Tensor, fake: Tensor, mean_real: Tensor, mean_fake: Tensor) -> Tensor:
    """Keep logits near the running means of the other side: E[s_r - m_f]+^2 + E[m_r - s_f]+^2.

    Shapes: real (N,), fake (M,), means () -> (); unit: squared logits; the means are constants.
    Source: Tseng et al. 2021, "Regularizing Generative Adversarial Networks under Limited Data",
    eq. 4.
    """
    return (
        F.relu(real - mean_fake.detach()).square().mean()
        + F.relu(mean_real.detach() - fake).square().mean()
    )
