"""Rows that belong together, held out and dealt into folds as wholes.

A group holds rows with equal pixels, near-duplicates of one picture, or rows that the user names.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gan_augment.errors import DataError
from gan_augment.kinds.kind import Labelled
from gan_augment.rng import rng_for

ALIKE, DETAIL_ALIKE = 0.995, 0.96
"""Two pictures are one where they correlate so, and their detail (less a mean over 3 x 3 px) so."""
NEARER, LEAST_ALIKE, LEAST_DETAIL = 0.25, 0.95, 0.5
"""They also are one where they lie `NEARER` times as near as the fifth nearest picture does to the
nearer of them, and correlate at least so."""
_NEIGHBOUR = 5
FEWEST_LEVELS = 2.0
"""Grey levels (rms) of detail below which nothing tells one picture from another like it."""
_GRID, _ROWS, _PAIRS = 8, 1024, 4096

Floats = NDArray[np.float32]


def digest(pixels: NDArray[np.uint8]) -> str:
    """sha256 in hexadecimal of the shape (H, W, C) and the uint8 pixels."""
    shape = ",".join(str(side) for side in pixels.shape)
    return hashlib.sha256(shape.encode() + b"\0" + np.ascontiguousarray(pixels).data).hexdigest()


def same_rows(values: Sequence[Hashable]) -> list[list[int]]:
    """Find sets of two or more rows with one value, such as a digest, ordered by first row."""
    rows: dict[Hashable, list[int]] = defaultdict(list)
    for row, value in enumerate(values):
        rows[value].append(row)
    return [same for same in rows.values() if len(same) > 1]


def join_groups(
    n: int, same: Sequence[Sequence[int]], groups: NDArray[np.int64] | None
) -> NDArray[np.int64] | None:
    """Return groups (n,) in which each set of `same` rows shares one; overlapping groups merge.

    -1 marks a row without a group. Returns None if there are neither sets nor groups.

    >>> join_groups(4, [[0, 2]], None)
    array([ 0, -1,  0, -1])
    """
    if not same and groups is None:
        return None
    sets = [list(rows) for rows in same]
    if groups is not None:
        sets += [np.flatnonzero(groups == g).tolist() for g in np.unique(groups[groups >= 0])]
    component = _components(n, [(rows[0], row) for rows in sets for row in rows])
    joined = np.unique([row for rows in sets for row in rows]).astype(np.int64)
    codes = np.full(n, -1, dtype=np.int64)
    codes[joined] = np.unique(component[joined], return_inverse=True)[1]
    return codes


def grouped_by_source(data: Labelled) -> Labelled:
    """Put each row and the rows drawn from it (`Labelled.sources`) into one group."""
    if data.sources is None:
        return data
    originals = [source or id_ for id_, source in zip(data.ids, data.sources, strict=True)]
    return replace(data, groups=join_groups(len(data), same_rows(originals), data.groups))


def group_codes(groups: ArrayLike | None, n: int) -> NDArray[np.int64] | None:
    """Return groups of any type as int64 (n,); negative numbers, NaN and "" become -1 (none)."""
    if groups is None:
        return None
    values = np.asarray(groups)
    if values.shape != (n,):
        raise DataError(f"groups have shape {values.shape}; expected ({n},), one per row")
    if values.dtype.kind == "O":
        values = values.astype(str)
    codes = np.unique(values, return_inverse=True)[1].astype(np.int64)
    if values.dtype.kind in "ifU":
        codes[values == "" if values.dtype.kind == "U" else ~(values >= 0)] = -1
    return codes


def hold_out(
    data: Labelled, *, seed: int, share: float = 0.1, smallest: int = 100, most: int = 200
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (training rows, held-out rows): ascending int64 indices, disjoint and complete.

    Only classes of `smallest` rows and more give rows: at most round(share * n), at most `most`.
    A group goes whole or not at all; one that also holds rows of a smaller class is never held out.
    Which rows go depends on (seed, ids) only, not on the order of the rows.
    """
    sizes = np.bincount(data.labels, minlength=len(data.names))
    quota = np.minimum(np.floor(share * sizes + 0.5).astype(np.int64), most)
    quota[sizes < smallest] = 0
    held_out = np.zeros(len(data), dtype=bool)
    units: dict[int, list[int]] = defaultdict(list)
    for row, unit in enumerate(unit_of_rows(data.groups, len(data)).tolist()):
        units[unit].append(row)

    def key(rows: list[int]) -> bytes:
        first = min(str(data.ids[row]) for row in rows)
        return hashlib.blake2b(f"{seed}\x1fhold-out\x1f{first}".encode(), digest_size=16).digest()

    for rows in sorted(units.values(), key=key):
        counts = np.bincount(data.labels[rows], minlength=len(quota))
        if (counts <= quota).all():
            quota -= counts
            held_out[rows] = True
    return np.flatnonzero(~held_out).astype(np.int64), np.flatnonzero(held_out).astype(np.int64)


