"""Random numbers as a function of (seed, stream, block): counter-based, never ambient.

The same key gives the same numbers whatever was drawn before, on any worker, in any order. Global
generators are left as they were.
"""

# ruff: noqa: NPY002 (the legacy generator is what many transforms draw from)
from __future__ import annotations

import contextlib
import hashlib
import random
from collections.abc import Iterator

import numpy as np


def rng_for(seed: int, stream: str, *block: int | str) -> np.random.Generator:
    """Return an independent NumPy generator for one block of one stream.

    seed: the user's. stream: the purpose ("batches", "sample"). block: indices inside the stream (a
    training step; a class and a block number). Philox 4x64-10 (Salmon et al. 2011), keyed by a
    BLAKE2b hash of the arguments.

    >>> a = rng_for(0, "sample", "cat", 3).integers(1000, size=4)
    >>> b = rng_for(0, "sample", "cat", 3).integers(1000, size=4)
    >>> bool((a == b).all())
    True
    """
    words = "\x1f".join(str(part) for part in (int(seed), stream, *block))
    digest = hashlib.blake2b(words.encode(), digest_size=16).digest()
    key = np.frombuffer(digest, dtype=np.uint64).copy()
    return np.random.Generator(np.random.Philox(key=key))


def derived_seed(seed: int, stream: str, *block: int | str) -> int:
    """Return a 63-bit seed for what takes only a seed (a torch generator, an estimator)."""
    return int(rng_for(seed, stream, *block).integers(0, 2**63 - 1))


@contextlib.contextmanager
def preserve_global_generators(seed: int | None = None) -> Iterator[None]:
    """Restore the global generators of Python, NumPy and torch (CPU) when the block ends.

    Transforms of users draw from them. No other place touches them. seed: seed of all three in the
    block, an int >= 0; None leaves them as they are.

    >>> import random, torch
    >>> drawn = []
    >>> for _ in range(2):
    ...     with preserve_global_generators(1):
    ...         drawn.append((random.random(), torch.rand(()).item()))
    >>> drawn[0] == drawn[1]
    True
    """
    import torch

    python, legacy = random.getstate(), np.random.get_state(legacy=False)
    cpu = torch.default_generator.get_state()
    try:
        if seed is not None:
            random.seed(seed)
            np.random.seed(seed % 2**32)
            torch.default_generator.manual_seed(seed)
        yield
    finally:
        random.setstate(python)
        np.random.set_state(legacy)
        torch.default_generator.set_state(cpu)
