"""`FrozenFeatures` with small or random networks: features, caching, refusals."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.pipeline
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import save, save_file
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from torch import nn

from gan_augment import (
    AugmentedClassifier,
    DataError,
    FrozenFeatures,
    GANAugmenter,
    UsageError,
    make_pipeline,
    read_images,
)
from gan_augment.errors import MissingPathError, ModelFileError
from gan_augment.networks.backbones import EfficientNetLite0, read_weights


class Network(nn.Module):
    """Maps that depend on the batch in training, and on nothing but the image in eval mode."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.maps, self.norm = nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6)
        for parameter in self.maps.parameters():
            parameter.data.normal_(generator=generator)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.norm(self.maps(x)))


@pytest.fixture
def images() -> NDArray[np.uint8]:
    rng = np.random.default_rng(0)
    levels = np.repeat([0, 120], [30, 10])[:, None, None, None]
    return (rng.integers(0, 130, (40, 12, 12, 3)) + levels).astype(np.uint8)


@pytest.fixture
def y() -> NDArray[np.str_]:
    return np.repeat(["common", "rare"], [30, 10])


@pytest.fixture
def lite0(tmp_path: Path) -> Path:
    """Random weights under the names of the real ones, a classifier's among them."""
    rng, arrays = np.random.default_rng(0), {}
    for name, tensor in EfficientNetLite0().state_dict().items():
        if tensor.ndim == 4:  # as wide as keeps the spread of what passes through
            spread = (2 / tensor[0].numel()) ** 0.5
            arrays[name] = rng.normal(0, spread, tensor.shape).astype(np.float32)
        else:
            arrays[name] = tensor.numpy()
    path = tmp_path / "lite0.safetensors"
    save_file({**arrays, "_fc.weight": np.zeros((9, 1280), np.float32)}, path)
    return path


def tiny(**settings: Any) -> FrozenFeatures:
    return FrozenFeatures(Network(), image_size=16, precision="float32", **settings)


def test_every_container_of_images_gives_one_row_per_image(
    images: NDArray[np.uint8], tmp_path: Path
) -> None:
    paths = []
    for i, (image, name) in enumerate(zip(images[:6], "aabbab", strict=True)):
        paths.append(tmp_path / "photos" / name / f"{i}.png")
        paths[-1].parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(paths[-1])
    features = tiny().fit()
    rows = features.transform(images[:6])
    assert rows.dtype == np.float32
    assert rows.shape == (6, 6)
    assert np.array_equal(features.transform(paths), rows)
    assert np.array_equal(features.transform([[str(path)] for path in paths]), rows)
    in_order = np.array([0, 1, 4, 2, 3, 5])
    read = read_images(tmp_path / "photos", image_size=(16, 16))
    for given in (read, read.data):
        assert np.array_equal(features.transform(given), rows[in_order])
    grey = features.transform(images[:6, :, :, 0])
    assert np.array_equal(grey, features.transform(images[:6, :, :, :1].repeat(3, axis=3)))
    assert features.get_feature_names_out()[-1] == "feature_5"


def test_batches_and_single_images_give_the_same_features(
    images: NDArray[np.uint8], lite0: Path
) -> None:
    features = FrozenFeatures(lite0, image_size=32, precision="float32")
    rows = features.fit_transform(images)
    assert rows.shape == (40, 1280)
    assert np.ptp(rows, axis=0).max() > 0
    alone = np.concatenate([features.transform(images[i : i + 1]) for i in range(3)])
    np.testing.assert_allclose(rows[:3], alone, rtol=1e-5, atol=1e-5)


def test_the_users_module_stays_as_it_is_and_is_used_in_eval_mode(
    images: NDArray[np.uint8],
) -> None:
    network = Network().train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    features = FrozenFeatures(network, image_size=16, precision="float32")
    rows = features.fit_transform(images)
    assert clone(features).fit_transform(images).tobytes() == rows.tobytes()
    assert network.training
    assert network.maps.weight.requires_grad
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    alone = features.transform(images[:1])
    np.testing.assert_allclose(rows[:1], alone, rtol=1e-5, atol=1e-5)


def test_a_module_gets_pixels_in_the_scale_of_imagenet(images: NDArray[np.uint8]) -> None:
    rows = FrozenFeatures(nn.Identity(), image_size=12).fit_transform(images)
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    np.testing.assert_allclose(rows, ((images / 255).mean((1, 2)) - mean) / std, atol=1e-5)


def test_features_feed_augmenters_and_classifiers(
    images: NDArray[np.uint8], y: NDArray[np.str_]
) -> None:
    model = make_pipeline(tiny(), GANAugmenter(random_state=0), LogisticRegression())
    assert cross_val_score(model, images, y, cv=2).min() > 0.7
    classifier = AugmentedClassifier(LogisticRegression(), GANAugmenter(random_state=0))
    model = sklearn.pipeline.make_pipeline(tiny(), classifier).fit(images, y)
    assert model.score(images, y) > 0.7


WEIGHTS = "EfficientNet-Lite0"


@pytest.mark.parametrize(
    ("settings", "error", "said"),
    [
        ({"precision": "float16"}, UsageError, "expected auto, float32 or bf16"),
        ({"image_size": 4}, UsageError, "each from 8 to 1024 px"),
        ({"device": "tpu"}, UsageError, "is unknown"),
        ({"backbone": "none.safetensors"}, MissingPathError, "Nothing is downloaded"),
        ({"backbone": "other.safetensors"}, ModelFileError, f"no weights of {WEIGHTS}"),
        ({"backbone": "cut.safetensors"}, ModelFileError, "cannot be used"),
    ],
)
def test_parameters_are_checked_in_fit(
    settings: dict[str, Any],
    error: type[Exception],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    whole = save({"weight": np.zeros(3)})
    Path("other.safetensors").write_bytes(whole)
    Path("cut.safetensors").write_bytes(whole[:-4])
    with pytest.raises(error, match=said):
        FrozenFeatures(**{"backbone": Network(), "image_size": 16, **settings}).fit()


def test_images_that_cannot_be_read_are_named(images: NDArray[np.uint8], tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no JPEG")
    for X, said in (
        ([tmp_path / "broken.jpg"], "broken.jpg' cannot be used"),
        ([images[0], images[1][:9]], "give their paths instead"),
    ):
        with pytest.raises(DataError, match=said):
            tiny().fit().transform(X)


def test_a_fitted_transformer_needs_its_file_no_more(
    images: NDArray[np.uint8], lite0: Path
) -> None:
    features = FrozenFeatures(lite0, image_size=32, precision="float32").fit()
    sent = pickle.dumps(features)
    lite0.unlink()
    again = pickle.loads(sent).transform(images[:3])  # noqa: S301
    assert np.array_equal(again, features.transform(images[:3]))


def test_a_pickle_of_more_than_tensors_is_not_read(tmp_path: Path) -> None:
    torch.save(
        {"state_dict": {"a": torch.ones(2, dtype=torch.bfloat16)}, "epoch": 3}, tmp_path / "w.pth"
    )
    weights = read_weights(tmp_path / "w.pth")
    assert {name: value.tolist() for name, value in weights.items()} == {"a": [1.0, 1.0]}
    torch.save(Network(), tmp_path / "whole.pth")
    with pytest.raises(ModelFileError, match="anything else may run code"):
        read_weights(tmp_path / "whole.pth")
