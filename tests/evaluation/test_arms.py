"""What the arms need tried, and which candidate stands for one in a split."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from gan_augment.errors import UsageError
from gan_augment.evaluation.amount import NOTHING, Amount
from gan_augment.evaluation.arm_results import ArmResults
from gan_augment.evaluation.arms import (
    FIXED,
    NONE,
    ON_TOP,
    RIVALS,
    TABLE_RIVALS,
    Candidate,
    amounts_of_arm,
    candidates_of,
)
from gan_augment.evaluation.learners import METHODS, learner_of
from gan_augment.evaluation.options import DEFAULT_ARMS, EXTRA_ARMS, EvaluationOptions
from gan_augment.evaluation.plan import Setup
from gan_augment.evaluation.start import prepare
from gan_augment.generators.baselines import Repeats
from gan_augment.storage.journal import Journal
from tests.evaluation.drawn import Noisy, digits, options, table


def keys(arms: tuple[str, ...], **more: object) -> list[str]:
    asked = {"to": (0.5, 1.0), "curves": False, **more}
    return [candidate.key for candidate in candidates_of(arms, **asked)]  # type: ignore[arg-type]


def test_doing_nothing_comes_first_and_what_arms_share_is_tried_once() -> None:
    found = keys((*DEFAULT_ARMS, *EXTRA_ARMS), curves=True)
    assert found[0] == "none"
    assert len(found) == len(set(found))


GAN = ("none", "gan")


@pytest.mark.parametrize(
    ("arms", "more", "tried"),
    [
        (GAN, {}, "none gan@0.5 gan@1"),
        ((*GAN, "oversample"), {"cheap_to": (1.0,)}, "none repeats@1 gan@0.5 gan@1"),
        ((*GAN, "gan_parity"), {"to": (0.5,)}, "none gan@0.5 gan@1"),
        ((*GAN, "permuted"), {"to": (1.0,)}, "none gan@1 permuted@1"),
        (GAN, {"to": (1.0,), "samplers": ("own",)}, "none gan@1 sampler:own"),
        (GAN, {"to": (1.0,), "curves": True}, "none gan@1 real@0.25 real@0.5"),
        ((*GAN, "class_weight"), {"to": (1.0,), "weighs": False}, "none gan@1"),
        (
            (*GAN, *TABLE_RIVALS),
            {"to": (0.5,)},
            "none gan@0.5 " + " ".join(f"{a}@1" for a in TABLE_RIVALS),
        ),
        ((*GAN, "mixup"), {"to": (1.0,)}, "none gan@1"),  # of a learner that does not know it
        ((*GAN, "mixup", "cmo"), {"methods": METHODS}, "none gan@0.5 gan@1 repeats@1+mixup cmo"),
        (
            (*GAN, "balanced_softmax", "gan+balanced_softmax"),
            {"to": (0.5,), "methods": METHODS},
            "none gan@0.5 balanced_softmax gan@1+balanced_softmax",
        ),
        ((*GAN, "plain"), {"to": (1.0,), "methods": METHODS}, "none gan@1 plain"),
    ],
)
def test_an_arm_asks_for_its_own_candidates(
    arms: tuple[str, ...], more: dict[str, object], tried: str
) -> None:
    assert keys(arms, **more) == tried.split()


def test_every_method_has_an_arm_and_one_on_top_of_it_that_share_no_candidate() -> None:
    arms = ("none", "gan", "plain", *RIVALS, *ON_TOP)
    tried = keys(arms, methods=METHODS)
    assert set(map(FIXED.get, arms)) - {None} <= set(tried)
    assert len(tried) == len(set(tried)) == 1 + 2 + 1 + 5 + 5


def test_an_arm_on_top_of_a_method_brings_the_method() -> None:
    assert EvaluationOptions(arms="gan+mixup").arm_names == ("none", "mixup", "gan", "gan+mixup")


def test_a_named_arm_that_a_learner_cannot_have_is_refused_and_all_are_those_it_can() -> None:
    with pytest.raises(UsageError, match="'mixup' is a way to train the small CNN"):
        prepare(table(), options(arms=("mixup",), generator=Noisy()))
    with pytest.raises(UsageError, match="'smote_tuned' adds rows to tables"):
        prepare(digits(), options(arms=("smote_tuned",), generator=Repeats(), learner=None))
    assert not set(prepare(table(), options(arms="all", generator=Noisy())).setup.arms) & {*RIVALS}


def test_rows_of_a_method_are_nobody_elses_choice() -> None:
    tried = candidates_of(("none", "gan", "auto", *ON_TOP), (1.0,), methods=METHODS)
    assert not any(c.method for arm in ("gan", "auto") for c in amounts_of_arm(arm, tried).values())


def test_auto_chooses_among_all_sources_and_nothing() -> None:
    found = candidates_of(("none", "gan", "auto"), (1.0,))
    sources = {amount.source for amount in amounts_of_arm("auto", found)}
    assert sources == {"none", "repeats", "smote", "gan"}
    assert amounts_of_arm("auto", found)[NOTHING] == NONE


def test_an_arm_chooses_among_its_own_amounts_only() -> None:
    found = (*candidates_of(DEFAULT_ARMS, (0.5, 1.0)), Candidate("amount", Amount("gan", 1), 1.0))
    assert list(amounts_of_arm("smote", found)) == [Amount("smote", 0.5), Amount("smote", 1.0)]
    assert list(amounts_of_arm("gan", found)) == [Amount("gan", 0.5), Amount("gan", 1.0)]
    assert amounts_of_arm("class_weight", found) == {}


Inner = list[float | None]


TEST = {
    "confusion": {"default": [[1, 0], [0, 1]], "tuned": None},
    "average_precision": [None, None],
    "calibration": None,
}


@cache
def setup() -> Setup[Any]:
    """Two folds, once; every arm, half and all of the majority."""
    asked = options(
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
            line |= {"test": TEST, "called": {"default": "", "tuned": None}}
            line |= {"rows": {"rare": {"real": len(candidate.key)}}, "copies": None}
            error = (failed or {}).get((candidate.key, split.fold))
            if error is None:
                line["inner"] = (inner or {}).get(candidate.key, [0.5, 0.6, 0.7])
            made.append({**line, "error": error})
    return made


def results(found: Journal) -> ArmResults[Any]:
    return ArmResults(setup(), found)


def amounts(found: Journal, arm: str) -> list[str]:
    return list(results(found).arms[arm].amounts or ())


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
    arms = results(found).arms
    assert arms["auto"].lines == arms["none"].lines


def test_folds_that_cannot_be_judged_leave_the_default() -> None:
    unjudged: dict[str, Inner] = {"gan@0.5": [None] * 3, "gan@1": [None] * 3}
    assert amounts(journal(unjudged), "gan") == ["gan to parity"] * 2


def test_an_amount_that_failed_in_one_split_is_taken_in_none() -> None:
    found = journal(failed={("smote@1", 1): "ValueError: no"})
    assert amounts(found, "smote") == ["smote to 0.5 of the majority"] * 2


@pytest.mark.parametrize("arm", ["smote", "gan"])
def test_an_arm_whose_amounts_all_failed_is_missing_and_says_why(arm: str) -> None:
    why = {(f"{arm}@{to}", 1): f"ValueError: {to}" for to in ("0.5", "1")}
    found = results(journal(failed=why))
    assert (found.missing[arm], arm in found.arms) == ("ValueError: 0.5", False)


def test_the_arm_auto_does_without_what_failed() -> None:
    why = {(f"gan@{to}", 1): "ValueError: no" for to in ("0.5", "1")}
    found = journal({"gan@1": [0.9, 0.9, 0.9], "smote@1": [0.8, 0.8, 0.8]}, why)
    assert amounts(found, "auto") == ["smote to parity"] * 2


def test_an_arm_of_one_candidate_is_missing_where_that_failed() -> None:
    found = results(journal(failed={("class_weight", 0): "DataError: no"}))
    assert found.missing == {"class_weight": "DataError: no"}


def test_amounts_are_chosen_split_by_split() -> None:
    found = journal()
    line = found.get(("cell", 0, 1, "gan@0.5"))
    assert line is not None
    found.append({**line, "inner": [0.9, 0.9, 0.9]})
    splits = setup().protocol.splits
    chosen = [ArmResults(setup(), found).chosen_amount("gan", split) for split in splits]
    assert chosen == [Amount("gan", 1.0), Amount("gan", 0.5)]


def test_a_learner_without_class_weights_has_no_such_arm_and_the_result_says_so() -> None:
    other = replace(setup(), learner=learner_of("neighbours", setup().data))
    assert "class_weight" not in [candidate.key for candidate in other.candidates]
    found = ArmResults(other, journal())
    assert found.missing == {"class_weight": "the learner neighbours knows no class weights"}
