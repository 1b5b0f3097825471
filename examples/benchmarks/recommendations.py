"""What the evaluator recommends, measured on rows that it never saw: the gain over "as it is".

    python examples/benchmarks/recommendations.py --data DIR --out FILE.json [--only glass,signals]
        [--splits 5]

Half of each data set is set aside first, by groups where there are any. `evaluate` judges the other
half as by default and recommends a remedy. If none is shown to help, it suggests a corrected
decision that gained on average, which is free to try; "applied" counts that, too. Then a second
evaluation fits arms on the whole first half and tests them on the half set aside. Of its figures
only these are read: the classifier as it is, what was recommended and applied, and three fixed
choices: a corrected decision, SMOTE (images: repeats) and generated rows, each at the classifier's
own decision. Nothing is chosen on the half set aside; but the suggestion became a part of
`evaluate` when the gains of the recommendation on the six tables were known.

- Six tables, each with boosting (the default) and logistic regression. Five halvings, three of the
  large tables.
- Fashion-MNIST: the first half cut to 500 rows of seven classes and 30 of T-shirt, sandal and bag;
  blood cells by smear, white cells and platelets cut to 30; magnetic tiles by tile. Two halvings.
- The photos of `examples/12_photos.py`, five draws of them, as features of its network of random
  weights, which needs no download; logistic regression. Five halvings.
- Drawn signals of `examples/beats.py`, 1,000 rows of three classes and 30 of two; two draws, with
  400 other beats of each class set aside.

Arms are the defaults without "gan+...", which are no remedies. For images and signals the small CNN
gets 250 updates and the generators 200 steps, so that a data set takes minutes. FILE.json is
written after every split, and a stopped run goes on; the table beside it has the ending `.md`.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from images_protocol import read
from PIL import Image
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from verdicts import IMAGES, TABLES

sys.path.append(str(Path(__file__).parents[1]))
from beats import made
from shapes import drawn

from gan_augment import FrozenFeatures, read_table
from gan_augment.commands.embed import embedded
from gan_augment.data.groups import unit_of_rows
from gan_augment.data.signals import from_signals
from gan_augment.evaluation.learners import feature_head
from gan_augment.evaluation.options import ARMS, ON_TOP, RIVALS, EvaluationOptions
from gan_augment.evaluation.runner import evaluate
from gan_augment.evaluation.statistics import Contrast, contrast
from gan_augment.kinds.image import IMAGE
from gan_augment.kinds.kind import Labelled
from gan_augment.kinds.signal import SIGNAL
from gan_augment.options import FitOptions
from gan_augment.progress import Progress
from gan_augment.storage.files import write_file

LEARNERS = ("boosting", "logistic")
UPDATES, STEPS = 250, 200
LARGE = ("mammography", "hypothyroid", "phoneme")
MOST_SPLITS, LARGE_SPLITS, CNN_SPLITS, SEEDS = 5, 3, 2, 2
"""Splits: at most, of large tables, of what a CNN learns; its seeds on the half set aside."""
BEATS = {"bundle": 1000, "fusion": 30, "normal": 1000, "premature": 30, "ventricular": 1000}
RARE_BEATS, TESTED_BEATS = ("fusion", "premature"), 400
FIXED = ("corrected", "smote", "generated")
METRIC = "balanced_accuracy"
CHOICES = ("recommended", "applied", *FIXED)


@dataclass(frozen=True)
class Task:
    """Rows to evaluate, and rows that are set aside. settings: of both evaluations."""

    learned: Labelled
    kept: Labelled
    rare: Sequence[str]
    settings: Mapping[str, Any] = field(default_factory=dict)
    fit: Mapping[str, Any] = field(default_factory=dict)

    def options(self, **more: Any) -> EvaluationOptions:
        """Return the settings of one of the two evaluations."""
        fit = FitOptions(classes=tuple(self.rare), **self.fit)
        return EvaluationOptions(fit=fit, diagnostics=False, n_jobs=1, **self.settings, **more)


def halves(whole: Labelled, seed: int) -> tuple[Labelled, Labelled]:
    """Return both halves, stratified, with groups on one side."""
    grouped = whole.groups is not None
    dealer = (StratifiedGroupKFold if grouped else StratifiedKFold)(
        2, shuffle=True, random_state=seed
    )
    units = unit_of_rows(whole.groups, len(whole))
    learned, kept = next(dealer.split(np.zeros((len(whole), 1)), whole.labels, units))
    return whole.take(learned), whole.take(kept)


def of_table(data: Path, seed: int, *, name: str, learner: str) -> Task:
    """Return one of the six tables."""
    index = json.loads((data / "tabular" / "index.json").read_text(encoding="utf-8"))
    entry = next(one for one in index if one["name"] == name)
    table = read_table(data / "tabular" / entry["path"], entry["target"]).table
    rare = entry["rare_classes"] or [entry["positive"]]
    return Task(*halves(table, seed), rare, {"learner": learner})


def of_images(data: Path, seed: int, *, name: str) -> Task:
    """Return one of the sets of images; rows are cut in the first half only."""
    file, rare, others, few = IMAGES[name]
    learned, kept = halves(read(data / "images" / f"{file}.npz"), seed)
    rng, rows = np.random.default_rng(seed), []
    for label in range(len(learned.names)):
        drawn_rows = rng.permutation(np.flatnonzero(learned.labels == label))
        rows.append(drawn_rows[: few if label in rare else others])
    learned = learned.take(np.sort(np.concatenate(rows)))
    named = [learned.names[label] for label in rare]
    return Task(learned, kept, named, {"updates": UPDATES}, {"steps": STEPS})


def of_photos(data: Path, seed: int) -> Task:
    """Return features of the drawn photos of example 12, which are 96 px on a side."""
    example = importlib.import_module("12_photos")
    draws = [drawn(number) for number in range(5)]
    pictures, labels = (np.concatenate(part) for part in zip(*draws, strict=True))
    pixels = np.stack([np.asarray(Image.fromarray(one).resize((96, 96))) for one in pictures])
    names, labels = np.unique(labels, return_inverse=True)
    ids = np.array([f"photo-{row}" for row in range(len(labels))])
    photos = IMAGE.of(pixels[..., None], labels, ids, class_names=tuple(map(str, names)))
    network = FrozenFeatures(example.network(), image_size=64).fit()
    rows = embedded(photos, network, Progress())
    return Task(*halves(rows, seed), ["bar"], {"learner": feature_head(), "repeats": 1})


def of_signals(data: Path, seed: int) -> Task:
    """Return drawn heart beats; those set aside have the scale of the others."""
    learned = from_signals(*made(BEATS, seed))
    kept = from_signals(
        *made(dict.fromkeys(BEATS, TESTED_BEATS), 1000 + seed), scale=learned.meta.scale
    )
    return Task(learned, kept, RARE_BEATS, {"updates": UPDATES}, {"steps": STEPS})


TASKS: dict[str, Callable[[Path, int], Task]] = {
    **{
        f"{name}, {learner}": partial(of_table, name=name, learner=learner)
        for learner in LEARNERS
        for name in TABLES
    },
    "photos": of_photos,
    "signals": of_signals,
    **{name: partial(of_images, name=name) for name in IMAGES},
}


def one_split(task: Task) -> dict[str, Any]:
    """Evaluate the first half, and measure what is recommended and the fixed choices."""
    began_s, tabular = time.process_time(), task.learned.kind.tabular
    lacking = ("trivial_augment",) if task.learned.kind is SIGNAL else RIVALS if tabular else ()
    arms = tuple(name for name in ARMS if name not in (*ON_TOP, *lacking))
    advice = evaluate(task.learned, task.options(arms=arms)).result["recommendation"]
    applied = advice["suggestion"] or advice
    choices = {
        "as it is": ("none", "default"),
        "recommended": (advice["arm"], advice["decision"]),
        "applied": (applied["arm"], applied["decision"]),
        "corrected": ("none", "corrected"),
        "smote": ("smote" if tabular else "oversample", "default"),
        "generated": ("gan", "default"),
    }
    fitted = tuple({arm for arm, _ in choices.values()})
    asked = task.options(arms=fitted).model_copy(update={"repeats": None if tabular else SEEDS})
    result = evaluate(task.learned, asked, test=task.kept).result
    return {
        "recommended": f"{advice['arm']}, {advice['decision']}",
        "sentence": advice["sentence"],
        "promised": advice["gain"],
        "rows": len(task.learned),
        "rare_rows": {name: task.learned.counts[name] for name in task.rare},
        "measured": {name: measured(result, *choice) for name, choice in choices.items()},
        "cpu_s": round(time.process_time() - began_s, 1),
    }


def measured(result: dict[str, Any], arm: str, decision: str) -> dict[str, float]:
    """Return balanced accuracy and mean recall of the rare classes; an arm that failed is none."""
    section = result["arms"][arm]
    if section["missing"]:
        section, decision = result["arms"]["none"], "default"
    recalls = section["per_class"][decision]
    rare = [recalls[name]["recall"] for name in result["data"]["rare"] if name in recalls]
    return {METRIC: section[decision][METRIC]["mean"], "rare_recall": float(np.mean(rare))}


def gains(lines: Sequence[Mapping[str, Any]], choice: str) -> list[float]:
    """Return the gain of a choice over the classifier as it is, one a split."""
    told = [line["measured"] for line in lines]
    return [one[choice][METRIC] - one["as it is"][METRIC] for one in told]


def by_data(lines: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Return the splits of each data set, {data: lines}, in the order of `TASKS`."""
    found = {name: [line for line in lines if line["data"] == name] for name in TASKS}
    return {name: own for name, own in found.items() if own}


