"""What a user of `ImageGAN` relies on."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from gan_augment import ImageGAN
from gan_augment.errors import UsageError
from gan_augment.generators import choose, image_sampler
from gan_augment.generators.generator import RunContext
from gan_augment.generators.image_sampler import BLOCK, drawn_codes
from gan_augment.generators.time_budget import Forecast
from gan_augment.machine import compute_config
from gan_augment.networks.inputs import lenders_of
from gan_augment.progress import Progress
from gan_augment.recipes import CANDIDATES, resolve_recipe
from gan_augment.training import monitor
from gan_augment.training.images import build

pytestmark = pytest.mark.usefixtures("quick_scoring")


def test_a_model_says_how_many_encoded_rows_it_contains(fitted, toy):
    assert fitted.meta_.anchors == len(toy) - 11  # a tenth of the class of 110 is held out


def test_a_block_that_is_drawn_in_parts_has_the_bytes_of_the_whole(fitted, monkeypatch):
    whole, sampler = fitted.candidates("ugly")[0], fitted._sampler.sampler
    bytes_of_8 = 8 * image_sampler.image_bytes(sampler.geometry, sampler.settings)
    monkeypatch.setattr(image_sampler, "BYTES_AT_ONCE", bytes_of_8)
    assert image_sampler.images_at_once(sampler.geometry, sampler.settings) == 8
    assert np.array_equal(fitted.candidates("ugly")[0], whole)


def test_a_generator_of_images_is_not_left_untrained(toy):
    with pytest.raises(UsageError, match="steps=0"):
        ImageGAN(steps=0).fit(toy)


@pytest.mark.slow
def test_a_free_generator_contains_no_row_and_keeps_the_same_promises(toy, tmp_path):
    gan = ImageGAN(recipe="free", steps=2, device="cpu", threads=1, selection=False).fit(toy)
    assert gan.meta_.anchors == 0
    gan.save(tmp_path / "model")
    loaded = ImageGAN.load(tmp_path / "model", device="cpu")
    assert np.array_equal(loaded.sample({"ugly": 5}).pixels, gan.sample({"ugly": 70}).pixels[:5])


@pytest.mark.slow
def test_a_generator_that_chooses_is_of_the_usual_recipes(toy, monkeypatch):
    monkeypatch.setitem(CANDIDATES, "image", ("anchored", "free"))
    monkeypatch.setattr(ImageGAN, "forecast", lambda *_: Forecast(4, 0.1, 0.01))
    monkeypatch.setattr(choose, "SMALLEST_RUN_STEPS", 2)
    settings = {"device": "cpu", "threads": 1, "selection": False}
    gan = ImageGAN(recipe="choose", steps=4, classes=["good"], **settings).fit(toy)
    assert gan.recipe == "choose"
    assert gan.meta_.recipe.name in CANDIDATES["image"]
    assert gan.sample({"good": 3}).counts["good"] == 3


@pytest.mark.slow
def test_an_auxiliary_classifier_that_cost_variety_is_said_at_the_end_of_the_fit(toy, monkeypatch):
    monkeypatch.setattr(monitor, "VARIED", 99.0)  # whatever a few steps leave is too little
    told: list[str] = []

    class Listener(Progress):
        def warn(self, text: str) -> None:
            told.append(text)

    for recipe in ("acgan", "free"):
        ImageGAN(recipe=recipe, steps=2, device="cpu", threads=1, selection=False).fit(
            toy, RunContext(progress=Listener())
        )
    assert [text[:33] for text in told] == ["an auxiliary classifier's trap: s"]


@pytest.mark.slow
def test_a_class_of_one_image_is_sampled_around_it(make_images):
    gan = ImageGAN(steps=3, classes="one", device="cpu", threads=1, selection=False)
    gan.fit(make_images({"many": 20, "one": 1}))
    assert gan.sample({"one": 5}).counts["one"] == 5


@pytest.mark.slow
@pytest.mark.parametrize(("side", "channels"), [(8, 3), (13, 1), (20, 4)])
def test_other_sizes_and_channels_come_back_as_they_went_in(side, channels, make_images):
    data = make_images({"many": 20, "few": 3}, side, channels)
    made = ImageGAN(steps=2, device="cpu", threads=1, selection=False).fit(data).sample({"few": 2})
    assert made.image_shape == (side, side, channels)


def test_every_recipe_of_the_docs_can_be_built(tmp_path):
    text = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text(encoding="utf-8")
    shown = re.findall(r"```toml\n(.*?)```", text, flags=re.DOTALL)
    assert len(shown) >= 4
    path = tmp_path / "mine.toml"
    for recipe in shown:
        path.write_text(recipe, encoding="utf-8")
        settings = resolve_recipe(str(path))
        parts = build(settings, (32, 32, 3), 2, compute_config("cpu", "float32", 1))
        assert parts.recipe == settings


# which rows the samples of a block are mixed from


def line(centre: float, rows: int) -> np.ndarray:
    return np.linspace(centre - 0.1, centre + 0.1, rows, dtype=np.float32)[:, None]


CODES = {0: line(0, 40), 1: line(1, 40), 2: line(5, 40), 3: line(0.8, 10), 4: line(9, 1)}


@pytest.mark.parametrize(
    ("label", "most", "lenders"),
    [(3, 2, (1, 0)), (3, 1, (1,)), (3, 9, (1, 0, 2)), (0, 2, ()), (4, 1, (2,))],
)
def test_a_class_borrows_from_the_nearest_of_twice_its_rows(label, most, lenders):
    assert lenders_of(CODES, label, most) == lenders


@pytest.mark.parametrize(("rows", "lends"), [(19, ()), (20, (0,)), (21, (0,))])
def test_a_lender_has_at_least_twice_the_rows_of_the_borrower(rows, lends):
    assert lenders_of({0: line(0, rows), 1: line(1, 10)}, 1, 1) == lends
    assert lenders_of({0: line(0, 3), 1: line(1, 3)}, 1, 1, {0: rows, 1: 10}) == lends


def test_who_lends_is_decided_by_the_rows_of_a_class_not_by_those_at_hand():
    few = {label: line(centre, 8) for label, centre in ((0, 0.0), (1, 1.0))}
    assert lenders_of(few, 1, 1) == ()
    assert lenders_of(few, 1, 1, {0: 900, 1: 200}) == (0,)


def test_the_first_two_rows_are_of_the_class_and_differ_and_the_others_of_one_lender():
    rows = drawn_codes(CODES, 3, (1, 2), np.random.default_rng(0))
    assert rows.shape == (4, BLOCK, 1)
    assert np.isin(rows[:2], CODES[3]).all()
    assert (rows[0] != rows[1]).all()
    from_one, from_two = (np.isin(rows[2:], CODES[label]) for label in (1, 2))
    assert (from_one.all(axis=0) | from_two.all(axis=0)).all()
    assert from_one.any()
    assert from_two.any()
    assert (rows[2] != rows[3]).all()


def test_a_class_of_one_row_is_mixed_with_itself():
    rows = drawn_codes(CODES, 4, (), np.random.default_rng(0))
    assert rows.shape == (2, BLOCK, 1)
    assert (rows == CODES[4]).all()
