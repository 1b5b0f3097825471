"""`gan-augment report` as a process: what it writes and prints, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from gan_augment.evaluation.result import result_bytes
from tests.cli.conftest import answer
from tests.report import results

Command = Callable[..., CompletedProcess[str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of an evaluation."""
    found = tmp_path / "rep"
    found.mkdir()
    (found / "result.json").write_bytes(result_bytes(results.real("glass")))
    (found / "timings.json").write_bytes(result_bytes(results.timings()))
    return found


@pytest.mark.slow
def test_the_page_lies_beside_the_result_and_its_path_is_the_last_line(
    command: Command, folder: Path
) -> None:
    done = command("report", "rep")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "rep/report.html"
    assert done.stdout.startswith("NO EVIDENCE: ")
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "NO EVIDENCE" in page
    assert "13 min 14 s" in page  # of timings.json


@pytest.mark.slow
def test_a_report_is_replaced_only_with_overwrite(command: Command, folder: Path) -> None:
    assert command("report", "rep/result.json", "--quiet").stdout == "rep/report.html\n"
    refused = command("report", "rep")
    assert refused.returncode == 2
    assert "--overwrite replaces it" in refused.stderr
    told = answer(command("report", "rep", "--overwrite", "--json"))
    assert told["out"] == "rep/report.html"
    assert told["verdict"] == "NO EVIDENCE"


@pytest.mark.slow
def test_what_cannot_be_shown_is_refused_in_a_line(command: Command) -> None:
    refused = command("report", "nowhere")
    assert refused.returncode == 1
    assert "no readable result" in refused.stderr
    assert refused.stderr.count("\n") == 1
