"""FID and Inception score by a network from a local file of known hash; nothing is downloaded."""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gan_augment.errors import DataError, ModelFileError, SmallSampleWarning, UsageError, warn
from gan_augment.metrics.distances import Rows, feature_rows, frechet_distance, in_order
from gan_augment.rng import rng_for

if TYPE_CHECKING:
    from torch import nn

SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
"""SHA-256 of weights-inception-2015-12-05-6726825d.pth, released with torch-fidelity 0.2.0: the
TensorFlow graph of the first FID, converted. pytorch-fid uses the same file."""

_BATCH = 32
"""Images per pass, fixed: the last bits of a float32 network depend on the batch size."""

_FEWEST = 5_000
"""Images per split in published Inception scores."""


class InceptionScore(NamedTuple):
    """The mean over the splits and their population standard deviation."""

    mean: float
    std: float


class Inception:
    """The network that computes features for FID and probabilities for the Inception score.

    The file is read once and opened only if its SHA-256 is the expected one. Needs the extra
    `gan-augment[fid]` (torch-fidelity).

    Parameters
    ----------
    weights
        The path of weights-inception-2015-12-05-6726825d.pth on this machine.
    device
        As PyTorch names it.

    Raises
    ------
    UsageError
        Without the extra or the file.
    ModelFileError
        For any other file.
    """

    def __init__(self, weights: str | os.PathLike[str], device: str = "cpu") -> None:
        content = _verified(Path(weights))
        self.sha256 = SHA256
        self._device = device
        self._network = _extractor(content).to(device)

    def features(self, images: NDArray[np.uint8]) -> Rows:
        """Compute pooled features (N, 2048) of uint8 images (N, H, W, 3 or 1) or (N, H, W).

        Grey images are repeated in three channels. Images are scaled to 299 x 299 bilinearly, as in
        TensorFlow 1. Raises DataError for other shapes or types.
        """
        return self._run(images)[0]

    def probabilities(self, images: NDArray[np.uint8]) -> Rows:
        """Compute class probabilities (N, 1008), without the last layer's bias as published."""
        logits = self._run(images)[1]
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        normalised: Rows = shares / shares.sum(axis=1, keepdims=True)
        return normalised

    def _run(self, images: NDArray[np.uint8]) -> tuple[Rows, Rows]:
        import torch

        pixels = _three_channels(images)
        features, logits = [], []
        for start in range(0, len(pixels), _BATCH):
            some = pixels[start : start + _BATCH]
            whole = np.zeros((_BATCH, *some.shape[1:]), dtype=np.uint8)
            whole[: len(some)] = some
            batch = torch.from_numpy(whole).permute(0, 3, 1, 2)  # (B, H, W, 3) -> (B, 3, H, W)
            with torch.inference_mode():
                pooled, unbiased = self._network(batch.contiguous().to(self._device))
            features.append(pooled[: len(some)].cpu().numpy().astype(np.float64))
            logits.append(unbiased[: len(some)].cpu().numpy().astype(np.float64))
        return np.concatenate(features), np.concatenate(logits)


def fid(real: NDArray[np.uint8], synthetic: NDArray[np.uint8], inception: Inception) -> float:
    """Compute the Frechet distance of two sets of uint8 images in Inception's 2,048 features.

    Comparable with published values of the same network, number of images (usually 50,000) and size
    of real images. Shapes as in `Inception.features`, at least two images.
    Source: Heusel et al. 2017, "GANs trained by a two time-scale update rule", eq. 6.
    Warns with SmallSampleWarning below 20,480 images.
    """
    return frechet_distance(inception.features(real), inception.features(synthetic))


