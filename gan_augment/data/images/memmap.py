"""Rows larger than memory: a memory-mapped temporary file that this process removes."""

from __future__ import annotations

import mmap
import os
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from gan_augment.errors import WriteFailedError
from gan_augment.storage import write_errors


class TemporaryRows:
    """An array in a file below $TMPDIR, removed with its last reference in its first process.

    Forked, copied and unpickled objects do not remove it. Raises WriteFailedError if the disk is
    full.

    Attributes
    ----------
    path
        The .npy file.
    rows
        The array, writable until `mapped` is called.
    """

    def __init__(self, shape: tuple[int, ...], dtype: DTypeLike) -> None:
        try:
            with write_errors(Path(tempfile.gettempdir())):
                folder = Path(tempfile.mkdtemp(prefix="gan-augment-"))
                weakref.finalize(self, _remove, folder, os.getpid())
                self.path = folder / "rows.npy"
                self.rows: NDArray[Any] = np.lib.format.open_memmap(
                    self.path, "w+", np.dtype(dtype), shape
                )
                with self.path.open("r+b") as file:  # without the space, a write is a SIGBUS
                    os.posix_fallocate(file.fileno(), 0, self.path.stat().st_size)
        except WriteFailedError as failed:
            raise WriteFailedError(
                f"{failed} TMPDIR names another folder for temporary files."
            ) from failed

    def mapped(self) -> NDArray[Any]:
        """Return all rows as a read-only map, which keeps the file."""
        self.rows = np.empty(0)
        mapped: NDArray[Any] = np.load(self.path, mmap_mode="r")
        mapped.source = self  # type: ignore[attr-defined]
        return mapped

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path}

    def __deepcopy__(self, memo: object) -> TemporaryRows:
        return self


def drop_pages(array: NDArray[np.generic]) -> None:
    """Release the pages of a mapped array; the next access reads them from the file again.

    Pages in use count as memory of the process, so that one pass through all rows looks as large
    as the data. Other arrays are ignored: a private map (mode "c") would lose its changes.
    """
    pages: object = getattr(array, "_mmap", None)
    if isinstance(array, np.memmap) and array.mode != "c" and isinstance(pages, mmap.mmap):
        pages.madvise(mmap.MADV_DONTNEED)


def _remove(folder: Path, owner: int) -> None:
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)
