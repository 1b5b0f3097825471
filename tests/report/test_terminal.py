"""The text of a result: what comes first, what stands in it, and how it behaves on odd results."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from gan_augment.report.tables import costs
from gan_augment.report.terminal import lines
from tests.report import results


@pytest.fixture
def result() -> dict[str, Any]:
    """Four folds of six classes, three of them rare."""
    return results.real("glass")


def missing(result: dict[str, Any], name: str, why: str) -> None:
    result["arms"][name] = {**dict.fromkeys(result["arms"][name]), "missing": why}


def cells(result: dict[str, Any]) -> list[str]:
    """Lines with one blank between words."""
    return [" ".join(line.split()) for line in lines(result)]


def test_the_verdict_comes_first_and_its_reasons_after_it(result: dict[str, Any]) -> None:
    result["verdict"]["sentence"] = "NO EVIDENCE: so it is."
    result["verdict"]["reasons"] = ["P(D > 0) is .97", "accuracy: held, P(loss) = .01"]
    result["verdict"]["guardrails"]["accuracy"]["state"] = "held"
    rails = result["verdict"]["guardrails"]
    result["verdict"]["guardrails"] = {name: rails[name] for name in ("accuracy", "log loss")}
    assert lines(result)[:5] == [
        "NO EVIDENCE: so it is.",
        "- P(D > 0) is .97",
        "- guardrails open: log loss",
        "- guardrails held: accuracy",
        "",
    ]


def test_an_arm_is_a_line_with_both_decisions_and_its_difference(result: dict[str, Any]) -> None:
    assert "none 63.5 ± 9.8 73.2 ± 6.1" in cells(result)
    assert "gan 66.2 ± 5.0 66.2 ± 5.0 -7.0 -30.7 to +16.7" in cells(result)


def test_a_missing_arm_is_a_line_that_says_why_and_never_a_figure(result: dict[str, Any]) -> None:
    missing(result, "auto", "one row has no neighbour")
    found = [line for line in lines(result) if line.lstrip("- ").startswith("auto")]
    assert found == ["- auto is missing: one row has no neighbour"]


def test_a_learner_without_scores_has_no_tuned_column_and_no_loss(result: dict[str, Any]) -> None:
    result["declared"]["decision"] = "default"
    del result["verdict"]["guardrails"]["log loss"]
    for one in result["arms"].values():
        one["tuned"] = one["calibration"] = None
        del one["default"]["average_precision"]
    assert "none 63.5 ± 9.8" in cells(result)
    assert not [line for line in cells(result) if line.startswith("default tuned")]
    text = "\n".join(lines(result)[12:])
    assert "log loss" not in text
    assert "average precision" not in text


def test_classes_that_are_topped_up_come_first_and_those_left_out_are_named(
    result: dict[str, Any],
) -> None:
    result["data"]["left_out"] = {"lone": "2 rows; expected at least 4"}
    text = lines(result)
    at = next(i for i, line in enumerate(text) if line.startswith("classes in percent"))
    names = [line.split()[0] for line in text[at + 3 : at + 9]]
    assert names == [*("tableware*", "containers*", "vehicle_float*"),
                     *("headlamps", "building_float", "building_nonfloat")]  # fmt: skip
    assert text[at + 2].split() == ["rows", "none", "gan", "none", "gan"]
    assert text[at + 3].split() == ["tableware*", "9", "88.9", "55.6", "80.0", "71.4"]
    assert text[at + 9] == "- lone is left out: 2 rows; expected at least 4"


def test_amounts_curves_worth_warnings_and_what_was_left_out_are_told(
    result: dict[str, Any],
) -> None:
    result["protocol"]["left_out"] = ["the share curve, 12 fits"]
    text = lines(result)
    assert "- gan: gan to parity (4)" in text
    curve = "what a class ends with: nothing 73.2, 25 % 75.9, 50 % 69.4, parity 66.2"
    assert f"balanced accuracy by {curve}" in text
    assert "The GAN's rows are worth no real ones here: balanced accuracy -7.0 points." in text
    assert (
        "- gan minus none, pooled over the first repeat, bootstrap: -7.9 points (-17.7 to +2.3)"
        in text
    )
    assert text[-3].startswith("- warning: 2 rows equal another")
    assert text[-1] == "- left out: the share curve, 12 fits"


def test_one_split_has_no_interval_and_says_so(result: dict[str, Any]) -> None:
    gan = result["arms"]["gan"]
    gan["minus_none"]["tuned"]["balanced_accuracy"] = {"mean": 0.031, "interval": None}
    gan["tuned"]["balanced_accuracy"]["sd"] = None
    assert "gan 66.2 ± 5.0 66.2 +3.1 unknown" in cells(result)


def test_a_metric_that_is_zero_for_every_arm_is_shown(result: dict[str, Any]) -> None:
    for one in result["arms"].values():
        one["tuned"]["g_mean"] = {"mean": 0.0, "sd": 0.0, "values": [0.0]}
    assert any("G-mean" in line for line in lines(result))


def test_lines_fit_a_hundred_columns_with_long_names_and_many_classes() -> None:
    result = results.many_classes(200)
    result["verdict"] |= {"arm": "class_weight", "sentence": "many words of a sentence " * 20}
    result["arms"]["sampler:a sampler of mine with a long name"] = result["arms"]["smote"]
    result["verdict"]["guardrails"] = {}
    result["few_positives"] = None
    before = copy.deepcopy(result)
    text = lines(result)
    assert max(map(len, text)) <= 100
    assert "- 180 more classes are in result.json" in text
    assert result == before


def test_what_arms_of_a_method_cost_is_their_own() -> None:
    keys = ("gan@0.5", "gan@1+cmo", "repeats@1+mixup", "repeats@0.5", "cmo")
    spent = {key: {"fit": 1.0} for key in keys}
    names = [name for name, _ in costs({"seconds": {"candidates": spent}})]
    assert sorted(names) == ["cmo", "gan", "gan+cmo", "mixup", "oversample"]
