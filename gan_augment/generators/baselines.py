"""`Repeats` and `Smote`: the baselines that a generator has to beat.

Only this file and the scikit-learn face import imbalanced-learn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.tables.columns import Plain, output_frame, plain_columns
from gan_augment.data.tables.inference import infer_schema
from gan_augment.data.tables.schema import Name, TableSchema
from gan_augment.data.topup_plan import repeated_rows
from gan_augment.errors import DataError, NotFittedError, UsageError, unknown_class
from gan_augment.generators.generator import checked_counts, sample_ids
from gan_augment.kinds.kind import Labelled
from gan_augment.rng import derived_seed

MOST_NEIGHBOURS = 5
MOST_SEED = 2**32 - 1


class Repeats:
    """Repeats training rows in random order, each as often as any other, give or take one.

    It keeps a reference to the training data. A repeat has the group of its row.

    >>> import numpy as np
    >>> from gan_augment.kinds.image import IMAGE
    >>> pixels = np.zeros((3, 8, 8, 1), dtype=np.uint8)
    >>> ids = np.array(["a", "b", "c"])
    >>> data = IMAGE.of(pixels, np.array([0, 0, 1]), ids, class_names=("good", "bad"))
    >>> Repeats().fit(data).sample({"bad": 2}).ids.tolist()
    ['synthetic-bad-000000', 'synthetic-bad-000001']
    """

    classes_: dict[str, int]

    def fit(self, data: Labelled) -> Self:
        """Keep `data`, rows of any kind."""
        self._data = data
        self.classes_ = data.counts
        return self

    def sample(self, counts: Mapping[str, int], random_state: int = 0) -> Labelled:
        """Draw `counts` = {class: n} rows in this order; the first rows do not depend on n.

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


class Smote:
    """imbalanced-learn's SMOTE, SMOTENC or SMOTEN, by the kinds of the learned columns.

    Parameters
    ----------
    k_neighbors
        A new row lies between a row and one of its so many nearest rows of the class. Classes of
        `k_neighbors` rows or fewer are refused.
    missing
        "raise" refuses missing cells. "fill" replaces a missing number by the median of its column,
        and treats missing levels as a level.

    Notes
    -----
    Numbers and moments are not scaled, levels are codes, constants are repeated and ids numbered
    on. Images are vectors of pixels, and new ones are rounded. Source: Chawla et al. 2002, "SMOTE".

    Examples
    --------

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

    @classmethod
    def fitted(
        cls,
        data: Labelled,
        classes: Sequence[str],
        *,
        missing: Literal["raise", "fill"] = "raise",
        schema: TableSchema | None = None,
    ) -> Self:
        """Fit SMOTE with 5 neighbours, or as many as the smallest of the classes has."""
        sizes = [n for n in (data.counts[name] for name in classes) if n > 1]
        neighbours = min(MOST_NEIGHBOURS, min(sizes, default=2) - 1)
        return cls(neighbours, missing=missing).fit(data, schema=schema)

    def fit(self, data: Labelled, *, schema: TableSchema | None = None) -> Self:
        """Convert the data into numbers and codes; `schema` of a table is inferred if it is None.

        Raises DataError for missing cells that are not filled, and where no column is learned.
        """
        if self.k_neighbors < 1:
            raise UsageError(f"k_neighbors={self.k_neighbors}; expected 1 or more")
        if not data.kind.tabular:
            self._X = data.kind.flat(data).astype(np.float32)  # (N, H W C)
            self._levels = np.zeros(self._X.shape[1], dtype=bool)
        else:
            self._X, self._levels = self._numbers(data, schema or infer_schema(data.frame))
        self._data = data
        self.classes_ = data.counts
        return self

    def _numbers(
        self, data: Labelled, schema: TableSchema
    ) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
        """Return cells (N, learned columns), and which columns are codes of levels."""
        values = plain_columns(data.frame, schema.learned)
        holed = [name for name, cells in values.items() if _missing(cells).any()]
        if self.missing == "fill":
            values = {name: _filled(cells) for name, cells in values.items()}
        elif holed:
            raise DataError(
                f"columns {holed[:10]} hold missing values, which SMOTE cannot interpolate. Fill "
                "them first, use missing='fill', or use TabularGAN or Repeats, which accept "
                "them."
            )
        if not values:
            raise DataError("no column can be interpolated: all are ids or constant; use Repeats")
        self.schema_ = schema
        levels = np.array([cells.dtype.kind == "i" for cells in values.values()])
        return np.column_stack(list(values.values())), levels

    def sample(self, counts: Mapping[str, int], random_state: int = 0) -> Labelled:
        """Draw `counts` = {class: n} new rows in this order.

        Raises UnknownClassError, UsageError (a negative count), DataError (too few rows of a class,
        or a single class).
        """
        counts, names = _checked(self, counts), list(self.classes_)
        requested = {names.index(name): n for name, n in counts.items() if n}
        self._check_rows(requested)
        labels = np.array([label for label, n in requested.items() for _ in range(n)], np.int64)
        rows = [self._X[:0]]
        if requested:
            y, sizes = self._data.labels, list(self.classes_.values())
            ends = {label: sizes[label] + n for label, n in requested.items()}
            sampler = self._imblearn(ends, self.k_neighbors, random_state)
            grown, grown_y = sampler.fit_resample(self._X, y)  # the training rows come first
            X, y = grown[len(y) :], grown_y[len(y) :]
            rows += [X[y == label] for label in requested]
        ids = sample_ids(counts)
        return self._as_data(np.concatenate(rows), labels, ids)

    def _as_data(
        self, cells: NDArray[np.floating], labels: NDArray[np.int64], ids: NDArray[np.str_]
    ) -> Labelled:
        """Return rows (n, columns) of numbers and codes as labelled rows."""
        data = self._data
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

    def _imblearn(self, ends: Mapping[int, int], k: int, random_state: int) -> Any:
        """Make imbalanced-learn's sampler. ends: {label: rows at the end}."""
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


def _checked(fitted: Repeats | Smote, counts: Mapping[str, int]) -> dict[str, int]:
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
    """Replace missing numbers by the median, or by 0 where all are missing; codes stay."""
    holes = _missing(cells)
    if cells.dtype.kind == "i" or not holes.any():
        return cells
    return np.where(holes, 0.0 if holes.all() else np.median(cells[~holes]), cells)


def _missing(cells: Plain) -> NDArray[np.bool_]:
    return cells < 0 if cells.dtype.kind == "i" else np.isnan(cells)
