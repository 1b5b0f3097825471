"""`doctor`: what is installed, what is missing and how to get it, and how fast training is here.

Run as a module it is the process in which `doctor` imports and times things, since either may end
it: arguments are modules to import; answers are lines of JSON on stdout, {"begins": what}, then
{"module", "problem"} of each import, {"rule"} and {"timing"} of training.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from importlib import import_module, metadata
from typing import Any

from packaging.requirements import Requirement

from gan_augment.processes import worker_command, worker_environment
from gan_augment.progress import Progress

__all__ = ["Diagnosis", "doctor"]

DISTRIBUTION = "gan-augment"
OPTIONAL = {"polars": "frames of polars"}
LIMIT_S = 180.0
PROBE_S = 0.5
# No further trial begins after this: two threads on busy cores may take seconds a step.
LONGEST_TRIALS_S = 15.0
MARGIN = 1.1  # times as fast: a smaller difference is the machine's other work
_MODULES = {"imbalanced-learn": "imblearn", "pillow": "PIL", "scikit-learn": "sklearn"}
_SIDE_PX, _CLASSES, _ROWS = 32, 10, 640


@dataclass(frozen=True)
class Package:
    """A distribution.

    range: the versions that will do, as pip has them. version: the installed one. use: what an
    optional one is for, "" for what is needed. problem: why it will not do, or None.
    """

    name: str
    range: str
    version: str | None
    use: str = ""
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
        use = f" (for {self.use})" if self.use else ""
        return f"{installed}: {self.problem}{use}; {self.cure}"


@dataclass(frozen=True)
class Timing:
    """How fast the default recipe trains on 32 px colour images."""

    precision: str
    threads: int
    images_per_s: float


@dataclass(frozen=True)
class Training:
    """How training goes here.

    rule, precision, threads: the machine as it is chosen by itself, in words and values. problem:
    why nothing, or not everything, could be timed.
    """

    rule: str = ""
    precision: str = ""
    threads: int = 0
    timings: tuple[Timing, ...] = ()
    problem: str | None = None

    def advice(self) -> list[str]:
        """Say whether the chosen precision is the faster one, by the trials of the same threads."""
        speeds = {
            (timing.precision, timing.threads): timing.images_per_s for timing in self.timings
        }
        other = "float32" if self.precision == "bf16" else "bf16"
        both = [n for _, n in speeds if {(self.precision, n), (other, n)} <= set(speeds)]
        if self.problem or not both:
            return []
        times = max(speeds[other, n] for n in both) / max(speeds[self.precision, n] for n in both)
        if times > MARGIN:
            said = f"wrong here: {other} is {times:.1f} times as fast; pass --precision {other}"
        else:
            said = f"right here: {other} is {times:.2f} times as fast"
        return [f"the rule takes {self.precision}, and is {said}"]

    def lines(self) -> list[str]:
        """The rule, the timings and the advice."""
        lines = [self.rule] if self.rule else []
        if self.timings:
            lines.append("training, default recipe, 32 px colour:")
        for t in self.timings:
            unit = "thread" if t.threads == 1 else "threads"
            lines.append(
                f"  {t.precision:<8} {t.threads:>2} {unit:<8} {t.images_per_s:>7.0f} images/s"
            )
        return [*lines, *self.advice()]


@dataclass(frozen=True)
class Diagnosis:
    """What `doctor` says. problems: what is needed and does not work, each with its cure."""

    packages: tuple[Package, ...]
    training: Training
    albumentations: str
    problems: tuple[str, ...]

    @property
    def healthy(self) -> bool:
        """Whether everything that is needed is there and works."""
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        training = self.training
        return {
            "healthy": self.healthy,
            "problems": list(self.problems),
            "version": _version(DISTRIBUTION),
            "python": platform.python_version(),
            "platform": platform.platform(),
            "packages": [
                {**asdict(package), "cure": package.cure if package.problem else None}
                for package in self.packages
            ],
            "albumentations": self.albumentations,
            "machine": training.rule or None,
            "timings": [asdict(timing) for timing in training.timings],
            "advice": training.advice(),
            "not_timed": training.problem,
        }

    def lines(self) -> list[str]:
        """The same for people, what is wrong last."""
        verdict = [f"problem: {problem}" for problem in self.problems]
        return [
            f"{DISTRIBUTION} {_version(DISTRIBUTION)}, Python {platform.python_version()}, "
            f"{platform.platform()}",
            ", ".join(p.line() for p in self.packages if p.problem is None),
            self.albumentations,
            *(f"not needed, {p.line()}" for p in self.packages if p.use and p.problem),
            *self.training.lines(),
            *(verdict or ["everything that is needed is there and works"]),
        ]


def doctor(progress: Progress | None = None) -> Diagnosis:
    """Look at this installation and machine, in seconds. Writes nothing.

    Imports and timings run in a process of their own, so that a torch that is missing, broken or
    ends its process is reported instead of raised.
    """
    listed = packages()
    (progress or Progress()).phase("importing and timing")
    modules = [package.module for package in listed if package.version is not None]
    modules.sort(key=lambda module: ("numpy", "torch", module).index(module))  # others import them
    training, broken = _trials(modules)
    checked = [
        replace(p, problem=broken[p.module]) if p.version and p.module in broken else p
        for p in listed
    ]
    problems = [package.line() for package in checked if package.problem and not package.use]
    if training.problem and not broken:
        problems.append(training.problem)
    return Diagnosis(tuple(checked), training, albumentations_words(), tuple(problems))


def packages() -> list[Package]:
    """List what is needed by name, then what some uses need; nothing is imported."""
    needed = sorted(requirements().items())
    return [_package(name, allowed) for name, allowed in needed] + [
        _package(name, "", use) for name, use in OPTIONAL.items()
    ]


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


def _package(name: str, allowed: str, use: str = "") -> Package:
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Package(name, allowed, None, use, "not installed")
    fits = Requirement(f"{name}{allowed}").specifier.contains(version, prereleases=True)
    return Package(name, allowed, version, use, None if fits else f"expected {allowed}")


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _trials(modules: Sequence[str]) -> tuple[Training, dict[str, str]]:
    """(how training goes, {module: why it cannot be imported}), by a process of its own."""
    environment = {**worker_environment(), "NO_ALBUMENTATIONS_UPDATE": "1"}
    if "OMP_NUM_THREADS" not in os.environ:  # threads are what is timed
        del environment["OMP_NUM_THREADS"]
    try:
        run = subprocess.run(
            [*worker_command(__name__), *modules],
            env=environment,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        output, code, errors = run.stdout, run.returncode, run.stderr
    except subprocess.TimeoutExpired as slow:
        output = slow.stdout.decode() if isinstance(slow.stdout, bytes) else ""
        code, errors = 1, f"it took longer than {LIMIT_S:.0f} s"
    answers = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    broken = {line["module"]: line["problem"] for line in answers if line.get("problem")}
    problem = None
    if code:
        last = next((line["begins"] for line in reversed(answers) if "begins" in line), "starting")
        why = [f"signal {-code}" if code < 0 else "no reason", *errors.strip().splitlines()][-1]
        problem = f"{last} ends its process: {why}"
        if last.startswith("import "):
            broken[last.removeprefix("import ")] = problem
    rule = next((line["rule"] for line in answers if "rule" in line), None)
    if rule is None:
        return Training(problem=problem or "training was not tried"), broken
    timings = tuple(Timing(**line["timing"]) for line in answers if "timing" in line)
    return Training(**rule, timings=timings, problem=problem), broken


def _import_problem(module: str) -> str | None:
    try:
        import_module(module)
    except (ImportError, OSError, RuntimeError, AttributeError, ValueError, TypeError) as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    return None


def _timed_steps() -> Iterator[dict[str, Any]]:
    """The machine as the rule has it, then images/s of a training step in every other way too."""
    import numpy as np

    from gan_augment.data.batches import PairedBatches
    from gan_augment.data.contract import LabelledImages
    from gan_augment.devices import compute_config
    from gan_augment.networks.geometry import Geometry
    from gan_augment.randomness import generator
    from gan_augment.recipes import resolve_recipe
    from gan_augment.synthesizers.time_budget import step_seconds
    from gan_augment.training.build import build

    rule, recipe = compute_config(), resolve_recipe("auto")
    yield {"rule": {"rule": rule.line(), "precision": rule.precision, "threads": rule.threads}}
    shape, labels = (_SIDE_PX, _SIDE_PX, 3), np.arange(_ROWS) % _CLASSES
    pixels = generator(0, "doctor").integers(0, 256, (_ROWS, *shape), dtype=np.uint8)
    data = LabelledImages(pixels, labels.astype(np.int64), np.arange(_ROWS).astype(np.str_))
    began_s = time.monotonic()
    for threads in sorted({1, rule.threads}) if rule.device.type == "cpu" else [rule.threads]:
        for precision in ("float32", "bf16"):
            if time.monotonic() - began_s > LONGEST_TRIALS_S:
                return
            machine = compute_config(str(rule.device), precision, threads)
            parts = build(recipe, shape, len(data.names), machine)
            batches = PairedBatches(
                data,
                size=recipe.batch,
                power=recipe.label_power,
                padded=Geometry.of(shape).padded,
                device=machine.device,
            )
            speed = recipe.batch / step_seconds(parts, batches, threads, PROBE_S)
            timing = Timing(precision, threads, round(speed, 1))
            yield {"timing": asdict(timing)}


def main() -> None:
    """Import the modules named as arguments, then time training, if torch is there."""
    broken = set()
    for module in sys.argv[1:]:
        _answer({"begins": f"import {module}"})
        problem = _import_problem(module)
        _answer({"module": module, "problem": problem})
        if problem:
            broken.add(module)
    if not broken & {"torch", "numpy"}:
        _answer({"begins": "training"})
        for line in _timed_steps():
            _answer(line)


def _answer(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
