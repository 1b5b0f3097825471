"""Deferred re-balancing beside the remedies that train a network otherwise without new rows.

    python examples/benchmarks/deferred.py --data DIR [--draws 3] [--updates 1400] [--out FILE.json]

DIR holds images/*.npz. Deferred re-balancing (Cao et al. 2019; Kang et al. 2020) trains by mixup on
class-balanced draws for 70 % of the updates, then on the real rows by balanced softmax at a tenth
of the rate. All are arms of the evaluator, each with the small CNN and as many updates, at the
logits as they are; "none" subtracts the log class shares. Fashion-MNIST with pullover, coat
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

from images_protocol import TASKS, Task, classified, training_set

ARMS = ("none", "balanced_softmax", "mixup", "mixup_balanced_softmax", "cmo", "deferred")
DRAWS = {"fashion_mnist": (3, 1, 2), "blood_cells_32": (0, 1, 2), "magnetic_tile_32": (0, 1, 2)}


def measured(task: Task, arm: str, seed: int, updates: int) -> dict[str, float]:
    """Return rare recall and balanced accuracy on the test rows, 0..1."""
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
