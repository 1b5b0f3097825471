"""`doctor`: installed and missing packages, how to install them, and the speed of training."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, dataclass
from importlib import import_module, metadata
from typing import Any

from packaging.requirements import Requirement

from gan_augment.progress import Progress

__all__ = ["Diagnosis", "doctor"]

DISTRIBUTION = "gan-augment"
_MODULES = {"imbalanced-learn": "imblearn", "pillow": "PIL", "scikit-learn": "sklearn"}
_SIDE_PX, _CLASSES, _ROWS = 32, 10, 640


@dataclass(frozen=True)
class Diagnosis:
    """The result of `doctor`; images_per_s: of the default recipe on 32 px colour images."""

    packages: dict[str, str | None]
    machine: str = ""
    images_per_s: float | None = None
    problems: tuple[str, ...] = ()

    @property
    def healthy(self) -> bool:
        """Return whether all required packages are installed and work."""
        return not self.problems

    @property
    def following(self) -> str:
        return "gan-augment demo" if self.healthy else ""

    def to_dict(self) -> dict[str, Any]:
        about = {"version": installed_version(DISTRIBUTION), "python": platform.python_version()}
        about |= {"platform": platform.platform()}
        return {**asdict(self), **about, "healthy": self.healthy}

    def lines(self) -> list[str]:
        timed = ""
        if self.images_per_s is not None:
            timed = f"training, default recipe, 32 px colour: {self.images_per_s:.0f} images/s"
        verdict = [f"problem: {problem}" for problem in self.problems]
        return [
            f"{DISTRIBUTION} {installed_version(DISTRIBUTION) or 'not installed'}, "
            f"Python {platform.python_version()}, {platform.platform()}",
            ", ".join(f"{name} {version}" for name, version in self.packages.items() if version),
            *(line for line in (self.machine, timed) if line),
            *(verdict or ["everything that is needed is there and works"]),
        ]


def doctor(progress: Progress | None = None) -> Diagnosis:
    """Check the installation: import every required package, and time a training step."""
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # importing it makes no connection
    (progress or Progress()).phase("importing and timing")
    needed = sorted(requirements().items())
    packages = {name: installed_version(name) for name, _ in needed}
    problems = [f"{name}{why}" for name, allowed in needed if (why := _problem(name, allowed))]
    machine, speed = "", None
    if not problems:
        try:
            machine, speed = _timed_step()
        except (ImportError, OSError, RuntimeError, AttributeError) as error:
            problems.append(f"training does not work: {_in_words(error)}")
    return Diagnosis(packages, machine, speed, tuple(problems))


def requirements() -> dict[str, str]:
    """Return {distribution: allowed versions} from this library's metadata, without extras."""
    parsed = map(Requirement, metadata.requires(DISTRIBUTION) or [])
    return {each.name: str(each.specifier) for each in parsed if each.marker is None}


def installed_version(name: str) -> str | None:
    """Return the version of a distribution; None if it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _problem(name: str, allowed: str) -> str:
    """Return why a distribution cannot be used, and what helps, after its name; "" if it can."""
    version, wanted = installed_version(name), f'"{name}{allowed}"'
    if version is None:
        return f": not installed; pip install {wanted}"
    if not Requirement(f"{name}{allowed}").specifier.contains(version, prereleases=True):
        return f" {version}: expected {allowed}; pip install {wanted}"
    try:
        import_module(_MODULES.get(name.lower(), name.replace("-", "_")))
    except (ImportError, OSError, RuntimeError, AttributeError, ValueError, TypeError) as error:
        return f" {version}: {_in_words(error)}; pip install --force-reinstall {wanted}"
    return ""


def _in_words(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def _timed_step() -> tuple[str, float]:
    """Return the machine in words, and the speed of a training step in images/s."""
    import numpy as np

    from gan_augment.generators.image_gan import ImageGAN
    from gan_augment.kinds.image import IMAGE
    from gan_augment.machine import compute_config
    from gan_augment.recipes import resolve_recipe
    from gan_augment.rng import rng_for

    machine, labels = compute_config(pixels=_SIDE_PX**2), np.arange(_ROWS) % _CLASSES
    shape = (_ROWS, _SIDE_PX, _SIDE_PX, 3)
    pixels = rng_for(0, "doctor").integers(0, 256, shape, dtype=np.uint8)
    data = IMAGE.of(pixels, labels.astype(np.int64), np.arange(_ROWS).astype(np.str_))
    forecast = ImageGAN(classes="all", selection=False).forecast(data, scored=False)
    return machine.line(), round(resolve_recipe("auto").batch / forecast.step_s, 1)
