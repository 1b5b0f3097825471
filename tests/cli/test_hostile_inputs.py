"""Hostile files and options end in one line and a documented exit code, without a long wait."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

DEEP = "[" * 100_000 + "]" * 100_000
LONG = "9" * 5000
LONGEST_S = 300  # on a busy machine
PIPES = "regular file"
TABLE = ("--target", "y")
FIT, FIT_ROWS = ("fit", "photos", "--steps", 2, "--out", "o"), ("fit", "t.csv", *TABLE)
SAMPLE = ("sample", "run", "o")


@pytest.fixture(autouse=True)
def no_long_wait() -> Iterator[None]:
    """Interrupt a command that waits for a pipe or reads an endless device."""

    def late(number: int, frame: object) -> None:
        raise TimeoutError(f"longer than {LONGEST_S} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(LONGEST_S)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="session")
def home(run_folder: Path, photos: Path, tmp_path_factory) -> Path:
    """A folder with photos/, t.csv and a run of photos/."""
    home: Path = tmp_path_factory.mktemp("hostile")
    lines = [f"{i / 7:.3f},{i % 11},{'yes' if i % 10 == 0 else 'no'}" for i in range(60)]
    (home / "t.csv").write_text("\n".join(["a,b,y", *lines, ""]))
    (home / "photos").symlink_to(photos)
    shutil.copytree(run_folder, home / "run")
    return home


def nothing(path: Path) -> None:
    """Prepare nothing."""


def loop(path: Path) -> None:
    """Link a file to itself."""
    path.symlink_to(path.name)


def zeros(path: Path) -> None:
    """Link a file to a device that never ends."""
    path.symlink_to("/dev/zero")


def holding(content: str) -> Callable[[Path], object]:
    """Write a file of this text."""
    return lambda path: path.write_text(content)


def piped_run(file: str) -> Callable[[Path], None]:
    """Copy a run in which a pipe replaces a file."""

    def write(path: Path) -> None:
        shutil.copytree(path.parent / "run", path)
        (path / file).unlink()
        os.mkfifo(path / file)

    return write


# (what is prepared, its path, the arguments of the command, its exit code, words of its last line)
PATH = ".".join("a" * 2_000)
TOP_UP = ("augment", "t.csv", "o.csv", *TABLE)
CASES: list[tuple[Callable[[Path], object], str, tuple[object, ...], int, str]] = [
    (os.mkfifo, "f.csv", ("inspect", "f.csv", *TABLE), 3, PIPES),
    (zeros, "z.csv", ("inspect", "z.csv", *TABLE), 3, PIPES),
    (loop, "l.csv", ("inspect", "l.csv", *TABLE), 2, "symbolic links"),
    (os.mkfifo, "f.parquet", ("inspect", "f.parquet", *TABLE), 3, PIPES),
    (zeros, "z.parquet", ("inspect", "z.parquet", *TABLE), 3, PIPES),
    (holding("a,y\n"), "no.csv", ("inspect", "no.csv", *TABLE), 3, "no row below"),
    (os.mkfifo, "f.npz", ("inspect", "f.npz"), 3, PIPES),
    (zeros, "z.npz", ("inspect", "z.npz"), 3, PIPES),
    (os.mkfifo, "fi.csv", ("inspect", "fi.csv"), 3, PIPES),
    (nothing, "", ("inspect", "n" * 300), 2, "File name too long"),
    (loop, "ld", ("inspect", "ld"), 2, "symbolic links"),
    (zeros, "z.toml", (*FIT_ROWS, "--columns", "z.toml"), 2, PIPES),
    (holding(f"{PATH} = 1"), "p.toml", (*FIT_ROWS, "--columns", "p.toml"), 2, "too deeply"),
    (os.mkfifo, "s.toml", (*FIT_ROWS, "--columns", "s.toml"), 2, PIPES),
    (holding(f"x = {DEEP}"), "sd.toml", (*FIT_ROWS, "--columns", "sd.toml"), 2, "too deeply"),
    (os.mkfifo, "r.toml", (*FIT, "--recipe", "r.toml"), 2, PIPES),
    (holding(f"steps = {LONG}"), "rn.toml", (*FIT, "--recipe", "rn.toml"), 2, "digits"),
    (holding("batch = 1000000000000"), "rb.toml", (*FIT, "--recipe", "rb.toml"), 2, "batch"),
    (nothing, "", (*FIT, "--seed", "9" * 30), 2, "^error: --seed 9+"),
    (nothing, "", (*FIT, "--threads", "9" * 12), 2, "^error: --threads 9+"),
    (nothing, "", (*FIT, "--image-size", LONG), 2, "^error: --image-size"),
    (nothing, "", (*FIT[:2], "--budget", "9" * 400 + "h"), 2, "^error: --budget"),
    (nothing, "", (*TOP_UP, "--to", "9" * 30), 2, "^error: --to"),
    (nothing, "", (*TOP_UP, "--synthetic-share", LONG), 2, "^error: --synthetic-share"),
    (nothing, "", (*SAMPLE, "--counts", 2_000_000_000), 2, "needs .* GiB"),
    (nothing, "", (*SAMPLE, "--counts", "9" * 30), 2, "take fewer"),
    (nothing, "", (*SAMPLE, "--counts", LONG), 2, "^error: --counts"),
    (nothing, "", ("evaluate", *FIT_ROWS[1:], "--folds", "9" * 30), 2, "^error: --folds 9+"),
    (nothing, "", ("evaluate", *FIT_ROWS[1:], "--n-jobs", "9" * 30), 2, "^error: --n-jobs 9+"),
    (os.mkfifo, "result.json", ("report", "result.json"), 1, PIPES),
    (holding(DEEP), "deep.json", ("report", "deep.json"), 1, "too deeply"),
    (holding(f'{{"schema": {LONG}}}'), "long.json", ("report", "long.json"), 1, "digits"),
    (piped_run("config.toml"), "m6", ("fit", "photos", "--out", "m6", "--resume"), 2, "no run"),
    (loop, "o16", (*FIT[:-1], "o16"), 74, "could not write"),
    (nothing, "", (*FIT[:-1], "t.csv/x"), 74, "could not write"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[1]} {case[2][0]} {case[4]}"[:60])
def test_a_hostile_input_ends_in_one_line_and_a_documented_code(case, home, start_command):
    prepare, name, args, code, words = case
    prepare(home / name)
    ended = start_command(*args, cwd=home)
    last = ended.stderr.splitlines()[-1]
    assert (ended.returncode, ended.stdout) == (code, ""), last
    assert last.startswith("error: ")
    assert re.search(words, last)
    assert len(last) < 1000
    assert "a bug of" not in last


@pytest.mark.parametrize("args", [("--help",), ("inspect", "t.csv", *TABLE)])
def test_a_full_standard_output_is_74(args, home, command_process):
    with open("/dev/full", "w") as full:  # noqa: PTH123  (a device)
        ended = command_process(*args, cwd=home, stdout=full)
    assert ended.returncode == 74
    said = ended.stderr.splitlines()
    assert said == ["error: could not write standard output: No space left on device"]


def test_a_parquet_file_of_more_cells_than_memory_is_not_read(tmp_path, command, monkeypatch):
    pq.write_table(pa.table({"a": [0] * 9000, "y": [0] * 9000}), tmp_path / "bomb.parquet")
    monkeypatch.setattr("gan_augment.input_files.memory_limit_bytes", lambda: 200_000)
    refused = command("inspect", "bomb.parquet", *TABLE)
    assert (refused.returncode, "18,000 cells" in refused.stderr) == (3, True)


def test_arrays_of_more_bytes_than_memory_are_not_unpacked(tmp_path, command, monkeypatch):
    np.savez_compressed(tmp_path / "bomb.npz", x=np.zeros((40, 99, 99), np.uint8), y=np.zeros(40))
    monkeypatch.setattr("gan_augment.input_files.memory_limit_bytes", lambda: 500_000)
    refused = command("inspect", "bomb.npz")
    assert (refused.returncode, "'bomb.npz'" in refused.stderr) == (3, True)


def test_a_cell_may_be_as_long_as_the_file(tmp_path, command):
    long = "x" * 300_000
    lines = [f"{long if i % 9 else i % 2},{i % 2}" for i in range(40)]
    (tmp_path / "long.csv").write_text("\n".join(["a,y", *lines, ""]))
    assert command("inspect", "long.csv", *TABLE).returncode == 0


def test_json_is_ascii(tmp_path, command):
    frame = pd.DataFrame({"größe": [i / 7 % 3 for i in range(40)], "y": ["日本", "été"] * 20})
    frame.to_csv(tmp_path / "t.csv", index=False)
    shown = command("inspect", "t.csv", *TABLE, "--json")
    assert shown.stdout.isascii()
    assert "日本" in str(json.loads(shown.stdout))
