"""The encoded rows that samples start from, and each row's nearest neighbours of its class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]
Spans = Sequence[tuple[int, int]]

ROWS_AT_ONCE = 1_024
PAIRS_AT_ONCE = 1 << 24


@dataclass(frozen=True)
class AnchorRows:
    """Encoded training rows, class after class.

    rows: float32 (N, width). labels: int64 (N,), ascending. neighbours: int64 (N, k), row numbers
    of the class; a row of a class of one is its own. votes: the rows with the level that most of
    the neighbours hold, or None where samples take the nearer row's.
    """

    rows: Matrix
    labels: NDArray[np.int64]
    neighbours: NDArray[np.int64]
    votes: Matrix | None = None

    def of(self, label: int) -> tuple[int, int]:
        """[start, stop) of the rows of a class."""
        start, stop = np.searchsorted(self.labels, [label, label + 1])
        return int(start), int(stop)


def anchor_rows(
    rows: Matrix,
    labels: NDArray[np.int64],
    k: int,
    *,
    choices: Spans,
    vectors: Spans,
    vote: bool = False,
) -> AnchorRows:
    """The rows sorted by class, each with its k nearest of the class (all, where it has fewer).

    choices, vectors: where one-hots and vectors of levels stand. vote: levels by SMOTE-NC's vote.
    """
    order = np.argsort(labels, kind="stable")
    rows, labels = np.ascontiguousarray(rows[order]), labels[order]
    weights = np.ones(rows.shape[1], dtype=np.float32)
    for start, stop in choices:
        weights[start:stop] = np.sqrt(0.5)
    neighbours = np.empty((len(rows), k), dtype=np.int64)
    for label in np.unique(labels):
        start, stop = np.searchsorted(labels, [label, label + 1])
        neighbours[start:stop] = start + nearest_rows(rows[start:stop] * weights, k)
    votes = _voted(rows, neighbours, [*choices, *vectors]) if vote else None
    return AnchorRows(rows, labels, neighbours, votes)


def nearest_rows(rows: Matrix, k: int) -> NDArray[np.int64]:
    """(N, d) -> (N, k): the k other rows at the smallest Euclidean distance, nearest first.

    With fewer others they are repeated in order; a single row is its own neighbour.
    """
    n = len(rows)
    if n == 1:
        return np.zeros((1, k), dtype=np.int64)
    others = min(k, n - 1)
    squares = np.einsum("nd,nd->n", rows, rows)
    nearest = np.empty((n, others), dtype=np.int64)
    for start in range(0, n, ROWS_AT_ONCE):
        part = rows[start : start + ROWS_AT_ONCE]
        distances = squares - 2 * part @ rows.T  # (part, N), short of each row's own square
        distances[np.arange(len(part)), np.arange(start, start + len(part))] = np.inf
        few = np.argpartition(distances, others - 1, axis=1)[:, :others]
        inner = np.argsort(np.take_along_axis(distances, few, axis=1), axis=1, kind="stable")
        nearest[start : start + len(part)] = np.take_along_axis(few, inner, axis=1)
    return nearest[:, np.arange(k) % others]


def _voted(rows: Matrix, neighbours: NDArray[np.int64], spans: Spans) -> Matrix:
    """The rows with the level that most neighbours hold; the nearest's among equals."""
    votes, at_once = rows.copy(), max(1, PAIRS_AT_ONCE // neighbours.shape[1] ** 2)
    for start, stop in spans:
        _, level = np.unique(rows[:, start:stop], axis=0, return_inverse=True)
        levels = level.reshape(-1)[neighbours]  # (N, k)
        for first in range(0, len(rows), at_once):
            part = levels[first : first + at_once]
            chosen = (part[:, :, None] == part[:, None, :]).sum(axis=2).argmax(axis=1)
            winner = neighbours[np.arange(first, first + len(part)), chosen]
            votes[first : first + len(part), start:stop] = rows[winner, start:stop]
    return votes
