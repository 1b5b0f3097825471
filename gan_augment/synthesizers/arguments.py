"""Arguments that every synthesizer takes, checked in the same words."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gan_augment.errors import UsageError


def checked_seed(random_state: object) -> int:
    """A seed, an int of 0 or more. Raises UsageError.

    >>> checked_seed(7)
    7
    """
    whole = isinstance(random_state, int | np.integer) and not isinstance(random_state, bool)
    if not whole or int(random_state) < 0:  # type: ignore[call-overload]
        raise UsageError(f"random_state={random_state!r}; expected an int of 0 or more")
    return int(random_state)  # type: ignore[call-overload, no-any-return]


def checked_counts(counts: Mapping[str, int]) -> dict[str, int]:
    """{class: rows to draw}, whole numbers of 0 or more. Raises UsageError."""
    for name, n in counts.items():
        if not isinstance(n, int | float | np.integer | np.floating) or n < 0 or n % 1:
            raise UsageError(f"{n!r} samples of {name!r} were asked for; expected 0 or more")
    return {name: int(n) for name, n in counts.items()}
