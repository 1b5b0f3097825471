"""What is relied on in the result of an evaluation, read from a journal made by hand."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from gan_augment import read_frame
from gan_augment.errors import ModelFileError
from gan_augment.evaluation.arms import Candidate
from gan_augment.evaluation.decisions import Decision, Part, Scores
from gan_augment.evaluation.fits import split_figures
from gan_augment.evaluation.options import EvaluationOptions
from gan_augment.evaluation.plan import Design, Setup
from gan_augment.evaluation.protocol import plan_protocol
from gan_augment.evaluation.result import EvaluationResult, result_bytes
from gan_augment.evaluation.schedule import all_generated
from gan_augment.evaluation.sections import build_result, build_timings, worth_section
from gan_augment.evaluation.statistics import Contrast, contrast
from gan_augment.kinds.kind import Labelled
from gan_augment.report.terminal import lines as summary_lines
from gan_augment.rng import rng_for
from gan_augment.storage.journal import Journal, packed_labels, unpack_labels

ARMS = ("none", "class_weight", "oversample", "smote", "gan", "auto")
CUT = Decision("threshold", -1.0)
EVEN = np.array([0.5, 0.5])


def table(groups: bool = False) -> Labelled:
    """160 common and 40 rare rows, the latter in 20 groups of two where there are groups."""
    x = np.random.default_rng(0).normal(size=(200, 2))
    data = read_frame(x, y=["common"] * 160 + ["rare"] * 40).table
    return replace(data, groups=np.arange(200) // 2) if groups else data


def setup_of(data: Labelled, to: tuple[float, ...] = (0.5, 1.0), **more: Any) -> Setup[Any]:
    curves = more.get("curves", True)
    requested = {
        "data": "d0",
        "kind": "table",
        "duplicates": {"exact": 0, "grouped": False},
        "learner": {"name": "logistic", "params": {}, "updates": None},
        "generator": {"class": "TabularGAN", "params": {}},
        "library": {"numpy": "2"},
    }
    return Setup(
        options=EvaluationOptions(arms=ARMS, to=to, **more),
        data=data,
        protocol=plan_protocol(data, ["rare"], folds=4, repeats=2),
        learner=SimpleNamespace(name="logistic", weighs=True, methods=()),  # type: ignore[arg-type]
        generator=object(),
        rare=("rare",),
        design=Design(repeats=2, to=to, cheap_to=to, curves=curves, steps=10),
        requested=requested,
    )


def quality(candidate: Candidate) -> float:
    """How far a candidate's scores tell the classes apart; parity is better than half of it."""
    if candidate.kind == "real":
        return 0.6 * (candidate.share or 1)
    if candidate.kind == "amount":
        return (3.0 if candidate.amount.source == "gan" else 1.2) * candidate.amount.to
    return 1.0


def cell_line(setup: Setup[Labelled], split: Any, candidate: Candidate) -> dict[str, Any]:
    """A cell as it might have come out."""
    where = (split.repeat, split.fold)
    rng = rng_for(0, "cell", *where)  # the same luck for every candidate of a split
    labels = setup.data.labels[split.test]
    odds = rng.normal(size=len(labels)) + quality(candidate) * (2 * labels - 1)
    second = 1 / (1 + np.exp(-odds))
    values = np.stack([1 - second, second], axis=1)
    scores = Scores(values.argmax(axis=1), values, "probability")
    real = np.bincount(setup.data.labels[split.train]) / len(split.train)
    copies = {"generated": 30, "identical": 0, "held": 50, "held_identical": 0}
    rows = {"real": 30, "repeat": 0, "synthetic": 0, "companion": 0}
    return {
        "kind": "cell",
        "repeat": split.repeat,
        "fold": split.fold,
        "candidate": candidate.key,
        "error": None,
        "decision": CUT.to_dict(),
        "inner": [0.6 + 0.05 * quality(candidate) + 0.01 * i for i in range(3)],
        "test": split_figures(Part(scores, labels, EVEN, real), CUT),
        "called": {
            "default": packed_labels(scores.called),
            "tuned": packed_labels(CUT.called(scores, EVEN, real)),
        },
        "rows": {"common": {**rows, "real": 120}, "rare": {**rows, "synthetic": split.fold}},
        "copies": copies if candidate.generated == "gan" else None,
        "seen": {"outer": {"n": len(split.train), "sha256": f"{split.repeat}{split.fold}"}},
        "seconds": {"make": 0.1, "fit": 0.2, "predict": 0.3},
    }


