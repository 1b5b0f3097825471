"""A share is advised where generated rows help small CNNs on rows that these did not see."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from gan_augment import ImageGAN, Repeats
from gan_augment.commands.inspect import inspect_run
from gan_augment.generators import image_gan
from gan_augment.generators.model_file import UsefulnessRecord
from gan_augment.generators.trial import _estimates, try_rows
from gan_augment.kinds.image import IMAGE
from gan_augment.kinds.kind import Labelled
from gan_augment.progress import Progress
from gan_augment.recipes import SelectionSettings, resolve_recipe

EASY = SelectionSettings(label=0, outlier=0, logit=0.4)
COUNTS = {"one": 40, "two": 40, "rare": 16}


def drawn(counts: dict[str, int], seed: int) -> Labelled:
    """Classes that differ by a faint pattern under noise, so that few rows do not show it."""
    patterns = np.random.default_rng(0).normal(size=(len(counts), 8, 8, 1))
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), list(counts.values()))
    pixels = 128 + 30 * patterns[labels] + 50 * rng.normal(size=(len(labels), 8, 8, 1))
    ids = np.array([f"row-{seed}-{i}" for i in range(len(labels))])
    names = tuple(counts)
    return IMAGE.of(pixels.clip(0, 255).astype(np.uint8), labels, ids, class_names=names)


@dataclass
class TrueRows:
    """Draws fresh rows of each class, or of the class `shift` labels further."""

    classes_: dict[str, int]
    shift: int = 0

    def fit(self, data: Labelled) -> TrueRows:
        return self

    def sample(self, counts: dict[str, int], random_state: int = 0) -> Labelled:
        names = list(COUNTS)
        moved = {names[(names.index(n) + self.shift) % 3]: k for n, k in counts.items()}
        pool = drawn({name: moved.get(name, 0) for name in names}, random_state % 1000 + 7)
        rows = [np.flatnonzero(pool.labels == names.index(name)) for name in moved]
        labels = np.repeat([names.index(name) for name in counts], list(counts.values()))
        return replace(pool.take(np.concatenate(rows)), labels=labels)


def judged(generator_of, data: Labelled, **more) -> UsefulnessRecord | None:
    rows = np.arange(len(data))
    found = {"topped_up": ["rare"], "updates": 30, "seed": 1, **more}
    return try_rows(data, rows, generator_of, progress=Progress(), **found)


@pytest.mark.slow
def test_rows_that_are_true_are_advised_and_those_of_other_classes_are_not():
    data = drawn(COUNTS, 1)
    good = judged(lambda *_: TrueRows(data.counts), data)
    noise = judged(lambda *_: TrueRows(data.counts, shift=1), data)
    assert good.advised_share == 0.5
    assert noise.advised_share == 0
    assert noise.balanced_accuracy[2] < 0


@pytest.mark.slow
def test_rows_that_add_nothing_to_repeats_are_not_advised():
    data = drawn(COUNTS, 1)
    none = judged(lambda half, _: Repeats().fit(data.take(half)), data, updates=15)
    assert none.advised_share == 0


def test_a_generator_is_given_the_half_that_is_not_judged_with_whole_groups():
    data = drawn({"one": 40, "two": 40, "rare": 16}, 1)
    data = replace(data, groups=np.arange(len(data)) // 2)
    given = []

    def generator_of(half, fold):
        given.append(half)
        return Repeats().fit(data.take(half))

    record = judged(generator_of, data, updates=1)
    assert sorted(np.concatenate(given).tolist()) == list(range(len(data)))
    assert not set(data.groups[given[0]]) & set(data.groups[given[1]])
    assert (record.rows, record.rare_rows) == (96, 16)


def test_a_class_that_is_never_left_out_is_not_judged():
    data = drawn({"one": 20, "two": 20, "rare": 1}, 1)
    assert judged(lambda *_: TrueRows(data.counts), data) is None


def test_many_classes_of_few_rows_are_judged_and_alike_each_time():
    data = drawn({f"{i:02d}": 4 + 8 * (i % 2) for i in range(43)}, 1)
    rare = [name for name, n in data.counts.items() if n == 4]
    found = [
        judged(lambda half, _: Repeats().fit(data.take(half)), data, topped_up=rare, updates=2)
        for _ in range(2)
    ]
    assert found[0] == found[1]
    assert found[0].rare_rows == 4 * 22


@pytest.mark.parametrize(
    ("rare", "balanced", "accuracy", "share"),
    [
        ((0.03, 0.01, 0.05), (0.01, 0.005, 0.02), (-0.009, -0.03, 0.01), 0.5),
        ((0.03, -0.01, 0.07), (0.01, 0.005, 0.02), (0.0, -0.01, 0.01), 0.0),
        ((0.03, 0.01, 0.05), (0.01, -0.005, 0.02), (0.0, -0.01, 0.01), 0.0),
        ((0.08, 0.04, 0.12), (0.04, 0.01, 0.07), (-0.011, -0.03, 0.01), 0.0),
    ],
)
def test_a_share_is_advised_only_where_something_gains_and_nothing_loses(
    rare, balanced, accuracy, share
):
    record = UsefulnessRecord(
        share=0.5, rare_recall=rare, balanced_accuracy=balanced, accuracy=accuracy,
        seeds=2, updates=300, rows=3000, rare_rows=90,
    )  # fmt: skip
    assert record.advised_share == share
    low, high = (f"{100 * end:+.1f}" for end in rare[1:])
    assert f"rare recall {100 * rare[0]:+.1f} points ({low} to {high})" in record.in_words()


def test_an_interval_holds_the_spread_of_units_and_of_seeds():
    labels, folds = np.array([0, 0, 0, 0, 1, 1]), np.array([0, 0, 1, 1, 0, 1])
    gain = np.array([[0.1, 0.1, 0.3, 0.3, 0.0, 0.0], [0.1, 0.1, 0.3, 0.3, 0.2, 0.2]])
    units = np.array([5, 5, 9, 9, 2, 3])
    found = _estimates(gain, labels, units, folds, rare=[0])
    # two units: residuals +-.1 times sqrt(2 / 1), each of weight 1/2; seeds agree
    reach = 1.282 * np.sqrt(2 * (0.5 * 0.1 * np.sqrt(2)) ** 2)
    assert found["rare_recall"] == pytest.approx((0.2, 0.2 - reach, 0.2 + reach), abs=1e-4)
    assert found["balanced_accuracy"][0] == pytest.approx(0.15)
    assert found["accuracy"][0] == pytest.approx(1 / 6, abs=1e-4)
    of_seeds = 2 * 0.5 * (0.25 * 0.2) ** 2 / 2  # in each half .25 (0 or .2), of two seeds
    only = _estimates(gain, labels, units, folds, rare=[1])["rare_recall"]
    assert only[2] - only[0] == pytest.approx(1.282 * 2 * np.sqrt(of_seeds), abs=1e-4)


@pytest.fixture(scope="module")
def gan(make_images) -> ImageGAN:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(image_gan, "updates_within", lambda images, rows: 2)
        data = make_images({"good": 60, "bad": 16})
        recipe = resolve_recipe("auto").model_copy(update={"selection": EASY})
        return ImageGAN(recipe=recipe, steps=3, device="cpu", threads=1).fit(data)


@pytest.mark.slow
def test_a_fit_judges_its_rows_says_so_and_saves_what_it_found(gan, tmp_path):
    found = gan.meta_.usefulness
    assert (found.updates, found.rare_rows) == (2, 16)
    assert gan.meta_.advised_share == found.advised_share
    assert gan._sampler.selection.of_fold(1).record.folds == 1
    gan.save(tmp_path / "model.safetensors")
    assert ImageGAN.load(tmp_path / "model.safetensors", device="cpu").meta_.usefulness == found
    lines = inspect_run(tmp_path).lines()
    assert found.in_words() in lines
    assert gan.meta_.advice() in lines


def test_what_is_not_trained_is_tried_all_the_same(make_images, monkeypatch):
    tried = []
    monkeypatch.setattr(image_gan, "updates_within", lambda images, rows: tried.append(images) or 2)
    recipe = resolve_recipe("fourier").model_copy(update={"selection": EASY})
    gan = ImageGAN(recipe=recipe, device="cpu", threads=1)
    gan.fit(make_images({"good": 60, "bad": 16}))
    assert tried == [30_720]
    assert gan.meta_.usefulness.updates == 2
