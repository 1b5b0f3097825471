"""Recommend what to do about the rare classes: the best remedy that an evaluation measured.

A remedy is an arm at one decision, judged against the classifier as it is: nothing added, at its
own decision. `recommend` is the rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gan_augment.evaluation.design import Column
from gan_augment.evaluation.options import ARMS, ON_TOP
from gan_augment.evaluation.statistics import CERTAIN, Contrast, holm

AS_IT_IS = ("none", "default")
"""Arm and decision of the classifier that nothing is done to."""
CHEAPEST_FIRST = tuple(name for name in ARMS if name not in ON_TOP)
"""Arms from the cheapest remedy to the dearest: a corrected decision, weights, copies, networks
trained otherwise, generated rows."""


@dataclass(frozen=True)
class Remedy:
    """An arm at one decision, and its gain over the classifier as it is."""

    arm: str
    decision: Column
    gain: Contrast

    @property
    def name(self) -> str:
        """Name the remedy, "smote, corrected"."""
        return f"{self.arm}, {self.decision}"

    @property
    def cost(self) -> tuple[int, bool]:
        """Return the place in the order of costs; an arm costs less at its own decision."""
        return CHEAPEST_FIRST.index(self.arm), self.decision == "corrected"


def recommend(remedies: Sequence[Remedy], delta: float) -> Remedy | None:
    """Choose a remedy; None is to leave the classifier as it is.

    A remedy is shown to help where P(gain <= 0) is at most .05 after Holm's correction over all
    remedies. Of those, the cheapest is chosen whose lower bound of the gain (95 % interval) is
    within `delta` of the highest one.
    """
    adjusted = holm({r.name: 1 - r.gain.above(0.0) for r in remedies})
    shown = [r for r in remedies if adjusted[r.name] <= 1 - CERTAIN]
    if not shown:
        return None
    highest = max(r.gain.interval()[0] for r in shown)
    return min((r for r in shown if r.gain.interval()[0] >= highest - delta), key=lambda r: r.cost)
