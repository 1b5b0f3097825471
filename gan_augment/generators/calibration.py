"""Calibration of selection at the end of a fit: out-of-fold classifiers and thresholds.

Each classifier is trained without one fold of the real rows, so its scores of these rows are
unbiased. A threshold is a quantile of these scores.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from torch import nn

from gan_augment.classifier import train_classifier
from gan_augment.data.groups import judging_folds
from gan_augment.generators import scorer
from gan_augment.generators.image_sampler import ImageSampler
from gan_augment.generators.model_file import ClassSelection, SelectionRecord, Thresholds
from gan_augment.generators.selection import CRITERIA, Floats, Scores, Selection
from gan_augment.generators.source_rows import BLOCK
from gan_augment.kinds.kind import Labelled
from gan_augment.metrics.neighbours import nearest_distances
from gan_augment.progress import Progress
from gan_augment.recipes import SelectionSettings
from gan_augment.rng import derived_seed, rng_for

FOLDS = 2
MOST_UPDATES = 160
MOST_EPOCHS = 30
ROWS_A_CLASS = 200
"""Rows of each fold that candidates are compared with."""
CANDIDATES = 8192
"""Candidates drawn for all classes together, but a block of each at least."""
LEAST_ROWS = 8
LEAST_ACCEPTANCE = 0.1

Rows = NDArray[np.int64]
Unseen = list[tuple[Floats, Floats]]
"""For each fold, the scores of one class's real rows by the classifier that never saw them.

The scores are p(class | image) and the distance to the nearest row that the classifier saw.
"""


def select(
    data: Labelled,
    rows: Rows,
    sampler: ImageSampler,
    discriminator: nn.Module,
    settings: SelectionSettings,
    seed: int,
    progress: Progress,
) -> Selection:
    """Decide which candidates of each class are kept.

    A class is refused if it has fewer than 8 training rows, or if under a tenth of its candidates
    is kept. rows: the training rows. progress: advanced for each of `FOLDS` classifiers.
    """
    counts = np.bincount(data.labels[rows], minlength=len(data.names)).tolist()
    served = [label for label, n in enumerate(counts) if n >= LEAST_ROWS]
    selection, unseen = _uncalibrated(data, rows, served, sampler, seed)
    if settings.logit:
        selection = replace(selection, discriminator=discriminator)
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
            refused = (
                f"{name!r} has {counts[label]} training image(s), and selection needs "
                f"{LEAST_ROWS}: add images of it, or fit with --no-selection (selection=False)"
            )
            classes[name] = ClassSelection(refused=refused)
    compared = sum(len(own) for of_fold in selection.rows for own in of_fold.values())
    folds = len(selection.classifiers)
    record = SelectionRecord(folds=folds, compared=compared, classes=classes)
    return replace(selection, record=record)


def folds_of(data: Labelled, rows: Rows, seed: int) -> Rows:
    """Return the fold of each of the given rows, -1 for those that every classifier sees."""
    return judging_folds(
        data.labels[rows],
        None if data.groups is None else data.groups[rows],
        folds=FOLDS,
        seed=derived_seed(seed, "selection"),
    )


def _uncalibrated(
    data: Labelled, rows: Rows, served: list[int], sampler: ImageSampler, seed: int
) -> tuple[Selection, dict[int, Unseen]]:
    """Train the classifiers of all folds, and score the rows that they never saw."""
    folds, classifiers, features_of = folds_of(data, rows, seed), [], []
    unseen_of: dict[int, Unseen] = {label: [] for label in served}
    for fold in range(FOLDS if served else 0):
        seen, unseen = rows[folds != fold], rows[folds == fold]
        # their pixels are copied
        seen = scorer.at_most_a_class(data.labels, seen, scorer.SCORER_ROWS_A_CLASS)
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
    return Selection(
        tuple(classifiers),
        tuple(features_of),
        None,
        sampler.geometry,
        sampler.compute,
        data.names,
        SelectionRecord(folds=len(classifiers), compared=0, classes={}),
    ), unseen_of


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
