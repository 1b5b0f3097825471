"""Pixels larger than memory: a memory-mapped temporary file that this process removes."""

from __future__ import annotations

import contextlib
import mmap
import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gan_augment.errors import UsageError, WriteFailedError
from gan_augment.processes import memory_limit_bytes
from gan_augment.storage import write_errors

_ABOVE_BYTES = 1 << 30
_MEMORY_SHARE = 0.3  # reading holds the pixels twice; training needs the rest


class TemporaryFolder:
    """A folder that is removed with its last reference in the process that created it.

    Forked and unpickled copies do not remove it.
    """

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="gan-augment-"))
        weakref.finalize(self, _remove, self.path, os.getpid())

    def __deepcopy__(self, memo: object) -> TemporaryFolder:
        return self


class TemporaryImages:
    """uint8 images (n, H, W, C) in a file below $TMPDIR, removed with the last map of it.

    Raises WriteFailedError if the disk is full.
    """

    def __init__(self, shape: tuple[int, int, int, int]) -> None:
        with _write_errors(Path(tempfile.gettempdir())):
            self._folder = TemporaryFolder()
            self.path = self._folder.path / "pixels.npy"
            self.pixels = np.lib.format.open_memmap(self.path, "w+", np.dtype(np.uint8), shape)
            with self.path.open("r+b") as file:  # without the space, a write would be a SIGBUS
                os.posix_fallocate(file.fileno(), 0, self.path.stat().st_size)

    def mapped(self) -> NDArray[np.uint8]:
        """Return all images as a read-only map; `pixels` is closed."""
        self.pixels.flush()
        del self.pixels
        images: NDArray[np.uint8] = np.load(self.path, mmap_mode="r")
        images.folder = self._folder  # type: ignore[attr-defined]  # lives as long as the map
        return images


def map_above_bytes() -> int:
    """Return the size in bytes above which pixels are mapped: 1 GiB, less on small machines.

    $GAN_AUGMENT_MAP_ABOVE overrides it, as a whole number of MiB. Raises UsageError for other text.
    """
    above = os.environ.get("GAN_AUGMENT_MAP_ABOVE")
    if above is None:
        return min(_ABOVE_BYTES, int(_MEMORY_SHARE * memory_limit_bytes()))
    if not above.isdecimal():
        raise UsageError(f"GAN_AUGMENT_MAP_ABOVE is {above!r}; expected a whole number of MiB")
    return int(above) << 20


def drop_pages(array: NDArray[np.generic]) -> None:
    """Release the pages of a mapped array; the next access reads them from the file again.

    Pages in use count as memory of the process, so that one pass through all rows looks as large
    as the data. Other arrays are ignored: a private map (mode "c") would lose its changes.
    """
    pages: object = getattr(array, "_mmap", None)
    if isinstance(array, np.memmap) and array.mode != "c" and isinstance(pages, mmap.mmap):
        pages.madvise(mmap.MADV_DONTNEED)


@contextlib.contextmanager
def _write_errors(path: Path) -> Iterator[None]:
    try:
        with write_errors(path):
            yield
    except WriteFailedError as failed:
        raise WriteFailedError(
            f"{failed} TMPDIR names another folder for temporary files."
        ) from failed


def _remove(folder: Path, owner: int) -> None:
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)
