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

ADDERS = ("repeats", "smote", "adasyn", "ours")
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


def share_above(records: Records, metric: str, arm: str, other: str) -> float | None:
    """Share of all cells in which `arm` is better; an arm that raised loses, a tie is half."""
    wide = grid(records, metric, (arm, other)).dropna(subset=[arm])
    better = (wide[arm] > wide[other]) | wide[other].isna()
    return _rounded((better.sum() + (wide[arm] == wide[other]).sum() / 2) / len(wide))


def per_table(records: Records) -> dict[str, dict]:
    """{table: {arm: {learner: {metric: [mean, sd over seeds]}} or {"errors": n}}}."""
    found: dict[str, dict] = {}
    for metric in METRICS:
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


def step_zero_kept(records: Records) -> dict[str, float | int]:
    """How often "ours" kept the interpolation, by what its rows say was chosen."""
    chosen = [
        record["facts"]["chosen"]
        for record in records
        if record["arm"] == "ours" and "chosen" in record.get("facts", {})
    ]
    kept = sum(word == "interpolation" for word in chosen)
    return {"fits": len(chosen), "step_0_kept": kept}


def summary(records: Records, arms: Sequence[str]) -> dict:
    """All figures; those on "ours" only where it ran, those on step 0 only where it ran too."""
    present = {record["arm"] for record in records}
    ranked = [arm for arm in arms if arm in present]
    adders = [arm for arm in ADDERS if arm in present]
    found: dict = {
        "cells": len(grid(records, METRICS[0])),
        "mean rank": {metric: mean_ranks(records, metric, ranked) for metric in METRICS},
        "mean rank among arms that add rows": {
            metric: mean_ranks(records, metric, adders) for metric in METRICS
        },
        "mean rank by learner": {
            learner: {m: mean_ranks(_only(records, learner), m, ranked) for m in METRICS}
            for learner in LEARNERS
        },
        "errors": errors(records),
        "seconds to make the rows": seconds(records),
    }
    if "ours" in present:
        found["ours minus"] = {
            other: {metric: difference(records, metric, "ours", other) for metric in METRICS}
            for other in sorted(present - {"ours"})
        }
        found["share of cells of ours above"] = {
            other: {metric: share_above(records, metric, "ours", other) for metric in METRICS}
            for other in sorted(present - {"ours"})
        }
        found["macro-F1 among arms that add rows"] = within_spread(records, "macro_f1", adders)
        found["step 0"] = step_zero_kept(records)
    return found


def within_spread(records: Records, metric: str, arms: Sequence[str]) -> dict:
    """Is "ours" the best by mean rank, or within the sd over seeds of the best?"""
    found = mean_ranks(records, metric, arms)
    best = next(iter(found))
    gap = found["ours"]["mean"] - found[best]["mean"]
    spread = found[best]["seed_sd"] or 0.0
    return {
        "best": best,
        "gap": round(gap, 3),
        "seed_sd_of_best": spread,
        "met": bool(gap <= spread),
    }


def markdown(records: Records, arms: Sequence[str], title: str) -> str:
    """The summary and the tables, for reading."""
    found = summary(records, arms)
    lines = [f"# {title}", "", f"{found['cells']} cells (table, seed, learner).", ""]
    for name in ("mean rank", "mean rank among arms that add rows"):
        lines += [f"## {name.capitalize()} (sd of the seeds' means)", ""]
        columns = list(next(iter(found[name].values())))
        rows = {
            metric: [_with_sd(values[arm]["mean"], values[arm]["seed_sd"]) for arm in columns]
            for metric, values in found[name].items()
        }
        lines += [*_table(["metric", *columns], rows), ""]
    for other, values in found.get("ours minus", {}).items():
        lines += [f"## Ours minus {other}", ""]
        head = ["metric", "mean", "95 % interval", "tables above", "cells above"]
        rows = {
            metric: [
                f"{d['mean']}",
                f"{d['low']} to {d['high']}",
                f"{d['tables_above']} of {d['tables']}",
                f"{d['cells_above']} of {d['cells']}",
            ]
            for metric, d in values.items()
        }
        lines += [*_table(head, rows), ""]
    for metric in METRICS:
        lines += [f"## {metric}: mean over seeds and learners, by table", ""]
        means = grid(records, metric).groupby("table").mean()
        rows = {t: [_cell(v, row) for v in row] for t, row in means.iterrows()}
        lines += [*_table(["table", *means.columns], rows), ""]
    lines += ["## Errors", ""]
    for arm, texts in found["errors"].items():
        lines += [f"- {arm}: {text} ({n} seeds)" for text, n in texts.items()]
    return "\n".join(lines) + "\n"


def _only(records: Records, learner: str) -> list[dict]:
    kept = []
    for record in records:
        if "scores" in record:
            kept.append(record | {"scores": {learner: record["scores"][learner]}})
        else:
            kept.append(record)
    return kept


def _table(head: Sequence[str], rows: dict[str, list[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *([name, *cells] for name, cells in rows.items())]
    return ["| " + " | ".join(map(str, line)) + " |" for line in lines]


def _cell(value: float, row: Iterable[float]) -> str:
    if np.isnan(value):
        return "raised"
    text = f"{value:.3f}"
    return f"**{text}**" if value == np.nanmax(list(row)) else text


def _with_sd(mean: float, sd: float | None) -> str:
    return f"{mean:.2f}" if sd is None else f"{mean:.2f} ({sd:.2f})"


def _rounded(value: float, digits: int = 3) -> float | None:
    return None if value is None or np.isnan(value) else round(float(value), digits)
