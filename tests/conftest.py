"""What every test may use: the command line in this process or its own, and a closed network."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import IO

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
os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # importing it would call out
os.environ["GAN_AUGMENT_THREADS"] = "1"
os.environ["GAN_AUGMENT_N_JOBS"] = "1"
os.environ["GAN_AUGMENT_SELECTION"] = "0"  # what a few steps make is not worth keeping
os.environ["GAN_AUGMENT_DIAGNOSTICS"] = "0"  # seconds of every evaluation, and a few tests' matter

Finished = subprocess.CompletedProcess[str]
Command = Callable[..., Finished]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put files with slow tests first: else one process ends with a long one, the other idle."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def run_here(*args: object, cwd: Path, env: dict[str, str] | None = None) -> Finished:
    """Run `gan-augment ARGS...` in this process, in the folder `cwd`; `env` adds variables."""
    from typer.testing import CliRunner

    from gan_augment_cli.app import app

    words = [str(arg) for arg in args]
    with chdir(cwd):
        result = CliRunner().invoke(app, words, env=env, prog_name="gan-augment")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return subprocess.CompletedProcess(words, result.exit_code, result.stdout, result.stderr)


def run_process(
    *args: object,
    cwd: Path,
    env: dict[str, str] | None = None,
    timeout: float = 120,
    stdout: IO[str] | int = subprocess.PIPE,
) -> Finished:
    """Run `gan-augment ARGS...` as a process of its own, where a warning is an error.

    For what only a process shows: signals and exit codes, what is imported, how long help takes.
    """
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "gan_augment_cli", *map(str, args)],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=timeout,
        check=False,
    )


SCORERS = {"scorer.SCORER_STEPS": 10, "selection.MOST_UPDATES": 10}
"""Updates of the classifiers that score and select: 300 and 160 outside of tests."""


@pytest.fixture(scope="session", autouse=True)
def short_scorers() -> Iterator[None]:
    """Train scorers for a few steps in all tests: few look at what scores and selection say."""
    with pytest.MonkeyPatch.context() as patch:
        for name, updates in SCORERS.items():
            patch.setattr(f"gan_augment.generators.{name}", updates)
        yield


@contextmanager
def _full_scorers() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, updates in {"scorer.SCORER_STEPS": 300, "selection.MOST_UPDATES": 160}.items():
            patch.setattr(f"gan_augment.generators.{name}", updates)
        yield


@pytest.fixture
def full_scorers() -> Iterator[None]:
    """Train scorers as outside of tests."""
    with _full_scorers():
        yield


@pytest.fixture(scope="module")
def full_scorers_in_module() -> Iterator[None]:
    """Train scorers as outside of tests, for module fixtures; request it in every test."""
    with _full_scorers():
        yield


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`refuse(function, number, nth)`: the n-th call of an os function fails with this errno.

    on: so does every later call.
    """

    def install(function: str, number: int, nth: int = 1, *, on: bool = False) -> None:
        real, calls = getattr(os, function), count(1)

        def failing(*args: object, **kwargs: object) -> object:
            call = next(calls)
            if call == nth or (on and call > nth):
                raise OSError(number, os.strerror(number))
            return real(*args, **kwargs)

        monkeypatch.setattr(os, function, failing)

    return install


@pytest.fixture(scope="session")
def start_command() -> Command:
    """`run_here`, for fixtures that live longer than a test; it wants `cwd`."""
    return run_here


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """`gan-augment ARGS...` in this process and in the test's own folder."""
    return partial(run_here, cwd=tmp_path)


@pytest.fixture
def command_process(tmp_path: Path) -> Command:
    """`gan-augment ARGS...` as a process of its own, in the test's own folder."""
    return partial(run_process, cwd=tmp_path)
