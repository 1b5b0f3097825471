"""What a folder or a manifest names, before any file is opened: candidates and refusals."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".dib", ".tif", ".tiff")
LONGEST_PATH = 512  # characters below the root; ids are arrays of fixed width


@dataclass(frozen=True)
class Candidate:
    """A file that should be an image. path: below the root, with forward slashes. group: or ""."""

    path: str
    label: str
    group: str = ""


@dataclass
class Listing:
    """Files below `root`. rejected: {path: (label, reason)}; notes: sentences for people."""

    root: Path
    candidates: list[Candidate] = field(default_factory=list)
    rejected: dict[str, tuple[str, str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def file_problem(root: Path, path: str) -> str | None:
    """Why the file at `path` below the resolved `root` may not even be opened, or None."""
    if len(path) > LONGEST_PATH:
        return f"its path is {len(path)} characters long; {LONGEST_PATH} is the limit"
    if not is_utf8(path) or "\0" in path:
        return "its name is not valid UTF-8"
    full = root / path
    try:
        real = full.resolve(strict=True)
        if not real.is_relative_to(root):
            return "it leads out of the folder"
        if not real.is_file():
            return "it is not a regular file"
    except FileNotFoundError:
        return "it is a broken link" if full.is_symlink() else "there is no such file"
    except (OSError, RuntimeError) as error:  # link loops, forbidden folders, names too long
        return getattr(error, "strerror", None) or str(error)
    return None


def is_utf8(text: str) -> bool:
    """Whether a name from the file system can be written as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
