"""Euclidean distances between rows of features, in chunks of bounded memory. No judgement."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gan_augment.errors import DataError

_CELLS = 4_000_000


def feature_rows(values: ArrayLike, name: str, least: int = 1) -> NDArray[np.float64]:
    """`values` as float64 (N, d) with N >= least, checked; DataError names what is wrong."""
    rows = np.asarray(values, dtype=np.float64)
    if rows.ndim != 2 or len(rows) < least or rows.shape[1] < 1:
        raise DataError(
            f"{name} has shape {rows.shape}; expected (N, d) with N >= {least} and d >= 1."
        )
    if not np.isfinite(rows).all():
        bad = int((~np.isfinite(rows).all(axis=1)).sum())
        raise DataError(f"{bad} of {len(rows)} rows of {name} are not finite. Drop them first.")
    return rows


def same_width(x: NDArray[np.float64], y: NDArray[np.float64]) -> None:
    """Raises DataError where x (N, d) and y (M, e) have d != e."""
    if x.shape[1] != y.shape[1]:
        raise DataError(
            f"{x.shape[1]} features against {y.shape[1]}; expected one feature map for both."
        )


def squared_distances(
    x: NDArray[np.float64], to: NDArray[np.float64]
) -> Iterator[NDArray[np.float64]]:
    """Squared distances of x (N, d) to every row of `to` (M, d), as chunks (n, M) of at most 32 MB.

    Both are moved by the mean of `to` first: |a|^2 - 2ab + |b|^2 loses digits far from the origin.
    """
    centre = to.mean(axis=0)
    b = to - centre
    b_norms = (b * b).sum(axis=1)
    size = max(1, _CELLS // len(b))
    for start in range(0, len(x), size):
        a = x[start : start + size] - centre
        squares = (a * a).sum(axis=1)[:, None] - 2 * (a @ b.T) + b_norms
        yield np.maximum(squares, 0.0)


def exact_distances(
    x: NDArray[np.float64], to: NDArray[np.float64]
) -> Iterator[NDArray[np.float64]]:
    """Distances of x (N, d) to every row of `to` (M, d) by subtraction, as chunks (n, M).

    Slower than `squared_distances`, yet the same bits for the same two rows whatever the chunk and
    the order: what is compared with `<=` must not hang on rounding.
    """
    from scipy.spatial.distance import cdist

    size = max(1, _CELLS // max(1, len(to)))
    for start in range(0, len(x), size):
        yield cdist(x[start : start + size], to)


def in_order(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """The rows (N, d) in an order of their own, so that what is drawn hangs on the set alone."""
    keys = [row.tobytes() for row in rows + 0.0]  # -0.0 equals 0.0
    return rows[sorted(range(len(rows)), key=keys.__getitem__)]


def drawn(rows: NDArray[np.float64], n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """n of the rows (N, d) without replacement, whatever their order; all where N <= n."""
    ordered = in_order(rows)
    if len(rows) <= n:
        return ordered
    return ordered[np.sort(rng.choice(len(rows), n, replace=False))]
