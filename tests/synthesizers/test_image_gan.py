"""What a user of `ImageGAN` relies on."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gan_augment import ImageGAN
from gan_augment.errors import (
    DataError,
    ModelFileError,
    NoRareClassError,
    NotFittedError,
    UnknownClassError,
    UsageError,
)
from gan_augment.storage import load_bundle, save_bundle
from gan_augment.synthesizers.base import checked_counts
from gan_augment.training.callbacks import StopFlag, StopRequested

pytestmark = pytest.mark.slow


def _global_numbers() -> bytes:
    """The state of numpy's global generator, which nothing here may move."""
    return np.random.get_state()[1].tobytes()  # noqa: NPY002


def test_exactly_as_many_as_asked_of_the_class_asked(fitted):
    made = fitted.sample({"ugly": 3, "good": 70, "bad": 0})
    assert made.counts == {"good": 70, "bad": 0, "ugly": 3}
    assert made.labels.tolist() == [2] * 3 + [0] * 70
    assert made.ids[0] == "synthetic-ugly-000000"
    assert made.pixels.dtype == np.uint8
    assert made.image_shape == (8, 8, 1)


def test_nothing_asked_is_nothing_given(fitted):
    assert len(fitted.sample({})) == 0
    assert len(fitted.sample({"bad": 0})) == 0


@pytest.mark.parametrize("n", [1, 10, 64, 65, 200])
def test_the_first_samples_are_the_same_however_many_are_asked_for(fitted, n):
    few, many = fitted.sample({"bad": n}), fitted.sample({"bad": 200})
    assert np.array_equal(few.pixels, many.pixels[:n])


@pytest.mark.parametrize(("start", "stop"), [(0, 1), (63, 65), (64, 128), (100, 190)])
def test_a_range_is_a_piece_of_the_whole(fitted, start, stop):
    whole = fitted.sample({"bad": 200}).pixels
    assert np.array_equal(fitted.sample_range("bad", start, stop), whole[start:stop])


def test_samples_do_not_depend_on_the_threads_of_the_caller(fitted):
    before = torch.get_num_threads()
    one = fitted.sample({"bad": 64}).pixels
    torch.set_num_threads(2)
    try:
        assert np.array_equal(fitted.sample({"bad": 64}).pixels, one)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_another_seed_gives_other_samples(fitted):
    one, two = (fitted.sample({"bad": 8}, random_state=seed).pixels for seed in (0, 1))
    assert not np.array_equal(one, two)


def test_the_same_fit_gives_the_same_bytes_and_leaves_data_and_generators_alone(toy, fitted):
    pixels, labels = toy.pixels.copy(), toy.labels.copy()
    states = torch.random.get_rng_state(), _global_numbers()
    again = ImageGAN(steps=12, device="cpu", threads=1, selection=False).fit(toy)
    assert np.array_equal(again.sample({"bad": 64}).pixels, fitted.sample({"bad": 64}).pixels)
    assert np.array_equal(toy.pixels, pixels)
    assert np.array_equal(toy.labels, labels)
    assert torch.equal(states[0], torch.random.get_rng_state())
    assert states[1] == _global_numbers()


def test_a_loaded_model_is_the_saved_one(fitted, tmp_path):
    fitted.save(tmp_path / "model")
    loaded = ImageGAN.load(tmp_path / "model", device="cpu")
    assert np.array_equal(loaded.sample({"bad": 70}).pixels, fitted.sample({"bad": 70}).pixels)
    assert loaded.meta_ == fitted.meta_
    assert loaded.classes_ == {"good": 110, "bad": 6, "ugly": 5}
    assert loaded.topped_up_ == ("bad", "ugly")


def test_a_model_says_how_many_encoded_rows_it_contains(fitted, toy):
    assert fitted.meta_.anchors == len(toy) - 11  # a tenth of the class of 110 is held out
    free = ImageGAN(recipe="free", steps=2, device="cpu", threads=1, selection=False).fit(toy)
    assert free.meta_.anchors == 0


def test_the_free_generator_keeps_the_same_promises(toy, tmp_path):
    gan = ImageGAN(recipe="free", steps=2, device="cpu", threads=1, selection=False).fit(toy)
    gan.save(tmp_path / "model")
    loaded = ImageGAN.load(tmp_path / "model", device="cpu")
    assert np.array_equal(loaded.sample({"ugly": 5}).pixels, gan.sample({"ugly": 70}).pixels[:5])


def test_damaged_weights_are_refused_in_words(fitted, tmp_path):
    fitted.save(tmp_path / "model")
    arrays, meta = load_bundle(tmp_path / "model", schema=dict)
    name = next(k for k in arrays if k.endswith("start.weight"))
    save_bundle(tmp_path / "cut", arrays | {name: arrays[name][:1]}, meta, "model")
    with pytest.raises(ModelFileError, match="shape"):
        ImageGAN.load(tmp_path / "cut")
    codes = {k: v for k, v in arrays.items() if not k.startswith("codes/")}
    odd = codes | {"codes/7": np.zeros((2, 64), np.float32)}
    save_bundle(tmp_path / "odd", odd, meta, "model")
    with pytest.raises(ModelFileError, match="codes"):
        ImageGAN.load(tmp_path / "odd")
    whole = {name: arrays[name].astype(np.float64)}
    save_bundle(tmp_path / "wide", arrays | whole, meta, "model")
    with pytest.raises(ModelFileError, match="float64"):
        ImageGAN.load(tmp_path / "wide")
    save_bundle(tmp_path / "new", arrays, {**meta, "schema": 99}, "model")
    with pytest.raises(ModelFileError, match=r"newer|version|schema|format"):
        ImageGAN.load(tmp_path / "new")


