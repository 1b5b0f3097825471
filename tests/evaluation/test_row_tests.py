"""What is relied on where calls are compared row by row."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from gan_augment.evaluation.figures import confusion, figure
from gan_augment.evaluation.statistics import identical_above, paired_bootstrap


@given(st.integers(0, 12), st.integers(0, 20), st.integers(0, 12), st.integers(0, 20))
def test_more_copies_than_among_held_out_rows_is_fishers_test(identical, other, held, held_other):
    table = [[identical, other], [held, held_other]]
    expected = stats.fisher_exact(table, alternative="greater").pvalue
    flagged = identical_above(identical, identical + other, held, held + held_other)
    if abs(expected - 0.05) > 1e-9:
        assert flagged == (expected <= 0.05)


def test_without_rows_to_compare_with_there_is_no_flag():
    assert not identical_above(10, 10, 0, 0)
    assert not identical_above(0, 0, 5, 5)
    assert not identical_above(0, 100, 0, 100)
    assert identical_above(100, 100_000, 0, 100_000)


def calls(seed: int, n: int = 200) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < 0.2).astype(np.int64)
    a = np.where(rng.random(n) < 0.8, labels, 1 - labels)
    b = np.where(rng.random(n) < 0.7, labels, 1 - labels)
    return labels, a, b


def test_a_bootstrap_begins_with_the_difference_as_it_is():
    labels, a, b = calls(0)
    found = paired_bootstrap(labels, a, b, None, "macro_f1", [0, 1], classes=2, seed=0)
    f1 = [figure("macro_f1", confusion(labels, called, 2), [0, 1]) for called in (a, b)]
    assert found["mean"] == pytest.approx(f1[0] - f1[1])
    assert found["low"] < found["mean"] < found["high"]
    assert (found["draws"], found["units"]) == (2000, 200)
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_the_same_calls_never_differ_and_swapped_ones_turn_around():
    labels, a, b = calls(1)
    same = paired_bootstrap(labels, a, a, None, "balanced_accuracy", [0, 1], classes=2, seed=0)
    assert (same["mean"], same["low"], same["high"]) == (0, 0, 0)
    groups = np.arange(200) // 2
    one = paired_bootstrap(labels, a, b, groups, "accuracy", [0, 1], classes=2, seed=0)
    two = paired_bootstrap(labels, b, a, groups, "accuracy", [0, 1], classes=2, seed=0)
    assert one["mean"] == pytest.approx(-two["mean"])
    assert one["low"] == pytest.approx(-two["high"])


def test_the_bootstrap_of_an_accuracy_has_its_binomial_spread():
    """Of N rows with differences d in -1, 0, 1: the mean's standard error is sd(d) / sqrt(N)."""
    labels, a, b = calls(2, n=1000)
    d = (a == labels).astype(float) - (b == labels)
    found = paired_bootstrap(labels, a, b, None, "accuracy", [0, 1], classes=2, seed=0)
    width = 2 * 1.96 * d.std() / np.sqrt(1000)
    assert found["high"] - found["low"] == pytest.approx(width, rel=0.06)


def test_rows_of_a_group_are_drawn_together():
    """Every row four times in a group: as uncertain as one of each."""
    labels, a, b = calls(3, n=150)
    four = [np.repeat(x, 4) for x in (labels, a, b)]
    plain = paired_bootstrap(labels, a, b, None, "balanced_accuracy", [0, 1], classes=2, seed=0)
    groups = np.repeat(np.arange(150), 4)
    by_group = paired_bootstrap(*four, groups, "balanced_accuracy", [0, 1], classes=2, seed=0)
    by_row = paired_bootstrap(*four, None, "balanced_accuracy", [0, 1], classes=2, seed=0)
    width = {k: v["high"] - v["low"] for k, v in (("p", plain), ("g", by_group), ("r", by_row))}
    assert by_group["units"] == 150
    assert width["g"] == pytest.approx(width["p"], rel=0.1)
    assert width["r"] == pytest.approx(width["p"] / 2, rel=0.1)


def test_rows_without_a_group_stand_alone():
    labels, a, b = calls(4)
    alone = np.full(200, -1)
    expected = paired_bootstrap(labels, a, b, None, "accuracy", [0, 1], classes=2, seed=5)
    assert paired_bootstrap(labels, a, b, alone, "accuracy", [0, 1], classes=2, seed=5) == expected


def test_without_an_evaluated_row_there_is_no_interval():
    labels, a, b = calls(5)
    found = paired_bootstrap(labels, a, b, None, "macro_f1", [], classes=2, seed=0)
    assert found["mean"] is found["low"] is found["high"] is None
