"""`augment_loader`: settings kept, samplers by the stated rules, epochs of the same length."""

from __future__ import annotations

import inspect
import logging
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sklearn.linear_model import LogisticRegression
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    DistributedSampler,
    RandomSampler,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
)
from torch_items import add_noise

from gan_augment import (
    AugmentedDataset,
    FitOptions,
    FrozenFeatures,
    GANAugmenter,
    ImageGAN,
    Repeats,
    augment_loader,
    make_pipeline,
)
from gan_augment.errors import UsageError
from gan_augment.progress import TerminalProgress
from gan_augment.torch_api.dataset import BalancedSampler, balanced_draw

pytestmark = pytest.mark.usefixtures("global_generators_stay")


class Folder(Dataset):
    """What torchvision's ImageFolder is: a folder a class, `samples`, `targets` and `classes`."""

    def __init__(self, root: Path) -> None:
        self.classes = sorted(entry.name for entry in root.iterdir() if entry.is_dir())
        found = [(p, k) for k, c in enumerate(self.classes) for p in sorted((root / c).iterdir())]
        self.samples = [(str(path), number) for path, number in found]
        self.targets = [number for _, number in found]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        path, number = self.samples[row]
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"), dtype=np.float32) / 255
        return torch.from_numpy(pixels).permute(2, 0, 1), number


def drawn(loader: DataLoader) -> list[int]:
    """The items of one pass, by number."""
    return list(loader.sampler)


@pytest.mark.slow
@pytest.mark.parametrize(
    "augmenter",
    [
        GANAugmenter(steps=100, n_jobs=1, random_state=0, options=FitOptions(selection=False)),
        ImageGAN(steps=100, threads=1, selection=False),
    ],
)
def test_a_fit_says_what_is_trained_and_how_long_it_takes(
    augmenter, images, monkeypatch, capsys
) -> None:
    monkeypatch.setattr(logging.root, "handlers", [])
    monkeypatch.setattr(TerminalProgress, "every_s", 0.0)
    AugmentedDataset(images, augmenter)
    said = capsys.readouterr().err
    assert f"fitting {type(augmenter).__name__} on 56 images of 3 classes, 8 x 8 px" in said
    assert re.search(r"training: \d+ of 100, .*\d:\d\d left", said)
    assert not logging.getLogger("gan_augment").handlers


def test_an_epoch_is_as_long_and_balanced(images: TensorDataset, gan: ImageGAN) -> None:
    old = DataLoader(images, batch_size=8, shuffle=True)
    new = augment_loader(old, gan, companions=False, classes=["3", "7"])
    assert len(new) == len(old)
    assert len(new.sampler) == len(images)
    for _ in range(3):
        labels = torch.cat([y for _, y in new]).bincount(minlength=8)
        assert sorted(labels[[0, 3, 7]].tolist()) == [18, 19, 19]  # 56 by three


def test_an_image_folder_goes_through_a_frozen_network_and_through_a_loader_as_it_is(
    tmp_path: Path,
) -> None:
    rng = np.random.default_rng(0)
    for name, count in {"cat": 20, "dog": 4}.items():
        (tmp_path / name).mkdir()
        for i in range(count):
            pixels = rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{i:02d}.jpg")
    (tmp_path / "manifest.csv").write_text("path,label\n")  # as `augment` writes one: no class
    folder = Folder(tmp_path)
    paths, numbers = zip(*folder.samples, strict=True)
    network = FrozenFeatures(torch.nn.Conv2d(3, 4, 3), image_size=16)
    model = make_pipeline(network, LogisticRegression())
    model.fit(list(paths), [folder.classes[number] for number in numbers])
    assert model.predict(list(paths)).shape == (24,)
    loader = augment_loader(DataLoader(folder, batch_size=8, shuffle=True), Repeats())
    images, labels = map(torch.cat, zip(*loader, strict=True))
    assert (images.shape, images.dtype) == ((24, 3, 12, 16), torch.float32)
    assert labels.bincount().tolist() == [12, 12]


