"""The arms of an evaluation, and the ways to make a training set that they are read off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from gan_augment.evaluation.amount import NOTHING, SOURCES, Amount, Source

Kind = Literal["none", "class_weight", "amount", "real", "permuted", "sampler"]
SOURCE_OF_ARM = {"oversample": "repeats", "smote": "smote", "gan": "gan"}
ALL_GENERATED = 1.0
REAL_SHARES = (0.25, 0.5)
"""Of the rare rows, in the learning curve of real ones; all of them is the arm `none`."""

RIVALS = ("balanced_softmax", "mixup", "mixup_balanced_softmax", "cmo", "trivial_augment")
"""Arms of the other methods of training a network, called as these are."""
FEATURES = "features"
"""The arm, and the method, of a plain head on a pretrained network's features of the same rows."""
TABLE_RIVALS: tuple[Source, ...] = ("gaussian_smote", "smote_tuned", "gaussian_borrow")
"""Arms of tables: rows of these to parity, called as they are."""
ON_TOP = {f"gan+{method}": method for method in RIVALS}
"""{arm: method} of the GAN's rows to parity under each of them."""


@dataclass(frozen=True)
class Candidate:
    """One way to make a training set.

    amount: of "amount" and "permuted". share: of generated rows, None for the default one; of
    "real" the part of the rare rows that is kept. name: of a sampler. method: of training, one of
    `learners.METHODS`.

    >>> Candidate("amount", Amount("gan", 0.5)).key, Candidate("real", share=0.25).key
    ('gan@0.5', 'real@0.25')
    >>> Candidate("amount", Amount("gan", 1.0), method="mixup").key
    'gan@1+mixup'
    """

    kind: Kind
    amount: Amount = NOTHING
    share: float | None = None
    name: str = ""
    method: str = ""

    @property
    def key(self) -> str:
        """Return what a journal calls it."""
        match self.kind:
            case "amount":
                more = "" if self.share is None else f"/share{self.share:g}"
                more += f"+{self.method}" if self.method else ""
                return f"{self.amount.source}@{self.amount.to:g}{more}"
            case "permuted":
                return f"permuted@{self.amount.to:g}"
            case "real":
                return f"real@{self.share:g}"
            case "sampler":
                return f"sampler:{self.name}"
        return self.method or self.kind

    @property
    def generated(self) -> str | None:
        """Tell whose rows it adds: "gan", "permuted", or None where no generator is fitted."""
        if self.kind == "permuted":
            return "permuted"
        return "gan" if self.amount.source == "gan" else None


NONE = Candidate("none")


def candidates_of(
    arms: Sequence[str],
    to: Sequence[float],
    *,
    cheap_to: Sequence[float] | None = None,
    curves: bool = True,
    weighs: bool = True,
    methods: Sequence[str] = (),
    samplers: Sequence[str] = (),
) -> tuple[Candidate, ...]:
    """List what has to be tried so that these arms can be read off, `none` first.

    to: fractions of the majority's count for the GAN; cheap_to: for repeats and SMOTE, by default
    the same. curves: the learning curve of real rows; the share's is chosen later. weighs: whether
    the learner knows class weights; methods: the other methods of training that it knows.
    """
    candidates = [NONE]
    if "class_weight" in arms and weighs:
        candidates.append(Candidate("class_weight"))
    for source in SOURCES:
        needed = source == "gan" or "auto" in arms
        if needed or any(SOURCE_OF_ARM.get(arm) == source for arm in arms):
            steps = to if source == "gan" or cheap_to is None else cheap_to
            if source == "gan" and "gan_parity" in arms and 1.0 not in steps:
                steps = (*steps, 1.0)
            candidates += [Candidate("amount", Amount(source, step)) for step in steps]
    if "permuted" in arms:
        candidates.append(Candidate("permuted", Amount("gan", 1.0)))
    candidates += [Candidate("amount", Amount(arm, 1.0)) for arm in TABLE_RIVALS if arm in arms]
    candidates += [c for arm, c in BY_METHOD.items() if arm in arms and c.method in methods]
    candidates += [Candidate("sampler", name=name) for name in samplers]
    if curves:
        candidates += [Candidate("real", share=share) for share in REAL_SHARES]
    return tuple(candidates)


def amounts_of_arm(arm: str, candidates: Sequence[Candidate]) -> dict[Amount, Candidate]:
    """Return {amount: candidate} that an arm chooses among; empty where it chooses nothing."""
    plain = {
        c.amount: c for c in candidates if c.kind == "amount" and c.share is None and not c.method
    }
    if arm == "auto":
        return {NOTHING: NONE, **{a: c for a, c in plain.items() if a.source in SOURCES}}
    source = SOURCE_OF_ARM.get(arm)
    return {amount: c for amount, c in plain.items() if amount.source == source}


_REPEATS, _GAN = Amount("repeats", 1.0), Amount("gan", 1.0)
BY_METHOD: Mapping[str, Candidate] = {
    "plain": Candidate("none", method="plain"),
    "balanced_softmax": Candidate("none", method="balanced_softmax"),
    "mixup": Candidate("amount", _REPEATS, method="mixup"),
    "mixup_balanced_softmax": Candidate("none", method="mixup_balanced_softmax"),
    "cmo": Candidate("none", method="cmo"),
    "trivial_augment": Candidate("amount", _REPEATS, method="trivial_augment"),
    FEATURES: Candidate("none", method=FEATURES),
    **{arm: Candidate("amount", _GAN, method=method) for arm, method in ON_TOP.items()},
}
"""{arm: candidate} of arms with a method of training of their own."""
FIXED: Mapping[str, str] = {
    "none": "none",
    "class_weight": "class_weight",
    "gan_parity": "gan@1",
    "permuted": "permuted@1",
    **{arm: f"{arm}@1" for arm in TABLE_RIVALS},
    **{arm: candidate.key for arm, candidate in BY_METHOD.items()},
}
"""{arm: candidate} of arms that choose nothing."""
