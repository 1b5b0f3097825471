"""Arms read off a journal: which candidate stands for an arm in each split, and why."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gan_augment.evaluation.amount import NOTHING, Amount, AmountScores, choose_amount
from gan_augment.evaluation.candidates import FIXED, SOURCE_OF_ARM, Candidate, amounts_of_arm
from gan_augment.evaluation.journal import Journal, Line
from gan_augment.evaluation.protocol import Split
from gan_augment.evaluation.setup import Setup
from gan_augment.synthesizers.protocol import Data


@dataclass(frozen=True)
class ArmSplit:
    """An arm in one split: the journal's line of the candidate that stands for it.

    amount: the chosen one as text, None for arms that choose none. reason: of that choice.
    """

    split: Split
    line: Line
    amount: str | None
    reason: str | None


@dataclass(frozen=True)
class Arm:
    """An arm in every split; `missing` says why there is none, and then `splits` is empty."""

    name: str
    splits: tuple[ArmSplit, ...]
    missing: str | None = None


def read_arm(setup: Setup[Data], journal: Journal, name: str) -> Arm:
    """The arm in every split. A candidate that failed in one split is none of it anywhere."""
    tried = [c for c in setup.candidates if _why_failed(setup, journal, c) is None]
    if name in SOURCE_OF_ARM or name == "auto":
        among = amounts_of_arm(name, tried)
        if not among or (name == "auto" and len(among) == 1):
            return Arm(name, (), _first_failure(setup, journal, name))
        return Arm(name, tuple(_chosen(setup, journal, s, name, among) for s in _splits(setup)))
    key = FIXED.get(name, f"sampler:{name}")
    candidate = next((c for c in setup.candidates if c.key == key), None)
    if candidate is None:
        return Arm(name, (), f"the learner {setup.learner.name} knows no class weights")
    failed = _why_failed(setup, journal, candidate)
    if failed is not None:
        return Arm(name, (), failed)
    lines = [(split, line_of(journal, split, candidate)) for split in _splits(setup)]
    return Arm(name, tuple(ArmSplit(split, line, None, None) for split, line in lines if line))


def chosen_amount(setup: Setup[Data], journal: Journal, split: Split, name: str) -> Amount | None:
    """The amount that an arm chose in a split; None where all of them failed there."""
    tried = [c for c in setup.candidates if _why_failed(setup, journal, c) is None]
    among = amounts_of_arm(name, tried)
    return _choice(setup, journal, split, name, among)[0] if among else None


def line_of(journal: Journal, split: Split, candidate: Candidate) -> Line | None:
    """A cell's line of the journal."""
    return journal.get(("cell", split.repeat, split.fold, candidate.key))


def _splits(setup: Setup[Data]) -> tuple[Split, ...]:
    return setup.protocol.splits


def _chosen(
    setup: Setup[Data], journal: Journal, split: Split, name: str, among: dict[Amount, Candidate]
) -> ArmSplit:
    amount, reason = _choice(setup, journal, split, name, among)
    line = line_of(journal, split, among[amount])
    assert line is not None, "an arm is read before its cells are there"
    return ArmSplit(split, line, str(amount), reason)


def _choice(
    setup: Setup[Data], journal: Journal, split: Split, name: str, among: dict[Amount, Candidate]
) -> tuple[Amount, str]:
    """By the inner folds. An arm's default is the most rows of its own source; auto's is nothing.

    With a tuned decision nothing is hard to beat, and auto is to do no harm: in the trials with
    rows of the wrong class (examples/benchmarks/evaluator_trials.py, "auto_worse") a GAN as its
    default lost more than delta too often.
    """
    default = NOTHING if name == "auto" else max(among, key=lambda amount: amount.to)
    figures = {}
    for amount, candidate in among.items():
        line = line_of(journal, split, candidate)
        assert line is not None, "an arm is read before its cells are there"
        figures[amount] = np.array([np.nan if v is None else v for v in line["inner"]])
    choice = choose_amount(AmountScores({setup.metric: figures}, {}), setup.metric, default)
    if choice.amount not in among:  # the inner folds could not be judged
        return default, f"{default}: {choice.reason}"
    return choice.amount, choice.reason


def _why_failed(setup: Setup[Data], journal: Journal, candidate: Candidate) -> str | None:
    """The first reason why a candidate could not be made in some split."""
    for split in _splits(setup):
        line = line_of(journal, split, candidate)
        if line is not None and line["error"] is not None:
            return str(line["error"])
    return None


def _first_failure(setup: Setup[Data], journal: Journal, name: str) -> str:
    for candidate in amounts_of_arm(name, setup.candidates).values():
        why = _why_failed(setup, journal, candidate)
        if why is not None:
            return why
    return "no amount of it adds a row to this data"
