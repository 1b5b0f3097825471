"""`SyntheticDataset`: items from a model alone, without the data that it was fitted to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from gan_augment.data.images.resize import checked_size
from gan_augment.data.torch_items import (
    Normalize,
    Picture,
    VectorFormat,
    pair_format,
    tensor_images,
)
from gan_augment.errors import NotFittedError, TooFewAcceptedError, UsageError, unknown_class
from gan_augment.synthesizers.base import checked_counts, checked_seed
from gan_augment.torch_api.generated import GeneratedRows, checked_refresh
from gan_augment.torch_api.items import EpochItems
from gan_augment.torch_api.models import Sampling, fitted_model
from gan_augment.torch_api.transforms import SeededTransform, Transform


class SyntheticDataset(EpochItems):
    """Generated items of a saved run or a fitted model: (image, label), without the original data.

    Images are float32 tensors (C, H, W) in 0..1, rows of a table float32 tensors (columns,), whose
    columns must be numbers. Labels are ints, indices into `classes`, the model's in its own order;
    they are the labels of the data where those were 0, 1, ....

    Parameters
    ----------
    model
        The folder of a run (as `gan-augment fit` prints it) or of a saved model, or anything fitted
        that samples: ImageGAN, TabularGAN, GANAugmenter.
    counts
        {class: n}, in the order of the items; or one number for each class that the model was
        fitted to top up (for all, where it does not say).
    random_state
        The seed, an int >= 0; the same items for the same model and seed.
    transform, refresh, cache
        As in `AugmentedDataset`.
    normalize
        A (mean, std) to apply.
    image_size
        (height, width) px to resize images to.

    Attributes
    ----------
    classes, counts
        Names in the model's order, {class: n}.
    labels, targets
        int64 (M,).

    Raises
    ------
    ModelFileError, NotFittedError, UnknownClassError, UsageError, DataError
        For what is given.
    TooFewAcceptedError
        For a class that the model cannot serve.

    Examples
    --------
    >>> import numpy as np
    >>> from gan_augment import ImageGAN
    >>> from gan_augment.data.arrays import from_arrays
    >>> data = from_arrays(np.random.default_rng(0).random((24, 8, 8)), ["a"] * 20 + ["b"] * 4)
    >>> gan = ImageGAN(steps=2, device="cpu", threads=1, selection=False).fit(data)
    >>> made = SyntheticDataset(gan, {"b": 3})
    >>> image, label = made[2]
    >>> len(made), image.shape, image.dtype, label
    (3, torch.Size([1, 8, 8]), torch.float32, 1)
    """

    def __init__(
        self,
        model: Any,
        counts: Mapping[str, int] | int,
        *,
        random_state: int = 0,
        transform: Transform | None = None,
        normalize: Normalize | None = None,
        image_size: tuple[int, int] | None = None,
        refresh: Literal["never", "epoch"] = "never",
        cache: str | Path | None = None,
    ) -> None:
        self._seed = checked_seed(random_state)
        fitted = fitted_model(model)
        if fitted is None:
            raise NotFittedError(
                f"this {type(model).__name__} is not fitted; fit it first, or pass a run's folder"
            )
        self.counts = _counts(fitted, counts)
        columns = _columns(fitted, next(iter(self.counts)))
        self._generated = GeneratedRows(
            fitted,
            self.counts,
            dtype=None if columns is None else np.dtype(np.float32),
            seed=self._seed,
            refresh=checked_refresh(refresh),
            cache=cache,
        )
        if self._generated.refused:
            raise TooFewAcceptedError("; ".join(self._generated.refused.values()))
        self.classes = tuple(fitted.classes_)
        picture = _picture(self._generated.shape, normalize, image_size)
        self._format = pair_format(picture, range(len(self.classes)))
        self._transform = None
        if transform is not None:
            self._transform = SeededTransform(transform, picture, self._seed)
        codes = [self.classes.index(name) for name in self.counts]
        self.labels = np.repeat(codes, list(self.counts.values())).astype(np.int64)
        self.targets = self.labels
        self._where = ~np.arange(len(self.labels))

    def _real_items(
        self, where: NDArray[np.int64], rows: NDArray[np.int64], epoch: int
    ) -> list[Any]:
        raise AssertionError("all items are generated")


def _counts(model: Sampling, counts: Mapping[str, int] | int) -> dict[str, int]:
    """{class: n}, n >= 1."""
    if not isinstance(counts, Mapping):
        counts = dict.fromkeys(getattr(model, "topped_up_", None) or model.classes_, counts)
    wanted = checked_counts({str(name): n for name, n in counts.items()})
    for name in wanted:
        if name not in model.classes_:
            raise unknown_class(name, model.classes_)
    wanted = {name: n for name, n in wanted.items() if n}
    if not wanted:
        raise UsageError("there is nothing to draw; say how many items, such as {'rare': 100}")
    return wanted


def _columns(model: Sampling, name: str) -> int | None:
    """The number of columns of what a model samples; None for images."""
    one = model.sample({name: 1})
    return len(one.frame.columns) if hasattr(one, "frame") else None


def _picture(
    shape: tuple[int, ...] | None, normalize: Normalize | None, image_size: tuple[int, int] | None
) -> Picture:
    assert shape is not None
    if len(shape) == 1:
        if normalize is not None or image_size is not None:
            raise UsageError("normalize and image_size are for images; the model is of a table")
        return VectorFormat(kind="torch", dtype=torch.float32, length=shape[0])
    height, width, channels = shape
    size = (height, width) if image_size is None else checked_size(image_size)
    return tensor_images(size, channels, normalize)
