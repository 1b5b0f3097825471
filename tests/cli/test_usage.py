"""The command line before any work: help, options and their sources, refusals."""

from __future__ import annotations

import ast
import os
import re
import time
from pathlib import Path

import pytest

import gan_augment
from gan_augment.commands.fit import plan_fit
from gan_augment.errors import NoRareClassError, UsageError
from gan_augment.evaluation.options import EvaluationOptions
from gan_augment.options import FitOptions, TopUp
from gan_augment_cli import options
from gan_augment_cli.app import FUNCTIONS, Commands, app
from tests.cli.conftest import SCHEMA, answer, write_images

TABLE = ("--target", "kind")
FIT, EVALUATE = ("fit", "PHOTOS"), ("evaluate", "CELLS", *TABLE)
FIT_TABLE = ("fit", "CELLS", *TABLE)
AUGMENT = ("augment", "PHOTOS", "out")
TRANSLATE = ("translate", "PHOTOS", "out", "--steps", "2", "--from")


@pytest.fixture
def without_torch(tmp_path: Path) -> dict[str, str]:
    """An environment in which importing torch fails."""
    folder = tmp_path / "no torch"
    folder.mkdir()
    (folder / "torch.py").write_text("raise ImportError('torch was imported')")
    return {"PYTHONPATH": os.pathsep.join([str(folder), os.environ["PYTHONPATH"]])}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_help_shows_at_most_ten_options_and_help_all_every_one(command, name):
    own = [p for p in Commands(name="x").get_command(None, name).params if p.name != "help_all"]
    every = {flag for p in own for flag in p.opts if flag.startswith("--")}
    shown, whole = (
        set(re.findall(r"^  (?:-\w, )?(--[a-z-]+)", command(name, flag).stdout, re.M))
        for flag in ("--help", "--help-all" if name in options.COMMON else "--help")
    )
    assert len(shown - {"--help", "--help-all"}) <= (10 if name in options.COMMON else 12)
    assert whole - {"--help", "--help-all"} == every


def test_options_have_a_description(command):
    for name in FUNCTIONS:
        command_object = Commands(name="x").get_command(None, name)
        bare = [p.name for p in command_object.params if not p.help]
        assert not bare, (name, bare)
    assert app.info.name == "gan-augment"


def test_help_lists_the_commands_and_loads_no_torch(command_process, without_torch):
    began_s = time.monotonic()
    shown = command_process("--help", env=without_torch).stdout
    assert time.monotonic() - began_s < 5  # 0.3 s on an idle machine
    assert all(name in shown for name in (*FUNCTIONS, "Exit codes"))
    assert "--steps" in command_process("fit", "--help", env=without_torch).stdout


def test_all_options_stand_in_panels(command):
    shown = command("augment", "--help-all").stdout
    panels = ("Data", "Training", "Top-up", "Running", "Output")
    places = [shown.index(f"\n{panel}:\n") for panel in panels]
    assert places == sorted(places)


def test_the_version_names_torch_and_python(command):
    assert re.match(r"gan-augment \S+, torch 2\S+, Python 3\.", command("--version").stdout)


def test_the_shell_can_complete(command, monkeypatch):
    monkeypatch.setattr("shellingham.detect_shell", lambda: ("bash", "bash"))  # there may be none
    assert "_GAN_AUGMENT_COMPLETE" in command("--show-completion").stdout


