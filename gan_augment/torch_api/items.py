"""What both datasets are: items by index and epoch, generated ones among them. No plans."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from gan_augment.data.torch_items import ImageFormat, ItemFormat
from gan_augment.torch_api.draws import EpochDraws, Index, checked_epoch
from gan_augment.torch_api.generated import GeneratedRows
from gan_augment.torch_api.transforms import SeededTransform


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
        row = operator.index(row)
        if not -len(self) <= row < len(self):
            raise IndexError(f"item {row} of {len(self)}")
        return self._items(np.array([row]), epoch)[0]

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

    def sampler(self, length: int | None = None, *, shuffle: bool = True) -> EpochDraws:
        """A sampler for `DataLoader(self, sampler=...)` that counts the epochs, one a pass.

        length: items an epoch, each class its share; None is all of them.
        """
        return EpochDraws(self, length, shuffle=shuffle, seed=self._seed)

    def set_epoch(self, epoch: int) -> None:
        """Let plain indices read epoch `epoch` from now on, 0 or more.

        Workers that run already (persistent_workers) do not see it: `sampler()` reaches those.
        """
        self.prepare(epoch)
        self.epoch = epoch

    def prepare(self, epoch: int) -> None:
        """Have the generated items of an epoch, made here where there are none; as samplers do."""
        self._generated.prepare(checked_epoch(epoch))

    def _items(self, rows: NDArray[np.int64], epoch: int) -> list[Any]:
        """Items by index, int64 (n,); negative ones count from the end."""
        where = self._where[rows]
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
        made = self._generated.rows(epoch, slots)
        picture = self._format.picture
        if isinstance(picture, ImageFormat):
            made = picture.resized(made)
        if self._transform is None:
            values = picture.decode(made)
        else:
            values = self._transform.of_generated(made, self._seeded_by(rows), epoch)
        return self._format.new_items(values, self.labels[rows])

    def _seeded_by(self, rows: NDArray[np.int64]) -> list[int]:
        """Indices as what seeds a transform, each 0 or more."""
        counted: list[int] = (rows % len(self)).tolist()
        return counted
