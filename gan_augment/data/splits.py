"""Hold rows out of training for scoring; groups stay whole."""

from __future__ import annotations

import hashlib
from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from gan_augment.kinds.kind import Labelled
from gan_augment.rng import rng_for


def hold_out(
    data: Labelled, *, seed: int, share: float = 0.1, smallest: int = 100, most: int = 200
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (training rows, held-out rows): ascending int64 indices, disjoint and complete.

    Only classes of `smallest` rows and more give rows: at most round(share * n), at most `most`.
    A group goes whole or not at all; one that also holds rows of a smaller class is never held out.
    Which rows go depends on (seed, ids) alone, not on the order of the rows.
    """
    sizes = np.bincount(data.labels, minlength=len(data.names))
    quota = np.minimum(np.floor(share * sizes + 0.5).astype(np.int64), most)
    quota[sizes < smallest] = 0
    held_out = np.zeros(len(data), dtype=bool)
    for rows in _units_in_drawn_order(data, seed):
        counts = np.bincount(data.labels[rows], minlength=len(quota))
        if (counts <= quota).all():
            quota -= counts
            held_out[rows] = True
    return np.flatnonzero(~held_out).astype(np.int64), np.flatnonzero(held_out).astype(np.int64)


def _units_in_drawn_order(data: Labelled, seed: int) -> list[list[int]]:
    """Return groups and single rows, ordered by a keyed hash of their first id."""
    units: dict[int, list[int]] = defaultdict(list)
    for row, unit in enumerate(unit_of_rows(data.groups, len(data)).tolist()):
        units[unit].append(row)

    def key(rows: list[int]) -> bytes:
        first = min(str(data.ids[row]) for row in rows)
        return hashlib.blake2b(f"{seed}\x1fhold-out\x1f{first}".encode(), digest_size=16).digest()

    return sorted(units.values(), key=key)


def fold_of_rows(
    labels: NDArray[np.int64], groups: NDArray[np.int64] | None, *, folds: int, seed: int
) -> NDArray[np.int64]:
    """Return the fold 0 .. folds - 1 of each row, int64 (N,), with even shares of every class.

    labels: int64 (N,). groups: int64 (N,) or None, -1 for a row that stands alone; a group is dealt
    whole, as its first row's class.
    """
    _, unit = np.unique(unit_of_rows(groups, len(labels)), return_inverse=True)
    first = np.full(unit.max() + 1, len(labels))
    np.minimum.at(first, unit, np.arange(len(labels)))
    dealt = np.empty(len(first), dtype=np.int64)
    for label in np.unique(labels[first]):
        own = np.flatnonzero(labels[first] == label)
        order = rng_for(seed, "folds", int(label)).permutation(own)
        dealt[order] = (np.arange(len(own)) + label) % folds
    return dealt[unit]


def judging_folds(
    labels: NDArray[np.int64], groups: NDArray[np.int64] | None, *, folds: int, seed: int
) -> NDArray[np.int64]:
    """Return `fold_of_rows`, with -1 for classes in one fold only, which are never held out.

    So a class of one row or one group is seen in every fold.
    """
    dealt = fold_of_rows(labels, groups, folds=folds, seed=seed)
    for label in np.unique(labels):
        rows = labels == label
        if len(np.unique(dealt[rows])) == 1:
            alone = rows
            if groups is not None:  # a group stays whole
                alone = rows | (np.isin(groups, groups[rows]) & (groups >= 0))
            dealt[alone] = -1
    return dealt


def unit_of_rows(groups: NDArray[np.int64] | None, n: int) -> NDArray[np.int64]:
    """Return groups (n,) with a new number for each row without a group."""
    if groups is None:
        return np.arange(n)
    alone = groups < 0
    units = groups.copy()
    units[alone] = groups.max(initial=0) + 1 + np.arange(alone.sum())
    return units
