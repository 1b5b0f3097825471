"""The kernel distance: a hand value, invariants, and a textbook double loop."""

import numpy as np
import pytest

from gan_augment.errors import DataError
from gan_augment.metrics.kernel_distance import kernel_distance


def test_two_points_against_two_give_the_value_worked_by_hand() -> None:
    # d = 2; x = (1, 1) twice: k = 8; y = (0, 2), (2, 0): k = 1; across: k = 8 each time
    assert kernel_distance([[1, 1], [1, 1]], [[0, 2], [2, 0]]) == pytest.approx(8 + 1 - 2 * 8)


def test_it_is_symmetric_and_blind_to_the_order_of_rows_and_features() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(30, 5)), rng.normal(size=(20, 5)) + 0.5
    value = kernel_distance(x, y)
    assert kernel_distance(y, x) == pytest.approx(value)
    assert kernel_distance(x[::-1, ::-1], y[:, ::-1]) == pytest.approx(value)


def test_it_is_unbiased_halves_of_one_set_average_to_zero() -> None:
    rng = np.random.default_rng(1)
    values = [kernel_distance(rng.normal(size=(8, 3)), rng.normal(size=(8, 3))) for _ in range(800)]
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(len(values))
    assert min(values) < 0


def test_it_agrees_with_a_double_loop_over_pairs() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(6, 4)), rng.normal(size=(5, 4)) * 2

    def mean_kernel(a: np.ndarray, b: np.ndarray, *, same: bool) -> float:
        return float(
            np.mean(
                [
                    (sum(p * q for p, q in zip(u, v, strict=True)) / 4 + 1) ** 3
                    for i, u in enumerate(a)
                    for j, v in enumerate(b)
                    if not (same and i == j)
                ]
            )
        )

    expected = mean_kernel(x, x, same=True) + mean_kernel(y, y, same=True)
    assert kernel_distance(x, y) == pytest.approx(expected - 2 * mean_kernel(x, y, same=False))


def test_it_agrees_with_torch_fidelity() -> None:
    kid = pytest.importorskip("torch_fidelity.metric_kid")
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(50, 6)), rng.normal(size=(50, 6)) + 0.2
    products = [(a @ b.T / 6 + 1) ** 3 for a, b in ((x, x), (x, y), (y, y))]
    assert kernel_distance(x, y) == pytest.approx(kid.mmd2(*products), rel=1e-6)


@pytest.mark.parametrize("x", [[[1.0]], [1.0, 2.0], [[np.nan], [1.0]], [[1.0, 2.0], [1.0, 2.0]]])
def test_rows_it_cannot_use_are_named(x: list[object]) -> None:
    with pytest.raises(DataError, match=r"expected|not finite"):
        kernel_distance(np.asarray(x), [[1.0], [2.0]])
