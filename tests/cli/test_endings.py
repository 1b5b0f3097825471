"""How a command ends (exit codes, signals, ranks), and the progress shown meanwhile."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import typer

from gan_augment import errors
from gan_augment.progress import TerminalProgress, printable
from gan_augment.training.callbacks import StopRequested
from gan_augment_cli.app import app
from gan_augment_cli.outcome import exit_codes, shown_progress
from tests.cli.conftest import answer

CONTEXT = typer.Context(typer.main.get_command(app), info_name="fit")
CONTEXT.params["as_json"] = False


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (errors.ModelFileError("damaged"), 1, "damaged"),
        (errors.OutputExistsError("not empty"), 2, "not empty"),
        (errors.NoRareClassError("none is rare"), 3, "rare"),
        (errors.DivergedError("not finite"), 5, "not finite"),
        (errors.WriteFailedError("disk full"), 74, "disk full"),
        (errors.FolderInUseError("held by 7"), 75, "held by 7"),
        (errors.DataError("class 'a\x1b[2J' is empty"), 3, r"'a\\x1b\[2J'"),
        (StopRequested(signal.SIGINT), 130, "interrupted"),
        (StopRequested(signal.SIGTERM, "go on with --resume"), 143, "go on with --resume"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (OSError(errno.ENOSPC, "No space left on device"), 74, "could not write standard output"),
        (PermissionError(errno.EACCES, "Permission denied", "a.csv"), 1, "'a.csv': Permission"),
        (MemoryError(), 1, "not enough memory"),
        (ZeroDivisionError("by zero"), 1, "by zero"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_every_error_is_one_line_and_a_documented_code(error, code, words, capsys):
    with pytest.raises(typer.Exit) as left, exit_codes(CONTEXT):
        raise error
    said = capsys.readouterr()
    assert (left.value.exit_code, said.out, said.err.count("\n")) == (code, "", 1)
    assert re.search(f"^error: .*{words}", said.err)


def test_a_traceback_is_shown_on_request(monkeypatch):
    monkeypatch.setenv("GAN_AUGMENT_DEBUG", "1")
    with pytest.raises(ZeroDivisionError), exit_codes(CONTEXT):
        1 / 0  # noqa: B018


def test_sigterm_outside_of_training_leaves_with_143():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(typer.Exit) as left, exit_codes(CONTEXT):
        os.kill(os.getpid(), signal.SIGTERM)
    assert left.value.exit_code == 143
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_log_gets_one_line_per_minute(capsys):
    seconds = iter(range(1000))
    lines = TerminalProgress(live=False, clock=lambda: next(seconds))
    lines.phase("training", 400, 100)
    for step in range(101, 301):
        lines.advance(step, "score 0.5")
    shown = capsys.readouterr().err.splitlines()
    assert len(shown) == 3
    assert shown[0] == "training: 160 of 400, 1/s, 4:00 left, score 0.5"


def test_a_file_name_cannot_steer_the_terminal():
    assert printable("a\x1b]0;owned\x07b") == r"a\x1b]0;owned\x07b"


def test_warnings_are_shown_as_one_line_even_if_quiet(capsys):
    with shown_progress(quiet=True) as progress:
        progress.note("a choice")
        warnings.simplefilter("always")
        warnings.warn("class 'owl' is refused", stacklevel=1)
    assert capsys.readouterr().err == "warning: class 'owl' is refused\n"


def test_a_terminal_shows_one_line_that_is_redrawn(capsys):
    seconds = iter(range(1000))
    lines = TerminalProgress(live=True, clock=lambda: next(seconds))
    lines.phase("training", 10)
    lines.advance(3, "class [bold]owl")
    lines.note("a choice")
    shown = capsys.readouterr().err.split("\r\x1b[K")
    bar = "[######--------------]"
    numbers = f"training {bar} 3 of 10, 3/s, 0:02 left, class [bold]owl"
    assert shown == ["", f"training [{'-' * 20}] ", numbers, "a choice\n"]


LATE = """
import hashlib, sys, time, types
from gan_augment_cli import __main__
from gan_augment.processes import ways_on

