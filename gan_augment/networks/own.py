"""Networks of the user's own: what a file makes, checked, where a decoder or discriminator stands.

Which file may be run is decided before (`synthesizers.base`).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from gan_augment.errors import UsageError
from gan_augment.networks.geometry import Geometry
from gan_augment.user_code import UserCode


class OwnNetwork(nn.Module):
    """A module of the user's, whose first weights are those of its constructor.

    Shapes: z (N, code) or x (N, C, H, W), and y int64 (N,) -> what the module makes of them.
    """

    def __init__(self, module: nn.Module, noise_width: int) -> None:
        super().__init__()
        self.module, self.noise_width = module, noise_width

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """What the module says."""
        out: Tensor = self.module(x, y)
        return out


def own_network(
    named: str, geometry: Geometry, *, judges: bool, classes: int, code: int, **widths: int
) -> OwnNetwork:
    """Make the network that "file.py:name" names. Raises UsageError where it fails or does not fit.

    judges: it is a discriminator, x and y -> logits (N,); else z (N, code) and y -> x. On the meta
    device, where shapes of our networks are looked up, no code of the user's is run.
    """
    shape = (*geometry.padded, geometry.shape[2])
    if torch.empty(()).is_meta:
        return OwnNetwork(nn.Identity(), code)
    source = UserCode.of(named)
    settings: dict[str, Any] = {"shape": shape, "classes": classes, "code": code, **widths}
    try:
        module = source.load()(**settings)
    except UsageError:
        raise
    except Exception as error:
        call = ", ".join(f"{name}={value}" for name, value in settings.items())
        raise UsageError(f"{source}({call}) fails: {type(error).__name__}: {error}") from error
    if not isinstance(module, nn.Module):
        raise UsageError(f"{source} returned {type(module).__name__}; expected a torch.nn.Module")
    network = OwnNetwork(module, code)
    _check(network, source, (shape[2], *geometry.padded), classes, judges)
    return network.train()


@torch.no_grad()
def _check(
    network: OwnNetwork, source: UserCode, image: tuple[int, ...], classes: int, judges: bool
) -> None:
    """Refuse a network that does not turn a batch of two into what stands in its place."""
    x, y = torch.zeros(2, *image), torch.arange(2) % classes
    given = (
        x.to(memory_format=torch.channels_last) if judges else x.new_zeros(2, network.noise_width)
    )
    expected = (2,) if judges else tuple(x.shape)
    network.eval()  # running means stay as they are
    try:
        out = network(given, y)
    except Exception as error:
        raise UsageError(
            f"{source} fails on a batch of shape {tuple(given.shape)} and classes of shape (2,): "
            f"{type(error).__name__}: {error}"
        ) from error
    shape = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
    if shape != expected:
        raise UsageError(
            f"{source} turned a batch of shape {tuple(given.shape)} and classes of shape (2,) into "
            f"{shape}; expected {expected}, {'a logit' if judges else 'an image in -1..1'} a row"
        )
