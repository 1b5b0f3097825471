"""Two forms of SMOTE that the benchmarks compare: Gaussian neighbourhoods, and a tuned k."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Self

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.groups import judging_folds
from gan_augment.data.tables.schema import TableSchema
from gan_augment.generators.baselines import Smote
from gan_augment.kinds.kind import Labelled
from gan_augment.rng import rng_for

CELLS_AT_ONCE = 1 << 22


class GaussianSmote(Smote):
    """Draws rows from a normal distribution fitted to the neighbourhood of a row of the class.

    A row x of the class and its K nearest of the class have the mean m and the covariance
    S = 1 / (K + 1) sum (x_i - m)(x_i - m)^T; a new row is drawn from N(m, S), and its levels are
    those that most of the K + 1 hold. K is `k_neighbors`, by default max(5, d + 1) of d numbers,
    at most all others of the class; near is what is near in numbers of unit variance, a differing
    level being a distance of 1. It takes no class of one row.

    Source: Sakho, Malherbe & Scornet 2024 (arXiv 2402.03819), "multivariate Gaussian SMOTE".
    """

    def __init__(self, k_neighbors: int | None = None) -> None:
        super().__init__(1 if k_neighbors is None else k_neighbors)
        self._widest = k_neighbors is None

    def _grown(self, requested: Mapping[int, int], random_state: int) -> NDArray[np.floating]:
        y, scaled = self._data.labels, _unit_features(self._X, self._coded)
        made = [self._X[:0]]
        for label, n in requested.items():
            own = np.flatnonzero(y == label)
            k = max(5, int((~self._coded).sum()) + 1) if self._widest else self.k_neighbors
            near = own[_neighbourhoods(scaled[own], min(k, len(own) - 1))]  # (class rows, K + 1)
            rng = rng_for(random_state, "gaussian-smote", self._data.names[label])
            at_once = max(1, CELLS_AT_ONCE // (near.shape[1] ** 2 * self._X.shape[1]))
            for start in range(0, n, at_once):
                around = near[rng.integers(len(own), size=min(at_once, n - start))]
                made.append(self._around(self._X[around], rng))
        return np.concatenate(made)

    def _around(
        self, hoods: NDArray[np.floating], rng: np.random.Generator
    ) -> NDArray[np.floating]:
        """(n, K + 1, columns) -> (n, columns): a draw from the normal of each neighbourhood."""
        rows, numbers = hoods[:, 0].copy(), ~self._coded
        mean = hoods[:, :, numbers].mean(axis=1)
        apart = hoods[:, :, numbers] - mean[:, None]  # A, whose A^T A / (K + 1) is the covariance
        z = rng.standard_normal(hoods.shape[:2]) / np.sqrt(hoods.shape[1])
        rows[:, numbers] = mean + np.einsum("nk,nkd->nd", z, apart)
        rows[:, self._coded] = _most_common(hoods[:, :, self._coded])
        return rows


class TunedSmote(Smote):
    """`Smote` with the number of neighbours that cross-validation of the training rows prefers.

    Three folds: of each k of `NEIGHBOURS` that the classes allow, the rows that are seen are topped
    up to parity, a logistic regression is trained on them, and the highest mean recall on the rows
    held out decides; among equals the k nearest to 5. `k_neighbors` is the chosen one after `fit`.
    """

    NEIGHBOURS = (1, 3, 5, 10)

    def fit(self, data: Labelled, *, schema: TableSchema | None = None) -> Self:
        """Choose k, then do as `Smote.fit` does."""
        super().fit(data, schema=schema)
        folds = judging_folds(data.labels, data.groups, folds=3, seed=0)
        splits = [(folds != fold, folds == fold) for fold in range(3)]
        known = [split for split in splits if split[1].any() and len(np.unique(data.labels)) > 1]
        sizes = [np.bincount(data.labels[seen], minlength=len(data.names)) for seen, _ in known]
        least = min((int(n[n > 1].min()) for n in sizes if (n > 1).any()), default=2)
        tried = {min(k, least - 1) for k in self.NEIGHBOURS}
        recall = {k: sum(self._recall(k, *split) for split in known) for k in sorted(tried)}
        self.k_neighbors = max(recall, key=lambda k: (round(recall[k], 12), -abs(k - 5)))
        return self

    def _recall(self, k: int, seen: NDArray[np.bool_], held: NDArray[np.bool_]) -> float:
        """Mean recall on the rows held out, trained on those seen and on SMOTE's of `k`."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression
        from sklearn.metrics import recall_score

        y = self._data.labels
        sizes = np.bincount(y[seen])
        counts = {label: int(sizes.max()) for label in np.flatnonzero(sizes > k).tolist()}
        sampler = self._imblearn(counts, k, 0)
        X, labels = sampler.fit_resample(self._X[seen], y[seen])
        features = _unit_features(np.concatenate([X, self._X[held]]), self._coded)
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", ConvergenceWarning
            )  # 100 iterations are enough to compare
            model = LogisticRegression(max_iter=100).fit(features[: len(X)], labels)
            called = model.predict(features[len(X) :])
        truth = y[held]
        recall: float = recall_score(truth, called, labels=np.unique(truth), average="macro")
        return recall


def _unit_features(X: NDArray[np.floating], levels: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Numbers of unit variance; levels as one-hots, two of which differ by a distance of 1."""
    numbers = X[:, ~levels].astype(np.float64)
    spread = numbers.std(axis=0)
    parts = [(numbers - numbers.mean(axis=0)) / np.where(spread > 0, spread, 1.0)]
    for column in X[:, levels].T:
        parts.append(np.sqrt(0.5) * (column[:, None] == np.unique(column)))
    return np.concatenate(parts, axis=1)


def _neighbourhoods(rows: NDArray[np.float64], k: int) -> NDArray[np.int64]:
    """int64 (N, k + 1): each row itself, and the k others nearest to it."""
    from sklearn.neighbors import NearestNeighbors

    found = NearestNeighbors(n_neighbors=k).fit(rows).kneighbors(return_distance=False)
    return np.column_stack([np.arange(len(rows)), found])


def _most_common(codes: NDArray[np.floating]) -> NDArray[np.floating]:
    """(n, K, columns) -> (n, columns): the code that most of the K hold, the first's among most."""
    votes = (codes[:, :, None] == codes[:, None]).sum(axis=2)  # (n, K, columns)
    chosen: NDArray[np.floating] = np.take_along_axis(codes, votes.argmax(axis=1)[:, None], axis=1)
    return chosen[:, 0]
