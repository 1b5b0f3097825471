"""The recipes by name: valid, described, equal as TOML, and resumed bit for bit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from gan_augment.errors import UsageError
from gan_augment.recipes import ABOUT, RECIPES, Recipe, resolve_recipe
from gan_augment.settings import to_toml
from gan_augment.training.loop import Run
from gan_augment.training.parts import row_unit, state_arrays
from tests.training.test_loop import resumed
from tests.training.toy_runs import image_run, small, table_run

MEASURED = "examples/benchmarks/step_costs.json"
NAMED = [(data, name) for data, recipes in RECIPES.items() for name in recipes]
TRAINED = [(data, name) for data, name in NAMED if RECIPES[data][name].generator.trained]


def toy(data: str, name: str, **changes) -> Run:
    """Return a toy run of a recipe: small networks, other settings as published but for changes."""
    batch = max(8, 2 * row_unit(RECIPES[data][name]))  # for two ranks
    recipe = small(name, data, **{"batch": batch, "steps": 10, **changes})
    if recipe.game.long_d_steps:  # 100 in WGAN
        recipe = small(name, data, game={"long_d_steps": 7})
    return (image_run if data == "image" else table_run)(**recipe.model_dump())


@pytest.mark.parametrize(("data", "name"), NAMED)
def test_a_recipe_is_valid_and_described_and_its_file_gives_the_same(data, name, tmp_path):
    recipe = resolve_recipe(name, data)
    assert (recipe.name, recipe.data) == (name, data)
    assert all(ABOUT[name][:2])
    values = recipe.model_dump(mode="json")
    assert Recipe.checked(values, name) == recipe
    file = tmp_path / "mine.toml"
    file.write_text(to_toml(values))
    assert resolve_recipe(str(file), data) == recipe


def test_the_costs_of_recipes_are_those_that_the_benchmark_measured():
    found = json.loads((Path(__file__).parents[2] / MEASURED).read_text(encoding="utf-8"))
    for data, shape in (("image", "28x28x1"), ("table", "table")):
        measured = {name: one["ratio"] for name, one in found[shape]["recipes"].items()}
        trained = {name for of, name in TRAINED if of == data}
        told = {name: getattr(ABOUT[name], data) for name in RECIPES[data]}
        assert {name for name, cost in told.items() if cost} == trained
        assert {name: told[name] for name in trained} == pytest.approx(measured, rel=0.06)


@pytest.mark.parametrize(("data", "name"), TRAINED)
def test_ten_steps_move_both_networks_and_are_five_saved_loaded_and_five_more(data, name):
    start, whole = state_arrays(toy(data, name).state), resumed(lambda: toy(data, name))
    parts = ("generator/",) if name == "adain" else ("generator/", "discriminator/")
    for part in parts:  # no adversary compares styles
        assert any(not np.array_equal(start[k], whole[k]) for k in start if k.startswith(part))
    assert all(np.isfinite(array).all() for array in whole.values())


OF_D = {"spectral_norm": False}
REFUSED = [
    ({"game": {"generators": 2}}, "several generators"),
    ({"game": {"by_class": True, "generators": 2}}, "game.by_class"),
    ({"game": {"by_class": True}}, "game.by_class"),
    ({"generator": {"kind": "free"}, "game": {"by_class": True}}, "condition"),
    ({"game": {"unrolled": 5}, "objective": {"r1": 1.0}}, "unrolled"),
    ({"game": {"unrolled": 5}, "discriminator_optimiser": {"name": "rmsprop"}}, "unrolled"),
    (
        {"game": {"discriminators": 2}, "discriminator": {"condition": "auxiliary"}},
        "discriminators",
    ),
    ({"game": {"grow": 0.5}}, "growing"),
    ({"game": {"balanced": True}, "d_steps": 2}, "d_steps"),
    ({"game": {"pool": 5}}, "game.pool"),
    ({"objective": {"cycle": 1.0}}, "objective.cycle"),
    ({"objective": {"style": 1.0}}, "objective.style"),
    ({"objective": {"path_length": 1.0}}, "style"),
    ({"objective": {"gradient_penalty": 10.0}}, "spectral_norm"),
    ({"objective": {"clip": 0.01}}, "spectral_norm"),
    ({"objective": {"loss": "wasserstein"}, "discriminator": OF_D}, "wasserstein"),
    ({"objective": {"loss": "wasserstien"}}, "wasserstien"),
    ({"objective": {"r1": 1.0}, "discriminator": {"network": "dcgan"}}, "batch norm"),
    ({"generator": {"network": "dcgna"}}, "dcgna"),
    ({"discriminator": {"network": "style"}}, "style"),
    ({"generator": {"kind": "gaussian"}}, "for tables"),
    ({"generator": {"kind": "pairs", "network": "dcgan"}}, "own network"),
    ({"data": "table", "generator": {"kind": "pairs"}}, "for images"),
    ({"data": "table", "generator": {"network": "dcgan"}}, "for images"),
    ({"data": "table", "discriminator": {"minibatch_std": True}}, "for images"),
    ({"data": "table", "generator": {"skip_code": True}}, "for images"),
    ({"data": "table", "stop": {"patience": 3}}, "steps"),
    ({"generator": {"kind": "style"}, "game": {"pool": 5}}, "game.pool"),
    ({"generator": {"kind": "inpainting"}, "game": {"by_class": True}}, "game.by_class"),
    ({"generator": {"kind": "translation"}, "game": {"unrolled": 2}}, "unrolled"),
    ({"batch": 7}, "odd"),
    ({"generator": {"widht": 8}}, "Did you mean"),
]


@pytest.mark.parametrize(("values", "word"), REFUSED, ids=lambda value: str(value)[:60])
def test_settings_that_do_not_go_together_are_refused(values, word):
    with pytest.raises(UsageError, match=word):
        Recipe.checked(values, "mine.toml")


@pytest.mark.parametrize(
    ("name", "data"), [("gaussian", "image"), ("dcgan", "table"), ("stylegan", "table")]
)
def test_a_recipe_for_the_other_kind_of_data_is_refused(name, data):
    with pytest.raises(UsageError, match=f"'{name}' is for .*, not for {data}s"):
        resolve_recipe(name, data)
