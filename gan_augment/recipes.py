"""The recipes that come with the library, by name. What a recipe may say is in `config.py`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gan_augment.config import (
    DiscriminatorSettings,
    GeneratorSettings,
    ObjectiveSettings,
    OptimiserSettings,
    Recipe,
    read_toml,
)
from gan_augment.errors import UsageError, did_you_mean

ANCHORED = Recipe(name="anchored")
FREE = Recipe(
    name="free",
    generator=GeneratorSettings(kind="free"),
    discriminator=DiscriminatorSettings(minibatch_std=True),
    objective=ObjectiveSettings(lecam=0.1),
    generator_optimiser=OptimiserSettings(betas=(0.0, 0.99)),
    discriminator_optimiser=OptimiserSettings(betas=(0.0, 0.99)),
)

RECIPES: Mapping[str, Recipe] = {recipe.name: recipe for recipe in (ANCHORED, FREE)}
AUTO = "anchored"


def resolve_recipe(asked: str | Recipe) -> Recipe:
    """A recipe from "auto", a known name, or the path of a TOML file. Raises UsageError.

    >>> resolve_recipe("auto").name
    'anchored'
    """
    if isinstance(asked, Recipe):
        return asked
    if asked == "auto":
        return RECIPES[AUTO]
    if asked in RECIPES:
        return RECIPES[asked]
    if asked.endswith(".toml"):
        return Recipe.checked(read_toml(Path(asked)), asked)
    known = ["auto", *RECIPES]
    raise UsageError(
        f"there is no recipe {asked!r}; expected {', '.join(known)} or the path of a .toml file."
        f"{did_you_mean(asked, known)}"
    )
