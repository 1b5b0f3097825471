"""The tables of a report, each as rows of text, and `lines`, which prints them in a terminal.

`arm_rows` has the numbers behind the charts and the frame. Topped-up classes come first, then the
others; both groups are sorted by their number of rows.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gan_augment.report.wording import (
    METRICS,
    NOTHING,
    ORIGINS,
    OURS,
    Result,
    arm_name,
    chance,
    count,
    metric_name,
    number,
    percent,
    points,
    points_size,
    remedy_name,
    rows_name,
    rows_on_top,
    signed,
    span,
    splits,
    spread,
)

STATES = ("broken", "open", "held")
MOST_CONFUSED = 12
WIDTH = 100
MOST_CLASSES = 20
SHORTEST_NAME = 12
FIRST_REMEDIES = 5
"""Remedies on the first screen, the largest gain first."""


@dataclass(frozen=True)
class Table:
    """Rows of text; the first cell names its row. texts: trailing columns that are aligned left."""

    caption: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    texts: int = 0


@dataclass(frozen=True)
class ArmRow:
    """An arm under the declared decision, or the reason why it is missing.

    means: of every metric. change, interval: the gain over the arm `none` by the primary
    metric; None for that arm itself. log_loss: after correcting the class shares.
    """

    name: str
    missing: str | None
    means: Mapping[str, float | None]
    change: float | None
    interval: Sequence[float] | None
    log_loss: float | None


def arm_rows(result: Result) -> list[ArmRow]:
    """Read every arm, including the missing ones."""
    metric, decision = result["declared"]["metric"], result["declared"]["decision"]
    rows = []
    for name, arm in result["arms"].items():
        figures = arm[decision] or {}
        gain = ((arm["minus_none"] or {}).get(decision) or {}).get(metric) or {}
        row = ArmRow(
            name=name,
            missing=arm["missing"],
            means={m: (figures.get(m) or {}).get("mean") for m in METRICS},
            change=gain.get("mean"),
            interval=gain.get("interval"),
            log_loss=((arm["calibration"] or {}).get("after") or {}).get("log_loss"),
        )
        rows.append(row)
    return rows


def arms(result: Result) -> Table:
    """Show the primary metric of every judged arm by decision, and its gain over `none`."""
    metric, declared = result["declared"]["metric"], result["declared"]["decision"]
    decisions = list(dict.fromkeys(["default", declared]))
    cells = []
    for row in arm_rows(result):
        if row.missing is None:
            change = ["", ""] if row.change is None else [points(row.change), span(row.interval)]
            found = [(result["arms"][row.name][kind] or {}).get(metric) or {} for kind in decisions]
            shares = [spread(one.get("mean"), one.get("sd")) for one in found]
            cells.append([arm_name(row.name, rows_name(result)), *change, *shares])
    heads = ["method", "gain", "95 % interval", *(f"{kind} decision" for kind in decisions)]
    caption = (
        f"{metric_name(result)} in percent, mean ± standard deviation over {splits(result)}; gain "
        f"over nothing added at the {declared} decision, in points"
    )
    return Table(caption, heads, cells)


def remedies(result: Result) -> Table:
    """Show the gain of every remedy over the classifier as it is, and what else it changes."""
    cells = []
    for one in result["recommendation"]["remedies"]:
        changes = one["changes"]
        shares = [points(changes.get(name)) for name in ("rare_recall", "other_recall", "accuracy")]
        losses = [signed(changes.get(name)) for name in ("log_loss", "brier")]
        gain = [points(one["gain"]["mean"]), span(one["gain"]["interval"])]
        cells.append([remedy_name(one, rows_name(result)), *gain, *shares, *losses])
    caption = (
        f"gain in {metric_name(result)} over the classifier as it is, and changes of the recall of "
        "rare classes, the recall of other classes, and accuracy, in points; changes of log loss "
        "and Brier score (lower is better)"
    )
    heads = ["remedy", "gain", "95 % interval", "rare", "others", "accuracy"]
    return Table(caption, [*heads, "log loss", "Brier"], cells)


def missing_arms(result: Result) -> list[str]:
    """Say why arms are missing."""
    found = ((arm_name(name, rows_name(result)), arm) for name, arm in result["arms"].items())
    return [f"{name} is missing: {arm['missing']}" for name, arm in found if arm["missing"]]


def other_metrics(result: Result) -> Table:
    """Show the exploratory metrics that any arm has, and log loss."""
    rows = [row for row in arm_rows(result) if row.missing is None]
    primary = result["declared"]["metric"]
    there = [m for m in METRICS if any(row.means[m] is not None for row in rows) and m != primary]
    heads = ["method", *(METRICS[m] for m in there)]
    names = [arm_name(row.name, rows_name(result)) for row in rows]
    cells = [[n, *(percent(r.means[m]) for m in there)] for n, r in zip(names, rows, strict=True)]
    caption = f"other metrics at the {result['declared']['decision']} decision, in percent"
    if any(row.log_loss is not None for row in rows):
        caption += "; log loss after prior correction, lower is better"
        heads.append("log loss")
        for cell, row in zip(cells, rows, strict=True):
            cell.append(number(row.log_loss))
    return Table(caption, heads, cells)


def on_top(result: Result) -> Table:
    """Show what generated rows add to each method of training."""
    rows = [
        [arm_name(name), points(one["mean"]), span(one["interval"]), chance(one["p_positive"])]
        for name, one in (result["verdict"].get("on_top") or {}).items()
    ]
    generated = arm_name(OURS, rows_name(result))
    caption = f"each method of training with {generated} minus the method without them, in points"
    return Table(caption, ["method", "gain", "95 % interval", "P(gain > 0)"], rows)


def guardrails(result: Result) -> list[tuple[str, Mapping[str, Any]]]:
    """Read the guardrails, the broken ones first."""
    rails = result["verdict"]["guardrails"]
    return sorted(rails.items(), key=lambda rail: STATES.index(rail[1]["state"]))


def rails(result: Result) -> Table:
    """Show the guardrails with their margins and probabilities."""
    rows = []
    for what, rail in guardrails(result):
        change, ends, margin = rail["change"]["mean"], rail["change"]["interval"], rail["margin"]
        cells = [points(change), span(ends), points_size(margin)]
        if what == "log loss":
            text = f"{number(ends[0])} to {number(ends[1])}" if ends else "unknown"
            cells = [number(change), text, f"{margin:g}"]
        rows.append([what, *cells, chance(rail["p_loss"]), rail["state"]])
    caption = (
        f"{arm_name(OURS, rows_name(result))} minus nothing added; log loss in nats after prior "
        "correction, other figures in points"
    )
    heads = ["guardrail", "change", "95 % interval", "margin", "P(loss > margin)", "state"]
    return Table(caption, heads, rows, texts=1)


def classes_by_rarity(result: Result) -> list[str]:
    """List all classes: topped-up classes first, both groups sorted by number of rows."""
    counts, rare = result["data"]["classes"], set(result["data"]["rare"])
    return sorted(counts, key=lambda name: (name not in rare, counts[name]))


def compared(result: Result) -> dict[str, tuple[str, str]]:
    """Name the (arm, decision) to compare class by class: as it is, recommended, generated rows."""
    advice, generated = result["recommendation"], (OURS, result["declared"]["decision"])
    chosen = advice.get("suggestion") or advice
    wanted = ((NOTHING, "default"), (chosen["arm"], chosen["decision"]), generated)
    return {
        "as it is"
        if (arm, decision) == wanted[0]
        else remedy_name({"arm": arm, "decision": decision}, rows_name(result)): (arm, decision)
        for arm, decision in dict.fromkeys(wanted)
        if arm in result["arms"] and result["arms"][arm]["missing"] is None
    }


def class_figures(result: Result, figure: str) -> dict[str, dict[str, float | None]]:
    """Read {tested class: {compared remedy: recall, precision or support}}."""
    found = {
        name: result["arms"][arm]["per_class"][decision]
        for name, (arm, decision) in compared(result).items()
    }
    return {
        name: {remedy: (one.get(name) or {}).get(figure) for remedy, one in found.items()}
        for name in classes_by_rarity(result)
        if any(name in one for one in found.values())
    }


def classes(result: Result, shown: Sequence[str] = ("recall", "precision")) -> Table:
    """Show figures of every tested class, as it is and with the compared remedies."""
    figures = [class_figures(result, figure) for figure in shown]
    rows = []
    for name, supports in class_figures(result, "support").items():
        star = "*" if name in result["data"]["rare"] else ""
        tested = next((n for n in supports.values() if n is not None), 0)
        found = [percent(share) for one in figures for share in one[name].values()]
        rows.append(
            [f"{star}{name}", count(result["data"]["classes"][name]), count(tested), *found]
        )
    heads = [f"{figure}: {remedy}" for figure in shown for remedy in compared(result)]
    if len(shown) == 1:
        heads = list(compared(result))
    caption = f"{' and '.join(shown)} of each class in percent; * rare, topped up"
    return Table(caption, ["class", "rows", "tested", *heads], rows)


def training_rows(result: Result) -> Table:
    """Show training rows by class and origin; arms with equal rows share one line."""
    shown: dict[str, Mapping[str, Mapping[str, float]]] = {}
    for name, arm in result["arms"].items():
        if arm["rows"] and arm["rows"] not in shown.values():
            shown[name] = arm["rows"]
    cells = []
    for name in classes_by_rarity(result):
        row = []
        for rows in shown.values():
            own = {ORIGINS[o]: n for o, n in (rows.get(name) or {}).items() if n and o in ORIGINS}
            parts = ", ".join(f"{count(n)} {origin}" for origin, n in own.items())
            row.append(f"{count(sum(own.values()))} ({parts})" if len(own) > 1 else parts)
        cells.append([name, *row])
    heads = ["class", *(arm_name(name, rows_name(result)) for name in shown)]
    return Table("", heads, cells if shown else [], texts=len(shown))


def confusions(result: Result) -> Iterator[dict[str, Any]]:
    """Yield the confusion matrices of `none` and `gan` under the declared decision.

    At most twelve classes, the rarest, have columns; the last column sums the others.
    """
    names, decision = list(result["data"]["classes"]), result["declared"]["decision"]
    shown = classes_by_rarity(result)[:MOST_CONFUSED]
    more = len(names) - len(shown)
    places = [names.index(name) for name in shown]
    for arm in (NOTHING, OURS):
        counts = ((result["arms"].get(arm) or {}).get("confusion") or {}).get(decision)
        if not counts:
            continue
        rows = {}
        for name, place in zip(shown, places, strict=True):
            cells = [counts[place][at] for at in places]
            cells += [sum(counts[place]) - sum(cells)] if more else []
            if sum(cells):
                rows[name] = [(n, n / sum(cells)) for n in cells]
        if rows:
            heads = [*shown, *([f"{more} others"] if more else [])]
            name = arm_name(arm, rows_name(result))
            yield {"arm": name, "heads": heads, "rows": rows}


def costs(timings: Mapping[str, Any]) -> Table:
    """Show the seconds of each arm on one thread; the generators count as a cost of `gan`."""
    spent = timings.get("seconds") or {}
    rows = []
    for name, parts in (spent.get("arms") or {}).items():
        make_s = parts.get("make", 0.0)
        generator_s = spent.get("generators") or 0.0 if name == OURS else 0.0
        seconds = [generator_s, make_s, sum(parts.values()) - make_s]
        rows.append([arm_name(name), *(f"{s:,.1f}" for s in (*seconds, sum(seconds)))])
    total, finished = spent.get("total") or 0.0, timings.get("finished")
    caption = f"Seconds on one thread; {total:,.0f} in total" + (
        f", finished {finished}" if finished else ""
    )
    return Table(caption, ["method", "generator", "making rows", "classifier", "total"], rows)


def lines(result: Result, *, figures: bool = True) -> list[str]:
    """Write the recommendation, its code, the verdict, with its reasons and figures, and warnings.

    Only words and lines of code have more than 100 characters.
    """
    by_state: dict[str, list[str]] = {}
    for what, rail in guardrails(result):
        by_state.setdefault(rail["state"], []).append(what)
    checks = []
    for state, names in by_state.items():
        more = f" and {len(names) - MOST_CLASSES} more" if len(names) > MOST_CLASSES else ""
        checks.append(f"guardrails {state}: {', '.join(names[:MOST_CLASSES])}{more}")
    code = result["recommendation"]["apply"]["code"].splitlines()
    generated = arm_name(OURS, rows_name(result))
    by_class = classes(result, ["recall"])
    left = len(by_class.rows) - MOST_CLASSES
    remarks = [f"{left} more classes are in result.json"] if left > 0 else []
    remarks += [f"{name} is left out: {why}" for name, why in result["data"]["left_out"].items()]
    warnings = [f"warning: {text}" for text in result["warnings"]]
    warnings += [f"left out: {text}" for text in result["protocol"]["left_out"]]
    sentence, question = result["verdict"]["sentence"], f"Are {generated} worth adding?"
    blocks = [
        _wrapped(result["recommendation"]["sentence"]),
        ["What to do:", *(f"    {line}".rstrip() for line in code)],
    ]
    if not figures:
        best = remedies(result)
        best = replace(best, caption="", rows=best.rows[:FIRST_REMEDIES])
        answer = f"{question} {sentence.partition(';')[0].rstrip('.')}. {rows_on_top(result)}"
        blocks += [_aligned(best), _wrapped(answer), _items(warnings)]
        return [line for block in filter(None, blocks) for line in ["", *block]][1:]
    blocks += [
        _aligned(remedies(result)),
        [
            question,
            *_wrapped(rows_on_top(result)),
            *_wrapped(sentence),
            *_items([*result["verdict"]["reasons"], *checks]),
        ],
        [*_aligned(arms(result)), *_items(missing_arms(result))],
        _aligned(other_metrics(result)),
        [*_aligned(by_class), *_items(remarks)],
        _items(warnings),
    ]
    return [line for block in filter(None, blocks) for line in ["", *block]][1:]


def _wrapped(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(
        text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _items(texts: Iterable[str]) -> list[str]:
    return [line for text in texts for line in _wrapped(f"- {text}", "  ")]


def _aligned(table: Table) -> list[str]:
    """Align columns: names to the left, shortened to the space, and numbers to the right."""
    if not table.rows:
        return []
    names, *columns = (
        list(column) for column in zip(table.heads, *table.rows[:MOST_CLASSES], strict=True)
    )
    right = [[cell.rjust(max(map(len, column))) for cell in column] for column in columns]
    room = max(SHORTEST_NAME, WIDTH - sum(len(column[0]) + 2 for column in right))
    short = [name if len(name) <= room else f"{name[: room - 1]}…" for name in names]
    left = [name.ljust(max(map(len, short))) for name in short]
    aligned = ("  ".join(row).rstrip() for row in zip(left, *right, strict=True))
    return [*_wrapped(table.caption), *aligned]
