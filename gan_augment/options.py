"""Options of a fit and of a top-up, as frozen models. The command line is generated from them.

Nothing here builds a network or reads data.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StrictBool

from gan_augment.errors import UsageError, did_you_mean
from gan_augment.recipes import RECIPES, DataKind, Recipe
from gan_augment.settings import Frozen, read_toml

BEST_SHARE = 0.5
"""The generated share of the added rows that "auto" stands for."""
MOST = 2**31 - 1
"""The largest number of steps, and of other counts."""
MOST_PROCESSES = 1024
"""The largest number of processes or threads."""
_UNITS_S = {"s": 1, "m": 60, "h": 3600}


def seconds(text: str) -> float:
    """Return a duration with its unit in seconds. Raises UsageError.

    >>> seconds("90s"), seconds("1h30m")
    (90.0, 5400.0)
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)([smh])", text)
    total = sum(float(number) * _UNITS_S[unit] for number, unit in parts)
    whole = "".join(number + unit for number, unit in parts) == text
    if not whole or not 0 < total < math.inf:
        raise UsageError(
            f"{text[:40]!r} is not a duration; expected a number and its unit: 90s, 10m or 1h"
        )
    return total


def _check_number(value: object) -> object:
    """Refuse booleans, which pydantic would convert to numbers."""
    if isinstance(value, bool):
        raise ValueError("expected a number")
    return value


def _read_size(value: object) -> object:
    """Read HEIGHTxWIDTH, or one number for a square, as a pair."""
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"(\d{1,9})(?:x(\d{1,9}))?", value)
    if match is None:
        raise ValueError("expected HEIGHTxWIDTH px, such as 48x32")
    return int(match[1]), int(match[2] or match[1])


def _read_columns(value: object) -> object:
    """Read `name=kind,name=kind`, or the table [columns] of a TOML file, as a mapping."""
    if not isinstance(value, str):
        return value
    if value.endswith(".toml"):
        values = read_toml(Path(value))
        if "columns" not in values:
            raise UsageError(f'{value} has no table [columns] of lines like zip = "categorical"')
        return values["columns"]
    pairs = [part.rpartition("=") for part in value.split(",")]
    if not all(name.strip() and kind.strip() for name, _, kind in pairs):
        raise ValueError("expected name=kind,name=kind or a .toml file")
    named = {name.strip(): kind.strip() for name, _, kind in pairs}
    if len(named) < len(pairs):
        raise ValueError("expected every column once")
    return named


def _read_number(value: object) -> object:
    """Read the text of a number as that number; a word stays as it is."""
    _check_number(value)
    if not isinstance(value, str) or not re.match(r"[-.\d]", value):
        return value
    try:
        return int(value) if value.lstrip("-").isdecimal() else float(value)
    except ValueError:
        raise ValueError("expected a number or a word") from None


def _check_share(share: float | str) -> float | str:
    if not isinstance(share, str) and not 0 <= share <= 1:
        guess = f"; did you mean {share / 100:g}?" if 1 < share <= 100 else ""
        raise ValueError(f"expected a share in 0..1, or auto{guess}")
    return share


def _check_goal(to: str | int | float) -> str | int | float:
    words = ("majority", "median")
    if isinstance(to, str) and to not in words:
        raise ValueError(f"expected majority, median, or a number.{did_you_mean(to, words)}")
    if isinstance(to, float) and not 0 < to <= 1:
        raise ValueError("expected a fraction in (0, 1]; a count is an integer")
    if isinstance(to, int) and not 1 <= to <= MOST:
        raise ValueError(f"expected a count of rows from 1 to {MOST:,}")
    return to


def _check_recipe(recipe: str | Recipe) -> str | Recipe:
    known = ["auto", *{name for recipes in RECIPES.values() for name in recipes}]
    if isinstance(recipe, str) and recipe not in known and not recipe.endswith(".toml"):
        guess = did_you_mean(recipe, known)
        raise ValueError(f"expected auto, the name of a recipe, or a .toml file.{guess}")
    return recipe


Count = Annotated[int, Field(strict=True, ge=1, le=MOST)]
Processes = Annotated[int, Field(strict=True, ge=1, le=MOST_PROCESSES)]
Seconds = Annotated[
    float,
    BeforeValidator(lambda one: seconds(one) if isinstance(one, str) else _check_number(one)),
    Field(gt=0, allow_inf_nan=False),
]
"""A time in seconds; a text such as "90s", "10m" or "1h30m" is read as one."""
Columns = Annotated[dict[str | int, str], BeforeValidator(_read_columns)]
ImageSize = Annotated[tuple[int, int], BeforeValidator(_read_size)]
Share = Annotated[
    float | Literal["auto"], BeforeValidator(_read_number), AfterValidator(_check_share)
]
Goal = Annotated[str | int | float, BeforeValidator(_read_number), AfterValidator(_check_goal)]


