"""A result's arms, classes and figures as rows of numbers, for the terminal, the page and a frame.

Numbers stay numbers, and no HTML is written. Topped-up classes come first, then the others; both
groups are sorted by their number of rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gan_augment.report.wording import METRICS, NOTHING, OURS, Result

STATES = ("broken", "open", "held")
_MOST_CONFUSED = 12
_ROWS_OF = dict.fromkeys(("mixup", "trivial_augment"), "oversample")


@dataclass(frozen=True)
class ArmRow:
    """An arm: the reason why it is missing, or its figures under the declared decision.

    spreads: {decision: (mean, standard deviation)} of the primary metric. means: of every metric.
    change, interval, by_split: the difference to the arm `none`; None for that arm itself.
    log_loss: after correcting class shares.
    """

    name: str
    missing: str | None
    spreads: Mapping[str, tuple[float | None, float | None]]
    means: Mapping[str, float | None]
    change: float | None
    interval: Sequence[float] | None
    by_split: Sequence[float]
    log_loss: float | None


@dataclass(frozen=True)
class ClassRow:
    """A tested class: its rows, and {arm: figure} of the compared arms; None if unknown.

    ranks: average precision. base_rate: the average precision of random ranks.
    """

    name: str
    rare: bool
    rows: int
    support: int
    recall: Mapping[str, float | None]
    precision: Mapping[str, float | None]
    ranks: Mapping[str, float | None]
    base_rate: float | None


def decisions(result: Result) -> list[str]:
    """List the decisions of a result: the default one, and the declared one."""
    return list(dict.fromkeys(["default", result["declared"]["decision"]]))


def arm_rows(result: Result) -> list[ArmRow]:
    """Read every arm, including the missing ones."""
    return [_arm_row(result, name) for name in result["arms"]]


def metric_columns(rows: Sequence[ArmRow], primary: str) -> list[str]:
    """List the metrics of any arm, without the primary one."""
    return [
        metric
        for metric in METRICS
        if metric != primary and any(row.means.get(metric) is not None for row in rows)
    ]


def classes_by_rarity(result: Result) -> list[str]:
    """List all classes: topped-up classes first, both groups sorted by number of rows."""
    counts, rare = result["data"]["classes"], set(result["data"]["rare"])
    return sorted(counts, key=lambda name: (name not in rare, counts[name]))


def compared_arms(result: Result) -> list[str]:
    """Name the arms to compare class by class: none, gan, and the arm of the verdict."""
    arms = result["arms"]
    names = dict.fromkeys((NOTHING, OURS, result["verdict"]["arm"]))
    return [name for name in names if name in arms and arms[name]["missing"] is None]


def class_rows(result: Result) -> list[ClassRow]:
    """Read recall, precision and average precision of every tested class, by arm."""
    decision, counts = result["declared"]["decision"], result["data"]["classes"]
    arms = {name: result["arms"][name] for name in compared_arms(result)}
    rows = []
    for name in classes_by_rarity(result):
        judged = {arm: one["per_class"][decision].get(name) for arm, one in arms.items()}
        supports = [one["support"] for one in judged.values() if one is not None]
        if not supports:
            continue
        ranks = {arm: one["average_precision"].get(name) for arm, one in arms.items()}
        rows.append(
            ClassRow(
                name=name,
                rare=name in result["data"]["rare"],
                rows=counts[name],
                support=supports[0],
                recall={arm: one and one["recall"] for arm, one in judged.items()},
                precision={arm: one and one["precision"] for arm, one in judged.items()},
                ranks={arm: one and one["mean"] for arm, one in ranks.items()},
                base_rate=next((one["base_rate"] for one in ranks.values() if one), None),
            )
        )
    return rows


def rivals(result: Result) -> list[tuple[str, Mapping[str, Any]]]:
    """Read the differences of the arm `gan` to its rivals: no `none`, no `gan+...`."""
    own = (NOTHING, *(name for name in result["gan_minus"] if name.startswith(f"{OURS}+")))
    return [(name, change) for name, change in result["gan_minus"].items() if name not in own]


def guardrails(result: Result) -> list[tuple[str, Mapping[str, Any]]]:
    """Read the guardrails, the broken ones first."""
    rails = result["verdict"]["guardrails"]
    return sorted(rails.items(), key=lambda rail: STATES.index(rail[1]["state"]))


def reasons(result: Result) -> list[str]:
    """Read the reasons of the verdict in words, without those of guardrails."""
    verdict = result["verdict"]
    about = tuple(f"{what}: " for what in verdict["guardrails"])
    return [text for text in verdict["reasons"] if not text.startswith(about)]


def training_rows(result: Result) -> dict[str, Mapping[str, Mapping[str, float]]]:
    """Read {arm: {class: {origin: rows of a training part}}} of `none` and all arms that add rows.

    An arm with another method of training is left out if the arm with the same rows is present.
    """
    known = {name: arm["rows"] for name, arm in result["arms"].items() if arm["rows"]}
    adding = {
        name: rows
        for name, rows in known.items()
        if name == NOTHING
        or any(n for one in rows.values() for origin, n in one.items() if origin != "real")
    }
    base = {name: OURS if name.startswith(f"{OURS}+") else _ROWS_OF.get(name) for name in adding}
    return {n: rows for n, rows in adding.items() if adding.get(base[n] or "") != rows}


def confusions(result: Result) -> list[dict[str, Any]]:
    """Read the confusion matrices of `none` and `gan` under the declared decision.

    At most twelve classes, the rarest, have columns of their own; the last column sums the others.
    """
    names, decision = list(result["data"]["classes"]), result["declared"]["decision"]
    shown = classes_by_rarity(result)[:_MOST_CONFUSED]
    more = len(names) - len(shown)
    places = [names.index(name) for name in shown]
    matrices = []
    for arm in (NOTHING, OURS):
        counts = ((result["arms"].get(arm) or {}).get("confusion") or {}).get(decision)
        if not counts:
            continue
        rows = {}
        for name, place in zip(shown, places, strict=True):
            whole = sum(counts[place])
            cells = [counts[place][at] for at in places]
            cells += [whole - sum(cells)] if more else []
            if whole:
                rows[name] = [(n, n / whole) for n in cells]
        heads = [*shown, *([f"{more} others"] if more else [])]
        matrices.append({"arm": arm, "heads": heads, "rows": rows})
    return matrices


def calibrations(result: Result) -> dict[str, Mapping[str, Any]]:
    """Read {arm: losses before and after correcting class shares} for arms with probabilities."""
    known = {name: arm["calibration"] or {} for name, arm in result["arms"].items()}
    return {name: one for name, one in known.items() if one.get("before")}


def costs(timings: Mapping[str, Any]) -> list[tuple[str, list[float]]]:
    """List the seconds of each arm: (arm, [generator, making rows, classifier, total])."""
    spent = timings.get("seconds") or {}
    rows = []
    for name, parts in (spent.get("arms") or {}).items():
        generator_s = spent.get("generators") or 0.0 if name == OURS else 0.0
        make_s = parts.get("make", 0.0)
        classifier_s = sum(parts.values()) - make_s
        rows.append((name, [generator_s, make_s, classifier_s, generator_s + sum(parts.values())]))
    return sorted(rows, key=lambda row: (row[0] != NOTHING, row[0] != OURS))


def _arm_row(result: Result, name: str) -> ArmRow:
    arm, declared = result["arms"][name], result["declared"]
    metric, decision = declared["metric"], declared["decision"]
    columns = {kind: arm[kind] or {} for kind in decisions(result)}
    primary = {kind: column.get(metric) or {} for kind, column in columns.items()}
    change = ((arm["minus_none"] or {}).get(decision) or {}).get(metric) or {}
    none = ((result["arms"].get(NOTHING) or {}).get(decision) or {}).get(metric) or {}
    pairs = zip(primary[decision].get("values") or [], none.get("values") or [], strict=False)
    after = (arm["calibration"] or {}).get("after") or {}
    return ArmRow(
        name=name,
        missing=arm["missing"],
        spreads={kind: (one.get("mean"), one.get("sd")) for kind, one in primary.items()},
        means={m: (columns[decision].get(m) or {}).get("mean") for m in METRICS},
        change=change.get("mean"),
        interval=change.get("interval"),
        by_split=[a - b for a, b in pairs if a is not None and b is not None],
        log_loss=after.get("log_loss"),
    )
