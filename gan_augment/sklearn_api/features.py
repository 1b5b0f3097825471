"""`FrozenFeatures`: images as the features of a pretrained network, which is never trained.

`networks/backbones.py` loads the networks. `joblib.Memory` caches features between calls.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin

from gan_augment.data.arrays import to_uint8
from gan_augment.data.images.pool import decode_files
from gan_augment.data.images.reader import read_images
from gan_augment.data.images.resize import checked_size, resize_image
from gan_augment.errors import DataError, NotFittedError, UsageError
from gan_augment.kinds.kind import labelled_of
from gan_augment.progress import Progress, StderrProgress

if TYPE_CHECKING:
    from torch import nn

    from gan_augment.machine import ComputeConfig
    from gan_augment.networks.backbones import Backbone

_CPU_BATCH, _GPU_BATCH = 8, 64  # above 8 the maps of 224 px leave a core's cache


class FrozenFeatures(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Turn images into the features of a pretrained network, for everything that takes a table.

    The network comes from a local file. To compute features once for all folds and grids, give the
    pipeline a `memory=`.

    Parameters
    ----------
    backbone : str, Path or torch.nn.Module
        A .safetensors file of EfficientNet-Lite0's weights; "module:name" of a module or its
        factory; "timm:NAME:FILE" with a local .safetensors file (extra `[timm]`); or a module,
        which is copied. The input is float32 (N, 3, H, W).
    image_size : int, tuple (H, W) or None, default=None
        Size in px to which images are resized, antialiased. None is the network's training size.
    mean, std : float, sequence of 3 or None, default=None
        Scale of pixels in 0..1: the network sees (pixels - mean) / std. None is the scale of the
        network's training, or ImageNet's for your own module.
    pool : {"mean", "max"}, default="mean"
        How a map (N, D, h, w), or tokens (N, T, D), become (N, D).
    batch : int or None, default=None
        Images per forward pass; None is 8 on a CPU and 64 on a GPU.
    device : str, default="auto"
        "cpu", "cuda", "cuda:1"; "auto" takes a GPU if there is one.
    precision : {"auto", "float32", "bf16"}, default="auto"
        "auto" is float32 on a CPU and bf16, which rounds to about three digits, on a GPU.
    verbose : int, default=0
        1 writes images per second and the remaining time to stderr.

    Attributes
    ----------
    image_size_, precision_, n_features_out_ : tuple (H, W), str, int
    sha256_ : str
        Fingerprint of the network; a changed file is refused.

    Raises
    ------
    UsageError, ModelFileError, DataError
        For invalid parameters; for missing weights (the message names their source) or weights
        that do not fit; for images that cannot be read.

    Notes
    -----
    X is a list or array of paths, arrays (N, H, W) or (N, H, W, C) of pixels, a `Labelled`,
    a result of `read_images`, or the path of a folder of classes, a manifest or an .npz file. Grey
    images become three equal channels; opacity is ignored.

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
        backbone: str | Path | nn.Module = "lite0.safetensors",
        *,
        image_size: int | tuple[int, int] | None = None,
        mean: float | Sequence[float] | None = None,
        std: float | Sequence[float] | None = None,
        pool: str = "mean",
        batch: int | None = None,
        device: str = "auto",
        precision: str = "auto",
        verbose: int = 0,
    ) -> None:
        self.backbone = backbone
        self.image_size = image_size
        self.mean = mean
        self.std = std
        self.pool = pool
        self.batch = batch
        self.device = device
        self.precision = precision
        self.verbose = verbose

    def fit(self, X: Any = None, y: Any = None) -> Self:
        """Load the network; nothing is learned from X."""
        known = {"pool": ("mean", "max"), "precision": ("auto", "float32", "bf16")}
        for name, values in known.items():
            if getattr(self, name) not in values:
                raise UsageError(f"{name}={getattr(self, name)!r}; expected {' or '.join(values)}")
        backbone = _loaded(self.backbone)
        size: Any = backbone.image_size if self.image_size is None else self.image_size
        self.image_size_ = checked_size((size, size) if np.ndim(size) == 0 else size)
        self.sha256_, self.precision_ = backbone.sha256, _machine_and_batch(self)[0].precision
        forward = _Forward(self, backbone)
        self.n_features_out_ = forward(np.zeros((1, *self.image_size_, 3), np.uint8)).shape[1]
        return self

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Return float32 (N, `n_features_out_`), one row per image."""
        return self.embed(X, StderrProgress("features", verbose=bool(self.verbose)))

    def embed(self, images: Any, progress: Progress) -> NDArray[np.float32]:
        """Do the work of `transform`, and report progress."""
        if not hasattr(self, "precision_"):
            raise NotFittedError("this FrozenFeatures is not fitted; call fit first")
        n, pixels = self._pixels(images)
        rows = np.empty((n, self.n_features_out_), dtype=np.float32)
        forward = _Forward(self, _loaded(self.backbone))
        done, began_s = 0, time.monotonic()
        progress.phase("computing features", n)
        while block := list(islice(pixels, forward.batch)):
            rows[done : done + len(block)] = forward(np.stack(block))
            done += len(block)
            rate = done / max(time.monotonic() - began_s, 1e-9)
            if done == forward.batch and done < n:
                progress.note(f"{rate:.3g} images/s: about {(n - done) / rate:.0f} s to go")
            progress.advance(done, f"{rate:.3g} images/s")
        return rows

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return the names feature_0, feature_1, ...."""
        return np.array([f"feature_{i}" for i in range(self.n_features_out_)], dtype=object)

    def _pixels(self, images: Any) -> tuple[int, Iterator[NDArray[np.uint8]]]:
        """Return the number of images, and each as (H, W, 3) of the network's size."""
        size = self.image_size_
        if isinstance(images, str | Path):
            images = read_images(images, image_size=size)
        labelled = labelled_of(images)
        try:
            values = np.asarray(images if labelled is None else labelled.pixels)
        except ValueError:
            raise DataError("X holds images of several sizes; give their paths instead") from None
        if values.ndim and values.size and isinstance(values.flat[0], str | Path):
            return values.size, _decoded([Path(path) for path in values.flat], size)
        pixels, _ = to_uint8(values)
        return len(pixels), (_coloured(resize_image(one, size)) for one in pixels)


