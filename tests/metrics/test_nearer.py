"""The nearer share: hand values, invariants, a loop, and an interval that holds what it says."""

import math

import numpy as np
import pytest

from gan_augment.errors import DataError
from gan_augment.metrics import nearer_share

RNG = np.random.default_rng(0)


def fresh(n: int, width: int = 6) -> np.ndarray:
    return RNG.normal(size=(n, width))


def test_nearer_rows_count_one_and_ties_one_half() -> None:
    share = nearer_share([[0.0], [10.0]], [[1.0], [9.5], [5.0], [2.5]], [[4.0], [6.0]])
    assert share.value == pytest.approx((1 + 1 + 0 + 0) / 4)
    assert nearer_share([[0.0]], [[1.0], [0.5]], [[2.0]]).value == pytest.approx(1.5 / 2)


def test_it_agrees_with_a_loop_and_swapping_the_real_sets_mirrors_it() -> None:
    real, held, made = fresh(30), fresh(30), fresh(50)
    to_real = [min(math.dist(row, other) for other in real) for row in made]
    to_held = [min(math.dist(row, other) for other in held) for row in made]
    expected = np.mean([a < b for a, b in zip(to_real, to_held, strict=True)])
    share = nearer_share(real, made, held)
    assert share.value == pytest.approx(expected, rel=1e-6)
    value, low, high = nearer_share(held, made, real)
    assert (1 - value, 1 - high, 1 - low) == pytest.approx(share)


def test_as_many_of_both_are_drawn_so_that_more_training_rows_are_not_nearer() -> None:
    values = [nearer_share(fresh(300), fresh(60), fresh(30), seed=i).value for i in range(40)]
    assert np.mean(values) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(("n", "m"), [(10, 200), (30, 200), (100, 30)])
def test_the_interval_holds_one_half_in_19_of_20_fresh_sets_however_few_are_real(
    n: int, m: int
) -> None:
    shares = [nearer_share(fresh(n), fresh(m), fresh(n)) for _ in range(200)]
    held = np.mean([share.low <= 0.5 <= share.high for share in shares])
    assert 0.90 <= held <= 0.995


def test_copies_lie_nearer_all_of_them() -> None:
    real = fresh(40)
    value, low, _ = nearer_share(real, real + 1e-3, fresh(40))
    assert value == 1
    assert low > 0.85


def test_no_held_out_rows_are_named() -> None:
    with pytest.raises(DataError, match="held_out has shape"):
        nearer_share(fresh(5), fresh(5), np.empty((0, 6)))
