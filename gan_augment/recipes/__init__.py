"""Recipes: how to train, as names and numbers, from a name, a TOML file or settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gan_augment.errors import UsageError, did_you_mean
from gan_augment.recipes.presets import ABOUT, RECIPES
from gan_augment.recipes.settings import (
    AugmentSettings,
    DataKind,
    DiscriminatorSettings,
    GameSettings,
    GeneratorSettings,
    ObjectiveSettings,
    OptimiserSettings,
    Recipe,
    ScheduleSettings,
    SelectionSettings,
)
from gan_augment.settings import read_toml

__all__ = [
    "ABOUT",
    "AUTO",
    "CANDIDATES",
    "RECIPES",
    "AugmentSettings",
    "DataKind",
    "DiscriminatorSettings",
    "GameSettings",
    "GeneratorSettings",
    "ObjectiveSettings",
    "OptimiserSettings",
    "Recipe",
    "ScheduleSettings",
    "SelectionSettings",
    "resolve_recipe",
    "table_recipe",
]

AUTO = "anchored"
CANDIDATES: Mapping[DataKind, tuple[str, ...]] = {  # of `gan-augment choose`
    "image": (AUTO, "free", "dcgan", "egan", "wgan-gp"),
    "table": ("gaussian", AUTO, "free", "wgan-gp", "class-by-class"),
}


def resolve_recipe(requested: str | Recipe, data: DataKind = "image") -> Recipe:
    """Return a recipe from "auto", a known name, or the path of a TOML file. Raises UsageError.

    >>> resolve_recipe("auto").name
    'anchored'
    """
    name = requested.name if isinstance(requested, Recipe) else requested
    known = ["auto", *RECIPES[data]]
    if isinstance(requested, Recipe):
        recipe = requested
    elif requested in known:
        recipe = RECIPES[data][AUTO if requested == "auto" else requested]
    elif requested.endswith(".toml"):
        recipe = Recipe.checked(read_toml(Path(requested)), requested)
    else:
        others = [own[requested] for own in RECIPES.values() if requested in own]
        if not others:
            raise UsageError(
                f"there is no recipe {requested!r}; expected {', '.join(known)} or the path of a "
                f".toml file.{did_you_mean(requested, known)}"
            )
        (recipe,) = others
    if recipe.data != data:
        raise UsageError(
            f"the recipe {name!r} is for {recipe.data}s, not for {data}s; expected "
            f'{", ".join(known)}, or a .toml file with data = "{data}"'
        )
    return recipe


def table_recipe(requested: str | Recipe, steps: int | None, budget_s: float | None) -> Recipe:
    """Return a recipe for a table; "auto" is "gaussian", or "anchored" with steps or a budget.

    steps, budget_s: as requested; steps win. Raises UsageError if they contradict the recipe.

    >>> table_recipe("auto", None, None).name, table_recipe("auto", None, 60).name
    ('gaussian', 'anchored')
    """
    trained = bool(budget_s if steps is None else steps)
    recipe = resolve_recipe(
        "gaussian" if requested == "auto" and not trained else requested, "table"
    )
    if trained and not recipe.generator.trained:
        raise UsageError(
            f"the recipe {recipe.name!r} is not trained; take 'anchored', or no steps and budget"
        )
    if recipe.generator.free and steps == 0:
        raise UsageError("a free generator of 0 steps is noise; give it steps, or take 'anchored'")
    return recipe
