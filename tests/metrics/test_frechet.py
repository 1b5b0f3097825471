"""The Frechet distance: hand values, invariants, and the formula with a matrix square root."""

import warnings

import numpy as np
import pytest
from scipy.linalg import sqrtm
from scipy.stats import ortho_group

from gan_augment.errors import DataError
from gan_augment.metrics import frechet_distance, frechet_limit
from gan_augment.user_warnings import SmallSampleWarning

pytestmark = pytest.mark.filterwarnings("ignore:Frechet distance of")


def sets(n: int, m: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(width)
    mix = rng.normal(size=(width, width))
    return rng.normal(size=(n, width)) @ mix, rng.normal(size=(m, width)) * 1.5 + 0.3


def test_in_one_dimension_it_is_the_squared_difference_of_means_and_of_deviations() -> None:
    # means 1 and 6; deviations with N - 1: sqrt(2) and sqrt(18)
    assert frechet_distance([[0.0], [2.0]], [[3.0], [9.0]]) == pytest.approx(25 + 8)


def test_it_is_symmetric_zero_to_itself_and_blind_to_rotations_and_shifts() -> None:
    a, b = sets(80, 60, 6)
    value = frechet_distance(a, b)
    turn = ortho_group(6, seed=0).rvs()
    assert frechet_distance(b, a) == pytest.approx(value, rel=1e-10)
    assert frechet_distance(a @ turn + 7, b @ turn + 7) == pytest.approx(value, rel=1e-10)
    assert frechet_distance(2 * a, 2 * b) == pytest.approx(4 * value, rel=1e-10)
    assert frechet_distance(a, a[::-1]) == pytest.approx(0, abs=1e-10)


@pytest.mark.parametrize(("n", "m", "width"), [(200, 150, 5), (400, 300, 64), (70, 300, 64)])
def test_it_agrees_with_the_square_root_of_the_product_of_covariances(
    n: int, m: int, width: int
) -> None:
    a, b = sets(n, m, width)
    s, t = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    shift = a.mean(axis=0) - b.mean(axis=0)
    expected = shift @ shift + np.trace(s + t - 2 * sqrtm(s @ t).real)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)


def test_fewer_rows_than_features_agree_with_eigenvalues_of_the_product() -> None:
    a, b = sets(12, 9, 30)
    s, t = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    roots = np.sqrt(np.clip(np.linalg.eigvals(s @ t).real, 1e-9, None)).sum()
    shift = a.mean(axis=0) - b.mean(axis=0)
    expected = shift @ shift + np.trace(s) + np.trace(t) - 2 * roots
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-4)


def test_it_agrees_with_torch_fidelity_on_random_features() -> None:
    fid = pytest.importorskip("torch_fidelity.metric_fid")
    a, b = sets(500, 400, 32)
    told = [{"mu": x.mean(axis=0), "sigma": np.cov(x, rowvar=False)} for x in (a, b)]
    expected = fid.fid_statistics_to_metric(*told, verbose=False)[fid.KEY_METRIC_FID]
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)


@pytest.mark.filterwarnings("default:Frechet distance of")
def test_under_ten_rows_a_feature_it_warns_with_what_to_use_instead() -> None:
    a, b = sets(60, 59, 6)
    with pytest.warns(SmallSampleWarning, match=r"60 and 59 rows.*needs? 60 rows.*kernel_distance"):
        frechet_distance(a, b)
    with warnings.catch_warnings(action="error"):
        frechet_distance(a, a)
    assert frechet_limit(60, 60, 6) is None


@pytest.mark.parametrize("rows", [[[1.0]], [1.0, 2.0], [[np.inf], [1.0]], [[1.0, 2.0]] * 2])
def test_rows_it_cannot_use_are_named(rows: list[object]) -> None:
    with pytest.raises(DataError, match=r"expected|not finite"):
        frechet_distance(np.asarray(rows), [[1.0], [2.0]])
