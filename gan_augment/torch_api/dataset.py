"""`AugmentedDataset`: a labelled dataset, topped up; `SyntheticDataset`: items of a model alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from gan_augment.data.images.resize import checked_size
from gan_augment.data.labels import encode_labels
from gan_augment.data.topup_plan import TopUpPlan, choose_classes, plan_topup
from gan_augment.data.torch_datasets import DatasetFacts, describe_dataset, map_style, read_dataset
from gan_augment.data.torch_items import (
    Key,
    Normalize,
    Picture,
    SignalFormat,
    VectorFormat,
    pair_format,
    plain_label,
    tensor_images,
)
from gan_augment.errors import (
    DataError,
    NotFittedError,
    TooFewAcceptedError,
    UsageError,
    unknown_class,
    warn,
)
from gan_augment.generators.generator import checked_counts, checked_seed
from gan_augment.generators.topup import advised_share
from gan_augment.options import TopUp
from gan_augment.torch_api.generated import (
    GeneratedRows,
    Sampling,
    fit_to,
    fitted_model,
)
from gan_augment.torch_api.items import EpochItems, SeededTransform, Transform, real_items

SHARPER = 1.5  # originals this much larger than a model's images are told from them by sharpness
_BY_SIZE = ("auto", "minority", "not minority", "not majority")
"""Choices of `sampling_strategy` that name no class where all are of one size."""


class AugmentedDataset(EpochItems):
    """A map-style dataset with its classes topped up: its own items, then the added ones.

    Added items are repeats of real ones and generated ones, in the type, shape, dtype and range of
    the dataset's own. All generated ones are made by this process before they are read; workers,
    however they are started, read them from a memory-mapped file and never hold a model.

    Parameters
    ----------
    dataset
        A map-style torch dataset whose items are tuples or lists (image, label), or dicts. An image
        is a PIL image, an array (H, W, C), a tensor (C, H, W), or a vector. Arrays and tensors (C,
        L) are signals where the augmenter is of such (`kind="signal"`), or C < 8.
    augmenter
        GANAugmenter, ImageGAN, TabularGAN, Repeats, Smote, anything that samples, or the folder of
        a saved run. One that is not fitted yet is fitted here on the dataset's items, which may
        take minutes; pass a fitted one, or a run's folder, for a dataset that is ready at once.
    to, synthetic_share, companions
        As in `TopUp`: what a class ends with ("majority", "median", a count, a fraction), how much
        of what is added is generated, whether the other classes get generated items too.
    classes
        The classes to top up: names or labels, "rare" or "all". None takes those that the augmenter
        was fitted to top up, where these are some and not all; else the rare ones.
    transform
        Applied to real and generated items alike, seeded by (random_state, epoch, index). An
        albumentations Compose sees the image as uint8 (H, W, C), and what it makes of it goes into
        the items' type where it is uint8 still; any other callable sees and returns the image (or
        vector) as items hold it, with Python's, NumPy's and torch's generators seeded for the call.
    normalize
        The (mean, std) that the dataset applies to its images. It is never guessed.
    keys
        (image, label) of items that are dicts, where they are not "image" and "label".
    fill
        {key: value} of what else generated items hold, where items are dicts.
    image_size
        (height, width) px to fit an unfitted augmenter at; None is at most 64 px a side.
    refresh
        "never", or "epoch" for generated items of its own each epoch; the epochs are counted by
        `sampler()` and by `augment_loader`.
    cache
        A folder for the generated items, used again where model, seed and counts fit; None is a
        temporary one. At most two epochs are kept.
    random_state
        The seed, an int >= 0.

    Attributes
    ----------
    dataset
        The one wrapped.
    classes, labels
        Names, and int64 (M,), indices into them.
    targets
        (M,), the label of each item.
    origin, synthetic_mask
        str (M,), "real", "repeat", "synthetic" or "companion"; bool (M,), the generated ones.
    counts, refused
        {class: {origin: n}}, {class: why it was filled with repeats}.
    epoch
        What plain indices read.

    Raises
    ------
    DataError, UsageError
        As `gan_augment.data.torch_datasets` says, before anything is fitted.

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
        classes: str | int | Iterable[object] | None = None,
        transform: Transform | None = None,
        normalize: Normalize | None = None,
        keys: tuple[Key, Key] | None = None,
        fill: dict[Any, Any] | None = None,
        image_size: tuple[int, int] | None = None,
        refresh: Literal["never", "epoch"] = "never",
        cache: str | Path | None = None,
        random_state: int = 0,
    ) -> None:
        seed = checked_seed(random_state)
        values = {"to": to, "synthetic_share": synthetic_share, "companions": companions}
        top_up = TopUp.checked(values, "AugmentedDataset")
        self.dataset = _wrapped(dataset)
        model = fitted_model(augmenter)
        signal = _makes_signals(augmenter, model)
        facts = describe_dataset(self.dataset, normalize=normalize, keys=keys, signal=signal)
        picture = facts.format.picture
        self._transform = None if transform is None else SeededTransform(transform, picture, seed)
        generates = top_up.resolved(facts.kind)[0] > 0
        self._format = facts.format.with_fill(fill) if generates else facts.format
        if model is None and generates:
            _check_choice(augmenter, classes, facts.counts)  # before a fit of minutes
            data, _ = read_dataset(self.dataset, image_size=image_size, known=facts.format)
            model = fit_to(augmenter, data)
        elif model is not None:
            facts = _named_for(model, facts, self.dataset)
        plan = planned(facts, top_up, classes, model)
        self._generated = GeneratedRows(
            model,
            plan.generated,
            dtype=picture.array_dtype if isinstance(picture, VectorFormat) else None,
            seed=seed,
            refresh=refresh,
            cache=cache,
        )
        plan = plan.refuse(self._generated.refused, keep_others=True)
        plan.warn_of_refused("items")
        self._check_shape(picture)
        layout = plan.layout(facts.labels, seed).behind(facts.labels)
        generated = layout.source < 0
        self._seed = seed
        self._where = np.where(generated, ~(np.cumsum(generated) - 1), layout.source)
        self.labels, self.origin, self.classes = layout.label, layout.origin, facts.names
        self.synthetic_mask, self.counts, self.refused = generated, plan.counts, dict(plan.refused)
        values_of = [plain_label(value, "an item") for value in facts.format.labels]
        self.targets = np.array(values_of)[self.labels]

    def _real_items(
        self, where: NDArray[np.int64], rows: NDArray[np.int64], epoch: int
    ) -> list[Any]:
        """Items of the wrapped dataset, transformed."""
        items = real_items(self.dataset, where)
        if self._transform is None:
            return items
        old = [item[self._format.image] for item in items]
        new = self._transform.of_values(old, rows, epoch)
        return [self._format.with_image(item, one) for item, one in zip(items, new, strict=True)]

    def _check_shape(self, picture: Picture) -> None:
        """DataError where generated rows do not fit the items; a warning where they are coarser."""
        shape = self._generated.shape
        if shape is None:
            return
        if isinstance(picture, SignalFormat) or len(shape) == 2:
            expected = getattr(picture, "channels_length", "no signals")
            if shape != expected:
                raise DataError(
                    f"the model makes {shape}, and the items are {expected} (channels and samples "
                    "of signals); fit a model to this data"
                )
            return
        if isinstance(picture, VectorFormat):
            if shape != (picture.length,):
                raise DataError(
                    f"the model makes rows of {shape[0]} columns, and the items are vectors of "
                    f"{picture.length}; fit a model to this data"
                )
            return
        if shape[2] != picture.channels:
            raise DataError(
                f"the model makes images of {shape[2]} channels, and the items have "
                f"{picture.channels}; fit a model to this data"
            )
        if max(picture.size) > SHARPER * max(shape[:2]):
            warn(
                f"the items are {picture.size[0]} x {picture.size[1]} px and the model makes "
                f"{shape[0]} x {shape[1]} px, so that sharpness tells real from generated. Resize "
                "the items in the dataset, or fit at a larger image_size=(height, width)."
            )


