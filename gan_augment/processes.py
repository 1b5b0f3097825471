"""Processes beside this one: how many cores there are for them, and how a worker is started."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]


def available_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def worker_command(module: str) -> list[str]:
    """The command line that runs a module of this package in a Python like this one."""
    return [sys.executable, "-P", "-m", module]


def worker_environment() -> dict[str, str]:
    """This process's environment for a worker: one thread, and the same sources.

    An installed package is found anyway; its folder on the path would come before Python's own
    modules.
    """
    paths = [] if _ROOT.name.endswith("-packages") else [str(_ROOT)]
    paths += filter(None, [os.environ.get("PYTHONPATH")])
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
