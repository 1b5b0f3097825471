"""`gan-augment evaluate` as a process: what it writes and prints, what it refuses, how it ends."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest

from gan_augment.evaluation.result import EvaluationResult
from tests.cli.conftest import answer

Command = Callable[..., CompletedProcess[str]]
SHORT = (
    *("--learner", "logistic", "--folds", 2, "--repeats", 1, "--steps", 2),
    *("--arms", "oversample"),
)


def write_cells(path: Path, common: int = 60, rare: int = 16) -> Path:
    """Two numbers, a level, a patient of three rows, a day, and the label."""
    rng = np.random.default_rng(0)
    lines = ["size,shape,depth,patient,day,kind"]
    for row, i in enumerate(rng.permutation(common + rare)):
        near = 1.5 if i < rare else 0
        size, depth = rng.normal(near, 1, 2)
        kind = "rare" if i < rare else "common"
        lines.append(f"{size:.3f},{'ab'[row % 2]},{depth:.3f},p{row // 3},{row},{kind}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """DATA: 60 common rows and 16 rare ones."""
    return write_cells(tmp_path_factory.mktemp("tables") / "cells.csv")


@pytest.fixture(scope="session")
def report(
    cells: Path, tmp_path_factory: pytest.TempPathFactory, start_command: Command
) -> tuple[Path, CompletedProcess[str]]:
    """(the folder of a finished evaluation, what its command said)."""
    home = tmp_path_factory.mktemp("evaluated")
    run = start_command("evaluate", cells, "--target", "kind", *SHORT, "--out", "rep", cwd=home)
    assert run.returncode == 0, run.stderr
    return home / "rep", run


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--budget", "30"), "--budget: '30' is no duration"),
        (("--gan-budget", "x"), "--gan-budget: 'x' is no duration"),
        (("--folds", 1), "--folds 1: Input should be greater"),
        (("--delta", 2), "--delta 2.0: Input should be less"),
        (("--gap", 3), "--time"),
    ],
)
def test_numbers_that_no_evaluation_can_use_are_usage_errors(
    command: Command, cells: Path, flags: tuple[object, ...], says: str
) -> None:
    refused = command("evaluate", cells, "--target", "kind", *flags)
    assert refused.returncode == 2
    assert says in refused.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "code", "says"),
    [
        ((), 2, "--target"),
        (("--target", "knd"), 2, "Did you mean 'kind'"),
        (("--target", "kind", "--group", "ptient"), 2, "Did you mean 'patient'"),
        (("--target", "kind", "--time", "shape"), 3, "cannot order rows in time"),
        (("--target", "kind", "--classes", "rar"), 3, "Did you mean 'rare'"),
        (("--target", "kind", "--learner", "forrest"), 2, "forest"),
        (("--target", "kind", "--learner", "mine.py:make"), 2, "mine.py"),
        (("--target", "kind", "--arms", "smot"), 2, "Did you mean 'smote'"),
        (("--target", "kind", "--sampler", "mine.py:make"), 2, "mine.py"),
        (("--target", "kind", "--updates", 10), 2, "updates"),
    ],
)
def test_what_cannot_be_evaluated_is_refused_in_a_line_and_leaves_nothing(
    command: Command,
    cells: Path,
    tmp_path: Path,
    flags: tuple[object, ...],
    code: int,
    says: str,
) -> None:
    refused = command("evaluate", cells, *flags, "--out", "rep")
    assert refused.returncode == code, refused.stderr
    assert says in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / "rep").exists()


@pytest.mark.slow
def test_a_dry_run_tells_the_plan_and_writes_nothing(
    command: Command, cells: Path, tmp_path: Path
) -> None:
    told = answer(command("evaluate", cells, "--target", "kind", *SHORT, "--dry-run", "--json"))
    assert told["options"]["steps"] == {"value": 2, "source": "given"}
    assert told["plan"]["fits"]["generators"] == 8  # 2 folds, outer and 3 inner parts
    assert told["plan"]["rare_units"] == {"rare": 16}
    assert 0 < told["plan"]["detectable"] < 1
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_verdict_is_the_first_line_and_the_folder_the_last(
    report: tuple[Path, CompletedProcess[str]],
) -> None:
    folder, run = report
    told = run.stdout.splitlines()
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    assert told[0].startswith(result["verdict"]["word"])
    assert told[-1] == "rep"
    assert any(line.split()[:1] == ["gan"] for line in told)
    planned = [line for line in run.stderr.splitlines() if line.startswith("plan: ")]
    assert planned[0].startswith("plan: 2 folds x 1; 8 generator fits")
    assert {"result.json", "timings.json", "journal.jsonl"} <= {p.name for p in folder.iterdir()}
    assert told[-2] == "the report to look at: rep/report.html"
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert page == EvaluationResult.load(folder).to_html()


@pytest.mark.slow
def test_fail_on_exits_with_four_after_the_result_is_written(
    command: Command, cells: Path, tmp_path: Path
) -> None:
    run = command(
        *("evaluate", cells, "--target", "kind", *SHORT, "--out", "rep"),
        *("--fail-on", "no-evidence", "--quiet"),
    )
    assert (run.returncode, run.stdout) == (4, "rep\n")
    assert "--fail-on no-evidence" in run.stderr
    assert (tmp_path / "rep" / "result.json").is_file()


@pytest.mark.slow
def test_an_evaluation_is_replaced_if_asked_and_not_resumed_with_other_options(
    report: tuple[Path, CompletedProcess[str]], command: Command, cells: Path, tmp_path: Path
) -> None:
    shutil.copytree(report[0], tmp_path / "rep")
    flags = ("evaluate", cells, "--target", "kind", *SHORT, "--seed", 1, "--out", "rep")
    for more, says in (((), "--overwrite"), (("--resume",), "seed is 0, asked was 1")):
        refused = command(*flags, *more)
        assert (refused.returncode, says in refused.stderr) == (2, True)
    assert command(*flags, "--no-diagnostics", "--overwrite", "--quiet").returncode == 0
    assert EvaluationResult.load(tmp_path / "rep").result["protocol"]["seed"] == 1


@pytest.mark.slow
def test_resume_without_a_journal_is_refused_and_leaves_nothing(
    command: Command, cells: Path, tmp_path: Path
) -> None:
    refused = command("evaluate", cells, "--target", "kind", "--out", "rep", "--resume")
    assert refused.returncode == 2
    assert "journal" in refused.stderr
    assert not (tmp_path / "rep").exists()
    refused = command("evaluate", cells, "--target", "kind", "--resume")
    assert refused.returncode == 2
    assert "--resume needs --out" in refused.stderr


def interrupted(home: Path, flags: tuple[str, ...]) -> tuple[int, str]:
    """Exit code and stderr of a command that gets Ctrl-C once its journal holds four lines."""
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


@pytest.mark.slow
def test_an_interrupted_evaluation_goes_on_to_the_same_bytes(
    report: tuple[Path, CompletedProcess[str]],
    cells: Path,
    tmp_path: Path,
    command: Command,
) -> None:
    flags = ("evaluate", str(cells), "--target", "kind", *map(str, SHORT), "--out", "rep")
    code, told = 0, ""
    for _ in range(20):  # where the evaluation was done before the signal came, once more
        shutil.rmtree(tmp_path / "rep", ignore_errors=True)
        code, told = interrupted(tmp_path, (*flags, "--n-jobs", "2"))
        if code:
            break
    assert code == 130, told
    assert told.splitlines()[-1].startswith("error: interrupted; what is finished was kept")
    assert not (tmp_path / "rep" / "result.json").exists()
    assert command(*flags, "--resume").returncode == 0
    left = report[0] / "result.json"
    assert (tmp_path / "rep" / "result.json").read_bytes() == left.read_bytes()


@pytest.mark.slow
def test_names_with_spaces_commas_and_letters_of_any_script_are_taken(
    command: Command, tmp_path: Path
) -> None:
    home = tmp_path / "meine Daten"
    home.mkdir()
    path = write_cells(home / "Zellen ä.csv")
    text = path.read_text(encoding="utf-8").replace("kind", "Größe, Klasse", 1)
    head, _, rows = text.partition("\n")
    head = head.replace("Größe, Klasse", '"Größe, Klasse"')
    path.write_text(head + "\n" + rows.replace("rare", "選 ß"), encoding="utf-8")
    run = command(
        *("evaluate", path, "--target", "Größe, Klasse", *SHORT, "--out", tmp_path / "ein Bericht")
    )
    assert run.returncode == 0, run.stderr
    assert "選 ß*" in run.stdout
    assert run.stdout.splitlines()[-1] == str(tmp_path / "ein Bericht")


@pytest.mark.slow
def test_a_learner_and_a_sampler_of_ones_own_are_loaded_from_files(
    command: Command, cells: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(
        "from imblearn.over_sampling import RandomOverSampler\n"
        "from sklearn.naive_bayes import GaussianNB\n"
        "def judge():\n    return GaussianNB()\n"
        "def doubled():\n    return RandomOverSampler()\n"
        "def broken():\n    return 3\n"
    )
    flags = ("evaluate", cells, "--target", "kind", *SHORT, "--learner", "mine.py:judge")
    told = answer(command(*flags, "--sampler", "mine.py:doubled", "--n-jobs", 2, "--json"))
    assert told["result"]["arms"]["doubled"]["missing"] is None
    stored = json.loads((tmp_path / told["out"] / "result.json").read_text(encoding="utf-8"))
    assert (told["result"], told["verdict"]) == (stored, stored["verdict"]["word"])
    refused = command(*flags, "--sampler", "mine.py:broken")
    assert refused.returncode == 2
    assert "the sampler 'broken' is 3; expected an object with fit_resample" in refused.stderr


@pytest.mark.slow
def test_groups_and_times_are_columns_that_no_learner_sees(command: Command, cells: Path) -> None:
    flags = ("evaluate", cells, "--target", "kind", *SHORT, "--no-diagnostics", "--json")
    told = answer(command(*flags, "--group", "patient", "--out", "groups"))
    assert told["result"]["protocol"]["splits"] == "groups"
    assert told["result"]["data"]["unit"] == "groups"
    told = answer(command(*flags, "--time", "day", "--gap", 1, "--out", "times"))
    assert told["result"]["protocol"]["splits"] == "time"


@pytest.mark.slow
def test_images_are_evaluated_too(
    command: Command, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gan_augment.generators.scorer.SCORER_STEPS", 10)  # not of its figures
    flags = ("--folds", 2, "--steps", 2, "--updates", 4, "--arms", "none,oversample,gan")
    told = answer(command("evaluate", photos, *flags, "--out", "rep", "--json"))
    assert told["result"]["data"]["kind"] == "image"
    assert set(told["result"]["arms"]) == {"none", "oversample", "gan"}
    refused = command("evaluate", photos, "--group", "patient", "--out", "other")
    assert (refused.returncode, "list the images in a manifest" in refused.stderr) == (2, True)
