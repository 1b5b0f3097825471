"""Anchors: the encoded training rows that samples start from, with their nearest neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ROWS_AT_ONCE = 1_024
WHITENED_SHARE = 0.95
MOST_COMPONENTS = 256

Matrix = NDArray[np.float32]
Spans = Sequence[tuple[int, int]]


@dataclass(frozen=True)
class AnchorRows:
    """Encoded training rows, sorted by class.

    rows: float32 (N, width). labels: int64 (N,), ascending. neighbours: int64 (N, k), rows of the
    same class; the only row of a class is its own neighbour. lenders: int64 (classes, L), the
    classes that lend each class its spread, padded with -1, or None.
    """

    rows: Matrix
    labels: NDArray[np.int64]
    neighbours: NDArray[np.int64]
    lenders: NDArray[np.int64] | None = None

    def of(self, label: int) -> tuple[int, int]:
        """Return [start, stop) of the rows of a class."""
        start, stop = np.searchsorted(self.labels, [label, label + 1])
        return int(start), int(stop)


def anchor_rows(
    rows: Matrix,
    labels: NDArray[np.int64],
    k: int,
    *,
    choices: Spans,
    points: Matrix | None = None,
) -> AnchorRows:
    """Sort the rows by class, and find the k nearest rows of the class for each.

    choices: spans of one-hots. points: coordinates for the distances; by default the rows.
    """
    order = np.argsort(labels, kind="stable")
    rows, labels = np.ascontiguousarray(rows[order]), labels[order]
    weights = np.ones(rows.shape[1], dtype=np.float32)
    for start, stop in choices:
        weights[start:stop] = np.sqrt(0.5)
    points = rows * weights if points is None else points[order]
    neighbours = np.empty((len(rows), k), dtype=np.int64)
    for label in np.unique(labels):
        start, stop = np.searchsorted(labels, [label, label + 1])
        neighbours[start:stop] = start + nearest_rows(points[start:stop], k)
    return AnchorRows(rows, labels, neighbours)


def nearest_rows(rows: Matrix, k: int) -> NDArray[np.int64]:
    """Return the k nearest other rows (N, k) by Euclidean distance, nearest first.

    Fewer than k others are repeated in order; a single row is its own neighbour. Ties are broken
    the same way for any number of threads, which scikit-learn's search does not promise.
    """
    n = len(rows)
    if n == 1:
        return np.zeros((1, k), dtype=np.int64)
    others = min(k, n - 1)
    squares = np.einsum("nd,nd->n", rows, rows)
    nearest = np.empty((n, others), dtype=np.int64)
    for start in range(0, n, ROWS_AT_ONCE):
        part = rows[start : start + ROWS_AT_ONCE]
        distances = squares - 2 * part @ rows.T  # (part, N), up to each row's own square
        distances[np.arange(len(part)), np.arange(start, start + len(part))] = np.inf
        few = np.argpartition(distances, others - 1, axis=1)[:, :others]
        inner = np.argsort(np.take_along_axis(distances, few, axis=1), axis=1, kind="stable")
        nearest[start : start + len(part)] = np.take_along_axis(few, inner, axis=1)
    return nearest[:, np.arange(k) % others]


def whitened(rows: Matrix) -> Matrix:
    """Return the principal component scores of numbers (N, d), with unit variance, (N, k).

    k is the least number of components with 95 % of the variance, at most 256 and N / 4: with all
    components, N rows are equally far from each other. With the centred X = U s V^T, the result is
    sqrt(N) U. Source: Jolliffe 2002, "Principal component analysis", sections 3.5 and 6.1.
    """
    centred = rows.astype(np.float64) - rows.mean(axis=0, dtype=np.float64)
    wide = rows.shape[1] > len(rows)
    variances, axes = np.linalg.eigh(centred @ centred.T if wide else centred.T @ centred)
    variances, axes = np.maximum(variances[::-1], 0), axes[:, ::-1]
    enough = np.searchsorted(np.cumsum(variances), WHITENED_SHARE * variances.sum()) + 1
    k = max(1, min(int(enough), MOST_COMPONENTS, len(rows) // 4))
    scores = axes[:, :k] if wide else centred @ axes[:, :k]
    spread = np.sqrt((scores**2).mean(axis=0))
    return (scores / np.where(spread > 0, spread, 1)).astype(np.float32)