class FitOptions(Frozen):
    """Options of a fit. None means that the data and the machine decide."""

    target: str | None = Field(
        default=None, description="The column with the labels. It makes the data a table."
    )
    columns: Columns = Field(
        default_factory=dict,
        description="Kinds of columns, instead of guessed ones: zip=categorical,visit=id, or a "
        ".toml file with a table [columns]. Kinds: categorical, numeric, datetime, id.",
    )
    classes: str | tuple[str, ...] = Field(
        default="rare",
        description="The classes to top up: rare, all, or names separated by commas.",
    )
    recipe: Annotated[str | Recipe, AfterValidator(_check_recipe)] = Field(
        default="auto",
        description="How to train: auto, a recipe of `gan-augment recipes`, or a .toml file.",
    )
    steps: int | None = Field(
        default=None,
        strict=True,
        ge=0,
        le=MOST,
        description="Number of training steps, instead of a time; it repeats a run exactly.",
    )
    budget: Seconds | None = Field(
        default=None, description="Training time, such as 90s, 10m or 1h."
    )
    image_size: ImageSize | None = Field(
        default=None, description="Scale images to this size in px; by default the data decide."
    )
    window: Count | None = Field(
        default=None, description="Cut signals into windows of this many samples."
    )
    flips: bool = Field(
        default=False, description="Train on mirror images too, which must have the same label."
    )
    selection: StrictBool = Field(
        default=True, description="Keep only generated images that pass quality checks."
    )
    seed: int = Field(
        default=0,
        strict=True,
        ge=0,
        lt=2**62,
        description="Random seed. The same seed repeats the result.",
    )
    device: str = Field(default="auto", description="Where to train: auto, cpu, cuda or cuda:1.")
    precision: Literal["auto", "float32", "bf16"] = Field(
        default="auto", description="Number format of training."
    )
    threads: Processes | None = Field(default=None, description="CPU threads that train.")
    workers: Processes | None = Field(default=None, description="CPU threads that draw images.")
    skip_bad: bool = Field(
        default=False,
        description="Skip all unreadable files. By default a class may lose 1 file or 5 %.",
    )

    @property
    def data_kind(self) -> DataKind:
        """Return the kind of the data: a table, or images."""
        return "image" if self.target is None else "table"


class TopUp(Frozen):
    """How many rows a class ends with, and which share of the added rows is generated.

    "auto" is the measured default of each kind of data; `resolved` returns it.
    """

    to: Goal = Field(
        default="majority",
        description="Final size of each class: majority, median, a count such as 500, or a "
        "fraction of the majority in (0, 1].",
    )
    synthetic_share: Share = Field(
        default="auto",
        description="Generated share of the added rows, in 0..1, or auto. The others repeat rows.",
    )
    companions: StrictBool | Literal["auto"] = Field(
        default="auto",
        description="Add generated rows to the other classes too, up to the final size.",
    )

    def resolved(
        self, data: DataKind = "image", advised: float | None = None
    ) -> tuple[float, bool]:
        """Return (synthetic_share, companions) as numbers.

        Parameters
        ----------
        data
            The kind of recipes.
        advised
            The share that "auto" stands for with a fitted model (`ModelMeta.advised_share`); None
            takes the measured default.

        Returns
        -------
        tuple of float and bool
            The generated share in 0..1, and whether other classes get companions.

        Examples
        --------
        >>> TopUp().resolved("image"), TopUp().resolved("table")
        ((0.5, True), (0.5, False))
        >>> TopUp().resolved("image", advised=0.0)
        (0.0, True)
        """
        share, companions = self.synthetic_share, self.companions
        if share == "auto":
            share = BEST_SHARE if advised is None else advised
        return float(share), data == "image" if companions == "auto" else companions


def with_options(recipe: Recipe, options: FitOptions) -> Recipe:
    """Return the recipe with `flips` of the options of a fit, if the recipe is trained."""
    if not options.flips:
        return recipe
    if not recipe.generator.trained:
        raise UsageError(
            f"--flips: the recipe {recipe.name!r} is not trained; take --recipe anchored "
            "(recipe='anchored')"
        )
    augment = recipe.augment.model_copy(update={"flips": True})
    return recipe.model_copy(update={"augment": augment})
