"""`Repeats` and `Smote`: the baselines that a generator has to beat.

Only this file and the scikit-learn face import imbalanced-learn.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.tables.columns import Plain, output_frame, plain_columns
from gan_augment.data.tables.inference import infer_schema
from gan_augment.data.tables.schema import Name, TableSchema
from gan_augment.data.topup_plan import rare_classes, repeated_rows
from gan_augment.errors import DataError, NotFittedError, UsageError, unknown_class
from gan_augment.generators.generator import checked_counts, sample_ids
from gan_augment.kinds.kind import Labelled
from gan_augment.rng import derived_seed

MOST_SEED = 2**32 - 1


class Baseline(ABC):
    """Draws rows from the training data, of which a fitted baseline keeps a reference."""

    classes_: dict[str, int]
    _data: Labelled

    def sample(self, counts: Mapping[str, int] | int, random_state: int = 0) -> Labelled:
        """Draw new rows, ids "synthetic-<class>-000000"; the first do not depend on their number.

        Parameters
        ----------
        counts
            {class: rows}, in the order of the result; or a number of rows for each rare class.
        random_state
            The seed of the rows, an int >= 0.

        Returns
        -------
        Labelled
            The rows, with the class names of the training data.

        Raises
        ------
        UnknownClassError, UsageError, DataError
            An unknown class; a negative count; a class with too few rows.
        """
        if not hasattr(self, "classes_"):
            raise NotFittedError(f"this {type(self).__name__} is not fitted; call fit(data) first")
        counts = checked_counts(counts, rare_classes(self.classes_))
        for name, n in counts.items():
            if name not in self.classes_:
                raise unknown_class(name, self.classes_)
            if n and not self.classes_[name]:
                raise DataError(
                    f"class {name!r} has no training row to start from; give it rows, or leave it "
                    "out"
                )
        return self._drawn(counts, random_state)

    @abstractmethod
    def _drawn(self, counts: Mapping[str, int], seed: int) -> Labelled:
        """Draw {class: n} rows of known classes."""


class Repeats(Baseline):
    """Repeats training rows in random order, each as often as any other, give or take one.

    A repeat has the group of its row.

    >>> import numpy as np
    >>> from gan_augment.kinds.image import IMAGE
    >>> pixels = np.zeros((3, 8, 8, 1), dtype=np.uint8)
    >>> data = IMAGE.of(pixels, np.array([0, 0, 1]), class_names=("good", "bad"))
    >>> Repeats().fit(data).sample({"bad": 2}).ids.tolist()
    ['synthetic-bad-000000', 'synthetic-bad-000001']
    """

    def fit(self, data: Labelled) -> Self:
        """Keep the data.

        Parameters
        ----------
        data
            Rows of any kind.

        Returns
        -------
        self
            The fitted baseline.
        """
        self._data = data
        self.classes_ = data.counts
        return self

    def _drawn(self, counts: Mapping[str, int], seed: int) -> Labelled:
        data = self._data
        rows = [np.empty(0, dtype=np.int64)]
        for name, n in counts.items():
            own = np.flatnonzero(data.labels == data.names.index(name))
            rows.append(repeated_rows(own, n, name, seed))
        again, ids = np.concatenate(rows), sample_ids(counts)
        labels, groups = data.labels[again], None if data.groups is None else data.groups[again]
        drawn = data.kind.concat([data.kind.take(data.rows, again)])
        return replace(data, rows=drawn, labels=labels, ids=ids, groups=groups)


class Smote(Baseline):
    """SMOTE, SMOTENC or SMOTEN of imbalanced-learn, by the kinds of the learned columns.

    Parameters
    ----------
    k_neighbors
        A new row lies between a row and one of its so many nearest rows of the class; fewer where
        the class is smaller.

    Notes
    -----
    Missing numbers become the median of their column, missing words a category. Numbers and dates
    are not scaled, categories are codes, constants are repeated and ids numbered on. Images are
    vectors of pixels, and new ones are rounded. Source: Chawla et al. 2002, "SMOTE".

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from gan_augment.kinds.table import TABLE
    >>> frame = pd.DataFrame({"x": np.arange(12) / 8, "colour": list("rgb") * 4})
    >>> data = TABLE.of(frame, np.repeat([0, 1], 6), class_names=("good", "bad"))
    >>> rows = Smote().fit(data).sample({"bad": 4})
    >>> rows.counts, bool(rows.frame["x"].between(0.75, 1.375).all())
    ({'good': 0, 'bad': 4}, True)
    """

    schema_: TableSchema

    def __init__(self, k_neighbors: int = 5) -> None:
        self.k_neighbors = k_neighbors

    def fit(self, data: Labelled, *, schema: TableSchema | None = None) -> Self:
        """Convert the data into numbers and codes.

        Parameters
        ----------
        data, schema
            Rows of any kind; the columns of a table, inferred if None.

        Returns
        -------
        self
            The fitted sampler.

        Raises
        ------
        DataError
            For a table whose columns are all ids or constant.
        """
        if self.k_neighbors < 1:
            raise UsageError(f"k_neighbors={self.k_neighbors}; expected 1 or more")
        self._data, self.classes_ = data, data.counts
        if not data.kind.tabular:
            self._X = data.kind.features(data)  # (N, H W C)
            self._coded = np.zeros(self._X.shape[1], dtype=bool)
            return self
        self.schema_ = schema or infer_schema(data.frame)
        cells = []
        for own in plain_columns(data.frame, self.schema_.learned).values():
            holes = np.isnan(own)
            if holes.any():  # numbers only: missing codes are -1
                own = np.where(holes, 0.0 if holes.all() else np.nanmedian(own), own)
            cells.append(own)
        if not cells:
            raise DataError("no column can be interpolated: all are ids or constant; use Repeats")
        self._coded = np.array([own.dtype.kind == "i" for own in cells])
        self._X = np.column_stack(cells)
        return self

    def _drawn(self, counts: Mapping[str, int], seed: int) -> Labelled:
        names, data = list(self.classes_), self._data
        requested = {names.index(name): n for name, n in counts.items() if n}
        cells = self._grown(requested, seed) if requested else self._X[:0]
        labels = np.repeat(np.array([*requested], np.int64), np.array([*requested.values()], int))
        if not data.kind.tabular:
            return data.with_rows(data.kind.from_features(cells, data), labels, sample_ids(counts))
        values: dict[Name, Plain] = {
            column.name: cells[:, i].astype(np.int32)
            if self._coded[i]
            else cells[:, i].astype(np.float64)
            for i, column in enumerate(self.schema_.learned)
        }
        frame = output_frame(values, self.schema_, len(cells))
        return data.with_rows(frame, labels, sample_ids(counts))

    def _grown(self, requested: Mapping[int, int], random_state: int) -> NDArray[np.floating]:
        """Draw {label: n} rows, label by label, (sum of n, columns)."""
        y, sizes = self._data.labels, list(self.classes_.values())
        least = min(sizes[label] for label in requested)
        if least < 2 or sum(n > 0 for n in sizes) < 2:
            raise DataError(
                "SMOTE expects two classes or more, and two rows or more of a class to enlarge; "
                "use Repeats or TabularGAN."
            )
        from imblearn.over_sampling import SMOTE, SMOTEN, SMOTENC

        settings = {
            "sampling_strategy": {label: sizes[label] + n for label, n in requested.items()},
            "k_neighbors": min(self.k_neighbors, least - 1),
            "random_state": derived_seed(random_state, "smote") % MOST_SEED,
        }
        if not self._coded.any():
            sampler = SMOTE(**settings)
        elif self._coded.all():
            sampler = SMOTEN(**settings)
        else:
            sampler = SMOTENC(np.flatnonzero(self._coded).tolist(), **settings)
        grown, grown_y = sampler.fit_resample(self._X, y)
        rows, labels = grown[len(y) :], grown_y[len(y) :]  # the training rows come first
        return np.concatenate([rows[labels == label] for label in requested])


def fit_baseline(source: str, data: Labelled, schema: TableSchema | None = None) -> Repeats | Smote:
    """Fit the source "repeats" or "smote" to the data. schema: the columns of a table."""
    return Smote().fit(data, schema=schema) if source == "smote" else Repeats().fit(data)
