"""`FrozenFeatures`: images as the features of a pretrained network, which is never trained."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin

from gan_augment.data.arrays import to_uint8
from gan_augment.data.images.decode import decode_files
from gan_augment.data.images.resize import checked_size, resize_image
from gan_augment.errors import DataError, NotFittedError, UsageError
from gan_augment.kinds.kind import labelled_of
from gan_augment.progress import LogProgress, Progress

if TYPE_CHECKING:
    from torch import nn

    from gan_augment.machine import ComputeConfig
    from gan_augment.networks.backbones import Backbone

_CPU_BATCH, _GPU_BATCH = 8, 64  # above 8 the maps of 224 px leave a core's cache


class FrozenFeatures(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Turn images into the features of a pretrained network, for everything that takes a table.

    The network comes from a local file, and a fitted transformer contains it. To compute features
    once for all folds and grids, give the pipeline a `memory=`.

    Parameters
    ----------
    backbone : str, Path or torch.nn.Module
        EfficientNet-Lite0's weights, .pth or .safetensors; "module:name" of a module or its
        factory; or a module, which is copied. Other networks than Lite0 get pixels in ImageNet's
        scale. The input is float32 (N, 3, H, W).
    image_size : int, tuple (H, W) or None, default=None
        Size in px to which images are resized, antialiased. None is 224.
    device : str, default="auto"
        "cpu", "cuda", "cuda:1"; "auto" takes a GPU if there is one.
    precision : {"auto", "float32", "bf16"}, default="auto"
        "auto" is float32 on a CPU and bf16, which rounds to about three digits, on a GPU.

    Attributes
    ----------
    image_size_, precision_, n_features_out_ : tuple (H, W), str, int

    Raises
    ------
    UsageError, ModelFileError, DataError
        For invalid parameters; for missing weights (the message names their source) or weights
        that do not fit; for images that cannot be read.

    Notes
    -----
    X is a list or array of paths, an array (N, H, W) or (N, H, W, C) of pixels, a `Labelled`, or a
    result of `read_images`. Grey images become three equal channels; opacity is ignored.

    Examples
    --------
    >>> import numpy as np, torch
    >>> from gan_augment import FrozenFeatures
    >>> tiny = torch.nn.Conv2d(3, 4, 3)  # a real one is pretrained
    >>> images = np.zeros((5, 8, 8), dtype=np.uint8)
    >>> FrozenFeatures(tiny, image_size=32).fit_transform(images).shape
    (5, 4)
    """

    def __init__(
        self,
        backbone: str | Path | nn.Module = "lite0.pth",
        *,
        image_size: int | tuple[int, int] | None = None,
        device: str = "auto",
        precision: Literal["auto", "float32", "bf16"] = "auto",
    ) -> None:
        self.backbone = backbone
        self.image_size = image_size
        self.device = device
        self.precision = precision

    def fit(self, X: Any = None, y: Any = None) -> Self:
        """Load the network; nothing is learned from X.

        Parameters
        ----------
        X, y
            Ignored.

        Returns
        -------
        self
            The transformer with its network.
        """
        if self.precision not in ("auto", "float32", "bf16"):
            raise UsageError(f"precision={self.precision!r}; expected auto, float32 or bf16")
        from gan_augment.networks.backbones import SIDE_PX, load_backbone

        self._backbone: Backbone = load_backbone(self.backbone)
        size: Any = SIDE_PX if self.image_size is None else self.image_size
        self.image_size_ = checked_size((size, size) if np.ndim(size) == 0 else size)
        self.precision_ = self._machine().precision
        blank = np.zeros((1, *self.image_size_, 3), np.uint8)
        self.n_features_out_ = self._forward(blank).shape[1]
        return self

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Compute the features of images.

        Parameters
        ----------
        X : (N, ...)
            Paths, pixels or `Labelled` images, as in the notes of the class.

        Returns
        -------
        ndarray of float32 (N, `n_features_out_`)
            One row per image.
        """
        return self.embed(X, LogProgress("features"))

    def embed(self, images: Any, progress: Progress) -> NDArray[np.float32]:
        """Do the work of `transform`, and report progress.

        Parameters
        ----------
        images, progress
            As X of `transform`; receives the number of finished images.

        Returns
        -------
        ndarray of float32 (N, `n_features_out_`)
            One row per image.
        """
        if not hasattr(self, "precision_"):
            raise NotFittedError("this FrozenFeatures is not fitted; call fit first")
        n, pixels = self._pixels(images)
        rows = np.empty((n, self.n_features_out_), dtype=np.float32)
        batch = _CPU_BATCH if self._machine().device.type == "cpu" else _GPU_BATCH
        done = 0
        progress.phase("computing features", n)
        while block := list(islice(pixels, batch)):
            rows[done : done + len(block)] = self._forward(np.stack(block))
            done += len(block)
            progress.advance(done)
        self._backbone.network.cpu()  # a pickle is read without a GPU
        return rows

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return the names feature_0, feature_1, ....

        Parameters
        ----------
        input_features
            Ignored.

        Returns
        -------
        ndarray of str (`n_features_out_`,)
            The names of the columns.
        """
        return np.array([f"feature_{i}" for i in range(self.n_features_out_)], dtype=object)

    def _machine(self) -> ComputeConfig:
        from gan_augment.machine import compute_config

        height, width = self.image_size_
        return compute_config(self.device, self.precision, pixels=height * width)

    def _pixels(self, images: Any) -> tuple[int, Iterator[NDArray[np.uint8]]]:
        """Return the number of images, and each as (H, W, 3) of the network's size."""
        size, labelled = self.image_size_, labelled_of(images)
        try:
            values = np.asarray(images if labelled is None else labelled.pixels)
        except ValueError:
            raise DataError("X holds images of several sizes; give their paths instead") from None
        if values.ndim and values.size and isinstance(values.flat[0], str | Path):
            return values.size, _decoded([Path(path) for path in values.flat], size)
        pixels, _ = to_uint8(values)
        return len(pixels), (_coloured(resize_image(one, size)) for one in pixels)

    def _forward(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the features of a block of images, uint8 (n, H, W, 3) -> float32 (n, D)."""
        import torch

        from gan_augment.networks.backbones import pooled

        device, bf16 = self._machine().device, self.precision_ == "bf16"
        backbone = self._backbone
        network = backbone.network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        mean, std = (
            torch.tensor(np.ravel(of) * 255).float() for of in (backbone.mean, backbone.std)
        )
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            x = torch.from_numpy(pixels).to(device).float()
            x = (x - mean.to(device)) / std.to(device)
            x = x.permute(0, 3, 1, 2)  # (n, H, W, 3) -> (n, 3, H, W)
            values: NDArray[np.float32] = pooled(network(x)).cpu().numpy()
        if len(values) != len(pixels) or not np.isfinite(values).all():
            raise DataError(
                f"the backbone gives an array of shape {values.shape}, or numbers that are not "
                f"finite, for {len(pixels)} images; expected one row of finite features each"
            )
        return values


def _decoded(paths: list[Path], size: tuple[int, int]) -> Iterator[NDArray[np.uint8]]:
    for path, (facts, image) in zip(paths, decode_files(paths, size), strict=True):
        if image is None:
            raise DataError(f"{str(path)!r} cannot be used: {facts['reason']}")
        yield _coloured(image)


def _coloured(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Turn (H, W, 1, 3 or 4) into (H, W, 3): grey in all three channels, without opacity."""
    channels = image.shape[2]
    if channels not in (1, 3, 4):
        raise DataError(f"images of {channels} channels; a backbone takes 1, 3 or 4 (grey to RGBA)")
    three = np.repeat(image, 3, axis=2) if channels == 1 else image[..., :3]
    return np.ascontiguousarray(three)