def lines_of(setup: Setup[Labelled]) -> list[dict[str, Any]]:
    """The lines of all candidates, and of the share's curve that depends on them."""
    splits = setup.protocol.splits
    lines = [cell_line(setup, split, c) for split in splits for c in setup.candidates]
    known = journal_of(lines)
    if setup.design.curves and "gan" in setup.arms:
        lines += [
            cell_line(setup, split, c)
            for split in splits
            for c in all_generated(setup, known, split)
        ]
    return lines


def journal_of(lines: list[dict[str, Any]]) -> Journal:
    journal = Journal()
    for line in lines:
        journal.append(line)
    return journal


@pytest.fixture(scope="module")
def setup() -> Setup[Labelled]:
    return setup_of(table())


@pytest.fixture(scope="module")
def lines(setup: Setup[Labelled]) -> list[dict[str, Any]]:
    return lines_of(setup)


@pytest.fixture(scope="module")
def result(setup: Setup[Labelled], lines: list[dict[str, Any]]) -> dict[str, Any]:
    return build_result(setup, journal_of(lines))


def changed(lines: list[dict[str, Any]], which: str, **more: Any) -> list[dict[str, Any]]:
    return [{**line, **more} if line["candidate"].startswith(which) else line for line in lines]


# figures


def test_figures_are_those_of_scikit_learn_on_the_calls(setup, lines, result):
    for column in ("default", "tuned"):
        values = result["arms"]["none"][column]["balanced_accuracy"]["values"]
        for split, value in zip(setup.protocol.splits, values, strict=True):
            line = cell_line(setup, split, Candidate("none"))
            called = unpack_labels(line["called"][column])
            truth = setup.data.labels[split.test]
            assert value == pytest.approx(metrics.balanced_accuracy_score(truth, called))


def test_an_arm_is_the_candidate_that_was_chosen_in_each_split(setup, result):
    arm = result["arms"]["gan"]
    assert arm["chosen"] == {"gan to parity": 8}
    called = [
        unpack_labels(cell_line(setup, split, _parity(setup))["called"]["tuned"])
        for split in setup.protocol.splits
    ]
    found = [
        metrics.accuracy_score(setup.data.labels[split.test], one)
        for split, one in zip(setup.protocol.splits, called, strict=True)
    ]
    assert arm["tuned"]["accuracy"]["values"] == pytest.approx(found)
    assert arm["tuned"]["accuracy"]["mean"] == pytest.approx(np.mean(found))
    assert arm["tuned"]["accuracy"]["sd"] == pytest.approx(np.std(found, ddof=1))


def test_differences_are_paired_and_corrected(setup, result):
    gan, none = (
        np.array(result["arms"][arm]["tuned"]["macro_f1"]["values"]) for arm in ("gan", "none")
    )
    found = result["arms"]["gan"]["minus_none"]["tuned"]["macro_f1"]
    expected = contrast(gan - none, 1 / 3)  # four folds
    assert found == expected.to_dict(0.01)
    assert found["n"] == 8
    assert result["arms"]["none"]["minus_none"] is None
    primary = result["arms"]["gan"]["minus_none"]["tuned"]["balanced_accuracy"]
    assert result["verdict"]["difference"] == primary == result["gan_minus"]["none"]
    over_smote = result["gan_minus"]["smote"]["mean"]
    smote = result["arms"]["smote"]["tuned"]["balanced_accuracy"]["mean"]
    mean = result["arms"]["gan"]["tuned"]["balanced_accuracy"]["mean"]
    assert over_smote == pytest.approx(mean - smote)


def test_an_error_is_never_below_one_flipped_rare_row(setup, lines):
    """The GAN's cells are those of none: no difference, and no certainty of that either."""
    same = {(one["repeat"], one["fold"]): one for one in lines if one["candidate"] == "none"}
    copied = [
        {**same[one["repeat"], one["fold"]], "candidate": one["candidate"], "copies": None}
        if one["candidate"].startswith("gan@")
        else one
        for one in lines
    ]
    found = build_result(setup, journal_of(copied))["verdict"]["difference"]
    assert found["mean"] == 0
    assert found["error"] == pytest.approx(1 / 2 / 40)  # of two recalls, one of 40 rows


