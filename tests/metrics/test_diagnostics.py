"""All figures of a class, what moves them, the two-sample test, and refusals."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import binomtest

from gan_augment import metrics
from gan_augment.errors import DataError, UsageError
from gan_augment.metrics import Proportion, two_sample_test
from gan_augment.metrics.diagnostics import Figure, copying, diagnose

RNG = np.random.default_rng(0)
REAL, HELD = RNG.normal(size=(60, 4)), RNG.normal(size=(40, 4))
MADE = RNG.normal(size=(40, 4)) + 0.3
NAMES = ["kernel_distance", "density", "coverage", "spread", "two_sample"]
COPYING = ["near", "nearer_share"]


def both(real: np.ndarray, made: np.ndarray, held: np.ndarray, seed: int = 0) -> dict[str, Figure]:
    return {**diagnose(real, made, held, seed=seed), **copying(real, made, held, seed=seed)}


def test_the_figures_come_in_their_order_and_are_those_computed_alone() -> None:
    found = both(REAL, MADE, HELD)
    assert list(found) == NAMES + COPYING
    for name in NAMES[:3]:
        alone = getattr(metrics, name)
        assert found[name].value == pytest.approx(alone(REAL, MADE), rel=1e-10)
        assert found[name].floor == pytest.approx(alone(REAL, HELD), rel=1e-10)
    spread = metrics.mean_pairwise_distance(MADE) / metrics.mean_pairwise_distance(REAL)
    assert found["spread"].value == pytest.approx(spread)
    assert found["two_sample"].value == two_sample_test(REAL, MADE).value
    assert found["two_sample"].interval == two_sample_test(REAL, MADE)[1:]
    assert found["nearer_share"].value == metrics.nearer_share(REAL, MADE, HELD).value
    assert found["near"].floor == pytest.approx(1 / 40)
    assert {name: figure.ideal for name, figure in found.items()} == {
        "kernel_distance": 0,
        "density": 1,
        "coverage": metrics.expected_coverage(60, 40),
        "spread": 1,
        "two_sample": 0.5,
        "near": None,
        "nearer_share": 0.5,
    }


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("n", [0, 1, 2, 5])
@pytest.mark.parametrize("held", [0, 1, 2, 5])
def test_few_rows_give_a_caveat_instead_of_a_number_and_never_an_error(n: int, held: int) -> None:
    for sets in ((REAL[:n], MADE, HELD[:held]), (REAL, MADE[:n], HELD[:held])):
        for figure in both(*sets).values():
            assert figure.value is not None or "needs" in str(figure.caveat)
            assert figure.value is None or np.isfinite(figure.value)
    assert {figure.floor for figure in both(REAL, MADE, HELD[:0]).values()} == {None}


def test_what_limits_a_figure_is_its_caveat() -> None:
    found = both(REAL[:9], MADE, HELD[:9])
    assert "10 of each" in str(found["density"].caveat)
    assert "9 held-out" in str(found["near"].caveat)
    assert both(REAL, MADE, HELD)["coverage"].caveat is None
    equal = both(np.ones((12, 2)), np.ones((12, 2)), np.ones((12, 2)))
    assert equal["spread"].value is None
    assert "all real rows are equal" in str(equal["spread"].caveat)
    assert equal["near"].value == equal["near"].floor == 1


def test_value_and_floor_of_coverage_are_of_equal_size() -> None:
    rng = np.random.default_rng(1)
    real, held, made = (rng.normal(size=(n, 3)) for n in (80, 20, 900))
    found = diagnose(real, made, held)["coverage"]
    assert found.ideal == metrics.expected_coverage(80, 20)
    assert found.value == pytest.approx(found.floor, abs=0.2)
    assert metrics.coverage(real, made) > float(found.value or 0) + 0.1


@pytest.mark.slow
def test_the_order_of_rows_changes_nothing_even_where_rows_are_drawn() -> None:
    rng = np.random.default_rng(2)
    sets = [rng.normal(size=(n, 3)) for n in (1300, 1100, 1050)]
    first, again = both(*sets), both(*(rng.permutation(rows) for rows in sets))
    for name, figure in first.items():
        shown = [(one.value, one.floor or 0.0) for one in (again[name], figure)]
        assert shown[0] == pytest.approx(shown[1], rel=1e-10)
    assert both(*sets, seed=1)["kernel_distance"].value != first["kernel_distance"].value


def test_a_copy_of_any_training_row_is_found_among_more_than_are_drawn() -> None:
    real = np.random.default_rng(3).normal(size=(5000, 2))
    found = copying(real, real[4000:4010], HELD[:, :2])
    assert found["near"].value == 1


N = 500
FAULTS = np.random.default_rng(0)
MODES = np.array([[0, -3, 0, 0], [0, 3, 0, 0]])


def own(n: int = N) -> np.ndarray:
    """Rows of the class: two modes, along the second feature."""
    return MODES[FAULTS.integers(2, size=n)] + FAULTS.normal(size=(n, 4))


def other(n: int) -> np.ndarray:
    """Return rows of the neighbouring class, along the first feature."""
    return FAULTS.normal(size=(n, 4)) + np.array([7, 0, 0, 0])


CLASS_REAL, CLASS_HELD = own(), own()
GENERATED: dict[str, Callable[[], np.ndarray]] = {
    "perfect": own,
    "collapse": lambda: MODES[0] + FAULTS.normal(size=(N, 4)),
    "copies": lambda: FAULTS.permutation(CLASS_REAL),
    "noise": lambda: np.concatenate([own(N * 6 // 10), other(N * 4 // 10)]),
    "shift": lambda: own() + np.array([0, 0, 1.6, 1.6]),
}
ORDER = ("collapse", "copies", "noise", "shift")
MOVES = {  # the least change that counts, and the sign of it in each of ORDER
    "kernel_distance": (3.0, "+ ++"),
    "density": (0.3, "  --"),
    "coverage": (0.15, "-  -"),
    "spread": (0.2, "- + "),
    "two_sample": (0.12, "+ ++"),
    "near": (0.5, " +  "),
    "nearer_share": (0.25, " +  "),
}


@pytest.fixture(scope="module")
def measured() -> dict[str, dict[str, Figure]]:
    return {fault: both(CLASS_REAL, make(), CLASS_HELD) for fault, make in GENERATED.items()}


@pytest.mark.parametrize("name", MOVES)
@pytest.mark.parametrize("fault", ORDER)
def test_a_fault_moves_the_diagnostics_made_for_it_and_no_other(
    measured: dict[str, dict[str, Figure]], name: str, fault: str
) -> None:
    least, signs = MOVES[name]
    change = float(measured[fault][name].value or 0) - float(measured["perfect"][name].value or 0)
    expected = {"+": change >= least, "-": change <= -least, " ": abs(change) < least}
    assert expected[signs[ORDER.index(fault)]], f"{name} moved by {change:.3f} under {fault}"


# the two-sample test


def test_apart_it_is_one_and_alike_about_one_half() -> None:
    far = two_sample_test(RNG.normal(size=(30, 3)), RNG.normal(size=(90, 3)) + 9)
    assert far.value == 1
    assert far.low > 0.8
    alike = [two_sample_test(*RNG.normal(size=(2, 40, 3)), seed=i) for i in range(30)]
    assert np.mean([share.value for share in alike]) == pytest.approx(0.5, abs=0.04)
    assert np.mean([share.low <= 0.5 <= share.high for share in alike]) >= 0.9


@pytest.mark.parametrize(("hits", "of"), [(0, 1), (1, 1), (3, 17), (250, 500), (998, 1000)])
def test_the_interval_of_a_proportion_agrees_with_scipy(hits: int, of: int) -> None:
    expected = binomtest(hits, of).proportion_ci(method="wilson")
    assert Proportion.of(hits / of, of)[1:] == pytest.approx((expected.low, expected.high))


# refusals

ROW, PAIR, WIDE = [[1.0]], [[1.0], [2.0]], [[1.0, 2.0]] * 4
REFUSED: tuple[tuple[type[Exception], str, Callable[[], object]], ...] = (
    (DataError, "N >= 2", lambda: metrics.mean_pairwise_distance(ROW)),
    (DataError, "expected", lambda: metrics.kernel_distance([1.0, 2.0], PAIR)),
    (DataError, "not finite", lambda: metrics.density([[np.inf], [1.0]], PAIR)),
    (DataError, "not finite", lambda: diagnose(REAL, MADE, HELD * np.nan)),
    (DataError, "features", lambda: metrics.coverage(PAIR, WIDE)),
    (DataError, "features", lambda: copying(REAL, MADE[:, :2], HELD)),
    (DataError, "features", lambda: metrics.nearest_distances(WIDE, PAIR)),
    (DataError, "held_out has shape", lambda: metrics.nearer_share(PAIR, PAIR, np.empty((0, 1)))),
    (DataError, "N >= 4", lambda: two_sample_test(PAIR, PAIR)),
    (UsageError, "k=2 neighbours among 2", lambda: metrics.density(PAIR, PAIR, k=2)),
)


@pytest.mark.parametrize(("kind", "says", "call"), REFUSED)
def test_what_cannot_be_used_is_named(
    kind: type[Exception], says: str, call: Callable[[], object]
) -> None:
    with pytest.raises(kind, match=says):
        call()
