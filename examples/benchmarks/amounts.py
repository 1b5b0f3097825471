"""`AugmentedClassifier(amount="auto")` on the tables of a folder, against the usual cures.

    python examples/benchmarks/amounts.py --data DIR [--out examples/benchmarks/amounts.json]
        [--tables a,b] [--seeds 3] [--first-seed 0] [--jobs 2]

DIR holds index.json and the tables it names, cut to 5,000 rows here; cells, learners and scores are
those of `tables_protocol.py`. What "auto" tries in its folds at the own decision is tried once for
all learners and metrics, by the functions that `AugmentedClassifier` calls, and chosen by each
metric for each learner. The committed results chose by the rule `by_default`; `AugmentedClassifier`
takes `the_best`, of which the table of rules has the difference. Every cell is a line of a journal
beside the result, so that a stopped run goes on where it was.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import tables_figures as figures
import tables_protocol as protocol
from tables import Journal, as_json, made_with, measure
from threadpoolctl import threadpool_limits

from gan_augment import GANAugmenter
from gan_augment.data.groups import judging_folds
from gan_augment.errors import GanAugmentError
from gan_augment.sklearn_api.augmenter import draw_seed
from gan_augment.sklearn_api.classifier import LADDER, AmountSampler

Amount = tuple[str, float]
Folds = dict[Amount, np.ndarray]
MOST_ROWS, FOLDS = 5_000, 5
NOTHING, OURS = LADDER[0], ("gan", 1.0)
ARMS = ("none", "weight", "repeats", "smote", "ours", "auto")
PLAIN_ARMS = ("none", "weight", "repeats", "smote")


def cell(data: Path, item: tuple[str, int, str]) -> list[dict]:
    """Every arm and every rung of the ladder on one table and split, and the folds of "auto"."""
    name, seed, _ = item
    began_s = time.perf_counter()
    X, y, info = protocol.load(data, name, MOST_ROWS)
    train, test = protocol.split(X, y, seed)
    with threadpool_limits(1):
        arms = {arm: protocol.run_arm(arm, train, test, info, seed) for arm in PLAIN_ARMS}
        found = _ladder(train, test, info, seed)
    record = {"table": name, "seed": seed, "arm": "cell", "arms": arms} | found
    return [record | {"cell_s": round(time.perf_counter() - began_s, 1)}]


def _ladder(train: protocol.Half, test: protocol.Half, info: protocol.TableInfo, seed: int) -> dict:
    """Score every amount in the folds of "auto", and on the test rows."""
    ours = augmenter(info, draw_seed(seed))
    labels = np.unique(train.y, return_inverse=True)[1]
    fold = judging_folds(labels, None, folds=FOLDS, seed=ours.random_state)
    began_s = time.perf_counter()
    folds: dict[str, dict[str, list[float]]] = {}
    outer, left_out = {}, {}
    for amount in LADDER:
        try:
            for k in range(FOLDS):
                seen, held = (train.take(np.flatnonzero((fold == k) == side)) for side in (0, 1))
                for figure, value in _judged(seen, held, amount, ours, info, seed).items():
                    folds.setdefault(figure, {}).setdefault(text(amount), []).append(value)
            outer[text(amount)] = _judged(train, test, amount, ours, info, seed)
        except GanAugmentError as error:
            left_out[text(amount)] = str(error)
    judge_s = round(time.perf_counter() - began_s, 1)
    return {"folds": folds, "left out": left_out, "outer": outer, "facts": {"judge_s": judge_s}}


def text(amount: Amount) -> str:
    """Name an amount."""
    source, to = amount
    return "nothing" if not to else f"{source} to {to:g}"


def augmenter(info: protocol.TableInfo, seed: int) -> GANAugmenter:
    """The default one, told only which columns are levels; one thread."""
    return GANAugmenter(categorical_features=info.categorical, random_state=seed, n_jobs=1)


def _judged(
    train: protocol.Half,
    test: protocol.Half,
    amount: Amount,
    ours: GANAugmenter,
    info: protocol.TableInfo,
    seed: int,
) -> dict[str, float]:
    """Return {"learner metric": value} of learners trained on a topped-up half."""
    X, y = AmountSampler(ours, *amount).fit_resample(train.X, train.y)
    found = protocol.evaluate(protocol.Half(X, np.asarray(y)), test, info, seed)
    return {
        f"{learner} {metric}": value
        for learner, metrics in found.items()
        for metric, value in metrics.items()
    }


def chosen(record: dict, figure: str) -> Amount:
    """What is chosen by a figure of the folds, by the rule of the committed results."""
    return by_default(folds_of(record, figure))


def folds_of(record: dict, figure: str) -> Folds:
    """{amount: its values in the folds}."""
    by_name = {text(amount): amount for amount in LADDER}
    whole = {n: v for n, v in record["folds"][figure].items() if n in record["outer"]}
    return {by_name[name]: np.array(values) for name, values in whole.items()}


def by_default(folds: Folds) -> Amount:
    """Ours to parity, unless the best is above it by one standard error, or nothing is as good.

    The standard error of a mean difference is pooled over the amounts and corrected for folds that
    share training rows (Nadeau & Bengio 2003). The committed results chose by this rule.
    """
    best, n = the_best(folds), len(folds[NOTHING])
    if OURS not in folds:
        return best
    gaps = [values - folds[OURS] for amount, values in folds.items() if amount != OURS]
    variance = np.mean([gap.var(ddof=1) for gap in gaps])
    error = np.sqrt(variance * (1 / n + 1 / (n - 1)))
    beaten = folds[best].mean() - folds[OURS].mean() > error
    return best if beaten or folds[OURS].mean() <= folds[NOTHING].mean() else OURS


def towards_less(folds: Folds) -> Amount:
    """The least amount within one standard error of the best, paired."""
    best = the_best(folds)
    gaps = {amount: folds[best] - folds[amount] for amount in LADDER if amount in folds}
    return next(a for a, d in gaps.items() if d.mean() <= d.std(ddof=1) / np.sqrt(len(d)))


def above_nothing(folds: Folds) -> Amount:
    """The best, if it is above nothing by one standard error, pooled over the amounts."""
    best = the_best(folds)
    gaps = [folds[amount] - folds[NOTHING] for amount in folds if amount != NOTHING]
    error = np.sqrt(np.mean([d.var(ddof=1) for d in gaps] or [0]) / len(folds[NOTHING]))
    return best if folds[best].mean() - folds[NOTHING].mean() > error else NOTHING


def the_best(folds: Folds) -> Amount:
    """The amount of the highest mean, the least among equals."""
    return max((a for a in LADDER if a in folds), key=lambda amount: folds[amount].mean())


RULES = {
    "the default unless beaten": by_default,
    "one standard error towards less": towards_less,
    "the best, if above nothing": above_nothing,
    "the best": the_best,
}


def rules(records: list[dict]) -> dict[str, dict[str, dict[str, float]]]:
    """{metric: {rule: points above nothing, above parity}}, on training rows alone.

    Each rule chooses by all folds but one and is judged on that one, in turns; means over cells,
    learners and folds.
    """
    points: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for record in records:
        for figure in record["folds"]:
            folds = folds_of(record, figure)
            judged = np.isfinite(list(folds.values())).all(axis=0)
            for left in np.flatnonzero(judged):
                others = judged & (np.arange(len(judged)) != left)
                if others.sum() < 2:
                    continue
                rest = {amount: values[others] for amount, values in folds.items()}
                at = {amount: values[left] for amount, values in folds.items()}
                for name, rule in RULES.items():
                    taken = at[rule(rest)]
                    gains = taken - at[NOTHING], taken - at.get(OURS, at[NOTHING])
                    slot = points.setdefault(figure.split()[1], {}).setdefault(name, [])
                    slot.append(gains)
    return {
        metric: {
            name: dict(
                zip(
                    ("above nothing", "above ours at parity"),
                    np.round(100 * np.mean(gains, axis=0), 2).tolist(),
                    strict=True,
                )
            )
            for name, gains in by_rule.items()
        }
        for metric, by_rule in points.items()
    }


def as_arms(record: dict) -> list[dict]:
    """A cell as one record an arm, as `tables_figures` takes them."""
    made: dict[str, dict] = {arm: record["arms"][arm] for arm in PLAIN_ARMS}
    for arm in ("ours", "auto"):
        scores: dict[str, dict[str, float]] = {}
        for figure in record["folds"]:
            learner, metric = figure.split()
            amount = OURS if arm == "ours" else chosen(record, figure)
            scores.setdefault(learner, {})[metric] = record["outer"][text(amount)][figure]
        made[arm] = {"scores": scores}
    return [
        {"table": record["table"], "seed": record["seed"], "arm": arm} | found
        for arm, found in made.items()
    ]


def report(records: list[dict]) -> dict:
    """Mean ranks of the arms on every metric, auto minus none, what auto took."""
    arms = [one for record in records for one in as_arms(record)]
    taken: dict[str, dict[str, int]] = {}
    for record in records:
        for figure in record["folds"]:
            counts = taken.setdefault(figure.split()[1], {})
            amount = text(chosen(record, figure))
            counts[amount] = counts.get(amount, 0) + 1
    return {
        "cells": len(figures.grid(arms, protocol.METRICS[0])),
        "mean rank": {m: figures.mean_ranks(arms, m, ARMS) for m in protocol.METRICS},
        "auto minus": {
            other: {m: figures.difference(arms, m, "auto", other) for m in protocol.METRICS}
            for other in ARMS[:-1]
        },
        "taken": {m: dict(sorted(c.items(), key=lambda kv: -kv[1])) for m, c in taken.items()},
        "rules, on folds left out of the choice, points": rules(records),
        "errors": figures.errors(arms),
        "seconds to judge all amounts": {
            record["table"]: record["facts"]["judge_s"] for record in records
        },
        "per table, learner and metric: mean, sd over seeds": figures.per_table(arms),
    }


def difference_text(d: dict) -> str:
    """One of `figures.difference`; a single table has no interval."""
    if d["low"] is None:
        return f"{d['mean']:+.4f}" if d["mean"] is not None else "not measured"
    return (
        f"{d['mean']:+.4f} ({d['low']:+.4f} to {d['high']:+.4f}), above in {d['tables_above']} of "
        f"{d['tables']} tables"
    )


def markdown(found: dict) -> str:
    """The figures for reading."""
    lines = ["# How much to add, chosen by cross-validation", ""]
    lines += [
        f"{found['cells']} cells (table, seed, learner). Rank 1 is best; ties are averaged.",
        "",
    ]
    lines += ["| mean rank (sd of the seeds' means) | " + " | ".join(ARMS) + " |"]
    lines += ["| --- " * (len(ARMS) + 1) + "|"]
    for metric, ranks in found["mean rank"].items():
        cells = [f"{ranks[arm]['mean']:.2f} ({ranks[arm]['seed_sd'] or 0:.2f})" for arm in ARMS]
        lines += [f"| {metric} | " + " | ".join(cells) + " |"]
    for other, metrics in found["auto minus"].items():
        lines += ["", f"Auto minus {other}, mean over tables with a 95 % interval:"]
        for metric, d in metrics.items():
            lines += [f"- {metric}: {difference_text(d)}"]
    ruled = found["rules, on folds left out of the choice, points"]
    lines += [
        "",
        "Rules of choice on training rows alone: each chooses by all folds but one and is",
    ]
    lines += ["judged on that one. Points above nothing (above our top-up to parity):", ""]
    lines += ["| rule | " + " | ".join(ruled) + " |", "| --- " * (len(ruled) + 1) + "|"]
    for name in RULES:
        cells = [
            f"{by[name]['above nothing']:+.2f} ({by[name]['above ours at parity']:+.2f})"
            for by in ruled.values()
        ]
        lines += [f"| {name} | " + " | ".join(cells) + " |"]
    for metric, counts in found["taken"].items():
        taken = ", ".join(f"{amount} {n}" for amount, n in counts.items())
        lines += ["", f"Chosen by {metric}: {taken}."]
    return "\n".join(lines) + "\n"


def options() -> argparse.Namespace:
    """What was asked on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--journal", type=Path)
    parser.add_argument("--tables", type=lambda text: text.split(","))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    asked = parser.parse_args()
    if asked.journal is None:
        asked.journal = (asked.out or Path("amounts.json")).with_suffix(".jsonl")
    return asked


def main() -> None:
    """Measure what the journal lacks, print, write."""
    asked = options()
    tables = asked.tables or protocol.names(asked.data)
    seeds = range(asked.first_seed, asked.first_seed + asked.seeds)
    items = [(name, seed, "cell") for seed in seeds for name in tables]
    journal = Journal(asked.journal, [])
    measure(journal, asked.data, items, asked.jobs, cell)
    wanted = set(items)
    records = [r for r in journal.records if (r["table"], r["seed"], r["arm"]) in wanted]
    found = {"made with": made_with(), "seeds": list(seeds), "tables": tables} | report(records)
    print(markdown(found))
    if asked.out:
        asked.out.write_text(as_json(found), encoding="utf-8")
        asked.out.with_suffix(".md").write_text(markdown(found), encoding="utf-8")


if __name__ == "__main__":
    main()
