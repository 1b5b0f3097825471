"""What rows of large classes, drawn as of rare ones, add for a classifier; and enlarged images.

    python examples/benchmarks/translation.py run --data DIR [--only tiles,fashion,blood,resolve]
        [--arms stargan,adain] [--seeds 0,1]
    python examples/benchmarks/translation.py table

Tasks: `tiles`, magnetic tiles of 32 px from clean to each of five defects, halves by tile;
`fashion`, Fashion-MNIST with 30 shirts, pullovers and coats each, from all other classes; `blood`,
blood cells with 30 rows of two classes, halves by smear. A seed is that of the draw, of the fit and
of the classifier. A fit has the steps that 120 s of one idle thread buy by `step_costs.json`.
Samples start from training rows of other classes; those that the out-of-fold classifiers of
selection do not take for their class are dropped (arrived: the share that is kept, over rare
classes; a class of which under a tenth arrives is refused, and the top-up repeats its rows).
Agreement: of the samples of classes that are not refused, what a judge that saw no training row
takes for their class, over the recall of unseen rows. A small CNN under classical augmentation
learns the rows topped up to parity, half of what is added generated, for each of two seeds of its
own; beside it repeats alone, mixup on repeats, and the default recipe `anchored`. Figures are less
those of repeats, at the decision corrected for even classes.

`resolve`: `srgan` at 2 times the side, 16 to 32 px (blood cells, CIFAR-10) and 32 to 64 px (tiles,
solar cells where they are there): mean absolute error, 0..255, of unseen images, beside bicubic.

A line of the journal is an arm; a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import functools
import json
from collections.abc import Mapping
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch
from images_protocol import (
    CONFIRMED,
    Judge,
    Pixels,
    Task,
    blood_cells,
    classified,
    fashion,
    magnetic_tiles,
    read,
    training_set,
)
from images_rivals import Journal
from step_costs import RESULT as COSTS
from step_costs import steps_within

from gan_augment import ImageGAN
from gan_augment.data.images.resize import resize_batch
from gan_augment.errors import TooFewAcceptedError
from gan_augment.kinds.kind import Labelled
from gan_augment.networks.geometry import to_network, to_pixels
from gan_augment.networks.translation import enlarged, lowered
from gan_augment.recipes import RECIPES
from gan_augment.storage.files import write_file

HERE = Path(__file__).parent
JOURNAL, TABLE = HERE / "translation.jsonl", HERE / "translation.md"
ARMS = ("repeats", "mixup", "stargan", "adain", "fourier", "inpaint", "anchored")
BUDGET_S, UPDATES, DRAWN, READ_SEEDS = 120.0, 700, 300, 2
HEADS = {
    "corrected_rare_recall": "rare recall",
    "corrected_balanced_accuracy": "balanced accuracy",
    "corrected_accuracy": "accuracy",
}
ENLARGED = {"blood_cells_32": "16 to 32", "cifar10_dev": "16 to 32", "magnetic_tile_64": "32 to 64"}


def shirts(folder: Path, seed: int) -> Task:
    """Pullover, coat and shirt cut to 30 rows: each other's nearest classes."""
    draw = 3 + 100 * seed
    CONFIRMED.setdefault(draw, CONFIRMED[3])
    return fashion(folder, draw, others=300)


TASKS = {"tiles": magnetic_tiles, "fashion": shirts, "blood": blood_cells}
SHAPES = {"tiles": "32x32x3", "fashion": "28x28x1", "blood": "32x32x3"}


