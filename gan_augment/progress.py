"""Progress of long work: the calls that report it, and how a terminal, a log and Python show it."""

from __future__ import annotations

import logging
import shutil
import sys
import time
from collections.abc import Callable

from gan_augment.errors import named, warn


class Progress:
    """Shows a person what happens; this base class shows nothing."""

    def phase(self, name: str, total: int | None = None, done: int = 0) -> None:
        """Begin a phase of `total` units (files, steps), if known; an earlier run did `done`."""

    def advance(self, done: int, text: str = "") -> None:
        """Report that `done` units of the phase are done in all; `text` holds its score."""

    def note(self, text: str) -> None:
        """Show a line that a person should read: a choice, and its reason."""

    def warn(self, text: str) -> None:
        """Show a line that a person must read, with its cure."""

    def finish(self) -> None:
        """End what is redrawn."""


def duration(seconds: float) -> str:
    """Return seconds as text, such as "90 s", "12 min" or "2.5 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def printable(text: str) -> str:
    r"""Escape control characters, so that a file name cannot steer a terminal.

    >>> print(printable("owl\x1b[2J"))
    owl\x1b[2J
    """
    return "".join(
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text
    )


class LogProgress(Progress):
    """Logs as "gan_augment.NAME": notes at once, and the numbers of a long phase now and then.

    first_s, every_s: the time until a phase logs its first line, and between two lines.
    """

    first_s, every_s = 2.0, 20.0
    _due_s = 0.0

    def __init__(self, name: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        self._log, self._clock = logging.getLogger(f"gan_augment.{name}"), clock
        self.phase("")

    def phase(self, name: str, total: int | None = None, done: int = 0) -> None:
        """Begin a phase."""
        self._name, self._total, self._first, self._began_s = name, total, done, self._clock()
        self._due_s = self._began_s + self.first_s

    def advance(self, done: int, text: str = "") -> None:
        """Show the numbers if the last ones are old enough."""
        now_s = self._clock()
        if now_s < self._due_s:
            return
        self._due_s, new = now_s + self.every_s, done - self._first
        parts = [f"{done:,}" if self._total is None else f"{done:,} of {self._total:,}"]
        if new > 0 and (spent_s := now_s - self._began_s) > 0:
            each_s = spent_s / new
            parts.append(f"{1 / each_s:,.3g}/s" if each_s <= 1 else f"{each_s:,.3g} s each")
            if self._total and (left_s := round(each_s * (self._total - done))) >= 0:
                parts.append(f"{left_s // 60}:{left_s % 60:02d} left")
        self._show(", ".join(filter(None, [*parts, text.partition("\n")[0]])), done)

    def note(self, text: str) -> None:
        """Log a note."""
        self._log.info(named(text))

    def warn(self, text: str) -> None:
        """Warn at the line of the caller."""
        warn(text)

    def _show(self, numbers: str, done: int) -> None:
        self._log.info(f"{self._name}: {numbers}")


class TerminalProgress(LogProgress):
    """Writes to stderr: a bar that is redrawn on a terminal, else a line every `every_s` seconds.

    live: redraw a bar; by default on a terminal and in a notebook. quiet: write nothing but
    warnings.
    """

    every_s = 60.0
    redrawn_s = 0.2
    bar = 20

    def __init__(
        self,
        live: bool | None = None,
        quiet: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        redrawn = sys.stderr.isatty() or "ipykernel" in sys.modules
        self._quiet, self._live = quiet, (redrawn if live is None else live) and not quiet
        self.first_s, self.every_s = (0.0, self.redrawn_s) if self._live else (self.every_s,) * 2
        self._noted: set[str] = set()
        super().__init__(clock=clock)

    def phase(self, name: str, total: int | None = None, done: int = 0) -> None:
        """Begin a phase; a terminal shows its name at once."""
        super().phase(name, total, done)
        if name and self._live:
            self._show("", done)

    def note(self, text: str) -> None:
        """Write one line, once: the steps of a demo read the same folder."""
        if not self._quiet and text not in self._noted:
            self._noted.add(text)
            self.write(text)

    def write(self, text: str) -> None:
        """Write one line, even if quiet."""
        self.finish()
        sys.stderr.write(f"{printable(named(text))}\n")
        sys.stderr.flush()

    def finish(self) -> None:
        """Remove the bar."""
        if self._live:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def _show(self, numbers: str, done: int) -> None:
        if self._quiet:
            return
        if not self._live:
            self.write(f"{self._name}: {numbers}")
            return
        filled = round(self.bar * min(1, done / self._total)) if self._total else 0
        bar = f" [{'#' * filled:-<{self.bar}}]" if self._total else ""
        line = printable(f"{self._name}{bar} {numbers}")
        self.finish()
        sys.stderr.write(line[: shutil.get_terminal_size().columns - 1])
        sys.stderr.flush()


def shown_progress(name: str) -> LogProgress:
    """Return progress on stderr; in the log as "gan_augment.NAME" if logging is configured."""
    configured = logging.getLogger("gan_augment").hasHandlers()
    return LogProgress(name) if configured else TerminalProgress()
