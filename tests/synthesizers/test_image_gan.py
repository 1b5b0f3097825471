"""What a user of `ImageGAN` relies on."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gan_augment import ImageGAN
from gan_augment.errors import ModelFileError
from gan_augment.storage import load_bundle, save_bundle

pytestmark = pytest.mark.slow


def test_a_model_says_how_many_encoded_rows_it_contains(fitted, toy):
    assert fitted.meta_.anchors == len(toy) - 11  # a tenth of the class of 110 is held out


def test_a_free_generator_contains_no_row_and_keeps_the_same_promises(toy, tmp_path):
    gan = ImageGAN(recipe="free", steps=2, device="cpu", threads=1, selection=False).fit(toy)
    assert gan.meta_.anchors == 0
    gan.save(tmp_path / "model")
    loaded = ImageGAN.load(tmp_path / "model", device="cpu")
    assert np.array_equal(loaded.sample({"ugly": 5}).pixels, gan.sample({"ugly": 70}).pixels[:5])


@pytest.fixture
def forged(fitted, tmp_path):
    """`forged(arrays, **description)`: why a model with these parts exchanged is refused."""
    fitted.save(tmp_path / "model")
    arrays, meta = load_bundle(tmp_path / "model", schema=dict)

    def refusal(change, **described) -> str:
        save_bundle(tmp_path / "forged", change(arrays), {**meta, **described}, "model")
        with pytest.raises(ModelFileError) as caught:
            ImageGAN.load(tmp_path / "forged", device="cpu")
        return str(caught.value)

    return refusal


START = "network/decoder.start.weight"
ODD_CODES = {"codes/7": np.zeros((2, 64), np.float32)}


def test_damaged_weights_are_refused_in_words(forged):
    assert "shape" in forged(lambda arrays: arrays | {START: arrays[START][:1]})
    assert "float64" in forged(lambda arrays: arrays | {START: arrays[START].astype(np.float64)})
    assert "codes/7" in forged(lambda arrays: arrays | ODD_CODES)
    without = {"codes/0", "codes/1", "codes/2"}
    bare = forged(lambda arrays: {k: v for k, v in arrays.items() if k not in without})
    assert "holds no anchors" in bare
    assert "schema" in forged(dict, schema=99)


@pytest.mark.parametrize("shape", [[8, 16000, 1], [4000, 4000, 9000], [8, 10**9, 1]])
def test_a_description_that_claims_a_huge_network_is_refused_unbuilt(forged, shape, monkeypatch):
    built, real = set(), torch.nn.Conv2d.__init__

    def watched(self, *args, **settings) -> None:
        real(self, *args, **settings)
        built.add(self.weight.device.type)

    monkeypatch.setattr(torch.nn.Conv2d, "__init__", watched)
    forged(dict, image_shape=shape)
    assert built <= {"meta"}  # shapes alone


def test_a_class_of_one_image_is_sampled_around_it(make_images):
    gan = ImageGAN(steps=3, classes="one", device="cpu", threads=1, selection=False)
    gan.fit(make_images({"many": 20, "one": 1}))
    assert gan.sample({"one": 5}).counts["one"] == 5


@pytest.mark.parametrize(("side", "channels"), [(8, 3), (13, 1), (20, 4)])
def test_other_sizes_and_channels_come_back_as_they_went_in(side, channels, make_images):
    data = make_images({"many": 20, "few": 3}, side, channels)
    made = ImageGAN(steps=2, device="cpu", threads=1, selection=False).fit(data).sample({"few": 2})
    assert made.image_shape == (side, side, channels)
