"""Class fidelity: does a classifier that never saw a synthetic row call it what was asked for?"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from gan_augment.errors import DataError


def class_fidelity(asked: ArrayLike, called: ArrayLike) -> float:
    """The share of synthetic rows that a classifier of real rows calls what they were asked to be.

    Shapes: asked (N,), called (N,) labels, N >= 1 -> 0..1. The classifier's recall of held-out real
    rows of the class is its floor: no generator can be asked for more.
    Source: Shmelkov et al. 2018, "How good is my GAN?", GAN-test for one class.
    Raises DataError on no labels or unequal shapes.

    >>> class_fidelity(["rare", "rare", "rare", "rare"], ["rare", "rare", "common", "rare"])
    0.75
    """
    wanted, found = np.asarray(asked), np.asarray(called)
    if wanted.ndim != 1 or wanted.shape != found.shape or not len(wanted):
        raise DataError(
            f"asked has shape {wanted.shape}, called {found.shape}; expected (N,) twice, N >= 1."
        )
    return float(np.mean(wanted == found))
