"""What a plan announces is what the run writes, for every command that has a plan."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gan_augment.commands.source import read_meta
from gan_augment.data.images.png_folder import read_manifest
from gan_augment.evaluation.plan import LARGER
from gan_augment.generators import choose as chooser
from gan_augment.generators.gan import GAN
from gan_augment.generators.tabular_gan import TabularGAN
from gan_augment.generators.time_budget import Forecast
from tests.commands.test_embed import NETWORK
from tests.commands.test_signals import waves

QUICK = ("--steps", 2, "--device", "cpu", "--precision", "float32")
SHORT = ("--folds", 2, "--repeats", 1, "--steps", 2, "--n-jobs", 1, "--force")
CHOSEN = ("--target", "fraud", "--recipes", "gaussian,anchored,free", "--budget", "600s")


@pytest.fixture
def both(command):
    """Return (what `--dry-run` announces, what the command says that it did)."""

    def run(*words: object) -> tuple[dict[str, Any], dict[str, Any]]:
        said = []
        for more in (("--dry-run",), ()):
            done = command(*words, *more, "--json")
            assert done.returncode == 0, done.stderr
            said.append(json.loads(done.stdout))
        return said[0], said[1]

    return run


def drawn(out: Path) -> dict[str, dict[str, int]]:
    """Count {class: {origin: files}}; every file is in the manifest, and every row has a file."""
    rows = read_manifest(out / "manifest.csv")
    files = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert files == {row.path for row in rows} | {"manifest.csv"}
    return counted((row.label, row.origin) for row in rows)


def counted(pairs) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for (label, origin), n in Counter(pairs).items():
        counts.setdefault(label, {})[origin] = n
    return counts


def added(out: Path, **read: Any) -> dict[str, dict[str, int]]:
    """Count {class: {origin: rows}} of a table that was topped up."""
    frame = pd.read_csv(out, **read)
    manifest = pd.read_csv(f"{out}.manifest.csv")
    origins = np.full(len(frame), "real", dtype=object)
    new = manifest[~manifest["origin"].isin(["real", "table"])]
    origins[new["row"]] = new["origin"]
    assert int(manifest["row"].iloc[-1]) == len(frame)
    return counted(zip(frame["fraud"], origins, strict=True))


def without_zeros(counts: dict[str, dict[str, int]]) -> dict[str, dict[str, int]]:
    return {name: {o: n for o, n in ends.items() if n} for name, ends in counts.items()}


@pytest.mark.slow
@pytest.mark.parametrize("table", [False, True])
def test_a_fit_is_of_the_rows_classes_and_steps_announced(
    both, data_folder, table_file, tmp_path, table
):
    data = (table_file, "--target", "fraud") if table else (data_folder,)
    plan, done = both("fit", *data, "--out", "run", *QUICK)
    plan, meta = plan["plan"], read_meta(tmp_path / "run")
    assert plan["classes"] == dict(meta.classes)
    assert plan["topped_up"] == list(meta.topped_up)
    assert plan["length"] == f"{done['steps']} steps" == f"{meta.steps} steps"


@pytest.mark.parametrize("share", ["auto", "1"])
def test_images_are_topped_up_as_announced(both, run, data_folder, tmp_path, share):
    plan, done = both(
        "augment", data_folder, "out", "--model", run, "--to", 24, "--synthetic-share", share
    )
    assert without_zeros(plan["counts"]) == drawn(tmp_path / "out")
    assert plan["counts"] == done["counts"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "more",
    [
        ("--no-selection",),
        ("--selection",),  # too short for generated rows to be tried
        ("--selection", "--synthetic-share", "1"),  # bad_part has too few rows to be judged
    ],
)
def test_images_are_topped_up_as_announced_before_a_fit(both, data_folder, tmp_path, more):
    plan, done = both("augment", data_folder, "out", "--run", "run", *QUICK, *more)
    assert without_zeros(plan["counts"]) == drawn(tmp_path / "out")
    trains = more == ("--no-selection",)
    assert (done["run"] is not None) == (tmp_path / "run").is_dir() == trains


@pytest.mark.parametrize("trained", [True, False])
def test_a_table_is_topped_up_as_announced(both, table_file, table_run, tmp_path, trained):
    model = ("--model", table_run) if trained else ("--run", "run", *QUICK)
    words = ("augment", table_file, "out.csv", "--target", "fraud", "--to", 60)
    plan, _ = both(*words, *model)
    assert without_zeros(plan["counts"]) == added(tmp_path / "out.csv", sep=";", decimal=",")


def test_signals_are_topped_up_as_announced(both, tmp_path):
    x, y = waves()
    np.savez(tmp_path / "waves.npz", x=x, y=y)
    plan, _ = both("augment", "waves.npz", "out", "--run", "run", *QUICK)
    assert without_zeros(plan["counts"]) == drawn(tmp_path / "out")


@pytest.mark.parametrize("counts", [(), ("--counts", 3), ("--counts", "good=2,odd=5")])
def test_images_are_drawn_as_announced(both, run, tmp_path, counts):
    plan, done = both("sample", run, "out", *counts)
    assert plan["plan"]["counts"] == done["counts"]
    found = drawn(tmp_path / "out")
    assert {name: n["synthetic"] for name, n in found.items()} == done["counts"]


def test_rows_are_drawn_as_announced(both, table_run, tmp_path):
    plan, _ = both("sample", table_run, "out.csv", "--classes", "all", "--counts", 7)
    frame = pd.read_csv(tmp_path / "out.csv", sep=";")
    assert frame["fraud"].value_counts().to_dict() == plan["plan"]["counts"]


@pytest.mark.slow
@pytest.mark.parametrize("table", [False, True])
def test_an_evaluation_makes_the_fits_and_takes_the_time_announced(
    both, data_folder, table_file, tmp_path, table, monkeypatch
):
    ticks = SimpleNamespace(perf_counter=count().__next__, monotonic=time.monotonic)
    # a learner and its scores take 2 s, a generator 4 s
    monkeypatch.setattr("gan_augment.evaluation.plan.time", ticks)
    monkeypatch.setattr(GAN, "forecast", lambda *_, **__: Forecast(2, 3.0, 0.5))
    data = (data_folder, "--updates", 2, "--classes", "odd")
    if table:
        data = (table_file, "--target", "fraud", "--learner", "logistic")
    plan, _ = both("evaluate", *data, *SHORT, "--arms", "oversample", "--out", "report")
    text = (tmp_path / "report" / "journal.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    kinds, cells = Counter(line["kind"] for line in lines), [li for li in lines if "fold" in li]
    plan = plan["plan"]
    assert {"generators": kinds["generator"], "learners": kinds["arm"]} == plan["fits"]
    assert plan["seconds"] == kinds["generator"] * 4 + kinds["arm"] * 2 * LARGER
    assert len({line["fold"] for line in cells}) == plan["folds"]
    assert len({line["repeat"] for line in cells}) == plan["repeats"]
    assert {line["arm"] for line in cells if line["kind"] == "arm"} == set(plan["arms"])


@pytest.mark.slow
def test_images_are_translated_as_announced(both, data_folder, tmp_path):
    words = ("translate", data_folder, "out", "--from", "good", "--to", "odd,bad_part")
    plan, done = both(*words, "--run", "run", *QUICK, "--no-selection")
    assert plan["plan"]["counts"] == done["counts"]
    found = drawn(tmp_path / "out")
    assert {name: n["synthetic"] for name, n in found.items()} == plan["plan"]["counts"]


@pytest.mark.slow
def test_a_choice_tries_the_recipes_announced(both, big_table, monkeypatch):
    monkeypatch.setattr(TabularGAN, "forecast", lambda *_, **__: Forecast(100, 0.1, 0.01))
    planned = chooser.planned_steps
    few = lambda *given: {name: min(25, n) for name, n in planned(*given).items()}  # noqa: E731
    monkeypatch.setattr(chooser, "planned_steps", few)
    plan, done = both("choose", big_table, "--out", "choice", *CHOSEN)
    tried = {one["recipe"] for one in done["found"]["trials"]}
    assert tried == set(plan["plan"]["recipes"])


def test_as_many_rows_are_embedded_as_inspect_counts(command, data_folder, tmp_path, monkeypatch):
    (tmp_path / "announced_nets.py").write_text(NETWORK)
    monkeypatch.setattr(sys, "path", [*sys.path])
    counts = json.loads(command("inspect", data_folder, "--json").stdout)["classes"]
    words = ("--backbone", "announced_nets:make", "--image-size", 16, "--json")
    done = json.loads(command("embed", data_folder, "rows.parquet", *words).stdout)
    frame = pd.read_parquet(tmp_path / "rows.parquet")
    assert frame["label"].value_counts().to_dict() == counts
    assert done["rows"] == len(frame) == sum(counts.values())
