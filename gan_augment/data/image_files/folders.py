"""A folder of class folders as a listing: which files belong to which class. No file is opened."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path, PurePosixPath

from gan_augment.data.image_files.listing import SUFFIXES, Candidate, Listing, file_problem, is_utf8
from gan_augment.data.labels import in_order, name_problem
from gan_augment.errors import DataError


def list_folder(folder: Path) -> Listing:
    """Image files of a folder of class folders, at any depth below each class, in sorted order.

    The class is the first folder below the root. Hidden names and files with other suffixes are
    ignored (the latter noted), links that leave the root are rejected, linked folders not entered.
    Raises DataError where there is no class folder or a class has a name that cannot be kept.
    """
    listing = Listing(folder.resolve())
    classes = _class_folders(listing)
    ignored: Counter[str] = Counter()
    for name in classes:
        before = len(listing.candidates) + len(listing.rejected)
        for path in _files_below(listing, name, ignored):
            problem = file_problem(listing.root, path)
            if problem:
                listing.rejected[_printable(path)] = (name, problem)
            else:
                listing.candidates.append(Candidate(path, name))
        if len(listing.candidates) + len(listing.rejected) == before:
            listing.notes.append(f"folder {name!r} holds no image file; it is not taken as a class")
    if ignored:
        kinds = ", ".join(f"{suffix or 'no suffix'} ({n})" for suffix, n in ignored.most_common(8))
        listing.notes.append(f"files ignored, since they are no images by name: {kinds}")
    return listing


def _class_folders(listing: Listing) -> tuple[str, ...]:
    names, loose = [], 0
    try:
        entries = sorted(listing.root.iterdir())
    except OSError as error:
        raise DataError(f"{str(listing.root)!r} cannot be read: {error.strerror}") from None
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if not entry.is_dir():
            loose += entry.suffix.lower() in SUFFIXES
        elif entry.is_symlink():
            listing.rejected[_printable(entry.name)] = ("", "it is a link to a folder; not entered")
        else:
            names.append(_checked_name(entry))
    if loose:
        listing.notes.append(f"images beside the class folders, so without a class: {loose}")
    if not names:
        found = f"{loose} images without a class folder" if loose else "no folder at all"
        raise DataError(
            f"{str(listing.root)!r} holds {found}; expected a folder per class with images in it: "
            "CLASS/NAME.png"
        )
    return in_order(names)


def _checked_name(entry: Path) -> str:
    problem = name_problem(entry.name)
    if problem:
        raise DataError(
            f"the folder {_printable(entry.name)[:60]!r} cannot be a class by its name: {problem}. "
            "Rename it."
        )
    return entry.name


def _files_below(listing: Listing, name: str, ignored: Counter[str]) -> list[str]:
    """Paths of the class's image files below the root; rejects folders that cannot be entered."""

    def unreadable(error: OSError) -> None:
        path = os.path.relpath(error.filename, listing.root)
        listing.rejected[_printable(path)] = (name, error.strerror or "it cannot be read")

    found = []
    for here, folders, files in os.walk(listing.root / name, onerror=unreadable):
        below = PurePosixPath(Path(here).relative_to(listing.root))
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        for linked in [f for f in folders if (Path(here) / f).is_symlink()]:
            reason = "it is a link to a folder; not entered"
            listing.rejected[_printable(str(below / linked))] = (name, reason)
        for file in sorted(f for f in files if not f.startswith(".")):
            suffix = Path(file).suffix.lower()
            if suffix in SUFFIXES:
                found.append(str(below / file))
            else:
                ignored[_printable(suffix)] += 1
    return found


def _printable(path: str) -> str:
    """The path, with what is not valid UTF-8 written as escapes."""
    return path if is_utf8(path) else path.encode(errors="backslashreplace").decode()
