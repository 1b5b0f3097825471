"""What a top-up does for four learners on the tables of a folder, against the usual cures.

    python examples/benchmarks/tables.py --data DIR [--out examples/benchmarks/tables.json]
        [--tables a,b] [--seeds 5] [--jobs 2] [--arms none,repeats,ours] [--again ours]

DIR holds index.json and the tables it names. Every arm in every cell is a line of a journal beside
the result (or --journal FILE), so that a stopped run goes on where it was; --again runs the named
arms anew. Each process computes with one thread. Prints the figures, writes them as JSON and, for
reading, as Markdown. What is compared and how: `tables_protocol.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
STEP_ZERO, SCALED = "ours_step0", "smote_scaled"
PACKAGES = ("numpy", "pandas", "scikit-learn", "imbalanced-learn", "torch")

Item = tuple[str, int, str]


def run(data: Path, item: Item) -> dict:
    """One arm in one cell, as a record. Runs in a process of its own."""
    import tables_ours
    import tables_protocol as protocol

    name, seed, arm = item
    X, y, info = protocol.load(data, name)
    maker = {"ours": tables_ours.ours, STEP_ZERO: tables_ours.step_zero}.get(arm)
    began_s = time.perf_counter()
    found = protocol.run_arm(arm, *protocol.split(X, y, seed), info, seed, maker=maker)
    cell_s = round(time.perf_counter() - began_s, 2)
    return {"table": name, "seed": seed, "arm": arm, "cell_s": cell_s} | found


class Journal:
    """Records as lines of JSON under a line that says what they were made with."""

    def __init__(self, path: Path, again: list[str]) -> None:
        self._path = path
        self._made_with = {"made with": made_with()}
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        held = [json.loads(line) for line in lines if line.endswith("}")]
        if held and held[0] != self._made_with:
            raise SystemExit(
                f"the journal was made with {held[0]}, not with {self._made_with}: name another "
                "with --journal, or remove it"
            )
        self.records = [record for record in held[1:] if record["arm"] not in again]
        kept = [self._made_with, *self.records]
        path.write_text("".join(json.dumps(one) + "\n" for one in kept), encoding="utf-8")

    def missing(self, items: list[Item]) -> list[Item]:
        """The items that have no record yet."""
        done = {(record["table"], record["seed"], record["arm"]) for record in self.records}
        return [item for item in items if item not in done]

    def add(self, record: dict) -> None:
        """One more line, on disk at once."""
        self.records.append(record)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")


def made_with() -> dict[str, str]:
    """Versions that could change a number."""
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def computed(
    data: Path, items: list[Item], jobs: int, work: Callable[[Path, Item], dict] = run
) -> Iterator[dict]:
    """Records of the items as they come; every process is new and has one thread."""
    os.environ.update(dict.fromkeys(THREADS, "1"))
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        waiting = [pool.submit(work, data, item) for item in items]
        try:
            for future in as_completed(waiting):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def measure(
    journal: Journal,
    data: Path,
    items: list[Item],
    jobs: int,
    work: Callable[[Path, Item], dict] = run,
) -> None:
    """Do what the journal lacks, a line of it and one to read for each."""
    missing, began_s = journal.missing(items), time.monotonic()
    for done, record in enumerate(computed(data, missing, jobs, work), 1):
        journal.add(record)
        left_s = (time.monotonic() - began_s) / done * (len(missing) - done)
        said = record.get("error", f"{record['cell_s']} s")
        name = f"{record['table']} {record['seed']} {record['arm']}"
        print(f"{done}/{len(missing)} {name}: {said}; {left_s:.0f} s left", flush=True)


def report(records: list[dict], asked: argparse.Namespace) -> dict:
    """The figures as JSON-ready values, with the means of every table."""
    import tables_figures as figures
    from tables_protocol import ARMS

    return {
        "made with": made_with(),
        "seeds": asked.seeds,
        "tables": sorted({record["table"] for record in records}),
        "figures": figures.summary(records, ARMS),
        "per table, learner and metric: mean, sd over seeds": figures.per_table(records),
    }


def show(found: dict) -> None:
    """The figures that are asked for, in words."""
    for name in ("mean rank", "mean rank among arms that add rows"):
        print(f"\n{name} (sd of the seeds' means)")
        for metric, arms in found[name].items():
            said = (f"{arm} {one['mean']} ({one['seed_sd']})" for arm, one in arms.items())
            print(f"  {metric:18}", ", ".join(said))
    for other, metrics in found.get("ours minus", {}).items():
        print(f"\nours minus {other}: mean [95 % interval], share of cells above")
        for metric, d in metrics.items():
            above = found["share of cells of ours above"][other][metric]
            print(f"  {metric:18} {d['mean']} [{d['low']}, {d['high']}] {above}")
    for name in ("macro-F1 among arms that add rows", "step 0"):
        print(f"\n{name}: {found.get(name)}")
    raised = {arm: sum(texts.values()) for arm, texts in found["errors"].items()}
    print(f"\ncells (table, seed) in which an arm raised: {raised}")


def options() -> argparse.Namespace:
    """What was asked on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--journal", type=Path)
    parser.add_argument("--tables", type=lambda text: text.split(","))
    parser.add_argument("--arms", type=lambda text: text.split(","))
    parser.add_argument("--again", type=lambda text: text.split(","), default=[])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    asked = parser.parse_args()
    if asked.journal is None:
        asked.journal = (asked.out or Path("tables.json")).with_suffix(".jsonl")
    return asked


def main() -> None:
    """Measure what the journal lacks, print, write."""
    asked = options()
    from tables_figures import markdown
    from tables_protocol import ARMS, names

    tables, seeds = asked.tables or names(asked.data), range(asked.seeds)
    arms = asked.arms or [*ARMS, STEP_ZERO, SCALED]
    items = [(name, seed, arm) for name in tables for seed in seeds for arm in arms]
    journal = Journal(asked.journal, asked.again)
    measure(journal, asked.data, items, asked.jobs)
    wanted = set(items)
    records = [r for r in journal.records if (r["table"], r["seed"], r["arm"]) in wanted]
    records.sort(key=lambda r: (r["table"], r["seed"], r["arm"]))
    result = report(records, asked)
    show(result["figures"])
    if asked.out:
        asked.out.write_text(as_json(result), encoding="utf-8")
        text = markdown(records, ARMS, "Tables")
        asked.out.with_suffix(".md").write_text(text, encoding="utf-8")


def as_json(values: dict) -> str:
    """JSON text, its lists of numbers in one line."""
    text = re.sub(r"\[\s+([^][{}]*?)\s+\]", _in_one_line, json.dumps(values, indent=1))
    return text + "\n"


def _in_one_line(found: re.Match[str]) -> str:
    return "[" + " ".join(found[1].split()) + "]"


if __name__ == "__main__":
    main()
