"""What goes wrong with a generator moves the diagnostics made for it, and no other.

Two classes of real rows in four features; the synthetic rows of the first go wrong in four ways.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from gan_augment.metrics import class_fidelity
from gan_augment.metrics.diagnose import copying, diagnose

N = 500
RNG = np.random.default_rng(0)
MODES = np.array([[0, -3, 0, 0], [0, 3, 0, 0]])
BESIDE, SHIFT = np.array([7, 0, 0, 0]), np.array([0, 0, 1.6, 1.6])


def own(n: int = N) -> np.ndarray:
    """Rows of the class: two modes, along the second feature."""
    return MODES[RNG.integers(2, size=n)] + RNG.normal(size=(n, 4))


def other(n: int = N) -> np.ndarray:
    """Rows of the class beside it, along the first feature."""
    return RNG.normal(size=(n, 4)) + BESIDE


REAL, HELD = own(), own()
CLASSIFIER = LogisticRegression().fit(np.concatenate([REAL, other()]), np.repeat(["a", "b"], N))

MADE: dict[str, Callable[[], np.ndarray]] = {
    "perfect": own,
    "collapse": lambda: MODES[0] + RNG.normal(size=(N, 4)),
    "copies": lambda: RNG.permutation(REAL),
    "noise": lambda: np.concatenate([own(N * 6 // 10), other(N * 4 // 10)]),
    "shift": lambda: own() + SHIFT,
}

ORDER = ("collapse", "copies", "noise", "shift")
MOVES = {  # the least change that counts, and the sign of it in each of ORDER
    "class_fidelity": (0.1, "  - "),
    "kernel_distance": (3.0, "+ ++"),
    "frechet_distance": (2.0, "+ ++"),
    "precision": (0.1, "  --"),
    "recall": (0.3, "-   "),
    "density": (0.3, "  --"),
    "coverage": (0.15, "-  -"),
    "spread": (0.2, "- + "),
    "two_sample": (0.12, "+ ++"),
    "identical": (0.5, " +  "),
    "near": (0.5, " +  "),
    "authenticity": (0.3, " -  "),
    "nearer_share": (0.25, " +  "),
    "data_copying": (5.0, " -++"),
}


def figures(made: np.ndarray) -> dict[str, float]:
    found = {**diagnose(REAL, made, HELD), **copying(REAL, made, HELD)}
    values = {name: float(figure.value or 0) for name, figure in found.items()}
    called = CLASSIFIER.predict(made)
    return {**values, "class_fidelity": class_fidelity(np.repeat("a", len(made)), called)}


@pytest.fixture(scope="module")
def measured() -> dict[str, dict[str, float]]:
    return {fault: figures(make()) for fault, make in MADE.items()}


@pytest.mark.parametrize("name", MOVES)
@pytest.mark.parametrize("fault", ORDER)
def test_a_fault_moves_the_diagnostics_made_for_it_and_no_other(
    measured: dict[str, dict[str, float]], name: str, fault: str
) -> None:
    least, signs = MOVES[name]
    change = measured[fault][name] - measured["perfect"][name]
    expected = {"+": change >= least, "-": change <= -least, " ": abs(change) < least}
    assert expected[signs[ORDER.index(fault)]], f"{name} moved by {change:.3f} under {fault}"


def test_every_diagnostic_is_in_the_table(measured: dict[str, dict[str, float]]) -> None:
    assert set(measured["perfect"]) == set(MOVES)
