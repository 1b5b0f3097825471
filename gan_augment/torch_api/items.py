"""Items of both datasets: by index and epoch, real and generated ones, through one transform."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, TensorDataset

from gan_augment.augment.classical import Pipeline, seed_pipeline
from gan_augment.data.images.resize import resize_batch
from gan_augment.data.torch_items import ImageFormat, ItemFormat, Picture
from gan_augment.errors import UsageError
from gan_augment.rng import derived_seed, preserve_global_generators, seed_global_generators
from gan_augment.torch_api.generated import GeneratedRows
from gan_augment.torch_api.samplers import BalancedSampler, Index, checked_whole

_SMALL_BYTES = 16_384  # rows up to here are gathered faster than indexed one by one (1 us each)
_TORCH_ONLY = (torch.bfloat16, torch.complex32)  # dtypes without a NumPy one
Transform = Callable[[Any], Any] | Pipeline
"""A callable on an item's picture, or what is called and seeded as albumentations' Compose is."""


class EpochItems(Dataset[Any]):
    """Items whose index may say its epoch: `dataset[7]`, or `dataset[(3, 7)]` as samplers ask.

    labels: int64 (M,), class indices. epoch: what plain indices read. where: int64 (M,), of the
    i-th generated item ~i; what 0 and more mean is the subclass's.
    """

    labels: NDArray[np.int64]
    epoch: int = 0
    _where: NDArray[np.int64]
    _generated: GeneratedRows
    _format: ItemFormat
    _transform: SeededTransform | None
    _seed: int

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int | Index) -> Any:
        """An item; `(epoch, index)` reads it in an epoch other than the current one."""
        epoch, row = index if isinstance(index, tuple) else (self.epoch, index)
        return self._items(np.array([operator.index(row)]), epoch)[0]

    def __getitems__(self, indices: Sequence[int | Index]) -> list[Any]:
        """A batch of items at once, as a loader asks for them: generated ones are made together."""
        if not len(indices):
            return []
        try:
            epochs, rows = zip(*indices, strict=True)
        except TypeError:  # plain indices
            epochs, rows = (self.epoch,), tuple(indices)
        if len(set(epochs)) > 1:
            return [self[index] for index in indices]
        return self._items(np.array(rows, dtype=np.int64), epochs[0])

    def sampler(self, length: int | None = None, *, shuffle: bool = True) -> BalancedSampler:
        """A sampler for `DataLoader(self, sampler=...)` that counts the epochs, one a pass.

        length: items an epoch, each class its share; None is all of them.
        """
        return BalancedSampler(self, length, shuffle=shuffle, seed=self._seed)

    def set_epoch(self, epoch: int) -> None:
        """Let plain indices read epoch `epoch` from now on, 0 or more.

        Workers that run already (persistent_workers) do not see it: `sampler()` reaches those.
        """
        self.prepare(epoch)
        self.epoch = epoch

    def prepare(self, epoch: int) -> None:
        """Have the generated items of an epoch, made here where there are none; as samplers do."""
        self._generated.prepare(checked_whole(epoch, "epoch", 0))

    def _items(self, rows: NDArray[np.int64], epoch: int) -> list[Any]:
        """Items by index, int64 (n,); negative ones count from the end."""
        where, rows = self._where[rows], rows % len(self)
        new = where < 0
        if not new.any():
            return self._real_items(where, rows, epoch)
        if new.all():
            return self._new_items(~where, rows, epoch)
        real = ~new
        real_items = iter(self._real_items(where[real], rows[real], epoch))
        new_items = iter(self._new_items(~where[new], rows[new], epoch))
        return [next(new_items) if one else next(real_items) for one in new.tolist()]

    def _real_items(
        self, where: NDArray[np.int64], rows: NDArray[np.int64], epoch: int
    ) -> list[Any]:
        """Items that are not generated, by what `where` says of them."""
        raise NotImplementedError

    def _new_items(
        self, slots: NDArray[np.int64], rows: NDArray[np.int64], epoch: int
    ) -> list[Any]:
        """Generated items, transformed."""
        drawn = self._generated.rows(epoch, slots)
        picture = self._format.picture
        if isinstance(picture, ImageFormat):
            drawn = resize_batch(drawn, picture.size)
        if self._transform is None:
            values = picture.decode(drawn)
        elif self._transform.composed:
            values = self._transform.of_pixels(list(drawn), rows, epoch)
        else:
            values = self._transform.of_values(picture.decode(drawn), rows, epoch)
        return self._format.new_items(values, self.labels[rows])


def real_items(dataset: Any, rows: NDArray[np.int64]) -> list[Any]:
    """The items of a map-style dataset, as `[dataset[i] for i in rows]` has them.

    By its own `__getitems__` where it has one. A TensorDataset, whose whole cost is indexing, is
    read tensor by tensor: small rows are gathered, and are then copies, where its own are views.

    >>> dataset = TensorDataset(torch.arange(6).view(3, 2), torch.tensor([7, 8, 9]))
    >>> real_items(dataset, np.array([2, 0]))
    [(tensor([4, 5]), tensor(9)), (tensor([0, 1]), tensor(7))]
    """
    if type(dataset) is TensorDataset:
        return list(zip(*[_rows_of(tensor, rows) for tensor in dataset.tensors], strict=True))
    together = getattr(dataset, "__getitems__", None)
    listed = rows.tolist()
    return list(together(listed)) if callable(together) else [dataset[i] for i in listed]


def _rows_of(tensor: Tensor, rows: NDArray[np.int64]) -> Sequence[Tensor]:
    """Rows one by one; of small plain numbers copies, by NumPy, since torch's take is slower."""
    large = tensor.element_size() * tensor[:1].numel() > _SMALL_BYTES
    plain = type(tensor) is Tensor and tensor.device.type == "cpu" and not tensor.requires_grad
    if large or not plain or tensor.dtype in _TORCH_ONLY:
        return [tensor[row] for row in rows.tolist()]
    return torch.from_numpy(tensor.numpy().take(rows, axis=0)).unbind(0)


