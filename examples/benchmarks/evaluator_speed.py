"""Measure the overhead of an evaluation, the gain of a second process, and the time per split.

    python examples/benchmarks/evaluator_speed.py [--out examples/benchmarks/evaluator_speed.json]
        [--rounds 3] [--folds 5] [--repeats 1] [--steps 300] [--tables cancer,drawn]
    python examples/benchmarks/evaluator_speed.py --before DIR [--out FILE] ...
    python examples/benchmarks/evaluator_speed.py --small [--out evaluator_small.json]

Two tables: scikit-learn's breast cancer (569 rows, 30 numeric columns), the malignant cases topped
up, and a simulated table of 5,000 rows with six numeric columns, four categorical columns and 5 %
rare rows. The learner is boosting, with the default arms. Each evaluation runs in a process of its
own and is timed from the call to its return. The variants alternate in every round.

- overhead: (wall time - the journal's seconds for building training sets, fitting and predicting)
  / those seconds, with one process. Target: at most .05.
- two processes / one: ratio of wall times within a round. Target: at most .6.
- with `--small`, a simulated table of 2,000 rows (100 rare), logistic regression, every remedy, one
  process: seconds of an evaluation of 5 folds, once and three times (the default), the report
  included, by the clock and of the processor. Target: at most 30.
- with `--before`, a checkout of an earlier version, both with one process: seconds per split before
  / now, without the plan. Target: at least 3.

Run it on an idle machine with two cores and OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from gan_augment.data.tables.reader import read_frame
from gan_augment.evaluation.options import EvaluationOptions
from gan_augment.evaluation.runner import evaluate
from gan_augment.kinds.kind import Labelled
from gan_augment.options import FitOptions

HERE = Path(__file__).resolve().parents[2]
ROWS, RARE = 5000, 250


def cancer() -> tuple[Labelled, str]:
    """Return the table and the class to top up."""
    from sklearn.datasets import load_breast_cancer

    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    return read_frame(X, y=y.map({0: "malignant", 1: "benign"})).table, "malignant"


def drawn(rows: int = ROWS) -> tuple[Labelled, str]:
    """Simulate numeric and categorical columns that are weakly related to the class."""
    rng = np.random.default_rng(0)
    rare = rng.permutation(np.arange(rows) < rows * RARE // ROWS)
    frame = pd.DataFrame(rng.normal(size=(rows, 6)), columns=[f"x{i}" for i in range(6)])
    frame[["x0", "x1", "x2"]] += 0.7 * rare[:, None]
    for i, levels in enumerate((3, 5, 12, 30)):
        shift = np.where(rare, 0.15 * levels, 0.0)
        codes = np.abs(rng.normal(shift, levels / 3)).astype(int) % levels
        frame[f"level{i}"] = [f"level {code}" for code in codes]
    return read_frame(frame, y=np.where(rare, "rare", "common")).table, "rare"


TABLES = {"cancer": cancer, "drawn": drawn, "small": partial(drawn, 2000)}


def one(asked: argparse.Namespace) -> dict[str, float]:
    """Run one evaluation; return its wall time, its planning time and the journal's seconds."""
    table, rare = TABLES[asked.one]()
    began_cpu_s = time.process_time()
    planned_s: list[float] = []
    options = EvaluationOptions(
        diagnostics=asked.small,
        learner="logistic" if asked.small else "boosting",
        fit=FitOptions(classes=(rare,), steps=asked.steps),
        folds=asked.folds,
        repeats=asked.repeats,
        n_jobs=asked.jobs,
    )
    with tempfile.TemporaryDirectory() as folder:
        began_s = time.perf_counter()
        found = evaluate(
            table,
            options,
            out=Path(folder) / "report",
            on_plan=lambda _: planned_s.append(time.perf_counter()),
        )
        wall_s = time.perf_counter() - began_s
    fits_s = found.timings["seconds"]
    return {
        "wall_s": wall_s,
        "cpu_s": time.process_time() - began_cpu_s,
        "planned_s": planned_s[0] - began_s,
        "fits_s": fits_s["total"],
        "generators_s": fits_s["generators"],
        "making_s": sum(spent["make"] for spent in fits_s["arms"].values()),
        "learning_s": sum(spent["fit"] for spent in fits_s["arms"].values()),
        "predicting_s": sum(spent["predict"] for spent in fits_s["arms"].values()),
    }


