"""kill -9 of an evaluation with two processes, at any moment: what was written is kept, and the
resumed one ends with the bytes of an undisturbed one."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from gan_augment.storage.journal import Journal
from tests.evaluation.drawn import table

Command = Callable[..., CompletedProcess[str]]
FLAGS = ("evaluate", "cells.csv", "--target", "kind", "--learner", "logistic", "--steps", "2")
OUT = ("--out", "rep", "--n-jobs", "2", "--quiet")
PROC = Path("/proc")


def written(home: Path) -> Path:
    """A folder with a table in it."""
    home.mkdir(exist_ok=True)
    data = table()
    frame = data.frame.assign(kind=[data.names[label] for label in data.labels])
    frame.to_csv(home / "cells.csv", index=False)
    return home


def whole_lines(journal: Path) -> bytes:
    """The journal up to its last end of a line; empty where there is none."""
    held = journal.read_bytes() if journal.is_file() else b""
    return held[: held.rfind(b"\n") + 1]


def processes_of(session: int) -> list[int]:
    """The ids of all processes that a command and its workers are."""
    found = []
    for entry in PROC.iterdir():
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except (OSError, ValueError):
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(int(entry.name))
    return found


def killed(home: Path, flags: tuple[str, ...], lines: int, more_s: float) -> bool:
    """Whether the command was killed, `more_s` after it wrote that many lines; else it is done.

    Its workers end then, those that only started too, and nothing that it wrote before is gone.
    """
    journal = home / "rep" / "journal.jsonl"
    before = whole_lines(journal)
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "gan_augment_cli", *flags],
        cwd=home,
        env=dict(os.environ),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        while process.poll() is None:
            if whole_lines(journal).count(b"\n") >= before.count(b"\n") + lines:
                break
            time.sleep(0.01)
        time.sleep(more_s)
        if process.poll() is not None:
            assert process.returncode == 0, process.communicate()[1]
            return False
        process.kill()  # the workers are left to themselves
    after = whole_lines(journal)
    assert after.startswith(before)
    gone_by = time.monotonic() + 60
    while processes_of(process.pid):
        assert time.monotonic() < gone_by, "workers outlive their evaluation"
        time.sleep(0.1)
    assert whole_lines(journal) == after
    return True


def check_kills(
    home: Path, flags: tuple[str, ...], moments: list[tuple[int, float]], command: Command
) -> int:
    """Kill at each of the moments, go on to the end, and compare; how many kills there were."""
    undisturbed = command(*flags, "--out", "whole", "--n-jobs", "1", "--quiet", cwd=home)
    assert undisturbed.returncode == 0, undisturbed.stderr
    journal, kills = home / "rep" / "journal.jsonl", 0
    for lines, more_s in moments:
        resume = ("--resume",) if whole_lines(journal) else ()
        kills += killed(home, (*flags, *OUT, *resume), lines, more_s)
        models = home / "rep" / "models"
        if models.is_dir():  # as a kill within a save leaves it
            (models / "r0-f1.safetensors.tmp-4194305").write_bytes(b"cut")
    ended = command(*flags, *OUT, "--resume", cwd=home)
    assert ended.returncode == 0, ended.stderr
    results = [(home / out / "result.json").read_bytes() for out in ("rep", "whole")]
    assert results[0] == results[1]
    kept = Journal(home / "rep" / "journal.jsonl")
    kept.read()
    once = (home / "rep" / "journal.jsonl").read_bytes().count(b"\n")
    assert once == 1 + len(list(kept.lines())), "something was done twice"
    models = [{p.name for p in (home / out / "models").iterdir()} for out in ("rep", "whole")]
    assert models[0] == models[1]
    return kills


needs_proc = pytest.mark.skipif(not PROC.is_dir(), reason="sessions are read from /proc")


@needs_proc
@pytest.mark.slow
def test_an_evaluation_that_was_killed_ends_with_the_same_bytes(
    tmp_path: Path, start_command: Command
) -> None:
    flags = (*FLAGS, "--folds", "2", "--repeats", "1", "--arms", "oversample")
    moments = [(2, 0.0), (4, 0.0)]  # signs in the journal, no times
    assert check_kills(written(tmp_path), flags, moments, start_command) == 2


def kills_at_random_moments(home: Path, n: int, command: Command) -> int:
    """How many of `n` kills took place; all are of one evaluation, which goes on each time."""
    drawn = random.Random(0)
    moments = [(drawn.randrange(4), drawn.uniform(0, 0.5)) for _ in range(n - n // 5)]
    moments += [(0, drawn.uniform(0, 6)) for _ in range(n // 5)]  # while it starts
    drawn.shuffle(moments)
    flags = (*FLAGS, "--folds", "3", "--repeats", "2")
    return check_kills(written(home), flags, moments, command)