def samples_of(task: Task, recipe: str, shape: str, seed: int) -> tuple[dict[str, Any], Any]:
    """What a fit says of itself, and the samples of each class that is not refused."""
    named = RECIPES["image"][recipe]
    steps = None
    if named.generator.trained:
        costs = json.loads(COSTS.read_text())[shape]["recipes"]
        steps = steps_within(named, costs[recipe], BUDGET_S)
    gan = ImageGAN(
        recipe=recipe,
        steps=steps,
        classes=task.rare_names,
        random_state=seed,
        device="cpu",
        threads=1,
        precision="float32",
        advise=False,
    ).fit(task.train)
    made, refused = {}, []
    for name in task.train.names:
        for most in (DRAWN, DRAWN // 2, DRAWN // 4, DRAWN // 8):
            try:
                made[name] = gan.rows(name, 0, most).pixels
                break
            except TooFewAcceptedError:  # refused, or too few rows to start from
                continue
        else:
            refused.append(name)
    selection = gan.meta_.selection
    assert selection is not None
    arrived = [selection.classes[n].acceptance or 0.0 for n in task.rare_names]
    facts = {"steps": gan.steps_, "arrived": mean(arrived)}
    return facts | {"refused": [n for n in task.rare_names if n in refused]}, made


def agreement(task: Task, judge: Judge, made: Mapping[str, Pixels]) -> float | None:
    """Of samples of rare classes, what the judge takes for their class, over its own recall."""
    shares = []
    for name in task.rare_names:
        label = task.train.names.index(name)
        if name in made and judge.recall.get(label):
            called = judge.network.predict(made[name]) == label
            shares.append(float(called.mean()) / judge.recall[label])
    return mean(shares) if shares else None


def topped_up(task: Task, made: Mapping[str, Pixels]) -> Labelled:
    """Rows to parity, half of what is added generated, with companions; refused classes repeat."""
    rows = dict(made)
    for name, label in zip(task.train.names, range(len(task.train.names)), strict=True):
        if name not in rows:
            own = task.train.pixels[task.train.labels == label]
            rows[name] = own[np.arange(DRAWN) % len(own)]
    # more are wanted of tiles than were drawn: those that are there come again
    most = max(task.train.counts.values())
    again = {name: one[np.arange(most) % len(one)] for name, one in rows.items()}
    return training_set(task, again, 0.5, companions=True)


@functools.lru_cache(1)
def judge_of(which: str, seed: int, folder: Path) -> Judge:
    """What judges the samples of all arms of a draw."""
    return Judge.of(TASKS[which](folder, seed))


def line_of(which: str, arm: str, seed: int, folder: Path) -> dict[str, Any]:
    """An arm of a task: what was drawn, and the classifier's figures, means over its seeds."""
    task = TASKS[which](folder, seed)
    facts: dict[str, Any] = {}
    if arm in ("repeats", "mixup"):
        rows = training_set(task, None, 0.0, companions=False)
    else:
        facts, made = samples_of(task, arm, SHAPES[which], seed)
        facts["agreement"] = agreement(task, judge_of(which, seed, folder), made)
        rows = topped_up(task, made)
    method = "mixup" if arm == "mixup" else ""
    each = [classified(task, rows, 10 * seed + k, UPDATES, method) for k in range(READ_SEEDS)]
    return facts | {name: round(mean(one[name] for one in each), 4) for name in each[0]}


def resolved(which: str, seed: int, folder: Path) -> dict[str, Any]:
    """Errors of unseen images that were halved: by srgan and by bicubic."""
    images = read(folder / f"{which}.npz")
    rng = np.random.default_rng(seed)
    unit = np.arange(len(images)) if images.groups is None else images.groups
    units = rng.permutation(np.unique(unit))
    seen = np.isin(unit, units[: len(units) // 2])
    train = images.take(rng.permutation(np.flatnonzero(seen))[:2000])
    unseen = images.take(rng.permutation(np.flatnonzero(~seen))[:500])
    height, width, _ = images.image_shape
    costs = json.loads(COSTS.read_text())["32x32x3"]["recipes"]["srgan"]
    steps = steps_within(RECIPES["image"]["srgan"], costs, BUDGET_S)
    steps = max(steps * 32 * 32 // (height * width), 100)
    gan = ImageGAN(
        recipe="srgan",
        steps=steps,
        classes="all",
        random_state=seed,
        device="cpu",
        threads=1,
        precision="float32",
        selection=False,
    ).fit(train)
    whole = to_network(unseen.pixels, (height, width))
    low = to_pixels(lowered(whole, 2), (height // 2, width // 2))
    with torch.inference_mode():
        cubic = to_pixels(enlarged(to_network(low, (height // 2, width // 2)), 2), (height, width))
    lanczos = resize_batch(low, (height, width))

    every = {name: int(n) for name, n in unseen.counts.items() if n}
    order = np.argsort(unseen.labels, kind="stable")
    smaller = unseen.with_rows(low[order], unseen.labels[order], unseen.ids[order])
    larger = np.empty_like(unseen.pixels)
    larger[order] = gan.starting_from(smaller).sample(every).pixels

    def error(made: Pixels) -> float:
        return round(float(np.abs(made.astype(float) - unseen.pixels).mean()), 3)

    return {
        "steps": steps,
        "srgan": error(larger),
        "bicubic": error(cubic),
        "resize": error(lanczos),
    }


def run(asked: argparse.Namespace) -> None:
    """Every line that no process has begun."""
    journal = Journal(JOURNAL)
    torch.set_num_threads(1)
    for seed in map(int, asked.seeds.split(",")):
        for which in asked.only.split(","):
            arms = tuple(ENLARGED) if which == "resolve" else tuple(asked.arms.split(","))
            for arm in arms:
                key = {"task": which, "arm": arm, "seed": seed}
                if journal.find(**key):
                    continue
                found = (
                    resolved(arm, seed, asked.data)
                    if which == "resolve"
                    else line_of(which, arm, seed, asked.data)
                )
                journal.add(key | found)


def table() -> str:
    """The tables, in Markdown."""
    lines = [json.loads(line) for line in JOURNAL.read_text().splitlines()]
    parts = [
        "Written by `translation.py table`: points less those of repeats at the corrected decision,"
        " one number a seed.\n"
    ]
    for which in TASKS:
        own = [line for line in lines if line["task"] == which]
        base = {line["seed"]: line for line in own if line["arm"] == "repeats"}
        parts.append(f"\n## {which}\n\n| arm | arrived | agreement | refused | ")
        parts.append(" | ".join(HEADS.values()) + " |\n|---|---|---|---|" + "---|" * len(HEADS))
        for arm in ARMS[1:]:
            of_arm = sorted(
                (line for line in own if line["arm"] == arm and line["seed"] in base),
                key=lambda line: line["seed"],
            )
            if of_arm:
                cells = [
                    _cell(line.get("arrived") for line in of_arm),
                    _cell(line.get("agreement") for line in of_arm),
                    ", ".join(str(len(line.get("refused", []))) for line in of_arm),
                    *(
                        ", ".join(
                            f"{100 * (line[key] - base[line['seed']][key]):+.1f}" for line in of_arm
                        )
                        for key in HEADS
                    ),
                ]
                parts.append(f"\n| {arm} | " + " | ".join(cells) + " |")
        parts.append("\n")
    parts.append("\n## Enlarged images: mean absolute error, 0..255\n\n")
    parts.append("| images | side, px | srgan | bicubic | ratio |\n|---|---|---|---|---|")
    for line in (line for line in lines if line["task"] == "resolve"):
        ratio = line["srgan"] / line["bicubic"]
        parts.append(
            f"\n| {line['arm']}, seed {line['seed']} | {ENLARGED[line['arm']]} | "
            f"{line['srgan']:.2f} | {line['bicubic']:.2f} | {ratio:.2f} |"
        )
    return "".join(parts) + "\n"


def _cell(values: Any) -> str:
    return ", ".join("-" if value is None else f"{value:.2f}" for value in values)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=["run", "table"])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--only", default="tiles,fashion,blood,resolve")
    parser.add_argument("--arms", default=",".join(ARMS))
    parser.add_argument("--seeds", default="0,1")
    asked = parser.parse_args()
    if asked.command == "table":
        write_file(TABLE, table().encode())
    elif asked.data is None:
        parser.error("run needs --data DIR")
    else:
        run(asked)


if __name__ == "__main__":
    main()
