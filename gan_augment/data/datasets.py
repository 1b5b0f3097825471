"""Torch datasets and loaders as labelled data: map-style ones, of images or of vectors.

How an item is put together is in `items/formats.py`, how it holds its picture in
`items/pictures.py`.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, Subset, SubsetRandomSampler

from gan_augment import global_generators
from gan_augment.config import DataKind
from gan_augment.data.arrays import label_pixels
from gan_augment.data.contract import LabelledImages, LabelledTable
from gan_augment.data.items.formats import ItemFormat, Key, keys_of, plain_label
from gan_augment.data.items.labels import declared_labels
from gan_augment.data.items.pictures import ImageFormat, VectorFormat, picture_format, same_picture
from gan_augment.data.items.ranges import Normalize
from gan_augment.data.labels import encode_labels
from gan_augment.data.sizing import (
    LONGEST_SIDE_PX,
    checked_resize,
    checked_size,
    model_size,
    resize_image,
)
from gan_augment.data.targets import MOST_REAL_LABELS
from gan_augment.errors import DataError
from gan_augment.user_warnings import warn

_log = logging.getLogger(__name__)
_LOOKED_AT = 16  # items that tell how all are held
_READ_TWICE = 3
_CHECKED = 8  # items whose labels must be the declared ones, beside one of each class


@dataclass(frozen=True)
class ReadDataset:
    """Everything in a dataset, decoded. format: what its items look like. notes: for people."""

    data: LabelledImages | LabelledTable
    format: ItemFormat
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class DatasetFacts:
    """What is known of a dataset without decoding all of it.

    labels: int64 (N,), indices into `names`. format: what its items look like.
    """

    labels: NDArray[np.int64]
    names: tuple[str, ...]
    format: ItemFormat
    notes: tuple[str, ...] = ()

    @property
    def kind(self) -> DataKind:
        """Images, or vectors as rows of a table."""
        return "image" if isinstance(self.format.picture, ImageFormat) else "table"

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
    resize: str = "squeeze",
    known: ItemFormat | None = None,
) -> ReadDataset:
    """Decode every item of a map-style torch dataset, or of a loader's (its subset, if it has one).

    Items are tuples, lists or dicts of an image (PIL, array or tensor; any usual layout; 0..255 or
    0..1) or a vector, and a label; keys: (image, label), where they are not the usual ones.
    normalize: the (mean, std) that the dataset applies, to be undone; never guessed.
    image_size: (height, width) px; None keeps the items' own where it is one of at most 64 px, else
    `sizing.model_size`. known: the format, where `describe_dataset` found it already.
    Ids are "row-000000", by position. Classes are named `str(label)`.
    The process's global generators are as before afterwards; a warning if an item read twice
    differs. Raises DataError, UsageError.

    >>> import torch
    >>> from torch.utils.data import TensorDataset
    >>> dataset = TensorDataset(torch.rand(3, 1, 8, 8), torch.tensor([0, 7, 7]))
    >>> read = read_dataset(dataset)
    >>> read.data.counts, read.data.image_shape, read.format.picture.layout
    ({'0': 1, '7': 2}, (8, 8, 1), 'CHW')
    """
    how = checked_resize(resize)
    asked = None if image_size is None else checked_size(image_size)
    with global_generators.kept():
        dataset = map_style(source)
        form = known or _looked_at(dataset, keys, normalize)
        picture, values, read = form.picture, [], []
        size = asked or (_size_to_read(picture) if isinstance(picture, ImageFormat) else None)
        for row in range(len(dataset)):
            item = dataset[row]
            values.append(item[form.container.label])
            try:
                one = picture.encode(form.picture_of(item))
            except DataError as error:
                raise DataError(f"item {row}: {error}") from None
            read.append(one if size is None else resize_image(one, size, how))
    plain = [plain_label(value, f"item {row}") for row, value in enumerate(values)]
    labels, names = _encoded(plain)
    form = replace(form, labels=_examples(labels, len(names), values))
    if isinstance(picture, VectorFormat):
        return ReadDataset(_table(np.stack(read), plain), form)
    data = label_pixels(np.stack(read), labels, class_names=names)
    return ReadDataset(data, form, _size_notes(picture, size))


def describe_dataset(
    source: Any, *, normalize: Normalize | None = None, keys: tuple[Key, Key] | None = None
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
    with global_generators.kept():
        dataset = map_style(source)
        form = _looked_at(dataset, keys, normalize)
        key = form.container.label
        declared = declared_labels(dataset, key)
        if declared is not None:
            labels, names = _encoded(declared)
            rows = [*_first_rows(labels, len(names)), *_spread(len(dataset), _CHECKED)]
            found = {row: dataset[row][key] for row in dict.fromkeys(rows)}
            odd = [row for row, value in found.items() if not _named_so(value, names[labels[row]])]
            if not odd:
                examples = tuple(_own(found[row]) for row in rows[: len(names)])
                return DatasetFacts(labels, names, replace(form, labels=examples))
            _log.info(
                "the labels that the dataset declares are not those of its items (item %d), so "
                "every item is read",
                odd[0],
            )
        else:
            _log.info("the dataset declares no labels (targets, labels), so every item is read")
        values = [dataset[row][key] for row in range(len(dataset))]
    labels, names = _encoded([plain_label(v, f"item {row}") for row, v in enumerate(values)])
    form = replace(form, labels=_examples(labels, len(names), values))
    return DatasetFacts(labels, names, form)


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
    given = loader.batch_size is None and loader.batch_sampler is not None
    return getattr(loader.batch_sampler, "sampler", None) if given else loader.sampler


def _looked_at(
    dataset: Any, keys: tuple[Key, Key] | None, normalize: Normalize | None
) -> ItemFormat:
    """What the items look like, by a few of them."""
    items = [dataset[row] for row in _spread(len(dataset), _LOOKED_AT)]
    container = keys_of(items[0], keys)
    held = [item[container.picture] for item in items]
    again = [dataset[row][container.picture] for row in range(min(len(dataset), _READ_TWICE))]
    first = [dataset[row][container.picture] for row in range(len(again))]
    form = ItemFormat(container, picture_format(held, normalize))
    if not all(same_picture(a, b) for a, b in zip(first, again, strict=True)):
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
    distinct = dict.fromkeys(plain)
    fractions = [v for v in distinct if isinstance(v, float) and v != np.floor(v)]
    if len(fractions) > MOST_REAL_LABELS:
        raise DataError(
            f"the labels look like a regression target: {len(fractions):,} distinct numbers that "
            f"are not whole, such as {fractions[0]}. Expected classes."
        )
    listed = np.empty(len(plain), dtype=object)
    listed[:] = plain
    return encode_labels(listed)


def _first_rows(labels: NDArray[np.int64], classes: int) -> list[int]:
    """The first row of each class, all of which have one."""
    _, rows = np.unique(labels, return_index=True)
    assert len(rows) == classes
    return [int(row) for row in rows]


def _examples(labels: NDArray[np.int64], classes: int, values: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(_own(values[row]) for row in _first_rows(labels, classes))


def _own(label: Any) -> Any:
    """A label apart from the tensor or array that it is a view of, which a pickle would hold."""
    return label.clone() if isinstance(label, Tensor) else copy.copy(label)


def _named_so(value: Any, name: str) -> bool:
    """Whether a label of an item gives a class its name."""
    try:
        return encode_labels([plain_label(value, "an item")])[1] == (name,)
    except DataError:
        return False


def _size_to_read(picture: ImageFormat) -> tuple[int, int]:
    if not picture.varies and max(picture.size) <= LONGEST_SIDE_PX:
        return picture.size
    return model_size([picture.size])


def _size_notes(picture: ImageFormat, size: tuple[int, int] | None) -> tuple[str, ...]:
    if size is None or (size == picture.size and not picture.varies):
        return ()
    about = "about " if picture.varies else ""
    return (
        f"images of {about}{picture.size[0]} x {picture.size[1]} px are read at {size[0]} x "
        f"{size[1]} px",
    )


def _table(rows: NDArray[Any], plain: Sequence[Any]) -> LabelledTable:
    from gan_augment.data.tables import read_frame

    return read_frame(rows, y=list(plain)).table
