"""`SyntheticDataset`: items from a saved run alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import ConcatDataset, DataLoader, TensorDataset
from torch_items import add_noise

from gan_augment import ImageGAN, Repeats, SyntheticDataset, TabularGAN, read_frame
from gan_augment.errors import (
    DataError,
    ModelFileError,
    NotFittedError,
    UnknownClassError,
    UsageError,
)


def test_a_saved_run_gives_the_models_images(gan: ImageGAN, tmp_path: Path) -> None:
    gan.save(tmp_path / "run" / "model")
    data = SyntheticDataset(tmp_path / "run", {"7": 5, "0": 2}, random_state=3)
    expected = gan.sample({"7": 5, "0": 2}, random_state=3).pixels.transpose(0, 3, 1, 2)
    made = torch.stack([image for image, _ in data])
    assert made.dtype == torch.float32
    assert torch.equal(made, torch.from_numpy(expected).float().div(255))
    assert [label for _, label in data] == [2] * 5 + [0] * 2 == data.targets.tolist()
    assert data.classes == ("0", "3", "7")
    assert data.counts == {"7": 5, "0": 2}


def test_one_number_is_for_the_classes_that_were_topped_up(gan: ImageGAN) -> None:
    assert SyntheticDataset(gan, 4).counts == {"7": 4}
    assert len(SyntheticDataset(gan, 4)) == 4


def test_images_may_be_normalised_and_resized(gan: ImageGAN) -> None:
    plain = SyntheticDataset(gan, 3)
    data = SyntheticDataset(gan, 3, normalize=(0.5, 0.5), image_size=(16, 12))
    assert data[0][0].shape == (1, 16, 12)
    same = SyntheticDataset(gan, 3, normalize=(0.5, 0.5))
    assert torch.equal(same[1][0], (plain[1][0] - 0.5) / 0.5)


def test_it_goes_into_loaders_and_beside_real_data(gan: ImageGAN) -> None:
    data = SyntheticDataset(gan, 8, transform=add_noise)
    real = TensorDataset(torch.rand(8, 1, 8, 8), torch.zeros(8, dtype=torch.int64))
    both = ConcatDataset([data, real])
    assert len(DataLoader(both, batch_size=4)) == 4
    loader = DataLoader(data, batch_size=4, sampler=data.sampler())
    first, second = (torch.cat([x for x, _ in loader]).sum().item() for _ in range(2))
    assert first != second  # the transform, epoch by epoch


def test_rows_of_a_table_are_vectors(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=40), "b": rng.integers(0, 9, 40)})
    read = read_frame(frame, y=["x"] * 30 + ["y"] * 10)
    TabularGAN(steps=2, device="cpu", threads=1, classes="y").fit(
        read.table, schema=read.schema
    ).save(tmp_path / "model")
    data = SyntheticDataset(tmp_path, {"y": 4})
    assert data[3][0].shape == (2,)
    assert data[3][0].dtype == torch.float32
    assert data[3][1] == 1
    with pytest.raises(UsageError, match="for images"):
        SyntheticDataset(tmp_path, {"y": 4}, image_size=(8, 8))


def test_columns_of_text_are_refused() -> None:
    frame = pd.DataFrame({"a": np.arange(12) / 7, "colour": list("rgb") * 4})
    model = Repeats().fit(read_frame(frame, y=["x"] * 8 + ["y"] * 4).table)
    with pytest.raises(DataError, match="'colour'"):
        SyntheticDataset(model, {"y": 2})


def test_what_cannot_be_drawn_is_refused(gan: ImageGAN, tmp_path: Path) -> None:
    with pytest.raises(UnknownClassError):
        SyntheticDataset(gan, {"9": 1})
    with pytest.raises(NotFittedError):
        SyntheticDataset(ImageGAN(), {"7": 1})
    with pytest.raises(ModelFileError):
        SyntheticDataset(tmp_path, {"7": 1})
    for counts in ({}, {"7": 0}, {"7": -1}, {"7": 1.5}, 0):
        with pytest.raises(UsageError):
            SyntheticDataset(gan, counts)
