"""Whether generated rows add to the best that costs nothing: rivals alone, and rows on top of each.

    python examples/benchmarks/images_rivals.py run --data DIR --journal FILE [--tasks ...]
    python examples/benchmarks/images_rivals.py table --journal FILE [FILE ...]

A line of the journal is one classifier: a task, a draw of its rows, an arm, a seed of the generator
(of the rows' arms), a length of training, a seed of the classifier; a run that was stopped goes on.
Two lengths: SHORT updates, and "long", the first of LENGTHS at which twice as many did not help a
part of the training rows that was left out (by mixup on repeats). Arms: as `evaluation.options` has
them, and `gan+X`, the GAN's rows to parity with companions under each. `table` writes
`images_rivals.md` and `images_rivals.json`: every rival, the best of them by the mean over draws,
and rows on top of that one minus it; the unit of an interval is a draw with its generator seeds.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from images_figures import compared
from images_protocol import TASKS, Judge, Task, classified, looked_at, present, told_apart
from images_protocol import training_set as topped_up

from gan_augment import ImageGAN
from gan_augment.errors import DivergedError, TooFewAcceptedError
from gan_augment.evaluation.options import ON_TOP
from gan_augment.generators.model_file import UsefulnessRecord
from gan_augment.kinds.kind import Labelled
from gan_augment.recipes import resolve_recipe
from gan_augment.storage.files import write_file

SHORT, LENGTHS, STEPS, DRAWN = 700, (700, 1400, 2800, 5600), 5000, 1000
CHEAP = ("none", "repeats", *ON_TOP.values())
FIGURES = ("rare_recall", "balanced_accuracy", "accuracy")
DRAWS = {"fashion_mnist": (0, 1, 2, 3, 4), "cifar10_dev": (0, 1)}
Line = dict[str, Any]


def training_set(task: Task, arm: str, samples: Mapping[str, Any] | None) -> Labelled:
    """The rows of an arm: as they are, repeated to parity, or topped up with generated ones."""
    if arm.startswith("gan"):
        return topped_up(task, samples, 0.5, True)
    as_is = arm in ("none", "balanced_softmax", "mixup_balanced_softmax", "cmo")
    return task.train if as_is else topped_up(task, None, 0.0, False)


def method_of(arm: str) -> str:
    """The method of training of an arm, "" for none."""
    return arm.partition("+")[2] if arm.startswith("gan") else arm


def long_length(task: Task) -> tuple[int, list[float]]:
    """(updates, balanced accuracy of the rows left out at each length that was tried)."""
    rng, unit = np.random.default_rng(7), task.train.groups
    unit = np.arange(len(task.train)) if unit is None else unit
    held = np.zeros(len(task.train), dtype=bool)
    for label in present(task.train):
        units = rng.permutation(np.unique(unit[task.train.labels == label]))
        held |= (task.train.labels == label) & np.isin(unit, units[: max(1, len(units) // 5)])
    left, out = (task.train.take(np.flatnonzero(rows)) for rows in (~held, held))
    part = Task(task.name, task.seed, left, out, out, task.rare)
    found: list[float] = []
    for length in LENGTHS:
        runs = [
            classified(part, topped_up(part, None, 0.0, False), seed, length, "mixup")
            for seed in (0, 1)
        ]
        found.append(mean(run["balanced_accuracy"] for run in runs))
        if len(found) > 1 and found[-1] <= found[-2]:
            return LENGTHS[len(found) - 2], found
    return LENGTHS[-1], found


def generated_rows(
    task: Task, recipe: str, seed: int, steps: int, folder: Path
) -> tuple[Any, Line]:
    """Rows of every class by one fit, and what it says of itself; a refused class repeats."""
    kept = folder / f"{task.name}-{task.seed}-{Path(recipe).stem}-{seed}-{steps}"
    drawn, began_s = max(DRAWN, *task.train.counts.values()), time.monotonic()
    if kept.is_dir():  # of a run that stopped before its line was written
        gan = ImageGAN.load(kept, threads=1)
    else:
        gan = ImageGAN(
            recipe=recipe, steps=steps, classes=task.rare_names, threads=1, random_state=seed
        )
        try:
            gan.fit(task.train)
        except DivergedError as error:  # the best scored generator is kept, as a run keeps it
            print(error, flush=True)
        gan.save(kept)
    samples, refused = {}, []
    for label, name in enumerate(task.train.names):
        try:
            samples[name] = gan.sample({name: drawn}, random_state=1).pixels
        except TooFewAcceptedError:
            refused.append(name)
            own = task.train.pixels[task.train.labels == label]
            samples[name] = np.resize(own, (drawn, *own.shape[1:]))
    return samples, {
        "fit_s": round(time.monotonic() - began_s, 1),
        "chosen": gan.meta_.chosen,
        "refused": refused,
        "usefulness": gan.meta_.usefulness and gan.meta_.usefulness.model_dump(mode="json"),
    }


class Journal:
    """Lines of a file, by what each is of; a line is written as soon as it is known."""

    def __init__(self, path: Path) -> None:
        self.path = path
        text = path.read_text() if path.is_file() else ""
        self.lines: list[Line] = [json.loads(line) for line in text.splitlines()]

    def find(self, **about: Any) -> Line | None:
        """The line of these facts, if it is there."""
        found = (line for line in self.lines if about.items() <= line.items())
        return next(found, None)

    def add(self, line: Line) -> Line:
        """Write a line and show it."""
        self.lines.append(line)
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        print(json.dumps(line), flush=True)
        return line


def run_draw(journal: Journal, task: Task, options: argparse.Namespace) -> None:
    """Every classifier of a draw that the journal lacks."""
    about: Line = {"task": task.name}
    first = journal.find(**about, kind="length")
    if first is None:  # one length a task, known before any test row is looked at
        length, tried = long_length(task)
        first = journal.add({**about, "kind": "length", "updates": length, "held_out": tried})
    lengths = {"short": SHORT, "long": max(SHORT, first["updates"])}
    about["draw"] = task.seed
    models = journal.path.parent / f"{journal.path.stem}-models"
    models.mkdir(exist_ok=True)
    recipe = resolve_recipe(options.recipe).name
    for arm in options.arms:
        generated = arm.startswith("gan")
        for gan_seed in options.gan_seeds if generated else (None,):
            facts = dict(about)
            if generated:
                facts |= {"recipe": recipe, "steps": options.steps, "gan_seed": gan_seed}
            plan = [
                {**facts, "kind": "classifier", "arm": arm, "length": name, "seed": seed}
                for name in options.lengths
                for seed in options.seeds
            ]
            plan = [what for what in plan if journal.find(**what) is None]
            if not plan:
                continue
            samples = None
            if generated:
                samples, said = generated_rows(
                    task, options.recipe, gan_seed, options.steps, models
                )
                if journal.find(**facts, kind="fit") is None:
                    seen = looked_at(task, Judge.of(task), samples)
                    seen["told_apart"] = told_apart(task, samples)
                    journal.add({**facts, "kind": "fit", **said, **seen})
            rows = training_set(task, arm, samples)
            for what in plan:
                found = classified(
                    task, rows, what["seed"], lengths[what["length"]], method_of(arm)
                )
                journal.add({**what, **{name: round(v, 5) for name, v in found.items()}})


def summary(lines: Sequence[Line]) -> dict[str, Any]:
    """{tasks: {task: {length: {decision: {arms: means, best: arm, minus: differences}}}}}."""
    fits = [line for line in lines if line["kind"] == "fit"]
    found: dict[str, Any] = {
        "lengths": {line["task"]: line for line in lines if line["kind"] == "length"},
        "fits": fits,
        "tasks": {},
    }
    cells = [line for line in lines if line["kind"] == "classifier"]
    found["advice"] = [truth for fit in fits if (truth := _truth(fit, cells))]
    for task in dict.fromkeys(line["task"] for line in cells):
        found["tasks"][task] = {
            length: {
                decision: _compared(
                    [c for c in cells if (c["task"], c["length"]) == (task, length)], prefix
                )
                for decision, prefix in (("own", ""), ("corrected", "corrected_"))
            }
            for length in ("short", "long")
        }
    return found


def _truth(fit: Line, cells: Sequence[Line]) -> Line | None:
    """What a fit advised, and what its rows did with mixup where training was long enough."""
    same = {name: fit[name] for name in ("task", "draw")}
    here = [c for c in cells if c["length"] == "long" and same.items() <= c.items()]
    own = [c for c in here if c["arm"] != "gan+mixup" or c["gan_seed"] == fit["gan_seed"]]
    ends = [[c for c in own if c["arm"] == arm] for arm in ("gan+mixup", "mixup")]
    if not all(ends):
        return None
    gains = {
        f: mean(c[f"corrected_{f}"] for c in ends[0]) - mean(c[f"corrected_{f}"] for c in ends[1])
        for f in FIGURES
    }
    tried = fit["usefulness"]  # the share by today's rule
    share = UsefulnessRecord.model_validate(tried).advised_share if tried else 0.0
    return {**same, "gan_seed": fit["gan_seed"], "advised_share": share, **gains}


def _compared(cells: Sequence[Line], prefix: str) -> dict[str, Any]:
    """Means of each arm over draws, the best rival by balanced accuracy, and rows on top of it."""
    means = {
        arm: {f: _by_draw(cells, arm, prefix + f) for f in FIGURES}
        for arm in dict.fromkeys(cell["arm"] for cell in cells)
    }
    rivals = {arm: found["balanced_accuracy"] for arm, found in means.items() if arm in CHEAP}
    shared = set.intersection(*map(set, rivals.values())) if rivals else set()
    rivals = {arm: mean(found[draw] for draw in shared) for arm, found in rivals.items() if shared}
    best = max(rivals, key=lambda arm: rivals[arm], default=None)
    minus: dict[str, dict[str, Any]] = {arm: {} for arm in means}
    for arm, found in minus.items():
        against = {"repeats": "repeats"}
        if arm.startswith("gan"):
            against |= {"best": best, "own": method_of(arm) or "repeats"}
        for which, rival in against.items():
            if rival in means and rival != arm:
                found[which] = {f: _difference(cells, arm, rival, prefix + f) for f in FIGURES}
    levels = {
        arm: {f: mean(values.values()) for f, values in found.items()}
        | {"draws": len(found["rare_recall"])}
        for arm, found in means.items()
    }
    return {"arms": levels, "best": best, "minus": minus}


def _by_draw(cells: Sequence[Line], arm: str, figure: str) -> dict[int, float]:
    draws: dict[int, list[float]] = {}
    for cell in cells:
        if cell["arm"] == arm:
            draws.setdefault(cell["draw"], []).append(cell[figure])
    return {draw: mean(values) for draw, values in draws.items()}


def _difference(cells: Sequence[Line], arm: str, rival: str, figure: str) -> dict[str, Any] | None:
    """Rows minus rival, each generator seed of each draw against the rival's mean of that draw."""
    rivals, units = _by_draw(cells, rival, figure), []
    known = dict.fromkeys((c["draw"], c.get("gan_seed")) for c in cells if c["arm"] == arm)
    for draw, seed in known:
        own = [
            c[figure]
            for c in cells
            if (c["arm"], c["draw"], c.get("gan_seed")) == (arm, draw, seed)
        ]
        if draw in rivals:
            units.append([mean(own) - rivals[draw]])
    return compared(units)