def _makes_signals(augmenter: Any, model: Any) -> bool:
    """Whether an augmenter is, or its model makes, of signals."""
    kind = getattr(getattr(model, "meta_", None), "kind", getattr(augmenter, "kind", ""))
    return bool(kind == "signal")


def _wrapped(dataset: Any) -> Any:
    if isinstance(dataset, DataLoader):
        raise UsageError(
            "a DataLoader was given; pass its dataset (loader.dataset), or use "
            "augment_loader(loader, augmenter)"
        )
    if isinstance(dataset, AugmentedDataset):
        raise UsageError("the dataset is augmented already; pass the one that it wraps (.dataset)")
    return map_style(dataset)


class SyntheticDataset(EpochItems):
    """Generated items of a saved run or a fitted model: (image, label), without the original data.

    Images are float32 tensors (C, H, W) in 0..1, signals (C, L) in their own unit, rows of a table
    float32 tensors (columns,), whose columns must be numbers. Labels are ints, indices into
    `classes`, the model's in its own order; they are the labels of the data where those were 0, 1,
    ....

    Parameters
    ----------
    model
        The folder of a run (as `gan-augment fit` prints it) or of a saved model, or anything fitted
        that samples: ImageGAN, TabularGAN, GANAugmenter.
    counts
        {class: n}, in the order of the items; or one number for each class that the model was
        fitted to top up (for all, where it does not say).
    random_state
        The seed, an int >= 0; the same items for the same model and seed.
    transform, refresh, cache
        As in `AugmentedDataset`.
    normalize
        A (mean, std) to apply.
    image_size
        (height, width) px to resize images to.

    Attributes
    ----------
    classes, counts
        Names in the model's order, {class: n}.
    labels, targets
        int64 (M,).

    Raises
    ------
    ModelFileError, NotFittedError, UnknownClassError, UsageError, DataError
        For what is given.
    TooFewAcceptedError
        For a class that the model cannot serve.

    Examples
    --------
    >>> import numpy as np
    >>> from gan_augment import ImageGAN
    >>> from gan_augment.data.arrays import from_arrays
    >>> data = from_arrays(np.random.default_rng(0).random((24, 8, 8)), ["a"] * 20 + ["b"] * 4)
    >>> gan = ImageGAN(steps=2, device="cpu", threads=1, selection=False).fit(data)
    >>> data = SyntheticDataset(gan, {"b": 3})
    >>> image, label = data[2]
    >>> len(data), image.shape, image.dtype, label
    (3, torch.Size([1, 8, 8]), torch.float32, 1)
    """

    def __init__(
        self,
        model: Any,
        counts: Mapping[str, int] | int,
        *,
        random_state: int = 0,
        transform: Transform | None = None,
        normalize: Normalize | None = None,
        image_size: tuple[int, int] | None = None,
        refresh: Literal["never", "epoch"] = "never",
        cache: str | Path | None = None,
    ) -> None:
        self._seed = checked_seed(random_state)
        fitted = fitted_model(model)
        if fitted is None:
            raise NotFittedError(
                f"this {type(model).__name__} is not fitted; fit it first, or pass a run's folder"
            )
        self.counts = _counts(fitted, counts)
        table = fitted.sample({next(iter(self.counts)): 1}).kind.tabular
        self._generated = GeneratedRows(
            fitted,
            self.counts,
            dtype=np.dtype(np.float32) if table else None,
            seed=self._seed,
            refresh=refresh,
            cache=cache,
        )
        if self._generated.refused:
            raise TooFewAcceptedError("; ".join(self._generated.refused.values()))
        self.classes = tuple(fitted.classes_)
        picture = _picture(self._generated.shape, normalize, image_size)
        self._format = pair_format(picture, range(len(self.classes)))
        self._transform = None
        if transform is not None:
            self._transform = SeededTransform(transform, picture, self._seed)
        codes = [self.classes.index(name) for name in self.counts]
        self.labels = np.repeat(codes, list(self.counts.values())).astype(np.int64)
        self.targets = self.labels
        self._where = ~np.arange(len(self.labels))


