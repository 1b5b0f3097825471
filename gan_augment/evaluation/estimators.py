"""scikit-learn classifiers as an evaluation needs them: fresh, seeded, weighed, in one thread."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.contract import LabelledTable
from gan_augment.data.tables.columns import Plain, plain
from gan_augment.data.tables.schema import TableSchema
from gan_augment.errors import DataError, GanAugmentError, UsageError
from gan_augment.evaluation.decisions import Scores
from gan_augment.evaluation.user_code import UserCode
from gan_augment.randomness import derived_seed

MOST_LEVELS = 64
"""Levels of a column with a place of their own, the most frequent ones; the rest share one."""

Matrix = NDArray[np.float32]


@dataclass(frozen=True)
class NumberScale:
    """Of a column of numbers or moments: missing cells become the median; mean 0, deviation 1."""

    median: float
    mean: float
    deviation: float

    width = 1

    @classmethod
    def of(cls, cells: Plain) -> NumberScale:
        """From the real rows (N,). A column without a known cell, or of one value, becomes 0."""
        known = cells[~np.isnan(cells)]
        if not len(known):
            return cls(0.0, 0.0, 1.0)
        median = float(np.median(known))
        filled = np.where(np.isnan(cells), median, cells)
        return cls(median, float(filled.mean()), float(filled.std()) or 1.0)

    def write(self, cells: Plain, out: Matrix) -> None:
        """Cells (N,) into out (N, 1)."""
        out[:, 0] = (np.where(np.isnan(cells), self.median, cells) - self.mean) / self.deviation


@dataclass(frozen=True)
class LevelPlaces:
    """Of a column of levels: one 0/1 column a level, a missing cell being a level too.

    place: int64 (levels + 1,): the output column of each code, the missing one last; -1 for none.
    """

    place: NDArray[np.int64]
    width: int

    @classmethod
    def of(cls, codes: Plain, levels: int) -> LevelPlaces:
        """From the real rows (N,); levels that they do not hold share the place of rare ones."""
        counts = np.bincount(np.where(codes < 0, levels, codes), minlength=levels + 1)
        order = np.argsort(-counts, kind="stable")[:MOST_LEVELS]
        own = np.sort(order[counts[order] > 0])
        several = (counts > 0).sum() > len(own)
        place = np.full(levels + 1, len(own) if several else -1)
        place[own] = np.arange(len(own))
        return cls(place, len(own) + int(several))

    def write(self, codes: Plain, out: Matrix) -> None:
        """Codes (N,) into out (N, width), which holds zeros."""
        places = self.place[codes]  # -1 finds the last one
        rows = np.flatnonzero(places >= 0)
        out[rows, places[rows]] = 1


@dataclass(frozen=True)
class TableMatrix:
    """The learned columns of a schema as a float32 matrix (N, width); ids and constants are not."""

    schema: TableSchema
    parts: tuple[NumberScale | LevelPlaces, ...]

    @classmethod
    def fitted(
        cls, real: LabelledTable, table: LabelledTable, schema: TableSchema
    ) -> tuple[TableMatrix, Matrix]:
        """The encoding that the real rows ask for, and all rows of `table` by it."""
        parts = tuple(
            LevelPlaces.of(cells, len(column.levels))
            if column.kind in ("categorical", "boolean")
            else NumberScale.of(cells)
            for cells, column in zip(_cells(real, schema), schema.learned, strict=True)
        )
        matrix = cls(schema, parts)
        return matrix, matrix.of(table)

    def of(self, table: LabelledTable) -> Matrix:
        """Any rows with the same columns. Raises DataError where a column holds something else."""
        return self._of(_cells(table, self.schema), len(table))

    def _of(self, columns: Sequence[Plain], n: int) -> Matrix:
        out = np.zeros((n, sum(part.width for part in self.parts)), dtype=np.float32)
        first = 0
        for part, cells in zip(self.parts, columns, strict=True):
            part.write(cells, out[:, first : first + part.width])
            first += part.width
        return out


def _cells(table: LabelledTable, schema: TableSchema) -> list[Plain]:
    return [plain(table.frame[column.name], column) for column in schema.learned]


Labels = NDArray[np.int64]
EXPECTED = (
    "expected a scikit-learn classifier, a class of one, or a function that makes one, "
    "with a seed or without"
)


@dataclass(frozen=True)
class Estimators:
    """Fresh copies of the classifier that a user means.

    given: an estimator, a class or function that makes one, or `UserCode` that names any of these.
    """

    given: Any

    def new(self, seed: int) -> Any:
        """An untrained one, every `random_state` of it drawn from `seed`, one job. UsageError."""
        made = _made(loaded(self.given), seed)
        if not all(callable(getattr(made, method, None)) for method in ("fit", "predict")):
            raise UsageError(
                f"the learner is {_shown(made)}, which has no fit and predict; {EXPECTED}"
            )
        _check_classifier(made)
        params = _params(made)
        settings: dict[str, Any] = {}
        for name in sorted(params):
            last = name.rpartition("__")[2]
            if last == "random_state":
                settings[name] = derived_seed(seed, "learner", name) % 2**32
            elif last == "n_jobs" and params[name] not in (None, 1):
                settings[name] = 1
        return made.set_params(**settings) if settings else made


@dataclass(frozen=True)
class Weighing:
    """How class weights reach an estimator: a parameter of it, or an argument of its `fit`."""

    how: Literal["parameter", "argument"]
    name: str


def loaded(given: Any) -> Any:
    """What was given, or what the named file holds."""
    return given.load() if isinstance(given, UserCode) else given


def name_of(given: Any, example: Any) -> str:
    """What people call it: the file and name, or the class."""
    return str(given) if isinstance(given, UserCode) else _shown(example)


def weighing_of(estimator: Any) -> Weighing | None:
    """How it can be told to weigh classes; None where it cannot.

    A parameter `class_weight` goes before an argument `sample_weight`; a pipeline's is its last
    step's, and a search's or an ensemble's that of its `estimator`.
    """
    from sklearn.utils.validation import has_fit_parameter

    params = _params(estimator)
    if "class_weight" in params:
        return Weighing("parameter", "class_weight")
    if is_pipeline(estimator):
        step, last = estimator.steps[-1]
        found = weighing_of(last)
        return found and Weighing(found.how, f"{step}__{found.name}")
    if hasattr(params.get("estimator"), "fit"):
        found = weighing_of(params["estimator"])
        if found and found.how == "parameter":
            return Weighing("parameter", f"estimator__{found.name}")
    if has_fit_parameter(estimator, "sample_weight"):
        return Weighing("argument", "sample_weight")
    return None


def is_pipeline(estimator: Any) -> bool:
    """Whether it is a Pipeline, imbalanced-learn's among them."""
    from sklearn.pipeline import Pipeline

    return isinstance(estimator, Pipeline)