def judging_folds(
    labels: NDArray[np.int64], groups: NDArray[np.int64] | None, *, folds: int, seed: int
) -> NDArray[np.int64]:
    """Return the fold 0 .. folds - 1 of each row, int64 (N,), with even shares of every class.

    A class in one fold only gets -1: it is never held out, so that every fold has seen it.

    labels: int64 (N,). groups: int64 (N,) or None, -1 for a row without a group; a group is dealt
    whole, as its first row's class.
    """
    _, first, unit = np.unique(
        unit_of_rows(groups, len(labels)), return_index=True, return_inverse=True
    )
    dealt = np.empty(len(first), dtype=np.int64)
    for label in np.unique(labels[first]):
        own = np.flatnonzero(labels[first] == label)
        order = rng_for(seed, "folds", int(label)).permutation(own)
        dealt[order] = (np.arange(len(own)) + label) % folds
    fold = dealt[unit]
    for label in np.unique(labels):
        rows = labels == label
        if len(np.unique(fold[rows])) == 1:
            fold[np.isin(unit, unit[rows])] = -1  # a group stays whole
    return fold


def unit_of_rows(groups: NDArray[np.int64] | None, n: int) -> NDArray[np.int64]:
    """Return groups (n,) with a new number for each row without a group."""
    if groups is None:
        return np.arange(n)
    alone = groups < 0
    units = groups.copy()
    units[alone] = groups.max(initial=0) + 1 + np.arange(alone.sum())
    return units


def near_duplicates(pixels: NDArray[np.uint8]) -> list[list[int]]:
    """Return sets of two or more rows that show one picture, in order of their first row.

    pixels: uint8 (N, H, W, C). Copies that were saved again (JPEG), brightened, changed in contrast
    or slightly scaled are found; rotated, mirrored, shifted or cropped copies are not. Flat and
    blurred pictures match nothing, since they all look alike. Time: O(N^2).

    The threshold depends on the data: different trousers look nearly equal, different cats do not.
    Two pictures match if their distance is a quarter of the usual distance to neighbours
    (`NEARER`), or if they agree in outline and detail (`ALIKE`). Outlines are not enough: they
    correlate to .993 between different trousers of Fashion-MNIST.

    >>> rng = np.random.default_rng(0)
    >>> pictures = rng.integers(0, 200, (4, 16, 16, 1)).astype(np.uint8)
    >>> pictures[3] = pictures[1] * 1.1 + 10
    >>> near_duplicates(pictures)
    [[1, 3]]
    """
    blocks = [pixels[start : start + _ROWS] for start in range(0, len(pixels), _ROWS)]
    has_detail = [_detail(block)[1] >= FEWEST_LEVELS for block in blocks]
    detailed = np.flatnonzero(np.concatenate([np.empty(0, dtype=bool), *has_detail]))
    patches = [_coarse(_standardised(block)[0]) for block in blocks]
    coarse = np.concatenate([np.empty((0, _GRID**2), np.float32), *patches])[detailed]
    reach = np.zeros(len(coarse))
    if len(coarse) > _NEIGHBOUR:
        from gan_augment.metrics.neighbours import nearest_rows

        reach = NEARER * nearest_rows(coarse, coarse, _NEIGHBOUR)[1]
    squares = (coarse**2).sum(axis=1)
    pairs: list[tuple[int, int]] = []
    for start in range(0, len(detailed), _ROWS):
        rows = slice(start, start + _ROWS)
        near = np.minimum(reach[rows, None], reach[start:]) ** 2
        # a projection only shortens distances, so no pair is lost: |a - b|^2 = 2 - 2 r
        apart = squares[rows, None] + squares[start:] - 2 * coarse[rows] @ coarse[start:].T
        one, other = np.nonzero(apart <= np.maximum(near, 2 * (1 - ALIKE) + 1e-5))
        later = other > one
        one, other = one[later], other[later]
        close = apart[one, other] <= near[one, other]
        pairs += _verified(pixels, detailed[start + one], detailed[start + other], close)
    return same_rows(_components(len(pixels), pairs).tolist())


