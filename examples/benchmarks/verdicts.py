"""The evaluator on real data: six tables and three sets of images, whatever it says.

    python examples/benchmarks/verdicts.py --data DIR --work FOLDER [--only mammography,...]
        [--budget 20m] [--n-jobs 2] [--out examples/benchmarks/verdicts]

DIR holds `tabular/` with `index.json`, and `images/`. Tables: the default learner (histogram
boosting), every amount, seed 0, 5 folds x 3 for oil_spill and x 1 for the others. Images: what
`--budget` of `--n-jobs` processes has room for, 20 minutes unless said otherwise (results of other
budgets are told apart by their name, `blood_cells_32_60m`), seed 0: Fashion-MNIST with 500 rows of
seven classes and 30 of three; blood cells, white cells and platelets cut to 30, by smear; magnetic
tiles as they are, by tile. Which data were to be evaluated was fixed before any were. FOLDER keeps
journals, so that a stopped run goes on; results go to `--out` as they are, with a table of them in
`verdicts.md` beside it. `--table` writes that table alone. Pictures of data whose licence does not
allow it are left out of `--out`; `report.html` in FOLDER shows them.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from images_protocol import read

import gan_augment
from gan_augment import read_table
from gan_augment.evaluation.options import EvaluationOptions
from gan_augment.evaluation.plan import Plan
from gan_augment.evaluation.result import result_bytes
from gan_augment.evaluation.runner import evaluate
from gan_augment.evaluation.verdict import CHEAP
from gan_augment.kinds.kind import Labelled
from gan_augment.storage.files import write_file

TABLES = {
    "oil_spill": 3,
    "mammography": 1,
    "hypothyroid": 1,
    "nasa_pc1": 1,
    "phoneme": 1,
    "glass": 1,
}
"""Repeats of the folds."""
IMAGES = {
    "fashion_mnist_long_tail": ("fashion_mnist_test10k", (0, 5, 8), 500, 30),
    "blood_cells_32": ("blood_cells_32", (1, 2), None, 30),
    "magnetic_tile_32": ("magnetic_tile_32", (1, 2, 3, 4, 5), None, None),
}
"""File, rare labels, rows of another class and of a rare one (None: as many as there are)."""
BUDGET = "20m"
PICTURED = ("fashion_mnist_long_tail",)
"""Whose licence lets pictures go into a committed result; tables have none but histograms."""


class Told:
    """A `Progress` on stderr."""

    def phase(self, name: str, total: int | None = None, done: int = 0) -> None:
        print(f"  {name} ({total})", file=sys.stderr, flush=True)

    def advance(self, done: int, text: str = "") -> None: ...

    def note(self, text: str) -> None:
        print(f"  {text}", file=sys.stderr, flush=True)

    warn = note


def images_of(name: str, data: Path) -> tuple[Labelled, list[str]]:
    """The rows of a set, drawn with seed 0 and in the order of the file; its rare classes."""
    file, rare, others, few = IMAGES[name]
    whole = read(data / "images" / f"{file}.npz")
    rng, kept = np.random.default_rng(0), []
    for label in range(len(whole.names)):
        rows = rng.permutation(np.flatnonzero(whole.labels == label))
        kept.append(rows[: few if label in rare else others])
    return whole.take(np.sort(np.concatenate(kept))), [whole.names[label] for label in rare]


def stem(name: str, budget: str) -> str:
    """What the files of a result are called."""
    return name if name in TABLES or budget == BUDGET else f"{name}_{budget}"


def evaluated(name: str, data: Path, work: Path, n_jobs: int, budget: str) -> Any:
    """One evaluation, taken up where its journal is."""
    out = work / stem(name, budget)
    resume = (out / "journal.jsonl").is_file()
    if name in IMAGES:
        images, rare = images_of(name, data)
        asked = {"fit": {"classes": rare}, "budget": budget, "n_jobs": n_jobs}
        options = EvaluationOptions.checked(asked, "options")

        def planned(plan: Plan) -> None:
            print("\n".join(plan.lines()), file=sys.stderr, flush=True)

        return evaluate(images, options, out=out, resume=resume, on_plan=planned, progress=Told())
    more = {"n_jobs": n_jobs, "seed": 0, "out": out, "resume": resume, "progress": Told()}
    index = json.loads((data / "tabular" / "index.json").read_text())
    entry = next(e for e in index if e["name"] == name)
    read = read_table(data / "tabular" / entry["path"], entry["target"])
    rare = entry["rare_classes"] or [entry["positive"]]
    return gan_augment.evaluate(read, classes=rare, repeats=TABLES[name], **more)


def rows_of(results: dict[str, dict[str, Any]]) -> list[str]:
    """The results as Markdown: a row each, then every sentence."""
    lines = [
        "# What the evaluator says of real data",
        "",
        "Primary metric balanced accuracy, under the decision that is named (corrected for "
        "the class shares); differences in percentage points with their 95 % "
        "intervals. The last two columns are percent: at the learner's own decision, and under the "
        "named one. Made by `verdicts.py`; the results themselves lie in `verdicts/`.",
        "",
        "| data | rows | rare rows | verdict | decision | gan - none | could show "
        "| best cheap arm - none | rows on top of it | own decision: none, gan "
        "| named decision: none |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, result in results.items():
        told, facts = result["verdict"], result["data"]
        rare = sum(facts["classes"][one] for one in facts["rare"])
        decision = result["declared"]["decision"]
        over_none = {
            arm: found["minus_none"][decision]["balanced_accuracy"]
            for arm, found in result["arms"].items()
            if found["minus_none"]
        }
        cheap = {arm: change for arm, change in over_none.items() if arm in CHEAP}
        best = max(cheap, key=lambda arm: cheap[arm]["mean"])
        on_top = (told.get("on_top") or {}).get(best)
        lines.append(
            f"| {name} | {facts['rows']:,} | {rare:,} | {told['word']} | {decision} "
            f"| {_points(told['difference'])} | {100 * told['detectable']:.1f} "
            f"| {best} {_points(cheap[best])} | {_points(on_top)} "
            f"| {_mean(result, 'none', 'default')}, {_mean(result, 'gan', 'default')} "
            f"| {_mean(result, 'none', decision)} |"
        )
    for name, result in results.items():
        lines += ["", f"**{name}.** {result['verdict']['sentence']}"]
    return lines


def _mean(result: dict[str, Any], arm: str, decision: str) -> str:
    return f"{100 * result['arms'][arm][decision]['balanced_accuracy']['mean']:.1f}"


def _points(contrast: dict[str, Any] | None) -> str:
    if contrast is None:
        return "-"
    low, high = contrast["interval"]
    return f"{100 * contrast['mean']:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"


def main() -> None:
    """Run what was asked, and write the table of all results that are there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--only", default=",".join((*TABLES, *IMAGES)))
    parser.add_argument("--budget", default=BUDGET, help="of each set of images")
    parser.add_argument("--n-jobs", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "verdicts")
    parser.add_argument("--table", action="store_true", help="write the table alone")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    for name in [] if given.table else given.only.split(","):
        print(name, file=sys.stderr, flush=True)
        found = evaluated(name, given.data, given.work, given.n_jobs, given.budget)
        result = found.to_dict()
        if name in IMAGES and name not in PICTURED:
            result["pictures"] = None
        write_file(given.out / f"{stem(name, given.budget)}.json", result_bytes(result))
        print("\n".join(found.lines()), flush=True)
    ordered = [*TABLES, *(path for one in IMAGES for path in (one, stem(one, "60m")))]
    results = {
        name: json.loads((given.out / f"{name}.json").read_text())
        for name in ordered
        if (given.out / f"{name}.json").is_file()
    }
    (given.out.parent / "verdicts.md").write_text("\n".join(rows_of(results)) + "\n")


if __name__ == "__main__":
    main()
