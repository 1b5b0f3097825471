"""Small labelled datasets, and models of them: what every test of the PyTorch face may use."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import imblearn  # noqa: F401  (its import draws one number)
import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset

from gan_augment import ImageGAN
from gan_augment.torch_api.read import describe_dataset

COUNTS = {0: 40, 3: 12, 7: 4}


def pixels(n: int, channels: int = 1, side: int = 8, seed: int = 0) -> np.ndarray:
    """uint8 (n, side, side, channels), every level among them."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (n, side, side, channels), dtype=np.uint8)


def labels() -> torch.Tensor:
    """The labels of `COUNTS`, int64, mixed."""
    return torch.from_numpy(
        np.random.default_rng(1).permutation(np.repeat(*zip(*COUNTS.items(), strict=True)))
    )


def tensors(channels: int = 1) -> TensorDataset:
    """Images float32 (56, C, 8, 8) in 0..1, as ToTensor gives them."""
    x = torch.from_numpy(pixels(56, channels)).permute(0, 3, 1, 2).contiguous()
    return TensorDataset(x.float().div(255), labels())


@pytest.fixture
def images() -> TensorDataset:
    return tensors()


@pytest.fixture
def make_images() -> Callable[..., TensorDataset]:
    return tensors


@pytest.fixture(scope="session")
def gan() -> ImageGAN:
    data = describe_dataset(tensors()).read()
    assert not data.kind.tabular
    return ImageGAN(steps=2, device="cpu", threads=1, selection=False).fit(data)


@pytest.fixture
def global_generators_stay() -> Iterator[None]:
    """The test moves neither NumPy's nor Python's global generator."""
    before = state()
    yield
    assert state() == before


def state() -> tuple[object, bytes]:
    """Of Python's and NumPy's global generators."""
    legacy = np.random.get_state(legacy=False)  # noqa: NPY002
    return random.getstate(), legacy["state"]["key"].tobytes()
