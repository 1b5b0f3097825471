"""Torch datasets as labelled data, and the format of their items."""

from __future__ import annotations

from collections import OrderedDict, namedtuple

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
)
from torch_items import Items, read_dataset

from gan_augment.errors import DataError, UsageError
from gan_augment.torch_api.read import describe_dataset

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
ROWS = 20


def levels(channels: int = 3, shape: tuple[int, int] = (12, 10)) -> np.ndarray:
    """uint8 (20, H, W, C)."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (ROWS, *shape, channels), dtype=np.uint8)


def first(x: np.ndarray) -> torch.Tensor:
    """Channels first."""
    return torch.from_numpy(x).permute(0, 3, 1, 2).contiguous()


def normalised(x: np.ndarray) -> torch.Tensor:
    """As ToTensor and Normalize leave images."""
    mean, std = torch.tensor(MEAN).view(-1, 1, 1), torch.tensor(STD).view(-1, 1, 1)
    return first(x).float().div(255).sub(mean).div(std)


def pil(mode: str) -> list[Image.Image]:
    return [Image.fromarray(image).convert(mode) for image in levels()]


Y = [0] * 15 + [3] * 5
PICTURES = {
    "uint8 tensors": (list(first(levels())), None),
    "float tensors": (list(first(levels()).float().div(255)), None),
    "float 0..255 tensors": (list(first(levels()).float()), None),
    "int64 tensors": (list(first(levels()).long()), None),
    "normalised tensors": (list(normalised(levels())), (MEAN, STD)),
    "normalised halves": (list(normalised(levels()).half()), (MEAN, STD)),
    "normalised bfloat16": (list(normalised(levels()).bfloat16()), (MEAN, STD)),
    "normalised to -1..1": (list(first(levels(1)).float().div(255).sub(0.5).div(0.5)), (0.5, 0.5)),
    "normalised 0..255": (list((first(levels()).float() - 127.5) / 127.5), (127.5, 127.5)),
    "uint8 arrays": (list(levels()), None),
    "float arrays": (list((levels() / 255).astype(np.float32)), None),
    "double arrays": (list(levels() / 255), None),
    "five channels": (list(first(levels(5))), None),
    "PIL RGB": (pil("RGB"), None),
    "PIL L": (pil("L"), None),
    "PIL RGBA": (pil("RGBA"), None),
}


@pytest.mark.parametrize("name", sorted(PICTURES))
def test_pictures_come_back_as_they_were(name: str) -> None:
    pictures, normalize = PICTURES[name]
    data, form = read_dataset(list(zip(pictures, Y, strict=True)), normalize=normalize)
    assert data.pixels.dtype == np.uint8
    if name in ("float tensors", "normalised tensors", "PIL RGB", "float arrays"):
        np.testing.assert_array_equal(data.pixels, levels())
    for old, new in zip(pictures, form.picture.decode(data.pixels), strict=True):
        assert type(new) is type(old)
        if isinstance(old, Image.Image):
            assert new.mode == old.mode
            assert new.tobytes() == old.tobytes()
        elif isinstance(old, torch.Tensor):
            assert new.dtype == old.dtype
            assert torch.equal(new, old)
        else:
            assert new.dtype == old.dtype
            np.testing.assert_array_equal(new, old)


CONTAINERS = {
    "tuples": lambda x, y: (x, y),
    "lists": lambda x, y: [x, y],
    "dicts": lambda x, y: {"image": x, "label": y},
    "dicts, label first": lambda x, y: {"label": y, "image": x},
}


@pytest.mark.parametrize("name", sorted(CONTAINERS))
def test_new_items_are_held_as_the_old_ones(name: str) -> None:
    x = list(first(levels()))
    items = [CONTAINERS[name](a, b) for a, b in zip(x, Y, strict=True)]
    data, form = read_dataset(items)
    made = list(map(form.new_item, form.picture.decode(data.pixels), data.labels.tolist()))
    for old, new in zip(items, made, strict=True):
        assert type(new) is type(old)
        if isinstance(old, dict):
            old, new = ([item["image"], item["label"]] for item in (old, new))
        for a, b in zip(old, new, strict=True):
            assert torch.equal(torch.as_tensor(a), torch.as_tensor(b))


LABELS = {
    "ints": Y,
    "bools": [y > 0 for y in Y],
    "text": [f"class {y}" for y in Y],
    "whole floats": [float(y > 0) for y in Y],
    "tensors": list(torch.tensor(Y)),
    "tensors of one": list(torch.tensor(Y).view(-1, 1)),
    "numpy scalars": list(np.array(Y, dtype=np.uint8)),
    "arrays of one": list(np.array(Y).reshape(-1, 1)),
}


@pytest.mark.parametrize("name", sorted(LABELS))
def test_labels_are_of_the_items_own_type(name: str) -> None:
    values = LABELS[name]
    facts = describe_dataset(list(zip(levels(), values, strict=True)))
    made = map(facts.format.new_item, levels(), facts.labels.tolist())
    for old, (_, new) in zip(values, made, strict=True):
        assert type(new) is type(old)
        assert np.array_equal(new, old)
        assert getattr(new, "dtype", None) == getattr(old, "dtype", None)


def test_vectors_become_a_table_and_come_back() -> None:
    x = torch.randn(ROWS, 4)
    data, form = read_dataset(TensorDataset(x, torch.tensor(Y)))
    assert data.counts == {"0": 15, "3": 5}
    assert data.frame.shape == (ROWS, 4)
    made = form.picture.decode(data.frame.to_numpy(dtype=np.float32))
    assert torch.equal(torch.stack(made), x)


def test_declared_labels_spare_decoding_where_items_say_the_same() -> None:
    items = Items(list(zip(levels(), Y, strict=True)), targets=Y)
    assert describe_dataset(items).counts == {"0": 15, "3": 5}
    many = Items(items.items * 50, targets=Y * 50)
    assert describe_dataset(many).counts == {"0": 750, "3": 250}
    assert many.read < 40  # a few, however many there are
    other = Items(list(zip(levels(), ["cat"] * 15 + ["dog"] * 5, strict=True)), targets=Y)
    assert describe_dataset(other).counts == {"cat": 15, "dog": 5}  # items contradict them


def test_declared_labels_are_found_through_a_subset() -> None:
    items = Items(list(zip(levels(), Y, strict=True)), labels=np.array(Y))
    wrapped = Subset(items, [19, 0, 1])
    expected = [wrapped[i][1] for i in range(len(wrapped))]
    facts = describe_dataset(wrapped)
    assert [int(facts.names[label]) for label in facts.labels] == expected


def test_a_loaders_subset_of_rows_is_read_alone() -> None:
    data = TensorDataset(first(levels()), torch.tensor(Y))
    loader = DataLoader(data, sampler=SubsetRandomSampler(list(range(10, 20))))
    assert read_dataset(loader)[0].counts == {"0": 5, "3": 5}
    assert len(read_dataset(DataLoader(data))[0]) == ROWS


def test_large_pictures_and_those_of_several_sizes_are_read_at_a_models_size() -> None:
    x = levels(3, (96, 128))
    data, form = read_dataset(list(zip(x, Y, strict=True)))
    assert data.image_shape == (48, 64, 3)
    assert form.picture.size == (96, 128)
    assert read_dataset(list(zip(x, Y, strict=True)), image_size=(24, 32))[0].image_shape[0] == 24
    data, form = read_dataset([(Image.new("RGB", (20 + i, 20)), y) for i, y in enumerate(Y)])
    assert form.picture.varies
    assert data.image_shape == (20, 28, 3)


def test_reading_leaves_the_global_generators_alone() -> None:
    class Noisy(Dataset):
        def __len__(self) -> int:
            return 9

        def __getitem__(self, index):
            return torch.rand(1, 8, 8), index % 2

    before = torch.get_rng_state()
    with pytest.warns(UserWarning, match="random transform") as caught:
        describe_dataset(Noisy()).read()
    assert torch.equal(torch.get_rng_state(), before)
    assert len(caught) == 1
    assert caught[0].filename == __file__  # it points at the caller's line


Pair = namedtuple("Pair", ["picture", "kind"])
REFUSED = {
    "a number": (5, "expected a map-style torch Dataset"),
    "nothing": ([], "no items"),
    "no label": (TensorDataset(first(levels())), "expected a tuple or list"),
    "three parts": ([(levels()[0], 0, 1)] * 3, "expected a tuple or list"),
    "bare tensors": (first(levels()), "expected a tuple or list"),
    "a named tuple": ([Pair(levels()[0], 0)] * 3, "is a Pair"),
    "another mapping": ([OrderedDict(image=levels()[0], label=0)] * 3, "is a OrderedDict"),
    "label first": (list(zip(Y, levels(), strict=True)), "label of item 0"),
    "tensors (H, W, C)": (list(zip(torch.from_numpy(levels()), Y, strict=True)), "permute"),
    "arrays (C, H, W)": (list(zip(levels().transpose(0, 3, 1, 2), Y, strict=True)), "transpose"),
    "several labels": (TensorDataset(first(levels()), torch.ones(ROWS, 3)), "several labels"),
    "regression": (TensorDataset(torch.rand(40, 3), torch.rand(40)), "regression target"),
    "no class": (list(zip(levels(), [None] * ROWS, strict=True)), "is a NoneType"),
    "video": (
        TensorDataset(torch.rand(4, 2, 3, 8, 8), torch.ones(4)),
        "label|expected a PIL image",
    ),
    "normalised": (
        TensorDataset(normalised(levels()), torch.tensor(Y)),
        r"normalize=\(mean, std\)",
    ),
    "above 255": (TensorDataset(first(levels()).long() * 300, torch.tensor(Y)), "0..255"),
    "odd range": (TensorDataset(first(levels()) / 200, torch.tensor(Y)), "0..1 or 0..255"),
    "NaN": (TensorDataset(first(levels()) / torch.nan, torch.tensor(Y)), "NaN"),
    "two kinds": ([(levels()[0], 0), (first(levels())[0], 1)], "several types"),
    "grey without channel": ([(levels(1)[0][..., 0], 0)] * 3, "expected a PIL image"),
    "two shapes": ([(levels()[0], 0), (levels()[0][..., :1], 1)], "1 channel and others have 3"),
    "16 bit PIL": ([(Image.new("I;16", (9, 9)), 0)] * 3, "convert"),
    "CMYK": ([(Image.new("CMYK", (9, 9)), 0)] * 3, r"image.convert\('RGB'\)"),
    "which key": ([{"image": levels()[0], "y": 1}] * 2, "keys="),
}


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_cannot_be_read_is_refused_with_a_cure(name: str) -> None:
    source, message = REFUSED[name]
    with pytest.raises(DataError, match=message):
        read_dataset(source)


def test_iterable_datasets_are_refused_with_the_way_out() -> None:
    class Stream(IterableDataset):
        def __iter__(self):
            yield levels()[0], 0

    for source in (Stream(), DataLoader(Stream())):
        with pytest.raises(DataError, match="map-style dataset first"):
            read_dataset(source)


@pytest.mark.parametrize("normalize", [0.5, (0.5, 0), ([0.5, 0.5], 1), ("a", "b"), (0.5, 0.5, 0.5)])
def test_a_normalisation_that_is_none_or_another_is_refused(normalize) -> None:
    with pytest.raises(UsageError, match="normalize"):
        read_dataset(TensorDataset(normalised(levels()), torch.tensor(Y)), normalize=normalize)
    with pytest.raises(DataError, match="exactly as the dataset uses them"):
        read_dataset(TensorDataset(normalised(levels()), torch.tensor(Y)), normalize=(0.5, 0.5))


def test_keys_say_which_part_is_which() -> None:
    items = [{"foto": x, "klasse": y, "row": 1} for x, y in zip(levels(), Y, strict=True)]
    data, form = read_dataset(items, keys=("foto", "klasse"))
    assert data.counts == {"0": 15, "3": 5}
    assert form.more == ("row",)
    with pytest.raises(UsageError, match="'foto', 'klasse', 'row'; name two"):
        read_dataset(items, keys=("foto", "class"))
