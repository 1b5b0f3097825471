"""`PriorCorrectedClassifier`: a classifier whose decision does not favour the large classes.

`WrappedClassifier` is what all classifiers around another one share.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    _routing_enabled,
    process_routing,
)
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import (
    _check_sample_weight,
    _estimator_has,
    check_is_fitted,
    column_or_1d,
)

from gan_augment.errors import UsageError
from gan_augment.evaluation.decisions import corrected
from gan_augment.evaluation.estimators import seen_shares

__all__ = ["PriorCorrectedClassifier"]


class WrappedClassifier(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier around `estimator`, whose tags and learned attributes it takes over."""

    def _keep_fitted(self, estimator: Any) -> Self:
        """Set estimator_, classes_, n_features_in_ and feature_names_in_."""
        self.estimator_, self.classes_ = estimator, estimator.classes_
        for name in ("n_features_in_", "feature_names_in_"):
            self.__dict__.pop(name, None)
            if hasattr(estimator, name):
                setattr(self, name, getattr(estimator, name))
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """Predict the class of each row.

        Parameters
        ----------
        X : (N, ...)
            Rows as `fit` takes them.

        Returns
        -------
        ndarray (N,)
            Labels of `classes_`.
        """
        check_is_fitted(self, "estimator_")
        return np.asarray(self.estimator_.predict(X))

    @available_if(_estimator_has("predict_proba"))  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Predict the probability of each class.

        Parameters
        ----------
        X : (N, ...)
            Rows as `fit` takes them.

        Returns
        -------
        ndarray of float64 (N, K)
            Columns in the order of `classes_`; corrected for the class shares if the decision is.
        """
        check_is_fitted(self, "estimator_")
        return np.asarray(self.estimator_.predict_proba(X))

    @property
    def coef_(self) -> NDArray[Any]:
        """The estimator's coefficients; absent where it has none."""
        return np.asarray(self.estimator_.coef_)

    @property
    def feature_importances_(self) -> NDArray[np.float64]:
        """The estimator's importances (D,); absent where it has none."""
        return np.asarray(self.estimator_.feature_importances_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.input_tags = copy.deepcopy(inner.input_tags)
        tags.classifier_tags = copy.deepcopy(inner.classifier_tags)
        tags.classifier_tags.multi_label = False
        return tags


def passed_weights(estimator: Any, weights: NDArray[Any] | None) -> dict[str, NDArray[Any]]:
    """Return the argument for sample weights of `estimator.fit`, {} without weights."""
    if weights is None:
        return {}
    prefix = ""
    # with metadata routing, the requests of the steps say who gets weights, not the name
    while isinstance(estimator, Pipeline) and not _routing_enabled():
        name, estimator = estimator.steps[-1]
        prefix += f"{name}__"
    return {f"{prefix}sample_weight": weights}


def check_probabilities(estimator: Any) -> None:
    """Raise UsageError for an estimator without `predict_proba`."""
    if not hasattr(estimator, "predict_proba"):
        raise UsageError(
            f"{type(estimator).__name__} has no predict_proba, which is corrected; wrap it in "
            "sklearn.calibration.CalibratedClassifierCV"
        )


class PriorCorrectedClassifier(WrappedClassifier):
    """A classifier whose probabilities and predictions are corrected for the class shares.

    A classifier trained on 95 % of one class predicts that class in doubt. Dividing its
    probabilities by the class shares that it was trained on gives the decision that is best for
    balanced accuracy, without new rows and without another fit.

    Parameters
    ----------
    estimator : classifier
        A scikit-learn compatible classifier with `predict_proba`, or a pipeline that ends in one;
        it is cloned.
    prior : "uniform", mapping or array-like (K,), default="uniform"
        The class shares to decide for: equal ones, {label: share}, or shares in the order of
        `classes_`. They are normalised.

    Attributes
    ----------
    estimator_ : classifier
        The fitted classifier.
    classes_ : ndarray (K,)
        The labels.
    shares_ : ndarray (K,)
        The class shares that the estimator was trained on: sums of sample weights, times the
        estimator's own `class_weight`.
    prior_ : ndarray (K,)
        The shares that decisions are for.
    n_features_in_, feature_names_in_
        The estimator's.

    Raises
    ------
    UsageError
        For a prior that does not fit the classes, and an estimator without `predict_proba`.

    Notes
    -----
    p'(c|x) is proportional to p(c|x) prior_c / share_c. Source: Saerens et al. 2002, "Adjusting
    the outputs of a classifier to new a priori probabilities", eq. 2.4.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.metrics import balanced_accuracy_score
    >>> from gan_augment import PriorCorrectedClassifier
    >>> X, y = make_classification(2000, weights=[0.95], class_sep=0.5, random_state=0)
    >>> plain = LogisticRegression().fit(X, y)
    >>> fair = PriorCorrectedClassifier(LogisticRegression()).fit(X, y)
    >>> [round(balanced_accuracy_score(y, each.predict(X)), 2) for each in (plain, fair)]
    [0.85, 0.91]
    """

    def __init__(
        self, estimator: Any, prior: str | Mapping[Any, float] | ArrayLike = "uniform"
    ) -> None:
        self.estimator = estimator
        self.prior = prior

    def fit(
        self, X: Any, y: Any, sample_weight: ArrayLike | None = None, **fit_params: Any
    ) -> Self:
        """Fit the classifier, and count the class shares that it sees.

        Parameters
        ----------
        X, y
            Whatever the estimator takes.
        sample_weight : (N,), default=None
            Weights of the rows, passed on to the estimator.
        **fit_params
            Passed on to the estimator, by scikit-learn's metadata routing where it is enabled.

        Returns
        -------
        self
            The fitted classifier.
        """
        check_probabilities(self.estimator)
        y = column_or_1d(y, warn=True)
        weights = None if sample_weight is None else _check_sample_weight(sample_weight, X)
        fit_params |= passed_weights(self.estimator, weights)
        if _routing_enabled():
            fit_params = process_routing(self, "fit", **fit_params).estimator.fit
        self._keep_fitted(clone(self.estimator).fit(X, y, **fit_params))
        self.shares_ = seen_shares(self.estimator, y, *([] if weights is None else [weights]))
        self.prior_ = self._checked_prior()
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        check_is_fitted(self, "estimator_")
        return corrected(self.estimator_.predict_proba(X), self.shares_, self.prior_)

    def predict(self, X: Any) -> NDArray[Any]:
        likeliest = self.predict_proba(X).argmax(axis=1)
        return np.asarray(self.classes_[likeliest])

    def get_metadata_routing(self) -> MetadataRouter:
        """Describe which metadata `fit` passes on to the estimator.

        Returns
        -------
        MetadataRouter
            The requests of the estimator's `fit`.
        """
        mapping = MethodMapping().add(caller="fit", callee="fit")
        router = MetadataRouter(owner=type(self).__name__).add_self_request(self)
        return router.add(estimator=self.estimator, method_mapping=mapping)

    def _checked_prior(self) -> NDArray[np.float64]:
        """Return the shares of `prior`, normalised; UsageError where they do not fit."""
        prior, labels = self.prior, list(self.classes_)
        if isinstance(prior, str) and prior == "uniform":
            prior = np.ones(len(labels))
        elif isinstance(prior, Mapping):
            prior = [prior.get(label, np.nan) for label in labels]
        try:
            shares = np.asarray(prior, dtype=np.float64)
        except ValueError:
            shares = np.empty(0)
        right = shares.shape == (len(labels),) and np.isfinite(shares).all()
        if not right or (shares < 0).any() or shares.sum() == 0:
            raise UsageError(
                f"prior={self.prior!r}; expected 'uniform', or a share for each of the classes "
                f"{', '.join(map(str, labels))}"
            )
        return np.asarray(shares / shares.sum())
