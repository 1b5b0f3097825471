"""Recipes: how to train, as names and numbers; a name, a TOML file or settings become one."""

from __future__ import annotations

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
    StopSettings,
)
from gan_augment.settings import read_toml

__all__ = [
    "ABOUT",
    "AUTO",
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
    "StopSettings",
    "resolve_recipe",
    "table_recipe",
    "with_flips",
]

AUTO = "anchored"


def resolve_recipe(requested: str | Recipe, data: DataKind = "image") -> Recipe:
    """A recipe from "auto", a known name, or the path of a TOML file. Raises UsageError.

    >>> resolve_recipe("auto").name
    'anchored'
    """
    if isinstance(requested, Recipe):
        return _for(data, requested, requested.name)
    if requested == "auto":
        return RECIPES[data][AUTO]
    if requested in RECIPES[data]:
        return RECIPES[data][requested]
    if requested.endswith(".toml"):
        return _for(data, Recipe.checked(read_toml(Path(requested)), requested), requested)
    known = ["auto", *RECIPES[data]]
    raise UsageError(
        f"there is no recipe {requested!r}; expected {', '.join(known)} or the path of a .toml "
        f"file.{did_you_mean(requested, known)}"
    )


def table_recipe(requested: str | Recipe, steps: int | None, budget_s: float | None) -> Recipe:
    """`resolve_recipe` of a table; "auto" is "gaussian", or "anchored" where it is to be trained.

    steps, budget_s: as requested; steps win. Raises UsageError where they contradict the recipe.

    >>> table_recipe("auto", None, None).name, table_recipe("auto", None, 60).name
    ('gaussian', 'anchored')
    """
    trained = bool(budget_s if steps is None else steps)
    recipe = resolve_recipe(
        "gaussian" if requested == "auto" and not trained else requested, "table"
    )
    if recipe.generator.kind == "gaussian" and trained:
        raise UsageError(
            "the recipe 'gaussian' is not trained; take 'anchored', or no steps and budget"
        )
    if recipe.generator.kind == "free" and steps == 0:
        raise UsageError("a free generator of 0 steps is noise; give it steps, or take 'anchored'")
    return recipe


def with_flips(recipe: Recipe, flips: bool) -> Recipe:
    """The recipe, with mirrored images among what D sees if `flips`."""
    if not flips:
        return recipe
    flipping = recipe.augment.model_copy(update={"flips": True})
    return recipe.model_copy(update={"augment": flipping})


def _for(data: DataKind, recipe: Recipe, name: str) -> Recipe:
    if recipe.data != data:
        raise UsageError(
            f"the recipe {name!r} is for {recipe.data}s, not for {data}s; a recipe says "
            f'data = "{data}" at its top if it is'
        )
    return recipe
