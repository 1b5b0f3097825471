"""Arrays that are files mapped into memory: giving back the memory that reading them took."""

from __future__ import annotations

import mmap

import numpy as np
from numpy.typing import NDArray


def release(array: NDArray[np.generic]) -> None:
    """Let go of the pages of a read-only mapped array; they are read again when they are used.

    Pages of a mapped file that were read count as the process's own (64 KiB around each row), so
    that a pass through all rows looks as large as the data. Other arrays are left alone: dropping
    pages of a private, writable map would lose what was written.
    """
    base: object = array.base
    if isinstance(array, np.memmap) and array.mode == "r" and isinstance(base, mmap.mmap):
        base.madvise(mmap.MADV_DONTNEED)
