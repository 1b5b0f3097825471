"""What every test may use: the root folder, the command line as a process, a closed network."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import closed_network  # noqa: F401  (no test reaches beyond this machine)
import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = (ROOT / "tests" / "guard", ROOT, ROOT / "cli")

# Processes that tests start (workers, commands) find the same sources and the same closed network.
os.environ["PYTHONPATH"] = os.pathsep.join(str(path) for path in SOURCES)
os.environ.setdefault("OMP_NUM_THREADS", "1")
for name in [name for name in os.environ if name.startswith("GAN_AUGMENT_")]:
    del os.environ[name]

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def root() -> Path:
    """The folder that holds pyproject.toml."""
    return ROOT


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """Runs `gan-augment ARGS...` as a process in `tmp_path`; `env=` adds variables."""

    def run(
        *args: object,
        env: dict[str, str] | None = None,
        cwd: Path | None = None,
        timeout: float = 120,
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-W", "error", "-m", "gan_augment_cli", *map(str, args)],
            cwd=cwd or tmp_path,
            env={**os.environ, **(env or {})},
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    return run
