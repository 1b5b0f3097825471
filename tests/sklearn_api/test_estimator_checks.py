"""The estimator checks of imbalanced-learn and of scikit-learn, and where warnings point."""

from __future__ import annotations

import contextlib
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from imblearn.over_sampling import RandomOverSampler
from imblearn.utils.estimator_checks import estimator_checks_generator as imblearn_checks
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.utils.estimator_checks import estimator_checks_generator as sklearn_checks

import gan_augment
from gan_augment import (
    AugmentedClassifier,
    GANAugmenter,
    PriorCorrectedClassifier,
    make_pipeline,
)
from gan_augment.data.topup_plan import TopUpPlan
from gan_augment.errors import warn

PACKAGE = Path(gan_augment.__file__).parent
AUGMENTER = GANAugmenter(steps=2, random_state=0, n_jobs=1)
CLASSIFIER = AugmentedClassifier(LogisticRegression(), RandomOverSampler(random_state=0))
EXPECTED_FAILURES = {
    "check_sample_weight_equivalence_on_dense_data": (
        "classes are topped up by their rows: one of weight 2 is one row, one of weight 0 too"
    ),
    "check_sample_weight_equivalence_on_sparse_data": "as on dense data",
    "check_supervised_y_no_nan": (
        "the labels are for the sampler to check: RandomOverSampler takes infinite ones, "
        "GANAugmenter refuses them"
    ),
}
"""{check: why it fails} for the classifier; none fails for the augmenter."""


def name_of(value: object) -> str:
    if not isinstance(value, partial):
        return ""
    words = [f"{key}={word}" for key, word in value.keywords.items()]
    return ",".join([getattr(value.func, "func", value.func).__name__, *words])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:filled with repeats")
@pytest.mark.parametrize(
    ("estimator", "check"),
    [
        *imblearn_checks(AUGMENTER),
        *sklearn_checks(AUGMENTER),
        *sklearn_checks(PriorCorrectedClassifier(LogisticRegression())),
        *sklearn_checks(CLASSIFIER, expected_failed_checks=EXPECTED_FAILURES, mark="xfail"),
    ],
    ids=name_of,
)
def test_the_checks_of_both_libraries_pass(estimator: Any, check: partial) -> None:
    check(estimator)


@pytest.mark.parametrize("file", [Path("train.py"), PACKAGE.parent / "gan_augment_trial.py"])
def test_it_points_at_the_callers_line_even_in_a_file_beside_the_package(file: Path) -> None:
    plan = TopUpPlan({}, {"rare": "it has 1 row"})
    with pytest.warns(UserWarning, match="it has 1 row") as caught:
        exec(compile("\n\nplan.warn_of_refused()", str(file), "exec"), {"plan": plan})  # noqa: S102
    assert [(one.filename, one.lineno) for one in caught] == [(str(file), 3)]


def test_ids_are_warned_of_at_the_callers_line(recwarn: pytest.WarningsRecorder) -> None:
    X, y = [[row % 5, f"key {row}"] for row in range(40)], [0] * 30 + [1] * 10
    GANAugmenter().fit_resample(X, y)
    assert [one.filename for one in recwarn if "id columns" in str(one.message)] == [__file__]


INSIDE = """
@torch.inference_mode()
def decorated():
    with contextlib.ExitStack() as stack:
        stack.callback(warn, "here")
"""


def test_decorators_inside_the_library_do_not_hide_the_callers_line() -> None:
    inside = {"__name__": "gan_augment.trial", "torch": torch, "contextlib": contextlib}
    inside |= {"warn": warn}
    exec(INSIDE, inside)  # noqa: S102
    with pytest.warns(UserWarning, match="here") as caught:
        inside["decorated"]()
    assert caught[0].filename == __file__


def test_a_pipeline_between_does_not_hide_the_callers_line(
    recwarn: pytest.WarningsRecorder,
) -> None:
    model = make_pipeline(GANAugmenter(sampling_strategy=[2]), DummyClassifier())
    X, y = [[float(row % 5)] for row in range(12)], [0] * 6 + [1] * 5 + [2]
    model.fit(X, y)
    cross_val_score(model, X, y, cv=[(range(12), range(12))], error_score="raise")
    assert {one.filename for one in recwarn if "filled with repeats" in str(one.message)} == {
        __file__
    }