def inception_score(probabilities: ArrayLike, splits: int = 10, *, seed: int = 0) -> InceptionScore:
    """Compute exp(mean_x KL(p(y|x) || p(y))) in equal parts of the images, drawn with the seed.

    Shapes: probabilities (N, K), rows that sum to 1, N >= splits -> mean and deviation, 1..K. The
    score ignores real images and is meaningful only for pictures like those of ImageNet.
    Source: Salimans et al. 2016, "Improved techniques for training GANs", section 4.
    Raises DataError unless rows are probabilities, UsageError for more splits than images.
    Warns with SmallSampleWarning below 5,000 images per split.

    >>> import warnings
    >>> with warnings.catch_warnings(action="ignore"):
    ...     inception_score([[1.0, 0.0], [0.0, 1.0]], splits=1)
    InceptionScore(mean=2.0, std=0.0)
    """
    rows = feature_rows(probabilities, "probabilities")
    if (rows < 0).any() or not np.allclose(rows.sum(axis=1), 1, atol=1e-4):
        raise DataError("rows of probabilities must be >= 0 and sum to 1; apply a softmax first.")
    if not 1 <= splits <= len(rows):
        raise UsageError(f"splits={splits} of {len(rows)} images; expected 1..{len(rows)}.")
    limit = inception_score_limit(len(rows), splits)
    if limit:
        warn(limit, SmallSampleWarning)
    order = rng_for(seed, "inception score", len(rows)).permutation(len(rows))
    parts = np.array_split(in_order(rows)[order], splits)
    scores = [_score_of_part(part) for part in parts]
    return InceptionScore(float(np.mean(scores)), float(np.std(scores)))


def inception_score_limit(n: int, splits: int = 10) -> str | None:
    """Explain why an Inception score of n images means little; None from 5,000 images per split."""
    if n >= _FEWEST * splits:
        return None
    return (
        f"Inception score of {n} images in {splits} splits is below its large-sample value: "
        f"published scores use {_FEWEST} per split. Compare equal numbers, or use kernel_distance."
    )


def _verified(path: Path) -> bytes:
    """Read the one trusted file: it holds a pickle, and a pickle can run any code."""
    if not path.is_file():
        raise UsageError(
            f"{path} does not exist; expected weights-inception-2015-12-05-6726825d.pth. "
            "Nothing is downloaded: get it from torch-fidelity's release v0.2.0 first."
        )
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest != SHA256:
        raise ModelFileError(
            f"{path} has SHA-256 {digest}; expected {SHA256}. It was not opened. Fetch "
            "weights-inception-2015-12-05-6726825d.pth of torch-fidelity's release v0.2.0."
        )
    return content


def _extractor(content: bytes) -> nn.Module:
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError as error:
        raise UsageError(
            f"the Inception network needs torch-fidelity ({error}). "
            "Install it: pip install 'gan-augment[fid]'."
        ) from error
    # Pass the verified bytes: a path could be changed in between, and without either argument
    # torch-fidelity would download a file.
    network: Any = FeatureExtractorInceptionV3(
        "inception-v3-compat",
        ["2048", "logits_unbiased"],
        feature_extractor_weights_path=io.BytesIO(content),
    )
    module: nn.Module = network
    return module


def _three_channels(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    pixels = np.asarray(images)
    if pixels.ndim == 3:
        pixels = pixels[..., None]  # (N, H, W) -> (N, H, W, 1)
    if (
        pixels.dtype != np.uint8
        or pixels.ndim != 4
        or pixels.shape[3] not in (1, 3)
        or not pixels.size
    ):
        raise DataError(
            f"images have shape {np.shape(images)} and dtype {pixels.dtype}; expected uint8 0..255 "
            "as (N, H, W, 3) in colour, (N, H, W, 1) or (N, H, W) in grey, N >= 1. "
            "Select three channels of other images first."
        )
    return np.broadcast_to(pixels, (*pixels.shape[:3], 3))


def _score_of_part(part: Rows) -> float:
    from scipy.special import rel_entr

    return float(np.exp(rel_entr(part, part.mean(axis=0)).sum(axis=1).mean()))
