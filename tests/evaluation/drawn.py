"""Small data that is drawn, and a generator for it that takes no time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from gan_augment.data.arrays import from_arrays
from gan_augment.data.tables.reader import read_frame
from gan_augment.evaluation.options import EvaluationOptions
from gan_augment.kinds.image import IMAGE
from gan_augment.kinds.kind import Labelled

COUNTS = {"common": 60, "rare": 16}
OF_FIT = {"classes": "classes", "steps": "steps", "seed": "seed", "gan_budget": "budget"}


def options(**more: Any) -> EvaluationOptions:
    """Options of an evaluation, those of its fits among them."""
    return changed(EvaluationOptions(), **more)


def changed(base: EvaluationOptions, **more: Any) -> EvaluationOptions:
    """Other options with these settings, checked."""
    fit = {OF_FIT[name]: more.pop(name) for name in list(more) if name in OF_FIT}
    values = {name: getattr(base, name) for name in EvaluationOptions.model_fields}
    values["fit"] = base.fit.model_copy(update=fit)
    return EvaluationOptions.checked({**values, **more}, "test")


def table(
    counts: dict[str, int] | None = None,
    *,
    seed: int = 0,
    missing: float = 0.0,
    groups: np.ndarray | None = None,
) -> Labelled:
    """Two numbers that tell the classes apart, one that does not, and a level; rows in any order.

    missing: the share of the cells of the first number that are missing.
    """
    counts = counts or COUNTS
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(len(counts)), list(counts.values())))
    n = len(labels)
    frame = pd.DataFrame(rng.normal(size=(n, 3)), columns=["a", "b", "c"])
    frame["a"] += 1.2 * labels
    frame["b"] -= labels * (labels > 0)
    frame["level"] = np.array(list("uvw"))[(labels + rng.integers(0, 2, n)) % 3]
    frame.loc[rng.random(n) < missing, "a"] = np.nan
    found = read_frame(frame, y=np.array(list(counts))[labels]).table
    return replace(found, groups=groups)


def digits(rows: int = 90, rare: int = 12) -> Labelled:
    """Pictures of 8 px of three digits, the last one rare."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(n_class=3, return_X_y=True)
    kept = [
        np.flatnonzero(labels == digit)[: rare if digit == 2 else rows // 2] for digit in (0, 1, 2)
    ]
    chosen = np.sort(np.concatenate(kept))
    scaled = np.rint(pixels[chosen].reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    return from_arrays(scaled, labels[chosen])


def pictures(counts: dict[str, int], seed: int = 0, groups: np.ndarray | None = None) -> Labelled:
    """Class k is brighter by 60 k, noise on all; 8 x 8 px, one class after the other."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), list(counts.values()))
    pixels = (labels * 60 + 60)[:, None, None, None] + rng.integers(-30, 30, (len(labels), 8, 8, 1))
    ids = np.array([f"image-{i}" for i in range(len(labels))])
    return IMAGE.of(pixels.astype(np.uint8), labels, ids, groups=groups, class_names=tuple(counts))


class Noisy:
    """A plug-in: training rows again, their numbers slightly moved. One setting, `spread`."""

    def __init__(self, spread: float = 0.05) -> None:
        self.spread = spread

    def fit(self, data: Labelled) -> Noisy:
        self.data_, self.classes_ = data, data.counts
        return self

    def sample(self, counts: dict[str, int], random_state: int = 0) -> Labelled:
        return drawn_again(self.data_, counts, random_state, self.spread)


class NoisyPictures:
    """The same for pictures, whose pixels it moves by up to 8 of 255."""

    def fit(self, data: Labelled) -> NoisyPictures:
        self.data_, self.classes_ = data, data.counts
        return self

    def sample(self, counts: dict[str, int], random_state: int = 0) -> Labelled:
        data, rng = self.data_, np.random.default_rng(random_state % 2**32)
        own = {name: np.flatnonzero(data.labels == data.names.index(name)) for name in counts}
        rows = np.concatenate([rng.choice(own[name], n) for name, n in counts.items()])
        moved = data.pixels[rows] + rng.integers(-8, 9, data.pixels[rows].shape)
        ids = np.array([f"made-{i}" for i in range(len(rows))])
        pixels = np.clip(moved, 0, 255).astype(np.uint8)
        return replace(data, rows=pixels, labels=data.labels[rows], ids=ids, groups=None)


def drawn_again(data: Labelled, counts: dict[str, int], seed: int, spread: float) -> Labelled:
    """Exactly `counts` rows of `data`, drawn with replacement, numbers moved by `spread`."""
    rng = np.random.default_rng(seed % 2**32)
    rows: list[Any] = [
        rng.choice(np.flatnonzero(data.labels == data.names.index(name)), n)
        for name, n in counts.items()
    ]
    again = np.concatenate([np.empty(0, np.int64), *rows])
    frame = data.frame.iloc[again].reset_index(drop=True)
    for name in ("a", "b", "c"):
        frame[name] += rng.normal(0, spread, len(frame))
    ids = np.array([f"made-{i}" for i in range(len(frame))], dtype=np.str_)
    return replace(data, rows=frame, labels=data.labels[again], ids=ids, groups=None)