def main():
    ways_on.append(lambda: "go on with --resume")
    print("ready", flush=True)
    {call}

sys.modules["gan_augment_cli.app"] = types.SimpleNamespace(main=main)
__main__.main()
"""
LONG_CALL = "hashlib.pbkdf2_hmac('sha256', b'', b'', 10**9)"  # no line of Python for minutes


@pytest.mark.slow
@pytest.mark.parametrize(
    ("call", "number", "words"),
    [
        (LONG_CALL, signal.SIGINT, "go on with --resume"),
        ("time.sleep(60)", signal.SIGTERM, "nothing was kept"),  # before a command has begun
    ],
)
def test_a_signal_ends_even_one_long_call_within_two_seconds(call, number, words):
    code = LATE.replace("{call}", call)
    process = subprocess.Popen([sys.executable, "-c", code], stdout=-1, stderr=-1, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(1)  # until it is in the call
    began_s = time.monotonic()
    process.send_signal(number)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 128 + number
    assert time.monotonic() - began_s < 2
    assert said == f"error: interrupted; {words}\n"


FIT = ["rows.csv", "--target", "y", "--recipe", "anchored", "--json"]
COMMAND = [sys.executable, "-m", "gan_augment_cli", "fit", *FIT]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
TORCHRUN += ["--local-addr=localhost", "--nproc-per-node=2"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small table."""
    folder, rng = tmp_path_factory.mktemp("ranks"), np.random.default_rng(0)
    lines = [f"{rng.normal():.4f},{rng.exponential():.4f},{'ab'[i % 10 == 0]}" for i in range(60)]
    (folder / "rows.csv").write_text("\n".join(["x,z,y", *lines]) + "\n")
    return folder


def started(command: list[str], place: Path, run: str) -> subprocess.Popen[str]:
    """Start a fit and return once its history holds step 20."""
    fit = subprocess.Popen(command, cwd=place, stdout=-1, stderr=-1, text=True)
    history = place / run / "history.jsonl"
    until_s = time.monotonic() + 300
    while not (history.exists() and '"step": 20,' in history.read_text()):
        assert fit.poll() is None, fit.communicate()
        assert time.monotonic() < until_s
        time.sleep(0.1)
    return fit


@pytest.mark.slow
def test_sigterm_saves_and_resume_goes_on(place):
    command = [*COMMAND, "--out", "cut"]
    fit = started([*command, "--steps", "200"], place, "cut")
    os.kill(fit.pid, signal.SIGTERM)
    _, said = fit.communicate(timeout=120)
    assert fit.returncode == 143, said
    assert said.count("error: interrupted; go on with: gan-augment fit") == 1
    again = subprocess.run([*command, "--resume"], cwd=place, capture_output=True, text=True)
    assert answer(again)["steps"] == 200
    assert "resumed at step " in again.stderr
    assert again.stderr.count("200 steps, ") == 1


@pytest.mark.campaign
def test_ranks_that_torchrun_starts_again_go_on(place):
    command = [*TORCHRUN, "--max-restarts=2", *COMMAND[1:], "--steps", "300", "--out", "again"]
    fit = started(command, place, "again")
    os.kill(ranks_of(fit.pid)[0], signal.SIGKILL)
    told, said = fit.communicate(timeout=200)
    assert fit.returncode == 0, said
    assert json.loads(told)["steps"] == 300


def ranks_of(agent: int) -> list[int]:
    """Return the child processes in the order of their ranks."""
    files = [*Path(f"/proc/{agent}/task").glob("*/children")]
    found = {}
    for child in [int(child) for file in files for child in file.read_text().split()]:
        for variable in Path(f"/proc/{child}/environ").read_bytes().split(b"\0"):
            if variable.startswith(b"RANK="):
                found[int(variable[5:])] = child
    return [found[rank] for rank in sorted(found)]
