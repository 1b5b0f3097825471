"""Synthesizers between processes: what arrives samples the same, and nothing but data travels."""

import copy
import pickle
import pickletools

import cloudpickle
import joblib
import pytest

from gan_augment import ImageGAN, TabularGAN
from gan_augment.errors import ModelFileError


@pytest.fixture(params=["image", "table"])
def gan(request: pytest.FixtureRequest) -> ImageGAN | TabularGAN:
    return request.getfixturevalue("fitted" if request.param == "image" else "table_gan")


def drawn(gan: ImageGAN | TabularGAN) -> bytes:
    made = gan.sample({next(iter(gan.classes_)): 70}, random_state=3)
    if isinstance(gan, ImageGAN):
        return made.pixels.tobytes()
    return pickle.dumps(made.frame.astype(str).to_numpy().tolist())


def through_a_file(gan: ImageGAN | TabularGAN, path) -> ImageGAN | TabularGAN:
    joblib.dump(gan, path)
    return joblib.load(path)


def test_what_was_pickled_draws_the_same_bytes(gan, tmp_path) -> None:
    copies = [
        pickle.loads(pickle.dumps(gan)),  # noqa: S301
        cloudpickle.loads(cloudpickle.dumps(gan)),
        through_a_file(gan, tmp_path / "gan.joblib"),
        copy.deepcopy(gan),
    ]
    assert {drawn(one) for one in copies} == {drawn(gan)}
    assert all(one.meta_ == gan.meta_ and one.classes_ == gan.classes_ for one in copies)


def test_the_payload_of_a_pickle_is_the_files_of_a_bundle(gan) -> None:
    assert sorted(gan.__getstate__()["model"]) == [
        "manifest.json",
        "model.json",
        "tensors.safetensors",
    ]
    named = [arg for op, arg, _ in pickletools.genops(pickle.dumps(gan, 2)) if op.name == "GLOBAL"]
    assert [name for name in named if "torch" in name or "numpy" in name] == []


def test_a_changed_payload_is_refused(gan) -> None:
    state = gan.__getstate__()
    state["model"]["tensors.safetensors"] = state["model"]["tensors.safetensors"][:-1] + b"\x01"
    with pytest.raises(ModelFileError, match="its checksum is not the one"):
        type(gan).__new__(type(gan)).__setstate__(state)


def test_settings_travel_with_an_unfitted_one() -> None:
    gan = pickle.loads(pickle.dumps(TabularGAN(steps=7, classes=("a",), device="cpu")))  # noqa: S301
    assert (gan.steps, gan.classes, gan.device) == (7, ("a",), "cpu")
    assert not hasattr(gan, "classes_")


def test_a_model_from_a_gpu_samples_where_there_is_none(gan) -> None:
    state = gan.__getstate__()
    state["settings"]["device"] = "cuda:99"
    arrived = type(gan).__new__(type(gan))
    with pytest.warns(UserWarning, match="The model is on the processor now"):
        arrived.__setstate__(state)
    assert drawn(arrived) == drawn(gan)
