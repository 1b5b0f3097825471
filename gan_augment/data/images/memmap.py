"""Pixels beyond memory: a temporary file of this process, mapped, and its pages given back."""

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
from gan_augment.storage import NewFile, write_errors

_ABOVE_BYTES = 1 << 30
_MEMORY_SHARE = 0.3  # of the memory there is; reading holds pixels twice, the rest is for training


class TemporaryFolder:
    """A folder that goes when the last reference in the process that made it does.

    A forked or unpickled copy leaves it alone.
    """

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="gan-augment-"))
        weakref.finalize(self, _remove, self.path, os.getpid())

    def __deepcopy__(self, memo: object) -> TemporaryFolder:
        return self


class TemporaryImages:
    """Images uint8 of one shape in a file that goes with the process, or with the last map of it.

    The file lies in the system's folder for temporary files ($TMPDIR). Raises WriteFailedError
    where the disk is full.
    """

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self._shape, self._images = shape, 0
        with _write_errors(Path(tempfile.gettempdir())):
            self._folder = TemporaryFolder()
            self.path = self._folder.path / "pixels.u8"
            self._file = NewFile(self.path, 0o600)
        self._close = weakref.finalize(self, self._file.end)

    def append(self, image: NDArray[np.uint8]) -> None:
        """Write one more image (H, W, C)."""
        assert image.shape == self._shape
        with _write_errors(self.path):
            self._file.write(np.ascontiguousarray(image).data.cast("B"))
        self._images += 1

    def mapped(self) -> NDArray[np.uint8]:
        """All images, (N, H, W, C), read-only, N >= 1. Nothing is written any more."""
        with _write_errors(self.path):
            self._close()
        images = np.memmap(self.path, np.uint8, "r", shape=(self._images, *self._shape))
        images.folder = self._folder  # type: ignore[attr-defined]  # it stays as long as the map
        return images


def map_above_bytes() -> int:
    """Pixels of more bytes are mapped: 1 GiB, less on a small machine, where they would not fit.

    $GAN_AUGMENT_MAP_ABOVE, a whole number of MiB, says otherwise; UsageError if it is none.
    """
    above = os.environ.get("GAN_AUGMENT_MAP_ABOVE")
    if above is None:
        return min(_ABOVE_BYTES, int(_MEMORY_SHARE * memory_limit_bytes()))
    if not above.isdecimal():
        raise UsageError(f"GAN_AUGMENT_MAP_ABOVE is {above!r}; expected a whole number of MiB")
    return int(above) << 20


def drop_pages(array: NDArray[np.generic]) -> None:
    """Let go of the pages of a read-only mapped array; they are read again when they are used.

    Pages of a mapped file that were read count as the process's own (64 KiB around each row), so
    that a pass through all rows looks as large as the data. Other arrays are left alone: dropping
    pages of a private, writable map would lose what was written.
    """
    base: object = array.base
    if isinstance(array, np.memmap) and array.mode == "r" and isinstance(base, mmap.mmap):
        base.madvise(mmap.MADV_DONTNEED)


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
    if os.getpid() == owner:  # a forked child leaves it alone
        shutil.rmtree(folder, ignore_errors=True)
