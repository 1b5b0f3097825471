"""Seconds and memory of a step of every recipe, of images and of tables, on one thread.

    python examples/benchmarks/step_costs.py [--rounds 5] [--only 28x28x1,table] [--recipes a,b]
        [--out FILE]

A step is one of G with its D steps and its average, on the recipe's own batch and networks, as
`training.loop` goes it; rows are noise, of ten classes. Seconds are the processor's, and recipes
take turns, so that other work counts less and slows all of them; each number is the median over
rounds. Steps of a run that cost differently are timed one kind at a time (`kind_of`: before the
adversary joins, WGAN's long ones, the sides of a growing network), over as many steps as a lazy
penalty has a turn in; `run_seconds` adds them up as a run of so many steps has them, and `seconds`
is the mean of a run of the recipe's own steps. `sgan` is timed at three D steps, the middle of its
one to five. Memory: the highest resident size of a process that makes the networks and goes two
steps, over what it had before (Linux only), at the end of a run, where networks are largest. The
table has 20 encoded columns; `gaussian` has no steps. Recipes of --recipes are timed in turns with
the default one and added to the file, at the seconds that this one has there.
"""

from __future__ import annotations

import argparse
import ctypes
import functools
import json
import multiprocessing
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
import torch

from gan_augment.data.tables.columns import plain
from gan_augment.data.tables.encoding import fit_encoding
from gan_augment.data.tables.inference import infer_schema
from gan_augment.generators.scorer import training_batches
from gan_augment.kinds.image import IMAGE
from gan_augment.machine import compute_config
from gan_augment.recipes import AUTO, RECIPES, Recipe
from gan_augment.storage.files import write_file
from gan_augment.training.images import build
from gan_augment.training.loop import Run, one_step
from gan_augment.training.monitor import Score
from gan_augment.training.parts import new_state
from gan_augment.training.schedule import PATH_EVERY, d_steps_at
from gan_augment.training.tables import EncodedTable, anchor_batches, build_table, class_anchors

SHAPES = {"8x8x1": (8, 8, 1), "28x28x1": (28, 28, 1), "32x32x3": (32, 32, 3)}
ROWS = "table"
CLASSES, ROWS_A_CLASS, COLUMNS = 10, 40, 20
GROWTH = 8
"""Parts of the time in which a network grows that are timed apart."""
LEAST_STEPS, RESULT = 20, Path(__file__).parent / "step_costs.json"
Costs = Mapping[str, Any]


def recipes_of(what: str) -> dict[str, Recipe]:
    """The recipes that are trained, of images or of tables."""
    found = RECIPES["table" if what == ROWS else "image"]
    return {name: one for name, one in found.items() if one.generator.trained}


class Unscored:
    """There is nothing to choose."""

    def score(self, network: torch.nn.Module) -> Score:
        """Never asked for."""
        return Score(0.0)


def image_run(recipe: Recipe, shape: tuple[int, int, int], precision: str) -> Run:
    """A run on pictures of noise."""
    n = CLASSES * ROWS_A_CLASS
    pixels = np.random.default_rng(0).integers(0, 256, (n, *shape), dtype=np.uint8)
    labels, names = np.arange(n) % CLASSES, tuple(f"class-{k}" for k in range(CLASSES))
    ids = np.array([f"{i % CLASSES}/{i // CLASSES}.png" for i in range(n)])  # pairs, for pix2pix
    data = IMAGE.of(pixels, labels, ids, None, names)
    parts = build(recipe, shape, CLASSES, compute_config("cpu", precision, 1))
    batches = training_batches(data, parts, np.arange(n))
    return Run(parts, batches, new_state(parts, 0), recipe.steps, Unscored())


@functools.cache
def encoded() -> EncodedTable:
    """Rows of 20 encoded numbers."""
    rng, n = np.random.default_rng(0), 1_000
    frame = pd.DataFrame({f"x{k}": rng.standard_normal(n) for k in range(COLUMNS)})
    schema, labels = infer_schema(frame), np.arange(n) % CLASSES
    cells = {column.name: plain(frame[column.name], column) for column in schema.learned}
    encoding, compute = fit_encoding(cells, schema, labels, 0), compute_config("cpu", "float32", 1)
    table = EncodedTable(encoding.encode(cells), labels, CLASSES, encoding, compute)
    assert table.rows.shape[1] == COLUMNS
    return table


