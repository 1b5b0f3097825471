"""Generated rows in memory-mapped files, one an epoch, read by any process. Makes none itself."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from gan_augment.errors import TooFewAcceptedError, UsageError
from gan_augment.storage import clean_stale, write_errors

KEPT = 2  # epochs on disk: the last may still be read while the next is begun

Draw = Callable[[str, int], Iterator[NDArray[Any]]]
"""(class, n) -> its rows, in pieces."""


class EpochFiles:
    """Rows of each epoch in `folder`, or in a temporary one that goes with the process.

    A pickled copy knows the paths only, and opens what it reads: that is what a worker gets.
    key: names the files; one that is there already under the same key is the same, and is kept.
    """

    def __init__(self, folder: str | Path | None, key: str) -> None:
        self._temporary = _TemporaryFolder() if folder is None else None
        self.folder = Path(folder) if folder is not None else self._temporary_path()
        self._key = key
        self._made: list[int] = []
        self._open: dict[int, NDArray[Any]] = {}

    def path(self, epoch: int) -> Path:
        """Where the rows of an epoch are."""
        return self.folder / f"synthetic-{self._key}-{epoch:06d}.npy"

    def rows(self, epoch: int) -> NDArray[Any]:
        """The rows of an epoch, memory-mapped, (n, ...). Raises UsageError where there are none."""
        if epoch not in self._open:
            array = _opened(self.path(epoch))
            if array is None:
                raise UsageError(
                    f"there are no generated rows of epoch {epoch}: they are made in the main "
                    "process, when the sampler begins it. Iterate by dataset.sampler() or by the "
                    "loader of augment_loader, or call set_epoch first."
                )
            while len(self._open) >= KEPT:
                self._open.pop(next(iter(self._open)))
            self._open[epoch] = array
        return self._open[epoch]

    def holds(self, epoch: int, n: int) -> bool:
        """Whether `n` rows of an epoch are there."""
        array = _opened(self.path(epoch))
        if array is None or len(array) != n:
            return False
        self._keep(epoch)
        return True

    def write(self, epoch: int, classes: Mapping[str, int], draw: Draw) -> dict[str, str]:
        """Write `classes` = {name: n} rows in that order; {class: why} of those that are refused.

        A refused class is left out. Raises WriteFailedError, and what `draw` raises otherwise.
        """
        path, refused = self.path(epoch), dict[str, str]()
        with write_errors(path), _replacing(path) as file:
            rows, like = 0, None
            for name, n in classes.items():
                begun, before = file.tell(), rows
                try:
                    for part in draw(name, n):
                        if like is None:
                            like = part[:0]
                            begun = _write_header(file, like, 0)
                        file.write(np.ascontiguousarray(part).data)
                        rows += len(part)
                except TooFewAcceptedError as error:
                    refused[name] = str(error)
                    file.truncate(begun)
                    file.seek(begun)
                    rows = before
            file.seek(0)
            _write_header(file, np.empty((0, 1), np.uint8) if like is None else like, rows)
        self._keep(epoch)
        return refused

    def _keep(self, epoch: int) -> None:
        """Forget all epochs that this object made but the last ones."""
        self._open.pop(epoch, None)
        self._made = [*(e for e in self._made if e != epoch), epoch]
        for old in self._made[:-KEPT]:
            self._open.pop(old, None)
            self.path(old).unlink(missing_ok=True)
        self._made = self._made[-KEPT:]

    def _temporary_path(self) -> Path:
        assert self._temporary is not None
        return self._temporary.path

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_open": {}, "_made": []}


class _TemporaryFolder:
    """A folder that goes when the last reference in the process that made it does.

    A forked or unpickled copy leaves it alone.
    """

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="gan-augment-"))
        weakref.finalize(self, _remove, self.path, os.getpid())

    def __deepcopy__(self, memo: object) -> _TemporaryFolder:
        return self


def _remove(path: Path, owner: int) -> None:
    if os.getpid() == owner:
        shutil.rmtree(path, ignore_errors=True)


def _opened(path: Path) -> NDArray[Any] | None:
    """The file as a memory-mapped array; None where it is missing or cut off."""
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r").view(np.ndarray)
    except (OSError, ValueError, EOFError):
        return None
    return array


def _write_header(file: IO[bytes], like: NDArray[Any], rows: int) -> int:
    """The header of a .npy file at its start; where the rows begin, whatever their number."""
    assert file.tell() == 0
    described = np.lib.format.header_data_from_array_1_0(like)
    np.lib.format.write_array_header_1_0(file, described | {"shape": (rows, *like.shape[1:])})
    return file.tell()


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file beside `path` that takes its place when the block ends. A cache is not synced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    clean_stale(path.parent, {path.name})
    temporary = path.with_name(f"{path.name}.tmp-{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            yield file
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
