"""Files and folders that appear whole or not at all: written beside their target, synced, renamed.

Nothing about what is in them, and no locks.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import os
import re
import shutil
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from gan_augment.errors import GanAugmentError, OutputExistsError, WriteFailedError

LONGEST_NAME_BYTES = 255
_KINDS = ("tmp", "old")
_TEMPORARY = re.compile(r"(?P<name>.+)\.(?P<kind>tmp|old)-(?P<pid>[0-9]{1,10})")
_NO_LINKS = (errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK)
_HASHED = re.compile(r"[0-9a-f]{64}")  # see `_beside`
_CURES = {
    errno.ENOSPC: "Free some space, or write to another disk.",
    errno.EDQUOT: "Your quota is used up: free some space, or write elsewhere.",
    errno.EROFS: "The disk is read-only: choose another folder.",
    errno.EACCES: "You may not write there: choose another folder, or change its permissions.",
    errno.EPERM: "You may not write there: choose another folder, or change its permissions.",
    errno.ENAMETOOLONG: "Choose a shorter path.",
}


def write_file(path: Path, content: bytes, *, sync: bool = True, replace: bool = True) -> None:
    """Put `content` at `path`, replacing what is there; a crash leaves the old file or the new.

    Parent folders are made. With `sync=False` the file is renamed into place without waiting for
    the disk (for many small images; only a power cut can then leave an empty file).
    Raises WriteFailedError, one line; the temporary file is gone then, and the old file intact.
    With `replace=False` a file that is there, or comes at the last moment, is an OutputExistsError.
    """
    with new_files(path, sync=sync, replace=replace) as (file,):
        file.write(content)


class NewFile(io.RawIOBase):
    """A file under its temporary name. Every write is whole; give it large pieces.

    mode: its permissions, before the process's mask. `bytes` and `sha256` are of all that was
    written.
    Once its block is over nothing is written any more: a writer that is collected late and flushes
    must not raise, nor reach a file that has the same descriptor by then.
    """

    def __init__(self, path: Path, mode: int = 0o666) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0)
        self._descriptor = os.open(path, flags, mode)
        self._hash = hashlib.sha256()
        self.bytes = 0

    @property
    def sha256(self) -> str:
        """Return the checksum, in lower-case hex."""
        return self._hash.hexdigest()

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, content: Any, /) -> int:
        """Write all of the bytes at the end of the file."""
        view = memoryview(content if self._descriptor >= 0 else b"")
        self._hash.update(view)
        self.bytes += len(view)
        while view:
            view = view[os.write(self._descriptor, view) :]
        return len(content)

    def sync(self) -> None:
        """Wait until the disk has it."""
        os.fsync(self._descriptor)

    def end(self) -> None:
        """Close the descriptor."""
        os.close(self._descriptor)
        self._descriptor = -1


@contextlib.contextmanager
def new_files(
    *paths: Path, sync: bool = True, replace: bool = True
) -> Iterator[tuple[NewFile, ...]]:
    """Write files that belong together, piece by piece; they appear when the block ends, or none.

    Yields one file a path. At the end all are synced, then renamed in their order, while the old
    ones keep a second name; where one cannot be renamed, or the block raises, the old ones are
    intact and the temporary files gone. A kill between two renames is ended by `settle_files`.
    An OSError becomes a WriteFailedError; with `replace=False` a file that is there, or comes at
    the last moment, is an OutputExistsError.
    """
    temporaries = [_beside(path, "tmp") for path in paths]
    with write_errors(paths[0]):
        try:
            with contextlib.ExitStack() as stack:
                files = []
                for path in temporaries:
                    files.append(NewFile(path))
                    stack.callback(files[-1].end)
                yield tuple(files)
                for file in files if sync else ():
                    file.sync()
            _place(temporaries, paths, replace=replace)
        except BaseException:
            for temporary in reversed(temporaries):  # `settle_files` reads a lone last one as whole
                temporary.unlink(missing_ok=True)
            raise
        for folder in {path.parent for path in paths} if sync else ():
            _sync(folder)


def settle_files(*paths: Path) -> None:
    """End what dead processes began with `new_files` of these paths: all get their names, or none.

    They do where the first had its name: all were whole by then. Call it while holding the lock of
    these paths: then whoever wrote them is dead, though another process may have its number.
    """
    folder, pids = paths[0].parent, set()
    for entry in folder.iterdir() if folder.is_dir() else ():
        match = _TEMPORARY.fullmatch(entry.name)
        if match and entry in [_beside(path, match["kind"], match["pid"]) for path in paths]:
            pids.add(match["pid"])
    with write_errors(paths[0]):
        for pid in pids:
            temporaries, asides = ([_beside(path, kind, pid) for path in paths] for kind in _KINDS)
            whole = temporaries[-1].exists() and _has_name(temporaries[0], paths[0])
            for temporary, aside, path in zip(temporaries, asides, paths, strict=True):
                if whole and not _has_name(temporary, path):
                    _rename(temporary, path, replace=aside.exists())
                elif aside.exists() and not path.exists():
                    aside.rename(path)
            for left in (*(temporaries if whole else reversed(temporaries)), *asides):
                left.unlink(missing_ok=True)


@contextlib.contextmanager
def new_folder(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """Build a folder under a temporary name; it takes its real name when the block ends.

    Yields the temporary folder, `path.tmp-<pid>`. If the block raises, it is removed and `path` is
    as it was. An existing `path` raises OutputExistsError, or is replaced with `replace=True`: it
    is moved aside to `path.old-<pid>` for the moment of the rename (`clean_stale` undoes that after
    a crash, and runs here first).
    """
    temporary = _beside(path, "tmp")
    with write_errors(path):
        if path.exists() and not replace:
            raise OutputExistsError(f"{path} exists already; choose another name, or replace it.")
        clean_stale(path.parent, {path.name})
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        try:
            yield temporary
            _sync_tree(temporary)
            _swap_in(temporary, path)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        _sync(path.parent)


def clean_stale(folder: Path, names: Collection[str] | None = None) -> tuple[str, ...]:
    """Remove what dead processes left half-written in `folder` (not below it); returns the names.

    names: the files and folders whose leftovers may go, for a folder that holds other people's
    things too (theirs may be called `db.old-2023`); None for all, in a folder of ours alone. What
    was moved aside (`.old-`) while its successor never arrived gets its name back. Call it while
    holding the folder's lock.
    """
    removed = []
    for entry in sorted(folder.iterdir()) if folder.is_dir() else []:
        match = _TEMPORARY.fullmatch(entry.name)
        if not match or process_lives(int(match["pid"])):
            continue
        if not (names is None or match["name"] in names or _HASHED.fullmatch(match["name"])):
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


@contextlib.contextmanager
def write_errors(path: Path) -> Iterator[None]:
    """Turn an OSError of the block into a WriteFailedError of one line: path, reason, cure."""
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


def check_room(folder: Path, needed_bytes: int, files: int = 1, spare_bytes: int = 0) -> None:
    """Raise WriteFailedError where a disk cannot hold so much; nothing has to be written for that.

    needed_bytes: of all files together; each takes a block at least. spare_bytes: what an output
    that is replaced gives back. A disk that does not say what is free is taken for large enough.
    """
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        disk = os.statvfs(folder)
    except OSError:
        return
    needed_bytes = max(needed_bytes, files * disk.f_frsize)
    free_bytes = disk.f_bavail * disk.f_frsize + spare_bytes
    if needed_bytes > free_bytes or (disk.f_files and not spare_bytes and files > disk.f_favail):
        raise WriteFailedError(
            f"{files} files of {needed_bytes / 1e9:.3g} GB or more do not fit the disk of "
            f"{str(folder)!r}, which has room for {disk.f_favail} of {free_bytes / 1e9:.3g} GB. "
            "Ask for fewer, or write to another disk; nothing was written."
        )


def process_lives(pid: int) -> bool:
    """Return whether a process of this number runs here, whoever owns it."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _beside(path: Path, kind: str, pid: int | str | None = None) -> Path:
    """`path.<kind>-<pid>`, of this process; a name too long for that is replaced by its hash."""
    suffix = f".{kind}-{pid or os.getpid()}"
    if len(os.fsencode(path.name)) + len(suffix) <= LONGEST_NAME_BYTES:
        return path.with_name(path.name + suffix)
    return path.with_name(hashlib.sha256(os.fsencode(path.name)).hexdigest() + suffix)


