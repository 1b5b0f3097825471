"""Copies: which generated rows lie nearer to a training row than real rows of the class ever do."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gan_augment.errors import UsageError
from gan_augment.metrics.distances import feature_rows, same_width, squared_distances


def nearest_distances(x: ArrayLike, to: ArrayLike) -> NDArray[np.float64]:
    """The Euclidean distance of each row of x to the nearest row of `to`, in bounded memory.

    Shapes: x (N, d), to (M, d), M >= 1 -> float64 (N,), in the unit of the features.

    >>> nearest_distances([[0.0], [5.0]], to=[[1.0], [7.0]]).tolist()
    [1.0, 2.0]
    """
    rows, others = feature_rows(x, "x", least=0), feature_rows(to, "to")
    same_width(rows, others)
    return _exact(rows, others, [chunk.argmin(axis=1) for chunk in squared_distances(rows, others)])


def copy_threshold(
    train: ArrayLike, held_out: ArrayLike | None = None, quantile: float = 0.01
) -> float:
    """The distance under which a row counts as a copy of a training row of its class.

    The `quantile` of the distances of held-out real rows (M, d) to the training rows (N, d);
    without held-out rows, of each training row to its nearest other one (N >= 2).
    """
    if not 0 <= quantile <= 1:
        raise UsageError(f"quantile={quantile} is not in 0..1; .01 is usual.")
    if held_out is not None:
        return float(np.quantile(nearest_distances(held_out, train), quantile))
    return float(np.quantile(_nearest_others(feature_rows(train, "train", least=2)), quantile))


def copied_share(x: ArrayLike, train: ArrayLike, threshold: float) -> float:
    """The share 0..1 of the rows x (N, d) nearer than `threshold` to a row of `train` (M, d).

    An exact copy always counts, whatever the threshold.

    >>> copied_share([[0.0], [3.0]], train=[[0.1], [9.0]], threshold=0.5)
    0.5
    """
    rows = feature_rows(x, "x")
    distances = nearest_distances(rows, train)
    return float(np.mean((distances < threshold) | (distances == 0)))


def identical_share(x: ArrayLike, train: ArrayLike) -> float:
    """The share 0..1 of the rows x (N, d) that equal a row of `train` (M, d) in every feature.

    >>> identical_share([[1.0, 2.0], [1.0, 3.0]], train=[[1.0, 3.0]])
    0.5
    """
    rows, others = feature_rows(x, "x"), feature_rows(train, "train")
    same_width(rows, others)
    known = {row.tobytes() for row in others + 0.0}  # -0.0 equals 0.0
    return sum(row.tobytes() in known for row in rows + 0.0) / len(rows)


def _nearest_others(train: NDArray[np.float64]) -> NDArray[np.float64]:
    nearest, start = [], 0
    for chunk in squared_distances(train, train):
        own = np.arange(len(chunk))
        chunk[own, start + own] = np.inf
        nearest.append(chunk.argmin(axis=1))
        start += len(chunk)
    return _exact(train, train, nearest)


def _exact(
    rows: NDArray[np.float64], others: NDArray[np.float64], nearest: list[NDArray[np.intp]]
) -> NDArray[np.float64]:
    """Distances by subtraction: the expanded square leaves 1e-8 between equal rows."""
    found = np.concatenate([*nearest, np.empty(0, dtype=np.intp)])
    distances: NDArray[np.float64] = np.linalg.norm(rows - others[found], axis=1)
    return distances
