"""Which distributions this library needs and which are there, by metadata: nothing is imported."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

DISTRIBUTION = "gan-augment"
_PROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"
_REQUIREMENT = re.compile(
    r"(?P<name>[\w.-]+)\s*(?P<range>[^;]*?)\s*(;(.*extra\s*==\s*['\"](?P<extra>\w+))?.*)?"
)
OPTIONAL = {"pyarrow": "Parquet files, Arrow tables", "polars": "frames of polars"}
_MODULES = {"imbalanced-learn": "imblearn", "pillow": "PIL", "scikit-learn": "sklearn"}


@dataclass(frozen=True)
class Package:
    """A distribution. range: the versions that will do, as pip has them; version: what is there.

    use: what an optional one is for, "" for what is needed. problem: why it will not do, or None.
    """

    name: str
    range: str
    version: str | None
    use: str = ""
    problem: str | None = None

    @property
    def module(self) -> str:
        """The name to import."""
        return _MODULES.get(self.name.lower(), self.name)

    @property
    def cure(self) -> str:
        """How to get it, or to get it whole."""
        broken = self.version is not None and fits(self.version, self.range)
        again = "--force-reinstall " if broken else ""
        return f'pip install {again}"{self.name}{self.range}"'

    def line(self) -> str:
        """One line for people."""
        found = f"{self.name} {self.version}" if self.version else self.name
        if self.problem is None:
            return found
        use = f" (for {self.use})" if self.use else ""
        return f"{found}: {self.problem}{use}; {self.cure}"


def packages() -> list[Package]:
    """What is needed, in order of name, then what some uses need."""
    needed = [_package(name, wanted) for name, wanted in sorted(requirements().items())]
    ranges = requirements("parquet")
    return needed + [_package(name, ranges.get(name, ""), use) for name, use in OPTIONAL.items()]


def requirements(extra: str | None = None) -> dict[str, str]:
    """{distribution: range of versions} that this library asks for, or one of its extras.

    By pyproject.toml where it runs from its sources, whose metadata may be older; else by metadata.
    """
    if _PROJECT.is_file():
        project = tomllib.loads(_PROJECT.read_text(encoding="utf-8"))["project"]
        if project["name"] == DISTRIBUTION:
            given = project["optional-dependencies"][extra] if extra else project["dependencies"]
            return {name: wanted for name, wanted, _ in map(_parsed, given)}
    try:
        lines = map(_parsed, metadata.requires(DISTRIBUTION) or [])
    except metadata.PackageNotFoundError:
        return {}
    return {name: wanted for name, wanted, of in lines if of == extra}


def fits(version: str, wanted: str) -> bool:
    """Whether a version lies in a range of >= and < clauses; only its leading numbers count.

    >>> fits("2.13.0+cpu", ">=2.10"), fits("2.2", ">=2.0.8,<2.1")
    (True, False)
    """
    mine = _numbers(version)
    for clause in filter(None, wanted.split(",")):
        sign, limit = clause.strip()[:2], _numbers(clause)
        if (sign == ">=" and mine < limit) or (sign[0] == "<" and mine >= limit):
            return False
    return True


def albumentations_words() -> str:
    """Which distribution answers `import albumentations`: the MIT package or AlbumentationsX."""
    holders = metadata.packages_distributions().get("albumentations", [])
    found = sorted({name.lower() for name in holders})
    if found == ["albumentations"]:
        return "the MIT package answers `import albumentations`"
    if not found:
        return "nothing answers `import albumentations`"
    wanted = "albumentations" + requirements().get("albumentations", "")
    return (
        f"{' and '.join(found)} may answer `import albumentations`, and AlbumentationsX is under "
        f'the AGPL, not MIT: pip uninstall {" ".join(found)}, then pip install "{wanted}"'
    )


def _package(name: str, wanted: str, use: str = "") -> Package:
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Package(name, wanted, None, use, "not installed")
    problem = None if fits(version, wanted) else f"expected {wanted}"
    return Package(name, wanted, version, use, problem)


def _parsed(requirement: str) -> tuple[str, str, str | None]:
    match = _REQUIREMENT.fullmatch(requirement.strip())
    assert match is not None, requirement
    return match["name"], match["range"], match["extra"]


def _numbers(text: str) -> tuple[int, ...]:
    """The first dotted number in a text, without zeros at its end."""
    found = re.search(r"\d+(\.\d+)*", text)
    numbers = [int(part) for part in found[0].split(".")] if found else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
