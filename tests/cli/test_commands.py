"""Every command on images: what it writes, what it prints, how it ends."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.cli.conftest import COUNTS, answer, contents, write_images

pytestmark = pytest.mark.slow


@pytest.fixture
def without_torch(tmp_path: Path) -> dict[str, str]:
    """An environment in which importing torch fails."""
    folder = tmp_path / "no torch"
    folder.mkdir()
    (folder / "torch.py").write_text("raise ImportError('torch was imported')")
    return {"PYTHONPATH": os.pathsep.join([str(folder), os.environ["PYTHONPATH"]])}


def test_fit_prints_the_run_last_and_the_next_command(command, photos, tmp_path):
    before = contents(photos)
    fitted = command("fit", photos, "--steps", 2)
    assert fitted.returncode == 0, fitted.stderr
    assert fitted.stdout.splitlines()[-1] == "runs/photos"
    assert fitted.stderr.splitlines()[-1].startswith("next: gan-augment augment ")
    assert (tmp_path / "runs" / "photos" / "samples.png").is_file()
    assert contents(photos) == before


def test_fit_as_json_is_one_object(command, photos, tmp_path):
    told = answer(command("fit", photos, "--steps", 2, "--json"))
    assert told["command"] == "fit"
    assert told["steps"] == 2
    assert (tmp_path / told["run"] / "model").is_dir()


def test_a_dry_run_shows_the_plan_and_writes_nothing(command, photos, tmp_path):
    shown = command("fit", photos, "--steps", 7, "--dry-run")
    assert shown.returncode == 0, shown.stderr
    assert "steps" in shown.stdout
    assert "given" in shown.stdout
    planned = answer(command("fit", photos, "--steps", 7, "--dry-run", "--json"))
    assert planned["options"]["steps"] == {"value": 7, "source": "given"}
    assert planned["plan"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("counts", [{}, {"only": 8}])
def test_data_without_two_classes_is_refused(command, tmp_path, counts):
    (tmp_path / "poor").mkdir()
    write_images(tmp_path / "poor", counts)
    assert command("fit", "poor", "--steps", 1).returncode == 3


def test_a_folder_that_is_not_there_is_one_line(command):
    refused = command("fit", "nowhere")
    assert refused.returncode in (2, 3)
    assert len(refused.stderr.splitlines()) == 1


def test_an_output_that_cannot_be_written_is_exit_74(command, photos, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    refused = command("fit", photos, "--out", "file/run", "--steps", 1)
    assert refused.returncode == 74, refused.stderr
    assert refused.stderr.splitlines()[-1].startswith("error: ")


def test_samples_are_exactly_as_many_as_asked(command, run_folder, tmp_path):
    told = answer(command("sample", run_folder, "out", "--counts", "rare=5,common=3", "--json"))
    assert told["command"] == "sample"
    names = sorted(path.name for path in (tmp_path / "out" / "rare").iterdir())
    assert names == [f"{i:06d}.png" for i in range(5)]
    assert len(list((tmp_path / "out" / "common").iterdir())) == 3


def test_augment_prints_the_folder_last_and_what_to_do_with_it(
    command, photos, run_folder, tmp_path
):
    done = command("augment", photos, "out", "--model", run_folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "out"
    assert done.stderr.splitlines()[-1] == "next: train your classifier on out as on DATA"
    assert contents(photos).items() <= contents(tmp_path / "out").items()


def test_options_of_training_come_from_the_command_a_config_and_the_environment(
    command, photos, tmp_path
):
    (tmp_path / "mine.toml").write_text('schedule = "cosine"\nd-steps = 2\n')
    planned = answer(
        command(
            *("fit", photos, "--until", "score=0.2", "--optimiser", "adamw", "--rate", "2e-4"),
            *("--config", "mine.toml", "--dry-run", "--json"),
            env={"GAN_AUGMENT_PATIENCE": "3"},
        )
    )
    recipe = planned["plan"]["recipe"]
    assert recipe["stop"] == {"score": 0.2, "patience": 3}
    for part in ("generator_optimiser", "discriminator_optimiser"):
        assert (recipe[part]["name"], recipe[part]["rate"]) == ("adamw", 2e-4)
    assert (recipe["schedule"]["name"], recipe["d_steps"]) == ("cosine", 2)
    sources = {name: one["source"] for name, one in planned["options"].items()}
    assert sources["until"] == "given"
    assert sources["patience"] == "environment GAN_AUGMENT_PATIENCE"
    assert sources["d_steps"] == "config mine.toml"


def test_a_dry_run_of_augment_shows_the_counts_at_the_end(command, photos):
    planned = answer(command("augment", photos, "out", "--dry-run", "--json", "--no-companions"))
    ends = {"real": 6, "repeat": 12, "synthetic": 12, "companion": 0}
    assert planned["counts"]["rare"] == ends
    shown = command("augment", photos, "out", "--dry-run", "--no-companions").stdout
    assert ["rare", "6", "12", "12", "0", "30"] in [line.split() for line in shown.splitlines()]


def test_inspect_says_what_data_holds_without_torch(command_process, photos, without_torch):
    told = answer(command_process("inspect", photos, "--json", env=without_torch))
    assert told["command"] == "inspect"
    assert json.dumps(COUNTS) in json.dumps(told)
    shown = command_process("inspect", photos, env=without_torch).stdout
    assert "rare" in shown


def test_recipes_are_listed_and_a_printed_one_is_taken_as_a_file(
    command, command_process, photos, tmp_path, without_torch
):
    listed = command_process("recipes", env=without_torch).stdout
    assert "\nminimax " in listed
    assert answer(command("recipes", "--json", "--data", "table"))["gaussian"]["source"] == "own"
    printed = command("recipes", "lsgan").stdout
    (tmp_path / "mine.toml").write_text(printed)
    planned = answer(
        command("fit", photos, "--recipe", "mine.toml", "--dry-run", "--json", "--steps", 3)
    )
    assert planned["plan"]["recipe"]["name"] == "lsgan"
    refused = command("recipes", "lsgam")
    assert refused.returncode == 2
    assert "Did you mean 'lsgan'?" in refused.stderr


@pytest.mark.slow
def test_a_class_that_selection_cannot_serve_ends_sample_with_3_and_the_cure(
    photos, command, tmp_path
):
    fitted = command("fit", photos, "--out", "run", "--steps", 4, "--selection")
    assert fitted.returncode == 0, fitted.stderr
    assert "rare    refused: 6 training images of 'rare'" in fitted.stdout
    sampled = command("sample", "run", "out", "--counts", 3)
    assert sampled.returncode == 3
    assert "--no-selection" in sampled.stderr
    shown = command("inspect", "run", "--samples")
    assert shown.stdout.splitlines()[-1] == "look at run/candidates.png"
    assert (tmp_path / "run" / "candidates.png").read_bytes().startswith(b"\x89PNG")
    assert command("inspect", "run", "--samples", "--out", "kept.png").returncode == 0
    assert (tmp_path / "kept.png").is_file()
    assert command("inspect", photos, "--samples").returncode == 2
    assert command("inspect", "run", "--out", "more.png").returncode == 2


def test_translate_says_what_it_would_draw_and_writes_nothing(command, photos, tmp_path):
    arguments = ("translate", photos, "out", "--from", "common", "--to", "rare", "--dry-run")
    shown = command(*arguments)
    assert shown.returncode == 0, shown.stderr
    assert "15 images of rare, from 30 rows" in shown.stdout
    planned = answer(command(*arguments, "--counts", "rare=4", "--json"))
    assert planned["plan"] == {"counts": {"rare": {"rare": 4}}, "sources": {"rare": 30}}
    assert list(tmp_path.iterdir()) == []


def test_translate_prints_the_folder_last_and_its_run_draws_the_same_again(
    command, photos, tmp_path
):
    before = contents(photos)
    arguments = ("--from", "all", "--to", "rare", "--counts", 5)
    drawn = command("translate", photos, "out", *arguments, "--steps", 2, "--run", "run")
    assert drawn.returncode == 0, drawn.stderr
    assert drawn.stdout.splitlines()[-1] == "out"
    assert "5 images by stargan" in drawn.stdout
    told = answer(command("translate", photos, "two", *arguments, "--model", "run", "--json"))
    assert (told["command"], told["counts"]) == ("translate", {"rare": 5})
    out, two = (
        {k: v for k, v in contents(tmp_path / name).items() if k.endswith(("png", "csv"))}
        for name in ("out", "two")
    )
    assert len(out) == 6
    assert out == two
    assert contents(photos) == before


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--from", "common", "--to", "rarer"), 3, "Did you mean 'rare'?"),
        (("--from", "rare", "--to", "rare"), 2, "different classes"),
        (("--from", "rare", "--to", "common", "--counts", 7), 3, "6 rows are there"),
        (("--from", "rare", "--to", "common", "--recipe", "anchored"), 2, "stargan, cyclegan"),
        (("--from", "rare", "--to", "common", "--domain", "site"), 2, "'site' names a column"),
        (("--from", "rare", "--to", "common", "--counts", 0), 2, "nothing to draw"),
    ],
)
def test_translate_refuses_in_one_line_before_it_trains(
    command, photos, tmp_path, words, code, said
):
    refused = command("translate", photos, "out", *words, "--steps", 2)
    assert refused.returncode == code, refused.stderr
    assert said in refused.stderr.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []
