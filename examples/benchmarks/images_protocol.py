"""How the benchmarks of images are run: the rows of a task, its arms, what is measured of samples.

A classifier is read off twice: at its own decision, and at the one corrected for even classes.

Fashion-MNIST is cut in two by a fixed shuffle of every class: 700 rows for whatever is chosen, 300
that only the last comparison is tested on. No recipe, share or threshold was chosen on those 300.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gan_augment import TopUp
from gan_augment.classifier import SmallCNN, train_classifier
from gan_augment.data.topup_plan import plan_topup
from gan_augment.evaluation.learners import Training, small_cnn
from gan_augment.generators.baselines import Repeats
from gan_augment.generators.generator import added_rows, with_added
from gan_augment.kinds.image import IMAGE
from gan_augment.kinds.kind import Labelled
from gan_augment.metrics.distances import mean_pairwise_distance
from gan_augment.metrics.neighbours import copied_share, copy_threshold

Pixels = NDArray[np.uint8]
Rows = NDArray[np.int64]

FASHION = "fashion_mnist_test10k"
SCREENED = {10: (1, 5, 9), 11: (0, 2, 7), 12: (2, 4, 6)}
CONFIRMED = {0: (0, 5, 8), 1: (2, 3, 9), 2: (4, 6, 7), 3: (2, 4, 6), 4: (5, 7, 9)}
"""In 3 and 4 the rare classes are each other's nearest: pullover, coat, shirt; three shoes."""
RARE_ROWS, OTHER_ROWS, CHOOSING_ROWS = 30, 500, 700
JUDGE_STEPS, JUDGED_ROWS = 1500, 500
CIFAR_RARE = {0: (1, 3, 5), 1: (0, 2, 8)}
SIGNS_RARE = {3: (1, 2, 5), 10: (1, 2, 4, 5, 7, 8, 10, 12, 13, 38)}
SIGN_ROWS = 15


@dataclass(frozen=True)
class Task:
    """One draw of rows. train: what a generator and a classifier learn from. unseen: all other
    rows, for the judge. test: those of them that a classifier is tested on. rare: labels."""

    name: str
    seed: int
    train: Labelled
    unseen: Labelled
    test: Labelled
    rare: tuple[int, ...]

    @property
    def rare_names(self) -> list[str]:
        """The names of the rare classes."""
        return [self.train.names[label] for label in self.rare]


def fashion(folder: Path, seed: int, others: int = OTHER_ROWS, rare_rows: int = RARE_ROWS) -> Task:
    """Seven classes of `others` rows, three of `rare_rows`. Seeds of SCREENED see 700 alone."""
    images = read(folder / f"{FASHION}.npz")
    choosing = seed in SCREENED
    rare = SCREENED[seed] if choosing else CONFIRMED[seed]
    fixed, rng = np.random.default_rng(999), np.random.default_rng(seed)
    train, unseen, test = [], [], []
    for label in range(len(images.names)):
        shuffled = fixed.permutation(np.flatnonzero(images.labels == label))
        kept, last = shuffled[:CHOOSING_ROWS], shuffled[CHOOSING_ROWS:]
        drawn = rng.permutation(kept)
        n = rare_rows if label in rare else others
        train.append(drawn[:n])
        rest = drawn[n : n + 300] if choosing else drawn[n:]
        test.append(rest if choosing else last)
        unseen.append(rest if choosing else np.concatenate([rest, last]))
    parts = [images.take(np.concatenate(rows)) for rows in (train, unseen, test)]
    return Task("fashion_mnist", seed, parts[0], parts[1], parts[2], rare)


