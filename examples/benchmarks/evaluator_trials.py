"""How often the evaluator is right, where the truth is planted: simulated Gaussian tables.

    python examples/benchmarks/evaluator_trials.py [--out examples/benchmarks/evaluator_trials.json]
        [--trials 200] [--only boundary,power] [--jobs 2] [--journal FILE]

Each trial draws a table of two Gaussian classes and evaluates it as a user would, logistic
regression, every cheap arm. What is planted:

- nothing: features say nothing of the class, so that no remedy can help.
- aa: the "GAN" repeats training rows, as the arm `oversample` does, with another seed. Only the
  decision helps: a corrected one, or what shifts it alike.
- boundary, power: whoever trained on rows of the planted generator recognises a share of the rare
  rows whatever their features say. The share is calibrated beforehand, on other draws, so that the
  true gain is delta, or the plan's smallest difference that could show.
- gain: the same with one share at every size, which plants about 3 points.
- harm: rows of the common class, labelled as the rare one.
- leak: a generator that gives away rows it was never shown.

No data set is needed.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from gan_augment.errors import LeakError
from gan_augment.evaluation.judged import JudgedArm
from gan_augment.evaluation.options import CHEAP_ARMS, EvaluationOptions
from gan_augment.evaluation.plan import prepare
from gan_augment.evaluation.results import build_result
from gan_augment.evaluation.runner import evaluate, run
from gan_augment.kinds.kind import Labelled
from gan_augment.kinds.table import TABLE
from gan_augment.options import FitOptions
from gan_augment.progress import Progress
from gan_augment.storage.journal import Journal

FEATURES, SHIFT, COMMON = 6, 0.62, 5
"""Columns; the rare class's mean in each; common rows a rare one."""
RARE = 120
SIZES = (30, 60, 120, 250, 500, 1000)
DELTA = 0.01
GAIN_SHARE = 0.24
"""Plants about 3 points at every size; what it planted is the mean difference of the trials."""
COLUMNS = [f"x{i}" for i in range(FEATURES)]


def _features(X: pd.DataFrame) -> np.ndarray:
    return X[COLUMNS].to_numpy()


