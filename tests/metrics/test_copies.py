"""Copies and the nearer share: hand values, invariants, loops and scikit-learn."""

import math

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from gan_augment.metrics import (
    copied_share,
    copy_threshold,
    identical_share,
    nearer_share,
    nearest_distances,
)

FAR = np.random.default_rng(0)
TRAIN = FAR.normal(size=(60, 7)) + 100
OTHERS = FAR.normal(size=(25, 7)) + 100


def test_the_nearest_row_and_the_quantile_are_those_worked_by_hand() -> None:
    assert nearest_distances([[0, 0], [4, 4]], to=[[3, 4], [0, 1]]).tolist() == [1.0, 1.0]
    assert copy_threshold([[0.0], [10.0]], held_out=[[1.0], [7.0]], quantile=0.5) == 2.0
    assert copy_threshold([[0.0], [1.0], [5.0]], quantile=1.0) == 4.0


def test_distances_agree_with_scikit_learn() -> None:
    expected = NearestNeighbors(n_neighbors=1).fit(TRAIN).kneighbors(OTHERS)[0][:, 0]
    assert nearest_distances(OTHERS, TRAIN) == pytest.approx(expected)
    assert nearest_distances(OTHERS[:0], TRAIN).shape == (0,)
    own = NearestNeighbors(n_neighbors=2).fit(TRAIN).kneighbors(TRAIN)[0][:, 1]
    assert copy_threshold(TRAIN, quantile=0.3) == pytest.approx(np.quantile(own, 0.3))


def test_exact_copies_always_count_far_from_the_origin_and_at_threshold_zero() -> None:
    mixed = np.concatenate([TRAIN[:5], OTHERS[:15]])
    assert copied_share(mixed, TRAIN, threshold=0.0) == 0.25


def test_identical_rows_equal_in_every_feature_and_nothing_less_does() -> None:
    mixed = np.concatenate([TRAIN[:4], TRAIN[:4] + 1e-12, OTHERS[:8]])
    assert identical_share(mixed, TRAIN) == 4 / 16
    assert identical_share([[-0.0, 1.0]], [[0.0, 1.0]]) == 1
    by_loops = [any((row == other).all() for other in TRAIN) for row in mixed]
    assert identical_share(mixed, TRAIN) == np.mean(by_loops)


DRAWS = np.random.default_rng(0)
CENTRES = DRAWS.normal(size=(40, 5))


FRESH = np.random.default_rng(0)


def fresh(n: int, width: int = 6) -> np.ndarray:
    return FRESH.normal(size=(n, width))


def test_nearer_rows_count_one_and_ties_one_half() -> None:
    share = nearer_share([[0.0], [10.0]], [[1.0], [9.5], [5.0], [2.5]], [[4.0], [6.0]])
    assert share.value == pytest.approx((1 + 1 + 0 + 0) / 4)
    assert nearer_share([[0.0]], [[1.0], [0.5]], [[2.0]]).value == pytest.approx(1.5 / 2)
    copies = nearer_share(CENTRES, CENTRES + 1e-3, CENTRES + 1)
    assert copies.value == 1
    assert copies.low > 0.85


def test_it_agrees_with_a_loop_and_swapping_the_real_sets_mirrors_it() -> None:
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
