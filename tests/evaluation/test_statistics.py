"""What is relied on where a mean difference gets an interval."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from gan_augment.errors import UsageError
from gan_augment.evaluation.statistics import (
    DISAGREEMENT,
    Contrast,
    contrast,
    detectable,
    expected_error,
    holm,
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


def test_the_posterior_agrees_with_the_density_integrated():
    found = contrast([0.02, -0.01, 0.04, 0.03, 0.0], shared=0.25)

    def density(x: float) -> float:
        t, v = (x - found.mean) / found.error, found.freedom
        scale = math.gamma((v + 1) / 2) / (math.sqrt(v * math.pi) * math.gamma(v / 2))
        return scale * (1 + t * t / v) ** (-(v + 1) / 2) / found.error

    low, high = found.interval()
    assert integrate.quad(density, low, high)[0] == pytest.approx(0.95, abs=1e-9)
    assert integrate.quad(density, -0.01, 0.01)[0] == pytest.approx(found.within(0.01), abs=1e-9)


@given(several, numbers.map(abs))
def test_above_within_and_below_are_all_there_is(differences, x):
    found = contrast(differences, 0.25)
    assert found.above(x) + found.within(x) + found.below(-x) == pytest.approx(1)
    turned = contrast([-d for d in differences], 0.25)
    assert turned.below(-x) == pytest.approx(found.above(x), abs=1e-12)


@given(several, st.floats(0.1, 10))
def test_a_contrast_has_the_unit_of_the_differences(differences, factor):
    found, scaled = contrast(differences, 0.25), contrast(np.multiply(differences, factor), 0.25)
    assert scaled.mean == pytest.approx(factor * found.mean, abs=1e-12)
    assert scaled.error == pytest.approx(factor * found.error, abs=1e-12)


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


def test_one_difference_proves_nothing():
    found = contrast([0.3], 0.25)
    assert found.freedom == 0
    assert found.interval() == (-math.inf, math.inf)
    assert (found.above(0.01), found.below(-0.01), found.within(0.01)) == (0.5, 0.5, 0)
    told = found.to_dict(0.01)
    assert told["error"] is told["interval"] is None
    assert json.loads(json.dumps(told, allow_nan=False)) == told


def test_a_contrast_tells_its_probabilities():
    found = contrast([0.01, 0.02, 0.06], 0.5)
    told = found.to_dict(0.02)
    assert told["p_above"] == found.above(0.02)
    assert told["p_below"] == found.below(-0.02)
    assert told["p_within"] == found.within(0.02)
    assert told["interval"] == list(found.interval())
    assert sum(told[f"p_{part}"] for part in ("below", "within", "above")) == pytest.approx(1)


@pytest.mark.parametrize("given_differences", [[], [0.1, math.nan], [[0.1, 0.2]]])
def test_differences_that_are_none_are_refused(given_differences: list):
    with pytest.raises(UsageError, match="one finite number a split"):
        contrast(given_differences, 0.25)


# what could be seen


def test_the_detectable_difference_is_found_in_four_of_five_trials():
    """A contrast with this true difference is above delta with P >= .95 in about .8 of trials."""
    error, freedom, delta = 0.01, 14, 0.01
    assert detectable(error, freedom, delta) == pytest.approx(
        delta + (stats.t.ppf(0.95, 14) + stats.t.ppf(0.8, 14)) * error
    )
    rng = np.random.default_rng(0)
    means = detectable(error, freedom, delta) + error * rng.normal(size=4000)
    errors = error * np.sqrt(rng.chisquare(freedom, 4000) / freedom)
    found = [
        Contrast(m, e, freedom, 15).above(delta) >= 0.95 for m, e in zip(means, errors, strict=True)
    ]
    assert np.mean(found) == pytest.approx(0.8, abs=0.03)
    assert detectable(math.inf, 0, delta) == math.inf


def test_the_forecast_by_hand():
    found = expected_error(
        {"a": 100, "b": 25},
        "balanced_accuracy",
        folds=5,
        repeats=3,
        shared=0.25,
        disagreement=0.1,
    )
    assert found == pytest.approx(math.sqrt(5 * 0.1 / 4 * (1 / 100 + 1 / 25) * (1 / 15 + 1 / 4)))


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
    assert forecast(30) == forecast(30, disagreement=DISAGREEMENT)
    assert expected_error({"a": 9}, "accuracy", folds=1, repeats=1, shared=0.2) == math.inf
    assert expected_error({}, "accuracy", folds=5, repeats=3, shared=0.2) == math.inf


def test_one_flipped_row_by_hand():
    parts = [np.array([[18, 2], [3, 7]]), np.array([[20, 0], [0, 10]])]
    # mean recall of two classes: 1 of 10 rows is .05 in its split, .025 of the mean over two
    assert one_flip(parts, "balanced_accuracy", [0, 1], 1) == pytest.approx(0.025)
    assert one_flip(parts, "accuracy", [0, 1], 1) == pytest.approx(1 / 30 / 2)
    assert one_flip(parts, "average_precision", [1], 1) == pytest.approx(0.05)


@given(st.integers(0, 10_000), st.sampled_from(["balanced_accuracy", "macro_f1", "g_mean"]))
def test_a_flip_is_the_difference_of_counting_twice(seed, metric):
    from gan_augment.evaluation.figures import confusion, figure

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
    expected = abs(figure(metric, after, range(3)) - figure(metric, before, range(3)))
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
