"""Balls around rows that reach to their k-th neighbour, and who lies inside. No judgement."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gan_augment.errors import UsageError
from gan_augment.metrics.distances import exact_distances, feature_rows, same_width
from gan_augment.user_warnings import SmallSampleWarning, warn

NEIGHBOURS = 5
"""k of Naeem et al. 2020, section 4: with it, two equal sets cover 95 % of each other and more."""

_FEWEST = 10


def neighbour_limit(n_real: int, n_synthetic: int) -> str | None:
    """Why precision, recall, density and coverage say little at these sizes; None from 10 on."""
    if min(n_real, n_synthetic) >= _FEWEST:
        return None
    return (
        f"{n_real} real and {n_synthetic} synthetic rows: precision, recall, density and coverage "
        f"need {_FEWEST} of each to say anything. Look at kernel_distance with kernel_test."
    )


def checked_pair(
    real: ArrayLike, synthetic: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both as float64 of one width with two rows at least; warns under ten rows."""
    a, b = feature_rows(real, "real", least=2), feature_rows(synthetic, "synthetic", least=2)
    same_width(a, b)
    limit = neighbour_limit(len(a), len(b))
    if limit:
        warn(limit, SmallSampleWarning)
    return a, b


def neighbours_of(n: int, k: int | None) -> int:
    """k, or by default min(5, n - 1); UsageError unless 1 <= k <= n - 1."""
    chosen = min(NEIGHBOURS, n - 1) if k is None else k
    if not 1 <= chosen <= n - 1:
        raise UsageError(f"k={chosen} neighbours among {n} rows; expected 1..{n - 1}.")
    return chosen


def radii(
    rows: NDArray[np.float64], k: int, of: NDArray[np.intp] | None = None
) -> NDArray[np.float64]:
    """The distance of each row (N, d), or of those numbered `of`, to its k-th nearest other row.

    A row is no neighbour of itself by its number, so an equal row is one, at 0.
    """
    which = np.arange(len(rows)) if of is None else of
    found, start = [], 0
    for chunk in exact_distances(rows[which], rows):
        own = np.arange(len(chunk))
        chunk[own, which[start + own]] = np.inf
        found.append(np.partition(chunk, k - 1, axis=1)[:, k - 1])
        start += len(chunk)
    return np.concatenate(found)


def inside(
    x: NDArray[np.float64], centres: NDArray[np.float64], reach: NDArray[np.float64]
) -> Iterator[NDArray[np.bool_]]:
    """Whether x (N, d) lie within `reach` (M,) of the centres (M, d): chunks (n, M), with <=."""
    for chunk in exact_distances(x, centres):
        yield chunk <= reach
