"""Precision, recall, density, coverage: hand values, invariants, and loops over every pair."""

import math

import numpy as np
import pytest

from gan_augment.errors import SmallSampleWarning
from gan_augment.metrics import (
    coverage,
    density,
    expected_coverage,
    neighbour_limit,
    precision,
    recall,
)

RNG = np.random.default_rng(0)
REAL = RNG.normal(size=(40, 6))
SYNTHETIC = RNG.normal(size=(30, 6)) * 0.9 + 0.4
FIGURES = (precision, recall, density, coverage)
LINE = [[0.0], [1.0], [3.0], [6.0], [10.0], [15.0], [21.0], [28.0], [36.0], [45.0]]


def by_loops(real: np.ndarray, synthetic: np.ndarray, k: int) -> dict[str, float]:
    """The formulas as the papers print them, pair by pair."""

    def reach(rows: np.ndarray, i: int) -> float:
        return sorted(math.dist(rows[i], rows[j]) for j in range(len(rows)) if j != i)[k - 1]

    around_real = [reach(real, i) for i in range(len(real))]
    around_made = [reach(synthetic, j) for j in range(len(synthetic))]
    inside = [
        [math.dist(s, r) <= e for r, e in zip(real, around_real, strict=True)] for s in synthetic
    ]
    back = [
        any(math.dist(r, s) <= e for s, e in zip(synthetic, around_made, strict=True)) for r in real
    ]
    return {
        "precision": sum(any(row) for row in inside) / len(synthetic),
        "recall": sum(back) / len(real),
        "density": sum(map(sum, inside)) / (k * len(synthetic)),
        "coverage": sum(any(row[i] for row in inside) for i in range(len(real))) / len(real),
    }


def test_rows_on_a_line_give_the_values_worked_by_hand() -> None:
    # with k = 1 the balls reach 1, 1, 2, 3, 4, 5, 6, 7, 8, 9
    made = [[0.5], [1.0], [2.0], [4.0], [4.5], [8.0], [50.0], [99.0], [99.0], [99.0]]
    assert precision(LINE, made, k=1) == pytest.approx(7 / 10)
    # .5 and 1 lie in 2, 2 in 2 (1 and 3), 4 in 2 (3 and 6), 4.5 in 2, 8 in 2, 50 in 1 (45)
    # 3 - 2 = 1: 1 touches the ball of 3 as well
    assert density(LINE, made, k=1) == pytest.approx((2 + 3 + 2 + 2 + 2 + 2 + 1) / 10)
    assert coverage(LINE, made, k=1) == pytest.approx(6 / 10)
    # the synthetic balls reach .5, .5, 1, .5, .5, 3.5, 42, 0, 0, 0
    assert recall(LINE, made, k=1) == pytest.approx(10 / 10)


@pytest.mark.parametrize("k", [1, 3, 5])
def test_they_agree_with_loops_over_every_pair(k: int) -> None:
    expected = by_loops(REAL, SYNTHETIC, k)
    found = {figure.__name__: figure(REAL, SYNTHETIC, k) for figure in FIGURES}
    assert found == pytest.approx(expected, rel=1e-6)


def test_an_equal_row_is_a_neighbour_and_a_ball_holds_its_rim() -> None:
    real = np.repeat([[0.0], [5.0]], 6, axis=0)  # every ball of five neighbours has radius 0
    made = [[0.0]] * 5 + [[1e-9]] * 5
    assert precision(real, made) == 0.5
    assert density(real, made) == pytest.approx(0.5 * 6 / 5)
    assert coverage(real, made) == 0.5


def test_copies_of_a_neighbour_lie_on_the_rim_however_far_from_the_origin() -> None:
    real = REAL[:12] + 1e6
    assert coverage(real, real, k=1) == 1
    assert density(real, real, k=1) == pytest.approx(2)  # its own ball, and one a neighbour


def test_a_set_covers_itself_and_shifts_or_scales_change_nothing() -> None:
    assert [figure(REAL, REAL[::-1]) for figure in (precision, recall, coverage)] == [1, 1, 1]
    for figure in FIGURES:
        value = figure(REAL, SYNTHETIC)
        assert figure(REAL * 4, SYNTHETIC * 4) == value
        assert figure(REAL + 3, SYNTHETIC + 3) == pytest.approx(value, abs=1e-12)


@pytest.mark.filterwarnings("ignore:.*too few")
@pytest.mark.parametrize(("n", "m", "k"), [(30, 10, 5), (12, 40, 3), (8, 8, 1)])
def test_expected_coverage_is_what_simulated_perfect_generators_have(
    n: int, m: int, k: int
) -> None:
    rng = np.random.default_rng(n)
    sets = [rng.normal(size=(n + m, 3)) for _ in range(600)]
    values = [coverage(rows[:n], rows[n:], k) for rows in sets]
    spread = np.std(values) / np.sqrt(len(values))
    assert abs(np.mean(values) - expected_coverage(n, m, k)) < 4 * spread


def test_under_ten_rows_they_warn_and_use_the_neighbours_there_are() -> None:
    with pytest.warns(SmallSampleWarning, match="10 of each.*kernel_distance"):
        assert precision([[0.0], [1.0]], [[0.5], [3.0]]) == 0.5  # k = 1
    assert neighbour_limit(10, 10) is None
