"""The process's global generators (Python's, NumPy's, torch's on the CPU), kept for the caller.

The one place that touches them, and it puts them back: transforms that people write draw from
them, and must draw the same for the same item in any worker.
"""

# ruff: noqa: NPY002 (the legacy generator is what many transforms draw from)
from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator

import numpy as np
import torch


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Whatever the block draws from the global generators, they are as before when it ends."""
    python, legacy = random.getstate(), np.random.get_state(legacy=False)
    cpu = torch.default_generator.get_state()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(legacy)
        torch.default_generator.set_state(cpu)


def seed_all(seed: int) -> None:
    """Seed all three with an int >= 0; only inside of `kept()`.

    >>> with kept():
    ...     seed_all(1)
    ...     one = (random.random(), torch.rand(()).item())
    ...     seed_all(1)
    ...     same = one == (random.random(), torch.rand(()).item())
    >>> same
    True
    """
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.default_generator.manual_seed(seed)