def _place(temporaries: Sequence[Path], paths: Sequence[Path], *, replace: bool) -> None:
    """Give whole files their names; where one cannot have its own, all is as it was before."""
    asides = [_beside(path, "old") for path in paths] if len(paths) > 1 else []
    try:
        for path, aside in zip(paths, asides, strict=False):
            if replace and path.exists():
                try:
                    os.link(path, aside)
                except OSError:  # a disk without links, or a file of somebody else's
                    path.rename(aside)
        for temporary, path in zip(temporaries, paths, strict=True):
            _rename(temporary, path, replace=replace)
    except BaseException:
        for temporary, path, aside in zip(temporaries, paths, asides, strict=False):
            if aside.exists():
                aside.replace(path)
                aside.unlink(missing_ok=True)  # where both were names of one file, both stayed
            elif _has_name(temporary, path):
                path.unlink(missing_ok=True)
        raise
    for left in (*temporaries, *asides) if asides or not replace else ():
        left.unlink(missing_ok=True)


def _rename(temporary: Path, path: Path, *, replace: bool) -> None:
    """Give a file its name. Without `replace` by a link, which never takes another file's name.

    On a disk without links the name is taken by an empty file for a moment, and that replaced.
    """
    if replace:
        temporary.replace(path)
        return
    try:
        try:
            os.link(temporary, path)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
            temporary.replace(path)
    except FileExistsError:
        raise OutputExistsError(
            f"{str(path)!r} is there already, or came meanwhile; it was not replaced. Choose "
            "another name, or --overwrite."
        ) from None


def _has_name(temporary: Path, path: Path) -> bool:
    """Whether a temporary file has its final name: alone, or as a second one."""
    return not temporary.exists() or (path.exists() and path.samefile(temporary))


def _swap_in(temporary: Path, path: Path) -> None:
    if not path.exists():
        temporary.rename(path)
        return
    aside = _beside(path, "old")
    shutil.rmtree(aside, ignore_errors=True)
    path.rename(aside)
    try:
        temporary.rename(path)
    except BaseException:
        aside.rename(path)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _sync_tree(folder: Path) -> None:
    for parent, _, names in os.walk(folder):
        for name in names:
            _sync(Path(parent, name))
        _sync(Path(parent))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
