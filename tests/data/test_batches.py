"""Training batches: a pure function of seed and step, same-class pairs, tempered shares."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gan_augment.data.batches import PairedBatches
from gan_augment.data.contract import LabelledImages


def batches(counts=(90, 9, 1), power=0.5, size=64, **more) -> PairedBatches:
    labels = np.repeat(np.arange(len(counts)), counts).astype(np.int64)
    pixels = np.zeros((len(labels), 8, 8, 1), dtype=np.uint8)
    pixels[:, 0, 0, 0] = np.arange(len(labels))
    ids = np.array([f"row-{i}" for i in range(len(labels))])
    names = tuple("abcdefgh"[: len(counts)])
    data = LabelledImages(pixels, labels, ids, class_names=names)
    device = torch.device("cpu")
    return PairedBatches(data, size=size, power=power, padded=(8, 8), device=device, **more)


def test_a_batch_is_a_function_of_seed_step_and_turn():
    one, two = batches(), batches()
    two.at(0, 99)
    assert np.array_equal(one.at(0, 5).index, two.at(0, 5).index)
    others = [(1, 5, 0), (0, 6, 0), (0, 5, 1)]
    assert not any(np.array_equal(one.at(0, 5).index, one.at(*key).index) for key in others)


def test_rows_come_in_pairs_of_one_class_and_different_rows_where_there_are_two():
    drawn = [batches().at(0, step) for step in range(30)]
    for batch in drawn:
        first, second = batch.index.reshape(-1, 2).T
        labels = batch.y.view(-1, 2)
        assert (labels[:, 0] == labels[:, 1]).all()
        lone = labels[:, 0].numpy() == 2
        assert ((first != second) | lone).all()
    assert any((batch.y == 2).any() for batch in drawn)


@pytest.mark.parametrize(
    ("power", "expected"),
    [(1, (0.9, 0.09, 0.01)), (0.5, (0.703, 0.222, 0.074)), (0, (1 / 3, 1 / 3, 1 / 3))],
)
def test_classes_are_drawn_by_their_count_to_the_power(power, expected):
    source = batches(power=power, size=512)
    labels = torch.cat([source.at(0, step).y for step in range(40)])
    shares = torch.bincount(labels, minlength=3) / len(labels)
    assert shares.tolist() == pytest.approx(expected, abs=0.02)


def test_only_the_named_rows_are_drawn():
    among = np.array([3, 4, 5, 91, 92])
    source = batches(among=among)
    drawn = np.concatenate([source.at(0, step).index for step in range(20)])
    assert set(drawn.tolist()) == set(among.tolist())


def test_pixels_and_labels_are_those_of_the_index():
    batch = batches().at(0, 0)
    pixels = (batch.x[:, 0, 0, 0] + 1) * 127.5
    assert np.allclose(pixels.numpy(), batch.index)


def test_a_class_without_rows_is_never_drawn():
    labels = batches(counts=(10, 0, 10)).at(0, 0).y
    assert 1 not in labels.tolist()
