"""Which candidate stands for an arm in a split, by the inner figures of the journal."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from gan_augment.evaluation.amount import Amount
from gan_augment.evaluation.arm_results import chosen_amount, read_arm
from gan_augment.evaluation.journal import Journal
from gan_augment.evaluation.options import Options
from gan_augment.evaluation.plan import Setup
from gan_augment.evaluation.start import prepare
from tests.evaluation.drawn import Noisy, table

Inner = list[float | None]


@cache
def setup() -> Setup[Any]:
    """Two folds, once; every arm, half and all of the majority."""
    asked = Options(
        learner="logistic", generator=Noisy(), folds=2, repeats=1, to=(0.5, 1.0), curves=False
    )
    return prepare(table(), asked).setup


def journal(
    inner: dict[str, Inner] | None = None, failed: dict[tuple[str, int], str] | None = None
) -> Journal:
    """A line a cell. inner: by candidate, .5 for all others. failed: by (candidate, fold)."""
    made = Journal()
    for split in setup().protocol.splits:
        for candidate in setup().candidates:
            line = {"kind": "cell", "repeat": 0, "fold": split.fold, "candidate": candidate.key}
            error = (failed or {}).get((candidate.key, split.fold))
            if error is None:
                line["inner"] = (inner or {}).get(candidate.key, [0.5, 0.6, 0.7])
            made.append({**line, "error": error})
    return made


def amounts(found: Journal, arm: str) -> list[str | None]:
    return [one.amount for one in read_arm(setup(), found, arm).splits]


def test_an_arm_takes_parity_unless_another_amount_is_better_by_more_than_noise() -> None:
    assert amounts(journal(), "gan") == ["gan to parity"] * 2
    better = journal({"gan@0.5": [0.8, 0.9, 1.0]})
    assert amounts(better, "gan") == ["gan to 0.5 of the majority"] * 2
    assert amounts(better, "smote") == ["smote to parity"] * 2
    barely = journal({"gan@0.5": [0.6, 0.5, 0.71]})
    assert amounts(barely, "gan") == ["gan to parity"] * 2


def test_auto_takes_nothing_where_nothing_is_best() -> None:
    found = journal({"none": [0.8, 0.9, 1.0]})
    assert amounts(found, "auto") == ["nothing"] * 2
    assert all(one.line["candidate"] == "none" for one in read_arm(setup(), found, "auto").splits)


def test_folds_that_cannot_be_judged_leave_the_default() -> None:
    unjudged: dict[str, Inner] = {"gan@0.5": [None] * 3, "gan@1": [None] * 3}
    assert amounts(journal(unjudged), "gan") == ["gan to parity"] * 2


def test_an_amount_that_failed_in_one_split_is_taken_in_none() -> None:
    found = journal(failed={("smote@1", 1): "ValueError: no"})
    assert amounts(found, "smote") == ["smote to 0.5 of the majority"] * 2


@pytest.mark.parametrize("arm", ["smote", "gan"])
def test_an_arm_whose_amounts_all_failed_is_missing_and_says_why(arm: str) -> None:
    why = {(f"{arm}@{to}", 1): f"ValueError: {to}" for to in ("0.5", "1")}
    found = read_arm(setup(), journal(failed=why), arm)
    assert (found.missing, found.splits) == ("ValueError: 0.5", ())


def test_the_arm_auto_does_without_what_failed() -> None:
    why = {(f"gan@{to}", 1): "ValueError: no" for to in ("0.5", "1")}
    found = journal({"gan@1": [0.9, 0.9, 0.9], "smote@1": [0.8, 0.8, 0.8]}, why)
    assert amounts(found, "auto") == ["smote to parity"] * 2


def test_an_arm_of_one_candidate_is_missing_where_that_failed() -> None:
    found = read_arm(
        setup(), journal(failed={("class_weight", 0): "DataError: no"}), "class_weight"
    )
    assert (found.missing, found.splits) == ("DataError: no", ())


def test_amounts_are_chosen_split_by_split() -> None:
    found = journal()
    line = found.get(("cell", 0, 1, "gan@0.5"))
    assert line is not None
    found.append({**line, "inner": [0.9, 0.9, 0.9]})
    splits = setup().protocol.splits
    chosen = [chosen_amount(setup(), found, split, "gan") for split in splits]
    assert chosen == [Amount("gan", 1.0), Amount("gan", 0.5)]


def test_a_learner_without_class_weights_has_no_such_arm_and_the_result_says_so() -> None:
    asked = Options(learner="neighbours", generator=Noisy(), folds=2, repeats=1, curves=False)
    other = prepare(table(), asked).setup
    assert "class_weight" not in [candidate.key for candidate in other.candidates]
    arm = read_arm(replace(other), Journal(), "class_weight")
    assert arm.missing == "the learner neighbours knows no class weights"
