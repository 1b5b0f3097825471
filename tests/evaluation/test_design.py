"""The evaluator's splits: whole groups, forward in time, a separate test set."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

import gan_augment
from gan_augment.errors import DataError, UsageError
from gan_augment.evaluation.design import Protocol, plan_protocol, with_test_rows
from gan_augment.evaluation.plan import prepare
from gan_augment.evaluation.runner import evaluate
from gan_augment.evaluation.statistics import contrast_of_seeds
from gan_augment.kinds.kind import Labelled
from gan_augment.storage.journal import Journal
from tests.evaluation.drawn import Noisy, changed, options, pictures, table


def checked(protocol: Protocol, n: int, *, complete: bool = True) -> None:
    for split in protocol.splits:
        assert not set(split.train) & set(split.test)
    for repeat in range(protocol.repeats):
        tested = np.concatenate([s.test for s in protocol.splits if s.repeat == repeat])
        assert len(np.unique(tested)) == len(tested)
        if complete:
            assert sorted(tested) == list(range(n))


def test_every_row_is_tested_once_a_repeat_and_not_trained_on_in_that_split() -> None:
    found = plan_protocol(pictures({"good": 60, "bad": 15}), ["bad"], folds=5, repeats=3)
    checked(found, 75)
    assert (found.way, found.folds, found.repeats, found.shared) == ("rows", 5, 3, 0.25)
    assert len({split.test.tobytes() for split in found.splits}) == 15


def test_every_fold_tests_rows_of_every_evaluated_class() -> None:
    data = pictures({"good": 60, "bad": 12, "worse": 7})
    for split in plan_protocol(data, ["bad"], folds=5).splits:
        assert set(data.labels[split.test]) == {0, 1, 2}


@pytest.mark.parametrize(("rare", "folds"), [(4, 2), (6, 3), (9, 4), (30, 5)])
def test_folds_are_at_most_half_the_units_of_the_smallest_class(rare: int, folds: int) -> None:
    assert plan_protocol(pictures({"good": 60, "bad": rare}), ["bad"], folds=5).folds == folds


def test_a_class_of_three_rows_is_named_and_left_out() -> None:
    found = plan_protocol(pictures({"good": 60, "bad": 12, "lone": 3}), ["bad", "lone"])
    assert found.evaluated == ("good", "bad")
    assert found.left_out == {"lone": "3 rows; judging needs 4"}
    checked(found, 75)


def test_nothing_to_judge_is_an_error_with_the_counts() -> None:
    with pytest.raises(DataError, match=r"good \(60\), bad \(3\)"):
        plan_protocol(pictures({"good": 60, "bad": 3}), ["bad"])


def test_groups_stay_whole_and_are_what_is_counted() -> None:
    groups = np.concatenate([np.repeat(np.arange(20), 3), np.repeat(np.arange(20, 28), 2)])
    data = pictures({"good": 60, "bad": 16}, groups=groups)
    found = plan_protocol(data, ["bad"], folds=5, repeats=2)
    checked(found, 76)
    assert (found.way, found.unit, found.units["bad"], found.folds) == ("groups", "groups", 8, 4)
    for split in found.splits:
        assert not set(groups[split.train]) & set(groups[split.test])


def test_a_few_repeats_do_not_turn_rows_into_groups() -> None:
    groups = np.full(75, -1)
    groups[[3, 4]] = 0
    found = plan_protocol(pictures({"good": 60, "bad": 15}, groups=groups), ["bad"], folds=5)
    assert (found.way, found.unit, found.units["good"]) == ("groups", "rows", 59)


def test_training_always_comes_before_the_test() -> None:
    data = pictures({"good": 60, "bad": 20})
    times = np.random.default_rng(0).permutation(80)
    found = plan_protocol(data, ["bad"], times=times)
    checked(found, 80, complete=False)
    assert (found.way, found.repeats) == ("time", 1)
    for split in found.splits:
        assert times[split.train].max() < times[split.test].min()
    share = np.mean([len(s.test) / len(s.train) for s in found.splits])
    assert found.shared == pytest.approx(share)


def test_rows_of_the_first_tested_time_do_not_train() -> None:
    data = pictures({"good": 60, "bad": 20})
    times = np.random.default_rng(0).permutation(np.arange(80) // 7)  # blocks cut through times
    for split in plan_protocol(data, ["bad"], times=times).splits:
        assert times[split.train].max() < times[split.test].min()


def test_groups_of_tested_rows_do_not_train_though_they_came_before() -> None:
    groups = np.random.default_rng(1).permutation(np.repeat(np.arange(20), 4))
    data = pictures({"good": 60, "bad": 20}, groups=groups)
    times = np.random.default_rng(0).permutation(80)
    for split in plan_protocol(data, ["bad"], times=times).splits:
        train, tested = set(groups[split.train]), set(groups[split.test])
        assert train
        assert not train & tested
        earlier = np.flatnonzero(times < times[split.test].min())
        assert set(split.train) == {row for row in earlier if groups[row] not in tested}


def test_times_of_another_length_are_refused() -> None:
    with pytest.raises(UsageError, match=r"expected \(80,\)"):
        plan_protocol(pictures({"good": 60, "bad": 20}), ["bad"], times=np.arange(9))


def test_the_same_seed_gives_the_same_splits_and_another_one_others() -> None:
    data = pictures({"good": 60, "bad": 12})
    first, again, other = (plan_protocol(data, ["bad"], seed=seed) for seed in (0, 0, 1))
    assert first.sha256() == again.sha256() != other.sha256()


OF_TEST = {"common": 50, "rare": 20}
ASKED = options(learner="logistic", arms="oversample", n_jobs=1, diagnostics=False)
SEEDS = changed(ASKED, repeats=3)


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory):
    out = tmp_path_factory.mktemp("test-set") / "out"
    return evaluate(table(), SEEDS, test=table(OF_TEST, seed=1), out=out), out


def test_seeds_and_test_rows_share_the_error_of_a_difference() -> None:
    found = contrast_of_seeds([0.02, 0.04], 0.01, units=101)
    assert (found.mean, found.n) == (pytest.approx(0.03), 2)
    assert found.error == pytest.approx(np.sqrt(0.0002 / 2 + 0.01**2))
    assert found.freedom == 3  # 2e-4^2 / (1e-4^2 / 1 + 1e-4^2 / 100) = 3.96
    one = contrast_of_seeds([0.02], 0.01, units=101)
    assert (one.error, one.freedom) == (0.01, 100)
    assert contrast_of_seeds([0.0, 0.0], 0.0, units=9, least_error=0.004).error == 0.004


def test_an_interval_of_a_test_set_covers_what_is_true() -> None:
    """Two arms that are as good, 60 rows, three seeds that flip rows of their own."""
    rng, covered = np.random.default_rng(0), 0
    for _ in range(400):
        shared = rng.choice([-1, 0, 1], p=[0.1, 0.8, 0.1], size=60)
        own = rng.choice([-1, 0, 1], p=[0.05, 0.9, 0.05], size=(3, 60))
        each = (shared + own).mean(axis=1)
        sampling = (shared + own[0]).std(ddof=1) / np.sqrt(60)
        low, high = contrast_of_seeds(each, sampling, units=60).interval()
        covered += low <= 0 <= high
    assert 0.95 - 3 * np.sqrt(0.95 * 0.05 / 400) <= covered / 400 <= 1


def test_every_figure_is_of_the_test_rows_and_nothing_learns_from_them(result) -> None:
    found, out = result
    protocol, test = found.to_dict()["protocol"], table(OF_TEST, seed=1)
    assert (protocol["splits"], protocol["folds"], protocol["repeats"]) == ("test", 1, 3)
    arms = found.to_dict()["arms"]
    counts = np.array(arms["none"]["confusion"]["default"])
    assert counts.sum(axis=1).tolist() == [50, 20]
    again = evaluate(table(), SEEDS, test=replace(test))
    assert again.to_dict()["arms"]["none"] == arms["none"]
    journal = Journal(out / "journal.jsonl")
    journal.read()
    lines = list(journal.lines())
    assert {line["repeat"] for line in lines if line["kind"] == "generator"} == {0}
    assert {line["repeat"] for line in lines if line["kind"] == "arm"} == {0, 1, 2}
    assert found.to_dict()["verdict"]["rare_units"] == 20


def test_the_plan_counts_training_rows_test_rows_and_one_generator(result) -> None:
    plan = prepare(table(), SEEDS, test=table(OF_TEST, seed=1))
    line = plan.lines()[0]
    assert line.startswith("plan: 70 test rows, 3 seeds of the classifier; 1 generator fit (")
    assert "topped up: rare (16 rows to train on, 20 to test);" in plan.lines()[2]
    assert np.isfinite(plan.design.detectable)


@pytest.mark.parametrize(
    ("learner", "repeats", "seeds"),
    [("logistic", None, 1), ("logistic", 2, 2), (RandomForestClassifier(3), None, 3)],
)
def test_a_learner_that_ignores_its_seed_is_judged_once_on_a_test_set(
    learner: Any, repeats: int | None, seeds: int
) -> None:
    asked = changed(ASKED, learner=learner, generator=Noisy(), repeats=repeats)
    plan = prepare(table(), asked, test=table(OF_TEST, seed=1))
    protocol = plan.design.protocol
    assert (protocol.repeats, len(protocol.splits)) == (seeds, seeds)
    assert np.isfinite(plan.design.detectable)
    assert ("gives the same with another" in " ".join(plan.notes)) is (seeds == 1)


def test_rows_that_repeat_a_test_row_do_not_train() -> None:
    data, test = table(), table(OF_TEST, seed=1)
    twice = replace(test, rows=test.frame.copy())
    twice.frame.iloc[:5] = data.frame.iloc[:5]
    asked = changed(ASKED, group_duplicates=True)
    split = prepare(data, asked, test=twice).design.protocol.splits[0]
    assert len(split.train) == len(data) - 5
    assert len(split.test) == len(test)


def test_groups_of_both_sets_are_apart_and_ids_are_unique() -> None:
    data = replace(table(), groups=np.arange(76) // 2)
    both, tested = with_test_rows(data, replace(table(OF_TEST), groups=np.full(70, 3)))
    assert tested.sum() == 70
    assert set(both.groups[tested]) == {41}
    assert len(set(both.ids)) == 146
    assert with_test_rows(table(), table(OF_TEST))[0].groups is None


def other_classes() -> Labelled:
    return table({"common": 20, "odd": 9})


def fewer_columns() -> Labelled:
    return replace(table(OF_TEST), rows=table(OF_TEST).frame.drop(columns=["b", "level"]))


def other_cells() -> Labelled:
    rows = table(OF_TEST)
    return replace(rows, rows=rows.frame.assign(c=rows.frame["level"]))


@pytest.mark.parametrize(
    ("test", "says"),
    [
        (other_cells, "'c' holds numbers, such as .* and texts, such as"),
        (other_classes, "of the classes odd, which"),
        (fewer_columns, "lack the columns b, level"),
    ],
)
def test_a_test_set_of_another_kind_is_refused(test, says) -> None:
    with pytest.raises(DataError, match=says):
        with_test_rows(table(), test())


def test_images_of_another_size_are_refused() -> None:
    few = pictures({"a": 5, "b": 5})
    with pytest.raises(DataError, match="the shape"):
        with_test_rows(few, replace(few, rows=np.zeros((10, 9, 8, 1), np.uint8)))


def test_folds_and_ranks_are_refused_with_a_test_set() -> None:
    with pytest.raises(UsageError, match="a test set is given"):
        plan_protocol(table(), ["rare"], folds=3, tested=np.arange(76) > 50)
    with pytest.raises(UsageError, match="no interval on a separate test set"):
        prepare(table(), changed(ASKED, metric="average_precision"), test=table(OF_TEST))


def test_python_takes_a_test_set_as_it_takes_data() -> None:
    data, test = table(), table(OF_TEST, seed=1)
    (X, y), (of_test, y_test) = (
        (rows.frame, np.array(rows.names)[rows.labels]) for rows in (data, test)
    )
    asked = {"learner": "logistic", "arms": "oversample", "steps": 2, "repeats": 1, "force": True}
    found = gan_augment.evaluate(X, y, test=(of_test, y_test), diagnostics=False, **asked)
    assert found.to_dict()["arms"]["none"]["rows"]["rare"]["real"] == 16
    counts = np.array(found.to_dict()["arms"]["gan"]["confusion"]["default"])
    assert counts.sum(axis=1).tolist() == [50, 20]
    assert found.to_dict()["data"]["classes"] == data.counts  # those that are learned from
