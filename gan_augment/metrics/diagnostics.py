"""All diagnostics of one class, each beside its floor; what limits them is data, not a warning.

Pure arrays: who extracts features and for which class is the caller's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from gan_augment.metrics.copies import (
    authenticity,
    copied_share,
    copy_threshold,
    copying_score,
    data_copying_limit,
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
from gan_augment.randomness import generator

_MOST = 1_000
"""Rows of each set that are looked at: neighbours and permutations cost the square of it."""

_DRAWS = 5
"""Draws that are averaged where the larger of two sets is cut to the size of the other."""

_PERMUTATIONS = 199

_FEWEST_HELD_OUT = 10


@dataclass(frozen=True)
class Figure:
    """One number of a class, with what it is to be read against.

    `value` is None where it cannot be computed, and `caveat` says why; `floor` is the same number
    between real training rows and real held-out rows; `ideal` what a perfect generator has on
    average; `interval` 95 %; `p` the chance of such a value if both sets had one distribution.
    """

    value: float | None
    floor: float | None = None
    ideal: float | None = None
    interval: tuple[float, float] | None = None
    p: float | None = None
    caveat: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON holds it."""
        return {**asdict(self), "interval": list(self.interval) if self.interval else None}


@dataclass(frozen=True)
class _Sets:
    real: Rows
    synthetic: Rows
    held_out: Rows
    seed: int


@dataclass(frozen=True)
class _Diagnostic:
    """A figure, and the rows of each set without which it cannot be computed."""

    measure: Callable[[_Sets], Figure]
    real: int
    synthetic: int
    held_out: int = 0

    def __call__(self, sets: _Sets) -> Figure:
        """The figure; without rows enough, one that says so."""
        rows = (len(sets.real), len(sets.synthetic), len(sets.held_out))
        least = (self.real, self.synthetic, self.held_out)
        if all(n >= needed for n, needed in zip(rows, least, strict=True)):
            return self.measure(sets)
        names = ("real", "synthetic", "held-out")
        have = ", ".join(f"{n} {name}" for n, name in zip(rows, names, strict=True))
        need = ", ".join(f"{n} {name}" for n, name in zip(least, names, strict=True) if n)
        return Figure(None, caveat=f"{have} rows; it needs {need}.")


def diagnose(
    real: ArrayLike, synthetic: ArrayLike, held_out: ArrayLike, *, seed: int = 0
) -> dict[str, Figure]:
    """Compare the synthetic rows of one class with its real ones: eight figures by name.

    Shapes: real (N, d), synthetic (M, d), held_out (H, d) real rows that no generator saw; any may
    have 0 rows, then what needs it is None. At most 1,000 rows of each are drawn with the seed,
    but for the Frechet distance, which takes all. It, recall and coverage depend on the number of
    rows: value and floor are means over draws of equal size, min(M, H). The order of the rows does
    not matter; nothing is warned.
    Raises DataError on unequal widths or values that are not finite.

    >>> figures = diagnose([[0.0], [4.0]], [[1.0], [3.0]], held_out=np.empty((0, 1)))
    >>> figures["spread"].value, figures["spread"].ideal, figures["spread"].floor
    (0.5, 1.0, None)
    """
    whole = _sets(real, synthetic, held_out, seed)
    some = replace(_some(whole), real=_cut(whole.real, "real", seed))
    figures = {name: diagnostic(some) for name, diagnostic in _DIAGNOSTICS.items()}
    return {**figures, "frechet_distance": _DIAGNOSTICS["frechet_distance"](whole)}


def copying(
    real: ArrayLike, synthetic: ArrayLike, held_out: ArrayLike, *, seed: int = 0
) -> dict[str, Figure]:
    """Look whether the synthetic rows of one class repeat the rows that were learned from.

    Shapes, seed and errors as `diagnose`, but all training rows are looked at: a copy of any
    counts. `near` are rows nearer to a training row than 99 % of the held-out rows are (without
    held-out rows: than 99 % of the training rows are to each other).

    >>> figures = copying([[0.0], [4.0]], [[0.0], [2.0]], held_out=[[1.0], [7.0]])
    >>> figures["identical"].value, figures["identical"].floor
    (0.5, 0.0)
    """
    sets = _some(_sets(real, synthetic, held_out, seed))
    return {name: diagnostic(sets) for name, diagnostic in _COPYING.items()}


def _sets(real: ArrayLike, synthetic: ArrayLike, held_out: ArrayLike, seed: int) -> _Sets:
    a, b, other = feature_sets(0, real=real, synthetic=synthetic, held_out=held_out)
    return _Sets(a, b, other, seed)


def _some(sets: _Sets) -> _Sets:
    """At most 1,000 synthetic and 1,000 held-out rows."""
    synthetic = _cut(sets.synthetic, "synthetic", sets.seed)
    return replace(sets, synthetic=synthetic, held_out=_cut(sets.held_out, "held_out", sets.seed))


def _cut(rows: Rows, name: str, seed: int) -> Rows:
    return draw_rows(rows, _MOST, generator(seed, "diagnose", name))


def _kernel_distance(sets: _Sets) -> Figure:
    floor = kernel_distance(sets.real, sets.held_out) if len(sets.held_out) >= 2 else None
    p = kernel_test(sets.real, sets.synthetic, sets.seed, permutations=_PERMUTATIONS)
    return Figure(kernel_distance(sets.real, sets.synthetic), floor, ideal=0.0, p=p)


def _frechet_distance(sets: _Sets) -> Figure:
    n, m, width = len(sets.real), _equal_size(sets), sets.real.shape[1]
    value, floor = _at_equal_size(sets, frechet_between)
    return Figure(value, floor, caveat=frechet_limit(n, m, width))