def test_classes_are_counted_over_all_splits(setup, result):
    arm = result["arms"]["none"]
    for column in ("default", "tuned"):
        counts = np.array(arm["confusion"][column])
        assert counts.sum(axis=1).tolist() == [160, 40]  # each row once in the first repeat
        rare = arm["per_class"][column]["rare"]
        assert rare["support"] == 40
        f1 = 2 * rare["recall"] * rare["precision"] / (rare["recall"] + rare["precision"])
        assert rare["f1"] == pytest.approx(f1)
    told = arm["per_class"]["tuned"]["common"]["recall"]
    mean = np.mean([_recall_of_common(setup, split) for split in setup.protocol.splits])
    assert told == pytest.approx(mean)  # folds of equal size
    assert arm["average_precision"]["rare"]["base_rate"] == pytest.approx(0.2)
    assert result["arms"]["gan"]["rows"]["rare"]["synthetic"] == 1.5  # 0, 1, 2, 3


def test_calibration_is_pooled_over_the_rows_of_all_splits(setup, result):
    told = result["arms"]["none"]["calibration"]
    assert sum(n for n, _, _ in told["before"]["bins"]) == 400
    splits = [cell_line(setup, split, Candidate("none")) for split in setup.protocol.splits]
    losses = [line["test"]["calibration"]["after"]["log_loss"] for line in splits]
    assert told["after"]["log_loss"] == pytest.approx(np.mean(losses))
    gaps = sum(n * abs(sure - right) for n, sure, right in told["after"]["bins"] if n) / 400
    assert told["after"]["calibration_error"] == pytest.approx(gaps)


# verdict


def test_the_verdict_stands_on_the_declared_contrast(result):
    verdict = result["verdict"]
    assert verdict["word"] == "ADOPT"
    assert verdict["arm"] == "gan"
    assert verdict["rare_units"] == 40
    assert set(verdict["guardrails"]) == {"accuracy", "recall of common", "log loss"}
    told = Contrast(*(verdict["difference"][key] for key in ("mean", "error", "freedom", "n")))
    assert verdict["difference"] == told.to_dict(0.01)
    assert result["declared"]["decision"] == "tuned"
    assert len(result["declared"]["sha256"]) == 64


def test_rows_of_a_group_are_one_unit(lines):
    setup = setup_of(table(groups=True))
    found = build_result(setup, journal_of(lines_of(setup)))
    assert (found["verdict"]["rare_units"], found["data"]["unit"]) == (20, "groups")
    assert found["verdict"]["word"] == "INSUFFICIENT DATA"
    assert found["few_positives"]["bootstrap"]["units"] == 100


def test_copies_stand_in_the_way_of_adopting(setup, lines):
    copies = {"generated": 30, "identical": 20, "held": 50, "held_identical": 1}
    found = build_result(setup, journal_of(changed(lines, "gan@", copies=copies)))
    assert found["copies"] == {
        "generated": 120,
        "identical": 80,
        "held": 200,
        "held_identical": 4,
        "flag": True,
    }
    assert found["verdict"]["word"] == "LIKELY HELPS"
    assert any("repeat training rows more often" in text for text in found["warnings"])


def test_an_arm_that_failed_is_a_row_that_says_why(setup, lines):
    failed = changed(lines, "smote@", error="DataError: one row has no neighbour", test=None)
    found = build_result(setup, journal_of(failed))
    arm = found["arms"]["smote"]
    assert arm["missing"] == "DataError: one row has no neighbour"
    assert {value for key, value in arm.items() if key != "missing"} == {None}
    assert "SMOTE could not be judged" in found["verdict"]["sentence"]
    assert any(text.startswith("smote@1 failed in 8 fits") for text in found["warnings"])
    assert "smote" not in found["gan_minus"]


