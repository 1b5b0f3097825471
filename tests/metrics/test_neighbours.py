"""Neighbourhoods and copies: hand values, invariants, loops over every pair and scikit-learn."""

import math

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from gan_augment.metrics import (
    copied_share,
    copy_threshold,
    coverage,
    density,
    expected_coverage,
    nearer_share,
    nearest_distances,
)

RNG = np.random.default_rng(0)
REAL = RNG.normal(size=(40, 6))
SYNTHETIC = RNG.normal(size=(30, 6)) * 0.9 + 0.4
TRAIN, OTHERS = RNG.normal(size=(60, 7)) + 100, RNG.normal(size=(25, 7)) + 100
LINE = [[0.0], [1.0], [3.0], [6.0], [10.0], [15.0], [21.0], [28.0], [36.0], [45.0]]


def test_rows_on_a_line_give_the_values_worked_by_hand() -> None:
    # with k = 1 the neighbourhoods reach 1, 1, 2, 3, 4, 5, 6, 7, 8, 9
    made = [[0.5], [1.0], [2.0], [4.0], [4.5], [8.0], [50.0], [99.0], [99.0], [99.0]]
    # .5 and 1 lie in 2, 2 in 2 (1 and 3), 4 in 2 (3 and 6), 4.5 in 2, 8 in 2, 50 in 1 (45)
    # 3 - 2 = 1: 1 touches that of 3 as well
    assert density(LINE, made, k=1) == pytest.approx((2 + 3 + 2 + 2 + 2 + 2 + 1) / 10)
    assert coverage(LINE, made, k=1) == pytest.approx(6 / 10)


@pytest.mark.parametrize("k", [1, 3, 5])
def test_density_and_coverage_agree_with_loops_over_every_pair(k: int) -> None:
    reach = [sorted(math.dist(row, other) for other in REAL)[k] for row in REAL]  # 0 is itself
    inside = [[math.dist(s, r) <= e for r, e in zip(REAL, reach, strict=True)] for s in SYNTHETIC]
    assert density(REAL, SYNTHETIC, k) == pytest.approx(sum(map(sum, inside)) / (k * 30))
    assert coverage(REAL, SYNTHETIC, k) == pytest.approx(np.any(inside, axis=0).mean())


def test_an_equal_row_is_a_neighbour_and_a_neighbourhood_holds_its_rim() -> None:
    real = np.repeat([[0.0], [5.0]], 6, axis=0)  # every neighbourhood of five has radius 0
    made = [[0.0]] * 5 + [[1e-9]] * 5
    assert density(real, made) == pytest.approx(0.5 * 6 / 5)
    assert coverage(real, made) == 0.5
    assert density([[0.0], [1.0]], [[0.5], [3.0]]) == 1.0  # of two rows, k is 1
    far = REAL[:12] + 1e6
    assert coverage(far, far, k=1) == 1
    assert density(far, far, k=1) == pytest.approx(2)  # its own, and that of a neighbour


def test_a_set_covers_itself_and_shifts_or_scales_change_nothing() -> None:
    assert coverage(REAL, REAL[::-1]) == 1
    for figure in (density, coverage):
        value = figure(REAL, SYNTHETIC)
        assert figure(REAL * 4, SYNTHETIC * 4) == value
        assert figure(REAL + 3, SYNTHETIC + 3) == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize(("n", "m", "k"), [(30, 10, 5), (12, 40, 3), (8, 8, 1)])
def test_expected_coverage_is_what_simulated_perfect_generators_have(
    n: int, m: int, k: int
) -> None:
    rng = np.random.default_rng(n)
    sets = [rng.normal(size=(n + m, 3)) for _ in range(600)]
    values = [coverage(rows[:n], rows[n:], k) for rows in sets]
    spread = np.std(values) / np.sqrt(len(values))
    assert abs(np.mean(values) - expected_coverage(n, m, k)) < 4 * spread


def test_distances_and_thresholds_agree_with_hand_values_and_scikit_learn() -> None:
    assert nearest_distances([[0, 0], [4, 4]], to=[[3, 4], [0, 1]]).tolist() == [1.0, 1.0]
    assert copy_threshold([[0.0], [10.0]], held_out=[[1.0], [7.0]]) == 1.02
    assert copy_threshold([[0.0], [1.0], [5.0]]) == 1.0
    expected = NearestNeighbors(n_neighbors=1).fit(TRAIN).kneighbors(OTHERS)[0][:, 0]
    assert nearest_distances(OTHERS, TRAIN) == pytest.approx(expected)
    assert nearest_distances(OTHERS[:0], TRAIN).shape == (0,)
    own = NearestNeighbors(n_neighbors=2).fit(TRAIN).kneighbors(TRAIN)[0][:, 1]
    assert copy_threshold(TRAIN) == pytest.approx(np.quantile(own, 0.01))


def test_exact_copies_always_count() -> None:
    mixed = np.concatenate([TRAIN[:5], OTHERS[:15]])
    assert copied_share(mixed, TRAIN, threshold=0.0) == 0.25
    assert copied_share([[-0.0, 1.0]], [[0.0, 1.0]], threshold=0.0) == 1


def test_nearer_rows_count_one_and_ties_one_half() -> None:
    share = nearer_share([[0.0], [10.0]], [[1.0], [9.5], [5.0], [2.5]], [[4.0], [6.0]])
    assert share.value == pytest.approx((1 + 1 + 0 + 0) / 4)
    assert nearer_share([[0.0]], [[1.0], [0.5]], [[2.0]]).value == pytest.approx(1.5 / 2)
    copies = nearer_share(REAL, REAL + 1e-3, REAL + 1)
    assert copies.value == 1
    assert copies.low > 0.85


FRESH = np.random.default_rng(0)


def fresh(n: int, width: int = 6) -> np.ndarray:
    return FRESH.normal(size=(n, width))


def test_the_nearer_share_agrees_with_a_loop_and_is_mirrored_by_swapping_real_sets() -> None:
    real, held, made = fresh(30), fresh(30), fresh(50)
    to_real = [min(math.dist(row, other) for other in real) for row in made]
    to_held = [min(math.dist(row, other) for other in held) for row in made]
    expected = np.mean([a < b for a, b in zip(to_real, to_held, strict=True)])
    share = nearer_share(real, made, held)
    assert share.value == pytest.approx(expected, rel=1e-6)
    value, low, high = nearer_share(held, made, real)
    assert (1 - value, 1 - high, 1 - low) == pytest.approx(share)


@pytest.mark.parametrize(("n", "m"), [(10, 200), (30, 200), (100, 30)])
def test_the_interval_holds_one_half_in_19_of_20_fresh_sets_however_few_are_real(
    n: int, m: int
) -> None:
    shares = [nearer_share(fresh(n), fresh(m), fresh(n)) for _ in range(200)]
    held = np.mean([share.low <= 0.5 <= share.high for share in shares])
    assert 0.90 <= held <= 0.995
