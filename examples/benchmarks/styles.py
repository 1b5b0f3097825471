"""Real rows in the styles of others: an anchored generator with StyleGAN's layers on digits.

    python examples/benchmarks/styles.py [--steps 1500] [--seeds 0,1] [--out DIR]

Digits of 8 px, three classes of 30 rows and seven of 100; the default recipe as it is and with
`generator.network = "style"`, a mixed style for no, half and nine tenths of the samples; one
thread, as many steps for each. Writes `styles.json`: the best held-out score, and the spread of the
rare class with the least beside real rows.
"""

from __future__ import annotations

import argparse
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from recipes_compare import digits

from gan_augment import ImageGAN
from gan_augment.errors import DivergedError
from gan_augment.recipes import RECIPES
from gan_augment.storage import write_file

ROW_STYLES = {"default": None, "styles alone": 0.0, "half mixed": 0.5, "nine tenths mixed": 0.9}


def fitted(task: Any, mixing: float | None, steps: int, seed: int) -> ImageGAN:
    """The default recipe, or with a style network whose samples are mixed that often."""
    recipe = RECIPES["image"]["anchored"]
    if mixing is not None:
        changes = {"network": "style", "style_mixing": mixing}
        generator = recipe.generator.model_copy(update=changes)
        recipe = recipe.model_copy(update={"name": "styles", "generator": generator})
    settings = {"device": "cpu", "threads": 1, "precision": "float32", "selection": False}
    gan = ImageGAN(
        recipe=recipe, steps=steps, classes=task.rare_names, random_state=seed, **settings
    )
    with suppress(DivergedError):  # the best scored one is kept
        gan.fit(task.train)
    return gan


def main() -> None:
    """Fit each with each seed, and write what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seeds", default="0,1")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    asked = parser.parse_args()
    found: dict[str, Any] = {"steps": asked.steps}
    for seed in (int(seed) for seed in asked.seeds.split(",")):
        task = digits(Path(), seed)
        for name, mixing in ROW_STYLES.items():
            gan = fitted(task, mixing, asked.steps, seed)
            parts = gan.meta_.score.parts
            spread = min(value for key, value in parts.items() if key.endswith("/spread"))
            cell = {"score": round(float(gan.meta_.score.value), 3), "spread": round(spread, 2)}
            found.setdefault(name, []).append(cell)
            print(seed, name, cell, flush=True)
    write_file(asked.out / "styles.json", (json.dumps(found, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