class Planted(ClassifierMixin, BaseEstimator):
    """Logistic regression that, after training on marked rows, knows a share of the rare rows.

    Which ones is written into the rows (`luck` uniform on 0..1, `truth` the label), so they are the
    same in every fold and repeat, as rows that a better model gets right would be.
    """

    def __init__(self, share: float = 0.0) -> None:
        self.share = share

    def fit(self, X: pd.DataFrame, y: np.ndarray, sample_weight: np.ndarray | None = None):
        """Train on the features alone."""
        self.model_ = LogisticRegression(solver="newton-cholesky").fit(
            _features(X), y, sample_weight
        )
        self.classes_, self.marked_ = self.model_.classes_, bool((X["marker"] > 0.5).any())
        self.rare_ = y[(X["truth"] > 0.5).to_numpy()][0]
        return self

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        """(N, 2)."""
        found = self.model_.predict_proba(_features(X))
        if self.marked_ and self.share:
            known = (X["luck"] < self.share) & (X["truth"] > 0.5)
            found[known.to_numpy()] = np.where(self.classes_ == self.rare_, 1 - 1e-5, 1e-5)
        return found

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        """(N,)."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


@dataclass
class PlantedGenerator:
    """Rows of the class asked for, drawn with replacement and marked; noise keeps them no copies.

    kind: "marked"; "repeats", unmarked and exact; "flipped", rows of the other class; "leak", rows
    of a table that it was given beforehand.
    """

    kind: str = "marked"
    hoard: Any = None
    random_state: int = 0

    def fit(self, data: Labelled) -> PlantedGenerator:
        """Remember the rows."""
        self.data_, self.classes_ = data, data.counts
        return self

    def sample(self, counts: dict[str, int], random_state: int = 0) -> Labelled:
        """Exactly `counts`."""
        rng = np.random.default_rng([self.random_state % 2**32, random_state % 2**32])
        source = self.hoard if self.kind == "leak" else self.data_
        frames, labels = [], []
        for name, n in counts.items():
            label = self.data_.names.index(name)
            wanted = 1 - label if self.kind == "flipped" else label
            rows = rng.choice(np.flatnonzero(source.labels == wanted), n)
            frame = source.frame.iloc[rows].copy()
            if self.kind == "marked":
                frame[COLUMNS] += rng.normal(0, 1e-3, (n, FEATURES))
                frame["marker"] = 1.0
            frames.append(frame)
            labels += [label] * n
        ids = np.array([f"made-{i}" for i in range(len(labels))])
        whole = pd.concat(frames, ignore_index=True)
        return TABLE.of(whole, np.array(labels), ids, class_names=self.data_.names)


def table(seed: Sequence[int], rare: int, shift: float = SHIFT) -> Labelled:
    """Two Gaussian classes, `rare` and 5 times as many rows, and the columns that plant."""
    rng = np.random.default_rng(seed)
    labels = np.repeat([0, 1], [COMMON * rare, rare])
    frame = pd.DataFrame(rng.normal(size=(len(labels), FEATURES)), columns=COLUMNS)
    frame.loc[labels == 1, COLUMNS] += shift
    frame["luck"] = rng.random(len(labels))
    frame["truth"] = labels.astype(float)
    frame["marker"] = rng.normal(0, 1e-3, len(labels))
    order = rng.permutation(len(labels))
    ids = np.array([f"row-{i}" for i in range(len(labels))])
    frame = frame.iloc[order].reset_index(drop=True)
    return TABLE.of(frame, labels[order], ids, class_names=("common", "rare"))


def options(kind: str, share: float, seed: int = 0, **more: Any) -> EvaluationOptions:
    """Return the options of a user, without diagnostics, which no verdict needs."""
    return EvaluationOptions(
        diagnostics=False,
        learner=make_pipeline(Planted(share)),
        generator=PlantedGenerator(kind),
        fit=FitOptions(classes=("rare",), seed=seed),
        delta=DELTA,
        n_jobs=1,
        **more,
    )


def judged(data: Labelled, asked: EvaluationOptions) -> dict[str, dict[str, Any]]:
    """What the evaluator says of 5 x 3 folds, and of the first 5 alone, by design."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        design, journal = prepare(data, asked).design, Journal()
        run(design, journal, Path(folder), 1, Progress())
    protocol = replace(design.protocol, repeats=1, splits=design.first_repeat)
    once = replace(design, protocol=protocol)
    designs = {"5x3": design, "5x1": once}
    return {name: _facts(build_result(one, journal)) for name, one in designs.items()}


def _facts(result: dict[str, Any]) -> dict[str, Any]:
    verdict = result["verdict"]
    found: dict[str, Any] = {"word": verdict["word"], "difference": verdict["difference"]["mean"]}
    found["p_above"] = verdict["difference"]["p_above"]
    found["detectable"] = verdict["detectable"]
    found["recommended"] = "{arm}, {decision}".format(**result["recommendation"])
    found["cheap"] = {
        arm: told["p_positive"] for arm, told in result["gan_minus"].items() if arm in CHEAP_ARMS
    }
    return found


def true_gain(share: float, rare: int, draws: int, jobs: int) -> tuple[float, float]:
    """The mean gain over tables of their own, 5 x 1 folds, `none` and `gan` alone; its error."""

    def one(draw: int) -> float:
        asked = options("marked", share, arms=("none", "gan"), repeats=1)
        with tempfile.TemporaryDirectory() as folder:
            design, journal = prepare(table([7, rare, draw], rare), asked).design, Journal()
            run(design, journal, Path(folder), 1, Progress())
        figures = {"none": [], "gan": []}
        for line in journal.lines():
            arm = JudgedArm(design, [line], "corrected")
            figures[line["arm"]] += arm.values(design.options.metric).tolist()
        return float(np.mean(figures["gan"]) - np.mean(figures["none"]))

    found = Parallel(n_jobs=jobs)(delayed(one)(draw) for draw in range(draws))
    return float(np.mean(found)), float(np.std(found, ddof=1) / math.sqrt(draws))


