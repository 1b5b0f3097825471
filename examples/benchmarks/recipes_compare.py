"""Every recipe of images on digits, Fashion-MNIST and CIFAR-10, each for the same idle seconds.

    python examples/benchmarks/recipes_compare.py run --data DIR --work DIR [--only digits,fashion]
        [--recipes anchored,dcgan] [--seeds 0,1]
    python examples/benchmarks/recipes_compare.py table
    python examples/benchmarks/recipes_compare.py picture --data DIR --work DIR

Ten classes, three of them of 30 rows, the others of 100 (digits) or 300; a seed is that of the
draw, of the fit and of the classifier. A fit has the steps that 30 s (digits) or 120 s of one idle
thread buy by `step_costs.json`, so that other work changes nothing. No sample is refused (selection
is off). Measured on rows that no fit saw: `images_protocol.py` says what agreement, spread, near
and told apart are; Frechet distance and kernel distance in the features of its judge, and the
Inception score by its classes, of as many samples of each class as there are test rows; a small
CNN's figures with the rows on top, half of what is added to parity, as against repeats and as
against nothing. The score is the library's held-out one, by which it keeps a generator. The arm
`choose` is the recipe that `gan-augment choose` names within five times the seconds of a fit, and
`choose others` what it names where `anchored` is left out; their lines are those of the recipes.
A recipe with other D steps (`hinge-sn/1`) has as many more or fewer steps as keep the steps of both
networks together the same. `many` is Fashion-MNIST with 200 rows in the three classes and 500 in
the others. Recipes whose samples start from one row are in `translation.py`.

A line of the journal is a fit; samples are kept under --work. Two processes with the same words
share the work: each takes what no other has, and a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from images_protocol import (
    CONFIRMED,
    RARE_ROWS,
    Judge,
    Pixels,
    Task,
    cifar,
    classified,
    fashion,
    looked_at,
    told_apart,
    training_set,
)
from images_rivals import Journal
from numpy.typing import NDArray
from scipy.special import rel_entr
from step_costs import RESULT as COSTS
from step_costs import steps_within

from gan_augment import ImageGAN
from gan_augment.commands.choose import choose
from gan_augment.errors import DivergedError
from gan_augment.kinds.image import IMAGE
from gan_augment.machine import compute_config
from gan_augment.metrics import kernel_distance
from gan_augment.options import FitOptions
from gan_augment.recipes import AUTO, CANDIDATES, RECIPES
from gan_augment.storage.files import write_file

HERE = Path(__file__).parent
BASELINES = ("none", "repeats")
CHOOSE, OTHERS, CHOICES = "choose", "choose others", 5.0  # times the seconds of a fit
COMPARED = tuple(name for name, one in RECIPES["image"].items() if not one.generator.from_rows)
UPDATES, DRAWN, SHARE, SHOWN = 700, 500, 0.5, 4
MEASURES = (
    "score",
    "agreement_rare",
    "agreement_common",
    "spread",
    "near",
    "told_apart",
    "frechet",
    "kernel",
    "inception",
)
HEADS = ("rare recall", "balanced accuracy", "rare recall, corrected", "accuracy, corrected")
CLASSIFIED = (
    "rare_recall",
    "balanced_accuracy",
    "corrected_rare_recall",
    "corrected_balanced_accuracy",
)


def digits(folder: Path, seed: int) -> Task:
    """The 1,797 digits of scikit-learn, 8x8: three classes of 30 rows, seven of 100."""
    from sklearn.datasets import load_digits

    found, rng, rare = load_digits(), np.random.default_rng(seed), CONFIRMED[seed]
    pixels = np.rint(found.images * (255 / 16)).astype(np.uint8)[..., None]
    ids = np.array([f"row-{i}" for i in range(len(pixels))])
    names = tuple(str(k) for k in range(10))
    rows = IMAGE.of(pixels, found.target.astype(np.int64), ids, None, names)
    train = [
        rng.permutation(np.flatnonzero(rows.labels == k))[: RARE_ROWS if k in rare else 100]
        for k in range(10)
    ]
    seen = np.concatenate(train)
    unseen = rows.take(np.setdiff1d(np.arange(len(pixels)), seen))
    return Task("digits", seed, rows.take(seen), unseen, unseen, rare)


@dataclass(frozen=True)
class Set:
    """draw(folder, seed): its rows. shape: a key of `step_costs.json`. budget_s: of each fit."""

    draw: Callable[[Path, int], Task]
    shape: str
    budget_s: float


SETS = {
    "digits": Set(digits, "8x8x1", 30.0),
    "fashion": Set(functools.partial(fashion, others=300), "28x28x1", 120.0),
    "cifar": Set(functools.partial(cifar, others=300), "32x32x3", 120.0),
    "many": Set(functools.partial(fashion, others=500, rare_rows=200), "28x28x1", 120.0),
}


@functools.lru_cache(1)
def drawn_task(which: str, seed: int, folder: Path) -> tuple[Task, Callable[[], Judge]]:
    """The rows of a draw, and the judge of its unseen ones, trained where it is asked for."""
    task = SETS[which].draw(folder, seed)
    return task, functools.cache(functools.partial(Judge.of, task))


def samples_of(which: str, recipe: str, seed: int, folder: Path, task: Task) -> dict[str, Any]:
    """What a fit says of itself, and `samples`, {class: pixels}; from --work if it was made."""
    kept = folder / f"{which}-{recipe.replace('/', '-')}-{seed}.npz"
    if not kept.is_file():
        costs = json.loads(COSTS.read_text())[SETS[which].shape]
        name, _, d_steps = recipe.partition("/")
        named = RECIPES["image"][name]
        steps = steps_within(named, costs["recipes"][name], SETS[which].budget_s)
        if d_steps:
            steps = steps * (1 + named.d_steps) // (1 + int(d_steps))
            named = named.model_copy(update={"d_steps": int(d_steps)})
        precision = compute_config("cpu", "auto", 1).precision  # the processor's, for time alone
        facts: dict[str, Any] = {"steps": steps, "precision": precision}
        settings = {"device": "cpu", "threads": 1, "selection": False, "advise": False}
        watch, began_s = Scores(), time.process_time()
        gan = ImageGAN(
            recipe=named,
            steps=steps,
            precision=precision,
            classes=task.rare_names,
            random_state=seed,
            callbacks=[watch],
            **settings,
        )
        try:
            gan.fit(task.train)
        except DivergedError as error:
            facts["diverged"] = str(error).partition(":")[0]
            if not hasattr(gan, "meta_"):  # before anything was scored
                return facts | {"samples": None}
        facts |= {"kept": gan.meta_.chosen, "score": watch.best}
        facts["cpu_s"] = round(time.process_time() - began_s, 1)
        drawn = {name: gan.rows(name, 0, DRAWN).pixels for name in task.train.names}
        part = kept.with_suffix(".part.npz")
        np.savez_compressed(part, facts=json.dumps(facts), **drawn)
        part.rename(kept)
    with np.load(kept) as arrays:
        facts = json.loads(str(arrays["facts"]))
        return facts | {"samples": {name: arrays[name] for name in task.train.names}}


class Scores:
    """Hears of a run's scores; best: the least that was eligible, None without one."""

    best: float | None = None

    def on_event(self, event: Mapping[str, Any]) -> None:
        """One event of the loop."""
        if event["event"] == "score" and event["eligible"]:
            value = float(event["value"])
            self.best = value if self.best is None else min(value, self.best)