def new_run(what: str, recipe: Recipe, precision: str) -> Run:
    """A run that has not begun."""
    if what != ROWS:
        return image_run(recipe, SHAPES[what], precision)
    table = encoded()
    anchors = class_anchors(table, recipe, 0)
    parts, batches = build_table(recipe, table, anchors), anchor_batches(recipe, table, anchors)
    return Run(parts, batches, new_state(parts, 0), recipe.steps, Unscored())


def middle_accuracy(recipe: Recipe) -> float:
    """Where a balanced D has half of its steps more."""
    return (recipe.game.balance_at + 0.5) / 2


def kind_of(recipe: Recipe, first_share: float, step: int, steps: int) -> str:
    """What the cost of a step depends on: "first", or "turns D steps at part of the growth"."""
    if step < round(first_share * steps):
        return "first"
    turns = d_steps_at(recipe, step, middle_accuracy(recipe))
    grown = recipe.game.grow and step / steps < recipe.game.grow
    part = int(GROWTH * step / steps / recipe.game.grow) if grown else GROWTH
    return f"{turns} D steps, growth {part}/{GROWTH}"


def kinds_of(recipe: Recipe, first_share: float, steps: int) -> dict[str, list[int]]:
    """{kind: the steps of a run that are of it}."""
    found: dict[str, list[int]] = {}
    for step in range(steps):
        found.setdefault(kind_of(recipe, first_share, step, steps), []).append(step)
    return found


def run_seconds(recipe: Recipe, costs: Costs, steps: int) -> float:
    """Seconds of the steps of a run, from what `step_costs.json` says of the recipe."""
    kinds, share = costs["kinds"], costs["first_share"]
    counts = Counter(kind_of(recipe, share, step, steps) for step in range(steps))
    return sum(n * kinds[kind] for kind, n in counts.items())


def steps_within(recipe: Recipe, costs: Costs, budget_s: float) -> int:
    """How many steps a budget of one idle thread buys; at least 20."""
    most = range(LEAST_STEPS, 2 + int(budget_s / min(costs["kinds"].values())))
    found = bisect_right(most, budget_s, key=lambda steps: run_seconds(recipe, costs, steps))
    return LEAST_STEPS + max(0, found - 1)


def window(recipe: Recipe) -> int:
    """Steps in which every lazy penalty has its turn as often as it has one; 2 without any."""
    objective = recipe.objective
    every = [
        objective.r1_every * bool(objective.r1 or objective.r2),
        PATH_EVERY * bool(objective.path_length),
    ]
    return max(2, *every)


def timed(run: Run, steps: Sequence[int]) -> float:
    """Seconds of a step, the mean over these."""
    recipe = run.parts.recipe
    began_s = time.process_time()
    for step in steps:
        run.state.step = step
        run.state.numbers["d_accuracy"].fill_(middle_accuracy(recipe))
        one_step(run)
    return (time.process_time() - began_s) / len(steps)


def rounds_of(
    what: str, names: Sequence[str], rounds: int, precision: str
) -> dict[str, dict[str, Any]]:
    """{recipe: seconds of each kind of its steps and their mean over a run}."""
    runs = {name: new_run(what, recipes_of(what)[name], precision) for name in names}
    kinds = {
        name: kinds_of(run.parts.recipe, run.parts.first_share, run.steps)
        for name, run in runs.items()
    }
    seconds: dict[tuple[str, str], list[float]] = {}
    for turn in range(rounds + 1):
        for name, run in runs.items():
            for kind, steps in kinds[name].items():
                some = steps[: window(run.parts.recipe)]
                each_s = timed(run, some)
                if turn:  # the first is a warm-up
                    seconds.setdefault((name, kind), []).append(each_s)
        print(what, f"round {turn} of {rounds}", flush=True)
    found: dict[str, dict[str, Any]] = {}
    for name, run in runs.items():
        recipe, share = run.parts.recipe, run.parts.first_share
        costs = {kind: median(seconds[name, kind]) for kind in kinds[name]}
        mean_s = run_seconds(recipe, {"kinds": costs, "first_share": share}, run.steps) / run.steps
        shown = {kind: round(each_s, 6) for kind, each_s in costs.items()}
        about = {"batch": recipe.batch, "steps": run.steps, "seconds": round(mean_s, 6)}
        found[name] = about | {"first_share": share, "kinds": shown}
    return found