@dataclass(frozen=True)
class EstimatorLearner:
    """What learners that are scikit-learn classifiers share; rows reach them in different ways.

    weighing: how class weights are given, None where it knows none. balances: whether it gives
    every class the same weight by itself.
    """

    name: str
    estimators: Estimators
    weighing: Weighing | None
    balances: bool

    augments = False

    @property
    def weighs(self) -> bool:
        """Whether it knows class weights."""
        return self.weighing is not None

    def described(self) -> dict[str, Any]:
        """Name and parameters; of a user's file also its sha256."""
        given = self.estimators.given
        params = described_params(self.estimators.new(0))
        found = {"name": self.name, "params": params, "updates": None}
        return found | ({"sha256": given.sha256} if isinstance(given, UserCode) else {})


def balances(estimator: Any) -> bool:
    """Whether it weighs or samples classes evenly by itself, at whatever depth.

    By a parameter class_weight="balanced", or as an ensemble of imbalanced-learn, which resamples.
    """
    params = estimator.get_params(deep=True) if hasattr(estimator, "get_params") else {}
    weighed = any(
        name.rpartition("__")[2] == "class_weight" and str(value).startswith("balanced")
        for name, value in params.items()
    )
    makers = [estimator, *params.values()]
    return weighed or any(type(one).__module__.startswith("imblearn.ensemble") for one in makers)


