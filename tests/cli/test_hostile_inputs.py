"""Whatever a file or an option holds: one line, a documented exit code, and never a long wait."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

DEEP = "[" * 100_000 + "]" * 100_000
LONG = "9" * 5000
LONGEST_S = 300  # on a busy machine
PIPES = "regular file"
Args = tuple[object, ...]
TABLE = ("--target", "y")


@pytest.fixture(autouse=True)
def no_long_wait() -> Iterator[None]:
    """A command that waits for a pipe, or reads a device to its end, is interrupted."""

    def late(number: int, frame: object) -> None:
        raise TimeoutError(f"longer than {LONGEST_S} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(LONGEST_S)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="session")
def home(run_folder: Path, photos: Path, tmp_path_factory, start_command) -> Path:
    """A folder with photos/, t.csv, and a run of each: run/, rows/."""
    home = tmp_path_factory.mktemp("hostile")
    lines = [f"{i / 7:.3f},{i % 11},{'yes' if i % 10 == 0 else 'no'}" for i in range(60)]
    (home / "t.csv").write_text("\n".join(["a,b,y", *lines, ""]))
    (home / "photos").symlink_to(photos)
    shutil.copytree(run_folder, home / "run")
    fitted = start_command("fit", "t.csv", *TABLE, "--out", "rows", cwd=home)
    assert fitted.returncode == 0, fitted.stderr
    return home


def pipe(name: str) -> Callable[[Path], object]:
    """A pipe that nobody writes to."""
    return lambda home: (home / name).parent.mkdir(exist_ok=True) or os.mkfifo(home / name)


def zeros(name: str) -> Callable[[Path], object]:
    """A link to a device that never ends."""
    return lambda home: (home / name).symlink_to("/dev/zero")


def loop(name: str) -> Callable[[Path], object]:
    """A link to itself."""
    return lambda home: (home / name).symlink_to(name)


def text(name: str, content: str) -> Callable[[Path], object]:
    """A file of this text."""

    def write(home: Path) -> None:
        (home / name).parent.mkdir(exist_ok=True)
        (home / name).write_text(content)

    return write


def model(
    name: str, change: Callable[[dict[str, Any]], object] | str, of: str = "run"
) -> Callable[[Path], object]:
    """A copy of a run whose description claims something else, its checksum renewed."""

    def write(home: Path) -> None:
        folder = shutil.copytree(home / of, home / name) / "model"
        description = folder / "model.json"
        if callable(change):
            values = json.loads(description.read_text())
            change(values)
            content = json.dumps(values)
        else:
            content = change
        description.write_text(content)
        renew(folder, description.name)

    return write


def renew(folder: Path, file: str) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    size, digest = (folder / file).stat().st_size, hashlib.sha256((folder / file).read_bytes())
    manifest["files"][file] = {"bytes": size, "sha256": digest.hexdigest()}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def replaced(run: str, name: str, file: str, of: str = "run") -> Callable[[Path], object]:
    """A copy of a run in which a pipe stands for a file."""

    def write(home: Path) -> None:
        shutil.copytree(home / of, home / run)
        (home / run / name / file).unlink()
        os.mkfifo(home / run / name / file)

    return write


def classes(**counts: int) -> Callable[[dict[str, Any]], object]:
    return lambda values: values.update(classes=counts)


CASES: dict[str, tuple[Callable[[Path], object], Args, int, str]] = {
    "table: a pipe": (pipe("f.csv"), ("inspect", "f.csv", *TABLE), 3, PIPES),
    "table: a device": (zeros("z.csv"), ("inspect", "z.csv", *TABLE), 3, PIPES),
    "table: a link to itself": (loop("l.csv"), ("inspect", "l.csv", *TABLE), 2, "symbolic links"),
    "table: a parquet pipe": (pipe("f.parquet"), ("inspect", "f.parquet", *TABLE), 3, PIPES),
    "table: a parquet device": (zeros("z.parquet"), ("inspect", "z.parquet", *TABLE), 3, PIPES),
    "table: too wide": (
        text("wide.csv", ",".join(map(str, range(50_001))) + "\n"),
        ("inspect", "wide.csv", "--target", "0"),
        3,
        "50,001 columns; 50,000 are the limit",
    ),
    "arrays: a pipe": (pipe("f.npz"), ("inspect", "f.npz"), 3, PIPES),
    "arrays: a device": (zeros("z.npz"), ("inspect", "z.npz"), 3, PIPES),
    "image list: a pipe": (pipe("fi.csv"), ("inspect", "fi.csv"), 3, PIPES),
    "image list: a device": (zeros("zi.csv"), ("inspect", "zi.csv"), 3, PIPES),
    "data: a name too long": (text("x", ""), ("inspect", "n" * 300), 2, "File name too long"),
    "data: a link to itself": (loop("ld"), ("inspect", "ld"), 2, "symbolic links"),
    "config: a pipe": (pipe("f.toml"), ("fit", "t.csv", "--config", "f.toml"), 2, PIPES),
    "config: a device": (zeros("z.toml"), ("fit", "t.csv", "--config", "z.toml"), 2, PIPES),
    "config: deep": (
        text("d.toml", f"x = {DEEP}"),
        ("fit", "t.csv", "--config", "d.toml"),
        2,
        "nested too deeply",
    ),
    "config: dotted deep": (
        text("p.toml", ".".join("a" * 2_000) + " = 1"),
        ("fit", "t.csv", "--config", "p.toml"),
        2,
        "nested too deeply",
    ),
    "config: a long number": (
        text("n.toml", f"seed = {LONG}"),
        ("fit", "t.csv", "--config", "n.toml"),
        2,
        "no readable TOML file: .*4300 digits",
    ),
    "schema: a pipe": (pipe("s.toml"), ("fit", "t.csv", *TABLE, "--schema", "s.toml"), 2, PIPES),
    "schema: deep": (
        text("sd.toml", f"x = {DEEP}"),
        ("fit", "t.csv", *TABLE, "--schema", "sd.toml"),
        2,
        "nested too deeply",
    ),
    "recipe: a pipe": (pipe("r.toml"), ("fit", "photos", "--recipe", "r.toml"), 2, PIPES),
    "recipe: a long number": (
        text("rn.toml", f"steps = {LONG}"),
        ("fit", "photos", "--recipe", "rn.toml"),
        2,
        "4300 digits",
    ),
    "recipe: a huge batch": (
        text("rb.toml", "batch = 1000000000000"),
        ("fit", "photos", "--recipe", "rb.toml", "--out", "rb", "--steps", 2),
        2,
        "batch = 1000000000000 is refused",
    ),
    "seed: beyond 64 bits": (
        text("x", ""),
        ("fit", "photos", "--out", "o1", "--steps", 2, "--seed", "9" * 30),
        2,
        "^error: --seed 9+",
    ),
    "threads: beyond 64 bits": (
        text("x", ""),
        ("fit", "photos", "--out", "o2", "--steps", 2, "--threads", "9" * 12),
        2,
        "^error: --threads 9+",
    ),
    "workers: beyond reason": (
        text("x", ""),
        ("fit", "photos", "--out", "o3", "--steps", 2, "--workers", "9" * 12),
        2,
        "^error: --workers 9+",
    ),
    "image size: thousands of digits": (
        text("x", ""),
        ("fit", "photos", "--image-size", LONG),
        2,
        "^error: --image-size: 9+... is too long a number",
    ),
    "budget: endless": (
        text("x", ""),
        ("fit", "photos", "--budget", "9" * 400 + "h"),
        2,
        "^error: --budget: .* is no duration",
    ),
    "to: beyond 64 bits": (
        text("x", ""),
        ("augment", "t.csv", "o4.csv", *TABLE, "--to", "9" * 30),
        2,
        "^error: --to 9+",
    ),
    "share: thousands of digits": (
        text("x", ""),
        ("augment", "t.csv", "o5.csv", *TABLE, "--synthetic-share", LONG),
        2,
        "^error: --synthetic-share: .* is no number",
    ),
    "counts: beyond memory": (
        text("x", ""),
        ("sample", "run", "o6", "--counts", 2_000_000_000),
        2,
        "needs .* GiB",
    ),
    "counts: beyond 64 bits": (
        text("x", ""),
        ("sample", "rows", "o7.csv", "--counts", "9" * 30),
        2,
        "expected a whole number, 0 to",
    ),
    "counts: thousands of digits": (
        text("x", ""),
        ("sample", "rows", "o8.csv", "--counts", LONG),
        2,
        "^error: --counts: 9+... is too long",
    ),
    "folds: beyond reason": (
        text("x", ""),
        ("evaluate", "t.csv", *TABLE, "--folds", "9" * 30),
        2,
        "^error: --folds 9+",
    ),
    "processes: beyond reason": (
        text("x", ""),
        ("evaluate", "t.csv", *TABLE, "--n-jobs", "9" * 30),
        2,
        "^error: --n-jobs 9+",
    ),
    "result: a pipe": (pipe("rf/result.json"), ("report", "rf"), 1, PIPES),
    "result: deep": (text("rd/result.json", DEEP), ("report", "rd"), 1, "nested too deeply"),
    "result: a long number": (
        text("rn/result.json", f'{{"schema": {LONG}}}'),
        ("report", "rn"),
        1,
        "no readable result of an evaluation .*4300 digits",
    ),
    "model: deep": (model("m1", DEEP), ("inspect", "m1"), 1, "no valid JSON"),
    "model: huge images": (
        model("m2", lambda values: values.update(image_shape=[16384, 16384, 1024])),
        ("inspect", "m2", "--samples"),
        1,
        "drawing images of the size that this model claims needs",
    ),
    "model: classes of more rows than there are": (
        model("m3", classes(common=10**18, rare=6)),
        ("sample", "m3", "o10"),
        2,
        "needs .* GiB",
    ),
    "model: a class of a number of 4,000 digits": (
        model("m4", classes(no=10**4000, yes=6), of="rows"),
        ("sample", "m4", "o11.csv"),
        2,
        "needs .* GiB",
    ),
    "model: its manifest a pipe": (
        replaced("m5", "model", "manifest.json"),
        ("inspect", "m5"),
        1,
        PIPES,
    ),
    "run: its settings a pipe": (
        replaced("m6", "", "config.toml"),
        ("fit", "photos", "--out", "m6", "--resume"),
        2,
        "holds no run to resume",
    ),
    "run: its format a pipe": (
        replaced("m7", "", "format.json", of="rows"),
        ("sample", "m7", "o12.csv", "--counts", 2),
        1,
        "cannot be read",
    ),
    "output: the scores of its manifest deep": (
        text("o13/manifest.csv", f"path,label,origin,source,index,scores\na,b,real,,,{DEEP}\n"),
        ("sample", "run", "o13", "--overwrite", "--counts", 2),
        2,
        "is no manifest of ours .*nested too deeply",
    ),
    "output: its manifest a pipe": (
        pipe("o14/manifest.csv"),
        ("sample", "run", "o14", "--overwrite", "--counts", 2),
        2,
        "",
    ),
    "output: its record a pipe": (
        pipe("o15/.gan-augment.json"),
        ("sample", "run", "o15", "--resume", "--counts", 2),
        2,
        "cannot be read",
    ),
    "output: a link to itself": (
        loop("o16"),
        ("fit", "photos", "--out", "o16", "--steps", 2),
        74,
        "could not write 'o16",
    ),
    "output: below a file": (
        text("x", ""),
        ("fit", "photos", "--out", "t.csv/x", "--steps", 2),
        74,
        "could not write",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_input_ends_in_one_line_and_a_documented_code(name, home, start_command):
    prepare, args, code, words = CASES[name]
    prepare(home)
    ended = start_command(*args, cwd=home)
    last = ended.stderr.splitlines()[-1]
    assert (ended.returncode, ended.stdout) == (code, "")
    assert last.startswith("error: ")
    assert re.search(words, last)
    assert len(last) < 1000
    assert "a mistake of gan-augment" not in last


@pytest.mark.parametrize("args", [("--help",), ("--version",), ("inspect", "t.csv", *TABLE)])
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
    assert refused.returncode == 3
    assert "holds 18,000 cells, which need" in refused.stderr


def test_arrays_of_more_bytes_than_memory_are_not_unpacked(tmp_path, command, monkeypatch):
    np.savez_compressed(tmp_path / "bomb.npz", x=np.zeros((40, 99, 99), np.uint8), y=np.zeros(40))
    monkeypatch.setattr("gan_augment.input_files.memory_limit_bytes", lambda: 500_000)
    refused = command("inspect", "bomb.npz")
    assert refused.returncode == 3
    assert "the arrays of 'bomb.npz' need" in refused.stderr


def test_a_bundle_of_more_bytes_than_memory_is_not_read(home, start_command, monkeypatch):
    folder = shutil.copytree(home / "run", home / "sparse") / "model"
    os.truncate(folder / "tensors.safetensors", 4 << 30)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["tensors.safetensors"]["bytes"] = 4 << 30
    (folder / "manifest.json").write_text(json.dumps(manifest))
    monkeypatch.setattr("gan_augment.input_files.memory_limit_bytes", lambda: 8 << 30)
    refused = start_command("sample", "sparse", "drawn", "--counts", 2, cwd=home)
    assert refused.returncode == 1
    assert "which take 12.0 GiB, more than 60% of the 8.0 GiB" in refused.stderr


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
