"""What makes image samples worth having: parts of the recipe screened, what was kept confirmed.

    python examples/benchmarks/ablation_images.py screen --data DIR --journal FILE
    python examples/benchmarks/ablation_images.py confirm --data DIR --journal FILE
    python examples/benchmarks/ablation_images.py table

DIR holds `fashion_mnist_test10k.npz`, `blood_cells_32.npz` and `magnetic_tile_32.npz`. A line of
the journal is one fit (or a way to make rows without one) of one seed, and all that is measured of
its samples; a run that was stopped goes on. Two processes with one thread each, side by side, are
told apart by `--seeds`. `table` writes `images.md` and `images.json` from the journals
`images_screen.jsonl`, `images_confirm.jsonl` and `images_others.jsonl` (`confirm --tasks
blood_cells_32,magnetic_tile_32 --steps 1800`) beside this file.

Screening: Fashion-MNIST, 7 classes of 500 rows and 3 of 30, fits of SCREEN_STEPS steps (two minutes
of one quiet thread), on rows that the confirmation is not tested on (`images_protocol.py`).
Confirmation: CONFIRM_STEPS (ten minutes), other rare classes, other test rows.
"""

from __future__ import annotations

import argparse
import functools
import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from images_protocol import (
    CONFIRMED,
    SCREENED,
    TASKS,
    Judge,
    Pixels,
    Task,
    classified,
    looked_at,
    told_apart,
    training_set,
)
from images_variants import CONFIRM, SCREEN, Way

from gan_augment import ImageGAN
from gan_augment.errors import DivergedError, TooFewAcceptedError
from gan_augment.storage.files import write_file

SCREEN_STEPS, CONFIRM_STEPS = 1800, 9000
CLASSIFIER_SEEDS = (0, 1)
CLASSIFIER_STEPS = 1000
DRAWN = 1000


def rows_made(task: Task, way: Way, steps: int, folder: Path) -> tuple[dict[str, Pixels], Any]:
    """Rows of every class, and what the fit says of itself ({} without one)."""
    drawn = max(DRAWN, *task.train.counts.values())  # what parity with companions can ask for
    if way.recipe is None:
        rng = np.random.default_rng(task.seed)
        return {
            name: way.mixed(task.train.pixels[task.train.labels == label], drawn, rng)
            for label, name in enumerate(task.train.names)
        }, {}
    kept, started_s = folder / f"{task.name}-{task.seed}-{way.name}-{steps}", time.monotonic()
    if kept.is_dir():  # of a run that stopped before its line was written
        gan = ImageGAN.load(kept, threads=1)
    else:
        gan = ImageGAN(
            recipe=way.recipe,
            steps=round(steps * way.length),
            classes=task.rare_names,
            threads=1,
            random_state=task.seed,
            selection=way.selection,
        )
        try:
            gan.fit(task.train)
        except DivergedError as error:  # the best scored generator is kept, as a run keeps it
            print(error, flush=True)
        gan.save(kept)
    fit_s = time.monotonic() - started_s
    made, refused = {}, []
    for name in task.train.names:
        try:
            made[name] = gan.sample({name: drawn}, random_state=1).pixels
        except TooFewAcceptedError:
            refused.append(name)
            own = task.train.pixels[task.train.labels == task.train.names.index(name)]
            made[name] = np.resize(own, (drawn, *own.shape[1:]))
    return made, {
        "fit_s": round(fit_s, 1),
        "steps": gan.steps_,
        "chosen": gan.meta_.chosen,
        "score": gan.meta_.score.value,
        "refused": refused,
    }


def measured(task: Task, way: Way, steps: int, folder: Path, data: Path) -> dict[str, Any]:
    """One line of the journal."""
    line: dict[str, Any] = {"task": task.name, "seed": task.seed, "way": way.name}
    if way.repeats:
        arms = {"repeats": training_set(task, None, 0.0, False)}
    else:
        made, facts = rows_made(task, way, steps, folder)
        line |= facts | looked_at(task, judge_of(task.name, task.seed, data), made)
        line["told_apart"] = told_apart(task, made)
        arms = {
            f"share {share:g}, {'with' if companions else 'without'} companions": training_set(
                task, made, share, companions
            )
            for share, companions in way.amounts
        }
    line["arms"] = {
        name: [classified(task, data, seed, CLASSIFIER_STEPS) for seed in CLASSIFIER_SEEDS]
        for name, data in arms.items()
    }
    return line


@functools.cache
def judge_of(task_name: str, seed: int, data: Path) -> Judge:
    """The judge of a task, trained once."""
    return Judge.of(TASKS[task_name](data, seed))


def run(plan: Iterable[tuple[Task, Way, int]], journal: Path, data: Path) -> None:
    """Every line that the journal lacks."""
    have = set()
    if journal.is_file():
        lines = [json.loads(text) for text in journal.read_text().splitlines()]
        have = {(line["task"], line["seed"], line["way"]) for line in lines}
    models = journal.parent / f"{journal.stem}-models"
    models.mkdir(parents=True, exist_ok=True)
    for task, way, steps in plan:
        if (task.name, task.seed, way.name) in have:
            continue
        line = measured(task, way, steps, models, data)
        with journal.open("a") as file:
            file.write(json.dumps(line) + "\n")
        print(json.dumps(line), flush=True)


def main() -> None:
    """Screen, confirm, or write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["screen", "confirm", "table"])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--journal", type=Path)
    parser.add_argument("--only", help="names of ways")
    parser.add_argument("--tasks", default="fashion_mnist")
    parser.add_argument("--seeds", help="1,2,...")
    parser.add_argument("--steps", type=int)
    given = parser.parse_args()
    here = Path(__file__).parent
    if given.what == "table":
        from images_figures import lines_of, summary

        found = {
            stage: [
                json.loads(text)
                for text in (here / f"images_{stage}.jsonl").read_text().splitlines()
            ]
            for stage in ("screen", "confirm", "others")
            if (here / f"images_{stage}.jsonl").is_file()
        }
        figures = summary(found)
        write_file(here / "images.json", (json.dumps(figures, indent=1) + "\n").encode())
        write_file(here / "images.md", ("\n".join(lines_of(figures)) + "\n").encode())
        return
    screening = given.what == "screen"
    ways = SCREEN if screening else CONFIRM
    chosen = [way for way in ways if not given.only or way.name in given.only.split(",")]
    seeds = [int(seed) for seed in given.seeds.split(",")] if given.seeds else None
    steps = given.steps or (SCREEN_STEPS if screening else CONFIRM_STEPS)
    run(
        (
            (TASKS[task](given.data, seed), way, steps)
            for way in chosen
            for task in given.tasks.split(",")
            for seed in seeds or (SCREENED if screening else CONFIRMED)
        ),
        given.journal,
        given.data,
    )


if __name__ == "__main__":
    main()
