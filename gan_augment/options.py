"""Options of a fit and of a top-up, as frozen models.

Names and numbers only: nothing here builds a network or reads data.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StrictBool, field_validator

from gan_augment.errors import UsageError, did_you_mean
from gan_augment.recipes import DataKind, Recipe
from gan_augment.recipes.settings import OptimiserName, ScheduleName
from gan_augment.settings import Frozen

_BEST_TOP_UP: dict[DataKind, tuple[float, bool]] = {"image": (0.5, True), "table": (0.5, False)}


MOST = 2**31 - 1
"""Of steps and other counts."""
MOST_PROCESSES = 1024
"""And threads."""
_UNITS_S = {"s": 1, "m": 60, "h": 3600}


def seconds(text: str) -> float:
    """Read a duration with its unit, in seconds. Raises UsageError.

    >>> seconds("90s"), seconds("1h30m")
    (90.0, 5400.0)
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)([smh])", text)
    total = sum(float(number) * _UNITS_S[unit] for number, unit in parts)
    whole = "".join(number + unit for number, unit in parts) == text
    if not whole or not 0 < total < math.inf:
        raise UsageError(f"{text!r} is no duration; expected a number and its unit: 90s, 10m or 1h")
    return total


def _check_number(value: object) -> object:
    """Refuse booleans and text, which pydantic would turn into numbers."""
    if isinstance(value, bool) or (isinstance(value, str) and value != "auto"):
        raise ValueError("expected a number")
    return value


def _read_seconds(value: object) -> object:
    return seconds(value) if isinstance(value, str) else _check_number(value)


Seconds = Annotated[float, BeforeValidator(_read_seconds), Field(gt=0, allow_inf_nan=False)]
"""A time in seconds; a text such as "90s", "10m" or "1h30m" is read as one."""


class FitOptions(Frozen):
    """Holds the options of a fit. None is decided from the data and the machine, and printed.

    Parameters
    ----------
    target : str, optional
        The column of labels; with one the data is a table.
    columns : dict of {column: kind}
        Kinds that are not inferred (`data.tables.schema.Overrides`).
    most_rows : int
        Of a Parquet file of more rows so many are read, all of small classes among them.
    classes : str or tuple of str
        "rare", "all" or names.
    steps, budget_s : int and float, optional
        Training steps, or seconds; steps win. 0 steps train nothing (tables only).
    image_size : tuple of int, optional
        (height, width) in pixels.
    window : int, optional
        Of signals, samples: recordings are cut into windows of so many.
    until, patience : str and int, optional
        "score=0.2" ends a run of images at that held-out score; so many scores in a row without a
        better one end it too. Both and the next ones are the recipe's where they are None.
    d_steps, optimiser, rate, schedule : int, str, float and str, optional
        D steps of a G step; the name and the rate of both optimisers; how the rate falls.
    unlabelled : str, optional
        A folder of images, or a table, of rows whose class nobody knows (`ImageGAN.fit`).
    super_resolve : int, optional
        2 or 4: a second model, a super-resolver, is fitted to the images at so many times the
        model's side, a quarter as many steps; `sample` and `augment` draw at that side with it.
    selection : bool
        Whether only generated images worth keeping are returned; rows of tables always are.
    """

    target: str | None = None
    columns: dict[str | int, str] = Field(default_factory=dict)
    most_rows: int = Field(default=1_000_000, ge=1_000, le=MOST)
    classes: str | tuple[str, ...] = "rare"
    recipe: str | Recipe = "auto"
    steps: int | None = Field(default=None, ge=0, le=MOST)
    budget_s: Seconds | None = None
    until: str | None = None
    patience: int | None = Field(default=None, ge=1, le=MOST)
    d_steps: int | None = Field(default=None, ge=1, le=100)
    optimiser: OptimiserName | None = None
    rate: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    schedule: ScheduleName | None = None
    image_size: tuple[int, int] | None = None
    resize: Literal["squeeze", "crop", "pad"] = "squeeze"
    window: int | None = Field(default=None, ge=1, le=MOST)
    flips: bool = False
    unlabelled: str | None = None
    super_resolve: Literal[2, 4] | None = None
    selection: StrictBool = True
    seed: int = Field(default=0, ge=0, lt=2**62)
    device: str = "auto"
    precision: Literal["auto", "float32", "bf16"] = "auto"
    threads: int | None = Field(default=None, ge=1, le=MOST_PROCESSES)
    workers: int | None = Field(default=None, ge=1, le=MOST_PROCESSES)
    skip_bad: bool = False

    _numbers = field_validator(
        "most_rows",
        "steps",
        "patience",
        "window",
        "d_steps",
        "rate",
        "seed",
        "threads",
        "workers",
        mode="before",
    )(_check_number)

    @field_validator("until")
    @classmethod
    def _is_score(cls, until: str | None) -> str | None:
        if until is not None and not re.fullmatch(r"score=(?=.*[1-9])\d*\.?\d+", until):
            raise ValueError("expected score= and a number above 0, such as score=0.2")
        return until

    @property
    def stop_score(self) -> float | None:
        """The held-out score that ends a run, if `until` names one."""
        return None if self.until is None else float(self.until.removeprefix("score="))

    @property
    def data_kind(self) -> DataKind:
        """The kind of the data: a table, or images."""
        return "image" if self.target is None else "table"


