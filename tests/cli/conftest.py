"""A small folder of images, and one run trained on it, for every test of a command."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

COUNTS = {"common": 30, "rare": 6}

Command = Callable[..., subprocess.CompletedProcess[str]]


def write_images(folder: Path, counts: dict[str, int], side: int = 12) -> Path:
    """A class is a brightness: noise around it, `side` px square, grey."""
    rng = np.random.default_rng(0)
    for level, (name, count) in enumerate(counts.items()):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            pixels = rng.integers(level * 80, level * 80 + 60, (side, side), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i}.png")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below the folder by its relative path."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def answer(run: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The one JSON object of a command that went well."""
    assert run.returncode == 0, run.stderr
    values: dict[str, Any] = json.loads(run.stdout)
    assert values["schema"] == 1
    return values


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """DATA: 30 common and 6 rare images of 12 x 12 px."""
    return write_images(tmp_path_factory.mktemp("data") / "photos", COUNTS)


@pytest.fixture(scope="session")
def run_folder(
    photos: Path, tmp_path_factory: pytest.TempPathFactory, start_command: Command
) -> Path:
    """A run of four steps on `photos`. Tests read it; one that writes copies it first."""
    home = tmp_path_factory.mktemp("trained")
    fitted = start_command("fit", photos, "--out", "run", "--steps", 4, cwd=home)
    assert fitted.returncode == 0, fitted.stderr
    return home / "run"
