"""Held-out rows: from large classes only, whole groups, decided by ids."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gan_augment.data.contract import LabelledImages
from gan_augment.data.splits import fold_of_rows, hold_out


def _data(labels, groups=None, order=None):
    labels = np.asarray(labels, dtype=np.int64)
    data = LabelledImages(
        pixels=np.zeros((len(labels), 8, 8, 1), np.uint8),
        labels=labels,
        ids=np.array([f"id-{i}" for i in range(len(labels))]),
        groups=None if groups is None else np.asarray(groups, dtype=np.int64),
    )
    return data if order is None else data.take(order)


def test_only_classes_of_a_hundred_rows_give_some_and_at_most_two_hundred():
    train, held = hold_out(_data([0] * 99 + [1] * 100 + [2] * 2500), seed=0)
    labels = _data([0] * 99 + [1] * 100 + [2] * 2500).labels
    assert np.bincount(labels[held], minlength=3).tolist() == [0, 10, 200]
    assert np.array_equal(np.sort(np.concatenate([train, held])), np.arange(2699))


def test_the_same_seed_holds_out_the_same_ids_whatever_the_order():
    order = np.random.default_rng(0).permutation(400)
    data, shuffled = _data([0] * 200 + [1] * 200), _data([0] * 200 + [1] * 200, order=order)
    ids = set(data.ids[hold_out(data, seed=3)[1]])
    assert set(shuffled.ids[hold_out(shuffled, seed=3)[1]]) == ids
    assert set(data.ids[hold_out(data, seed=4)[1]]) != ids


def test_more_rows_of_other_classes_leave_the_choice_alone():
    few, more = _data([0] * 150), _data([0] * 150 + [1] * 150)
    assert set(hold_out(few, seed=0)[1]) <= set(hold_out(more, seed=0)[1])


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(-1, 30)), min_size=1, max_size=300))
def test_groups_stay_whole_and_quotas_hold(rows):
    labels, groups = zip(*rows, strict=True)
    data = _data(labels, groups)
    train, held = hold_out(data, seed=1, share=0.2, smallest=20, most=9)
    assert np.array_equal(np.sort(np.concatenate([train, held])), np.arange(len(data)))
    split = set(data.groups[train]) & set(data.groups[held])
    assert split <= {-1}
    sizes, taken = np.bincount(labels, minlength=3), np.bincount(data.labels[held], minlength=3)
    assert (taken <= np.where(sizes < 20, 0, np.minimum(np.floor(0.2 * sizes + 0.5), 9))).all()


def test_a_class_that_is_one_group_is_not_held_out():
    train, held = hold_out(_data([0] * 150, groups=[7] * 150), seed=0)
    assert len(held) == 0
    assert len(train) == 150


def test_folds_deal_every_class_out_evenly():
    labels = np.repeat([0, 1, 2], [100, 20, 2])
    folds = fold_of_rows(labels, None, folds=3, seed=0)
    for label, n in enumerate([100, 20, 2]):
        dealt = np.bincount(folds[labels == label], minlength=3)
        assert dealt.sum() == n
        assert np.ptp(dealt) <= 1


@given(
    rows=st.lists(st.tuples(st.integers(0, 3), st.integers(-1, 5)), min_size=1, max_size=60),
    folds=st.integers(2, 4),
)
def test_folds_keep_groups_whole(rows, folds):
    labels, groups = np.array(rows, dtype=np.int64).T
    dealt = fold_of_rows(labels, groups, folds=folds, seed=0)
    assert dealt.shape == labels.shape
    assert ((dealt >= 0) & (dealt < folds)).all()
    for group in set(groups[groups >= 0].tolist()):
        assert len(set(dealt[groups == group].tolist())) == 1


def test_folds_are_a_function_of_the_seed():
    labels = np.repeat([0, 1], [60, 9])
    one, two, three = (fold_of_rows(labels, None, folds=3, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, three)
