"""Training sets compared by what a small classifier makes of them: a table, a plain sentence.

Paired over seeds; one classifier a set and seed. No generator and no files.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import mean, stdev
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from gan_augment.augment.classical import augment_batch, default_pipeline
from gan_augment.classifiers.small_cnn import train_classifier
from gan_augment.data.contract import LabelledImages, LabelledTable
from gan_augment.progress import Progress, Silent


@dataclass(frozen=True)
class Scores:
    """One classifier on the test rows, all 0..1; `recall` is {class name: share found}."""

    accuracy: float
    rare_recall: float
    recall: Mapping[str, float]


@dataclass(frozen=True)
class Arm:
    """One training set: its name, its number of rows, and the scores of one classifier a seed."""

    name: str
    rows: int
    scores: tuple[Scores, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return asdict(self)


@dataclass(frozen=True)
class Change:
    """A difference paired over seeds: its mean, and the 95 % interval (None for one seed)."""

    mean: float
    interval: tuple[float, float] | None

    @property
    def clear(self) -> int:
        """1 or -1 where the interval leaves out zero, else 0."""
        low, high = self.interval or (-math.inf, math.inf)
        return int(low > 0) - int(high < 0)


def compare(
    sets: Mapping[str, LabelledImages],
    test: LabelledImages,
    rare: Sequence[str],
    *,
    seeds: int,
    steps: int,
    progress: Progress | None = None,
) -> tuple[Arm, ...]:
    """Train a classifier on each set under each seed, for `steps` updates, and score all on `test`.

    All see the same classical augmentation; every row of a set is drawn equally often.
    """
    progress = progress or Silent()
    pipeline = default_pipeline(test.image_shape)

    def augment(pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        return augment_batch(pipeline, pixels, rng)

    progress.phase("comparing classifiers", len(sets) * seeds)
    arms: list[Arm] = []
    for name, data in sets.items():
        scores: list[Scores] = []
        for seed in range(seeds):
            judge = train_classifier(data, steps=steps, seed=seed, augment=augment, balanced=False)
            scores.append(score(judge.predict(test.pixels), test, rare))
            progress.advance(len(arms) * seeds + seed + 1, name)
        arms.append(Arm(name, len(data), tuple(scores)))
    return tuple(arms)


def score(
    found: NDArray[np.int64], test: LabelledImages | LabelledTable, rare: Sequence[str]
) -> Scores:
    """Scores of predicted labels (N,) for the N test rows; every class must have a test row."""
    right = found == test.labels
    recall = {
        name: float(right[test.labels == label].mean()) for label, name in enumerate(test.names)
    }
    return Scores(float(right.mean()), mean(recall[name] for name in rare), recall)


def table(arms: Sequence[Arm], rare: Sequence[str]) -> list[str]:
    """The arms as lines of text in percent: mean and standard deviation over the seeds."""
    classes = list(arms[0].scores[0].recall)
    wide = max(len(arm.name) for arm in arms)
    columns = [f"{name}*" if name in rare else name for name in classes]
    sizes = [max(4, len(column)) + 1 for column in columns]
    head = f"{'':<{wide}}  {'rows':>6}  {'accuracy':>11}  {'rare recall':>11}"
    lines = [head + "".join(f"{c:>{n}}" for c, n in zip(columns, sizes, strict=True))]
    for arm in arms:
        accuracy = _with_spread([s.accuracy for s in arm.scores])
        recall = _with_spread([s.rare_recall for s in arm.scores])
        each = [100 * mean(s.recall[name] for s in arm.scores) for name in classes]
        line = f"{arm.name:<{wide}}  {arm.rows:>6}  {accuracy:>11}  {recall:>11}"
        lines.append(line + "".join(f"{v:>{n}.0f}" for v, n in zip(each, sizes, strict=True)))
    return lines


def change(candidate: Sequence[float], baseline: Sequence[float]) -> Change:
    """The mean of candidate - baseline over paired seeds, with Student's 95 % interval.

    >>> change([0.9, 0.92], [0.9, 0.9]).clear
    0
    """
    differences = [c - b for c, b in zip(candidate, baseline, strict=True)]
    middle, n = mean(differences), len(differences)
    if n < 2:
        return Change(middle, None)
    half = float(stdtrit(n - 1, 0.975)) * stdev(differences) / math.sqrt(n)
    return Change(middle, (middle - half, middle + half))


def verdict(candidate: Arm, baseline: Arm) -> str:
    """What the numbers say of `candidate` against `baseline`, and how far they can be trusted."""
    recall = change(
        [s.rare_recall for s in candidate.scores], [s.rare_recall for s in baseline.scores]
    )
    accuracy = change([s.accuracy for s in candidate.scores], [s.accuracy for s in baseline.scores])
    return (
        f"{candidate.name} against {baseline.name}: rare recall {_in_points(recall)}, accuracy "
        f"{_in_points(accuracy)}: {_judged(recall, accuracy, baseline.name)}."
    )


def _judged(recall: Change, accuracy: Change, baseline: str) -> str:
    if recall.interval is None:
        return "one seed cannot tell a gain from luck"
    if recall.clear < 0 or (accuracy.clear < 0 and recall.clear == 0):
        return f"worse than {baseline} here"
    if recall.clear > 0 and accuracy.clear < 0:
        return f"the rare classes gain over {baseline} here, at the cost of accuracy"
    if recall.clear > 0:
        return f"a gain over {baseline} here"
    return f"no gain over {baseline} here that stands out from the noise of the seeds"


def _in_points(value: Change) -> str:
    points = f"{100 * value.mean:+.1f} points"
    if value.interval is None:
        return points
    low, high = (100 * end for end in value.interval)
    return f"{points} (95 % interval {low:+.1f} to {high:+.1f})"


def _with_spread(values: Sequence[float]) -> str:
    spread = f"{100 * stdev(values):.1f}" if len(values) > 1 else "-"
    return f"{100 * mean(values):.1f} ± {spread}"
