"""The arms of an evaluation: what is added to the training rows, and how the learner is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from gan_augment.options import TopUp

Source = Literal["none", "repeats", "smote", "gan", "sampler"]


@dataclass(frozen=True)
class Arm:
    """One way to make a training set and to train on it.

    Parameters
    ----------
    name
        As reports and journals call it.
    source
        Where added rows come from. "sampler" is an over-sampler of the user, found by `name`.
    method
        How a network is trained, one of `RIVALS`; "" for the learner's usual way.
    weighed
        Whether classes are weighted inversely to their rows.
    """

    name: str
    source: Source = "none"
    method: str = ""
    weighed: bool = False

    def top_up(self, asked: TopUp) -> TopUp:
        """Return what is added: the requested top-up for the GAN, as many rows for the others."""
        if self.source == "gan":
            return asked
        share = 1.0 if self.source == "smote" else 0.0
        return TopUp(to=asked.to, synthetic_share=share, companions=False)


RIVALS = ("balanced_softmax", "mixup", "mixup_balanced_softmax", "cmo", "trivial_augment")
"""Other ways to train the small CNN; each is an arm of the same name."""
CHEAP_ARMS = ("class_weight", "oversample", "smote")
ON_TOP = {f"gan+{method}": method for method in RIVALS}
"""{arm: rival}: the GAN's rows, trained by the method of the rival."""
_WITH_REPEATS = ("mixup", "trivial_augment")

ARMS: dict[str, Arm] = {
    arm.name: arm
    for arm in (
        Arm("none"),
        Arm("class_weight", weighed=True),
        Arm("oversample", "repeats"),
        Arm("smote", "smote"),
        *(Arm(name, "repeats" if name in _WITH_REPEATS else "none", name) for name in RIVALS),
        Arm("gan", "gan"),
        *(Arm(name, "gan", method) for name, method in ON_TOP.items()),
    )
}
"""{name: arm} of all arms, without samplers of the user, in the order of a report."""


def arms_of(names: Sequence[str], methods: Sequence[str]) -> tuple[Arm, ...]:
    """Return the named arms that a learner with these training methods can have.

    >>> [arm.name for arm in arms_of(["none", "mixup", "mine"], methods=())]
    ['none', 'mine']
    """
    arms = (ARMS.get(name, Arm(name, "sampler")) for name in names)
    return tuple(arm for arm in arms if not arm.method or arm.method in methods)
