"""Generators, samplers and files that a user brings: loaded, checked, and fingerprinted."""

from __future__ import annotations

import hashlib
import importlib.util
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, Self

import numpy as np
from sklearn.base import BaseEstimator, clone

from gan_augment.data.contract import LabelledImages, LabelledTable
from gan_augment.errors import DataError, UsageError, did_you_mean
from gan_augment.evaluation.leaks import check_unfitted
from gan_augment.synthesizers.base import Data


@dataclass(frozen=True)
class OwnCode:
    """`name` in the file at `path`; every process that needs it runs the file once.

    sha256: of the file when it was named, in hexadecimal.
    """

    path: Path
    name: str
    sha256: str

    @classmethod
    def of(cls, text: str) -> OwnCode:
        """From "path.py:name". Raises UsageError where there is no such file."""
        path_text, _, name = text.rpartition(":")
        path = Path(path_text).resolve()
        if not path.is_file() or not name:
            raise UsageError(
                f"{text!r}: there is no file {path_text!r}; expected path.py:name, such as "
                "learners.py:make, from where the command is run"
            )
        return cls(path, name, _sha256(path))

    def __str__(self) -> str:
        return f"{self.path.name}:{self.name}"

    def load(self) -> Any:
        """What the file calls `name`. Raises UsageError where the file fails, or has changed."""
        module = self._module()
        if not hasattr(module, self.name):
            known = [name for name in vars(module) if not name.startswith("_")]
            raise UsageError(
                f"{self.path.name} has no {self.name!r}; expected the name of something in it."
                f"{did_you_mean(self.name, known)}"
            )
        return getattr(module, self.name)

    def _module(self) -> ModuleType:
        which = hashlib.sha256(f"{self.path}\0{self.sha256}".encode()).hexdigest()
        called = f"gan_augment_own_{which[:16]}"
        if called in sys.modules:
            return sys.modules[called]
        if _sha256(self.path) != self.sha256:
            raise UsageError(f"{self.path} has changed since it was named; begin again")
        spec = importlib.util.spec_from_file_location(called, self.path)
        if spec is None or spec.loader is None:
            raise UsageError(f"{str(self.path)!r} is no Python file; expected path.py:name")
        module = importlib.util.module_from_spec(spec)
        sys.modules[called] = module  # its dataclasses and pickles look themselves up there
        beside = str(self.path.parent)
        sys.path.insert(0, beside)
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            del sys.modules[called]
            raise UsageError(
                f"{self.path.name} fails when it is loaded: {type(error).__name__}: {error}"
            ) from error
        finally:
            sys.path.remove(beside)
        return module


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


class OwnSampler(BaseEstimator):  # type: ignore[misc]
    """What `code` names: an over-sampler, a class of one, or a function that makes one.

    random_state: passed on to a sampler that takes one.
    """

    def __init__(self, code: OwnCode, random_state: int | None = None) -> None:
        self.code = code
        self.random_state = random_state

    def fit_resample(self, x: Any, y: Any) -> tuple[Any, Any]:
        """As of the sampler itself, which is made anew. Raises what it raises."""
        sampler = self.made()
        if "random_state" in sampler.get_params():
            sampler.set_params(random_state=self.random_state)
        found: tuple[Any, Any] = sampler.fit_resample(x, y)
        return found

    def made(self) -> Any:
        """An unfitted sampler. Raises UsageError where the name leads to none."""
        named = self.code.load()
        instance = hasattr(named, "fit_resample") and not isinstance(named, type)
        try:
            sampler = named if instance or not callable(named) else named()
        except Exception as error:
            raise UsageError(f"{self.code} fails: {type(error).__name__}: {error}") from error
        if not hasattr(sampler, "fit_resample") or not hasattr(sampler, "get_params"):
            raise UsageError(
                f"{self.code} is {sampler!r}; expected an over-sampler with fit_resample(X, y) and "
                "get_params() (imblearn.base.BaseSampler has both), or a function that makes one"
            )
        return clone(sampler)


def check_generator(given: Any) -> None:
    """Raise UsageError for what is no generator, LeakError for one that is fitted already."""
    lacking = [name for name in ("fit", "sample") if not callable(getattr(given, name, None))]
    if isinstance(given, type) or lacking:
        raise UsageError(
            f"the generator is {given!r}; expected ImageGAN(), TabularGAN(), or an object with "
            "fit(data) and sample(counts, random_state)"
        )
    check_unfitted(given)


class OwnGenerator(Generic[Data]):
    """A fitted one as the synthesizer that the rest of the library knows; what it gives is checked.

    classes_: its own {name: training rows}, or where it tells none those of `part`, which it saw.
    """

    def __init__(self, plug_in: Any, part: Data) -> None:
        self._plug_in: Any = plug_in
        self._part: Data = part
        told = getattr(plug_in, "classes_", None)
        self.classes_: dict[str, int] = dict(told) if isinstance(told, Mapping) else part.counts

    def fit(self, data: Data) -> Self:
        """Fit it anew."""
        self._plug_in.fit(data)
        return self

    def sample(self, counts: Mapping[str, int], random_state: int = 0) -> Data:
        """Exactly `counts` = {class: n} rows in that order. Raises DataError where they are not."""
        made = self._plug_in.sample(dict(counts), random_state=random_state)
        who, part = type(self._plug_in).__name__, self._part
        if not isinstance(made, type(part)):
            raise DataError(
                f"the generator {who} gave {type(made).__name__}; expected {type(part).__name__}, "
                "as in fit"
            )
        if _shape(made) != _shape(part):
            raise DataError(
                f"the generator {who} gave rows of {_shape(made)}; expected {_shape(part)}"
            )
        wanted = [name for name, n in counts.items() for _ in range(n)]
        given = np.array(made.names, dtype=object)[made.labels].tolist()
        if given != wanted:
            raise DataError(
                f"the generator {who} was asked for {dict(counts)} and gave {len(given)} rows, "
                f"{made.counts}; expected exactly these, class by class in this order"
            )
        checked: Data = made
        return checked


def _shape(data: LabelledImages | LabelledTable) -> Any:
    """What the rows of one data set have in common: sizes of an image, or names of columns."""
    return data.image_shape if isinstance(data, LabelledImages) else list(data.frame.columns)


_NO_MATTER = ("threads", "callbacks", "n_jobs", "verbose")


def described(plug_in: Any) -> dict[str, Any]:
    """JSON-ready and the same in every process: its class, and its parameters by name.

    >>> from imblearn.over_sampling import SMOTE
    >>> described(SMOTE(k_neighbors=3))["params"]["k_neighbors"]
    3
    """
    own = getattr(plug_in, "__dict__", {})
    params = plug_in.get_params() if hasattr(plug_in, "get_params") else own
    told = {
        name: _told(value)
        for name, value in sorted(params.items())
        if not name.startswith("_") and name not in _NO_MATTER
    }
    return {"class": type(plug_in).__name__, "params": told}


def _told(value: Any) -> Any:
    """A parameter; an object that has no text of its own is known by its class."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, OwnCode):
        return f"{value} {value.sha256}"
    text = str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else text
    return type(value).__name__ if " at 0x" in text else text
