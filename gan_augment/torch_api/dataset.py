"""`AugmentedDataset`: a labelled dataset, topped up; `augment_loader` and `BalancedSampler`."""

from __future__ import annotations

import copy
import inspect
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import (
    DataLoader,
    Dataset,
    RandomSampler,
    Sampler,
    SubsetRandomSampler,
    TensorDataset,
)

from gan_augment.data.topup_plan import TopUpPlan, choose_classes, plan_topup
from gan_augment.errors import NotFittedError, UsageError
from gan_augment.generators import load_model
from gan_augment.generators.generator import (
    Generator,
    advised_share,
    checked_seed,
    drawn_rows,
    is_whole,
)
from gan_augment.kinds.kind import Labelled
from gan_augment.kinds.signal import SIGNAL
from gan_augment.options import TopUp
from gan_augment.progress import shown_progress
from gan_augment.rng import rng_for
from gan_augment.torch_api.items import Key, Normalize, check_rows, plain_label
from gan_augment.torch_api.read import DescribedDataset, describe_dataset, map_style

_OURS = {"self", "dataset", "shuffle", "sampler", "batch_sampler"}
"""Settings of a loader that `augment_loader` replaces."""
Transform = Callable[[Any], Any]
Classes = str | int | Sequence[object] | None


class AugmentedDataset(Dataset[Any]):
    """A map-style dataset with its classes topped up: its own items first, then the added ones.

    Added items are repeats of real items and generated items, in the type, shape, dtype and range
    of the dataset's own. This process draws all generated items at once; workers get these rows and
    never hold a model.

    Parameters
    ----------
    dataset
        A map-style torch dataset whose items are tuples or lists (image, label), or dicts. An image
        is a PIL image, an array (H, W, C), a tensor (C, H, W), or a vector. Arrays and tensors
        (C, L) are signals if C < 8, or if the augmenter has kind="signal".
    augmenter
        GANAugmenter, ImageGAN, TabularGAN, Repeats, Smote, anything that samples, or the folder of
        a saved run. An unfitted augmenter is fitted on the dataset's items, which may take minutes:
        GANAugmenter(budget="3m") bounds the time. The log shows the progress of the fit, on stderr
        unless logging is configured.
    to, synthetic_share, companions
        As of `TopUp`.
    classes
        The classes to top up: names or labels, "rare" or "all". None takes the classes that the
        augmenter was fitted to top up, unless these are none or all; then the rare ones.
    transform
        A callable applied to real and generated images alike, in the format of the items. What it
        draws comes from the global generators, which a DataLoader seeds in its workers.
    normalize
        The (mean, std) that the dataset applies to its images. It is never guessed.
    keys
        (image, label) of items that are dicts, if they are not "image" and "label".
    image_size
        (height, width) px to fit an unfitted augmenter at; None takes at most 64 px per side.
    random_state
        The seed, an int >= 0.

    Attributes
    ----------
    dataset
        The wrapped dataset.
    classes, labels
        Names, and int64 (M,), indices into them.
    targets
        (M,), the label of each item.
    origin, synthetic_mask
        str (M,), "real", "repeat", "synthetic" or "companion"; bool (M,), the generated items.
    counts, refused
        {class: {origin: n}}, {class: why it was filled with repeats}.

    Raises
    ------
    DataError, UsageError
        For items and parameters that cannot be used, before anything is fitted.

    Examples
    --------
    >>> import torch
    >>> from torch.utils.data import TensorDataset
    >>> from gan_augment import Repeats
    >>> images, labels = torch.rand(25, 1, 8, 8), torch.tensor([0] * 20 + [1] * 5)
    >>> data = AugmentedDataset(TensorDataset(images, labels), Repeats(), companions=False)
    >>> len(data), data.counts["1"]
    (40, {'real': 5, 'repeat': 7, 'synthetic': 8, 'companion': 0})
    >>> image, label = data[39]
    >>> image.shape, image.dtype, label
    (torch.Size([1, 8, 8]), torch.float32, tensor(1))
    """

    def __init__(
        self,
        dataset: Any,
        augmenter: Any,
        *,
        to: str | int | float = "majority",
        synthetic_share: float | Literal["auto"] = "auto",
        companions: bool | Literal["auto"] = "auto",
        classes: Classes = None,
        transform: Transform | None = None,
        normalize: Normalize | None = None,
        keys: tuple[Key, Key] | None = None,
        image_size: tuple[int, int] | None = None,
        random_state: int = 0,
    ) -> None:
        self._seed, self._transform = checked_seed(random_state), transform
        values = {"to": to, "synthetic_share": synthetic_share, "companions": companions}
        top_up = TopUp.checked(values, "AugmentedDataset")
        model = fitted_model(augmenter)
        kind = getattr(getattr(model, "meta_", None), "kind", getattr(augmenter, "kind", ""))
        signal = bool(kind == SIGNAL.name)
        described = describe_dataset(dataset, normalize=normalize, keys=keys, signal=signal)
        self.dataset = described.dataset
        self._format, picture = described.format, described.format.picture
        generates = top_up.resolved(picture.kind.recipes)[0] > 0
        if generates and self._format.more:
            raise UsageError(
                f"items also hold {', '.join(map(repr, self._format.more))}, which generated items "
                "lack; wrap the dataset so that its items hold image and label only"
            )
        if model is None and generates:
            if classes is not None:
                _chosen(classes, described.counts, ())  # refuse before a fit of minutes
            model = _fit(augmenter, described.read(image_size))
        elif model is not None:
            described = _named_for(model, described)
        plan = planned(described, top_up, classes, model)
        drawn, refused = drawn_rows(model, plan.generated, self._seed)
        made = [one.kind.item_rows(one) for one in drawn.values()]
        self._generated: NDArray[Any] = np.concatenate(made) if made else np.empty(0)
        if made:
            check_rows(picture, self._generated.shape[1:])
        plan = plan.refuse(refused, keep_others=True)
        plan.warn_of_refused("items")
        layout = plan.layout(described.labels, self._seed)
        generated = layout.source < 0
        self._where = np.where(generated, ~(np.cumsum(generated) - 1), layout.source)
        self.labels, self.origin, self.classes = layout.label, layout.origin, described.names
        self.synthetic_mask, self.counts, self.refused = generated, plan.counts, dict(plan.refused)
        values_of = [plain_label(value, "an item") for value in self._format.labels]
        self.targets = np.array(values_of)[self.labels]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> Any:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[Any]:
        """Return a batch of items, as a loader asks for them; negative ones count from the end."""
        rows = np.array([operator.index(row) for row in indices], dtype=np.int64)
        where, form = self._where[rows], self._format
        real, change = where >= 0, self._transform
        items = _items_of(self.dataset, where[real])
        if change is not None:
            items = [form.changed(item, {form.image: change(item[form.image])}) for item in items]
        if real.all():
            return items
        drawn = form.picture.decode(self._generated[~where[~real]])
        images = drawn if change is None else map(change, drawn)
        made = map(form.new_item, images, self.labels[rows[~real]].tolist())
        left = iter(items)
        return [next(left) if one else next(made) for one in real.tolist()]

    def sampler(self, length: int | None = None) -> BalancedSampler:
        """Return a sampler for `DataLoader(self, sampler=...)` that counts passes as epochs.

        Parameters
        ----------
        length
            Items per epoch, each class its share; None takes all.

        Returns
        -------
        BalancedSampler
            Draws without replacement.
        """
        return BalancedSampler(self, length, seed=self._seed)


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
        As in `AugmentedDataset`.
    length
        Draws per epoch. None takes the loader's number, "all" takes M.
    **settings
        Other parameters of `AugmentedDataset`.

    Returns
    -------
    DataLoader
        A new loader; the given one is unchanged.

    Raises
    ------
    UsageError, DataError
        For an IterableDataset, a subclass of DataLoader, a `batch_sampler`, and a loader that draws
        otherwise than by `shuffle=True` or by a SubsetRandomSampler, whose rows alone are taken.

    Examples
    --------
    >>> import torch
    >>> from torch.utils.data import TensorDataset
    >>> from gan_augment import Repeats
    >>> data = TensorDataset(torch.rand(100, 1, 8, 8), torch.tensor([0] * 80 + [1] * 20))
    >>> loader = DataLoader(data, batch_size=20, shuffle=True)
    >>> loader = augment_loader(loader, Repeats(), companions=False)
    >>> torch.cat([labels for _, labels in loader]).bincount()
    tensor([50, 50])
    """
    sampler = _sampler_of(loader)
    asked = len(sampler) if length is None else length
    number = None if asked == "all" else checked_length(asked)  # before a fit of minutes
    dataset = AugmentedDataset(loader, augmenter, **settings)
    kept = sorted(set(inspect.signature(DataLoader.__init__).parameters) - _OURS)
    how: dict[str, Any] = {name: getattr(loader, name) for name in kept}
    return DataLoader(dataset, sampler=dataset.sampler(number), **how)


def _sampler_of(loader: Any) -> Any:
    """Return the sampler of a loader. Raises UsageError or DataError if it draws no added items."""
    if not isinstance(loader, DataLoader):
        raise UsageError(
            f"a {type(loader).__name__} was given; expected a torch DataLoader. For a dataset use "
            "AugmentedDataset(dataset, augmenter)."
        )
    map_style(loader)
    sampler: Any = loader.sampler
    if type(loader) is not DataLoader or type(sampler) not in (RandomSampler, SubsetRandomSampler):
        raise UsageError(
            f"a {type(loader).__name__} that draws by a {type(sampler).__name__} cannot draw added "
            "items, and one for validation must not. For training pass shuffle=True, or build "
            "AugmentedDataset(loader.dataset, augmenter) and a DataLoader of your own over it, "
            "with sampler=dataset.sampler() or your own: dataset.targets holds each item's label."
        )
    return sampler


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


def _fit(augmenter: Any, data: Labelled) -> Generator:
    """Say what is fitted, fit it while progress is shown, and return its model."""
    name = type(augmenter).__name__
    shown_progress("AugmentedDataset").note(f"fitting {name} on {data.kind.describe(data)}")
    if hasattr(augmenter, "verbose"):  # a fit of minutes is never silent
        augmenter = copy.copy(augmenter)
        augmenter.verbose = True
    model = fitted_model(augmenter.fit(data) or augmenter)
    if model is None:
        raise NotFittedError(
            f"after fit, the {name} has no `classes_` {{name: rows}}; expected "
            "a model, or an augmenter with `generator_`"
        )
    return model


def _items_of(dataset: Any, rows: NDArray[np.int64]) -> list[Any]:
    """Return `[dataset[i] for i in rows]`, by the dataset's own `__getitems__` if it has one.

    Indexing is the whole cost of a TensorDataset, so its tensors are gathered in one call each.

    >>> dataset = TensorDataset(torch.arange(6).view(3, 2), torch.tensor([7, 8, 9]))
    >>> _items_of(dataset, np.array([2, 0]))
    [(tensor([4, 5]), tensor(9)), (tensor([0, 1]), tensor(7))]
    """
    if not len(rows):
        return []
    if type(dataset) is TensorDataset:
        index = torch.from_numpy(rows)
        return list(zip(*(tensor[index].unbind(0) for tensor in dataset.tensors), strict=True))
    together = getattr(dataset, "__getitems__", None)
    listed = rows.tolist()
    return list(together(listed)) if callable(together) else [dataset[i] for i in listed]


def planned(
    described: DescribedDataset, top_up: TopUp, classes: Classes, model: Generator | None
) -> TopUpPlan:
    """Return how every class ends, without what the model refuses.

    Raises UnknownClassError, NoRareClassError.
    """
    chosen = _chosen(classes, described.counts, getattr(model, "topped_up_", ()))
    advised = advised_share(model, top_up.synthetic_share)
    kind = described.format.picture.kind.recipes
    plan = plan_topup(described.counts, top_up, chosen, kind, advised)
    return plan.refuse(getattr(model, "refuses_", {}))


def _chosen(
    classes: Classes, counts: Mapping[str, int], topped_up: Iterable[str]
) -> tuple[str, ...]:
    """Return the named classes, or those that a model was fitted to top up, or the rare ones."""
    if classes is None:
        here = tuple(name for name in topped_up if counts.get(name))
        if 0 < len(here) < sum(n > 0 for n in counts.values()):  # all means that none was chosen
            return here
        classes = "rare"
    if isinstance(classes, str):
        return choose_classes(classes, counts)
    listed: list[object] = np.ravel(classes).tolist()  # type: ignore[arg-type]
    return choose_classes([str(one) for one in listed], counts)


def _named_for(model: Generator, described: DescribedDataset) -> DescribedDataset:
    """Return the classes under the model's names: by label, or by the dataset's own `classes`.

    A run on a folder knows "cat" and "dog"; torchvision's ImageFolder has labels 0 and 1 and
    `classes` ["cat", "dog"].
    """
    dataset = described.dataset
    while not hasattr(dataset, "classes") and hasattr(dataset, "dataset"):  # of a subset
        dataset = dataset.dataset
    classes = getattr(dataset, "classes", None)
    listed = [str(name) for name in classes] if isinstance(classes, list | tuple) else []
    name_of = {str(code): name for code, name in enumerate(listed)}
    names, known = tuple(name_of.get(code, "") for code in described.names), set(model.classes_)
    if set(described.names) <= known or not set(names) <= known or len(name_of) > len({*listed}):
        return described
    return replace(described, names=names)


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
