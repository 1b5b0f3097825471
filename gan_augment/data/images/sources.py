"""Which files a folder of classes or a CSV manifest names, and which may not be opened.

No image is opened here.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from gan_augment.data.images.png_folder import COLUMNS
from gan_augment.data.labels import in_order, name_problem
from gan_augment.errors import DataError, UsageError, did_you_mean
from gan_augment.input_files import read_regular

SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".dib", ".tif", ".tiff")
LONGEST_PATH = 512  # characters below the root; ids are arrays of fixed width
UNLABELLED = "unlabelled"
PARTS = ("train", "test", "val", "valid", "validation")
_MOST_MANIFEST_BYTES = 1 << 30


@dataclass
class Listing:
    """Files below `root`, by their path below it with forward slashes.

    files: those that should be images, (path, label, group or ""). rejected: {path: (label,
    reason)}. notes: sentences for people. columns: of a manifest those that were asked for beside
    its own, {column: {path: value}}.
    """

    root: Path
    files: list[tuple[str, str, str]] = field(default_factory=list)
    rejected: dict[str, tuple[str, str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    columns: dict[str, dict[str, str]] = field(default_factory=dict)
    suffixes: Sequence[str] = SUFFIXES

    @property
    def what(self) -> str:
        """What the files are."""
        return "images" if self.suffixes == SUFFIXES else "signals"

    def add(self, path: str, label: str, group: str = "") -> None:
        """List a file, or reject it where it may not even be opened."""
        problem = _file_problem(self.root, path)
        if problem:
            self.rejected[_printable(path)] = (label, problem)
        else:
            self.files.append((path, label, group))


def parts_of(folder: Path) -> dict[str, Path]:
    """Return the parts of images that are divided already, {"train": folder, "test": ...}, or none.

    They are if all visible folders are called train, val, valid, validation or test, train is among
    two of them or more, and each holds class folders, all of which train has.
    """

    def folders(parent: Path) -> dict[str, Path]:
        found = (path for path in parent.iterdir() if not path.name.startswith("."))
        return {path.name: path for path in found if path.is_dir()}

    try:
        parts = {name.lower(): path for name, path in folders(folder).items()}
        if "train" not in parts or len(parts) < 2 or not parts.keys() <= set(PARTS):
            return {}
        classes = {name: set(folders(path)) for name, path in parts.items()}
    except OSError:  # told by the listing
        return {}
    return parts if all(own and own <= classes["train"] for own in classes.values()) else {}


def root_of(source: Path) -> Path:
    """Return the folder below which the images of a folder or a manifest lie."""
    return parts_of(source).get("train", source) if source.is_dir() else source.resolve().parent


def list_folder(folder: Path, suffixes: Sequence[str] = SUFFIXES) -> Listing:
    """List the image files of a folder of class folders, at any depth below each class, sorted.

    The class is the first folder below the root. Hidden names and files with other suffixes are
    ignored (the latter noted), links that leave the root are rejected, linked folders not entered.
    Of folders that are divided already (`parts_of`) train is taken, which is noted.
    Raises DataError where there is no class folder or a class has a name that cannot be kept.
    """
    parts = parts_of(folder)
    listing = Listing(root_of(folder).resolve(), suffixes=suffixes)
    if parts:
        others = ", ".join(name for name in PARTS if name in parts and name != "train")
        listing.notes.append(f"{folder.name} is divided into train and {others}: train is taken")
    ignored: Counter[str] = Counter()
    for name in _class_folders(listing):
        before = len(listing.files) + len(listing.rejected)
        for path in _files_below(listing, name, ignored):
            listing.add(path, name)
        if len(listing.files) + len(listing.rejected) == before:
            listing.notes.append(
                f"folder {name!r} holds no {listing.what[:-1]} file; it is not taken as a class"
            )
    if ignored:
        kinds = ", ".join(f"{suffix or 'no suffix'} ({n})" for suffix, n in ignored.most_common(8))
        listing.notes.append(f"files ignored, since they are no {listing.what} by name: {kinds}")
    return listing


def list_unlabelled(folder: Path) -> Listing:
    """List the image files at any depth below a folder, as of one class."""
    listing, ignored = Listing(folder.resolve()), Counter[str]()
    for path in _files_below(listing, ".", ignored):
        listing.add(path, UNLABELLED)
    if not listing.files:
        raise DataError(f"{str(folder)!r} holds no image file; expected images at any depth in it")
    return listing


def list_manifest(manifest: Path, columns: Sequence[str] = ()) -> Listing:
    """List the image files that a CSV names, with its labels and groups.

    The CSV is UTF-8 with the header `path,label` or `path,label,group`, and `columns` whose values
    are kept, in any order. Paths are relative to its folder; those that leave it, or name nothing,
    are rejected; a line that repeats another is noted. An empty group means that the row stands
    alone. In the manifest of an output of ours rows that show one original are a group: itself, its
    repeats and what was drawn from it.
    Raises UsageError for other columns, DataError for a file that is no such CSV.
    """
    listing = Listing(manifest.resolve().parent, columns={name: {} for name in columns})
    labels: dict[str, str] = {}
    lines = 0
    try:
        rows = csv.DictReader(io.StringIO(_text(manifest)), strict=True, skipinitialspace=True)
        rows.fieldnames = [name.strip() for name in rows.fieldnames or ()]
        names = list(rows.fieldnames)
        _check_columns(manifest, names, columns)
        entries = [(rows.line_num, row) for row in rows]
        if set(names) == set(COLUMNS):  # an output of this library
            _group_by_source([row for _, row in entries])
        for line, row in entries:
            lines += 1
            _add_row(listing, labels, row, f"{manifest.name}, line {line}")
    except csv.Error as error:
        raise DataError(f"{str(manifest)!r} is no readable CSV file: {error}") from None
    if lines > len(labels):
        listing.notes.append(f"lines that repeat another, taken once: {lines - len(labels)}")
    return listing


def _group_by_source(rows: Sequence[dict[str, str]]) -> None:
    """Give rows that show one original, or were drawn from it, its id as their group."""
    real = {row["source"] for row in rows if row["origin"] == "real"}
    for row in rows:
        source = row["source"] or ""
        row["group"] = source if source in real or _is_id(source) else ""


def _is_id(source: str) -> bool:
    """Whether it is the id of a row, of a file or by default of an array, not the name of a run."""
    path = PurePosixPath(source)
    is_row = re.fullmatch(r"row-[0-9]{6,}", source) is not None
    return is_row or len(path.parts) > 1 or path.suffix.lower() in SUFFIXES


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
            loose += entry.suffix.lower() in listing.suffixes
        elif entry.is_symlink():
            listing.rejected[_printable(entry.name)] = ("", "it is a link to a folder; not entered")
        elif problem := name_problem(entry.name):
            raise DataError(
                f"the folder {_printable(entry.name)[:60]!r} cannot be a class by its name: "
                f"{problem}. Rename it."
            )
        else:
            names.append(entry.name)
    if loose:
        listing.notes.append(
            f"{listing.what} beside the class folders, so without a class: {loose}"
        )
    if not names:
        content = f"{loose} {listing.what} without a class folder" if loose else "no folder at all"
        raise DataError(
            f"{str(listing.root)!r} holds {content}; expected a folder per class with "
            f"{listing.what} in it: CLASS/NAME{listing.suffixes[0]}"
        )
    return in_order(names)


def _files_below(listing: Listing, name: str, ignored: Counter[str]) -> list[str]:
    """Paths of the class's image files below the root; rejects folders that cannot be entered."""

    def unreadable(error: OSError) -> None:
        path = os.path.relpath(error.filename, listing.root)
        listing.rejected[_printable(path)] = (name, error.strerror or "it cannot be read")

    paths = []
    for here, folders, files in os.walk(listing.root / name, onerror=unreadable):
        below = PurePosixPath(Path(here).relative_to(listing.root))
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        for linked in [f for f in folders if (Path(here) / f).is_symlink()]:
            reason = "it is a link to a folder; not entered"
            listing.rejected[_printable(str(below / linked))] = (name, reason)
        for file in sorted(f for f in files if not f.startswith(".")):
            suffix = Path(file).suffix.lower()
            if suffix in listing.suffixes:
                paths.append(str(below / file))
            else:
                ignored[_printable(suffix)] += 1
    return paths


