"""`fit` by several processes: one voice, and nothing lost to a signal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

FIT = ["rows.csv", "--target", "y", "--recipe", "anchored", "--json"]
COMMAND = [sys.executable, "-m", "gan_augment_cli", "fit", *FIT, "--processes", "2"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small table."""
    folder, rng = tmp_path_factory.mktemp("ranks"), np.random.default_rng(0)
    lines = [f"{rng.normal():.4f},{rng.exponential():.4f},{'ab'[i % 10 == 0]}" for i in range(60)]
    (folder / "rows.csv").write_text("\n".join(["x,z,y", *lines]) + "\n")
    return folder


@pytest.mark.slow
def test_processes_fit_together_and_one_of_them_speaks(place):
    command = [*COMMAND, "--steps", "20", "--out", "two"]
    two = subprocess.run(command, cwd=place, capture_output=True, text=True)
    assert two.returncode == 0, two.stderr
    assert json.loads(two.stdout)["steps"] == 20
    assert two.stderr.count("20 steps; run folder") == 1


@pytest.mark.slow
def test_one_process_fits_the_super_resolver_and_the_others_wait(photos, tmp_path):
    fit = [sys.executable, "-m", "gan_augment_cli", "fit", str(photos), "--steps", "2"]
    fit += ["--processes", "2", "--super-resolve", "2", "--out", "run"]
    done = subprocess.run(fit, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("fitting a super-resolver to 24 x 24 px") == 1
    assert (tmp_path / "run" / "super-resolver" / "model.json").is_file()


@pytest.mark.slow
def test_sigterm_to_one_rank_saves_and_ends_all_and_one_process_goes_on(place, start_command):
    command = [*COMMAND, "--steps", "300", "--out", "cut"]
    fit = subprocess.Popen(command, cwd=place, stdout=-1, stderr=-1, text=True)
    history = place / "cut" / "history.jsonl"
    until_s = time.monotonic() + 300
    while not (history.exists() and '"step": 20,' in history.read_text()):
        assert fit.poll() is None, fit.communicate()
        assert time.monotonic() < until_s
        time.sleep(0.1)
    os.kill(ranks_of(fit.pid)[1], signal.SIGTERM)
    _, said = fit.communicate(timeout=120)
    assert fit.returncode == 143, said
    assert said.count("error: interrupted; go on with: gan-augment fit") == 1
    again = start_command("fit", *FIT, "--out", "cut", "--resume", cwd=place)
    assert again.returncode == 0, again.stderr
    assert "resumed at step " in again.stderr
    assert json.loads(again.stdout)["steps"] == 300


@pytest.mark.slow
def test_ranks_that_torchrun_starts_again_meet_anew_and_go_on(place):
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--local-addr=localhost"]
    torchrun += ["--nproc-per-node=2", "--max-restarts=2", *COMMAND[1:-2]]
    fit = subprocess.Popen(
        [sys.executable, *torchrun, "--steps", "300", "--out", "again"],
        cwd=place,
        stdout=-1,
        stderr=-1,
        text=True,
    )
    history = place / "again" / "history.jsonl"
    until_s = time.monotonic() + 300
    while not (history.exists() and '"step": 20,' in history.read_text()):
        assert fit.poll() is None, fit.communicate()
        assert time.monotonic() < until_s
        time.sleep(0.1)
    os.kill(ranks_of(fit.pid)[0], signal.SIGKILL)
    told, said = fit.communicate(timeout=200)
    assert fit.returncode == 0, said
    assert json.loads(told)["steps"] == 300


def ranks_of(agent: int) -> list[int]:
    """The processes that it started, in the order of their ranks."""
    files = [*Path(f"/proc/{agent}/task").glob("*/children")]
    found = {}
    for child in [int(child) for file in files for child in file.read_text().split()]:
        for variable in Path(f"/proc/{child}/environ").read_bytes().split(b"\0"):
            if variable.startswith(b"RANK="):
                found[int(variable[5:])] = child
    return [found[rank] for rank in sorted(found)]
