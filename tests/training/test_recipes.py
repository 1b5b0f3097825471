"""The recipes by name: valid, described, equal as TOML, and resumed bit for bit."""

from __future__ import annotations

import ast
import json
import sys
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gan_augment.errors import UsageError
from gan_augment.recipes import (
    ABOUT,
    RECIPES,
    Recipe,
    commented_toml,
    read_settings,
    resolve_recipe,
)
from gan_augment.settings import Frozen, to_toml
from gan_augment.training.loop import Run, train
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


@pytest.mark.parametrize(("data", "name"), TRAINED)
def test_a_printed_recipe_holds_the_settings_that_training_reads(data, name, monkeypatch):
    recipe, seen, get = RECIPES[data][name], set(), Frozen.__getattribute__
    printed = read_settings(recipe)
    again = Recipe.checked(tomllib.loads("\n".join(commented_toml(recipe))), name)
    assert read_settings(again) == printed

    def reading(self: Frozen, key: str) -> Any:
        checking = Path(sys._getframe(1).f_code.co_filename).parent.name == "recipes"
        if key in type(self).model_fields and not checking:
            seen.add((type(self), key))
        return get(self, key)

    monkeypatch.setattr(Frozen, "__getattribute__", reading)
    train(replace(toy(data, name, batch=recipe.batch), steps=2))
    monkeypatch.undo()
    parts = {part: type(value) for part, value in recipe if isinstance(value, Frozen)}
    of_properties = {"generator.kind", "generator.scale"}
    elsewhere = {"selection", "generator.lenders", "generator.neighbours"} | of_properties
    for path, value in printed.items():
        part, _, key = path.rpartition(".")
        if part and not {part, path} & elsewhere:
            assert (parts[part], key) in seen, f"{path} = {value} is printed and not read"
    if name == "adain":  # its D is made and never trained
        return
    for part, of in parts.items():
        for key, value in getattr(recipe, part):
            if (of, key) in seen and value != of.model_fields[key].default:
                assert f"{part}.{key}" in printed, f"{part}.{key} is read and not printed"


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
    ({"generator": {"components": True, "network": "dcgan"}}, "components"),
    ({"generator": {"components": True}, "data": "table"}, "components"),
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
    ({"objective": {"loss": "wasserstien"}}, "Did you mean 'wasserstein'"),
    ({"objective": {"loss": "wgan"}}, "Did you mean 'wasserstein'"),
    ({"objective": {"r1": 1.0}, "discriminator": {"network": "dcgan"}}, "batch norm"),
    ({"generator": {"network": "dcgna"}}, "dcgna"),
    ({"discriminator": {"network": "style"}}, "style"),
    ({"generator": {"kind": "gaussian"}}, "for tables"),
    ({"generator": {"kind": "pairs", "network": "dcgan"}}, "own network"),
    ({"data": "table", "generator": {"kind": "pairs"}}, "for images"),
    ({"data": "table", "generator": {"network": "dcgan"}}, "for images"),
    ({"data": "table", "discriminator": {"minibatch_std": True}}, "for images"),
    ({"data": "table", "generator": {"skip_code": True}}, "for images"),
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


# the settings of the papers


