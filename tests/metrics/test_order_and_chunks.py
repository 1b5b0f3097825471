"""No diagnostic hangs on the order of rows, or on how many distances are held at once."""

import sys
from collections.abc import Callable

import numpy as np
import pytest

from gan_augment import metrics

RNG = np.random.default_rng(0)
REAL = np.concatenate([RNG.normal(size=(70, 5)), np.zeros((9, 5)), np.eye(5)])
HELD = RNG.normal(size=(60, 5))
MADE = np.concatenate([RNG.normal(size=(50, 5)), REAL[:20], np.zeros((3, 5))])
THRESHOLD = metrics.copy_threshold(REAL, HELD)

FIGURES: dict[str, Callable[..., object]] = {
    **{
        figure.__name__: lambda real, made, held, figure=figure: figure(real, made)
        for figure in (
            *(metrics.kernel_distance, metrics.kernel_test, metrics.frechet_distance),
            *(metrics.precision, metrics.recall, metrics.density, metrics.coverage),
            *(metrics.spread_ratio, metrics.two_sample_test, metrics.authenticity),
        )
    },
    "nearer_share": lambda real, made, held: metrics.nearer_share(real, made, held),
    "data_copying": lambda real, made, held: metrics.data_copying_score(real, made, held),
    "identical": lambda real, made, held: metrics.identical_share(made, real),
    "near": lambda real, made, held: metrics.copied_share(made, real, THRESHOLD),
    "threshold": lambda real, made, held: metrics.copy_threshold(real, held),
}


@pytest.mark.parametrize("name", FIGURES)
def test_order_and_chunks_change_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    value = np.asarray(FIGURES[name](REAL, MADE, HELD))
    shuffled = [np.random.default_rng(1).permutation(rows) for rows in (REAL, MADE, HELD)]
    assert np.asarray(FIGURES[name](*shuffled)) == pytest.approx(value, rel=1e-10, abs=1e-10)
    for module in ("distances", "kernel_distance"):
        monkeypatch.setattr(sys.modules[f"gan_augment.metrics.{module}"], "_CELLS", 700)
    assert np.asarray(FIGURES[name](REAL, MADE, HELD)) == pytest.approx(value, rel=1e-10, abs=1e-10)
