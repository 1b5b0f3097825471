"""Every command on images and tables: written files, printed lines, exit codes."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from subprocess import CompletedProcess
from types import SimpleNamespace

import pandas as pd
import pytest

from gan_augment.evaluation.result import EvaluationResult
from tests.cli.conftest import COUNTS, Command, answer, contents, write_images, write_table

pytestmark = pytest.mark.slow
TABLE = ("--target", "kind")
SHORT = (
    *("--target", "kind", "--learner", "logistic", "--folds", 2, "--repeats", 1, "--steps", 2),
    *("--arms", "oversample", "--force"),
)


def test_fit_prints_the_run_last_and_the_next_command(command, photos, tmp_path):
    before = contents(photos)
    fitted = command("fit", photos, "--steps", 2, "--recipe", "free")
    assert fitted.returncode == 0, fitted.stderr
    assert fitted.stdout.splitlines()[-1] == "runs/photos"
    following = fitted.stderr.splitlines()[-1]
    assert (
        following == f"next: gan-augment fit {photos} --recipe free --steps 8"
    )  # two do not suffice
    assert "look at runs/photos/samples.png and runs/photos/curves.png" in fitted.stdout
    shown = command("sample", "runs/photos", "out", "--dry-run", "--counts", "rare=3").stdout
    assert shown.splitlines()[-1] == "hardly trained: 2 steps"
    assert contents(photos) == before


def test_fit_of_a_table_writes_a_run(command, cells, tmp_path):
    fitted = command("fit", cells, *TABLE)
    assert fitted.stdout.splitlines()[-1] == "runs/cells"
    assert fitted.stderr.splitlines()[-1].endswith(" cells-topped-up.csv --model runs/cells")
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


def test_options_of_training_come_from_the_command_and_the_environment(command, photos):
    words = ("fit", photos, "--flips", "--image-size", "8x8", "--dry-run", "--json")
    planned = answer(command(*words, env={"GAN_AUGMENT_STEPS": "3"}))
    assert planned["plan"]["length"] == "3 steps"
    assert planned["plan"]["recipe"]["augment"]["flips"]
    assert planned["plan"]["image_shape"][:2] == [8, 8]


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
    assert done.stderr.splitlines()[-1] == f"next: gan-augment evaluate {photos}"
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
    assert (pd.read_csv(tmp_path / "two.csv")["origin"] != "real").sum() == 44


def test_a_dry_run_with_a_model_shows_how_every_class_would_end(
    command, cells, table_run, tmp_path
):
    flags = ("augment", cells, "out.csv", "--model", table_run, *TABLE)
    told = answer(command(*flags, "--dry-run", "--json"))
    told_sample = answer(command("sample", table_run, "out.csv", "--dry-run", "--json"))
    assert told_sample["plan"] == {"counts": {"rare": 44}}
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
    assert all(text in shown for text in ("size", "numeric", "rare (16)", "2 categories: a, b"))
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
    assert "refused" in command("inspect", "run").stdout


def test_recipes_are_listed_and_a_printed_one_is_taken_as_a_file(command, photos, tmp_path):
    assert "\nminimax " in command("recipes").stdout
    assert answer(command("recipes", "--json", "--data", "table"))["gaussian"]["source"] == "own"
    (tmp_path / "mine.toml").write_text(command("recipes", "lsgan").stdout)
    flags = ("--recipe", "mine.toml", "--dry-run", "--json", "--steps", 3)
    assert answer(command("fit", photos, *flags))["plan"]["recipe"]["name"] == "lsgan"


def test_the_next_command_of_a_recipe_with_other_networks_runs_as_printed(
    command, photos, tmp_path
):
    toml = command("recipes", "dcgan").stdout
    (tmp_path / "mine.toml").write_text(toml)
    fitted = command("fit", photos, "--recipe", "mine.toml", "--steps", 2, "--image-size", "16")
    assert fitted.returncode == 0, fitted.stderr
    words = shlex.split(fitted.stderr.splitlines()[-1].removeprefix("next: gan-augment "))
    assert command(*words).returncode == 0
    assert (tmp_path / "photos-topped-up" / "manifest.csv").is_file()


def test_choose_names_a_recipe_and_the_fit_that_takes_it(command, cells, tmp_path, monkeypatch):
    steps = {"gaussian": 0, "free": 25}  # whatever the machine is busy with
    monkeypatch.setattr("gan_augment.generators.choose.planned_steps", lambda *_: steps)
    flags = (*TABLE, "--recipes", "gaussian,free", "--budget", "9s")
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


@pytest.fixture(scope="session")
def report(
    cells: Path, tmp_path_factory: pytest.TempPathFactory, start_command: Command
) -> tuple[Path, CompletedProcess[str]]:
    """(the folder of a finished evaluation, its finished command)."""
    home = tmp_path_factory.mktemp("evaluated")
    run = start_command("evaluate", cells, *SHORT, "--out", "rep", cwd=home)
    assert run.returncode == 0, run.stderr
    return home / "rep", run


def test_the_plan_of_an_evaluation_names_rare_units_and_writes_nothing(command, cells, tmp_path):
    told = answer(command("evaluate", cells, *SHORT, "--dry-run", "--json"))
    assert told["options"]["steps"] == {"value": 2, "source": "given"}
    assert told["plan"]["rare_units"] == {"rare": 16}
    assert 0 < told["plan"]["detectable"] < 1
    assert not list(tmp_path.iterdir())


def test_the_recommendation_is_the_first_line_and_the_folder_the_last(report):
    folder, run = report
    told = run.stdout.splitlines()
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    assert result["recommendation"]["sentence"].startswith(told[0])
    assert result["verdict"]["word"] in run.stdout
    assert told[-1] == "rep"
    assert (folder / "recommendation.png").is_file()
    assert any(line.startswith("generated rows ") for line in told)
    assert "plan: " in run.stderr
    assert {"result.json", "timings.json", "journal.jsonl"} <= {p.name for p in folder.iterdir()}
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert page == EvaluationResult.load(folder).to_html()


def test_report_writes_the_page_and_replaces_it_only_with_overwrite(report, command, tmp_path):
    shutil.copytree(report[0], tmp_path / "rep")
    page = (tmp_path / "rep" / "report.html").read_bytes()
    refused = command("report", "rep/result.json")
    assert (refused.returncode, "--overwrite" in refused.stderr) == (2, True)
    told = answer(command("report", "rep", "--overwrite", "--json"))
    assert told["out"] == "rep/report.html"
    assert (tmp_path / "rep" / "report.html").read_bytes() == page
    assert command("report", "rep", "--overwrite", "--quiet").stdout == "rep/report.html\n"


def test_fail_on_exits_with_4_after_the_result_is_written(command, cells, tmp_path):
    flags = ("--out", "rep", "--fail-on", "no-evidence", "--quiet")
    run = command("evaluate", cells, *SHORT, *flags)
    assert (run.returncode, run.stdout) == (4, "rep\n")
    assert "--fail-on no-evidence" in run.stderr
    assert (tmp_path / "rep" / "result.json").is_file()


@pytest.mark.parametrize(
    ("fail_on", "verdict", "code"),
    [
        ("insufficient", "INSUFFICIENT DATA", 4),
        ("insufficient", "NO EVIDENCE", 0),
        ("harmful", "INSUFFICIENT DATA", 0),
        ("harmful", "HARMFUL", 4),
        ("no-evidence", "USE smote", 0),
        ("no-evidence", "LIKELY HELPS", 0),
        ("no-evidence", "NO PRACTICAL DIFFERENCE", 4),
        ("no-evidence", "INSUFFICIENT DATA", 4),
    ],
)
def test_a_build_server_fails_on_the_verdicts_that_it_asks_for(
    fail_on: str, verdict: str, code: int, command, cells, monkeypatch
):
    from gan_augment.commands import evaluate

    told = {"verdict": verdict, "out": Path("rep"), "following": ""}
    found = SimpleNamespace(**told, to_dict=dict, lines=list)
    monkeypatch.setattr(evaluate, "evaluate", lambda *_, **__: found)
    assert command("evaluate", cells, *SHORT, "--fail-on", fail_on).returncode == code


def test_an_evaluation_is_replaced_on_request_and_not_resumed_with_other_options(
    report, command, cells, tmp_path
):
    shutil.copytree(report[0], tmp_path / "rep")
    flags = ("evaluate", cells, *SHORT, "--seed", 1, "--out", "rep")
    for more, key in (((), "--overwrite"), (("--resume",), "seed")):
        refused = command(*flags, *more)
        assert (refused.returncode, key in refused.stderr) == (2, True)
    assert command(*flags, "--no-diagnostics", "--overwrite", "--quiet").returncode == 0
    assert EvaluationResult.load(tmp_path / "rep").result["protocol"]["seed"] == 1


def interrupted(home: Path, flags: tuple[str, ...]) -> tuple[int, str]:
    """Return the exit code and stderr of a command that gets Ctrl-C after four journal lines."""
    journal = home / "rep" / "journal.jsonl"
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "gan_augment_cli", *flags],
        cwd=home,
        env=dict(os.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        latest = time.monotonic() + 120  # a busy machine takes long to begin
        while process.poll() is None and time.monotonic() < latest:
            if journal.is_file() and journal.read_bytes().count(b"\n") >= 4:
                os.killpg(process.pid, signal.SIGINT)  # as a terminal does: workers get it too
                break
            time.sleep(0.01)
        _, told = process.communicate(timeout=240)
    return process.returncode, told


def test_an_interrupted_evaluation_resumes_to_the_same_bytes(report, cells, tmp_path, command):
    flags = ("evaluate", str(cells), *map(str, SHORT), "--out", "rep")
    code, told = 0, ""
    for _ in range(20):  # again if the evaluation ended before the signal came
        shutil.rmtree(tmp_path / "rep", ignore_errors=True)
        code, told = interrupted(tmp_path, (*flags, "--n-jobs", "2"))
        if code:
            break
    assert code == 130, told
    assert told.splitlines()[-1].startswith("error: interrupted")
    assert not (tmp_path / "rep" / "result.json").exists()
    assert command(*flags, "--resume").returncode == 0
    left = report[0] / "result.json"
    assert (tmp_path / "rep" / "result.json").read_bytes() == left.read_bytes()


def test_names_with_spaces_commas_and_letters_of_any_script_are_taken(command, tmp_path):
    home = tmp_path / "meine Daten"
    home.mkdir()
    path = write_table(home / "Zellen ä.csv")
    head, _, rows = path.read_text(encoding="utf-8").partition("\n")
    head = head.replace("kind", '"Größe, Klasse"')
    path.write_text(head + "\n" + rows.replace("rare", "選 ß"), encoding="utf-8")
    flags = ("--target", "Größe, Klasse", *SHORT[2:], "--out", tmp_path / "ein Bericht")
    run = command("evaluate", path, *flags)
    assert run.returncode == 0, run.stderr
    assert "選 ß" in run.stdout
    assert run.stdout.splitlines()[-1] == str(tmp_path / "ein Bericht")


def test_groups_and_times_are_columns_that_no_learner_sees(command, cells):
    flags = ("evaluate", cells, *SHORT, "--no-diagnostics", "--json")
    told = answer(command(*flags, "--group", "patient", "--out", "groups"))
    assert told["result"]["protocol"]["splits"] == "groups"
    assert told["result"]["data"]["unit"] == "groups"
    told = answer(command(*flags, "--time", "day", "--out", "times"))
    assert told["result"]["protocol"]["splits"] == "time"


def test_images_are_evaluated_too(command, photos):
    flags = ("--folds", 2, "--steps", 2, "--updates", 4, "--arms", "none,oversample,gan", "--force")
    told = answer(command("evaluate", photos, *flags, "--out", "rep", "--json"))
    assert told["result"]["data"]["kind"] == "image"
    assert set(told["result"]["arms"]) == {"none", "oversample", "gan"}
