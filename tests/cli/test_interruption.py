"""A fit that is told to stop: it saves, leaves with the documented code, and says how to go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest


def wait_for_steps(history: Path, process: subprocess.Popen[str]) -> None:
    """Until the run has written its first step down."""
    for _ in range(600):
        if history.exists() and '"step"' in history.read_text():
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    raise TimeoutError(f"{history} shows no step")


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stopped_fit_saves_and_says_how_to_go_on(
    photos: Path, tmp_path: Path, number: int, code: int
) -> None:
    line = [sys.executable, "-m", "gan_augment_cli", "fit", str(photos), "--out", "run"]
    with subprocess.Popen(
        [*line, "--steps", "100000"],
        cwd=tmp_path,
        env=dict(os.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        wait_for_steps(tmp_path / "run" / "history.jsonl", process)
        process.send_signal(number)
        _, told = process.communicate(timeout=60)
    assert process.returncode == code, told
    assert "--resume" in told.splitlines()[-1]
    assert list((tmp_path / "run" / "checkpoints").glob("step-*"))
    assert not list(tmp_path.rglob("*.tmp-*"))
