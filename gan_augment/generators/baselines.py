"""What a synthesizer has to beat: `Repeats`, `Smote`, its Gaussian form and one of a tuned k.

imbalanced-learn has its one door here.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Generic, Literal, Self

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.splits import judging_folds
from gan_augment.data.tables.columns import Plain, output_frame, plain_columns
from gan_augment.data.tables.inference import infer_schema
from gan_augment.data.tables.schema import Name, TableSchema
from gan_augment.data.topup_plan import repeated_rows
from gan_augment.errors import DataError, NotFittedError, UsageError, unknown_class
from gan_augment.generators.generator import Data, checked_counts, sample_ids
from gan_augment.kinds.kind import Labelled
from gan_augment.rng import derived_seed, rng_for

MOST_SEED = 2**32 - 1
CELLS_AT_ONCE = 1 << 22


class Repeats(Generic[Data]):
    """Training rows again, in random order: each as often as any other, give or take one.

    Keeps a reference to the training data; a repeat keeps the group of its row.

    >>> import numpy as np
    >>> from gan_augment.kinds.image import IMAGE
    >>> pixels = np.zeros((3, 8, 8, 1), dtype=np.uint8)
    >>> ids = np.array(["a", "b", "c"])
    >>> data = IMAGE.of(pixels, np.array([0, 0, 1]), ids, class_names=("good", "bad"))
    >>> Repeats().fit(data).sample({"bad": 2}).ids.tolist()
    ['synthetic-bad-000000', 'synthetic-bad-000001']
    """

    classes_: dict[str, int]

    def fit(self, data: Data) -> Self:
        """Remember `data`: images or a table."""
        self._data: Data = data
        self.classes_ = data.counts
        return self

    def sample(self, counts: Mapping[str, int], random_state: int = 0) -> Data:
        """Exactly `counts` = {class: n} rows in that order; their first rows never change with n.

        Raises UnknownClassError, UsageError (a negative count), DataError (a class without rows).
        """
        counts, data = _checked(self, counts), self._data
        rows = [np.empty(0, dtype=np.int64)]
        for name, n in counts.items():
            own = np.flatnonzero(data.labels == data.names.index(name))
            rows.append(repeated_rows(own, n, name, random_state))
        again, ids = np.concatenate(rows), sample_ids(counts)
        labels, groups = data.labels[again], None if data.groups is None else data.groups[again]
        drawn = data.kind.concat([data.kind.take(data.rows, again)])
        return replace(data, rows=drawn, labels=labels, ids=ids, groups=groups)


class Smote(Generic[Data]):
    """imbalanced-learn's SMOTE, SMOTENC or SMOTEN, as the kinds of the learned columns ask.

    Parameters: k_neighbors, of which one is the other end of each new row. missing: "raise" where
    a learned cell is missing; "fill" takes the column's median for it, and for a missing level one
    of its own, which is missing again in new rows.

    It sees numbers and moments as they are, unscaled, and levels as codes; constants are filled in
    and ids refilled. Images are their pixels, and new ones are rounded. It takes no
    class of `k_neighbors` rows or fewer. Source: Chawla et al. 2002, "SMOTE".

    >>> import numpy as np, pandas as pd
    >>> from gan_augment.kinds.table import TABLE
    >>> frame = pd.DataFrame({"x": np.arange(12) / 8, "colour": list("rgb") * 4})
    >>> ids = np.array([f"row-{i}" for i in range(12)])
    >>> data = TABLE.of(frame, np.repeat([0, 1], 6), ids, class_names=("good", "bad"))
    >>> rows = Smote().fit(data).sample({"bad": 4})
    >>> rows.counts, bool(rows.frame["x"].between(0.75, 1.375).all())
    ({'good': 0, 'bad': 4}, True)
    """

    classes_: dict[str, int]
    schema_: TableSchema

    def __init__(
        self, k_neighbors: int = 5, *, missing: Literal["raise", "fill"] = "raise"
    ) -> None:
        self.k_neighbors = k_neighbors
        self.missing = missing

    def fit(self, data: Data, *, schema: TableSchema | None = None) -> Self:
        """Put the data into numbers and codes; a table's `schema` is inferred where none is given.

        Raises DataError where a learned cell is missing and not to be filled, or no column is
        learned.
        """
        if self.k_neighbors < 1:
            raise UsageError(f"k_neighbors={self.k_neighbors}; expected 1 or more")
        if not data.kind.tabular:
            self._X = data.kind.flat(data).astype(np.float32)  # (N, H W C)
            self._levels = np.zeros(self._X.shape[1], dtype=bool)
        else:
            self._X, self._levels = self._numbers(data, schema or infer_schema(data.frame))
        self._data: Data = data
        self.classes_ = data.counts
        return self

    def _numbers(
        self, data: Labelled, schema: TableSchema
    ) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
        """(cells (N, learned columns), which columns are codes of levels)."""
        values = plain_columns(data.frame, schema.learned)
        holed = [name for name, cells in values.items() if _missing(cells).any()]
        if self.missing == "fill":
            values = {name: _filled(cells) for name, cells in values.items()}
        elif holed:
            raise DataError(
                f"columns {holed[:10]} hold missing values, which SMOTE cannot interpolate. Fill "
                "them first, say missing='fill', or use TabularGAN or Repeats, which take them as "
                "they are."
            )
        if not values:
            raise DataError("no column can be interpolated: all are ids or constant; use Repeats")
        self.schema_ = schema
        levels = np.array([cells.dtype.kind == "i" for cells in values.values()])
        return np.column_stack(list(values.values())), levels

    def sample(self, counts: Mapping[str, int], random_state: int = 0) -> Data:
        """Exactly `counts` = {class: n} rows in that order, all new.

        Raises UnknownClassError, UsageError (a negative count), DataError (too few rows of a class,
        or a single class).
        """
        counts, names = _checked(self, counts), list(self.classes_)
        requested = {names.index(name): n for name, n in counts.items() if n}
        self._check_rows(requested)
        labels = np.array([label for label, n in requested.items() for _ in range(n)], np.int64)
        rows = [self._X[:0]]
        if requested:
            X, y = self._grown(requested, random_state)
            rows += [X[y == label] for label in requested]
        ids = sample_ids(counts)
        return self._as_data(np.concatenate(rows), labels, ids)

    def _as_data(
        self, cells: NDArray[np.floating], labels: NDArray[np.int64], ids: NDArray[np.str_]
    ) -> Data:
        """Rows (n, columns) of numbers and codes as what was fitted."""
        data: Data = self._data
        if not data.kind.tabular:
            return data.with_rows(data.kind.from_flat(cells, data), labels, ids)
        values: dict[Name, Plain] = {
            column.name: cells[:, i].astype(np.int32)
            if self._levels[i]
            else cells[:, i].astype(np.float64)
            for i, column in enumerate(self.schema_.learned)
        }
        frame = output_frame(values, self.schema_, len(cells))
        return data.with_rows(frame, labels, ids)

    def _grown(
        self, requested: Mapping[int, int], random_state: int
    ) -> tuple[NDArray[np.floating], NDArray[np.int64]]:
        """The new rows, (sum of requested, columns), and their labels, by imbalanced-learn."""
        y, sizes = self._data.labels, list(self.classes_.values())
        ends = {label: sizes[label] + n for label, n in requested.items()}
        X, labels = self._imblearn(ends, self.k_neighbors, random_state).fit_resample(self._X, y)
        return X[len(y) :], labels[len(y) :]

    def _imblearn(self, ends: Mapping[int, int], k: int, random_state: int) -> Any:
        """imbalanced-learn's sampler of the kinds of columns. ends: {label: rows at the end}."""
        from imblearn.over_sampling import SMOTE, SMOTEN, SMOTENC

        settings = {
            "sampling_strategy": dict(ends),
            "k_neighbors": k,
            "random_state": derived_seed(random_state, "smote") % MOST_SEED,
        }
        if not self._levels.any():
            return SMOTE(**settings)
        if self._levels.all():
            return SMOTEN(**settings)
        return SMOTENC(np.flatnonzero(self._levels).tolist(), **settings)

    def _check_rows(self, requested: Mapping[int, int]) -> None:
        filled = [name for name, n in self.classes_.items() if n]
        if requested and len(filled) < 2:
            raise DataError(
                f"the training rows are all of class {filled[0]!r}; SMOTE expects two classes or "
                "more. Use Repeats or TabularGAN."
            )
        for label in requested:
            name, n = list(self.classes_.items())[label]
            if n <= self.k_neighbors:
                raise DataError(
                    f"class {name!r} has {n} rows; SMOTE with {self.k_neighbors} neighbours "
                    f"expects {self.k_neighbors + 1} or more. Lower k_neighbors, or use Repeats "
                    "or TabularGAN."
                )