def _precision(sets: _Sets) -> Figure:
    floor = share_within(sets.real, sets.held_out) if len(sets.held_out) else None
    caveat = neighbour_limit(len(sets.real), len(sets.synthetic))
    return Figure(share_within(sets.real, sets.synthetic), floor, caveat=caveat)


def _recall(sets: _Sets) -> Figure:
    value, floor = _at_equal_size(sets, lambda real, others: share_within(others, real))
    return Figure(value, floor, caveat=neighbour_limit(len(sets.real), _equal_size(sets)))


def _density(sets: _Sets) -> Figure:
    floor = density_and_coverage(sets.real, sets.held_out)[0] if len(sets.held_out) else None
    value = density_and_coverage(sets.real, sets.synthetic)[0]
    caveat = neighbour_limit(len(sets.real), len(sets.synthetic))
    return Figure(value, floor, ideal=1.0, caveat=caveat)


def _coverage(sets: _Sets) -> Figure:
    n, m = len(sets.real), _equal_size(sets)
    value, floor = _at_equal_size(sets, lambda *both: density_and_coverage(*both)[1])
    return Figure(value, floor, ideal=expected_coverage(n, m), caveat=neighbour_limit(n, m))


def _spread(sets: _Sets) -> Figure:
    if (sets.real == sets.real[0]).all():
        return Figure(None, caveat="all real rows are equal: there is no spread to compare with.")
    floor = spread_ratio(sets.real, sets.held_out) if len(sets.held_out) >= 2 else None
    return Figure(spread_ratio(sets.real, sets.synthetic), floor, ideal=1.0)


def _two_sample(sets: _Sets) -> Figure:
    enough = len(sets.held_out) >= 4
    floor = two_sample_test(sets.real, sets.held_out, seed=sets.seed).value if enough else None
    value, low, high = two_sample_test(sets.real, sets.synthetic, seed=sets.seed)
    return Figure(value, floor, ideal=0.5, interval=(low, high))


def _equal_size(sets: _Sets) -> int:
    """As many synthetic rows as held-out ones, where these can be measured at all."""
    sizes = [len(rows) for rows in (sets.synthetic, sets.held_out) if len(rows) >= 2]
    return min(sizes)


def _at_equal_size(
    sets: _Sets, figure: Callable[[Rows, Rows], float]
) -> tuple[float, float | None]:
    """Value and floor of a figure that depends on the number of rows, as means over draws."""
    m = _equal_size(sets)

    def mean(rows: Rows) -> float:
        rng = generator(sets.seed, "diagnose", "equal size", m)
        draws = 1 if len(rows) == m else _DRAWS
        return float(np.mean([figure(sets.real, draw_rows(rows, m, rng)) for _ in range(draws)]))

    return mean(sets.synthetic), mean(sets.held_out) if len(sets.held_out) >= 2 else None


def _identical(sets: _Sets) -> Figure:
    floor = identical_share(sets.held_out, sets.real) if len(sets.held_out) else None
    return Figure(identical_share(sets.synthetic, sets.real), floor)


def _near(sets: _Sets) -> Figure:
    if not len(sets.held_out):
        value = copied_share(sets.synthetic, sets.real, copy_threshold(sets.real))
        return Figure(value, caveat="no held-out rows: near is what training rows rarely are.")
    threshold = copy_threshold(sets.real, sets.held_out)
    floor = copied_share(sets.held_out, sets.real, threshold)
    few = f"what counts as near rests on {len(sets.held_out)} held-out rows."
    caveat = few if len(sets.held_out) < _FEWEST_HELD_OUT else None
    return Figure(copied_share(sets.synthetic, sets.real, threshold), floor, caveat=caveat)


def _authenticity(sets: _Sets) -> Figure:
    floor = authenticity(sets.real, sets.held_out) if len(sets.held_out) else None
    return Figure(authenticity(sets.real, sets.synthetic), floor)


def _nearer_share(sets: _Sets) -> Figure:
    value, low, high = nearer_share(sets.real, sets.synthetic, sets.held_out, sets.seed)
    return Figure(value, ideal=0.5, interval=(low, high))


def _data_copying(sets: _Sets) -> Figure:
    score = copying_score(sets.real, sets.synthetic, sets.held_out)
    caveat = data_copying_limit(len(sets.synthetic), len(sets.held_out))
    return Figure(score, ideal=0.0, caveat=caveat)


_DIAGNOSTICS = {
    "kernel_distance": _Diagnostic(_kernel_distance, real=2, synthetic=2),
    "frechet_distance": _Diagnostic(_frechet_distance, real=2, synthetic=2),
    "precision": _Diagnostic(_precision, real=2, synthetic=1),
    "recall": _Diagnostic(_recall, real=2, synthetic=2),
    "density": _Diagnostic(_density, real=2, synthetic=1),
    "coverage": _Diagnostic(_coverage, real=2, synthetic=2),
    "spread": _Diagnostic(_spread, real=2, synthetic=2),
    "two_sample": _Diagnostic(_two_sample, real=4, synthetic=4),
}

_COPYING = {
    "identical": _Diagnostic(_identical, real=1, synthetic=1),
    "near": _Diagnostic(_near, real=2, synthetic=1),
    "authenticity": _Diagnostic(_authenticity, real=2, synthetic=1),
    "nearer_share": _Diagnostic(_nearer_share, real=1, synthetic=1, held_out=1),
    "data_copying": _Diagnostic(_data_copying, real=1, synthetic=2, held_out=2),
}
