"""The figures of `tables.py`: records of arms in cells in; ranks, differences and tables out.

A record is one arm in one cell: {"table", "seed", "arm", "add_s", "added", "facts"} and either
"scores" {learner: {metric: value}} or "error". Nothing here fits anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from scipy import stats
from tables_protocol import LEARNERS, METRICS

DECIDED = (METRICS[0], f"tuned {METRICS[0]}", METRICS[1], f"tuned {METRICS[1]}", METRICS[2])
EVERY = "every size"
KEYS = ["table", "seed", "learner"]
Records = Sequence[dict]


def grid(records: Records, metric: str, arms: Sequence[str] | None = None) -> pd.DataFrame:
    """Scores by (table, seed, learner), a column an arm; NaN where the arm raised."""
    rows = [
        {
            "table": record["table"],
            "seed": record["seed"],
            "arm": record["arm"],
            "learner": learner,
            "score": record.get("scores", {}).get(learner, {}).get(metric, np.nan),
        }
        for record in records
        for learner in LEARNERS
        if "error" in record or learner in record["scores"]
    ]
    wide = pd.DataFrame(rows).pivot(index=KEYS, columns="arm", values="score")
    return wide if arms is None else wide[[arm for arm in arms if arm in wide]]


def ranks(records: Records, metric: str, arms: Sequence[str]) -> pd.DataFrame:
    """Ranks in each cell, 1 the best, ties averaged; an arm that raised comes last."""
    wide = grid(records, metric, arms)
    return wide.rank(axis=1, ascending=False, method="average", na_option="bottom")


def mean_ranks(records: Records, metric: str, arms: Sequence[str]) -> dict[str, dict[str, float]]:
    """{arm: {"mean", "seed_sd"}}, best first: over all cells; sd of the seeds' own means."""
    found = ranks(records, metric, arms)
    by_seed = found.groupby("seed").mean()
    spread = by_seed.std(ddof=1) if len(by_seed) > 1 else by_seed.iloc[0] * np.nan
    ordered = found.mean().sort_values()
    return {
        arm: {"mean": round(float(value), 3), "seed_sd": _rounded(spread[arm])}
        for arm, value in ordered.items()
    }


def difference(records: Records, metric: str, arm: str, other: str) -> dict[str, float | None]:
    """Mean of arm - other with a 95 % interval: Student's t over the tables' means.

    Cells in which either raised are left out. `cells_above` counts a tie as half.
    """
    wide = grid(records, metric, (arm, other)).dropna()
    gap = wide[arm] - wide[other]
    by_table = gap.groupby("table").mean()
    n, mean = len(by_table), float(by_table.mean()) if len(by_table) else np.nan
    half = stats.t.ppf(0.975, n - 1) * by_table.std(ddof=1) / np.sqrt(n) if n > 1 else np.nan
    above = ((gap > 0).sum() + (gap == 0).sum() / 2) / len(gap) if len(gap) else np.nan
    return {
        "mean": _rounded(mean, 5),
        "low": _rounded(mean - half, 5),
        "high": _rounded(mean + half, 5),
        "tables": n,
        "tables_above": int((by_table > 0).sum()),
        "cells": len(gap),
        "cells_above": _rounded(above),
    }


def per_table(records: Records) -> dict[str, dict]:
    """{table: {arm: {learner: {metric: [mean, sd over seeds]}} or {"errors": n}}}."""
    found: dict[str, dict] = {}
    for metric in DECIDED:
        groups = grid(records, metric).groupby(["table", "learner"])
        for (table, learner), rows in groups:
            for arm, values in rows.items():
                slot = found.setdefault(table, {}).setdefault(arm, {})
                kept = values.dropna()
                if len(kept):
                    sd = _rounded(kept.std(ddof=1), 4) if len(kept) > 1 else None
                    slot.setdefault(learner, {})[metric] = [_rounded(kept.mean(), 4), sd]
    for record in records:
        if "error" in record:
            slot = found[record["table"]][record["arm"]]
            slot["errors"] = slot.get("errors", 0) + 1
    return found


def errors(records: Records) -> dict[str, dict[str, int]]:
    """{arm: {"table: message": seeds}} of the arms that raised."""
    found: dict[str, dict[str, int]] = {}
    for record in records:
        if "error" in record:
            text = f"{record['table']}: {record['error']}"
            slot = found.setdefault(record["arm"], {})
            slot[text] = slot.get(text, 0) + 1
    return found


