"""The estimator checks of imbalanced-learn and of scikit-learn, with a model of two steps."""

from functools import partial

import pytest
from imblearn.utils.estimator_checks import estimator_checks_generator as imblearn_checks
from sklearn.utils.estimator_checks import estimator_checks_generator as sklearn_checks

from gan_augment import GANAugmenter

AUGMENTER = GANAugmenter(steps=2, random_state=0, n_jobs=1)
EXPECTED_FAILURES: dict[str, str] = {}
"""{check: why it fails}; none does."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:filled with repeats"),
]


def name_of(value: object) -> str:
    if not isinstance(value, partial):
        return ""
    words = [f"{key}={word}" for key, word in value.keywords.items()]
    return ",".join([getattr(value.func, "func", value.func).__name__, *words])


@pytest.mark.parametrize(
    ("estimator", "check"),
    list(imblearn_checks(AUGMENTER, expected_failed_checks=EXPECTED_FAILURES, mark="xfail")),
    ids=name_of,
)
def test_imbalanced_learn_is_content(estimator: GANAugmenter, check: partial) -> None:
    check(estimator)


@pytest.mark.parametrize(
    ("estimator", "check"),
    list(sklearn_checks(AUGMENTER, expected_failed_checks=EXPECTED_FAILURES, mark="xfail")),
    ids=name_of,
)
def test_scikit_learn_is_content(estimator: GANAugmenter, check: partial) -> None:
    check(estimator)
