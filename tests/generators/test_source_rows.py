"""Models whose samples start from real rows: which rows, once each, kept, given, refused."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest

from gan_augment import ImageGAN
from gan_augment.errors import DataError, TooFewAcceptedError, UsageError
from gan_augment.generators.source_rows import checked_data, partners
from gan_augment.kinds.kind import Labelled
from gan_augment.recipes import SelectionSettings, resolve_recipe
from tests.generators.conftest import toy_images

COUNTS = {"good": 40, "odd": 30, "bad": 8}
TINY = {"steps": 2, "device": "cpu", "threads": 1, "selection": False, "precision": "float32"}


def fitted(recipe: str, data: Labelled | None = None, **more) -> ImageGAN:
    return ImageGAN(recipe=recipe, **(TINY | more)).fit(data or toy_images(COUNTS))


def pair(counts=(20, 20), names=None) -> Labelled:
    """Two classes of files, by default with the same names."""
    data = toy_images(dict(zip("ab", counts, strict=True)))
    ids = [f"{k}/{i:04d}.png" for k, n in zip("ab", counts, strict=True) for i in range(n)]
    return replace(data, ids=np.array(names or ids))


@pytest.fixture(scope="module")
def stargan() -> ImageGAN:
    return fitted("stargan")


def test_every_sample_names_the_row_of_another_class_that_it_was_drawn_from(stargan):
    data = toy_images(COUNTS)
    class_of = dict(zip(data.ids.tolist(), data.labels.tolist(), strict=True))
    drawn = stargan.sample({"bad": 50, "good": 5})
    assert len(set(drawn.sources[:50].tolist())) == 50  # each row once
    assert {class_of[id_] for id_ in drawn.sources[:50]} == {0, 1}
    assert {class_of[id_] for id_ in drawn.sources[50:]} == {1, 2}
    assert drawn.take([3]).sources[0] == drawn.sources[3]


def test_the_first_rows_are_the_same_however_many_are_drawn(stargan):
    few, many = stargan.sample({"bad": 5}), stargan.sample({"bad": 70})
    assert np.array_equal(few.pixels, many.pixels[:5])
    assert np.array_equal(few.sources, many.sources[:5])


def test_a_saved_model_and_a_pickled_one_draw_the_same_from_the_same_rows(stargan, tmp_path):
    stargan.save(tmp_path / "model")
    expected = stargan.sample({"bad": 9})
    for other in (ImageGAN.load(tmp_path / "model"), copy.deepcopy(stargan)):
        drawn = other.sample({"bad": 9})
        assert np.array_equal(drawn.pixels, expected.pixels)
        assert np.array_equal(drawn.sources, expected.sources)
    assert stargan.meta_.anchors == sum(COUNTS.values())


def test_more_samples_than_rows_are_refused_in_words(stargan):
    assert len(stargan.sample({"bad": 70})) == 70  # all of the two other classes
    with pytest.raises(TooFewAcceptedError, match=r"70 rows to start from .* 'bad'"):
        stargan.sample({"bad": 71})


def test_a_recipe_with_noise_of_its_own_goes_round_the_rows_again():
    drawn = fitted("inpaint").sample({"bad": 20})
    assert len(set(drawn.sources.tolist())) == 8  # its own rows
    assert len({pixels.tobytes() for pixels in drawn.pixels}) == 20


def test_given_rows_are_taken_in_their_order(stargan):
    data = toy_images(COUNTS)
    source = data.take(np.arange(12)[::-1])
    drawn = stargan.starting_from(source).sample({"bad": 12})
    assert drawn.sources.tolist() == source.ids.tolist()
    strangers = replace(source, class_names=("new", "odd", "bad"))
    drawn = stargan.starting_from(strangers).sample({"bad": 3})
    assert drawn.sources.tolist() == source.ids[:3].tolist()


def test_given_rows_of_another_shape_are_refused(stargan):
    with pytest.raises(UsageError, match=r"\(16, 16, 1\)"):
        stargan.starting_from(toy_images({"good": 2}, side=16)).sample({"bad": 1})
    with pytest.raises(UsageError, match="does not start from"):
        fitted("free").starting_from(toy_images(COUNTS))


def test_pairs_are_files_of_one_name_and_stay_together():
    gan = fitted("pix2pix", pair(), classes="all")
    drawn = gan.sample({"a": 5})
    assert all(id_.startswith("b/") for id_ in drawn.sources)
    with pytest.raises(DataError, match="'a'"):
        fitted("pix2pix", pair((2, 2), ["a/1", "a/2", "b/3", "b/4"]), classes="all")


@pytest.mark.parametrize("recipe", ["cyclegan", "pix2pix"])
def test_a_recipe_of_one_pair_refuses_three_classes(recipe):
    with pytest.raises(UsageError, match="pair"):
        fitted(recipe)


def test_nothing_is_trained_by_fourier():
    gan = fitted("fourier", steps=None)
    assert gan.steps_ == 0
    assert len(set(gan.sample({"bad": 100}).sources.tolist())) == 70


def test_no_steps_may_be_asked_of_a_recipe_that_trains_nothing_and_of_no_other():
    assert fitted("fourier", steps=0).steps_ == 0  # as the evaluator asks
    forecast = ImageGAN(recipe="fourier", **TINY).forecast(toy_images(COUNTS))
    assert (forecast.steps, forecast.step_s) == (0, 0.0)
    with pytest.raises(UsageError, match="steps"):
        fitted("stargan", steps=0)


def test_an_odd_side_cannot_be_twice_another():
    with pytest.raises(UsageError, match="multiples of 2"):
        fitted("srgan", toy_images(COUNTS, side=9))


def test_a_row_makes_one_sample_also_where_selection_drops_half():
    selection = SelectionSettings(label=0, label_least=0, outlier=0, copy_guard=0, logit=0.5)
    recipe = resolve_recipe("stargan").model_copy(update={"selection": selection})
    data = toy_images({"good": 700, "odd": 700, "bad": 8})
    gan = fitted(recipe, data, selection=True, advise=False)
    assert 0.3 < gan.meta_.selection.classes["bad"].acceptance < 0.7
    drawn = gan.sample({"bad": 600})
    assert len(set(drawn.sources.tolist())) == 600
    assert np.array_equal(drawn.pixels[:9], gan.sample({"bad": 9}).pixels)


def test_what_was_drawn_from_a_row_stays_with_it():
    data = toy_images({"good": 3, "bad": 2})
    none = replace(data, sources=np.array(["", "", "", "", ""]))
    assert checked_data(resolve_recipe("anchored"), none).groups is None
    original = str(data.ids[0])
    drawn = replace(data, sources=np.array(["", "", "", original, ""]))
    groups = checked_data(resolve_recipe("anchored"), drawn).groups
    assert groups[0] == groups[3] >= 0
    assert (groups[[1, 2, 4]] == -1).all()
    with pytest.raises(DataError, match="sources have shape"):
        replace(data, sources=np.array(["a"]))


def test_another_seed_deals_the_rows_in_another_order(stargan):
    one, other = (stargan.sample({"bad": 70}, seed).sources for seed in (0, 1))
    assert set(one) == set(other)
    assert not np.array_equal(one, other)


def test_what_selection_keeps_still_names_its_row_and_a_row_is_kept_once():
    picky = SelectionSettings(label=0, outlier=0, copy_guard=0, logit=0.4)
    recipe = resolve_recipe("stargan").model_copy(update={"selection": picky})
    gan = fitted(recipe, selection=True, advise=False)
    every = replace(gan._sampler, selection=None)
    label = list(gan.classes_).index("bad")
    n = len(gan._sampler.sources.rows_for("bad"))
    pixels, ids = every.rows(label, "bad", 0, n, 0)
    image_of = dict(zip(ids.tolist(), pixels, strict=True))
    drawn = gan.sample({"bad": 20})
    assert len(set(drawn.sources.tolist())) == 20
    for image, source in zip(drawn.pixels, drawn.sources.tolist(), strict=True):
        assert np.array_equal(image, image_of[source])
    assert drawn.sources.tolist() != ids[:20].tolist()  # some were dropped
    with pytest.raises(TooFewAcceptedError, match="42 of 70 rows arrived"):
        gan.sample({"bad": len(ids)})


def test_given_rows_of_a_class_are_not_drawn_as_their_own(stargan):
    own = toy_images({"good": 1, "odd": 1, "bad": 3})
    assert set(stargan.starting_from(own).sample({"bad": 2}).sources) == set(own.ids[:2])
    with pytest.raises(DataError, match="another class"):
        stargan.starting_from(own.take([2, 3, 4])).sample({"bad": 1})


def test_given_rows_leave_the_model_as_it_was(stargan):
    before = stargan.sample({"bad": 4})
    stargan.starting_from(toy_images({"good": 9})).sample({"bad": 4})
    after = stargan.sample({"bad": 4})
    assert np.array_equal(before.pixels, after.pixels)
    assert np.array_equal(before.sources, after.sources)


def test_more_than_the_given_rows_are_refused(stargan):
    with pytest.raises(TooFewAcceptedError, match=r"3 rows to start from .* 'bad'"):
        stargan.starting_from(toy_images({"good": 3})).sample({"bad": 4})


@pytest.mark.parametrize("recipe", ["adain", "fourier"])
def test_a_row_is_drawn_in_many_styles(recipe):
    data = toy_images(COUNTS)
    drawn = fitted(recipe).sample({"bad": 140})
    class_of = dict(zip(data.ids.tolist(), data.labels.tolist(), strict=True))
    assert 2 not in {class_of[id_] for id_ in drawn.sources.tolist()}
    first, second = drawn.pixels[:70], drawn.pixels[70:]
    assert drawn.sources[:70].tolist() == drawn.sources[70:].tolist()
    assert (first != second).any(axis=(1, 2, 3)).mean() > 0.5


def test_an_enlarging_model_takes_rows_at_the_smaller_side():
    gan = fitted("srgan", toy_images(COUNTS, side=16))
    small = toy_images({"good": 3}, side=8)
    assert gan.starting_from(small).sample({"good": 3}).image_shape == (16, 16, 1)
    with pytest.raises(UsageError, match=r"\(8, 8, 1\)"):
        gan.starting_from(toy_images({"good": 3}, side=16)).sample({"good": 1})


# pairs


def test_partners_share_a_group_with_those_that_shared_one_already():
    data = replace(pair((3, 2)), groups=np.array([7, 7, -1, -1, -1]))
    assert partners(data).tolist() == [3, 4, -1, 0, 1]
    groups = checked_data(resolve_recipe("pix2pix"), data).groups
    assert groups[0] == groups[1] == groups[3] == groups[4] >= 0  # by 7 and by two pairs
    assert groups[2] == -1
    apart = checked_data(resolve_recipe("pix2pix"), pair((3, 2))).groups
    assert apart[0] == apart[3] != apart[1] == apart[4]


@pytest.mark.parametrize("recipe", ["stargan", "adain", "fourier", "cyclegan"])
def test_a_recipe_from_other_classes_needs_two_with_rows(recipe):
    data = replace(toy_images({"good": 9}), class_names=("good", "bad"))
    with pytest.raises(DataError, match="one class"):
        checked_data(resolve_recipe(recipe), data)


def test_a_model_says_how_many_rows_it_holds_and_holds_no_more(monkeypatch):
    monkeypatch.setattr("gan_augment.generators.image_gan.KEPT_A_CLASS", 6)
    gan = fitted("stargan")
    assert gan.meta_.anchors == 18
    assert len(set(gan.sample({"bad": 12}).sources)) == 12
    with pytest.raises(TooFewAcceptedError, match="12 rows"):
        gan.sample({"bad": 13})
