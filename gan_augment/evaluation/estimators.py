"""scikit-learn classifiers for an evaluation: fresh, seeded, weighted, in one thread.

A `source` is an instance, a class, a function that makes one, or "module:name" of one of these.
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

from gan_augment.data.tables.columns import plain_columns
from gan_augment.data.tables.schema import TableSchema
from gan_augment.errors import DataError, GanAugmentError, UsageError
from gan_augment.evaluation.decisions import ScoreKind, Scores
from gan_augment.evaluation.plug_ins import loaded
from gan_augment.kinds.kind import Labelled
from gan_augment.rng import derived_seed

Labels = NDArray[np.int64]

MOST_LEVELS = 64
"""Levels of a column with a 0/1 column of their own; the rare ones share one."""
EXPECTED = "expected a scikit-learn classifier, a class of one, or a function that makes one"


class TableEncoder:
    """Encodes the learned columns of a table as float64 (N, width), fitted to real rows.

    Numbers: missing cells become the median, then mean 0 and deviation 1. Levels: one 0/1 column
    for each of the most frequent ones, a missing cell being a level too.
    """

    def __init__(self, real: Labelled, schema: TableSchema) -> None:
        from sklearn.compose import ColumnTransformer
        from sklearn.impute import SimpleImputer
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import OneHotEncoder, StandardScaler

        self._columns = schema.learned
        coded = [column.has_levels for column in self._columns]
        levels = OneHotEncoder(
            max_categories=MOST_LEVELS,
            handle_unknown="infrequent_if_exist",
            sparse_output=False,
        )
        numbers = make_pipeline(
            SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler()
        )
        self._encoder = ColumnTransformer(
            [
                ("numbers", numbers, np.flatnonzero(~np.array(coded, dtype=bool))),
                ("levels", levels, np.flatnonzero(coded)),
            ],
            sparse_threshold=0,
        ).fit(self._cells(real))

    def of(self, table: Labelled) -> NDArray[np.float64]:
        """Encode rows of the same columns. Raises DataError for cells of a different kind."""
        with warnings.catch_warnings():  # unknown levels count as rare ones
            warnings.filterwarnings("ignore", "Found unknown categories", UserWarning)
            encoded: NDArray[Any] = self._encoder.transform(self._cells(table))
        return encoded.astype(np.float64, copy=False)

    def _cells(self, table: Labelled) -> NDArray[np.float64]:
        """Return numbers, and levels as codes, -1 for a missing cell: (N, learned columns)."""
        cells = plain_columns(table.frame, self._columns).values()
        columns = [np.asarray(one, dtype=np.float64) for one in cells]
        return np.column_stack([np.empty((len(table), 0)), *columns])


def new_estimator(source: Any, seed: int) -> Any:
    """Return an untrained classifier of one job with every `random_state` derived from `seed`.

    Raises UsageError if the source is no classifier.
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
            f"the learner is {name_of(brought)}, which cannot be cloned (it has no get_params); "
            "give a function that makes one"
        )
    classifies = all(callable(getattr(estimator, method, None)) for method in ("fit", "predict"))
    known = isinstance(estimator, BaseEstimator)
    if not classifies or (known and (is_regressor(estimator) or is_clusterer(estimator))):
        raise UsageError(f"the learner is {name_of(estimator)}, which is no classifier; {EXPECTED}")
    settings: dict[str, Any] = {}
    for name, value in sorted(params_of(estimator).items()):
        last = name.rpartition("__")[2]
        if last == "random_state":
            settings[name] = derived_seed(seed, "learner", name) % 2**32
        elif last == "n_jobs" and value not in (None, 1):
            settings[name] = 1
    return estimator.set_params(**settings) if settings else estimator


