"""`doctor`: what is installed, what is missing and how to get it, and how fast training is here.

Run as a module it is the process in which `doctor` imports and times things, since either may end
it: arguments are modules to import; answers are lines of JSON on stdout.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib import import_module, metadata
from typing import Any

from packaging.requirements import Requirement

from gan_augment.processes import worker_command, worker_environment
from gan_augment.progress import Progress

__all__ = ["Diagnosis", "doctor"]

DISTRIBUTION = "gan-augment"
LIMIT_S = 180.0
PROBE_S = 0.5
_MODULES = {"imbalanced-learn": "imblearn", "pillow": "PIL", "scikit-learn": "sklearn"}
_SIDE_PX, _CLASSES, _ROWS = 32, 10, 640


@dataclass(frozen=True)
class Package:
    """A distribution.

    range: the versions that will do, as pip has them. version: the installed one. problem: why it
    will not do, or None.
    """

    name: str
    range: str
    version: str | None
    problem: str | None = None

    @property
    def module(self) -> str:
        """The name to import."""
        return _MODULES.get(self.name.lower(), self.name.replace("-", "_"))

    @property
    def cure(self) -> str:
        """How to get it, or to get it whole."""
        broken = self.version is not None and not str(self.problem).startswith("expected")
        again = "--force-reinstall " if broken else ""
        return f'pip install {again}"{self.name}{self.range}"'

    def line(self) -> str:
        """One line for people."""
        installed = f"{self.name} {self.version}" if self.version else self.name
        if self.problem is None:
            return installed
        return f"{installed}: {self.problem}; {self.cure}"


@dataclass(frozen=True)
class Diagnosis:
    """What `doctor` says.

    machine: what trains here by default, in words. images_per_s: {precision: speed} of the default
    recipe on 32 px colour images. not_timed: why nothing, or not everything, was timed.
    problems: what is needed and does not work, each with its cure.
    """

    packages: tuple[Package, ...]
    albumentations: str
    machine: str = ""
    images_per_s: Mapping[str, float] = field(default_factory=dict)
    not_timed: str | None = None
    problems: tuple[str, ...] = ()

    @property
    def healthy(self) -> bool:
        """Whether everything that is needed is there and works."""
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        packages = [{**asdict(p), "cure": p.cure if p.problem else None} for p in self.packages]
        about = {"version": installed_version(DISTRIBUTION), "python": platform.python_version()}
        where = {"platform": platform.platform(), "healthy": self.healthy}
        return {**asdict(self), **about, **where, "packages": packages}

    def lines(self) -> list[str]:
        """The same for people, what is wrong last."""
        speeds = [f"{name} {n:.0f} images/s" for name, n in self.images_per_s.items()]
        timed = f"training, default recipe, 32 px colour: {', '.join(speeds)}" if speeds else ""
        verdict = [f"problem: {problem}" for problem in self.problems]
        return [
            f"{DISTRIBUTION} {installed_version(DISTRIBUTION) or 'not installed'}, "
            f"Python {platform.python_version()}, {platform.platform()}",
            ", ".join(p.line() for p in self.packages if p.problem is None),
            self.albumentations,
            *(line for line in (self.machine, timed) if line),
            *(verdict or ["everything that is needed is there and works"]),
        ]


def doctor(progress: Progress | None = None) -> Diagnosis:
    """Look at this installation and machine, in seconds. Writes nothing.

    Imports and timings run in a process of their own, so that a torch that is missing, broken or
    ends its process is reported instead of raised.
    """
    listed = [_package(name, allowed) for name, allowed in sorted(requirements().items())]
    (progress or Progress()).phase("importing and timing")
    modules = [package.module for package in listed if package.version is not None]
    modules.sort(key=lambda module: ("numpy", "torch", module).index(module))  # others import them
    answers, ended = _trials(modules)
    broken = {line["module"]: line["problem"] for line in answers if line.get("problem")}
    if ended and ended.startswith("import "):
        broken[ended.split()[1]] = ended
    checked = [
        replace(p, problem=broken[p.module]) if p.version and p.module in broken else p
        for p in listed
    ]
    problems = [package.line() for package in checked if package.problem]
    if ended and not broken:
        problems.append(ended)
    rule = next((line for line in answers if "machine" in line), {})
    speeds = {line["precision"]: line["images_per_s"] for line in answers if "images_per_s" in line}
    return Diagnosis(
        packages=tuple(checked),
        albumentations=albumentations_words(),
        machine=rule.get("machine", ""),
        images_per_s=speeds,
        not_timed=ended or (None if rule else "training was not tried"),
        problems=tuple(problems),
    )


def requirements() -> dict[str, str]:
    """{distribution: range of versions} that this library's metadata asks for, without extras."""
    parsed = map(Requirement, metadata.requires(DISTRIBUTION) or [])
    return {each.name: str(each.specifier) for each in parsed if each.marker is None}


