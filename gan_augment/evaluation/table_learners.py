"""Learners of tables: four by name, or any scikit-learn classifier.

A pipeline gets the frame as it is and prepares it itself. Every other classifier gets numbers
(`table_matrix.py`), encoded as the real training rows ask, so alike in all arms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gan_augment.data.contract import LabelledTable
from gan_augment.data.tables.inference import infer_schema
from gan_augment.data.tables.schema import Overrides, TableSchema
from gan_augment.errors import UsageError, did_you_mean
from gan_augment.evaluation.decisions import Scores
from gan_augment.evaluation.estimators import (
    EstimatorLearner,
    Estimators,
    FittedEstimator,
    balances,
    fit_estimator,
    name_of,
    takes_rows_as_they_are,
    weighing_of,
)
from gan_augment.evaluation.learners import Training
from gan_augment.evaluation.own_code import OwnCode
from gan_augment.evaluation.table_matrix import TableMatrix

DEFAULT = "boosting"


def _boosting() -> Any:
    """Early stopping would begin above 10,000 rows, and so for some arms only."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(early_stopping=False)


def _logistic() -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=500)


def _forest() -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(100)


def _neighbours() -> Any:
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier(5)


NAMED: Mapping[str, Callable[[], Any]] = {
    "boosting": _boosting,
    "logistic": _logistic,
    "forest": _forest,
    "neighbours": _neighbours,
}


@dataclass(frozen=True)
class TableLearner(EstimatorLearner):
    """A scikit-learn classifier on rows of one schema. frames: it gets them as they are."""

    schema: TableSchema
    frames: bool
    named: bool = False

    def fit(self, training: Training[Any], seed: int) -> FittedTable:
        """Train on the rows; see `learners.Learner`."""
        check_asked(self, training)
        data: LabelledTable = training.data
        matrix, x = None, data.frame
        if not self.frames:
            matrix, x = TableMatrix.fitted(training.real, data, self.schema)
        fitted = fit_estimator(
            self.estimators.new(seed),
            x,
            data.labels,
            self.name,
            self.weighing if training.balanced else None,
            argmax=self.named,
        )
        return FittedTable(fitted, matrix)


@dataclass(frozen=True)
class FittedTable:
    """A trained classifier of tables. matrix: None where it takes frames."""

    fitted: FittedEstimator
    matrix: TableMatrix | None

    def scores(self, data: LabelledTable) -> Scores:
        """What it says of N rows; see `learners.Fitted`."""
        x = data.frame if self.matrix is None else self.matrix.of(data)
        return self.fitted.scores(x, len(data.names))


def table_learner_of(given: Any, data: LabelledTable, overrides: Overrides | None) -> TableLearner:
    """As `learners.learner_of`, for tables. Raises UsageError."""
    named = given is None or (isinstance(given, str) and given in NAMED)
    if named:
        source: Any = NAMED[given or DEFAULT]
    else:
        source = own_or_unknown(given, tuple(NAMED)) if isinstance(given, str) else given
    estimators = Estimators(source)
    example = estimators.new(0)
    return TableLearner(
        name=(given or DEFAULT) if named else name_of(source, example),
        estimators=estimators,
        schema=infer_schema(data.frame, overrides),
        weighing=weighing_of(example),
        balances=balances(example),
        frames=takes_rows_as_they_are(example),
        named=named,
    )


def own_or_unknown(given: str, names: tuple[str, ...]) -> OwnCode:
    """What "path.py:name" names. Raises UsageError for every other word."""
    if ".py:" in given:
        return OwnCode.of(given)
    raise UsageError(
        f"there is no learner {given!r}; expected {', '.join(names)}, or path.py:name of your own."
        f"{did_you_mean(given, names)}"
    )


def check_asked(learner: Any, training: Training[Any]) -> None:
    """Raise UsageError for class weights or a missing augmentation that a learner does not know."""
    if training.balanced and not learner.weighs:
        raise UsageError(f"the learner {learner.name} knows no class weights; leave that arm out")
    if training.plain and not learner.augments:
        raise UsageError(
            f"the learner {learner.name} has no classical augmentation to turn off; leave that arm "
            "out"
        )
