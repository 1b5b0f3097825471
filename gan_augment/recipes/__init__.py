"""Recipes: how to train, as names and numbers, from a name, a TOML file or settings."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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
from gan_augment.settings import Frozen, read_toml

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
    "commented_toml",
    "image_recipe",
    "read_settings",
    "resolve_recipe",
    "table_recipe",
    "with_components",
]

AUTO = "anchored"
SHORT_STEPS, SHORT_S = 3000, 180
"""Below, images start from principal components; longer fits end better from scratch."""
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


def image_recipe(requested: str | Recipe, steps: int | None, budget_s: float | None) -> Recipe:
    """Return a recipe for images; short fits of "auto" or "anchored" start from components.

    Short: under 3,000 steps, or a budget of up to 180 s; steps win. Raises UsageError.

    >>> image_recipe("auto", 400, None).generator.components
    True
    >>> image_recipe("auto", None, None).generator.components
    False
    """
    short = steps < SHORT_STEPS if steps is not None else (budget_s or math.inf) <= SHORT_S
    recipe = resolve_recipe(requested)
    return with_components(recipe, True) if short and requested in ("auto", AUTO) else recipe


def with_components(recipe: Recipe, components: bool) -> Recipe:
    """Return the recipe, starting from principal components of the training rows or not."""
    generator = recipe.generator.model_copy(update={"components": components})
    return recipe.model_copy(update={"generator": generator})


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


def read_settings(recipe: Recipe) -> dict[str, Any]:
    """Return {path: value} of the settings that a fit reads, such as "generator.code".

    Terms and games that are off by default and off here are left out.
    """
    unread, found = _unread(recipe), dict[str, Any]()
    for name, own in Recipe.model_fields.items():
        part = getattr(recipe, name)
        fields = {name: (part, own)}
        if isinstance(part, Frozen):
            of = type(part).model_fields
            fields = {f"{name}.{key}": (value, of[key]) for key, value in part}
        for path, (value, field) in fields.items():
            off = value == field.default and (not value or name == "game")
            if not off and unread.isdisjoint((name, path)):
                found[path] = value
    return found


def _unread(recipe: Recipe) -> set[str]:
    """Return the paths, and names of parts, that a fit with this recipe does not read."""
    g, d, objective = recipe.generator, recipe.discriminator, recipe.objective
    facts, table, anchored = g.facts, recipe.data == "table", g.kind == "anchored"
    translator = g.from_rows and not (facts.styled or facts.lowered)
    of_training = "objective game generator_optimiser schedule steps batch label_power"
    of_d = "discriminator discriminator_optimiser augment d_steps objective.loss"
    rules = dict.fromkeys(of_training.split(), not g.trained)
    rules |= dict.fromkeys(of_d.split(), not g.trained or facts.styled)  # no D judges styles
    rules |= dict.fromkeys(("augment", "selection", "discriminator.network") if table else (), True)
    rules |= {
        "objective.adversary": facts.styled,
        "generator.network": table or g.from_rows,
        "generator.skip_code": table or g.network != "default",
        "generator.style_mixing": g.network != "style",
        "generator.code": g.from_rows or not g.trained,
        "generator.embedding": not (g.trained and (translator or not g.from_rows)),
        "generator.width": not g.trained,
        "generator.max_width": table or not g.trained or facts.lowered,
        "generator.extrapolation": table or not anchored,
        "generator.borrowed": not (facts.whitened or (anchored and not table)),
        "generator.reach": not (facts.whitened or (anchored and g.borrowed and not table)),
        "generator.lenders": not (facts.whitened or (anchored and g.borrowed and not table)),
        "generator.neighbours": not (table and (anchored or facts.whitened)),
        "generator.scale": not facts.lowered,
        "discriminator.max_width": table,
        "objective.r1_every": not (objective.r1 or objective.r2),
        "objective.reconstruction": not (facts.known or (anchored and not table)),
        "objective.code_penalty": table or not anchored,
        "objective.reconstruct_only": g.free or table,
        "objective.classes": not d.tells_classes,
        "objective.fake_classes": d.condition != "auxiliary",
        "generator_optimiser.betas": recipe.generator_optimiser.name != "adam",
        "discriminator_optimiser.betas": recipe.discriminator_optimiser.name != "adam",
        "schedule.hold": recipe.schedule.name == "constant",
        "selection.copy_guard": not g.free,
    }
    return {path for path, unread in rules.items() if unread}


def commented_toml(recipe: Recipe) -> list[str]:
    """Return the lines of a TOML file of the settings that a fit reads, each with a comment."""
    lines, table = list[str](), ""
    for path, value in read_settings(recipe).items():
        owner, _, name = path.rpartition(".")
        model = type(getattr(recipe, owner)) if owner else Recipe
        if owner != table:
            lines, table = [*lines, "", f"[{owner}]"], owner
        given = f"{name} = {json.dumps(value)}"
        lines.append(f"{given:<28}  # {model.model_fields[name].description}")
    return lines
