"""Selection: classifiers and D score candidates, stored thresholds decide which are kept.

`calibration.py` sets the thresholds at the end of a fit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from gan_augment import machine
from gan_augment.classifier import FEATURES, SmallCNN, new_layers
from gan_augment.errors import DataError, ModelFileError, TooFewAcceptedError
from gan_augment.generators.model_file import ModelMeta, SelectionRecord, Thresholds
from gan_augment.generators.source_rows import BLOCK
from gan_augment.machine import ComputeConfig
from gan_augment.metrics.neighbours import nearest_distances
from gan_augment.networks.geometry import Geometry, to_network
from gan_augment.networks.layers import split_verdict
from gan_augment.training.images import new_discriminator
from gan_augment.training.parts import Arrays, below, network_arrays, restored_network

CRITERIA = ("label", "outlier", "copy", "logit")
"""The first criterion that a candidate fails is the reason of its rejection."""

Pixels = NDArray[Any]
Floats = NDArray[np.float64]


class Scores(NamedTuple):
    """Scores of n images of one class.

    label: p(class | image) by the least convinced classifier, (n,).
    distance: to the nearest training row of the class in each classifier's features, (folds, n);
    inf where a classifier knows no row of the class.
    logit: of D, (n,).
    """

    label: Floats
    distance: Floats
    logit: Floats

    def failed(self, t: Thresholds) -> NDArray[np.str_]:
        """Return the first of `CRITERIA` that each image fails, "" for none, (n,).

        outlier: farther than `far` in every fold. copy: nearer than `near` in any, or equal to a
        row.
        """
        reasons = np.full(len(self.label), "", dtype="U9")
        if t.logit is not None:
            reasons[self.logit < t.logit] = "logit"
        if t.near is not None:
            near = self.distance < np.array(t.near)[:, None]
            reasons[(near | (self.distance == 0)).any(axis=0)] = "copy"
        if t.far is not None:
            reasons[(self.distance > np.array(t.far)[:, None]).all(axis=0)] = "outlier"
        if t.label is not None:
            reasons[self.label < t.label] = "label"
        return reasons


@dataclass(frozen=True)
class Selection:
    """The networks that score candidates, and the thresholds that were set at the end of fit.

    classifiers: each trained without one fold of the rows.
    rows: for each classifier {label: float32 (n, 128)}, features of rows that it was trained on.
    discriminator: in its final state, None where no criterion needs it.
    names: the classes by label.
    """

    classifiers: tuple[SmallCNN, ...]
    rows: tuple[dict[int, NDArray[np.float32]], ...]
    discriminator: nn.Module | None
    geometry: Geometry
    compute: ComputeConfig
    names: tuple[str, ...]
    record: SelectionRecord

    def scores(self, pixels: Pixels, label: int) -> Scores:
        """Score images of a class, (n, H, W, C); whole blocks give the same bits everywhere."""
        n = len(pixels)
        of_label, distances = [], [np.empty((0, n))]
        for classifier, rows in zip(self.classifiers, self.rows, strict=True):
            features = classifier.features(pixels)
            of_label.append(classifier.probabilities_of(features)[:, label].astype(np.float64))
            known = label in rows
            distance = nearest_distances(features, rows[label]) if known else np.full(n, np.inf)
            distances.append(distance[None])
        logit = np.full(n, np.nan) if self.discriminator is None else self._logits(pixels, label)
        of_label = of_label or [np.full(n, np.nan)]
        return Scores(np.min(of_label, axis=0), np.concatenate(distances), logit)

    def reasons(self, pixels: Pixels, label: int) -> NDArray[np.str_]:
        """Return the criterion that each image of a class fails, "" where it is kept, (n,)."""
        record = self.record.classes.get(self.names[label])
        if record is None:
            return np.full(len(pixels), "", dtype="U9")
        return self.scores(pixels, label).failed(record.thresholds)

    def of_fold(self, fold: int) -> Selection:
        """Return the selection by the one classifier that saw no row of a fold."""
        one, classes = slice(fold, fold + 1), {}
        for name, own in self.record.classes.items():
            t = own.thresholds
            distances = {"far": t.far and t.far[one], "near": t.near and t.near[one]}
            thresholds = t.model_copy(update=distances)
            classes[name] = own.model_copy(update={"thresholds": thresholds})
        record = self.record.model_copy(update={"folds": 1, "classes": classes})
        return replace(self, classifiers=self.classifiers[one], rows=self.rows[one], record=record)

    def check_served(self, name: str) -> None:
        """Raise TooFewAcceptedError where a class is refused, DataError where it has no row."""
        record = self.record.classes.get(name)
        if record is None:
            raise DataError(
                f"class {name!r} had no training row, so selection has no threshold for it. Add "
                "images of it and fit again."
            )
        if record.refused:
            raise TooFewAcceptedError(record.refused)

    def arrays(self) -> Arrays:
        """Return weights of the networks and the features of rows, below "selection/"."""
        networks = {f"fold-{k}": one.network for k, one in enumerate(self.classifiers)}
        arrays, every = Arrays(), dict[str, nn.Module](networks)
        if self.discriminator is not None:
            every["discriminator"] = self.discriminator
        for part, network in every.items():
            arrays |= {f"selection/{part}/{k}": v for k, v in network_arrays(network).items()}
        for fold, rows in enumerate(self.rows):
            arrays |= {f"selection/rows-{fold}/{label}": v for label, v in rows.items()}
        return arrays

    @classmethod
    def load(
        cls, arrays: Mapping[str, NDArray[np.generic]], meta: ModelMeta, compute: ComputeConfig
    ) -> Selection | None:
        """Read a saved selection, None where the model has none. Raises ModelFileError."""
        record, names = meta.selection, tuple(meta.classes)
        if record is None:
            return None
        own, geometry, discriminator = below(arrays, "selection"), Geometry.of(meta.shape), None
        if any(one.thresholds.logit is not None for one in record.classes.values()):
            discriminator = restored_network(
                lambda: new_discriminator(meta.recipe, geometry, len(names)),
                below(own, "discriminator"),
                compute.device,
            )
        networks = [
            restored_network(
                lambda: new_layers(meta.shape, len(names)),
                below(own, f"fold-{fold}"),
                torch.device("cpu"),
            )
            for fold in range(record.folds)
        ]
        rows = tuple(
            rows_by_label(own, f"rows-{fold}", len(names), FEATURES) for fold in range(record.folds)
        )
        classifiers = tuple(map(SmallCNN, networks))
        return cls(classifiers, rows, discriminator, geometry, compute, names, record)

    def _logits(self, pixels: Pixels, label: int) -> Floats:
        """Return D's logits in blocks of 64: its last layer may compare the images of a batch."""
        assert self.discriminator is not None
        parts, device = [np.empty(0)], self.compute.device
        for start in range(0, len(pixels), BLOCK):
            x = to_network(pixels[start : start + BLOCK], self.geometry.padded).to(device)
            y = torch.full((len(x),), label, device=device)
            with machine.threads(1), torch.inference_mode(), self.compute.autocast():
                logits, _ = split_verdict(self.discriminator(x, y))
            parts.append(logits.double().cpu().numpy())
        return np.concatenate(parts)


def rows_by_label(
    arrays: Mapping[str, NDArray[np.generic]], prefix: str, classes: int, width: int
) -> dict[int, NDArray[np.float32]]:
    """Read {label: float32 (n, width)} from the arrays "prefix/label"; or ModelFileError."""
    rows: dict[int, NDArray[np.float32]] = {}
    for key, value in below(arrays, prefix).items():
        if not key.isdecimal() or int(key) >= classes or value.shape != (len(value), width):
            raise ModelFileError(f"the saved {prefix}/{key} {value.shape} fit no class")
        rows[int(key)] = np.array(value, dtype=np.float32)
    return rows
