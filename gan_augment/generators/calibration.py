"""Calibration of selection at the end of fit: out-of-fold classifiers, thresholds, detectability.

A candidate is scored by classifiers that were each trained without one fold of the real rows, so
that real rows can be scored alike, unseen; what these reach is what a candidate must reach. What is
accepted is then shown to a real-or-synthetic classifier, the detector: a classifier that can tell
generated images from real ones will, where only some classes hold generated images, learn
"synthetic look = rare class".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import nn

from gan_augment.classifier import SmallCNN, train_classifier
from gan_augment.data.splits import judging_folds
from gan_augment.generators.model_file import (
    ArtefactRecord,
    ClassSelection,
    SelectionRecord,
    Thresholds,
)
from gan_augment.generators.sampling import BLOCK, BlockSampler
from gan_augment.generators.scorer import SCORER_ROWS_A_CLASS, SCORER_STEPS, at_most_a_class
from gan_augment.generators.selection import (
    CRITERIA,
    Critics,
    Pixels,
    Scores,
    Selection,
    failed,
    p_real,
)
from gan_augment.kinds.kind import Labelled
from gan_augment.metrics.copies import nearest_distances
from gan_augment.progress import Progress
from gan_augment.recipes import SelectionSettings
from gan_augment.rng import derived_seed, rng_for

FOLDS = 2
PAIRS_A_CLASS = 100  # for training, and as many for the test
LEAST_PAIRS = 4
CRITIC_STEPS = 160
EPOCHS = 30  # at most, of a small data set
ROWS_A_CLASS = 200  # of each fold: what candidates are compared with
CANDIDATES = 8192  # of all classes together, but a block of each at least
LEAST_ROWS = 8
LEAST_ACCEPTANCE = 0.1


Pairs = Mapping[int, tuple[Pixels, Pixels]]
"""{label: (real images, generated images)}: as many of both, one half to train on, one to test."""


@dataclass(frozen=True)
class Unseen:
    """The scores of real rows of one class that a fold's classifier never saw.

    label: p(class | image), (n,). distance: to the rows it saw, one array (m,) a fold.
    """

    label: NDArray[np.float64]
    distance: tuple[NDArray[np.float64], ...]


def select(
    data: Labelled,
    rows: NDArray[np.int64],
    sampler: BlockSampler,
    discriminator: nn.Module,
    settings: SelectionSettings,
    seed: int,
    progress: Progress,
) -> tuple[Selection, ArtefactRecord | None]:
    """Decide which candidates of each class are accepted, and how detectable these are.

    rows: the training rows; classes of under 8 are refused, and so are those of which under a tenth
    of the candidates is accepted. discriminator: of the last step. progress: told of
    each of FOLDS + 2 classifiers. A pure function.
    """
    counts = np.bincount(data.labels[rows], minlength=len(data.names))
    served = [label for label, n in enumerate(counts.tolist()) if n >= LEAST_ROWS]
    folds = folds_of(data, rows, seed)
    critics, unseen = _critics(data, rows, folds, served, sampler, seed)
    progress.advance(FOLDS)
    if settings.logit:
        critics = replace(critics, discriminator=discriminator)
    blocks = max(1, min(settings.candidates, CANDIDATES // max(len(served), 1)) // BLOCK)

    def calibrated(stream: str) -> tuple[dict[int, ClassSelection], dict[int, Pixels]]:
        """By label: thresholds with the shares they accept, and the accepted candidates."""
        records, accepted = {}, {}
        for label in served:
            name = data.names[label]
            drawn = sampler.rows(label, name, 0, blocks * BLOCK, seed, stream)
            scores = critics.scores(drawn, label)
            thresholds = _thresholds(settings, unseen[label], scores, not sampler.near_rows)
            reasons = failed(scores, thresholds)
            records[label] = _class_selection(name, thresholds, reasons)
            accepted[label] = drawn[reasons == ""]
        return records, accepted

    records, accepted = calibrated("calibration")
    if settings.real and (pairs := pairs_of(data, rows, folds, accepted, seed)):
        detector = train_detector(data, pairs, derived_seed(seed, "selector"))
        critics = replace(critics, real=detector)
        progress.advance(FOLDS + 1)
        records, accepted = calibrated("calibration again")
    artefacts = None
    if pairs := pairs_of(data, rows, folds, accepted, seed):
        detector = train_detector(data, pairs, derived_seed(seed, "artefacts"))
        artefacts = detectability(data.names, pairs, detector)
    classes = {
        name: records.get(label, ClassSelection(refused=_too_few_rows(name, int(counts[label]))))
        for label, name in enumerate(data.names)
        if counts[label]
    }
    compared = sum(len(own) for of_fold in critics.rows for own in of_fold.values())
    record = SelectionRecord(folds=len(critics.folds), compared=compared, classes=classes)
    return Selection(critics, record, data.names), artefacts


def folds_of(data: Labelled, rows: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """The fold of each of the given rows in selection, -1 for those that every classifier saw."""
    return judging_folds(
        data.labels[rows],
        None if data.groups is None else data.groups[rows],
        folds=FOLDS,
        seed=derived_seed(seed, "selection"),
    )


def selection_s(rows: int, scorer_s: float) -> float:
    """How long `select` takes, from the seconds that the scorer's classifier took (300 updates).

    A budget leaves room for it, so it errs on the long side: a third of the updates' time is
    allowed for candidates and features.
    """
    updates = FOLDS * _steps(rows // FOLDS) + _steps(rows)
    return 1.3 * scorer_s * updates / SCORER_STEPS


def _critics(
    data: Labelled,
    rows: NDArray[np.int64],
    folds: NDArray[np.int64],
    served: list[int],
    sampler: BlockSampler,
    seed: int,
) -> tuple[Critics, dict[int, Unseen]]:
    """The classifiers of all folds, and their scores of the rows they never saw."""
    classifiers, seen_rows = [], []
    label_of: dict[int, list[NDArray[np.float64]]] = {label: [] for label in served}
    distance_of: dict[int, list[NDArray[np.float64]]] = {label: [] for label in served}
    for fold in range(FOLDS if served else 0):
        seen, unseen = rows[folds != fold], rows[folds == fold]
        seen = at_most_a_class(data.labels, seen, SCORER_ROWS_A_CLASS)  # they are copied
        classifier = train_classifier(
            data.take(seen), steps=_steps(len(seen)), seed=derived_seed(seed, "fold", fold)
        )
        known: dict[int, NDArray[np.float32]] = {}
        for label in served:
            own = [
                _drawn(which[data.labels[which] == label], seed, f"{fold} {part}", label)
                for part, which in (("seen", seen), ("unseen", unseen))
            ]
            known[label] = classifier.features(data.pixels[own[0]])
            features = classifier.features(data.pixels[own[1]])
            label_of[label].append(
                classifier.probabilities_of(features)[:, label].astype(np.float64)
            )
            distance_of[label].append(nearest_distances(features, known[label]))
        classifiers.append(classifier)
        seen_rows.append(known)
    critics = Critics(
        tuple(classifiers), tuple(seen_rows), None, None, sampler.geometry, sampler.compute
    )
    return critics, {
        label: Unseen(np.concatenate(label_of[label]), tuple(distance_of[label]))
        for label in served
    }


def _thresholds(
    settings: SelectionSettings, unseen: Unseen, scores: Scores, free: bool
) -> Thresholds:
    """Thresholds of the criteria that are on; distances where each fold has unseen rows."""
    label = None
    if settings.label:
        reached = unseen.label if len(unseen.label) else np.zeros(1)
        label = max(float(np.quantile(reached, settings.label)), settings.label_least)
    known = all(len(distance) for distance in unseen.distance)

    def at(quantile: float) -> tuple[float, ...] | None:
        if not (quantile and known):
            return None
        return tuple(float(np.quantile(distance, quantile)) for distance in unseen.distance)

    logit = float(np.quantile(scores.logit, settings.logit)) if settings.logit else None
    real = None if np.isnan(scores.real).any() else float(np.quantile(scores.real, settings.real))
    near = at(settings.copy_guard) if free else None
    return Thresholds(label=label, far=at(settings.outlier), near=near, logit=logit, real=real)


def _class_selection(
    name: str, thresholds: Thresholds, reasons: NDArray[np.str_]
) -> ClassSelection:
    shares = {why: round(float(np.mean(reasons == why)), 4) for why in ("", *CRITERIA)}
    acceptance = shares.pop("")
    rejected = {why: share for why, share in shares.items() if share}
    refused = None
    if acceptance < LEAST_ACCEPTANCE:
        most = max(rejected, key=lambda why: rejected[why])
        refused = (
            f"{acceptance:.1%} of the candidates for {name!r} are worth keeping ({most!r} drops "
            f"most), and {LEAST_ACCEPTANCE:.0%} are needed: train longer, add images of it, or "
            "fit with --no-selection (selection=False), which keeps every candidate"
        )
    return ClassSelection(
        thresholds=thresholds, acceptance=acceptance, rejected=rejected, refused=refused
    )


def _too_few_rows(name: str, n: int) -> str:
    return (
        f"{n} training image{'s' * (n != 1)} of {name!r} cannot say what is worth keeping, "
        f"{LEAST_ROWS} can: add images of it, or fit with --no-selection (selection=False), which "
        "keeps every candidate"
    )


def _drawn(rows: NDArray[np.int64], seed: int, which: str, label: int) -> NDArray[np.int64]:
    """At most 200 of the given rows, drawn without replacement."""
    order = rng_for(seed, "selection rows", which, label).permutation(len(rows))
    return rows[order[:ROWS_A_CLASS]]


def _steps(rows: int) -> int:
    """Updates of 64 images of a classifier of so many rows: 160, fewer where rows are few."""
    return max(10, min(CRITIC_STEPS, EPOCHS * rows // 64))


def pairs_of(
    data: Labelled,
    rows: NDArray[np.int64],
    folds: NDArray[np.int64],
    generated: Mapping[int, Pixels],
    seed: int,
) -> Pairs:
    """As many pairs of each class as two folds of real rows and the generated images allow.

    generated: {label: uint8 (n, H, W, C)}. Classes of under 4 pairs are left out.
    """
    pairs = {}
    for label, images in generated.items():
        halves = []
        for fold in (0, 1):
            own = rows[(folds == fold) & (data.labels[rows] == label)]
            halves.append(rng_for(seed, "artefact rows", label, fold).permutation(own))
        n = min(*map(len, halves), len(images) // 2, PAIRS_A_CLASS)
        if n >= LEAST_PAIRS:
            pairs[label] = (
                data.pixels[np.concatenate([half[:n] for half in halves])],
                images[: 2 * n],
            )
    return pairs


def train_detector(data: Labelled, pairs: Pairs, seed: int) -> SmallCNN:
    """A small CNN of two classes, real (0) and synthetic (1), of the first half of the pairs.

    data: what the pairs are of, images or signals.
    """
    sides = [
        np.concatenate([pair[side][: len(pair[side]) // 2] for pair in pairs.values()])
        for side in (0, 1)
    ]
    n = len(sides[0])
    labels = np.repeat([0, 1], n).astype(np.int64)
    ids = np.array([f"pair-{i:06d}" for i in range(2 * n)])
    of_two = replace(data.take([]), class_names=("real", "synthetic"))
    both = of_two.with_rows(np.concatenate(sides), labels, ids)
    return train_classifier(both, steps=_steps(2 * n), seed=seed)


def detectability(names: Sequence[str], pairs: Pairs, detector: SmallCNN) -> ArtefactRecord:
    """How often the detector is right on the second half of the pairs, which it never saw."""
    accuracy, sizes = {}, []
    for label, (real, generated) in pairs.items():
        n = len(real) // 2
        calls = p_real(detector, np.concatenate([real[n:], generated[n:]])) > 0.5
        accuracy[names[label]] = float((calls[:n].mean() + (~calls[n:]).mean()) / 2)
        sizes.append(n)
    return ArtefactRecord(
        accuracy=round(float(np.average(list(accuracy.values()), weights=sizes)), 4),
        rows=sum(sizes),
        classes={name: round(value, 4) for name, value in accuracy.items()},
    )
