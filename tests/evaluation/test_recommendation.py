"""The rule that recommends a remedy, and the section of a result that holds it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score

from gan_augment import PriorCorrectedClassifier, evaluate
from gan_augment.evaluation.recommendation import Remedy, recommend, shown, suggest
from gan_augment.evaluation.statistics import Contrast

FAST: dict[str, Any] = {"folds": 4, "repeats": 1, "n_jobs": 1, "diagnostics": False}


def remedy(arm: str, mean: float, error: float = 0.01, decision: Any = "default") -> Remedy:
    return Remedy(arm, decision, Contrast(mean, error, 14, 15))


FREE = remedy("none", 0.08, decision="corrected")


@pytest.mark.parametrize(
    ("remedies", "arm"),
    [
        ([], None),
        ([remedy("none", 0.01, decision="corrected"), remedy("gan", 0.015)], None),
        ([remedy("smote", -0.2)], None),
        ([FREE], "none"),
        ([FREE, remedy("gan", 0.2)], "gan"),
        ([FREE, remedy("gan", 0.085), remedy("smote", 0.088)], "none"),  # equal: the cheapest
        ([remedy("gan", 0.085), remedy("smote", 0.082)], "smote"),
        ([remedy("mine", 0.08), remedy("gan", 0.08)], "mine"),
        ([remedy("none", -0.003, decision="corrected"), remedy("smote", 0.006, 0.001)], "smote"),
        ([remedy("smote", 0.3, error=0.2), remedy("class_weight", 0.08)], "class_weight"),
    ],
)
def test_the_best_is_recommended_and_the_cheapest_among_equals(remedies, arm):
    chosen = recommend(remedies, delta=0.01)
    assert (chosen and chosen.arm) == arm


def test_an_arm_is_cheaper_at_its_own_decision():
    both = [remedy("smote", 0.08, decision=decision) for decision in ("corrected", "default")]
    chosen = recommend(both, delta=0.01)
    assert chosen is not None
    assert chosen.decision == "default"
    assert [one.action for one in both] == [
        "Add rows by SMOTE and correct the decision",
        "Add rows by SMOTE",
    ]


def test_one_of_many_needs_more_evidence():
    one = remedy("class_weight", 0.021)  # P(gain <= 0) = .027
    assert recommend([one], 0.01) is one
    others = [remedy(f"mine {i}", 0.0) for i in range(3)]
    assert recommend([one, *others], 0.01) is None


def test_half_of_the_error_is_spent_on_the_free_remedy_and_returned_where_it_helps():
    free = remedy("none", 0.022, decision="corrected")  # P(gain <= 0) = .0225
    failed = remedy("none", 0.0, decision="corrected")
    other = remedy("smote", 0.0205)  # P(gain <= 0) = .030
    assert shown([free, *(remedy(f"mine {i}", 0.0) for i in range(9))]) == [free]
    assert shown([free, other]) == [free, other]
    assert shown([failed, other]) == []


def test_where_nothing_is_shown_a_corrected_decision_is_suggested_if_it_gained():
    gained = remedy("none", 0.015, decision="corrected")
    better = remedy("smote", 0.018)
    assert recommend([gained, better], 0.01) is None
    assert suggest([better, gained]) is gained
    assert suggest([better, remedy("none", -0.001, decision="corrected")]) is None


def test_a_suggestion_says_that_nothing_is_shown_and_has_the_code_all_the_same():
    rng = np.random.default_rng(0)
    y = np.repeat(["common", "rare"], [200, 32])
    X = rng.normal(size=(232, 2)) + 0.2 * (y == "rare")[:, None]  # hardly different
    found = evaluate(X, y, learner="logistic", arms=("class_weight",), **FAST)
    section = found.result["recommendation"]
    assert (section["arm"], section["decision"], section["gain"]) == ("none", "default", None)
    assert section["suggestion"] == {"arm": "none", "decision": "corrected"}
    assert found.recommendation.startswith(
        "Nothing is shown to raise balanced accuracy. Free to try"
    )
    assert "PriorCorrectedClassifier(" in found.code


def test_one_split_recommends_nothing():
    unknown = Contrast(0.3, float("inf"), 0, 1)
    assert recommend([replace(FREE, gain=unknown)], 0.01) is None


@pytest.fixture(scope="module")
def overlapping() -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(0)
    y = np.repeat(["common", "rare"], [900, 100])
    X = pd.DataFrame(rng.normal(size=(1000, 2)) + (y == "rare")[:, None], columns=["a", "b"])
    return X, y


def test_where_classes_overlap_a_corrected_decision_is_recommended_and_keeps_its_word(overlapping):
    X, y = overlapping
    found = evaluate(X, y, learner=LogisticRegression(), arms=("class_weight", "smote"), **FAST)
    section = found.result["recommendation"]
    assert (section["arm"], section["decision"]) == ("none", "corrected")
    assert found.recommendation.startswith("Correct the decision: +")
    assert found.recommendation.endswith("; free.")
    gains = [one["gain"]["mean"] for one in section["remedies"]]
    assert gains == sorted(gains, reverse=True)
    rng = np.random.default_rng(1)
    y_new = np.repeat(["common", "rare"], [9000, 1000])
    X_new = pd.DataFrame(
        rng.normal(size=(10_000, 2)) + (y_new == "rare")[:, None], columns=X.columns
    )
    plain, fair = LogisticRegression(), PriorCorrectedClassifier(LogisticRegression())
    scores = [balanced_accuracy_score(y_new, m.fit(X, y).predict(X_new)) for m in (plain, fair)]
    assert scores[1] - scores[0] == pytest.approx(section["gain"]["mean"], abs=0.05)


def test_a_remedy_says_what_it_costs_the_other_classes(overlapping):
    X, y = overlapping
    found = evaluate(X, y, learner="logistic", arms=("oversample",), **FAST).result
    rows = {(one["arm"], one["decision"]): one for one in found["recommendation"]["remedies"]}
    arm, none = found["arms"]["oversample"], found["arms"]["none"]
    recalls = [each["per_class"]["default"]["common"]["recall"] for each in (arm, none)]
    changes = rows["oversample", "default"]["changes"]
    assert changes["other_recall"] == pytest.approx(recalls[0] - recalls[1], abs=1e-3)
    assert changes["other_recall"] < 0 < changes["rare_recall"]
    assert changes["log_loss"] > 0  # probabilities for even classes
    assert ("none", "default") not in rows


def test_a_correction_that_changes_no_prediction_is_no_remedy_of_its_own(overlapping):
    X, y = overlapping
    learner = LogisticRegression(class_weight="balanced")
    found = evaluate(X, y, learner=learner, arms=("oversample",), **FAST).result
    names = [(one["arm"], one["decision"]) for one in found["recommendation"]["remedies"]]
    assert ("none", "corrected") not in names
    assert found["recommendation"]["sentence"].startswith("Leave the classifier as it is")
