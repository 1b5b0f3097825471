"""Wilson's interval: a published value, invariants, and scipy's."""

import pytest
from scipy.stats import binomtest

from gan_augment.errors import UsageError
from gan_augment.metrics import wilson_interval


def test_no_hit_in_ten_has_the_bound_worked_by_hand() -> None:
    # z^2 / (n + z^2) = 3.8415 / 13.8415
    assert wilson_interval(0, of=10) == pytest.approx((0, 0.27753), abs=1e-5)


def test_it_mirrors_narrows_with_trials_and_takes_half_hits() -> None:
    low, high = wilson_interval(3, of=20)
    assert wilson_interval(17, of=20) == pytest.approx((1 - high, 1 - low))
    widths = [high - low for low, high in (wilson_interval(n / 4, of=n) for n in (2, 10, 99))]
    assert widths == sorted(widths, reverse=True)


@pytest.mark.parametrize(("hits", "of"), [(0, 1), (1, 1), (3, 17), (250, 500), (998, 1000)])
def test_it_agrees_with_scipy(hits: int, of: int) -> None:
    expected = binomtest(hits, of).proportion_ci(method="wilson")
    assert wilson_interval(hits, of) == pytest.approx((expected.low, expected.high), rel=1e-9)


@pytest.mark.parametrize(("hits", "of"), [(2, 1), (-1, 5), (0, 0)])
def test_impossible_counts_are_refused(hits: int, of: int) -> None:
    with pytest.raises(UsageError, match="expected"):
        wilson_interval(hits, of)
