"""The command `choose`: what it leaves and refuses, and what its winner is good for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gan_augment.commands.choose import choose, plan_choice
from gan_augment.commands.fit import fit
from gan_augment.errors import DataError, OutputExistsError, UsageError
from gan_augment.generators import choose as chooser
from gan_augment.generators.tabular_gan import TabularGAN
from gan_augment.generators.time_budget import Forecast
from gan_augment.options import FitOptions
from gan_augment.recipes import RECIPES
from gan_augment.settings import read_toml
from tests.commands.conftest import contents, write_classes

TABLE = FitOptions(target="fraud", device="cpu", budget=600)
NAMES = ("gaussian", "anchored", "free")


@pytest.fixture(scope="module", autouse=True)
def known_speeds():
    """Forecasts that do not depend on the machine, and short fits of 25 steps."""
    with pytest.MonkeyPatch.context() as patch:
        speed = Forecast(100, 0.1, 0.01)
        patch.setattr(TabularGAN, "forecast", lambda *_, **__: speed)
        planned = chooser.planned_steps
        few = lambda *given: {name: min(25, n) for name, n in planned(*given).items()}  # noqa: E731
        patch.setattr(chooser, "planned_steps", few)
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory, table_file) -> Path:
    folder = tmp_path_factory.mktemp("choices") / "out"
    return choose(table_file, folder, TABLE, recipes=NAMES).out


@pytest.mark.slow
def test_a_choice_leaves_the_winner_and_prints_its_table(table_file, tmp_path):
    result = choose(table_file, tmp_path / "out", TABLE, recipes=NAMES)
    found = json.loads((result.out / "choice.json").read_text())
    assert read_toml(result.out / "recipe.toml")["name"] == found["winner"]
    assert result.lines()[-1] == f"look at {result.out / 'scores.png'}"
    table = result.lines()[1:-2]
    assert {line.split()[0] for line in table} >= set(NAMES)
    again = choose(table_file, result.out, TABLE, recipes=NAMES[:2], overwrite=True)
    assert len(json.loads((again.out / "choice.json").read_text())["step_ms"]) == 2


@pytest.mark.slow
def test_the_winners_toml_is_the_recipe_of_its_fit(whole, table_file, tmp_path):
    chosen = read_toml(whole / "recipe.toml")
    options = FitOptions(target="fraud", device="cpu", recipe=str(whole / "recipe.toml"))
    steps = None if chosen["name"] == "gaussian" else 9
    fit(table_file, tmp_path / "run", options.model_copy(update={"steps": steps}))
    assert read_toml(tmp_path / "run" / "config.toml")["recipe"] == chosen


@pytest.mark.slow
def test_a_choice_of_images_shows_samples_and_is_undecided_after_few_steps(tmp_path):
    data = write_classes(tmp_path / "parts", {"good": 40, "bad": 9})
    options = FitOptions(device="cpu", budget=600)
    found = choose(data, tmp_path / "out", options, recipes=["anchored", "lsgan"])
    assert {"anchored", "lsgan"} == {trial["recipe"] for trial in found.found["trials"]}
    assert (found.out / "samples.png").is_file()
    assert json.loads((found.out / "choice.json").read_text())["winner"] is None
    assert found.lines()[-2].startswith("undecided: 25 steps")  # 400 are needed
    assert found.found["longer"] == "200m"
    assert all(len(trial["course"]) >= 10 for trial in found.found["trials"])
    assert not (found.out / "recipe.toml").exists()


def test_a_plan_of_a_choice_writes_nothing(table_file, tmp_path):
    before = contents(table_file.parent)
    lines, values = plan_choice(table_file, tmp_path / "out", TABLE, recipes=NAMES)
    assert "choosing among gaussian, anchored, free; folder" in lines[-1]
    assert values["recipes"] == ["gaussian", "anchored", "free"]
    assert contents(table_file.parent) == before
    assert not (tmp_path / "out").exists()


def test_all_recipes_are_those_that_draw_any_number_of_rows(data_folder, table_file, tmp_path):
    _, values = plan_choice(data_folder, tmp_path / "out", recipes="all")
    named = RECIPES["image"].items()
    assert values["recipes"] == [name for name, one in named if not one.generator.from_rows]
    _, values = plan_choice(table_file, tmp_path / "out", TABLE, recipes=["all"])
    assert values["recipes"] == [*RECIPES["table"]]
    with pytest.raises(UsageError, match="stargan: its samples start from real rows"):
        plan_choice(data_folder, tmp_path / "out", recipes=["anchored", "stargan"])


def test_what_is_no_choice_is_refused(table_file, data_folder, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(UsageError, match="Did you mean 'anchored'"):
        choose(table_file, out, TABLE, recipes=["anchord", "free"])
    with pytest.raises(UsageError, match="for tables, not for images"):
        choose(data_folder, out, recipes=["gaussian", "free"])
    with pytest.raises(UsageError, match="two or more"):
        choose(table_file, out, TABLE, recipes=["free"])
    with pytest.raises(DataError, match="too few to choose"):
        choose(write_classes(tmp_path / "few", {"good": 30, "bad": 3}), out)
    assert not out.exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(OutputExistsError):
        choose(table_file, tmp_path / "mine", TABLE, overwrite=True)


def test_a_budget_that_holds_nothing_is_refused_and_the_data_stays(table_file, tmp_path):
    before = contents(table_file.parent)
    with pytest.raises(UsageError, match=r"budget=.* would do"):
        choose(table_file, tmp_path / "out", TABLE.model_copy(update={"budget": 1.0}))
    assert not (tmp_path / "out").exists()
    assert contents(table_file.parent) == before
