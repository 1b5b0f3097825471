"""A fit on a table leaves the run that one on images leaves, and goes on as one does."""

import csv
import json
import shutil
import signal
from pathlib import Path

import pandas as pd
import pytest

from gan_augment.commands.fit import fit, plan_fit
from gan_augment.errors import (
    DataError,
    NoRareClassError,
    ResumeMismatchError,
    UsageError,
)
from gan_augment.options import FitOptions
from gan_augment.settings import read_toml
from gan_augment.training.callbacks import StopRequested
from tests.commands.conftest import StopAt

QUICK = FitOptions(target="fraud", steps=9, device="cpu", threads=1)


def model(run: Path) -> bytes:
    return (run / "model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def whole(tmp_path_factory, table_file) -> Path:
    return fit(table_file, tmp_path_factory.mktemp("whole") / "run", QUICK).run


@pytest.fixture(scope="module")
def cut(tmp_path_factory, table_file) -> Path:
    """The run of the same fit, stopped on its way."""
    run = tmp_path_factory.mktemp("cut") / "run"
    with pytest.raises(StopRequested, match="--resume") as stopped:
        fit(table_file, run, QUICK, callbacks=[StopAt(3)])
    assert stopped.value.signal == signal.SIGTERM
    return run


@pytest.fixture
def run(cut, tmp_path) -> Path:
    return Path(shutil.copytree(cut, tmp_path / "run"))


def test_a_run_folder_holds_its_settings_history_model_format_and_samples(whole):
    assert {entry.name for entry in whole.iterdir()} == {
        *("config.toml", "history.jsonl", "samples.csv", "format.json"),
        *("checkpoint.safetensors", "model.safetensors", "curves.png"),
    }
    settings = read_toml(whole / "config.toml")
    assert (settings["fit"]["target"], settings["fit"]["steps"]) == ("fraud", 9)
    assert settings["recipe"]["name"] == "anchored"


def test_the_samples_show_real_rows_beside_synthetic_ones(whole, table_file):
    text = (whole / "samples.csv").read_text()
    rows = list(csv.DictReader(text.splitlines(), delimiter=";"))
    assert list(rows[0]) == ["class", "origin", "id", "amount", "place", "day", "is_new"]
    kinds = [(row["class"], row["origin"]) for row in rows]
    assert list(dict.fromkeys(kinds)) == [
        *(("yes", "real"), ("yes", "synthetic"), ("no", "real"), ("no", "synthetic")),
    ]
    lines = {line.rpartition(";")[0] for line in table_file.read_text().splitlines()}
    real = [line for line in text.splitlines() if line.startswith("yes;real;")]
    assert all(line.removeprefix("yes;real;") in lines for line in real)


def test_the_same_call_gives_the_same_model_and_samples(table_file, whole, tmp_path):
    again = fit(table_file, tmp_path / "again", QUICK).run
    assert model(again) == model(whole)
    assert (again / "samples.csv").read_bytes() == (whole / "samples.csv").read_bytes()


def test_a_stopped_run_ends_as_an_undisturbed_one_with_no_more_than_resume(table_file, run, whole):
    assert not (run / "model.safetensors").exists()
    fit(table_file, run, resume=True)
    assert model(run) == model(whole)
    for name in ("samples.csv", "config.toml"):
        assert (run / name).read_bytes() == (whole / name).read_bytes()


@pytest.mark.parametrize(
    "changed",
    [{"target": "place"}, {"columns": {"id": "categorical"}}, {"seed": 1}, {"recipe": "free"}, {}],
)
def test_other_settings_and_other_data_are_refused_when_a_run_is_resumed(
    table_file, run, tmp_path, changed
):
    if not changed:
        lines, table_file = table_file.read_text().splitlines(), tmp_path / "other.csv"
        table_file.write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(ResumeMismatchError, match="was begun with" if changed else "data"):
        fit(table_file, run, QUICK.model_copy(update=changed), resume=True)


def test_a_plan_says_what_a_fit_would_do_and_writes_nothing(table_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plan = plan_fit(table_file, FitOptions(target="fraud"))
    told = json.loads(json.dumps(plan.to_dict()))
    assert told["target"] == "fraud"
    assert told["columns"] == {
        "id": "id",
        "amount": "numeric",
        "place": "categorical",
        "day": "datetime",
        "is_new": "categorical",
    }
    assert "nothing is trained" in plan.length
    text = "\n".join(plan.lines())
    assert "60 rows of 2 classes; 5 columns: 1 id, 1 numeric" in text
    assert list(tmp_path.iterdir()) == []


def test_a_parquet_file_is_a_table_too(table_file, tmp_path):
    frame = pd.read_csv(table_file, sep=";")
    frame.to_parquet(tmp_path / "t.parquet")
    run = fit(tmp_path / "t.parquet", tmp_path / "run", QUICK).run
    assert (run / "samples.csv").read_text().startswith("class,origin,id,amount")


GIVEN = {
    "t.parquet": "a,b\n1,2\n",
    "t.tsv": "a,b\n1,2\n",
    "t.csv": "a,b\n1,2\n",
    "x.npz": "",
    "ragged.csv": "a,fraud\n1,x\n2\n",
    "even.csv": "a,fraud\n" + "1,x\n2,y\n" * 20,
}


@pytest.mark.parametrize(
    ("name", "values", "error", "says"),
    [
        ("t.parquet", {"target": None}, UsageError, "target="),
        ("t.tsv", {"target": None}, UsageError, "target="),
        ("t.csv", {"target": None}, UsageError, "path,label.*target="),
        ("photos", {}, UsageError, "target= is for tables"),
        ("x.npz", {}, UsageError, "target= is for tables"),
        ("ragged.csv", {}, DataError, "Expected 2 columns, got 1"),
        ("even.csv", {}, NoRareClassError, "rare"),
        ("", {"target": "fraus"}, UsageError, "Did you mean 'fraud'"),
        ("", {"target": None, "columns": {"id": "numeric"}}, UsageError, "target="),
        ("", {"image_size": (8, 8)}, UsageError, "not for tables"),
        ("", {"flips": True}, UsageError, "not for tables"),
        ("", {"skip_bad": True}, UsageError, "not for tables"),
        ("", {"recipe": "gaussian"}, UsageError, "is not trained"),
        ("", {"recipe": "gaussian", "steps": None, "budget": 5}, UsageError, "is not trained"),
        ("", {"recipe": "free", "steps": 0}, UsageError, "noise"),
    ],
)
def test_data_and_options_are_refused_before_a_folder_is_made(
    table_file, tmp_path, name, values, error, says
):
    data = tmp_path / name if name else table_file
    if name == "photos":
        data.mkdir()
    elif name:
        data.write_text(GIVEN[name])
    for call in (plan_fit, fit):
        with pytest.raises(error, match=says):
            call(data, options=QUICK.model_copy(update=values), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
