"""All figures of one class, each with its floor between real rows; no warnings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from numpy.typing import ArrayLike

from gan_augment.metrics.distances import (
    Proportion,
    Rows,
    draw_rows,
    feature_sets,
    kernel_distance,
    mean_pairwise_distance,
    two_sample_test,
)
from gan_augment.metrics.neighbours import (
    copied_share,
    copy_threshold,
    coverage,
    density,
    expected_coverage,
    nearer_share,
)
from gan_augment.rng import rng_for

_MOST = 1_000
"""Rows of each set that are compared: neighbours and kernels cost the square of it."""
_FEW = 10
"""With fewer rows, figures by neighbours mean little."""


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
        """Convert to a dictionary for JSON.

        Returns
        -------
        dict
            The fields by name.
        """
        return {**asdict(self), "interval": list(self.interval) if self.interval else None}


def diagnose(
    real: ArrayLike, synthetic: ArrayLike, held_out: ArrayLike, *, seed: int = 0
) -> dict[str, Figure]:
    """Compute the figures that compare the synthetic rows of one class with its real rows.

    Parameters
    ----------
    real, synthetic, held_out
        Training rows (N, d), generated rows (M, d), and real rows (H, d) that no generator saw.
        Each set may be empty; a figure that needs it then has the value None.
    seed
        At most 1,000 rows of each set are drawn with it. The order of the rows does not matter.

    Returns
    -------
    dict
        {name: `Figure`}: the figures in the order of a report.

    Notes
    -----
    Coverage depends on the number of rows: value and floor are those of min(M, H) rows.

    Examples
    --------
    >>> import numpy as np
    >>> figures = diagnose([[0.0], [4.0]], [[1.0], [3.0]], held_out=np.empty((0, 1)))
    >>> figures["spread"].value, figures["spread"].ideal, figures["spread"].floor
    (0.5, 1.0, None)
    """
    names = ("real", "synthetic", "held_out")
    sets = feature_sets(0, real=real, synthetic=synthetic, held_out=held_out)
    a, b, held = (_drawn(one, name, seed) for one, name in zip(sets, names, strict=True))
    size = min(len(b), len(held)) if len(held) >= 2 else len(b)
    equal = [draw_rows(one, size, rng_for(seed, "diagnose", "equal size")) for one in (b, held)]
    few = None
    if min(len(a), size) < _FEW:
        few = f"{len(a)} real and {size} other rows are too few; expected {_FEW} of each."
    expected = expected_coverage(len(a), size) if len(a) >= 2 else None
    if len(a) >= 2 and (a == a[0]).all():
        spread = Figure(None, caveat="all real rows are equal, so the ratio is undefined.")
    else:
        spread = _figure(
            lambda x, y: mean_pairwise_distance(y) / mean_pairwise_distance(x),
            a,
            b,
            held,
            ideal=1.0,
        )
    return {
        "kernel_distance": _figure(kernel_distance, a, b, held, ideal=0.0),
        "density": _figure(density, a, b, held, ideal=1.0, caveat=few),
        "coverage": _figure(coverage, a, *equal, ideal=expected, caveat=few),
        "spread": spread,
        "two_sample": _figure(
            lambda x, y: two_sample_test(x, y, seed=seed), a, b, held, least=4, ideal=0.5
        ),
    }


def copying(
    real: ArrayLike, synthetic: ArrayLike, held_out: ArrayLike, *, seed: int = 0
) -> dict[str, Figure]:
    """Measure whether the synthetic rows of one class repeat their training rows.

    Parameters
    ----------
    real, synthetic, held_out, seed
        As in `diagnose`, but all training rows are compared: a copy of any counts.

    Returns
    -------
    dict
        {name: `Figure`}. `near` is the share of rows nearer to a training row than 99 % of the
        held-out rows are, or, without these, than 99 % of the training rows are to each other.

    Examples
    --------
    >>> figures = copying([[0.0], [4.0]], [[0.0], [2.0]], held_out=[[1.0], [7.0]])
    >>> figures["near"].value, figures["nearer_share"].ideal
    (0.5, 0.5)
    """
    a, b, held = feature_sets(0, real=real, synthetic=synthetic, held_out=held_out)
    b, held = _drawn(b, "synthetic", seed), _drawn(held, "held_out", seed)
    threshold = copy_threshold(a, held if len(held) else None) if len(a) >= 2 else 0.0
    rests = f"the threshold rests on {len(held) or 'no'} held-out rows."
    nearer = Figure(None, caveat="the figure needs rows of each of the three sets.")
    if len(a) and len(b) and len(held):
        share = nearer_share(a, b, held, seed)
        nearer = Figure(share.value, ideal=0.5, interval=share[1:])
    return {
        "near": _figure(
            lambda x, y: copied_share(y, x, threshold),
            *(a, b, held),
            caveat=rests if len(held) < _FEW else None,
        ),
        "nearer_share": nearer,
    }


def _drawn(rows: Rows, name: str, seed: int) -> Rows:
    return draw_rows(rows, _MOST, rng_for(seed, "diagnose", name))


def _figure(
    metric: Callable[[Rows, Rows], float | Proportion],
    real: Rows,
    synthetic: Rows,
    held_out: Rows,
    *,
    least: int = 2,
    ideal: float | None = None,
    caveat: str | None = None,
) -> Figure:
    """Compute a metric of (real, synthetic) rows, and of (real, held-out) rows as its floor."""
    if min(len(real), len(synthetic)) < least:
        have = f"{len(real)} real and {len(synthetic)} synthetic rows"
        return Figure(None, caveat=f"{have}; the figure needs {least} of each.")
    found = metric(real, synthetic)
    floor = metric(real, held_out) if len(held_out) >= least else None
    floor = floor.value if isinstance(floor, Proportion) else floor
    if isinstance(found, Proportion):
        return Figure(found.value, floor, ideal, (found.low, found.high), caveat=caveat)
    return Figure(found, floor, ideal, caveat=caveat)