def test_no_item_comes_twice_in_an_epoch_and_epochs_differ(images: TensorDataset) -> None:
    loader = augment_loader(DataLoader(images, shuffle=True), Repeats())
    epochs = [drawn(loader) for _ in range(3)]
    assert all(len(set(items)) == len(items) == 56 for items in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    loader.sampler.set_epoch(1)
    assert [drawn(loader), drawn(loader)] == epochs[1:]


def test_the_length_may_be_asked_for(images: TensorDataset) -> None:
    old = DataLoader(images, batch_size=10, shuffle=True)
    every = augment_loader(old, Repeats(), length="all")
    assert sorted(drawn(every)) == list(range(len(every.dataset)))
    assert len(drawn(augment_loader(old, Repeats(), length=7))) == 7
    for length in (0, 1.5, "some"):
        with pytest.raises(UsageError, match="length"):
            augment_loader(old, Repeats(), length=length)


def test_every_setting_is_kept(images: TensorDataset) -> None:
    settings = {
        "batch_size": 7,
        "num_workers": 2,
        "collate_fn": list,
        "pin_memory": True,
        "drop_last": True,
        "timeout": 30,
        "worker_init_fn": print,
        "multiprocessing_context": "spawn",
        "generator": torch.Generator(),
        "prefetch_factor": 3,
        "persistent_workers": True,
        "pin_memory_device": "cpu",
        "in_order": False,
    }
    ours = {"self", "dataset", "shuffle", "sampler", "batch_sampler"}
    assert set(settings) == set(inspect.signature(DataLoader.__init__).parameters) - ours
    old = DataLoader(images, shuffle=True, **settings)
    new = augment_loader(old, Repeats())
    for name in settings:
        assert getattr(new, name) == getattr(old, name), name
    assert type(new.batch_sampler) is BatchSampler


LOADERS = {  # a loader of 56 images, and the sizes of the batches of one pass
    "single items": (lambda d: DataLoader(d, batch_size=None, shuffle=True), [1] * 56),
    "a number of samples": (
        lambda d: DataLoader(
            d, batch_size=11, sampler=RandomSampler(d, replacement=True, num_samples=33)
        ),
        [11] * 3,
    ),
}


@pytest.mark.parametrize("name", LOADERS)
def test_batches_and_the_number_of_samples_are_kept(images: TensorDataset, name: str) -> None:
    make, sizes = LOADERS[name]
    new = augment_loader(make(images), Repeats())
    assert [torch.as_tensor(y).numel() for _, y in new] == sizes


def test_a_subsets_rows_alone_are_used_and_fitted(images: TensorDataset) -> None:
    rows = [i for i, (_, y) in enumerate(images) if y != 7 or i % 2]
    model = Repeats()
    new = augment_loader(
        DataLoader(images, sampler=SubsetRandomSampler(rows)), model, classes=[3], length="all"
    )
    assert sum(model.classes_.values()) == len(rows)
    assert (new.dataset.origin == "real").sum() == len(rows)
    left_out = [x for i, (x, _) in enumerate(images) if i not in rows]
    shown = [x for batch, _ in new for x in batch]
    assert not any(torch.equal(x, one) for x in shown for one in left_out)


def test_other_samplers_are_refused_with_the_way_out(images: TensorDataset) -> None:
    class Mine(RandomSampler):
        pass

    class Loader(DataLoader):
        pass

    odd = [
        DataLoader(images),  # in order, as one for validation
        DataLoader(images, sampler=WeightedRandomSampler([1.0] * 56, 40)),
        DataLoader(images, sampler=DistributedSampler(images, 3, 0)),
        DataLoader(images, sampler=Mine(images)),
        DataLoader(images, sampler=[1, 2, 3]),
        DataLoader(images, batch_sampler=[[1, 2], [3]]),
        DataLoader(images, batch_sampler=BatchSampler(RandomSampler(images), 2, False)),
        DataLoader(images, sampler=BatchSampler(RandomSampler(images), 2, False), batch_size=None),
        Loader(images),
    ]
    for loader in odd:
        with pytest.raises(UsageError, match=r"sampler=dataset\.sampler\(\)"):
            augment_loader(loader, Repeats())


def test_what_is_no_loader_of_items_is_refused(images: TensorDataset) -> None:
    with pytest.raises(UsageError, match="use AugmentedDataset"):
        augment_loader(images, Repeats())
    again = augment_loader(DataLoader(images, shuffle=True), Repeats())
    with pytest.raises(UsageError, match="cannot draw added items"):
        augment_loader(again, Repeats())


def test_the_way_out_works(images: TensorDataset) -> None:
    data = AugmentedDataset(images, Repeats())
    weights = 1 / torch.bincount(torch.as_tensor(data.targets))[torch.as_tensor(data.targets)]
    own = DataLoader(data, sampler=WeightedRandomSampler(weights.double(), 30), batch_size=10)
    assert len(list(own)) == 3
    counted = DataLoader(data, sampler=data.sampler(20), batch_size=10)
    assert isinstance(counted.sampler, BalancedSampler)
    assert len(list(counted)) == 2


def test_settings_of_the_dataset_are_passed_on(images: TensorDataset) -> None:
    loader = DataLoader(images, shuffle=True)
    new = augment_loader(loader, Repeats(), to=60, synthetic_share=1.0, classes=7, random_state=3)
    assert new.dataset.counts["7"]["synthetic"] == 56
    with pytest.raises(TypeError, match="classses"):
        augment_loader(loader, Repeats(), classses=7)


LABELS = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [60, 30, 11]))


@given(
    counts=st.lists(st.integers(0, 40), min_size=1, max_size=6).filter(any),
    share=st.floats(0.01, 1),
)
def test_every_class_gets_its_share_and_no_item_twice(counts, share) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    length = max(1, int(share * len(labels)))
    items = balanced_draw(labels, 1, 0, length)
    assert len(items) == length == len(set(items.tolist()))
    exact = np.array(counts) * length / len(labels)
    held = np.bincount(labels[items], minlength=len(counts))
    assert (np.abs(held - exact) < 1).all()


def test_more_draws_than_items_are_whole_passes_first() -> None:
    items = balanced_draw(LABELS, 0, 0, 250)
    assert set(np.bincount(items, minlength=101).tolist()) == {2, 3}
    assert len(items) == 250


def settings(method: str | None) -> dict:
    """Arguments of a loader with two workers of a start method."""
    if method is None:
        return {}
    context = {"multiprocessing_context": method, "persistent_workers": True, "timeout": 300}
    return {"num_workers": 2, **context}


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_items_do_not_depend_on_workers_start_method_or_batch_size(
    method: str, images: TensorDataset, gan: ImageGAN
) -> None:
    def epochs(batch: int, method: str | None) -> list[np.ndarray]:
        old = DataLoader(images, batch, shuffle=True, **settings(method))
        loader = augment_loader(old, gan)
        return [torch.cat([x for x, _ in loader]).numpy() for _ in range(3)]

    alone = epochs(8, None)
    np.testing.assert_array_equal(alone, epochs(5, method))
    assert not np.array_equal(alone[0], alone[1])


@pytest.mark.slow
def test_workers_transform_with_generators_of_their_own(images: TensorDataset) -> None:
    def first(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        old = DataLoader(images, 8, shuffle=True, **settings("fork"))
        return next(iter(augment_loader(old, Repeats(), transform=add_noise)))[0]

    assert torch.equal(first(0), first(0))
    assert not torch.equal(first(0), first(1))