def seconds(records: Records) -> dict[str, dict[str, float]]:
    """{table: {arm: median seconds to make the rows}} of the arms that add rows."""
    found: dict[str, dict[str, list[float]]] = {}
    for record in records:
        if record.get("added"):
            slot = found.setdefault(record["table"], {})
            slot.setdefault(record["arm"], []).append(record["add_s"])
    return {
        table: {arm: round(float(np.median(times)), 2) for arm, times in arms.items()}
        for table, arms in found.items()
    }


def by_size(records: Records) -> dict[str, dict]:
    """{size: {other arm: {metric: `difference` of ours to it}}}, all sizes together last.

    A record's table is "name@size", the size being rows of each rare class in training, or "all".
    """
    sizes = sorted({_size(record) for record in records}, key=lambda k: (k != "all", k.zfill(3)))
    others = sorted({record["arm"] for record in records} - {"ours"})
    found = {}
    for size in [*sizes, EVERY]:
        kept = [
            record | {"table": _name(record), "seed": f"{_size(record)} {record['seed']}"}
            for record in records
            if size in (_size(record), EVERY)
        ]
        present = {record["arm"] for record in kept}
        found[size] = {
            other: {metric: difference(kept, metric, "ours", other) for metric in DECIDED}
            for other in others
            if other in present
        }
    return found


def markdown(records: Records) -> str:
    """The differences and the means of every cell, for reading."""
    seeds = len({record["seed"] for record in records})
    scored = {m for r in records for values in r.get("scores", {}).values() for m in values}
    metrics = [metric for metric in DECIDED if metric in scored]  # some runs tune no decision
    lines = [
        "# Tables",
        "",
        "Ours (the default: rows drawn around near rows of a class, and as many repeats) minus",
        "another arm, in points: mean over tables with a 95 % interval (t over the tables' means),",
        "and in how many tables it is above. Rows of the rare classes in training are whole or cut",
        "to a size; `repeats` is the size-matched null, as many rows without information;",
        f"`interpolation` is what the default was. Four learners; {seeds} seed(s); at most 2,000",
        "rows a table, half in training; tuned: a threshold or tau chosen by three inner folds of",
        "the training rows. Arms `borrow`, `errors`, `density`, `local_all` are screened ideas.",
        "",
    ]
    for size, others in by_size(records).items():
        words = {"all": "Rare classes whole", EVERY: "All sizes together"}
        lines += [f"## {words.get(size, f'{size} rows of each rare class')}", ""]
        rows = {other: [_points(by[metric]) for metric in metrics] for other, by in others.items()}
        lines += [*_table(["ours minus", *metrics], rows), ""]
    for metric in metrics:
        lines += [f"## {metric}: mean over seeds and learners, by cell", ""]
        means = grid(records, metric).groupby("table").mean()
        rows = {t: [_cell(v, row) for v in row] for t, row in means.iterrows()}
        lines += [*_table(["cell", *means.columns], rows), ""]
    lines += ["## Errors", ""]
    for arm, texts in errors(records).items():
        lines += [f"- {arm}: {text} ({n} seeds)" for text, n in texts.items()]
    return "\n".join(lines) + "\n"


def _size(record: dict) -> str:
    return record["table"].partition("@")[2]


def _name(record: dict) -> str:
    return record["table"].partition("@")[0]


def _points(d: dict[str, float | None]) -> str:
    if d["low"] is None:
        return "-" if d["mean"] is None else f"{100 * d['mean']:+.1f}"
    ends = f"{100 * d['low']:+.1f} to {100 * d['high']:+.1f}"
    return f"{100 * d['mean']:+.1f} ({ends}; {d['tables_above']}/{d['tables']})"


def _table(head: Sequence[str], rows: dict[str, list[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *([name, *cells] for name, cells in rows.items())]
    return ["| " + " | ".join(map(str, line)) + " |" for line in lines]


def _cell(value: float, row: Iterable[float]) -> str:
    if np.isnan(value):
        return "raised"
    text = f"{value:.3f}"
    return f"**{text}**" if value == np.nanmax(list(row)) else text


def _rounded(value: float, digits: int = 3) -> float | None:
    return None if value is None or np.isnan(value) else round(float(value), digits)
