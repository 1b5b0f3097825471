"""Learners of images: a small CNN, a training function of the user's own, or flattened pixels."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gan_augment.evaluation.learners import Learner


def image_learner_of(given: Any, updates: int | None) -> Learner:
    """As `learners.learner_of`, for images."""
    raise NotImplementedError
