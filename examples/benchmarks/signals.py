"""Made heart beats, three classes of 1,000 and two of 30: what generated windows add for a 1-D CNN.

    python examples/benchmarks/signals.py run --work DIR [--seeds 0,1,2] [--budget 120]
    python examples/benchmarks/signals.py table

Beats are those of `examples/beats.py`, two leads of 128 samples; a seed is that of the rows, of the
fit and of the classifiers; 400 other beats of each class are the test. A fit of the default recipe
takes the steps that --budget seconds of this machine buy, with selection. Every arm brings the two
rare classes to parity: with repeats, with SMOTE (k = 5) of windows, with generated windows for half
of what is added (and companions in the other classes). The learner is the library's small 1-D CNN,
1,000 updates; "changed": its batches go through classical augmentation (jitter, scale, time warp,
shift), else it sees them as they are. Corrected: the decision at logits less the log of the class
shares trained on (`images_protocol.classified`).

A line of the journal is a classifier, or a fit; a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
from images_protocol import Task, classified
from images_rivals import Journal

sys.path.append(str(Path(__file__).parents[1]))
from beats import made

from gan_augment import ImageGAN, Repeats, Smote, TopUp
from gan_augment.data.signals import from_signals
from gan_augment.data.topup_plan import plan_topup
from gan_augment.generators.generator import added_rows, with_added
from gan_augment.kinds.kind import Labelled
from gan_augment.storage.files import write_file

HERE = Path(__file__).parent
COUNTS = {"bundle": 1000, "fusion": 30, "normal": 1000, "premature": 30, "ventricular": 1000}
RARE, TESTED, UPDATES, NEIGHBOURS = ("fusion", "premature"), 400, 1000, 5
ARMS = ("none", "repeats", "smote", "gan")
CLASSIFIED = ("rare_recall", "corrected_rare_recall", "corrected_balanced_accuracy")
WAYS = {"plain": "as they are", "": "changed"}


def task_of(seed: int) -> Task:
    """The rows of a seed; the test has the scale of the training rows."""
    train = from_signals(*made(COUNTS, seed))
    unseen = from_signals(*made(dict.fromkeys(COUNTS, TESTED), 1000 + seed), scale=train.meta.scale)
    rare = tuple(train.names.index(name) for name in RARE)
    return Task("beats", seed, train, unseen, unseen, rare)


def gan_of(task: Task, asked: argparse.Namespace, journal: Journal) -> ImageGAN:
    """The generator of a seed, fitted or read from --work."""
    folder = asked.work / f"beats-{task.seed}"
    if not folder.is_dir():
        began_s = time.monotonic()
        gan = ImageGAN(
            budget=asked.budget, classes=RARE, device="cpu", threads=1, random_state=task.seed
        )
        gan.fit(task.train).save(folder)
        facts = {"steps": gan.steps_, "kept": gan.meta_.chosen, "refuses": dict(gan.refuses_)}
        facts["advised_share"] = gan.meta_.advised_share
        facts["seconds"] = round(time.monotonic() - began_s, 1)
        journal.add({"kind": "fit", "seed": task.seed, "budget_s": asked.budget, **facts})
    return ImageGAN.load(folder, threads=1)


def rows_of(task: Task, arm: str, gan: ImageGAN | None) -> Labelled:
    """The training rows of an arm."""
    if arm == "none":
        return task.train
    source: Any = gan or (Repeats() if arm == "repeats" else Smote(NEIGHBOURS)).fit(task.train)
    share = {"repeats": 0.0, "smote": 1.0, "gan": 0.5}[arm]
    top_up = TopUp(synthetic_share=share, companions=arm == "gan")
    plan = plan_topup(task.train.counts, top_up, task.rare_names)
    return with_added(task.train, added_rows(task.train, plan, source, task.seed))


def run(asked: argparse.Namespace) -> None:
    """Every line that the journal lacks."""
    asked.work.mkdir(parents=True, exist_ok=True)
    journal = Journal(asked.journal)
    for seed in (int(seed) for seed in asked.seeds.split(",")):
        task = task_of(seed)
        for arm in ARMS:
            for method, way in WAYS.items():
                about = {"kind": "classifier", "seed": seed, "arm": arm, "batches": way}
                if journal.find(**about):
                    continue
                gan = gan_of(task, asked, journal) if arm == "gan" else None
                found = classified(task, rows_of(task, arm, gan), seed, UPDATES, method)
                journal.add(about | {name: round(value, 5) for name, value in found.items()})


def table(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    """The journal as Markdown."""
    own = [line for line in lines if line["kind"] == "classifier"]
    fits = [line for line in lines if line["kind"] == "fit"]
    steps = ", ".join(f"{fit['steps']:,} ({fit['kept']})" for fit in fits)
    out = [
        "# Made heart beats: three classes of 1,000 rows, two of 30",
        "",
        "Made by `signals.py`, which says what each number is and how it is measured; every "
        "classifier is in `signals.jsonl`. Percent, mean and deviation over "
        f"{len({line['seed'] for line in own})} seeds; in brackets points over repeats, seen the "
        f"same way, seed by seed. Fits of {fits[0]['budget_s'] if fits else 0:g} s each: {steps} "
        "steps; the library's own advice on the share: "
        f"{', '.join(format(fit['advised_share'], 'g') for fit in fits)}.",
        "",
        "| added | batches | rare recall | rare recall, corrected | balanced accuracy, corrected |",
        "|---|---|---|---|---|",
    ]
    for arm in ARMS:
        for way in WAYS.values():
            here = {x["seed"]: x for x in own if (x["arm"], x["batches"]) == (arm, way)}
            base = {x["seed"]: x for x in own if (x["arm"], x["batches"]) == ("repeats", way)}
            cells = [_cell(here, base, name) for name in CLASSIFIED] if here else ["", "", ""]
            out.append(f"| {arm} | {way} | {' | '.join(cells)} |")
    return out


def _cell(here: Mapping[int, Any], base: Mapping[int, Any], name: str) -> str:
    values = [100 * line[name] for line in here.values()]
    spread = f" ± {stdev(values):.1f}" if len(values) > 1 else ""
    over = [100 * (here[seed][name] - base[seed][name]) for seed in here if seed in base]
    return f"{mean(values):.1f}{spread} ({np.mean(over):+.1f})"


def main() -> None:
    """Run what is lacking, or write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["run", "table"])
    parser.add_argument("--work", type=Path, help="folder of models, outside of git")
    parser.add_argument("--journal", type=Path, default=HERE / "signals.jsonl")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--budget", type=float, default=120.0, help="seconds of a fit")
    asked = parser.parse_args()
    if asked.what == "table":
        text = "\n".join(table(Journal(asked.journal).lines)) + "\n"
        write_file(HERE / "signals.md", text.encode())
    elif asked.work is None:
        parser.error("run needs --work")
    else:
        run(asked)


if __name__ == "__main__":
    main()
