"""Generators and samplers that a user brings: loaded, checked, and fingerprinted.

Code in files is loaded by `gan_augment.user_code`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Generic, Self

import numpy as np
from sklearn.base import clone

from gan_augment.errors import DataError, UsageError
from gan_augment.evaluation.leaks import check_unfitted
from gan_augment.generators.generator import Data
from gan_augment.kinds.kind import Labelled
from gan_augment.user_code import UserCode

_WITHOUT_EFFECT = ("threads", "callbacks", "n_jobs", "verbose", "memory")


def loaded(source: Any) -> Any:
    """Return what the user brought, or what the named file holds."""
    return source.load() if isinstance(source, UserCode) else source


def new_sampler(source: Any, name: str) -> Any:
    """Copy the user's over-sampler, unfitted, or make the one that a file names.

    Raises UsageError where there is none.
    """
    sampler = loaded(source)
    instance = hasattr(sampler, "fit_resample") and not isinstance(sampler, type)
    if isinstance(source, UserCode) and callable(sampler) and not instance:
        try:
            sampler = sampler()
        except Exception as error:
            raise UsageError(f"{source} fails: {type(error).__name__}: {error}") from error
    lacking = [m for m in ("fit_resample", "get_params") if not hasattr(sampler, m)]
    if isinstance(sampler, type) or lacking:
        raise UsageError(
            f"the sampler {name!r} is {sampler!r}; expected an object with fit_resample(X, y) and "
            "get_params(), by which it is copied for every fit, such as "
            "imblearn.over_sampling.ADASYN(), or in a file a function that makes one"
        )
    return clone(sampler)


class UserGenerator(Generic[Data]):
    """A fitted generator of the user's as the protocol's synthesizer; its samples are checked.

    classes_: its own {name: training rows}, or where it has none those of `part`, which it saw.
    """

    def __init__(self, plug_in: Any, part: Data) -> None:
        self._plug_in: Any = plug_in
        self._part: Data = part
        classes = getattr(plug_in, "classes_", None)
        self.classes_: dict[str, int] = (
            dict(classes) if isinstance(classes, Mapping) else part.counts
        )

    def fit(self, data: Data) -> Self:
        """Fit it anew."""
        self._plug_in.fit(data)
        return self

    def sample(self, counts: Mapping[str, int], random_state: int = 0) -> Data:
        """Return exactly `counts` = {class: n} rows in that order. Raises DataError otherwise."""
        samples = self._plug_in.sample(dict(counts), random_state=random_state)
        who, part = type(self._plug_in).__name__, self._part
        if not isinstance(samples, type(part)):
            raise DataError(
                f"the generator {who} gave {type(samples).__name__}; expected "
                f"{type(part).__name__}, as in fit"
            )
        if _shape(samples) != _shape(part):
            raise DataError(
                f"the generator {who} gave rows of {_shape(samples)}; expected {_shape(part)}"
            )
        expected = [name for name, n in counts.items() for _ in range(n)]
        if np.array(samples.names, dtype=object)[samples.labels].tolist() != expected:
            raise DataError(
                f"the generator {who} was asked for {dict(counts)} and gave {len(samples)} rows, "
                f"{samples.counts}; expected exactly these, class by class in this order"
            )
        checked: Data = samples
        return checked


def check_generator(plug_in: Any) -> None:
    """Raise UsageError for what is no generator, LeakError for one that is fitted already."""
    lacking = [name for name in ("fit", "sample") if not callable(getattr(plug_in, name, None))]
    if isinstance(plug_in, type) or lacking:
        raise UsageError(
            f"the generator is {plug_in!r}; expected GANAugmenter(), ImageGAN(), TabularGAN(), or "
            "an object with fit(data) and sample(counts, random_state). An over-sampler with "
            "fit_resample goes into samplers={name: it}"
        )
    check_unfitted(plug_in)


def fingerprint(plug_in: Any) -> dict[str, Any]:
    """Return class and parameters of a generator or sampler: a journal knows it by them.

    JSON-ready and the same in every process.

    >>> from imblearn.over_sampling import SMOTE
    >>> fingerprint(SMOTE(k_neighbors=3))["params"]["k_neighbors"]
    3
    """
    if isinstance(plug_in, UserCode):
        return {"class": "UserCode", "params": {"code": _json(plug_in)}}
    attributes = getattr(plug_in, "__dict__", {})
    params = plug_in.get_params() if hasattr(plug_in, "get_params") else attributes
    return {"class": type(plug_in).__name__, "params": described(params)}


def described(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters as JSON, nested ones by `__`, without those that change no result.

    An object that has no text of its own is known by its class, a function by its name.
    """
    return {
        name: _json(value)
        for name, value in sorted(params.items())
        if not name.startswith("_") and name.rpartition("__")[2] not in _WITHOUT_EFFECT
    }


def _json(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, list):
        return [_json(one) for one in value]
    if isinstance(value, dict):
        return {str(key): _json(one) for key, one in value.items()}
    if isinstance(value, UserCode):
        return f"{value} {value.sha256}"
    if isinstance(value, type) or hasattr(value, "__name__"):
        return str(value.__name__)
    text = str(value)
    return type(value).__name__ if " at 0x" in text else text


def _shape(data: Labelled) -> Any:
    """Return what rows have in common: sizes of an image, or names of columns."""
    return data.kind.shape(data)
