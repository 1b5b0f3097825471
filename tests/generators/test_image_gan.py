"""What a user of `ImageGAN` relies on."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from gan_augment import ImageGAN
from gan_augment.errors import UsageError
from gan_augment.generators import image_sampler
from gan_augment.generators.image_sampler import drawn_codes
from gan_augment.generators.scorer import ImageScorer, class_weights
from gan_augment.generators.source_rows import BLOCK
from gan_augment.machine import compute_config
from gan_augment.networks.geometry import to_network
from gan_augment.networks.inputs import lenders_of
from gan_augment.progress import Progress
from gan_augment.recipes import GeneratorSettings, Recipe, resolve_recipe
from gan_augment.training.images import build
from gan_augment.training.parts import network_arrays


def test_a_model_says_how_many_encoded_rows_it_contains(fitted, toy):
    assert fitted.meta_.anchors == len(toy) - 11  # a tenth of the class of 110 is held out


def test_a_block_that_is_drawn_in_parts_has_the_bytes_of_the_whole(fitted, monkeypatch):
    whole = fitted.candidates("ugly")[0]
    monkeypatch.setattr(image_sampler, "LARGE_PX", 0)
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


def test_components_of_the_training_rows_are_saved_with_the_generator(tmp_path, make_images):
    recipe = Recipe(generator=GeneratorSettings(code=8, components=True))
    gan = ImageGAN(recipe=recipe, steps=2, device="cpu", threads=1, selection=False)
    gan.fit(make_images({"many": 20, "few": 3})).save(tmp_path / "model")
    again = ImageGAN.load(tmp_path / "model", device="cpu", threads=1)
    assert (again.sample({"few": 9}).pixels == gan.sample({"few": 9}).pixels).all()
    assert network_arrays(gan._sampler.network)["components.vectors"].any()


def test_every_recipe_of_the_docs_can_be_built(tmp_path):
    text = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text(encoding="utf-8")
    shown = re.findall(r"```toml\n(.*?)```", text, flags=re.DOTALL)
    assert len(shown) >= 3
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


# the held-out score tells good generators from collapsed, copied and shifted ones


HELD = np.arange(0, 60, 4)
TRAIN = np.setdiff1d(np.arange(180), HELD)


class Shows(nn.Module):
    """A generator that shows given pixels of the class asked for, one after the other."""

    noise_width = 4

    def __init__(self, pixels_of) -> None:
        super().__init__()
        self.pixels_of = pixels_of

    def forward(self, inputs):
        pixels = self.pixels_of[int(inputs.y[0])]
        start = int(inputs.z[0, 0].abs() * 1e6)
        rows = (start + np.arange(len(inputs.y)) * 7) % len(pixels)
        return to_network(pixels[rows], (8, 8))


@pytest.fixture(scope="module")
def data(make_images):
    return make_images({"good": 150, "bad": 30})


@pytest.fixture(scope="module")
def scorer(data) -> ImageScorer:
    recipe = Recipe(generator=GeneratorSettings(kind="free", code=4))
    parts = build(recipe, (8, 8, 1), 2, compute_config("cpu", "float32", 1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gan_augment.generators.scorer.SCORER_STEPS", 60)
        return ImageScorer(data, TRAIN, HELD, parts, ["bad"], 0, Progress())


def fresh(low: int, n: int = 300) -> np.ndarray:
    rng = np.random.default_rng(99)
    return rng.integers(low, low + 50, (n, 8, 8, 1), dtype=np.uint8)


GOOD = {0: fresh(20), 1: fresh(80)}


@pytest.mark.slow
def test_new_images_of_the_right_kind_score_best(scorer):
    best = scorer.score(Shows(GOOD))
    shifted = scorer.score(Shows({0: fresh(20), 1: fresh(140)}))
    swapped = scorer.score(Shows({0: fresh(80), 1: fresh(20)}))
    assert best.eligible
    assert best.value < shifted.value
    assert best.value < swapped.value


@pytest.mark.slow
def test_a_classifier_distinguishes_other_images_and_hardly_new_ones_of_the_right_kind(scorer):
    assert scorer.distinguished(Shows(GOOD)) < 0.75
    assert scorer.distinguished(Shows({0: fresh(140), 1: fresh(140)})) >= 0.95


@pytest.mark.slow
def test_the_score_is_the_same_each_time(scorer):
    assert scorer.score(Shows(GOOD)) == scorer.score(Shows(GOOD))


@pytest.mark.slow
def test_a_collapsed_rare_class_is_not_eligible_and_a_collapsed_common_one_is(scorer):
    one = scorer.score(Shows({0: fresh(20), 1: fresh(80, n=1)}))
    assert one.parts["bad/spread"] < 0.3
    assert not one.eligible
    assert scorer.score(Shows({0: fresh(20, n=1), 1: fresh(80)})).eligible


@pytest.mark.slow
def test_copies_of_training_rows_make_a_free_generator_ineligible(scorer, data):
    copied = scorer.score(Shows({0: fresh(20), 1: data.pixels[150:]}))
    assert copied.parts["bad/copies"] == 1
    assert not copied.eligible


@pytest.mark.slow
def test_classes_of_100_rows_are_compared_with_held_out_rows_only(scorer):
    parts = scorer.score(Shows(GOOD)).parts
    assert "good/copies" not in parts
    assert "bad/copies" in parts


@pytest.mark.slow
def test_classes_topped_up_share_half_the_weight():
    names = ("a", "b", "c", "d")
    assert class_weights([0, 1, 2, 3], names, ["b"]) == pytest.approx(
        {0: 1 / 6, 1: 0.5, 2: 1 / 6, 3: 1 / 6}
    )
    assert class_weights([0, 1], names, ["a", "b"]) == {0: 0.5, 1: 0.5}


@pytest.mark.slow
def test_scoring_leaves_the_thread_count_alone(scorer):
    before = torch.get_num_threads()
    scorer.score(Shows(GOOD))
    assert torch.get_num_threads() == before


@pytest.mark.slow
def test_samples_nearer_than_real_rows_are_to_each_other_earn_no_merit(scorer, monkeypatch):
    monkeypatch.setattr("gan_augment.generators.scorer.kernel_distance", lambda real, fake: -1.0)
    assert scorer.score(Shows(GOOD)).value == 0