def takes_rows_as_they_are(estimator: Any) -> bool:
    """Whether it is a pipeline, or a search or calibration of one: it prepares its rows itself."""
    inner = estimator
    while not is_pipeline(inner):
        inner = getattr(inner, "estimator", None)
        if inner is None:
            return False
    return True


def described_params(estimator: Any) -> dict[str, Any]:
    """JSON-ready parameters, nested ones by `__`; objects by their class; seeds and jobs left out.

    >>> from sklearn.linear_model import LogisticRegression
    >>> described_params(LogisticRegression(C=0.5))["C"]
    0.5
    """
    return {
        name: _json(value)
        for name, value in sorted(_params(estimator).items())
        if name.rpartition("__")[2] not in ("random_state", "n_jobs", "verbose", "memory")
    }


@dataclass(frozen=True)
class FittedEstimator:
    """A trained estimator. known: int64 (k,), the labels it saw, by its own numbering 0..k-1."""

    estimator: Any
    known: Labels
    name: str
    argmax: bool

    def scores(self, x: Any, k: int) -> Scores:
        """Of N rows as it was trained on, for k classes.

        argmax: its default decision is the likeliest class, so that it needs no second asking.
        """
        with one_thread():
            try:
                kind, values = self._values(x)
                own = (
                    values.argmax(axis=1) if self.argmax else np.asarray(self.estimator.predict(x))
                )
            except Exception as error:
                raise failed(self.name, "its predictions", error) from error
        called = self.known[own.astype(np.int64)]
        if kind == "none":
            return Scores(called=called, values=None, kind="none")
        if values.shape != (len(called), len(self.known)) or not np.isfinite(values).all():
            raise DataError(
                f"the learner {self.name} gives scores {values.shape} for {len(called)} rows and "
                f"{len(self.known)} classes, or some that are no finite numbers; expected one "
                "finite number a row and class"
            )
        whole = np.full((len(called), k), 0.0 if kind == "probability" else -np.inf)
        whole[:, self.known] = values
        return Scores(called=called, values=whole, kind=kind)

    def _values(
        self, x: Any
    ) -> tuple[Literal["probability", "decision", "none"], NDArray[np.float64]]:
        """(kind, (N, k)); nothing, (0, 0), of an estimator without scores."""
        if hasattr(self.estimator, "predict_proba"):
            return "probability", np.asarray(self.estimator.predict_proba(x), dtype=np.float64)
        if hasattr(self.estimator, "decision_function"):
            values = np.asarray(self.estimator.decision_function(x), dtype=np.float64)
            if values.ndim == 1:
                values = np.column_stack([np.zeros(len(values)), values])
            if values.shape[1] == len(self.known):  # else one against one
                return "decision", values
        return "none", np.empty((0, 0))


def fit_estimator(
    estimator: Any, x: Any, labels: Labels, name: str, weighing: Weighing | None, argmax: bool
) -> FittedEstimator:
    """Train on x (N rows) with one thread; its labels are 0..k-1 of the k classes that have rows.

    weighing: None for classes that weigh as their rows do. Raises DataError.
    """
    known, y = np.unique(labels, return_inverse=True)
    if len(known) < 2:
        raise DataError(
            f"the {len(labels)} training rows are all of one class; expected two or more"
        )
    arguments: dict[str, Any] = {}
    if weighing is not None and weighing.how == "parameter":
        estimator.set_params(**{weighing.name: "balanced"})
    elif weighing is not None:
        arguments[weighing.name] = balanced_weights(y)[y]
    from sklearn.exceptions import ConvergenceWarning

    with one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # in every arm alike
        try:
            estimator.fit(x, y, **arguments)
        except Exception as error:
            raise failed(name, f"its fit on {len(y)} rows", error) from error
    return FittedEstimator(estimator, known.astype(np.int64), name, argmax)


