"""Callbacks of a run (protocol, history file, progress line), and stopping on signals."""

from __future__ import annotations

import contextlib
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Protocol

from gan_augment.input_files import parsed_json, read_regular
from gan_augment.processes import ways_on
from gan_augment.progress import Progress
from gan_augment.storage.files import write_errors, write_file

Event = Mapping[str, object]


class Callback(Protocol):
    """Receives the events of a run and changes nothing.

    An event is a flat mapping with "event" (its kind) and "step". Kinds: "step" (losses, images,
    images_per_s), "score" (value, parts, best, seconds), "rollback" (reason, failed_at),
    "stop" (reason).
    """

    def on_event(self, event: Event) -> None:
        """Receive one event, in the order of training."""


class StopRequested(KeyboardInterrupt):
    """Raised for signal 2 (SIGINT) or 15 (SIGTERM); `resume_hint` says how to resume."""

    def __init__(self, number: int, resume_hint: str = "") -> None:
        super().__init__(f"stopped by signal {number}. {resume_hint}".strip())
        self.signal = number
        self.resume_hint = resume_hint


@contextlib.contextmanager
def interruptible(hint: Callable[[], str]) -> Iterator[None]:
    """Turn an interruption of the block into StopRequested, with the hint of that moment."""
    ways_on.append(hint)
    try:
        yield
    except KeyboardInterrupt as stop:
        raise StopRequested(int(getattr(stop, "signal", signal.SIGINT)), hint()) from None
    finally:
        ways_on.remove(hint)


class StopFlag:
    """A flag that signals set while it is held; the loop reads it between steps."""

    signal: int | None = None
    held = False

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Defer a signal to the end of a step; raise it after the block if the loop did not."""
        self.held = True
        try:
            yield
        finally:
            self.held = False
        if self.signal is not None:
            raise StopRequested(self.signal)


@contextlib.contextmanager
def stop_on_signals() -> Iterator[StopFlag]:
    """End the block on SIGINT and SIGTERM; while the flag is held, set it instead.

    The loop can then save and leave; a second signal ends the block. The previous handlers are
    restored. Outside the main thread, where Python allows no handlers, the flag stays unset.
    """
    flag = StopFlag()
    if threading.current_thread() is not threading.main_thread():
        yield flag
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if flag.signal is not None or not flag.held:
            raise StopRequested(number)
        flag.signal = number

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield flag
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class HistoryFile:
    """Appends each event as a line of JSON; a resumed run drops lines after its checkpoint."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def begin(self, step: int) -> None:
        """Keep the lines up to `step`; drop later and broken ones."""
        lines = []
        text = read_regular(self._path).decode("utf-8") if self._path.exists() else ""
        for line in text.splitlines():
            with contextlib.suppress(ValueError):
                if parsed_json(line).get("step", 0) <= step:
                    lines.append(line + "\n")
        write_file(self._path, "".join(lines).encode())

    def on_event(self, event: Event) -> None:
        with write_errors(self._path), self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(event, allow_nan=False) + "\n")


class ScoreTimes(list[tuple[float, float]]):
    """Each score of a run, after the seconds of the monotonic clock at which it was heard."""

    def on_event(self, event: Event) -> None:
        if event["event"] == "score":
            self.append((time.monotonic(), float(str(event["value"]))))


class ProgressCallback:
    """Shows the score with the step, and rollbacks as warnings; keeps all events."""

    def __init__(self, progress: Progress) -> None:
        self._progress, self._score = progress, ""
        self.events: list[dict[str, object]] = []

    def on_event(self, event: Event) -> None:
        self.events.append(dict(event))
        if event["event"] == "score":
            best = " (best)" if event["best"] else ""
            value = float(str(event["value"]))
            shown = f"{value:.3f}" if value < 1000 else "over 1000"  # early ones may be huge
            self._score = f"score {shown}{best}"
        elif event["event"] == "rollback":
            self._progress.warn(
                f"step {event['failed_at']}: {event['reason']}; back to step {event['step']}"
            )
        elif event["event"] == "step":
            self._progress.advance(int(str(event["step"])), self._score)
