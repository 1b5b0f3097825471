"""`Generator`: the protocol of everything that draws rows; `RunContext`; checks of arguments.

No torch here: baselines, top-ups and the scikit-learn face import this file.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, Self, TypeGuard

import numpy as np
from numpy.typing import NDArray

from gan_augment.errors import UsageError
from gan_augment.kinds.kind import Labelled
from gan_augment.progress import Progress
from gan_augment.training.callbacks import StopFlag

if TYPE_CHECKING:
    from gan_augment.machine import ComputeConfig
    from gan_augment.training.checkpoint import CheckpointStore


class Generator(Protocol):
    """Fits on labelled data, then draws exactly the requested rows with the requested labels.

    classes_: {name: training rows}, set by `fit`. Trained generators also `save` and `load`; the
    baselines do not, since what they learn is the training data.
    """

    classes_: dict[str, int]

    def fit(self, data: Labelled) -> Self:
        """Learn from every class of `data`, which is not changed."""

    def sample(self, counts: Mapping[str, int], random_state: int = 0) -> Labelled:
        """Draw `counts` = {class: n} rows in this order, ids "synthetic-<class>-000000"."""


@dataclass(frozen=True, kw_only=True)
class RunContext:
    """Everything around a fit that does not change what is learned.

    Parameters
    ----------
    checkpoints
        Where the state is saved during training.
    resume
        Continue from the newest checkpoint; the result has the same bits as an undisturbed run.
    force
        Resume even if data or settings have changed.
    progress, stop
        What shows the progress; a flag that ends training after a save.
    on_steps
        Called with the number of steps, once it is known, and the machine.
    started_s
        When a budget began, by `time.monotonic()`.
    fingerprint
        The sha256 of the data, where it is known.
    """

    checkpoints: CheckpointStore | None = None
    resume: bool = False
    force: bool = False
    progress: Progress = field(default_factory=Progress)
    stop: StopFlag = field(default_factory=StopFlag)
    on_steps: Callable[[int, ComputeConfig], None] | None = None
    started_s: float = field(default_factory=time.monotonic)
    fingerprint: str | None = None


def checked_seed(random_state: object) -> int:
    """Return the seed, an int of 0 or more; or raise UsageError.

    >>> checked_seed(7)
    7
    """
    if not is_whole(random_state) or random_state < 0:
        raise UsageError(f"random_state={random_state!r}; expected an int of 0 or more")
    return int(random_state)


def checked_counts(counts: Mapping[str, int]) -> dict[str, int]:
    """Return {class: rows to draw}, whole numbers of 0 or more; or raise UsageError.

    >>> checked_counts({"rare": 3})
    {'rare': 3}
    """
    for name, n in counts.items():
        whole = is_whole(n) or (isinstance(n, float | np.floating) and float(n).is_integer())
        if not whole or n < 0:
            raise UsageError(
                f"{n!r} samples of {name!r} were requested; expected a whole number, 0 or more"
            )
    return {name: int(n) for name, n in counts.items()}


def check_length(steps: object, budget_s: float | None, least: int = 1) -> None:
    """Raise UsageError for steps that are no whole number from `least` on, or no budget above 0."""
    if steps is not None and not (is_whole(steps) and steps >= least):
        raise UsageError(f"steps={steps!r}; expected a whole number of {least} or more, or None")
    if budget_s is not None and not budget_s > 0:
        raise UsageError(f"budget_s={budget_s!r}; expected seconds above 0, or None")


def is_whole(value: object) -> TypeGuard[int]:
    """Return whether a value is an integer and not a boolean."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def sample_ids(counts: Mapping[str, int], start: int = 0) -> NDArray[np.str_]:
    """Return the ids of samples, "synthetic-<class>-000000" and so on from number `start`."""
    ids = [f"synthetic-{name}-{start + i:06d}" for name, n in counts.items() for i in range(n)]
    return np.array(ids, dtype=np.str_)
