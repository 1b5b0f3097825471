"""Selection: classifiers and D score candidates, stored thresholds decide which are kept.

`select` sets the thresholds at the end of a fit: quantiles of the scores of real rows, by a
classifier that was trained without the fold of these rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from gan_augment import machine
from gan_augment.classifier import SmallCNN, new_layers, train_classifier
from gan_augment.data.groups import judging_folds
from gan_augment.errors import TooFewAcceptedError
from gan_augment.generators.model_file import (
    LEAST_ROWS,
    ClassSelection,
    ModelMeta,
    SelectionRecord,
    Thresholds,
    too_few_rows,
)
from gan_augment.generators.source_rows import BLOCK
from gan_augment.kinds.kind import Labelled
from gan_augment.machine import ComputeConfig
from gan_augment.metrics.neighbours import nearest_distances
from gan_augment.networks.geometry import Geometry, to_network
from gan_augment.networks.layers import split_verdict
from gan_augment.progress import Progress
from gan_augment.recipes import SelectionSettings
from gan_augment.rng import derived_seed, rng_for
from gan_augment.training.images import new_discriminator
from gan_augment.training.parts import Arrays, above, below, network_arrays, restored_network

FOLDS = 2
SCORER_ROWS_A_CLASS = 2000
"""Rows of a class that a classifier learns from; their pixels are copied."""
MOST_UPDATES = 160
MOST_EPOCHS = 30
ROWS_A_CLASS = 200
"""Rows of each fold that candidates are compared with."""
CANDIDATES = 8192
"""Candidates drawn for all classes together, but a block of each at least."""
LEAST_ACCEPTANCE = 0.1

CRITERIA = ("label", "outlier", "copy", "logit")
"""The first criterion that a candidate fails is the reason of its rejection."""

Pixels = NDArray[Any]
Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
Unseen = list[tuple[Floats, Floats]]
"""For each fold, p(class | image) and distance to the nearest seen row of a class's unseen rows."""