def balanced_weights(y: Labels, k: int | None = None) -> NDArray[np.float64]:
    """(k,) rows / (classes with rows x rows of the class); 0 for classes without a row.

    >>> balanced_weights(np.array([0, 0, 0, 1])).tolist()
    [0.6666666666666666, 2.0]
    """
    counts = np.bincount(y, minlength=k or 0)
    some = counts > 0
    return np.where(some, len(y) / (some.sum() * np.maximum(counts, 1)), 0.0)


def failed(name: str, what: str, error: Exception) -> GanAugmentError:
    """The error for a learner that raised; our own errors stay what they are."""
    if isinstance(error, GanAugmentError):
        return error
    return DataError(f"the learner {name} failed in {what}: {type(error).__name__}: {error}")


def one_thread() -> Any:
    """A context in which BLAS and OpenMP use one thread: bytes depend on no machine."""
    from threadpoolctl import threadpool_limits

    return threadpool_limits(limits=1)


def _made(given: Any, seed: int) -> Any:
    if isinstance(given, type):
        return given()
    if not callable(getattr(given, "fit", None)):
        return _called(given, seed)
    from sklearn.base import clone

    if not hasattr(given, "get_params"):
        raise UsageError(
            f"the learner is {_shown(given)}, which cannot be copied (it has no get_params); "
            "give a function that makes one"
        )
    return clone(given)


def _called(factory: Any, seed: int) -> Any:
    if not callable(factory):
        raise UsageError(f"the learner is {factory!r} ({type(factory).__name__}); {EXPECTED}")
    params = inspect.signature(factory).parameters.values()
    needed = [
        p
        for p in params
        if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    if len(needed) > 1 or any(p.kind is p.KEYWORD_ONLY and p.name != "seed" for p in needed):
        raise UsageError(
            f"{getattr(factory, '__name__', factory)!r} takes "
            f"{', '.join(p.name for p in needed)}; {EXPECTED}"
        )
    try:
        if any(p.name == "seed" and p.kind is not p.POSITIONAL_ONLY for p in params):
            return factory(seed=seed)
        return factory(seed) if needed else factory()
    except Exception as error:
        raise UsageError(
            f"{getattr(factory, '__name__', factory)!r} fails when it is to make a learner: "
            f"{type(error).__name__}: {error}"
        ) from error


def _check_classifier(made: Any) -> None:
    from sklearn.base import BaseEstimator, is_clusterer, is_regressor

    if isinstance(made, BaseEstimator) and (is_regressor(made) or is_clusterer(made)):
        raise UsageError(f"the learner is {_shown(made)}, which is no classifier; {EXPECTED}")


def _params(estimator: Any) -> Mapping[str, Any]:
    if not hasattr(estimator, "get_params"):
        return {}
    params: Mapping[str, Any] = estimator.get_params(deep=True)
    return params


def _shown(estimator: Any) -> str:
    if is_pipeline(estimator):
        return f"Pipeline({', '.join(type(step).__name__ for _, step in estimator.steps)})"
    return type(estimator).__name__


def _json(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if np.isfinite(value) else str(value)
    if isinstance(value, np.generic):
        return _json(value.item())
    if isinstance(value, list | tuple):
        return [_json(one) for one in value]
    if isinstance(value, dict):
        return {str(key): _json(one) for key, one in value.items()}
    if hasattr(value, "get_params"):
        return _shown(value)
    return str(getattr(value, "__name__", type(value).__name__))
