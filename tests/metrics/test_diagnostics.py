"""All diagnostics at once, what moves them, and what importing them costs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from gan_augment import metrics
from gan_augment.errors import DataError, UsageError
from gan_augment.metrics import class_fidelity
from gan_augment.metrics.diagnostics import Figure, copying, diagnose

RNG = np.random.default_rng(0)
REAL, MADE, HELD = (
    RNG.normal(size=(60, 4)),
    RNG.normal(size=(40, 4)) + 0.3,
    RNG.normal(size=(40, 4)),
)
NOTHING = np.empty((0, 4))
DIAGNOSTICS = [
    *("kernel_distance", "frechet_distance", "precision", "recall", "density", "coverage"),
    *("spread", "two_sample"),
]
COPYING = ["identical", "near", "nearer_share"]


def both(real: np.ndarray, made: np.ndarray, held: np.ndarray, seed: int = 0) -> dict[str, Figure]:
    return {**diagnose(real, made, held, seed=seed), **copying(real, made, held, seed=seed)}


def test_the_figures_come_in_their_order_and_are_those_computed_alone() -> None:
    found = both(REAL, MADE, HELD)
    assert list(found) == DIAGNOSTICS + COPYING
    for name in DIAGNOSTICS[:6]:
        alone = getattr(metrics, name)
        assert found[name].value == pytest.approx(alone(REAL, MADE), rel=1e-10)
        assert found[name].floor == pytest.approx(alone(REAL, HELD), rel=1e-10)
    assert found["spread"].value == pytest.approx(metrics.spread_ratio(REAL, MADE))
    assert found["two_sample"].value == metrics.two_sample_test(REAL, MADE).value
    assert found["two_sample"].interval == metrics.two_sample_test(REAL, MADE)[1:]
    assert found["kernel_distance"].p == metrics.kernel_test(REAL, MADE, permutations=199)
    assert found["nearer_share"].value == metrics.nearer_share(REAL, MADE, HELD).value
    assert found["near"].floor == pytest.approx(1 / 40)


def test_ideals_are_what_a_perfect_generator_has() -> None:
    ideals = {name: figure.ideal for name, figure in both(REAL, MADE, HELD).items()}
    assert ideals.pop("coverage") == metrics.expected_coverage(60, 40)
    told = {name: ideal for name, ideal in ideals.items() if ideal is not None}
    assert told == {
        "kernel_distance": 0,
        "density": 1,
        "spread": 1,
        "two_sample": 0.5,
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
    assert {figure.floor for figure in both(REAL, MADE, NOTHING).values()} == {None}


def test_small_samples_are_told_as_data() -> None:
    found = both(REAL[:9], MADE, HELD[:9])
    for name in ("precision", "recall", "density", "coverage"):
        assert "10 of each" in str(found[name].caveat)
    assert "not interpretable" in str(found["frechet_distance"].caveat)
    assert "9 held-out" in str(found["near"].caveat)
    assert both(REAL, MADE, HELD)["precision"].caveat is None


def test_value_and_floor_of_what_hangs_on_the_number_of_rows_are_of_equal_size() -> None:
    rng = np.random.default_rng(1)
    real, held, fresh = (
        rng.normal(size=(80, 3)),
        rng.normal(size=(20, 3)),
        rng.normal(size=(900, 3)),
    )
    found = diagnose(real, fresh, held)
    assert found["coverage"].ideal == metrics.expected_coverage(80, 20)
    assert found["coverage"].value == pytest.approx(found["coverage"].floor, abs=0.15)
    assert metrics.coverage(real, fresh) > found["coverage"].value + 0.15
    distance = found["frechet_distance"]
    assert 0.4 < distance.value / distance.floor < 2.5


@pytest.mark.slow
def test_the_order_of_rows_changes_nothing_even_where_rows_are_drawn() -> None:
    rng = np.random.default_rng(2)
    sets = [rng.normal(size=(n, 3)) for n in (1300, 1100, 1050)]
    first = both(*sets)
    again = both(*(rng.permutation(rows) for rows in sets))
    other = both(*sets, seed=1)
    for name, figure in first.items():
        told = [(one.value, one.floor or 0.0) for one in (again[name], figure)]
        assert told[0] == pytest.approx(told[1], rel=1e-10)
    assert other["kernel_distance"].value != first["kernel_distance"].value


def test_a_copy_of_any_training_row_is_found_among_more_than_are_drawn() -> None:
    real = np.random.default_rng(3).normal(size=(5000, 2))
    found = copying(real, real[4000:4010], HELD[:, :2])
    assert found["identical"].value == found["near"].value == 1


@pytest.mark.slow
def test_the_frechet_distance_takes_all_rows_so_that_more_of_them_make_it_interpretable() -> None:
    rng = np.random.default_rng(4)
    real, made, held = (rng.normal(size=(1300, 120)) for _ in range(3))
    figure = diagnose(real, made, held)["frechet_distance"]
    assert figure.caveat is None
    assert figure.value == pytest.approx(metrics.frechet_distance(real, made))


def test_constant_features_have_no_spread_and_no_exception() -> None:
    found = both(np.ones((12, 2)), np.ones((12, 2)), np.ones((12, 2)))
    assert found["spread"].value is None
    assert "all real rows are equal" in str(found["spread"].caveat)
    assert found["identical"].value == found["identical"].floor == 1


@pytest.mark.parametrize("which", [0, 1, 2])
def test_values_that_are_not_finite_are_an_error(which: int) -> None:
    sets = [REAL, MADE, HELD]
    sets[which] = np.where(np.arange(4) == 2, np.nan, sets[which])
    with pytest.raises(DataError, match="not finite"):
        diagnose(*sets)
    with pytest.raises(DataError, match="features"):
        copying(REAL, MADE[:, :2], HELD)


N = 500
FAULTS = np.random.default_rng(0)
MODES = np.array([[0, -3, 0, 0], [0, 3, 0, 0]])
BESIDE, SHIFT = np.array([7, 0, 0, 0]), np.array([0, 0, 1.6, 1.6])


def own(n: int = N) -> np.ndarray:
    """Rows of the class: two modes, along the second feature."""
    return MODES[FAULTS.integers(2, size=n)] + FAULTS.normal(size=(n, 4))


def other(n: int = N) -> np.ndarray:
    """Return rows of the neighbouring class, along the first feature."""
    return FAULTS.normal(size=(n, 4)) + BESIDE


CLASS_REAL, CLASS_HELD = own(), own()
CLASSIFIER = LogisticRegression().fit(
    np.concatenate([CLASS_REAL, other()]), np.repeat(["a", "b"], N)
)
GENERATED: dict[str, Callable[[], np.ndarray]] = {
    "perfect": own,
    "collapse": lambda: MODES[0] + FAULTS.normal(size=(N, 4)),
    "copies": lambda: FAULTS.permutation(CLASS_REAL),
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
    "nearer_share": (0.25, " +  "),
}


def figures(made: np.ndarray) -> dict[str, float]:
    found = {**diagnose(CLASS_REAL, made, CLASS_HELD), **copying(CLASS_REAL, made, CLASS_HELD)}
    values = {name: float(figure.value or 0) for name, figure in found.items()}
    called = CLASSIFIER.predict(made)
    return {**values, "class_fidelity": class_fidelity(np.repeat("a", len(made)), called)}


@pytest.fixture(scope="module")
def measured() -> dict[str, dict[str, float]]:
    return {fault: figures(make()) for fault, make in GENERATED.items()}


@pytest.mark.parametrize("name", MOVES)
@pytest.mark.parametrize("fault", ORDER)
def test_a_fault_moves_the_diagnostics_made_for_it_and_no_other(
    measured: dict[str, dict[str, float]], name: str, fault: str
) -> None:
    least, signs = MOVES[name]
    change = measured[fault][name] - measured["perfect"][name]
    expected = {"+": change >= least, "-": change <= -least, " ": abs(change) < least}
    assert expected[signs[ORDER.index(fault)]], f"{name} moved by {change:.3f} under {fault}"


ROWS = np.random.default_rng(0)
TIED_REAL = np.concatenate([ROWS.normal(size=(70, 5)), np.zeros((9, 5)), np.eye(5)])
TIED_HELD = ROWS.normal(size=(60, 5))
TIED_MADE = np.concatenate([ROWS.normal(size=(50, 5)), TIED_REAL[:20], np.zeros((3, 5))])
THRESHOLD = metrics.copy_threshold(TIED_REAL, TIED_HELD)
FIGURES: dict[str, Callable[..., object]] = {
    **{
        figure.__name__: lambda real, made, held, figure=figure: figure(real, made)
        for figure in (
            *(metrics.kernel_distance, metrics.kernel_test, metrics.frechet_distance),
            *(metrics.precision, metrics.recall, metrics.density, metrics.coverage),
            *(metrics.spread_ratio, metrics.two_sample_test),
        )
    },
    "nearer_share": lambda real, made, held: metrics.nearer_share(real, made, held),
    "identical": lambda real, made, held: metrics.identical_share(made, real),
    "near": lambda real, made, held: metrics.copied_share(made, real, THRESHOLD),
    "threshold": lambda real, made, held: metrics.copy_threshold(real, held),
}


@pytest.mark.parametrize("name", FIGURES)
def test_order_and_chunks_change_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    value = np.asarray(FIGURES[name](TIED_REAL, TIED_MADE, TIED_HELD))
    shuffled = [
        np.random.default_rng(1).permutation(rows) for rows in (TIED_REAL, TIED_MADE, TIED_HELD)
    ]
    assert np.asarray(FIGURES[name](*shuffled)) == pytest.approx(value, rel=1e-10, abs=1e-10)
    monkeypatch.setattr(metrics.distances, "_CELLS", 700)
    assert np.asarray(FIGURES[name](TIED_REAL, TIED_MADE, TIED_HELD)) == pytest.approx(
        value, rel=1e-10, abs=1e-10
    )


ROW, PAIR, WIDE = [[1.0]], [[1.0], [2.0]], [[1.0, 2.0]] * 4
REFUSED: tuple[tuple[type[Exception], str, Callable[[], object]], ...] = (
    (DataError, "N >= 2", lambda: metrics.frechet_distance(ROW, PAIR)),
    (DataError, "expected", lambda: metrics.kernel_distance([1.0, 2.0], PAIR)),
    (DataError, "not finite", lambda: metrics.density([[np.inf], [1.0]], PAIR)),
    (DataError, "features", lambda: metrics.coverage(PAIR, WIDE)),
    (DataError, "features", lambda: metrics.nearest_distances(WIDE, PAIR)),
    (DataError, "held_out has shape", lambda: metrics.nearer_share(PAIR, PAIR, np.empty((0, 1)))),
    (DataError, "N >= 4", lambda: metrics.two_sample_test(PAIR, PAIR)),
    (DataError, "N >= 1", lambda: metrics.class_fidelity([], [])),
    (DataError, "softmax", lambda: metrics.inception_score(PAIR)),
    (UsageError, "splits=3 of 2 images", lambda: metrics.inception_score([[1.0]] * 2, splits=3)),
    (UsageError, "permutations=0", lambda: metrics.kernel_test(PAIR, PAIR, permutations=0)),
    (UsageError, "k=2 neighbours among 2", lambda: metrics.precision(PAIR, PAIR, k=2)),
    (UsageError, "n_synthetic", lambda: metrics.expected_coverage(5, -1)),
    (UsageError, "quantile", lambda: metrics.copy_threshold(PAIR, quantile=2)),
    (UsageError, "2 hits of 1", lambda: metrics.wilson_interval(2, of=1)),
)


@pytest.mark.filterwarnings("ignore:.*too few", "ignore:Inception score of")
@pytest.mark.parametrize(("kind", "says", "call"), REFUSED, ids=[says for _, says, _ in REFUSED])
def test_what_cannot_be_used_is_named(
    kind: type[Exception], says: str, call: Callable[[], object]
) -> None:
    with pytest.raises(kind, match=says):
        call()


def loaded_by(code: str) -> set[str]:
    """The modules that are loaded after the code has run in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; {code}; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_importing_the_metrics_loads_nothing_heavier_than_numpy() -> None:
    loaded = loaded_by("import gan_augment.metrics")
    assert {"scipy", "sklearn", "torch", "pandas", "torch_fidelity"}.isdisjoint(loaded)
