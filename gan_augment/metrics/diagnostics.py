"""All diagnostics of one class, each with its floor between real rows; no warnings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from gan_augment.metrics.copies import (
    copied_share,
    copy_threshold,
    identical_share,
    nearer_share,
)
from gan_augment.metrics.densities import (
    density_and_coverage,
    expected_coverage,
    neighbour_limit,
    share_within,
)
from gan_augment.metrics.distances import (
    Rows,
    draw_rows,
    feature_sets,
    frechet_between,
    frechet_limit,
    kernel_distance,
    kernel_test,
    spread_ratio,
)
from gan_augment.metrics.two_sample import two_sample_test
from gan_augment.rng import rng_for

_MOST = 1_000
"""Rows of each set that are compared: neighbours and permutations cost the square of it."""

_DRAWS = 5
"""Draws to average over where the larger of two sets is cut to the size of the smaller one."""

_PERMUTATIONS = 199

_FEWEST_HELD_OUT = 10


@dataclass(frozen=True)
class Figure:
    """One figure of a class with the values to compare it with.

    Parameters
    ----------
    value
        None where it cannot be computed; `caveat` then gives the reason.
    floor
        The same figure between real training rows and real held-out rows.
    ideal
        The mean of a perfect generator.
    interval
        The 95 % interval.
    p
        The probability of such a value if both sets had one distribution.
    caveat
        What limits the value.
    """

    value: float | None
    floor: float | None = None
    ideal: float | None = None
    interval: tuple[float, float] | None = None
    p: float | None = None
    caveat: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Convert to a dictionary for JSON."""
        return {**asdict(self), "interval": list(self.interval) if self.interval else None}


@dataclass(frozen=True)
class _Sets:
    real: Rows
    synthetic: Rows
    held_out: Rows
    seed: int

    def cut(self, name: str) -> Rows:
        """Draw at most 1,000 rows of a set."""
        return draw_rows(getattr(self, name), _MOST, rng_for(self.seed, "diagnose", name))


def diagnose(
    real: ArrayLike, synthetic: ArrayLike, held_out: ArrayLike, *, seed: int = 0
) -> dict[str, Figure]:
    """Compute eight figures that compare the synthetic rows of one class with its real rows.

    Parameters
    ----------
    real
        Training rows (N, d).
    synthetic
        Generated rows (M, d).
    held_out
        Real rows (H, d) that no generator saw. Each set may be empty; a figure that needs it then
        has the value None.
    seed
        At most 1,000 rows of each set are drawn with it; the Frechet distance takes all rows. The
        order of the rows does not matter.

    Notes
    -----
    The Frechet distance, recall and coverage depend on the number of rows, so value and floor are
    means over draws of equal size, min(M, H).

    Examples
    --------
    >>> figures = diagnose([[0.0], [4.0]], [[1.0], [3.0]], held_out=np.empty((0, 1)))
    >>> figures["spread"].value, figures["spread"].ideal, figures["spread"].floor
    (0.5, 1.0, None)
    """
    whole = _sets(real, synthetic, held_out, seed)
    some = _Sets(whole.cut("real"), whole.cut("synthetic"), whole.cut("held_out"), seed)
    figures = _figures(_DIAGNOSTICS, some)
    return figures | _figures({"frechet_distance": _DIAGNOSTICS["frechet_distance"]}, whole)


def copying(
    real: ArrayLike, synthetic: ArrayLike, held_out: ArrayLike, *, seed: int = 0
) -> dict[str, Figure]:
    """Measure whether the synthetic rows of one class repeat their training rows.

    Parameters are those of `diagnose`, but all training rows are compared: a copy of any counts.
    The figure `near` is the share of rows nearer to a training row than 99 % of the held-out rows
    are, or than 99 % of the training rows are to each other without held-out rows.

    >>> figures = copying([[0.0], [4.0]], [[0.0], [2.0]], held_out=[[1.0], [7.0]])
    >>> figures["identical"].value, figures["identical"].floor
    (0.5, 0.0)
    """
    sets = _sets(real, synthetic, held_out, seed)
    return _figures(_COPYING, _Sets(sets.real, sets.cut("synthetic"), sets.cut("held_out"), seed))


def _sets(real: ArrayLike, synthetic: ArrayLike, held_out: ArrayLike, seed: int) -> _Sets:
    a, b, other = feature_sets(0, real=real, synthetic=synthetic, held_out=held_out)
    return _Sets(a, b, other, seed)


def _figures(diagnostics: Mapping[str, _Diagnostic], sets: _Sets) -> dict[str, Figure]:
    """Compute each figure; with too few rows, return one whose caveat gives the reason."""
    names = ("real", "synthetic", "held-out")
    rows = (len(sets.real), len(sets.synthetic), len(sets.held_out))
    have = ", ".join(f"{n} {name}" for n, name in zip(rows, names, strict=True))
    figures = {}
    for key, (measure, least) in diagnostics.items():
        if all(n >= needed for n, needed in zip(rows, least, strict=True)):
            figures[key] = measure(sets)
            continue
        need = ", ".join(f"{n} {name}" for n, name in zip(least, names, strict=True) if n)
        figures[key] = Figure(None, caveat=f"{have} rows; the figure needs {need}.")
    return figures


