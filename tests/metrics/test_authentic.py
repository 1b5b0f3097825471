"""Authenticity: hand values, invariants, and a loop over every pair."""

import math

import numpy as np
import pytest

from gan_augment.errors import DataError
from gan_augment.metrics import authenticity

RNG = np.random.default_rng(0)
REAL = RNG.normal(size=(40, 5))


def test_rows_on_a_line_give_the_value_worked_by_hand() -> None:
    # the real rows' nearest others lie 1, 1, 9 away
    made = [[0.5], [-0.9], [-1.1], [5.0], [18.0], [19.5]]
    assert authenticity([[0.0], [1.0], [10.0]], made) == pytest.approx(3 / 6)


def test_copies_even_of_repeated_rows_are_not_authentic_and_far_rows_are() -> None:
    assert authenticity(REAL, REAL) == 0
    assert authenticity(np.repeat(REAL, 2, axis=0), REAL) == 0
    assert authenticity(REAL, REAL + 100) == 1


def test_it_agrees_with_a_loop_over_every_pair() -> None:
    made, new = RNG.normal(size=(60, 5)), 0
    for row in made:
        i = min(range(len(REAL)), key=lambda i: math.dist(row, REAL[i]))
        others = [math.dist(REAL[i], REAL[j]) for j in range(len(REAL)) if j != i]
        new += math.dist(row, REAL[i]) > min(others)
    assert 0.2 < new / 60 < 0.95
    assert authenticity(REAL, made) == pytest.approx(new / 60, rel=1e-6)


def test_one_real_row_has_no_neighbour_to_compare_with() -> None:
    with pytest.raises(DataError, match="N >= 2"):
        authenticity([[0.0]], [[1.0]])
