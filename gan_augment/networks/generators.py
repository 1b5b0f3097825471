"""The two generators and their input: `GeneratorInput`, with anchors for the anchored one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from gan_augment.networks.decoder import Conditioning, Decoder
from gan_augment.networks.encoder import Encoder
from gan_augment.networks.table_generator import RowAnchors


@dataclass(frozen=True)
class Anchors:
    """Real rows, and for each sample the few of them that its code is a mixture of.

    rows: images (M, C, H, W) float -1..1 in training, their codes (M, code) when sampling.
    index: int64 (N, k), rows of a sample. weight: float (N, k); a sample's sum to 1.
    """

    rows: Tensor
    index: Tensor
    weight: Tensor


@dataclass(frozen=True)
class GeneratorInput:
    """What a sample is made of. z: standard normal (N, code); y: int64 (N,); source: its start.

    conditioning: how its class enters in training; None as when sampling.
    """

    z: Tensor
    y: Tensor
    source: Anchors | RowAnchors | None = None
    conditioning: Conditioning | None = None


class Generator(Protocol):
    """Anything that turns inputs into images (N, C, H, W), float -1..1, of the padded size."""

    def __call__(self, inputs: GeneratorInput) -> Tensor:
        """One image a row of `inputs`."""


class FreeGenerator(nn.Module):
    """Noise and a class to an image; knows no row. encoder: for a warm start, never to sample."""

    def __init__(self, decoder: Decoder, encoder: Encoder | None = None) -> None:
        super().__init__()
        self.decoder, self.encoder = decoder, encoder

    def forward(self, inputs: GeneratorInput) -> Tensor:
        """Decode z as class y."""
        images: Tensor = self.decoder(inputs.z, inputs.y)
        return images


class AnchoredGenerator(nn.Module):
    """Decodes a mixture of the codes of real rows, with a little noise.

    code = sum_k w_k E(a_k) + sigma z; image = G(code, y). Two rows of the class, weighted
    1 - lambda and lambda: interpolation of autoencoder codes as in DeepSMOTE (Dablain et al. 2021),
    made real by an adversary. A row, and the difference of two rows of another class: that class's
    variation, borrowed, as in the delta-encoder (Schwartz et al. 2018).
    """

    def __init__(self, encoder: Encoder, decoder: Decoder, sigma: float) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.sigma = sigma

    def code(self, inputs: GeneratorInput) -> Tensor:
        """(N, code): mixed codes with noise. Raises TypeError without anchors."""
        anchors = inputs.source
        if not isinstance(anchors, Anchors):
            raise TypeError("an anchored generator needs GeneratorInput.source, rows of the class")
        codes = self.encode(anchors.rows)
        mixed = torch.einsum("nk,nkc->nc", anchors.weight.to(codes.dtype), codes[anchors.index])
        return mixed + self.sigma * inputs.z

    def encode(self, rows: Tensor) -> Tensor:
        """Images to codes; codes stay as they are."""
        if rows.ndim == 2:
            return rows
        codes: Tensor = self.encoder(rows)
        return codes

    def forward(self, inputs: GeneratorInput) -> Tensor:
        """Decode the mixed code as class y."""
        images: Tensor = self.decoder(self.code(inputs), inputs.y)
        return images
