"""Rows as vectors and back; the nearest rows of a class, and their most frequent category."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from gan_augment.data.tables.columns import plain
from gan_augment.data.tables.encoding import (
    CategoryColumn,
    NumericColumn,
    TableEncoding,
    embed_categories,
    encoded_width,
    fit_encoding,
    fit_numeric,
)
from gan_augment.data.tables.inference import infer_schema
from gan_augment.errors import DataError
from gan_augment.training.tables import anchor_rows, nearest_rows, whitened

NAN = np.nan


def fitted(cells, weights=None, spikes=(), seed=0) -> NumericColumn:
    cells = np.asarray(cells, dtype=np.float64)
    weights = np.ones(len(cells)) if weights is None else weights
    return fit_numeric(cells, weights, np.random.default_rng(seed), spikes)


def encoded(frame: pd.DataFrame, labels) -> tuple[TableEncoding, dict]:
    schema = infer_schema(frame)
    cells = {column.name: plain(frame[column.name], column) for column in schema.learned}
    return fit_encoding(cells, schema, np.asarray(labels, dtype=np.int64), 0), cells


def mixed(n: int = 240) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "number": rng.normal(size=n),
            "spiked": np.where(rng.random(n) < 0.3, 0.0, rng.exponential(size=n)),
            "holed": np.where(rng.random(n) < 0.2, NAN, rng.normal(size=n)),
            "whole": rng.integers(0, 1000, n),
            "few": rng.choice(list("abc"), n),
            "flag": rng.random(n) < 0.5,
            "many": rng.choice([f"level {i}" for i in range(60)], n),
            "date": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 999, n), "h"),
        }
    )
    frame["some"] = pd.Series(rng.choice(list("xy"), n)).where(rng.random(n) < 0.9)
    frame["many"] = frame["many"].where(np.arange(n) % 5 > 0)
    return frame


def assert_same_cells(back: dict, cells: dict) -> None:
    for name, own in cells.items():
        if own.dtype.kind == "f":
            spread = np.nanmax(own) - np.nanmin(own)
            np.testing.assert_allclose(back[name], own, atol=1e-5 * spread, err_msg=str(name))
        else:
            np.testing.assert_array_equal(back[name], own, err_msg=str(name))


def test_rows_come_back_from_their_vectors():
    frame = mixed()
    encoding, cells = encoded(frame, np.arange(len(frame)) % 2)
    rows = encoding.encode(cells)
    assert rows.shape == (len(frame), encoding.width)
    assert encoded_width(infer_schema(frame)) == encoding.width
    parts = [*encoding.numbers, *(entry for span in encoding.choices for entry in range(*span))]
    embedded = [one for one in encoding.columns.values() if not (one.numbers or one.one_hot)]
    assert len({*parts}) == len(parts) == encoding.width - 8 * len(embedded)
    assert rows.dtype == np.float32
    assert np.isfinite(rows).all()
    assert_same_cells(encoding.decode(rows), cells)
    noise = np.random.default_rng(0).normal(0, 30, (500, encoding.width)).astype(np.float32)
    back = encoding.decode(noise)
    for name in ("few", "flag", "many", "some"):  # any vector is a category seen in training
        assert set(back[name]) <= set(cells[name])


def test_a_normal_score_is_that_of_the_mid_rank_worked_by_hand():
    # ranks 1/5 .. 4/5: half a row before each value, and half a row's rank beyond both ends
    column = fitted([10.0, 20.0, 30.0, 40.0])
    np.testing.assert_allclose(column.values, [10, 20, 30, 40])
    np.testing.assert_allclose(column.scores, norm.ppf([0.2, 0.4, 0.6, 0.8]), rtol=1e-12)
    between = column.encode(np.array([25.0]))[0, 0]
    assert between == pytest.approx(0.0, abs=1e-7)
    # ties share the score of their middle: 1 | 2 2 2 | 3 stand at 1/6, 3/6 and 5/6
    tied = fitted([1.0, 2.0, 2.0, 2.0, 3.0])
    np.testing.assert_allclose(tied.scores, norm.ppf([1 / 6, 3 / 6, 5 / 6]), atol=1e-12)
    cells = np.random.default_rng(0).exponential(size=3_000)
    even = fitted(cells).encode(cells)[:, 0]
    assert (even.mean(), even.std()) == pytest.approx((0, 1), abs=0.02)
    # no column of states where no cell is missing or a spike
    assert (tied.width, fitted([1.0, 2.0, NAN]).width) == (1, 3)


def test_a_region_where_only_a_rare_class_lies_has_knots():
    rng = np.random.default_rng(0)
    common, rare = rng.uniform(0, 1, 20_000), rng.uniform(5, 6, 20)
    labels = np.repeat([0, 1], [20_000, 20])
    weights = np.bincount(labels)[labels] ** -0.5
    column = fitted(np.append(common, rare), weights)
    inside = column.values >= 5
    assert inside.sum() >= 10
    spread = np.ptp(column.scores[inside])
    assert spread > 0.5
    back = column.decode(column.encode(rare))
    np.testing.assert_allclose(back, rare, atol=1e-4)


AWKWARD = {
    "heavy ties": np.random.default_rng(0).integers(0, 3, 5_000),
    "two cells": [1, 2],
    "one value, and holes": [1, NAN, 1, NAN],
    "large floats": [1e300, -1e300, 0, 5, 6],
    "every size": 10.0 ** np.random.default_rng(0).uniform(-300, 300, 3_000),
    "subnormal": [5e-324, 0, 1e-323, 2e-323],
    "zeros of both signs": [-0.0, 0.0, 1.0],
    "unlike sizes": [1, 1 + 1e-12, 1e15],
}


@pytest.mark.parametrize("cells", AWKWARD.values(), ids=AWKWARD)
def test_awkward_cells_come_back_nearly_and_any_score_decodes_to_within_their_range(cells):
    cells = np.asarray(cells, dtype=np.float64)
    known = cells[~np.isnan(cells)]
    column = fitted(cells)
    assert np.isfinite(column.encode(cells)).all()
    rows = np.zeros((4_001, column.width), dtype=np.float32)
    rows[:, 0] = np.append(np.linspace(-9, 9, 4_000), 1e38)
    if column.states:
        rows[:, 1] = 1
    made = column.decode(rows)
    assert np.isfinite(made).all()
    assert made.min() >= known.min()
    assert made.max() <= known.max()
    assert (made[1:] >= made[:-1]).all()
    back = column.decode(column.encode(cells))
    assert (np.isnan(back) == np.isnan(cells)).all()
    half = np.nanmax(cells) / 2 - np.nanmin(cells) / 2
    assert np.nanmax(np.abs(back / 2 - cells / 2)) <= 2e-3 * half


def test_spikes_and_missing_cells_come_back_exactly():
    cells = np.array([0.0, 0.3, NAN, 0.7, 7.5, 0.0, 7.5, NAN, 0.9])
    column = fitted(cells, spikes=(0.0, 7.5))
    assert column.states == 4
    back = column.decode(column.encode(cells))
    np.testing.assert_array_equal(np.isnan(back), np.isnan(cells))
    assert (back[cells == 0] == 0).all()
    assert (back[cells == 7.5] == 7.5).all()
    column = fitted([0.0, 1.0, 2.0, NAN], spikes=(1.0,))  # the state decides over the score
    rows = np.array([[9, 1, 0, 0], [9, 0, 1, 0], [9, 0, 0, 1]], dtype=np.float32)
    np.testing.assert_array_equal(column.decode(rows), [2.0, 1.0, NAN])


@pytest.mark.parametrize(("categories", "one_hot"), [(32, True), (33, False)])
def test_more_than_32_categories_become_short_vectors(categories, one_hot):
    rng = np.random.default_rng(0)
    many = [f"level {i}" for i in [*range(categories), *rng.integers(0, categories, 300)]]
    labels = rng.integers(0, 2, len(many))
    frame = pd.DataFrame({"many": many, "x": rng.normal(size=len(many)) + labels})
    encoding, cells = encoded(frame, labels)
    column = encoding.columns["many"]
    assert (column.embedding is None) == one_hot
    assert column.width == (32 if one_hot else 8)
    np.testing.assert_array_equal(encoding.decode(encoding.encode(cells))["many"], cells["many"])


def test_the_nearest_category_of_a_vector_of_a_category_is_itself():
    def decoded(vectors: np.ndarray) -> list[int]:
        return CategoryColumn(len(vectors), False, vectors).decode(vectors).tolist()

    rng = np.random.default_rng(0)
    entry = np.concatenate([np.zeros(50_000, int), 1 + np.arange(40), 1 + np.arange(40)])
    context = [(entry > 20).astype(int), entry % 9, rng.integers(0, 9, len(entry))]
    vectors = embed_categories(entry, 41, context)
    alone = embed_categories(np.arange(50) % 40, 40, [])  # without a context, too
    for found in (vectors, vectors * 1e4, alone):  # float32 is coarse far out
        assert decoded(found) == list(range(len(found)))


def test_labels_do_not_enter_the_vectors_of_categories():
    frame = mixed()
    found = [
        encoded(frame, labels)[0].columns["many"].embedding
        for labels in (np.arange(240) % 2, np.repeat([0, 1], 120))
    ]
    np.testing.assert_array_equal(*found)


def test_the_first_coordinate_is_the_first_of_a_correspondence_analysis(monkeypatch):
    for name in ("NOISE", "ROWS_TO_KNOW"):
        monkeypatch.setattr(f"gan_augment.data.tables.encoding.{name}", 0)
    rng = np.random.default_rng(0)
    entry, label = rng.integers(0, 6, 500), rng.integers(0, 4, 500)
    table = np.zeros((6, 4))
    np.add.at(table, (entry, label), 1 / 500)
    mass, profile = table.sum(axis=1), table.sum(axis=0)
    expected = np.outer(mass, profile)
    u, _, _ = np.linalg.svd((table - expected) / np.sqrt(expected))
    standard = u[:, 0] / np.sqrt(mass)  # unit variance over the rows
    found = embed_categories(entry, 6, [label])[:, 0]
    sign = np.sign(found[0] * standard[0])
    np.testing.assert_allclose(found, sign * standard, rtol=1e-4)


def test_too_many_categories_are_refused_before_memory_is_taken(monkeypatch):
    monkeypatch.setattr("gan_augment.data.tables.encoding.MOST_CATEGORIES", 50)
    frame = mixed()
    with pytest.raises(DataError, match=r"59 categories.*'many': 'id'"):
        encoded(frame, np.arange(len(frame)) % 2)


def test_the_same_seed_gives_the_same_knots_and_the_users_cells_stay():
    cells = np.random.default_rng(0).normal(size=12_000)
    before = cells.copy()
    one, two, three = (fitted(cells, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(one.values, two.values)
    assert not np.array_equal(one.values, three.values)
    assert np.array_equal(cells, before)
    assert len(one.values) <= 1_000
    assert (one.values[0], one.values[-1]) == (cells.min(), cells.max())


def rows_of(n: int, width: int = 6, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, width)).astype(np.float32)


def nearest(rows: np.ndarray, k: int) -> np.ndarray:
    """The k nearest other rows by scikit-learn; no two of them are as far."""
    known = NearestNeighbors(n_neighbors=k + 1, algorithm="brute").fit(rows.astype(np.float64))
    return known.kneighbors(rows, return_distance=False)[:, 1:]


@pytest.mark.parametrize(("n", "k"), [(2, 1), (7, 5), (7, 6), (60, 15), (1_500, 5)])
def test_nearest_rows_are_those_of_scikit_learn(n, k):
    rows = rows_of(n)
    np.testing.assert_array_equal(nearest_rows(rows, k), nearest(rows, k))


def test_a_row_is_never_its_own_neighbour_even_among_copies():
    rows = np.zeros((5, 3), dtype=np.float32)
    found = nearest_rows(rows, 4)
    for row, others in enumerate(found):
        assert sorted(others) == [other for other in range(5) if other != row]


@pytest.mark.parametrize("shape", [(400, 30), (120, 200)])
def test_whitened_rows_are_the_scores_of_sklearns_pca_of_as_many_components(shape):
    mixed = np.random.default_rng(0).standard_normal((shape[1], shape[1]))
    rows = (rows_of(shape[0], shape[1]) @ mixed).astype(np.float32)
    found = whitened(rows)
    pca = PCA(found.shape[1], whiten=True, svd_solver="full").fit(rows.astype(np.float64))
    expected = pca.transform(rows) * np.sqrt(len(rows) / (len(rows) - 1))
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-3)
    np.testing.assert_allclose(np.cov(found.T, bias=True), np.eye(found.shape[1]), atol=1e-3)
    held = pca.explained_variance_ratio_.sum()
    assert held >= 0.95 or found.shape[1] == shape[0] // 4


def test_fewer_rows_than_neighbours_are_repeated_in_order():
    assert nearest_rows(rows_of(1), 3).tolist() == [[0] * 3]  # a lone row is its own neighbour
    rows = np.array([[0.0], [1.0], [3.0]], dtype=np.float32)
    assert nearest_rows(rows, 5).tolist() == [[1, 2, 1, 2, 1], [0, 2, 0, 2, 0], [1, 0, 1, 0, 1]]


def test_no_neighbour_is_of_another_class():
    rows, labels = rows_of(90), np.random.default_rng(1).integers(0, 3, 90)
    anchors = anchor_rows(rows, labels, 5, choices=())
    assert (anchors.labels[anchors.neighbours] == anchors.labels[:, None]).all()
    assert (np.diff(anchors.labels) >= 0).all()
    for label in range(3):
        start, stop = anchors.of(label)
        np.testing.assert_array_equal(anchors.rows[start:stop], rows[labels == label])
        expected = nearest(rows[labels == label], 5) + start
        np.testing.assert_array_equal(anchors.neighbours[start:stop], expected)
    before = rows.copy()
    anchors.rows[:] = 0
    assert np.array_equal(rows, before)  # the caller's rows stay
    gap = anchor_rows(rows_of(4), np.array([0, 0, 2, 2]), 5, choices=())
    assert (gap.of(1), gap.of(3)) == ((2, 2), (4, 4))  # classes without rows


def test_two_categories_are_as_far_apart_as_one_standard_deviation():
    # one number, one choice: row 1 holds another category, row 2 the same at 0.99, row 3 at 1.01
    rows = np.array([[0, 1, 0], [0, 0, 1], [0.99, 1, 0], [1.01, 1, 0]], dtype=np.float32)
    anchors = anchor_rows(rows, np.zeros(4, np.int64), 3, choices=[(1, 3)])
    assert anchors.neighbours[0].tolist() == [2, 1, 3]
