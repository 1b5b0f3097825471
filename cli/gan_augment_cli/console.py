"""What a person sees while work goes on: bars on a terminal, one plain line a minute elsewhere.

Everything here goes to stderr. Results go to stdout, from `outcome.py`.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

import typer

from gan_augment.progress import Progress

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID


def printable(text: str) -> str:
    r"""Text whose control characters are escaped, so that a file name cannot steer a terminal.

    >>> print(printable("owl\x1b[2J"))
    owl\x1b[2J
    """
    return "".join(
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text
    )


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
            parts = [self._how_far(done), text, self._time_left(done, now)]
            self.note(f"{self._name}: {', '.join(part for part in parts if part)}")

    def note(self, text: str) -> None:
        """One line on stderr."""
        typer.echo(printable(text), err=True)

    def _how_far(self, done: int) -> str:
        return f"{done:,}" + (f" of {self._total:,}" if self._total else "")

    def _time_left(self, done: int, now: float) -> str:
        if not self._total or not 0 < done < self._total:
            return ""
        left = round((now - self._began) / done * (self._total - done))
        return f"{left // 60}:{left % 60:02d} left"


class LiveBars:
    """A `Progress` on a terminal: a bar a phase, with its numbers and the time left."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._task: TaskID | None = None

    def phase(self, name: str, total: int | None = None) -> None:
        """Ends the bar before and begins a new one; without a total it only pulses."""
        self.finish()
        self._task = self._bars.add_task(printable(name), total=total, text="")

    def advance(self, done: int, text: str = "") -> None:
        """Moves the bar."""
        if self._task is not None:
            self._bars.update(self._task, completed=done, text=printable(text))

    def finish(self) -> None:
        """The bar stands still: its phase is over."""
        if self._task is not None:
            self._bars.stop_task(self._task)

    def note(self, text: str) -> None:
        """A line above the bars."""
        self._bars.console.print(printable(text), markup=False, highlight=False, soft_wrap=True)

    def warn(self, text: str) -> None:
        """A line above the bars that stands out."""
        line = f"warning: {printable(text)}"
        self._bars.console.print(line, style="yellow", markup=False, soft_wrap=True)


@contextmanager
def shown_progress(*, quiet: bool) -> Iterator[Progress]:
    """The `Progress` that suits where stderr goes; Python's warnings become its lines."""
    with warnings.catch_warnings():
        if quiet:
            yield _heard(WarningsOnly())
        elif not sys.stderr.isatty():
            yield _heard(PlainLines())
        else:
            with _bars() as bars:
                live = LiveBars(bars)
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


def _bars() -> Bars:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        SpinnerColumn,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bars

    return Bars(
        SpinnerColumn(finished_text=" "),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        TextColumn("{task.fields[text]}", markup=False),
        console=Console(stderr=True),
    )
