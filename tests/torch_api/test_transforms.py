"""Transforms: on real and generated items alike, the same for (seed, epoch, index)."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset
from torch_items import Compose, Items, add_noise

from gan_augment import AugmentedDataset, ImageGAN, Repeats
from gan_augment.errors import UsageError


def stacked(data: AugmentedDataset) -> torch.Tensor:
    """The images of all items, batch by batch."""
    return torch.stack([image for image, _ in data.__getitems__(list(range(len(data))))])


@pytest.mark.parametrize("transform", [add_noise, Compose()])
def test_real_and_generated_items_are_transformed(transform, images, gan: ImageGAN) -> None:
    plain = AugmentedDataset(images, gan)
    changed = AugmentedDataset(images, gan, transform=transform)
    moved = (stacked(plain) != stacked(changed)).flatten(1).any(1).numpy()
    assert moved[plain.origin == "real"].all()
    assert moved[plain.synthetic_mask].all()
    assert moved[plain.origin == "repeat"].all()


@pytest.mark.parametrize("transform", [add_noise, Compose()])
def test_an_item_depends_on_seed_epoch_and_index_only(transform, images, gan: ImageGAN) -> None:
    data = AugmentedDataset(images, gan, transform=transform, random_state=3)
    whole = stacked(data)
    for i in (0, 7, len(data) - 1, -1):
        torch.rand(3), random.random(), np.random.rand()  # noqa: NPY002
        assert torch.equal(data[i][0], whole[i])
        assert torch.equal(data[(0, i)][0], whole[i])
        assert not torch.equal(data[(1, i)][0], whole[i])
    assert not torch.equal(stacked(AugmentedDataset(images, gan, transform=transform)), whole)
    data.set_epoch(1)
    assert torch.equal(data[5][0], data[(1, 5)][0])


def test_repeats_of_one_item_are_transformed_each_in_its_own_way(images) -> None:
    data = AugmentedDataset(images, Repeats(), synthetic_share=0, transform=add_noise)
    repeats = stacked(data)[data.origin == "repeat"]
    assert len({image.numpy().tobytes() for image in repeats}) == len(repeats) == 36


def test_the_callers_generators_are_where_they_were(images) -> None:
    data = AugmentedDataset(images, Repeats(), transform=add_noise)
    random.seed(5), np.random.seed(5), torch.manual_seed(5)  # noqa: NPY002
    expected = random.random(), np.random.rand(), torch.rand(()).item()  # noqa: NPY002
    random.seed(5), np.random.seed(5), torch.manual_seed(5)  # noqa: NPY002
    stacked(data)
    assert expected == (random.random(), np.random.rand(), torch.rand(()).item())  # noqa: NPY002


def test_a_transform_that_fails_leaves_the_generators_too(images) -> None:
    def fails(image):
        torch.rand(1)
        raise ZeroDivisionError

    data = AugmentedDataset(images, Repeats(), transform=fails)
    before = torch.get_rng_state()
    with pytest.raises(ZeroDivisionError):
        data[0]
    assert torch.equal(torch.get_rng_state(), before)


def test_what_a_compose_leaves_as_uint8_is_of_the_items_kind(images, gan: ImageGAN) -> None:
    mean_std = (0.5, 0.5)
    x, y = images.tensors
    data = AugmentedDataset(
        TensorDataset((x - 0.5) / 0.5, y), gan, normalize=mean_std, transform=Compose()
    )
    for image in (data[0][0], data[-1][0]):
        assert image.dtype == torch.float32
        assert -1 <= float(image.min()) < 0 < float(image.max()) <= 1
    plain = AugmentedDataset(TensorDataset((x - 0.5) / 0.5, y), gan, normalize=mean_std)
    assert torch.equal(data[0][0][:, 2:], plain[0][0][:, 2:])  # Compose changes two lines only


def test_what_else_a_compose_makes_is_taken_as_it_is(images) -> None:
    data = AugmentedDataset(images, Repeats(), transform=Compose(np.float64))
    for image in (data[0][0], data[-1][0]):
        assert isinstance(image, np.ndarray)
        assert image.dtype == np.float64
        assert image.shape == (8, 8, 1)


def test_albumentations_compose_is_seeded_item_by_item(make_images) -> None:
    from gan_augment.augment.classical import trivial_pipeline

    images = make_images(3)
    data = AugmentedDataset(images, Repeats(), transform=trivial_pipeline((8, 8, 3)))
    assert torch.equal(stacked(data), stacked(data))
    assert (stacked(data)[:56] != images.tensors[0]).flatten(1).any(1).float().mean() > 0.7


def test_vectors_take_callables_but_no_compose() -> None:
    vectors = TensorDataset(torch.rand(30, 3), torch.tensor([0] * 25 + [1] * 5))
    data = AugmentedDataset(vectors, Repeats(), transform=lambda row: row * 0)
    assert not stacked(data).any()
    with pytest.raises(UsageError, match="vectors"):
        AugmentedDataset(vectors, Repeats(), transform=Compose())


def test_the_wrapped_datasets_items_are_not_changed(images) -> None:
    items = Items([{"image": x.clone(), "label": int(y)} for x, y in images])
    before = [item["image"].clone() for item in items.items]
    data = AugmentedDataset(items, Repeats(), transform=lambda image: image + 1)
    stacked_images = [item["image"] for item in data]
    assert float(stacked_images[0].max()) > 1
    assert all(torch.equal(a["image"], b) for a, b in zip(items.items, before, strict=True))