HEAD = """# Images: rows on top of the best that costs nothing

Made by `images_rivals.py`; every number is in `images_rivals.json`. Rare recall / balanced accuracy
/ accuracy in percent, on real rows that nothing saw, means over draws and seeds of the classifier.
Corrected: logits minus the log of the class shares trained on. In bold the best rival by balanced
accuracy, corrected, over the draws that all rivals have. Then points of rare recall and of balanced
accuracy, corrected, over repeats; of the GAN's rows also over that rival and over their own, the
same method without them. With the 95 % interval over draws and generator seeds, each against the
other arm's mean of that draw."""
HEADS = "| arm (draws) | own | corrected | minus repeats | minus the best | minus its own rival |"


ADVICE = (
    "## What a fit advised, and what came of it",
    "",
    "Over mixup of repeats, which is what a fit tries its rows against; points, corrected.",
    "",
    "| fit | advised share | rare recall / balanced accuracy / accuracy |",
    "|---|---|---|",
)


def lines_of(figures: Mapping[str, Any]) -> list[str]:
    """The summary as Markdown."""
    out = [HEAD]
    for task, lengths in figures["tasks"].items():
        long = max(SHORT, figures["lengths"][task]["updates"])
        for length, decisions in lengths.items():
            if not decisions["own"]["arms"]:
                continue
            updates = SHORT if length == "short" else long
            out += ["", f"## {task}, {updates:,} updates", ""]
            out += [HEADS, "|---|---|---|---|---|---|"]
            own, corrected = decisions["own"], decisions["corrected"]
            for arm, levels in corrected["arms"].items():
                name = f"**{arm}**" if arm == corrected["best"] else arm
                name += f" ({levels['draws']})"
                minus = corrected["minus"].get(arm, {})
                gains = [_gain(minus.get(which)) for which in ("repeats", "best", "own")]
                cells = [name, _levels(own["arms"][arm]), _levels(levels), *gains]
                out.append(f"| {' | '.join(cells)} |")
    out += ["", *ADVICE]
    for line in figures["advice"]:
        gains = [f"{100 * line[figure]:+.1f}" for figure in FIGURES]
        fit = f"{line['task']}, draw {line['draw']}, seed {line['gan_seed']}"
        out.append(f"| {fit} | {line['advised_share']:g} | {' / '.join(gains)} |")
    return out


