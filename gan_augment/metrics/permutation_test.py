"""Kernel test: could two sets of features come from one distribution? A p-value by permutation."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gan_augment.errors import UsageError
from gan_augment.metrics.distances import feature_rows, in_order, same_width
from gan_augment.randomness import generator


def kernel_test(
    real: ArrayLike, synthetic: ArrayLike, seed: int = 0, *, permutations: int = 999
) -> float:
    """The p-value of the kernel distance: the share of random relabellings with at least as much.

    p = (1 + #{permuted >= observed}) / (1 + permutations), so it is never 0 and holds its level.
    Shapes: real (N, d), synthetic (M, d), N and M >= 2 -> 0..1. It holds one matrix (N+M, N+M):
    draw rows first where that is too much. The order of the rows does not matter, the seed does.
    Source: Gretton et al. 2012, "A kernel two-sample test", section 6 (permutations); the + 1 is
    Phipson & Smyth's of 2010, "Permutation p-values should never be zero".
    Raises DataError on fewer than two rows, unequal widths or values that are not finite.

    >>> apart = [[float(i)] for i in range(8)]
    >>> kernel_test(apart, [[row[0] + 50] for row in apart], permutations=99) < 0.05
    True
    """
    if permutations < 1:
        raise UsageError(f"permutations={permutations}; expected 1 or more, 999 is usual.")
    a, b = feature_rows(real, "real", least=2), feature_rows(synthetic, "synthetic", least=2)
    same_width(a, b)
    rows = np.concatenate([in_order(a), in_order(b)])
    products = rows @ rows.T
    products /= rows.shape[1]
    products += 1
    kernel = products * products * products  # ten times as fast as a power
    np.fill_diagonal(kernel, 0)
    values = _distances(kernel, _labels(len(a), len(rows), seed, permutations))
    # Relabellings that swap equals give the observed value again, up to rounding.
    slack = 1e-12 * np.abs(kernel).max()
    return float((1 + (values[1:] >= values[0] - slack).sum()) / (1 + permutations))


def _labels(n: int, of: int, seed: int, permutations: int) -> NDArray[np.float64]:
    """Who counts as real, (of, 1 + permutations): as it is, then at random."""
    labels = np.zeros((of, 1 + permutations))
    labels[:n, 0] = 1
    rng = generator(seed, "kernel test", n, of)
    for column in range(1, 1 + permutations):
        labels[rng.permutation(of)[:n], column] = 1
    return labels


def _distances(kernel: NDArray[np.float64], labels: NDArray[np.float64]) -> NDArray[np.float64]:
    """The unbiased squared distance for each column of labels; the kernel's diagonal is 0."""
    n = labels[:, 0].sum()
    m = len(labels) - n
    inside_a = (labels * (kernel @ labels)).sum(axis=0)
    rows_a = kernel.sum(axis=1) @ labels
    across = rows_a - inside_a
    inside_b = kernel.sum() - rows_a - across
    values: NDArray[np.float64] = (
        inside_a / (n * (n - 1)) + inside_b / (m * (m - 1)) - 2 * across / (n * m)
    )
    return values
