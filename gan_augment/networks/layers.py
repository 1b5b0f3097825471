"""Convolutions of either dimension, normalisation as layers, and the first weights of networks.

Signals are maps one pixel high: their kernels, strides, doubling and shuffling are of the length.
"""

from __future__ import annotations

import math
from typing import Literal, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

Module = TypeVar("Module", bound=nn.Module)
Condition = Literal["projection", "concatenation", "none", "auxiliary", "classes"]
"""How a discriminator hears of the class (`DiscriminatorSettings`)."""


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
    """4 x 4, or 1 x 4 of a signal, to twice the side."""
    sides, strides, margins = _sides(4, 2, signal)
    return nn.ConvTranspose2d(before, after, sides, strides, margins, bias=False)


def _sides(kernel: int, stride: int, signal: bool) -> list[tuple[int, int]]:
    """(height, width) of the kernel, of the stride, and of the padding."""
    sides = [(kernel, 1), (stride, 1), ((kernel - 1) // 2, 0)]
    return [(alone if signal else side, side) for side, alone in sides]


def factors(x: Tensor, factor: int = 2) -> tuple[int, int]:
    """(factor, factor) for maps (N, C, H, W), (1, factor) for those of signals, (N, C, 1, L)."""
    return (1 if x.shape[2] == 1 else factor), factor


def doubled(x: Tensor, times: int = 1, mode: str = "nearest") -> Tensor:
    """Enlarge images by 2^times: by repeated pixels, or by interpolation with "bilinear"."""
    sides = tuple(float(side) for side in factors(x, 2**times))
    return F.interpolate(x, scale_factor=sides, mode=mode) if times else x


def halved(x: Tensor, times: int = 1) -> Tensor:
    """Means of 2^times by 2^times pixels."""
    return F.avg_pool2d(x, factors(x, 2**times)) if times else x


def shuffled(x: Tensor) -> Tensor:
    """(N, 4 C, H, W) -> (N, C, 2 H, 2 W), of signals (N, 2 C, 1, L) -> (N, C, 1, 2 L).

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
        """(out, in, ...) -> the same shape, spectral norm 1; in float32, whatever is around."""
        if weight.is_meta:  # only a shape; its product would make torch load its compiler
            return weight
        with torch.autocast(weight.device.type, enabled=False):
            return weight / self._largest_singular_value(weight)

    def _largest_singular_value(self, weight: Tensor) -> Tensor:
        matrix = weight.flatten(1)  # (out, in * k * k)
        with torch.no_grad():
            right = nn.functional.normalize(matrix.T @ self.left, dim=0)
            left = nn.functional.normalize(matrix @ right, dim=0)
            if self.training:
                self.left.copy_(left)
        return torch.dot(left, torch.mv(matrix, right)).clamp_min(1e-12)


def spectrally_normalised(module: Module, enabled: bool = True) -> Module:
    """The module itself, its `weight` normalised from now on if `enabled`."""
    if enabled:
        weight = module.weight
        if not isinstance(weight, Tensor):
            raise TypeError(f"{type(module).__name__} has no weight tensor")
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
        """Normalised, then modulated."""
        scale, shift = self.affine(embedding)[:, :, None, None].chunk(2, dim=1)  # (N, C, 1, 1) each
        return torch.addcmul(shift, self.norm(x), 1 + scale)


def verdict(
    features: Tensor,
    y: Tensor,
    linear: nn.Module | None,
    projection: nn.Module | None,
    classes: nn.Module | None,
) -> Tensor:
    """What a discriminator says of features phi (N, width): logits s (N,), or (N, 1 + K).

    linear: v. projection: V in s = v . phi + <V e_y, phi> (Miyato & Koyama 2018). classes: W of the
    K class logits l = W phi, which follow s (Odena et al. 2017). Without v, s = log sum_k e^l_k:
    the logit of D(x) = Z / (Z + 1), Z = sum_k e^l_k (Salimans et al. 2016, section 5).
    """
    class_logits = None if classes is None else classes(features)
    if linear is not None:
        logits: Tensor = linear(features).squeeze(1)
    elif class_logits is not None:
        logits = torch.logsumexp(class_logits, dim=1)
    else:
        raise TypeError("a discriminator needs a linear layer or class logits")
    if projection is not None:
        logits = logits + (projection(y) * features).sum(dim=1)
    if class_logits is not None:
        logits = torch.cat([logits[:, None], class_logits], dim=1)
    return logits


def split_verdict(output: Tensor) -> tuple[Tensor, Tensor | None]:
    """Split a discriminator's output into logits (N,) and class logits (N, K) or None."""
    return (output, None) if output.ndim == 1 else (output[:, 0], output[:, 1:])


def new_embedding(rows: int, width: int) -> nn.Embedding:
    """Make an embedding whose weights are yet to be set: (rows, width).

    PyTorch would draw them; on the meta device, where a saved model is checked, that imports its
    compiler, which took half the time of drawing two images.
    """
    made: nn.Embedding = nn.Embedding.from_pretrained(  # type: ignore[no-untyped-call]
        torch.empty(rows, width), freeze=False
    )
    return made


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
    if weight.ndim == 1:
        scales = _is_norm_scale(network, name)
        weight.fill_(1.0 if scales else 0.0)
        if scales and std:
            weight.normal_(1.0, std, generator=rng)
    elif std:
        weight.normal_(std=std, generator=rng)
    elif name.endswith("residual.weight"):
        weight.zero_()
    elif "embed" in name:
        weight.normal_(generator=rng)
    elif "affine" in name:
        weight.normal_(std=0.02, generator=rng)
    else:
        weight.normal_(std=math.sqrt(2 / weight[0].numel()), generator=rng)


def _first_std(network: nn.Module, name: str) -> float | None:
    """The `first_std` of the innermost module around a weight that has one."""
    parts, std = name.split(".")[:-1], None
    for depth in range(len(parts) + 1):
        std = getattr(network.get_submodule(".".join(parts[:depth])), "first_std", std)
    return std


def _is_norm_scale(network: nn.Module, name: str) -> bool:
    owner = network.get_submodule(name.rpartition(".")[0])
    return isinstance(owner, nn.BatchNorm2d | nn.GroupNorm | nn.LayerNorm) and name.endswith(
        "weight"
    )
