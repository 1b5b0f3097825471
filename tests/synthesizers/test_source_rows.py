"""Models whose samples start from real rows: which rows, once each, kept, given, refused."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest

from gan_augment import ImageGAN, LabelledImages
from gan_augment.errors import DataError, ModelFileError, TooFewAcceptedError, UsageError
from gan_augment.networks.geometry import Geometry
from gan_augment.recipes import GeneratorSettings
from gan_augment.synthesizers.source_rows import SPAN_CANDIDATES, SourcePool, load_pool
from tests.synthesizers.conftest import quick_scores, toy_images

COUNTS = {"good": 40, "odd": 30, "bad": 8}
TINY = {"steps": 2, "device": "cpu", "threads": 1, "selection": False, "precision": "float32"}


def fitted(recipe: str, data: LabelledImages | None = None, **more) -> ImageGAN:
    with quick_scores():
        return ImageGAN(recipe=recipe, **(TINY | more)).fit(data or toy_images(COUNTS))


def pair(counts=(20, 20), names=None) -> LabelledImages:
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
    with pytest.raises(TooFewAcceptedError, match=r"71 samples of 'bad'.*70 rows"):
        stargan.sample({"bad": 71})


def test_a_recipe_with_noise_of_its_own_goes_round_the_rows_again():
    drawn = fitted("inpaint").sample({"bad": 20})
    assert len(set(drawn.sources.tolist())) == 8  # its own rows
    assert len({pixels.tobytes() for pixels in drawn.pixels}) == 20


def test_given_rows_are_taken_in_their_order(stargan):
    data = toy_images(COUNTS)
    source = data.take(np.arange(12)[::-1])
    drawn = stargan.sample({"bad": 12}, source=source)
    assert drawn.sources.tolist() == source.ids.tolist()
    strangers = replace(source, class_names=("new", "odd", "bad"))
    assert stargan.sample({"bad": 3}, source=strangers).sources.tolist() == source.ids[:3].tolist()


def test_given_masks_say_where_a_row_is_redrawn():
    data = toy_images(COUNTS)
    source, gan = data.take([0, 1]), fitted("inpaint")
    masks = np.zeros((2, 8, 8), np.uint8)
    masks[:, :3] = 255
    drawn = gan.sample({"bad": 2}, source=source, masks=masks)
    assert np.array_equal(drawn.pixels[:, 3:], source.pixels[:, 3:])
    assert not np.array_equal(drawn.pixels[:, :3], source.pixels[:, :3])


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"source": toy_images({"good": 2}, side=16)}, r"of shape \(16, 16, 1\)"),
        ({"source": toy_images({"good": 2}), "masks": np.ones((2, 8, 8), np.uint8)}, "'inpaint'"),
        ({"masks": np.ones((2, 8, 8), np.uint8)}, "give these as well"),
    ],
)
def test_rows_that_do_not_fit_are_refused(stargan, more, said):
    with pytest.raises(UsageError, match=said):
        stargan.sample({"bad": 1}, **more)


def test_a_recipe_that_draws_from_noise_takes_no_rows():
    data = toy_images(COUNTS)
    with pytest.raises(UsageError, match=r"'anchored' does not start from given rows"):
        fitted("anchored").sample({"bad": 1}, source=data)


def test_pairs_are_files_of_one_name_and_stay_together():
    gan = fitted("pix2pix", pair(), classes="all")
    drawn = gan.sample({"a": 5})
    assert all(id_.startswith("b/") for id_ in drawn.sources)
    with pytest.raises(DataError, match=r"no file of 'a' has the name of one of 'b'"):
        fitted("pix2pix", pair((2, 2), ["a/1", "a/2", "b/3", "b/4"]), classes="all")


@pytest.mark.parametrize("recipe", ["cyclegan", "pix2pix"])
def test_a_recipe_of_one_pair_refuses_three_classes(recipe):
    with pytest.raises(UsageError, match=r"one pair of classes, and the data has 3"):
        fitted(recipe)


def test_nothing_is_trained_by_fourier():
    gan = fitted("fourier", steps=None)
    assert gan.steps_ == 0
    assert len(set(gan.sample({"bad": 100}).sources.tolist())) == 70


def test_an_odd_side_cannot_be_twice_another():
    with pytest.raises(UsageError, match="multiples of 2"):
        fitted("srgan", toy_images(COUNTS, side=9))


def test_enlarging_takes_the_smaller_side():
    gan, data = fitted("srgan", toy_images(COUNTS, side=16)), toy_images({"good": 3}, side=8)
    assert gan.enlarged(data.pixels).shape == (3, 16, 16, 1)
    with pytest.raises(UsageError, match="1/2 of its side"):
        gan.enlarged(toy_images({"good": 1}, side=16).pixels)


def test_selected_spans_have_rows_of_their_own():
    n = 3 * SPAN_CANDIDATES
    pixels = np.zeros((n, 8, 8, 1), np.uint8)
    ids = np.array([f"row-{i}" for i in range(n)])
    pool = SourcePool(
        GeneratorSettings(kind="translated"), Geometry.of((8, 8, 1)), {0: pixels}, {0: ids}
    )
    spans = [
        {
            id_
            for block in range(SPAN_CANDIDATES // 64)
            for id_ in pool.deal(1, "b", (span << 20) + block, 0, "sample", 64).ids.tolist()
        }
        for span in range(3)
    ]
    assert [len(span) for span in spans] == [SPAN_CANDIDATES] * 3
    assert len(set.union(*spans)) == n
    with pytest.raises(TooFewAcceptedError, match="rows are there"):
        pool.deal(1, "b", 3 << 20, 0, "sample", 64)


@pytest.mark.parametrize("damage", ["shape", "ids", "none"])
def test_saved_rows_that_do_not_fit_are_refused(damage):
    settings, grid = GeneratorSettings(kind="translated"), Geometry.of((8, 8, 1))
    pool = SourcePool(
        settings, grid, {0: np.zeros((2, 8, 8, 1), np.uint8)}, {0: np.array(["a", "b"])}
    )
    arrays = pool.arrays()
    assert load_pool(arrays, settings, grid, 2).ids[0].tolist() == ["a", "b"]
    if damage == "shape":
        arrays["sources/0"] = np.zeros((2, 9, 8, 1), np.uint8)
    elif damage == "ids":
        arrays["source-ids/0"] = np.frombuffer(b"a", np.uint8)
    else:
        arrays = {}
    with pytest.raises(ModelFileError):
        load_pool(arrays, settings, grid, 2)
