"""Ctrl-C and SIGTERM: handled from startup on; the process ends within two seconds.

Python's signal handlers run between two bytecodes, and a call of torch or scikit-learn, or an
import, may take longer than that. A thread therefore reads the wakeup file descriptor and ends a
process that has not ended in time.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from gan_augment.processes import ranks_started, ways_on

GRACE_S = 1.2
"""Time for a step, a checkpoint and a normal exit, within the promised two seconds."""
RANKS_GRACE_S = 20.0
"""Time for ranks, which wait until rank 0 has saved; torchrun waits for 30 s."""
LEAVING_S = 0.5
"""Time after the last line for the exit handlers of libraries."""

said = threading.Event()


class Terminated(KeyboardInterrupt):
    """SIGTERM outside of training: clean up as Ctrl-C does, then leave with 143."""

    signal = signal.SIGTERM


def terminated(number: int, frame: FrameType | None) -> None:
    """Handle SIGTERM."""
    raise Terminated


last_words: list[Callable[[str, int], object]] = [
    lambda message, number: sys.stderr.write(f"error: {message}\n")
]
"""Functions that print the message and exit code of an interrupted command; the last is used."""


def interrupted(hint: str, number: int) -> None:
    """Print the last line, once."""
    if not said.is_set():
        said.set()
        last_words[-1](f"interrupted; {hint or 'nothing was kept'}", 128 + number)


def hear_signals() -> None:
    """Start the thread that ends this process after a signal if nothing else does."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.signal(signal.SIGTERM, terminated)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    threading.Thread(target=_end_late, args=(reading,), name="signals", daemon=True).start()


def _end_late(reading: int) -> None:
    number = 0
    while number not in (signal.SIGINT, signal.SIGTERM):
        number = os.read(reading, 1)[0]
    if not said.wait(RANKS_GRACE_S if ranks_started() > 1 else GRACE_S):
        interrupted(ways_on[0]() if ways_on else "", number)
    else:
        time.sleep(LEAVING_S)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    with contextlib.suppress(OSError):  # /proc may not exist, and a child may have ended
        for file in Path("/proc/self/task").glob("*/children"):
            for child in file.read_text().split():
                os.kill(int(child), signal.SIGTERM)
    os._exit(128 + number)
