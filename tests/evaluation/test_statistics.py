"""What is relied on where a difference gets an interval, or calls are compared row by row."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from gan_augment.errors import UsageError
from gan_augment.evaluation.decisions import confusion, figures_of
from gan_augment.evaluation.statistics import (
    DISAGREEMENT,
    Contrast,
    bootstrap_error,
    contrast,
    expected_error,
    holm,
    identical_chance,
    one_flip,
)

numbers = st.floats(-1, 1)
several = st.lists(numbers, min_size=2, max_size=30)

# the corrected t


def test_the_error_and_the_interval_by_hand():
    found = contrast([0.01, 0.03, 0.05], shared=0.5)
    # s^2 = .0004, Var = .0004 (1/3 + 1/2) = .000333..., t_.975 with 2 degrees 4.302653
    assert found.mean == pytest.approx(0.03)
    assert found.error == pytest.approx(math.sqrt(0.0004 * (1 / 3 + 1 / 2)))
    assert (found.freedom, found.n) == (2, 3)
    assert found.interval() == pytest.approx((-0.0485552, 0.1085552), abs=1e-6)
    as_json = found.to_dict(0.02)
    assert as_json["interval"] == list(found.interval())
    assert (as_json["p_below"], as_json["p_above"]) == (found.below(-0.02), found.above(0.02))
    assert (as_json["p_within"], as_json["p_positive"]) == (found.within(0.02), found.above(0.0))


@given(several, st.sampled_from([1 / 4, 1 / 2, 0.11]), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_the_interval_agrees_with_scipy_to_1e_12(differences, shared, level):
    found = contrast(differences, shared)
    d, n = np.array(differences), len(differences)
    scale = np.std(d, ddof=1) * np.sqrt(1 / n + shared)
    if scale == 0:
        assert found.interval(level) == (found.mean, found.mean)
        return
    expected = stats.t.interval(level, n - 1, loc=d.mean(), scale=scale)
    assert np.abs(np.subtract(found.interval(level), expected)).max() <= 1e-12 * max(1, scale)
    posterior = stats.t(n - 1, loc=d.mean(), scale=scale)
    for x in (-0.3, -0.01, 0.0, 0.01, 0.2):
        assert found.above(x) == pytest.approx(posterior.sf(x), abs=1e-12)
        assert found.below(x) == pytest.approx(posterior.cdf(x), abs=1e-12)


@given(several, numbers.map(abs))
def test_above_within_and_below_are_all_there_is(differences, x):
    found = contrast(differences, 0.25)
    assert found.above(x) + found.within(x) + found.below(-x) == pytest.approx(1)
    turned = contrast([-d for d in differences], 0.25)
    assert turned.below(-x) == pytest.approx(found.above(x), abs=1e-12)


def test_the_corrected_interval_covers_where_the_uncorrected_one_does_not():
    """Splits of correlation 1 / k, as if test parts were drawn and training parts shared."""
    rng, folds, hits, naive = np.random.default_rng(0), 5, 0, 0
    for _ in range(2000):
        common = rng.normal(scale=math.sqrt(1 / folds))
        d = common + rng.normal(scale=math.sqrt(1 - 1 / folds), size=15)
        low, high = contrast(d, 1 / (folds - 1)).interval()
        hits += low <= 0 <= high
        low, high = contrast(d, 0).interval()
        naive += low <= 0 <= high
    assert 0.935 <= hits / 2000 <= 0.965  # Var of the mean is s^2 (1/J + rho / (1 - rho))
    assert naive / 2000 < 0.8


def test_differences_that_agree_prove_nothing_below_one_flipped_row():
    assert contrast([0.02] * 15, 0.25).above(0.01) == 1
    assert contrast([0.02] * 15, 0.25, least_error=0.0) == Contrast(
        pytest.approx(0.02), pytest.approx(0, abs=1e-15), 14, 15
    )
    floored = contrast([0.02] * 15, 0.25, least_error=1 / 60)
    assert floored.error == 1 / 60
    assert floored.above(0.01) < 0.95
    assert contrast([0.0, 0.5], 0.25, least_error=0.01).error > 0.01


def test_without_an_error_only_the_mean_is_believed():
    sure = Contrast(0.01, 0.0, 14, 15)
    assert (sure.above(0.01), sure.below(0.01), sure.within(0.01)) == (0, 0, 1)
    assert (sure.above(0.005), sure.below(0.005), sure.within(0.005)) == (1, 0, 0)
    assert sure.interval() == (0.01, 0.01)


@given(several, st.sampled_from([1.0, 2.0]))
def test_no_interval_and_no_detectable_difference_leave_the_range_of_the_metric(values, limit):
    free = contrast(values, 0.5)
    found = replace(free, limit=limit)
    assert all(-limit <= end <= limit for end in found.interval())
    assert found.detectable(0.01) in (free.detectable(0.01), math.inf)
    assert found.above(0.01) == free.above(0.01)


def test_one_difference_proves_nothing():
    found = contrast([0.3], 0.25)
    assert found.freedom == 0
    assert found.interval() == (-math.inf, math.inf)
    assert (found.above(0.01), found.below(-0.01), found.within(0.01)) == (0.5, 0.5, 0)
    as_json = found.to_dict(0.01)
    assert as_json["error"] is as_json["interval"] is None
    assert json.loads(json.dumps(as_json, allow_nan=False)) == as_json


@pytest.mark.parametrize("given_differences", [[], [0.1, math.nan], [[0.1, 0.2]]])
def test_differences_that_are_none_are_refused(given_differences: list):
    with pytest.raises(UsageError, match="one finite number a split"):
        contrast(given_differences, 0.25)


# what could be seen


def test_the_detectable_difference_is_found_in_four_of_five_trials():
    """A contrast with this true difference is above delta with P >= .95 in about .8 of trials."""
    error, freedom, delta = 0.01, 14, 0.01
    detectable = Contrast(0.0, error, freedom, 15).detectable(delta)
    reach = stats.t.ppf(0.95, 14) + stats.t.ppf(0.8, 14)
    assert detectable == pytest.approx(delta + reach * error)
    rng = np.random.default_rng(0)
    means = detectable + error * rng.normal(size=4000)
    errors = error * np.sqrt(rng.chisquare(freedom, 4000) / freedom)
    found = [
        Contrast(m, e, freedom, 15).above(delta) >= 0.95 for m, e in zip(means, errors, strict=True)
    ]
    assert np.mean(found) == pytest.approx(0.8, abs=0.03)
    assert Contrast(0.0, math.inf, 0, 1).detectable(delta) == math.inf


def test_the_forecast_is_the_error_where_arms_disagree_as_assumed():
    rng, folds, n = np.random.default_rng(0), 5, {"a": 500, "b": 50}
    errors = []
    for _ in range(300):
        d = []
        for _ in range(3 * folds):
            changes = [
                rng.choice([-1, 0, 1], size=rows // folds, p=[0.05, 0.9, 0.05]).mean()
                for rows in n.values()
            ]
            d.append(np.mean(changes))
        errors.append(contrast(d, 0.25).error)
    forecast = expected_error(
        n, "balanced_accuracy", folds=folds, repeats=3, shared=0.25, disagreement=0.1
    )
    assert math.sqrt(np.mean(np.square(errors))) == pytest.approx(forecast, rel=0.03)


def test_the_forecast_falls_with_rows_and_rises_with_disagreement():
    def forecast(n: int, **more: float) -> float:
        counts = {"a": 1000, "b": n}
        return expected_error(counts, "balanced_accuracy", folds=5, repeats=3, shared=0.25, **more)

    assert forecast(30) > forecast(120) > forecast(500)
    assert forecast(30, disagreement=4 * DISAGREEMENT) == pytest.approx(2 * forecast(30))
    assert expected_error({}, "accuracy", folds=5, repeats=3, shared=0.2) == math.inf


def test_one_flipped_row_by_hand():
    parts = [np.array([[18, 2], [3, 7]]), np.array([[20, 0], [0, 10]])]
    # mean recall of two classes: 1 of 10 rows is .05 in its split, .025 of the mean over two
    assert one_flip(parts, "balanced_accuracy", [0, 1], 1) == pytest.approx(0.025)
    assert one_flip(parts, "accuracy", [0, 1], 1) == pytest.approx(1 / 30 / 2)
    assert one_flip(parts, "average_precision", [1], 1) == pytest.approx(0.05)


@given(st.integers(0, 10_000), st.sampled_from(["balanced_accuracy", "macro_f1", "g_mean"]))
def test_a_flip_is_the_difference_of_counting_twice(seed, metric):
    rng = np.random.default_rng(seed)
    labels, called = np.repeat([0, 1, 2], [20, 10, 5]), rng.integers(0, 3, 35)
    before = confusion(labels, called, 3)
    changed = called.copy()
    right = np.flatnonzero((labels == 2) & (called == 2))
    others = [(before[2, c], -c) for c in (0, 1)]
    mistaken = -max(others)[1]
    if len(right):
        changed[right[0]] = mistaken
    else:
        changed[np.flatnonzero((labels == 2) & (called == mistaken))[0]] = 2
    after = confusion(labels, changed, 3)
    expected = abs(figures_of(metric, after, range(3)) - figures_of(metric, before, range(3)))
    if metric == "g_mean" and not expected:  # it is 0 with and without that row: mean recall moves
        expected = 1 / 3 / 5
    assert one_flip([before], metric, range(3), 2) == pytest.approx(expected)


def test_splits_without_a_row_of_the_class_cannot_flip():
    parts = [np.array([[5, 0], [0, 0]]), np.array([[5, 0], [2, 2]])]
    assert one_flip(parts, "balanced_accuracy", [0, 1], 1) == pytest.approx(0.25 / 2 / 2)
    assert one_flip(parts[:1], "balanced_accuracy", [0, 1], 1) == 0
    counts = parts[1].copy()
    one_flip(parts, "balanced_accuracy", [0, 1], 1)
    assert (parts[1] == counts).all()


# Holm


def test_holm_by_hand():
    assert holm({"x": 0.01, "y": 0.04, "z": 0.03}) == {"x": 0.03, "y": 0.06, "z": 0.06}
    assert holm({}) == {}
    assert holm({"alone": 0.2}) == {"alone": 0.2}


@given(st.lists(st.floats(0, 1), min_size=1, max_size=5))
def test_holm_is_the_closure_of_bonferroni(values):
    """Adjusted p: the largest over all sets that hold it of the set's size times its least p."""
    found = holm({str(i): p for i, p in enumerate(values)})
    for i in range(len(values)):
        sets = [
            chosen
            for size in range(1, len(values) + 1)
            for chosen in itertools.combinations(range(len(values)), size)
            if i in chosen
        ]
        expected = max(min(1.0, len(s) * min(values[j] for j in s)) for s in sets)
        assert found[str(i)] == pytest.approx(expected)


