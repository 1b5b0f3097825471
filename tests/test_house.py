"""Rules for the whole tree: cheap imports, no code from data, sizes, documented places."""

from __future__ import annotations

import ast
import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = sorted((ROOT / "gan_augment").rglob("*.py"))
COMMAND_LINE = sorted((ROOT / "cli").rglob("*.py"))
HEAVY = ("torch", "sklearn", "scipy", "pandas", "albumentations", "PIL", "cv2")


def loaded_by(code: str) -> set[str]:
    report = f"import sys\n{code}\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    run = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, check=True)
    return set(run.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("module", ["gan_augment", "gan_augment.metrics", "gan_augment_cli.app"])
def test_importing_loads_nothing_heavy(module: str) -> None:
    assert loaded_by(f"import {module}").isdisjoint(HEAVY)


def test_every_public_name_can_be_had() -> None:
    import gan_augment

    for name in gan_augment.__all__:
        value = getattr(gan_augment, name)
        assert isinstance(value, str) or callable(value), f"{name} is a module, not a function"


@pytest.mark.slow
def test_help_answers_in_a_third_of_a_second_or_eight_starts_of_python() -> None:
    def computed_s(*args: str) -> float:
        began = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *args], check=True, capture_output=True)
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        return ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime

    pairs = [
        (computed_s("-m", "gan_augment_cli", "--help"), computed_s("-c", "")) for _ in range(5)
    ]
    help_s, start_s = (min(seconds) for seconds in zip(*pairs, strict=True))
    assert help_s <= max(0.3, 8 * start_s)  # other work on the machine slows both


def dotted(node: ast.expr) -> str:
    match node:
        case ast.Name(name):
            return name
        case ast.Attribute(value, name):
            return f"{dotted(value)}.{name}"
    return ""


def calls(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield dotted(node.func)


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


WEIGHTS = ROOT / "gan_augment" / "networks" / "backbones.py"  # the one door of torch.load
CODE_FROM_DATA = {"eval", "exec", "compile", "torch.load", "joblib.load", "yaml.load", "__import__"}
AMBIENT = re.compile(
    r"(np|numpy)\.random\.(?!(Generator|Philox)$)|torch\.(cuda\.)?manual_seed|random\."
)


def test_nothing_runs_code_from_data_or_touches_global_randomness() -> None:
    for path in [*LIBRARY, *COMMAND_LINE]:
        called = set(calls(path))
        forbidden = {"pickle", "cloudpickle", "dill", "marshal", "shelve"}
        assert called & CODE_FROM_DATA <= ({"torch.load"} if path == WEIGHTS else set()), path
        if path.name != "rng.py":  # it puts them back
            assert not [name for name in called if AMBIENT.match(name)], path
            forbidden |= {"random"}
        own = {"random.Random"}  # a generator of one's own
        used = [name for name in imports(path) if name not in own]
        assert not [name for name in used if name.split(".")[0] in forbidden], path


def test_weights_of_others_are_read_without_their_code() -> None:
    nodes = ast.walk(ast.parse(WEIGHTS.read_text(encoding="utf-8")))
    loads = [n for n in nodes if isinstance(n, ast.Call) and dotted(n.func) == "torch.load"]
    assert [ast.unparse(call.keywords[-1]) for call in loads] == ["weights_only=True"]


def test_the_command_line_uses_typers_public_names_only() -> None:
    for path in COMMAND_LINE:
        private = [
            n for n in imports(path) if n.startswith("typer._") or n.split(".")[0] == "click"
        ]
        assert not private, path


def test_a_module_is_called_by_the_fields_word_and_has_a_size_to_read() -> None:
    vague = {"utils", "helpers", "misc", "common", "manager", "base2"}
    for path in [*LIBRARY, *COMMAND_LINE]:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 650, path
        assert path.stem not in vague, path


def test_the_house_stays_within_its_size() -> None:
    place = ROOT / "examples" / "benchmarks" / "house.py"
    spec = spec_from_file_location("house", place)
    assert spec is not None
    assert spec.loader is not None
    house = module_from_spec(spec)
    spec.loader.exec_module(house)
    sizes = house.sizes(ROOT)
    assert sizes["circles"] == []
    assert len(sizes["modules under 100 lines with one importer"]) <= 10
    limits = {"lines": 29_400, "files": 156, "functions": 1_530, "fragments": 60}
    limits |= {"over 60 lines": 0}
    found = {name: sizes["total"].get(name, 0) for name in limits}
    assert {name: n for name, n in found.items() if n > limits[name]} == {}


def test_every_place_in_where_is_exists() -> None:
    table = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("## Where is")[2]
    places = re.findall(r"`([\w/]+/[\w./]*)`", table)
    assert len(places) > 10
    assert not [place for place in places if not (ROOT / place).exists()]


def test_every_tested_version_fits_the_ranges() -> None:
    import tomllib

    from packaging.requirements import Requirement

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    exact = dict(line.split("==") for line in lines if not line.startswith("#"))
    for text in [*project["dependencies"], *project["optional-dependencies"]["dev"]]:
        wanted = Requirement(text)
        assert exact[wanted.name.lower()] in wanted.specifier


def test_a_connection_beyond_this_machine_raises() -> None:
    import socket

    with pytest.raises(ConnectionRefusedError, match="makes no connection"):
        socket.create_connection(("192.0.2.1", 80), timeout=1)


def test_a_process_started_by_a_test_has_no_network_either() -> None:
    code = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=1)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "makes no connection" in run.stderr
