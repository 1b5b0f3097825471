"""`evaluate` and `report`: written files, printed lines, exit codes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from gan_augment.evaluation.result import EvaluationResult
from tests.cli.conftest import Command, answer, write_table

pytestmark = pytest.mark.slow
SHORT = (
    *("--target", "kind", "--learner", "logistic", "--folds", 2, "--repeats", 1, "--steps", 2),
    *("--arms", "oversample"),
)


@pytest.fixture(scope="session")
def report(
    cells: Path, tmp_path_factory: pytest.TempPathFactory, start_command: Command
) -> tuple[Path, CompletedProcess[str]]:
    """(the folder of a finished evaluation, its finished command)."""
    home = tmp_path_factory.mktemp("evaluated")
    run = start_command("evaluate", cells, *SHORT, "--out", "rep", cwd=home)
    assert run.returncode == 0, run.stderr
    return home / "rep", run


def test_a_dry_run_shows_the_plan_and_writes_nothing(command, cells, tmp_path):
    told = answer(command("evaluate", cells, *SHORT, "--dry-run", "--json"))
    assert told["options"]["steps"] == {"value": 2, "source": "given"}
    assert told["plan"]["rare_units"] == {"rare": 16}
    assert 0 < told["plan"]["detectable"] < 1
    assert not list(tmp_path.iterdir())


def test_the_verdict_is_the_first_line_and_the_folder_the_last(report):
    folder, run = report
    told = run.stdout.splitlines()
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    assert told[0].startswith(result["verdict"]["word"])
    assert told[-1] == "rep"
    assert any(line.split()[:1] == ["gan"] for line in told)
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
    told = answer(command(*flags, "--time", "day", "--gap", 1, "--out", "times"))
    assert told["result"]["protocol"]["splits"] == "time"


def test_images_are_evaluated_too(command, photos):
    flags = ("--folds", 2, "--steps", 2, "--updates", 4, "--arms", "none,oversample,gan")
    told = answer(command("evaluate", photos, *flags, "--out", "rep", "--json"))
    assert told["result"]["data"]["kind"] == "image"
    assert set(told["result"]["arms"]) == {"none", "oversample", "gan"}