def summary(lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the gains over all data sets, each counted once, and whether the figures are met."""
    means = {
        choice: [np.mean(gains(own, choice)) for own in by_data(lines).values()]
        for choice in CHOICES
    }
    over_all = {choice: contrast(values, shared=0.0) for choice, values in means.items()}
    worst = {choice: float(min(values)) for choice, values in means.items()}
    said = [line for line in lines if line["recommended"] != "none, default"]
    best = max(FIXED, key=lambda choice: over_all[choice].mean)
    asked = {
        choice: {
            "mean gain above 0": bool(over_all[choice].interval()[0] > 0),
            "never below -1 point": worst[choice] >= -0.01,
            "within .5 points of the best fixed choice": bool(
                over_all[choice].mean >= over_all[best].mean - 0.005
            ),
        }
        for choice in CHOICES[:2]
    }
    return {
        "data sets": len(means["recommended"]),
        "mean gain": {choice: _rounded(one) for choice, one in over_all.items()},
        "lowest gain of a data set": {c: round(value, 4) for c, value in worst.items()},
        "lowest gain of a split": {c: round(min(gains(lines, c)), 4) for c in CHOICES},
        "best fixed choice": best,
        "splits with a remedy": f"{len(said)} of {len(lines)}",
        "mean gain there": {c: round(float(np.mean(gains(said, c))), 4) for c in CHOICES},
        "asked": asked,
    }


def _rounded(one: Contrast) -> dict[str, Any]:
    ends = one.interval()
    known = np.isfinite(ends).all() and one.freedom > 1  # two splits bound nothing
    return {"mean": round(one.mean, 4), "interval": [round(e, 4) for e in ends] if known else None}


def markdown(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the table of all data sets, and the summary."""
    told = summary(lines)
    out = [
        "# What the recommendation is worth on rows that no evaluation saw",
        "",
        "Made by `recommendations.py`, which says how. Percentage points of balanced accuracy over "
        "the classifier as it is, on the half of the data set aside; mean over the splits, and for "
        "what was recommended the 95 % interval with the correction for shared rows. Applied: the "
        "corrected decision, too, where it is named as free to try. SMOTE: repeats for images and "
        "signals. Rare recall in percent: as it is, recommended, applied.",
        "",
        "| data | splits | recommended | as it is, % | **recommended** | **applied** "
        "| always corrected | always SMOTE | always generated rows | rare recall |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, own in by_data(lines).items():
        names = Counter(line["recommended"] for line in own).most_common()
        counted = "; ".join(f"{what} ({n})" for what, n in names)
        values = {choice: gains(own, choice) for choice in CHOICES}
        # halves: as many rows to test as to train
        shown = _points(_rounded(contrast(values["recommended"], shared=1.0)))
        others = " | ".join(f"{100 * np.mean(values[choice]):+.1f}" for choice in CHOICES[1:])
        base = _mean(own, "as it is", METRIC)
        recalls = [_mean(own, c, "rare_recall") for c in ("as it is", *CHOICES[:2])]
        cells = (name, str(len(own)), counted, base, shown, others, ", ".join(recalls))
        out.append(f"| {' | '.join(cells)} |")
    means = [_points(told["mean gain"][choice]) for choice in CHOICES]
    out.append(f"| **mean over data** | {len(lines)} | | | {' | '.join(means)} | |")
    lowest = [f"{100 * told['lowest gain of a data set'][choice]:+.1f}" for choice in CHOICES]
    out += [f"| **lowest** | | | | {' | '.join(lowest)} | |", ""]
    out += ["| asked | recommended | applied |", "|---|---|---|"]
    for what in told["asked"]["recommended"]:
        met = ("yes" if told["asked"][choice][what] else "no" for choice in CHOICES[:2])
        out.append(f"| {what} | {' | '.join(met)} |")
    there = [f"{100 * told['mean gain there'][c]:+.1f}" for c in ("recommended", *FIXED)]
    return [
        *out,
        "",
        f"A remedy was recommended in {told['splits with a remedy']} splits. There, recommended, "
        f"corrected, SMOTE and generated rows gain {', '.join(there)} points. In the other splits "
        "no gain was shown with an error of .05 for all remedies together.",
    ]


def _mean(lines: Sequence[Mapping[str, Any]], choice: str, metric: str) -> str:
    return f"{100 * np.mean([line['measured'][choice][metric] for line in lines]):.1f}"


def _points(one: Mapping[str, Any]) -> str:
    if one["interval"] is None:
        return f"{100 * one['mean']:+.1f}"
    low, high = one["interval"]
    return f"{100 * one['mean']:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"


def main() -> None:
    """Measure what is lacking, and write both files after every split."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", default=",".join(dict.fromkeys(n.split(",")[0] for n in TASKS)))
    parser.add_argument("--splits", type=int, default=MOST_SPLITS)
    given = parser.parse_args()
    there = given.out.is_file()
    lines = json.loads(given.out.read_text(encoding="utf-8"))["splits"] if there else []
    warnings.simplefilter("ignore")
    for name, task_of in TASKS.items():
        if name.split(",")[0] not in given.only.split(","):
            continue
        cnn, large = name in (*IMAGES, "signals"), name.split(",")[0] in LARGE
        most = CNN_SPLITS if cnn else LARGE_SPLITS if large else MOST_SPLITS
        for seed in range(min(most, given.splits)):
            if any((line["data"], line["seed"]) == (name, seed) for line in lines):
                continue
            lines.append({"data": name, "seed": seed, **one_split(task_of(given.data, seed))})
            print(json.dumps(lines[-1]), flush=True)
            written(lines, given.out)
    written(lines, given.out)


def written(lines: Sequence[Mapping[str, Any]], out: Path) -> None:
    """Write the result and its table."""
    ordered = [one for own in by_data(lines).values() for one in own]
    told = {"summary": summary(ordered), "splits": ordered}
    write_file(out, (json.dumps(told, indent=1) + "\n").encode())
    write_file(out.with_suffix(".md"), ("\n".join(markdown(ordered)) + "\n").encode())


if __name__ == "__main__":
    main()
