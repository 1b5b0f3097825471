"""Files that somebody else made, and the JSON and TOML in them: read only where that is safe.

Regular files alone, of an allowed size, before a byte of them is read. What they mean is not known.
"""

from __future__ import annotations

import errno
import json
import os
import re
import stat
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from gan_augment.errors import MissingPathError
from gan_augment.processes import memory_limit_bytes

MOST_TEXT_BYTES = 64 << 20
"""Of a JSON or TOML file, or of a manifest of our own."""
_DOTTED = re.compile(r"(?<![\w-])(?:[\w-]+[ \t]*\.[ \t]*){100}")  # takes tomllib minutes
MEMORY_SHARE = 0.6
"""Of the memory there is, what one thing may take; the rest is for all else."""


def check_there(path: Path, expected: str) -> None:
    """Raise MissingPathError where nothing is at a path that was named."""
    try:
        path.stat()
    except OSError as error:
        why = "" if error.errno == errno.ENOENT else f" ({error.strerror})"
        raise MissingPathError(f"there is no {str(path)!r}{why}; expected {expected}") from None


@contextmanager
def regular_file(path: Path, most: int | None = None) -> Iterator[BinaryIO]:
    """Open a regular file of at most `most` bytes; no pipe is waited for, no device is read.

    Raises OSError, whose `strerror` is the reason.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        if most is not None and status.st_size > most:
            size = f"it holds {status.st_size:,} bytes, and {most:,} are the limit"
            raise OSError(errno.EFBIG, size, str(path))
        with open(descriptor, "rb", closefd=False) as file:
            yield file
    finally:
        os.close(descriptor)


def read_regular(path: Path, most: int = MOST_TEXT_BYTES) -> bytes:
    """Read a regular file of at most `most` bytes. Raises OSError."""
    with regular_file(path, most) as file:
        return file.read(most)


def parsed_json(content: bytes | str) -> Any:
    """Parse JSON of any depth and length of numbers. Raises ValueError for what is refused."""
    try:
        return json.loads(content)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def parsed_toml(content: bytes) -> dict[str, Any]:
    """Parse TOML of any depth and length of numbers. Raises ValueError for what is refused."""
    text = content.decode()
    try:
        if not _DOTTED.search(text):
            return tomllib.loads(text)
    except RecursionError:
        pass
    raise ValueError("it is nested too deeply")


def memory_problem(needed: float) -> str:
    """Why so many bytes are too many for this machine, or "" where they are not.

    >>> memory_problem(1 << 20), memory_problem(2**80)[:27]
    ('', '1,125,899,906,842,624.0 GiB')
    """
    limit, needed = memory_limit_bytes(), min(needed, 2**90)
    if needed <= MEMORY_SHARE * limit:
        return ""
    gib = 2**30
    return (
        f"{needed / gib:,.1f} GiB, more than {MEMORY_SHARE:.0%} of the {limit / gib:.1f} GiB "
        "there are"
    )