def by_groups(folder: Path, name: str, seed: int, rare: tuple[int, ...], most: int | None) -> Task:
    """Half of the groups to learn from, half to test on; `most`: rows a rare class is cut to."""
    images = read(folder / f"{name}.npz")
    assert images.groups is not None
    rng = np.random.default_rng(seed)
    groups = np.unique(images.groups)
    mine = np.isin(images.groups, rng.permutation(groups)[: len(groups) // 2])
    train = []
    for label in range(len(images.names)):
        own = rng.permutation(np.flatnonzero(mine & (images.labels == label)))
        train.append(own[:most] if label in rare else own)
    unseen = images.take(np.flatnonzero(~mine))
    return Task(name, seed, images.take(np.concatenate(train)), unseen, unseen, rare)


def blood_cells(folder: Path, seed: int) -> Task:
    """White cells and platelets cut to 30 rows each, by smear."""
    return by_groups(folder, "blood_cells_32", seed, (1, 2), RARE_ROWS)


def magnetic_tiles(folder: Path, seed: int, side: int = 32) -> Task:
    """The five kinds of defect as they are, by tile."""
    return by_groups(folder, f"magnetic_tile_{side}", seed, (1, 2, 3, 4, 5), None)


def cifar(
    folder: Path, seed: int, rare: tuple[int, ...] | None = None, others: int = OTHER_ROWS
) -> Task:
    """Seven classes of `others` rows and three of 30, tested on the source's test rows."""
    images, rare = read(folder / "cifar10_dev.npz"), rare or CIFAR_RARE[seed]
    with np.load(folder / "cifar10_dev.npz") as arrays:
        is_test = arrays["split"] == 1
    rng, train = np.random.default_rng(seed), []
    for label in range(len(images.names)):
        own = rng.permutation(np.flatnonzero((images.labels == label) & ~is_test))
        train.append(own[: RARE_ROWS if label in rare else others])
    unseen = images.take(np.flatnonzero(is_test))
    return Task("cifar10_dev", seed, images.take(np.concatenate(train)), unseen, unseen, rare)


def signs(folder: Path, seed: int, rare: int) -> Task:
    """43 traffic signs, half of the tracks to learn from, `rare` classes of them cut to 15 rows."""
    task = by_groups(folder, "gtsrb_dev_32", seed, SIGNS_RARE[rare], SIGN_ROWS)
    return replace(task, name=f"gtsrb_dev_32 ({rare})")


TASKS: Mapping[str, Callable[[Path, int], Task]] = {
    "fashion_mnist": fashion,
    "cifar10_dev": cifar,
    "gtsrb_dev_32 (3)": functools.partial(signs, rare=3),
    "gtsrb_dev_32 (10)": functools.partial(signs, rare=10),
    "blood_cells_32": blood_cells,
    "magnetic_tile_32": magnetic_tiles,
    "magnetic_tile_64": functools.partial(magnetic_tiles, side=64),
}


def read(path: Path) -> Labelled:
    """The images of an `.npz` of the data folder; a group of -1 stands alone."""
    with np.load(path) as found:
        names = tuple(str(name) for name in found["class_names"])
        groups = found["groups"]
        return IMAGE.of(
            rows=found["images"],
            labels=found["labels"].astype(np.int64),
            ids=np.array([f"row-{row}" for row in range(len(found["labels"]))]),
            groups=groups.astype(np.int64) if (groups >= 0).any() else None,
            class_names=names,
        )


@dataclass(frozen=True)
class Drawn:
    """Rows of every class that were drawn beforehand, as a synthesizer that gives them out."""

    rows: Mapping[str, Pixels]
    classes_: dict[str, int]

    def fit(self, data: Labelled) -> Drawn:
        """Nothing is learned."""
        return self

    def sample(self, counts: Mapping[str, int], random_state: int = 0) -> Labelled:
        """The first rows of each class."""
        names = tuple(self.classes_)
        pixels = np.concatenate([self.rows[name][:n] for name, n in counts.items()])
        labels = np.repeat([names.index(name) for name in counts], list(counts.values()))
        ids = np.array([f"drawn-{i}" for i in range(len(labels))])
        return IMAGE.of(pixels, labels.astype(np.int64), ids, class_names=names)


def training_set(
    task: Task, made: Mapping[str, Pixels] | None, share: float, companions: bool
) -> Labelled:
    """The training rows topped up to parity; `share` of what is added is of `made`."""
    if made is None:
        plan = plan_topup(task.train.counts, TopUp(synthetic_share=0.0), task.rare_names)
        source: Any = Repeats().fit(task.train)
    else:
        top_up = TopUp(synthetic_share=share, companions=companions)
        plan = plan_topup(task.train.counts, top_up, task.rare_names)
        source = Drawn(made, task.train.counts)
    return with_added(task.train, added_rows(task.train, plan, source, task.seed))


def classified(
    task: Task, data: Labelled, seed: int, steps: int, method: str = ""
) -> dict[str, float]:
    """A small CNN on `data` under classical augmentation: its recalls on the test rows, 0..1.

    method: a name of `evaluation.options.RIVALS`, or "". Figures named corrected_*: at logits minus
    the log of the class shares trained on (Menon et al. 2021, tau 1), a decision for even classes.
    """
    training = Training(task.train, data, method=method)
    logits = small_cnn(training, seed, steps).logits(task.test.pixels)
    corrected = logits - np.log(np.maximum(training.class_shares(), 1e-9))
    return figures(task, logits) | {
        f"corrected_{name}": value for name, value in figures(task, corrected).items()
    }


def figures(task: Task, logits: NDArray[np.floating]) -> dict[str, float]:
    """Rare recall, balanced accuracy and accuracy, 0..1, of logits (test rows, K)."""
    right = logits.argmax(axis=1) == task.test.labels
    recall = {label: float(right[task.test.labels == label].mean()) for label in present(task.test)}
    return {
        "rare_recall": float(np.mean([recall[label] for label in task.rare if label in recall])),
        "balanced_accuracy": float(np.mean(list(recall.values()))),
        "accuracy": float(right.mean()),
    }


def present(data: Labelled) -> list[int]:
    """The labels that have rows."""
    return [int(label) for label in np.unique(data.labels)]


@dataclass(frozen=True)
class Judge:
    """A CNN of 80 % of the unseen rows; recall: of the other 20 %, {label: 0..1}."""

    network: SmallCNN
    recall: Mapping[int, float]

    @classmethod
    def of(cls, task: Task) -> Judge:
        """Trained for a task; groups stay on one side."""
        rows, rng = task.unseen, np.random.default_rng(5)
        unit = np.arange(len(rows)) if rows.groups is None else rows.groups
        units = rng.permutation(np.unique(unit))
        learned = np.isin(unit, units[: round(0.8 * len(units))])
        network = train_classifier(rows.take(np.flatnonzero(learned)), steps=JUDGE_STEPS, seed=77)
        other = rows.take(np.flatnonzero(~learned))
        right = network.predict(other.pixels) == other.labels
        recall = {label: float(right[other.labels == label].mean()) for label in present(other)}
        return cls(network, recall)


def looked_at(task: Task, judge: Judge, made: Mapping[str, Pixels]) -> dict[str, float]:
    """What the judge makes of samples {class: pixels}; means over classes, shares 0..1.

    agreement_*: share called by their label over the recall of unseen rows, of classes that the
    judge finds at all. spread: mean pairwise
    distance of features, over that of unseen rows. identical: rare samples that are training rows,
    byte for byte. near: nearer to a training row than 99 % of unseen rows of the class are.
    """
    agreement: dict[int, float] = {}
    spread, identical, near = [], [], []
    for label, name in enumerate(task.train.names):
        drawn = made[name][:JUDGED_ROWS]
        if judge.recall.get(label):
            called = judge.network.predict(drawn) == label
            agreement[label] = float(called.mean()) / judge.recall[label]
        if label in task.rare:
            own = task.train.pixels[task.train.labels == label]
            other = task.unseen.pixels[task.unseen.labels == label][:JUDGED_ROWS]
            known = {row.tobytes() for row in own}
            identical.append(np.mean([row.tobytes() in known for row in drawn]))
            features = [judge.network.features(rows) for rows in (drawn, own, other)]
            spread.append(mean_pairwise_distance(features[0]) / mean_pairwise_distance(features[2]))
            limit = copy_threshold(features[1], features[2])
            near.append(copied_share(features[0], features[1], limit))
    common = [value for label, value in agreement.items() if label not in task.rare]
    rare = [value for label, value in agreement.items() if label in task.rare]
    return {
        "agreement_rare": float(np.mean(rare)),
        "agreement_common": float(np.mean(common)),
        "spread": float(np.mean(spread)),
        "identical": float(np.mean(identical)),
        "near": float(np.mean(near)),
    }


def told_apart(task: Task, made: Mapping[str, Pixels]) -> float:
    """Balanced accuracy of a CNN that tells unseen rows from samples, on rows it has not seen.

    As many of each class on both sides, half of them to learn from; .5: it cannot.
    """
    real, fake = [], []
    for label, name in enumerate(task.train.names):
        own = task.unseen.pixels[task.unseen.labels == label][: min(200, len(made[name]))]
        real.append(own)
        fake.append(made[name][: len(own)])
    sides = [np.concatenate(side) for side in (real, fake)]
    half = np.arange(len(sides[0])) % 2 == 0
    pixels = np.concatenate([side[half] for side in sides])
    labels = np.repeat([0, 1], half.sum())
    ids = np.array([f"row-{i}" for i in range(len(labels))])
    judge = train_classifier(
        IMAGE.of(pixels, labels, ids, class_names=("real", "generated")), steps=300, seed=3
    )
    right = [(judge.predict(side[~half]) == k).mean() for k, side in enumerate(sides)]
    return float(np.mean(right))
