"""Scores of generators of images, by kernel distances to held-out rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import nn

from gan_augment.classifier import random_features, train_classifier
from gan_augment.data.batches import Batches
from gan_augment.generators.image_sampler import ImageSampler
from gan_augment.generators.selection import SCORER_ROWS_A_CLASS
from gan_augment.generators.source_rows import BLOCK, partners
from gan_augment.kinds.kind import Labelled
from gan_augment.metrics.distances import kernel_distance, two_sample_test
from gan_augment.metrics.distances import mean_pairwise_distance as spread_of
from gan_augment.metrics.neighbours import copied_share, copy_threshold
from gan_augment.networks.geometry import Geometry
from gan_augment.progress import Progress
from gan_augment.rng import derived_seed, rng_for
from gan_augment.training.monitor import COLLAPSE_SPREAD, Score
from gan_augment.training.parts import Parts

SCORER_STEPS = 300
"""Updates of the classifier whose features the scorer compares."""
GENERATED_A_SCORE, MOST_BLOCKS = 2048, 3
ANCHORS_A_CLASS = 256
REFERENCE_A_CLASS = 200
COMPARED_ROWS, LEAST_COMPARED = 500, 20
COPIES_ALLOWED = 0.2
SCORED_ROW = 0.1
"""Time of drawing or encoding a row for a score, in units of its part of a training step: .1 for
16 px, less for larger images."""

Pixels = NDArray[np.uint8]
Rows = NDArray[np.int64]
Features = NDArray[np.float64]


@dataclass(frozen=True)
class Reference:
    """The real rows of one class, by features of the classifier and of the random network."""

    label: int
    features: tuple[Features, Features]
    spread: float
    seen: bool
    weight: float


class ImageScorer:
    """Scores an averaged generator of images; lower is better.

    value = sum over classes of w_c (MMD^2 in the features of a classifier + MMD^2 in those of a
    random network), both standardised on training rows. Topped-up classes share half the weight.

    A class under 100 rows is compared with its training rows. With over 20 % of copies a free
    generator is not eligible (anchored samples are near training rows by design), and no generator
    with a topped-up class whose spread is under .3 of the real spread.
    """

    def __init__(
        self,
        data: Labelled,
        train: Rows,
        held_out: Rows,
        parts: Parts,
        topped_up: Sequence[str],
        seed: int,
        progress: Progress,
    ) -> None:
        self._data, self._parts, self._seed = data, parts, seed
        progress.phase("training the scorer", SCORER_STEPS)
        classifier = train_classifier(
            data.take(data.first_of_each(train, SCORER_ROWS_A_CLASS)),
            steps=SCORER_STEPS,
            seed=derived_seed(seed, "judge"),
            on_step=progress.advance,
        )
        self._anchors = _rows_by_class(data, train, ANCHORS_A_CLASS, seed)
        self._sizes = dict(enumerate(np.bincount(data.labels[train]).tolist()))
        spaces = (classifier.features, random_features(data.image_shape, seed))
        pool = np.concatenate([rows[:REFERENCE_A_CLASS] for rows in self._anchors.values()])
        self._spaces = tuple(standardised(space, data.pixels[pool]) for space in spaces)
        held_out_of = _rows_by_class(data, held_out, REFERENCE_A_CLASS, seed)
        labels = [label for label, rows in self._anchors.items() if len(rows) >= 2]
        weights = class_weights(labels, data.names, topped_up)
        self._references = []
        for label in labels:
            held = held_out_of.get(label, train[:0])
            seen = len(held) < 2
            own = self._anchors[label][:REFERENCE_A_CLASS] if seen else held
            first, second = (space(data.pixels[own]) for space in self._spaces)
            spread = spread_of(first)
            reference = Reference(label, (first, second), spread, seen, weights[label])
            self._references.append(reference)
        self._rows = _rows_a_class(len(labels))
        self._topped_up = frozenset(topped_up)

    def distinguished(self, network: nn.Module) -> float | None:
        """Return the accuracy of a classifier that distinguishes samples from real rows.

        A logistic regression sees equally many of both by the features of the scorer. Rows are
        held-out ones, or training rows of small classes; None for fewer than `LEAST_COMPARED`.
        """
        sampler = ImageSampler.of(network, self._data, self._anchors, self._sizes, self._parts)
        most, real, fake = -(-COMPARED_ROWS // max(len(self._references), 1)), [], []
        for reference in self._references:
            label, rows = reference.label, np.hstack(reference.features)[:most]
            drawn = sampler.candidates(
                label, self._data.names[label], len(rows), self._seed, "score"
            )
            real += [*rows]
            fake += [*np.hstack([space(drawn) for space in self._spaces])]
        enough = len(real) >= LEAST_COMPARED
        return round(two_sample_test(real, fake).value, 4) if enough else None

    def score(self, network: nn.Module) -> Score:
        """Compare samples with real rows class by class; the noise is the same each time."""
        sampler = ImageSampler.of(network, self._data, self._anchors, self._sizes, self._parts)
        value, parts, eligible = 0.0, {}, True
        watched: dict[str, float] = {}
        for reference in self._references:
            name = self._data.names[reference.label]
            drawn = sampler.candidates(reference.label, name, self._rows, self._seed, "score")
            features = [space(drawn) for space in self._spaces]
            distance = sum(
                max(kernel_distance(real, fake), 0.0)  # below 0, nearer than real rows: no merit
                for real, fake in zip(reference.features, features, strict=True)
            )
            spread = spread_of(features[0]) / max(reference.spread, 1e-12)
            value += reference.weight * distance
            parts[f"{name}/distance"] = round(distance, 5)
            parts[f"{name}/spread"] = round(spread, 4)
            if reference.seen:
                real = reference.features[0]
                copies = copied_share(features[0], real, copy_threshold(real))
                parts[f"{name}/copies"] = round(copies, 4)
                eligible &= sampler.rows_held > 0 or copies <= COPIES_ALLOWED
            if name in self._topped_up:
                watched[name] = spread
                eligible &= spread >= COLLAPSE_SPREAD
        return Score(round(value, 6), parts, eligible, watched)


def class_weights(
    labels: Sequence[int], names: Sequence[str], topped_up: Sequence[str]
) -> dict[int, float]:
    """Give half the weight to the topped-up classes, half to the others, {label: weight}."""
    rare = [label for label in labels if names[label] in set(topped_up)]
    others = [label for label in labels if label not in set(rare)]
    sides = [side for side in (rare, others) if side]
    return {label: 1 / len(sides) / len(side) for side in sides for label in side}


def _rows_by_class(data: Labelled, rows: Rows, most: int, seed: int) -> dict[int, Rows]:
    """Draw up to `most` of the given rows of each class without replacement, {label: (n,)}."""
    chosen = {}
    for label, name in enumerate(data.names):
        own = rows[data.labels[rows] == label]
        if len(own):
            order = rng_for(seed, "score rows", name).permutation(len(own))
            chosen[label] = own[order[:most]]
    return chosen


def standardised(
    space: Callable[[Pixels], NDArray[np.float32]], pixels: Pixels
) -> Callable[[Pixels], Features]:
    """Return a feature map whose features have mean 0 and deviation 1 on the given rows.

    A feature that hardly varies is scaled as if it varied a tenth as much as the others. Otherwise
    it would dominate the cubic kernel.
    """
    features = space(pixels).astype(np.float64)
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    usual = float(np.sqrt(np.mean(deviation**2)))
    scale = np.maximum(deviation, max(usual / 10, 1e-12))
    return lambda x: (space(x).astype(np.float64) - mean) / scale


def training_batches(data: Labelled, parts: Parts, rows: Rows) -> Batches:
    """Return the batches of a recipe among the given rows."""
    other = None
    if parts.recipe.generator.facts.paired:
        other = partners(data)
        rows = rows[other[rows] >= 0]
    return Batches(
        data.pixels,
        data.labels,
        len(data.names),
        size=parts.recipe.batch,
        power=parts.recipe.label_power,
        padded=Geometry.of(data.image_shape).padded,
        device=parts.compute.device,
        among=rows,
        partners=other,
    )


def score_s(data: Labelled, step_s_a_row: float) -> float:
    """Estimate the seconds of a score from those of a training step per row."""
    classes = int((np.bincount(data.labels) >= 2).sum())
    anchors = np.minimum(np.bincount(data.labels), ANCHORS_A_CLASS).sum()
    return SCORED_ROW * step_s_a_row * float(classes * _rows_a_class(classes) + anchors)


def _rows_a_class(classes: int) -> int:
    """Return the number of images per class that a score draws, in whole blocks."""
    return BLOCK * min(max(GENERATED_A_SCORE // BLOCK // max(classes, 1), 1), MOST_BLOCKS)
