"""Distances between sets of features: kernel, Frechet, spread; nearest rows; checks of arrays."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gan_augment.errors import DataError, SmallSampleWarning, UsageError, warn
from gan_augment.rng import rng_for

Rows = NDArray[np.float64]
"""Features (N, d)."""

_CELLS = 4_000_000
"""Distances in memory at a time: 32 MB."""


def feature_rows(values: ArrayLike, name: str, least: int = 1) -> Rows:
    """Check `values` and return them as float64 (N, d), N >= least.

    Raises DataError, with `name`, for another shape, too few rows, or values that are not finite.
    """
    rows = np.asarray(values, dtype=np.float64)
    if rows.ndim != 2 or len(rows) < least or rows.shape[1] < 1:
        raise DataError(
            f"{name} has shape {rows.shape}; expected (N, d) with N >= {least} and d >= 1."
        )
    if not np.isfinite(rows).all():
        bad = int((~np.isfinite(rows).all(axis=1)).sum())
        raise DataError(f"{bad} of {len(rows)} rows of {name} are not finite. Drop them first.")
    return rows


def feature_sets(least: int = 1, **sets: ArrayLike) -> list[Rows]:
    """Check several sets of one width by `feature_rows`; the keywords are their names."""
    first, *others = (feature_rows(values, name, least) for name, values in sets.items())
    for other in others:
        if other.shape[1] != first.shape[1]:
            raise DataError(
                f"{first.shape[1]} features against {other.shape[1]}; expected one feature map for "
                "both."
            )
    return [first, *others]


def distance_chunks(x: Rows, to: Rows) -> Iterator[Rows]:
    """Yield the distances of x (N, d) to every row of `to` (M, d) in chunks (n, M).

    Computed by subtraction, so that two rows have the same distance in every chunk and order.
    """
    from scipy.spatial.distance import cdist

    size = max(1, _CELLS // max(1, len(to)))
    for start in range(0, len(x), size):
        yield cdist(x[start : start + size], to)


def nearest_rows(x: Rows, to: Rows, k: int = 1) -> tuple[NDArray[np.intp], Rows]:
    """Find the k-th nearest row of `to` (M, d) for each row of x (N, d): index and distance, (N,).

    Where `x is to`, a row is not its own neighbour; an equal row is one, at distance 0. The search
    expands the square, which loses digits far from the origin, so rows are centred first and the
    distance is computed again by subtraction.
    """
    from sklearn.neighbors import NearestNeighbors

    if not len(x):
        return np.empty(0, dtype=np.intp), np.empty(0)
    centre = to.mean(axis=0)
    search = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(to - centre)
    wanted = None if x is to else x - centre
    at = search.kneighbors(wanted, return_distance=False)[:, k - 1]
    return at, np.linalg.norm(x - to[at], axis=1)


def in_order(rows: Rows) -> Rows:
    """Sort the rows (N, d) by their bytes, so that a draw does not depend on their order."""
    keys = [row.tobytes() for row in rows + 0.0]  # -0.0 equals 0.0
    return rows[sorted(range(len(rows)), key=keys.__getitem__)]


def draw_rows(rows: Rows, n: int, rng: np.random.Generator) -> Rows:
    """Draw n of the rows (N, d) without replacement, independent of their order; all if N <= n."""
    ordered = in_order(rows)
    if len(rows) <= n:
        return ordered
    return ordered[np.sort(rng.choice(len(rows), n, replace=False))]


def kernel_distance(x: ArrayLike, y: ArrayLike) -> float:
    """Compute the unbiased squared maximum mean discrepancy with k(a, b) = (a.b / d + 1)^3.

    Shapes: x (N, d), y (M, d), N and M >= 2 -> one number, in the unit of the kernel. Its mean is 0
    if both sets come from one distribution, so it may be slightly negative.
    Source: Binkowski et al. 2018, "Demystifying MMD GANs", eq. 4 and section 3.

    >>> kernel_distance([[0.0], [0.0]], [[1.0], [1.0]])
    7.0
    """
    a, b = feature_sets(2, x=x, y=y)
    n, m = len(a), len(b)
    (within_a, own_a), (within_b, own_b) = _kernel_sums(a, a), _kernel_sums(b, b)
    inside = (within_a - own_a) / (n * (n - 1)) + (within_b - own_b) / (m * (m - 1))
    return inside - 2 * (_kernel_sums(a, b)[0] / (n * m))


def kernel_test(
    real: ArrayLike, synthetic: ArrayLike, seed: int = 0, *, permutations: int = 999
) -> float:
    """Compute the p-value of the kernel distance by relabelling rows at random.

    p = (1 + #{permuted >= observed}) / (1 + permutations), so it is never 0 and holds its level.
    Shapes: real (N, d), synthetic (M, d), N and M >= 2 -> 0..1. It needs a matrix (N+M, N+M) in
    memory; draw rows first if that is too large. The order of the rows does not matter.
    Source: Gretton et al. 2012, "A kernel two-sample test", section 6 (permutations); the + 1 is
    from Phipson & Smyth 2010, "Permutation p-values should never be zero".

    >>> apart = [[float(i)] for i in range(8)]
    >>> kernel_test(apart, [[row[0] + 50] for row in apart], permutations=99) < 0.05
    True
    """
    if permutations < 1:
        raise UsageError(f"permutations={permutations}; expected 1 or more, 999 is usual.")
    a, b = feature_sets(2, real=real, synthetic=synthetic)
    rows = np.concatenate([in_order(a), in_order(b)])
    products = rows @ rows.T
    products /= rows.shape[1]
    products += 1
    kernel = products * products * products  # ten times as fast as a power
    np.fill_diagonal(kernel, 0)
    values = _relabelled_distances(kernel, _labellings(len(a), len(rows), seed, permutations))
    # Relabellings that exchange equal rows repeat the observed value, up to rounding.
    slack = 1e-12 * np.abs(kernel).max()
    return float((1 + (values[1:] >= values[0] - slack).sum()) / (1 + permutations))


def frechet_distance(real: ArrayLike, synthetic: ArrayLike) -> float:
    """Compute |m1 - m2|^2 + tr S1 + tr S2 - 2 sum sqrt(eig(S1 S2)) of means m and covariances S.

    Shapes: real (N, d), synthetic (M, d), N and M >= 2 -> one number >= 0, in the squared unit of
    the features. Covariances divide by N - 1. It is biased upwards, more so with few rows: compare
    only values of equal sizes. It is FID only in Inception features: see `fid`.
    Source: Heusel et al. 2017, "GANs trained by a two time-scale update rule", eq. 6; the distance
    is from Dowson & Landau 1982.
    Warns with SmallSampleWarning below 10 rows per feature.

    >>> import warnings
    >>> with warnings.catch_warnings(action="ignore"):
    ...     frechet_distance([[0.0], [2.0]], [[5.0], [7.0]])
    25.0
    """
    a, b = feature_sets(2, real=real, synthetic=synthetic)
    limit = frechet_limit(len(a), len(b), a.shape[1])
    if limit:
        warn(limit, SmallSampleWarning)
    return frechet_between(a, b)


def frechet_limit(n_real: int, n_synthetic: int, width: int) -> str | None:
    """Explain why a Frechet distance of these sizes means little; None from 10 rows per feature."""
    fewest = min(n_real, n_synthetic)
    if fewest >= 10 * width:
        return None
    return (
        f"Frechet distance of {n_real} and {n_synthetic} rows in {width} features is not "
        f"interpretable: its covariances need {10 * width} rows (10 per feature). "
        "Use kernel_distance, which is unbiased at any size."
    )


def frechet_between(a: Rows, b: Rows) -> float:
    """Compute the Frechet distance of checked rows (N, d) and (M, d), N and M >= 2."""
    shift = a.mean(axis=0) - b.mean(axis=0)
    root_a, root_b = _covariance_root(a), _covariance_root(b)
    # eig(A'A B'B) are the squared singular values of A B': no square root of a singular matrix.
    overlap = np.linalg.svd(root_a @ root_b.T, compute_uv=False).sum()
    value = shift @ shift + (root_a**2).sum() + (root_b**2).sum() - 2 * overlap
    return max(0.0, float(value))


def mean_pairwise_distance(x: ArrayLike) -> float:
    """Compute the mean Euclidean distance over all pairs of different rows.

    Shapes: x (N, d), N >= 2 -> one number, in the unit of the features; 0 if all rows are equal.

    >>> mean_pairwise_distance([[0.0, 0.0], [3.0, 4.0]])
    5.0
    """
    rows = feature_rows(x, "x", least=2)
    total = sum(float(chunk.sum()) for chunk in distance_chunks(rows, rows))
    return total / (len(rows) * (len(rows) - 1))


def spread_ratio(real: ArrayLike, synthetic: ArrayLike) -> float:
    """Divide the mean pairwise distance of the synthetic rows by that of the real rows; ideal: 1.

    Shapes: real (N, d), synthetic (M, d), N and M >= 2 -> one number >= 0; below 0.3: collapse.
    Raises DataError if all real rows are equal.

    >>> spread_ratio([[0.0], [4.0]], [[1.0], [2.0]])
    0.25
    """
    a, b = feature_sets(2, real=real, synthetic=synthetic)
    if (a == a[0]).all():
        raise DataError(f"all {len(a)} real rows are equal, so there is no spread to compare with.")
    return mean_pairwise_distance(b) / mean_pairwise_distance(a)


def _kernel_sums(a: Rows, b: Rows) -> tuple[float, float]:
    """Sum the kernel over all pairs and over its diagonal, in chunks of at most 32 MB."""
    total, diagonal = 0.0, 0.0
    size = max(1, _CELLS // len(b))
    for start in range(0, len(a), size):
        chunk = (a[start : start + size] @ b.T / a.shape[1] + 1) ** 3
        total += float(chunk.sum())
        diagonal += float(chunk.trace(offset=start))
    return total, diagonal


def _labellings(n: int, of: int, seed: int, permutations: int) -> Rows:
    """Return labels (of, 1 + permutations), 1 for real: the observed ones, then random ones."""
    labels = np.zeros((of, 1 + permutations))
    labels[:n, 0] = 1
    rng = rng_for(seed, "kernel test", n, of)
    for column in range(1, 1 + permutations):
        labels[rng.permutation(of)[:n], column] = 1
    return labels


def _relabelled_distances(kernel: Rows, labels: Rows) -> Rows:
    """Compute the unbiased squared distance of each column of labels; kernel diagonal 0."""
    n = labels[:, 0].sum()
    m = len(labels) - n
    inside_a = (labels * (kernel @ labels)).sum(axis=0)
    rows_a = kernel.sum(axis=1) @ labels
    across = rows_a - inside_a
    inside_b = kernel.sum() - rows_a - across
    values: Rows = inside_a / (n * (n - 1)) + inside_b / (m * (m - 1)) - 2 * across / (n * m)
    return values


def _covariance_root(rows: Rows) -> Rows:
    """Return a matrix A with A'A = the covariance: the centred rows or their R factor."""
    centred: Rows = (rows - rows.mean(axis=0)) / np.sqrt(len(rows) - 1)
    if len(rows) <= rows.shape[1]:
        return centred
    return np.asarray(np.linalg.qr(centred, mode="r"))
