"""How long work reports what it is doing: the calls, and their lines in the log."""

from __future__ import annotations

import logging

from gan_augment.errors import named, warn


class Progress:
    """Shows a person what happens; this base class shows nothing."""

    def phase(self, name: str, total: int | None = None) -> None:
        """Begin a named phase of `total` units (files, steps, images), if known."""

    def advance(self, done: int, text: str = "") -> None:
        """Report that `done` units of the phase are done in all; `text` holds its numbers."""

    def note(self, text: str) -> None:
        """Show a line that a person should read: a choice, and its reason."""

    def warn(self, text: str) -> None:
        """Show a line that a person must read, with its cure."""


class LogProgress(Progress):
    """Logs phases and notes of Python code as "gan_augment.NAME", and warns as Python does."""

    def __init__(self, name: str) -> None:
        self._log = logging.getLogger(f"gan_augment.{name}")

    def phase(self, name: str, total: int | None = None) -> None:
        """Log the beginning of a phase."""
        self._log.info(name if total is None else f"{name}: {total}")

    def note(self, text: str) -> None:
        """Log a note."""
        self._log.info(named(text))

    def warn(self, text: str) -> None:
        """Warn at the line of the caller."""
        warn(text)
