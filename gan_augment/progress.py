"""How long work tells what it is doing: a protocol, and the silent one. No terminal here."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Shows a person what happens; the command line has one, tests have a recording one."""

    def phase(self, name: str, total: int | None = None) -> None:
        """A named phase begins; `total` is its number of units (files, steps, images), if known."""

    def advance(self, done: int, text: str = "") -> None:
        """`done` units of the phase are done (not an increment); `text` holds its numbers."""

    def note(self, text: str) -> None:
        """A line that a person should read: a choice that was made, and why."""

    def warn(self, text: str) -> None:
        """A line that a person must read, with its cure."""


class Silent:
    """A `Progress` that shows nothing."""

    def phase(self, name: str, total: int | None = None) -> None:
        """Shows nothing."""

    def advance(self, done: int, text: str = "") -> None:
        """Shows nothing."""

    def note(self, text: str) -> None:
        """Shows nothing."""

    def warn(self, text: str) -> None:
        """Shows nothing."""
