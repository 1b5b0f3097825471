"""Every command on a table: what it writes, what it prints, how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.cli.conftest import answer

pytestmark = pytest.mark.slow


def write_table(path: Path, common: int, rare: int) -> Path:
    """A CSV with CRLF: a number near 0 or 3, a level, and the label."""
    rng = np.random.default_rng(0)
    lines = ["size,shape,kind"]
    for i in rng.permutation(common + rare):
        is_rare = i < rare
        kind, near = ("rare", 3) if is_rare else ("common", 0)
        lines.append(f"{rng.normal(near):.3f},{'ab'[int(is_rare)]},{kind}")
    path.write_bytes(("\r\n".join(lines) + "\r\n").encode())
    return path


@pytest.fixture(scope="session")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """DATA: 60 common rows and 12 rare ones."""
    return write_table(tmp_path_factory.mktemp("tables") / "parts.csv", 60, 12)


@pytest.fixture(scope="session")
def parts_run(parts, tmp_path_factory, start_command) -> Path:
    """A run of four steps on `parts`."""
    home = tmp_path_factory.mktemp("trained tables")
    flags = ("--target", "kind", "--out", "run", "--steps", 4)
    fitted = start_command("fit", parts, *flags, cwd=home)
    assert fitted.returncode == 0, fitted.stderr
    return home / "run"


def test_fit_prints_the_run_last_and_the_next_command(command, parts, tmp_path):
    fitted = command("fit", parts, "--target", "kind", "--steps", 2)
    assert fitted.returncode == 0, fitted.stderr
    assert fitted.stdout.splitlines()[-1] == "runs/parts"
    assert fitted.stderr.splitlines()[-1].endswith("parts.csv OUT.csv --model runs/parts")
    assert {path.name for path in (tmp_path / "runs" / "parts").iterdir()} >= {
        *("config.toml", "environment.json", "history.jsonl", "model", "samples.csv"),
    }


def test_choose_names_a_recipe_and_the_fit_that_takes_it(command, parts, tmp_path):
    flags = ("--target", "kind", "--recipes", "gaussian,free", "--budget", "9s", "--force")
    planned = answer(command("choose", parts, *flags[:4], "--dry-run", "--json"))
    assert planned["plan"]["recipes"] == ["gaussian", "free"]
    assert not (tmp_path / "choices").exists()
    chosen = command("choose", parts, *flags)
    assert chosen.returncode == 0, chosen.stderr
    folder, following = chosen.stdout.splitlines()[-1], chosen.stderr.splitlines()[-1]
    assert folder == "choices/parts"
    assert {path.name for path in (tmp_path / folder).iterdir()} >= {"recipe.toml", "choice.json"}
    assert following.endswith("parts.csv --target kind --recipe choices/parts/recipe.toml")


def test_augment_makes_one_file_that_begins_with_the_original(command, parts, tmp_path):
    told = answer(command("augment", parts, "out.csv", "--target", "kind", "--steps", 2, "--json"))
    assert (told["out"], told["manifest"]) == ("out.csv", "out.csv.manifest.csv")
    written = (tmp_path / "out.csv").read_bytes()
    assert written.startswith(parts.read_bytes())
    assert written.endswith(b"\r\n")
    counts = pd.read_csv(tmp_path / "out.csv")["kind"].value_counts().to_dict()
    assert counts == {"common": 60, "rare": 60}
    assert {path.name for path in tmp_path.iterdir()} == {
        *("out.csv", "out.csv.manifest.csv", ".out.csv.gan-augment.json", "runs"),
    }


def test_augment_with_a_model_needs_no_target(command, parts, parts_run, tmp_path):
    quiet = command("augment", parts, "out.csv", "--model", parts_run, "--quiet", "--mark")
    assert (quiet.returncode, quiet.stdout) == (0, "out.csv\n"), quiet.stderr
    marks = pd.read_csv(tmp_path / "out.csv")["synthetic"]
    assert (marks.dtype, int(marks.sum())) == (bool, 48)


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(command, parts, tmp_path):
    flags = ("--target", "kind", "--dry-run")
    planned = answer(command("augment", parts, "out.csv", *flags, "--json"))
    assert planned["options"]["target"] == {"value": "kind", "source": "given"}
    assert planned["options"]["budget"] == {"value": None, "source": "default"}
    assert "nothing is trained" in planned["plan"]["length"]
    assert planned["plan"]["columns"] == {"size": "numeric", "shape": "categorical"}
    assert sum(planned["counts"]["rare"].values()) == 60
    shown = command("fit", parts, *flags, "--budget", "10s").stdout
    assert "as many steps as fit into 10 s" in shown
    assert "72 rows of 2 classes; 2 columns: 1 numeric, 1 categorical" in shown
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_with_a_model_says_how_every_class_would_end(command, parts, parts_run, tmp_path):
    flags = ("augment", parts, "out.csv", "--model", parts_run, "--target", "kind", "--dry-run")
    told = answer(command(*flags, "--json"))
    done = {"real": 12, "repeat": 24, "synthetic": 24, "companion": 0}
    assert told["counts"]["rare"] == done
    assert told["options"]["target"] == {"value": "kind", "source": "given"}
    shown = command(*flags, "--companions", "--to", "0.5").stdout
    table = [line.split() for line in shown.splitlines()]
    assert ["rare", "12", "18", "18", "0", "48"] in table  # half of 96
    assert ["common", "60", "0", "0", "36", "96"] in table
    refused = command("augment", parts, "out.parquet", "--model", parts_run, "--dry-run")
    assert (refused.returncode, "out.parquet" in refused.stderr) == (2, True)
    assert list(tmp_path.iterdir()) == []
    made = answer(command(*flags[:-1], "--json"))
    assert made["counts"] == told["counts"]


def test_inspect_shows_columns_and_runs(command, parts, parts_run):
    shown = command("inspect", parts, "--target", "kind").stdout
    assert all(text in shown for text in ("size", "numeric", "rare: rare (12)", "2 levels: a, b"))
    told = answer(command("inspect", parts, "--target", "kind", "--json"))
    assert [column["name"] for column in told["columns"]] == ["size", "shape"]
    assert answer(command("inspect", parts_run, "--json"))["kind"] == "table"
    assert "table model of 2 classes" in command("inspect", parts_run).stdout


def test_kinds_of_columns_come_from_options_a_file_or_the_environment(command, parts, tmp_path):
    (tmp_path / "kinds.toml").write_text('[columns]\nsize = "categorical"\nshape = "id"\n')
    flags = ("--target", "kind", "--dry-run", "--json", "--schema", "kinds.toml")
    planned = answer(command("fit", parts, *flags, "--categorical", "shape"))
    assert planned["plan"]["columns"] == {"size": "categorical", "shape": "categorical"}
    there = {"GAN_AUGMENT_TARGET": "kind", "GAN_AUGMENT_ID": "size"}
    planned = answer(command("fit", parts, "--dry-run", "--json", env=there))
    assert planned["plan"]["columns"] == {"size": "id", "shape": "categorical"}
    (tmp_path / "settings.toml").write_text('target = "kind"\n[fit]\nid = ["size"]\n')
    planned = answer(command("fit", parts, "--dry-run", "--json", "--config", "settings.toml"))
    assert planned["plan"]["columns"] == {"size": "id", "shape": "categorical"}


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (["--steps", "1"], 2, "path,label"),
        (["--target", "kinds"], 2, "Did you mean 'kind'?"),
        (["--target", "kind", "--categorical", "sizes"], 2, "Did you mean 'size'?"),
        (["--target", "kind", "--id", "size", "--numeric", "size"], 2, "name it once"),
        (["--target", "kind", "--image-size", "8"], 2, "--image-size: for images only"),
        (["--target", "kind", "--classes", "rar"], 3, "Did you mean 'rare'?"),
        (["--target", "kind", "--schema", "none.toml"], 2, "none.toml"),
    ],
)
def test_a_usage_that_makes_no_sense_is_one_line(command, parts, tmp_path, flags, code, message):
    refused = command("fit", parts, *flags)
    assert refused.returncode == code, refused.stderr
    assert message in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_an_augment_stopped_by_ctrl_c_goes_on_to_the_same_file(command, parts, tmp_path):
    flags = ["--target", "kind", "--steps", "1000", "--run", "run", "--recipe", "anchored"]
    line = [sys.executable, "-m", "gan_augment_cli", "augment", str(parts), "out.csv", *flags]
    with subprocess.Popen(
        line, cwd=tmp_path, env=dict(os.environ), stderr=subprocess.PIPE, text=True
    ) as process:
        history = tmp_path / "run" / "history.jsonl"
        for _ in range(2400):
            if history.exists() and '"step"' in history.read_text():
                break
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert "--resume" in told.splitlines()[-1]
    assert not (tmp_path / "out.csv").exists()
    assert not list(tmp_path.rglob("*.tmp-*"))
    done = command("augment", parts, "out.csv", *flags, "--resume", "--json")
    assert answer(done)["rows"] == 120
    assert {path.name for path in tmp_path.iterdir()} == {
        *("out.csv", "out.csv.manifest.csv", ".out.csv.gan-augment.json", "run"),
    }
