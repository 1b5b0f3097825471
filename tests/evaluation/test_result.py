"""What is relied on in the result of an evaluation, read from a journal made by hand."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn import metrics

from gan_augment import read_frame
from gan_augment.errors import ModelFileError
from gan_augment.evaluation.decisions import Scores, split_figures
from gan_augment.evaluation.design import Design, plan_protocol
from gan_augment.evaluation.learners import learner_of
from gan_augment.evaluation.options import EvaluationOptions
from gan_augment.evaluation.result import EvaluationResult, result_bytes
from gan_augment.evaluation.results import Results, build_result, build_timings
from gan_augment.evaluation.statistics import Contrast, contrast
from gan_augment.kinds.kind import Labelled
from gan_augment.report.tables import lines as summary_lines
from gan_augment.rng import rng_for
from gan_augment.storage.journal import Journal, unpack_labels

ARMS = ("none", "class_weight", "oversample", "smote", "gan")
QUALITY = {"gan": 3.0, "oversample": 1.2, "smote": 1.2}
EVEN = np.array([0.5, 0.5])


def table(groups: bool = False) -> Labelled:
    """160 common and 40 rare rows, the latter in 20 groups of two where there are groups."""
    x = np.random.default_rng(0).normal(size=(200, 2))
    data = read_frame(x, y=["common"] * 160 + ["rare"] * 40).table
    return replace(data, groups=np.arange(200) // 2) if groups else data


def design_of(data: Labelled, **more: Any) -> Design:
    requested = {
        "data": "d0",
        "kind": "table",
        "duplicates": {"exact": 0, "grouped": False},
        "learner": {"name": "logistic", "params": {}, "updates": None},
        "generator": {"class": "TabularGAN", "params": {}},
        "splits": "s0",
        "library": {"numpy": "2"},
    }
    return Design(
        options=EvaluationOptions(arms=ARMS, **more),
        data=data,
        protocol=plan_protocol(data, ["rare"], folds=4, repeats=2),
        learner=learner_of("logistic", data),
        generator=object(),
        rare=("rare",),
        steps=10,
        requested=requested,
    )


def arm_line(design: Design, split: Any, name: str) -> dict[str, Any]:
    """A line as it might have come out; the GAN separates the classes best."""
    where = (split.repeat, split.fold)
    rng = rng_for(0, "cell", *where)  # the same luck for every arm of a split
    labels = design.data.labels[split.test]
    odds = rng.normal(size=len(labels)) + QUALITY.get(name, 1.0) * (2 * labels - 1)
    second = 1 / (1 + np.exp(-odds))
    values = np.stack([1 - second, second], axis=1)
    scores = Scores(values.argmax(axis=1), values)
    real = np.bincount(design.data.labels[split.train]) / len(split.train)
    copies = {"generated": 30, "identical": 0, "held": 50, "held_identical": 0}
    rows = {"real": 30, "repeat": 0, "synthetic": 0, "companion": 0}
    return {
        "kind": "arm",
        "repeat": split.repeat,
        "fold": split.fold,
        "arm": name,
        "error": None,
        **split_figures(scores, labels, np.array([0.6, 0.4]), real, design.options.metric),
        "rows": {"common": {**rows, "real": 120}, "rare": {**rows, "synthetic": split.fold}},
        "copies": copies if name == "gan" else None,
        "seconds": {"make": 0.1, "fit": 0.2, "predict": 0.3},
    }


def lines_of(design: Design) -> list[dict[str, Any]]:
    splits = design.protocol.splits
    return [arm_line(design, split, arm.name) for split in splits for arm in design.arms]


def journal_of(lines: list[dict[str, Any]]) -> Journal:
    journal = Journal()
    for line in lines:
        journal.append(line)
    return journal


@pytest.fixture(scope="module")
def design() -> Design:
    return design_of(table())


@pytest.fixture(scope="module")
def lines(design: Design) -> list[dict[str, Any]]:
    return lines_of(design)


@pytest.fixture(scope="module")
def result(design: Design, lines: list[dict[str, Any]]) -> dict[str, Any]:
    return build_result(design, journal_of(lines))


def changed(lines: list[dict[str, Any]], which: str, **more: Any) -> list[dict[str, Any]]:
    return [{**line, **more} if line["arm"].startswith(which) else line for line in lines]


# figures


def test_figures_are_those_of_scikit_learn_on_the_calls(design, lines, result):
    for column in ("default", "corrected"):
        values = result["arms"]["none"][column]["balanced_accuracy"]["values"]
        for split, value in zip(design.protocol.splits, values, strict=True):
            line = arm_line(design, split, "none")
            called = unpack_labels(line["called"][column])
            truth = design.data.labels[split.test]
            assert value == pytest.approx(metrics.balanced_accuracy_score(truth, called))


def test_differences_are_paired_and_corrected(design, result):
    gan, none = (
        np.array(result["arms"][arm]["corrected"]["macro_f1"]["values"]) for arm in ("gan", "none")
    )
    found = result["arms"]["gan"]["minus_none"]["corrected"]["macro_f1"]
    expected = contrast(gan - none, 1 / 3)  # four folds
    assert found == expected.to_dict(0.01)
    assert found["n"] == 8
    assert result["arms"]["none"]["minus_none"] is None
    primary = result["arms"]["gan"]["minus_none"]["corrected"]["balanced_accuracy"]
    assert result["verdict"]["difference"] == primary == result["gan_minus"]["none"]
    over_smote = result["gan_minus"]["smote"]["mean"]
    smote = result["arms"]["smote"]["corrected"]["balanced_accuracy"]["mean"]
    mean = result["arms"]["gan"]["corrected"]["balanced_accuracy"]["mean"]
    assert over_smote == pytest.approx(mean - smote)


def test_an_error_is_never_below_one_flipped_rare_row(design, lines):
    """The GAN's cells are those of none: no difference, and no certainty of that either."""
    same = {(one["repeat"], one["fold"]): one for one in lines if one["arm"] == "none"}
    copied = [
        {**same[one["repeat"], one["fold"]], "arm": one["arm"], "copies": None}
        if one["arm"].startswith("gan")
        else one
        for one in lines
    ]
    found = build_result(design, journal_of(copied))["verdict"]["difference"]
    assert found["mean"] == 0
    assert found["error"] == pytest.approx(1 / 2 / 40)  # of two recalls, one of 40 rows


