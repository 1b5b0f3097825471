"""Cross entropy and decisions for classes of unequal size: logit adjustment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from gan_augment.errors import UsageError

__all__ = ["LogitAdjustedLoss", "corrected_logits"]

Counts = Sequence[int] | Sequence[float] | NDArray[Any] | Tensor


def log_shares(counts: Counts) -> Tensor:
    """Return the logarithms of the class shares, float32 (K,); -inf for a class without rows.

    Raises UsageError unless counts (K,) are finite, not negative, and not all 0.
    """
    rows = torch.as_tensor(counts, dtype=torch.float64)
    usable = rows.ndim == 1 and bool(torch.isfinite(rows).all() and (rows >= 0).all())
    if not usable or rows.sum() == 0:
        raise UsageError(f"counts={counts!r}; expected the number of rows of each class, (K,)")
    return (rows / rows.sum()).log().float()


class LogitAdjustedLoss(nn.Module):
    """Cross entropy of the logits plus `tau` times the log class shares.

    A network trained by it decides as if the classes were of equal size. `tau=1` is the balanced
    softmax. Predict with the logits as they are.

    Parameters
    ----------
    counts : (K,)
        Rows of each class in the training set.
    tau : float, default=1.0
        Strength of the adjustment; 0 is the usual cross entropy.

    Raises
    ------
    UsageError
        For counts that are negative or all 0.

    Notes
    -----
    Shapes: logits (N, K); targets int64 (N,), or probabilities float (N, K) as `Mixup` returns
    them; the loss is a scalar, the mean over the batch. Sources: Menon et al. 2021, "Long-tail
    learning via logit adjustment", eq. 10; Ren et al. 2020, "Balanced meta-softmax", eq. 4.

    Examples
    --------
    >>> import torch
    >>> loss = LogitAdjustedLoss([900, 100])
    >>> round(loss(torch.zeros(1, 2), torch.tensor([1])).item(), 3)  # -log(.1)
    2.303
    """

    def __init__(self, counts: Counts, tau: float = 1.0) -> None:
        super().__init__()
        self.tau = tau
        self.register_buffer("offset", tau * log_shares(counts))

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the mean loss of a batch.

        Parameters
        ----------
        logits, target : (N, K), (N,) or (N, K)
            As in the notes of the class.

        Returns
        -------
        Tensor ()
            The loss, in nats.
        """
        assert isinstance(self.offset, Tensor)
        return F.cross_entropy(logits + self.offset, target)


def corrected_logits(logits: Tensor, counts: Counts, tau: float = 1.0) -> Tensor:
    """Correct the logits of a network trained by plain cross entropy for the class shares.

    Parameters
    ----------
    logits : Tensor (N, K)
        Scores before the softmax.
    counts : (K,)
        Rows of each class in the training set.
    tau : float, default=1.0
        Strength of the correction; 0 changes nothing.

    Returns
    -------
    Tensor (N, K)
        logits - tau log(share). The class with the highest one is the best decision for mean
        recall if the probabilities are right. A class without rows gets -inf.

    Raises
    ------
    UsageError
        For counts that are negative or all 0.

    Notes
    -----
    Source: Menon et al. 2021, "Long-tail learning via logit adjustment", eq. 9.

    Examples
    --------
    >>> import torch
    >>> corrected_logits(torch.tensor([[0.7, 0.3]]).log(), [900, 100]).argmax(dim=1).item()
    1
    """
    shares = log_shares(counts).to(logits.device)
    return torch.where(torch.isinf(shares), -torch.inf, logits - tau * shares)
