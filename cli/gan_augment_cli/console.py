"""What a person sees while work goes on: `bars.py` on a terminal, a plain line a minute elsewhere.

Everything here goes to stderr. Results go to stdout, from `outcome.py`.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

import typer

from gan_augment.progress import Progress
from gan_augment_cli.wording import count, printable


class WarningsOnly:
    """A `Progress` that keeps quiet but for what a person must read."""

    def phase(self, name: str, total: int | None = None) -> None:
        """Shows nothing."""

    def advance(self, done: int, text: str = "") -> None:
        """Shows nothing."""

    def note(self, text: str) -> None:
        """Shows nothing."""

    def warn(self, text: str) -> None:
        """One line on stderr."""
        typer.echo(f"warning: {printable(text)}", err=True)


class PlainLines(WarningsOnly):
    """A `Progress` for logs: notes at once, and where the work is once in `every_s` seconds."""

    def __init__(self, every_s: float = 60.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._every_s = every_s
        self._clock = clock
        self._name = ""
        self._total: int | None = None
        self._began = self._last = clock()

    def phase(self, name: str, total: int | None = None) -> None:
        """Remembers the phase; a line comes when it lasts."""
        self._name, self._total, self._began = name, total, self._clock()

    def advance(self, done: int, text: str = "") -> None:
        """A line, if the last one is old enough."""
        now = self._clock()
        if now - self._last >= self._every_s:
            self._last = now
            parts = [count(done, self._total), text, self._time_left(done, now)]
            self.note(f"{self._name}: {', '.join(part for part in parts if part)}")

    def note(self, text: str) -> None:
        """One line on stderr."""
        typer.echo(printable(text), err=True)

    def _time_left(self, done: int, now: float) -> str:
        if not self._total or not 0 < done < self._total:
            return ""
        left = round((now - self._began) / done * (self._total - done))
        return f"{left // 60}:{left % 60:02d} left"


@contextmanager
def shown_progress(*, quiet: bool) -> Iterator[Progress]:
    """The `Progress` that suits where stderr goes; Python's warnings become its lines."""
    with warnings.catch_warnings():
        if quiet:
            yield _heard(WarningsOnly())
        elif not sys.stderr.isatty():
            yield _heard(PlainLines())
        else:
            from gan_augment_cli.bars import LiveBars, bars

            with bars() as shown:
                live = LiveBars(shown)
                yield _heard(live)
                live.finish()


def _heard(progress: Progress) -> Progress:
    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        progress.warn(str(message))

    warnings.showwarning = show
    return progress
