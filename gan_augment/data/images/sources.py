"""List the files of a folder of classes or of a CSV manifest, and reject unsafe ones unopened."""

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
    """Files below `root`, by their relative path with forward slashes.

    files: (path, label, group or ""). rejected: {path: (label, reason)}. notes: sentences for
    people. columns: further columns of a manifest, {column: {path: value}}.
    """

    root: Path
    files: list[tuple[str, str, str]] = field(default_factory=list)
    rejected: dict[str, tuple[str, str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    columns: dict[str, dict[str, str]] = field(default_factory=dict)
    suffixes: Sequence[str] = SUFFIXES

    @property
    def content(self) -> str:
        """Return the plural noun for the files."""
        return "images" if self.suffixes == SUFFIXES else "signals"

    def add(self, path: str, label: str, group: str = "") -> None:
        """List a file, or reject it if it must not be opened."""
        problem = _file_problem(self.root, path)
        if problem:
            self.rejected[_printable(path)] = (label, problem)
        else:
            self.files.append((path, label, group))


def parts_of(folder: Path) -> dict[str, Path]:
    """Return the parts of a divided folder, {"train": folder, "test": ...}, or {}.

    A folder is divided if it holds train and at least one of val, valid, validation and test, and
    nothing else; each part must hold class folders, and train all of them.
    """

    def folders(parent: Path) -> dict[str, Path]:
        found = (path for path in parent.iterdir() if not path.name.startswith("."))
        return {path.name: path for path in found if path.is_dir()}

    try:
        parts = {name.lower(): path for name, path in folders(folder).items()}
        if "train" not in parts or len(parts) < 2 or not parts.keys() <= set(PARTS):
            return {}
        classes = {name: set(folders(path)) for name, path in parts.items()}
    except OSError:  # the listing reports it
        return {}
    return parts if all(own and own <= classes["train"] for own in classes.values()) else {}


def root_of(source: Path) -> Path:
    """Return the folder that the paths of a folder or a manifest are relative to."""
    return parts_of(source).get("train", source) if source.is_dir() else source.resolve().parent


def list_folder(folder: Path, suffixes: Sequence[str] = SUFFIXES) -> Listing:
    """List the files of a folder of class folders, at any depth below each class, sorted.

    The class is the first folder below the root. Hidden names and files with other suffixes are
    ignored (the latter are noted). Links that leave the root are rejected, linked folders are not
    entered. If the folder is divided (`parts_of`), the part train is listed, with a note.
    Raises DataError if there is no class folder, or a folder's name cannot be a class name.
    """
    parts = parts_of(folder)
    listing = Listing(root_of(folder).resolve(), suffixes=suffixes)
    if parts:
        others = ", ".join(name for name in PARTS if name in parts and name != "train")
        listing.notes.append(f"{folder.name} is divided into train and {others}; train is read")
    ignored: Counter[str] = Counter()
    for name in _class_folders(listing):
        before = len(listing.files) + len(listing.rejected)
        for path in _files_below(listing, name, ignored):
            listing.add(path, name)
        if len(listing.files) + len(listing.rejected) == before:
            listing.notes.append(
                f"folder {name!r} holds no {listing.content[:-1]} file; it is not a class"
            )
    if ignored:
        kinds = ", ".join(f"{suffix or 'no suffix'} ({n})" for suffix, n in ignored.most_common(8))
        listing.notes.append(f"files with other suffixes, ignored: {kinds}")
    return listing


def list_unlabelled(folder: Path) -> Listing:
    """List the image files at any depth below a folder, as one class."""
    listing, ignored = Listing(folder.resolve()), Counter[str]()
    for path in _files_below(listing, ".", ignored):
        listing.add(path, UNLABELLED)
    if not listing.files:
        raise DataError(f"{str(folder)!r} holds no image file; expected images at any depth in it")
    return listing


def list_manifest(manifest: Path, columns: Sequence[str] = ()) -> Listing:
    """List the image files of a CSV manifest, with its labels and groups.

    The CSV is UTF-8 with the header `path,label` or `path,label,group`, and `columns` whose values
    are kept, in any order. Paths are relative to the manifest's folder; paths that leave it, and
    missing files, are rejected. Repeated lines are noted. A row with an empty group is its own
    group. In a manifest that this library wrote, an original, its repeats and the images drawn from
    it are one group.
    Raises UsageError for other columns, DataError for a file that is not such a CSV.
    """
    listing = Listing(manifest.resolve().parent, columns={name: {} for name in columns})
    labels: dict[str, str] = {}
    try:
        text = read_regular(manifest, _MOST_MANIFEST_BYTES).decode("utf-8-sig")
        rows = csv.DictReader(io.StringIO(text), strict=True, skipinitialspace=True)
        rows.fieldnames = [name.strip() for name in rows.fieldnames or ()]
        names = list(rows.fieldnames)
        _check_columns(manifest, names, columns)
        entries = [(rows.line_num, row) for row in rows]
    except UnicodeDecodeError:
        raise DataError(f"{str(manifest)!r} is not UTF-8 text; save the CSV as UTF-8") from None
    except OSError as error:
        raise DataError(f"{str(manifest)!r} cannot be read: {error.strerror}") from None
    except csv.Error as error:
        raise DataError(f"{str(manifest)!r} is not a readable CSV file: {error}") from None
    if set(names) == set(COLUMNS):  # written by this library
        _group_by_source([row for _, row in entries])
    for line, row in entries:
        _add_row(listing, labels, row, f"{manifest.name}, line {line}")
    if len(entries) > len(labels):
        listing.notes.append(f"repeated lines, read once: {len(entries) - len(labels)}")
    return listing


def _group_by_source(rows: Sequence[dict[str, str]]) -> None:
    """Set the group of each row to the id of the original that it shows or was drawn from.

    A source is an id if it is a real row's, a path of an image, or the default id of an array's
    row; other sources are names of runs.
    """
    real = {row["source"] for row in rows if row["origin"] == "real"}
    for row in rows:
        source = row["source"] or ""
        path = PurePosixPath(source)
        is_file = len(path.parts) > 1 or path.suffix.lower() in SUFFIXES
        is_id = is_file or re.fullmatch(r"row-[0-9]{6,}", source) is not None
        row["group"] = source if source in real or is_id else ""


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
            f"{listing.content} outside the class folders, ignored without a class: {loose}"
        )
    if not names:
        content = (
            f"{loose} {listing.content} without a class folder" if loose else "no class folder"
        )
        raise DataError(
            f"{str(listing.root)!r} holds {content}; expected a folder per class with "
            f"{listing.content} in it: CLASS/NAME{listing.suffixes[0]}"
        )
    return in_order(names)


def _files_below(listing: Listing, name: str, ignored: Counter[str]) -> list[str]:
    """Return the paths of a class's files; reject folders that cannot be entered."""

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
    """Return why the file at `path` below the resolved `root` must not be opened, or None."""
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
    """Return the path with escapes for bytes that are not valid UTF-8."""
    return path.encode(errors="backslashreplace").decode()


def _check_columns(manifest: Path, columns: list[str], more: Sequence[str]) -> None:
    """Raise UsageError unless the manifest has exactly its own columns and the requested ones."""
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
        "or path,label,group; options such as --group name further ones. A table needs --target "
        "COLUMN."
    )


def _add_row(listing: Listing, labels: dict[str, str], row: dict[str, str], where: str) -> None:
    """Add a line of a manifest to the listing. Raises DataError for unusable lines."""
    file, label = row.get("path"), row.get("label")
    if not file or label is None or None in row:
        raise DataError(f"{where}: expected one value for each column of the first line")
    if problem := name_problem(label):
        raise DataError(f"{where}: {label[:60]!r} cannot be a class name: {problem}")
    full = Path(os.path.normpath(file))  # without ".", "a/.." and doubled slashes
    root = listing.root
    path = (full.relative_to(root) if full.is_relative_to(root) else full).as_posix()
    if path in labels and labels[path] == label:
        return
    if labels.setdefault(path, label) != label:
        raise DataError(f"{where}: {path!r} is labelled {label!r} here, {labels[path]!r} before")
    listing.add(path, label, row.get("group") or "")
    for name, values in listing.columns.items():
        values[path] = row.get(name) or ""
