"""The reference that `make docs` builds: every public name is in it and says what it does."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PUBLIC = (
    "gan_augment",
    "gan_augment.sklearn_api",
    "gan_augment.torch_api",
    "gan_augment.metrics",
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make docs` writes; a warning is an error, and the network is closed."""
    out = tmp_path_factory.mktemp("docs")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    pages = re.findall(r"gan_augment[\w.]*", makefile.partition("PAGES :=")[2].partition("\n\n")[0])
    command = re.search(r"^docs:.*\n\t\S+ (.*) -o ", makefile, flags=re.MULTILINE)
    assert command is not None
    assert set(PUBLIC) <= set(pages)
    line = [sys.executable, *command[1].split(), "-o", str(out), *pages]
    done = subprocess.run(line, capture_output=True, text=True, cwd=out, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return out


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_name_says_what_it_does(module: str) -> None:
    found = import_module(module)
    values = {name: getattr(found, name) for name in found.__all__ if name != "__version__"}
    assert [name for name, value in values.items() if not inspect.getdoc(value)] == []


@pytest.mark.slow
@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_name_has_its_entry(module: str, built: Path) -> None:
    page = (built / f"{module.replace('.', '/')}.html").read_text(encoding="utf-8")
    found = import_module(module)
    assert [name for name in found.__all__ if f'id="{name}"' not in page] == []


@pytest.mark.slow
def test_a_page_asks_for_nothing_beyond_itself(built: Path) -> None:
    for page in built.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        wanted = re.findall(r"<(?:script|img|link)[^>]*(?:src|href)=\"([^\"]+)\"", text)
        assert [url for url in wanted if re.match(r"(https?:)?//", url)] == [], page.name
