"""What a scan found, in numbers and names, ready for JSON. Nothing is read or decided here."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from gan_augment.data.duplicates import same_rows
from gan_augment.data.labels import in_order


@dataclass(frozen=True, slots=True)
class Entry:
    """One readable image. width, height: px, turned as EXIF says; sha256: of decoded pixels."""

    path: str
    label: str
    group: str
    width: int
    height: int
    mode: str
    sha256: str
    bytes: int


@dataclass(frozen=True)
class Scan:
    """What a source holds.

    entries: readable images, in the order of the rows. rejected: {path: reason};
    rejected_labels: {path: class, "" if unknown}. duplicates: sets of paths with the same pixels
    and class; conflicts: sets of paths with the same pixels and different classes.
    image_size: (height, width) px that the images are trained at; channels: 1, 3 or 4 (or any C).
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
        found = {
            "smallest": sides.min(0),
            "median": np.median(sides, axis=0),
            "largest": sides.max(0),
        }
        return {name: (int(pair[0]), int(pair[1])) for name, pair in found.items()}

    @property
    def duplicates(self) -> tuple[tuple[str, ...], ...]:
        """Sets of paths with the same pixels in one class."""
        return tuple(paths for paths, labels in self._same() if len(labels) == 1)

    @property
    def conflicts(self) -> tuple[tuple[str, ...], ...]:
        """Sets of paths with the same pixels in different classes."""
        return tuple(paths for paths, labels in self._same() if len(labels) > 1)

    def _same(self) -> list[tuple[tuple[str, ...], set[str]]]:
        same = same_rows([entry.sha256 for entry in self.entries])
        sets = [[self.entries[row] for row in rows] for rows in same]
        return [(tuple(e.path for e in found), {e.label for e in found}) for found in sets]

    def to_dict(self, entries: bool = False) -> dict[str, Any]:
        """Ready for JSON; with `entries`, every readable image too."""
        facts: dict[str, Any] = {
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
        return {**facts, "entries": [asdict(e) for e in self.entries]} if entries else facts
