"""Torch datasets and loaders as labelled data: map-style ones, of images or of vectors.

What an item holds, and how, is in `torch_items.py`.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import (
    ConcatDataset,
    DataLoader,
    IterableDataset,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
)

from gan_augment.data.arrays import label_pixels
from gan_augment.data.images.resize import (
    LONGEST_SIDE_PX,
    checked_size,
    model_size,
    resize_image,
)
from gan_augment.data.labels import check_classes, encode_labels
from gan_augment.data.signals import from_signals
from gan_augment.data.torch_items import (
    ImageFormat,
    ItemFormat,
    Key,
    Normalize,
    SignalFormat,
    VectorFormat,
    item_format,
    plain_label,
)
from gan_augment.errors import DataError, warn
from gan_augment.kinds.kind import Labelled
from gan_augment.recipes import DataKind
from gan_augment.rng import preserve_global_generators

_log = logging.getLogger(__name__)
_SAMPLED = 16  # items that tell what all look like
_READ_TWICE = 3
_CHECKED = 8  # items whose labels must be the declared ones, beside one of each class


@dataclass(frozen=True)
class DatasetFacts:
    """What is known of a dataset without decoding all of it.

    labels: int64 (N,), indices into `names`. format: what its items look like.
    """

    labels: NDArray[np.int64]
    names: tuple[str, ...]
    format: ItemFormat

    @property
    def kind(self) -> DataKind:
        """Images and signals, or vectors as rows of a table."""
        return "table" if isinstance(self.format.picture, VectorFormat) else "image"

    @property
    def counts(self) -> dict[str, int]:
        """Items of each class, {name: n}."""
        n = np.bincount(self.labels, minlength=len(self.names)).tolist()
        return dict(zip(self.names, n, strict=True))


def read_dataset(
    source: Any,
    *,
    normalize: Normalize | None = None,
    keys: tuple[Key, Key] | None = None,
    image_size: tuple[int, int] | None = None,
    known: ItemFormat | None = None,
    signal: bool = False,
) -> tuple[Labelled, ItemFormat]:
    """Decode every item of a map-style torch dataset, or of a loader's (its subset, if it has one).

    Gives the labelled data, and what the items look like.
    Ids are "row-000000", by position. Classes are named `str(label)`. The process's global
    generators are as before afterwards; a warning if an item read twice differs.

    What items may be, normalize and keys: see `AugmentedDataset`. image_size: (height, width) px;
    None keeps the items' own where it is one of at most 64 px, else `resize.model_size`. known: the
    format, where `describe_dataset` returned it already. signal: items are signals (C, L). Raises
    DataError and UsageError.

    >>> import torch
    >>> from torch.utils.data import TensorDataset
    >>> dataset = TensorDataset(torch.rand(3, 1, 8, 8), torch.tensor([0, 7, 7]))
    >>> data, form = read_dataset(dataset)
    >>> data.counts, data.image_shape, form.picture.layout
    ({'0': 1, '7': 2}, (8, 8, 1), 'CHW')
    """
    size = None if image_size is None else checked_size(image_size)
    with preserve_global_generators():
        dataset = map_style(source)
        form = known or _format_of(dataset, keys, normalize, signal)
        picture, values, images = form.picture, [], []
        if size is None and isinstance(picture, ImageFormat):
            fits = not picture.varies and max(picture.size) <= LONGEST_SIDE_PX
            size = picture.size if fits else model_size([picture.size])
        for row in range(len(dataset)):
            item = dataset[row]
            values.append(item[form.label])
            try:
                image: NDArray[Any] = picture.encode(item[form.image])
            except DataError as error:
                raise DataError(f"item {row}: {error}") from None
            images.append(image if size is None else resize_image(image, size))
    facts = _facts(form, values)
    if isinstance(picture, VectorFormat):
        from gan_augment.data.tables.reader import read_frame

        plain = [plain_label(value, "an item") for value in values]
        return read_frame(np.stack(images), y=plain).table, facts.format
    if isinstance(picture, SignalFormat):
        signals = from_signals(np.stack(images), facts.labels, class_names=facts.names)
        return signals, facts.format
    data = label_pixels(np.stack(images), facts.labels, class_names=facts.names)
    return data, facts.format


def describe_dataset(
    source: Any,
    *,
    normalize: Normalize | None = None,
    keys: tuple[Key, Key] | None = None,
    signal: bool = False,
) -> DatasetFacts:
    """Labels and format of a dataset; its items are decoded only if it does not declare labels.

    `targets` or `labels` are taken where a few items, one of each class among them, say the same.
    Parameters and what is raised are those of `read_dataset`.

    >>> import torch
    >>> from torch.utils.data import TensorDataset
    >>> facts = describe_dataset(TensorDataset(torch.rand(3, 5), torch.tensor([0, 7, 7])))
    >>> facts.counts, facts.labels
    ({'0': 1, '7': 2}, array([0, 1, 1]))
    """
    with preserve_global_generators():
        dataset = map_style(source)
        form = _format_of(dataset, keys, normalize, signal)
        key = form.label
        declared = _declared_labels(dataset)
        if declared is not None:
            labels, names = _encoded(declared)
            rows = [*_first_rows(labels), *_spread(len(dataset), _CHECKED)]
            with suppress(DataError):  # labels of items that are no classes
                checked = _facts(form, [dataset[row][key] for row in rows])
                if checked.names == names and (checked.labels == labels[rows]).all():
                    return replace(checked, labels=labels)
        _log.info("the dataset declares no labels, or others than its items; every item is read")
        return _facts(form, [dataset[row][key] for row in range(len(dataset))])


def map_style(source: Any) -> Any:
    """The map-style dataset of a dataset or a loader; a loader's subset of rows, where it has one.

    Raises DataError for an iterable dataset, with the way out, and for anything else.
    """
    dataset = source
    if isinstance(source, DataLoader):
        dataset, sampler = source.dataset, sampler_of(source)
        if type(sampler) is SubsetRandomSampler:
            dataset = Subset(source.dataset, list(sampler.indices))
    if isinstance(dataset, IterableDataset):
        raise DataError(
            f"{type(dataset).__name__} is an IterableDataset, whose items have no number, so that "
            "none can be repeated or balanced. Read it into a map-style one first, such as "
            "TensorDataset(images, labels), or write generated images to a folder (gan-augment "
            "sample) and mix them in where the stream is made."
        )
    if not (hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__")):
        raise DataError(
            f"a {type(dataset).__name__} was given; expected a map-style torch Dataset (one with "
            "__getitem__ and __len__) or its DataLoader"
        )
    if len(dataset) == 0:
        raise DataError("the dataset has no items")
    return dataset


def sampler_of(loader: DataLoader[Any]) -> Any:
    """The sampler that a loader draws single items by: its own, or its batch sampler's."""
    if loader.batch_size is None and loader.batch_sampler is not None:
        return getattr(loader.batch_sampler, "sampler", None)
    return loader.sampler


