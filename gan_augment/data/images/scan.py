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
    channels: int
    sha256: str
    bytes: int
    animated: bool = False
    brightest_16bit: int | None = None


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
        percentiles = {"smallest": 0, "median": 50, "largest": 100}
        pairs = {name: np.percentile(sides, at, axis=0) for name, at in percentiles.items()}
        return {name: (int(height), int(width)) for name, (height, width) in pairs.items()}

    def same_pixels(self, conflicting: bool) -> list[list[str]]:
        """Return sets of paths with the same pixels: in several classes, or in one."""
        sets = same_rows([entry.sha256 for entry in self.entries])
        several = [len({self.entries[row].label for row in rows}) > 1 for rows in sets]
        chosen = [rows for rows, many in zip(sets, several, strict=True) if many == conflicting]
        return [[self.entries[row].path for row in rows] for rows in chosen]

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
    deepest = max((entry.brightest_16bit or 0 for entry in scan.entries), default=0)
    if 0 < deepest < 16384:
        notes.append(
            f"the 16-bit images reach only {deepest} of 65535, so they are dark; if that value is "
            "white, scale the files first"
        )
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
