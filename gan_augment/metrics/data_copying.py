"""Data copying: are synthetic rows nearer to the training rows than fresh real rows are?"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gan_augment.errors import DataError
from gan_augment.metrics.copies import nearest_distances
from gan_augment.metrics.distances import feature_rows, same_width
from gan_augment.user_warnings import SmallSampleWarning, warn

_FEWEST = 10

Cells = Callable[[NDArray[np.float64]], ArrayLike]
"""Rows (N, d) -> the number of the cell of each, (N,)."""


def data_copying_score(
    real: ArrayLike, synthetic: ArrayLike, held_out: ArrayLike, cells: Cells | None = None
) -> float:
    """C_T: the z-score of "synthetic rows are farther from `real` than held-out rows are".

    z = (U - m n / 2) / sqrt(m n (m + n + 1) / 12), U the pairs (synthetic, held-out) in which the
    synthetic row's distance to its nearest training row is larger (ties half, and taken out of the
    variance). Below about -3: copying; about 0: none; above 3: rows that fall short of the data.
    With `cells` (say the `predict` of a k-means fitted on `real`): the mean of the cells' z over
    those that hold both kinds, weighed by their held-out rows.
    Shapes: real (N, d), synthetic (M, d), held_out (H, d), one row each at least -> one number.
    Source: Meehan, Chaudhuri & Dasgupta 2020, "A non-parametric test to detect data-copying in
    generative models", section 4.
    Raises DataError on no rows, unequal widths, values that are not finite, no cell with both.

    Warns with SmallSampleWarning under 10 rows.

    >>> real = [[float(10 * i)] for i in range(10)]
    >>> near, far = ([[row[0] + by] for row in real] for by in (0.1, 3.0))
    >>> round(data_copying_score(real, synthetic=near, held_out=far), 1)
    -4.1
    """
    a, b = feature_rows(real, "real"), feature_rows(synthetic, "synthetic")
    other = feature_rows(held_out, "held_out")
    same_width(a, b)
    same_width(a, other)
    limit = data_copying_limit(len(b), len(other))
    if limit:
        warn(limit, SmallSampleWarning)
    return copying_score(a, b, other, cells)


def data_copying_limit(n_synthetic: int, n_held_out: int) -> str | None:
    """Why a C_T of these sizes says little, or None from 10 rows on."""
    if min(n_synthetic, n_held_out) >= _FEWEST:
        return None
    return (
        f"C_T of {n_synthetic} synthetic and {n_held_out} held-out rows is no z-score yet: a sum "
        f"of ranks is near normal from {_FEWEST} of each on. Use nearer_share with its interval."
    )


def copying_score(
    real: NDArray[np.float64],
    synthetic: NDArray[np.float64],
    held_out: NDArray[np.float64],
    cells: Cells | None = None,
) -> float:
    """C_T of checked rows."""
    far_b, far_other = (nearest_distances(rows, real) for rows in (synthetic, held_out))
    cell_b, cell_other = (
        _cells(cells, synthetic, "synthetic"),
        _cells(cells, held_out, "held_out"),
    )
    both = np.intersect1d(cell_b, cell_other)
    if not len(both):
        raise DataError("no cell holds synthetic and held-out rows. Use fewer cells.")
    weights = [int((cell_other == cell).sum()) for cell in both]
    scores = [rank_score(far_b[cell_b == cell], far_other[cell_other == cell]) for cell in both]
    return float(np.average(scores, weights=weights))


def rank_score(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Mann & Whitney's z that x (M,) is larger than y (N,); 0 where all are equal."""
    m, n = len(x), len(y)
    both = np.concatenate([x, y])
    _, where, counts = np.unique(both, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2
    u = ranks[where][:m].sum() - m * (m + 1) / 2
    ties = float(((counts.astype(float) ** 3) - counts).sum()) / ((m + n) * (m + n - 1))
    variance = m * n / 12 * (m + n + 1 - ties)
    return float((u - m * n / 2) / math.sqrt(variance)) if variance > 1e-9 else 0.0


def _cells(cells: Cells | None, rows: NDArray[np.float64], name: str) -> NDArray[np.int_]:
    if cells is None:
        return np.zeros(len(rows), dtype=int)
    found = np.asarray(cells(rows))
    if found.shape != (len(rows),):
        raise DataError(
            f"cells gave shape {found.shape} for {len(rows)} {name} rows; expected ({len(rows)},)."
        )
    return found
