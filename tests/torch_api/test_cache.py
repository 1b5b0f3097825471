"""Generated rows on disk: reused where they fit, made anew where not, two epochs at most."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from gan_augment import AugmentedDataset, ImageGAN, Repeats, SyntheticDataset, augment_loader
from gan_augment.errors import UsageError, WriteFailedError


class Counting(Repeats):
    """Tells how many rows it was asked for."""

    rows = 0

    def sample(self, counts, random_state=0):
        self.rows += sum(counts.values())
        return super().sample(counts, random_state)


def generated(data: AugmentedDataset) -> torch.Tensor:
    return torch.stack([data[int(i)][0] for i in np.flatnonzero(data.synthetic_mask)])


def test_a_given_folder_is_used_again(images: TensorDataset, tmp_path: Path) -> None:
    first = generated(AugmentedDataset(images, Repeats(), cache=tmp_path / "new" / "folder"))
    (path,) = (tmp_path / "new" / "folder").iterdir()  # which outlives the dataset
    before = path.stat().st_mtime_ns
    assert path.stat().st_mode & 0o777 == 0o600
    model = Counting()
    again = AugmentedDataset(images, model, cache=path.parent)
    assert model.rows < 30  # the few rows that tell whether it fits
    assert path.stat().st_mtime_ns == before
    assert torch.equal(first, generated(again))


@pytest.mark.parametrize("other", ["seed", "counts", "model", "damaged"])
def test_what_does_not_fit_is_made_anew(
    images: TensorDataset, gan: ImageGAN, tmp_path: Path, other: str
) -> None:
    AugmentedDataset(images, Repeats(), cache=tmp_path)
    if other == "damaged":
        (path,) = tmp_path.iterdir()
        path.write_bytes(path.read_bytes()[:200])
    model = gan if other == "model" else Repeats()
    seed, to = int(other == "seed"), 30 if other == "counts" else "majority"
    settings = {"random_state": seed, "to": to}
    cached = AugmentedDataset(images, model, cache=tmp_path, **settings)
    assert torch.equal(generated(cached), generated(AugmentedDataset(images, model, **settings)))


def test_each_epoch_has_rows_of_its_own(images: TensorDataset, gan: ImageGAN) -> None:
    data = AugmentedDataset(images, gan, refresh="epoch")
    shown = []
    for epoch in range(4):
        data.set_epoch(epoch)
        shown.append(generated(data))
        assert len(list(data._generated.folder.iterdir())) <= 2
    assert not any(torch.equal(a, b) for a, b in pairwise(shown))
    data.set_epoch(1)
    assert torch.equal(generated(data), shown[1])
    same = AugmentedDataset(images, gan)
    for epoch in (0, 3):
        same.set_epoch(epoch)
        assert torch.equal(generated(same), shown[0])
    alone = SyntheticDataset(gan, 3, refresh="epoch")
    alone.set_epoch(1)
    assert not torch.equal(alone[0][0], alone[(0, 0)][0])


def test_an_epoch_that_nobody_began_is_refused(images: TensorDataset, gan: ImageGAN) -> None:
    data = AugmentedDataset(images, gan, refresh="epoch")
    with pytest.raises(UsageError, match=r"dataset\.sampler\(\)"):
        data[(4, len(data) - 1)]
    with pytest.raises(UsageError, match="epoch -1"):
        data.set_epoch(-1)


def test_epochs_are_counted_by_the_loader(images: TensorDataset, gan: ImageGAN) -> None:
    loader = augment_loader(DataLoader(images, shuffle=True), gan, refresh="epoch", length="all")
    whole = []
    for _ in range(3):
        whole.append(torch.cat([x for x, _ in loader]).sum().item())
    assert len(set(whole)) == 3
    loader.sampler.set_epoch(0)
    assert torch.cat([x for x, _ in loader]).sum().item() == pytest.approx(whole[0])


def test_the_loaders_last_epoch_can_still_be_read_when_the_next_begins(
    images: TensorDataset, gan: ImageGAN
) -> None:
    loader = augment_loader(DataLoader(images, shuffle=True), gan, refresh="epoch")
    first, second = iter(loader), iter(loader)
    shown = [next(one) for _ in range(56) for one in (first, second)]
    assert len(shown) == 112


def test_a_folder_that_cannot_be_written_is_one_line(images: TensorDataset, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteFailedError, match="could not write") as told:
        AugmentedDataset(images, Repeats(), cache=tmp_path / "file")
    assert "\n" not in str(told.value)