def test_classes_are_counted_over_all_splits(design, result):
    arm = result["arms"]["none"]
    for column in ("default", "corrected"):
        counts = np.array(arm["confusion"][column])
        assert counts.sum(axis=1).tolist() == [160, 40]  # each row once in the first repeat
        rare = arm["per_class"][column]["rare"]
        assert rare["support"] == 40
        called = counts[:, 1].sum()  # over the first repeat; the figures are of both
        assert rare["precision"] == pytest.approx(counts[1, 1] / called, abs=0.1)
    counts = [
        arm_line(design, split, "none")["confusion"]["corrected"][0]
        for split in design.protocol.splits
    ]
    mean = np.mean([right / (right + wrong) for right, wrong in counts])
    reported = arm["per_class"]["corrected"]["common"]["recall"]
    assert reported == pytest.approx(mean)  # folds of equal size
    assert result["arms"]["gan"]["rows"]["rare"]["synthetic"] == 1.5  # 0, 1, 2, 3


def test_losses_are_means_over_the_splits(design, result):
    reported = result["arms"]["none"]["calibration"]["after"]
    splits = [arm_line(design, split, "none") for split in design.protocol.splits]
    after = [line["calibration"]["after"] for line in splits]
    assert reported["log_loss"] == pytest.approx(np.mean([one["log_loss"] for one in after]))


# verdict


def test_the_verdict_stands_on_the_declared_contrast(result):
    verdict = result["verdict"]
    assert verdict["word"] == "ADOPT"
    assert verdict["arm"] == "gan"
    assert verdict["rare_units"] == 40
    assert set(verdict["guardrails"]) == {
        "accuracy",
        "recall of common",
        "recall of rare",
        "log loss",
    }
    reported = Contrast(*(verdict["difference"][key] for key in ("mean", "error", "freedom", "n")))
    assert verdict["difference"] == reported.to_dict(0.01)
    assert result["declared"]["decision"] == "corrected"
    assert len(result["declared"]["sha256"]) == 64


def test_rows_of_a_group_are_one_unit(lines):
    design = design_of(table(groups=True))
    found = build_result(design, journal_of(lines_of(design)))
    assert (found["verdict"]["rare_units"], found["data"]["unit"]) == (20, "groups")
    assert found["verdict"]["word"] == "INSUFFICIENT DATA"


def test_copies_stand_in_the_way_of_adopting(design, lines):
    copies = {"generated": 30, "identical": 20, "held": 50, "held_identical": 1}
    found = build_result(design, journal_of(changed(lines, "gan", copies=copies)))
    assert found["copies"] == {
        "generated": 120,
        "identical": 80,
        "held": 200,
        "held_identical": 4,
        "flag": True,
    }
    assert found["verdict"]["word"] == "LIKELY HELPS"
    assert any("repeat training rows more often" in text for text in found["warnings"])


def test_an_arm_that_failed_is_a_row_that_says_why(design, lines):
    failed = changed(lines, "smote", error="DataError: one row has no neighbour")
    found = build_result(design, journal_of(failed))
    arm = found["arms"]["smote"]
    assert arm["missing"] == "DataError: one row has no neighbour"
    assert {value for key, value in arm.items() if key != "missing"} == {None}
    assert "SMOTE could not be judged" in found["verdict"]["sentence"]
    assert any(text.startswith("smote failed in 8 fits") for text in found["warnings"])
    assert "smote" not in found["gan_minus"]


