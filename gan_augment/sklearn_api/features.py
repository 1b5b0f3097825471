"""`FrozenFeatures`: images as the features of a pretrained network that is not trained here.

Beside it what keeps features between calls. The networks are in `networks/backbones.py`.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin

from gan_augment.data.arrays import to_uint8
from gan_augment.data.images.pool import decode_files
from gan_augment.data.images.reader import ReadImages, read_images
from gan_augment.data.images.resize import checked_size, resize_image
from gan_augment.errors import DataError, NotFittedError, UsageError, warn
from gan_augment.kinds.kind import Labelled
from gan_augment.progress import Progress, StderrProgress

if TYPE_CHECKING:
    from torch import nn

    from gan_augment.machine import ComputeConfig
    from gan_augment.networks.backbones import Backbone

MOST_CACHED_BYTES = 2 << 30
_VERSION = 1  # of what is kept: another one finds nothing of before
_OPENED = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
PRAGMA max_page_count = {pages};
CREATE TABLE IF NOT EXISTS kept
    (settings BLOB, pixels BLOB, features BLOB, UNIQUE (settings, pixels));
DELETE FROM kept WHERE rowid <= (SELECT (3 * min(rowid) + max(rowid)) / 4 FROM kept) AND
    {pages} * 3 < 4 * (SELECT page_count - freelist_count
    FROM pragma_page_count, pragma_freelist_count);
"""
_CPU_BATCH, _GPU_BATCH = 8, 64  # above 8 the maps of 224 px leave a core's cache


