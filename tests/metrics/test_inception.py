"""FID: only the verified file is opened; invariants of its features."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from gan_augment.errors import DataError, ModelFileError, UsageError
from gan_augment.metrics import Inception, fid, frechet_distance, inception

pytestmark = pytest.mark.filterwarnings("ignore:Frechet distance of")
IMAGES = np.random.default_rng(0).integers(0, 256, size=(40, 9, 7, 3), dtype=np.uint8)


class Stand(torch.nn.Module):
    """In torch-fidelity's place: its signature and its outputs, of 6 numbers a image."""

    def __init__(self, name: str, features: list[str], feature_extractor_weights_path: Any) -> None:
        super().__init__()
        assert features == ["2048"]
        self.opened = feature_extractor_weights_path.read()

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor]:
        assert x.dtype == torch.uint8
        assert x.shape[1] == 3
        halves = [x[..., :3].float().mean((2, 3)), x[..., 3:].float().mean((2, 3))]
        return (torch.cat(halves, dim=1),)  # (B, 3) twice -> (B, 6)


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that counts as the released one, and a stand-in for torch-fidelity."""
    path = tmp_path / "weights.pth"
    path.write_bytes(b"weights")
    monkeypatch.setattr(inception, "SHA256", hashlib.sha256(b"weights").hexdigest())
    package = ModuleType("torch_fidelity.feature_extractor_inceptionv3")
    package.FeatureExtractorInceptionV3 = Stand  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch_fidelity", ModuleType("torch_fidelity"))
    monkeypatch.setitem(sys.modules, package.__name__, package)
    return path


def test_another_file_is_refused_with_both_hashes_and_never_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "weights-inception-2015-12-05-6726825d.pth"
    other.write_bytes(b"a pickle that runs code")
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    found = hashlib.sha256(other.read_bytes()).hexdigest()
    with pytest.raises(ModelFileError, match=f"{found}.*{inception.SHA256}"):
        Inception(other)


def test_no_file_is_a_usage_error_that_downloads_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Nothing is downloaded"):
        Inception(tmp_path / "absent.pth")


def test_the_extra_is_named_where_it_is_missing(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch_fidelity.feature_extractor_inceptionv3", None)
    with pytest.raises(UsageError, match=r"pip install 'gan-augment\[fid\]'"):
        Inception(weights)


def test_the_bytes_that_were_verified_are_those_that_are_opened(weights: Path) -> None:
    network = Inception(weights)
    weights.write_bytes(b"changed")
    assert network._network.opened == b"weights"


def test_fid_is_the_frechet_distance_of_features(weights: Path) -> None:
    network = Inception(weights)
    darker = IMAGES // 2
    features, others = network.features(IMAGES), network.features(darker)
    assert features == pytest.approx(
        np.concatenate([IMAGES[:, :, :3].mean((1, 2)), IMAGES[:, :, 3:].mean((1, 2))], axis=1)
    )
    assert fid(IMAGES, darker, network) == frechet_distance(features, others)


def test_features_depend_neither_on_the_number_of_images_nor_on_their_order(weights: Path) -> None:
    network = Inception(weights)
    whole = network.features(IMAGES)
    one_by_one = np.concatenate([network.features(image[None]) for image in IMAGES[::-1]])
    assert one_by_one[::-1] == pytest.approx(whole, abs=1e-10)


def test_grey_images_are_shown_in_three_channels(weights: Path) -> None:
    network, grey = Inception(weights), IMAGES[..., 0]
    expected = network.features(np.stack([grey] * 3, axis=-1))
    assert (network.features(grey) == expected).all()
    assert (network.features(grey[..., None]) == expected).all()


@pytest.mark.parametrize(
    "images", [IMAGES[..., :2], IMAGES / 255, IMAGES[:0], IMAGES[0, 0], IMAGES.repeat(2, axis=3)]
)
def test_other_images_are_refused(weights: Path, images: np.ndarray) -> None:
    with pytest.raises(DataError, match="expected uint8"):
        Inception(weights).features(images)
