"""An over-sampler that a user names as `path.py:name`; every process that needs it loads it."""

from __future__ import annotations

from typing import Any

from sklearn.base import BaseEstimator, clone

from gan_augment.errors import UsageError
from gan_augment.evaluation.own_code import OwnCode


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
