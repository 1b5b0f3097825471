"""Convolutions of either dimension, normalisation as layers, and the first weights of networks.

Signals are maps one pixel high: their kernels, strides, doubling and shuffling are of the length.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

Module = TypeVar("Module", bound=nn.Module)
MODULATION_STD = 0.02
"""First deviation of modulations of conditional norms and of class projections of rows."""


def convolution(
    before: int,
    after: int,
    kernel: int,
    *,
    signal: bool = False,
    stride: int = 1,
    bias: bool = True,
) -> nn.Conv2d:
    """k x k, or 1 x k of a signal, that keeps the side, or halves it with a stride of 2."""
    sides, strides, margins = _sides(kernel, stride, signal)
    return nn.Conv2d(before, after, sides, strides, margins, bias=bias)


def transposed_convolution(before: int, after: int, *, signal: bool) -> nn.ConvTranspose2d:
    """Make a layer of 4 x 4 weights (signals: 1 x 4) that doubles the side."""
    sides, strides, margins = _sides(4, 2, signal)
    return nn.ConvTranspose2d(before, after, sides, strides, margins, bias=False)


def _sides(kernel: int, stride: int, signal: bool) -> list[tuple[int, int]]:
    """Return (height, width) of kernel, stride and padding."""
    sides = [(kernel, 1), (stride, 1), ((kernel - 1) // 2, 0)]
    return [(alone if signal else side, side) for side, alone in sides]


def factors(x: Tensor, factor: int = 2) -> tuple[int, int]:
    """Return (factor, factor) for maps (N, C, H, W), (1, factor) for signals (N, C, 1, L)."""
    return (1 if x.shape[2] == 1 else factor), factor


def doubled(x: Tensor, times: int = 1, mode: str = "nearest") -> Tensor:
    """Enlarge images by 2^times: by repeated pixels, or by interpolation with "bilinear"."""
    sides = tuple(float(side) for side in factors(x, 2**times))
    return F.interpolate(x, scale_factor=sides, mode=mode) if times else x


def halved(x: Tensor, times: int = 1) -> Tensor:
    """Average blocks of 2^times by 2^times pixels."""
    return F.avg_pool2d(x, factors(x, 2**times)) if times else x


def shuffled(x: Tensor) -> Tensor:
    """Map (N, 4 C, H, W) -> (N, C, 2 H, 2 W), for signals (N, 2 C, 1, L) -> (N, C, 1, 2 L).

    Source: Shi et al. 2016, "Real-Time Single Image and Video Super-Resolution".
    """
    if x.shape[2] > 1:
        return F.pixel_shuffle(x, 2)
    n, channels, height, length = x.shape
    pairs = x.reshape(n, channels // 2, 2, height, length).permute(0, 1, 3, 4, 2)
    return pairs.flatten(3)  # (N, C, 1, L, 2) -> (N, C, 1, 2 L)


class SpectralNorm(nn.Module):
    """Divides a weight (out, in, ...) by its largest singular value as an (out, in * k * k) matrix.

    `left` (out,) is the running left singular vector; it moves in train mode only, so that
    evaluation is pure.
    sigma's gradient flows through W, not through the vectors.
    Source: Miyato et al. 2018, "Spectral Normalization for GANs", algorithm 1.
    """

    left: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        rows = weight.shape[0]
        self.register_buffer("left", torch.full((rows,), rows**-0.5))

    def forward(self, weight: Tensor) -> Tensor:
        """Scale (out, in, ...) to spectral norm 1, in float32 even under autocast."""
        with torch.autocast(weight.device.type, enabled=False):
            matrix = weight.flatten(1)  # (out, in * k * k)
            with torch.no_grad():
                right = F.normalize(matrix.T @ self.left, dim=0)
                left = F.normalize(matrix @ right, dim=0)
                if self.training:
                    self.left.copy_(left)
            return weight / torch.dot(left, torch.mv(matrix, right)).clamp_min(1e-12)


def spectrally_normalised(module: Module, enabled: bool = True) -> Module:
    """Normalise the `weight` of a module from now on, if `enabled`; return the module."""
    if enabled:
        weight = cast(Tensor, module.weight)
        parametrize.register_parametrization(module, "weight", SpectralNorm(weight))
    return module


class ConditionalBatchNorm(nn.Module):
    """Normalise each channel over the batch, then scale and shift it as the class embedding says.

    Shapes: x (N, C, H, W), embedding (N, E) -> (N, C, H, W). Running averages when evaluating, so
    that a sample does not depend on its batch. Source: de Vries et al. 2017; Brock et al. 2019
    (shared embedding).
    """

    def __init__(self, channels: int, embedding: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.affine = nn.Linear(embedding, 2 * channels)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        scale, shift = self.affine(embedding)[:, :, None, None].chunk(2, dim=1)  # (N, C, 1, 1) each
        return torch.addcmul(shift, self.norm(x), 1 + scale)


class ConditionalDiscriminator(nn.Module):
    """Base of the discriminators: a class-conditional head on features phi (N, width).

    Shapes: x (N, ...), y int64 (N,) -> logits s (N,), or (N, 1 + K) if D predicts the classes.
    condition: "projection" is s = v . phi + <V e_y, phi> (Miyato & Koyama 2018). "concatenation"
    joins an embedding of the class and x (Mirza & Osindero 2014). "auxiliary" adds the K class
    logits l = W phi after s (Odena et al. 2017). "classes" has no v: s = log sum_k e^l_k, the logit
    of D(x) = Z / (Z + 1), Z = sum_k e^l_k (Salimans et al. 2016, section 5).
    """

    def set_head(
        self,
        classes: int,
        width: int,
        condition: str,
        normalised: Callable[[nn.Module], nn.Module],
        entries: int,
    ) -> None:
        """Make the layers of the head; `normalised` holds their weights.

        entries: width of a class embedding that is joined to x: pixels of a map, or cells of a row.
        """
        self.linear = self.embed = self.classes = self.embed_map = None
        if condition != "classes":
            self.linear = normalised(nn.Linear(width, 1))
        if condition == "projection":
            self.embed = normalised(nn.Embedding(classes, width))
        if condition in ("auxiliary", "classes"):
            self.classes = nn.Linear(width, classes)
        if condition == "concatenation":
            self.embed_map = nn.Embedding(classes, entries)

    def trunk(self, x: Tensor) -> Tensor:
        """Return phi (N, width) of x, with the class if it is joined."""
        raise NotImplementedError

    def features(self, x: Tensor, y: Tensor) -> Tensor:
        """Return phi (N, width)."""
        if self.embed_map is not None:
            label = self.embed_map(y).unflatten(1, (-1, *x.shape[2:]))
            x = torch.cat([x, label.to(x.dtype)], dim=1)
        return self.trunk(x)

    def verdict(self, phi: Tensor, y: Tensor) -> Tensor:
        """Return s of features, then the class logits, if D predicts them."""
        class_logits = None if self.classes is None else self.classes(phi)
        if self.linear is None:
            logits = torch.logsumexp(cast(Tensor, class_logits), dim=1)
        else:
            logits = self.linear(phi).squeeze(1)
        if self.embed is not None:
            logits = logits + (self.embed(y) * phi).sum(dim=1)
        return logits if class_logits is None else torch.cat([logits[:, None], class_logits], dim=1)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.verdict(self.features(x, y), y)


def split_verdict(output: Tensor) -> tuple[Tensor, Tensor | None]:
    """Split a discriminator's output into logits (N,) and class logits (N, K) or None."""
    return (output, None) if output.ndim == 1 else (output[:, 0], output[:, 1:])