def _file_problem(root: Path, path: str) -> str | None:
    """Why the file at `path` below the resolved `root` may not even be opened, or None."""
    if len(path) > LONGEST_PATH:
        return f"its path is {len(path)} characters long; {LONGEST_PATH} is the limit"
    if _printable(path) != path or "\0" in path:
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


def _printable(path: str) -> str:
    """The path, with what is not valid UTF-8 written as escapes."""
    return path.encode(errors="backslashreplace").decode()


def _text(manifest: Path) -> str:
    try:
        return read_regular(manifest, _MOST_MANIFEST_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{str(manifest)!r} is not UTF-8 text; save the CSV as UTF-8") from None
    except OSError as error:
        raise DataError(f"{str(manifest)!r} cannot be read: {error.strerror}") from None


def _check_columns(manifest: Path, columns: list[str], more: Sequence[str]) -> None:
    listed = ", ".join(repr(name) for name in columns[:12]) or "none"
    if absent := [name for name in more if name not in columns]:
        raise UsageError(
            f"{str(manifest)!r} has no column {absent[0]!r}; it has {listed}."
            f"{did_you_mean(absent[0], columns)}"
        )
    own = sorted(name for name in columns if name not in more or name in ("path", "label"))
    if own in (["label", "path"], ["group", "label", "path"]) or set(columns) == set(COLUMNS):
        return
    raise UsageError(
        f"{str(manifest)!r} has the columns {listed}. A list of images has the columns path,label "
        "or path,label,group, and others only where an option names them (--group, --domain); a "
        "table of numbers and categories needs --target COLUMN."
    )


def _add_row(listing: Listing, labels: dict[str, str], row: dict[str, str], where: str) -> None:
    file, label = row.get("path"), row.get("label")
    if not file or label is None or None in row:
        raise DataError(f"{where}: expected one value for each column of the first line")
    problem = name_problem(label)
    if problem:
        raise DataError(f"{where}: {label[:60]!r} cannot be a class name: {problem}")
    path = _below(listing.root, file)
    if path in labels and labels[path] == label:
        return
    if labels.setdefault(path, label) != label:
        raise DataError(f"{where}: {path!r} is labelled {label!r} here, {labels[path]!r} before")
    listing.add(path, label, row.get("group") or "")
    for name, values in listing.columns.items():
        values[path] = row.get(name) or ""


def _below(root: Path, file: str) -> str:
    """The path as one below the root where it is; without `.`, `a/..` or doubled slashes."""
    path = Path(os.path.normpath(file))
    return (path.relative_to(root) if path.is_relative_to(root) else path).as_posix()
