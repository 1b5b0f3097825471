"""scikit-learn classifiers as an evaluation needs them: fresh, seeded, weighed, in one thread.

What a user brings is an instance, a class, a function that makes one, or `UserCode` that names any
of these: here `source`.
"""

from __future__ import annotations

import inspect
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.tables.columns import Plain, plain_columns
from gan_augment.data.tables.schema import TableSchema
from gan_augment.errors import DataError, GanAugmentError, UsageError
from gan_augment.evaluation.decisions import Kind, Scores
from gan_augment.evaluation.user_code import loaded
from gan_augment.kinds.kind import Labelled
from gan_augment.rng import derived_seed

Labels = NDArray[np.int64]
Matrix = NDArray[np.float32]

MOST_LEVELS = 64
"""Levels of a column with a place of their own, the most frequent ones; the rest share one."""
EXPECTED = (
    "expected a scikit-learn classifier, a class of one, or a function that makes one, "
    "with a seed or without"
)


@dataclass(frozen=True)
class TableMatrix:
    """The learned columns of a schema as a float32 matrix (N, width), encoded as real rows ask.

    Of numbers and moments missing cells become the median, then the mean is 0 and the deviation 1.
    Of levels each of the most frequent ones has a 0/1 column, a missing cell being a level too, and
    the others share one. No ids, no constants, nothing learned from labels.

    parts: (median, mean, deviation) of a column of numbers; of one of levels int64 (levels + 1,),
    the output column of each code, the missing one last, -1 for none.
    """

    schema: TableSchema
    parts: tuple[tuple[float, float, float] | NDArray[np.int64], ...]

    @classmethod
    def fitted(cls, real: Labelled, schema: TableSchema) -> TableMatrix:
        """Fit the encoding to the real rows."""
        parts = tuple(
            _level_places(cells, len(column.levels))
            if column.kind in ("categorical", "boolean")
            else _scale(cells)
            for cells, column in zip(_cells(real, schema), schema.learned, strict=True)
        )
        return cls(schema, parts)

    def of(self, table: Labelled) -> Matrix:
        """Encode rows of the same columns. Raises DataError where a column holds something else."""
        blocks: list[NDArray[Any]] = [np.empty((len(table), 0), dtype=np.float32)]
        for part, cells in zip(self.parts, _cells(table, self.schema), strict=True):
            if isinstance(part, tuple):
                median, mean, deviation = part
                scaled = (np.where(np.isnan(cells), median, cells) - mean) / deviation
                blocks.append(scaled[:, None])
            else:  # code -1 finds the last place
                blocks.append(part[cells][:, None] == np.arange(part.max() + 1))
        return np.hstack([block.astype(np.float32) for block in blocks])


def new_estimator(source: Any, seed: int) -> Any:
    """Make an untrained classifier of one job, every `random_state` drawn from `seed`.

    Raises UsageError for what is no classifier.
    """
    from sklearn.base import BaseEstimator, clone, is_clusterer, is_regressor

    brought = loaded(source)
    if isinstance(brought, type):
        estimator = brought()
    elif not callable(getattr(brought, "fit", None)):
        estimator = _from_factory(brought, seed)
    elif hasattr(brought, "get_params"):
        estimator = clone(brought)
    else:
        raise UsageError(
            f"the learner is {name_of(brought)}, which cannot be copied (it has no get_params); "
            "give a function that makes one"
        )
    if not all(callable(getattr(estimator, method, None)) for method in ("fit", "predict")):
        raise UsageError(
            f"the learner is {name_of(estimator)}, which has no fit and predict; {EXPECTED}"
        )
    if isinstance(estimator, BaseEstimator) and (
        is_regressor(estimator) or is_clusterer(estimator)
    ):
        raise UsageError(f"the learner is {name_of(estimator)}, which is no classifier; {EXPECTED}")
    params, settings = params_of(estimator), {}
    for name in sorted(params):
        last = name.rpartition("__")[2]
        if last == "random_state":
            settings[name] = derived_seed(seed, "learner", name) % 2**32
        elif last == "n_jobs" and params[name] not in (None, 1):
            settings[name] = 1
    return estimator.set_params(**settings) if settings else estimator