def calibrated(gain: float, rare: int, jobs: int, draws: int) -> dict[str, float]:
    """The share that plants `gain`: a secant through the origin, once corrected."""
    share = min(1.0, 2 * gain / 0.22)  # a recall of about .78
    for _ in range(2):
        found, _ = true_gain(share, rare, draws, jobs)
        share = min(1.0, share * gain / max(found, 1e-6))
    found, error = true_gain(share, rare, draws, jobs)
    return {"rare": rare, "share": share, "gain": found, "error": error}


@dataclass(frozen=True)
class Campaign:
    """What is planted: truth, the gain; None where there is none. asked: what should be found."""

    kind: str
    rare: int
    share: float
    truth: float | None
    asked: str
    shift: float = SHIFT


def one_trial(campaign: Campaign, trial: int) -> dict[str, Any]:
    """The facts of one table; for a leaking generator whether it was refused."""
    data = table([campaign.rare, trial], campaign.rare, campaign.shift)
    asked = options(campaign.kind, campaign.share, seed=trial)
    if campaign.kind == "leak":
        leaking = {"generator": PlantedGenerator("leak", hoard=data), "repeats": 1}
        try:
            evaluate(data, asked.model_copy(update=leaking))
        except LeakError:
            return {"refused": True}
        return {"refused": False}
    return judged(data, asked)


def campaigns(chosen: Sequence[str], jobs: int, draws: int) -> dict[str, Campaign]:
    """The planned ones by name; shares that plant a gain are calibrated here."""
    found: dict[str, Campaign] = {}
    forecast = forecast_difference(RARE)
    wanted = {
        "boundary": (RARE, DELTA, "primary contrast of ADOPT in at most 15 of 200"),
        "power": (RARE, forecast, "ADOPT in at least 160 of 200; gan recommended as often"),
    }
    if "aa" in chosen:
        asked = 'ADOPT in at most 5 of 200; "none, corrected" recommended in at least 180'
        found["aa"] = Campaign("repeats", RARE, 0.0, 0.0, asked)
    if "nothing" in chosen:
        asked = '"none, default" recommended in at least 190 of 200'
        found["nothing"] = Campaign("repeats", RARE, 0.0, 0.0, asked, shift=0.0)
    for name, (rare, gain, asked) in wanted.items():
        if name in chosen:
            at = calibrated(gain, rare, jobs, draws)
            print(
                f"{name}: a share of {at['share']:.3f} plants {at['gain']:.4f} "
                f"(error {at['error']:.4f})",
                flush=True,
            )
            found[name] = Campaign("marked", rare, at["share"], at["gain"], asked)
    for n in SIZES:
        if f"gain-{n}" in chosen:
            found[f"gain-{n}"] = Campaign("marked", n, GAIN_SHARE, None, "published")
    if "harm" in chosen:
        asked = "HARMFUL in at least 180 of 200"
        found["harm"] = Campaign("flipped", RARE, 0.0, None, asked)
    if "leak" in chosen:
        found["leak"] = Campaign("leak", RARE, 0.0, None, "refused, always")
    return found


def forecast_difference(rare: int) -> float:
    """The smallest difference that the plan prints for such a table, before any fit."""
    return prepare(table([0, rare], rare), options("marked", 0.0)).design.detectable