class _Forward:
    """A network with the settings of its transformer: uint8 (n, H, W, 3) -> float32 (n, D)."""

    def __init__(self, features: FrozenFeatures, backbone: Backbone) -> None:
        import torch

        self._pool, self._precision = features.pool, features.precision_
        self._machine, self.batch = _machine_and_batch(features)
        if backbone.sha256 != features.sha256_:
            raise UsageError(f"{features.backbone} has changed since the fit; put it back, or fit")
        self._network = backbone.network.to(self._machine.device)
        self._network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        given = (features.mean, backbone.mean), (features.std, backbone.std)
        scales = (np.ravel(own if mine is None else mine) * 255 for mine, own in given)
        device = self._machine.device
        self._mean, self._std = (torch.tensor(scale).float().to(device) for scale in scales)

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the features of a block of images."""
        import torch

        from gan_augment.networks.backbones import pooled

        device, bf16 = self._machine.device, self._precision == "bf16"
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            x = torch.from_numpy(pixels).to(device).float()
            x = ((x - self._mean) / self._std).permute(0, 3, 1, 2)  # (n, H, W, 3) -> (n, 3, H, W)
            values: NDArray[np.float32] = pooled(self._network(x), self._pool).cpu().numpy()
        if len(values) != len(pixels) or not np.isfinite(values).all():
            raise DataError(
                f"the backbone gives an array of shape {values.shape}, or numbers that are not "
                f"finite, for {len(pixels)} images; expected one row of finite features each"
            )
        return values


def _machine_and_batch(features: FrozenFeatures) -> tuple[ComputeConfig, int]:
    from gan_augment.machine import compute_config

    precision, (height, width) = features.precision, features.image_size_
    machine = compute_config(features.device, precision, pixels=height * width)  # type: ignore[arg-type]
    usual = _CPU_BATCH if machine.device.type == "cpu" else _GPU_BATCH
    if features.batch is not None and features.batch < 1:
        raise UsageError(f"batch={features.batch!r}; expected 1 image or more at a time")
    return machine, usual if features.batch is None else int(features.batch)


def _loaded(backbone: Any) -> Backbone:
    """Return the network of a file; cached per process, reloaded when the file changes."""
    from gan_augment.networks.backbones import load_backbone

    if not isinstance(backbone, str | Path):
        return load_backbone(backbone)
    files = [Path(part).stat() for part in str(backbone).split(":") if Path(part).is_file()]
    return _once(load_backbone, str(backbone), *((f.st_size, f.st_mtime_ns) for f in files))


@functools.lru_cache(maxsize=2)
def _once(load: Callable[[str], Backbone], backbone: str, *_: object) -> Backbone:
    return load(backbone)


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
