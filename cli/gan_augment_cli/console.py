"""Progress on stderr: bars on a terminal, one plain line per minute elsewhere.

Results go to stdout, from `outcome.py`.
"""

from __future__ import annotations

import logging
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from gan_augment.progress import Progress

if TYPE_CHECKING:
    from rich.console import Console, RenderableType


class WarningsOnly(Progress):
    """A `Progress` that shows warnings only."""

    def warn(self, text: str) -> None:
        """Write one line to stderr."""
        typer.echo(f"warning: {printable(text)}", err=True)


def say_more(verbose: bool) -> None:
    """Write the library's log to stderr, and progress every 5 s."""
    if verbose:
        log, shown = logging.getLogger("gan_augment"), logging.StreamHandler()
        shown.setFormatter(logging.Formatter("%(asctime)s %(name)s: %(message)s"))
        log.setLevel(logging.DEBUG)
        log.addHandler(shown)
        PlainLines.every_s = 5.0


class PlainLines(WarningsOnly):
    """A `Progress` for logs: notes at once, and a line of progress every `every_s` seconds."""

    every_s = 60.0

    def __init__(
        self, every_s: float | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._every_s = self.every_s if every_s is None else every_s
        self._clock = clock
        self._name = ""
        self._total: int | None = None
        self._began = self._last = clock()

    def phase(self, name: str, total: int | None = None) -> None:
        """Begin a phase, which gets a line if it lasts."""
        self._name, self._total, self._began = name, total, self._clock()

    def advance(self, done: int, text: str = "") -> None:
        """Write a line if the last one is old enough."""
        now = self._clock()
        if now - self._last >= self._every_s:
            self._last = now
            parts = [count(done, self._total), text.partition("\n")[0]]
            if self._total and 0 < done < self._total:
                left = round((now - self._began) / done * (self._total - done))
                parts.append(f"{left // 60}:{left % 60:02d} left")
            self.note(f"{self._name}: {', '.join(part for part in parts if part)}")

    def note(self, text: str) -> None:
        """Write one line to stderr."""
        typer.echo(printable(text), err=True)


def bars(console: Console | None = None) -> Any:
    """Return Rich's bars on stderr, one per phase, with a line of numbers below them."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class Bars(Progress):
        numbers = ""

        def get_renderables(self) -> Iterable[RenderableType]:
            yield self.make_tasks_table(self.tasks)
            if self.numbers:
                yield Text(f"  {self.numbers}", no_wrap=True, overflow="ellipsis")

    return Bars(
        SpinnerColumn(finished_text=" "),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=16),
        TextColumn("{task.fields[far]}", markup=False),
        TimeRemainingColumn(elapsed_when_finished=True, compact=True),
        console=console or Console(stderr=True),
    )


class LiveBars(Progress):
    """A `Progress` over `bars`; its texts are never parsed as markup."""

    def __init__(self, shown: Any) -> None:
        self._bars = shown

    def phase(self, name: str, total: int | None = None) -> None:
        """Fill the current bar and begin a new one, which pulses without a total."""
        self.finish()
        self._bars.add_task(printable(name), total=total, far=count(0, total) if total else "")

    def advance(self, done: int, text: str = "") -> None:
        """Move the bar and update the numbers."""
        if self._bars.tasks:
            task = self._bars.tasks[-1]
            self._bars.numbers = printable(text)
            far = count(done, None if task.total is None else int(task.total))
            self._bars.update(task.id, completed=done, far=far)

    def finish(self) -> None:
        """Fill the bar of the current phase and clear the numbers."""
        self._bars.numbers = ""
        if self._bars.tasks:
            task = self._bars.tasks[-1]
            self._bars.update(task.id, total=task.total or 1, completed=task.total or 1)

    def note(self, text: str) -> None:
        """Print a line above the bars."""
        self._bars.console.print(printable(text), markup=False, highlight=False, soft_wrap=True)

    def warn(self, text: str) -> None:
        """Print a yellow line above the bars."""
        line = f"warning: {printable(text)}"
        self._bars.console.print(
            line, style="yellow", markup=False, highlight=False, soft_wrap=True
        )


@contextmanager
def shown_progress(*, quiet: bool) -> Iterator[Progress]:
    """Yield the `Progress` that suits stderr; Python's warnings become its lines."""
    with warnings.catch_warnings():
        if quiet:
            yield _with_warnings(WarningsOnly())
        elif not sys.stderr.isatty():
            yield _with_warnings(PlainLines())
        else:
            with bars() as shown:
                live = LiveBars(shown)
                yield _with_warnings(live)
                live.finish()


def _with_warnings(progress: Progress) -> Progress:
    """Turn Python's warnings into lines of the progress."""
    warnings.showwarning = lambda message, *_, **__: progress.warn(str(message))
    return progress


def printable(text: str) -> str:
    r"""Escape control characters, so that a file name cannot steer a terminal.

    >>> print(printable("owl\x1b[2J"))
    owl\x1b[2J
    """
    return "".join(
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text
    )


def count(done: int, total: int | None) -> str:
    """Return the progress of a phase as text.

    >>> count(1200, 4000), count(7, None)
    ('1,200 of 4,000', '7')
    """
    return f"{done:,}" if total is None else f"{done:,} of {total:,}"
