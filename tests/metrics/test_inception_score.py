"""The Inception score: hand values, invariants, and entropies from scipy."""

import warnings

import numpy as np
import pytest
from scipy.stats import entropy

from gan_augment.errors import DataError, UsageError
from gan_augment.metrics import inception_score, inception_score_limit
from gan_augment.user_warnings import SmallSampleWarning

pytestmark = pytest.mark.filterwarnings("ignore:Inception score of")
SHARES = np.random.default_rng(0).dirichlet(np.full(7, 0.3), size=200)


def test_sure_and_varied_scores_the_number_of_classes_and_unsure_or_uniform_one() -> None:
    assert inception_score(np.eye(4), splits=1).mean == pytest.approx(4)
    assert inception_score(np.full((10, 5), 0.2), splits=2) == pytest.approx((1, 0))
    assert inception_score([[1.0, 0.0]] * 6, splits=1).mean == 1
    # p(y) = (3/4, 1/4): KL = log(4/3) thrice, log(4) once
    assert inception_score([[1.0, 0.0]] * 3 + [[0.0, 1.0]], splits=1).mean == pytest.approx(
        np.exp((3 * np.log(4 / 3) + np.log(4)) / 4)
    )


def test_it_agrees_with_entropies_from_scipy() -> None:
    expected = np.exp(entropy(SHARES.mean(axis=0)) - entropy(SHARES, axis=1).mean())
    assert inception_score(SHARES, splits=1).mean == pytest.approx(expected, rel=1e-9)


def test_it_agrees_with_torch_fidelity() -> None:
    isc = pytest.importorskip("torch_fidelity.metric_isc")
    torch = pytest.importorskip("torch")
    told = isc.isc_features_to_metric(torch.from_numpy(np.log(SHARES)), splits=1)
    assert inception_score(SHARES, splits=1).mean == pytest.approx(told[isc.KEY_METRIC_ISC_MEAN])


def test_splits_hang_on_the_seed_not_on_the_order() -> None:
    found = inception_score(SHARES, splits=4, seed=1)
    assert inception_score(SHARES[::-1], splits=4, seed=1) == found
    assert inception_score(SHARES, splits=4, seed=2) != found
    assert found.std > 0


@pytest.mark.filterwarnings("default:Inception score of")
def test_few_images_are_warned_of() -> None:
    with pytest.warns(SmallSampleWarning, match="200 images in 10 splits.*kernel_distance"):
        inception_score(SHARES)
    with warnings.catch_warnings(action="error"):
        inception_score(np.repeat(SHARES, 25, axis=0), splits=1)
    assert inception_score_limit(50_000) is None


def test_what_is_no_probability_is_named() -> None:
    with pytest.raises(DataError, match="softmax"):
        inception_score(SHARES * 2)
    with pytest.raises(UsageError, match=r"splits=300 of 200 images"):
        inception_score(SHARES, splits=300)
