"""`AugmentedDataset`: a labelled dataset, topped up. What an epoch draws of it is in `draws.py`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from gan_augment.config import TopUp
from gan_augment.data.topup_plan import TopUpPlan, refusals_in_words
from gan_augment.data.torch_datasets import DatasetFacts, describe_dataset, map_style, read_dataset
from gan_augment.data.torch_items import Key, Normalize, Picture, VectorFormat, plain_label
from gan_augment.errors import DataError, UsageError, warn
from gan_augment.synthesizers.base import checked_seed
from gan_augment.torch_api.generated import GeneratedRows, checked_refresh
from gan_augment.torch_api.items import EpochItems
from gan_augment.torch_api.models import fit_to, fitted_model
from gan_augment.torch_api.planning import (
    check_choice,
    named_for,
    planned,
)
from gan_augment.torch_api.real_items import RealItems
from gan_augment.torch_api.transforms import SeededTransform, Transform

SHARPER = 1.5  # originals this much larger than a model's images are told from them by sharpness


class AugmentedDataset(EpochItems):
    """A map-style dataset with its classes topped up: its own items, then the added ones.

    Added items are repeats of real ones and generated ones, in the type, shape, dtype and range of
    the dataset's own. All generated ones are made by this process before they are read; workers,
    however they are started, read them from a memory-mapped file and never hold a model.

    Parameters
    ----------
    dataset
        A map-style torch dataset whose items are tuples or lists (image, label), or dicts. An image
        is a PIL image, an array (H, W, C), a tensor (C, H, W), or a vector.
    augmenter
        GANAugmenter, ImageGAN, TabularGAN, Repeats, Smote, anything that samples, or the folder of
        a saved run. What is not fitted yet is fitted on the dataset's items.
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
    classes
        Names.
    labels
        int64 (M,), indices into them.
    targets
        (M,), the label of each item.
    origin
        str (M,), "real", "repeat", "synthetic" or "companion".
    synthetic_mask
        bool (M,), the generated ones.
    counts
        {class: {origin: n}}.
    refused
        {class: why it was filled with repeats}.
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
        seed, top_up = checked_seed(random_state), _top_up(to, synthetic_share, companions)
        anew = checked_refresh(refresh)
        self.dataset = _wrapped(dataset)
        self._real = RealItems(self.dataset)
        model = fitted_model(augmenter)
        facts = describe_dataset(self.dataset, normalize=normalize, keys=keys)
        picture = facts.format.picture
        self._transform = None if transform is None else SeededTransform(transform, picture, seed)
        generates = top_up.resolved(facts.kind)[0] > 0
        self._format = facts.format.with_fill(fill) if generates else facts.format
        if model is None and generates:
            check_choice(augmenter, classes, facts.counts)  # before a fit of minutes
            read = read_dataset(self.dataset, image_size=image_size, known=facts.format)
            model = fit_to(augmenter, read.data)
        elif model is not None:
            facts = named_for(model, facts, self.dataset)
        plan = planned(facts, top_up, classes, model)
        self._generated = GeneratedRows(
            model,
            plan.generated,
            dtype=picture.array_dtype if isinstance(picture, VectorFormat) else None,
            seed=seed,
            refresh=anew,
            cache=cache,
        )
        plan = plan.refuse(self._generated.refused, keep_others=True)
        if plan.refused:
            warn(refusals_in_words(plan.refused, "items"))
        self._check_shape(picture)
        self._lay_out(facts, plan, seed)

    def _real_items(
        self, where: NDArray[np.int64], rows: NDArray[np.int64], epoch: int
    ) -> list[Any]:
        """Items of the wrapped dataset, transformed."""
        items = self._real.of(where)
        if self._transform is None:
            return items
        old = [item[self._format.image] for item in items]
        new = self._transform.of_values(old, self._seeded_by(rows), epoch)
        return [self._format.with_image(item, one) for item, one in zip(items, new, strict=True)]

    def _lay_out(self, facts: DatasetFacts, plan: TopUpPlan, seed: int) -> None:
        layout = plan.layout(facts.labels, seed).behind(facts.labels)
        generated = layout.source < 0
        where = np.where(generated, ~(np.cumsum(generated) - 1), layout.source)
        self._seed, self._where = seed, where
        self.labels, self.origin, self.classes = layout.label, layout.origin, facts.names
        self.synthetic_mask, self.counts, self.refused = generated, plan.counts, dict(plan.refused)
        values = [plain_label(value, "an item") for value in facts.format.labels]
        self.targets = np.array(values)[self.labels]

    def _check_shape(self, picture: Picture) -> None:
        """DataError where generated rows do not fit the items; a warning where they are coarser."""
        shape = self._generated.shape
        if shape is None:
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


def _wrapped(dataset: Any) -> Any:
    if isinstance(dataset, DataLoader):
        raise UsageError(
            "a DataLoader was given; pass its dataset (loader.dataset), or use "
            "augment_loader(loader, augmenter)"
        )
    if isinstance(dataset, AugmentedDataset):
        raise UsageError("the dataset is augmented already; pass the one that it wraps (.dataset)")
    return map_style(dataset)


def _top_up(to: object, synthetic_share: object, companions: object) -> TopUp:
    values = {"to": to, "synthetic_share": synthetic_share, "companions": companions}
    return TopUp.checked(values, "AugmentedDataset")
