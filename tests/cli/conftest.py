"""Small data and one trained run per kind, shared by all tests of the commands."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator
from PIL import Image

COUNTS = {"common": 30, "rare": 6}
PUBLISHED = Path(__file__).parents[2] / "docs" / "schema.json"
SCHEMA = Draft202012Validator(json.loads(PUBLISHED.read_text(encoding="utf-8")))

Command = Callable[..., subprocess.CompletedProcess[str]]


def write_images(folder: Path, counts: dict[str, int], side: int = 12) -> Path:
    """Write a folder per class: grey noise around a brightness, `side` px square."""
    rng = np.random.default_rng(0)
    for level, (name, count) in enumerate(counts.items()):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            pixels = rng.integers(level * 80, level * 80 + 60, (side, side), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i}.png")
    return folder


def write_table(path: Path, common: int = 60, rare: int = 16) -> Path:
    """Write a CSV with CRLF: two numbers, a level, a patient of three rows, a day, the label."""
    rng = np.random.default_rng(0)
    lines = ["size,shape,depth,patient,day,kind"]
    for row, i in enumerate(rng.permutation(common + rare)):
        size, depth = rng.normal(1.5 if i < rare else 0, 1, 2)
        kind = "rare" if i < rare else "common"
        lines.append(f"{size:.3f},{'ab'[row % 2]},{depth:.3f},p{row // 3},{row},{kind}")
    path.write_bytes(("\r\n".join(lines) + "\r\n").encode())
    return path


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file below the folder by its relative path."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def answer(run: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """Return the one JSON object of a successful command, which is of the published schema."""
    assert run.returncode == 0, run.stderr
    values: dict[str, Any] = json.loads(run.stdout)
    SCHEMA.validate(values)
    return values


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """DATA: 30 common and 6 rare images of 12 x 12 px."""
    return write_images(tmp_path_factory.mktemp("data") / "photos", COUNTS)


@pytest.fixture(scope="session")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """DATA: a table of 60 common and 16 rare rows."""
    return write_table(tmp_path_factory.mktemp("tables") / "cells.csv")


@pytest.fixture(scope="session")
def run_folder(
    photos: Path, tmp_path_factory: pytest.TempPathFactory, start_command: Command
) -> Path:
    """A run of four steps on `photos`. A test that writes to it copies it first."""
    home = tmp_path_factory.mktemp("trained")
    fitted = start_command("fit", photos, "--out", "run", "--steps", 4, cwd=home)
    assert fitted.returncode == 0, fitted.stderr
    return home / "run"


@pytest.fixture(scope="session")
def table_run(
    cells: Path, tmp_path_factory: pytest.TempPathFactory, start_command: Command
) -> Path:
    """An untrained run on `cells`."""
    home = tmp_path_factory.mktemp("tabular")
    fitted = start_command("fit", cells, "--target", "kind", "--out", "run", cwd=home)
    assert fitted.returncode == 0, fitted.stderr
    return home / "run"
