"""Small data for the scikit-learn face, and models that train two steps."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from gan_augment import FitOptions, GANAugmenter, TabularGAN
from gan_augment.kinds.kind import Labelled


@pytest.fixture
def trained_on(monkeypatch: pytest.MonkeyPatch) -> list[Labelled]:
    """The data of every model of a table that is trained."""
    seen: list[Labelled] = []
    fit = TabularGAN.fit

    def watched(self, data, *args, **more):
        seen.append(data)
        return fit(self, data, *args, **more)

    monkeypatch.setattr(TabularGAN, "fit", watched)
    return seen


@pytest.fixture(scope="session")
def quick() -> partial[GANAugmenter]:
    """`quick(**params)`: a GANAugmenter of two steps, which selection would reject."""
    keep_all = FitOptions(selection=False)
    return partial(GANAugmenter, steps=2, random_state=0, n_jobs=1, options=keep_all)


@pytest.fixture(scope="session")
def numbers() -> tuple[np.ndarray, np.ndarray]:
    """(40, 3) float64 and labels of 30 and 10 rows, shuffled."""
    rng = np.random.default_rng(0)
    y = rng.permutation([0] * 30 + [1] * 10)
    return rng.normal(size=(40, 3)) + y[:, None], y


@pytest.fixture(scope="session")
def pictures() -> tuple[np.ndarray, np.ndarray]:
    """(26, 8, 8) uint8 and labels of 20 and 6."""
    rng = np.random.default_rng(0)
    y = np.array(["good"] * 20 + ["bad"] * 6)
    return rng.integers(0, 256, (26, 8, 8), dtype=np.uint8), y


@pytest.fixture(scope="session")
def blobs() -> tuple[np.ndarray, np.ndarray]:
    """(120, 2) float64 of two overlapping classes, 96 and 24 rows, shuffled."""
    rng = np.random.default_rng(1)
    y = rng.permutation([0] * 96 + [1] * 24)
    return rng.normal(size=(120, 2)) + 1.2 * y[:, None], y


class Recorder(LogisticRegression):
    """Remembers what it was fitted on."""

    def fit(self, X, y, sample_weight=None):
        self.seen_ = X, y, sample_weight
        return super().fit(X, y, sample_weight)


@pytest.fixture(scope="session")
def recorder() -> type[Recorder]:
    return Recorder
