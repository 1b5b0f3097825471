"""Recommend what to do about the rare classes: the best remedy that an evaluation measured.

A remedy is an arm at one decision, judged against the classifier as it is: nothing added, at its
own decision. `recommend` is the rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gan_augment.evaluation.apply import do_this
from gan_augment.evaluation.design import Column
from gan_augment.evaluation.judged import JudgedArm, Results
from gan_augment.evaluation.options import ARMS, ON_TOP
from gan_augment.evaluation.statistics import CERTAIN, Contrast, holm
from gan_augment.report.wording import METRICS, points, remedy_name, span

CHEAPEST_FIRST = tuple(name for name in ARMS if name not in ON_TOP)
"""Arms by what a remedy costs: a corrected decision, weights, copies, SMOTE, other ways to train a
network, generated rows. Samplers of the user come before generated rows."""
ACTIONS = {
    "none": "Correct the decision",
    "class_weight": "Weight the classes",
    "oversample": "Oversample the rare classes",
    "smote": "Add rows by SMOTE",
    "balanced_softmax": "Train with balanced softmax",
    "mixup": "Oversample the rare classes and train with mixup",
    "mixup_balanced_softmax": "Train with mixup and balanced softmax",
    "cmo": "Paste patches of rare images while training (CMO)",
    "trivial_augment": "Oversample the rare classes and train with TrivialAugment",
    "deferred": "Train by deferred re-balancing (mixup first, then balanced softmax)",
    "gan": "Add generated rows",
}


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
    def cost(self) -> tuple[float, bool]:
        """Return the place in the order of costs; an arm costs less at its own decision."""
        known = self.arm in CHEAPEST_FIRST
        place = CHEAPEST_FIRST.index(self.arm if known else "gan") - 0.5 * (not known)
        return place, self.decision == "corrected"

    @property
    def action(self) -> str:
        action = ACTIONS.get(self.arm, f"Add rows by {self.arm}")
        corrected = self.decision == "corrected" and self.arm != "none"
        return f"{action} and correct the decision" if corrected else action


def recommend(remedies: Sequence[Remedy], delta: float) -> Remedy | None:
    """Choose a remedy, or None to leave the classifier as it is.

    Among the remedies that `shown` returns, the best has the highest lower bound of the gain (95 %
    interval). The result is the cheapest remedy with a mean gain above 0 and within `delta` of
    the best remedy's.
    """
    helpful = shown(remedies)
    if not helpful:
        return None
    best = max(helpful, key=lambda remedy: remedy.gain.interval()[0])
    least = max(best.gain.mean - delta, 0.0)
    near = [remedy for remedy in remedies if remedy is best or remedy.gain.mean > least]
    return min(near, key=lambda remedy: remedy.cost)


def suggest(remedies: Sequence[Remedy]) -> Remedy | None:
    """Choose what to try where nothing is shown to help: the corrected decision, if it gained."""
    free = (r for r in remedies if r.arm == "none" and r.gain.mean > 0)
    return next(free, None)


def shown(remedies: Sequence[Remedy]) -> list[Remedy]:
    """Return the remedies whose gain is shown to be above 0, with an error of .05 for all of them.

    Half of the error is spent on the corrected decision, which is free; the other remedies share
    the rest by Holm's procedure, or all of it if the corrected decision is shown to help. Source:
    Bretz et al. 2009, "A graphical approach to sequentially rejective multiple test procedures".
    """
    error = 1 - CERTAIN
    free = [remedy for remedy in remedies if remedy.arm == "none"]
    found = [remedy for remedy in free if 1 - remedy.gain.above(0.0) <= error / 2]
    others = {r.name: 1 - r.gain.above(0.0) for r in remedies if r.arm != "none"}
    left = error if len(found) == len(free) else error / 2
    adjusted = holm(others)
    return found + [r for r in remedies if r.name in adjusted and adjusted[r.name] <= left]


def recommendation_section(results: Results) -> dict[str, Any]:
    """Return the recommendation, and every remedy with its gain and what else it changes."""
    options = results.design.options
    remedies = {remedy.name: remedy for remedy in _remedies(results)}
    chosen = recommend(list(remedies.values()), options.delta)
    ordered = sorted(remedies.values(), key=lambda remedy: -remedy.gain.mean)
    suggestion = None if chosen else suggest(ordered)
    applied = chosen or suggestion
    on_top = _rows_on_top(results, applied) if applied else None
    arm, decision = (applied.arm, applied.decision) if applied else ("none", "default")
    return {
        "sentence": _sentence(chosen, suggestion, ordered, METRICS[options.metric]),
        "arm": chosen.arm if chosen else "none",
        "decision": chosen.decision if chosen else "default",
        "gain": chosen.gain.to_dict(options.delta) if chosen else None,
        "suggestion": suggestion and {"arm": arm, "decision": decision},
        "rows_on_top": on_top and on_top.to_dict(options.delta),
        "apply": do_this(results.design, arm, decision),
        "remedies": [
            {
                "arm": remedy.arm,
                "decision": remedy.decision,
                "gain": remedy.gain.to_dict(options.delta),
                "changes": _changes(results, results.arms[remedy.arm][remedy.decision]),
            }
            for remedy in ordered
        ],
    }


def _rows_on_top(results: Results, chosen: Remedy) -> Contrast | None:
    """Contrast the remedy with generated rows and without, at its decision."""
    partners = {"none": "gan", "oversample": "gan"} | {rival: top for top, rival in ON_TOP.items()}
    both = results.arms.get(partners.get(chosen.arm, ""))
    if both is None:
        return None
    return results.difference(both[chosen.decision], results.arms[chosen.arm][chosen.decision])


def _remedies(results: Results) -> list[Remedy]:
    """Return every judged remedy that changes a prediction, compared with the arm `none`."""
    as_it_is, found = results.arms["none"]["default"], []
    for name, decisions in results.arms.items():
        for decision, judged in decisions.items():
            own = decisions["default"]
            same = judged is not own and np.array_equal(judged.confusions, own.confusions)
            if name in ON_TOP or judged is as_it_is or same:
                continue
            gain = results.difference(judged, as_it_is)
            if gain is not None:
                found.append(Remedy(name, decision, gain))
    return found


def _changes(results: Results, judged: JudgedArm) -> dict[str, float | None]:
    """Return the mean changes of other figures over the splits, in their own units."""
    design, as_it_is = results.design, results.arms["none"]["default"]
    rare = list(design.judged_rare)
    others = [label for label in design.evaluated if label not in rare]

    def figures(arm: JudgedArm) -> dict[str, NDArray[np.float64]]:
        corrected = arm.column == "corrected"
        found = {"rare_recall": arm.values("balanced_accuracy", rare)}
        found |= {"other_recall": arm.values("balanced_accuracy", others)} if others else {}
        return found | {
            "accuracy": arm.values("accuracy"),
            "log_loss": arm.losses("log_loss", corrected=corrected),
            "brier": arm.losses("brier", corrected=corrected),
        }

    old, changes = figures(as_it_is), {}
    for name, new in figures(judged).items():
        known = (new - old[name])[np.isfinite(new - old[name])]
        changes[name] = float(known.mean()) if len(known) else None
    return changes


def _sentence(
    chosen: Remedy | None, suggestion: Remedy | None, ordered: Sequence[Remedy], metric: str
) -> str:
    """Say what to do and what it gains, or the largest gain seen of the `ordered` remedies."""
    if chosen is not None:
        free = "; free" if chosen.arm == "none" else ""
        return f"{chosen.action}: {_gain(chosen)} of {metric}{free}."
    if suggestion is not None:
        try_it = f"correct the decision, {_gain(suggestion)}"
        return f"Nothing is shown to raise {metric}. Free to try: {try_it}."
    seen = ""
    if ordered:
        best = ordered[0]
        seen = f"; the largest change is {_gain(best)} by {remedy_name(vars(best))}"
    return f"Leave the classifier as it is: nothing is shown to raise {metric}{seen}."


def _gain(remedy: Remedy) -> str:
    return f"{points(remedy.gain.mean)} points ({span(remedy.gain.interval())})"
