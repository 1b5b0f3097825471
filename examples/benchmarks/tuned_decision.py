"""A decision that is tuned on inner parts: a threshold for two classes, a tau for more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from gan_augment.evaluation.decisions import (
    LEAST_PROBABILITY,
    OF_RANKS,
    Counts,
    Labels,
    Scores,
    Values,
    confusion,
    corrected,
    figures_of,
)

Rule = Literal["default", "threshold", "tau", "corrected"]
TAUS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5)
"""How far the class shares are taken out of the evidence: 0 not at all, 1 is balanced."""
FARTHEST = 1e9
"""Evidence for one of two classes is kept within this, so that a threshold is a number."""
SAME = 1e-12
"""Figures and log odds that differ by less are equal: rounding may differ in the last digits."""


@dataclass(frozen=True, eq=False)
class Part:
    """Real rows that a fit did not see, and what it says of them.

    labels: int64 (N,). trained: float64 (K,), the class shares the learner was trained on, weights
    counted. real: float64 (K,), the class shares of the real rows among them.
    """

    scores: Scores
    labels: Labels
    trained: Values
    real: Values


@dataclass(frozen=True)
class Decision:
    """How a class is called: as the learner does, or by the rule that was tuned.

    "threshold" (two classes): the second one where its log odds are at least `value`, in nats.
    "tau": the class with the highest log probability - value * log(real share). "corrected" is the
    same with a value that nothing was tuned for. All act on corrected probabilities, clipped to
    1e-6..1.
    """

    rule: Rule = "default"
    value: float | None = None

    def called(self, scores: Scores, trained: Values, real: Values) -> Labels:
        """Call the class of every row, int64 (N,); without values by the default."""
        if self.rule == "default" or self.value is None or scores.values is None:
            return scores.called
        evidence = _evidence(scores, trained, real)
        if self.rule == "threshold":
            return (_odds(evidence) >= self.value).astype(np.int64)
        called: Labels = (evidence - self.value * _log_shares(real)).argmax(axis=1)
        return called

    def to_dict(self) -> dict[str, Any]:
        """Make it ready for JSON.

        >>> Decision("tau", 0.75).to_dict()
        {'rule': 'tau', 'value': 0.75}
        """
        return {"rule": self.rule, "value": self.value}


def tune(parts: Sequence[Part], metric: str, evaluated: Sequence[int]) -> Decision:
    """Find the decision with the best `metric` on the pooled rows of the parts.

    Two classes: a threshold, of the midpoints between distinct log odds and one beyond each end.
    More: one of `TAUS`. Among equals the one nearest to what is best where probabilities are right:
    the balanced decision (tau = 1), and for accuracy the likeliest class (tau = 0). Of mean recall,
    G-mean and accuracy, which have such a decision, those are equal that are within one standard
    error of the highest (Breiman et al. 1984, "Classification and Regression Trees", section
    3.4.3): the highest of many cuts on a few rare rows is mostly luck, which lowers every arm and
    makes differences between arms noisier. The default where scores are missing, where the metric
    is one of ranks, or where no evaluated class has a row.
    """
    if metric in OF_RANKS or any(part.scores.values is None for part in parts):
        return Decision()
    evidence = [_evidence(part.scores, part.trained, part.real) for part in parts]
    labels = np.concatenate([part.labels for part in parts])
    classes = len(parts[0].real)
    rule: Rule = "threshold" if classes == 2 else "tau"
    if classes == 2:
        cuts, counts = _cuts(_odds(np.concatenate(evidence)), labels)
        balanced = _balanced_cut(parts)
    else:
        cuts, counts = np.array(TAUS), _counts_by_tau(parts, evidence, labels, classes)
        balanced = 1.0
    nearest = 0.0 if metric == "accuracy" else balanced
    values = figures_of(metric, counts, evaluated)
    if not np.isfinite(values).any():
        return Decision()
    error = _standard_error(metric, counts[int(np.nanargmax(values))], evaluated)
    equal = cuts[values >= np.nanmax(values) - max(error, SAME)]
    return Decision(rule, float(equal[np.abs(equal - nearest).argmin()]))


def _standard_error(metric: str, counts: Counts, evaluated: Sequence[int]) -> float:
    """Of accuracy, or of mean recall, by the binomial variance of each class; 0 for macro-F1."""
    if metric == "macro_f1":
        return 0.0
    rows, right = counts.sum(axis=1), np.diagonal(counts)
    if metric == "accuracy":
        share = right.sum() / rows.sum()
        return float(np.sqrt(share * (1 - share) / rows.sum()))
    present = [label for label in evaluated if rows[label]]
    recall = right[present] / rows[present]
    return float(np.sqrt((recall * (1 - recall) / rows[present]).sum()) / len(present))


def _cuts(odds: Values, labels: Labels) -> tuple[Values, Counts]:
    """Thresholds (M,) and the confusion counts (M, 2, 2) of each, by cumulative counts."""
    order = np.argsort(odds)
    odds, second = odds[order], labels[order]
    first_of_value = np.flatnonzero(np.diff(odds) > SAME) + 1
    lower, upper = odds[first_of_value - 1], odds[first_of_value]
    middle = (lower + upper) / 2
    middle = np.where(middle > lower, middle, upper)  # neighbouring floats have none between
    cuts = np.concatenate([[odds[0] - 1], middle, [odds[-1] + 1]])
    below = np.concatenate([[0], first_of_value, [len(odds)]])  # rows called the first class
    missed = np.concatenate([[0], np.cumsum(second)])[below]
    counts = np.empty((len(cuts), 2, 2), dtype=np.int64)
    counts[:, 0, 0], counts[:, 1, 0] = below - missed, missed
    counts[:, 0, 1] = (len(odds) - second.sum()) - counts[:, 0, 0]
    counts[:, 1, 1] = second.sum() - missed
    return cuts, counts


def _counts_by_tau(
    parts: Sequence[Part], evidence: Sequence[Values], labels: Labels, classes: int
) -> Counts:
    """int64 (taus, K, K)."""
    counts = []
    for tau in TAUS:
        called = [
            (seen - tau * _log_shares(part.real)).argmax(axis=1)
            for part, seen in zip(parts, evidence, strict=True)
        ]
        counts.append(confusion(labels, np.concatenate(called), classes))
    return np.stack(counts)


def _balanced_cut(parts: Sequence[Part]) -> float:
    """The log odds at which both classes are as likely as they are common: log(real1 / real0)."""
    logs = _log_shares(np.asarray(sum(len(part.labels) * part.real for part in parts)))
    return float(logs[1] - logs[0])


def _evidence(scores: Scores, trained: Values, real: Values) -> Values:
    """float64 (N, K): log corrected probabilities; -inf of unseen classes."""
    assert scores.values is not None
    fair = corrected(scores.values, trained, real)
    values = np.log(np.clip(fair, LEAST_PROBABILITY, 1.0))
    unseen = (trained <= 0) | (real <= 0)
    return np.where(unseen, -np.inf, values) if unseen.any() else values


def _odds(evidence: Values) -> Values:
    """float64 (N,): the evidence for the second of two classes."""
    return np.clip(evidence[:, 1] - evidence[:, 0], -FARTHEST, FARTHEST)


def _log_shares(shares: Values) -> Values:
    """log, and 0 for a class without rows, which has no evidence anyway."""
    return np.log(np.where(shares > 0, shares, 1.0))