def albumentations_words() -> str:
    """Say which distribution answers `import albumentations`: the MIT one or AlbumentationsX."""
    owners = metadata.packages_distributions().get("albumentations", [])
    names = sorted({name.lower() for name in owners})
    if names == ["albumentations"]:
        return "the MIT package answers `import albumentations`"
    if not names:
        return "nothing answers `import albumentations`"
    allowed = "albumentations" + requirements().get("albumentations", "")
    return (
        f"{' and '.join(names)} may answer `import albumentations`, and AlbumentationsX is under "
        f'the AGPL, not MIT: pip uninstall {" ".join(names)}, then pip install "{allowed}"'
    )


def _package(name: str, allowed: str) -> Package:
    version = installed_version(name)
    if version is None:
        return Package(name, allowed, None, "not installed")
    fits = Requirement(f"{name}{allowed}").specifier.contains(version, prereleases=True)
    return Package(name, allowed, version, None if fits else f"expected {allowed}")


def installed_version(name: str) -> str | None:
    """Look up the version of a distribution; None where it is not there."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _trials(modules: Sequence[str]) -> tuple[list[dict[str, Any]], str | None]:
    """(what a process of its own answered, what ended it before it was done, if anything)."""
    environment = {**worker_environment(), "NO_ALBUMENTATIONS_UPDATE": "1"}
    if "OMP_NUM_THREADS" not in os.environ:  # all threads are what is timed
        del environment["OMP_NUM_THREADS"]
    line = [*worker_command(__name__), *modules]
    try:
        run = subprocess.run(line, env=environment, capture_output=True, timeout=LIMIT_S)
        output, code, errors = run.stdout, run.returncode, run.stderr.decode(errors="replace")
    except subprocess.TimeoutExpired as slow:
        output, code, errors = slow.stdout or b"", 1, f"it took longer than {LIMIT_S:.0f} s"
    answers = [json.loads(line) for line in output.splitlines() if line.startswith(b"{")]
    if code == 0:
        return answers, None
    answered = {answer.get("module") for answer in answers}
    last = next((f"import {module}" for module in modules if module not in answered), "training")
    signal = f"signal {-code}" if code < 0 else "no reason"
    return answers, f"{last} ends its process: {[signal, *errors.strip().splitlines()][-1]}"


def _timed_steps() -> Iterator[dict[str, Any]]:
    """Describe the machine, then time a training step in images/s."""
    import numpy as np

    from gan_augment.data.batches import PairedBatches
    from gan_augment.generators.time_budget import step_seconds
    from gan_augment.kinds.image import IMAGE
    from gan_augment.machine import compute_config
    from gan_augment.networks.geometry import Geometry
    from gan_augment.recipes import resolve_recipe
    from gan_augment.rng import rng_for
    from gan_augment.training.images import build

    machine, recipe = compute_config(pixels=_SIDE_PX**2), resolve_recipe("auto")
    yield {"machine": machine.line()}
    shape, labels = (_SIDE_PX, _SIDE_PX, 3), np.arange(_ROWS) % _CLASSES
    pixels = rng_for(0, "doctor").integers(0, 256, (_ROWS, *shape), dtype=np.uint8)
    data = IMAGE.of(pixels, labels.astype(np.int64), np.arange(_ROWS).astype(np.str_))
    parts = build(recipe, shape, len(data.names), machine)
    batches = PairedBatches(
        data,
        size=recipe.batch,
        power=recipe.label_power,
        padded=Geometry.of(shape).padded,
        device=machine.device,
    )
    speed = recipe.batch / step_seconds(parts, batches, PROBE_S)
    yield {"precision": machine.precision, "images_per_s": round(speed, 1)}


def main() -> None:
    """Import the modules named as arguments, then time training, if torch is there."""
    broken = set()
    for module in sys.argv[1:]:
        problem = None
        try:
            import_module(module)
        except (ImportError, OSError, RuntimeError, AttributeError, ValueError, TypeError) as error:
            problem = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            broken.add(module)
        _answer({"module": module, "problem": problem})
    if not broken & {"torch", "numpy"}:
        for line in _timed_steps():
            _answer(line)


def _answer(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