def _levels(means: Mapping[str, float]) -> str:
    return " / ".join(f"{100 * means[figure]:.1f}" for figure in FIGURES)


def _gain(found: Mapping[str, Any] | None) -> str:
    if not found:
        return ""
    shown = []
    for figure in FIGURES[:2]:
        if (value := found[figure]) is None:
            continue
        between = value["interval"]
        spread = f" ({100 * between[0]:+.1f} to {100 * between[1]:+.1f})" if between else ""
        shown.append(f"{100 * value['mean']:+.1f}{spread}")
    return ", ".join(shown)


def main() -> None:
    """Run, or write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["run", "table"])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--journal", type=Path, nargs="+", required=True)
    parser.add_argument("--tasks", default="fashion_mnist")
    parser.add_argument("--draws", default="")
    parser.add_argument("--arms", default=",".join(CHEAP))
    parser.add_argument("--lengths", default="short,long")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--gan-seeds", default="0,1")
    parser.add_argument("--recipe", default="auto")
    parser.add_argument("--steps", type=int, default=STEPS)
    options = parser.parse_args()
    if options.what == "table":
        here = Path(__file__).parent
        found = summary([line for path in options.journal for line in Journal(path).lines])
        write_file(here / "images_rivals.json", (json.dumps(found, indent=1) + "\n").encode())
        write_file(here / "images_rivals.md", ("\n".join(lines_of(found)) + "\n").encode())
        return
    options.arms, options.lengths = options.arms.split(","), options.lengths.split(",")
    options.seeds = [int(seed) for seed in options.seeds.split(",")]
    options.gan_seeds = [int(seed) for seed in options.gan_seeds.split(",")]
    journal = Journal(options.journal[0])
    for name in options.tasks.split(","):
        draws = (
            [int(d) for d in options.draws.split(",")]
            if options.draws
            else DRAWS.get(name, (0, 1, 2))
        )
        for draw in draws:
            run_draw(journal, TASKS[name](options.data, draw), options)


if __name__ == "__main__":
    main()
