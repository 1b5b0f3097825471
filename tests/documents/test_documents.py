"""Every link from one document to another leads somewhere, and numbers are those of a result."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLACES = ("*.md", "docs/*.md", "examples/**/*.md", "examples/*.ipynb")
DOCUMENTS = sorted(path for place in PLACES for path in ROOT.glob(place))
VERDICTS = ROOT / "examples" / "benchmarks" / "verdicts"


def links(text: str) -> Iterator[tuple[str, str]]:
    """The file and the heading of each relative link; either may be empty."""
    prose = re.sub(r"^```.*?^```|`[^`\n]*`", "code", text, flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(\s*([^)\s]+)\)", prose):
        if not re.match(r"[a-z]+:", target):
            file, _, heading = target.partition("#")
            yield file, heading


def anchors(document: Path) -> set[str]:
    """Where a link into a Markdown file can lead: its headings, spelt as web hosts spell them."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(encoding="utf-8"), flags=re.MULTILINE)
    titles = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading) for heading in headings]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_between_documents_leads_somewhere(document: Path) -> None:
    for file, heading in links(document.read_text(encoding="utf-8")):
        target = document.parent / file if file else document
        assert target.exists(), f"{file} is linked, and is not there"
        if heading:
            assert heading in anchors(target), f"{file} has no heading #{heading}"


def test_every_page_of_the_documentation_is_in_its_index_and_in_the_readme() -> None:
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [page for page in sorted(pages) if f"({page})" not in index] == []
    assert [page for page in sorted(pages) if f"docs/{page}" not in readme] == []


def test_the_verdict_that_is_explained_is_a_committed_one() -> None:
    page = (ROOT / "docs" / "report.md").read_text(encoding="utf-8")
    quoted = " ".join(re.findall(r"^> (.*)$", page, flags=re.MULTILINE))
    result = json.loads((VERDICTS / "mammography.json").read_text(encoding="utf-8"))
    assert quoted == result["verdict"]["sentence"]


def test_how_to_read_the_report_has_a_part_for_every_part_of_the_report() -> None:
    templates = ROOT / "gan_augment" / "report" / "templates"
    parts = {
        part
        for template in templates.glob("*.html")
        for part in re.findall(r"<h2>([^<{]+)</h2>", template.read_text(encoding="utf-8"))
    }
    page = (ROOT / "docs" / "report.md").read_text(encoding="utf-8")
    assert len(parts) > 8
    assert [part for part in sorted(parts) if f"## {part}\n" not in page] == []
