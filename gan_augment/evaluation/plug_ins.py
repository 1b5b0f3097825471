"""Generators and samplers of the user: loaded, checked, and fingerprinted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.base import clone

from gan_augment.errors import DataError, UsageError
from gan_augment.evaluation.leaks import check_unfitted
from gan_augment.kinds.kind import Labelled
from gan_augment.user_code import code_sha256, import_code

_WITHOUT_EFFECT = ("threads", "callbacks", "n_jobs", "verbose", "memory")
"""Parameters that change no result."""


def loaded(source: Any) -> Any:
    """Return the object itself, or import what "module:name" names."""
    return import_code(source) if isinstance(source, str) else source


def new_sampler(source: Any, name: str) -> Any:
    """Return an unfitted copy of the user's over-sampler. Raises UsageError if it is none."""
    sampler = loaded(source)
    instance = hasattr(sampler, "fit_resample") and not isinstance(sampler, type)
    if isinstance(source, str) and callable(sampler) and not instance:
        try:
            sampler = sampler()
        except Exception as error:
            raise UsageError(f"{source} fails: {type(error).__name__}: {error}") from error
    lacking = [m for m in ("fit_resample", "get_params") if not hasattr(sampler, m)]
    if isinstance(sampler, type) or lacking:
        raise UsageError(
            f"the sampler {name!r} is {sampler!r}; expected an object with fit_resample(X, y) and "
            "get_params(), such as imblearn.over_sampling.ADASYN(), or a function that makes one"
        )
    return clone(sampler)


class UserGenerator:
    """A fitted generator of the user; its samples are checked.

    classes_: {name: training rows}, the plug-in's own if it has any, else those of `part`.
    """

    def __init__(self, plug_in: Any, part: Labelled) -> None:
        self._plug_in = plug_in
        self._part = part
        classes = getattr(plug_in, "classes_", None)
        known = dict(classes) if isinstance(classes, Mapping) else part.counts
        self.classes_: dict[str, int] = known

    def fit(self, data: Labelled) -> UserGenerator:
        """Fit the plug-in again."""
        self._plug_in.fit(data)
        return self

    def sample(self, counts: Mapping[str, int], random_state: int = 0) -> Labelled:
        """Return {class: n} rows, class by class. Raises DataError if the plug-in gives others."""
        samples = self._plug_in.sample(dict(counts), random_state=random_state)
        who, part = f"the generator {type(self._plug_in).__name__}", self._part
        if not isinstance(samples, Labelled) or samples.kind is not part.kind:
            raise DataError(f"{who} gave {type(samples).__name__}; expected rows like those of fit")
        shape, expected_shape = samples.kind.shape(samples), part.kind.shape(part)
        if shape != expected_shape:
            raise DataError(f"{who} gave rows of {shape}; expected {expected_shape}")
        expected = [name for name, n in counts.items() for _ in range(n)]
        if np.array(samples.names, dtype=object)[samples.labels].tolist() != expected:
            raise DataError(
                f"{who} gave {len(samples)} rows, {samples.counts}; expected {dict(counts)}, class "
                "by class in this order"
            )
        return samples


def check_generator(plug_in: Any) -> None:
    """Raise UsageError for an object that is no generator, LeakError for a fitted one."""
    lacking = [name for name in ("fit", "sample") if not callable(getattr(plug_in, name, None))]
    if isinstance(plug_in, type) or lacking:
        raise UsageError(
            f"the generator is {plug_in!r}; expected GANAugmenter(), ImageGAN(), TabularGAN(), or "
            "an object with fit(data) and sample(counts, random_state). An over-sampler with "
            "fit_resample goes into samplers={name: it}"
        )
    check_unfitted(plug_in)


def fingerprint(plug_in: Any) -> dict[str, Any]:
    """Return class and parameters as JSON, the same in every process.

    >>> from imblearn.over_sampling import SMOTE
    >>> fingerprint(SMOTE(k_neighbors=3))["params"]["k_neighbors"]
    3
    """
    if isinstance(plug_in, str):
        return {"class": plug_in, "params": {"sha256": code_sha256(plug_in)}}
    attributes = getattr(plug_in, "__dict__", {})
    params = plug_in.get_params() if hasattr(plug_in, "get_params") else attributes
    return {"class": type(plug_in).__name__, "params": described(params)}


def described(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters as JSON, nested ones by `__`, without those that change no result."""
    return {
        name: _json(value)
        for name, value in sorted(params.items())
        if not name.startswith("_") and name.rpartition("__")[2] not in _WITHOUT_EFFECT
    }


def _json(value: Any) -> Any:
    """Describe a value; a function by its name, an object without a text by its class."""
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
    if isinstance(value, type) or hasattr(value, "__name__"):
        return str(value.__name__)
    text = str(value)
    return type(value).__name__ if " at 0x" in text else text