def _beside(sets: _Sets, figure: _Metric, least: int = 1, **more: Any) -> Figure:
    """Compute a metric of the synthetic rows; its floor needs `least` held-out rows."""
    floor = figure(sets.real, sets.held_out) if len(sets.held_out) >= least else None
    return Figure(figure(sets.real, sets.synthetic), floor, **more)


def _at_equal_size(sets: _Sets, figure: _Metric, **more: Any) -> Figure:
    """Compute a metric that depends on the number of rows, as means over draws of equal size."""
    m = _equal_size(sets)

    def mean(real: Rows, rows: Rows) -> float:
        rng = rng_for(sets.seed, "diagnose", "equal size", m)
        draws = 1 if len(rows) == m else _DRAWS
        return float(np.mean([figure(real, draw_rows(rows, m, rng)) for _ in range(draws)]))

    return _beside(sets, mean, 2, **more)


def _equal_size(sets: _Sets) -> int:
    """Return the size of the smaller set, of those with at least two rows."""
    return min(len(rows) for rows in (sets.synthetic, sets.held_out) if len(rows) >= 2)


def _few(sets: _Sets) -> str | None:
    return neighbour_limit(len(sets.real), len(sets.synthetic))


def _few_of_equal_size(sets: _Sets) -> str | None:
    return neighbour_limit(len(sets.real), _equal_size(sets))


def _kernel_distance(sets: _Sets) -> Figure:
    p = kernel_test(sets.real, sets.synthetic, sets.seed, permutations=_PERMUTATIONS)
    return _beside(sets, kernel_distance, 2, ideal=0.0, p=p)


def _frechet_distance(sets: _Sets) -> Figure:
    limit = frechet_limit(len(sets.real), _equal_size(sets), sets.real.shape[1])
    return _at_equal_size(sets, frechet_between, caveat=limit)


def _precision(sets: _Sets) -> Figure:
    return _beside(sets, share_within, caveat=_few(sets))


def _recall(sets: _Sets) -> Figure:
    caveat = _few_of_equal_size(sets)
    return _at_equal_size(sets, lambda real, rows: share_within(rows, real), caveat=caveat)


def _density(sets: _Sets) -> Figure:
    return _beside(sets, lambda *both: density_and_coverage(*both)[0], ideal=1.0, caveat=_few(sets))


def _coverage(sets: _Sets) -> Figure:
    ideal, caveat = expected_coverage(len(sets.real), _equal_size(sets)), _few_of_equal_size(sets)
    return _at_equal_size(
        sets, lambda *both: density_and_coverage(*both)[1], ideal=ideal, caveat=caveat
    )


def _spread(sets: _Sets) -> Figure:
    if (sets.real == sets.real[0]).all():
        return Figure(None, caveat="all real rows are equal, so the ratio is undefined.")
    return _beside(sets, spread_ratio, 2, ideal=1.0)


def _two_sample(sets: _Sets) -> Figure:
    enough = len(sets.held_out) >= 4
    floor = two_sample_test(sets.real, sets.held_out, seed=sets.seed).value if enough else None
    value, low, high = two_sample_test(sets.real, sets.synthetic, seed=sets.seed)
    return Figure(value, floor, ideal=0.5, interval=(low, high))


def _identical(sets: _Sets) -> Figure:
    return _beside(sets, lambda real, rows: identical_share(rows, real))


def _near(sets: _Sets) -> Figure:
    n = len(sets.held_out)
    threshold = copy_threshold(sets.real, sets.held_out if n else None)
    few = f"the threshold rests on {n} held-out rows."
    if not n:
        few = "no held-out rows: the threshold rests on the training rows."
    caveat = few if n < _FEWEST_HELD_OUT else None
    return _beside(sets, lambda real, rows: copied_share(rows, real, threshold), caveat=caveat)


def _nearer_share(sets: _Sets) -> Figure:
    value, low, high = nearer_share(sets.real, sets.synthetic, sets.held_out, sets.seed)
    return Figure(value, ideal=0.5, interval=(low, high))


_Metric = Callable[[Rows, Rows], float]
"""Real rows and the rows to measure -> the figure."""
_Diagnostic = tuple[Callable[[_Sets], Figure], tuple[int, int, int]]
"""A figure and the numbers of real, synthetic and held-out rows that it needs."""

_DIAGNOSTICS: dict[str, _Diagnostic] = {
    "kernel_distance": (_kernel_distance, (2, 2, 0)),
    "frechet_distance": (_frechet_distance, (2, 2, 0)),
    "precision": (_precision, (2, 1, 0)),
    "recall": (_recall, (2, 2, 0)),
    "density": (_density, (2, 1, 0)),
    "coverage": (_coverage, (2, 2, 0)),
    "spread": (_spread, (2, 2, 0)),
    "two_sample": (_two_sample, (4, 4, 0)),
}

_COPYING: dict[str, _Diagnostic] = {
    "identical": (_identical, (1, 1, 0)),
    "near": (_near, (2, 1, 0)),
    "nearer_share": (_nearer_share, (1, 1, 1)),
}
