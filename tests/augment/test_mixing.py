"""Mixup and CMO against their equations."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from gan_augment.augment.mixing import paste
from gan_augment.errors import UsageError
from gan_augment.torch_api import CMO, Mixup

Y = torch.tensor([0, 0, 1, 2])
X = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 1, 8, 8)  # the value of a row is its number


def test_mixup_takes_the_same_share_of_rows_and_labels():
    rows = torch.eye(4)
    x, y = Mixup(classes=3)(rows, Y, rng=np.random.default_rng(0))
    torch.testing.assert_close(y, x @ F.one_hot(Y).float())
    assert (x.count_nonzero(dim=1) <= 2).all()
    torch.testing.assert_close(x.sum(dim=1), torch.ones(4))


@pytest.mark.parametrize(("alpha", "variance"), [(1.0, 1 / 12), (0.2, 0.25 / 1.4)])
def test_the_share_of_mixup_follows_its_beta_distribution(alpha, variance):
    rng, mix = np.random.default_rng(0), Mixup(alpha)
    rows = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    shares = []
    while len(shares) < 2000:
        x, _ = mix(rows, rows, rng=rng)
        if not torch.equal(x, rows):  # a permutation that moves both
            shares.append(x[0, 0].item())
    assert np.mean(shares) == pytest.approx(0.5, abs=0.03)
    assert np.var(shares) == pytest.approx(variance, rel=0.1)


def test_cmo_pastes_one_box_and_mixes_labels_by_its_pixels():
    patches = X + 10, torch.tensor([2, 2, 2, 2])
    for seed in range(20):
        x, y = CMO([2, 1, 1], probability=1)(X, Y, patches, rng=np.random.default_rng(seed))
        pasted = x >= 10
        assert (pasted == pasted[:1]).all()
        rows, columns = torch.nonzero(pasted[0, 0], as_tuple=True)
        if len(rows):
            box = (rows.max() - rows.min() + 1) * (columns.max() - columns.min() + 1)
            assert box == len(rows)
        share = 1 - len(rows) / 64
        expected = share * F.one_hot(Y, 3) + (1 - share) * F.one_hot(patches[1], 3)
        torch.testing.assert_close(y, expected)


def test_a_pasted_box_is_of_the_other_images_and_its_pixels_are_the_share() -> None:
    x, others = torch.zeros(2, 3, 10, 12), torch.ones(2, 3, 10, 12)
    areas = []
    for seed in range(300):
        pasted, share = paste(x, others, np.random.default_rng(seed))
        assert float(pasted.mean()) == pytest.approx(1 - share)
        rows, columns = (pasted[0, 0].amax(axis).bool() for axis in (1, 0))
        assert pasted[0, 0].sum() == rows.sum() * columns.sum()  # one box
        areas.append(1 - share)
    assert (x == 0).all()  # the images that were given stay
    assert min(areas) < 0.02
    assert max(areas) > 0.6
    assert 0.2 < np.mean(areas) < 0.45  # half of the pixels, less what the edges cut off


def test_cmo_draws_rows_of_a_batch_inversely_to_the_rows_of_their_class():
    y = torch.tensor([0] * 9 + [1])
    x = y.view(10, 1, 1, 1).expand(10, 1, 8, 8).float() + 1
    cmo, rng = CMO([900, 100], probability=1), np.random.default_rng(0)
    drawn = []
    for _ in range(400):
        soft = cmo(x, y, rng=rng)[1]
        mixed = (soft[:9, 1] > 0).float().mean().item()
        if soft[:9, 1].max() < 1 and soft.max(dim=1).values.min() < 1:
            drawn.append(mixed)
    assert np.mean(drawn) == pytest.approx(0.5, abs=0.06)  # 1 / (9 / 900 + 1 / 100) / 100


def test_cmo_changes_the_asked_share_of_the_batches():
    cmo, rng = CMO([2, 1, 1], probability=0.3), np.random.default_rng(0)
    kept = [cmo(X, Y, rng=rng)[0] is X for _ in range(1000)]
    assert np.mean(kept) == pytest.approx(0.7, abs=0.05)


@pytest.mark.parametrize("mix", [Mixup(classes=3), CMO([2, 1, 1], probability=1)])
def test_torchs_seed_repeats_a_batch(mix):
    found = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        found.append(mix(X, Y))
    assert torch.equal(found[0][0], found[1][0])
    assert not torch.equal(found[0][0], found[2][0])


def test_what_cannot_be_mixed_is_refused():
    for call in (lambda: Mixup(0), lambda: CMO([1, 1], 1.5), lambda: Mixup()(X, Y)):
        with pytest.raises(UsageError, match=r"expected|classes=K"):
            call()
