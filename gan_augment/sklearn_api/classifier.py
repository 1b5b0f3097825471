"""`AugmentedClassifier`: a classifier that tops up its training rows in `fit`."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any, Self

import numpy as np
from imblearn.over_sampling.base import BaseOverSampler
from numpy.typing import ArrayLike, NDArray
from sklearn import get_config
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import (
    _check_sample_weight,
    _estimator_has,
    check_is_fitted,
    column_or_1d,
)

from gan_augment.data.groups import group_codes, judging_folds
from gan_augment.errors import UsageError
from gan_augment.sklearn_api.amount import FITTED, LADDER, AmountSampler, best_amount
from gan_augment.sklearn_api.augmenter import GANAugmenter, draw_seed
from gan_augment.sklearn_api.inputs import read_input

Labels = NDArray[Any]
PRIMARY, FOLDS = "balanced_accuracy", 5
"""Score and folds of "auto"."""


def _decides_by_itself(self: AugmentedClassifier) -> bool:
    """Return whether `decision_function` exists: decision values have no prior to correct."""
    return not self.correct_prior and bool(_estimator_has("decision_function")(self))


class AugmentedClassifier(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier that tops up its training rows in `fit`; prediction changes no rows.

    It works as the last step of scikit-learn's `Pipeline`, and in `GridSearchCV`, `cross_validate`,
    `CalibratedClassifierCV` and `TunedThresholdClassifierCV`. Rows that these hold out are neither
    topped up nor seen by the generator.

    Parameters
    ----------
    estimator : classifier
        A scikit-learn compatible classifier, or a pipeline that ends in one; it is cloned.
    augmenter : sampler or None, default=None
        Cloned and fitted in every `fit`; None is `GANAugmenter()`. If `amount` is None, any
        over-sampler of imbalanced-learn works.
    amount : None or "auto", default=None
        None uses the augmenter's `sampling_strategy`. "auto" runs a `GridSearchCV` (5 folds) over
        nothing, repeats, SMOTE and the GAN, up to 1/10, 1/4, 1/2 and all of the largest class, and
        chooses by `best_amount`. A source that fails on the data is ignored.
    scoring : str, callable or None, default=None
        The score of "auto", as in scikit-learn; None is "balanced_accuracy".
    correct_prior : bool, default=False
        Whether to rescale probabilities, and with them predictions, from the topped-up class shares
        to the real ones: p(c|x) n_c / m_c, normalised, for n_c real and m_c training rows (sums of
        weights). Source: Saerens et al. 2002, "Adjusting the outputs of a classifier to new a
        priori probabilities", eq. 2.4.

    Attributes
    ----------
    estimator_, augmenter_
        The fitted classifier and sampler.
    classes_ : ndarray (K,)
        The labels.
    n_features_in_, feature_names_in_
        The estimator's.
    origin_ : ndarray of str
        "real", "repeat", "synthetic" or "companion" for every training row; absent if the sampler
        has none.
    search_ : GridSearchCV
        The search of "auto", with `best_params_` and `cv_results_`.

    Raises
    ------
    UsageError, DataError
        For parameters, or for X and y, that cannot be used.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from gan_augment import AugmentedClassifier, GANAugmenter
    >>> X, y = make_classification(60, weights=[0.8], random_state=0)
    >>> augmenter = GANAugmenter(steps=2, random_state=0, n_jobs=1)
    >>> classifier = AugmentedClassifier(LogisticRegression(), augmenter)
    >>> model = make_pipeline(StandardScaler(), classifier).fit(X, y)
    >>> model.predict(X[:2]).shape, len(model[-1].origin_)
    ((2,), 98)
    """

    def __init__(
        self,
        estimator: Any,
        augmenter: Any = None,
        amount: str | None = None,
        scoring: str | Callable[..., float] | None = None,
        correct_prior: bool = False,
    ) -> None:
        self.estimator = estimator
        self.augmenter = augmenter
        self.amount = amount
        self.scoring = scoring
        self.correct_prior = correct_prior

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Top up X and y, and fit the classifier on all rows.

        Parameters
        ----------
        X, y
            Whatever the augmenter takes.
        sample_weight : (N,), default=None
            Weights of the real rows, passed on; new rows weigh 1.
        groups : (N,), default=None
            Rows of a group stay on one side of the folds of "auto".

        Returns
        -------
        self
        """
        y = column_or_1d(y, warn=True)
        weights = None if sample_weight is None else _check_sample_weight(sample_weight, X)
        self._check()
        for name in ("origin_", "search_", "n_features_in_", "feature_names_in_"):
            self.__dict__.pop(name, None)
        if self.amount == "auto":
            return self._search(X, y, weights, groups)
        self.augmenter_ = GANAugmenter() if self.augmenter is None else clone(self.augmenter)
        X_more, y_more = self.augmenter_.fit_resample(X, y)
        if hasattr(self.augmenter_, "origin_"):
            self.origin_ = self.augmenter_.origin_
        y_more = np.asarray(y_more)
        before = np.ones(len(y)) if weights is None else weights
        after = np.concatenate([before, np.ones(len(y_more) - len(y))])
        passed = {} if weights is None else {self._weights_name: after}
        self.estimator_ = clone(self.estimator).fit(X_more, y_more, **passed)
        self.classes_ = self.estimator_.classes_
        if self.correct_prior:
            ratio = [before[y == c].sum() / after[y_more == c].sum() for c in self.classes_]
            self._prior_ratio = np.array(ratio) * after.sum() / before.sum()
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(self.estimator_, name):
                setattr(self, name, getattr(self.estimator_, name))
        return self

    def predict(self, X: Any) -> Labels:
        """Predict (N,) labels; with `correct_prior` by the highest corrected probability."""
        check_is_fitted(self, "estimator_")
        if not self.correct_prior:
            return np.asarray(self.estimator_.predict(X))
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])

    @available_if(_estimator_has("predict_proba"))  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Predict (N, K) probabilities in the order of `classes_`."""
        check_is_fitted(self, "estimator_")
        share = np.asarray(self.estimator_.predict_proba(X))
        if not self.correct_prior:
            return share
        corrected = share * self._prior_ratio
        total = corrected.sum(axis=1, keepdims=True)
        return np.asarray(np.divide(corrected, total, out=share.copy(), where=total > 0))

    @available_if(_decides_by_itself)  # type: ignore[untyped-decorator]
    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Return the estimator's decision values; absent with `correct_prior`."""
        check_is_fitted(self, "estimator_")
        return np.asarray(self.estimator_.decision_function(X))

    def _search(
        self, X: Any, y: Labels, weights: NDArray[Any] | None, groups: ArrayLike | None
    ) -> Self:
        """Choose source and amount by cross-validation, and keep the model of all rows."""
        augmenter = GANAugmenter() if self.augmenter is None else clone(self.augmenter)
        seed = draw_seed(augmenter.random_state)
        augmenter.set_params(random_state=seed)
        data = read_input(X, y, augmenter).data  # raises for rows that cannot be read
        codes = data.groups if groups is None else group_codes(groups, len(y))
        fold = judging_folds(data.labels, codes, folds=FOLDS, seed=seed)
        cv = [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(FOLDS)]
        candidate = clone(self).set_params(amount=None, augmenter=AmountSampler(augmenter))
        grid = [{"augmenter__source": [s], "augmenter__to": [to]} for s, to in LADDER]
        self.search_ = GridSearchCV(
            candidate,
            grid,
            scoring=PRIMARY if self.scoring is None else self.scoring,
            refit=best_amount,
            cv=[(seen, held) for seen, held in cv if len(held)],
        )
        with warnings.catch_warnings():
            # a source that cannot serve the data is left out; a fold may lack a small class
            warnings.simplefilter("ignore", FitFailedWarning)
            warnings.filterwarnings("ignore", "One or more of the test scores are non-finite")
            warnings.filterwarnings("ignore", "y_pred contains classes not in y_true")
            try:
                self.search_.fit(X, y, **({} if weights is None else {"sample_weight": weights}))
            finally:
                FITTED.clear()
        for name, value in vars(self.search_.best_estimator_).items():
            if name.endswith("_") or name == "_prior_ratio":
                setattr(self, name, value)
        return self

    @property
    def _weights_name(self) -> str:
        """Return the argument of the estimator's `fit` for weights."""
        prefix, last = "", self.estimator
        routed = get_config()["enable_metadata_routing"]  # by requests of the steps, not by name
        while isinstance(last, Pipeline) and not routed:
            name, last = last.steps[-1]
            prefix += f"{name}__"
        return f"{prefix}sample_weight"

    def _check(self) -> None:
        augmenter, scoring = self.augmenter, self.scoring
        if not (self.amount is None or self.amount == "auto"):
            raise UsageError(f"amount={self.amount!r}; expected None or 'auto'")
        tunable = augmenter is None or hasattr(augmenter, "synthetic_share")
        if not (tunable if self.amount else isinstance(augmenter, BaseOverSampler | None)):
            raise UsageError(
                f"the augmenter is a {type(augmenter).__name__}; expected GANAugmenter(), or "
                "without amount='auto' any over-sampler of imbalanced-learn"
            )
        if not (scoring is None or isinstance(scoring, str) or callable(scoring)):
            raise UsageError(f"scoring={scoring!r}; expected one figure: a name or a callable")
        if self.correct_prior and not hasattr(self.estimator, "predict_proba"):
            raise UsageError(
                f"{type(self.estimator).__name__} has no predict_proba, which correct_prior=True "
                "rescales; wrap it in CalibratedClassifierCV"
            )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.input_tags = copy.deepcopy(inner.input_tags)
        tags.classifier_tags = copy.deepcopy(inner.classifier_tags)
        tags.classifier_tags.multi_label = False
        return tags
