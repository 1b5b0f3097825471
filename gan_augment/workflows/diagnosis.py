"""`doctor`: what is installed, how fast it trains here, what is missing and how to get it."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gan_augment
from gan_augment.errors import UsageError
from gan_augment.processes import worker_command, worker_environment
from gan_augment.progress import Progress, Silent
from gan_augment.workflows.installed import Package, albumentations_words, packages

WORTH = 1.1  # times as fast: below, the machine's other work decides
LIMIT_S = 180.0
_WORKER = "gan_augment.workflows.trial_worker"


@dataclass(frozen=True)
class Timing:
    """How fast the default recipe trains on 32 px colour images."""

    precision: str
    threads: int
    images_per_s: float


@dataclass(frozen=True)
class Training:
    """How training goes here. rule: the machine as it is chosen by itself, in words.

    precision, threads: what it chooses. problem: why nothing, or not everything, could be timed.
    """

    rule: str = ""
    precision: str = ""
    threads: int = 0
    timings: tuple[Timing, ...] = ()
    problem: str | None = None

    def advice(self) -> list[str]:
        """Whether the rule is right here, in sentences."""
        in_both = [
            {t.threads: t.images_per_s for t in self.timings if t.precision == precision}
            for precision in ("float32", "bf16")
        ]
        common = in_both[0].keys() & in_both[1].keys()
        fastest = {
            precision: max((speeds[n] for n in common), default=0.0)
            for precision, speeds in zip(("float32", "bf16"), in_both, strict=True)
        }
        if self.problem or not all(fastest.values()):
            return []
        other = "float32" if self.precision == "bf16" else "bf16"
        times = fastest[other] / fastest[self.precision]
        if times > WORTH:
            said = f"wrong here: {other} is {times:.1f} times as fast; pass --precision {other}"
        else:
            said = f"right here: {other} is {times:.2f} times as fast"
        return [f"the rule takes {self.precision}, and is {said}", *self._of_threads()]

    def _of_threads(self) -> list[str]:
        """In the rule's precision, or in the other where a busy machine left no time for that."""
        for precision in (self.precision, "float32", "bf16"):
            own = {t.threads: t.images_per_s for t in self.timings if t.precision == precision}
            if len(own) == 2:
                break
        else:
            return []
        times = own[max(own)] / own[1]
        if times >= 1 / WORTH:
            return [f"{max(own)} threads are {times:.1f} times as fast as one"]
        return [
            f"{max(own)} threads are slower than one now ({times:.2f} times as fast), as on a busy "
            "machine; pass --threads 1, or a --budget, which chooses by itself"
        ]


@dataclass(frozen=True)
class Cache:
    """Where decoded images too many for memory lie: bytes held, and free on that disk."""

    folder: str
    held_bytes: int
    free_bytes: int


@dataclass(frozen=True)
class Diagnosis:
    """What `doctor` found. problems: what is needed and does not work, each with its cure."""

    packages: tuple[Package, ...]
    training: Training
    albumentations: str
    cache: Cache | None
    problems: tuple[str, ...]

    @property
    def healthy(self) -> bool:
        """Whether everything that is needed is there and works."""
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        training, cache = self.training, self.cache
        return {
            "healthy": self.healthy,
            "problems": list(self.problems),
            "version": gan_augment.__version__,
            "python": platform.python_version(),
            "platform": platform.platform(),
            "packages": [
                {**vars(package), "cure": package.cure if package.problem else None}
                for package in self.packages
            ],
            "albumentations": self.albumentations,
            "machine": training.rule or None,
            "timings": [vars(timing) for timing in training.timings],
            "advice": training.advice(),
            "not_timed": training.problem,
            "cache": vars(cache) if cache else None,
        }

    def lines(self) -> list[str]:
        """The same for people, what is wrong last."""
        there = [p.line() for p in self.packages if p.problem is None]
        missing = [p.line() for p in self.packages if p.use and p.problem]
        lines = [
            f"gan-augment {gan_augment.__version__}, Python {platform.python_version()}, "
            f"{platform.platform()}",
            ", ".join(there),
            self.albumentations,
            *(f"not needed, {line}" for line in missing),
            *self._training_lines(),
        ]
        if self.cache:
            held, free = self.cache.held_bytes / 2**30, self.cache.free_bytes / 2**30
            lines.append(f"cache {self.cache.folder}: {held:.2f} GiB held, {free:.1f} GiB free")
        verdict = [f"problem: {problem}" for problem in self.problems]
        return [*lines, *(verdict or ["everything that is needed is there and works"])]

    def _training_lines(self) -> list[str]:
        found = self.training
        lines = [found.rule] if found.rule else []
        if found.timings:
            lines.append("training, default recipe, 32 px colour:")
        for t in found.timings:
            one = "thread" if t.threads == 1 else "threads"
            lines.append(
                f"  {t.precision:<8} {t.threads:>2} {one:<8} {t.images_per_s:>7.0f} images/s"
            )
        return [*lines, *found.advice()]


