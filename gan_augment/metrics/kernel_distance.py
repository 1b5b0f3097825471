"""Kernel distance: how far apart two sets of features lie. Numbers in, a number out."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gan_augment.metrics.distances import feature_rows, same_width


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
    within_a, within_b = _kernel(a, a), _kernel(b, b)
    inside = (within_a.sum() - within_a.trace()) / (n * (n - 1))
    inside += (within_b.sum() - within_b.trace()) / (m * (m - 1))
    return float(inside - 2 * _kernel(a, b).mean())


def _kernel(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    products: NDArray[np.float64] = (a @ b.T / a.shape[1] + 1) ** 3
    return products
