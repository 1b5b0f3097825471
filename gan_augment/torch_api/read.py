"""Map-style torch datasets and loaders as labelled data: images, signals or vectors."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, Subset, SubsetRandomSampler, TensorDataset

from gan_augment.data.arrays import label_pixels
from gan_augment.data.images.resize import LONGEST_SIDE_PX, checked_size, model_size, resize_image
from gan_augment.data.labels import check_classes, encode_labels
from gan_augment.data.signals import from_signals
from gan_augment.data.tables.containers import as_frame
from gan_augment.errors import DataError, warn
from gan_augment.kinds.kind import Labelled
from gan_augment.kinds.signal import SIGNAL
from gan_augment.kinds.table import TABLE
from gan_augment.rng import preserve_global_generators
from gan_augment.torch_api.items import (
    Images,
    ItemFormat,
    Key,
    Normalize,
    as_array,
    item_format,
    plain_label,
)

_SAMPLED = 16  # items that show the format of all
_READ_TWICE = 3
_CHECKED = 8  # items whose labels must be the declared ones, besides one of each class


@dataclass(frozen=True)
class DescribedDataset:
    """A map-style dataset, its labels (indices into `names`) and the format of its items."""

    dataset: Any
    labels: NDArray[np.int64]
    names: tuple[str, ...]
    format: ItemFormat

    @property
    def counts(self) -> dict[str, int]:
        """Items per class, {name: n}."""
        n = np.bincount(self.labels, minlength=len(self.names)).tolist()
        return dict(zip(self.names, n, strict=True))

    def read(self, image_size: tuple[int, int] | None = None) -> Labelled:
        """Read every item, with ids "row-000000" by position.

        image_size: (height, width) px; None keeps one size of at most 64 px, else takes
        `resize.model_size`. Raises DataError for items that differ from the format.
        """
        form, picture, rows = self.format, self.format.picture, []
        size = None if image_size is None else checked_size(image_size)
        if size is None and isinstance(picture, Images):
            fits = not picture.varies and max(picture.size) <= LONGEST_SIDE_PX
            size = picture.size if fits else model_size([picture.size])
        with preserve_global_generators():
            for number in range(len(self.dataset)):
                try:
                    row: NDArray[Any] = picture.encode(self.dataset[number][form.image])
                except DataError as error:
                    raise DataError(f"item {number}: {error}") from None
                rows.append(row if size is None else resize_image(row, size))
        if picture.kind.tabular:
            return TABLE.of(as_frame(np.stack(rows)), self.labels, class_names=self.names)
        label = from_signals if picture.kind is SIGNAL else label_pixels
        return label(np.stack(rows), self.labels, class_names=self.names)


def describe_dataset(
    source: Any,
    *,
    normalize: Normalize | None = None,
    keys: tuple[Key, Key] | None = None,
    signal: bool = False,
) -> DescribedDataset:
    """Return labels and format of a dataset; all items are read only if it declares no labels.

    `targets` or `labels` count if a few items, at least one per class, agree with them. Classes are
    named `str(label)`. A warning tells if an item read twice differs. source, normalize, keys: as
    of `AugmentedDataset`. signal: whether items are signals (C, L).

    >>> import torch
    >>> from torch.utils.data import TensorDataset
    >>> described = describe_dataset(TensorDataset(torch.rand(3, 5), torch.tensor([0, 7, 7])))
    >>> described.counts, described.labels, described.read().frame.shape
    ({'0': 1, '7': 2}, array([0, 1, 1]), (3, 5))
    """
    with preserve_global_generators():
        dataset = map_style(source)
        form = _format_of(dataset, keys, normalize, signal)
        declared = _declared_labels(dataset)
        if declared is not None:
            labels, names = _encoded(declared)
            rows = [*_first_rows(labels), *_spread(len(dataset), _CHECKED)]
            with suppress(DataError):  # labels of items that are no classes
                checked = _described(dataset, form, rows)
                if checked.names == names and (checked.labels == labels[rows]).all():
                    return replace(checked, labels=labels)
        return _described(dataset, form, range(len(dataset)))


def map_style(source: Any) -> Any:
    """Return the map-style dataset of a dataset or a loader, restricted to the loader's subset."""
    dataset = source
    if isinstance(source, DataLoader):
        dataset, sampler = source.dataset, source.sampler
        if type(sampler) is SubsetRandomSampler:
            dataset = Subset(dataset, list(sampler.indices))
    if isinstance(dataset, IterableDataset):
        raise DataError(
            f"{type(dataset).__name__} is an IterableDataset, whose items have no index and cannot "
            "be repeated or balanced; read it into a map-style dataset first, such as "
            "TensorDataset(images, labels)"
        )
    if not (hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__")):
        raise DataError(
            f"a {type(dataset).__name__} was given; expected a map-style torch Dataset (one with "
            "__getitem__ and __len__) or its DataLoader"
        )
    if len(dataset) == 0:
        raise DataError("the dataset has no items")
    return dataset


def _declared_labels(dataset: Any) -> list[Any] | None:
    """Return the labels that a dataset declares, one plain value per item, or None.

    They are in `targets` or `labels` (torchvision), or in the second tensor of a TensorDataset,
    also behind a Subset. A target transform may make the items' own labels differ.
    """
    if isinstance(dataset, Subset):
        inner = _declared_labels(dataset.dataset)
        return None if inner is None else [inner[int(i)] for i in dataset.indices]
    values = getattr(dataset, "targets", getattr(dataset, "labels", None))
    if isinstance(dataset, TensorDataset):
        values = dataset.tensors[1]
    if not isinstance(values, Tensor | np.ndarray | list | tuple):
        return None
    with suppress(ValueError):  # ragged: several labels per item
        array = as_array(values)
        if array.ndim and array.size == len(array) == len(dataset):
            rows: list[Any] = array.ravel().tolist()
            return rows
    return None


def _format_of(
    dataset: Any, keys: tuple[Key, Key] | None, normalize: Normalize | None, signal: bool
) -> ItemFormat:
    """Return the format of the items, from a few of them; warn of random transforms."""
    items = [dataset[row] for row in _spread(len(dataset), _SAMPLED)]
    form = item_format(items, normalize, keys, signal=signal)
    rows = range(min(len(dataset), _READ_TWICE))
    read = form.picture.encode
    once, again = ([read(dataset[row][form.image]) for row in rows] for _ in range(2))
    if not all(np.array_equal(a, b, equal_nan=True) for a, b in zip(once, again, strict=True)):
        warn(
            "an item read twice has different pixels: the dataset has a random transform, which a "
            "generator would learn. Pass it as transform=, for real and generated images alike."
        )
    return form


def _spread(n: int, most: int) -> list[int]:
    """Return at most `most` rows of n, from first to last."""
    return sorted({int(row) for row in np.linspace(0, n - 1, min(n, most))})


def _encoded(plain: Sequence[Any]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Return (labels int64 (N,), class names). Raises DataError for invalid class numbers."""
    check_classes(list(dict.fromkeys(plain)), "the dataset", len(plain))
    return encode_labels(np.array(plain, dtype=object))


def _described(dataset: Any, form: ItemFormat, rows: Sequence[int]) -> DescribedDataset:
    """Return a dataset as the labels of some items show it, copied: a view pickles its whole."""
    values = [dataset[row][form.label] for row in rows]
    labels, names = _encoded([plain_label(v, f"item {row}") for row, v in enumerate(values)])
    first = [values[row] for row in _first_rows(labels)]
    own = tuple(v.clone() if isinstance(v, Tensor) else copy.copy(v) for v in first)
    return DescribedDataset(dataset, labels, names, replace(form, labels=own))


def _first_rows(labels: NDArray[np.int64]) -> list[int]:
    """Return the first row of each class."""
    rows: list[int] = np.unique(labels, return_index=True)[1].tolist()
    return rows
