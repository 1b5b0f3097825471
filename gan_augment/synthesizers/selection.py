"""Which candidates are kept: networks that score them, stored thresholds, the reason of a refusal.

How thresholds are found is in `thresholds.py`; what is drawn in which order in `accepted.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from gan_augment import devices
from gan_augment.classifiers.small_cnn import SmallCNN
from gan_augment.data.pixels import to_network
from gan_augment.devices import Machine
from gan_augment.errors import DataError, TooFewAcceptedError
from gan_augment.metrics.copies import nearest_distances
from gan_augment.networks.geometry import Geometry
from gan_augment.synthesizers.block_sampler import BLOCK
from gan_augment.synthesizers.model_file import SelectionRecord, Thresholds

CRITERIA = ("label", "outlier", "copy", "logit", "artefacts")
"""In the order of trial: the first that a candidate fails is the reason of its rejection."""

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Scores:
    """Of n images of one class, each float64.

    label: p(class | image) of the fold's classifier that believes it least, (n,). distance: to the
    nearest training row of the class, in the features of each fold's classifier, (folds, n); inf
    where a fold has none. logit: of D, (n,). real: p(real), (n,).
    """

    label: NDArray[np.float64]
    distance: NDArray[np.float64]
    logit: NDArray[np.float64]
    real: NDArray[np.float64]


@dataclass(frozen=True)
class Critics:
    """The networks that score a candidate; each sees whole blocks, so that the bytes are the same.

    folds: classifiers, each trained without one fold of the rows. rows: for each of them {label:
    float32 (n, 128)}, its features of rows that it was trained on. discriminator: D as training
    left it, None where no criterion asks it; real: the real-or-synthetic judge, likewise.
    """

    folds: tuple[SmallCNN, ...]
    rows: tuple[dict[int, NDArray[np.float32]], ...]
    discriminator: nn.Module | None
    real: SmallCNN | None
    geometry: Geometry
    machine: Machine

    def scores(self, pixels: Pixels, label: int) -> Scores:
        """What all say of images of a class, uint8 (n, H, W, C)."""
        believed, distances = [], []
        for judge, rows in zip(self.folds, self.rows, strict=True):
            features = judge.features(pixels)
            believed.append(judge.probabilities_of(features)[:, label].astype(np.float64))
            distances.append(
                nearest_distances(features, rows[label])
                if label in rows
                else np.full(len(pixels), np.inf)
            )
        unknown = np.full(len(pixels), np.nan)
        real = unknown if self.real is None else p_real(self.real, pixels)
        return Scores(
            label=np.min(believed, axis=0) if believed else unknown,
            distance=np.stack(distances) if distances else np.empty((0, len(pixels))),
            logit=unknown if self.discriminator is None else self._logits(pixels, label),
            real=real,
        )

    def _logits(self, pixels: Pixels, label: int) -> NDArray[np.float64]:
        """D's logits, in blocks of 64: its last layer may compare the images of a batch."""
        assert self.discriminator is not None
        found, device = [np.empty(0)], self.machine.device
        for start in range(0, len(pixels), BLOCK):
            x = to_network(pixels[start : start + BLOCK], self.geometry.padded).to(device)
            y = torch.full((len(x),), label, device=device)
            with devices.threads(1), torch.inference_mode(), self.machine.autocast():
                logits = self.discriminator(x, y)
            found.append(logits.double().cpu().numpy())
        return np.concatenate(found)


@dataclass(frozen=True)
class Selection:
    """Critics with the thresholds that were fixed at the end of fit. names: classes by label."""

    critics: Critics
    record: SelectionRecord
    names: tuple[str, ...] = field(default=())

    def reasons(self, pixels: Pixels, label: int) -> NDArray[np.str_]:
        """For images of a class, uint8 (n, H, W, C): "" of those kept, else what they fail, (n,).

        Candidates come in whole blocks, or the last bits of a score may be others.
        """
        thresholds = self.record.classes[self.names[label]].thresholds
        return failed(self.critics.scores(pixels, label), thresholds)

    def check_served(self, name: str) -> None:
        """Raise TooFewAcceptedError where a class is refused, DataError where it has no row."""
        found = self.record.classes.get(name)
        if found is None:
            raise DataError(
                f"class {name!r} had no training row, so that nothing says what is worth keeping "
                "of it. Add images of it and fit again."
            )
        if found.refused:
            raise TooFewAcceptedError(found.refused)


def failed(scores: Scores, thresholds: Thresholds) -> NDArray[np.str_]:
    """The first of `CRITERIA` that each image fails, "" for none; (n,).

    outlier: farther than `far` in every fold. copy: nearer than `near` in any, or equal to a row.
    """
    t, n = thresholds, len(scores.label)
    checks = {
        "label": None if t.label is None else scores.label < t.label,
        "outlier": None if t.far is None else (scores.distance > _column(t.far)).all(axis=0),
        "copy": None
        if t.near is None
        else ((scores.distance < _column(t.near)) | (scores.distance == 0)).any(axis=0),
        "logit": None if t.logit is None else scores.logit < t.logit,
        "artefacts": None if t.real is None else scores.real < t.real,
    }
    reasons = np.full(n, "", dtype="U9")
    for name in reversed(CRITERIA):
        found = checks[name]
        if found is not None:
            reasons[found] = name
    return reasons


def p_real(judge: SmallCNN, pixels: Pixels) -> NDArray[np.float64]:
    """The real-or-synthetic judge's p(real) of images, float64 (n,)."""
    return judge.probabilities_of(judge.features(pixels))[:, 0].astype(np.float64)


def _column(values: tuple[float, ...]) -> NDArray[np.float64]:
    return np.array(values)[:, np.newaxis]
