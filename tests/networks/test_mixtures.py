"""How rows are mixed: sums, the variance that is kept, and what is left alone."""

from __future__ import annotations

import numpy as np
import pytest

from gan_augment.networks.inputs import mixture_weights
from gan_augment.recipes import GeneratorSettings

MIXED = GeneratorSettings(extrapolation=0.5, reach=1.0)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_weights_sum_to_one_and_a_difference_to_nothing():
    weights = mixture_weights(MIXED, 1000, rng(), borrowed=0.5)
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(weights[:, 2], -weights[:, 3])


def test_half_of_the_samples_borrow_and_those_start_at_their_row():
    weights = mixture_weights(MIXED, 4000, rng(), borrowed=0.5)
    borrows = weights[:, 2] > 0
    assert borrows.mean() == pytest.approx(0.5, abs=0.03)
    assert (weights[borrows, 0] == 1).all()
    assert (weights[~borrows, 1] < 0).any()
    assert (weights[~borrows, 1] > 1).any()


def test_an_extrapolation_of_366_thousandths_keeps_the_variance_of_a_class():
    settings = GeneratorSettings(extrapolation=(3**0.5 - 1) / 2)
    kept = np.square(mixture_weights(settings, 200_000, rng(), borrowed=0)).sum(axis=1).mean()
    assert kept == pytest.approx(1, abs=0.01)
    between = GeneratorSettings(extrapolation=0.0)
    cut = np.square(mixture_weights(between, 200_000, rng(), borrowed=0)).sum(axis=1).mean()
    assert cut == pytest.approx(2 / 3, abs=0.01)


def test_samples_to_be_compared_with_their_row_stay_there():
    weights = mixture_weights(MIXED, 8, rng(), borrowed=0.5, own=slice(0, None, 2))
    assert weights[::2].tolist() == [[1, 0, 0, 0]] * 4


def test_where_nothing_is_borrowed_two_rows_are_enough():
    assert mixture_weights(MIXED, 5, rng(), borrowed=0).shape == (5, 2)
