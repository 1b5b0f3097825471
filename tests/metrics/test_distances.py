"""Frechet, kernel and pairwise distances: hand values, invariants, other formulas."""

import warnings

import numpy as np
import pytest
from scipy.linalg import sqrtm
from scipy.stats import ortho_group

from gan_augment.errors import SmallSampleWarning
from gan_augment.metrics import (
    frechet_distance,
    kernel_distance,
    mean_pairwise_distance,
)

pytestmark = pytest.mark.filterwarnings("ignore:Frechet distance of")


def sets(n: int, m: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(width)
    mix = rng.normal(size=(width, width))
    return rng.normal(size=(n, width)) @ mix, rng.normal(size=(m, width)) * 1.5 + 0.3


def test_in_one_dimension_it_is_the_squared_difference_of_means_and_of_deviations() -> None:
    # means 1 and 6; deviations with N - 1: sqrt(2) and sqrt(18)
    assert frechet_distance([[0.0], [2.0]], [[3.0], [9.0]]) == pytest.approx(25 + 8)


def test_it_is_symmetric_zero_to_itself_and_blind_to_rotations_and_shifts() -> None:
    a, b = sets(80, 60, 6)
    value = frechet_distance(a, b)
    turn = ortho_group(6, seed=0).rvs()
    assert frechet_distance(b, a) == pytest.approx(value, rel=1e-10)
    assert frechet_distance(a @ turn + 7, b @ turn + 7) == pytest.approx(value, rel=1e-10)
    assert frechet_distance(2 * a, 2 * b) == pytest.approx(4 * value, rel=1e-10)
    assert frechet_distance(a, a[::-1]) == pytest.approx(0, abs=1e-10)


@pytest.mark.parametrize(("n", "m", "width"), [(200, 150, 5), (400, 300, 64), (70, 300, 64)])
def test_it_agrees_with_the_square_root_of_the_product_of_covariances(
    n: int, m: int, width: int
) -> None:
    a, b = sets(n, m, width)
    s, t = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    shift = a.mean(axis=0) - b.mean(axis=0)
    expected = shift @ shift + np.trace(s + t - 2 * sqrtm(s @ t).real)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)


@pytest.mark.filterwarnings("default:Frechet distance of")
def test_under_ten_rows_a_feature_it_warns_with_what_to_use_instead() -> None:
    a, b = sets(60, 59, 6)
    with pytest.warns(SmallSampleWarning, match=r"60 and 59 rows.*needs? 60 rows.*kernel_distance"):
        frechet_distance(a, b)
    with warnings.catch_warnings(action="error"):
        frechet_distance(a, a)


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
