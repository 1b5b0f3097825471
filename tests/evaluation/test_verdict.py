"""What each word of a verdict stands for, and which comes first."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gan_augment.evaluation.statistics import Contrast
from gan_augment.evaluation.verdict import Cheap, Guardrail, VerdictFacts, decide, guardrails


def about(mean: float, error: float = 0.004) -> Contrast:
    return Contrast(mean, error, 14, 15)


def cheap(over_none: float, gan_over: float, error: float = 0.004) -> Cheap:
    return Cheap(about(over_none, error), about(gan_over, error))


HELD = guardrails(about(0.0, 0.001), {"common": about(0.0, 0.001)}, about(0.0, 0.001))
OPEN = guardrails(about(-0.01, 0.02), {"common": about(0.0, 0.05)}, about(0.02, 0.02))
NOTHING = VerdictFacts(
    metric="balanced_accuracy",
    delta=0.01,
    gan=about(0.0, 0.02),
    cheap={
        "class_weight": cheap(0.0, 0.0, 0.02),
        "oversample": cheap(0.0, 0.0, 0.02),
        "smote": cheap(0.0, 0.0, 0.02),
    },
    guardrails=HELD,
    generated=60,
    rare_units=120,
)
GOOD = replace(
    NOTHING,
    gan=about(0.04),
    cheap={
        "class_weight": cheap(0.0, 0.04),
        "oversample": cheap(0.005, 0.035),
        "smote": cheap(0.01, 0.03),
    },
)


def broken_guard(what: str = "accuracy") -> tuple[Guardrail, ...]:
    return guardrails(
        about(-0.05 if what == "accuracy" else 0.0, 0.005),
        {"common": about(-0.06 if what == "recall" else 0.0, 0.005)},
        about(0.06 if what == "log loss" else 0.0, 0.005),
    )


# the words


def test_fewer_than_30_units_are_insufficient_data_whatever_they_show():
    found = decide(replace(GOOD, rare_units=29, guardrails=broken_guard()))
    assert found.word == "INSUFFICIENT DATA"
    assert found.arm == "none"
    assert "29 independent rare rows" in found.sentence
    assert "would show a true difference of" in found.sentence
    assert decide(replace(GOOD, rare_units=30)).word == "ADOPT"
    assert (
        "29 independent rare groups" in decide(replace(GOOD, rare_units=29, unit="groups")).sentence
    )


def test_a_sure_loss_is_harmful():
    found = decide(replace(NOTHING, gan=about(-0.04)))
    assert (found.word, found.arm) == ("HARMFUL", "none")
    assert "balanced accuracy falls by more than 1 point" in found.sentence
    assert decide(replace(NOTHING, gan=about(-0.01, 0.004))).word != "HARMFUL"


@pytest.mark.parametrize("what", ["accuracy", "recall", "log loss"])
def test_a_broken_guardrail_is_harmful_even_where_the_metric_gains(what: str):
    found = decide(replace(GOOD, guardrails=broken_guard(what)))
    assert found.word == "HARMFUL"
    assert what in found.sentence


def test_a_gain_over_nothing_and_over_all_cheap_arms_is_adopted():
    found = decide(GOOD)
    assert (found.word, found.arm) == ("ADOPT", "gan")
    assert "more than class weights, oversampling and SMOTE do" in found.sentence


@pytest.mark.parametrize(
    "change",
    [
        {"gan": about(0.012)},
        {"cheap": {**GOOD.cheap, "smote": cheap(0.01, 0.004)}},
        {"guardrails": OPEN},
        {"copied": True},
        {"not_asked": ("smote",)},
    ],
    ids=["delta not passed", "a cheap arm as good", "accuracy open", "copies", "arm not asked"],
)
def test_nothing_less_is_adopted(change: dict):
    found = decide(replace(GOOD, **change))
    assert found.word == "LIKELY HELPS"
    assert found.arm == "gan"


def test_the_best_cheap_arm_is_to_be_used_where_it_surely_gains_and_the_gan_is_no_better():
    arms = {
        "class_weight": cheap(0.03, 0.01, 0.005),
        "smote": cheap(0.04, 0.0, 0.005),
    }
    found = decide(replace(GOOD, cheap=arms))
    assert (found.word, found.arm) == ("USE smote", "smote")
    assert "taking SMOTE raises balanced accuracy by more than 1 point" in found.sentence


def test_a_cheap_arm_to_which_the_rows_add_is_not_said_to_be_all():
    arms = {"mixup": cheap(0.04, 0.0, 0.005)}
    for gain, words in ((0.02, "generated rows add to it"), (0.0, "not shown to be worth more")):
        found = decide(replace(GOOD, cheap=arms, on_top={"mixup": about(gain)}))
        assert found.word == "USE mixup"
        assert words in found.sentence


def test_a_cheap_arm_is_judged_after_holm():
    """P(gain > delta) = .96 is enough for a single arm and not for the best of three."""
    error = 0.01 / 1.887  # t with 14 degrees: P(T < 1.887) = .96
    single = {"smote": Cheap(Contrast(0.02, error, 14, 15), about(0.0, 0.02))}
    assert single["smote"].over_none.above(0.01) == pytest.approx(0.96, abs=0.001)
    facts = replace(NOTHING, cheap=single)
    assert decide(facts).word == "USE smote"
    three = {**single, "oversample": cheap(0, 0, 0.02), "class_weight": cheap(0, 0, 0.02)}
    assert decide(replace(facts, cheap=three)).word == "NO EVIDENCE"


def test_a_cheap_arm_that_breaks_a_guardrail_is_not_to_be_used():
    arms = {"smote": replace(cheap(0.05, -0.01), guardrails=broken_guard())}
    assert decide(replace(NOTHING, cheap=arms)).word == "NO EVIDENCE"


def test_a_likely_gain_names_the_cheap_arms_that_do_as_well():
    found = decide(
        replace(
            GOOD,
            gan=about(0.012),
            cheap={
                "class_weight": cheap(0.0, 0.012),
                "oversample": cheap(0.008, 0.004),
            },
        )
    )
    assert found.word == "LIKELY HELPS"
    assert "but oversampling may do as well" in found.sentence
    single = decide(replace(GOOD, gan=about(0.012)))
    assert "by more than 1 point is not shown" in single.sentence


def test_a_difference_surely_within_delta_makes_no_practical_difference():
    found = decide(replace(NOTHING, gan=about(0.0, 0.002)))
    assert (found.word, found.arm) == ("NO PRACTICAL DIFFERENCE", "none")
    assert "by 1 point at most" in found.sentence


@pytest.mark.parametrize(
    ("error", "word"), [(0.004, "NO PRACTICAL DIFFERENCE"), (0.007, "NO EVIDENCE")]
)
def test_no_practical_difference_is_one_within_delta_not_within_two(error, word):
    contrast = about(0.0, error)
    assert contrast.within(0.02) > 0.95
    assert decide(replace(NOTHING, gan=contrast, delta=0.01)).word == word


def test_otherwise_there_is_no_evidence():
    found = decide(NOTHING)
    assert (found.word, found.arm) == ("NO EVIDENCE", "none")


# their order


def test_the_first_word_that_applies_is_said():
    """From the facts of all of them, one is taken away after the other."""
    facts = replace(GOOD, gan=Contrast(0.005, 0.0001, 14, 15), guardrails=broken_guard())
    facts = replace(facts, rare_units=10, cheap={"smote": cheap(0.05, 0.004, 0.001)}, delta=0.004)
    changes = (
        {},
        {"rare_units": 100},
        {"guardrails": HELD},
        {"copied": True},
        {"cheap": {"smote": cheap(0.0, 0.005, 0.001)}, "delta": 0.01},
        {"gan": Contrast(0.0, 0.001, 14, 15)},
        {"gan": Contrast(0.0, 0.1, 14, 15)},
    )
    words = []
    for change in changes:
        facts = replace(facts, **change)
        words.append(decide(facts).word)
    assert words == [
        "INSUFFICIENT DATA",
        "HARMFUL",
        "ADOPT",
        "USE smote",
        "LIKELY HELPS",
        "NO PRACTICAL DIFFERENCE",
        "NO EVIDENCE",
    ]


# the sentence


@given(st.floats(-0.1, 0.1), st.floats(0.001, 0.05), st.integers(0, 60), st.booleans())
def test_every_sentence_has_the_difference_the_interval_the_units_and_the_cheap_arms(
    mean, error, units, copied
):
    contrast = about(mean, error)
    found = decide(replace(GOOD, gan=contrast, rare_units=units, copied=copied))
    low, high = (f"{100 * end:+.1f}".replace("-0.0", "+0.0") for end in contrast.interval())
    assert f"(95 % interval {low} to {high})" in found.sentence
    assert f"with 60 generated rows and {units} rare rows" in found.sentence
    assert "would show a true difference of" in found.sentence
    assert "class weights +0.0, oversampling +0.5 and SMOTE +1.0 points" in found.sentence
    assert found.sentence.startswith(found.word)
    assert found.sentence.endswith(".")
    assert found.sentence.count(". ") == 0


def test_an_arm_that_failed_is_named_and_does_not_stand_in_the_way():
    arms = {name: arm for name, arm in GOOD.cheap.items() if name != "smote"}
    found = decide(replace(GOOD, cheap=arms, missing={"smote": "one row has no neighbour"}))
    assert found.word == "ADOPT"
    assert "SMOTE could not be judged (one row has no neighbour)" in found.sentence
    assert "more than class weights and oversampling do" in found.sentence


def test_a_long_reason_is_cut_to_fit_the_sentence():
    why = "it failed. " + "very long words about it " * 20 + "\nand a traceback"
    found = decide(replace(GOOD, missing={"smote": why}))
    sentence = found.sentence[found.sentence.index("SMOTE could not") :]
    assert len(sentence) < 200
    assert "traceback" not in sentence
    assert "(no reason given)" in decide(replace(GOOD, missing={"smote": ""})).sentence


def test_a_cheap_arm_that_was_not_requested_is_named():
    found = decide(replace(GOOD, cheap={}, not_asked=("class_weight", "oversample", "smote")))
    assert found.word == "LIKELY HELPS"
    assert "not tried: class weights, oversampling and SMOTE" in found.sentence
    assert any("ADOPT needs every cheap arm" in reason for reason in found.reasons)


def test_what_the_gan_adds_to_the_best_cheap_arm_that_it_was_tried_with_is_said():
    arms = {**GOOD.cheap, "mixup": cheap(0.03, 0.01), "cmo": cheap(0.02, 0.02)}
    on_top = {"mixup": about(-0.012), "cmo": about(0.02)}
    found = decide(replace(GOOD, cheap=arms, on_top=on_top))
    assert (
        "on top of oversampling with mixup generated rows change it by -1.2 points"
        in found.sentence
    )
    assert "on top of" not in decide(replace(GOOD, cheap=arms)).sentence
    repeats = decide(replace(GOOD, on_top={"oversample": about(0.035)}))
    assert "against oversampling generated rows change it by +3.5 points" in repeats.sentence


def test_without_a_gan_a_cheap_arm_may_still_be_used():
    arm = Cheap(about(0.05), None)
    facts = replace(NOTHING, gan=None, guardrails=(), cheap={}, missing={"gan": "it diverged"})
    found = decide(facts)
    assert found.word == "NO EVIDENCE"
    assert "gan could not be judged (it diverged)" in found.sentence
    assert decide(replace(facts, cheap={"smote": arm})).word == "USE smote"


def test_a_single_split_shows_nothing():
    one = Contrast(0.2, math.inf, 0, 1)
    rails = guardrails(one, {"common": one}, one)
    found = decide(replace(NOTHING, gan=one, cheap={"smote": Cheap(one, one)}, guardrails=rails))
    assert found.word == "NO EVIDENCE"
    assert "in a single split" in found.sentence
    assert {rail.state for rail in rails} == {"open"}


def test_rows_that_could_show_nothing_are_said_to_be_too_few():
    wide = Contrast(0.02, 0.5, 1, 2, limit=1.0)
    sentence = decide(replace(NOTHING, gan=wide, generated=7)).sentence
    assert "(95 % interval -100.0 to +100.0) with 7 generated rows" in sentence
    assert "too few to show any difference" in sentence


def test_reasons_tell_every_probability():
    found = decide(GOOD)
    assert found.reasons[0].startswith("gan minus none: P(worse by more than 1 point) = 0.000")
    assert sum(reason.startswith("smote minus none") for reason in found.reasons) == 1


# guardrails


def test_a_guardrail_is_broken_held_or_open_by_its_margin():
    def accuracy(mean: float, error: float) -> str:
        return guardrails(about(mean, error), {}, None)[0].state

    assert accuracy(-0.03, 0.005) == "broken"
    assert accuracy(0.0, 0.005) == "held"
    assert accuracy(-0.01, 0.005) == "open"
    assert accuracy(-0.01 - 1.762 * 0.005, 0.005) == "broken"  # t_.95 = 1.7613
    assert accuracy(-0.01 - 1.760 * 0.005, 0.005) == "open"


def test_log_loss_is_worse_when_it_is_higher():
    def loss(mean: float) -> str:
        return guardrails(about(0.0), {}, about(mean))[-1].state

    assert (loss(0.06), loss(-0.06), loss(0.02)) == ("broken", "held", "open")


def test_of_many_recalls_one_is_broken_only_after_holm():
    falling = Contrast(-0.02 - 1.887 * 0.005, 0.005, 14, 15)  # P(loss > margin) = .96
    single = guardrails(about(0.0), {"a": falling}, None)
    assert single[1].state == "broken"
    fine = {name: about(0.0) for name in "bcde"}
    among = {rail.what: rail for rail in guardrails(about(0.0), {"a": falling, **fine}, None)}
    assert among["recall of a"].state == "open"
    assert among["recall of b"].state == "held"
    assert among["recall of a"].p_loss == pytest.approx(0.96, abs=0.001)


def test_a_guardrail_is_ready_for_json():
    rail = HELD[0].to_dict()
    assert rail["state"] == "held"
    assert json.loads(json.dumps(rail, allow_nan=False)) == rail
