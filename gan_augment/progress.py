"""How long work reports what it is doing: the calls, and their lines in the log."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator

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


def duration(seconds: float) -> str:
    """Return seconds as text, such as "90 s", "12 min" or "2.5 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


@contextlib.contextmanager
def shown_log() -> Iterator[None]:
    """Show the log of this library on stderr, unless the program has configured logging."""
    log, handler = logging.getLogger("gan_augment"), logging.StreamHandler()
    if log.hasHandlers():
        yield
        return
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)


class LogProgress(Progress):
    """Logs phases and notes of Python code as "gan_augment.NAME", and warns as Python does.

    A phase of known length logs the time it needs after `first_s` seconds, then every `every_s`.
    """

    first_s, every_s = 2.0, 20.0
    _total, _due_s = 0, 0.0

    def __init__(self, name: str) -> None:
        self._log = logging.getLogger(f"gan_augment.{name}")

    def phase(self, name: str, total: int | None = None) -> None:
        """Log the beginning of a phase."""
        self._log.info(name if total is None else f"{name}: {total}")
        self._name, self._total, self._began_s = name, total or 0, time.monotonic()
        self._due_s = self._began_s + self.first_s

    def advance(self, done: int, text: str = "") -> None:
        """Log the remaining time of the phase now and then."""
        now_s = time.monotonic()
        if now_s < self._due_s or not 0 < done < self._total:
            return
        self._due_s = now_s + self.every_s
        left = duration((now_s - self._began_s) / done * (self._total - done))
        self._log.info(f"{self._name}: {done} of {self._total}, about {left} left")

    def note(self, text: str) -> None:
        """Log a note."""
        self._log.info(named(text))

    def warn(self, text: str) -> None:
        """Warn at the line of the caller."""
        warn(text)
