"""Which classes are rare, exactly how many rows a top-up adds, and in what order."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gan_augment.data.topup_plan import (
    ClassPlan,
    choose_classes,
    explain_rare,
    plan_topup,
    rare_classes,
    repeated_rows,
)
from gan_augment.errors import DataError, NoRareClassError, UnknownClassError, UsageError
from gan_augment.options import TopUp

COUNTS = st.dictionaries(st.text("abcdef", min_size=1), st.integers(1, 5000), min_size=1)
NO_COMPANIONS = TopUp(companions=False)


def test_rare_is_below_half_of_an_equal_share_and_its_numbers_are_told():
    assert rare_classes({"a": 75, "b": 25}) == ()
    assert rare_classes({"a": 76, "b": 24}) == ("b",)
    assert explain_rare({"a": 76, "b": 24}) == (
        "rare: b (24); fewer than 25 rows, half of an equal share of 100 rows over 2 classes"
    )
    assert explain_rare({"a": 5}).startswith("rare: none")


def test_no_rare_class_is_refused_with_counts_and_cure():
    with pytest.raises(NoRareClassError, match=r"a \(10\), b \(9\).*classes=\['b'\]") as refusal:
        choose_classes("rare", {"a": 10, "b": 9})
    assert refusal.value.exit_code == 3


def test_classes_are_chosen_by_word_or_name_or_list():
    counts = {"good": 90, "bad": 5, "a,b": 5}
    assert choose_classes("rare", counts) == ("bad", "a,b")
    assert choose_classes("all", counts) == ("good", "bad", "a,b")
    assert choose_classes("bad,good", counts) == ("bad", "good")
    assert choose_classes("a,b", counts) == ("a,b",)
    assert choose_classes(["bad", "bad"], counts) == ("bad",)
    assert choose_classes(("rare",), {"rare": 1, "x": 1}) == ("rare",)


@pytest.mark.parametrize(
    ("classes", "kind", "why"),
    [
        ("godo", UnknownClassError, "Did you mean 'good'"),
        ("b", DataError, "no row"),
        (" , ", UsageError, "no class"),
    ],
)
def test_classes_that_cannot_be_topped_up_are_refused(classes, kind, why):
    with pytest.raises(kind, match=why):
        choose_classes(classes, {"good": 3, "b": 0})


@pytest.mark.parametrize(
    ("to", "total"),
    [("majority", 100), ("median", 40), (70, 70), (0.5, 50), (1.0, 100), (1, 20), (5000, 5000)],
)
def test_a_class_ends_with_what_was_asked_and_never_shrinks(to, total):
    counts = {"good": 100, "fair": 40, "bad": 20}
    assert plan_topup(counts, TopUp(to=to, companions=False), ["bad"])["bad"].total == total


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"to": "mayority"}, r"or a number. Did you mean 'majority'\?$"),
        ({"to": 1.5}, r"a fraction in \(0, 1\]; a count is an integer\.$"),
        ({"too": 1}, r"no setting 'too'; known here: to, .* Did you mean 'to'\?$"),
    ],
)
def test_settings_that_cannot_be_used_are_refused_in_a_sentence(values, why):
    with pytest.raises(UsageError, match=why):
        TopUp.checked(values, "options")


def test_companions_give_every_class_the_same_share_and_leave_the_target_alone():
    plan = plan_topup({"a": 1000, "b": 500, "c": 20}, TopUp(to=2000), ["c"])
    shares = [(p.synthetic + p.companions) / p.total for p in plan.values()]
    assert max(shares) - min(shares) < 1e-3
    assert plan["c"].total == 2000


def test_companions_never_take_a_class_beyond_the_target():
    plan = plan_topup({"a": 1000, "b": 500, "c": 20}, TopUp(), ["c"])
    assert (plan["a"].total, plan["c"].total) == (1000, 1000)
    assert 500 < plan["b"].total <= 1000


@given(COUNTS, st.floats(0, 1), st.booleans(), st.one_of(st.integers(1, 9000), st.just("median")))
def test_every_plan_adds_up(counts, share, companions, to):
    chosen = list(counts)[: (len(counts) + 1) // 2]
    plan = plan_topup(counts, TopUp(to=to, synthetic_share=share, companions=companions), chosen)
    assert list(plan) == list(counts)
    for name, n in counts.items():
        row = plan[name]
        assert row.real == n
        assert min(row.repeats, row.synthetic, row.companions) >= 0
        if name in chosen:
            assert row.companions == 0
            assert to == "median" or row.total == max(n, to)
            assert n == 1 or abs(row.synthetic - share * (row.total - n)) <= 0.5
        else:
            assert row.repeats == row.synthetic == 0
            most = max(plan[one].total for one in chosen)
            assert row.companions <= (max(most - n, 0) if companions else 0)


def test_refused_classes_get_repeats_and_the_others_keep_their_rows():
    plan = plan_topup({"a": 100, "b": 20, "c": 7}, TopUp(), ["b", "c"])
    assert plan.refuse({"c": "too few"}) == {**plan, "c": ClassPlan(7, repeats=93)}
    one_by_one = plan.refuse({"a": "why"}).refuse({"c": "why"}).refuse({"b": "why"})
    assert one_by_one == plan.refuse({"a": "why", "b": "why", "c": "why"}), "in any order"
    late = plan.refuse({"b": "why", "c": "why"}, keep_others=True)
    assert late == {"a": plan["a"], "b": ClassPlan(20, 80), "c": ClassPlan(7, 93)}


def test_without_generated_rows_in_topped_up_classes_there_are_no_companions():
    plan = plan_topup({"a": 100, "b": 20, "c": 7}, TopUp(to=60), ["b", "c"])
    ended = plan.refuse({"b": "why", "c": "why"})
    assert ended == {"a": ClassPlan(100), "b": ClassPlan(20, 40), "c": ClassPlan(7, 53)}


def test_a_class_of_one_row_gets_repeats_alone():
    plan = plan_topup({"a": 100, "b": 20, "c": 1}, TopUp(to=60), ["b", "c"])
    assert plan["c"] == ClassPlan(1, repeats=59)
    assert plan["b"].synthetic == 20
    assert list(plan.refused) == ["c"]


def test_rows_are_laid_out_class_by_class_repeats_before_generated_ones():
    labels = np.array([1, 0, 0, 0, 1])
    plan = plan_topup({"a": 3, "b": 2}, TopUp(companions=False), {"b": 4})
    layout = plan.layout(labels, seed=0)
    assert layout.label.tolist() == [*labels, 1, 1, 1, 1]
    assert layout.origin[4:].tolist() == ["real", *["repeat"] * 2, *["synthetic"] * 2]
    assert layout.source[:5].tolist() == [0, 1, 2, 3, 4]
    assert sorted(layout.source[5:7]) == [0, 4]
    assert layout.source[7:].tolist() == [-1, -1]


def test_repeats_are_even_depend_on_the_seed_and_begin_alike_whatever_the_number():
    repeats = Counter(repeated_rows(np.array([4, 5, 9]), 11, "cat", 0).tolist())
    assert sorted(repeats.values()) == [3, 4, 4]
    rows = np.arange(50)
    drawn = repeated_rows(rows, 20, "cat", 0).tolist()
    assert drawn == repeated_rows(rows, 60, "cat", 0)[:20].tolist()
    assert drawn != repeated_rows(rows, 20, "cat", 1).tolist()
