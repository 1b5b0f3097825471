"""Objects of the user: made, described, run in one thread; and the encoder of tables.

A `source` is an object, a class, a function without arguments, or "module:name" of one of these.
"""

from __future__ import annotations

import math
import re
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin, clone, is_clusterer, is_regressor
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.validation import check_is_fitted

from gan_augment.data.tables.columns import plain_columns
from gan_augment.data.tables.containers import as_frame
from gan_augment.data.tables.inference import infer_schema
from gan_augment.data.tables.schema import Overrides, TableSchema
from gan_augment.errors import DataError, GanAugmentError, UsageError
from gan_augment.evaluation.decisions import Labels
from gan_augment.rng import derived_seed
from gan_augment.settings import code_sha256, import_code

if TYPE_CHECKING:
    import pandas as pd

MOST_CATEGORIES = 64
"""Categories of a column with separate 0/1 columns; rare ones share one."""
_WITHOUT_EFFECT = ("threads", "callbacks", "n_jobs", "verbose", "memory")
"""Parameters that change no result."""


class TableEncoder(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Turn the columns of a table into numbers, as `evaluate` does for its classifiers.

    Numbers: missing cells become the median, then mean 0 and deviation 1. Categories: one
    0/1 column for each of the 64 most frequent ones, a missing cell being one too. Ids and constant
    columns are left out.

    Parameters
    ----------
    columns : dict or TableSchema, default=None
        {column: kind}, for columns whose kind is not inferred; or the columns as known.

    Attributes
    ----------
    schema_ : TableSchema
        The columns as inferred.

    Raises
    ------
    DataError
        For cells of a different kind in `transform`.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"size": [1.0, 2.0, 3.0], "colour": ["red", "blue", "red"]})
    >>> TableEncoder().fit_transform(frame).shape
    (3, 3)
    """

    def __init__(self, columns: Overrides | TableSchema | None = None) -> None:
        self.columns = columns

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn medians, scales and categories.

        Parameters
        ----------
        X, y
            A frame or an array (N, columns); ignored.

        Returns
        -------
        self
            The fitted encoder.
        """
        frame, known = as_frame(X), self.columns
        schema = known if isinstance(known, TableSchema) else infer_schema(frame, known)
        coded = np.array([column.kind == "categorical" for column in schema.learned], dtype=bool)
        filled = SimpleImputer(strategy="median", keep_empty_features=True)
        categories = OneHotEncoder(
            max_categories=MOST_CATEGORIES,
            handle_unknown="infrequent_if_exist",
            sparse_output=False,
        )
        self.schema_ = schema
        self._encoder = make_column_transformer(
            (make_pipeline(filled, StandardScaler()), np.flatnonzero(~coded)),
            (categories, np.flatnonzero(coded)),
            sparse_threshold=0,
        ).fit(self._cells(frame))
        return self

    def transform(self, X: Any) -> NDArray[np.float64]:
        """Encode rows.

        Parameters
        ----------
        X : (N, columns)
            With the columns of `fit`.

        Returns
        -------
        ndarray of float64 (N, width)
            Finite numbers.
        """
        check_is_fitted(self, "schema_")
        with warnings.catch_warnings():  # unknown categories count as rare ones
            warnings.filterwarnings("ignore", "Found unknown categories", UserWarning)
            encoded: NDArray[Any] = self._encoder.transform(self._cells(as_frame(X)))
        return encoded.astype(np.float64, copy=False)

    def _cells(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        """Return numbers, and categories as codes, -1 for a missing cell: (N, learned columns)."""
        values = plain_columns(frame, self.schema_.learned).values()
        columns = [np.asarray(one, dtype=np.float64) for one in values]
        return np.column_stack([np.empty((len(frame), 0)), *columns])


def new_object(source: Any, what: str, methods: Sequence[str]) -> Any:
    """Return an unfitted copy of a user's learner or sampler, which has `methods`.

    Raises UsageError if it cannot be made or lacks a method.
    """
    made = import_code(source) if isinstance(source, str) else source
    if isinstance(made, type) or (callable(made) and not hasattr(made, methods[0])):
        try:
            made = made()
        except Exception as error:
            raise UsageError(
                f"the {what} {source!r} cannot be made: {type(error).__name__}: {error}"
            ) from error
    if not all(callable(getattr(made, name, None)) for name in (*methods, "get_params")):
        raise UsageError(
            f"the {what} is {made!r}; expected an object with {', '.join(methods)} and get_params, "
            "a class or a function without arguments that makes one, or module:name of these"
        )
    return clone(made)


def new_estimator(source: Any, seed: int) -> Any:
    """Return an untrained classifier of one job, with seeds derived from `seed`."""
    estimator = new_object(source, "learner", ("fit", "predict"))
    known = isinstance(estimator, BaseEstimator)
    if known and (is_regressor(estimator) or is_clusterer(estimator)):
        raise UsageError(f"the learner {name_of(estimator)} is no classifier; give a classifier")
    settings: dict[str, Any] = {}
    for name, value in sorted(estimator.get_params().items()):
        last = name.rpartition("__")[2]
        if last == "random_state":
            settings[name] = derived_seed(seed, "learner", name) % 2**32
        elif last == "n_jobs" and value is not None:
            settings[name] = 1
    return estimator.set_params(**settings)


def name_of(estimator: Any) -> str:
    """Return the class name of an estimator, for a pipeline those of its steps."""
    steps = [type(step).__name__ for _, step in getattr(estimator, "steps", ())]
    return f"Pipeline({', '.join(steps)})" if steps else type(estimator).__name__


def weighing_of(estimator: Any) -> list[str]:
    """Return the `class_weight` parameters, or the `fit` argument that weights rows, if any."""
    from sklearn.utils.validation import has_fit_parameter

    if weights := list(class_weights(estimator)):
        return weights
    step, last = estimator.steps[-1] if hasattr(estimator, "steps") else ("", estimator)
    argument = f"{step}__sample_weight" if step else "sample_weight"
    return [argument] if has_fit_parameter(last, "sample_weight") else []


def weigh_evenly(estimator: Any, y: Labels) -> dict[str, Any]:
    """Set balanced class weights, or return the `fit` arguments that weight the rows so."""
    from sklearn.utils.class_weight import compute_sample_weight

    arguments: dict[str, Any] = {}
    for parameter in weighing_of(estimator):
        if parameter.endswith("class_weight"):
            estimator.set_params(**{parameter: "balanced"})
        else:
            arguments[parameter] = compute_sample_weight("balanced", y)
    return arguments


def class_weights(estimator: Any) -> dict[str, Any]:
    """Return the `class_weight` parameters of an estimator and its parts."""
    params = estimator.get_params().items()
    return {name: value for name, value in params if name.rpartition("__")[2] == "class_weight"}


def weigh_labels(estimator: Any, label_of: Mapping[str, Any]) -> None:
    """Key every `class_weight` that is a dict by the labels {name: label} of present classes."""
    for name, weights in class_weights(estimator).items():
        if isinstance(weights, Mapping):
            known = {label_of[str(k)]: w for k, w in weights.items() if str(k) in label_of}
            estimator.set_params(**{name: known})


def seen_shares(estimator: Any, y: NDArray[Any], *weights: NDArray[Any]) -> NDArray[np.float64]:
    """Return the class shares that the loss of an estimator sees, (k,), by its sorted labels.

    Rows count by `weights`, each (N,), and by the estimator's own `class_weight`. Ensembles of
    imbalanced-learn resample the classes evenly.
    """
    from sklearn.utils.class_weight import compute_sample_weight

    own = [one for one in class_weights(estimator).values() if one]
    rule = own[0] if own else None
    parts = [estimator, *estimator.get_params().values()]
    resamples = any(type(one).__module__.startswith("imblearn.ensemble") for one in parts)
    if resamples or rule == "balanced_subsample":  # of each tree of a forest
        rule = "balanced"
    rows = np.prod([compute_sample_weight(rule, y), *weights], axis=0)
    seen = np.bincount(np.unique(y, return_inverse=True)[1], rows)
    return np.asarray(seen / seen.sum())


def prepares_rows(estimator: Any) -> bool:
    """Return whether it is a pipeline, or a search or calibration of one: it gets the frame."""
    while estimator is not None and not hasattr(estimator, "steps"):
        estimator = getattr(estimator, "estimator", None)
    return estimator is not None


def fingerprint(source: Any) -> dict[str, Any]:
    """Return class and parameters of a user's object as JSON, the same in every process.

    >>> from imblearn.over_sampling import SMOTE
    >>> fingerprint(SMOTE(k_neighbors=3))["params"]["k_neighbors"]
    3
    """
    if isinstance(source, str):
        return {"class": source, "params": {"sha256": code_sha256(source)}}
    params = source.get_params() if hasattr(source, "get_params") else vars(source)
    return {"class": type(source).__name__, "params": described(params)}


def described(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters as JSON, nested ones by `__`, without those that change no result."""
    plain: dict[str, Any] = {}
    for name, value in sorted(params.items()):
        if not name.startswith("_") and name.rpartition("__")[2] not in _WITHOUT_EFFECT:
            finite = not isinstance(value, float) or math.isfinite(value)
            known = value is None or (isinstance(value, bool | int | float | str) and finite)
            plain[name] = value if known else re.sub(r" at 0x\w+", "", str(value))
    return plain


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


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit BLAS, OpenMP and torch to one thread, so that results do not depend on the machine."""
    from gan_augment import machine  # loads torch

    with _thread_pools(len(sys.modules)).limit(limits=1), machine.threads(1):
        yield


@lru_cache(maxsize=1)
def _thread_pools(modules: int) -> Any:
    """Cached until more modules are imported: a search takes 4 ms, a limit 15 us."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
