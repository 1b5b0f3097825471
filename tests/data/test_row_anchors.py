"""The nearest rows of a class, and the level that most of them hold."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from gan_augment.data.tables.anchors import anchor_rows, nearest_rows


def rows_of(n: int, width: int = 6, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, width)).astype(np.float32)


def brute_force(rows: np.ndarray, k: int) -> list[list[int]]:
    found = []
    for i, row in enumerate(rows.astype(np.float64)):
        distances = [(np.linalg.norm(row - other), j) for j, other in enumerate(rows) if j != i]
        found.append([j for _, j in sorted(distances)[:k]])
    return found


@pytest.mark.parametrize(("n", "k"), [(2, 1), (7, 5), (7, 6), (60, 5), (60, 15)])
def test_nearest_rows_are_those_of_brute_force(n, k):
    rows = rows_of(n)
    assert nearest_rows(rows, k).tolist() == brute_force(rows, k)


def test_nearest_rows_are_those_of_scikit_learn_beyond_one_block():
    rows = rows_of(1_500, 3)
    known = NearestNeighbors(n_neighbors=6).fit(rows).kneighbors(rows, return_distance=False)
    np.testing.assert_array_equal(nearest_rows(rows, 5), known[:, 1:])


def test_a_row_is_never_its_own_neighbour_even_among_copies():
    rows = np.zeros((5, 3), dtype=np.float32)
    found = nearest_rows(rows, 4)
    for row, others in enumerate(found):
        assert sorted(others) == [other for other in range(5) if other != row]


def test_a_lone_row_is_its_own_neighbour():
    assert nearest_rows(rows_of(1), 5).tolist() == [[0] * 5]


def test_fewer_rows_than_neighbours_are_repeated_in_order():
    rows = np.array([[0.0], [1.0], [3.0]], dtype=np.float32)
    assert nearest_rows(rows, 5).tolist() == [[1, 2, 1, 2, 1], [0, 2, 0, 2, 0], [1, 0, 1, 0, 1]]


def test_no_neighbour_is_of_another_class():
    rows, labels = rows_of(90), np.random.default_rng(1).integers(0, 3, 90)
    anchors = anchor_rows(rows, labels, 5, choices=(), vectors=())
    assert (anchors.labels[anchors.neighbours] == anchors.labels[:, None]).all()
    assert (np.diff(anchors.labels) >= 0).all()
    for label in range(3):
        start, stop = anchors.of(label)
        np.testing.assert_array_equal(anchors.rows[start:stop], rows[labels == label])
        expected = np.array(brute_force(rows[labels == label], 5)) + start
        np.testing.assert_array_equal(anchors.neighbours[start:stop], expected)


def test_a_class_that_is_not_there_has_no_rows():
    anchors = anchor_rows(rows_of(4), np.array([0, 0, 2, 2]), 5, choices=(), vectors=())
    assert anchors.of(1) == (2, 2)
    assert anchors.of(3) == (4, 4)


def test_two_levels_are_as_far_apart_as_one_standard_deviation():
    # one number, one choice: row 1 holds another level, row 2 the same level at 0.99, row 3 at 1.01
    rows = np.array([[0, 1, 0], [0, 0, 1], [0.99, 1, 0], [1.01, 1, 0]], dtype=np.float32)
    anchors = anchor_rows(rows, np.zeros(4, np.int64), 3, choices=[(1, 3)], vectors=())
    assert anchors.neighbours[0].tolist() == [2, 1, 3]


def test_a_vote_is_the_level_that_most_neighbours_hold():
    # 0 stands among five rows of which three hold the second level
    number = np.array([0.0, 0.1, 0.2, 0.3, 0.4, 0.5])
    level = np.array([0, 1, 0, 1, 1, 0])
    rows = np.column_stack([number, np.eye(2)[level]]).astype(np.float32)
    anchors = anchor_rows(rows, np.zeros(6, np.int64), 5, choices=[(1, 3)], vectors=(), vote=True)
    assert anchors.votes[0, 1:].tolist() == [0, 1]
    # 5 sees levels 0, 1, 0, 1, 1
    assert anchors.votes[5, 1:].tolist() == [0, 1]


def test_among_equal_votes_the_nearest_neighbour_decides():
    number = np.array([0.0, 0.1, 0.2, 10, 10.1, 10.2])
    level = np.array([0, 2, 1, 0, 0, 0])
    rows = np.column_stack([number, np.eye(3)[level]]).astype(np.float32)
    anchors = anchor_rows(rows, np.zeros(6, np.int64), 2, choices=[(1, 4)], vectors=(), vote=True)
    assert anchors.votes[0, 1:].tolist() == [0, 0, 1]
    assert anchors.votes[2, 1:].tolist() == [0, 0, 1]


def test_a_vote_on_vectors_of_levels_is_one_of_the_neighbours_vectors():
    rng = np.random.default_rng(0)
    levels = rng.normal(size=(4, 3)).astype(np.float32)
    which = rng.integers(0, 4, 40)
    rows = np.column_stack([rng.normal(size=40).astype(np.float32), levels[which]])
    anchors = anchor_rows(rows, np.zeros(40, np.int64), 5, choices=(), vectors=[(1, 4)], vote=True)
    for row in range(40):
        held = which[anchors.neighbours[row]].tolist()
        winners = {level for level in held if held.count(level) == max(map(held.count, held))}
        assert any(np.array_equal(anchors.votes[row, 1:], levels[level]) for level in winners)


def test_without_a_vote_nothing_is_kept_of_it():
    anchors = anchor_rows(rows_of(9), np.zeros(9, np.int64), 5, choices=[(1, 3)], vectors=())
    assert anchors.votes is None


def test_the_rows_given_stay_as_they_are():
    rows = rows_of(20)
    before = rows.copy()
    anchors = anchor_rows(rows, np.arange(20) % 2, 5, choices=[(1, 3)], vectors=(), vote=True)
    anchors.rows[:] = 0
    assert np.array_equal(rows, before)
