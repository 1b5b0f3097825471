"""Which images or rows of a sample a shard draws: spans of a class, or a share of all rows."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from gan_augment.errors import UsageError


@dataclass(frozen=True)
class Shard:
    """Holds one of several equal parts of a sample: `number` of `of`, counted from 1.

    >>> Shard.of_text("3/16").name
    '00003-of-00016'
    """

    number: int
    of: int

    @classmethod
    def of_text(cls, text: str) -> Shard:
        """Read "3/16". Raises UsageError."""
        found = re.fullmatch(r"(\d{1,5})/(\d{1,5})", text)
        number, of = map(int, found.groups()) if found else (0, 0)
        if not 1 <= number <= of:
            raise UsageError(
                f"shard {reprlib.repr(text)}; expected a number and how many there are, such as "
                "3/16, from 1/16 to 16/16"
            )
        return cls(number, of)

    @property
    def name(self) -> str:
        """Return what its files are called by."""
        return f"{self.number:05d}-of-{self.of:05d}"


WHOLE = Shard(1, 1)


class Piece(NamedTuple):
    """Images or rows [start, stop) of the endless sequence of a class."""

    label: str
    start: int
    stop: int


def image_pieces(counts: Mapping[str, int], shard: Shard, span: int) -> list[Piece]:
    """Return what a shard draws of images: spans of a class, dealt to the shards in turn.

    span: images of a class that are drawn without knowing of any before them.

    >>> [tuple(piece) for piece in image_pieces({"a": 1500, "b": 10}, Shard(1, 2), 1024)]
    [('a', 0, 1024), ('b', 0, 10)]
    """
    starts = ((name, start) for name, n in counts.items() for start in range(0, n, span))
    spans = [Piece(name, start, min(start + span, counts[name])) for name, start in starts]
    return spans[shard.number - 1 :: shard.of]


def row_pieces(counts: Mapping[str, int], shard: Shard) -> tuple[list[Piece], int]:
    """Return what a shard draws of a table, and how many rows other shards draw before it.

    All rows stand class by class, and are cut into equal shares.

    >>> pieces, before = row_pieces({"a": 5, "b": 4}, Shard(2, 3))
    >>> [tuple(piece) for piece in pieces], before
    ([('a', 3, 5), ('b', 0, 1)], 3)
    """
    total = sum(counts.values())
    first, last = (total * number // shard.of for number in (shard.number - 1, shard.number))
    pieces, before = list[Piece](), 0
    for name, n in counts.items():
        start, stop = max(first - before, 0), min(last - before, n)
        if start < stop:
            pieces.append(Piece(name, start, stop))
        before += n
    return pieces, first
