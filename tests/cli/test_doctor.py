"""`gan-augment doctor`: on a whole installation, and where torch does not work."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def with_torch(folder: Path, code: str) -> dict[str, str]:
    """An environment in which torch is other code."""
    folder.mkdir()
    (folder / "torch.py").write_text(code)
    return {"PYTHONPATH": os.pathsep.join([str(folder), os.environ["PYTHONPATH"]])}


def test_a_whole_installation_is_timed_and_found_healthy(command):
    ran = command("doctor", "--json")
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert told["healthy"]
    assert set(told["images_per_s"]) == {"float32", "bf16"}
    assert min(told["images_per_s"].values()) > 0
    assert told["machine"].startswith(("cpu", "cuda"))


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("raise ImportError('libfoo.so: no such file')", "ImportError: libfoo.so: no such file"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGILL)", "ends its process: signal 4"),
    ],
    ids=["cannot be imported", "ends its process"],
)
def test_a_broken_torch_is_a_finding_with_a_cure(command, tmp_path, code, words):
    ran = command("doctor", env=with_torch(tmp_path / "broken", code))
    assert ran.returncode == 1, ran.stderr
    problem = ran.stdout.splitlines()[-1]
    assert problem.startswith("problem: torch ")
    assert words in problem
    assert 'pip install --force-reinstall "torch>=' in problem
    assert "Traceback" not in ran.stderr
