"""What a top-up does for four learners on the tables of a folder, against the strongest cheap arms.

    python examples/benchmarks/tables.py --data DIR [--out examples/benchmarks/tables.json]
        [--tables a,b] [--sizes all,20] [--seeds 1] [--jobs 1] [--arms none,repeats,ours]
        [--again ours] [--own-decision] [--report]

DIR holds index.json and the tables it names. A cell is a table, a size and a seed: the rare classes
whole, or cut to so many training rows. Every arm in every cell is a line of a journal beside the
result (or --journal FILE), so that a stopped run goes on where it was; --again runs the named arms
anew, --report only tells what the journal holds. Each process computes with one thread. Prints the
figures, writes them as JSON and, for reading, as Markdown. How: `tables_protocol.py`; which rows:
`tables_ours.py`, whose screened ideas are arms, too, and so are the recipes of tables by name and
`choose` (fits of 120 s).
"""

from __future__ import annotations

import argparse
import functools
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
MOST_ROWS, SIZES = 2_000, ("all", "20", "50", "100", "200")
ARMS = ("none", "repeats", "smote", "smote_tuned", "gaussian_smote", "interpolation", "ours")
PACKAGES = ("numpy", "pandas", "scikit-learn", "imbalanced-learn", "torch")

Item = tuple[str, int, str]


def run(data: Path, item: Item, inner: bool = True) -> list[dict]:
    """Some arms in one cell, a record each. Runs in a process of its own.

    inner: whether decisions are tuned on inner parts.
    """
    import tables_protocol as protocol
    from tables_ours import Rows
    from threadpoolctl import threadpool_limits

    cell, seed, arms = item
    name, size = cell.split("@")
    X, y, info = protocol.load(data, name, MOST_ROWS)
    train, test = protocol.split(X, y, seed)
    if size != "all":
        train = protocol.cut_rare(train, info.rare, int(size), seed)
    with threadpool_limits(1):
        levels = protocol.levels_of(train, test, info, seed, inner)
        rows = [Rows(at.train.X, at.train.y, info.categorical, seed) for at in levels]
        found = []
        for arm in arms.split(","):
            began_s, record = time.perf_counter(), {"table": cell, "seed": seed, "arm": arm}
            try:
                added = [rows[-1].of(arm)]  # first, since what is chosen there is taken for parts
                made_s = time.perf_counter() - began_s
                added = [*(of.of(arm, rows[-1].chosen_k) for of in rows[:-1]), *added]
                record |= {"scores": protocol.judged(levels, added, info, seed)}
                record |= {"add_s": round(made_s, 3), "k": rows[-1].chosen_k}
                record |= {"recipe": rows[-1].chosen_recipe} if arm == "choose" else {}
            except Exception as error:  # noqa: BLE001  whatever an arm raises, the others go on
                text = " ".join(str(error).split())[:300]
                record |= {"error": f"{type(error).__name__}: {text}"}
            found.append(record | {"cell_s": round(time.perf_counter() - began_s, 2)})
    return found


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
        """The items, with the arms that have no record yet; without those that lack none."""
        done = {(record["table"], record["seed"], record["arm"]) for record in self.records}
        found = []
        for cell, seed, arms in items:
            left = [arm for arm in arms.split(",") if (cell, seed, arm) not in done]
            found += [(cell, seed, ",".join(left))] if left else []
        return found

    def add(self, records: list[dict]) -> None:
        """Some more lines, on disk at once."""
        self.records += records
        with self._path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(record) + "\n" for record in records)


def made_with() -> dict[str, str]:
    """Versions that could change a number."""
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def computed(
    data: Path, items: list[Item], jobs: int, work: Callable[[Path, Item], list[dict]] = run
) -> Iterator[list[dict]]:
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
    work: Callable[[Path, Item], list[dict]] = run,
) -> None:
    """Do what the journal lacks, a line of it and one to read for each."""
    missing, began_s = journal.missing(items), time.monotonic()
    for done, records in enumerate(computed(data, missing, jobs, work), 1):
        journal.add(records)
        left_s = (time.monotonic() - began_s) / done * (len(missing) - done)
        spent_s = sum(record["cell_s"] for record in records)
        wrong = "".join(f"; {r['arm']}: {r['error']}" for r in records if "error" in r)
        name = f"{records[0]['table']} {records[0]['seed']}"
        print(
            f"{done}/{len(missing)} {name}: {spent_s:.0f} s{wrong}; {left_s:.0f} s left", flush=True
        )


def report(records: list[dict]) -> dict:
    """The figures as JSON-ready values; the journal has every cell."""
    import tables_figures as figures

    return {
        "made with": made_with(),
        "seeds": sorted({record["seed"] for record in records}),
        "tables": sorted({record["table"] for record in records}),
        "ours minus": figures.by_size(records),
        "errors": figures.errors(records),
    }


def options() -> argparse.Namespace:
    """What was asked on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--journal", type=Path)
    parser.add_argument("--tables", type=lambda text: text.split(","))
    parser.add_argument("--sizes", type=lambda text: text.split(","), default=SIZES)
    parser.add_argument("--arms", type=lambda text: text.split(","), default=ARMS)
    parser.add_argument("--report", action="store_true", help="of what the journal holds")
    parser.add_argument("--own-decision", action="store_true", help="tune none: a quarter the time")
    parser.add_argument("--again", type=lambda text: text.split(","), default=[])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1)
    asked = parser.parse_args()
    if asked.journal is None:
        asked.journal = (asked.out or Path("tables.json")).with_suffix(".jsonl")
    return asked


def main() -> None:
    """Measure what the journal lacks, print, write."""
    asked = options()
    from tables_figures import markdown
    from tables_protocol import names

    tables = asked.tables or names(asked.data)
    items = [item for seed in range(asked.seeds) for item in cells(asked, tables, seed)]
    journal = Journal(asked.journal, asked.again)
    if not asked.report:
        work = functools.partial(run, inner=not asked.own_decision)
        measure(journal, asked.data, items, asked.jobs, work)
    records = sorted(journal.records, key=lambda r: (r["table"], r["seed"], r["arm"]))
    result = report(records)
    text = markdown(records)
    print(text)
    if asked.out:
        asked.out.write_text(as_json(result), encoding="utf-8")
        asked.out.with_suffix(".md").write_text(text, encoding="utf-8")


def cells(asked: argparse.Namespace, tables: list[str], seed: int) -> Iterator[Item]:
    """The cells of a seed: a table whole, and where that cuts a class, with fewer rare rows."""
    from tables_protocol import cut_rare, load, split

    for name in tables:
        X, y, info = load(asked.data, name, MOST_ROWS)
        train, _ = split(X, y, seed)
        for size in asked.sizes:
            if size == "all" or cut_rare(train, info.rare, int(size), seed):
                yield f"{name}@{size}", seed, ",".join(asked.arms)


def as_json(values: dict) -> str:
    """JSON text, its lists of numbers in one line."""
    text = re.sub(r"\[\s+([^][{}]*?)\s+\]", _in_one_line, json.dumps(values, indent=1))
    return text + "\n"


def _in_one_line(found: re.Match[str]) -> str:
    return "[" + " ".join(found[1].split()) + "]"


if __name__ == "__main__":
    main()
