"""Files and folders that appear whole or not at all: written aside, then renamed."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import os
import re
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from gan_augment.errors import GanAugmentError, WriteFailedError

_TEMPORARY = re.compile(r"(?P<name>.+)\.(?P<kind>tmp|old)-(?P<pid>[0-9]{1,10})")
_CURES = {
    errno.ENOSPC: "Free some space, or write to another disk.",
    errno.EDQUOT: "Your quota is used up: free some space, or write elsewhere.",
    errno.EROFS: "The disk is read-only: choose another folder.",
    errno.EACCES: "You may not write there: choose another folder, or change its permissions.",
    errno.EPERM: "You may not write there: choose another folder, or change its permissions.",
    errno.ENAMETOOLONG: "Choose a shorter path.",
    errno.ENOLCK: "The disk has no file locks: write to another disk.",
}


def write_file(path: Path, content: bytes, *, sync: bool = True) -> None:
    """Write a file atomically, and make its parent folders: a crash leaves the old file or the new.

    sync: whether to wait for the disk. Without it only a power cut can leave an empty file, which
    is acceptable for many small images. Raises WriteFailedError if the disk refuses; the old file
    is intact then, and no temporary file is left.
    """
    with new_file(path, sync=sync) as file:
        file.write(content)


class NewFile(io.FileIO):
    """A file under a temporary name, and the hash of all bytes written."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        super().__init__(path, "w")
        self.sha256 = hashlib.sha256()

    def write(self, content: Any, /) -> int:
        """Append all of the bytes."""
        view = memoryview(b"" if self.closed else content)
        self.sha256.update(view)
        while view:
            view = view[os.write(self.fileno(), view) :]
        return len(content)


@contextlib.contextmanager
def new_file(path: Path, *, sync: bool = True) -> Iterator[NewFile]:
    """Write a file piece by piece. It gets its name when the block ends.

    If the block raises, an earlier file is intact and the temporary file is gone. Parameters and
    errors are those of `write_file`.
    """
    temporary = temporary_path(path, "tmp")
    with write_errors(path):
        try:
            with NewFile(temporary) as file:
                yield file
                if sync:
                    os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        if sync:
            sync_path(path.parent)


def move_folder(source: Path, path: Path) -> None:
    """Rename a folder, and remove an earlier one of that name afterwards.

    The earlier folder is `path.old-<pid>` for the moment of the rename; `clean_stale` gives it its
    name back after a crash.
    """
    aside = temporary_path(path, "old")
    with write_errors(path):
        for parent, _, names in os.walk(source):
            for name in names:
                sync_path(Path(parent, name))
            sync_path(Path(parent))
        if path.exists():
            shutil.rmtree(aside, ignore_errors=True)
            path.rename(aside)
        try:
            source.rename(path)
        except BaseException:
            if aside.exists():
                aside.rename(path)
            raise
        shutil.rmtree(aside, ignore_errors=True)
        sync_path(path.parent)


def clean_stale(folder: Path, names: Collection[str] | None = None) -> tuple[str, ...]:
    """Remove temporary files that dead processes left in `folder`, and return their names.

    Folders below `folder` are not searched. A folder that was moved aside (`.old-`) without a
    successor gets its name back. Call this while holding the folder's lock.

    names: the files and folders whose leftovers may go, in a folder that holds files of other
    programs as well (`db.old-2023`); None for all.
    """
    removed = []
    for entry in sorted(folder.iterdir()) if folder.is_dir() else []:
        match = _TEMPORARY.fullmatch(entry.name)
        if not match or process_lives(int(match["pid"])):
            continue
        if names is not None and match["name"] not in names:
            continue
        target = folder / match["name"]
        with write_errors(entry):
            if match["kind"] == "old" and not target.exists():
                entry.rename(target)
            elif entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        removed.append(entry.name)
    return tuple(removed)


def remove_named(folder: Path, names: Collection[str]) -> None:
    """Remove files and folders of known names, in their order, and nothing else."""
    with write_errors(folder):
        for path in (folder / name for name in names):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


@contextlib.contextmanager
def write_errors(path: Path) -> Iterator[None]:
    """Turn an OSError of the block into a WriteFailedError that names path, reason and cure."""
    try:
        yield
    except GanAugmentError:
        raise
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
        cure = _CURES.get(error.errno or 0, "Check the disk and the path.")
        message = (
            f"could not write {str(path)!r}: {reason}. {cure} What was there before is intact."
        )
        raise WriteFailedError(message) from error


def process_lives(pid: int) -> bool:
    """Return whether a process with this number runs on this machine."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def sync_path(path: Path) -> None:
    """Wait until the disk has a file, or the names in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def temporary_path(path: Path, kind: str) -> Path:
    """Return the name in use while `path` is written ("tmp") or replaced ("old")."""
    return path.with_name(f"{path.name}.{kind}-{os.getpid()}")
