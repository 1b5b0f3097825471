"""Rows of labelled data: held together, grouped, held out, dealt into folds, drawn in batches."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gan_augment.data.batches import Batches
from gan_augment.data.groups import hold_out, join_groups, judging_folds, near_duplicates
from gan_augment.kinds.image import IMAGE


def _data(labels, groups=None, order=None):
    labels = np.asarray(labels, dtype=np.int64)
    data = IMAGE.of(
        rows=np.zeros((len(labels), 8, 8, 1), np.uint8),
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
    assert not len(hold_out(_data([0] * 150, groups=[7] * 150), seed=0)[1])  # one group


def test_the_same_seed_holds_out_the_same_ids_whatever_the_order():
    order = np.random.default_rng(0).permutation(400)
    data, shuffled = _data([0] * 200 + [1] * 200), _data([0] * 200 + [1] * 200, order=order)
    ids = set(data.ids[hold_out(data, seed=3)[1]])
    assert set(shuffled.ids[hold_out(shuffled, seed=3)[1]]) == ids
    assert set(data.ids[hold_out(data, seed=4)[1]]) != ids
    alone = _data([0] * 200)  # rows of other classes leave the choice alone
    assert set(alone.ids[hold_out(alone, seed=3)[1]]) <= ids


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


@given(
    rows=st.lists(st.tuples(st.integers(0, 3), st.integers(-1, 5)), min_size=1, max_size=60),
    folds=st.integers(2, 4),
)
def test_folds_keep_groups_whole(rows, folds):
    labels, groups = np.array(rows, dtype=np.int64).T
    dealt = judging_folds(labels, groups, folds=folds, seed=0)
    assert dealt.shape == labels.shape
    assert ((dealt >= -1) & (dealt < folds)).all()
    for group in set(groups[groups >= 0].tolist()):
        assert len(set(dealt[groups == group].tolist())) == 1


def batches(counts=(90, 9, 1), power=0.5, size=64, **more) -> Batches:
    labels = np.repeat(np.arange(len(counts)), counts).astype(np.int64)
    pixels = np.zeros((len(labels), 8, 8, 1), dtype=np.uint8)
    how = {"size": size, "power": power, "padded": (8, 8), "device": torch.device("cpu")}
    return Batches(pixels, labels, len(counts), **how, **more)


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


def scenes(n: int = 40, side: int = 32, channels: int = 3, seed: int = 0) -> np.ndarray:
    """Pictures with edges and texture: bright discs on a gradient, noise smoothed over 2 px."""
    rng = np.random.default_rng(seed)
    rows, columns = np.indices((side, side))
    out = np.empty((n, side, side, channels))
    for i in range(n):
        noise = rng.normal(size=(side + 1, side + 1, 1)) * 8
        out[i] = noise[1:, 1:] + noise[:-1, 1:] + rng.uniform(60, 120)
        for _ in range(4):
            y, x, r = rng.uniform(0, side, 3)
            out[i][(rows - y) ** 2 + (columns - x) ** 2 < (r / 3) ** 2] += rng.uniform(20, 60)
    return np.clip(out, 0, 255).astype(np.uint8)


def saved_again(pixels: np.ndarray, quality: int) -> np.ndarray:
    """As a JPEG of three times the size, and back."""
    again = []
    for image in pixels:
        side = image.shape[0]
        large = Image.fromarray(image).resize((3 * side, 3 * side), Image.Resampling.BICUBIC)
        file = io.BytesIO()
        large.save(file, "JPEG", quality=quality)
        again.append(np.asarray(Image.open(file).resize((side, side), Image.Resampling.BOX)))
    return np.stack(again)


def lit(pixels: np.ndarray) -> np.ndarray:
    return np.clip(pixels * 0.9 + 12, 0, 255).astype(np.uint8)


def scaled(pixels: np.ndarray) -> np.ndarray:
    side = pixels.shape[1]
    sizes = ((4 * side, 4 * side), (round(3.6 * side),) * 2, (side, side))
    again = []
    for image in pixels:
        picture = Image.fromarray(image)
        for size in sizes:
            picture = picture.resize(size, Image.Resampling.BICUBIC)
        again.append(np.asarray(picture))
    return np.stack(again)


CHANGES = {"saved": lambda x: saved_again(x, 85), "lit": lit, "scaled": scaled}


@pytest.mark.parametrize("change", CHANGES)
def test_a_picture_saved_lit_or_scaled_anew_is_found(change: str) -> None:
    first = scenes()
    again = CHANGES[change](first[:10])
    found = near_duplicates(np.concatenate([first, again]))
    assert found == [[i, 40 + i] for i in range(10)]


def test_pictures_that_differ_are_joined_to_none() -> None:
    assert near_duplicates(scenes(300)) == []


def test_handwritten_digits_are_all_different() -> None:
    from sklearn.datasets import load_digits

    pixels = np.rint(load_digits().images * (255 / 16)).astype(np.uint8)[..., None]
    assert near_duplicates(pixels) == []


def test_three_of_one_picture_are_one_set_wherever_they_stand() -> None:
    first = scenes(6)
    order = [3, 0, 6, 1, 7, 2, 4, 5]
    all_of_them = np.concatenate([first, lit(first[:1]), saved_again(first[:1], 90)])[order]
    assert near_duplicates(all_of_them) == [[1, 2, 4]]
    groups = join_groups(8, near_duplicates(all_of_them), None)
    assert groups is not None
    assert groups.tolist() == [-1, 0, 0, -1, 0, -1, -1, -1]
