"""The trial at the end of an image fit: do generated rows help small CNNs on left-out rows?

The training rows are cut into two halves, groups whole. On each half small CNNs learn from real
rows topped up to parity: by repeats, or with half of the added rows generated from anchors of this
half, selected by the classifier that saw no other row. The other half judges. Both arms use mixup.

The trial is optimistic: the generator was trained on both halves, since small classes have no row
to hold out, and half of the rare rows have more to gain than all. The bias is largest where a class
comes from few groups: on magnetic tiles only accuracy shows that rows do harm.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from gan_augment.classifier import train_classifier
from gan_augment.data.groups import unit_of_rows
from gan_augment.data.topup_plan import plan_topup
from gan_augment.generators.generator import Generator, added_rows, with_added
from gan_augment.generators.model_file import TRIED_IMAGES, Estimate, UsefulnessRecord
from gan_augment.generators.selection import FOLDS, folds_of
from gan_augment.kinds.kind import Labelled
from gan_augment.options import TopUp
from gan_augment.progress import Progress
from gan_augment.rng import derived_seed

SHARE, SEEDS, EPOCHS = 0.5, 2, 60
MOST_UPDATES = 300
UPDATES_AN_IMAGE = 3 / 1024  # of eight CNNs: 15 % of a fit
WIDE = 1.282  # standard errors to each side of an interval of 80 %

Rows = NDArray[np.int64]
Floats = NDArray[np.float64]


def updates_within(images: int, rows: int) -> int:
    """Return the updates of each CNN after a fit of so many images on so many rows; 0 for no trial.

    >>> updates_within(25_600, 2000), updates_within(51_200, 2000), updates_within(256_000, 2000)
    (0, 150, 300)
    """
    if images < TRIED_IMAGES:
        return 0
    return min(MOST_UPDATES, int(UPDATES_AN_IMAGE * images), max(EPOCHS * rows // 128, 60))


def try_rows(
    data: Labelled,
    rows: Rows,
    generator_of: Callable[[Rows, int], Generator],
    topped_up: Sequence[str],
    updates: int,
    seed: int,
    progress: Progress,
) -> UsefulnessRecord | None:
    """Compare CNNs of each half with generated rows and without; None without left-out rows."""
    folds = folds_of(data, rows, seed)
    rare, tried = [data.names.index(name) for name in topped_up], folds >= 0
    labels = data.labels[rows]
    if not np.isin(rare, labels[tried]).any():
        return None
    most = max(1, 16 * updates // len(np.unique(labels)))  # generated rows come twice in a run
    right = np.zeros((2, SEEDS, len(rows)))  # p(right class), without generated rows and with them
    for fold in range(FOLDS):
        seen, left_out = rows[folds != fold], folds == fold
        half = data.take(data.first_of_each(seen, most))
        generator = generator_of(seen, fold)
        for arm, share in enumerate((0.0, SHARE)):
            plan = plan_topup(half.counts, TopUp(synthetic_share=share), topped_up)
            added = added_rows(half, plan, generator, derived_seed(seed, "useful"), warns=False)
            trained = with_added(half, added)
            shares = np.bincount(trained.labels, minlength=len(data.names)) / len(trained)
            prior = np.log(shares, where=shares > 0, out=np.full(len(shares), np.inf))
            for number in range(SEEDS):
                own = derived_seed(seed, "usefulness", fold, number)
                cnn = train_classifier(
                    trained, steps=updates, seed=own, balanced=False, mix="mixup"
                )
                # Menon et al. 2021, "Long-tail learning via logit adjustment", eq. 9 with tau 1
                p = softmax(cnn.logits(data.pixels[rows[left_out]]) - prior, axis=1)
                progress.advance(1 + number + SEEDS * (arm + 2 * fold))
                right[arm, number, left_out] = p[np.arange(len(p)), labels[left_out]]
    gain = (right[1] - right[0])[:, tried]
    units = unit_of_rows(None if data.groups is None else data.groups[rows], len(rows))
    return UsefulnessRecord(
        share=SHARE,
        **_estimates(gain, labels[tried], units[tried], folds[tried], rare),
        seeds=SEEDS,
        updates=updates,
        rows=int(tried.sum()),
        rare_rows=int(np.isin(labels[tried], rare).sum()),
    )


def _estimates(
    gain: Floats, labels: Rows, units: Rows, folds: Rows, rare: Sequence[int]
) -> dict[str, Estimate]:
    """Estimate the mean gain of rare classes, of all classes and of all rows, with 80 % intervals.

    gain: by CNN and left-out row, (SEEDS, n). units: rows that belong together. The variance is the
    sum of two: units vary within their class, CNNs between their seeds.
    """
    place, mean = np.unique(units, return_inverse=True)[1], gain.mean(axis=0)
    residual, even, present = mean.copy(), np.empty(len(labels)), np.unique(labels)
    for label in present:
        own = labels == label
        n, even[own] = len(np.unique(place[own])), 1 / own.sum() / len(present)
        residual[own] = (mean[own] - mean[own].mean()) * np.sqrt(n / max(n - 1, 1))
    of_rare = np.where(np.isin(labels, rare), even, 0)
    weights = [of_rare / of_rare.sum(), even, np.full(len(labels), 1 / len(labels))]
    estimates = {}
    for name, weight in zip(("rare_recall", "balanced_accuracy", "accuracy"), weights, strict=True):
        halves = [gain[:, folds == fold] @ weight[folds == fold] for fold in range(FOLDS)]
        of_cnns = sum(half.var(ddof=1) / SEEDS for half in halves)
        of_units = (np.bincount(place, weight * residual) ** 2).sum()
        middle, reach = float(weight @ mean), WIDE * float(np.sqrt(of_units + of_cnns))
        estimates[name] = (round(middle, 4), round(middle - reach, 4), round(middle + reach, 4))
    return estimates