class FrozenFeatures(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Turn images into the features of a pretrained network, for everything that takes a table.

    The network comes from a local file, is never trained, and sees each image once: features are
    kept by the sha256 of its pixels, so that folds, clones and grids cost no second pass.

    Parameters
    ----------
    backbone : str, Path or torch.nn.Module
        A .safetensors file of EfficientNet-Lite0's weights; "path.py:name" of a module or of what
        makes one; "timm:NAME:FILE" with a local .safetensors file (extra `[timm]`); or a module,
        which is copied. It is given float32 (N, 3, H, W).
    image_size : int, tuple (H, W) or None, default=None
        Px that images come to, antialiased and squeezed. None is what the network was trained at.
    mean, std : float, sequence of 3 or None, default=None
        Of pixels in 0..1; the network sees (pixels - mean) / std. None: those of its training,
        ImageNet's for a module of your own.
    pool : {"mean", "max"}, default="mean"
        How a map (N, D, h, w), or tokens (N, T, D), become (N, D).
    batch : int or None, default=None
        Images at a time; None is 8 on a CPU and 64 on a GPU.
    device : str, default="auto"
        "cpu", "cuda", "cuda:1"; "auto" takes a GPU that is there.
    precision : {"auto", "float32", "bf16"}, default="auto"
        "auto" is float32 on a CPU and bf16, which rounds to about three digits, on a GPU.
    cache : bool, str or Path, default=True
        Whether features are kept, in a file of at most 2 GiB that only the user reads: below
        $XDG_CACHE_HOME or ~/.cache, or in the folder that is named.
    verbose : int, default=0
        1 writes images a second and the time that is left to stderr.

    Attributes
    ----------
    image_size_, precision_, n_features_out_ : tuple (H, W), str, int
    sha256_ : str
        Of the network; another one in the place of its file is refused.

    Raises
    ------
    UsageError, ModelFileError, DataError
        For parameters; for files of weights that are missing (the message says where they come
        from) or do not fit; for images that cannot be read.

    Notes
    -----
    X is a list or array of paths, arrays (N, H, W) or (N, H, W, C) of pixels, a `Labelled`,
    what `read_images` gave, or the path of a folder of classes, a manifest or an .npz file. Grey
    images become three equal channels; opacity is left out.

    Examples
    --------
    >>> import numpy as np, torch
    >>> from gan_augment import FrozenFeatures
    >>> tiny = torch.nn.Conv2d(3, 4, 3)  # a real one is pretrained
    >>> images = np.zeros((5, 8, 8), dtype=np.uint8)
    >>> FrozenFeatures(tiny, image_size=32, cache=False).fit_transform(images).shape
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
        cache: bool | str | Path = True,
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
        self.cache = cache
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
        """Return float32 (N, `n_features_out_`), a row an image."""
        return self.embed(X, StderrProgress("features", verbose=bool(self.verbose)))

    def embed(self, images: Any, progress: Progress) -> NDArray[np.float32]:
        """Do as `transform` does, and tell how far it is."""
        if not hasattr(self, "precision_"):
            raise NotFittedError("this FrozenFeatures is not fitted; call fit first")
        n, pixels = self._pixels(images)
        rows = np.empty((n, self.n_features_out_), dtype=np.float32)
        kept, forward, size = self._kept(self.precision_), None, _machine_and_batch(self)[1]
        waiting: dict[int, tuple[bytes, NDArray[np.uint8]]] = {}
        done, began_s = 0, time.monotonic()
        progress.phase("computing features", n)
        for row, image in enumerate(itertools.chain(pixels, [None])):
            if image is not None:
                digest = hashlib.sha256(image.data).digest()
                if (cached := kept.row(digest)) is None:
                    waiting[row] = digest, image
                else:
                    rows[row] = cached
            if waiting and (image is None or len(waiting) == size):
                forward = forward or _Forward(self, _loaded(self.backbone))
                rows[list(waiting)] = forward(np.stack([image for _, image in waiting.values()]))
                for index, (digest, _) in waiting.items():
                    kept.add(digest, rows[index])
                done += len(waiting)
                rate = done / (time.monotonic() - began_s)
                if done == size and row + 1 < n:
                    progress.note(f"{rate:.3g} images/s: about {(n - row) / rate:.0f} s to go")
                progress.advance(min(row + 1, n), f"{rate:.3g} images/s")
                waiting.clear()
        rate = done / max(time.monotonic() - began_s, 1e-9)
        speed = f", the others in {self.precision_} at {rate:.3g} images/s" if done else ""
        progress.note(f"features of {n} images, {n - done} of them kept from before{speed}")
        return rows

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Name the columns feature_0, feature_1, ...."""
        return np.array([f"feature_{i}" for i in range(self.n_features_out_)], dtype=object)

    def _kept(self, precision: str) -> _FeatureCache:
        """What was computed before with this network, these settings and this precision."""
        machine, batch = _machine_and_batch(self)
        settings = (_VERSION, self.sha256_, self.image_size_, self.mean, self.std, self.pool)
        named = repr((*settings, batch, precision, machine.device.type))
        if isinstance(self.cache, str | Path):
            return _FeatureCache(Path(self.cache), named)
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        return _FeatureCache(home / "gan-augment" if self.cache else None, named)

    def _pixels(self, images: Any) -> tuple[int, Iterator[NDArray[np.uint8]]]:
        """How many images, and each as (H, W, 3) of the network's size."""
        size = self.image_size_
        if isinstance(images, str | Path):
            images = read_images(images, image_size=size)
        if isinstance(images, ReadImages):
            images = images.data
        if isinstance(images, Labelled):
            images = images.pixels
        try:
            values = np.asarray(images)
        except ValueError:
            raise DataError("X holds images of several sizes; give their paths instead") from None
        if values.dtype.kind in "OUT" and values.ndim and isinstance(values.flat[0], str | Path):
            return values.size, _decoded([Path(path) for path in values.flat], size)
        pixels, _ = to_uint8(values)
        return len(pixels), (_coloured(resize_image(one, size)) for one in pixels)


class _Forward:
    """A network with the settings of its transformer: uint8 (n, H, W, 3) -> float32 (n, D)."""

    def __init__(self, features: FrozenFeatures, backbone: Backbone) -> None:
        import torch

        self._pool, self._precision = features.pool, features.precision_
        self._machine, _ = _machine_and_batch(features)
        if backbone.sha256 != features.sha256_:
            raise UsageError(f"{features.backbone} has changed since the fit; put it back, or fit")
        self._network = backbone.network.to(self._machine.device)
        self._network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        given = (features.mean, backbone.mean), (features.std, backbone.std)
        scales = (np.ravel(own if mine is None else mine) * 255 for mine, own in given)
        device = self._machine.device
        self._mean, self._std = (torch.tensor(scale).float().to(device) for scale in scales)

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The features of a block of images."""
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
                f"finite, for {len(pixels)} images; expected a row of finite features each"
            )
        return values


class _FeatureCache:
    """Rows of features by their settings and the sha256 of their pixels, in one SQLite file.

    A file of which three quarters are full loses its oldest quarter. Where it cannot be used that
    is warned of, and nothing is kept. folder: None keeps nothing.
    """

    def __init__(self, folder: Path | None, settings: str) -> None:
        self._settings = hashlib.sha256(settings.encode()).digest()
        self._db: sqlite3.Connection | None = None
        if folder is None:
            return
        try:
            file = folder / "features.sqlite"
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600))
            self._db = sqlite3.connect(file, timeout=60, isolation_level=None)
            self._db.executescript(_OPENED.format(pages=MOST_CACHED_BYTES // 4096))
        except (OSError, sqlite3.Error) as error:
            self._fail(error)

    def __del__(self) -> None:
        if self._db is not None:
            self._db.close()

    def row(self, digest: bytes) -> NDArray[np.float32] | None:
        """The features of an image, or None."""
        wanted = "SELECT features FROM kept WHERE settings = ? AND pixels = ?"
        found = self._ask(wanted, self._settings, digest)
        return np.frombuffer(found[0][0], "<f4") if found else None

    def add(self, digest: bytes, row: NDArray[np.float32]) -> None:
        """Keep the features of an image."""
        content = row.astype("<f4").tobytes()
        self._ask("INSERT OR IGNORE INTO kept VALUES (?, ?, ?)", self._settings, digest, content)

    def _ask(self, query: str, *values: bytes) -> list[Any]:
        try:
            return [] if self._db is None else self._db.execute(query, values).fetchall()
        except sqlite3.Error as error:
            self._fail(error)
            return []

    def _fail(self, error: Exception) -> None:
        warn(f"features are kept no longer ({error}); remove the file, or set cache=False")
        self._db = None


def _machine_and_batch(features: FrozenFeatures) -> tuple[ComputeConfig, int]:
    from gan_augment.machine import compute_config

    precision, (height, width) = features.precision, features.image_size_
    machine = compute_config(features.device, precision, pixels=height * width)  # type: ignore[arg-type]
    usual = _CPU_BATCH if machine.device.type == "cpu" else _GPU_BATCH
    if features.batch is not None and features.batch < 1:
        raise UsageError(f"batch={features.batch!r}; expected 1 image or more at a time")
    return machine, usual if features.batch is None else int(features.batch)


def _loaded(backbone: Any) -> Backbone:
    """The network; of a file the one that this process has, unless the file is another by now."""
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
    """(H, W, 1, 3 or 4) as (H, W, 3): grey in all three, without opacity."""
    channels = image.shape[2]
    if channels not in (1, 3, 4):
        raise DataError(f"images of {channels} channels; a backbone takes 1, 3 or 4 (grey to RGBA)")
    three = np.repeat(image, 3, axis=2) if channels == 1 else image[..., :3]
    return np.ascontiguousarray(three)
