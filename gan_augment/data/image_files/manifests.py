"""A CSV manifest `path,label[,group]` as a listing of image files. None of them is opened."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path

from gan_augment.data.image_files.listing import Candidate, Listing, file_problem
from gan_augment.data.labels import name_problem
from gan_augment.errors import DataError, UsageError

MOST_BYTES = 1 << 30


def list_manifest(manifest: Path) -> Listing:
    """Image files named by a CSV (UTF-8, header `path,label` or `path,label,group`, any order).

    Paths are relative to the CSV's folder; those that leave it, or name nothing, are rejected; a
    line that repeats another is noted. An empty group means that the row stands alone.
    Raises UsageError for other columns, DataError for a file that is no such CSV.
    """
    listing = Listing(manifest.resolve().parent)
    labels: dict[str, str] = {}
    lines = 0
    try:
        rows = csv.DictReader(io.StringIO(_text(manifest)), strict=True, skipinitialspace=True)
        rows.fieldnames = [name.strip() for name in rows.fieldnames or ()]
        _check_columns(manifest, list(rows.fieldnames))
        for row in rows:
            lines += 1
            _add(listing, labels, row, f"{manifest.name}, line {rows.line_num}")
    except csv.Error as error:
        raise DataError(f"{str(manifest)!r} is no readable CSV file: {error}") from None
    if lines > len(labels):
        listing.notes.append(f"lines that repeat another, taken once: {lines - len(labels)}")
    return listing


def _text(manifest: Path) -> str:
    try:
        if manifest.stat().st_size > MOST_BYTES:
            raise DataError(f"{str(manifest)!r} is larger than {MOST_BYTES >> 20} MiB")
        return manifest.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{str(manifest)!r} is not UTF-8 text; save the CSV as UTF-8") from None
    except OSError as error:
        raise DataError(f"{str(manifest)!r} cannot be read: {error.strerror}") from None


def _check_columns(manifest: Path, columns: list[str]) -> None:
    if sorted(columns) in (["label", "path"], ["group", "label", "path"]):
        return
    found = ", ".join(repr(name) for name in columns[:12]) or "none"
    raise UsageError(
        f"{str(manifest)!r} has the columns {found}. A list of images has the columns path,label "
        "or path,label,group; a table of numbers and categories needs --target COLUMN."
    )


def _add(listing: Listing, labels: dict[str, str], row: dict[str, str], where: str) -> None:
    given, label = row.get("path"), row.get("label")
    if not given or label is None or None in row:
        raise DataError(f"{where}: expected one value for each column of the first line")
    problem = name_problem(label)
    if problem:
        raise DataError(f"{where}: {label[:60]!r} cannot be a class name: {problem}")
    path = _below(listing.root, given)
    if path in labels and labels[path] == label:
        return
    if labels.setdefault(path, label) != label:
        raise DataError(f"{where}: {path!r} is labelled {label!r} here, {labels[path]!r} before")
    reason = file_problem(listing.root, path)
    if reason:
        listing.rejected[path] = (label, reason)
    else:
        listing.candidates.append(Candidate(path, label, row.get("group") or ""))


def _below(root: Path, given: str) -> str:
    """The path as one below the root where it is; without `.`, `a/..` or doubled slashes."""
    path = Path(os.path.normpath(given))
    return (path.relative_to(root) if path.is_relative_to(root) else path).as_posix()
