"""The same data, options and seed give the same bytes, also after a kill at any moment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from joblib import Parallel, delayed
from joblib.externals.loky import get_reusable_executor

from gan_augment import ImageGAN
from gan_augment.evaluation.options import EvaluationOptions
from gan_augment.evaluation.result import EvaluationResult, result_bytes
from gan_augment.evaluation.runner import JOURNAL, RESULT, evaluate
from gan_augment.kinds.kind import Labelled
from gan_augment.progress import Progress
from gan_augment.report.tables import training_rows
from gan_augment.storage.journal import Journal
from tests.evaluation.drawn import Noisy, NoisyPictures, changed, digits, options, table

SHORT = options(folds=2, repeats=1, steps=2, n_jobs=1)
COUNTS = {"common": 50, "other": 18, "rare": 12}


def same_in_every_way(data: Labelled, asked: EvaluationOptions, folder: Path) -> None:
    """By one process and two, undisturbed and gone on with half-way."""
    undisturbed = evaluate(data, asked, out=folder)
    kept = (folder / RESULT).read_bytes()
    assert kept == result_bytes(undisturbed.result)
    assert result_bytes(evaluate(data, changed(asked, n_jobs=2)).result) == kept

    (folder / RESULT).unlink()
    lines = (folder / JOURNAL).read_bytes().splitlines(keepends=True)
    cells = [number for number, line in enumerate(lines) if b'"kind": "arm"' in line]
    fitted = b'"kind": "generator"'  # finished work keeps no generators, so they are fitted again
    left = [line for line in lines[: cells[2]] if fitted not in line]
    (folder / JOURNAL).write_bytes(b"".join([*left, b'{"kind": "ar']))
    resumed = evaluate(data, changed(asked, n_jobs=2), out=folder, resume=True)
    assert result_bytes(resumed.result) == (folder / RESULT).read_bytes() == kept


@pytest.mark.slow
def test_a_table_with_logistic_regression_and_all_arms(tmp_path: Path) -> None:
    asked = changed(SHORT, learner="logistic", arms="default")
    same_in_every_way(table(COUNTS, missing=0.1), asked, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("learner", ["boosting", "forest", "neighbours"])
def test_a_table_with_other_learners(learner: str, tmp_path: Path) -> None:
    asked = changed(SHORT, learner=learner, arms=("gan",), diagnostics=False)
    same_in_every_way(table(COUNTS, missing=0.1), asked, tmp_path)


@pytest.mark.slow
def test_images_with_the_cnn(tmp_path: Path) -> None:
    arms = ("smote", "gan", "balanced_softmax", "mixup", "gan+mixup")
    asked = changed(SHORT, generator=NoisyPictures(), updates=3, arms=arms)
    same_in_every_way(digits(), asked, tmp_path)
    result = json.loads((tmp_path / RESULT).read_bytes())
    assert {*arms, "none"} == set(result["arms"])
    assert list(result["verdict"]["on_top"]) == ["mixup"]
    assert "on top of oversampling with mixup" in result["verdict"]["sentence"]
    assert "not tried: class weights, oversampling, mixup with" in result["verdict"]["sentence"]
    assert result["declared"]["decision"] == "corrected"
    assert result["arms"]["mixup"]["corrected"]["accuracy"]["mean"] is not None
    heads = ["class", "nothing added", "SMOTE", "oversampling with mixup"]
    heads += ["generated images"]
    assert training_rows(result).heads == heads
    page = EvaluationResult.load(tmp_path).to_html()
    assert all(text in page for text in ("Corrected decision", "add to each method"))


@pytest.mark.campaign
def test_images_with_the_cnn_and_image_gans(tmp_path: Path, full_scorers) -> None:
    asked = changed(SHORT, generator=ImageGAN(), updates=3, arms=("gan",))
    same_in_every_way(digits(), asked, tmp_path)


@pytest.mark.slow
def test_workers_of_an_earlier_call_write_where_this_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("earlier", "here"):
        (tmp_path / name).mkdir()
    get_reusable_executor().shutdown(wait=True)
    monkeypatch.chdir(tmp_path / "earlier")
    assert set(Parallel(n_jobs=2)(delayed(os.getcwd)() for _ in range(4))) == {str(Path.cwd())}
    monkeypatch.chdir(tmp_path / "here")
    asked = changed(SHORT, n_jobs=2, learner="logistic", arms=("gan",), diagnostics=False)
    found = evaluate(table(COUNTS), asked, out="rep").result
    assert found["arms"]["gan"]["missing"] is None
    assert not any((tmp_path / "earlier").iterdir())
    get_reusable_executor().shutdown(wait=True)  # the next test's are in its own folder


def test_a_worker_that_joblib_replaces_is_no_warning() -> None:
    """Where warnings are errors, that one would leave an evaluation waiting for ever."""

    class Replaced(Progress):
        def advance(self, done: int, text: str = "") -> None:
            warnings.warn("A worker stopped while some jobs were given to it.", stacklevel=1)

    asked = changed(SHORT, generator=Noisy(), learner="logistic", arms=("gan",))
    assert evaluate(table(COUNTS), asked, progress=Replaced()).verdict


Command = Callable[..., CompletedProcess[str]]
FLAGS = (
    "evaluate",
    "cells.csv",
    "--target",
    "kind",
    "--learner",
    "logistic",
    "--steps",
    "2",
    "--force",
)
OUT = ("--out", "rep", "--n-jobs", "2", "--quiet")
PROC = Path("/proc")


def written(home: Path) -> Path:
    """A folder with a table in it."""
    home.mkdir(exist_ok=True)
    data = table()
    frame = data.frame.assign(kind=[data.names[label] for label in data.labels])
    frame.to_csv(home / "cells.csv", index=False)
    return home


def whole_lines(journal: Path) -> bytes:
    """The journal up to its last end of a line; empty where there is none."""
    held = journal.read_bytes() if journal.is_file() else b""
    return held[: held.rfind(b"\n") + 1]


def processes_of(session: int) -> list[int]:
    """The ids of all processes that a command and its workers are."""
    found = []
    for entry in PROC.iterdir():
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except (OSError, ValueError):
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(int(entry.name))
    return found


def killed(home: Path, flags: tuple[str, ...], lines: int, more_s: float) -> bool:
    """Whether the command was killed, `more_s` after it wrote that many lines; else it is done.

    Its workers end then, those that only started too, and nothing that it wrote before is gone.
    """
    journal = home / "rep" / "journal.jsonl"
    before = whole_lines(journal)
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "gan_augment_cli", *flags],
        cwd=home,
        env=dict(os.environ),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        while process.poll() is None:
            if whole_lines(journal).count(b"\n") >= before.count(b"\n") + lines:
                break
            time.sleep(0.01)
        time.sleep(more_s)
        if process.poll() is not None:
            assert process.returncode == 0, process.communicate()[1]
            return False
        process.kill()  # the workers are left to themselves
    after = whole_lines(journal)
    assert after.startswith(before)
    gone_by = time.monotonic() + 60
    while processes_of(process.pid):
        assert time.monotonic() < gone_by, "workers outlive their evaluation"
        time.sleep(0.1)
    assert whole_lines(journal) == after
    return True


def check_kills(
    home: Path, flags: tuple[str, ...], moments: list[tuple[int, float]], command: Command
) -> int:
    """Kill at each of the moments, go on to the end, and compare; how many kills there were."""
    undisturbed = command(*flags, "--out", "whole", "--n-jobs", "1", "--quiet", cwd=home)
    assert undisturbed.returncode == 0, undisturbed.stderr
    journal, kills = home / "rep" / "journal.jsonl", 0
    for lines, more_s in moments:
        resume = ("--resume",) if whole_lines(journal) else ()
        kills += killed(home, (*flags, *OUT, *resume), lines, more_s)
        models = home / "rep" / "models"
        if models.is_dir():  # as a kill within a save leaves it
            (models / "r0-f1.safetensors.tmp-4194305").write_bytes(b"cut")
    ended = command(*flags, *OUT, "--resume", cwd=home)
    assert ended.returncode == 0, ended.stderr
    results = [(home / out / "result.json").read_bytes() for out in ("rep", "whole")]
    assert results[0] == results[1]
    kept = Journal(home / "rep" / "journal.jsonl")
    kept.read()
    once = (home / "rep" / "journal.jsonl").read_bytes().count(b"\n")
    assert once == 1 + len(list(kept.lines())), "something was done twice"
    assert not any((home / out / "models").exists() for out in ("rep", "whole"))
    return kills


needs_proc = pytest.mark.skipif(not PROC.is_dir(), reason="sessions are read from /proc")


@needs_proc
@pytest.mark.slow
def test_an_evaluation_that_was_killed_ends_with_the_same_bytes(
    tmp_path: Path, start_command: Command
) -> None:
    flags = (*FLAGS, "--folds", "2", "--repeats", "1", "--arms", "oversample")
    moments = [(2, 0.0), (4, 0.0)]  # signs in the journal, no times
    assert check_kills(written(tmp_path), flags, moments, start_command) == 2
