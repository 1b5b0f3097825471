"""What `report` writes, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gan_augment.commands.report import report
from gan_augment.errors import GanAugmentError, OutputExistsError
from gan_augment.evaluation.result import EvaluationResult
from tests.report import results


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of an evaluation, with its page."""
    EvaluationResult(results.real("glass"), results.timings()).save(tmp_path / "rep")
    return tmp_path / "rep"


def test_a_report_made_anew_is_the_one_that_the_evaluation_left(folder: Path) -> None:
    first = (folder / "report.html").read_bytes()
    written = report(folder / "result.json", overwrite=True)
    assert written.out == folder / "report.html"
    assert written.out.read_bytes() == first
    assert report(folder, folder / "new" / "page.htm").out.read_bytes() == first


def test_a_file_is_replaced_only_when_asked_and_a_folder_never(folder: Path) -> None:
    (folder / "sub.html").mkdir()
    for out, overwrite in ((folder / "sub.html", True), (None, False)):
        with pytest.raises(OutputExistsError, match="overwrite= replaces a file"):
            report(folder, out, overwrite=overwrite)


@pytest.mark.parametrize(
    ("content", "out", "code", "says"),
    [
        (None, None, 2, "there is no .*result.json"),
        ("[]", None, 1, "holds no JSON object"),
        ('{"schema": 99, "verdict": {}}', None, 1, "schema 99"),
        ('{"schema": 2, "recommendation": {}}', None, 1, "cannot be shown"),
        (json.dumps(results.real("glass")), "page.pdf", 2, "no HTML file"),
    ],
)
def test_what_cannot_be_shown_is_refused_and_leaves_nothing(
    tmp_path: Path, content: str | None, out: str | None, code: int, says: str
) -> None:
    file = tmp_path / "result.json"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    with pytest.raises(GanAugmentError, match=says) as refused:
        report(file, None if out is None else tmp_path / out)
    assert refused.value.exit_code == code
    assert not list(tmp_path.glob("*.html")) + list(tmp_path.glob("*.pdf"))
