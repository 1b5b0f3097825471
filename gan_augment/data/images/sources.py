"""List the files of a folder or a manifest, reject unsafe ones unopened, and note what was read."""

from __future__ import annotations

import csv
import io
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from gan_augment.data.arrays import faint
from gan_augment.data.groups import same_rows
from gan_augment.data.images.png_folder import COLUMNS, MOST_MANIFEST_BYTES
from gan_augment.data.labels import in_order, name_problem
from gan_augment.errors import DataError, UnreadableFilesError, UsageError
from gan_augment.input_files import read_regular

SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".dib", ".tif", ".tiff")
UNLABELLED = "unlabelled"
PARTS = ("train", "test", "val", "valid", "validation")


@dataclass
class Listing:
    """Files below `root`: (path, label, group or ""), {rejected path: (label, reason)}, notes."""

    root: Path
    suffixes: Sequence[str] = SUFFIXES
    files: list[tuple[str, str, str]] = field(default_factory=list)
    rejected: dict[str, tuple[str, str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, path: str, label: str, group: str = "") -> None:
        """List a file, or reject it if it must not be opened."""
        problem: str | None = None
        try:
            real = (self.root / path).resolve(strict=True)
            if not real.is_relative_to(self.root):
                problem = "it leads out of the folder"
            elif not real.is_file():
                problem = "it is not a regular file"
        except FileNotFoundError:
            problem = "there is no such file"
        except (OSError, RuntimeError, ValueError) as error:  # link loops, forbidden folders, NUL
            problem = getattr(error, "strerror", None) or str(error)
        if _printable(path) != path or "\0" in path:
            problem = "its name is not valid UTF-8"
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

    The class is the first folder below the root. Hidden names, links to folders and files with
    other suffixes are ignored. Links to files outside the root are rejected. If the folder is
    divided (`parts_of`), the part train is listed, with a note.
    Raises DataError if there is no class folder, or a folder's name cannot be a class name.
    """
    listing, ignored = Listing(root_of(folder).resolve(), suffixes), Counter[str]()
    if parts := parts_of(folder):
        others = ", ".join(name for name in PARTS if name in parts and name != "train")
        listing.notes.append(f"{folder.name} is divided into train and {others}; train is read")
    files: dict[str, list[str]] = {}
    for path in _files_below(listing, ignored):
        name, _, below = path.partition("/")
        if below:
            files.setdefault(name, []).append(path)
        else:
            ignored["without a class folder"] += 1
    if not files:
        raise DataError(
            f"{str(listing.root)!r} holds no folder with {suffixes[0]} files or the like; expected "
            f"a folder per class: CLASS/NAME{suffixes[0]}"
        )
    for name in in_order(list(files)):
        if problem := name_problem(name):
            raise DataError(
                f"the folder {ascii(name)[:60]} cannot be a class by its name: {problem}. Rename "
                "the folder."
            )
        for path in files[name]:
            listing.add(path, name)
    if ignored:
        kinds = ", ".join(f"{reason} ({n})" for reason, n in ignored.most_common(8))
        listing.notes.append(f"files that were ignored: {kinds}")
    return listing


def list_unlabelled(folder: Path, suffixes: Sequence[str] = SUFFIXES) -> Listing:
    """List the files at any depth below a folder, as one class."""
    listing = Listing(folder.resolve(), suffixes)
    for path in _files_below(listing, Counter()):
        listing.add(path, UNLABELLED)
    if not listing.files:
        raise DataError(f"{str(folder)!r} holds no {suffixes[0]} files or the like, at any depth")
    return listing


def _files_below(listing: Listing, ignored: Counter[str]) -> Iterator[str]:
    """Yield the relative paths of files with a known suffix; reject unreadable folders."""

    def unreadable(error: OSError) -> None:
        path = _printable(os.path.relpath(error.filename, listing.root))
        listing.rejected[path] = (path.partition("/")[0], error.strerror or "it cannot be read")

    for here, folders, files in os.walk(listing.root, onerror=unreadable):
        below = PurePosixPath(Path(here).relative_to(listing.root))
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        ignored.update("link to a folder" for f in folders if (Path(here) / f).is_symlink())
        for file in sorted(f for f in files if not f.startswith(".")):
            suffix = Path(file).suffix.lower()
            if suffix in listing.suffixes:
                yield str(below / file)
            elif below.parts:
                ignored[_printable(suffix) or "no suffix"] += 1


def _printable(path: str) -> str:
    """Return the path with escapes for bytes that are not valid UTF-8."""
    return path.encode(errors="backslashreplace").decode()


def list_manifest(manifest: Path) -> Listing:
    """List the image files of a CSV manifest, with its labels and groups.

    The CSV is UTF-8 with the header `path,label` or `path,label,group`, in any order. Paths are
    relative to the manifest's folder; paths that leave it, and missing files, are rejected.
    Repeated lines are noted. A row with an empty group is its own group. In a manifest that this
    library wrote, an original, its repeats and the images drawn from it are one group.

    Raises UsageError for other columns, DataError for a file that is not such a CSV.
    """
    listing = Listing(manifest.resolve().parent)
    try:
        text = read_regular(manifest, MOST_MANIFEST_BYTES).decode("utf-8-sig")
        reader = csv.DictReader(io.StringIO(text), strict=True, skipinitialspace=True)
        names = reader.fieldnames = [name.strip() for name in reader.fieldnames or ()]
        own = sorted(names)
        if own not in (["label", "path"], ["group", "label", "path"], sorted(COLUMNS)):
            listed = ", ".join(repr(name) for name in names[:12]) or "none"
            raise UsageError(
                f"{str(manifest)!r} has the columns {listed}. A list of images has the columns "
                "path,label or path,label,group. A table needs --target COLUMN (target=)."
            )
        rows = [(reader.line_num, row) for row in reader]
    except OSError as error:
        raise DataError(f"{str(manifest)!r} cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{str(manifest)!r} is not a readable CSV file in UTF-8: {error}") from None
    if set(names) == set(COLUMNS):
        _group_by_source([row for _, row in rows])
    labels: dict[str, str] = {}
    for line, row in rows:
        _add_row(listing, labels, row, f"{manifest.name}, line {line}")
    if len(rows) > len(labels):
        listing.notes.append(f"repeated lines, read once: {len(rows) - len(labels)}")
    return listing


def _group_by_source(rows: Sequence[dict[str, str]]) -> None:
    """Set the group of each row to the id of the original that it shows or was drawn from."""
    real = {row["source"] for row in rows if row["origin"] == "real"}
    for row in rows:
        source = row["source"] or ""
        path = PurePosixPath(source)
        is_file = len(path.parts) > 1 or path.suffix.lower() in SUFFIXES
        is_id = is_file or re.fullmatch(r"row-[0-9]{6,}", source) is not None
        row["group"] = source if source in real or is_id else ""


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
    if labels.get(path) == label:
        return
    if labels.setdefault(path, label) != label:
        raise DataError(f"{where}: {path!r} is labelled {label!r} here, {labels[path]!r} before")
    listing.add(path, label, row.get("group") or "")


@dataclass(frozen=True, slots=True)
class Entry:
    """One readable image.

    width, height: px, turned as EXIF says. sha256: of decoded pixels. animated: whether the file
    holds more frames or pages. brightest: the largest value of a colour, of 255.
    """

    path: str
    label: str
    group: str
    width: int
    height: int
    channels: int
    sha256: str
    bytes: int
    animated: bool = False
    brightest: int = 255


@dataclass(frozen=True)
class Scan:
    """The content of a source.

    entries: readable images, in the order of the rows. rejected: {path: (class, reason)}; the class
    is "" if unknown. image_size: (height, width) px of the model. channels: 1, 3 or 4 for files,
    any for arrays.
    """

    entries: tuple[Entry, ...]
    rejected: dict[str, tuple[str, str]] = field(default_factory=dict)
    image_size: tuple[int, int] = (0, 0)
    channels: int = 1

    @property
    def counts(self) -> dict[str, int]:
        """Readable images of each class, {name: n}, in class order."""
        counts = Counter(entry.label for entry in self.entries)
        return {name: counts[name] for name in in_order(list(counts))}

    @property
    def sizes(self) -> dict[str, tuple[int, int]]:
        """(height, width) px of the originals: smallest, median and largest of each side."""
        if not self.entries:
            return {}
        sides = np.array([(e.height, e.width) for e in self.entries])
        pairs = np.percentile(sides, (0, 50, 100), axis=0).astype(int).tolist()
        return dict(zip(("smallest", "median", "largest"), map(tuple, pairs), strict=True))

    def same_pixels(self, conflicting: bool) -> list[list[str]]:
        """Return sets of paths with the same pixels: in several classes, or in one."""
        alike = same_rows([entry.sha256 for entry in self.entries])
        sets = [[self.entries[row] for row in rows] for rows in alike]
        return [
            [entry.path for entry in same]
            for same in sets
            if (len({entry.label for entry in same}) > 1) == conflicting
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return the facts for JSON, without the entries."""
        return {
            "images": len(self.entries),
            "classes": self.counts,
            "sizes": {name: list(pair) for name, pair in self.sizes.items()},
            "image_size": list(self.image_size),
            "channels": self.channels,
            "bytes": sum(entry.bytes for entry in self.entries),
            "rejected": {path: reason for path, (_, reason) in self.rejected.items()},
            "duplicates": self.same_pixels(conflicting=False),
            "conflicts": self.same_pixels(conflicting=True),
        }

    def listed(self, paths: list[str], most: int) -> str:
        """Return the first of these rejected files with their reasons."""
        more = f"; and {len(paths) - most} more" if len(paths) > most else ""
        return "; ".join(f"{path!r}: {self.rejected[path][1]}" for path in paths[:most]) + more


def refuse_bad(scan: Scan, skip_bad: bool) -> None:
    """Raise if too many files are bad, or none is good.

    A bad file may be skipped if its class keeps two readable files or more and loses at most one
    file or 5 % of its files, whichever is more.
    """
    counts, lost = scan.counts, Counter(label for label, _ in scan.rejected.values())
    too_many = {
        label
        for label, n in lost.items()
        if counts.get(label, 0) < 2 or n > max(1, 0.05 * (counts.get(label, 0) + n))
    }
    bad = [path for path, (label, _) in scan.rejected.items() if label in too_many]
    if bad and not skip_bad:
        raise UnreadableFilesError(
            f"{len(bad)} of {len(scan.entries) + len(scan.rejected)} files cannot be used, more "
            "than may be left out silently (a class must keep two files and lose at most one file "
            f"or 5 %): {scan.listed(bad, 10)}. Repair or remove them, or pass --skip-bad "
            "(skip_bad=True)."
        )
    if not scan.entries:
        raise DataError(
            "no readable file was found; expected PNG, JPEG, WebP, BMP or TIFF images, or signals "
            "as .npy or .wav"
        )


def scan_notes(scan: Scan) -> tuple[str, ...]:
    """Return notes on files that were left out, repeated or dark."""
    notes, n = [], len(scan.entries)
    if lost := len(scan.rejected):
        listed = scan.listed(list(scan.rejected), 5)
        notes.append(f"left out {lost} of {n + lost} files: {listed}")
    if animated := sum(entry.animated for entry in scan.entries):
        notes.append(f"{animated} of {n} files hold several frames; only the first of each is read")
    if dark := faint(max((entry.brightest for entry in scan.entries), default=255)):
        notes.append(dark)
    if copies := scan.same_pixels(conflicting=False):
        notes.append(
            f"{sum(map(len, copies)) - len(copies)} of {n} images repeat an image of their class "
            f"pixel by pixel (first: {copies[0][1]!r} = {copies[0][0]!r}); all are kept, on one "
            "side of any split"
        )
    if conflicts := scan.same_pixels(conflicting=True):
        first = " = ".join(repr(path) for path in conflicts[0][:3])
        notes.append(
            f"the same pixels in several classes: {len(conflicts)} times (first: {first}); one of "
            "the labels is wrong"
        )
    return tuple(notes)
