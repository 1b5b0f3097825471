"""All diagnostics of one class, each with its floor between real rows; no warnings."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
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
from gan_augment.metrics.two_sample import Proportion, two_sample_test
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
    whole = _Sets(seed, *feature_sets(0, real=real, synthetic=synthetic, held_out=held_out))
    sets = _Sets(seed, whole.cut("real"), whole.cut("synthetic"), whole.cut("held_out"))
    kernel = sets.figure(kernel_distance, (2, 2, 0), floor_from=2, ideal=0.0)
    frechet = whole.figure(frechet_between, (2, 2, 0), floor_from=2, equal=True)
    if kernel.value is not None:
        p = kernel_test(sets.real, sets.synthetic, seed, permutations=_PERMUTATIONS)
        kernel = replace(kernel, p=p)
        limit = frechet_limit(len(whole.real), whole.equal_size, whole.real.shape[1])
        frechet = replace(frechet, caveat=limit)
    if len(sets.real) >= 2 and (sets.real == sets.real[0]).all():
        spread = Figure(None, caveat="all real rows are equal, so the ratio is undefined.")
    else:
        spread = sets.figure(spread_ratio, (2, 2, 0), floor_from=2, ideal=1.0)
    two_sample = partial(two_sample_test, seed=seed)
    return {
        "kernel_distance": kernel,
        "frechet_distance": frechet,
        **_of_neighbours(sets),
        "spread": spread,
        "two_sample": sets.figure(two_sample, (4, 4, 0), floor_from=4, ideal=0.5),
    }


def _of_neighbours(sets: _Sets) -> dict[str, Figure]:
    """Compute precision, recall, density and coverage."""
    n, equal = len(sets.real), sets.equal_size
    few, few_equal = neighbour_limit(n, len(sets.synthetic)), neighbour_limit(n, equal)
    compared: dict[str, Any] = {"floor_from": 2, "equal": True, "caveat": few_equal}

    def recall(real: Rows, rows: Rows) -> float:
        return share_within(rows, real)

    def density(real: Rows, rows: Rows) -> float:
        return density_and_coverage(real, rows)[0]

    def coverage(real: Rows, rows: Rows) -> float:
        return density_and_coverage(real, rows)[1]

    expected = expected_coverage(n, equal) if n >= 2 else None
    return {
        "precision": sets.figure(share_within, (2, 1, 0), caveat=few),
        "recall": sets.figure(recall, (2, 2, 0), **compared),
        "density": sets.figure(density, (2, 1, 0), ideal=1.0, caveat=few),
        "coverage": sets.figure(coverage, (2, 2, 0), ideal=expected, **compared),
    }


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
    whole = _Sets(seed, *feature_sets(0, real=real, synthetic=synthetic, held_out=held_out))
    sets = _Sets(seed, whole.real, whole.cut("synthetic"), whole.cut("held_out"))
    n, caveat, threshold = len(sets.held_out), None, 0.0
    if n < _FEWEST_HELD_OUT:
        caveat = f"the threshold rests on {n} held-out rows."
    if not n:
        caveat = "no held-out rows: the threshold rests on the training rows."
    if len(sets.real) >= 2:
        threshold = copy_threshold(sets.real, sets.held_out if n else None)
    return {
        "identical": sets.figure(lambda a, b: identical_share(b, a), (1, 1, 0)),
        "near": sets.figure(lambda a, b: copied_share(b, a, threshold), (2, 1, 0), caveat=caveat),
        "nearer_share": sets.figure(
            lambda a, b: nearer_share(a, b, sets.held_out, seed),
            (1, 1, 1),
            floor_from=sys.maxsize,
            ideal=0.5,
        ),
    }


@dataclass(frozen=True)
class _Sets:
    seed: int
    real: Rows
    synthetic: Rows
    held_out: Rows

    def cut(self, name: str) -> Rows:
        """Draw at most 1,000 rows of a set."""
        return draw_rows(getattr(self, name), _MOST, rng_for(self.seed, "diagnose", name))

    @property
    def equal_size(self) -> int:
        """The size of the smaller set, of those with at least two rows; 0 without any."""
        sizes = [len(rows) for rows in (self.synthetic, self.held_out) if len(rows) >= 2]
        return min(sizes, default=0)

    def figure(
        self,
        metric: Callable[[Rows, Rows], Any],
        needs: tuple[int, int, int],
        *,
        floor_from: int = 1,
        equal: bool = False,
        ideal: float | None = None,
        caveat: str | None = None,
    ) -> Figure:
        """Compute a metric of (real, synthetic) rows, and its floor.

        needs: the least numbers of real, synthetic and held-out rows. floor_from: the least number
        of held-out rows for a floor. equal: value and floor are means over draws of equal size.
        """
        names = ("real", "synthetic", "held-out")
        rows = (len(self.real), len(self.synthetic), len(self.held_out))
        if any(n < needed for n, needed in zip(rows, needs, strict=True)):
            have = ", ".join(f"{n} {name}" for n, name in zip(rows, names, strict=True))
            need = ", ".join(f"{n} {name}" for n, name in zip(needs, names, strict=True) if n)
            return Figure(None, caveat=f"{have} rows; the figure needs {need}.")
        measure = partial(self._mean, metric) if equal else partial(metric, self.real)
        value, interval = measure(self.synthetic), None
        floor = measure(self.held_out) if len(self.held_out) >= floor_from else None
        if isinstance(value, Proportion):
            interval = (value.low, value.high)
            value = value.value
        if isinstance(floor, Proportion):
            floor = floor.value
        return Figure(value, floor, ideal, interval, caveat=caveat)

    def _mean(self, metric: Callable[[Rows, Rows], Any], rows: Rows) -> float:
        """Average a metric over draws of as many rows as the smaller set has."""
        m = self.equal_size
        rng = rng_for(self.seed, "diagnose", "equal size", m)
        draws = 1 if len(rows) == m else _DRAWS
        return float(np.mean([metric(self.real, draw_rows(rows, m, rng)) for _ in range(draws)]))
