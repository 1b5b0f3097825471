"""How soon a fit of the default recipe reaches a held-out score, version beside version.

    python examples/benchmarks/time_to_score.py --data DIR --set cifar10_dev --steps 1000 \
        [--recipe FILE.toml] [--out FILE.jsonl] [--name NAME] [--sheet FILE.png]

Run it in two checkouts, or with two recipes, at once to compare them. For
each score of a run: the processor seconds of its steps alone, one thread, and the scorer's value,
which `ImageGAN.fit` selects by; at the end how well a small CNN tells what was kept from unseen
rows. Processor time, so that a busy machine counts less.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from images_protocol import Task, blood_cells, fashion, read, told_apart

from gan_augment import ImageGAN
from gan_augment.generators.generator import RunContext
from gan_augment.generators.scorer import ImageScorer

RARE, ROWS, RARE_ROWS, DRAWN, SEED = (0, 5, 8), 500, 30, 300, 10


def cifar(folder: Path, seed: int) -> Task:
    """CIFAR-10's development rows: three classes of 30, 500 of each other, all others unseen."""
    images = read(folder / "cifar10_dev.npz")
    rng, train, unseen = np.random.default_rng(seed), [], []
    for label in range(len(images.names)):
        own = rng.permutation(np.flatnonzero(images.labels == label))
        n = RARE_ROWS if label in RARE else min(ROWS, len(own) // 2)
        train.append(own[:n])
        unseen.append(own[n : n + DRAWN])
    kept, others = (images.take(np.concatenate(rows)) for rows in (train, unseen))
    return Task("cifar10_dev", seed, kept, others, others, RARE)


TASKS = {"fashion_mnist": fashion, "cifar10_dev": cifar, "blood_cells_32": blood_cells}


class Stopwatch:
    """Hears of a run's scores; keeps the processor seconds of training beside them."""

    scoring_s = began_s = 0.0

    def __init__(self) -> None:
        self.scores: list[dict[str, float]] = []

    def on_event(self, event: Mapping[str, Any]) -> None:
        """One event of the loop."""
        if event["event"] == "score":
            seconds = round(time.process_time() - self.began_s - self.scoring_s, 1)
            self.scores.append({"step": event["step"], "s": seconds, "value": event["value"]})
            print(self.scores[-1], flush=True)


def measured(task: Task, steps: int, recipe: str) -> tuple[dict[str, Any], ImageGAN]:
    """One fit, timed."""
    watch, score = Stopwatch(), ImageScorer.score

    def timed(self: ImageScorer, network: Any) -> Any:
        before_s = time.process_time()
        found = score(self, network)
        watch.scoring_s += time.process_time() - before_s
        return found

    def begin(*_: object) -> None:
        watch.began_s, watch.scoring_s = time.process_time(), 0.0

    ImageScorer.score = timed  # type: ignore[method-assign]
    settings: dict[str, Any] = {"steps": steps, "device": "cpu", "threads": 1, "selection": False}
    if "advise" in ImageGAN.__dataclass_fields__:  # not in older versions
        settings["advise"] = False
    gan = ImageGAN(recipe=recipe, callbacks=[watch], **settings).fit(
        task.train, RunContext(on_steps=begin)
    )
    drawn = {name: gan.rows(name, 0, DRAWN).pixels for name in task.train.names}
    apart = round(told_apart(task, drawn), 3)
    facts = {"scores": watch.scores, "kept": gan.meta_.chosen, "told apart": apart}
    return {"steps": steps, **facts}, gan


def sheet(gan: ImageGAN, task: Task, path: Path) -> None:
    """Ten samples a class, a class a row; three real ones at the left."""
    from PIL import Image

    real = [task.train.pixels[task.train.labels == k][:3] for k in range(len(task.train.names))]
    drawn = [gan.rows(name, 0, 10).pixels for name in task.train.names]
    rows = [np.concatenate([*a, *b], axis=1) for a, b in zip(real, drawn, strict=True)]
    image = Image.fromarray(np.concatenate(rows).squeeze())
    image.resize((2 * image.width, 2 * image.height), Image.Resampling.NEAREST).save(path)


def main() -> None:
    """Measure one fit, print it, add it to a file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--set", choices=TASKS, default="cifar10_dev")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--recipe", default="auto")
    parser.add_argument("--name", default="this code")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--sheet", type=Path)
    asked = parser.parse_args()
    task = TASKS[asked.set](asked.data, SEED)
    found, gan = measured(task, asked.steps, asked.recipe)
    if asked.sheet:
        sheet(gan, task, asked.sheet)
    print(line := json.dumps({"name": asked.name, "set": asked.set, "seed": SEED, **found}))
    if asked.out:
        with asked.out.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


if __name__ == "__main__":
    main()
