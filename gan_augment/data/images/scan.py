"""The result of reading image files: counts, sizes, duplicates, bad files, and notes on them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gan_augment.data.groups import same_rows
from gan_augment.data.labels import in_order
from gan_augment.errors import DataError, UnreadableFilesError


@dataclass(frozen=True, slots=True)
class Entry:
    """One readable image.

    width, height: px, turned as EXIF says. sha256: of decoded pixels. animated: whether the file
    holds more frames or pages. brightest_16bit: the largest value of a 16-bit file, else None.
    """

    path: str
    label: str
    group: str
    width: int
    height: int
    mode: str
    sha256: str
    bytes: int
    animated: bool = False
    brightest_16bit: int | None = None


@dataclass(frozen=True)
class Scan:
    """The content of a source.

    entries: readable images, in the order of the rows. rejected: {path: reason};
    rejected_labels: {path: class, "" if unknown}. duplicates: sets of paths with the same pixels
    and class; conflicts: sets of paths with the same pixels and different classes.
    image_size: (height, width) px of the model; channels: 1, 3 or 4 for files, any C for arrays.
    """

    entries: tuple[Entry, ...]
    rejected: dict[str, str] = field(default_factory=dict)
    rejected_labels: dict[str, str] = field(default_factory=dict)
    image_size: tuple[int, int] = (0, 0)
    channels: int = 1

    @property
    def counts(self) -> dict[str, int]:
        """Readable images of each class, {name: n}, in class order."""
        counts = Counter(entry.label for entry in self.entries)
        return {name: counts[name] for name in in_order(list(counts))}

    @property
    def modes(self) -> dict[str, int]:
        """{Pillow mode: number of images}, most frequent first."""
        return dict(Counter(entry.mode for entry in self.entries).most_common())

    @property
    def sizes(self) -> dict[str, tuple[int, int]]:
        """(height, width) px of the originals: smallest, median and largest of each side."""
        sides = np.array([(e.height, e.width) for e in self.entries]).reshape(-1, 2)
        if not len(sides):
            return {}
        pairs = {
            "smallest": sides.min(0),
            "median": np.median(sides, axis=0),
            "largest": sides.max(0),
        }
        return {name: (int(height), int(width)) for name, (height, width) in pairs.items()}

    @property
    def duplicates(self) -> tuple[tuple[str, ...], ...]:
        """Sets of paths with the same pixels in one class."""
        return tuple(paths for paths, labels in self._same() if len(labels) == 1)

    @property
    def conflicts(self) -> tuple[tuple[str, ...], ...]:
        """Sets of paths with the same pixels in different classes."""
        return tuple(paths for paths, labels in self._same() if len(labels) > 1)

    def _same(self) -> list[tuple[tuple[str, ...], set[str]]]:
        rows_of_sets = same_rows([entry.sha256 for entry in self.entries])
        sets = [[self.entries[row] for row in rows] for rows in rows_of_sets]
        return [(tuple(e.path for e in same), {e.label for e in same}) for same in sets]

    def to_dict(self) -> dict[str, Any]:
        """Return the facts for JSON, without the entries."""
        return {
            "images": len(self.entries),
            "classes": self.counts,
            "sizes": {name: list(pair) for name, pair in self.sizes.items()},
            "modes": self.modes,
            "image_size": list(self.image_size),
            "channels": self.channels,
            "bytes": sum(entry.bytes for entry in self.entries),
            "rejected": dict(self.rejected),
            "duplicates": [list(paths) for paths in self.duplicates],
            "conflicts": [list(paths) for paths in self.conflicts],
        }


def refuse_bad(scan: Scan, skip_bad: bool) -> None:
    """Raise if too many files are bad, or none is good.

    A bad file may be skipped if its class keeps two readable images or more and loses at most one
    file or 5 % of its files, whichever is more.
    """
    counts, lost = scan.counts, Counter(scan.rejected_labels.values())
    too_many = {
        label
        for label, n in lost.items()
        if counts.get(label, 0) < 2 or n > max(1, 0.05 * (counts.get(label, 0) + n))
    }
    bad = [path for path, label in scan.rejected_labels.items() if label in too_many]
    if bad and not skip_bad:
        files = len(scan.entries) + len(scan.rejected)
        raise UnreadableFilesError(
            f"{len(bad)} of {files} files cannot be used, more than may be left out "
            "silently (a class must keep two files and lose at most one file or 5 %): "
            f"{_listed(scan, bad, 10)}. "
            "Repair or remove them, or pass --skip-bad (skip_bad=True)."
        )
    if not scan.entries:
        raise DataError("no readable image was found; expected PNG, JPEG, WebP, BMP or TIFF files")


def scan_notes(scan: Scan) -> tuple[str, ...]:
    """Return notes on files that were left out, repeated or dark."""
    notes = []
    if scan.rejected:
        files = len(scan.entries) + len(scan.rejected)
        listed = _listed(scan, list(scan.rejected), 5)
        notes.append(f"left out {len(scan.rejected)} of {files} files: {listed}")
    animated = sum(entry.animated for entry in scan.entries)
    if animated:
        notes.append(
            f"{animated} of {len(scan.entries)} files hold several frames or pages; "
            "only the first of each is read"
        )
    deepest = max((entry.brightest_16bit or 0 for entry in scan.entries), default=0)
    if 0 < deepest < 16384:
        notes.append(
            f"the 16-bit images reach only {deepest} of 65535, so they are dark; "
            "if that value is white, scale the files first"
        )
    if scan.duplicates:
        extra = sum(len(paths) - 1 for paths in scan.duplicates)
        notes.append(
            f"{extra} of {len(scan.entries)} images repeat an image of their class "
            f"pixel by pixel (first: {scan.duplicates[0][1]!r} = {scan.duplicates[0][0]!r}); "
            "all are kept, on one side of any split"
        )
    if scan.conflicts:
        first = " = ".join(repr(path) for path in scan.conflicts[0][:3])
        notes.append(
            f"the same pixels in several classes: {len(scan.conflicts)} times (first: {first}); "
            "one of the labels is wrong"
        )
    return tuple(notes)


def _listed(scan: Scan, paths: list[str], most: int) -> str:
    """Return the first rejected files with their reasons."""
    more = f"; and {len(paths) - most} more" if len(paths) > most else ""
    return "; ".join(f"{path!r}: {scan.rejected[path]}" for path in paths[:most]) + more
