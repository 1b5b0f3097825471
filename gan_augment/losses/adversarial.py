"""Adversarial losses: logits in, one scalar out. No networks, no state, no gradient penalties.

Every side of every game is a function of D's logits on reals (N,) and on fakes (M,).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

Side = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class AdversarialLoss:
    """The two sides of one game: discriminator(real, fake) and generator(real, fake), each -> ().

    generator_sees_reals: whether the generator's side reads `real`; where not, it is given (0,).
    """

    discriminator: Side
    generator: Side
    generator_sees_reals: bool = False


def hinge_d(real: Tensor, fake: Tensor) -> Tensor:
    """Push D's logits above +1 on reals and below -1 on fakes: E[1 - s_r]+ + E[1 + s_f]+.

    Shapes: real (N,), fake (M,) -> (); unit: logits. Zero when every margin is met.
    Source: Lim & Ye 2017, "Geometric GAN", eq. 6.
    """
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def hinge_g(real: Tensor, fake: Tensor) -> Tensor:
    """Raise D's logits on fakes: -E s_f. Shapes: (M,) -> (). Source: Lim & Ye 2017, eq. 7."""
    return -fake.mean()


def minimax_d(real: Tensor, fake: Tensor) -> Tensor:
    """Compute D's cross entropy: E softplus(-s_r) + E softplus(s_f).

    Shapes: real (N,), fake (M,) -> (); 2 ln 2 where D knows nothing.
    Source: Goodfellow et al. 2014, eq. 1.
    """
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def minimax_g(real: Tensor, fake: Tensor) -> Tensor:
    """Compute G's minimax loss, -E softplus(s_f); its gradient vanishes where D is sure.

    Shapes: (M,) -> (). Source: Goodfellow et al. 2014, eq. 1.
    """
    return -F.softplus(fake).mean()


def non_saturating_g(real: Tensor, fake: Tensor) -> Tensor:
    """E softplus(-s_f), whose gradient lives where D is sure: G maximises E log D(G(z)).

    A founding text of this library prints both of the game's terms wrong: D's second one is
    E log(1 - D(G(z))), and G does not minimise E log D(G(z)).
    Shapes: (M,) -> (). Source: Goodfellow et al. 2014, section 3.
    """
    return F.softplus(-fake).mean()


def least_squares_d(real: Tensor, fake: Tensor) -> Tensor:
    """Pull logits to 1 on reals and to 0 on fakes: (E(s_r - 1)^2 + E s_f^2) / 2.

    Shapes: real (N,), fake (M,) -> (). Source: Mao et al. 2017, "Least Squares Generative
    Adversarial Networks", eq. 9.
    """
    return ((real - 1).square().mean() + fake.square().mean()) / 2


def least_squares_g(real: Tensor, fake: Tensor) -> Tensor:
    """Pull logits to 1 on fakes: E(s_f - 1)^2 / 2. Shapes: (M,) -> (). Source: Mao et al. 2017."""
    return (fake - 1).square().mean() / 2


def wasserstein_d(real: Tensor, fake: Tensor) -> Tensor:
    """E s_f - E s_r: minus the earth mover's distance where D's slope is held at 1.

    Shapes: real (N,), fake (M,) -> (). What holds the slope (clipping, a gradient penalty, spectral
    norm) is a separate part. Source: Arjovsky et al. 2017, "Wasserstein GAN", algorithm 1.
    """
    return fake.mean() - real.mean()


def relativistic_d(real: Tensor, fake: Tensor) -> Tensor:
    """Push each real above its paired fake: E softplus(s_f - s_r).

    Shapes: real (N,), fake (N,) -> (); ln 2 where they are equal, blind to a constant added to
    both. Source: Jolicoeur-Martineau 2018, "The relativistic discriminator", RSGAN.
    """
    return F.softplus(fake - real).mean()


def relativistic_g(real: Tensor, fake: Tensor) -> Tensor:
    """Push each fake above its paired real: E softplus(s_r - s_f). Shapes: (N,), (N,) -> ()."""
    return F.softplus(real - fake).mean()


LOSSES: Mapping[str, AdversarialLoss] = {
    "hinge": AdversarialLoss(hinge_d, hinge_g),
    "non-saturating": AdversarialLoss(minimax_d, non_saturating_g),
    "minimax": AdversarialLoss(minimax_d, minimax_g),
    "least-squares": AdversarialLoss(least_squares_d, least_squares_g),
    "wasserstein": AdversarialLoss(wasserstein_d, hinge_g),
    "relativistic": AdversarialLoss(relativistic_d, relativistic_g, generator_sees_reals=True),
}
