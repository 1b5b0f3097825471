"""How a command ends: each error of the library has its exit code, an interruption too."""

from __future__ import annotations

import errno
import os
import re
import signal

import pytest
import typer

from gan_augment import errors
from gan_augment.training.callbacks import StopRequested
from gan_augment_cli.app import app
from gan_augment_cli.outcome import exit_codes

FIT = typer.Context(typer.main.get_command(app), info_name="fit")
FIT.params["as_json"] = False


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.ModelFileError("damaged"), 1),
        (errors.OutputExistsError("not empty"), 2),
        (errors.NoRareClassError("none is rare"), 3),
        (errors.DivergedError("not finite"), 5),
        (errors.WriteFailedError("disk full"), 74),
        (errors.FolderInUseError("held by 7"), 75),
        (StopRequested(signal.SIGINT), 130),
        (StopRequested(signal.SIGTERM), 143),
        (KeyboardInterrupt(), 130),
    ],
)
def test_each_error_has_its_exit_code(error, code):
    with pytest.raises(typer.Exit) as left, exit_codes(FIT):
        raise error
    assert left.value.exit_code == code


def test_an_error_is_one_line(capsys):
    with pytest.raises(typer.Exit), exit_codes(FIT):
        raise errors.DataError("class 'a\x1b[2J' is empty")
    assert capsys.readouterr() == ("", "error: class 'a\\x1b[2J' is empty\n")


def test_an_interruption_says_how_to_go_on(capsys):
    with pytest.raises(typer.Exit), exit_codes(FIT):
        raise StopRequested(signal.SIGTERM, "go on with --resume")
    assert "go on with --resume" in capsys.readouterr().err


def test_sigterm_outside_of_training_leaves_with_143():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(typer.Exit) as left, exit_codes(FIT):
        os.kill(os.getpid(), signal.SIGTERM)
    assert left.value.exit_code == 143
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), 74, "could not write standard output"),
        (PermissionError(errno.EACCES, "Permission denied", "a.csv"), 1, "'a.csv': Permission"),
        (MemoryError(), 1, "not enough memory"),
        (RecursionError("maximum"), 1, "nested too deeply"),
        (OverflowError("too large to convert"), 1, "a number .* is too large"),
        (ZeroDivisionError("by zero"), 1, "a mistake of gan-augment, not yours .*by zero"),
    ],
)
def test_whatever_is_raised_ends_in_one_line(error, code, words, capsys):
    with pytest.raises(typer.Exit) as left, exit_codes(FIT):
        raise error
    said = capsys.readouterr().err
    assert (left.value.exit_code, said.count("\n")) == (code, 1)
    assert re.search(f"^error: .*{words}", said)


def test_a_traceback_is_shown_to_those_who_ask(monkeypatch):
    monkeypatch.setenv("GAN_AUGMENT_DEBUG", "1")
    with pytest.raises(ZeroDivisionError), exit_codes(FIT):
        1 / 0  # noqa: B018