def name_of(estimator: Any) -> str:
    """Name an estimator: its class, of a pipeline the classes of its steps."""
    if _is_pipeline(estimator):
        return f"Pipeline({', '.join(type(step).__name__ for _, step in estimator.steps)})"
    return type(estimator).__name__


def weighing_of(estimator: Any) -> str | None:
    """Return the name by which it can be told to weigh classes; None where it cannot.

    A parameter `class_weight` goes before an argument `sample_weight` of `fit`; a pipeline's is its
    last step's, and a search's or an ensemble's that of its `estimator`.
    """
    from sklearn.utils.validation import has_fit_parameter

    params = params_of(estimator)
    if "class_weight" in params:
        return "class_weight"
    if _is_pipeline(estimator):
        step, last = estimator.steps[-1]
        inner = weighing_of(last)
        return inner and f"{step}__{inner}"
    if hasattr(params.get("estimator"), "fit"):
        inner = weighing_of(params["estimator"])
        if inner and inner.endswith("class_weight"):
            return f"estimator__{inner}"
    return "sample_weight" if has_fit_parameter(estimator, "sample_weight") else None


def balances(estimator: Any) -> bool:
    """Tell whether it weighs or samples classes evenly by itself, at whatever depth.

    By a parameter class_weight="balanced", or as an ensemble of imbalanced-learn, which resamples.
    """
    params = params_of(estimator)
    weighed = any(
        name.rpartition("__")[2] == "class_weight" and str(value).startswith("balanced")
        for name, value in params.items()
    )
    parts = [estimator, *params.values()]
    return weighed or any(type(one).__module__.startswith("imblearn.ensemble") for one in parts)


def takes_rows_as_they_are(estimator: Any) -> bool:
    """Tell whether it is a pipeline, or a search or calibration of one, so prepares its rows."""
    while not _is_pipeline(estimator):
        estimator = getattr(estimator, "estimator", None)
        if estimator is None:
            return False
    return True


@dataclass(frozen=True)
class FittedEstimator:
    """A trained estimator. known: int64 (k,), the labels it saw, by its own numbering 0..k-1.

    argmax: its default decision is the likeliest class, so that it needs no second asking. matrix:
    how rows of a table become numbers; None of images, and where it takes frames.
    """

    estimator: Any
    known: Labels
    name: str
    argmax: bool
    matrix: TableMatrix | None = None

    def scores(self, data: Labelled) -> Scores:
        """Score N rows for K = len(data.names) classes; one that it never saw has probability 0."""
        x, classes = rows_for_estimator(data, self.matrix), len(data.names)
        with one_thread(), failures_named(self.name, "its predictions"):
            kind, values = self._values(x)
            own = values.argmax(axis=1) if self.argmax else np.asarray(self.estimator.predict(x))
        called = self.known[own.astype(np.int64)]
        if kind == "none":
            return Scores(called=called, values=None, kind="none")
        if values.shape != (len(called), len(self.known)) or not np.isfinite(values).all():
            raise DataError(
                f"the learner {self.name} gives scores {values.shape} for {len(called)} rows and "
                f"{len(self.known)} classes, or some that are no finite numbers; expected one "
                "finite number a row and class"
            )
        whole = np.full((len(called), classes), 0.0 if kind == "probability" else -np.inf)
        whole[:, self.known] = values
        return Scores(called=called, values=whole, kind=kind)

    def _values(self, x: Any) -> tuple[Kind, NDArray[np.float64]]:
        """Return (kind, (N, k)); nothing, (0, 0), of an estimator without scores."""
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
    estimator: Any, x: Any, y: Labels, name: str, weighing: str | None = None
) -> None:
    """Train on x (N rows) with one thread. weighing: as of `weighing_of`, None to weigh nothing.

    Raises DataError.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.utils.class_weight import compute_sample_weight

    arguments: dict[str, Any] = {}
    if weighing is not None and weighing.endswith("class_weight"):
        estimator.set_params(**{weighing: "balanced"})
    elif weighing is not None:
        arguments[weighing] = compute_sample_weight("balanced", y)
    fails = failures_named(name, f"its fit on {len(y)} rows")
    with one_thread(), fails, warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # in every arm alike
        estimator.fit(x, y, **arguments)


def rows_for_estimator(data: Labelled, matrix: TableMatrix | None) -> Any:
    """Return rows as an estimator gets them: a frame, a matrix, or float32 pixels in 0..1.

    Signals, (N, L C), are in -1..1.
    """
    return data.kind.features(data) if matrix is None else matrix.of(data)


@contextmanager
def failures_named(name: str, what: str) -> Iterator[None]:
    """Raise what a user's code raises as a DataError that names it; our own errors stay."""
    try:
        yield
    except GanAugmentError:
        raise
    except Exception as error:
        raise DataError(
            f"the learner {name} failed in {what}: {type(error).__name__}: {error}"
        ) from error


