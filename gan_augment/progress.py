"""How long work reports what it is doing: the calls, and their lines in the log."""

from __future__ import annotations

import logging
import time

from gan_augment.errors import warn


class Progress:
    """Shows a person what happens; this base class shows nothing."""

    def phase(self, name: str, total: int | None = None) -> None:
        """Begin a named phase of `total` units (files, steps, images), if known."""

    def advance(self, done: int, text: str = "") -> None:
        """Report that `done` units of the phase are done in all; `text` holds its numbers."""

    def took(self, name: str, seconds: float) -> None:
        """Count seconds of the phase for another phase that is part of it."""

    def note(self, text: str) -> None:
        """Show a line that a person should read: a choice, and its reason."""

    def warn(self, text: str) -> None:
        """Show a line that a person must read, with its cure."""


class Stopwatch(Progress):
    """Passes everything to another `Progress` and adds up `seconds` by the name of the phase."""

    def __init__(self, shown: Progress, name: str) -> None:
        self.shown, self.seconds = shown, dict[str, float]()
        self._name = name
        self.started_s = self._began_s = time.monotonic()

    def phase(self, name: str, total: int | None = None) -> None:
        """Begin a phase."""
        self.stop(name)
        self.shown.phase(name, total)

    def stop(self, name: str = "") -> None:
        """End the phase."""
        now_s = time.monotonic()
        self._add(self._name, now_s - self._began_s)
        self._name, self._began_s = name, now_s

    def took(self, name: str, seconds: float) -> None:
        """Move seconds from this phase to another phase."""
        self._add(name, seconds)
        self._add(self._name, -seconds)

    def _add(self, name: str, seconds: float) -> None:
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds

    def advance(self, done: int, text: str = "") -> None:
        """Pass it on."""
        self.shown.advance(done, text)

    def note(self, text: str) -> None:
        """Pass it on."""
        self.shown.note(text)

    def warn(self, text: str) -> None:
        """Pass it on."""
        self.shown.warn(text)


class LogProgress(Progress):
    """Logs phases and notes of Python code as "gan_augment.NAME", and warns as Python does."""

    def __init__(self, name: str) -> None:
        self._log = logging.getLogger(f"gan_augment.{name}")

    def phase(self, name: str, total: int | None = None) -> None:
        """Log the beginning of a phase."""
        self._log.info(name if total is None else f"{name}: {total}")

    def note(self, text: str) -> None:
        """Log a note."""
        self._log.info(text)

    def warn(self, text: str) -> None:
        """Warn at the line of the caller."""
        warn(text)
