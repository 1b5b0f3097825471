"""Workers under every start method: the same items, each once, no model, no hang."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset
from torch_items import Compose, add_noise

from gan_augment import AugmentedDataset, ImageGAN, Repeats, augment_loader
from gan_augment.torch_api.samplers import balanced_draw

METHODS = ["fork", "spawn", "forkserver"]
EPOCHS = 20


@contextlib.contextmanager
def torch_threads(n: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def numbered() -> TensorDataset:
    """Vectors that say which row they are; class 1 is rare."""
    rows = torch.arange(60, dtype=torch.float32)
    x = torch.stack([rows, rows.flip(0)], dim=1)
    return TensorDataset(x, (torch.arange(60) >= 50).long())


def shown(loader: DataLoader, epochs: int) -> list[list[np.ndarray]]:
    """The items of each epoch, in order."""
    return [[x for batch, _ in loader for x in batch.numpy()] for _ in range(epochs)]


def settings(method: str | None, persistent: bool = True) -> dict:
    if method is None:
        return {}
    return {
        "num_workers": 2,
        "multiprocessing_context": method,
        "persistent_workers": persistent,
        "timeout": 300,
    }


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_twenty_epochs_without_hang_duplicate_or_gap(method: str) -> None:
    data = AugmentedDataset(numbered(), Repeats(), synthetic_share=0)
    rows = np.array([row.numpy() for row, _ in data])  # repeats are equal rows: counts tell
    plain = DataLoader(data, batch_size=7, shuffle=True, **settings(method))
    for items in shown(plain, EPOCHS):
        assert sorted(map(tuple, items)) == sorted(map(tuple, rows))
    old = DataLoader(numbered(), batch_size=7, shuffle=True, **settings(method))
    ours = augment_loader(old, Repeats(), synthetic_share=0)
    for epoch, items in enumerate(shown(ours, EPOCHS)):
        drawn = balanced_draw(data.labels, 0, epoch, 60)  # without replacement: test_draws
        np.testing.assert_array_equal(items, rows[drawn])


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_items_do_not_depend_on_workers_start_method_or_batch_size(
    method: str, images: TensorDataset, gan: ImageGAN
) -> None:
    def loader(batch: int, method: str | None, persistent: bool = True) -> DataLoader:
        old = DataLoader(images, batch, shuffle=True, **settings(method, persistent))
        return augment_loader(old, gan, transform=add_noise, refresh="epoch")

    alone = shown(loader(8, None), 3)
    for batch, persistent, epochs in ((8, True, 3), (5, False, 1)):
        beside = shown(loader(batch, method, persistent), epochs)
        for one, other in zip(alone, beside, strict=False):
            np.testing.assert_array_equal(np.stack(one), np.stack(other))
    assert not np.array_equal(np.stack(alone[0]), np.stack(alone[1]))


@pytest.mark.slow
def test_workers_may_be_forked_after_the_model_has_used_threads(images: TensorDataset) -> None:
    with torch_threads(2):
        gan = ImageGAN(steps=2, device="cpu", threads=2, selection=False)
        old = DataLoader(images, batch_size=8, shuffle=True, **settings("fork", persistent=False))
        loader = augment_loader(old, gan, refresh="epoch", transform=Compose())
        torch.rand(600, 600) @ torch.rand(600, 600)
        assert [len(items) for items in shown(loader, 3)] == [56, 56, 56]


@pytest.mark.slow
def test_albumentations_gives_the_same_in_workers(images: TensorDataset, gan: ImageGAN) -> None:
    from gan_augment.augment.classical import trivial_pipeline

    def loader(method: str | None) -> DataLoader:
        old = DataLoader(images, batch_size=8, shuffle=True, **settings(method))
        return augment_loader(old, gan, transform=trivial_pipeline((8, 8, 1)))

    for one, other in zip(shown(loader(None), 2), shown(loader("fork"), 2), strict=True):
        np.testing.assert_array_equal(np.stack(one), np.stack(other))
