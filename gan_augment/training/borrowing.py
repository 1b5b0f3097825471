"""What rare classes borrow, as functions of a run's progress 0..1: how a class enters, who judges.

Shared blocks are the decoder's, tempered labels the batches', a warm start the free method's.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gan_augment.networks.decoder import Conditioning
from gan_augment.networks.geometry import Geometry
from gan_augment.randomness import generator
from gan_augment.recipe_settings import BorrowingSettings, Recipe
from gan_augment.training.state import TrainState

FEW_ROWS = 100
"""A class with fewer shares its coarse structure with the others."""
EFFECTIVE_DECAY = 0.99  # beta of NoisyTwins (Rangwani et al. 2023)


def suited(recipe: Recipe, geometry: Geometry, counts: Sequence[int]) -> Recipe:
    """The recipe without shared blocks where no class needs them or no block is coarse enough."""
    needed = geometry.coarse_blocks and any(0 < n < FEW_ROWS for n in counts)
    if needed or not recipe.borrowing.shared_blocks:
        return recipe
    borrowing = recipe.borrowing.model_copy(update={"shared_blocks": False})
    return recipe.model_copy(update={"borrowing": borrowing})


def class_weight(borrowing: BorrowingSettings, progress: float) -> float:
    """Lambda of transitional conditioning: 0 before it, 1 after it, a line between.

    Source: Shahbazi et al. 2022, "Collapse by Conditioning", eq. 4.

    >>> [class_weight(BorrowingSettings(transition=(0.25, 0.5)), p) for p in (0.25, 0.375, 1)]
    [0.0, 0.5, 1.0]
    """
    if borrowing.transition is None:
        return 1.0
    start, end = borrowing.transition
    return min(max((progress - start) / (end - start), 0.0), 1.0)


def head_weights(borrowing: BorrowingSettings, progress: float) -> list[float]:
    """The weight of each of D's heads in both players' losses, in the order of its logits.

    L = L_uncond + lambda L_cond (Shahbazi et al. 2022); with shared blocks half of that, and half
    the loss of what they drew (Khorram et al. 2024).
    """
    weights = [class_weight(borrowing, progress)]
    if borrowing.transition is not None:
        weights.append(1.0)
    if borrowing.shared_blocks:
        weights = [*(weight / 2 for weight in weights), 0.5]
    return weights


def noise_scales(counts: Sequence[int]) -> NDArray[np.float32]:
    """lambda_y of embedding noise (K,), the larger the fewer rows; mean 1 over classes with rows.

    lambda_y = K E_y^-1 / sum E^-1 with the effective number E_n = (1 - beta^n) / (1 - beta), beta
    = .99. Source: Rangwani et al. 2023, "NoisyTwins", section 4.1.
    """
    effective = (1 - EFFECTIVE_DECAY ** np.asarray(counts, np.float64)) / (1 - EFFECTIVE_DECAY)
    inverse = np.divide(1, effective, out=np.zeros_like(effective), where=effective > 0)
    scales: NDArray[np.float32] = (inverse / inverse[inverse > 0].mean()).astype(np.float32)
    return scales


def conditioning(
    recipe: Recipe, counts: Sequence[int]
) -> Callable[[TrainState, Tensor, int], Conditioning | None]:
    """How classes enter at a step, as `Parts.condition`; always None where a recipe borrows none.

    Noise is embedding_noise lambda_y eps, eps standard normal, a stream of its own.
    """
    borrowing = recipe.borrowing
    if borrowing.transition is None and not borrowing.embedding_noise:
        return lambda state, y, turn: None
    scales = torch.from_numpy(borrowing.embedding_noise * noise_scales(counts))
    return functools.partial(_conditioning, recipe, scales)


def _conditioning(
    recipe: Recipe, scales: Tensor, state: TrainState, y: Tensor, turn: int
) -> Conditioning:
    noise = None
    if recipe.borrowing.embedding_noise:
        rng = generator(state.noise_seed, "embedding noise", state.step, turn)
        eps = rng.standard_normal((len(y), recipe.generator.embedding), dtype=np.float32)
        noise = scales.to(y.device)[y][:, None] * torch.from_numpy(eps).to(y.device)
    return Conditioning(class_weight(recipe.borrowing, state.progress), noise)
