"""Mixup and CMO: mix the images of a batch, and their labels with them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from gan_augment.errors import UsageError
from gan_augment.rng import rng_for

__all__ = ["CMO", "Mixup"]


class Mixup:
    """Replace each row of a batch by a mixture with another row of it.

    Shapes: x (N, ...), y int64 (N,) or probabilities float (N, K) -> x (N, ...), y float (N, K).

    Parameters
    ----------
    alpha : float, default=1.0
        Of the Beta(alpha, alpha) distribution of the mixing weight, above 0.
    classes : int or None, default=None
        Number of classes K; None where the labels given are probabilities.

    Raises
    ------
    UsageError
        For an `alpha` that is not above 0.

    Notes
    -----
    One weight is drawn for a batch: x = w x_i + (1 - w) x_j, y = w y_i + (1 - w) y_j. Source: Zhang
    et al. 2018, "mixup: beyond empirical risk minimization", eq. 1.

    Examples
    --------
    >>> import torch
    >>> x, y = Mixup(classes=3)(torch.zeros(4, 1, 8, 8), torch.tensor([0, 1, 2, 0]))
    >>> tuple(x.shape), tuple(y.shape)
    ((4, 1, 8, 8), (4, 3))
    """

    def __init__(self, alpha: float = 1.0, classes: int | None = None) -> None:
        if not alpha > 0:
            raise UsageError(f"alpha={alpha!r}; expected a number above 0")
        self.alpha = alpha
        self.classes = classes

    def __call__(
        self, x: Tensor, y: Tensor, rng: np.random.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the mixed rows and their class probabilities; rng None follows from torch."""
        rng = rng or _of_torch()
        y = probabilities(y, self.classes)
        order = torch.from_numpy(rng.permutation(len(x)))
        share = float(rng.beta(self.alpha, self.alpha))
        return share * x + (1 - share) * x[order], share * y + (1 - share) * y[order]


class CMO:
    """Paste boxes of rows of rare classes into the images of a batch.

    Shapes: x (N, C, H, W), y int64 (N,) -> x (N, C, H, W), y float (N, K).

    Parameters
    ----------
    counts : (K,)
        Rows of each class in the training set. A row is pasted with weight 1 / rows of its class.
    probability : float, default=0.5
        Share of the batches that are changed.

    Raises
    ------
    UsageError
        For a probability outside 0..1.

    Notes
    -----
    A box has the share 1 - Beta(1, 1) of the pixels, less what lies outside the image; labels are
    mixed by the share of the pixels. The paper leaves out the first and last 3 of 200 epochs.
    Source: Park et al. 2022, "The majority can help the minority", algorithm 1.

    Examples
    --------
    >>> import torch
    >>> x, y = CMO([900, 100], 1)(torch.zeros(4, 1, 8, 8), torch.tensor([0, 0, 0, 1]))
    >>> tuple(x.shape), tuple(y.shape)
    ((4, 1, 8, 8), (4, 2))
    """

    def __init__(self, counts: Sequence[int] | NDArray[Any], probability: float = 0.5) -> None:
        if not 0 <= probability <= 1:
            raise UsageError(f"probability={probability!r}; expected a number in 0..1")
        self.counts = np.asarray(counts, dtype=np.float64)
        self.probability = probability

    def __call__(
        self,
        x: Tensor,
        y: Tensor,
        patches: tuple[Tensor, Tensor] | None = None,
        rng: np.random.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return the images with pasted boxes, and their class probabilities.

        patches: (x, y) that boxes come from, such as a batch of a class-balanced loader; None draws
        rows of the batch itself. rng: None follows from torch's global generator.
        """
        rng, classes = rng or _of_torch(), len(self.counts)
        soft = probabilities(y, classes)
        if rng.random() >= self.probability:
            return x, soft
        if patches is None:
            weight = 1 / np.maximum(self.counts[y.cpu().numpy()], 1)
            rows = torch.from_numpy(rng.choice(len(x), len(x), p=weight / weight.sum()))
            patches = x[rows], y[rows]
        pasted, share = paste(x, patches[0], rng)
        return pasted, share * soft + (1 - share) * probabilities(patches[1], classes)


def paste(x: Tensor, others: Tensor, rng: np.random.Generator) -> tuple[Tensor, float]:
    """Paste one box of `others` at the same place into x; return it, and the share kept of x.

    Shapes: x, others (N, C, H, W). The whole height of a signal (H = 1) is pasted. Source: Yun et
    al. 2019, "CutMix", section 3.1.
    """
    height, width = x.shape[2:]
    share = 1 - rng.beta(1, 1)
    side = share if height == 1 else math.sqrt(share)
    spans = []
    for length in (height, width):
        centre, half = int(rng.integers(length)), int(side * length) // 2
        half = half if length > 1 else 1  # the whole height of a signal
        spans.append(slice(max(0, centre - half), min(length, centre + half)))
    box = (slice(None), slice(None), *spans)
    x = x.clone(memory_format=torch.preserve_format)
    x[box] = others[box]
    area = math.prod(span.stop - span.start for span in spans)
    return x, 1 - area / (height * width)


def probabilities(y: Tensor, classes: int | None) -> Tensor:
    """Return labels int64 (N,) as probabilities float32 (N, K); probabilities stay as they are."""
    if y.is_floating_point():
        return y
    if classes is None:
        raise UsageError("the labels are numbers of classes; give classes=K as well")
    return F.one_hot(y, classes).float()


def _of_torch() -> np.random.Generator:
    """Return a generator seeded by torch's global one, so that torch.manual_seed repeats it."""
    return rng_for(int(torch.randint(2**31, ()).item()), "mixing")
