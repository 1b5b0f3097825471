"""Links, numbers, the notebook and the reference: what the documents promise is there."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[2]
PLACES = ("*.md", "docs/*.md", "examples/**/*.md", "examples/*.ipynb")
DOCUMENTS = sorted(path for place in PLACES for path in ROOT.glob(place))
VERDICTS = ROOT / "examples" / "benchmarks" / "verdicts"
NOTEBOOK = ROOT / "examples" / "walkthrough.ipynb"
PUBLIC = (
    "gan_augment",
    "gan_augment.sklearn_api",
    "gan_augment.torch_api",
    "gan_augment.metrics",
)


def text_of(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


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
    pages = sorted({path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"})
    index, readme = text_of("docs/README.md"), text_of("README.md")
    assert [page for page in pages if f"({page})" not in index] == []
    assert [page for page in pages if f"docs/{page}" not in readme] == []


def test_the_page_about_the_report_quotes_a_committed_verdict_and_explains_every_part() -> None:
    page = text_of("docs/evaluate.md")
    quoted = " ".join(re.findall(r"^> (.*)$", page, flags=re.MULTILINE))
    result = json.loads((VERDICTS / "mammography.json").read_text(encoding="utf-8"))
    assert quoted == result["verdict"]["sentence"]
    templates = (ROOT / "gan_augment" / "report" / "templates").glob("*.html")
    heads = [re.findall(r"<h2[^>]*>(.+?)</h2>", path.read_text("utf-8")) for path in templates]
    asked = [re.sub(r"{{ *rows *}}", "images", head) for found in heads for head in found]
    explained = re.findall(r"^## (.*)$", page.replace("generated rows", "generated images"), re.M)
    assert len(asked) > 5
    assert [head for head in asked if head not in explained] == []


def test_the_figures_are_those_of_the_committed_results() -> None:
    script = ROOT / "examples" / "benchmarks" / "figures.py"
    done = subprocess.run([sys.executable, str(script), "--check"], check=False)
    assert done.returncode == 0, f"run python {script.relative_to(ROOT)}"


def test_the_table_of_the_readme_is_computed_from_the_committed_results() -> None:
    sys.path.insert(0, str(ROOT / "examples" / "benchmarks"))
    rows = "\n".join(import_module("headline").rows())
    assert rows in text_of("examples/benchmarks/headline.md")
    gains = re.findall(r"[+-][\d.]+ \(\S+ to \S+\)", text_of("README.md").partition("## Does")[2])
    assert len(gains) == 10
    assert [gain for gain in gains if gain not in rows] == []


def test_the_notebook_is_stored_with_its_outputs_and_names_no_place_of_a_machine() -> None:
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    shown = {kind for cell in code for output in cell.outputs for kind in output.get("data", {})}
    assert {"image/png", "text/html"} <= shown
    assert NOTEBOOK.stat().st_size <= 200_000
    texts = [str(output) for cell in cells for output in cell.get("outputs", [])]
    assert [text for text in texts if re.search(r"(/root|/home|/tmp|/Users)/", text)] == []


@pytest.mark.campaign
def test_the_notebook_runs(tmp_path: Path) -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=300, resources=resources).execute()
    errors = [o for c in notebook.cells for o in c.get("outputs", []) if o.get("name") == "stderr"]
    assert errors == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_name_says_what_it_does(module: str) -> None:
    found = import_module(module)
    values = {name: getattr(found, name) for name in found.__all__ if name != "__version__"}
    assert [name for name, value in values.items() if not inspect.getdoc(value)] == []


@pytest.mark.slow
def test_make_docs_writes_an_entry_for_every_public_name_and_closes_the_network(
    tmp_path: Path,
) -> None:
    makefile = text_of("Makefile")
    pages = re.findall(r"gan_augment[\w.]*", makefile.partition("PAGES :=")[2].partition("\n\n")[0])
    command = re.search(r"^docs:.*\n\t\S+ (.*) -o ", makefile, flags=re.MULTILINE)
    assert command is not None
    line = [sys.executable, *command[1].split(), "-o", str(tmp_path), *pages]
    done = subprocess.run(line, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    for module in PUBLIC:
        page = (tmp_path / f"{module.replace('.', '/')}.html").read_text(encoding="utf-8")
        names = import_module(module).__all__
        assert [name for name in names if f'id="{name}"' not in page] == []
    for path in tmp_path.rglob("*.html"):
        wanted = re.findall(r"<(?:script|img|link)[^>]*(?:src|href)=\"([^\"]+)\"", path.read_text())
        assert [url for url in wanted if re.match(r"(https?:)?//", url)] == [], path.name
