"""Draws of a topped-up dataset: its generated rows, drawn once, and the items of each epoch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

from gan_augment.errors import TooFewAcceptedError, UsageError
from gan_augment.generators import load_model
from gan_augment.generators.generator import Generator, check_known, is_whole
from gan_augment.rng import rng_for


def draw_rows(
    model: Generator | None, counts: Mapping[str, int], seed: int
) -> tuple[NDArray[Any], dict[str, str]]:
    """Draw {class: rows}, in this order; also return {class: why it was refused}."""
    drawn, refused = list[NDArray[Any]](), dict[str, str]()
    for name, n in counts.items():
        assert model is not None
        check_known(name, model.classes_)
        try:
            samples = model.sample({name: n}, random_state=seed)
        except TooFewAcceptedError as error:
            refused[name] = str(error)
        else:
            drawn.append(samples.kind.item_rows(samples))
    return np.concatenate(drawn) if drawn else np.empty(0), refused


def fitted_model(augmenter: Any) -> Generator | None:
    """Return the fitted model of what a user passes, or None if it is not fitted yet.

    augmenter: a model, an augmenter with `generator_`, or the path of a run or a saved model.
    Raises UsageError for anything that neither fits nor samples.
    """
    if isinstance(augmenter, str | Path):
        augmenter = load_model(augmenter)
    model = getattr(augmenter, "generator_", augmenter)
    if isinstance(augmenter, type) or not (hasattr(model, "sample") or hasattr(augmenter, "fit")):
        raise UsageError(
            f"the augmenter is {augmenter!r}; expected something that samples, such as "
            "GANAugmenter(), ImageGAN(), Repeats(), or the folder of a saved run"
        )
    return model if isinstance(getattr(model, "classes_", None), Mapping) else None


def balanced_draw(
    labels: NDArray[np.int64], seed: int, epoch: int, length: int
) -> NDArray[np.int64]:
    """Return the items int64 (length,) of an epoch, in random order.

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
    return np.array(rng.permutation(items), dtype=np.int64)


def checked_length(length: object) -> int:
    """Return the number of draws per epoch, 1 or more. Raises UsageError."""
    if not is_whole(length) or length < 1:
        raise UsageError(f"length {length!r}; expected a whole number, 1 or more")
    return int(length)


class BalancedSampler(Sampler[int]):
    """Draw `length` items per epoch, each class its share, and count passes as epochs.

    dataset: has `labels`. epoch: number of the next pass. The draws depend on (seed, epoch) only.
    """

    def __init__(self, dataset: Any, length: int | None = None, *, seed: int = 0) -> None:
        self.dataset, self.seed, self.epoch = dataset, seed, 0
        self.num_samples = len(dataset) if length is None else checked_length(length)

    def set_epoch(self, epoch: int) -> None:
        """Make the next pass epoch `epoch`, for a resumed run; later passes count on."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        epoch, self.epoch = self.epoch, self.epoch + 1
        return iter(balanced_draw(self.dataset.labels, self.seed, epoch, len(self)).tolist())

    def __len__(self) -> int:
        return self.num_samples
