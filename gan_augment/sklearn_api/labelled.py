"""Data that brings its labels: labelled data of the contract, torch datasets and loaders."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from gan_augment.data.contract import LabelledImages, LabelledTable
from gan_augment.data.tables.inference import infer_schema
from gan_augment.errors import UsageError
from gan_augment.sklearn_api.containers import PandasRows
from gan_augment.sklearn_api.given import Form, Labelled
from gan_augment.sklearn_api.image_form import ImageForm
from gan_augment.sklearn_api.label_form import LabelForm, form_of_labels
from gan_augment.sklearn_api.table_form import TableForm

if TYPE_CHECKING:
    from gan_augment.sklearn_api.making import GAN


def labelled(x: Any, y: Any) -> Labelled | None:
    """`x` with its own labels, or None where it brings none. Every item of a dataset is decoded.

    Rows drawn for it are uint8 images (N, H, W, C), or a pandas frame. Raises UsageError for a `y`
    beside it, DataError for a dataset that holds neither images nor rows.
    """
    own = isinstance(x, LabelledImages | LabelledTable)
    if not own and not is_dataset(x):
        return None
    if y is not None:
        raise UsageError(
            f"y was given beside a {type(x).__name__}, which brings its own labels; leave y out"
        )
    if isinstance(x, LabelledImages | LabelledTable):
        return Labelled(x, form_of_data(x), form_of_labels(x.names, x.names))
    from gan_augment.data.torch_datasets import read_dataset

    read = read_dataset(x)
    return Labelled(read.data, form_of_data(read.data), _labels_of(read))


def refuse_datasets(x: Any) -> None:
    """Raise UsageError for what has no array to be given back as."""
    if is_dataset(x):
        raise UsageError(
            f"fit_resample was given a torch {type(x).__name__}; expected arrays or frames. "
            "gan_augment.AugmentedDataset and gan_augment.augment_loader top datasets and loaders "
            "up; fit and sample of GANAugmenter take them too."
        )
    if isinstance(x, LabelledImages | LabelledTable):
        raise UsageError(
            f"fit_resample was given a {type(x).__name__}; expected arrays or frames: X is its "
            "pixels or its frame, y its labels. fit takes it as it is."
        )


def is_dataset(x: Any) -> bool:
    """Whether x is a torch Dataset or DataLoader; torch is not imported to find out."""
    if "torch" not in sys.modules:
        return False
    from torch.utils.data import DataLoader, Dataset

    return isinstance(x, Dataset | DataLoader)


def form_of_data(data: LabelledImages | LabelledTable) -> Form:
    """The plainest way back: uint8 images (N, H, W, C), or a pandas frame."""
    if isinstance(data, LabelledImages):
        return ImageForm(data.image_shape, np.dtype(np.uint8), "0..255")
    return TableForm(PandasRows(), infer_schema(data.frame))


def form_of_model(gan: GAN) -> Form:
    """`form_of_data` for rows of a model, whose data is not here."""
    from gan_augment.synthesizers.image_gan import ImageGAN

    if isinstance(gan, ImageGAN):
        return ImageForm(gan.image_shape_, np.dtype(np.uint8), "0..255")
    return TableForm(PandasRows(), gan.schema_)


def _labels_of(read: Any) -> LabelForm:
    """A dataset's classes as its items have them, numbers as Python's."""
    plain = [one.item() if hasattr(one, "item") else one for one in read.format.labels]
    return form_of_labels(read.data.names, tuple(plain))
