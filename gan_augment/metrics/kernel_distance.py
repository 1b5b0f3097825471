"""Kernel distance: how far apart two sets of features lie. Numbers in, a number out."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gan_augment.metrics.distances import feature_rows, same_width

_CELLS = 4_000_000


def kernel_distance(x: ArrayLike, y: ArrayLike) -> float:
    """The unbiased squared maximum mean discrepancy with k(a, b) = (a.b / d + 1)^3.

    Shapes: x (N, d), y (M, d), N and M >= 2 -> one number. Unit: the kernel's. Its mean is 0 where
    both sets come from one distribution, so it may be slightly negative.
    Source: Binkowski et al. 2018, "Demystifying MMD GANs", eq. 4 and section 3.
    Raises DataError on fewer than two rows, unequal widths or values that are not finite.

    >>> kernel_distance([[0.0], [0.0]], [[1.0], [1.0]])
    7.0
    """
    a, b = feature_rows(x, "x", least=2), feature_rows(y, "y", least=2)
    same_width(a, b)
    n, m = len(a), len(b)
    (within_a, own_a), (within_b, own_b) = _sums(a, a), _sums(b, b)
    inside = (within_a - own_a) / (n * (n - 1)) + (within_b - own_b) / (m * (m - 1))
    return inside - 2 * (_sums(a, b)[0] / (n * m))


def _sums(a: NDArray[np.float64], b: NDArray[np.float64]) -> tuple[float, float]:
    """The kernel summed over all pairs and over its diagonal, in chunks of at most 32 MB."""
    total, diagonal = 0.0, 0.0
    size = max(1, _CELLS // len(b))
    for start in range(0, len(a), size):
        chunk = (a[start : start + size] @ b.T / a.shape[1] + 1) ** 3
        total += float(chunk.sum())
        diagonal += float(chunk.trace(offset=start))
    return total, diagonal
