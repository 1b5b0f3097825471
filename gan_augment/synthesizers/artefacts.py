"""The real-or-synthetic judge: how easily generated images are told from real ones of their class.

A classifier that can tell them apart will, where only some classes hold generated images: it learns
"synthetic look = rare class". So its accuracy on rows that it never saw says what to expect.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gan_augment.classifiers.small_cnn import SmallCNN, train_classifier
from gan_augment.data.contract import LabelledImages
from gan_augment.randomness import generator
from gan_augment.synthesizers.model_file import ArtefactRecord
from gan_augment.synthesizers.selection import Pixels, p_real

PAIRS_A_CLASS = 100  # for training, and as many for the test
LEAST_PAIRS = 4


@dataclass(frozen=True)
class PairRows:
    """Real rows in two halves: `folds` (n,) gives 0 (training) or 1 (test) for each of `rows`."""

    data: LabelledImages
    rows: NDArray[np.int64]
    folds: NDArray[np.int64]
    seed: int

    def half(self, label: int, fold: int) -> NDArray[np.int64]:
        """The rows of a class in one half, in a drawn order."""
        own = self.rows[(self.folds == fold) & (self.data.labels[self.rows] == label)]
        return generator(self.seed, "artefact rows", label, fold).permutation(own)


@dataclass(frozen=True)
class Pairs:
    """By label, as many real as generated images: of = {label: (training pairs, test pairs)}."""

    of: Mapping[int, int]
    kept: Mapping[int, Pixels]

    @property
    def rows(self) -> int:
        """Images to train on."""
        return 2 * sum(self.of.values())


def pairs_of(halves: PairRows, kept: Mapping[int, Pixels]) -> Pairs | None:
    """As many pairs of each class as both halves and the kept images allow; None if there are none.

    kept: {label: uint8 (n, H, W, C)}, generated. Classes of under 4 pairs are left out.
    """
    of = {}
    for label, images in kept.items():
        real = min(len(halves.half(label, fold)) for fold in (0, 1))
        n = min(real, len(images) // 2, PAIRS_A_CLASS)
        if n >= LEAST_PAIRS:
            of[label] = n
    return Pairs(of, kept) if of else None


def train_judge(halves: PairRows, pairs: Pairs, steps: int, seed: int) -> SmallCNN:
    """A small CNN of two classes, real (0) and synthetic (1), of the first half."""
    real = np.concatenate([halves.half(label, 0)[:n] for label, n in pairs.of.items()])
    fake = np.concatenate([pairs.kept[label][:n] for label, n in pairs.of.items()])
    both = LabelledImages(
        pixels=np.concatenate([halves.data.pixels[real], fake]),
        labels=np.repeat([0, 1], [len(real), len(fake)]).astype(np.int64),
        ids=np.array([f"pair-{i:06d}" for i in range(len(real) + len(fake))]),
        class_names=("real", "synthetic"),
    )
    return train_classifier(both, steps=steps, seed=seed)


def visible(halves: PairRows, pairs: Pairs, judge: SmallCNN) -> ArtefactRecord:
    """How often the judge is right on the second half, and on as many images it never saw."""
    right: dict[str, float] = {}
    for label, n in pairs.of.items():
        real = halves.data.pixels[halves.half(label, 1)[:n]]
        called = p_real(judge, np.concatenate([real, pairs.kept[label][n : 2 * n]])) > 0.5
        right[halves.data.names[label]] = float((called[:n].mean() + (~called[n:]).mean()) / 2)
    sizes = list(pairs.of.values())
    return ArtefactRecord(
        accuracy=round(float(np.average(list(right.values()), weights=sizes)), 4),
        rows=sum(sizes),
        classes={name: round(value, 4) for name, value in right.items()},
    )