def _declared_labels(dataset: Any) -> list[Any] | None:
    """The labels that a dataset declares, one an item, as plain values; None where it does not.

    They stand in `targets` or `labels` (as torchvision has them), in the second tensor of a
    TensorDataset, and behind Subset and ConcatDataset. An item's own label may be another, where
    the dataset has a target transform.
    """
    if isinstance(dataset, Subset):
        inner = _declared_labels(dataset.dataset)
        return None if inner is None else [inner[int(i)] for i in dataset.indices]
    if isinstance(dataset, ConcatDataset):
        parts = [_declared_labels(part) for part in dataset.datasets]
        known = [part for part in parts if part is not None]
        return list(chain.from_iterable(known)) if len(known) == len(parts) else None
    if isinstance(dataset, TensorDataset):
        return _one_a_row(dataset.tensors[1], len(dataset))
    for name in ("targets", "labels"):
        labels = _one_a_row(getattr(dataset, name, None), len(dataset))
        if labels is not None:
            return labels
    return None


def _one_a_row(values: Any, n: int) -> list[Any] | None:
    """n plain values, or None where these are none."""
    if values is None or callable(values) or isinstance(values, str | bytes | dict):
        return None
    try:
        array = values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
    except (TypeError, ValueError):  # ragged: several labels an item
        return None
    if array.shape not in ((n,), (n, 1)):
        return None
    rows: list[Any] = array.reshape(n).tolist()
    return rows


def _format_of(
    dataset: Any, keys: tuple[Key, Key] | None, normalize: Normalize | None, signal: bool
) -> ItemFormat:
    """What the items look like, by a few of them."""
    items = [dataset[row] for row in _spread(len(dataset), _SAMPLED)]
    form = item_format(items, normalize, keys, signal=signal)
    rows = range(min(len(dataset), _READ_TWICE))
    read = form.picture.encode
    once, again = ([read(dataset[row][form.image]) for row in rows] for _ in range(2))
    if not all(np.array_equal(a, b, equal_nan=True) for a, b in zip(once, again, strict=True)):
        warn(
            "an item read twice has different pixels: the dataset has a random transform, which "
            "the generator would learn and which would not touch generated images. Take it out of "
            "the dataset and pass it as transform=, which is applied to real and generated images "
            "alike."
        )
    return form


def _spread(n: int, most: int) -> list[int]:
    """At most `most` rows of n, from first to last."""
    return sorted({int(row) for row in np.linspace(0, n - 1, min(n, most))})


def _encoded(plain: Sequence[Any]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """(labels int64 (N,), class names); DataError for numbers that are no classes."""
    check_classes(list(dict.fromkeys(plain)), "the dataset", len(plain))
    listed = np.empty(len(plain), dtype=object)
    listed[:] = plain
    return encode_labels(listed)


def _facts(form: ItemFormat, values: Sequence[Any]) -> DatasetFacts:
    """What is known by the labels of all items.

    Examples of labels are apart from the tensor that they are views of, which a pickle would hold.
    """
    labels, names = _encoded([plain_label(v, f"item {row}") for row, v in enumerate(values)])
    first = [values[row] for row in _first_rows(labels)]
    own = tuple(v.clone() if isinstance(v, Tensor) else copy.copy(v) for v in first)
    return DatasetFacts(labels, names, replace(form, labels=own))


def _first_rows(labels: NDArray[np.int64]) -> list[int]:
    """The first row of each class, all of which have one."""
    rows: list[int] = np.unique(labels, return_index=True)[1].tolist()
    return rows