def one_thread() -> Any:
    """Make BLAS and OpenMP use one thread in a block: bytes depend on no machine."""
    return _thread_pools(len(sys.modules)).limit(limits=1)


@lru_cache(maxsize=1)
def _thread_pools(modules: int) -> Any:
    """Look for them anew where modules were imported since: it takes 4 ms, a limit 15 us."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _from_factory(factory: Any, seed: int) -> Any:
    if not callable(factory):
        raise UsageError(f"the learner is {factory!r} ({type(factory).__name__}); {EXPECTED}")
    name, params = getattr(factory, "__name__", factory), inspect.signature(factory).parameters
    needed = [
        p.name
        for p in params.values()
        if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    if len(needed) > 1:
        raise UsageError(f"{name!r} takes {', '.join(needed)}; {EXPECTED}")
    try:
        by_name = "seed" in params and params["seed"].kind is not params["seed"].POSITIONAL_ONLY
        return factory(seed=seed) if by_name else factory(*[seed] * len(needed))
    except Exception as error:
        raise UsageError(
            f"{name!r} fails when it is to make a learner: {type(error).__name__}: {error}"
        ) from error


def _is_pipeline(estimator: Any) -> bool:
    """Tell whether it is a Pipeline, imbalanced-learn's among them."""
    from sklearn.pipeline import Pipeline

    return isinstance(estimator, Pipeline)


def params_of(estimator: Any) -> Mapping[str, Any]:
    """Return its parameters, nested ones by `__`; none of what cannot name them."""
    if not hasattr(estimator, "get_params"):
        return {}
    params: Mapping[str, Any] = estimator.get_params(deep=True)
    return params


def _cells(table: Labelled, schema: TableSchema) -> list[Plain]:
    return list(plain_columns(table.frame, schema.learned).values())


def _scale(cells: Plain) -> tuple[float, float, float]:
    """Return (median, mean, deviation) of real rows; a column of one value or none becomes 0."""
    known = cells[~np.isnan(cells)]
    if not len(known):
        return 0.0, 0.0, 1.0
    median = float(np.median(known))
    filled = np.where(np.isnan(cells), median, cells)
    return median, float(filled.mean()), float(filled.std()) or 1.0


def _level_places(codes: Plain, levels: int) -> NDArray[np.int64]:
    """Place the levels of the real rows (N,); those that they do not hold join the rare ones."""
    counts = np.bincount(np.where(codes < 0, levels, codes), minlength=levels + 1)
    order = np.argsort(-counts, kind="stable")[:MOST_LEVELS]
    own = np.sort(order[counts[order] > 0])
    several = (counts > 0).sum() > len(own)
    place = np.full(levels + 1, len(own) if several else -1)
    place[own] = np.arange(len(own))
    return place