@pytest.mark.parametrize("shape", [[8, 16000, 1], [4000, 4000, 9000], [8, 10**9, 1]])
def test_a_description_that_claims_a_huge_network_is_refused_unbuilt(
    fitted, tmp_path, shape, monkeypatch
):
    fitted.save(tmp_path / "model")
    arrays, meta = load_bundle(tmp_path / "model", schema=dict)
    save_bundle(tmp_path / "huge", arrays, {**meta, "image_shape": shape}, "model")
    monkeypatch.setattr(torch.nn.Module, "to_empty", None)  # where memory would be taken
    with pytest.raises(ModelFileError):
        ImageGAN.load(tmp_path / "huge", device="cpu")


def test_an_unknown_class_is_named_with_the_nearest_one(fitted):
    with pytest.raises(UnknownClassError, match="Did you mean 'bad'"):
        fitted.sample({"bda": 1})


@pytest.mark.parametrize("n", [-1, 1.5])
def test_a_count_that_is_none_is_refused(fitted, n):
    with pytest.raises(UsageError, match="0 or more"):
        fitted.sample({"bad": n})


def test_rows_to_start_from_are_refused_until_a_recipe_takes_them(fitted, toy):
    with pytest.raises(UsageError, match="source"):
        fitted.sample({"bad": 1}, source=toy)


def test_sampling_before_fitting_says_so():
    with pytest.raises(NotFittedError, match="fit"):
        ImageGAN().sample({"bad": 1})


def test_no_rare_class_is_refused_with_the_counts(make_images):
    with pytest.raises(NoRareClassError, match=r"a.*6.*b.*6"):
        ImageGAN(steps=1, selection=False).fit(make_images({"a": 6, "b": 6}))


@pytest.mark.parametrize("seed", [-1, 1.5, True, "0"])
def test_a_seed_that_is_none_is_refused(toy, seed):
    with pytest.raises(UsageError, match="random_state"):
        ImageGAN(random_state=seed).fit(toy)


def test_a_class_of_one_image_is_sampled_around_it(make_images):
    gan = ImageGAN(steps=3, classes="one", device="cpu", threads=1, selection=False)
    gan.fit(make_images({"many": 20, "one": 1}))
    assert gan.sample({"one": 5}).counts["one"] == 5


def test_a_single_class_can_be_learned(make_images):
    gan = ImageGAN(steps=3, classes="all", device="cpu", threads=1, selection=False)
    assert gan.fit(make_images({"only": 9})).sample({"only": 2}).counts == {"only": 2}


def test_a_class_without_rows_cannot_be_sampled_and_says_why(make_images):
    data = make_images({"many": 20, "few": 2, "none": 0})
    gan = ImageGAN(steps=3, device="cpu", threads=1, selection=False).fit(data)
    with pytest.raises(DataError, match="'none'"):
        gan.sample({"none": 1})


@pytest.mark.parametrize(("side", "channels"), [(8, 3), (13, 1), (20, 4)])
def test_other_sizes_and_channels_come_back_as_they_went_in(side, channels, make_images):
    data = make_images({"many": 20, "few": 3}, side, channels)
    made = ImageGAN(steps=2, device="cpu", threads=1, selection=False).fit(data).sample({"few": 2})
    assert made.image_shape == (side, side, channels)


def test_a_stop_asked_for_before_training_is_not_trained_away(toy):
    class Told:
        events = 0

        def on_event(self, event) -> None:
            self.events += 1

    flag, told = StopFlag(), Told()
    flag.signal = 15
    with pytest.raises(StopRequested):
        ImageGAN(steps=9, device="cpu", threads=1, callbacks=[told], selection=False).fit(
            toy, stop=flag
        )
    assert told.events == 0


def test_a_budget_becomes_steps_that_repeat_the_run(toy):
    told = []
    gan = ImageGAN(budget_s=1.0, device="cpu", threads=1, selection=False).fit(
        toy, on_steps=lambda n, _: told.append(n)
    )
    assert told == [gan.steps_]
    repeated = ImageGAN(steps=gan.steps_, device="cpu", threads=1, selection=False).fit(toy)
    assert np.array_equal(repeated.sample({"bad": 3}).pixels, gan.sample({"bad": 3}).pixels)


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"steps": -3}, {"steps": 2.5}, {"budget_s": 0}])
def test_a_length_that_is_none_is_refused_before_training(wrong, toy):
    with pytest.raises(UsageError, match="expected"):
        ImageGAN(**wrong).fit(toy)


@pytest.mark.parametrize("n", [-1, float("nan"), 2.5, "3", True])
def test_counts_that_are_no_counts_are_refused(n):
    with pytest.raises(UsageError, match="whole number"):
        checked_counts({"rare": n})