def test_without_the_gan_there_is_no_verdict_on_it(setup, lines):
    failed = changed(lines, "gan@", error="DivergedError: no", test=None)
    found = build_result(setup, journal_of(failed))
    assert found["verdict"]["difference"] is found["verdict"]["detectable"] is None
    assert found["few_positives"]["bootstrap"] is None
    assert found["gan_minus"] == {}
    assert found["worth"] == {"sentence": "", "more_rows": None}
    assert json.loads(result_bytes(found)) == found
    assert summary_lines(found)


def test_a_learner_without_scores_is_judged_by_its_own_decision(setup, lines):
    silent = []
    for line in lines:
        test = {**line["test"], "calibration": None, "average_precision": [None, None]}
        test["confusion"] = {**test["confusion"], "tuned": None}
        called = {**line["called"], "tuned": None}
        silent.append({**line, "test": test, "called": called})
    found = build_result(setup, journal_of(silent))
    assert found["declared"]["decision"] == "default"
    arm = found["arms"]["gan"]
    assert arm["tuned"] is arm["calibration"] is None
    assert arm["default"]["average_precision"]["mean"] is None
    assert set(arm["minus_none"]) == {"default"}
    assert set(found["verdict"]["guardrails"]) == {"accuracy", "recall of common"}
    assert summary_lines(found)


def test_average_precision_may_be_primary(lines):
    setup = setup_of(table(), metric="average_precision")
    own = []
    for line in lines:
        test = {**line["test"]}
        test["confusion"] = {**test["confusion"], "tuned": None}
        own.append({**line, "test": test})
    found = build_result(setup, journal_of(own))
    values = found["arms"]["gan"]["default"]["average_precision"]["values"]
    told = [line["test"]["average_precision"][1] for line in own if line["candidate"] == "gan@1"]
    assert values == told
    assert found["few_positives"]["bootstrap"] is None
    assert found["verdict"]["difference"]["mean"] == pytest.approx(
        np.mean(values) - found["arms"]["none"]["default"]["average_precision"]["mean"]
    )


# beside it


def test_few_positives_are_counted_row_by_row(setup, result):
    rows, gan, none = [], [], []
    for split in setup.protocol.splits[:4]:
        rows += split.test.tolist()
        gan += unpack_labels(cell_line(setup, split, _parity(setup))["called"]["tuned"]).tolist()
        cell = cell_line(setup, split, Candidate("none"))
        none += unpack_labels(cell["called"]["tuned"]).tolist()
    truth = setup.data.labels[rows]
    rare = [(a == 1, b == 1) for a, b, y in zip(gan, none, truth, strict=True) if y == 1]
    told = result["few_positives"]["mcnemar"]["rare"]
    assert told["only_gan"] == sum(a and not b for a, b in rare)
    assert told["only_none"] == sum(b and not a for a, b in rare)
    alone = told["only_gan"], told["only_gan"] + told["only_none"]
    assert told["p"] == pytest.approx(stats.binomtest(*alone).pvalue)
    recalls = [metrics.balanced_accuracy_score(truth, called) for called in (gan, none)]
    bootstrap = result["few_positives"]["bootstrap"]
    assert bootstrap["mean"] == pytest.approx(recalls[0] - recalls[1])
    assert bootstrap["units"] == 200


def test_curves_have_the_points_that_were_measured(result):
    curves = result["curves"]
    arms = {arm: result["arms"][arm]["tuned"]["balanced_accuracy"]["mean"] for arm in ARMS}
    assert [point["to"] for point in curves["to"]] == [0, 0.5, 1]
    assert [point["amount"] for point in curves["to"]] == ["nothing", "50 %", "parity"]
    assert curves["to"][0]["mean"] == arms["none"]
    assert curves["to"][0]["minus_none"] is None
    assert curves["to"][2]["mean"] == arms["gan"]
    assert [point["share"] for point in curves["share"]] == [0, 0.5, 1]
    assert curves["share"][1]["mean"] == arms["gan"]
    assert curves["share"][0]["mean"] == arms["oversample"]  # parity there as well
    assert [point["share"] for point in curves["real_rows"]] == [0.25, 0.5, 1]
    assert curves["real_rows"][2]["mean"] == arms["none"]


def test_without_curves_only_the_amounts_are_a_curve():
    setup = setup_of(table(), (1.0,), curves=False)
    found = build_result(setup, journal_of(lines_of(setup)))
    assert found["curves"]["share"] == found["curves"]["real_rows"] == []
    assert len(found["curves"]["to"]) == 2
    assert found["worth"]["sentence"] == ""


