"""Many levels as short vectors: levels that occur with the same things lie near each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gan_augment.randomness import generator

SIZE = 8
ROWS_TO_KNOW = 10
NOISE = 0.01
DISTANCES_AT_ONCE = 1 << 22


def embed_levels(
    entry: NDArray[np.integer], entries: int, context: Sequence[NDArray[np.integer]]
) -> NDArray[np.float32]:
    """(entries, 8) float32 vectors from what each level occurs with.

    entry: int (N,), the level of each row. context: int (N,) columns of few values each; never the
    labels, which rows held out of a trial must not give away. The leading left singular vectors of
    the standardised residuals of the table of counts (correspondence analysis, Greenacre 1984, eq.
    4.1.7), scaled to unit variance over the rows; a level of n rows is drawn to the middle by
    n / (n + 10), since little is known of it. A hundredth of noise keeps levels apart that occur
    with the same things, or with nothing. Memory: entries x (values of all contexts), never rows x
    entries.
    """
    apart = NOISE * generator(0, "levels", entries).standard_normal((entries, SIZE))
    if not context:
        return apart.astype(np.float32)
    seen = np.bincount(entry, minlength=entries).astype(np.float64)
    tables = []
    for column in context:
        values = int(column.max()) + 1
        flat = np.bincount(entry * values + column, minlength=entries * values)
        tables.append(flat.reshape(entries, values))
    counts = np.concatenate(tables, axis=1).astype(np.float64)
    counts = counts[:, counts.sum(axis=0) > 0] / len(entry)
    rows, columns = seen / len(entry), counts.sum(axis=0)
    expected = np.outer(rows, columns)
    residuals = (counts - expected) / np.sqrt(np.maximum(expected, 1e-12))
    gram = residuals.T @ residuals
    values_, vectors = np.linalg.eigh(gram)
    size = min(SIZE, len(values_), max(entries - 1, 1))
    lead = vectors[:, ::-1][:, :size]
    coordinates = (residuals @ lead) / np.sqrt(np.maximum(rows, 1e-12))[:, None]
    spread = np.sqrt((rows[:, None] * coordinates**2).sum(axis=0))
    known = (seen / (seen + ROWS_TO_KNOW))[:, None] * coordinates / np.maximum(spread, 1e-12)
    apart[:, :size] += known
    return apart.astype(np.float32)


def nearest_level(
    vectors: NDArray[np.float32], embedding: NDArray[np.float32]
) -> NDArray[np.int64]:
    """(N, d), (entries, d) -> (N,): the entry at the smallest Euclidean distance.

    In float64: rare levels lie far out, where float32 would take them for one another.
    """
    nearest = np.empty(len(vectors), dtype=np.int64)
    points = embedding.astype(np.float64)
    squares = (points**2).sum(axis=1)
    at_once = max(1, DISTANCES_AT_ONCE // len(points))
    for start in range(0, len(vectors), at_once):
        part = 2 * vectors[start : start + at_once].astype(np.float64)
        with np.errstate(all="ignore"):
            nearest[start : start + at_once] = (squares - part @ points.T).argmin(axis=1)
    return nearest