def frechet_distance(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Compute the distance of Heusel et al. 2017, eq. 6, of features (N, d) and (M, d).

    With a = A + mean and A'A the covariance, eig(S1 S2) are the squared singular values of A B'.
    """
    means = a.mean(axis=0), b.mean(axis=0)
    one, other = (
        (rows - mean) / np.sqrt(len(rows) - 1) for rows, mean in zip((a, b), means, strict=True)
    )
    overlap = np.linalg.svd(one @ other.T, compute_uv=False).sum()
    spread = (one**2).sum() + (other**2).sum() - 2 * overlap
    return max(0.0, float(((means[0] - means[1]) ** 2).sum() + spread))


def beside_real(task: Task, judge: Judge, made: Mapping[str, Pixels]) -> dict[str, float]:
    """Distances from the test rows in the judge's features, and how sure and varied its classes."""
    counts = np.bincount(task.test.labels, minlength=len(task.test.names))
    drawn = [made[name][:n] for name, n in zip(task.train.names, counts, strict=True)]
    network = judge.network
    fake = network.features(np.concatenate(drawn)).astype(np.float64)
    real = network.features(task.test.pixels).astype(np.float64)
    shares = network.probabilities_of(fake.astype(np.float32))
    return {
        "frechet": frechet_distance(real, fake),
        "kernel": kernel_distance(real, fake),
        "inception": float(np.exp(rel_entr(shares, shares.mean(axis=0)).sum(axis=1).mean())),
    }


def line_of(which: str, recipe: str, seed: int, asked: argparse.Namespace) -> dict[str, Any]:
    """One line: a fit and what is measured of it, or a classifier without generated rows."""
    task, judge_of = drawn_task(which, seed, asked.data)
    if recipe in BASELINES:
        rows = task.train if recipe == "none" else training_set(task, None, 0.0, False)
        return rounded(classified(task, rows, seed, UPDATES))
    if recipe in (CHOOSE, OTHERS):
        named = chosen(which, seed, asked, task, recipe == OTHERS)
        known = Journal(asked.journal).find(set=which, recipe=named, seed=seed)
        return {**(known or line_of(which, named, seed, asked)), "recipe": recipe, "named": named}
    facts = samples_of(which, recipe, seed, asked.work, task)
    made = facts.pop("samples")
    if made is None:
        return facts
    found = looked_at(task, judge_of(), made) | beside_real(task, judge_of(), made)
    found["told_apart"] = told_apart(task, made)
    found |= classified(task, training_set(task, made, SHARE, True), seed, UPDATES)
    return facts | rounded(found)


def chosen(which: str, seed: int, asked: argparse.Namespace, task: Task, others: bool) -> str:
    """The recipe that `choose` names for the training rows of a draw; others: without the auto."""
    rows = asked.work / f"{which}-{seed}-rows.npz"
    train = task.train
    np.savez(rows, x=train.pixels, y=train.labels, class_names=np.array(train.names))
    budget_s = CHOICES * SETS[which].budget_s
    options = FitOptions(classes=tuple(task.rare_names), budget=budget_s, seed=seed, threads=1)
    out = asked.work / f"{which}-{seed}-choice{'-others' * others}"
    usual = CANDIDATES["image"]
    named = [name for name in usual if name != AUTO] if others else usual
    return choose(rows, out, options, recipes=named, overwrite=out.exists()).winner


def rounded(found: Mapping[str, float]) -> dict[str, float]:
    """To five digits behind the point."""
    return {name: round(float(value), 5) for name, value in found.items()}


def run(asked: argparse.Namespace) -> None:
    """Every line that the journal lacks and no other process is at."""
    asked.work.mkdir(parents=True, exist_ok=True)
    for seed in (int(seed) for seed in asked.seeds.split(",")):
        for which in asked.only.split(","):
            for recipe in asked.recipes.split(","):
                about = {"set": which, "recipe": recipe, "seed": seed}
                try:
                    lock = f"{which}-{recipe.replace('/', '-')}-{seed}.lock"
                    with FileLock(asked.work / lock, timeout=0):
                        if Journal(asked.journal).find(**about) is None:
                            line = about | line_of(which, recipe, seed, asked)
                            Journal(asked.journal).add(line)
                except Timeout:
                    continue


def table(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    """The journal as Markdown."""
    out = [
        "# Every recipe of images for the same seconds",
        "",
        "Made by `recipes_compare.py`, which says what each number is and how it is measured; "
        "every fit is in `recipes_compare.jsonl`. Means over seeds ± half of their range. Steps: "
        "what the seconds of one idle thread buy. Score, Frechet and kernel distance: less is "
        "better; told apart: .5 is best; spread: 1 is that of real rows. Then, of a small CNN in "
        f"percent and in points over repeats (r) and over nothing added (n): {', '.join(HEADS)}.",
    ]
    for which, one in SETS.items():
        own = [line for line in lines if line["set"] == which]
        if not own:
            continue
        out += ["", f"## {which}, {one.budget_s:g} s a fit", ""]
        heads = ["recipe (seeds)", "steps", *(name.replace("_", " ") for name in MEASURES), *HEADS]
        out += [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
        varied = dict.fromkeys(line["recipe"] for line in own if "/" in line["recipe"])
        for recipe in (*BASELINES, *COMPARED, *sorted(varied), CHOOSE, OTHERS):
            here = [line for line in own if line["recipe"] == recipe]
            if here:
                out.append(f"| {' | '.join(_cells(recipe, here, own))} |")
    return out


def _cells(recipe: str, here: Sequence[Mapping[str, Any]], own: Sequence[Any]) -> list[str]:
    steps = [line["steps"] for line in here if "steps" in line]
    named = ", ".join(line["named"] for line in here if "named" in line)
    shown = [f"{recipe}{named and ': '}{named} ({len(here)})", f"{steps[0]:,}" if steps else ""]
    for name in MEASURES:
        values = [line[name] for line in here if line.get(name) is not None]
        shown.append(f"{mean(values):.3g}{_half_range(values, 2)}" if values else "")
    for name in CLASSIFIED:
        values = [line[name] for line in here if name in line]
        cell = f"{100 * mean(values):.1f}" if values else "diverged"
        for letter, rival in (("r", "repeats"), ("n", "none")):
            against = {line["seed"]: line[name] for line in own if line["recipe"] == rival}
            pairs = [
                line[name] - against[line["seed"]]
                for line in here
                if line["seed"] in against and name in line
            ]
            if pairs and recipe != rival:
                points = [100 * pair for pair in pairs]
                cell += f"; {letter} {mean(points):+.1f}{_half_range(points)}"
        shown.append(cell)
    return shown


def _half_range(values: Sequence[float], digits: int | None = None) -> str:
    """Half of the range, to so many digits or to a tenth, behind a ±; nothing of a single value."""
    if len(values) < 2:
        return ""
    half = (max(values) - min(values)) / 2
    return f" ± {half:.1f}" if digits is None else f" ± {half:.{digits}g}"


def picture(which: str, asked: argparse.Namespace, seed: int = 0) -> None:
    """A row a recipe, four samples of each rare class; real rows, which it learned from, first."""
    from PIL import Image, ImageDraw

    task, _ = drawn_task(which, seed, asked.data)
    rows = {"real rows": {n: task.train.pixels[task.train.labels == k] for k, n in _rare(task)}}
    for recipe in COMPARED:
        if (asked.work / f"{which}-{recipe}-{seed}.npz").is_file():
            rows[recipe] = samples_of(which, recipe, seed, asked.work, task)["samples"]
    if len(rows) == 1:
        raise SystemExit(f"no samples of {which}, seed {seed}, lie below {asked.work}")
    side, label_px = task.train.image_shape[0], 120
    zoom = math.ceil(32 / side)
    cell = zoom * side + 2
    image = Image.new("RGB", (label_px + len(task.rare) * (SHOWN * cell + 8), cell * len(rows)))
    image.paste("white", (0, 0, *image.size))
    for down, (name, pixels) in enumerate(rows.items()):
        ImageDraw.Draw(image).text((4, down * cell + cell // 2 - 6), name, fill=0)
        for at, (_, rare) in enumerate(_rare(task)):
            for i, one in enumerate(pixels[rare][:SHOWN]):
                left = label_px + at * (SHOWN * cell + 8) + i * cell
                shown = Image.fromarray(one.squeeze()).resize((cell - 2, cell - 2), 0)
                image.paste(shown, (left, down * cell))
    image.save(HERE / f"recipes_compare_{which}.png", optimize=True)


def _rare(task: Task) -> list[tuple[int, str]]:
    return list(zip(task.rare, task.rare_names, strict=True))


def main() -> None:
    """Run what is lacking, or write the tables, or the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["run", "table", "picture"])
    parser.add_argument("--data", type=Path, help="folder of the .npz files")
    parser.add_argument("--work", type=Path, help="folder of samples, outside of git")
    parser.add_argument("--journal", type=Path, default=HERE / "recipes_compare.jsonl")
    parser.add_argument("--only", default="digits,fashion,cifar")
    parser.add_argument("--recipes", default=",".join([*BASELINES, *COMPARED, CHOOSE]))
    parser.add_argument("--seeds", default="0,1")
    asked = parser.parse_args()
    if asked.what == "table":
        text = "\n".join(table(Journal(asked.journal).lines)) + "\n"
        write_file(HERE / "recipes_compare.md", text.encode())
    elif asked.work is None or asked.data is None:
        parser.error(f"{asked.what} needs --data and --work")
    elif asked.what == "picture":
        for which in asked.only.split(","):
            picture(which, asked)
    else:
        run(asked)


if __name__ == "__main__":
    main()