@pytest.mark.parametrize(
    ("words", "code", "key"),
    [
        (("ft", "PHOTOS"), 2, "fit"),
        ((*FIT, "--step", "3"), 2, "--steps"),
        ((*FIT, "--steps", "0"), 2, "--steps 0: expected"),
        ((*FIT, "--budget", "10"), 2, "--budget '10'"),
        ((*FIT, "--image-size", "32x"), 2, "HEIGHTxWIDTH"),
        ((*FIT, "--threads", "9999"), 2, "--threads 9999"),
        ((*FIT, "--recipe", "lsgna"), 2, "Did you mean 'lsgan'?"),
        (("fit", "nowhere"), 2, "nowhere"),
        (("fit", "CELLS", "--steps", "1"), 2, "path,label"),
        (("fit", "CELLS", "--target", "kinds"), 2, "Did you mean 'kind'?"),
        ((*FIT_TABLE, "--columns", "sizes=id"), 2, "Did you mean 'size'?"),
        ((*FIT_TABLE, "--columns", "size=number"), 2, "number"),
        ((*FIT_TABLE, "--columns", "size=id,size=numeric"), 2, "every column once"),
        ((*FIT_TABLE, "--columns", "none.toml"), 2, "none.toml"),
        ((*FIT_TABLE, "--image-size", "8"), 2, "--image-size"),
        ((*FIT_TABLE, "--classes", "rar"), 3, "Did you mean 'rare'?"),
        (("choose", "PHOTOS", "--recipes", "lsgna,free"), 2, "Did you mean 'lsgan'?"),
        (("choose", "PHOTOS", "--budget", "10"), 2, "--budget '10'"),
        (("recipes", "lsgam"), 2, "Did you mean 'lsgan'?"),
        ((*AUGMENT, "--synthetic-share", "50"), 2, "did you mean 0.5?"),
        ((*AUGMENT, "--to", "mayority"), 2, "Did you mean 'majority'?"),
        ((*AUGMENT, "--to", "0.5.5"), 2, "--to '0.5.5'"),
        (("augment", "PHOTOS", "out.csv", "--steps", "2"), 2, "out.csv"),
        (("inspect", "nowhere"), 2, "there is no 'nowhere'"),
        (("report", "nowhere"), 2, "there is no 'nowhere'"),
        (("sample", "nowhere", "out", "--counts", "2"), 2, "there is no 'nowhere'"),
        (("embed", "PHOTOS", "out.parquet"), 2, "--backbone"),
        ((*TRANSLATE, "common", "--to", "rarer"), 3, "Did you mean 'rare'?"),
        ((*TRANSLATE, "rare", "--to", "rare"), 2, "different classes"),
        ((*TRANSLATE, "rare", "--to", "common", "--counts", "7"), 3, "6 images"),
        ((*TRANSLATE, "rare", "--to", "common", "--recipe", "anchored"), 2, "stargan"),
        ((*TRANSLATE, "rare", "--to", "common", "--counts", "0"), 2, "nothing to draw"),
        ((*EVALUATE, "--budget", "30"), 2, "--budget '30'"),
        ((*EVALUATE, "--gan-budget", "x"), 2, "--gan-budget 'x'"),
        ((*EVALUATE, "--folds", "1"), 2, "--folds 1"),
        ((*EVALUATE, "--delta", "2"), 2, "--delta"),
        (("evaluate", "CELLS"), 2, "--target"),
        (("evaluate", "CELLS", "--target", "knd"), 2, "Did you mean 'kind'"),
        ((*EVALUATE, "--group", "ptient"), 2, "Did you mean 'patient'"),
        ((*EVALUATE, "--time", "shape"), 3, "cannot order rows in time"),
        ((*EVALUATE, "--learner", "forrest"), 2, "forest"),
        ((*EVALUATE, "--arms", "smot"), 2, "Did you mean 'smote'"),
        ((*EVALUATE, "--updates", "10"), 2, "--updates 10"),
        ((*EVALUATE, "--resume"), 2, "--resume"),
        ((*EVALUATE, "--resume", "--out", "rep"), 2, "journal"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)  # fmt: skip
def test_a_refusal_is_one_line_and_leaves_nothing(
    command, photos, cells, tmp_path, words, code, key
):
    paths = {"PHOTOS": photos, "CELLS": cells}
    refused = command(*(paths.get(word, word) for word in words))
    assert refused.returncode == code, refused.stderr
    assert (refused.stdout, refused.stderr.count("\n")) == ("", 1)
    assert refused.stderr.startswith("error: ")
    assert key in refused.stderr
    assert not re.search(r"\([a-z_]+=", refused.stderr), "an argument of Python"
    assert list(tmp_path.iterdir()) == []


def test_an_error_names_the_option_here_and_the_argument_in_python(command, tmp_path):
    data = write_images(tmp_path / "even", {"a": 6, "b": 6})
    here = command("fit", data, "--steps", 1).stderr
    assert "--classes all" in here
    assert "classes=" not in here
    with pytest.raises(NoRareClassError, match="classes='all'") as caught:
        plan_fit(data)
    assert "--" not in str(caught.value)


def test_messages_name_an_argument_only_behind_its_option():
    fields = {*FitOptions.model_fields, *TopUp.model_fields, *EvaluationOptions.model_fields}
    argument = re.compile(rf"(?<![\w(])({'|'.join(fields)})=")
    of_python = {"sklearn_api", "torch_api", "metrics", "losses", "augment"}
    library = Path(gan_augment.__file__).parent
    for path in library.rglob("*.py"):
        raised = (
            text.value
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            for text in ast.walk(node if isinstance(node, ast.Raise) else ast.Pass())
            if isinstance(text, ast.Constant) and isinstance(text.value, str)
        )
        if not of_python & {*path.relative_to(library).parts}:
            assert [text for text in raised if argument.search(text)] == [], path


def test_the_published_schema_knows_every_command_and_refuses_what_lacks_a_field():
    assert set(SCHEMA.schema["properties"]["command"]["enum"]) == set(FUNCTIONS)
    for name in FUNCTIONS:
        assert not SCHEMA.is_valid({"schema": 1, "command": name, "x": []}), name


def test_an_error_is_one_json_object_too(command, photos):
    refused = command("fit", photos, "--recipe", "lsgna", "--json")
    assert refused.returncode == 2
    assert '"schema": 1' in refused.stdout
    assert '"error": {"type": "UsageError"' in refused.stdout


def test_an_option_wins_over_the_environment_and_that_over_the_default(command, run_folder):
    shown = command(
        *("sample", run_folder, "out", "--seed", 3, "--dry-run", "--json"),
        env={"GAN_AUGMENT_SEED": "2", "GAN_AUGMENT_WORKERS": "2"},
    )
    chosen = answer(shown)["options"]
    assert chosen["seed"] == {"value": 3, "source": "given"}
    assert chosen["workers"] == {"value": 2, "source": "environment GAN_AUGMENT_WORKERS"}
    assert chosen["overwrite"] == {"value": False, "source": "default"}


def test_a_class_name_may_hold_an_equals_sign():
    assert options.row_counts("a=b=3") == {"a=b": 3}


@pytest.mark.parametrize("text", ["", "owl", "owl=", "=3", "owl=-1", "1.5"])
def test_counts_are_a_number_or_names_with_numbers(text):
    with pytest.raises(UsageError, match="expected a number"):
        options.row_counts(text)
