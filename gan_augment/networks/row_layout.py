"""What the entries of an encoded row are: numbers, one-hot choices, vectors of levels."""

from __future__ import annotations

from dataclasses import dataclass

Span = tuple[int, int]
"""Entries [start, stop) of a row."""


@dataclass(frozen=True)
class RowLayout:
    """The parts of an encoded row of `width` entries; what is in no span is a number.

    choices: one-hots, of which exactly one entry is 1. vectors: levels as points in space.
    """

    width: int
    choices: tuple[Span, ...] = ()
    vectors: tuple[Span, ...] = ()

    @property
    def numbers(self) -> tuple[int, ...]:
        """Entries that may be interpolated."""
        taken = {i for start, stop in (*self.choices, *self.vectors) for i in range(start, stop)}
        return tuple(i for i in range(self.width) if i not in taken)
