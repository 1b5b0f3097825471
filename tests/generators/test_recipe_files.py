"""Recipes from TOML files: every loss and penalty trains; impossible mixes are refused."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from gan_augment import ImageGAN
from gan_augment.losses.adversarial import LOSSES
from gan_augment.machine import compute_config
from gan_augment.recipes import resolve_recipe
from gan_augment.training.callbacks import HistoryFile
from gan_augment.training.images import build

pytestmark = pytest.mark.usefixtures("quick_scoring")

PLAIN_D = "[discriminator]\nspectral_norm = false\nwidth = 8\nmax_width = 8\n"
OBJECTIVES = {
    "minimax": 'loss = "minimax"',
    "least-squares": 'loss = "least-squares"\nr1 = 1.0\nr1_every = 2',
    "wasserstein, clipped": 'loss = "wasserstein"\nclip = 0.01',
    "wasserstein, gradient penalty": 'loss = "wasserstein"\ngradient_penalty = 10.0',
    "non-saturating": 'loss = "non-saturating"\ngradient_penalty = 10.0',
    "R3": 'loss = "relativistic"\nr1 = 0.1\nr2 = 0.1\nr1_every = 1',
}
FREE_G = '[generator]\nkind = "free"\nwidth = 8\nmax_width = 8\n'
SLOW_D = '[discriminator_optimiser]\nname = "rmsprop"\nrate = 5e-5\n'


def recipe_file(folder: Path, *tables: str, top: str = "") -> str:
    path = folder / "mine.toml"
    path.write_text("\n".join([top, *tables]), encoding="utf-8")
    return str(path)


def objective(text: str) -> str:
    return f"[objective]\nreconstruct_only = 0.0\n{text}\n"


@pytest.mark.slow
@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_objective_of_a_recipe_file_trains_samples_and_comes_back(toy, tmp_path, name):
    tables = [FREE_G if name == "R3" else "", PLAIN_D, objective(OBJECTIVES[name])]
    clipped = name == "wasserstein, clipped"
    file = recipe_file(
        tmp_path,
        *tables,
        SLOW_D if clipped else "",
        top="batch = 8\nd_steps = 5" if clipped else "batch = 8",
    )
    history = HistoryFile(tmp_path / "history.jsonl")
    settings = {"steps": 10, "device": "cpu", "threads": 1, "selection": False}
    gan = ImageGAN(recipe=file, **settings, callbacks=[history]).fit(toy)
    made = gan.sample({"bad": 3}).pixels
    assert made.std() > 0
    assert "rollback" not in (tmp_path / "history.jsonl").read_text()
    gan.save(tmp_path / "model")
    loaded = ImageGAN.load(tmp_path / "model", device="cpu", threads=1)
    assert loaded.recipe_ == resolve_recipe(file)
    np.testing.assert_array_equal(loaded.sample({"bad": 3}).pixels, made)


def test_every_loss_is_trained_by_a_recipe_file():
    named = " ".join(OBJECTIVES.values())
    assert {name for name in LOSSES if f'"{name}"' not in named} == {"hinge"}  # the default


def test_every_recipe_of_the_docs_can_be_built(tmp_path):
    text = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text(encoding="utf-8")
    shown = re.findall(r"```toml\n(.*?)```", text, flags=re.DOTALL)
    assert len(shown) >= 4
    for recipe in shown:
        settings = resolve_recipe(recipe_file(tmp_path, recipe))
        parts = build(settings, (32, 32, 3), 2, compute_config("cpu", "float32", 1))
        assert parts.recipe == settings