def run_one(
    name: str, jobs: int, asked: argparse.Namespace, checkout: Path = HERE
) -> dict[str, float]:
    """Run `one` of a checkout's copy of this script in a process of its own."""
    script = checkout / "examples" / "benchmarks" / Path(__file__).name
    line = [sys.executable, str(script), "--one", name, "--jobs", str(jobs)]
    for flag in ("folds", "repeats", "steps"):
        value = getattr(asked, flag)
        line += [] if value is None else [f"--{flag}", str(value)]
    line += ["--small"] if asked.small else []
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    run = subprocess.run(line, capture_output=True, text=True, check=True, env=environment)
    found: dict[str, float] = json.loads(run.stdout.splitlines()[-1])
    return found


def small_timed(asked: argparse.Namespace) -> dict:
    """Time whole evaluations of the small table with one and with three repeats of the folds."""
    found = {}
    for repeats in (1, 3):
        asked.repeats, asked.steps = repeats, None
        runs = [run_one("small", 1, asked) for _ in range(asked.rounds)]
        seconds = {key: summary([run[key] for run in runs]) for key in ("wall_s", "cpu_s")}
        found[f"{asked.folds} x {repeats}"] = seconds
        print(repeats, json.dumps(seconds), flush=True)
    return found


def processes_compared(name: str, asked: argparse.Namespace) -> dict:
    """Time one process and two, alternating."""
    ways: dict[int, list[dict[str, float]]] = {1: [], 2: []}
    for number in range(asked.rounds):
        for jobs in (1, 2) if number % 2 == 0 else (2, 1):
            ways[jobs].append(run_one(name, jobs, asked))
            print(name, jobs, json.dumps(rounded(ways[jobs][-1])), flush=True)
    overhead = [(run["wall_s"] - run["fits_s"]) / run["fits_s"] for run in ways[1]]
    ratio = [two["wall_s"] / single["wall_s"] for single, two in zip(ways[1], ways[2], strict=True)]
    return {
        "overhead": summary(overhead),
        "two processes / one": summary(ratio),
        "one process": {key: summary([run[key] for run in ways[1]]) for key in ways[1][0]},
        "two processes": {key: summary([run[key] for run in ways[2]]) for key in ways[2][0]},
    }


def checkouts_compared(name: str, asked: argparse.Namespace) -> dict:
    """Time the checkout `--before` and this one, alternating, with one process."""
    runs: dict[str, list[dict[str, float]]] = {"before": [], "now": []}
    places = {"before": asked.before.resolve(), "now": HERE}
    for number in range(asked.rounds):
        for side in ("before", "now") if number % 2 == 0 else ("now", "before"):
            runs[side].append(run_one(name, 1, asked, places[side]))
            print(name, side, json.dumps(rounded(runs[side][-1])), flush=True)
    splits = asked.folds * asked.repeats
    split_s = {
        side: [(run["wall_s"] - run["planned_s"]) / splits for run in found]
        for side, found in runs.items()
    }
    ratios = [old / new for old, new in zip(split_s["before"], split_s["now"], strict=True)]
    return {
        "before / now": summary(ratios),
        "seconds per split": {side: summary(found) for side, found in split_s.items()},
        "plan, s": {side: summary([run["planned_s"] for run in runs[side]]) for side in runs},
    }


def rounded(values: dict[str, float]) -> dict[str, float]:
    """Round to two decimals."""
    return {name: round(value, 2) for name, value in values.items()}


def summary(values: list[float]) -> dict[str, float]:
    """Return the median, the lowest and the highest value."""
    three = {"median": statistics.median(values), "lowest": min(values), "highest": max(values)}
    return {name: round(value, 3) for name, value in three.items()}


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--tables", type=lambda text: text.split(","), default=["cancer", "drawn"])
    parser.add_argument("--small", action="store_true", help="time the table of 2,000 rows")
    parser.add_argument("--one", choices=list(TABLES), help="run one evaluation in this process")
    parser.add_argument("--before", type=Path, help="checkout of an earlier version")
    parser.add_argument("--jobs", type=int, default=1)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(one(asked)))
        return
    if asked.small:
        result = {"rows": 2000, "learner": "logistic", "rounds": asked.rounds, **small_timed(asked)}
        if asked.out:
            asked.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        return
    asked.steps = 300 if asked.steps is None else asked.steps
    result = {
        "learner": "boosting",
        "folds x repeats": f"{asked.folds} x {asked.repeats}",
        "steps of the GAN": asked.steps,
        "rounds": asked.rounds,
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
    }
    for name in asked.tables:
        result[name] = (checkouts_compared if asked.before else processes_compared)(name, asked)
        print(name, json.dumps(result[name]), flush=True)
    if asked.out:
        asked.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
