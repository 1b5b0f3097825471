"""`gan-augment report`: what it writes and prints, and how it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from gan_augment.evaluation.result import EvaluationResult
from tests.cli.conftest import answer
from tests.report import results

Command = Callable[..., CompletedProcess[str]]


@pytest.mark.slow
def test_the_page_lies_beside_the_result_and_is_replaced_only_with_overwrite(
    command: Command, tmp_path: Path
) -> None:
    EvaluationResult(results.real("glass"), results.timings()).save(tmp_path / "rep")
    (tmp_path / "rep" / "report.html").unlink()
    done = command("report", "rep")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "rep/report.html"
    assert done.stdout.startswith("NO EVIDENCE: ")
    page = (tmp_path / "rep" / "report.html").read_text(encoding="utf-8")
    assert "NO EVIDENCE" in page
    assert "13 min 14 s" in page  # of timings.json
    refused = command("report", "rep/result.json")
    assert refused.returncode == 2
    assert "--overwrite replaces it" in refused.stderr
    again = command("report", "rep", "--overwrite", "--quiet")
    assert again.stdout == "rep/report.html\n"
    told = answer(command("report", "rep", "--overwrite", "--json"))
    assert (told["out"], told["verdict"]) == ("rep/report.html", "NO EVIDENCE")


@pytest.mark.slow
def test_what_cannot_be_shown_is_refused_in_a_line(command: Command) -> None:
    refused = command("report", "nowhere")
    assert refused.returncode == 2
    assert "there is no 'nowhere'" in refused.stderr
    assert refused.stderr.count("\n") == 1
