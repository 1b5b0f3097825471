"""`gan-augment report` as a process: what it writes and prints, and what it refuses."""

from __future__ import annotations

import json
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
def test_a_report_is_replaced_only_with_overwrite_and_other_files_never(
    command: Command, folder: Path
) -> None:
    assert command("report", "rep/result.json", "--quiet").stdout == "rep/report.html\n"
    first = (folder / "report.html").read_bytes()
    refused = command("report", "rep")
    assert refused.returncode == 2
    assert "--overwrite replaces it" in refused.stderr
    told = answer(command("report", "rep", "--overwrite", "--json"))
    assert told["out"] == "rep/report.html"
    assert told["verdict"] == "NO EVIDENCE"
    assert (folder / "report.html").read_bytes() == first
    (folder / "mine.html").write_text("<html>mine</html>", encoding="utf-8")
    refused = command("report", "rep", "--out", "rep/mine.html", "--overwrite")
    assert refused.returncode == 2
    assert "no report of gan-augment" in refused.stderr
    assert (folder / "mine.html").read_text(encoding="utf-8") == "<html>mine</html>"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "flags", "code", "says"),
    [
        (None, (), 1, "no readable result"),
        ("[]", (), 1, "holds no JSON object"),
        ('{"schema": 99, "verdict": {}}', (), 1, "schema 99"),
        ('{"schema": 1, "verdict": {}}', (), 1, "cannot be shown"),
        ("{}", ("--out", "page.pdf"), 1, "schema None"),
        (json.dumps(results.real("glass")), ("--out", "page.pdf"), 2, "no HTML file"),
    ],
)
def test_what_cannot_be_shown_is_refused_in_a_line_and_leaves_nothing(
    command: Command,
    tmp_path: Path,
    content: str | None,
    flags: tuple[object, ...],
    code: int,
    says: str,
) -> None:
    if content is not None:
        (tmp_path / "result.json").write_text(content, encoding="utf-8")
    refused = command("report", "result.json", *flags)
    assert refused.returncode == code, refused.stderr
    assert says in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert not list(tmp_path.glob("*.html")) + list(tmp_path.glob("*.pdf"))
