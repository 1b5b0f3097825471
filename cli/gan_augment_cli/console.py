"""Progress on stderr: one line that is redrawn on a terminal, one line per minute elsewhere.

Results go to stdout, from `outcome.py`.
"""

from __future__ import annotations

import logging
import shutil
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer

from gan_augment.errors import named
from gan_augment.progress import Progress

REDRAWN_S = 0.2
_CLEAR = "\r\x1b[K"


class Lines(Progress):
    """Writes notes and warnings at once, and the numbers of a phase every `every_s` seconds.

    live: redraw one line, as on a terminal. quiet: write warnings only.
    """

    every_s = 60.0

    def __init__(
        self,
        *,
        live: bool = False,
        quiet: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._live, self._quiet, self._clock = live, quiet, clock
        self._name = ""
        self._total: int | None = None
        self._began = self._last = clock()

    def phase(self, name: str, total: int | None = None) -> None:
        """Begin a phase."""
        self._name, self._total, self._began = name, total, self._clock()

    def advance(self, done: int, text: str = "") -> None:
        """Write the numbers if the last ones are old enough."""
        now = self._clock()
        if self._quiet or now - self._last < (REDRAWN_S if self._live else self.every_s):
            return
        self._last = now
        far = f"{done:,}" if self._total is None else f"{done:,} of {self._total:,}"
        parts = [far, text.partition("\n")[0]]
        if self._total and 0 < done < self._total:
            left = round((now - self._began) / done * (self._total - done))
            parts.append(f"{left // 60}:{left % 60:02d} left")
        line = printable(f"{self._name}: {', '.join(part for part in parts if part)}")
        if self._live:
            width = shutil.get_terminal_size().columns - 1
            sys.stderr.write(f"{_CLEAR}{line[:width]}")
            sys.stderr.flush()
        else:
            typer.echo(line, err=True)

    def note(self, text: str) -> None:
        """Write one line."""
        if not self._quiet:
            self._write(text)

    def warn(self, text: str) -> None:
        """Write one line, even if quiet."""
        self._write(f"warning: {text}")

    def finish(self) -> None:
        """Remove the line that is redrawn."""
        if self._live:
            sys.stderr.write(_CLEAR)

    def _write(self, text: str) -> None:
        self.finish()
        typer.echo(printable(named(text)), err=True)


@contextmanager
def shown_progress(*, quiet: bool) -> Iterator[Progress]:
    """Yield the `Progress` that suits stderr; Python's warnings become its lines."""
    lines = Lines(live=sys.stderr.isatty() and not quiet, quiet=quiet)
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: lines.warn(str(message))
        try:
            yield lines
        finally:
            lines.finish()


def say_more(verbose: bool) -> None:
    """Write the library's log to stderr, and progress every 5 s."""
    if verbose:
        log, shown = logging.getLogger("gan_augment"), logging.StreamHandler()
        shown.setFormatter(logging.Formatter("%(asctime)s %(name)s: %(message)s"))
        log.setLevel(logging.DEBUG)
        log.addHandler(shown)
        Lines.every_s = 5.0


def printable(text: str) -> str:
    r"""Escape control characters, so that a file name cannot steer a terminal.

    >>> print(printable("owl\x1b[2J"))
    owl\x1b[2J
    """
    return "".join(
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text
    )
