"""Deferred re-balancing beside the remedies that train a network otherwise without new rows.

    python examples/benchmarks/deferred.py --data DIR [--draws 3] [--updates 1400] [--out FILE.json]

DIR holds images/*.npz. Deferred re-balancing (Cao et al. 2019; Kang et al. 2020) trains by mixup on
class-balanced draws for 70 % of the updates, then on the real rows by balanced softmax at a tenth
of the rate. The others are arms of the evaluator, each with the small CNN and as many updates, at
the logits as they are; "none" subtracts the log class shares. Fashion-MNIST with pullover, coat
and shirt or other classes cut to 30 rows; blood cells with white cells and platelets cut to 30
rows, by smear; five defects of magnetic tiles, by tile. Every draw has rows and a seed of its own.
FILE.json is written after every fit, and a stopped run goes on; a table is written beside it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import torch
from images_protocol import TASKS, Task, classified, figures, training_set

from gan_augment.augment.classical import small_changes
from gan_augment.augment.mixing import Mixup
from gan_augment.classifier import (
    RATE,
    SmallCNN,
    _balanced_rows,
    _new_network,
    _rate_factor,
    _shuffled_rows,
)
from gan_augment.losses.imbalance import LogitAdjustedLoss
from gan_augment.machine import threads
from gan_augment.networks.geometry import unit_range
from gan_augment.rng import derived_seed, rng_for

FIRST_SHARE, LATER_RATE = 0.7, 0.1
ARMS = ("none", "balanced_softmax", "mixup", "mixup_balanced_softmax", "cmo", "deferred")
DRAWS = {"fashion_mnist": (3, 1, 2), "blood_cells_32": (0, 1, 2), "magnetic_tile_32": (0, 1, 2)}


def deferred(task: Task, seed: int, updates: int) -> SmallCNN:
    """Train the small CNN by mixup of balanced draws, then by balanced softmax on the real rows."""
    data, batch = task.train, 64
    counts = np.bincount(data.labels, minlength=len(data.names))
    first = round(FIRST_SHARE * updates)
    mixup, loss_of = Mixup(classes=len(counts)), LogitAdjustedLoss(counts)
    balanced, shuffled = _balanced_rows(data.labels), _shuffled_rows(len(data.labels))
    network = _new_network(data, derived_seed(seed, "judge-weights"))
    optimiser = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=1e-2, foreach=True)
    with threads(1):
        for step in range(updates):
            later = step >= first
            rows = (shuffled if later else balanced)(seed, step, batch)
            pixels = small_changes(data.pixels[rows], rng_for(seed, "judge-augment", step))
            x, y = unit_range(pixels), torch.from_numpy(data.labels[rows])
            if later:
                factor = LATER_RATE * _rate_factor(step - first, updates - first)
                loss = loss_of(network(x), y)
            else:
                factor = _rate_factor(step, first)
                x, y = mixup(x, y, rng_for(seed, "judge-mix", step))
                loss = torch.nn.functional.cross_entropy(network(x), y)
            optimiser.param_groups[0]["lr"] = RATE * factor
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return SmallCNN(network)


def measured(task: Task, arm: str, seed: int, updates: int) -> dict[str, float]:
    """Return rare recall and balanced accuracy on the test rows, 0..1."""
    if arm == "deferred":
        return figures(task, deferred(task, seed, updates).logits(task.test.pixels))
    repeated = arm in ("mixup", "trivial_augment")
    data = training_set(task, None, 0.0, companions=False) if repeated else task.train
    found = classified(task, data, seed, updates, "" if arm == "none" else arm)
    if arm == "none":
        return {name: found[f"corrected_{name}"] for name in ("rare_recall", "balanced_accuracy")}
    return found


def table(rows: list[dict[str, Any]]) -> str:
    """Return balanced accuracy and rare recall of every arm as Markdown."""
    lines = ["| data | figure | " + " | ".join(ARMS) + " |", "|---|---|" + "---|" * len(ARMS)]
    for name in DRAWS:
        for figure in ("balanced_accuracy", "rare_recall"):
            cells = []
            for arm in ARMS:
                known = [r[figure] for r in rows if (r["data"], r["arm"]) == (name, arm)]
                spread = f" ± {100 * stdev(known):.1f}" if len(known) > 1 else ""
                cells.append(f"{100 * mean(known):.1f}{spread}" if known else "-")
            lines.append(f"| {name} | {figure.replace('_', ' ')} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure every arm on every draw, and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--updates", type=int, default=1400)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    given = parser.parse_args()
    rows: list[dict[str, Any]] = json.loads(given.out.read_text()) if given.out.is_file() else []
    done: set[tuple[Any, ...]] = {(r["data"], r["draw"], r["arm"]) for r in rows}
    for place in range(given.draws):
        for name, draws in DRAWS.items():
            task = TASKS[name](given.data / "images", draws[place])
            for arm in ARMS:
                if (name, draws[place], arm) in done:
                    continue
                found: Mapping[str, float] = measured(task, arm, draws[place], given.updates)
                row = {"data": name, "draw": draws[place], "arm": arm}
                for figure in ("balanced_accuracy", "rare_recall"):
                    row[figure] = round(found[figure], 4)
                rows.append(row)
                print(row, flush=True)
                given.out.write_text(json.dumps(rows, indent=1) + "\n")
    how = f"mean and standard deviation over draws; {given.updates:,} updates"
    head = f"# Deferred re-balancing\n\nMade by `deferred.py`, which says how. Percent, {how}."
    given.out.with_suffix(".md").write_text(f"{head}\n\n{table(rows)}")


if __name__ == "__main__":
    main()
