"""The small CNN learns, repeats itself byte for byte, and leaves its arguments unchanged."""

import numpy as np
import pytest
import torch
from torch.nn import CrossEntropyLoss
from torch.nn.functional import cross_entropy

from gan_augment import classifier as small_cnn
from gan_augment.augment.mixing import paste
from gan_augment.classifier import random_features, shift_and_light, train_classifier
from gan_augment.errors import DataError
from gan_augment.evaluation.learners import EVEN_PARTS
from gan_augment.kinds.image import IMAGE
from gan_augment.kinds.kind import Labelled
from gan_augment.losses.imbalance import LogitAdjustedLoss


def stripes(
    counts: tuple[int, ...] = (20, 20), shape: tuple[int, int, int] = (12, 10, 1)
) -> Labelled:
    """Class 0 has horizontal stripes, class 1 vertical ones; noise on both."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(len(counts)), counts)
    rows, columns = np.indices(shape[:2])
    waves = [np.where(axis % 4 < 2, 60, 190) for axis in (rows, columns)]
    clean = np.stack([waves[label] for label in labels])[..., None]
    pixels = (clean + rng.integers(-40, 40, size=(len(labels), *shape))).astype(np.uint8)
    names = tuple(f"class {k}" for k in range(len(counts)))
    return IMAGE.of(
        pixels, labels, np.array([f"{i}" for i in range(len(labels))]), class_names=names
    )


@pytest.mark.parametrize(
    ("mix", "steps", "least"),
    [(None, 30, 0.95), ("mixup", 60, 0.9), ("cmo", 60, 0.9), ("deferred", 60, 0.9)],
)
def test_it_learns_obvious_classes(mix: small_cnn.Mix | None, steps: int, least: float) -> None:
    trained = train_classifier(
        stripes(), steps=steps, seed=0, batch=16, balanced=mix is None, mix=mix
    )
    other = stripes((30, 30))
    assert (trained.predict(other.pixels) == other.labels).mean() > least


@pytest.mark.parametrize("mix", [None, "mixup", "cmo", "deferred"])
def test_the_same_arguments_give_the_same_bytes_and_another_seed_others(mix) -> None:
    data = stripes()
    before, global_state = data.pixels.copy(), torch.get_rng_state()
    trained = (
        train_classifier(data, steps=4, seed=s, batch=8, balanced=mix is None, mix=mix)
        for s in (0, 0, 1)
    )
    first, again, other = (classifier.logits(data.pixels).tobytes() for classifier in trained)
    assert first == again != other
    assert torch.equal(torch.get_rng_state(), global_state)
    assert (data.pixels == before).all()


def test_random_features_depend_only_on_the_seed() -> None:
    data = stripes((20, 10), (8, 8, 3))
    first, again, other = (random_features((8, 8, 3), seed=s)(data.pixels) for s in (5, 5, 6))
    assert first.tobytes() == again.tobytes()
    assert np.allclose(first[:7], random_features((8, 8, 3), seed=5)(data.pixels[:7]), atol=1e-5)
    assert not np.allclose(first, other)


@pytest.mark.parametrize("shape", [(8, 8, 1), (8, 13, 3), (21, 28, 4), (64, 48, 2), (9, 70, 5)])
def test_any_size_and_channels_from_eight_px_work(shape: tuple[int, int, int]) -> None:
    data = stripes((3, 3), shape)
    classifier = train_classifier(data, steps=1, seed=0, batch=6)
    assert classifier.features(data.pixels).shape == (6, 128)
    assert classifier.logits(data.pixels).shape == (6, 2)
    assert random_features(shape, seed=0)(data.pixels).shape == (6, 256)
    assert classifier.predict(data.pixels[:0]).shape == (0,)


def shown(data: Labelled, **settings) -> list[list[bytes]]:
    """Return the rows of every batch that a classifier learns from."""
    batches: list[list[bytes]] = []

    def watch(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        batches.append([row.tobytes() for row in pixels])
        return pixels

    train_classifier(data, seed=0, augment=watch, **settings)
    return batches


def test_balanced_batches_draw_classes_equally_often_and_unbalanced_ones_rows() -> None:
    data = stripes((97, 3))
    rare = {row.tobytes() for row in data.pixels[97:]}
    seen = [row for batch in shown(data, steps=10, batch=32) for row in batch]
    assert 0.35 < np.mean([row in rare for row in seen]) < 0.65
    data = stripes((9, 3))
    seen = [row for batch in shown(data, steps=6, batch=8, balanced=False) for row in batch]
    assert sorted(seen.count(row.tobytes()) for row in data.pixels) == [4] * 12


def test_patches_come_from_every_class_equally_often() -> None:
    data = stripes((90, 10))
    rare = {row.tobytes() for row in data.pixels[data.labels == 1]}
    batches = shown(data, steps=40, balanced=False, mix="cmo")
    shares = [np.mean([row in rare for row in batch]) for batch in batches]
    patches = [share for share in shares if share > 0.3]
    assert 10 < len(patches) < 30  # half of 40 batches
    assert np.mean(patches) == pytest.approx(0.5, abs=0.05)
    assert np.mean([share for share in shares if share <= 0.3]) == pytest.approx(0.1, abs=0.03)


def test_deferred_rebalancing_ends_on_the_rows_as_they_are_at_a_tenth_of_the_rate() -> None:
    data, targets = stripes((97, 3)), list[torch.dtype]()

    def loss(logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        targets.append(y.dtype)
        return cross_entropy(logits, y)

    rare = {row.tobytes() for row in data.pixels[97:]}
    batches = shown(data, steps=10, batch=32, balanced=False, mix="deferred", loss_of=loss)
    shares = [np.mean([row in rare for row in batch]) for batch in batches]
    assert np.mean(shares[:7]) == pytest.approx(0.5, abs=0.15)
    assert np.mean(shares[7:]) < 0.1
    assert targets == [torch.int64] * 3  # the mixed batches before have a loss of their own
    rates = [small_cnn._rate_factor(step, 10, first=7) for step in range(10)]
    assert rates[0] == 1.0 > rates[6]
    assert rates[7:] == [0.1 * small_cnn._rate_factor(step, 3) for step in range(3)]


def test_weights_move_the_classifier_towards_a_class_and_equal_ones_change_nothing() -> None:
    data = stripes((30, 6))
    plain, even, towards = (
        train_classifier(data, steps=5, seed=0, batch=12, balanced=False, loss_of=loss)
        for loss in (CrossEntropyLoss(w) for w in (None, torch.ones(2), torch.tensor([1.0, 9.0])))
    )
    assert plain.logits(data.pixels).tobytes() == even.logits(data.pixels).tobytes()
    gap = np.array([1, -1])
    assert (towards.logits(data.pixels) @ gap).mean() < (plain.logits(data.pixels) @ gap).mean()


def test_a_class_may_have_no_rows_and_one_image_is_an_error() -> None:
    data = stripes((4, 0))
    assert set(train_classifier(data, steps=3, seed=0, batch=4).predict(data.pixels)) == {0}
    with pytest.raises(DataError, match="two images"):
        train_classifier(data.take([0]), steps=1, seed=0)


def test_shifts_keep_shape_and_caller_and_move_at_least_one_pixel() -> None:
    pixels = np.zeros((50, 8, 8, 1), np.uint8)
    pixels[:, 3, 3] = 200
    moved = shift_and_light(pixels, np.random.default_rng(0))
    assert pixels[0, 3, 3, 0] == 200
    assert (moved.shape, moved.dtype) == (pixels.shape, np.uint8)
    brightest = {np.unravel_index(m[..., 0].argmax(), (8, 8)) for m in moved}
    assert brightest == {(y, x) for y in (2, 3, 4) for x in (2, 3, 4)}


def test_the_first_update_of_balanced_softmax_is_that_of_its_equation() -> None:
    data = stripes((6, 2))
    trained = train_classifier(
        data,
        steps=1,
        seed=0,
        batch=8,
        balanced=False,
        loss_of=LogitAdjustedLoss([6, 2]),
        augment=None,
    )
    # the head begins at 0: the gradient of -log(n_y e^0 / sum n e^0) by a bias is p - y, of a
    # share p = n / N; AdamW's first step goes against its sign, and is 0 where shares are hit
    head = trained.network[1]
    assert abs(head.bias.detach().numpy()).max() < 1e-6
    plain = train_classifier(data, steps=1, seed=0, batch=8, balanced=False, augment=None)
    assert np.sign(plain.network[1].bias.detach().numpy()).tolist() == [1, -1]


def test_the_part_of_pasted_patches_is_what_decisions_are_corrected_by() -> None:
    x, others = torch.zeros(1, 1, 32, 32), torch.ones(1, 1, 32, 32)
    rngs = (np.random.default_rng(seed) for seed in range(2000))
    areas = [1 - paste(x, others, rng)[1] for rng in rngs]
    assert EVEN_PARTS["cmo"] == pytest.approx(0.5 * 0.97 * np.mean(areas), abs=0.01)
