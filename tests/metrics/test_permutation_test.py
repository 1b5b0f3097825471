"""The kernel test: all relabellings by hand, its level, and a loop over kernel distances."""

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import kstest

from gan_augment.errors import DataError, UsageError
from gan_augment.metrics import kernel_distance, kernel_test


def test_two_far_pairs_have_the_p_value_of_two_in_six_relabellings() -> None:
    # of the 6 ways to call two of four rows real, {a, b} and {c, d} give the observed value
    p = kernel_test([[0.0], [0.1]], [[9.0], [9.1]], permutations=9999)
    assert p == pytest.approx(2 / 6, abs=0.02)


def test_it_agrees_with_kernel_distances_over_all_relabellings() -> None:
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(size=(4, 3)), rng.normal(size=(4, 3)) + 0.7])
    all_values = [
        kernel_distance(rows[list(chosen)], np.delete(rows, chosen, axis=0))
        for chosen in combinations(range(8), 4)
    ]
    expected = np.mean(np.array(all_values) >= all_values[0] - 1e-12)
    assert kernel_test(rows[:4], rows[4:], permutations=20_000) == pytest.approx(
        expected, abs=0.012
    )


def test_it_holds_its_level_for_two_sets_of_one_distribution() -> None:
    rng = np.random.default_rng(1)
    found = [
        kernel_test(rng.normal(size=(12, 3)), rng.normal(size=(8, 3)), permutations=99)
        for _ in range(300)
    ]
    assert kstest(found, "uniform").pvalue > 0.01
    assert np.mean(np.array(found) <= 0.05) < 0.09


def test_it_is_never_zero_and_hangs_on_the_seed_not_on_the_order() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(30, 4)), rng.normal(size=(20, 4)) + 0.3
    assert kernel_test(a, a + 50, permutations=19) == 1 / 20
    assert kernel_test(a, b, 3) == kernel_test(a[::-1], rng.permutation(b), 3)
    assert kernel_test(a, b, 3) != kernel_test(a, b, 4)


def test_what_cannot_be_used_is_named() -> None:
    with pytest.raises(UsageError, match="permutations=0"):
        kernel_test([[0.0]] * 2, [[1.0]] * 2, permutations=0)
    with pytest.raises(DataError, match="features"):
        kernel_test([[0.0]] * 2, [[1.0, 2.0]] * 2)
