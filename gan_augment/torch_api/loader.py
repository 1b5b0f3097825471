"""`augment_loader`: a loader with the same settings over a topped-up dataset, drawn in balance."""

from __future__ import annotations

import inspect
from typing import Any, Literal

from torch.utils.data import (
    DataLoader,
    DistributedSampler,
    RandomSampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)

from gan_augment.errors import UsageError, warn
from gan_augment.torch_api.dataset import AugmentedDataset
from gan_augment.torch_api.read import map_style
from gan_augment.torch_api.sampling import BalancedSampler, checked_length

_OURS = {"self", "dataset", "shuffle", "sampler", "batch_sampler"}
_KNOWN = (
    RandomSampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
    DistributedSampler,
)


def augment_loader(
    loader: DataLoader[Any],
    augmenter: Any,
    *,
    length: int | Literal["all"] | None = None,
    **settings: Any,
) -> DataLoader[Any]:
    """Return a DataLoader like `loader` whose epochs hold the classes in the requested balance.

    Its dataset is an `AugmentedDataset` of M items; all other settings of the loader stay. An epoch
    draws `length` items without replacement, of each class its share. The draws follow from
    (random_state, epoch); passes count as epochs unless `loader.sampler.set_epoch(n)` is called.

    Parameters
    ----------
    loader
        A plain DataLoader of a map-style dataset.
    augmenter
        As of `AugmentedDataset`.
    length
        Draws per epoch. None takes the loader's number, "all" takes M.
    **settings
        Parameters of `AugmentedDataset`.

    Raises
    ------
    UsageError, DataError
        For an IterableDataset, a subclass of DataLoader, a `batch_sampler`, and samplers of other
        classes.

    Notes
    -----
    The loader's sampler is replaced. RandomSampler: as many random draws. SubsetRandomSampler: its
    rows only. DistributedSampler: the draws are sliced by rank, with the seed of that sampler.
    WeightedRandomSampler: random draws, with a warning. SequentialSampler (shuffle=False):
    ascending draws, with a warning.

    Examples
    --------
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
    sampler: Any = loader.sampler
    if length is None:
        sized: Any = sampler.dataset if isinstance(sampler, DistributedSampler) else sampler
        length = len(sized)
    number = None if length == "all" else checked_length(length)  # before a fit of minutes
    dataset = AugmentedDataset(loader, augmenter, **settings)
    kept = sorted(set(inspect.signature(DataLoader.__init__).parameters) - _OURS)
    how: dict[str, Any] = {name: getattr(loader, name) for name in kept}
    return DataLoader(dataset, sampler=_draws(dataset, sampler, number), **how)


def _draws(dataset: AugmentedDataset, sampler: Any, number: int | None) -> BalancedSampler:
    """Return the sampler that takes the place of the loader's."""
    if isinstance(sampler, DistributedSampler):
        parts = {"rank": sampler.rank, "ranks": sampler.num_replicas}
        shuffle, seed = sampler.shuffle, sampler.seed
        return BalancedSampler(dataset, number, shuffle=shuffle, seed=seed, **parts)
    if type(sampler) is SequentialSampler:
        warn(
            "the loader does not shuffle; a loader for validation must not be augmented. For "
            "training pass shuffle=True to the DataLoader."
        )
    if type(sampler) is WeightedRandomSampler:
        warn(
            "the loader's WeightedRandomSampler is replaced: the balance of classes follows from "
            "to, synthetic_share and companions"
        )
    return dataset.sampler(number, shuffle=type(sampler) is not SequentialSampler)


def _check_loader(loader: Any) -> None:
    if not isinstance(loader, DataLoader):
        raise UsageError(
            f"a {type(loader).__name__} was given; expected a torch DataLoader. For a dataset use "
            "AugmentedDataset(dataset, augmenter)."
        )
    map_style(loader)
    own_batches = loader.batch_size is None and loader.batch_sampler is not None
    draws = loader.batch_sampler if own_batches else loader.sampler
    if type(loader) is not DataLoader or type(draws) not in _KNOWN:
        raise UsageError(
            f"a {type(loader).__name__} that draws by a {type(draws).__name__} cannot draw added "
            "items. Build AugmentedDataset(loader.dataset, augmenter) and a DataLoader of your own "
            "over it, with sampler=dataset.sampler() or your own: dataset.targets holds the label "
            "of each item."
        )
