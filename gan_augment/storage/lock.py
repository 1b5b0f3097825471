"""One process a folder: a lock that names its holder and dies with it. It guards no single file."""

from __future__ import annotations

import contextlib
import errno
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

from gan_augment.errors import FolderInUseError, OutputExistsError
from gan_augment.storage.files import write_errors

LOCK_FILE = ".lock"
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)


class FolderLock:
    """Hold `folder` (made if missing) for this process while the block runs.

    The kernel's file lock decides, and is freed by any death; a disk that has none (some network
    disks) is locked by the existence of the file. The file's text names the holder for people.
    Raises FolderInUseError if somebody else holds it, WriteFailedError if no lock can be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self._path = self.folder / LOCK_FILE
        self._lock: BaseFileLock | None = None

    def __enter__(self) -> Self:
        with write_errors(self._path):
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                self._lock = _acquired(self._path)
            except Timeout:
                raise _in_use(self._path) from None
            try:
                if isinstance(self._lock, FileLock):
                    self._path.write_text(f"process {os.getpid()} on {platform.node()}")
            except BaseException as error:
                self.__exit__(type(error), error, None)  # held and unsaid, it would stay locked
                raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._lock is not None:
            self._path.unlink(missing_ok=True)  # before the release: nobody sees it stale
            self._lock.release()
            self._lock = None


@contextlib.contextmanager
def hold_folder(folder: Path) -> Iterator[None]:
    """Hold `folder` as `FolderLock` does; one made here in which nothing was written goes again.

    Raises OutputExistsError where a file is in its place, and what `FolderLock` raises.
    """
    if folder.exists() and not folder.is_dir():
        raise OutputExistsError(f"{str(folder)!r} is a file; expected the path of a folder.")
    new = not folder.exists()
    try:
        with FolderLock(folder):
            yield
    finally:
        if new:
            with contextlib.suppress(OSError):
                folder.rmdir()  # only if nothing was written


def _acquired(path: Path) -> BaseFileLock:
    was_there = path.exists()
    lock: BaseFileLock = FileLock(path, timeout=0, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        raise
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        if not was_there:  # then it is the failed attempt's
            path.unlink(missing_ok=True)
        lock = SoftFileLock(path, timeout=0, thread_local=False)
        lock.acquire()
    return lock


def _in_use(path: Path) -> FolderInUseError:
    try:
        who = " ".join(path.read_text("utf-8", "replace").split())[:80] or "another process"
    except OSError:
        who = "another process"
    return FolderInUseError(
        f"{str(path.parent)!r} is in use by {who}. Wait for it, stop it, or choose another folder; "
        f"if no process works there, delete {LOCK_FILE!r} in the folder."
    )
