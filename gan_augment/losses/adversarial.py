"""Adversarial losses: logits in, one scalar out. No networks, no state, no gradient penalties."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class AdversarialLoss:
    """The two sides of one game. discriminator(real, fake) and generator(fake), each -> ()."""

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]


def hinge_d(real: Tensor, fake: Tensor) -> Tensor:
    """Push D's logits above +1 on reals and below -1 on fakes: E[1 - s_r]+ + E[1 + s_f]+.

    Shapes: real (N,), fake (M,) -> (); unit: logits. Zero when every margin is met.
    Source: Lim & Ye 2017, "Geometric GAN", eq. 6.
    """
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def hinge_g(fake: Tensor) -> Tensor:
    """Raise D's logits on fakes: -E s_f. Shapes: (M,) -> (). Source: Lim & Ye 2017, eq. 7."""
    return -fake.mean()


def minimax_d(real: Tensor, fake: Tensor) -> Tensor:
    """Cross entropy of D's verdict: E softplus(-s_r) + E softplus(s_f).

    Shapes: real (N,), fake (M,) -> (); 2 ln 2 where D knows nothing.
    Source: Goodfellow et al. 2014, eq. 1.
    """
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def non_saturating_g(fake: Tensor) -> Tensor:
    """E softplus(-s_f), whose gradient lives where D is sure.

    Shapes: (M,) -> (). Source: Goodfellow et al. 2014, section 3.
    """
    return F.softplus(-fake).mean()


LOSSES: Mapping[str, AdversarialLoss] = {
    "hinge": AdversarialLoss(hinge_d, hinge_g),
    "non-saturating": AdversarialLoss(minimax_d, non_saturating_g),
}
