"""The evaluator's splits: whole groups, forward in time, every class that can be judged."""

from __future__ import annotations

import numpy as np
import pytest

from gan_augment.errors import DataError, UsageError
from gan_augment.evaluation.design import Protocol, plan_protocol
from tests.evaluation.drawn import pictures


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
    assert (found.kind, found.folds, found.repeats, found.shared) == ("rows", 5, 3, 0.25)
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
    assert (found.kind, found.unit, found.units["bad"], found.folds) == ("groups", "groups", 8, 4)
    for split in found.splits:
        assert not set(groups[split.train]) & set(groups[split.test])


def test_a_few_repeats_do_not_turn_rows_into_groups() -> None:
    groups = np.full(75, -1)
    groups[[3, 4]] = 0
    found = plan_protocol(pictures({"good": 60, "bad": 15}, groups=groups), ["bad"], folds=5)
    assert (found.kind, found.unit, found.units["good"]) == ("groups", "rows", 59)


def test_training_always_comes_before_the_test_and_the_gap_between_is_left_out() -> None:
    data = pictures({"good": 60, "bad": 20})
    times = np.random.default_rng(0).permutation(80)
    found = plan_protocol(data, ["bad"], times=times, gap=5)
    checked(found, 80, complete=False)
    assert (found.kind, found.repeats) == ("time", 1)
    for split in found.splits:
        assert times[split.train].max() + 5 < times[split.test].min()
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
