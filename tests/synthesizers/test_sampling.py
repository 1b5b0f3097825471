"""Which rows the samples of a block are mixed from."""

from __future__ import annotations

import numpy as np
import pytest

from gan_augment.synthesizers.sampling import BLOCK, drawn_codes, lenders_of


def line(centre: float, rows: int) -> np.ndarray:
    return np.linspace(centre - 0.1, centre + 0.1, rows, dtype=np.float32)[:, None]


CODES = {0: line(0, 40), 1: line(1, 40), 2: line(5, 40), 3: line(0.8, 10), 4: line(9, 1)}


@pytest.mark.parametrize(
    ("label", "most", "lenders"),
    [(3, 2, (1, 0)), (3, 1, (1,)), (3, 9, (1, 0, 2)), (0, 2, ()), (4, 1, (2,))],
)
def test_a_class_borrows_from_the_nearest_of_twice_its_rows(label, most, lenders):
    assert lenders_of(CODES, label, most) == lenders


@pytest.mark.parametrize(("rows", "lends"), [(19, ()), (20, (0,)), (21, (0,))])
def test_a_lender_has_at_least_twice_the_rows_of_the_borrower(rows, lends):
    assert lenders_of({0: line(0, rows), 1: line(1, 10)}, 1, 1) == lends
    assert lenders_of({0: line(0, 3), 1: line(1, 3)}, 1, 1, {0: rows, 1: 10}) == lends


def test_who_lends_is_decided_by_the_rows_of_a_class_not_by_those_at_hand():
    few = {label: line(centre, 8) for label, centre in ((0, 0.0), (1, 1.0))}
    assert lenders_of(few, 1, 1) == ()
    assert lenders_of(few, 1, 1, {0: 900, 1: 200}) == (0,)


def test_the_first_two_rows_are_of_the_class_and_differ_and_the_others_of_one_lender():
    rows = drawn_codes(CODES, 3, (1, 2), np.random.default_rng(0))
    assert rows.shape == (4, BLOCK, 1)
    assert np.isin(rows[:2], CODES[3]).all()
    assert (rows[0] != rows[1]).all()
    from_one, from_two = (np.isin(rows[2:], CODES[label]) for label in (1, 2))
    assert (from_one.all(axis=0) | from_two.all(axis=0)).all()
    assert from_one.any()
    assert from_two.any()
    assert (rows[2] != rows[3]).all()


def test_a_class_of_one_row_is_mixed_with_itself():
    rows = drawn_codes(CODES, 4, (), np.random.default_rng(0))
    assert rows.shape == (2, BLOCK, 1)
    assert (rows == CODES[4]).all()
