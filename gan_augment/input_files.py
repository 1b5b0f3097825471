"""Read files from others safely: regular files of a bounded size, and the JSON and TOML in them."""

from __future__ import annotations

import errno
import json
import os
import re
import resource
import stat
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from gan_augment.errors import MissingPathError

MOST_TEXT_BYTES = 64 << 20
"""The largest JSON or TOML file, or manifest of this library."""
_DOTTED = re.compile(r"(?<![\w-])(?:[\w-]+[ \t]*\.[ \t]*){100}")  # takes tomllib minutes
_GROUP_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
MEMORY_SHARE = 0.6
"""The share of the machine's memory that one object may take."""


def check_there(path: Path, expected: str) -> None:
    """Raise MissingPathError if nothing is at `path`."""
    try:
        path.stat()
    except OSError as error:
        why = "" if error.errno == errno.ENOENT else f" ({error.strerror})"
        raise MissingPathError(f"there is no {str(path)!r}{why}; expected {expected}") from None


@contextmanager
def regular_file(path: Path, most: int | None = None) -> Iterator[BinaryIO]:
    """Open a regular file of at most `most` bytes, no pipe or device; or raise OSError."""
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
    """Parse JSON. Raises ValueError if it is invalid or nested too deeply."""
    try:
        return json.loads(content)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def parsed_toml(content: bytes) -> dict[str, Any]:
    """Parse TOML. Raises ValueError if it is invalid or nested too deeply."""
    text = content.decode()
    try:
        if not _DOTTED.search(text):
            return tomllib.loads(text)
    except RecursionError:
        pass
    raise ValueError("it is nested too deeply")


def memory_limit_bytes() -> int:
    """Return the smallest memory limit of machine, control group and process."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY:
        limits.append(soft)
    for path in _GROUP_LIMITS:
        with suppress(OSError, ValueError):  # absent, or "max"
            limits.append(int(path.read_text()))
    return min(limits)


def memory_problem(needed: float) -> str:
    """Return why so many bytes are too many for this machine, or "" if they fit.

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
