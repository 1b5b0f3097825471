"""Rows held out of training for scoring: ids decide, groups stay whole. No pixels are looked at."""

from __future__ import annotations

import hashlib
from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.contract import LabelledImages


def hold_out(
    data: LabelledImages, *, seed: int, share: float = 0.1, smallest: int = 100, most: int = 200
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(training rows, held-out rows): ascending int64 indices into `data`, disjoint, complete.

    Only classes of `smallest` rows and more give rows: at most round(share * n), at most `most`.
    A group goes whole or not at all; one that also holds rows of a smaller class is never held out.
    Which rows go depends on (seed, ids) alone, not on the order of the rows.
    """
    sizes = np.bincount(data.labels, minlength=len(data.names))
    quota = np.minimum(np.floor(share * sizes + 0.5).astype(np.int64), most)
    quota[sizes < smallest] = 0
    held = np.zeros(len(data), dtype=bool)
    for rows in _units_in_drawn_order(data, seed):
        asked = np.bincount(data.labels[rows], minlength=len(quota))
        if (asked <= quota).all():
            quota -= asked
            held[rows] = True
    return np.flatnonzero(~held).astype(np.int64), np.flatnonzero(held).astype(np.int64)


def _units_in_drawn_order(data: LabelledImages, seed: int) -> list[list[int]]:
    """Groups and lone rows, ordered by a keyed hash of their first id."""
    units: dict[tuple[int, int], list[int]] = defaultdict(list)
    for row in range(len(data)):
        group = -1 if data.groups is None else int(data.groups[row])
        units[(0, row) if group < 0 else (1, group)].append(row)
    ids = data.ids

    def key(rows: list[int]) -> bytes:
        first = min(str(ids[row]) for row in rows)
        return hashlib.blake2b(f"{seed}\x1fhold-out\x1f{first}".encode(), digest_size=16).digest()

    return sorted(units.values(), key=key)
