"""Spread: a hand value, invariants, and scipy."""

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from gan_augment.errors import DataError
from gan_augment.metrics import distances
from gan_augment.metrics.spread import mean_pairwise_distance, spread_ratio


def test_a_right_triangle_gives_the_value_worked_by_hand() -> None:
    assert mean_pairwise_distance([[0, 0], [3, 0], [0, 4]]) == pytest.approx((3 + 4 + 5) / 3)


def test_it_ignores_where_the_rows_lie_and_scales_with_them() -> None:
    x = np.random.default_rng(0).normal(size=(20, 6))
    value = mean_pairwise_distance(x)
    assert mean_pairwise_distance(x + 1000) == pytest.approx(value, rel=1e-9)
    assert mean_pairwise_distance(3 * x) == pytest.approx(3 * value)


def test_a_collapsed_set_has_none() -> None:
    assert mean_pairwise_distance(np.full((50, 8), 0.1)) == pytest.approx(0, abs=1e-7)


def test_it_agrees_with_scipy_whatever_the_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(1).normal(size=(37, 5))
    monkeypatch.setattr(distances, "_CELLS", 100)
    assert mean_pairwise_distance(x) == pytest.approx(pdist(x).mean())


def test_the_ratio_is_of_mean_distances_and_needs_real_rows_that_differ() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(20, 3)), rng.normal(size=(30, 3)) * 0.4
    assert spread_ratio([[0], [4]], [[1], [3], [5]]) == pytest.approx((2 + 2 + 4) / 3 / 4)
    assert spread_ratio(x, x + 5) == pytest.approx(1)
    assert spread_ratio(x, y) == pytest.approx(pdist(y).mean() / pdist(x).mean())
    with pytest.raises(DataError, match="all 3 real rows are equal"):
        spread_ratio([[1.0]] * 3, x[:, :1])
