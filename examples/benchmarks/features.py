"""What rows are worth in the feature space of a frozen network, against what costs nothing.

    python examples/benchmarks/features.py run --data DIR --backbone FILE [--only TASK,...]
    python examples/benchmarks/features.py table

Four sets of small pictures, five splits each (`draw`), as features of EfficientNet-Lite0 (`SIZES`
px a side); two heads, those of `evaluate --backbone`. Arms as the evaluator makes them: nothing
added, class weights, repeats (the size-matched null), SMOTE (k = 5) and Gaussian borrow to parity,
and ours, the recipe `features` to parity in the default shares. Beside them the small CNN from
scratch on the same rows. Read at the head's own decision and at the one corrected for the class
shares trained on.

`--screen` chooses the recipe's constants on splits of their own (`SCREENED`), CIFAR-10 on training
rows that the split leaves out. A line of the journal is one classifier; a run that was stopped goes
on. `table` writes `features.md`: the best cheap arm of a task and head is that of the highest
corrected balanced accuracy, mean over splits, and an interval is t over the five splits.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from images_figures import compared
from images_protocol import (
    RARE_ROWS,
    Task,
    blood_cells,
    by_groups,
    cifar,
    classified,
    magnetic_tiles,
    read,
)
from images_protocol import figures as figures_of
from images_rivals import FIGURES, Journal

from gan_augment import FrozenFeatures, TabularGAN
from gan_augment.commands.embed import embedded
from gan_augment.data.tables.inference import infer_schema
from gan_augment.data.topup_plan import plan_topup
from gan_augment.evaluation.learners import Training, feature_head, learner_of
from gan_augment.generators.baselines import Repeats, Smote
from gan_augment.generators.generator import added_rows, with_added
from gan_augment.kinds.kind import Labelled
from gan_augment.options import TopUp
from gan_augment.progress import Progress
from gan_augment.recipes import RECIPES, Recipe
from gan_augment.storage.files import write_file

HERE = Path(__file__).parent
SIZES = {"magnetic_tile_64": 128, "cifar10_dev": 64, "gtsrb_dev_32": 64, "blood_cells_32": 64}
SEEDS, SCREENED = (0, 1, 2, 3, 4), (100, 101)
CIFAR_RARE = ((1, 3, 5), (0, 2, 8), (4, 6, 7), (1, 2, 9), (0, 3, 8))
SIGNS_RARE = (1, 2, 5)
HEADS = ("logistic", "mlp")
CHEAP = ("none", "weights", "repeats", "smote", "gaussian_borrow")
CORRECTED = "corrected_balanced_accuracy"
OURS, UPDATES, CNN_METHOD = "gan", 700, "balanced_softmax"
SCREEN = {f"borrowed={b:g}, reach={r:g}": (b, r) for b in (0.0, 0.5) for r in (0.5, 1.0)}
Line = dict[str, Any]


def draw(folder: Path, name: str, seed: int) -> Task:
    """Rows to learn from and to test on; rare classes of 30 rows but for the tiles, as they are."""
    if name == "magnetic_tile_64":
        return magnetic_tiles(folder, seed, side=64)
    if name == "blood_cells_32":
        return blood_cells(folder, seed)
    if name == "gtsrb_dev_32":
        return by_groups(folder, name, seed, SIGNS_RARE, RARE_ROWS)
    task = cifar(folder, seed, rare=CIFAR_RARE[seed % len(CIFAR_RARE)])
    return task if seed in SEEDS else _left_out(task, read(folder / "cifar10_dev.npz"))


def _left_out(task: Task, images: Labelled) -> Task:
    """A task without its test rows: training rows that it leaves out take their place."""
    rng, kept = np.random.default_rng(task.seed), np.ones(len(task.train), dtype=bool)
    for label in set(range(len(task.train.names))) - set(task.rare):
        kept[rng.permutation(np.flatnonzero(task.train.labels == label))[:100]] = False
    train = task.train.take(np.flatnonzero(kept))
    used = np.concatenate([train.ids, task.test.ids])
    rest = images.take(np.flatnonzero(~np.isin(images.ids, used)))
    return replace(task, train=train, unseen=rest, test=rest)


@dataclass(frozen=True)
class Features:
    """A task as features: what its heads are trained on and tested on."""

    task: Task
    train: Labelled
    test: Labelled

    @classmethod
    def of(cls, task: Task, backbone: Path) -> Features:
        """Compute the features of each image once, for all splits."""
        network = FrozenFeatures(backbone, image_size=SIZES[task.name], precision="float32").fit()
        rows = (embedded(images, network, Progress()) for images in (task.train, task.test))
        return cls(task, *rows)

    @cached_property
    def schema(self) -> Any:
        """What the columns are, by the training rows."""
        return infer_schema(self.train.frame)

    @cached_property
    def learners(self) -> dict[str, Any]:
        """The heads of `evaluate --backbone`."""
        return {head: learner_of(feature_head(head), self.train) for head in HEADS}

    def training(self, arm: str, recipe: Recipe) -> Training:
        """The rows of an arm, made as the evaluator makes them."""
        if arm in ("none", "weights"):
            return Training(self.train, self.train, balanced=arm == "weights")
        seed, rare = self.task.seed, [n for n in self.task.rare_names if self.train.counts[n]]

        share = {"repeats": 0.0, "smote": 1.0}.get(arm, "auto")
        plan = plan_topup(
            self.train.counts, TopUp(synthetic_share=share, companions=False), rare, "table"
        )
        generator: Any
        if arm == "repeats":
            generator = Repeats().fit(self.train)
        elif arm == "smote":
            neighbours = min(5, min(self.train.counts[name] for name in rare) - 1)
            generator = Smote(neighbours).fit(self.train, schema=self.schema)
        else:
            gan = TabularGAN(recipe=recipe, classes=rare, device="cpu", threads=1)
            generator = replace(gan, random_state=seed).fit(self.train, schema=self.schema)
        added = added_rows(self.train, plan, generator, seed, schema=self.schema)
        return Training(self.train, with_added(self.train, added))

    def judged(self, training: Training, head: str) -> dict[str, float]:
        """A head's recalls on the test rows, 0..1; corrected_*: with log shares subtracted."""
        scores = self.learners[head].fit(training, self.task.seed).scores(self.test)
        counts = np.bincount(training.data.labels, minlength=len(self.train.names))
        shares = np.maximum(counts / counts.sum(), 1e-9)
        logits = np.log(np.maximum(scores.values, 1e-12))
        corrected = logits if training.balanced else logits - np.log(shares)
        own, fair = figures_of(self.task, logits), figures_of(self.task, corrected)
        return own | {f"corrected_{figure}": value for figure, value in fair.items()}


