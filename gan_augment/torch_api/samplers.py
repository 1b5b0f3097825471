"""Samplers that draw every class its share, without replacement."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import DistributedSampler, Sampler

from gan_augment.errors import UsageError
from gan_augment.rng import rng_for

Index = tuple[int, int]
"""(epoch, item), which the samplers yield, so that a worker knows the epoch."""


def balanced_draw(
    labels: NDArray[np.int64], seed: int, epoch: int, length: int, shuffle: bool = True
) -> NDArray[np.int64]:
    """Return the items int64 (length,) of an epoch, shuffled or ascending.

    labels: int64 (M,), the class index of every item. Each class gets its share of `length`, exact
    up to rounding (largest remainder), at random without replacement; beyond M, whole passes come
    first. The draws follow from (seed, epoch).

    >>> labels = np.repeat([0, 1], [60, 20])
    >>> np.bincount(labels[balanced_draw(labels, seed=0, epoch=3, length=8)])
    array([6, 2])
    """
    counts = np.bincount(labels)
    items_of = np.split(np.argsort(labels, kind="stable"), np.cumsum(counts)[:-1])
    rng = rng_for(seed, "draws", epoch)
    whole, rest = divmod(length, len(labels))
    exact = counts * (rest / counts.sum())
    shares = np.floor(exact + 1e-9).astype(np.int64)
    order = np.argsort(shares - exact, kind="stable")  # the largest remainders first
    shares[order[: rest - int(shares.sum())]] += 1
    parts = [
        rng.permutation(own)[:share] if 0 < share < len(own) else own[:share]
        for own, share in zip(items_of, shares.tolist(), strict=True)
    ]
    items = np.concatenate([*[np.arange(len(labels))] * whole, *parts])
    return np.array(rng.permutation(items) if shuffle else np.sort(items), dtype=np.int64)


class BalancedSampler(Sampler[Index]):
    """Draw `length` items per epoch, each class its share, and count passes as epochs.

    dataset: has `labels`. `set_epoch(n)` makes the next pass epoch n, for a resumed run. The draws
    depend on (seed, epoch) only.
    """

    def __init__(
        self,
        dataset: Any,
        length: int | None = None,
        *,
        shuffle: bool = True,
        seed: int = 0,
    ) -> None:
        self.dataset = dataset
        self.num_samples = len(dataset) if length is None else checked_whole(length, "length", 1)
        self.shuffle = shuffle
        self.epoch = 0  # of the next pass
        self.seed = seed

    def set_epoch(self, epoch: int) -> None:
        """Make the next pass epoch `epoch`, 0 or more; later passes count on."""
        self.epoch = checked_whole(epoch, "epoch", 0)

    def __iter__(self) -> Iterator[Index]:
        epoch, self.epoch = self.epoch, self.epoch + 1
        labels = self.dataset.labels
        items = balanced_draw(labels, self.seed, epoch, self.num_samples, self.shuffle)
        return zip(repeat(epoch), items.tolist())

    def __len__(self) -> int:
        return self.num_samples


class DistributedBalancedSampler(DistributedSampler[Any]):
    """A DistributedSampler whose epoch is one balanced draw, sliced by rank.

    If `length` is no multiple of the replicas, the epoch is a few draws longer (or shorter, with
    drop_last); it is never padded with repeated items.
    """

    def __init__(self, dataset: Any, length: int, like: DistributedSampler[Any]) -> None:
        sized: Any = range(length)  # the base class needs only the length
        super().__init__(
            sized,
            num_replicas=like.num_replicas,
            rank=like.rank,
            shuffle=like.shuffle,
            seed=like.seed,
            drop_last=like.drop_last,
        )
        self.dataset: Any = dataset
        self.epoch = like.epoch

    def __iter__(self) -> Iterator[Index]:
        labels = self.dataset.labels
        items = balanced_draw(labels, self.seed, self.epoch, self.total_size, self.shuffle)
        return zip(repeat(self.epoch), items[self.rank :: self.num_replicas].tolist())

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of all following passes."""
        super().set_epoch(checked_whole(epoch, "epoch", 0))


def checked_whole(value: object, name: str, least: int) -> int:
    """Return an integer of `least` or more. Raises UsageError."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise UsageError(f"{name} {value!r}; expected a whole number, {least} or more")
    return int(value)