class SeededTransform:
    """Applies one transform to the pictures of items, each under a seed of its own.

    A Compose sees uint8 (H, W, C), and what it makes of it goes into the items' type if it is uint8
    again; anything else (after its Normalize or ToTensorV2) is taken as it is. Any other callable
    sees and returns the picture as an item holds it; Python's, NumPy's and torch's global
    generators are seeded for each call, and are as before afterwards.
    """

    def __init__(self, function: Transform, picture: Picture, seed: int) -> None:
        if not callable(function):
            raise UsageError(
                f"transform is a {type(function).__name__}; expected a callable on an image, or an "
                "albumentations Compose"
            )
        self._function: Any = function
        self._picture = picture
        self._seed = seed
        self.composed = is_compose(function)
        if self.composed and not isinstance(picture, ImageFormat):
            raise UsageError("the transform is for images, and the items are vectors or signals")

    def of_values(self, values: Sequence[Any], rows: NDArray[np.int64], epoch: int) -> list[Any]:
        """Pictures as items hold them, transformed; `rows`: the items' indices, 0 or more."""
        if self.composed:
            pixels: list[NDArray[Any]] = [self._picture.encode(value) for value in values]
            return self.of_pixels(pixels, rows, epoch)
        transformed = []
        with preserve_global_generators():
            for value, row in zip(values, rows.tolist(), strict=True):
                seed_global_generators(self._item_seed(epoch, row))
                transformed.append(self._function(value))
        return transformed

    def of_pixels(
        self, pixels: Sequence[NDArray[np.uint8]], rows: NDArray[np.int64], epoch: int
    ) -> list[Any]:
        """Pictures uint8 (H, W, C) through the Compose."""
        transformed = []
        for image, row in zip(pixels, rows.tolist(), strict=True):
            seed_pipeline(self._function, self._item_seed(epoch, row))
            changed = self._function(image=np.array(image))["image"]  # its own copy to change
            if isinstance(changed, np.ndarray) and changed.dtype == np.uint8:
                whole = changed[..., np.newaxis] if changed.ndim == 2 else changed
                changed = self._picture.decode(whole[np.newaxis])[0]
            transformed.append(changed)
        return transformed

    def _item_seed(self, epoch: int, row: int) -> int:
        return derived_seed(self._seed, "transform", epoch, row) % 2**31


def is_compose(function: object) -> bool:
    """Whether it is seeded and called as albumentations' Compose is: `f(image=...)["image"]`.

    >>> is_compose(lambda image: image)
    False
    """
    if not callable(getattr(function, "set_random_state", None)) or not callable(function):
        return False
    parameters = inspect.signature(function).parameters.values()
    return any(p.name == "image" or p.kind is p.VAR_KEYWORD for p in parameters)