def run(options: argparse.Namespace) -> None:
    """Every classifier that the journal lacks."""
    journal = Journal(options.journal)
    arms: dict[str, Recipe] = dict.fromkeys((*CHEAP, OURS), RECIPES["table"]["features"])
    if options.screen:
        arms = {
            "none": arms["none"],
            "repeats": arms["none"],
            "gaussian": RECIPES["table"]["gaussian"],
        }
        arms |= {name: recipe_with(*values) for name, values in SCREEN.items()}
    for name in options.only.split(","):
        for seed in SCREENED if options.screen else SEEDS:
            about = {"task": name, "seed": seed}
            task = draw(options.data, name, seed)
            found = cells(task, arms, options, journal, about)
            for line in found:
                journal.add(line)


def recipe_with(borrowed: float, reach: float) -> Recipe:
    """The recipe with other constants."""
    recipe = RECIPES["table"]["features"]
    settings = {"borrowed": borrowed, "reach": reach}
    return recipe.model_copy(update={"generator": recipe.generator.model_copy(update=settings)})


def cells(
    task: Task,
    arms: Mapping[str, Recipe],
    options: argparse.Namespace,
    journal: Journal,
    about: Line,
) -> Iterator[Line]:
    """The lines of a split, as they are known."""
    features = None
    for arm, recipe in arms.items():
        lacking = [
            head
            for head in options.heads.split(",")
            if head in HEADS and journal.find(**about, arm=arm, head=head) is None
        ]
        if not lacking:
            continue
        features = features or Features.of(task, options.backbone)
        began_s = time.process_time()
        training = features.training(arm, recipe)
        made_s = time.process_time() - began_s
        for head in lacking:
            found = _rounded(features.judged(training, head))
            yield {**about, "arm": arm, "head": head, "made_cpu_s": round(made_s, 1), **found}
    if "cnn" in options.heads and journal.find(**about, head="cnn") is None:
        found = classified(task, task.train, task.seed, UPDATES, CNN_METHOD)
        yield {**about, "arm": CNN_METHOD, "head": "cnn", **_rounded(found)}


def _rounded(found: Mapping[str, float]) -> dict[str, float]:
    return {figure: round(value, 5) for figure, value in found.items()}


