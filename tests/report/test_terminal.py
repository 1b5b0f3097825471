"""The text of a result: what comes first, what stands in it, and how it behaves on odd results."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from gan_augment.report.terminal import lines
from gan_augment.report.wording import METRICS

CLASSES = {"common": 400, "rare": 40}


def contrast(mean: float, low: float, high: float) -> dict[str, Any]:
    return {"mean": mean, "interval": [low, high]}


def arm(mean: float, minus_none: float | None = None) -> dict[str, Any]:
    """An arm whose every figure is `mean`, in six splits."""
    column = {metric: {"mean": mean, "sd": 0.02, "values": [mean] * 6} for metric in METRICS}
    by_class = {
        name: {"support": n, "recall": mean, "precision": mean, "f1": mean}
        for name, n in CLASSES.items()
    }
    change = None
    if minus_none is not None:
        one = contrast(minus_none, minus_none - 0.02, minus_none + 0.02)
        change = {kind: dict.fromkeys(METRICS, one) for kind in ("default", "tuned")}
    return {
        "missing": None,
        "chosen": {},
        "rows": {},
        "default": column,
        "tuned": column,
        "per_class": {"default": by_class, "tuned": by_class},
        "average_precision": {},
        "calibration": {"after": {"log_loss": 0.4567}},
        "confusion": {},
        "minus_none": change,
    }


def missing(why: str) -> dict[str, Any]:
    empty = dict.fromkeys(arm(0.5))
    return {**empty, "missing": why}


@pytest.fixture
def result() -> dict[str, Any]:
    """Three folds twice; the GAN is 3.1 points above nothing, SMOTE could not be made."""
    return {
        "schema": 1,
        "declared": {"metric": "balanced_accuracy", "decision": "tuned", "delta": 0.01},
        "data": {
            "classes": CLASSES,
            "rare": ["rare"],
            "evaluated": list(CLASSES),
            "left_out": {"lone": "2 rows; expected at least 4"},
        },
        "protocol": {"folds": 3, "repeats": 2, "left_out": ["the share curve, 12 fits"]},
        "verdict": {
            "word": "LIKELY HELPS",
            "arm": "gan",
            "sentence": "LIKELY HELPS: the rows help, and class weights do as well.",
            "reasons": ["P(D > 0) is .97", "accuracy: held, P(loss) = .01"],
            "guardrails": {
                "accuracy": {"state": "held"},
                "log loss": {"state": "open"},
                "recall of common": {"state": "held"},
            },
        },
        "arms": {
            "none": arm(0.7),
            "class_weight": arm(0.72, 0.02),
            "smote": missing("one row has no neighbour"),
            "gan": {**arm(0.731, 0.031), "chosen": {"gan to parity": 2, "gan to 0.5": 4}},
        },
        "few_positives": {},
        "curves": {
            "to": [{"amount": "nothing", "mean": 0.7}, {"amount": "parity", "mean": 0.73}],
            "share": [],
            "real_rows": [],
        },
        "worth": {"sentence": "Worth about 20 more real rows.", "more_rows": 20},
        "copies": {},
        "warnings": ["2 rows are exact duplicates"],
    }


def test_the_verdict_comes_first_and_its_reasons_after_it(result: dict[str, Any]) -> None:
    assert lines(result)[:5] == [
        "LIKELY HELPS: the rows help, and class weights do as well.",
        "- P(D > 0) is .97",
        "- guardrails open: log loss",
        "- guardrails held: accuracy, recall of common",
        "",
    ]


def test_an_arm_is_a_line_with_both_decisions_and_its_difference(result: dict[str, Any]) -> None:
    told = [line.split() for line in lines(result)]
    assert ["none", "70.0", "±", "2.0", "70.0", "±", "2.0"] in told
    assert ["gan", "73.1", "±", "2.0", "73.1", "±", "2.0", "+3.1", "+1.1", "to", "+5.1"] in told


def test_a_missing_arm_is_a_line_that_says_why_and_never_a_figure(result: dict[str, Any]) -> None:
    found = [line for line in lines(result) if line.lstrip("- ").startswith("smote")]
    assert found == ["- smote is missing: one row has no neighbour"]


def test_a_learner_without_scores_has_no_tuned_column_and_no_loss(result: dict[str, Any]) -> None:
    result["declared"]["decision"] = "default"
    del result["verdict"]["guardrails"]["log loss"]
    for one in result["arms"].values():
        one["tuned"] = one["calibration"] = None
        if one["default"]:
            one["default"] = {k: v for k, v in one["default"].items() if k != "average_precision"}
    told = "\n".join(lines(result))
    assert ["none", "70.0", "±", "2.0"] in [line.split() for line in lines(result)]
    assert not [line for line in lines(result) if line.split()[:2] == ["default", "tuned"]]
    assert "log loss" not in told
    assert "average precision" not in told


def test_classes_that_are_topped_up_come_first_and_those_left_out_are_named(
    result: dict[str, Any],
) -> None:
    told = lines(result)
    at = next(i for i, line in enumerate(told) if line.startswith("classes in percent"))
    assert told[at + 2].split() == ["rows", "none", "gan", "none", "gan"]
    assert told[at + 3].split() == ["rare*", "40", "70.0", "73.1", "70.0", "73.1"]
    assert told[at + 4].split() == ["common", "400", "70.0", "73.1", "70.0", "73.1"]
    assert told[at + 5] == "- lone is left out: 2 rows; expected at least 4"


def test_amounts_curves_worth_warnings_and_what_was_left_out_are_told(
    result: dict[str, Any],
) -> None:
    told = lines(result)
    assert "- gan: gan to 0.5 (4), gan to parity (2)" in told
    assert "balanced accuracy by what a class ends with: nothing 70.0, parity 73.0" in told
    assert "Worth about 20 more real rows." in told
    assert told[-2:] == [
        "- warning: 2 rows are exact duplicates",
        "- left out: the share curve, 12 fits",
    ]


def test_one_split_has_no_interval_and_says_so(result: dict[str, Any]) -> None:
    gan = result["arms"]["gan"]
    one = {"mean": 0.031, "interval": None}
    gan["minus_none"] = {"tuned": {"balanced_accuracy": one}}
    gan["tuned"]["balanced_accuracy"]["sd"] = None
    assert any(line.split() == ["gan", "73.1", "73.1", "+3.1", "unknown"] for line in lines(result))


def test_a_metric_that_is_zero_for_every_arm_is_shown(result: dict[str, Any]) -> None:
    for one in result["arms"].values():
        if one["tuned"]:
            one["tuned"]["g_mean"] = {"mean": 0.0, "sd": 0.0, "values": [0.0]}
    assert any("G-mean" in line for line in lines(result))


def test_lines_fit_a_hundred_columns_with_long_names_and_many_classes(
    result: dict[str, Any],
) -> None:
    names = [f"a class with a fairly long name, number {i}" for i in range(200)]
    result["data"] |= {"classes": dict.fromkeys(names, 12_345), "rare": names[:50]}
    result["verdict"] |= {"arm": "class_weight", "sentence": "many words of a sentence " * 20}
    result["arms"]["sampler:a sampler of mine with a long name"] = copy.deepcopy(arm(0.9, 0.2))
    for one in result["arms"].values():
        if one["missing"] is None:
            figures = {"support": 1, "recall": 1.0, "precision": None, "f1": None}
            one["per_class"] = {"tuned": dict.fromkeys(names, figures)}
    told = lines(result)
    assert max(map(len, told)) <= 100
    assert "- 180 more classes are in result.json" in told


def test_the_result_is_not_changed(result: dict[str, Any]) -> None:
    before = copy.deepcopy(result)
    lines(result)
    assert result == before
