"""The result of an evaluation as text for a terminal. No number is computed here but for rounding.

Start at `lines`. The result is the dictionary of result.json; `result.py` makes it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gan_augment.evaluation.figures import SAID

WIDTH = 100
MOST_CLASSES = 20
LONGEST_NAME = 28
LONGEST_ARM = 12
NOTHING = "none"
OURS = "gan"
STATES = ("broken", "open", "held")

Result = Mapping[str, Any]


def lines(result: Result) -> list[str]:
    """The verdict first, then the arms, the classes, the curves, and what a reader must know.

    At most 100 characters a line, unless a word is longer. Figures are in percent, differences in
    points.
    """
    blocks = [
        _verdict(result),
        _arms(result),
        _other_metrics(result),
        _classes(result),
        _chosen(result),
        _curves(result),
        _beside(result),
        _remarks(result),
    ]
    told: list[str] = []
    for block in filter(None, blocks):
        told += ["", *block] if told else block
    return told


def _verdict(result: Result) -> list[str]:
    """The sentence, the probabilities behind it, and how each guardrail stands."""
    verdict = result["verdict"]
    by_state: dict[str, list[str]] = {}
    for what, rail in verdict["guardrails"].items():
        by_state.setdefault(rail["state"], []).append(what)
    about = tuple(f"{what}: " for names in by_state.values() for what in names)
    reasons = [text for text in verdict["reasons"] if not text.startswith(about)]
    for state in (state for state in STATES if state in by_state):
        names = by_state[state]
        more = f" and {len(names) - MOST_CLASSES} more" if len(names) > MOST_CLASSES else ""
        reasons.append(f"guardrails {state}: {', '.join(names[:MOST_CLASSES])}{more}")
    return [*_wrapped(verdict["sentence"]), *_items(reasons)]


def _arms(result: Result) -> list[str]:
    """The primary metric of every arm under both decisions, and its difference to nothing."""
    metric, decision = result["declared"]["metric"], result["declared"]["decision"]
    columns = ["default", "tuned"] if decision == "tuned" else ["default"]
    head = ["", *columns, "minus none", "95 % interval"]
    rows, missing = [], []
    for name, arm in result["arms"].items():
        if arm["missing"] is not None:
            missing.append(f"{name} is missing: {arm['missing']}")
            continue
        cells = [_spread(arm[column], metric) for column in columns]
        rows.append([_short(name), *cells, *_change(arm, decision, metric)])
    protocol = result["protocol"]
    title = (
        f"{SAID.get(metric, metric)} in percent, mean ± standard deviation over "
        f"{_splits(protocol)}; differences of the {decision} decision in points"
    )
    return [*_wrapped(title), *_table([head, *rows]), *_items(missing)]


def _other_metrics(result: Result) -> list[str]:
    """What was not declared: all other metrics under the declared decision, and log loss."""
    primary, decision = result["declared"]["metric"], result["declared"]["decision"]
    arms = {name: arm for name, arm in result["arms"].items() if arm["missing"] is None}
    means = {
        SAID[metric]: {name: _mean(arm[decision], metric) for name, arm in arms.items()}
        for metric in SAID
        if metric != primary
    }
    shown = {said: known for said, known in means.items() if _any(known)}
    losses = {name: _log_loss(arm) for name, arm in arms.items()}
    head, rows = ["", *shown], []
    title = f"exploratory, {decision} decision"
    if _any(losses):
        head.append("log loss")
        title += "; log loss after correcting the prior"
    for name in arms:
        loss = losses[name]
        cells = [*(_percent(known[name]) for known in shown.values())]
        cells.append("-" if loss is None else f"{loss:.3f}")
        rows.append([_short(name), *cells[: len(head) - 1]])
    return [*_wrapped(title), *_table([head, *rows])] if len(head) > 1 else []


def _classes(result: Result) -> list[str]:
    """Recall and precision of every class without and with, those that are topped up first."""
    column = result["declared"]["decision"]
    found = {
        name: arm["per_class"][column]
        for name, arm in result["arms"].items()
        if name in (NOTHING, OURS, result["verdict"]["arm"]) and arm["missing"] is None
    }
    if not found:
        return []
    rare, counts = result["data"]["rare"], result["data"]["classes"]
    known = next(iter(found.values()))
    names = [*(c for c in rare if c in known), *(c for c in known if c not in rare)]
    gap = [""] * (len(found) - 1)
    arms = [_short(name, LONGEST_ARM) for name in found]
    rows = [["", "", "recall", *gap, "precision", *gap], ["", "rows", *arms, *arms]]
    for name in names[:MOST_CLASSES]:
        cells = [
            _percent(by_class[name][figure])
            for figure in ("recall", "precision")
            for by_class in found.values()
        ]
        mark = "*" if name in rare else ""
        rows.append([_short(name) + mark, f"{counts[name]:,}", *cells])
    left = len(names) - MOST_CLASSES
    more = [f"{left} more classes are in result.json"] if left > 0 else []
    unjudged = [f"{name} is left out: {why}" for name, why in result["data"]["left_out"].items()]
    title = f"classes in percent, {column} decision; * topped up"
    return [title, *_table(rows), *_items([*more, *unjudged])]


def _chosen(result: Result) -> list[str]:
    """Which amounts the arms took, over the splits."""
    told = []
    for name, arm in result["arms"].items():
        if arm["missing"] is None and len(arm["chosen"] or {}):
            often = sorted(arm["chosen"].items(), key=lambda pair: -pair[1])
            told.append(f"{name}: " + ", ".join(f"{amount} ({n})" for amount, n in often))
    if not told:
        return []
    return ["amounts chosen on inner validation (splits)", *_items(told)]


def _curves(result: Result) -> list[str]:
    metric = SAID.get(result["declared"]["metric"], result["declared"]["metric"])
    titles = {
        "to": f"{metric} by what a class ends with",
        "share": f"{metric} by the generated share of what is added",
        "real_rows": f"{metric} by the share of real rare rows, nothing added",
    }
    told = []
    for key, title in titles.items():
        points = result["curves"].get(key) or []
        if points:
            line = ", ".join(f"{_at(p)} {_percent(p['mean'])}" for p in points)
            told += _wrapped(f"{title}: {line}")
    if result["worth"] and result["worth"]["sentence"]:
        told += _wrapped(result["worth"]["sentence"])
    return told


def _beside(result: Result) -> list[str]:
    """What stands beside the verdict where positives are few: bootstrap, McNemar, copies."""
    told = []
    few = result["few_positives"] or {}
    if few.get("bootstrap"):
        told.append(
            f"{OURS} minus {NOTHING}, pooled over the first repeat, bootstrap: "
            f"{_points(few['bootstrap']['mean'])} points "
            f"({_points(few['bootstrap']['low'])} to {_points(few['bootstrap']['high'])})"
        )
    for name, test in (few.get("mcnemar") or {}).items():
        told.append(f"recall of {name}, exact McNemar: p = {test['p']:.2g}")
    return _items(told)


def _remarks(result: Result) -> list[str]:
    """Warnings first, then what a budget left out."""
    warned = _items([f"warning: {text}" for text in result["warnings"]])
    left_out = [f"left out: {text}" for text in result["protocol"]["left_out"]]
    return [*warned, *_items(left_out)]


def _change(arm: Mapping[str, Any], decision: str, metric: str) -> list[str]:
    """The difference of an arm to nothing, and its interval; nothing has none."""
    contrast = ((arm["minus_none"] or {}).get(decision) or {}).get(metric)
    if contrast is None:
        return ["", ""]
    interval = contrast["interval"]
    within = "-" if interval is None else f"{_points(interval[0])} to {_points(interval[1])}"
    return [_points(contrast["mean"]), within]


def _spread(column: Mapping[str, Any] | None, metric: str) -> str:
    mean = _mean(column, metric)
    if column is None or mean is None:
        return "-"
    deviation = column[metric]["sd"]
    return _percent(mean) if deviation is None else f"{_percent(mean)} ± {100 * deviation:.1f}"


def _mean(column: Mapping[str, Any] | None, metric: str) -> float | None:
    figure = (column or {}).get(metric)
    return None if figure is None else figure["mean"]


def _log_loss(arm: Mapping[str, Any]) -> float | None:
    after = (arm["calibration"] or {}).get("after")
    return None if after is None else after["log_loss"]


def _splits(protocol: Mapping[str, Any]) -> str:
    folds, repeats = protocol["folds"], protocol["repeats"]
    one = f"{folds} fold" if folds == 1 else f"{folds} folds"
    return one if repeats == 1 else f"{one} x {repeats}"


def _at(point: Mapping[str, Any]) -> str:
    """Where on a curve a point is: words as they are, numbers as shares."""
    at = point["amount"]
    if isinstance(at, str):
        return at
    words = {0: "nothing", 1: "all"}
    return words.get(at, f"{100 * at:g} %")


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def _points(value: float) -> str:
    """Signed, without -0.0."""
    text = f"{100 * value:+.1f}"
    return "+0.0" if text == "-0.0" else text


def _any(known: Mapping[str, float | None]) -> bool:
    return any(value is not None for value in known.values())


def _short(name: str, longest: int = LONGEST_NAME) -> str:
    return name if len(name) <= longest else f"{name[: longest - 1]}…"


def _wrapped(text: str, indent: str = "") -> list[str]:
    found = textwrap.wrap(
        text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    return found or [""]


def _items(texts: Iterable[str]) -> list[str]:
    return [line for text in texts for line in _wrapped(f"- {text}", "  ")]


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns as wide as their widest cell, names to the left, numbers to the right."""
    wide = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    told = []
    for row in rows:
        cells = [
            f"{cell:<{n}}" if i == 0 else f"{cell:>{n}}"
            for i, (cell, n) in enumerate(zip(row, wide, strict=True))
        ]
        told.append("  ".join(cells).rstrip())
    return told
