"""Real rows in the styles of others: what an anchored generator with StyleGAN's layers draws.

    python examples/benchmarks/styles.py --data DIR [--steps 3000] [--out DIR]

Fashion-MNIST, 28 px, three classes of 30 rows and seven of 300; the default recipe with
`generator.network = "style"`, one thread. A panel a rare class: five of its rows on the left and on
top, between them each row on the left with the finer layers' styles of the one above, from the
third layer on. Writes `styles.png`, and `styles.json` with the held-out score, what a CNN trained
on all real rows calls the drawn rows by where they got their coarse style, and how far they moved.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from images_protocol import Judge, fashion
from PIL import Image

from gan_augment import ImageGAN
from gan_augment.data.pixels import to_network, to_pixels
from gan_augment.recipes import RECIPES
from gan_augment.storage import write_file

ROWS, FROM_LAYER, ZOOM, GAP = 5, 2, 2, 12


def main() -> None:
    """Fit, draw every row in the style of every other one, and write what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the .npz files")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    asked = parser.parse_args()
    task, base = fashion(asked.data, 0, others=300), RECIPES["image"]["anchored"]
    generator = base.generator.model_copy(update={"network": "style"})
    recipe = base.model_copy(update={"name": "anchored with styles", "generator": generator})
    settings = {"device": "cpu", "threads": 1, "selection": False, "advise": False}
    gan = ImageGAN(recipe=recipe, steps=asked.steps, classes=task.rare_names, **settings)
    gan.fit(task.train)
    network, judge = gan._fitted()._sampler.sampler.network, Judge.of(task)
    panels, right, moved = [], [], []
    for name in task.rare_names:
        label = task.train.names.index(name)
        own = task.train.pixels[task.train.labels == label][:ROWS]
        codes = network.encode(to_network(own, (28, 28))).float()
        coarse, finer = codes.repeat_interleave(ROWS, 0), codes.repeat(ROWS, 1)
        y = torch.full((ROWS * ROWS,), label)
        with torch.inference_mode():
            decoder = network.decoder
            layers = torch.arange(len(decoder.layers))[:, None, None] >= FROM_LAYER
            styles = torch.where(layers, decoder.style(finer, y), decoder.style(coarse, y))
            drawn = to_pixels(decoder.draw(styles, styles.new_zeros(len(y), 0)), (28, 28))
        right.append(float((judge.network.predict(drawn) == label).mean()))
        grid = drawn.reshape(ROWS, ROWS, 28, 28)
        self_drawn = grid[np.arange(ROWS), np.arange(ROWS)].astype(float)
        moved.append(float(np.abs(grid - self_drawn[:, None]).mean()))
        rows = [np.concatenate([np.full((28, 28), 255, np.uint8), *own[..., 0]], axis=1)]
        rows += [
            np.concatenate([a, *line], axis=1) for a, line in zip(own[..., 0], grid, strict=True)
        ]
        panels.append(np.concatenate(rows))
    space = np.full((len(panels[0]), GAP), 255, np.uint8)
    whole = np.concatenate([part for panel in panels for part in (panel, space)][:-1], axis=1)
    size = (whole.shape[1] * ZOOM, whole.shape[0] * ZOOM)
    Image.fromarray(whole).resize(size, 0).save(asked.out / "styles.png", optimize=True)
    found = {
        "steps": asked.steps,
        "score": round(float(gan.meta_.score.value), 4),
        "kept": gan.meta_.chosen,
        "called_its_class": dict(zip(task.rare_names, np.round(right, 3).tolist(), strict=True)),
        "grey_levels_moved": dict(zip(task.rare_names, np.round(moved, 1).tolist(), strict=True)),
    }
    write_file(asked.out / "styles.json", (json.dumps(found, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
