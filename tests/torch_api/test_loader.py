"""`augment_loader`: settings kept, samplers by the stated rules, epochs of the same length."""

from __future__ import annotations

import inspect
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    DistributedSampler,
    RandomSampler,
    Sampler,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
)
from torch_items import Items

from gan_augment import (
    AugmentedDataset,
    FrozenFeatures,
    GANAugmenter,
    ImageGAN,
    Repeats,
    augment_loader,
    make_pipeline,
)
from gan_augment.errors import UsageError
from gan_augment.torch_api.samplers import BalancedSampler

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


def collate(items):
    return items


def drawn(loader: DataLoader) -> list[int]:
    """The items of one pass, by number."""
    return [item for _, item in loader.sampler]


def test_a_mild_imbalance_is_evened_out_as_the_augmenter_says() -> None:
    data = TensorDataset(torch.rand(50, 1, 8, 8), torch.tensor([0] * 30 + [1] * 20))
    augmenter = GANAugmenter(steps=2, n_jobs=1, random_state=0, companions=False, selection="off")
    loader = augment_loader(DataLoader(data, 10, shuffle=True), augmenter, companions=False)
    drawn = torch.cat([labels for _, labels in loader]).bincount()
    assert drawn.tolist() == [25, 25]


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
    assert labels.bincount().tolist() == [15, 9]


def test_no_item_comes_twice_in_an_epoch_and_epochs_differ(images: TensorDataset) -> None:
    loader = augment_loader(DataLoader(images, shuffle=True), Repeats())
    epochs = [drawn(loader) for _ in range(3)]
    assert all(len(set(items)) == len(items) == 56 for items in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    loader.sampler.set_epoch(0)
    assert drawn(loader) == epochs[0]


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
        "collate_fn": collate,
        "pin_memory": True,
        "drop_last": True,
        "timeout": 30,
        "worker_init_fn": collate,
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


def test_a_loader_without_batches_stays_one(images: TensorDataset) -> None:
    new = augment_loader(DataLoader(images, batch_size=None, shuffle=True), Repeats())
    items = list(new)
    assert len(items) == 56
    assert items[0][0].shape == (1, 8, 8)


def test_torchs_own_batch_sampler_is_kept(images: TensorDataset) -> None:
    batches = BatchSampler(RandomSampler(images), batch_size=9, drop_last=True)
    new = augment_loader(DataLoader(images, batch_sampler=batches), Repeats())
    assert [len(y) for _, y in new] == [9] * 6
    assert (new.batch_size, new.batch_sampler.batch_size) == (None, 9)


def test_a_random_sampler_gives_its_number_of_samples(images: TensorDataset) -> None:
    sampler = RandomSampler(images, replacement=True, num_samples=33)
    assert len(drawn(augment_loader(DataLoader(images, sampler=sampler), Repeats()))) == 33


def test_a_sequential_loader_is_ascending_and_warned_of(images: TensorDataset) -> None:
    with pytest.warns(UserWarning, match="is it one for validation") as caught:
        new = augment_loader(DataLoader(images), Repeats())
    assert caught[0].filename == __file__
    items = drawn(new)
    assert items == sorted(set(items))


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


def test_weights_are_replaced_and_warned_of(images: TensorDataset) -> None:
    sampler = WeightedRandomSampler([1.0] * 56, 40)
    with pytest.warns(UserWarning, match="WeightedRandomSampler is replaced"):
        new = augment_loader(DataLoader(images, sampler=sampler), Repeats())
    assert len(new.sampler) == 40


@pytest.mark.parametrize("shuffle", [True, False])
def test_a_distributed_sampler_is_made_anew(images: TensorDataset, shuffle: bool) -> None:
    parts, old = [], None
    for rank in range(3):
        old = DistributedSampler(images, 3, rank, shuffle=shuffle, seed=9)
        new = augment_loader(DataLoader(images, batch_size=4, sampler=old), Repeats()).sampler
        assert isinstance(new, DistributedSampler)
        for name in ("num_replicas", "rank", "shuffle", "seed", "drop_last", "num_samples"):
            assert getattr(new, name) == getattr(old, name)
        new.set_epoch(5)
        parts.append([item for _, item in new])
    assert len(set(chain.from_iterable(parts))) == 57  # three ranks of 19


def test_other_samplers_are_refused_with_the_way_out(images: TensorDataset) -> None:
    class Mine(RandomSampler):
        pass

    class MineInBatches(BatchSampler):
        pass

    class Loader(DataLoader):
        pass

    odd = [
        DataLoader(images, sampler=Mine(images)),
        DataLoader(images, sampler=[1, 2, 3]),
        DataLoader(images, batch_sampler=[[1, 2], [3]]),
        DataLoader(images, batch_sampler=MineInBatches(RandomSampler(images), 2, False)),
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
    with pytest.raises(UsageError, match="augmented already"):
        augment_loader(again, Repeats())


def test_the_way_out_works(images: TensorDataset) -> None:
    data = AugmentedDataset(images, Repeats(), refresh="epoch")
    weights = 1 / torch.bincount(torch.as_tensor(data.targets))[torch.as_tensor(data.targets)]
    own = DataLoader(data, sampler=WeightedRandomSampler(weights.double(), 30), batch_size=10)
    assert len(list(own)) == 3
    counted = DataLoader(data, sampler=data.sampler(20), batch_size=10)
    assert isinstance(counted.sampler, BalancedSampler)
    assert issubclass(BalancedSampler, Sampler)
    assert len(list(counted)) == 2


def test_all_that_a_dataset_takes_is_passed_on(images: TensorDataset, tmp_path: Path) -> None:
    of_dataset = inspect.signature(AugmentedDataset.__init__).parameters
    of_loader = inspect.signature(augment_loader).parameters
    shared = set(of_dataset) - {"self", "dataset", "augmenter"}
    assert set(of_loader) - shared == {"loader", "augmenter", "length"}
    for name in shared:
        assert of_loader[name].default == of_dataset[name].default
    items = Items([{"class": y, "foto": x, "row": 0} for x, y in images])
    new = augment_loader(
        DataLoader(items, shuffle=True),
        Repeats(),
        to=60,
        synthetic_share=1.0,
        companions=False,
        classes=7,
        transform=lambda image: image * 0,
        normalize=(0, 1),
        keys=("foto", "class"),
        fill={"row": 1},
        image_size=(8, 8),
        refresh="epoch",
        cache=tmp_path,
        random_state=3,
    )
    assert new.dataset.counts["7"] == {"real": 4, "repeat": 0, "synthetic": 56, "companion": 0}
    assert len(list(tmp_path.iterdir())) == 1
    label, image, extra = new.dataset[-1].values()
    assert (int(label), float(image.abs().max()), extra) == (7, 0, 1)