def test_without_the_gan_there_is_no_verdict_on_it(design, lines):
    failed = changed(lines, "gan", error="DivergedError: no")
    found = build_result(design, journal_of(failed))
    assert found["verdict"]["difference"] is found["verdict"]["detectable"] is None
    assert found["gan_minus"] == {}
    assert json.loads(result_bytes(found)) == found
    assert summary_lines(found)


def test_a_learner_without_scores_is_judged_by_its_own_decision(design, lines):
    silent = []
    for line in lines:
        none = {"calibration": None, "average_precision": [None, None]}
        none["confusion"] = {**line["confusion"], "corrected": None}
        silent.append({**line, **none, "called": {**line["called"], "corrected": None}})
    found = build_result(design, journal_of(silent))
    assert found["declared"]["decision"] == "default"
    arm = found["arms"]["gan"]
    assert arm["corrected"] is arm["calibration"] is None
    assert arm["default"]["average_precision"]["mean"] is None
    assert set(arm["minus_none"]) == {"default"}
    assert set(found["verdict"]["guardrails"]) == {"accuracy", "recall of common", "recall of rare"}
    assert summary_lines(found)


def test_average_precision_may_be_primary(lines):
    design = design_of(table(), metric="average_precision")
    own = lines_of(design)
    found = build_result(design, journal_of(own))
    values = found["arms"]["gan"]["default"]["average_precision"]["values"]
    reported = [line["average_precision"][1] for line in own if line["arm"] == "gan"]
    assert values == reported
    assert found["verdict"]["difference"]["mean"] == pytest.approx(
        np.mean(values) - found["arms"]["none"]["default"]["average_precision"]["mean"]
    )


def test_duplicates_on_both_sides_are_warned_of(design, lines):
    duplicates = {"exact": 7, "grouped": False}
    reported = replace(design, requested={**design.requested, "duplicates": duplicates})
    warnings = build_result(reported, journal_of(lines))["warnings"]
    assert any(text.startswith("7 rows equal another") for text in warnings)


# bytes and files


def test_the_bytes_do_not_depend_on_the_order_of_lines_nor_on_times(design, lines, result):
    other = changed(lines, "", seconds={"make": 9.0, "fit": 9.0, "predict": 9.0})
    random.Random(0).shuffle(other)
    assert result_bytes(build_result(design, journal_of(other))) == result_bytes(result)


def test_a_journal_from_a_file_gives_the_same_bytes(design, lines, result, tmp_path):
    written = Journal(tmp_path / "journal.jsonl")
    for line in [dict(design.header), *lines]:
        written.append(line)
    read = Journal(tmp_path / "journal.jsonl")
    read.read()
    assert result_bytes(build_result(design, read)) == result_bytes(result)


def test_an_evaluation_survives_a_folder(design, lines, result, tmp_path):
    timings = build_timings(design, journal_of(lines))
    found = EvaluationResult(result, timings)
    found.save(tmp_path / "report")
    for path in (tmp_path / "report", tmp_path / "report" / "result.json"):
        again = EvaluationResult.load(path)
        assert again.result == result
        assert again.timings == timings
        assert again.lines() == found.lines()
    assert found.to_dict() == result
    assert found.to_dict() is not result
    assert found.verdict == "ADOPT"
    assert "Add generated rows" in repr(found)


def test_a_file_that_is_no_result_is_refused(tmp_path):
    for text, says in (
        (None, "readable"),
        ("[1]", "no JSON object"),
        ('{"schema": 9}', "schema 9"),
    ):
        if text:
            (tmp_path / "result.json").write_text(text)
        with pytest.raises(ModelFileError, match=says):
            EvaluationResult.load(tmp_path)


def test_a_frame_has_a_row_an_arm(design, lines, result):
    frame = EvaluationResult(result, {}).to_frame()
    assert list(frame.index) == list(ARMS)
    gan = frame.loc["gan"]
    low, high = result["verdict"]["difference"]["interval"]
    assert (gan["low"], gan["minus_none"], gan["high"]) == (
        low,
        result["verdict"]["difference"]["mean"],
        high,
    )
    assert np.isnan(frame.loc["none", "minus_none"])
    failed = build_result(design, journal_of(changed(lines, "smote", error="no")))
    assert EvaluationResult(failed, {}).to_frame().loc["smote", "missing"] == "no"


def test_two_arms_are_contrasted_each_at_its_own_decision(design, lines):
    results = Results(design, journal_of(lines))
    none = results.arms["none"]
    found = results.difference(none["corrected"], none["default"])
    values = [none[column].values("balanced_accuracy") for column in ("corrected", "default")]
    assert found.mean == pytest.approx(np.mean(values[0] - values[1]))


def test_timings_add_up(design, lines):
    reported = build_timings(design, journal_of(lines))
    assert reported["seconds"]["arms"]["none"] == pytest.approx(
        {"make": 0.8, "fit": 1.6, "predict": 2.4}
    )
    assert reported["seconds"]["total"] == pytest.approx(0.6 * len(lines))
    assert json.loads(result_bytes(reported)) == reported
