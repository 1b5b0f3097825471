"""Progress on a terminal: a bar a phase, the numbers of the current one below. Door to rich."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from gan_augment_cli.wording import count, printable


class Bars(Progress):
    """Rich's bars with one line of numbers under them, cut where the terminal ends."""

    numbers = ""

    def get_renderables(self) -> Iterable[RenderableType]:
        """The bars, then the line."""
        yield self.make_tasks_table(self.tasks)
        if self.numbers:
            yield Text(f"  {self.numbers}", no_wrap=True, overflow="ellipsis")


def bars(console: Console | None = None) -> Bars:
    """Spinner, phase, bar, how far, time left (or taken); on stderr."""
    return Bars(
        SpinnerColumn(finished_text=" "),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=16),
        TextColumn("{task.fields[far]}", markup=False),
        TimeRemainingColumn(elapsed_when_finished=True, compact=True),
        console=console or Console(stderr=True),
    )


class LiveBars:
    """A `Progress` of the library over `Bars`; what it is told is never read as markup."""

    def __init__(self, shown: Bars) -> None:
        self._bars = shown

    def phase(self, name: str, total: int | None = None) -> None:
        """Fills the bar before and begins a new one; without a total it only pulses."""
        self.finish()
        self._bars.add_task(printable(name), total=total, far=count(0, total) if total else "")

    def advance(self, done: int, text: str = "") -> None:
        """Moves the bar and renews the numbers."""
        if self._bars.tasks:
            task = self._bars.tasks[-1]
            self._bars.numbers = printable(text)
            far = count(done, None if task.total is None else int(task.total))
            self._bars.update(task.id, completed=done, far=far)

    def finish(self) -> None:
        """The current phase is over: its bar is full, its numbers go."""
        self._bars.numbers = ""
        if self._bars.tasks:
            task = self._bars.tasks[-1]
            self._bars.update(task.id, total=task.total or 1, completed=task.total or 1)

    def note(self, text: str) -> None:
        """A line above the bars."""
        self._bars.console.print(printable(text), markup=False, highlight=False, soft_wrap=True)

    def warn(self, text: str) -> None:
        """A line above the bars that stands out."""
        line = f"warning: {printable(text)}"
        self._bars.console.print(
            line, style="yellow", markup=False, highlight=False, soft_wrap=True
        )
