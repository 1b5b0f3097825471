"""Kernel and pairwise distances: hand values, invariants, other formulas."""

import numpy as np
import pytest

from gan_augment.metrics import (
    kernel_distance,
    mean_pairwise_distance,
)


def test_two_points_against_two_give_the_value_worked_by_hand() -> None:
    # d = 2; x = (1, 1) twice: k = 8; y = (0, 2), (2, 0): k = 1; across: k = 8 each time
    assert kernel_distance([[1, 1], [1, 1]], [[0, 2], [2, 0]]) == pytest.approx(8 + 1 - 2 * 8)


def test_it_is_unbiased_halves_of_one_set_average_to_zero() -> None:
    rng = np.random.default_rng(1)
    values = [kernel_distance(rng.normal(size=(8, 3)), rng.normal(size=(8, 3))) for _ in range(800)]
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(len(values))
    assert min(values) < 0


def test_it_agrees_with_a_double_loop_over_pairs() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(6, 4)), rng.normal(size=(5, 4)) * 2

    def mean_kernel(a: np.ndarray, b: np.ndarray, *, same: bool) -> float:
        pairs = [(u, v) for i, u in enumerate(a) for j, v in enumerate(b) if not same or i != j]
        return float(np.mean([(float(u @ v) / 4 + 1) ** 3 for u, v in pairs]))

    expected = mean_kernel(x, x, same=True) + mean_kernel(y, y, same=True)
    expected -= 2 * mean_kernel(x, y, same=False)
    assert kernel_distance(x, y) == pytest.approx(expected)
    assert kernel_distance(y[::-1, ::-1], x[:, ::-1]) == pytest.approx(expected)


def test_a_right_triangle_gives_the_value_worked_by_hand() -> None:
    assert mean_pairwise_distance([[0, 0], [3, 0], [0, 4]]) == pytest.approx((3 + 4 + 5) / 3)
    assert mean_pairwise_distance(np.full((50, 8), 0.1)) == pytest.approx(0, abs=1e-7)
