"""Copies: hand values, invariants, and scikit-learn's neighbours."""

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from gan_augment.errors import DataError, UsageError
from gan_augment.metrics import distances
from gan_augment.metrics.copies import (
    copied_share,
    copy_threshold,
    identical_share,
    nearest_distances,
)

RNG = np.random.default_rng(0)
TRAIN = RNG.normal(size=(60, 7)) + 100
OTHER = RNG.normal(size=(25, 7)) + 100


def test_the_nearest_row_and_the_quantile_are_those_worked_by_hand() -> None:
    assert nearest_distances([[0, 0], [4, 4]], to=[[3, 4], [0, 1]]).tolist() == [1.0, 1.0]
    assert copy_threshold([[0.0], [10.0]], held_out=[[1.0], [7.0]], quantile=0.5) == 2.0
    assert copy_threshold([[0.0], [1.0], [5.0]], quantile=1.0) == 4.0


def test_distances_agree_with_scikit_learn_whatever_the_chunks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = NearestNeighbors(n_neighbors=1).fit(TRAIN).kneighbors(OTHER)[0][:, 0]
    assert nearest_distances(OTHER, TRAIN) == pytest.approx(expected)
    monkeypatch.setattr(distances, "_CELLS", 130)
    assert nearest_distances(OTHER, TRAIN) == pytest.approx(expected)
    own = NearestNeighbors(n_neighbors=2).fit(TRAIN).kneighbors(TRAIN)[0][:, 1]
    assert copy_threshold(TRAIN, quantile=0.3) == pytest.approx(np.quantile(own, 0.3))


def test_exact_copies_always_count_far_from_the_origin_and_at_threshold_zero() -> None:
    mixed = np.concatenate([TRAIN[:5], OTHER[:15]])
    assert copied_share(mixed, TRAIN, threshold=0.0) == 0.25


def test_the_share_grows_with_the_threshold_and_ignores_a_shift_of_all() -> None:
    shares = [copied_share(OTHER, TRAIN, t) for t in (0.5, 1.5, 2.5, 99)]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert copied_share(OTHER - 100, TRAIN - 100, 1.5) == shares[1]


def test_no_rows_have_no_distances_and_wrong_shapes_are_named() -> None:
    assert nearest_distances(np.empty((0, 7)), TRAIN).shape == (0,)
    with pytest.raises(DataError, match="features"):
        nearest_distances(OTHER[:, :3], TRAIN)
    with pytest.raises(UsageError, match="quantile"):
        copy_threshold(TRAIN, quantile=2)


def test_identical_rows_equal_in_every_feature_and_nothing_less_does() -> None:
    mixed = np.concatenate([TRAIN[:4], TRAIN[:4] + 1e-12, OTHER[:8]])
    assert identical_share(mixed, TRAIN) == 4 / 16
    assert identical_share([[-0.0, 1.0]], [[0.0, 1.0]]) == 1
    by_loops = [any((row == other).all() for other in TRAIN) for row in mixed]
    assert identical_share(mixed, TRAIN) == np.mean(by_loops)
