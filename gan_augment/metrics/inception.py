"""FID by a network from a local file of known hash; nothing is downloaded."""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gan_augment.errors import DataError, ModelFileError, UsageError
from gan_augment.metrics.distances import Rows, frechet_distance

SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
"""SHA-256 of weights-inception-2015-12-05-6726825d.pth, released with torch-fidelity 0.2.0: the
TensorFlow graph of the first FID, converted. pytorch-fid uses the same file."""

_BATCH = 32
"""Images per pass, fixed: the last bits of a float32 network depend on the batch size."""


class Inception:
    """The network that computes features for FID.

    The file is read once and opened only if its SHA-256 is the expected one: it holds a pickle, and
    a pickle can run any code. Needs the extra `gan-augment[fid]` (torch-fidelity).

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
        path = Path(weights)
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
            "inception-v3-compat", ["2048"], feature_extractor_weights_path=io.BytesIO(content)
        )
        self.sha256, self._device = SHA256, device
        self._network = network.to(device)

    def features(self, images: NDArray[np.uint8]) -> Rows:
        """Compute pooled features (N, 2048) of uint8 images (N, H, W, 3 or 1) or (N, H, W).

        Grey images are repeated in three channels. Images are scaled to 299 x 299 bilinearly, as in
        TensorFlow 1. Raises DataError for other shapes or types.
        """
        import torch

        pixels = np.asarray(images)
        if pixels.ndim == 3:
            pixels = pixels[..., None]  # (N, H, W) -> (N, H, W, 1)
        fits = pixels.ndim == 4 and pixels.shape[3] in (1, 3) and pixels.size
        if not fits or pixels.dtype != np.uint8:
            raise DataError(
                f"images have shape {np.shape(images)} and dtype {pixels.dtype}; expected uint8 "
                "0..255 as (N, H, W, 3), (N, H, W, 1) or (N, H, W), N >= 1."
            )
        pixels = np.broadcast_to(pixels, (*pixels.shape[:3], 3))
        features = []
        for start in range(0, len(pixels), _BATCH):
            some = pixels[start : start + _BATCH]
            whole = np.zeros((_BATCH, *some.shape[1:]), dtype=np.uint8)
            whole[: len(some)] = some
            batch = torch.from_numpy(whole).permute(0, 3, 1, 2)  # (B, H, W, 3) -> (B, 3, H, W)
            with torch.inference_mode():
                (pooled,) = self._network(batch.contiguous().to(self._device))
            features.append(pooled[: len(some)].cpu().numpy().astype(np.float64))
        return np.concatenate(features)


def fid(real: NDArray[np.uint8], synthetic: NDArray[np.uint8], inception: Inception) -> float:
    """Compute the Frechet distance of two sets of uint8 images in Inception's 2,048 features.

    Comparable with published values of the same network, number of images (usually 50,000) and size
    of real images. Shapes as in `Inception.features`, at least two images.
    Source: Heusel et al. 2017, "GANs trained by a two time-scale update rule", eq. 6.
    Warns with SmallSampleWarning below 20,480 images.
    """
    return frechet_distance(inception.features(real), inception.features(synthetic))
