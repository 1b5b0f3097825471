"""The sampler that draws every class its share, without replacement."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

from gan_augment.errors import UsageError
from gan_augment.rng import rng_for

Index = tuple[int, int]
"""(epoch, item), which the sampler yields, so that a worker knows the epoch."""


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

    dataset: has `labels`. rank, ranks: of several processes, each takes every `ranks`-th draw of
    one balanced epoch, which is rounded up to equal parts. `set_epoch(n)` makes the next pass epoch
    n, for a resumed run. The draws depend on (seed, epoch) only.
    """

    def __init__(
        self,
        dataset: Any,
        length: int | None = None,
        *,
        shuffle: bool = True,
        seed: int = 0,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        self.dataset = dataset
        length = len(dataset) if length is None else checked_whole(length, "length", 1)
        self.num_samples = -(-length // ranks)
        self.shuffle = shuffle
        self.epoch = 0  # of the next pass
        self.seed = seed
        self.rank, self.ranks = rank, ranks

    def set_epoch(self, epoch: int) -> None:
        """Make the next pass epoch `epoch`, 0 or more; later passes count on."""
        self.epoch = checked_whole(epoch, "epoch", 0)

    def __iter__(self) -> Iterator[Index]:
        epoch, self.epoch = self.epoch, self.epoch + 1
        total = self.num_samples * self.ranks
        items = balanced_draw(self.dataset.labels, self.seed, epoch, total, self.shuffle)
        return zip(repeat(epoch), items[self.rank :: self.ranks].tolist())

    def __len__(self) -> int:
        return self.num_samples


def checked_whole(value: object, name: str, least: int) -> int:
    """Return an integer of `least` or more. Raises UsageError."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise UsageError(f"{name} {value!r}; expected a whole number, {least} or more")
    return int(value)
