"""Which items an epoch draws: shares exact up to rounding, no item twice, by seed and epoch."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DistributedSampler

from gan_augment.torch_api.samplers import (
    BalancedSampler,
    DistributedBalancedSampler,
    balanced_draw,
)

LABELS = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [60, 30, 11]))


class Sized:
    """What is drawn from."""

    def __init__(self) -> None:
        self.labels, self.prepared = LABELS, []

    def __len__(self) -> int:
        return len(self.labels)

    def prepare(self, epoch: int) -> None:
        self.prepared.append(epoch)


@given(
    counts=st.lists(st.integers(0, 40), min_size=1, max_size=6).filter(any),
    share=st.floats(0.01, 1),
    shuffle=st.booleans(),
)
def test_every_class_gets_its_share_and_no_item_twice(counts, share, shuffle) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    length = max(1, int(share * len(labels)))
    items = balanced_draw(labels, 1, 0, length, shuffle)
    assert len(items) == length == len(set(items.tolist()))
    exact = np.array(counts) * length / len(labels)
    held = np.bincount(labels[items], minlength=len(counts))
    assert (np.abs(held - exact) < 1).all()
    assert shuffle or (np.diff(items) > 0).all()


def test_more_draws_than_items_are_whole_passes_first() -> None:
    items = balanced_draw(LABELS, 0, 0, 250)
    assert set(np.bincount(items, minlength=101).tolist()) == {2, 3}
    assert len(items) == 250


def test_draws_follow_from_seed_and_epoch() -> None:
    drawn = balanced_draw(LABELS, 0, 3, 50)
    assert (drawn == balanced_draw(LABELS, 0, 3, 50)).all()
    assert (drawn != balanced_draw(LABELS, 0, 4, 50)).any()
    assert (drawn != balanced_draw(LABELS, 1, 3, 50)).any()


def test_a_sampler_counts_the_epochs_and_makes_them_ready() -> None:
    data = Sized()
    sampler = BalancedSampler(data, 10)
    assert [{epoch for epoch, _ in sampler} for _ in range(3)] == [{0}, {1}, {2}]
    sampler.set_epoch(8)
    eighth = list(sampler)
    assert data.prepared == [0, 1, 2, 8]
    assert sampler.epoch == 9
    again = BalancedSampler(data, 10)
    again.set_epoch(8)
    assert list(again) == eighth


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("replicas", [1, 2, 3, 7])
@pytest.mark.parametrize("length", [100, 99, 101])
def test_ranks_are_disjoint_and_together_one_draw(replicas, drop_last, length) -> None:
    parts = []
    for rank in range(replicas):
        like = DistributedSampler(range(length), replicas, rank, seed=4, drop_last=drop_last)
        sampler = DistributedBalancedSampler(Sized(), length, like)
        assert len(sampler) == len(like)
        sampler.set_epoch(2)
        parts.append([item for _, item in sampler])
    sizes = {len(part) for part in parts}
    assert len(sizes) == 1
    together = list(chain.from_iterable(parts))
    most = balanced_draw(LABELS, 4, 2, len(together))
    assert sorted(together) == sorted(most.tolist())
    if len(together) <= len(LABELS):
        assert len(set(together)) == len(together)


def test_a_rank_stays_in_its_epoch_until_told() -> None:
    like = DistributedSampler(range(50), 2, 0)
    sampler = DistributedBalancedSampler(Sized(), 50, like)
    assert list(sampler) == list(sampler)
    first = list(sampler)
    sampler.set_epoch(1)
    assert list(sampler) != first