def test_a_gain_is_priced_by_the_learning_curve():
    def priced(
        gain: float, means: tuple[float, ...] = (0.70, 0.72, 0.74), error: float = 0.01
    ) -> Any:
        points = [{"share": s, "mean": m} for s, m in zip((0.25, 0.5, 1), means, strict=True)]
        return worth_section(points, Contrast(gain, error, 14, 15), 40, "balanced_accuracy")

    assert priced(0.02)["more_rows"] == 40  # two points a doubling
    assert priced(0.01)["more_rows"] == round(40 * (2**0.5 - 1))
    assert priced(0.2)["more_rows"] is None
    assert "more than 120 more" in priced(0.2)["sentence"]
    assert priced(-0.01)["more_rows"] == 0
    assert priced(0.02, (0.74, 0.73, 0.72)) == {
        "sentence": "More real rare rows did not raise balanced accuracy here, so +2.0 points have "
        "no price in rows.",
        "more_rows": None,
    }
    assert priced(0.02)["sentence"] == (
        "The gain of +2.0 points is worth about 40 more real rare rows (a doubling of the real "
        "ones gains 2.0)."
    )
    unsure = priced(0.02, error=0.1)["sentence"]
    assert unsure.startswith("The gain of +2.0 points, if there is one, is worth about 40 more")


def test_duplicates_on_both_sides_are_warned_of(setup, lines):
    duplicates = {"exact": 7, "grouped": False}
    told = replace(setup, requested={**setup.requested, "duplicates": duplicates})
    warnings = build_result(told, journal_of(lines))["warnings"]
    assert any(text.startswith("7 rows equal another") for text in warnings)


# bytes and files


def test_the_bytes_do_not_depend_on_the_order_of_lines_nor_on_times(setup, lines, result):
    other = changed(lines, "", seconds={"make": 9.0, "fit": 9.0, "predict": 9.0})
    random.Random(0).shuffle(other)
    assert result_bytes(build_result(setup, journal_of(other))) == result_bytes(result)


def test_a_journal_from_a_file_gives_the_same_bytes(setup, lines, result, tmp_path):
    written = Journal(tmp_path / "journal.jsonl")
    for line in [dict(setup.header), *lines]:
        written.append(line)
    read = Journal(tmp_path / "journal.jsonl")
    read.read()
    assert result_bytes(build_result(setup, read)) == result_bytes(result)


def test_an_evaluation_survives_a_folder(setup, lines, result, tmp_path):
    timings = build_timings(journal_of(lines))
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
    assert "ADOPT: the GAN's rows" in repr(found)


def test_a_file_that_is_no_result_is_refused(tmp_path):
    with pytest.raises(ModelFileError, match="no readable result"):
        EvaluationResult.load(tmp_path)
    (tmp_path / "result.json").write_text("[1]")
    with pytest.raises(ModelFileError, match="no JSON object"):
        EvaluationResult.load(tmp_path)
    (tmp_path / "result.json").write_text('{"schema": 99}')
    with pytest.raises(ModelFileError, match="schema 99"):
        EvaluationResult.load(tmp_path)


def test_a_frame_has_a_row_an_arm(setup, lines, result):
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
    failed = build_result(setup, journal_of(changed(lines, "smote@", error="no", test=None)))
    assert EvaluationResult(failed, {}).to_frame().loc["smote", "missing"] == "no"


def test_timings_add_up(setup, lines):
    told = build_timings(journal_of(lines))
    assert told["seconds"]["candidates"]["none"] == pytest.approx(
        {"make": 0.8, "fit": 1.6, "predict": 2.4}
    )
    assert told["seconds"]["total"] == pytest.approx(0.6 * len(lines))
    assert json.loads(result_bytes(told)) == told


def _parity(setup: Setup[Labelled]) -> Candidate:
    return next(c for c in setup.candidates if c.key == "gan@1")


def _recall_of_common(setup: Setup[Labelled], split: Any) -> float:
    counts = cell_line(setup, split, Candidate("none"))["test"]["confusion"]["tuned"]
    return float(counts[0][0] / sum(counts[0]))