def _from_factory(factory: Any, seed: int) -> Any:
    """Call a function that makes a classifier, with a seed if it takes one argument."""
    if not callable(factory):
        raise UsageError(f"the learner is {factory!r} ({type(factory).__name__}); {EXPECTED}")
    name, params = getattr(factory, "__name__", factory), inspect.signature(factory).parameters
    needed = [
        p.name
        for p in params.values()
        if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    if len(needed) > 1:
        raise UsageError(f"{name!r} takes {', '.join(needed)}; {EXPECTED}, with a seed or without")
    try:
        return factory(seed=seed) if "seed" in params else factory(*[seed] * len(needed))
    except Exception as error:
        raise UsageError(
            f"{name!r} fails to make a learner: {type(error).__name__}: {error}"
        ) from error


def name_of(estimator: Any) -> str:
    """Return the class name of an estimator, for a pipeline those of its steps."""
    if _is_pipeline(estimator):
        return f"Pipeline({', '.join(type(step).__name__ for _, step in estimator.steps)})"
    return type(estimator).__name__


def weighing_of(estimator: Any) -> str | None:
    """Return the parameter or `fit` argument that weights classes; None if there is none.

    `class_weight` takes precedence over `sample_weight`. A pipeline is asked for its last step, a
    search or an ensemble for its `estimator`.
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
    """Return whether the estimator itself weights or resamples classes evenly."""
    params = params_of(estimator)
    weighed = any(
        name.rpartition("__")[2] == "class_weight" and str(value).startswith("balanced")
        for name, value in params.items()
    )
    parts = [estimator, *params.values()]
    return weighed or any(type(one).__module__.startswith("imblearn.ensemble") for one in parts)


def prepares_rows(estimator: Any) -> bool:
    """Return whether it is a pipeline, or a search or calibration of one: it gets the frame."""
    while not _is_pipeline(estimator):
        estimator = getattr(estimator, "estimator", None)
        if estimator is None:
            return False
    return True


@dataclass(frozen=True)
class FittedEstimator:
    """A trained classifier.

    Parameters
    ----------
    estimator
        The fitted scikit-learn classifier.
    known : int64 (k,)
        The labels of its training rows; it numbers them 0..k-1 itself.
    name
        For errors.
    argmax
        Whether its own decision is the likeliest class, which saves a second prediction.
    encoder
        Encodes the rows of a table; None if the estimator takes rows as they are.
    """

    estimator: Any
    known: Labels
    name: str
    argmax: bool
    encoder: TableEncoder | None = None

    def scores(self, data: Labelled) -> Scores:
        """Score N rows for K = len(data.names) classes; unseen classes have probability 0."""
        x, classes = features_of(data, self.encoder), len(data.names)
        with one_thread(), failures_named(self.name, "its predictions"):
            kind, values = self._values(x)
            if self.argmax and values is not None:
                own = values.argmax(axis=1)
            else:
                own = np.asarray(self.estimator.predict(x))
        called = self.known[own.astype(np.int64)]
        if values is None:
            return Scores(called=called, values=None, kind="none")
        if values.shape != (len(called), len(self.known)) or not np.isfinite(values).all():
            raise DataError(
                f"the learner {self.name} gives scores {values.shape} for {len(called)} rows and "
                f"{len(self.known)} classes; expected one finite number per row and class"
            )
        whole = np.full((len(called), classes), 0.0 if kind == "probability" else -np.inf)
        whole[:, self.known] = values
        return Scores(called=called, values=whole, kind=kind)

    def _values(self, x: Any) -> tuple[ScoreKind, NDArray[np.float64] | None]:
        """Return the kind of scores and their values (N, k), None without scores."""
        if hasattr(self.estimator, "predict_proba"):
            return "probability", np.asarray(self.estimator.predict_proba(x), dtype=np.float64)
        if hasattr(self.estimator, "decision_function"):
            values = np.asarray(self.estimator.decision_function(x), dtype=np.float64)
            if values.ndim == 1:
                values = np.column_stack([np.zeros(len(values)), values])
            if values.shape[1] == len(self.known):  # otherwise one against one
                return "decision", values
        return "none", None


def fit_estimator(
    estimator: Any, x: Any, y: Labels, name: str, weighing: str | None = None
) -> None:
    """Train on N rows in one thread; `weighing` as of `weighing_of`. Raises DataError."""
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


def features_of(data: Labelled, encoder: TableEncoder | None) -> Any:
    """Return rows as an estimator takes them: a frame, a matrix, or flat pixels."""
    return data.kind.features(data) if encoder is None else encoder.of(data)


@contextmanager
def failures_named(name: str, what: str) -> Iterator[None]:
    """Turn errors of user code into a DataError that names it; our own errors pass."""
    try:
        yield
    except GanAugmentError:
        raise
    except Exception as error:
        raise DataError(
            f"the learner {name} failed in {what}: {type(error).__name__}: {error}"
        ) from error


def one_thread() -> Any:
    """Limit BLAS and OpenMP to one thread, so that results do not depend on the machine."""
    return _thread_pools(len(sys.modules)).limit(limits=1)


@lru_cache(maxsize=1)
def _thread_pools(modules: int) -> Any:
    """Cached until more modules are imported: a search takes 4 ms, a limit 15 us."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _is_pipeline(estimator: Any) -> bool:
    from sklearn.pipeline import Pipeline

    return isinstance(estimator, Pipeline)


def params_of(estimator: Any) -> Mapping[str, Any]:
    """Return the parameters, nested ones by `__`; none if it cannot list them."""
    if not hasattr(estimator, "get_params"):
        return {}
    params: Mapping[str, Any] = estimator.get_params(deep=True)
    return params