def memory_mb(what: str, name: str, precision: str) -> float:
    """Highest resident size over that before the networks were made; in a process of its own."""
    recipe, status = recipes_of(what)[name], Path("/proc/self/status")

    def figure(of: str) -> int:
        line = next(line for line in status.read_text().splitlines() if line.startswith(of))
        return int(line.split()[1])

    small = new_run(
        ROWS if what == ROWS else "8x8x1", recipe.model_copy(update={"batch": 4}), precision
    )
    timed(small, [small.steps - 2, small.steps - 1])  # what is made once: code, kernels
    del small
    ctypes.CDLL("libc.so.6").malloc_trim(0)  # what was freed goes back
    Path("/proc/self/clear_refs").write_text("5")  # the highest begins anew
    before = figure("VmRSS")
    run = new_run(what, recipe, precision)
    timed(run, [run.steps - 2, run.steps - 1])
    return round((figure("VmHWM") - before) / 1024, 1)


def measured(
    what: str, names: Sequence[str], rounds: int, precision: str, known: Mapping[str, Costs]
) -> dict[str, dict[str, Any]]:
    """These recipes, with their ratios to the default one's, at its seconds in `known`."""
    with multiprocessing.get_context("fork").Pool(1, maxtasksperchild=1) as pool:
        memory = pool.starmap(memory_mb, [(what, name, precision) for name in names], chunksize=1)
    found = rounds_of(what, names, rounds, precision)
    now = found[AUTO]
    idle = known.get(AUTO, now)["seconds"] / now["seconds"]
    for name, used in zip(names, memory, strict=True):
        own = found[name]
        own["ratio"] = round(own["seconds"] / now["seconds"], 2)
        own["ratio_a_row"] = round(own["ratio"] * now["batch"] / own["batch"], 2)
        own["memory_mb"] = used
    for own in found.values():
        own["seconds"] = round(own["seconds"] * idle, 6)
        own["kinds"] = {kind: round(each_s * idle, 6) for kind, each_s in own["kinds"].items()}
    return found


def rows_of(found: Mapping[str, Costs]) -> Iterator[str]:
    """The result of one size as lines."""
    for name, own in found.items():
        yield (
            f"{name:20} {1000 * own['seconds']:8.1f} ms  x{own['ratio']:<7} a row "
            f"x{own['ratio_a_row']:<7} {own['memory_mb']:7.1f} MB"
        )


def markdown(result: Mapping[str, Any]) -> str:
    """The ratios and the memory of every recipe at each size, for reading."""
    sizes = [what for what in (*SHAPES, ROWS) if what in result]
    heads = [f"{what}: x, a row, MB" for what in sizes]
    lines = [
        "# What a step of each recipe costs",
        "",
        "Made by `step_costs.py`, which says how: processor seconds of a step on the recipe's own",
        "batch over one of `anchored`, in turns with it on one thread; the same by rows drawn; and",
        "the memory that networks and two steps take at their most.",
        "",
        f"| recipe | {' | '.join(heads)} |",
        "|---" * (1 + len(sizes)) + "|",
    ]
    for name in dict.fromkeys(name for what in sizes for name in result[what]["recipes"]):
        known = [result[what]["recipes"].get(name) for what in sizes]
        cells = [
            f"{own['ratio']:.2g}, {own['ratio_a_row']:.2g}, {own['memory_mb']:.0f}" if own else ""
            for own in known
        ]
        lines.append(f"| {' | '.join([name, *cells])} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print, write; what is not measured stays as it was."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--only", default=",".join([*SHAPES, ROWS]))
    parser.add_argument("--recipes", default="", help="these alone; all others stay as they were")
    parser.add_argument("--out", type=Path, default=RESULT)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    precision = compute_config("cpu", asked.precision, 1).precision
    result = json.loads(asked.out.read_text()) if asked.out.is_file() else {}
    for what in asked.only.split(","):
        every = list(recipes_of(what))
        chosen = [AUTO, *asked.recipes.split(",")] if asked.recipes else every
        names = [name for name in every if name in chosen]
        known = result.get(what, {}).get("recipes", {}) if asked.recipes else {}
        found = measured(what, names, asked.rounds, precision, known)
        print("\n".join(rows_of(found)), flush=True)
        merged = {**known, **found, AUTO: known.get(AUTO, found[AUTO])}
        merged = {name: merged[name] for name in every if name in merged}
        result[what] = {"precision": "float32" if what == ROWS else precision, "recipes": merged}
        write_file(asked.out, (json.dumps(result, indent=1) + "\n").encode())
        write_file(asked.out.with_suffix(".md"), markdown(result).encode())


if __name__ == "__main__":
    main()
