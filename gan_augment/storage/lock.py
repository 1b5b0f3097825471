"""Folder locks: one process at a time; a lock names its holder and ends with that process."""

from __future__ import annotations

import contextlib
import os
import platform
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from gan_augment.errors import FolderInUseError, OutputExistsError, WriteFailedError
from gan_augment.storage.files import write_errors

LOCK_FILE = ".lock"


@contextlib.contextmanager
def hold_folder(folder: Path, lock_file: str = LOCK_FILE) -> Iterator[None]:
    """Hold `folder` for this process; create it and its parents, and remove those left empty.

    The kernel's file lock is released when the process ends. On a disk without `flock` the file
    itself is the lock. Its text names the holder for people. lock_file: a different name locks one
    output in the folder.

    Raises FolderInUseError (if another process holds it); OutputExistsError (if `folder` is a
    file); WriteFailedError (if no lock can be written, or if the folder was moved in the meantime).
    """
    if folder.exists() and not folder.is_dir():
        raise OutputExistsError(f"{str(folder)!r} is a file; expected the path of a folder.")
    made = [one for one in (folder, *folder.parents) if not one.exists()]
    path = folder / lock_file
    try:
        with write_errors(path):
            folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(path, timeout=0, thread_local=False)
            try:
                lock.acquire()
            except Timeout:
                raise _in_use(path) from None
            held = folder.stat()
        try:
            if isinstance(lock, FileLock):  # filelock made a SoftFileLock of it without `flock`
                with write_errors(path):
                    path.write_text(f"process {os.getpid()} on {platform.node()}")
            yield
            if not _is_in_place(folder, held):
                raise WriteFailedError(
                    f"{str(folder)!r} was moved or removed while it was written, so that what is "
                    "there is not whole. Move it back and give --resume, or begin again."
                )
        finally:
            if _is_in_place(folder, held):  # else the lock there is another process's
                with contextlib.suppress(OSError):  # of a disk that went read-only meanwhile
                    path.unlink(missing_ok=True)  # before the release: nobody sees it stale
            lock.release()
    finally:
        with contextlib.suppress(OSError):
            for empty in made:
                empty.rmdir()  # only if nothing was written


def _is_in_place(folder: Path, held: os.stat_result) -> bool:
    try:
        return os.path.samestat(folder.stat(), held)
    except OSError:
        return False


def _in_use(path: Path) -> FolderInUseError:
    try:
        who = " ".join(path.read_text("utf-8", "replace").split())[:80] or "another process"
    except OSError:
        who = "another process"
    place = path.parent if path.name == LOCK_FILE else path.name.removeprefix(".")[: -len(".lock")]
    return FolderInUseError(
        f"{str(place)!r} is in use by {who}. Wait for it, stop it, or choose another place; "
        f"if no process works there, delete {path.name!r} in the folder."
    )