class Scores(NamedTuple):
    """Scores of n images of one class.

    label: p(class | image) by the least convinced classifier, (n,). distance: to the nearest
    training row of the class in each classifier's features, (folds, n); inf without such a row.
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

    classifiers: each trained without one fold of the rows. rows: for each classifier {label:
    float32 (n, 128)}, features of rows that it was trained on. discriminator: in its final state,
    None where no criterion needs it. names: the classes by label.
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
        of_label, logit = of_label or [np.full(n, np.nan)], np.full(n, np.nan)
        d = self.discriminator
        # the last layer of D may compare the images of a batch, so batches have a fixed size
        for start in range(0, n, BLOCK) if d is not None else ():
            x = to_network(pixels[start : start + BLOCK], self.geometry.padded)
            y = torch.full((len(x),), label, device=self.compute.device)
            with machine.threads(1), torch.inference_mode(), self.compute.autocast():
                found, _ = split_verdict(cast(nn.Module, d)(x.to(y.device), y))
            logit[start : start + BLOCK] = found.double().cpu().numpy()
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
        """Raise TooFewAcceptedError where a class is refused."""
        record = self.record.classes.get(name)
        if record is not None and record.refused:
            raise TooFewAcceptedError(record.refused)

    def arrays(self) -> Arrays:
        """Return weights of the networks and the features of rows, below "selection/"."""
        arrays = Arrays()
        if self.discriminator is not None:
            arrays |= above(network_arrays(self.discriminator), "selection/discriminator")
        for fold, (one, rows) in enumerate(zip(self.classifiers, self.rows, strict=True)):
            arrays |= above(network_arrays(one.network), f"selection/fold-{fold}")
            arrays |= above(rows, f"selection/rows-{fold}")
        return arrays

    @classmethod
    def load(
        cls, arrays: Mapping[str, NDArray[np.generic]], meta: ModelMeta, compute: ComputeConfig
    ) -> Selection | None:
        """Read a saved selection, None where the model has none."""
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
        rows = tuple(rows_by_label(own, f"rows-{fold}") for fold in range(record.folds))
        classifiers = tuple(map(SmallCNN, networks))
        return cls(classifiers, rows, discriminator, geometry, compute, names, record)


def rows_by_label(
    arrays: Mapping[str, NDArray[np.generic]], prefix: str
) -> dict[int, NDArray[np.float32]]:
    """Return {label: float32 (n, width)} from the arrays "prefix/label"."""
    found = below(arrays, prefix).items()
    return {int(key): np.array(value, dtype=np.float32) for key, value in found}


def select(
    data: Labelled,
    rows: Rows,
    sampler: Any,
    discriminator: nn.Module,
    settings: SelectionSettings,
    seed: int,
    progress: Progress,
) -> Selection:
    """Decide which candidates of each class are kept.

    A class is refused if it has fewer than 8 training rows, or if under a tenth of its candidates
    is kept. rows: the training rows. sampler: an `ImageSampler`.
    """
    counts = np.bincount(data.labels[rows], minlength=len(data.names)).tolist()
    served = [label for label, n in enumerate(counts) if n >= LEAST_ROWS]
    classifiers, known, unseen = _judged_folds(data, rows, served, seed)
    compared = sum(len(own) for of_fold in known for own in of_fold.values())
    selection = Selection(
        classifiers=tuple(classifiers),
        rows=tuple(known),
        discriminator=discriminator if settings.logit else None,
        geometry=sampler.geometry,
        compute=sampler.compute,
        names=data.names,
        record=SelectionRecord(folds=len(classifiers), compared=compared, classes={}),
    )
    progress.advance(FOLDS)
    blocks = max(1, min(settings.candidates, CANDIDATES // max(len(served), 1)) // BLOCK)
    classes: dict[str, ClassSelection] = {}
    for label, name in enumerate(data.names):
        if label in served:
            drawn = sampler.candidates(label, name, blocks * BLOCK, seed, "calibration")
            scores = selection.scores(drawn, label)
            thresholds = _thresholds(settings, unseen[label], scores, not sampler.rows_held)
            classes[name] = _class_selection(name, thresholds, scores.failed(thresholds))
        elif counts[label]:
            classes[name] = ClassSelection(refused=too_few_rows(name, counts[label]))
    record = selection.record.model_copy(update={"classes": classes})
    return replace(selection, record=record)


def folds_of(data: Labelled, rows: Rows, seed: int) -> Rows:
    """Return the fold of each of the given rows, -1 for those that every classifier sees."""
    groups = None if data.groups is None else data.groups[rows]
    return judging_folds(
        data.labels[rows], groups, folds=FOLDS, seed=derived_seed(seed, "selection")
    )


def _judged_folds(
    data: Labelled, rows: Rows, served: list[int], seed: int
) -> tuple[list[SmallCNN], list[dict[int, NDArray[np.float32]]], dict[int, Unseen]]:
    """Train a classifier without each fold; return features it saw, and scores of others."""
    folds, classifiers, features_of = folds_of(data, rows, seed), [], []
    unseen_of: dict[int, Unseen] = {label: [] for label in served}
    for fold in range(FOLDS if served else 0):
        seen, unseen = rows[folds != fold], rows[folds == fold]
        seen = data.first_of_each(seen, SCORER_ROWS_A_CLASS)
        updates = max(10, min(MOST_UPDATES, MOST_EPOCHS * len(seen) // 64))  # of 64 images
        classifier = train_classifier(
            data.take(seen), steps=updates, seed=derived_seed(seed, "fold", fold)
        )
        known: dict[int, NDArray[np.float32]] = {}
        for label in served:
            pixels = []
            for part, which in (("seen", seen), ("unseen", unseen)):
                own = which[data.labels[which] == label]
                order = rng_for(seed, "selection rows", f"{fold} {part}", label)
                pixels.append(data.pixels[order.permutation(own)[:ROWS_A_CLASS]])
            known[label] = classifier.features(pixels[0])
            features = classifier.features(pixels[1])
            p = classifier.probabilities_of(features)[:, label].astype(np.float64)
            unseen_of[label].append((p, nearest_distances(features, known[label])))
        classifiers.append(classifier)
        features_of.append(known)
    return classifiers, features_of, unseen_of


def _thresholds(
    settings: SelectionSettings, unseen: Unseen, scores: Scores, free: bool
) -> Thresholds:
    """Set the thresholds of the active criteria; distances need unseen rows in every fold."""
    label = logit = None
    if settings.label:
        reached = np.concatenate([p for p, _ in unseen])
        reached = reached if len(reached) else np.zeros(1)
        label = max(float(np.quantile(reached, settings.label)), settings.label_least)
    if settings.logit:
        logit = float(np.quantile(scores.logit, settings.logit))
    known = all(len(distance) for _, distance in unseen)

    def at(quantile: float) -> tuple[float, ...] | None:
        if not (quantile and known):
            return None
        return tuple(float(np.quantile(distance, quantile)) for _, distance in unseen)

    near = at(settings.copy_guard) if free else None
    return Thresholds(label=label, far=at(settings.outlier), near=near, logit=logit)


def _class_selection(
    name: str, thresholds: Thresholds, reasons: NDArray[np.str_]
) -> ClassSelection:
    """Describe how selection treats the candidates of a class; refuse it if it keeps under 10 %."""
    shares = {why: round(float(np.mean(reasons == why)), 4) for why in ("", *CRITERIA)}
    acceptance, refused = shares.pop(""), None
    rejected = {why: share for why, share in shares.items() if share}
    if acceptance < LEAST_ACCEPTANCE:
        most = max(rejected, key=lambda why: rejected[why])
        refused = (
            f"selection keeps {acceptance:.1%} of the candidates for {name!r} ({most!r} rejects "
            f"most), and {LEAST_ACCEPTANCE:.0%} are needed: train longer, add images of it, or "
            "fit with --no-selection (selection=False)"
        )
    return ClassSelection(
        thresholds=thresholds, acceptance=acceptance, rejected=rejected, refused=refused
    )
