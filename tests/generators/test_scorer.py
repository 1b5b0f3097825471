"""The held-out score tells good generators from collapsed, copied and shifted ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from gan_augment.classifier import train_classifier
from gan_augment.data.pixels import to_network
from gan_augment.generators.scorer import ImageScorer, class_weights
from gan_augment.machine import compute_config
from gan_augment.recipes import GeneratorSettings, Recipe
from gan_augment.training.images import build

pytestmark = pytest.mark.slow
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
    return ImageScorer(
        data,
        TRAIN,
        HELD,
        topped_up=["bad"],
        classifier=train_classifier(data.take(TRAIN), steps=60, seed=0),
        parts=build(recipe, (8, 8, 1), 2, compute_config("cpu", "float32", 1)),
        seed=0,
    )


def fresh(low: int, n: int = 300) -> np.ndarray:
    rng = np.random.default_rng(99)
    return rng.integers(low, low + 50, (n, 8, 8, 1), dtype=np.uint8)


GOOD = {0: fresh(20), 1: fresh(80)}


def test_new_images_of_the_right_kind_score_best(scorer):
    best = scorer.score(Shows(GOOD))
    shifted = scorer.score(Shows({0: fresh(20), 1: fresh(140)}))
    swapped = scorer.score(Shows({0: fresh(80), 1: fresh(20)}))
    assert best.eligible
    assert best.value < shifted.value
    assert best.value < swapped.value


def test_the_score_is_the_same_each_time(scorer):
    assert scorer.score(Shows(GOOD)) == scorer.score(Shows(GOOD))


def test_a_collapsed_rare_class_is_not_eligible_and_a_collapsed_common_one_is(scorer):
    one = scorer.score(Shows({0: fresh(20), 1: fresh(80, n=1)}))
    assert one.parts["bad/spread"] < 0.3
    assert not one.eligible
    assert scorer.score(Shows({0: fresh(20, n=1), 1: fresh(80)})).eligible


def test_copies_of_training_rows_make_a_free_generator_ineligible(scorer, data):
    copied = scorer.score(Shows({0: fresh(20), 1: data.pixels[150:]}))
    assert copied.parts["bad/copies"] == 1
    assert not copied.eligible


def test_classes_of_100_rows_are_compared_with_held_out_rows_only(scorer):
    parts = scorer.score(Shows(GOOD)).parts
    assert "good/copies" not in parts
    assert "bad/copies" in parts


def test_classes_topped_up_share_half_the_weight():
    names = ("a", "b", "c", "d")
    assert class_weights([0, 1, 2, 3], names, ["b"]) == pytest.approx(
        {0: 1 / 6, 1: 0.5, 2: 1 / 6, 3: 1 / 6}
    )
    assert class_weights([0, 1], names, ["a", "b"]) == {0: 0.5, 1: 0.5}


def test_scoring_leaves_the_thread_count_alone(scorer):
    before = torch.get_num_threads()
    scorer.score(Shows(GOOD))
    assert torch.get_num_threads() == before


def test_samples_nearer_than_real_rows_are_to_each_other_earn_no_merit(scorer, monkeypatch):
    monkeypatch.setattr("gan_augment.generators.scorer.kernel_distance", lambda real, fake: -1.0)
    assert scorer.score(Shows(GOOD)).value == 0
