"""Scores of a learner, and the decision that is corrected for class shares. Nothing is trained.

Topping up a class moves a learner's decision even if it adds no information. So every arm is also
judged after dividing its probabilities by the class shares that the learner was trained on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gan_augment.errors import DataError
from gan_augment.evaluation.figures import LEAST_PROBABILITY, OF_RANKS, Values

Labels = NDArray[np.int64]
ScoreKind = Literal["probability", "decision", "none"]

_LARGEST = 1e18
"""Decision values above this are rejected as diverged."""


@dataclass(frozen=True, eq=False)
class Scores:
    """Predictions of a learner for N rows.

    Parameters
    ----------
    called : int64 (N,)
        The classes that the learner itself decides for.
    values : float64 (N, K) or None
        Probabilities (rows sum to 1), or decision values on any scale, higher for the likelier
        class and -inf for a class without training rows. None if the kind is "none".
    kind
        "probability", "decision" or "none".

    Raises
    ------
    DataError
        If shapes disagree, or values are NaN or, as probabilities, outside 0..1.
    """

    called: Labels
    values: Values | None
    kind: ScoreKind

    def __post_init__(self) -> None:
        if (self.values is None) != (self.kind == "none"):
            given = "no values" if self.values is None else "values"
            raise DataError(f"scores of kind {self.kind!r} with {given}; 'none' is without values.")
        if self.values is None:
            return
        if self.values.ndim != 2 or len(self.values) != len(self.called):
            raise DataError(
                f"the learner's scores have the shape {self.values.shape} for {len(self.called)} "
                "rows; expected one row of scores per row and one column per class."
            )
        low, high = (0.0, 1 + 1e-6) if self.kind == "probability" else (-np.inf, _LARGEST)
        if not ((self.values >= low) & (self.values <= high)).all():  # NaN fails both comparisons
            raise DataError(
                f"the learner's scores of kind {self.kind!r} hold NaN or values outside "
                f"{low:g}..{high:g}; it may have diverged. Check its settings."
            )

    @property
    def ranking(self) -> Values | None:
        """Scores that rank the rows for each class, float64 (N, K); None without values.

        With decision values of two classes, each class scores its value minus the other's.
        """
        if self.values is None or self.kind == "probability" or self.values.shape[1] != 2:
            return self.values
        second = self.values[:, 1] - self.values[:, 0]
        return np.stack([-second, second], axis=1)


def corrected(probability: Values, trained: Values, real: Values) -> Values:
    """Correct probabilities to those of a learner that had seen the real class shares.

    Parameters
    ----------
    probability : float64 (N, K)
    trained : float64 (K,)
        Class shares of the training rows, weights counted.
    real : float64 (K,)
        Class shares of the real training rows.

    Returns
    -------
    float64 (N, K)
        p * real / trained, normalised. A class of trained share 0 stays at 0; a row without any
        probability left gets the real shares of the trained classes.

    Notes
    -----
    Source: Saerens, Latinne & Decaestecker 2002, "Adjusting the outputs of a classifier to new a
    priori probabilities", eq. 2.4.

    Examples
    --------
    >>> corrected(np.array([[0.5, 0.5]]), np.array([0.5, 0.5]), np.array([0.9, 0.1])).tolist()
    [[0.9, 0.1]]
    """
    seen = trained > 0
    weighted = probability * np.divide(real, trained, out=np.zeros(len(real)), where=seen)
    total = weighted.sum(axis=1, keepdims=True)
    if (total <= 0).any():
        weighted = np.where(total > 0, weighted, real * seen)
        total = weighted.sum(axis=1, keepdims=True)
    normalised: Values = weighted / total
    return normalised


def corrected_decision(scores: Scores, trained: Values, real: Values, metric: str) -> Labels | None:
    """Decide by the logits minus the log of the trained class shares; int64 (N,).

    This is optimal for mean recall if the probabilities are right. For accuracy the log of the real
    shares is added back. trained, real: as for `corrected`. None for metrics of ranks, and for
    scores that are not probabilities: these have only the learner's own decision. Source: Menon et
    al. 2021, "Long-tail learning via logit adjustment", section 4.1.

    >>> scores = Scores(np.array([0]), np.array([[0.7, 0.3]]), "probability")
    >>> shares = np.array([0.9, 0.1])
    >>> corrected_decision(scores, shares, shares, "balanced_accuracy").tolist()
    [1]
    """
    if metric in OF_RANKS or scores.kind != "probability" or scores.values is None:
        return None
    fair = np.log(np.clip(corrected(scores.values, trained, real), LEAST_PROBABILITY, 1.0))
    fair = np.where((trained <= 0) | (real <= 0), -np.inf, fair)
    if metric != "accuracy":
        fair = fair - np.log(np.where(real > 0, real, 1.0))
    called: Labels = fair.argmax(axis=1)
    return called
