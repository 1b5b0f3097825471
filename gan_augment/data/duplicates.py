"""Rows that show the same pixels: found by digest, reported, and joined into groups."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def digest(pixels: NDArray[np.uint8]) -> str:
    """sha256 in hexadecimal of the shape (H, W, C) and the uint8 pixels."""
    shape = ",".join(str(side) for side in pixels.shape)
    return hashlib.sha256(shape.encode() + b"\0" + np.ascontiguousarray(pixels).data).hexdigest()


def same_rows(digests: Sequence[str]) -> list[list[int]]:
    """Sets of two or more rows with one digest, in order of their first row."""
    rows: dict[str, list[int]] = defaultdict(list)
    for row, value in enumerate(digests):
        rows[value].append(row)
    return [same for same in rows.values() if len(same) > 1]


def join_groups(
    n: int, same: Sequence[Sequence[int]], groups: NDArray[np.int64] | None
) -> NDArray[np.int64] | None:
    """Groups (n,) in which every set of `same` rows shares one; given groups that touch are joined.

    -1 marks a row that is alone. None if no row belongs with another and no groups were given.

    >>> join_groups(4, [[0, 2]], None)
    array([ 0, -1,  0, -1])
    """
    if not same and groups is None:
        return None
    parent = list(range(n))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    sets = [list(rows) for rows in same]
    if groups is not None:
        grouped = groups >= 0
        sets += [np.flatnonzero(groups == g).tolist() for g in np.unique(groups[grouped])]
    for rows in sets:
        for row in rows[1:]:
            a, b = sorted((root(rows[0]), root(row)))
            parent[b] = a
    joined = {row for rows in sets for row in rows}
    codes: dict[int, int] = {}
    return np.array(
        [codes.setdefault(root(row), len(codes)) if row in joined else -1 for row in range(n)],
        dtype=np.int64,
    )