class GaussianSmote(Smote[Data]):
    """Rows drawn from a normal distribution fitted to the neighbourhood of a row of the class.

    A row x of the class and its K nearest of the class have the mean m and the covariance
    S = 1 / (K + 1) sum (x_i - m)(x_i - m)^T; a new row is drawn from N(m, S), and its levels are
    those that most of the K + 1 hold. K is `k_neighbors`, by default max(5, d + 1) of d numbers,
    at most all others of the class; near is what is near in numbers of unit variance, a differing
    level being a distance of 1. It takes no class of one row.

    Source: Sakho, Malherbe & Scornet 2024 (arXiv 2402.03819), "multivariate Gaussian SMOTE".
    """

    def __init__(
        self, k_neighbors: int | None = None, *, missing: Literal["raise", "fill"] = "raise"
    ) -> None:
        super().__init__(1 if k_neighbors is None else k_neighbors, missing=missing)
        self._widest = k_neighbors is None

    def _grown(
        self, requested: Mapping[int, int], random_state: int
    ) -> tuple[NDArray[np.floating], NDArray[np.int64]]:
        y, scaled = self._data.labels, _unit_features(self._X, self._levels)
        made, labels = [self._X[:0]], np.repeat(list(requested), list(requested.values()))
        for label, n in requested.items():
            own = np.flatnonzero(y == label)
            k = max(5, int((~self._levels).sum()) + 1) if self._widest else self.k_neighbors
            near = own[_neighbourhoods(scaled[own], min(k, len(own) - 1))]  # (class rows, K + 1)
            rng = rng_for(random_state, "gaussian-smote", self._data.names[label])
            at_once = max(1, CELLS_AT_ONCE // (near.shape[1] ** 2 * self._X.shape[1]))
            for start in range(0, n, at_once):
                around = near[rng.integers(len(own), size=min(at_once, n - start))]
                made.append(self._around(self._X[around], rng))
        return np.concatenate(made), labels.astype(np.int64)

    def _around(
        self, hoods: NDArray[np.floating], rng: np.random.Generator
    ) -> NDArray[np.floating]:
        """(n, K + 1, columns) -> (n, columns): a draw from the normal of each neighbourhood."""
        rows, numbers = hoods[:, 0].copy(), ~self._levels
        mean = hoods[:, :, numbers].mean(axis=1)
        apart = hoods[:, :, numbers] - mean[:, None]  # A, whose A^T A / (K + 1) is the covariance
        z = rng.standard_normal(hoods.shape[:2]) / np.sqrt(hoods.shape[1])
        rows[:, numbers] = mean + np.einsum("nk,nkd->nd", z, apart)
        rows[:, self._levels] = _most_common(hoods[:, :, self._levels])
        return rows


class TunedSmote(Smote[Data]):
    """`Smote` with the number of neighbours that cross-validation of the training rows prefers.

    Three folds: of each k of `NEIGHBOURS` that the classes allow, the rows that are seen are topped
    up to parity, a logistic regression is trained on them, and the highest mean recall on the rows
    held out decides; among equals the k nearest to 5. `k_neighbors` is the chosen one after `fit`.
    """

    NEIGHBOURS = (1, 3, 5, 10)

    def fit(self, data: Data, *, schema: TableSchema | None = None) -> Self:
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
        features = _unit_features(np.concatenate([X, self._X[held]]), self._levels)
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


def _checked(fitted: Repeats[Data] | Smote[Data], counts: Mapping[str, int]) -> dict[str, int]:
    if not hasattr(fitted, "classes_"):
        name = type(fitted).__name__
        raise NotFittedError(f"this {name} is not fitted; call fit(data) first")
    counts = checked_counts(counts)
    for name, n in counts.items():
        if name not in fitted.classes_:
            raise unknown_class(name, fitted.classes_)
        if n and not fitted.classes_[name]:
            raise DataError(
                f"class {name!r} has no training row to start from; give it rows, or leave it out"
            )
    return counts


def _filled(cells: Plain) -> Plain:
    """Numbers with their median where they were missing; codes as they are, -1 being one of them.

    A column without any number is filled with zeros.
    """
    holes = _missing(cells)
    if cells.dtype.kind == "i" or not holes.any():
        return cells
    return np.where(holes, 0.0 if holes.all() else np.median(cells[~holes]), cells)


def _missing(cells: Plain) -> NDArray[np.bool_]:
    return cells < 0 if cells.dtype.kind == "i" else np.isnan(cells)
