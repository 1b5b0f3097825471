"""Before training: rows held out, the judge trained, a scorer and the batches made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gan_augment.classifiers.small_cnn import train_classifier
from gan_augment.data.batches import PairedBatches
from gan_augment.data.contract import LabelledImages
from gan_augment.data.splits import hold_out
from gan_augment.networks.geometry import Geometry
from gan_augment.progress import Progress
from gan_augment.randomness import derived_seed
from gan_augment.synthesizers.image_scorer import ImageScorer
from gan_augment.training.parts import Parts

JUDGE_STEPS = 300
JUDGE_ROWS_A_CLASS = 2000


@dataclass(frozen=True)
class Prepared:
    """What training needs beside the parts: the rows it may see, their batches, and a scorer."""

    train: NDArray[np.int64]
    batches: PairedBatches
    scorer: ImageScorer


def prepare(
    data: LabelledImages, parts: Parts, topped_up: Sequence[str], seed: int, progress: Progress
) -> Prepared:
    """Hold out rows for scoring and train the judge on the others; pure."""
    rows, held = hold_out(data, seed=seed)
    geometry = Geometry.of(data.image_shape)
    progress.phase("training the judge that scores the generator")
    judge_rows = at_most_a_class(data.labels, rows, JUDGE_ROWS_A_CLASS)
    judge = train_classifier(
        data.take(judge_rows), steps=JUDGE_STEPS, seed=derived_seed(seed, "judge")
    )
    scorer = ImageScorer(
        data,
        rows,
        held,
        topped_up=topped_up,
        judge=judge,
        geometry=geometry,
        machine=parts.machine,
        generator=parts.recipe.generator,
        seed=seed,
    )
    batches = PairedBatches(
        data,
        size=parts.recipe.batch,
        power=parts.recipe.label_power,
        padded=geometry.padded,
        device=parts.machine.device,
        among=rows,
    )
    return Prepared(rows, batches, scorer)


def at_most_a_class(
    labels: NDArray[np.int64], rows: NDArray[np.int64], most: int
) -> NDArray[np.int64]:
    """The first `most` of the given rows of each class, in ascending order."""
    kept = [rows[labels[rows] == label][:most] for label in np.unique(labels[rows])]
    return np.sort(np.concatenate(kept))
