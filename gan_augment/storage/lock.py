"""One process a folder: a lock that names its holder and dies with it. It guards no single file."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import platform
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from gan_augment.errors import FolderInUseError
from gan_augment.storage.files import process_lives, write_errors

LOCK_FILE = ".lock"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class FolderLock:
    """Hold `folder` (made if missing) for this process while the block runs.

    The kernel's file lock decides between live processes and is freed by any death; the file's text
    (pid, host, boot id) names the holder, and decides where the kernel cannot know: a holder on
    another machine is believed, one of an earlier boot or a dead process is taken over.
    Raises FolderInUseError if somebody else holds it, WriteFailedError if no lock can be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        path = self.folder / LOCK_FILE
        with write_errors(path):
            self.folder.mkdir(parents=True, exist_ok=True)
            while self._descriptor is None:
                self._descriptor = _try_lock(path)
            try:
                _describe_me(self._descriptor)
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
        if self._descriptor is not None:
            (self.folder / LOCK_FILE).unlink(
                missing_ok=True
            )  # before the release: nobody sees it stale
            os.close(self._descriptor)
            self._descriptor = None


def _try_lock(path: Path) -> int | None:
    """The descriptor of the locked file, or None if it was removed meanwhile (then try again)."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
    try:
        kernel_decides = _lock(path, descriptor)
        holder = _read(descriptor)
        if _still_held(holder, kernel_decides):
            raise _in_use(path, holder)
        if _same_file(descriptor, path):
            return descriptor
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _lock(path: Path, descriptor: int) -> bool:
    """Take the kernel's lock; False where the file system has none (some network disks)."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise _in_use(path, _read(descriptor)) from None
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP):
            raise
        return False
    return True


def _still_held(holder: dict[str, Any], kernel_decides: bool) -> bool:
    """Whether the text names a process that may live, although the kernel's lock was free."""
    if not holder:
        return False
    if (
        holder.get("boot") == _boot_id() != ""
    ):  # this very kernel, whatever a container calls its host
        pid = holder.get("pid")
        mine = pid == os.getpid()
        return not kernel_decides and isinstance(pid, int) and not mine and process_lives(pid)
    return bool(holder.get("host") != platform.node())


def _same_file(descriptor: int, path: Path) -> bool:
    mine = os.fstat(descriptor)
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    return (mine.st_dev, mine.st_ino) == (there.st_dev, there.st_ino)


def _describe_me(descriptor: int) -> None:
    me = {"pid": os.getpid(), "host": platform.node(), "boot": _boot_id()}
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(me).encode(), 0)
    os.fsync(descriptor)


def _read(descriptor: int) -> dict[str, Any]:
    try:
        holder = json.loads(os.pread(descriptor, 4096, 0))
    except ValueError:
        return {}
    return holder if isinstance(holder, dict) else {}


def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _in_use(path: Path, holder: dict[str, Any]) -> FolderInUseError:
    who = f"process {holder.get('pid')} on {holder.get('host')}" if holder else "another process"
    return FolderInUseError(
        f"{str(path.parent)!r} is in use by {who}. Wait for it, stop it, or choose another folder; "
        f"if that machine is gone, delete {LOCK_FILE!r} in the folder."
    )
