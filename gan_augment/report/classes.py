"""What a report tells class by class: recall, rows, confusion, calibration. Rows for templates.

Rare classes come first, then the others from few rows to many; what is beyond MOST is folded away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from gan_augment.report import charts, marks
from gan_augment.report.wording import (
    ABSENT,
    NOTHING,
    OURS,
    Result,
    arm_name,
    count,
    number,
    percent,
)

Row = dict[str, Any]

MOST = 20
MOST_CONFUSED = 12
_HEADS = {NOTHING: "nothing", OURS: "GAN"}
_ORIGINS = {
    "real": "real",
    "repeat": "repeated",
    "synthetic": "generated",
    "companion": "generated as companions",
}


def by_rarity(result: Result) -> list[str]:
    """All classes: those that are topped up, then the others, each from few rows to many."""
    counts, rare = result["data"]["classes"], set(result["data"]["rare"])
    return sorted(counts, key=lambda name: (name not in rare, counts[name]))


def compared(result: Result) -> dict[str, Mapping[str, Any]]:
    """{arm: its section} of nothing, the GAN, and the arm that the verdict names."""
    arms = result["arms"]
    wanted = dict.fromkeys((NOTHING, OURS, result["verdict"]["arm"]))
    return {name: arms[name] for name in wanted if name in arms and arms[name]["missing"] is None}


def recalls(result: Result) -> Row:
    """Recall and precision of every judged class without and with, and bars of the recall."""
    column, found = result["declared"]["decision"], compared(result)
    counts, rare = result["data"]["classes"], set(result["data"]["rare"])
    rows = []
    for name in by_rarity(result):
        known = {arm: one["per_class"][column].get(name) for arm, one in found.items()}
        held = {arm: one for arm, one in known.items() if one is not None}
        if not held:
            continue
        ranks = [one["average_precision"].get(name) for one in found.values()]
        base = next((rank["base_rate"] for rank in ranks if rank), None)
        rows.append(
            {
                "name": name,
                "rare": name in rare,
                "rows": count(counts.get(name, 0)),
                "support": count(next(iter(held.values()))["support"]),
                "recall": [percent(one and one["recall"]) for one in known.values()],
                "precision": [percent(one and one["precision"]) for one in known.values()],
                "ranks": [percent(rank and rank["mean"]) for rank in ranks],
                "base_rate": percent(base),
                "bars": marks.bars(
                    {arm_name(arm): one["recall"] for arm, one in held.items()}, f"recall of {name}"
                ),
            }
        )
    return {
        "arms": [arm_name(arm) for arm in found],
        "heads": [_HEADS.get(arm, arm_name(arm)) for arm in found],
        "rows": rows,
        "has_ranks": any(row["base_rate"] != ABSENT for row in rows),
    }


def training_rows(result: Result) -> Row:
    """Rows of the training parts by class, arm and origin: means over the splits."""
    arms = {
        name: arm["rows"]
        for name, arm in result["arms"].items()
        if arm["rows"] and (name == NOTHING or _adds(arm["rows"]))
    }
    totals = [sum(one.values()) for rows in arms.values() for one in rows.values()]
    most = max(totals, default=0.0)
    rows = [
        {
            "name": name,
            "rare": name in result["data"]["rare"],
            "cells": [_cell(by_class.get(name), most, name) for by_class in arms.values()],
        }
        for name in by_rarity(result)
        if any(name in by_class for by_class in arms.values())
    ]
    return {"arms": [arm_name(name) for name in arms], "rows": rows}


def confusions(result: Result) -> list[Row]:
    """Of nothing and the GAN under the declared decision: which class is called which.

    Beyond MOST_CONFUSED classes the rarest are shown, the others together as a last column.
    """
    names, column = list(result["data"]["classes"]), result["declared"]["decision"]
    shown = by_rarity(result)[:MOST_CONFUSED]
    more = len(names) - len(shown)
    found = []
    for arm in (NOTHING, OURS):
        counts = ((result["arms"].get(arm) or {}).get("confusion") or {}).get(column)
        if not counts:
            continue
        places = [names.index(name) for name in shown]
        rows = [
            {"name": name, "cells": _called(counts[place], places, more > 0)}
            for name, place in zip(shown, places, strict=True)
            if sum(counts[place])
        ]
        heads = [*shown, *([f"{more} others"] if more else [])]
        found.append({"said": arm_name(arm), "heads": heads, "rows": rows})
    return found


def calibration(result: Result) -> Row:
    """Losses before and after correcting class shares, and two charts; {} without probabilities."""
    known = {
        name: arm["calibration"]
        for name, arm in result["arms"].items()
        if arm["missing"] is None and (arm["calibration"] or {}).get("before")
    }
    rows = [
        {
            "said": arm_name(name),
            "figures": [
                number(one[when][figure])
                for figure in ("log_loss", "brier", "calibration_error")
                for when in ("before", "after")
            ],
        }
        for name, one in known.items()
    ]
    drawn = [
        {"said": arm_name(name), "chart": _reliability(known[name], arm_name(name))}
        for name in (NOTHING, OURS)
        if known.get(name)
    ]
    return {"rows": rows, "charts": drawn} if rows else {}


def _reliability(one: Mapping[str, Any], who: str) -> Markup:
    before, after = one["before"], one["after"]
    says = (
        f"Calibration, {who}: calibration error {percent(before['calibration_error'])} % before "
        f"and {percent(after['calibration_error'])} % after correcting class shares"
    )
    return charts.reliability(before["bins"], after["bins"], says)


def _adds(rows: Mapping[str, Mapping[str, float]]) -> bool:
    return any(n for one in rows.values() for origin, n in one.items() if origin != "real")


def _cell(rows: Mapping[str, float] | None, most: float, name: str) -> Row:
    if rows is None:
        return {"total": ABSENT, "parts": "", "bar": ""}
    held = {said: rows.get(origin, 0.0) for origin, said in _ORIGINS.items()}
    told = [f"{count(n)} {said}" for said, n in held.items() if n]
    parts, total = ", ".join(told), count(sum(rows.values()))
    return {
        "total": total,
        "parts": parts if len(told) > 1 else "",
        "bar": marks.stack(rows, most, f"{name}: {parts}"),
    }


def _called(counts: Sequence[int], places: Sequence[int], others: bool) -> list[Row]:
    """One row of a confusion matrix: how often, and as a share of the row."""
    cells = [counts[place] for place in places]
    if others:
        cells.append(sum(counts) - sum(cells))
    whole = sum(counts)
    return [{"n": f"{n:,}", "share": f"{n / whole:.3f}"} for n in cells]
