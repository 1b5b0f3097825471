"""The command line before any work: help, options and where they come from, exit codes."""

from __future__ import annotations

import re

import pytest

from gan_augment.errors import UsageError
from gan_augment.options import seconds
from gan_augment_cli import options as values
from tests.cli.conftest import answer

COMMANDS = ("fit", "sample", "augment", "choose", "evaluate", "report", "inspect", "demo")


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help(command, name):
    shown = command(name, "--help")
    assert shown.returncode == 0
    assert "--json" in shown.stdout


def test_help_lists_the_commands_and_the_exit_codes(command):
    shown = command("--help").stdout
    assert all(name in shown for name in (*COMMANDS, "Exit codes"))


def test_a_misspelt_option_is_a_usage_error(command):
    refused = command("fit", "photos", "--step", 3)
    assert refused.returncode == 2
    assert "--steps" in refused.stderr


def test_a_budget_without_a_unit_is_a_usage_error(command, photos):
    refused = command("fit", photos, "--budget", "10")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith("error: --budget: '10' is no duration; expected")


def test_a_misspelt_recipe_to_choose_among_is_a_usage_error(command, photos):
    refused = command("choose", photos, "--recipes", "lsgna,free", "--out", "chosen")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "Did you mean 'lsgan'?" in refused.stderr


def test_an_error_is_one_json_object_too(command, photos):
    refused = command("fit", photos, "--budget", "10", "--json")
    assert refused.returncode == 2
    assert '"schema": 1' in refused.stdout
    assert '"error": {"type": "UsageError"' in refused.stdout


def test_a_share_beyond_one_is_a_usage_error(command, photos):
    refused = command("augment", photos, "out", "--synthetic-share", "1.5")
    assert refused.returncode == 2
    assert "0..1" in refused.stderr


def test_option_wins_over_environment_over_config_over_default(command, tmp_path):
    (tmp_path / "mine.toml").write_text('seed = 1\nworkers = 1\n[sample]\ncounts = "3"\n')
    shown = command(
        *("sample", "run", "out", "--seed", 3, "--config", "mine.toml", "--dry-run", "--json"),
        env={"GAN_AUGMENT_SEED": "2", "GAN_AUGMENT_WORKERS": "2"},
    )
    chosen = answer(shown)["options"]
    assert chosen["seed"] == {"value": 3, "source": "given"}
    assert chosen["workers"] == {"value": 2, "source": "environment GAN_AUGMENT_WORKERS"}
    assert chosen["counts"] == {"value": "3", "source": "config mine.toml"}
    assert chosen["overwrite"] == {"value": False, "source": "default"}


def test_a_config_may_speak_of_sizes_and_names_as_lists(command, tmp_path):
    (tmp_path / "mine.toml").write_text('classes = ["owl", "wren"]\n')
    shown = command("sample", "run", "out", "--config", "mine.toml", "--dry-run", "--json")
    assert answer(shown)["options"]["classes"]["value"] == "owl,wren"


def test_a_misspelt_setting_in_a_config_is_named(command, tmp_path):
    (tmp_path / "mine.toml").write_text("sede = 1\n")
    refused = command("sample", "run", "out", "--config", "mine.toml", "--dry-run")
    assert refused.returncode == 2
    assert "there is no option 'sede'. Did you mean 'seed'?" in refused.stderr


def test_a_table_of_no_command_in_a_config_is_named(command, tmp_path):
    (tmp_path / "mine.toml").write_text("[smple]\nseed = 1\n")
    refused = command("sample", "run", "out", "--config", "mine.toml", "--dry-run")
    assert refused.returncode == 2
    assert "there is no command 'smple'. Did you mean 'sample'?" in refused.stderr


@pytest.mark.parametrize("text", [None, "seed = ", "\x00"])
def test_a_config_that_cannot_be_read_is_a_usage_error(command, tmp_path, text):
    if text is not None:
        (tmp_path / "mine.toml").write_text(text)
    refused = command("sample", "run", "out", "--config", "mine.toml", "--dry-run")
    assert refused.returncode == 2
    assert "mine.toml is no readable TOML file" in refused.stderr


@pytest.mark.parametrize("text", ["10", "", "m", "-5m", "0s", "5 m", "1d", "1m and more"])
def test_a_duration_without_a_unit_is_refused(text):
    with pytest.raises(UsageError, match="expected a number and its unit"):
        seconds(text)


@pytest.mark.parametrize("text", ["", "32x", "x32", "32x32x3", "-8", "a"])
def test_an_image_size_is_one_or_two_whole_numbers(text):
    with pytest.raises(UsageError, match="expected HEIGHTxWIDTH"):
        values.height_width(text)


def test_a_class_name_may_hold_an_equals_sign():
    assert values.row_counts("a=b=3") == {"a=b": 3}


@pytest.mark.parametrize("text", ["", "owl", "owl=", "=3", "owl=-1", "1.5"])
def test_counts_are_a_number_or_names_with_numbers(text):
    with pytest.raises(UsageError, match="expected a number"):
        values.row_counts(text)


def test_one_row_and_the_whole_majority_are_told_apart():
    assert values.target("1") == 1
    assert isinstance(values.target("1"), int)
    assert isinstance(values.target("1.0"), float)


def test_a_number_that_is_none_is_refused():
    with pytest.raises(UsageError, match=r"'0.5.5' is no number"):
        values.target("0.5.5")


def test_the_version_names_what_it_runs_on(command):
    assert re.match(r"gan-augment \S+, torch 2\S+, Python 3\.", command("--version").stdout)


def test_a_setting_in_the_environment_that_means_nothing_is_warned_of(command):
    said = command("sample", "r", "o", "--dry-run", env={"GAN_AUGMENT_SEDE": "1"}).stderr
    assert said.startswith("warning: GAN_AUGMENT_SEDE is set")
    assert "Did you mean 'GAN_AUGMENT_SEED'?" in said


def test_help_has_panels(command):
    shown = command("augment", "--help").stdout
    panels = ("Data", "Training", "Top-up", "Running", "Output")
    places = [shown.index(f"\n{panel}:\n") for panel in panels]
    assert places == sorted(places)


def test_the_shell_can_complete(command, monkeypatch):
    monkeypatch.setattr("shellingham.detect_shell", lambda: ("bash", "bash"))  # there may be none
    assert "_GAN_AUGMENT_COMPLETE" in command("--show-completion").stdout


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--synthetic-share", "50", "--synthetic-share 50.0: .* did you mean 0.5?"),
        ("--to", "mayority", "--to 'mayority': .* Did you mean 'majority'?"),
        ("--threads", "9999", "--threads 9999: Input should be less than or equal to 1024"),
    ],
)
def test_a_refused_setting_is_named_as_it_was_typed(command, photos, option, value, words):
    refused = command("augment", photos, "out", option, value)
    assert refused.returncode == 2
    assert re.match(f"error: {words}", refused.stderr)


def test_a_table_is_not_written_from_a_folder(command, photos):
    refused = command("augment", photos, "out.csv", "--steps", 2)
    assert refused.returncode == 2
    assert "OUT 'out.csv' is called as a table is" in refused.stderr


@pytest.mark.parametrize("args", [("inspect",), ("report",), ("sample", "--counts", 2)])
def test_what_is_not_there_is_the_same_mistake_everywhere(command, args):
    name, *more = args
    refused = command(name, "nowhere", *(["out"] if name == "sample" else []), *more)
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: there is no 'nowhere'")
