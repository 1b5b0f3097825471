"""The ways to make rows that `ablation_images.py` compares: recipes, each with one part changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from images_protocol import Pixels

from gan_augment.recipes import RECIPES, Recipe

ANCHORED, FREE = RECIPES["image"]["anchored"], RECIPES["image"]["free"]
Mix = Callable[[Pixels, int, np.random.Generator], Pixels]


@dataclass(frozen=True)
class Way:
    """One way. recipe: of a generator, or None. mixed: rows of a class without one. length: its
    share of the steps. amounts: (share, companions) of the training sets that are compared."""

    name: str
    recipe: Recipe | None = None
    mixed: Mix = lambda rows, n, rng: rows
    length: float = 1.0
    selection: bool = True
    repeats: bool = False
    amounts: tuple[tuple[float, bool], ...] = ((0.5, True), (0.5, False))


def changed(recipe: Recipe, **values: Any) -> Recipe:
    """A recipe with settings of its groups replaced: changed(ANCHORED, generator={"reach": .5})."""
    update = {
        name: type(old := getattr(recipe, name)).model_validate(old.model_dump() | value)
        if isinstance(value, dict)
        else value
        for name, value in values.items()
    }
    return recipe.model_copy(update=update)


def mixup(rows: Pixels, n: int, rng: np.random.Generator) -> Pixels:
    """Two rows of the class blended, lambda uniform. Source: Zhang et al. 2018, alpha 1."""
    first, second = rng.integers(len(rows), size=(2, n))
    weight = rng.random((n, 1, 1, 1))
    return np.round(weight * rows[first] + (1 - weight) * rows[second]).astype(np.uint8)


def cutmix(rows: Pixels, n: int, rng: np.random.Generator) -> Pixels:
    """A box of one row in another of the class. Source: Yun et al. 2019, alpha 1."""
    first, second = rng.integers(len(rows), size=(2, n))
    made = rows[first].copy()
    height, width = made.shape[1:3]
    for row in range(n):
        side = np.sqrt(rng.random())
        tall, wide = round(side * height), round(side * width)
        top, left = rng.integers(height - tall + 1), rng.integers(width - wide + 1)
        box = np.s_[top : top + tall, left : left + wide]
        made[row][box] = rows[second[row]][box]
    return made


REPEATS = Way("repeats", repeats=True)
BETWEEN = changed(ANCHORED, generator={"borrowed": 0.0, "extrapolation": 0.0})
"""Samples between two rows of their class and nowhere else."""

ONE = ((0.5, True),)

INTERPOLATION = Way(
    "interpolation alone",
    changed(BETWEEN, objective={"reconstruct_only": 0.999}),
    length=0.5,
    selection=False,
    amounts=ONE,
)

SCREEN = (
    REPEATS,
    Way("mixup", mixed=mixup),
    Way("cutmix", mixed=cutmix, amounts=ONE),
    Way("borrowed", ANCHORED, selection=False),
    INTERPOLATION,
    Way("between two rows", BETWEEN, selection=False, amounts=ONE),
    Way("free", FREE, amounts=ONE),
    Way(
        "borrowed from any class",
        changed(ANCHORED, generator={"lenders": 1000}),
        selection=False,
        amounts=ONE,
    ),
)
CONFIRM = (
    REPEATS,
    Way("anchored", ANCHORED),
    Way("components", changed(ANCHORED, generator={"components": True})),
    INTERPOLATION,
)
"""What was kept: the recipe as it comes, selection included; and as short fits start."""
