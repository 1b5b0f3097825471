"""The recipes that come with the library, by name. What one may say: `recipe_settings.py`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gan_augment.config import DataKind
from gan_augment.errors import UsageError, did_you_mean
from gan_augment.recipe_settings import (
    DiscriminatorSettings,
    GeneratorSettings,
    ObjectiveSettings,
    OptimiserSettings,
    Recipe,
    ScheduleSettings,
)
from gan_augment.toml import read_toml

ANCHORED = Recipe(
    name="anchored",
    generator=GeneratorSettings(extrapolation=0.366, borrowed=1.0, reach=1.0, lenders=2),
)
FREE = Recipe(
    name="free",
    generator=GeneratorSettings(kind="free"),
    discriminator=DiscriminatorSettings(minibatch_std=True),
    objective=ObjectiveSettings(lecam=0.1),
    generator_optimiser=OptimiserSettings(betas=(0.0, 0.99)),
    discriminator_optimiser=OptimiserSettings(betas=(0.0, 0.99)),
)

_TABLE_OPTIMISER = OptimiserSettings(rate=1e-3, betas=(0.5, 0.99))
TABLE_ANCHORED = Recipe(
    name="anchored",
    data="table",
    generator=GeneratorSettings(code=16, embedding=16, width=128),
    discriminator=DiscriminatorSettings(width=128, spectral_norm=False),
    objective=ObjectiveSettings(
        loss="non-saturating", r1=1.0, feature_matching=1.0, reconstruct_only=0.0
    ),
    generator_optimiser=_TABLE_OPTIMISER,
    discriminator_optimiser=_TABLE_OPTIMISER,
    schedule=ScheduleSettings(name="constant"),
    steps=600,
    batch=256,
)
TABLE_FREE = TABLE_ANCHORED.model_copy(
    update={
        "name": "free",
        "generator": TABLE_ANCHORED.generator.model_copy(update={"kind": "free"}),
    }
)

RECIPES: Mapping[DataKind, Mapping[str, Recipe]] = {
    "image": {recipe.name: recipe for recipe in (ANCHORED, FREE)},
    "table": {recipe.name: recipe for recipe in (TABLE_ANCHORED, TABLE_FREE)},
}
AUTO = "anchored"


def resolve_recipe(asked: str | Recipe, data: DataKind = "image") -> Recipe:
    """A recipe from "auto", a known name, or the path of a TOML file. Raises UsageError.

    >>> resolve_recipe("auto").name
    'anchored'
    """
    if isinstance(asked, Recipe):
        return _for(data, asked, asked.name)
    if asked == "auto":
        return RECIPES[data][AUTO]
    if asked in RECIPES[data]:
        return RECIPES[data][asked]
    if asked.endswith(".toml"):
        return _for(data, Recipe.checked(read_toml(Path(asked)), asked), asked)
    known = ["auto", *RECIPES[data]]
    raise UsageError(
        f"there is no recipe {asked!r}; expected {', '.join(known)} or the path of a .toml file."
        f"{did_you_mean(asked, known)}"
    )


def _for(data: DataKind, recipe: Recipe, name: str) -> Recipe:
    if recipe.data != data:
        raise UsageError(
            f"the recipe {name!r} is for {recipe.data}s, not for {data}s; a recipe says "
            f'data = "{data}" at its top if it is'
        )
    return recipe
