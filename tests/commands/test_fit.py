"""A fit and its run folder: what it leaves, refuses, goes on with, and never loses."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan_augment.commands import fit as fitting
from gan_augment.commands.fit import fit, plan_fit
from gan_augment.commands.writing import run_folder
from gan_augment.errors import (
    DivergedError,
    ModelFileError,
    NoRareClassError,
    OutputExistsError,
    ResumeMismatchError,
    UnknownClassError,
    UsageError,
    WriteFailedError,
)
from gan_augment.generators import load_model
from gan_augment.generators.image_gan import ImageGAN
from gan_augment.options import FitOptions
from gan_augment.recipes import resolve_recipe
from gan_augment.settings import read_toml
from gan_augment.training import loop
from gan_augment.training.callbacks import StopRequested
from gan_augment.training.checkpoint import saved_step
from tests.commands.conftest import Notes, StopAt, contents

pytestmark = pytest.mark.slow
QUICK = FitOptions(steps=20, device="cpu", threads=1, precision="float32", selection=False)
COUNTS = {"good": 24, "odd": 10, "bad": 4}


def model(run: Path) -> bytes:
    return (run / "model.safetensors").read_bytes()


def events(run: Path, kind: str) -> list[int]:
    lines = (run / "history.jsonl").read_text().splitlines()
    return [e["step"] for e in map(json.loads, lines) if e["event"] == kind]


def stopped_at(step: int, data: Path, run: Path, options: FitOptions = QUICK) -> Path:
    """A run folder of a fit that was stopped after `step`."""
    with pytest.raises(StopRequested):
        fit(data, run, options, callbacks=[StopAt(step, "score")])
    return run


@pytest.fixture(scope="module")
def data(tmp_path_factory, make_classes) -> Path:
    return make_classes(tmp_path_factory.mktemp("given") / "parts", COUNTS)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, data) -> Path:
    """The run of an undisturbed fit; a test that changes it copies it."""
    return fit(data, tmp_path_factory.mktemp("whole") / "run", QUICK).run


@pytest.fixture(scope="module")
def cut(tmp_path_factory, data) -> Path:
    """The run of the same fit, stopped at step 12; a test that changes it copies it."""
    return stopped_at(12, data, tmp_path_factory.mktemp("cut") / "run")


@pytest.fixture
def run(cut, tmp_path) -> Path:
    """The stopped run, to be changed."""
    return Path(shutil.copytree(cut, tmp_path / "run"))


@pytest.fixture
def done(whole, tmp_path) -> Path:
    """The finished run, to be changed."""
    return Path(shutil.copytree(whole, tmp_path / "done"))


@pytest.fixture
def untrained(monkeypatch):
    """Any training fails the test."""

    def refuse(*args, **kwargs):
        pytest.fail("it trained")

    monkeypatch.setattr(ImageGAN, "fit", refuse)


# What a run leaves


def test_a_run_folder_holds_its_settings_history_model_checkpoint_and_samples(whole):
    assert {entry.name for entry in whole.iterdir()} == {
        *("config.toml", "history.jsonl", "samples.png", "curves.png"),
        *("checkpoint.safetensors", "model.safetensors"),
    }
    assert saved_step(whole / "checkpoint.safetensors") == 20


def test_the_samples_are_a_picture_of_every_class(whole):
    with Image.open(whole / "samples.png") as picture:
        picture.load()
        assert picture.mode == "RGB"
        assert picture.height > len(COUNTS) * 2 * 48


def test_every_tenth_of_the_run_is_scored_and_written_down_once(whole):
    assert events(whole, "score") == sorted({3, *range(2, 21, 2)})
    assert events(whole, "stop") == []


def test_the_data_is_not_written_into_and_global_numbers_stay(data, tmp_path):
    before, numbers = contents(data), np.random.get_state()[1].tobytes()  # noqa: NPY002
    fit(data, tmp_path / "run", QUICK.model_copy(update={"steps": 1}))
    assert contents(data) == before
    assert np.random.get_state()[1].tobytes() == numbers  # noqa: NPY002


def test_the_same_call_gives_the_same_model_and_picture(data, whole, tmp_path):
    again = fit(data, tmp_path / "again", QUICK).run
    assert model(again) == model(whole)
    for picture in ("samples.png", "curves.png"):
        assert contents(again)[picture] == contents(whole)[picture]


def test_a_run_is_named_after_its_data_then_numbered(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def begun(plan, *_, **__):
        (plan.run / "x").touch()

    monkeypatch.setattr(fitting, "_train", begun)
    heard = Notes()
    for _ in range(3):
        fit(data, options=QUICK, progress=heard)
    assert {p.name for p in Path("runs").iterdir()} == {"parts", "parts-2", "parts-3"}
    told = [note for note in heard.notes if "exists, so" in note]
    assert [("'runs/parts-2'" in one, "'runs/parts-3'" in one) for one in told] == [
        (True, False),
        (True, True),
    ]


def test_the_steps_that_a_budget_became_repeat_the_run(data, tmp_path, monkeypatch):
    timed = "gan_augment.generators.gan.step_seconds"
    monkeypatch.setattr(timed, lambda *_: 0.03)  # so that 6 s are about 100 steps
    budget = QUICK.model_copy(update={"steps": None, "budget": 6.0})
    first = fit(data, tmp_path / "first", budget)
    settings = read_toml(first.run / "config.toml")
    assert settings["fit"]["steps"] == first.steps
    threads = settings["resolved"]["threads"]
    repeat = QUICK.model_copy(update={"steps": first.steps, "threads": threads})
    assert model(fit(data, tmp_path / "second", repeat).run) == model(first.run)


@pytest.mark.parametrize(
    "names", [('a,b "c"\\', "ünï ☃", "%2e%2e"), ("rare", "[fit]", "-x"), ("x" * 200, "'", "#")]
)
def test_odd_class_names_come_back_as_they_were(names, make_classes, tmp_path):
    data = make_classes(tmp_path / "data", {"plain": 20, **dict.fromkeys(names, 2)})
    quick = QUICK.model_copy(update={"steps": 1})
    run = fit(data, tmp_path / "run", quick).run
    assert set(load_model(run).topped_up_) == set(names)
    assert set(read_toml(run / "config.toml")["fit"]["classes"]) == set(names)
    (run / "model.safetensors").unlink()
    assert set(load_model(fit(data, run, resume=True).run).classes_) == {
        "plain",
        *names,
    }


@pytest.mark.parametrize("channels", [2, 5])
def test_arrays_of_any_number_of_channels_can_be_fitted(channels, tmp_path):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (24, 8, 8, channels), dtype=np.uint8)
    np.savez(tmp_path / "data.npz", x=pixels, y=["a"] * 20 + ["b"] * 4)
    quick = QUICK.model_copy(update={"steps": 1})
    assert fit(tmp_path / "data.npz", tmp_path / "run", quick).samples.is_file()


# What is refused, and planned


def test_a_used_folder_is_refused_and_left_as_it_was(data, done, untrained):
    before = contents(done)
    with pytest.raises(OutputExistsError, match="overwrite="):
        fit(data, done, QUICK)
    assert contents(done) == before


def test_overwriting_replaces_a_run_and_keeps_what_is_not_its_own(data, done, whole):
    (done / "notes.txt").write_text("mine")
    other = QUICK.model_copy(update={"steps": 2, "seed": 1})
    fit(data, done, other, overwrite=True)
    assert (done / "notes.txt").read_text() == "mine"
    assert saved_step(done / "checkpoint.safetensors") == 2
    assert model(done) != model(whole)


@pytest.mark.parametrize("config", [None, "", "name = 'mine'\n[model]\n", "no toml"])
def test_a_folder_without_a_run_is_never_overwritten(data, tmp_path, config, untrained):
    out = tmp_path / "project"
    (out / "model.safetensors").mkdir(parents=True)
    (out / "model.safetensors" / "mine.bin").write_bytes(b"mine")
    (out / "db.old-2023").mkdir()
    (out / "db.old-2023" / "mine.bin").write_bytes(b"mine")
    if config is not None:
        (out / "config.toml").write_text(config)
    before = contents(out)
    with pytest.raises(OutputExistsError, match="holds no run"):
        fit(data, out, QUICK, overwrite=True)
    with pytest.raises(ResumeMismatchError, match="holds no run"):
        fit(data, out, QUICK, resume=True)
    assert contents(out) == before


def test_an_earlier_run_survives_an_overwriting_that_cannot_begin(data, done, make_classes):
    before = contents(done)
    with pytest.raises(UnknownClassError):
        fit(data, done, QUICK.model_copy(update={"classes": "bda"}), overwrite=True)
    even = make_classes(done.parent / "even", {"a": 4, "b": 4})
    with pytest.raises(NoRareClassError):
        fit(even, done, QUICK, overwrite=True)
    assert contents(done) == before


def test_a_run_is_never_written_into_the_data(data, make_classes, tmp_path, monkeypatch):
    with pytest.raises(UsageError, match="never written to"):
        fit(data, data / "run", QUICK)
    here = make_classes(tmp_path / "here", COUNTS)
    before = contents(here)
    monkeypatch.chdir(here)
    for what in (fit, plan_fit):
        with pytest.raises(UsageError, match="never written to"):
            what(".", options=QUICK)
    assert contents(here) == before


def test_a_class_that_is_not_there_is_named_with_the_nearest_one(data, tmp_path):
    with pytest.raises(UnknownClassError, match="Did you mean 'bad'"):
        fit(data, tmp_path / "run", QUICK.model_copy(update={"classes": "bda"}))
    assert not (tmp_path / "run").exists()


def test_images_of_no_steps_are_refused_before_a_folder_is_made(data, tmp_path):
    for what in (fit, plan_fit):
        with pytest.raises(UsageError, match="steps=0: expected a whole number of 1 or more"):
            what(data, options=QUICK.model_copy(update={"steps": 0}), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_no_rare_class_is_exit_code_3_with_the_counts(make_classes, tmp_path, command):
    data = make_classes(tmp_path / "even", {"a": 4, "b": 4})
    refused = command("fit", data, "--out", "run", "--steps", 1)
    assert refused.returncode == 3
    assert "'a'" in refused.stderr or "a (4)" in refused.stderr
    assert "--classes" in refused.stderr
    assert not (tmp_path / "run").exists()


def test_resume_without_a_folder_finds_the_last_unfinished_run(
    data, cut, whole, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"nothing unfinished.*out="):
        fit(data, resume=True)
    assert not Path("runs").exists()
    for name, run in (("parts", whole), ("parts-2", cut), ("parts-3", whole)):
        shutil.copytree(run, Path("runs") / name)
    assert fit(data, resume=True).run == Path("runs/parts-2")
    assert model(Path("runs/parts-2")) == model(whole)


def test_a_refused_resume_names_every_setting_that_differs(data, run):
    with pytest.raises(ResumeMismatchError, match=r"recipe = 'anchored', seed = 0, not .*'free'"):
        fit(data, run, FitOptions(recipe="free", seed=3), resume=True)


def test_a_plan_says_what_a_fit_would_do_and_writes_nothing(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plan = plan_fit(data, QUICK)
    assert (plan.run.as_posix(), plan.data.topped_up, plan.length) == (
        "runs/parts",
        ("bad",),
        "20 steps",
    )
    assert plan.data.counts == COUNTS
    assert json.loads(json.dumps(plan.to_dict()))["image_shape"] == [8, 8, 1]
    assert list(tmp_path.iterdir()) == []


def test_the_plan_of_a_recipe_that_is_not_trained_speaks_of_no_steps(data_folder):
    for more in ({}, {"steps": 3}, {"budget": 60.0}):
        plan = plan_fit(data_folder, FitOptions(recipe="fourier", **more))
        assert plan.length == "nothing is trained"


# Stopped, and resumed


def test_a_stopped_run_ends_as_an_undisturbed_one(data, run, whole):
    assert not (run / "model.safetensors").exists()
    assert events(run, "stop") == [12]
    fit(data, run, resume=True)
    assert model(run) == model(whole)
    assert contents(run)["samples.png"] == contents(whole)["samples.png"]
    assert events(run, "score") == events(whole, "score")


def test_the_settings_it_began_with_may_be_repeated(data, run, whole, monkeypatch):
    asked = QUICK.model_copy(update={"classes": "bad", "recipe": "anchored", "skip_bad": True})
    fit(data, run, asked, resume=True)
    assert model(run) == model(whole)


@pytest.mark.parametrize(
    "other",
    [{"steps": 40}, {"seed": 1}, {"classes": "odd"}, {"recipe": "free"}, {"flips": True},
     {"precision": "bf16"}, {"threads": 2}, {"image_size": (12, 12)}],
    ids=lambda other: next(iter(other)),
)  # fmt: skip
def test_other_settings_are_refused_by_name_and_change_nothing(data, run, other, untrained):
    before = contents(run)
    with pytest.raises(ResumeMismatchError, match=next(iter(other))):
        fit(data, run, FitOptions(**other), resume=True)
    assert contents(run) == before


def test_other_data_is_refused_and_changes_nothing(run, make_classes, tmp_path):
    before = contents(run)
    other = make_classes(tmp_path / "other", {**COUNTS, "bad": 3})
    with pytest.raises(ResumeMismatchError, match="another data"):
        fit(other, run, resume=True)
    assert contents(run) == before


def test_a_finished_run_is_not_trained_again_and_keeps_every_byte(data, done, untrained):
    before, heard = contents(done), Notes()
    result = fit(data, done, resume=True, progress=heard)
    assert any("finished" in note for note in heard.notes)
    assert contents(done) == before
    assert (result.steps, result.score is not None) == (20, True)


@pytest.mark.parametrize("lost", ["model.safetensors", "samples.png"])
def test_what_a_finished_run_lost_is_made_again_from_its_last_checkpoint(data, done, whole, lost):
    path = done / lost
    path.unlink()
    fit(data, done, resume=True)
    assert model(done) == model(whole)
    assert contents(done)["samples.png"] == contents(whole)["samples.png"]
    assert events(done, "score") == events(whole, "score")


def test_a_damaged_checkpoint_is_refused_and_named(data, run):
    weights = run / "checkpoint.safetensors"
    weights.write_bytes(weights.read_bytes()[:-9])
    with pytest.raises(ModelFileError, match=r"checkpoint.safetensors.*fit again"):
        fit(data, run, resume=True)


def test_a_run_stopped_before_its_first_checkpoint_begins_again(data, run, whole):
    (run / "checkpoint.safetensors").unlink()
    fit(data, run, resume=True)
    assert model(run) == model(whole)
    assert events(run, "score") == events(whole, "score")


def test_a_torn_last_line_of_the_history_is_dropped(data, run, whole):
    with (run / "history.jsonl").open("a") as file:
        file.write('{"event": "sco')
    fit(data, run, resume=True)
    assert events(run, "score") == events(whole, "score")


def test_training_that_diverges_leaves_the_best_generator_so_far(data, tmp_path, monkeypatch):
    real = loop.train

    def diverging(run):
        run.steps, planned = 10, run.steps
        real(run)
        run.steps = planned
        raise DivergedError("non-finite numbers")

    monkeypatch.setattr("gan_augment.generators.gan.train", diverging)
    with pytest.raises(DivergedError):
        fit(data, tmp_path / "run", QUICK)
    assert load_model(tmp_path / "run").sample({"bad": 2}).counts["bad"] == 2
    assert (tmp_path / "run" / "samples.png").is_file()


def test_a_terminated_process_leaves_with_143_and_its_run_ends_as_an_undisturbed_one(
    data, tmp_path, command, full_scorers
):
    arguments = ["fit", data, "--steps", 80, "--precision", "float32"]
    line = [sys.executable, "-m", "gan_augment_cli", *map(str, arguments), "--out", "cut"]
    with subprocess.Popen(line, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 300
        while (saved_step(tmp_path / "cut" / "checkpoint.safetensors") or 0) < 16:
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 143
    last = told.splitlines()[-1]
    assert f"gan-augment fit {data} --out cut --resume" in last
    assert not list(tmp_path.rglob("*.tmp-*"))
    assert not (tmp_path / "cut" / "model.safetensors").exists()
    assert command("fit", data, "--out", "cut", "--resume").returncode == 0
    assert command(*arguments, "--out", "whole").returncode == 0
    assert model(tmp_path / "cut") == model(tmp_path / "whole")


# A disk that refuses


@pytest.mark.parametrize("function", ["mkdir", "open"])
def test_a_read_only_place_is_exit_code_74_in_one_line(data, tmp_path, refuse, function):
    refuse(function, errno.EROFS, on=True)
    with pytest.raises(WriteFailedError, match="read-only") as caught:
        fit(data, tmp_path / "run", QUICK)
    assert (caught.value.exit_code, "\n" in str(caught.value)) == (74, False)


@pytest.mark.parametrize("nth", [2, 9])
def test_a_full_disk_during_training_leaves_a_whole_checkpoint_to_go_on_from(
    data, run, whole, monkeypatch, refuse, nth
):
    with monkeypatch.context():
        refuse("fsync", errno.ENOSPC, nth, on=True)
        with pytest.raises(WriteFailedError, match=r"[Ff]ree") as caught:
            fit(data, run, resume=True)
        monkeypatch.undo()
    assert "\n" not in str(caught.value)
    assert not list(run.rglob("*.tmp-*"))
    fit(data, run, resume=True)
    assert model(run) == model(whole)
    assert events(run, "score") == events(whole, "score")


def test_a_full_disk_at_the_history_is_said_in_one_line(data, run, whole, monkeypatch):
    real = Path.open

    def full(self, mode="r", *args, **kwargs):
        if self.name == "history.jsonl" and mode == "a":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(self, mode, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        with pytest.raises(WriteFailedError, match=r"history\.jsonl"):
            fit(data, run, resume=True)
    fit(data, run, resume=True)
    assert model(run) == model(whole)


def test_a_full_disk_at_the_end_keeps_the_model_that_was_there(data, done, monkeypatch, refuse):
    before, save = model(done), ImageGAN.save
    (done / "samples.png").unlink()

    def save_on_a_full_disk(gan, folder):
        refuse("fsync", errno.ENOSPC)
        save(gan, folder)

    monkeypatch.setattr(ImageGAN, "save", save_on_a_full_disk)
    with pytest.raises(WriteFailedError):
        fit(data, done, resume=True)
    assert model(done) == before


def test_two_processes_never_train_into_one_folder(data, tmp_path, command):
    with run_folder(tmp_path / "run", resume=False, overwrite=False):
        refused = command("fit", data, "--out", "run", "--steps", 1)
    assert refused.returncode == 75
    assert not (tmp_path / "run").exists()


# Options of training


def test_flips_change_only_what_d_sees(data, tmp_path):
    recipe, usual = (
        plan_fit(data, FitOptions(flips=True), tmp_path / "run").recipe,
        resolve_recipe("auto"),
    )
    assert recipe.augment == usual.augment.model_copy(update={"flips": True})
    assert recipe.objective == usual.objective


def test_flips_of_a_table_are_refused(tmp_path):
    table = tmp_path / "parts.csv"
    table.write_text("size,kind\n" + "".join(f"{i * i % 17},{'ab'[i % 2]}\n" for i in range(40)))
    with pytest.raises(UsageError, match="flips=: not for tables"):
        plan_fit(table, FitOptions(target="kind", classes="all", flips=True))