def _counts(model: Sampling, counts: Mapping[str, int] | int) -> dict[str, int]:
    """{class: n}, n >= 1."""
    if not isinstance(counts, Mapping):
        counts = dict.fromkeys(getattr(model, "topped_up_", None) or model.classes_, counts)
    requested = checked_counts({str(name): n for name, n in counts.items()})
    for name in requested:
        if name not in model.classes_:
            raise unknown_class(name, model.classes_)
    requested = {name: n for name, n in requested.items() if n}
    if not requested:
        raise UsageError("there is nothing to draw; say how many items, such as {'rare': 100}")
    return requested


def _picture(
    shape: tuple[int, ...] | None, normalize: Normalize | None, image_size: tuple[int, int] | None
) -> Picture:
    assert shape is not None
    if len(shape) == 1:
        if normalize is not None or image_size is not None:
            raise UsageError("normalize and image_size are for images; the model is of a table")
        return VectorFormat(like=torch.empty(0), length=shape[0])
    if len(shape) == 2:
        if normalize is not None or image_size is not None:
            raise UsageError("normalize and image_size are for images; the model is of signals")
        return SignalFormat(like=torch.empty(0), shape=shape)
    height, width, channels = shape
    size = (height, width) if image_size is None else checked_size(image_size)
    return tensor_images(size, channels, normalize)


