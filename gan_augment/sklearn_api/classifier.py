"""`AugmentedClassifier`: a classifier that tops up its training rows in `fit`.

`AmountSampler` makes the candidates of its `amount="auto"`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Literal, Self

import numpy as np
from imblearn.over_sampling.base import BaseOverSampler
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import GridSearchCV
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import (
    _check_sample_weight,
    _estimator_has,
    check_is_fitted,
    column_or_1d,
)

from gan_augment.data.groups import group_codes, judging_folds
from gan_augment.data.topup_plan import plan_topup
from gan_augment.errors import UsageError
from gan_augment.sklearn_api.augmenter import SOURCES, GANAugmenter, checked_options, draw_seed
from gan_augment.sklearn_api.inputs import read_input
from gan_augment.sklearn_api.prior import (
    PriorCorrectedClassifier,
    WrappedClassifier,
    check_probabilities,
    passed_weights,
)
from gan_augment.sklearn_api.sampling_strategy import rows_to_add

Labels = NDArray[Any]
PRIMARY, FOLDS = "balanced_accuracy", 5
"""Score and folds of "auto"."""
LADDER: tuple[tuple[str, float], ...] = (
    ("repeats", 0.0),
    *((source, to) for to in (0.1, 0.25, 0.5, 1.0) for source in SOURCES),
)
"""(source, fraction of the majority) of all candidates, from no rows to more."""
FITTED: dict[str, Any] = {}
"""Fitted generators by the fingerprint of rows and settings: all amounts of a fold share one fit.

A search empties it at its end.
"""


class AugmentedClassifier(WrappedClassifier):
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
        over nothing at a corrected decision. A candidate that fails on the data is ignored. The
        highest mean score is chosen, the least rows among equals.
    scoring : str, callable or None, default=None
        The score of "auto", as in scikit-learn; None is "balanced_accuracy".
    decision : {"own", "corrected"}, default="own"
        "corrected" wraps the estimator in `PriorCorrectedClassifier`: its probabilities are those
        for classes of equal size, whatever the class shares of the topped-up rows.

    Attributes
    ----------
    estimator_, augmenter_
        The fitted classifier, in its correction, and the sampler.
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
        decision: Literal["own", "corrected"] = "own",
    ) -> None:
        self.estimator = estimator
        self.augmenter = augmenter
        self.amount = amount
        self.scoring = scoring
        self.decision = decision

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
            The fitted classifier.
        """
        y = column_or_1d(y, warn=True)
        weights = None if sample_weight is None else _check_sample_weight(sample_weight, X)
        self._check()
        for name in ("origin_", "search_"):
            self.__dict__.pop(name, None)
        if self.amount == "auto":
            return self._search(X, y, weights, groups)
        self.augmenter_ = GANAugmenter() if self.augmenter is None else clone(self.augmenter)
        X_more, y_more = self.augmenter_.fit_resample(X, y)
        if hasattr(self.augmenter_, "origin_"):
            self.origin_ = self.augmenter_.origin_
        if weights is not None:
            weights = np.concatenate([weights, np.ones(len(y_more) - len(y))])
        estimator = clone(self.estimator)
        if self.decision == "corrected":
            estimator = PriorCorrectedClassifier(estimator)
        estimator.fit(X_more, np.asarray(y_more), **passed_weights(estimator, weights))
        return self._keep_fitted(estimator)

    @available_if(_estimator_has("decision_function"))  # type: ignore[untyped-decorator]
    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Return the estimator's decision values; absent for a corrected decision.

        Parameters
        ----------
        X : (N, ...)
            Rows as `fit` takes them.

        Returns
        -------
        ndarray (N,) or (N, K)
            Confidences of two classes, or of K.
        """
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
        grid = [{**rung, "decision": [self.decision]} for rung in grid]
        if self.decision == "own":
            grid.insert(1, {**grid[0], "decision": ["corrected"]})
        self.search_ = GridSearchCV(
            candidate,
            grid,
            scoring=PRIMARY if self.scoring is None else self.scoring,
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
            if name.endswith("_"):
                setattr(self, name, value)
        return self

    def _check(self) -> None:
        augmenter = self.augmenter
        if not (self.amount is None or self.amount == "auto"):
            raise UsageError(f"amount={self.amount!r}; expected None or 'auto'")
        if not isinstance(augmenter, (GANAugmenter if self.amount else BaseOverSampler) | None):
            raise UsageError(
                f"the augmenter is a {type(augmenter).__name__}; expected GANAugmenter(), or "
                "without amount='auto' any over-sampler of imbalanced-learn"
            )
        if self.decision not in ("own", "corrected"):
            raise UsageError(f"decision={self.decision!r}; expected 'own' or 'corrected'")
        if self.decision == "corrected":
            check_probabilities(self.estimator)


class AmountSampler(BaseOverSampler):  # type: ignore[misc]
    """Tops up the classes of a `GANAugmenter` from one source to one fraction of the majority.

    augmenter: names the classes, reads X, and is fitted as a copy. to: the fraction of the
    majority's count that a topped-up class ends with. origin_: of every row.
    """

    def __init__(self, augmenter: Any = None, source: str = "gan", to: float = 1.0) -> None:
        super().__init__()
        self.augmenter = augmenter
        self.source = source
        self.to = to

    def fit_resample(self, X: Any, y: Any) -> tuple[Any, Any]:
        """Return X and y followed by the added rows."""
        augmenter = clone(self.augmenter).set_params(source=self.source)
        parsed, (_, top_up) = read_input(X, y, augmenter), checked_options(augmenter)
        data = parsed.data
        classes = list(rows_to_add(augmenter.sampling_strategy, parsed.labels, data.labels))
        top_up = top_up.model_copy(update={"to": float(self.to)})
        plan = plan_topup(data.counts, top_up, classes, data.kind.recipes)
        settings = sorted(augmenter.get_params(deep=False).items())
        key, generator = f"{data.kind.sha256(data)} {settings!r}", None
        with warnings.catch_warnings():  # of classes filled with repeats, and of ids
            warnings.simplefilter("ignore", UserWarning)
            if plan.generated:
                generator = FITTED[key] = FITTED.get(key) or augmenter.fit(parsed).generator_
            seed = draw_seed(augmenter.random_state)
            result, _, self.origin_ = parsed.topped_up(plan, generator, seed)
        return result

    def _fit_resample(self, X: Any, y: Any) -> tuple[Any, Any]:
        return self.fit_resample(X, y)