# recipe | loss | D steps | D's optimiser | G's, where it differs | all other settings | source
PUBLISHED = """
minimax           | minimax        | 1 | adam 2e-4 .5 .999 | | | Goodfellow 2014
nonsaturating     | non-saturating | 1 | adam 2e-4 .5 .999 | | | Goodfellow 2014
lsgan             | least-squares  | 1 | adam 2e-4 .5 .999 | | | Mao 2017
wgan-gp           | wasserstein    | 5 | adam 1e-4 0 .9    | | gradient_penalty=10 | Gulrajani 2017
hinge-sn          | hinge          | 5 | adam 2e-4 0 .9    | | spectral_norm=True | Miyato 2018
relativistic-r1r2 | relativistic   | 1 | adam 2e-4 0 .99   | | r1=1 r2=1 r1_every=1 | Huang 2024
cgan              | non-saturating | 1 | adam 2e-4 .5 .999 | | condition=concatenation | Mirza 2014
acgan             | non-saturating | 1 | adam 2e-4 .5 .999 | | condition=auxiliary | Odena 2017
wgan              | wasserstein    | 5 | rmsprop 5e-5      | \
    | clip=.01 long_d_steps=100 | Arjovsky 2017
sgan              | non-saturating | 1 | adam 2e-4 .5 .999 | | balanced=True | SGAN
unrolled          | non-saturating | 1 | adam 1e-4 .5 .999 | adam 1e-3 .5 .999 \
    | unrolled=5 | Metz 2017
egan              | non-saturating | 1 | adam 2e-4 .5 .999 | | generators=2 discriminators=2 | EGAN
class-by-class    | non-saturating | 1 | adam 2e-4 .5 .999 | | condition=none by_class=True | -
semi-supervised   | non-saturating | 1 | adam 2e-4 .5 .999 | \
    | condition=classes feature_matching=1 adversary=0 | Salimans 2016
dcgan             | non-saturating | 2 | adam 2e-4 .5 .999 | \
    | g=dcgan d=dcgan | Radford 2016 (one D step there)
pggan             | wasserstein    | 1 | adam 1e-3 0 .99   | \
    | gradient_penalty=10 drift=1e-3 grow=.5 minibatch_std=True g=growing d=growing | Karras 2018
stylegan          | non-saturating | 1 | adam 1.88235e-3 0 .990586 | adam 1.6e-3 0 .991992 \
    | r1=.1 r1_every=16 path_length=2 minibatch_std=True g=style d=growing \
    | Karras 2020 (R1 of 10 there; 2e-3 and .99 before the correction for lazy penalties)
biggan-lite       | hinge          | 2 | adam 4e-4 0 .999  | adam 1e-4 0 .999 \
    | spectral_norm=True skip_code=True | Zhang 2019, Brock 2019
stargan           | hinge          | 1 | adam 8e-4 0 .99   | adam 4e-4 .5 .99 \
    | condition=auxiliary spectral_norm=True fake_classes=False cycle=10 kind=translation \
    | Choi 2018 (Wasserstein, penalty 10, five D steps at 1e-4 there)
cyclegan          | least-squares  | 1 | adam 2e-4 .5 .999 | \
    | condition=none cycle=10 identity=5 by_class=True pool=50 kind=translation \
    schedule=linear,0.5 | Zhu 2017
pix2pix           | non-saturating | 1 | adam 2e-4 .5 .999 | \
    | reconstruction=100 kind=pairs | Isola 2017
adain             | hinge          | 1 | adam 1e-3 .9 .999 | \
    | adversary=0 content=1 style=10 reconstruct_only=.4 kind=style \
    | Huang 2017 (1e-4 there, on downloaded features)
fourier           | hinge          | 1 | adam 2e-4 .5 .999 | | kind=fourier | Yang 2020
inpaint           | hinge          | 1 | adam 4e-4 0 .99   | \
    | spectral_norm=True reconstruction=10 kind=inpainting | Pathak 2016
srgan             | non-saturating | 1 | adam 1e-3 .9 .99  | \
    | condition=none adversary=1e-3 reconstruction=1 reconstruct_only=.5 kind=super-resolution \
    | Ledig 2017 (without downloaded features)
"""
ROWS = [[cell.strip() for cell in line.split("|")] for line in PUBLISHED.strip().splitlines()]
OFF = {
    "reconstruct_only": 0.0,
    "spectral_norm": False,
    "kind": "free",
    "schedule": ("constant", 0.0),
}
"""What differs from the default of a setting in a preset that does not name it."""


def settings_of(recipe: Recipe) -> dict[str, Any]:
    """Return every setting of the game, the objective and the networks that papers publish."""
    d, g, schedule = recipe.discriminator, recipe.generator, recipe.schedule
    values = recipe.objective.model_dump() | recipe.game.model_dump() | d.model_dump()
    values |= {"kind": g.kind, "skip_code": g.skip_code, "style_mixing": g.style_mixing}
    values |= {"g": g.network, "d": d.network, "schedule": (schedule.name, schedule.hold)}
    sizes = ("network", "width", "max_width", "loss")
    return {name: value for name, value in values.items() if name not in sizes}


def value_of(text: str) -> Any:
    """Return a number, a truth value, words, or a name with a number."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        name, comma, number = text.partition(",")
        return (name, float(number)) if comma else text


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_preset_has_the_settings_of_its_paper(row):
    name, loss, d_steps, of_d, of_g, more, _ = row
    recipe = RECIPES["image"][name]
    assert (recipe.objective.loss, recipe.d_steps) == (loss, int(d_steps))
    for optimiser, expected in (
        (recipe.discriminator_optimiser, of_d),
        (recipe.generator_optimiser, of_g or of_d),
    ):
        betas = optimiser.betas if optimiser.name == "adam" else ()
        kind, *numbers = expected.split()
        assert optimiser.name == kind
        assert [optimiser.rate, *betas] == pytest.approx([float(n) for n in numbers], rel=1e-5)
    named = dict(pair.split("=") for pair in more.split())
    expected = settings_of(Recipe()) | OFF
    assert settings_of(recipe) == expected | {key: value_of(v) for key, v in named.items()}


def test_every_preset_of_the_literature_is_in_the_table():
    assert {row[0] for row in ROWS} == set(RECIPES["image"]) - {"anchored", "free"}
