"""Penalties on the discriminator: its gradients, or its logits beside their running means."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F


def r1(discriminator: Callable[[Tensor, Tensor], Tensor], x: Tensor, y: Tensor) -> Tensor:
    """Half the mean squared gradient norm on reals: 1/2 E |grad_x s(x, y)|^2; gamma weighs it.

    Shapes: x (N, C, H, W), y (N,) -> (). Differentiable in D's weights.
    Source: Mescheder et al. 2018, "Which Training Methods for GANs do actually Converge?", eq. 9.
    """
    x = x.detach().requires_grad_()
    logits = discriminator(x, y)
    (gradient,) = torch.autograd.grad(logits.sum(), x, create_graph=True)
    return gradient.square().flatten(1).sum(dim=1).mean() / 2


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
