"""The notebook runs from its first cell to its last, and what it shows lies in it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).resolve().parents[2] / "examples" / "walkthrough.ipynb"
SMALL_BYTES = 200_000


@pytest.fixture
def cells() -> list[Any]:
    found: list[Any] = nbformat.read(NOTEBOOK, as_version=4).cells
    return found


def test_the_notebook_is_stored_with_what_it_shows_and_stays_small(cells: list[Any]) -> None:
    code = [cell for cell in cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    shown = {kind for cell in code for output in cell.outputs for kind in output.get("data", {})}
    assert {"image/png", "text/html"} <= shown
    assert NOTEBOOK.stat().st_size <= SMALL_BYTES


def test_what_the_notebook_shows_names_no_place_of_the_machine_that_ran_it(
    cells: list[Any],
) -> None:
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