def planned(
    facts: DatasetFacts,
    top_up: TopUp,
    classes: str | int | Iterable[object] | None,
    model: Sampling | None,
) -> TopUpPlan:
    """How every class ends, without what the model refuses.

    `classes` None: those that the model was fitted to top up, or the rare ones.
    Raises UnknownClassError, NoRareClassError.
    """
    chosen = _chosen(classes, facts.counts, getattr(model, "topped_up_", ()))
    advised = advised_share(model, top_up.synthetic_share)
    plan = plan_topup(facts.counts, top_up, chosen, facts.kind, advised)
    return plan.refuse(getattr(model, "refuses_", {}))


def _check_choice(
    augmenter: object, classes: str | int | Iterable[object] | None, counts: Mapping[str, int]
) -> None:
    """Raise what `planned` would raise once the augmenter is fitted, as far as it is known now."""
    classes_of = getattr(augmenter, "classes", getattr(augmenter, "sampling_strategy", "rare"))
    word = classes_of if isinstance(classes_of, str) else ""
    even = len({n for n in counts.values() if n}) == 1
    if classes is not None or word in ("rare", "all") or (even and word in _BY_SIZE):
        _chosen(classes, counts, ())


def _named_for(model: Sampling, facts: DatasetFacts, dataset: Any) -> DatasetFacts:
    """The classes as the model calls them: by label, or by the dataset's own `classes`.

    A run on a folder knows "cat" and "dog", and torchvision's ImageFolder labels 0 and 1, with
    `classes` ["cat", "dog"].
    """
    while not hasattr(dataset, "classes") and hasattr(dataset, "dataset"):  # of a subset
        dataset = dataset.dataset
    classes = getattr(dataset, "classes", None)
    listed = [str(name) for name in classes] if isinstance(classes, list | tuple) else []
    name_of = {str(code): name for code, name in enumerate(listed)}
    names, known = tuple(name_of.get(code, "") for code in facts.names), set(model.classes_)
    if set(facts.names) <= known or not set(names) <= known or len(set(listed)) < len(listed):
        return facts
    return replace(facts, names=names)


def _chosen(
    classes: str | int | Iterable[object] | None,
    counts: Mapping[str, int],
    topped_up: Iterable[str],
) -> tuple[str, ...]:
    if classes is None:
        here = tuple(name for name in topped_up if counts.get(name))
        if 0 < len(here) < sum(n > 0 for n in counts.values()):  # all: nothing was chosen
            return here
        classes = "rare"
    if isinstance(classes, str):
        return choose_classes(classes, counts)
    listed = list(classes) if isinstance(classes, Iterable) else [classes]
    return choose_classes([_name(label) for label in listed], counts)


def _name(label: object) -> str:
    """The class of a label: 7, "7", 7.0 and tensor(7) are all "7"."""
    return label if isinstance(label, str) else encode_labels([plain_label(label, "classes")])[1][0]
