"""The parameters of `GANAugmenter`, checked: what `__init__` stored becomes what a fit uses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from joblib.parallel import get_active_backend
from sklearn.utils import check_random_state

from gan_augment.config import TopUp, seconds
from gan_augment.errors import UsageError, did_you_mean
from gan_augment.processes import available_cores
from gan_augment.recipes import DataKind, Recipe
from gan_augment.synthesizers.topup import advised_share
from gan_augment.training.callbacks import Callback

MOST_SEED = 2**31 - 1
_SELECTIONS = ("auto", "off")


@dataclass(frozen=True)
class Settings:
    """What a fit uses. budget_s: seconds, None where steps decide. threads: None is automatic."""

    recipe: str | Recipe
    steps: int | None
    budget_s: float | None
    device: str
    threads: int | None
    synthetic_share: float | Literal["auto"]
    companions: bool | Literal["auto"]
    selection: bool
    callbacks: tuple[Callback, ...]
    verbose: int

    @classmethod
    def of(cls, params: dict[str, Any]) -> Settings:
        """From the parameters by name. Raises UsageError: given, expected, what next."""
        _check_word(
            params, "recipe", (str, Recipe), "'auto', 'anchored', 'free', a .toml, a Recipe"
        )
        _check_word(params, "device", (str,), "'auto', 'cpu', 'cuda' or 'cuda:1'")
        share, companions = _top_up(params["synthetic_share"], params["companions"])
        steps, within_s = _steps(params["steps"]), budget_s(params["budget"])
        return cls(
            recipe=params["recipe"],
            steps=steps,
            budget_s=within_s if steps is None else None,
            device=params["device"],
            threads=threads(params["n_jobs"]),
            synthetic_share=share,
            companions=companions,
            selection=_selection(params["selection"]),
            callbacks=_callbacks(params["callbacks"]),
            verbose=_verbose(params["verbose"]),
        )

    def top_up(self, kind: DataKind, model: object = None) -> tuple[float, bool]:
        """(synthetic_share, companions) for that kind of data, with that model if there is one."""
        chosen = TopUp(synthetic_share=self.synthetic_share, companions=self.companions)
        return chosen.resolved(kind, advised_share(model, self.synthetic_share))


def drawn_seed(random_state: Any) -> int:
    """A seed from None, an int or a RandomState, by scikit-learn's convention. Raises UsageError.

    >>> drawn_seed(0) == drawn_seed(0)
    True
    """
    try:
        return int(check_random_state(random_state).randint(MOST_SEED))
    except ValueError:
        raise UsageError(
            f"random_state={random_state!r}; expected None, an int of 0 or more, or a "
            "numpy.random.RandomState"
        ) from None


def budget_s(budget: Any) -> float | None:
    """Seconds from None, a number, or a text such as "90s", "10m" or "1h30m". Raises UsageError.

    >>> budget_s("10m"), budget_s(90)
    (600.0, 90.0)
    """
    if budget is None:
        return None
    if isinstance(budget, str):
        return seconds(budget)
    number = isinstance(budget, int | float | np.number) and not isinstance(budget, bool)
    if not number or not 0 < budget < float("inf"):
        raise UsageError(
            f"budget={budget!r}; expected seconds above 0, or a text such as '90s', '10m' or '1h'"
        )
    return float(budget)


def threads(n_jobs: Any) -> int | None:
    """Threads from n_jobs: None is automatic, -1 all cores, -2 all but one. Raises UsageError.

    Inside a joblib worker automatic is one thread: the workers share the cores already.
    """
    if n_jobs is None:
        return 1 if get_active_backend()[0].nesting_level else None
    if not _whole(n_jobs) or n_jobs == 0:
        raise UsageError(f"n_jobs={n_jobs!r}; expected None, a number of threads, or -1 for all")
    return int(n_jobs) if n_jobs > 0 else max(1, available_cores() + 1 + int(n_jobs))


def _steps(steps: Any) -> int | None:
    if steps is not None and not (_whole(steps) and steps >= 1):
        raise UsageError(
            f"steps={steps!r}; expected a whole number of 1 or more, or None for the recipe's own"
        )
    return None if steps is None else int(steps)


def _verbose(verbose: Any) -> int:
    if not isinstance(verbose, int | np.integer | np.bool_) or verbose < 0:
        raise UsageError(f"verbose={verbose!r}; expected 0 (warnings alone) or 1 (notes too)")
    return int(verbose)


def _selection(selection: Any) -> bool:
    """Whether generated images are selected."""
    if isinstance(selection, bool) or selection is None:
        return bool(selection)
    if selection in _SELECTIONS:
        return bool(selection == "auto")
    guess = did_you_mean(selection, _SELECTIONS) if isinstance(selection, str) else ""
    raise UsageError(
        f"selection={selection!r}; expected 'auto' or True, or 'off', False or None for "
        f"none.{guess}"
    )


def _check_word(params: dict[str, Any], name: str, kinds: tuple[type, ...], expected: str) -> None:
    if not isinstance(params[name], kinds):
        raise UsageError(f"{name}={params[name]!r}; expected {expected}")


def _top_up(share: Any, companions: Any) -> tuple[Any, Any]:
    number = isinstance(share, int | float | np.number) and not isinstance(share, bool)
    if share != "auto" and not (number and 0 <= share <= 1):
        raise UsageError(
            f"synthetic_share={share!r}; expected 'auto', or a number in 0..1: of the rows added, "
            "the part that is generated"
        )
    if companions != "auto" and not isinstance(companions, bool | np.bool_):
        raise UsageError(f"companions={companions!r}; expected 'auto', True or False")
    return (
        "auto" if share == "auto" else float(share),
        "auto" if isinstance(companions, str) else bool(companions),
    )


def _callbacks(callbacks: Any) -> tuple[Callback, ...]:
    if callbacks is None:
        return ()
    listed = tuple(callbacks) if isinstance(callbacks, Sequence) else (callbacks,)
    for one in listed:
        if not hasattr(one, "on_event"):
            raise UsageError(
                f"callbacks holds {one!r}, which has no method on_event(event); see "
                "gan_augment.training.callbacks.Callback"
            )
    return listed


def _whole(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)
