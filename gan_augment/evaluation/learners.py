"""Whom an evaluation asks whether a top-up helped: the downstream classifier, as a `Learner`.

What it is trained on is a `Training`. Tables are in `table_learners.py`, images in
`image_learners.py`; nothing is split, topped up or judged here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, Protocol

from gan_augment.data.contract import LabelledImages, LabelledTable
from gan_augment.data.tables.schema import Overrides
from gan_augment.errors import UsageError
from gan_augment.evaluation.decisions import Scores
from gan_augment.synthesizers.protocol import Data

AnyData = LabelledImages | LabelledTable


@dataclass(frozen=True)
class Training(Generic[Data]):
    """What a learner is fitted on.

    real: the real training rows, which alone decide how cells are encoded. data: the same rows in
    the same order and behind them the added ones, or `real` itself. balanced: classes weigh
    inversely to their rows in `data`. plain: images without classical augmentation.
    """

    real: Data
    data: Data
    balanced: bool = False
    plain: bool = False


class Fitted(Protocol):
    """A trained learner."""

    def scores(self, data: Any) -> Scores:
        """What it says of N rows, K = len(data.names); a class it never saw has probability 0."""


class Learner(Protocol):
    """A classifier that can be trained as often as asked, pickled in between.

    name: for people. weighs: whether it knows class weights (`Training.balanced`). augments:
    whether it has a classical augmentation that `Training.plain` turns off. balances: whether it
    gives every class the same weight by itself, whatever it is trained on.
    """

    @property
    def name(self) -> str: ...

    @property
    def weighs(self) -> bool: ...

    @property
    def augments(self) -> bool: ...

    @property
    def balances(self) -> bool: ...

    def described(self) -> dict[str, Any]:
        """JSON-ready and the same in every process: name, params, updates (None: not counted)."""

    def fit(self, training: Training[Any], seed: int) -> Fitted:
        """Train from scratch; the same arguments give the same scores.

        Raises DataError where it cannot be trained on this data, UsageError for class weights or
        a missing augmentation that it does not know.
        """


def learner_of(
    given: Any,
    data: AnyData,
    *,
    updates: int | None = None,
    overrides: Overrides | None = None,
) -> Learner:
    """The learner that a user means, for data like `data`, of which only column kinds are read.

    given: None for the default ("boosting" for tables, "cnn" for images); for tables also
    "logistic", "forest" or "neighbours"; "path.py:name" of anything that follows; a scikit-learn
    classifier or pipeline; a class of one, or a function that makes one, called with a seed if it
    takes one; for images also a function that trains a network (`image_learners.TrainingFunction`).
    updates: of a network, None for the default. overrides: kinds of a table's columns.

    Raises UsageError that says what was expected.

    >>> import numpy as np
    >>> from gan_augment import read_frame
    >>> table = read_frame(np.eye(12), y=["rare"] * 4 + ["common"] * 8).table
    >>> learner = learner_of("logistic", table)
    >>> learner.fit(Training(table, table), seed=0).scores(table).values.shape
    (12, 2)
    """
    if updates is not None and updates < 1:
        raise UsageError(f"updates={updates!r}; expected a whole number of 1 or more")
    if isinstance(data, LabelledImages):
        from gan_augment.evaluation.image_learners import image_learner_of

        return image_learner_of(given, updates)
    from gan_augment.evaluation.table_learners import table_learner_of

    if updates is not None:
        raise UsageError(
            f"updates={updates}: the learners of tables are not trained by updates; leave it out, "
            "or give the learner itself with the length that you want"
        )
    return table_learner_of(given, data, overrides)
