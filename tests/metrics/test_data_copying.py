"""C_T: hand values, invariants, and scipy's Mann-Whitney test."""

import numpy as np
import pytest
from scipy.stats import mannwhitneyu, norm

from gan_augment.errors import DataError
from gan_augment.metrics import data_copying_limit, data_copying_score, nearest_distances
from gan_augment.user_warnings import SmallSampleWarning

RNG = np.random.default_rng(0)
REAL, HELD = RNG.normal(size=(50, 4)), RNG.normal(size=(40, 4))


@pytest.mark.filterwarnings("ignore:C_T of")
def test_two_nearer_rows_against_two_have_the_z_worked_by_hand() -> None:
    # U = 0, m n / 2 = 2, sqrt(m n (m + n + 1) / 12) = sqrt(20 / 12)
    score = data_copying_score([[0.0]], [[1.0], [2.0]], [[3.0], [4.0]])
    assert score == pytest.approx(-2 / np.sqrt(20 / 12))


@pytest.mark.parametrize("made", [RNG.normal(size=(30, 4)), REAL + 0.1, np.round(HELD)])
def test_it_agrees_with_scipy(made: np.ndarray) -> None:
    real, held = np.round(REAL, 1), np.round(HELD, 1)
    far, usual = nearest_distances(made, real), nearest_distances(held, real)
    test = mannwhitneyu(far, usual, use_continuity=False, method="asymptotic", alternative="less")
    assert data_copying_score(real, made, held) == pytest.approx(norm.ppf(test.pvalue), rel=1e-6)


def test_fresh_rows_are_near_zero_copies_far_below_and_strangers_far_above() -> None:
    fresh = [data_copying_score(REAL, RNG.normal(size=(40, 4)), HELD) for _ in range(60)]
    assert abs(np.median(fresh)) < 1.5
    assert data_copying_score(REAL, REAL, HELD) < -6
    assert data_copying_score(REAL, HELD + 9, HELD) > 6


def test_cells_are_scored_apart_and_weighed_by_held_out_rows() -> None:
    def side(rows: np.ndarray) -> np.ndarray:
        return (rows[:, 0] > 0).astype(int)

    made = np.where(REAL[:, :1] > 0, REAL, RNG.normal(size=(50, 4)) - [3, 0, 0, 0])
    parts, weights = [], []
    for cell in (0, 1):
        held = HELD[side(HELD) == cell]
        far = nearest_distances(made[side(made) == cell], REAL)
        test = mannwhitneyu(
            far, nearest_distances(held, REAL), use_continuity=False, method="asymptotic"
        )
        middle = len(far) * len(held) / 2
        parts.append(np.sign(test.statistic - middle) * norm.isf(test.pvalue / 2))
        weights.append(len(held))
    found = data_copying_score(REAL, made, HELD, cells=side)
    assert found == pytest.approx(np.average(parts, weights=weights), rel=1e-6)


def test_cells_that_share_nothing_or_are_no_numbers_a_row_are_named() -> None:
    with pytest.raises(DataError, match="no cell"):
        data_copying_score(REAL, REAL + 99, HELD, cells=lambda rows: rows[:, 0] > 50)
    with pytest.raises(DataError, match=r"cells gave shape"):
        data_copying_score(REAL, REAL, HELD, cells=lambda rows: rows)
    with pytest.raises(DataError, match="synthetic has shape"):
        data_copying_score(REAL, REAL[:0], HELD)


def test_under_ten_rows_it_warns_with_what_to_use_instead_and_equals_score_zero() -> None:
    with pytest.warns(SmallSampleWarning, match="1 synthetic and 9 held-out.*nearer_share"):
        assert data_copying_score(REAL, REAL[:1], np.repeat(REAL[:1], 9, axis=0)) == 0
    assert data_copying_limit(10, 10) is None
