"""What every test may use: the command line as a process, and a closed network."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import closed_network  # noqa: F401  (no test reaches beyond this machine)
import pytest
from hypothesis import settings

# A busy machine is slow, and a gate that draws anew each time cannot be trusted.
settings.register_profile("gate", deadline=None, derandomize=True)
settings.load_profile("gate")

ROOT = Path(__file__).resolve().parents[1]
SOURCES = (ROOT / "tests" / "guard", ROOT, ROOT / "cli")

# Processes that tests start (workers, commands) find the same sources and the same closed network.
os.environ["PYTHONPATH"] = os.pathsep.join(str(path) for path in SOURCES)
os.environ.setdefault("OMP_NUM_THREADS", "1")
for name in [name for name in os.environ if name.startswith("GAN_AUGMENT_")]:
    del os.environ[name]
os.environ["GAN_AUGMENT_THREADS"] = "1"
os.environ["GAN_AUGMENT_N_JOBS"] = "1"
os.environ["GAN_AUGMENT_SELECTION"] = "0"  # what a few steps make is not worth keeping
os.environ["GAN_AUGMENT_DIAGNOSTICS"] = "0"  # seconds of every evaluation, and a few tests' matter

Command = Callable[..., subprocess.CompletedProcess[str]]


def start(
    *args: object, cwd: Path, env: dict[str, str] | None = None, timeout: float = 120
) -> subprocess.CompletedProcess[str]:
    """Run `gan-augment ARGS...` as a process; `env` adds variables; a warning is an error."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "gan_augment_cli", *map(str, args)],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


@pytest.fixture(scope="session")
def start_command() -> Command:
    """`start`, for fixtures that live longer than a test."""
    return start


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """`start` in the test's own folder."""
    return partial(start, cwd=tmp_path)