def _verified(
    pixels: NDArray[np.uint8],
    one: NDArray[np.int64],
    other: NDArray[np.int64],
    close: NDArray[np.bool_],
) -> list[tuple[int, int]]:
    """Return the pairs that show one picture; close: whether a pair is within `NEARER`."""
    verified = []
    for start in range(0, len(one), _PAIRS):
        chunk = slice(start, start + _PAIRS)
        a, b = pixels[one[chunk]], pixels[other[chunk]]
        alike = (_standardised(a)[0] * _standardised(b)[0]).sum(axis=(1, 2, 3))
        detail = (_detail(a)[0] * _detail(b)[0]).sum(axis=(1, 2, 3))
        same = (alike >= ALIKE) & (detail >= DETAIL_ALIKE)
        same |= close[chunk] & (alike >= LEAST_ALIKE) & (detail >= LEAST_DETAIL)
        verified += list(zip(one[chunk][same].tolist(), other[chunk][same].tolist(), strict=True))
    return verified


def _components(n: int, pairs: Sequence[tuple[int, int]]) -> NDArray[np.int32]:
    """Return the connected component of each row, (n,), numbered in the order of first rows."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not pairs:
        return np.arange(n, dtype=np.int32)
    graph = coo_array((np.ones(len(pairs)), np.array(pairs).T), shape=(n, n))
    component: NDArray[np.int32] = connected_components(graph, directed=False)[1]
    return component


def _standardised(pixels: NDArray[np.uint8] | Floats) -> tuple[Floats, Floats]:
    """Return images of mean 0 and length 1 (zeros for flat images), and deviations (n,)."""
    x = pixels.astype(np.float32)
    x -= x.mean(axis=(1, 2, 3), keepdims=True)
    length = np.sqrt((x**2).sum(axis=(1, 2, 3)))
    x /= np.maximum(length, 1e-6)[:, None, None, None]
    deviation: Floats = length / np.sqrt(np.float32(np.prod(x.shape[1:])))
    return x, deviation


def _detail(pixels: NDArray[np.uint8]) -> tuple[Floats, Floats]:
    """Return `_standardised` of the difference from a 3 x 3 px mean."""
    x = pixels.astype(np.float32)
    edged = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    lines = edged[:, :-2] + edged[:, 1:-1] + edged[:, 2:]
    return _standardised(x - (lines[:, :, :-2] + lines[:, :, 1:-1] + lines[:, :, 2:]) / 9)


def _coarse(x: Floats) -> Floats:
    """Project images (n, H, W, C) on 8 x 8 flat patches, (n, 64)."""
    for axis in (1, 2):
        edges = np.linspace(0, x.shape[axis], _GRID + 1).astype(np.int64)
        sizes = np.diff(edges).reshape([-1 if a == axis else 1 for a in range(4)])
        x = (np.add.reduceat(x, edges[:-1], axis=axis) / np.sqrt(sizes)).astype(np.float32)
    patches: Floats = x.sum(axis=3) / np.sqrt(np.float32(x.shape[3]))
    return patches.reshape(len(x), -1)
