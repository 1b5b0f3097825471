"""What a command may be told, as frozen models: how to fit and to top up.

Names and numbers only: nothing here builds a network or reads data.
"""

from __future__ import annotations

import re
from typing import Literal, Self

from pydantic import Field, model_validator

from gan_augment.errors import UsageError, did_you_mean
from gan_augment.recipes import DataKind, Recipe
from gan_augment.settings import Frozen

_BEST_TOP_UP: dict[DataKind, tuple[float, bool]] = {"image": (0.5, True), "table": (0.5, False)}


class FitOptions(Frozen):
    """What a fit may be told. None means: decided from the data and the machine, and printed.

    target: the column of labels; with one the data is a table. columns: {column: kind} where the
    kind is not to be inferred (`data.schema.Overrides`). classes: "rare", "all" or names.
    image_size: (height, width) px. budget_s: seconds; steps wins if both. selection: whether only
    generated images worth keeping are given (a table's rows never are selected).
    """

    target: str | None = None
    columns: dict[str | int, str] = Field(default_factory=dict)
    classes: str | tuple[str, ...] = "rare"
    recipe: str | Recipe = "auto"
    steps: int | None = Field(default=None, ge=1)
    budget_s: float | None = Field(default=None, gt=0)
    image_size: tuple[int, int] | None = None
    resize: Literal["squeeze", "crop", "pad"] = "squeeze"
    flips: bool = False
    selection: bool = True
    seed: int = Field(default=0, ge=0)
    device: str = "auto"
    precision: Literal["auto", "float32", "bf16"] = "auto"
    threads: int | None = Field(default=None, ge=1)
    workers: int | None = Field(default=None, ge=1)
    skip_bad: bool = False

    @property
    def data_kind(self) -> DataKind:
        """Whether the data is a table or images."""
        return "image" if self.target is None else "table"


class TopUp(Frozen):
    """Two numbers and a switch: what a class ends with, and what the added rows are.

    to: "majority", "median", an integer, or a fraction in (0, 1] of the majority's count (a float).
    synthetic_share: of the rows added, the part that is generated; the rest repeats real rows.
    companions: classes that are not topped up get generated rows too, every class the same share.
    "auto" is the measured default of each kind of data, `resolved()` says what it is.
    """

    to: str | int | float = "majority"
    synthetic_share: float | Literal["auto"] = "auto"
    companions: bool | Literal["auto"] = "auto"

    @model_validator(mode="after")
    def _ranges(self) -> Self:
        share = self.synthetic_share
        if isinstance(share, float | int) and not 0 <= share <= 1:
            raise ValueError(f"synthetic_share {share} is not in 0..1")
        _check_to(self.to)
        return self

    def resolved(
        self, data: DataKind = "image", advised: float | None = None
    ) -> tuple[float, bool]:
        """(synthetic_share, companions) as numbers.

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


def _check_to(to: str | int | float) -> None:
    words = ("majority", "median")
    if isinstance(to, str):
        if to not in words:
            guess = did_you_mean(to, words)
            raise ValueError(f"to={to!r} is none of {words}, nor a number.{guess}")
    elif isinstance(to, float) and not 0 < to <= 1:
        raise ValueError(f"to={to} is not a fraction in (0, 1]; a count is an integer")
    elif isinstance(to, int) and to < 1:
        raise ValueError(f"to={to} is no count of rows; expected 1 or more")


_SECONDS = {"s": 1, "m": 60, "h": 3600}


def seconds(text: str) -> float:
    """A duration with its unit, in seconds. Raises UsageError.

    >>> seconds("90s"), seconds("1h30m")
    (90.0, 5400.0)
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)([smh])", text)
    total = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    if "".join(number + unit for number, unit in parts) != text or total <= 0:
        raise UsageError(f"{text!r} is no duration; expected a number and its unit: 90s, 10m or 1h")
    return total
