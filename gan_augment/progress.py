"""How long work tells what it is doing: a protocol, a silent one, and lines on stderr."""

from __future__ import annotations

import sys
from typing import Protocol

from gan_augment.errors import warn


class Progress(Protocol):
    """Shows a person what happens; the command line has one, tests have a recording one."""

    def phase(self, name: str, total: int | None = None) -> None:
        """Begin a named phase of `total` units (files, steps, images), if known."""

    def advance(self, done: int, text: str = "") -> None:
        """Report that `done` units of the phase are done in all; `text` holds its numbers."""

    def note(self, text: str) -> None:
        """Show a line that a person should read: a choice, and its reason."""

    def warn(self, text: str) -> None:
        """Show a line that a person must read, with its cure."""


class Silent:
    """A `Progress` that shows nothing."""

    def phase(self, name: str, total: int | None = None) -> None:
        """Show nothing."""

    def advance(self, done: int, text: str = "") -> None:
        """Show nothing."""

    def note(self, text: str) -> None:
        """Show nothing."""

    def warn(self, text: str) -> None:
        """Show nothing."""


class StderrProgress:
    """A `Progress` of Python code: warnings as Python's; with `verbose` lines on stderr too."""

    def __init__(self, name: str, *, verbose: bool = False) -> None:
        self._name, self._verbose = name, verbose

    def phase(self, name: str, total: int | None = None) -> None:
        """A line, if verbose."""
        self.note(name if total is None else f"{name}: {total}")

    def advance(self, done: int, text: str = "") -> None:
        """Shows nothing: code in a pipeline has no line of its own to redraw."""

    def note(self, text: str) -> None:
        """A line on stderr, if verbose."""
        if self._verbose:
            sys.stderr.write(f"[{self._name}] {text}\n")

    def warn(self, text: str) -> None:
        """A UserWarning, whatever the verbosity."""
        warn(text)
