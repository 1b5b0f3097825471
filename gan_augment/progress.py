"""How long work tells what it is doing: the calls, and lines on stderr."""

from __future__ import annotations

import sys
import time

from gan_augment.errors import warn


class Progress:
    """Shows a person what happens; the command line has one, and this one shows nothing."""

    def phase(self, name: str, total: int | None = None) -> None:
        """Begin a named phase of `total` units (files, steps, images), if known."""

    def advance(self, done: int, text: str = "") -> None:
        """Report that `done` units of the phase are done in all; `text` holds its numbers."""

    def took(self, name: str, seconds: float) -> None:
        """Count seconds of the phase as those of another one that is part of it."""

    def note(self, text: str) -> None:
        """Show a line that a person should read: a choice, and its reason."""

    def warn(self, text: str) -> None:
        """Show a line that a person must read, with its cure."""


class Stopwatch(Progress):
    """Shows what another one shows, and counts the seconds of each phase by name, in `seconds`."""

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
        """Count seconds of the phase as another's."""
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


class StderrProgress(Progress):
    """A `Progress` of Python code: warnings as Python's; with `verbose` lines on stderr too.

    `advance` shows nothing, since code in a pipeline has no line of its own to redraw.
    """

    def __init__(self, name: str, *, verbose: bool = False) -> None:
        self._name, self._verbose = name, verbose

    def phase(self, name: str, total: int | None = None) -> None:
        """Write a line, if verbose."""
        self.note(name if total is None else f"{name}: {total}")

    def note(self, text: str) -> None:
        """Write a line, if verbose."""
        if self._verbose:
            sys.stderr.write(f"[{self._name}] {text}\n")

    def warn(self, text: str) -> None:
        """Warn, whatever the verbosity."""
        warn(text)
