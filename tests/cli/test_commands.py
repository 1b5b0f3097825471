"""Every command on images and tables: written files, printed lines, exit codes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pandas as pd
import pytest

from tests.cli.conftest import COUNTS, answer, contents, write_images

pytestmark = pytest.mark.slow
TABLE = ("--target", "kind")


def test_fit_prints_the_run_last_and_the_next_command(command, photos, tmp_path):
    before = contents(photos)
    fitted = command("fit", photos, "--steps", 2)
    assert fitted.returncode == 0, fitted.stderr
    assert fitted.stdout.splitlines()[-1] == "runs/photos"
    assert fitted.stderr.splitlines()[-1].startswith("next: gan-augment augment ")
    assert (tmp_path / "runs" / "photos" / "samples.png").is_file()
    assert contents(photos) == before


def test_fit_of_a_table_writes_a_run(command, cells, tmp_path):
    fitted = command("fit", cells, *TABLE)
    assert fitted.stdout.splitlines()[-1] == "runs/cells"
    assert fitted.stderr.splitlines()[-1].endswith("cells.csv OUT.csv --model runs/cells")
    assert (tmp_path / "runs" / "cells" / "samples.csv").is_file()


def test_a_dry_run_shows_the_plan_and_writes_nothing(command, photos, cells, tmp_path):
    shown = command("fit", photos, "--steps", 7, "--dry-run")
    assert shown.returncode == 0, shown.stderr
    planned = answer(command("fit", photos, "--steps", 7, "--dry-run", "--json"))
    assert planned["options"]["steps"] == {"value": 7, "source": "given"}
    planned = answer(command("augment", cells, "out.csv", *TABLE, "--dry-run", "--json"))
    assert planned["options"]["target"] == {"value": "kind", "source": "given"}
    assert planned["options"]["budget"] == {"value": None, "source": "default"}
    assert sum(planned["counts"]["rare"].values()) == 60
    assert planned["plan"]["columns"]["size"] == "numeric"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("counts", [{}, {"only": 8}])
def test_data_without_two_classes_is_refused(command, tmp_path, counts):
    (tmp_path / "poor").mkdir()
    write_images(tmp_path / "poor", counts)
    assert command("fit", "poor", "--steps", 1).returncode == 3


def test_options_of_training_come_from_the_command_a_config_and_the_environment(
    command, photos, tmp_path
):
    (tmp_path / "mine.toml").write_text('schedule = "cosine"\nd-steps = 2\n')
    planned = answer(
        command(
            *("fit", photos, "--until", "score=0.2", "--optimiser", "rmsprop", "--rate", "2e-4"),
            *("--config", "mine.toml", "--dry-run", "--json"),
            env={"GAN_AUGMENT_PATIENCE": "3"},
        )
    )
    recipe = planned["plan"]["recipe"]
    assert recipe["stop"] == {"score": 0.2, "patience": 3}
    for part in ("generator_optimiser", "discriminator_optimiser"):
        assert (recipe[part]["name"], recipe[part]["rate"]) == ("rmsprop", 2e-4)
    assert (recipe["schedule"]["name"], recipe["d_steps"]) == ("cosine", 2)
    sources = {name: one["source"] for name, one in planned["options"].items()}
    assert sources["patience"] == "environment GAN_AUGMENT_PATIENCE"


@pytest.mark.parametrize(
    ("columns", "env", "kinds"),
    [
        ("kinds.toml", {}, ("categorical", "id")),
        ("size=categorical", {}, ("categorical", "categorical")),
        (None, {"GAN_AUGMENT_COLUMNS": "size=id"}, ("id", "categorical")),
    ],
)
def test_kinds_of_columns_come_from_text_a_file_or_the_environment(
    command, cells, tmp_path, columns, env, kinds
):
    (tmp_path / "kinds.toml").write_text('[columns]\nsize = "categorical"\nshape = "id"\n')
    flags = () if columns is None else ("--columns", columns)
    planned = answer(command("fit", cells, *TABLE, *flags, "--dry-run", "--json", env=env))
    assert (planned["plan"]["columns"]["size"], planned["plan"]["columns"]["shape"]) == kinds


def test_samples_are_exactly_as_many_as_asked(command, run_folder, tmp_path):
    told = answer(command("sample", run_folder, "out", "--counts", "rare=5,common=3", "--json"))
    assert told["command"] == "sample"
    names = sorted(path.name for path in (tmp_path / "out" / "rare").iterdir())
    assert names == [f"{i:06d}.png" for i in range(5)]
    assert len(list((tmp_path / "out" / "common").iterdir())) == 3


def test_augment_prints_the_folder_last_and_the_next_step(command, photos, run_folder, tmp_path):
    done = command("augment", photos, "out", "--model", run_folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "out"
    assert done.stderr.splitlines()[-1] == "next: train your classifier on out as on DATA"
    assert contents(photos).items() <= contents(tmp_path / "out").items()


def test_augment_of_a_table_is_one_file_that_begins_with_the_original(
    command, cells, table_run, tmp_path
):
    told = answer(command("augment", cells, "out.csv", *TABLE, "--json"))
    assert (told["out"], told["manifest"]) == ("out.csv", "out.csv.manifest.csv")
    written = (tmp_path / "out.csv").read_bytes()
    assert written.startswith(cells.read_bytes())
    assert written.endswith(b"\r\n")
    counts = pd.read_csv(tmp_path / "out.csv")["kind"].value_counts().to_dict()
    assert counts == {"common": 60, "rare": 60}
    quiet = command("augment", cells, "two.csv", "--model", table_run, "--quiet", "--mark")
    assert (quiet.returncode, quiet.stdout) == (0, "two.csv\n"), quiet.stderr
    assert pd.read_csv(tmp_path / "two.csv")["synthetic"].sum() == 44


def test_a_dry_run_with_a_model_shows_how_every_class_would_end(
    command, cells, table_run, tmp_path
):
    flags = ("augment", cells, "out.csv", "--model", table_run, *TABLE)
    told = answer(command(*flags, "--dry-run", "--json"))
    done = {"real": 16, "repeat": 22, "synthetic": 22, "companion": 0}
    assert told["counts"]["rare"] == done
    shown = command(*flags, "--dry-run").stdout
    assert ["rare", "16", "22", "22", "0", "60"] in [line.split() for line in shown.splitlines()]
    refused = command("augment", cells, "out.parquet", "--model", table_run, "--dry-run")
    assert (refused.returncode, "out.parquet" in refused.stderr) == (2, True)
    assert list(tmp_path.iterdir()) == []
    assert answer(command(*flags, "--json"))["counts"] == told["counts"]


def test_inspect_describes_data_and_runs(command, command_process, photos, cells, table_run):
    told = answer(command("inspect", photos, "--json"))
    assert json.dumps(COUNTS) in json.dumps(told)
    shown = command("inspect", cells, *TABLE).stdout
    assert all(text in shown for text in ("size", "numeric", "rare (16)", "2 levels: a, b"))
    assert answer(command("inspect", table_run, "--json"))["kind"] == "table"


def test_a_class_that_selection_cannot_serve_ends_sample_with_3_and_the_cure(
    photos, command, tmp_path
):
    fitted = command("fit", photos, "--out", "run", "--steps", 4, "--selection")
    assert fitted.returncode == 0, fitted.stderr
    assert "refused" in fitted.stdout
    sampled = command("sample", "run", "out", "--counts", 3)
    assert sampled.returncode == 3
    assert "--no-selection" in sampled.stderr
    shown = command("inspect", "run", "--samples")
    assert shown.stdout.splitlines()[-1] == "look at run/candidates.png"
    assert (tmp_path / "run" / "candidates.png").read_bytes().startswith(b"\x89PNG")
    assert command("inspect", "run", "--samples", "--out", "kept.png").returncode == 0
    assert (tmp_path / "kept.png").is_file()


def test_recipes_are_listed_and_a_printed_one_is_taken_as_a_file(command, photos, tmp_path):
    assert "\nminimax " in command("recipes").stdout
    assert answer(command("recipes", "--json", "--data", "table"))["gaussian"]["source"] == "own"
    (tmp_path / "mine.toml").write_text(command("recipes", "lsgan").stdout)
    flags = ("--recipe", "mine.toml", "--dry-run", "--json", "--steps", 3)
    assert answer(command("fit", photos, *flags))["plan"]["recipe"]["name"] == "lsgan"


def test_choose_names_a_recipe_and_the_fit_that_takes_it(command, cells, tmp_path):
    flags = (*TABLE, "--recipes", "gaussian,free", "--budget", "9s", "--force")
    planned = answer(command("choose", cells, *flags, "--dry-run", "--json"))
    assert planned["plan"]["recipes"] == ["gaussian", "free"]
    assert not (tmp_path / "choices").exists()
    chosen = command("choose", cells, *flags)
    assert chosen.returncode == 0, chosen.stderr
    assert chosen.stdout.splitlines()[-1] == "choices/cells"
    assert (tmp_path / "choices" / "cells" / "recipe.toml").is_file()
    following = chosen.stderr.splitlines()[-1]
    assert following.endswith("cells.csv --target kind --recipe choices/cells/recipe.toml")


def test_translate_draws_the_same_again_from_its_run(command, photos, tmp_path):
    before = contents(photos)
    arguments = ("--from", "all", "--to", "rare", "--counts", 5)
    planned = answer(command("translate", photos, "out", *arguments, "--dry-run", "--json"))
    assert planned["plan"] == {"counts": {"rare": 5}, "sources": 30}
    assert list(tmp_path.iterdir()) == []
    drawn = command("translate", photos, "out", *arguments, "--steps", 2, "--run", "run")
    assert drawn.returncode == 0, drawn.stderr
    assert drawn.stdout.splitlines()[-1] == "out"
    told = answer(command("translate", photos, "two", *arguments, "--model", "run", "--json"))
    assert (told["command"], told["counts"]) == ("translate", {"rare": 5})
    out, two = (
        {k: v for k, v in contents(tmp_path / name).items() if k.endswith(("png", "csv"))}
        for name in ("out", "two")
    )
    assert len(out) == 6
    assert out == two
    assert contents(photos) == before


def test_doctor_finds_this_installation_healthy(command):
    assert answer(command("doctor", "--json"))["healthy"]


def test_doctor_reports_a_broken_torch_with_a_cure(command_process, tmp_path):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "torch.py").write_text("raise ImportError('libfoo.so')")
    paths = os.pathsep.join([str(tmp_path / "broken"), os.environ["PYTHONPATH"]])
    ran = command_process("doctor", env={"PYTHONPATH": paths})
    assert ran.returncode == 1, ran.stderr
    problem = ran.stdout.splitlines()[-1]
    assert problem.startswith("problem: torch ")
    assert "libfoo.so" in problem
    assert "pip install" in problem


def test_an_output_that_cannot_be_written_is_exit_74(command, photos, tmp_path: Path):
    (tmp_path / "file").write_text("not a folder")
    refused = command("fit", photos, "--out", "file/run", "--steps", 1)
    assert refused.returncode == 74, refused.stderr