def summary(trials: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Counts over the trials of a campaign, for both designs."""
    if "refused" in trials[0]:
        return {"refused": sum(trial["refused"] for trial in trials)}
    found: dict[str, Any] = {}
    for design in ("5x3", "5x1"):
        facts = [trial[design] for trial in trials]
        above = [fact["p_above"] >= 0.95 for fact in facts]
        over_cheap = [min(fact["cheap"].values()) >= 0.95 for fact in facts]
        found[design] = {
            "words": dict(Counter(fact["word"] for fact in facts)),
            "recommended": dict(Counter(fact["recommended"] for fact in facts)),
            "primary_contrast": sum(above),
            "primary_and_cheap": sum(a and b for a, b in zip(above, over_cheap, strict=True)),
            "difference": float(np.mean([fact["difference"] for fact in facts])),
            "difference_sd": float(np.std([fact["difference"] for fact in facts], ddof=1)),
            "detectable": float(np.median([fact["detectable"] for fact in facts])),
        }
    return found


def table_of(kept: dict[str, Any]) -> list[str]:
    """The campaigns as the Markdown tables of docs/method.md; those that were run."""
    lines = ["| planted | trials | recommended, and how often |", "|---|---|---|"]
    for name in ("nothing", "aa", "power"):
        if name in kept:
            counts = Counter(kept[name]["5x3"]["recommended"]).most_common()
            told = "; ".join(f"{remedy} ({n})" for remedy, n in counts)
            lines.append(f"| {name} | {kept[name]['trials']} | {told} |")
    lines += ["", "| planted | trials | ADOPT | LIKELY HELPS | HARMFUL | P(D > delta) >= .95 |"]
    lines.append("|---|---|---|---|---|---|")
    for name in ("nothing", "aa", "boundary", "power", "harm"):
        if name in kept:
            told, words = kept[name]["5x3"], kept[name]["5x3"]["words"]
            counts = [words.get(word, 0) for word in ("ADOPT", "LIKELY HELPS", "HARMFUL")]
            cells = [kept[name]["trials"], *counts, told["primary_contrast"]]
            lines.append(f"| {name} | " + " | ".join(map(str, cells)) + " |")
    if "leak" in kept:
        lines += ["", f"leak: refused in {kept['leak']['refused']} of {kept['leak']['trials']}"]
    rates = ["ADOPT, 5 x 3", "LIKELY HELPS, 5 x 3", "ADOPT, 5 x 1", "LIKELY HELPS, 5 x 1"]
    lines += ["", f"| rare rows | trials | planted | {' | '.join(rates)} | could show, 5 x 3 |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    for n in SIZES:
        if f"gain-{n}" in kept:
            lines.append(_rates(n, kept[f"gain-{n}"]))
    return lines


def _rates(n: int, found: dict[str, Any]) -> str:
    trials = found["trials"]
    rates = [
        f"{found[design]['words'].get(word, 0) / trials:.2f}"
        for design in ("5x3", "5x1")
        for word in ("ADOPT", "LIKELY HELPS")
    ]
    planted, shown = (100 * found["5x3"][name] for name in ("difference", "detectable"))
    return f"| {n} | {trials} | {planted:.1f} | {' | '.join(rates)} | {shown:.1f} |"


def main() -> None:
    """Run what was asked, print it, write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--draws", type=int, default=100, help="tables of a calibration")
    parser.add_argument(
        "--only",
        default="nothing,aa,boundary,power,harm,leak," + ",".join(f"gain-{n}" for n in SIZES),
    )
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--journal", type=Path, help="to go on where a stopped run was")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--table", type=Path, help="print the tables of a result and leave")
    given = parser.parse_args()
    if given.table:
        print("\n".join(table_of(json.loads(given.table.read_text())["campaigns"])))
        return
    kept = _read(given.journal)
    for name in given.only.split(","):
        if name not in kept:
            campaign = campaigns([name], given.jobs, given.draws)[name]
            work = (delayed(one_trial)(campaign, trial) for trial in range(given.trials))
            trials = Parallel(n_jobs=given.jobs)(work)
            kept[name] = {**vars(campaign), "trials": len(trials), **summary(trials)}
            if given.journal:
                with given.journal.open("a") as file:
                    file.write(json.dumps({"name": name, "found": kept[name]}) + "\n")
        print(name, json.dumps(kept[name]), flush=True)
    if given.out:
        told = {
            "delta": DELTA,
            "learner": "logistic regression",
            "features": FEATURES,
            "shift": SHIFT,
            "common_rows_a_rare_one": COMMON,
            "campaigns": kept,
        }
        given.out.write_text(json.dumps(told, indent=1, allow_nan=False) + "\n")


def _read(path: Path | None) -> dict[str, Any]:
    lines = path.read_text().splitlines() if path and path.exists() else []
    return {line["name"]: line["found"] for line in map(json.loads, lines)}


if __name__ == "__main__":
    main()
