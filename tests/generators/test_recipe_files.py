"""The recipes that the documents show can be built."""

from __future__ import annotations

import re
from pathlib import Path

from gan_augment.machine import compute_config
from gan_augment.recipes import resolve_recipe
from gan_augment.training.images import build


def test_every_recipe_of_the_docs_can_be_built(tmp_path):
    text = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text(encoding="utf-8")
    shown = re.findall(r"```toml\n(.*?)```", text, flags=re.DOTALL)
    assert len(shown) >= 4
    for recipe in shown:
        path = tmp_path / "mine.toml"
        path.write_text(recipe, encoding="utf-8")
        settings = resolve_recipe(str(path))
        parts = build(settings, (32, 32, 3), 2, compute_config("cpu", "float32", 1))
        assert parts.recipe == settings