@torch.no_grad()
def initialise(network: nn.Module, seed: int) -> None:
    """Set every weight: He-normal for convolutions and linear layers, biases 0, embeddings N(0, 1).

    The subpixels of a shuffle, four or of a signal two, begin equal, so that no checkerboard is
    there to unlearn (Aitken et al. 2017). Modulations of conditional norms and class projections of
    rows begin at N(0, .02), residuals at 0, the vectors of spectral normalisation random. In a
    module that has a `first_std`, weights and scales of norms begin with that deviation, whatever
    they are of. Source: He et al. 2015, eq. 10, with
    the slope of a ReLU.
    """
    rng = torch.Generator().manual_seed(seed)
    for name, weight in network.named_parameters():
        _fill(network, name, weight, rng)
        if name.endswith("to_pixels.weight"):  # (C * 4, in, 3, 3), or (C * 2, in, 1, 3)
            parts = 4 if weight.shape[2] > 1 else 2
            weight.copy_(weight[::parts].repeat_interleave(parts, dim=0))
    for name, buffer in network.named_buffers():
        if name.endswith("left"):  # spectral norm's vector
            buffer.normal_(generator=rng)
            buffer.div_(buffer.norm())


def _fill(network: nn.Module, name: str, weight: Tensor, rng: torch.Generator) -> None:
    std = _first_std(network, name)
    if weight.ndim == 1:  # a bias, or the scale of a norm
        scales = name.endswith("weight")
        weight.fill_(scales)
        if scales and std:
            weight.normal_(1.0, std, generator=rng)
    elif std is not None:
        weight.normal_(std=std, generator=rng)
    elif name.endswith("residual.weight"):
        weight.zero_()
    elif "embed" in name:
        weight.normal_(generator=rng)
    elif "affine" in name:
        weight.normal_(std=MODULATION_STD, generator=rng)
    else:
        weight.normal_(std=math.sqrt(2 / weight[0].numel()), generator=rng)


def _first_std(network: nn.Module, name: str) -> float | None:
    """Return the `first_std` of the innermost module around a weight that has one."""
    parts, std = name.split(".")[:-1], None
    for depth in range(len(parts) + 1):
        std = getattr(network.get_submodule(".".join(parts[:depth])), "first_std", std)
    return std
