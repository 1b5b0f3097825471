"""Arguments that every synthesizer takes, checked in the same words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeGuard

import numpy as np

from gan_augment.errors import UsageError


def checked_seed(random_state: object) -> int:
    """A seed, an int of 0 or more. Raises UsageError.

    >>> checked_seed(7)
    7
    """
    if not _whole(random_state) or random_state < 0:
        raise UsageError(f"random_state={random_state!r}; expected an int of 0 or more")
    return int(random_state)


def checked_counts(counts: Mapping[str, int]) -> dict[str, int]:
    """{class: rows to draw}, whole numbers of 0 or more. Raises UsageError.

    >>> checked_counts({"rare": 3})
    {'rare': 3}
    """
    for name, n in counts.items():
        whole = _whole(n) or (isinstance(n, float | np.floating) and float(n).is_integer())
        if not whole or n < 0:
            raise UsageError(
                f"{n!r} samples of {name!r} were asked for; expected a whole number, 0 or more"
            )
    return {name: int(n) for name, n in counts.items()}


def check_length(steps: object, budget_s: float | None, least: int = 1) -> None:
    """Raise UsageError for steps that are no whole number from `least` on, or a budget of no time.

    least: 1, or 0 where a model may stay untrained.
    """
    if steps is not None and not (_whole(steps) and steps >= least):
        raise UsageError(f"steps={steps!r}; expected a whole number of {least} or more, or None")
    if budget_s is not None and not budget_s > 0:
        raise UsageError(f"budget_s={budget_s!r}; expected seconds above 0, or None")


def _whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)
