"""This process and its workers: cores, ranks, and what ends them."""

from __future__ import annotations

import os
import platform
import threading
import time
from collections.abc import Callable
from functools import cache

_LOOK_S = 0.5
ways_on: list[Callable[[], str]] = []
"""Hints how to resume the work of this process if it ends now; the outermost work first."""


def available_cores() -> int:
    """Count the cores of this process: its affinity, limited by the quota of its control group."""
    import joblib

    return int(joblib.cpu_count())


def ranks_started() -> int:
    """Count the ranks of a torchrun launch, this process included; 1 without torchrun."""
    return int(os.environ.get("WORLD_SIZE") or 1) if "RANK" in os.environ else 1


def follows() -> bool:
    """Return whether this process is a rank other than rank 0, which reports."""
    return ranks_started() > 1 and int(os.environ["RANK"]) > 0


def restarts() -> tuple[int, int]:
    """Return how often torchrun restarted these ranks, and its limit."""
    names = ("TORCHELASTIC_RESTART_COUNT", "TORCHELASTIC_MAX_RESTARTS")
    done, most = (int(os.environ.get(name) or 0) for name in names)
    return (done, most) if ranks_started() > 1 else (0, 0)


@cache
def end_with_parent(parent: int, machine: str) -> None:
    """End this joblib worker when the process `parent`, which started it on `machine`, is gone.

    After a kill the worker would wait for new tasks for minutes. Threads, workers of other
    processes and workers on other machines continue.
    """
    if os.getpid() == parent or platform.node() != machine:
        return
    if os.getppid() != parent:
        try:
            os.kill(parent, 0)  # sends nothing
        except ProcessLookupError:  # killed while this worker was starting
            os._exit(1)
        return

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK_S)
        os._exit(1)

    threading.Thread(target=watch, name="end with the parent", daemon=True).start()