def test_copies_are_more_than_by_chance_and_nothing_without_rows_to_compare_with():
    def chance(*counts: int) -> float | None:
        names = ("identical", "generated", "held_identical", "held")
        return identical_chance(dict(zip(names, counts, strict=True)))

    assert chance(6, 100, 0, 100) < 0.05 < chance(6, 100, 3, 100)
    assert chance(10, 10, 0, 0) is chance(0, 0, 5, 5) is None
    assert chance(0, 100, 0, 100) == 1
    assert chance(100, 100_000, 0, 100_000) < 0.05


# the bootstrap of a test set


def calls(seed: int, n: int = 200) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < 0.2).astype(np.int64)
    a = np.where(rng.random(n) < 0.8, labels, 1 - labels)
    b = np.where(rng.random(n) < 0.7, labels, 1 - labels)
    return labels, a, b


def bootstrapped(labels, a, b, groups=None, metric="balanced_accuracy", evaluated=(0, 1)):
    return bootstrap_error(labels, a, b, groups, metric, evaluated, classes=2, seed=0)


def test_the_error_of_an_accuracy_is_binomial_and_that_of_equal_calls_is_0():
    """N rows with differences d in -1, 0, 1: the standard error of the mean is sd(d) / sqrt(N)."""
    labels, a, b = calls(2, n=1000)
    d = (a == labels).astype(float) - (b == labels)
    error, units = bootstrapped(labels, a, b, metric="accuracy")
    assert (error, units) == (pytest.approx(d.std() / np.sqrt(1000), rel=0.06), 1000)
    assert bootstrapped(labels, a, a) == (0, 1000)
    assert bootstrapped(labels, a, b, metric="macro_f1", evaluated=[]) is None


def test_rows_of_a_group_are_drawn_together_and_rows_without_one_stand_alone():
    """Every row four times in a group: as uncertain as one of each."""
    labels, a, b = calls(3, n=150)
    four = [np.repeat(x, 4) for x in (labels, a, b)]
    plain, _ = bootstrapped(labels, a, b)
    by_group, units = bootstrapped(*four, np.repeat(np.arange(150), 4))
    by_row, _ = bootstrapped(*four)
    assert units == 150
    assert by_group == pytest.approx(plain, rel=0.1)
    assert by_row == pytest.approx(plain / 2, rel=0.1)
    assert bootstrapped(labels, a, b, np.full(150, -1)) == bootstrapped(labels, a, b)
