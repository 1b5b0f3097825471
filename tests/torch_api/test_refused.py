"""What `AugmentedDataset` refuses, and in which words."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from gan_augment import AugmentedDataset, ImageGAN, Repeats
from gan_augment.data.torch_datasets import read_dataset
from gan_augment.errors import (
    DataError,
    NoRareClassError,
    UnknownClassError,
    UsageError,
)


class Stream(IterableDataset):
    def __iter__(self):
        yield 0


REFUSED = {
    "iterable": (lambda d: Stream(), {}, DataError, "map-style"),
    "loader": (lambda d: DataLoader(d), {}, UsageError, "augment_loader"),
    "augmented": (lambda d: AugmentedDataset(d, Repeats()), {}, UsageError, "augmented already"),
    "refresh": (lambda d: d, {"refresh": "batch"}, UsageError, "'never' or 'epoch'"),
    "to": (lambda d: d, {"to": "top"}, UsageError, "to='top'"),
    "seed": (lambda d: d, {"random_state": -1}, UsageError, "random_state"),
    "class": (lambda d: d, {"classes": [9]}, UnknownClassError, "'9'"),
    "transform": (lambda d: d, {"transform": 3}, UsageError, "expected a callable"),
    "fill": (lambda d: d, {"fill": {2: 0}}, UsageError, "expected fill={}"),
    "balanced": (
        lambda d: TensorDataset(d.tensors[0], torch.arange(56) % 2),
        {},
        NoRareClassError,
        r'classes="all"',
    ),
}


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_makes_no_sense_is_refused(name: str, images: TensorDataset) -> None:
    wrap, settings, error, message = REFUSED[name]
    with pytest.raises(error, match=message):
        AugmentedDataset(wrap(images), Repeats(), **settings)


@pytest.mark.parametrize("augmenter", [None, 3, ImageGAN, "no/such/run"])
def test_what_samples_nothing_is_refused(augmenter: object, images: TensorDataset) -> None:
    with pytest.raises(ValueError, match="expected"):
        AugmentedDataset(images, augmenter)


def test_a_model_of_other_data_is_refused(
    images: TensorDataset, gan: ImageGAN, make_images: Callable[..., TensorDataset]
) -> None:
    vectors = TensorDataset(torch.rand(56, 5), images.tensors[1])
    table = Repeats().fit(read_dataset(vectors).data)
    with pytest.raises(DataError, match="makes rows of a table"):
        AugmentedDataset(images, table)
    with pytest.raises(DataError, match="makes images"):
        AugmentedDataset(vectors, gan)
    with pytest.raises(DataError, match="images of 1 channels"):
        AugmentedDataset(make_images(3), gan)
    with pytest.raises(DataError, match="5 columns"):
        AugmentedDataset(TensorDataset(torch.rand(56, 4), images.tensors[1]), table)
    x, y = images.tensors
    with pytest.raises(DataError, match="not '8'"):
        AugmentedDataset(TensorDataset(x, torch.where(y == 7, 8, y)), gan)
