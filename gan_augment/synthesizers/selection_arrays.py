"""What selection needs as named arrays for a bundle, and back, every shape checked."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from gan_augment.classifiers.small_cnn import FEATURES, SmallCNN, empty_classifier
from gan_augment.devices import Machine
from gan_augment.errors import ModelFileError
from gan_augment.networks.geometry import Geometry
from gan_augment.synthesizers.model_file import ModelMeta, SelectionRecord
from gan_augment.synthesizers.selection import Critics, Selection
from gan_augment.training.build import new_discriminator, placed
from gan_augment.training.parts import Arrays, check_network, load_network, network_arrays

PREFIX = "selection/"


def selection_arrays(selection: Selection | None) -> Arrays:
    """Weights of the critics and the rows that they compare with, below "selection/"."""
    if selection is None:
        return {}
    critics, arrays = selection.critics, Arrays()
    networks: dict[str, nn.Module] = {
        f"fold-{fold}": judge.network for fold, judge in enumerate(critics.folds)
    }
    if critics.discriminator is not None:
        networks["discriminator"] = critics.discriminator
    if critics.real is not None:
        networks["real"] = critics.real.network
    for part, network in networks.items():
        arrays |= {f"{PREFIX}{part}/{k}": v for k, v in network_arrays(network).items()}
    for fold, rows in enumerate(critics.rows):
        arrays |= {f"{PREFIX}rows-{fold}/{label}": values for label, values in rows.items()}
    return arrays


def load_selection(
    arrays: Mapping[str, NDArray[np.generic]], meta: ModelMeta, machine: Machine
) -> Selection | None:
    """The selection that was saved, None where there is none. Raises ModelFileError."""
    record = meta.selection
    if record is None:
        return None
    names = tuple(meta.classes)
    if not set(record.classes) <= set(names):
        raise ModelFileError("the selection speaks of classes that this model does not have")
    _check_thresholds(record)
    geometry = Geometry.of(meta.image_shape)
    used = [found.thresholds for found in record.classes.values()]
    discriminator = real = None
    if any(thresholds.logit is not None for thresholds in used):
        with torch.device("meta"):  # shapes alone: a forged description may claim any size
            discriminator = new_discriminator(meta.recipe, geometry, len(names))
        discriminator = placed(_filled(discriminator, arrays, "discriminator"), machine.device)
        discriminator = discriminator.requires_grad_(False).eval()
    if any(thresholds.real is not None for thresholds in used):
        real = _classifier(arrays, "real", meta, 2)
    folds = tuple(
        _classifier(arrays, f"fold-{fold}", meta, len(names)) for fold in range(record.folds)
    )
    rows = tuple(_rows(arrays, f"rows-{fold}", len(names)) for fold in range(record.folds))
    critics = Critics(folds, rows, discriminator, real, geometry, machine)
    return Selection(critics, record, names)


def _classifier(
    arrays: Mapping[str, NDArray[np.generic]], part: str, meta: ModelMeta, classes: int
) -> SmallCNN:
    with torch.device("meta"):
        network = empty_classifier(meta.image_shape, classes).network
    trunk, head = _filled(network, arrays, part).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return SmallCNN(trunk, head)


def _filled(network: nn.Module, arrays: Mapping[str, NDArray[np.generic]], part: str) -> nn.Module:
    """A network of shapes alone with the saved weights of a part."""
    weights = _below(arrays, part)
    check_network(network, weights)
    network = network.to_empty(device="cpu")
    load_network(network, weights)
    return network


def _rows(
    arrays: Mapping[str, NDArray[np.generic]], part: str, classes: int
) -> dict[int, NDArray[np.float32]]:
    """{label: float32 (n, 128)}, the features that a fold's classifier compares with."""
    rows: dict[int, NDArray[np.float32]] = {}
    for key, value in _below(arrays, part).items():
        label = int(key) if key.isdecimal() else -1
        right = value.ndim == 2 and value.shape[1] == FEATURES and len(value) > 0
        if not (0 <= label < classes and right and value.dtype == np.float32):
            raise ModelFileError(
                f"saved {part}/{key} of shape {value.shape} are no features of a class of this "
                "model"
            )
        rows[label] = np.array(value, dtype=np.float32)
    return rows


def _below(arrays: Mapping[str, NDArray[np.generic]], part: str) -> Arrays:
    start = f"{PREFIX}{part}/"
    return {k[len(start) :]: v for k, v in arrays.items() if k.startswith(start)}


def _check_thresholds(record: SelectionRecord) -> None:
    """ModelFileError where a class has distances for another number of folds."""
    for name, found in record.classes.items():
        for values in (found.thresholds.far, found.thresholds.near):
            if values is not None and len(values) != record.folds:
                raise ModelFileError(
                    f"the selection of {name!r} has {len(values)} distances for {record.folds} "
                    "folds"
                )
