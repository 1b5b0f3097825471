"""`augment_loader`: a loader's settings over a topped-up dataset, by balanced draws."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from torch.utils.data import (
    BatchSampler,
    DataLoader,
    DistributedSampler,
    RandomSampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)

from gan_augment.data.torch_datasets import map_style, sampler_of
from gan_augment.data.torch_items import Key, Normalize
from gan_augment.errors import UsageError, warn
from gan_augment.torch_api.dataset import AugmentedDataset
from gan_augment.torch_api.items import Transform
from gan_augment.torch_api.samplers import (
    BalancedSampler,
    DistributedBalancedSampler,
    checked_whole,
)

_OURS = {"dataset", "shuffle", "sampler", "batch_sampler", "batch_size", "drop_last"}
_KNOWN = (
    RandomSampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
    DistributedSampler,
)
_WAY_OUT = (
    "Build AugmentedDataset(loader.dataset, augmenter) and a DataLoader of your own over it, with "
    "sampler=dataset.sampler() or with yours: dataset.targets holds the label of each item."
)


def augment_loader(
    loader: DataLoader[Any],
    augmenter: Any,
    *,
    to: str | int | float = "majority",
    synthetic_share: float | Literal["auto"] = "auto",
    companions: bool | Literal["auto"] = "auto",
    classes: str | int | Iterable[object] | None = None,
    transform: Transform | None = None,
    length: int | Literal["all"] | None = None,
    normalize: Normalize | None = None,
    keys: tuple[Key, Key] | None = None,
    fill: dict[Any, Any] | None = None,
    image_size: tuple[int, int] | None = None,
    refresh: Literal["never", "epoch"] = "never",
    cache: str | Path | None = None,
    random_state: int = 0,
) -> DataLoader[Any]:
    """A new DataLoader like `loader`, whose epochs hold the classes in the balance asked for.

    Every setting of the old one is kept. Its dataset is an `AugmentedDataset` (parameters as there)
    of M items, and an epoch draws `length` of these: None is as many as the old loader did, so that
    schedules stay as they are; "all" is M. The draws are without replacement, of each class its
    share (exact up to rounding), and follow from (random_state, epoch). Passes count as epochs;
    `loader.sampler.set_epoch(n)` overrides.

    What becomes of the old loader's sampler:

    - RandomSampler (shuffle=True): random draws, in number its num_samples.
    - SubsetRandomSampler: random draws from its rows alone, to which the augmenter is fitted too.
    - DistributedSampler: random draws sliced by rank, with its replicas, rank, shuffle, seed and
      drop_last; the epoch is what `set_epoch` says, as with any DistributedSampler.
    - WeightedRandomSampler: replaced by random draws, with a warning.
    - SequentialSampler (shuffle=False): draws in ascending order, with a warning.
    - Any other, or a batch sampler that is not torch's own: UsageError with the way out.

    Note that `len(loader.dataset)` is M, and an epoch's items are `len(loader.sampler)`.
    Raises UsageError and DataError, for an IterableDataset among others.

    >>> import torch
    >>> from torch.utils.data import TensorDataset
    >>> from gan_augment import Repeats
    >>> data = TensorDataset(torch.rand(100, 1, 8, 8), torch.tensor([0] * 80 + [1] * 20))
    >>> loader = DataLoader(data, batch_size=20, shuffle=True)
    >>> loader = augment_loader(loader, Repeats(), companions=False)
    >>> [len(labels) for _, labels in loader]
    [20, 20, 20, 20, 20]
    >>> torch.cat([labels for _, labels in loader]).bincount()
    tensor([50, 50])
    """
    _check_loader(loader)
    sampler = sampler_of(loader)
    number = _length(length, sampler)
    dataset = AugmentedDataset(
        map_style(loader),
        augmenter,
        to=to,
        synthetic_share=synthetic_share,
        companions=companions,
        classes=classes,
        transform=transform,
        normalize=normalize,
        keys=keys,
        fill=fill,
        image_size=image_size,
        refresh=refresh,
        cache=cache,
        random_state=random_state,
    )
    number = len(dataset) if number is None else number
    draws: BalancedSampler | DistributedBalancedSampler
    if isinstance(sampler, DistributedSampler):
        draws = DistributedBalancedSampler(dataset, number, sampler)
    else:
        _warn_of_replaced(sampler)
        draws = dataset.sampler(number, shuffle=type(sampler) is not SequentialSampler)
    return _like(loader, dataset, draws)


def _like(
    loader: DataLoader[Any], dataset: Any, draws: BalancedSampler | DistributedBalancedSampler
) -> DataLoader[Any]:
    """A loader with every setting of another one, over `dataset` by `draws`."""
    names = set(inspect.signature(DataLoader.__init__).parameters) - {"self", *_OURS}
    settings: dict[str, Any] = {name: getattr(loader, name) for name in sorted(names)}
    old = loader.batch_sampler
    if loader.batch_size is not None:
        settings |= {"batch_size": loader.batch_size, "drop_last": loader.drop_last}
        settings["sampler"] = draws
    elif isinstance(old, BatchSampler):  # it was passed as such
        pairs: Any = draws  # (epoch, item), where BatchSampler is typed for plain numbers
        settings["batch_sampler"] = BatchSampler(pairs, old.batch_size, old.drop_last)
    else:
        settings |= {"batch_size": None, "sampler": draws}
    return DataLoader(dataset, **settings)


def _check_loader(loader: Any) -> None:
    if not isinstance(loader, DataLoader):
        raise UsageError(
            f"a {type(loader).__name__} was given; expected a torch DataLoader. For a dataset use "
            "AugmentedDataset(dataset, augmenter)."
        )
    map_style(loader)
    if isinstance(loader.dataset, AugmentedDataset):
        raise UsageError("the loader's dataset is augmented already; pass the loader before that")
    if type(loader) is not DataLoader:
        raise UsageError(
            f"the loader is a {type(loader).__name__}, whose own behaviour would be lost. "
            f"{_WAY_OUT}"
        )
    batches, sampler = loader.batch_sampler, sampler_of(loader)
    own = batches if batches is not None and type(batches) is not BatchSampler else sampler
    if type(own) not in _KNOWN:
        raise UsageError(
            f"the loader draws by a {type(own).__name__}, which knows nothing of added items. "
            f"{_WAY_OUT}"
        )


def _length(length: int | Literal["all"] | None, sampler: Any) -> int | None:
    """Draws an epoch, over all ranks; None for all items."""
    if length == "all":
        return None
    if length is not None:
        return checked_whole(length, "length", 1)
    if isinstance(sampler, DistributedSampler):
        return len(sampler.dataset)  # type: ignore[arg-type]
    return len(sampler)


def _warn_of_replaced(sampler: Any) -> None:
    if type(sampler) is SequentialSampler:
        warn(
            "the loader does not shuffle: is it one for validation? Those are not to be augmented. "
            "The draws are in ascending order; pass shuffle=True to the DataLoader otherwise."
        )
    if type(sampler) is WeightedRandomSampler:
        warn(
            "the loader's WeightedRandomSampler is replaced: the balance of classes follows from "
            "to, synthetic_share and companions"
        )