class TopUp(Frozen):
    """Holds two numbers and a switch: what a class ends with, and what the added rows are.

    "auto" is the measured default of each kind of data; `resolved()` returns it.

    Parameters
    ----------
    to : str, int or float
        "majority", "median", a count, or a fraction in (0, 1] of the majority's count.
    synthetic_share : float or "auto"
        The part of the added rows that is generated; the rest repeats real rows.
    companions : bool or "auto"
        Whether classes that are not topped up get generated rows too, every class the same share.
    """

    to: str | int | float = "majority"
    synthetic_share: float | Literal["auto"] = "auto"
    companions: StrictBool | Literal["auto"] = "auto"

    _number = field_validator("synthetic_share", mode="before")(_check_number)

    @field_validator("synthetic_share")
    @classmethod
    def _is_share(cls, share: float | str) -> float | str:
        if isinstance(share, float | int) and not 0 <= share <= 1:
            guess = f"; did you mean {share / 100:g}?" if 1 < share <= 100 else ""
            raise ValueError(f"expected a share in 0..1, or auto{guess}")
        return share

    @field_validator("to")
    @classmethod
    def _is_goal(cls, to: str | int | float) -> str | int | float:
        words = ("majority", "median")
        if isinstance(to, str) and to not in words:
            raise ValueError(f"expected one of {words}, or a number.{did_you_mean(to, words)}")
        if isinstance(to, float) and not 0 < to <= 1:
            raise ValueError("expected a fraction in (0, 1]; a count is an integer")
        if isinstance(to, int) and not 1 <= to <= MOST:
            raise ValueError(f"expected a count of rows from 1 to {MOST:,}")
        return to

    def resolved(
        self, data: DataKind = "image", advised: float | None = None
    ) -> tuple[float, bool]:
        """Return (synthetic_share, companions) as numbers.

        advised: the share that "auto" is with the model at hand (`ImageGAN.advised_share_`), or
        None for the measured default.

        >>> TopUp().resolved("image"), TopUp().resolved("table")
        ((0.5, True), (0.5, False))
        >>> TopUp().resolved("image", advised=0.0)
        (0.0, True)
        """
        best_share, best_companions = _BEST_TOP_UP[data]
        best_share = best_share if advised is None else advised
        share = best_share if self.synthetic_share == "auto" else float(self.synthetic_share)
        companions = best_companions if self.companions == "auto" else bool(self.companions)
        return share, companions