HEAD = """# Rows in the feature space of a frozen network

Made by `features.py`; every classifier is a line of `features.jsonl`. Rare recall / balanced
accuracy / accuracy in percent on real rows that nothing saw, means over the splits. Corrected:
scores minus the log of the class shares trained on. In bold the best cheap arm of a head by
corrected balanced accuracy. Then points of corrected balanced accuracy over that arm and over
repeats (the size-matched null), with the 95 % t interval over the splits. `gan` is the recipe
`features` to parity, half of the added rows generated and half repeated."""


def lines_of(lines: Sequence[Line]) -> list[str]:
    """The figures as Markdown."""
    out = [HEAD, "", *_overview(lines)]
    for task in dict.fromkeys(line["task"] for line in lines):
        out += ["", f"## {task}, features at {SIZES[task]} px", ""]
        out += ["| head, arm (splits) | own | corrected | minus the best cheap | minus repeats |"]
        out += ["|---|---|---|---|---|"]
        for head in (*HEADS, "cnn"):
            mine = [line for line in lines if (line["task"], line["head"]) == (task, head)]
            out += _rows(mine, head)
    return out


def _overview(lines: Sequence[Line]) -> Iterator[str]:
    """Balanced accuracy, a line a set and head: as it is, then corrected, and the CNN's."""
    arms = (*CHEAP, OURS)
    yield f"| balanced accuracy | as it is | {' | '.join(arms)} | gan minus the best cheap | CNN |"
    yield f"|{'---|' * (len(arms) + 4)}"
    for task in dict.fromkeys(line["task"] for line in lines):
        of = {head: [o for o in lines if (o["task"], o["head"]) == (task, head)] for head in HEADS}
        cnn = [line for line in lines if (line["task"], line["head"]) == (task, "cnn")]
        network = f"{100 * _mean(cnn, CNN_METHOD, CORRECTED):.1f}" if cnn else ""
        for head, mine in of.items():
            if len({sum(line["arm"] == arm for line in mine) for arm in arms}) > 1 or not mine:
                continue  # of a run that has not ended
            levels = [_mean(mine, "none", "balanced_accuracy")]
            levels += [_mean(mine, arm, CORRECTED) for arm in arms]
            shown = [f"{100 * level:.1f}" for level in levels]
            gain = _gain(mine, OURS, _best(mine))
            yield f"| {task}, {head} | {' | '.join(shown)} | {gain} | {network} |"


def _best(lines: Sequence[Line]) -> str | None:
    known = [arm for arm in CHEAP if any(line["arm"] == arm for line in lines)]
    return max(known, key=lambda arm: _mean(lines, arm, CORRECTED), default=None)


def _rows(lines: Sequence[Line], head: str) -> Iterator[str]:
    arms, best = list(dict.fromkeys(line["arm"] for line in lines)), _best(lines)
    for arm in arms:
        n = sum(line["arm"] == arm for line in lines)
        shown = f"{head}, " + (f"**{arm}**" if arm == best else arm) + f" ({n})"
        levels = (
            " / ".join(f"{100 * _mean(lines, arm, prefix + f):.1f}" for f in FIGURES)
            for prefix in ("", "corrected_")
        )
        gains = (_gain(lines, arm, rival) for rival in (best, "repeats"))
        yield f"| {' | '.join([shown, *levels, *gains])} |"


def _mean(lines: Sequence[Line], arm: str, figure: str) -> float:
    return mean(line[figure] for line in lines if line["arm"] == arm)


def _gain(lines: Sequence[Line], arm: str, rival: str | None) -> str:
    """Points of corrected balanced accuracy over a rival, split by split, with the interval."""
    of = {
        one: {line["seed"]: line[CORRECTED] for line in lines if line["arm"] == one}
        for one in (arm, rival)
    }
    found = compared([[of[arm][seed] - of[rival][seed]] for seed in of[arm] if seed in of[rival]])
    if found is None or arm == rival:
        return ""
    low, high = found["interval"] or (np.nan, np.nan)
    return f"{100 * found['mean']:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"


def main() -> None:
    """Run, or write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["run", "table"])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--backbone", type=Path)
    parser.add_argument("--only", default=",".join(SIZES))
    parser.add_argument("--heads", default=",".join((*HEADS, "cnn")))
    parser.add_argument("--screen", action="store_true")
    parser.add_argument("--journal", type=Path)
    options = parser.parse_args()
    name = "features_screen" if options.screen else "features"
    options.journal = options.journal or HERE / f"{name}.jsonl"
    if options.what == "run":
        run(options)
        return
    text = "\n".join(lines_of(Journal(options.journal).lines)) + "\n"
    write_file(HERE / f"{name}.md", text.encode())
    print(text)


if __name__ == "__main__":
    main()