def doctor(progress: Progress | None = None) -> Diagnosis:
    """Look at this installation and machine, in seconds. Writes nothing, raises nothing of it.

    Imports and timings run in a process of their own, so that a torch that is missing, broken or
    ends its process is a finding.
    """
    progress = progress or Silent()
    found = packages()
    progress.phase("importing and timing")
    wanted = [package for package in found if package.version is not None]
    modules = [package.module for package in wanted]
    modules.sort(key=lambda module: ("numpy", "torch", module).index(module))  # others import them
    training, broken = _trials(modules)
    checked = [
        replace(p, problem=broken[p.module]) if p.version and p.module in broken else p
        for p in found
    ]
    problems = [package.line() for package in checked if package.problem and not package.use]
    if training.problem and not broken:
        problems.append(training.problem)
    return Diagnosis(tuple(checked), training, albumentations_words(), _cache(), tuple(problems))


def _trials(modules: Sequence[str]) -> tuple[Training, dict[str, str]]:
    """(how training goes, {module: why it cannot be imported})."""
    environment = {**worker_environment(), "NO_ALBUMENTATIONS_UPDATE": "1"}
    if "OMP_NUM_THREADS" not in os.environ:  # threads are what is timed
        del environment["OMP_NUM_THREADS"]
    try:
        run = subprocess.run(
            [*worker_command(_WORKER), *modules],
            env=environment,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        output, ended, errors = run.stdout, run.returncode, run.stderr
    except subprocess.TimeoutExpired as slow:
        output = (slow.stdout or b"").decode() if isinstance(slow.stdout, bytes) else ""
        ended, errors = 1, f"it took longer than {LIMIT_S:.0f} s"
    said = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    broken = {line["module"]: line["problem"] for line in said if line.get("problem")}
    problem = None
    if ended:
        last = next((line["begins"] for line in reversed(said) if "begins" in line), "starting")
        why = (errors.strip().splitlines() or [f"signal {-ended}" if ended < 0 else "no reason"])[
            -1
        ]
        problem = f"{last} ends its process: {why}"
        if last.startswith("import "):
            broken[last.removeprefix("import ")] = problem
    rule = next((line["rule"] for line in said if "rule" in line), None)
    if rule is None:
        return Training(problem=problem or "training was not tried"), broken
    timings = tuple(Timing(**line["timing"]) for line in said if "timing" in line)
    return Training(rule["line"], rule["precision"], rule["threads"], timings, problem), broken


def _cache() -> Cache | None:
    """Where images are cached, or None where that cannot be said."""
    try:
        from gan_augment.data.image_files.pixel_cache import cache_folder

        folder = cache_folder()
    except (ImportError, UsageError):
        return None
    there: Path = next(path for path in (folder, *folder.parents) if path.is_dir())
    return Cache(str(folder), _held_bytes(folder), shutil.disk_usage(there).free)


def _held_bytes(folder: Path) -> int:
    """Of all files below; another process may rename or remove some while they are counted."""
    held = 0
    for path in folder.rglob("*"):
        with suppress(OSError):
            held += path.stat().st_size if path.is_file() else 0
    return held
