"""The result of an evaluation as text for a terminal. Start at `lines`."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from gan_augment.report import tables
from gan_augment.report.wording import (
    METRICS,
    Result,
    metric_name,
    number,
    percent,
    points,
    span,
    splits,
    spread,
)

WIDTH = 100
MOST_CLASSES = 20
LONGEST_NAME = 28
LONGEST_ARM = 12


def lines(result: Result) -> list[str]:
    """Write the verdict, the arms, the classes and the warnings.

    Lines have at most 100 characters, unless a word is longer. Figures are in percent, differences
    in points.
    """
    rows = tables.arm_rows(result)
    blocks = [
        _verdict(result),
        _arms(result, rows),
        _other_metrics(result, [row for row in rows if row.missing is None]),
        _classes(result),
        _remarks(result),
    ]
    text: list[str] = []
    for block in filter(None, blocks):
        text += ["", *block] if text else block
    return text


def _verdict(result: Result) -> list[str]:
    """Write the sentence, its probabilities, and the guardrails by state."""
    by_state: dict[str, list[str]] = {}
    for what, rail in tables.guardrails(result):
        by_state.setdefault(rail["state"], []).append(what)
    remarks = tables.reasons(result)
    for state, names in by_state.items():
        more = f" and {len(names) - MOST_CLASSES} more" if len(names) > MOST_CLASSES else ""
        remarks.append(f"guardrails {state}: {', '.join(names[:MOST_CLASSES])}{more}")
    return [*_wrapped(result["verdict"]["sentence"]), *_items(remarks)]


def _arms(result: Result, rows: Sequence[tables.ArmRow]) -> list[str]:
    """Write the primary metric of every arm by decision, and its difference to `none`."""
    columns = tables.decisions(result)
    cells = [["", *columns, "minus none", "95 % interval"]]
    for row in rows:
        if row.missing is None:
            change = ["", ""] if row.change is None else [points(row.change), span(row.interval)]
            means = [spread(*row.spreads[column]) for column in columns]
            cells.append([_short(row.name), *means, *change])
    missing = [f"{row.name} is missing: {row.missing}" for row in rows if row.missing is not None]
    title = (
        f"{metric_name(result)} in percent, mean ± standard deviation over {splits(result)}; "
        f"differences of the {result['declared']['decision']} decision in points"
    )
    return [*_wrapped(title), *_table(cells), *_items(missing)]


def _other_metrics(result: Result, rows: Sequence[tables.ArmRow]) -> list[str]:
    """Write the exploratory metrics under the declared decision, and log loss."""
    metrics = tables.metric_columns(rows, result["declared"]["metric"])
    with_loss = any(row.log_loss is not None for row in rows)
    if not metrics and not with_loss:
        return []
    loss = ["log loss"] if with_loss else []
    cells = [["", *(METRICS[metric] for metric in metrics), *loss]]
    for row in rows:
        means = [percent(row.means[metric]) for metric in metrics]
        cells.append([_short(row.name), *means, *([number(row.log_loss)] if with_loss else [])])
    title = f"exploratory, {result['declared']['decision']} decision"
    title += "; log loss after correcting the prior" if with_loss else ""
    return [*_wrapped(title), *_table(cells)]


def _classes(result: Result) -> list[str]:
    """Write recall and precision of every class, topped-up classes first."""
    arms = tables.compared_arms(result)
    if not arms:
        return []
    rows, gap = tables.class_rows(result), [""] * (len(arms) - 1)
    heads = [_short(name, LONGEST_ARM) for name in arms]
    cells = [["", "", "recall", *gap, "precision", *gap], ["", "rows", *heads, *heads]]
    for row in rows[:MOST_CLASSES]:
        figures = [percent(value) for one in (row.recall, row.precision) for value in one.values()]
        cells.append([_short(row.name) + "*" * row.rare, f"{row.rows:,}", *figures])
    left = len(rows) - MOST_CLASSES
    more = [f"{left} more classes are in result.json"] if left > 0 else []
    unjudged = [f"{name} is left out: {why}" for name, why in result["data"]["left_out"].items()]
    title = f"classes in percent, {result['declared']['decision']} decision; * topped up"
    return [title, *_table(cells), *_items([*more, *unjudged])]


def _remarks(result: Result) -> list[str]:
    """Write the bootstrap of few positives, the warnings, and what the protocol left out."""
    texts, bootstrap = [], (result.get("few_positives") or {}).get("bootstrap")
    if bootstrap:
        ends = span((bootstrap["low"], bootstrap["high"]))
        texts.append(
            f"bootstrap over rows of the first repeat: {points(bootstrap['mean'])} ({ends})"
        )
    texts += [f"warning: {text}" for text in result["warnings"]]
    return _items([*texts, *(f"left out: {text}" for text in result["protocol"]["left_out"])])


def _short(name: str, longest: int = LONGEST_NAME) -> str:
    return name if len(name) <= longest else f"{name[: longest - 1]}…"


def _wrapped(text: str, indent: str = "") -> list[str]:
    wrapped = textwrap.wrap(
        text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    return wrapped or [""]


def _items(texts: Iterable[str]) -> list[str]:
    return [line for text in texts for line in _wrapped(f"- {text}", "  ")]


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Align columns: names to the left, numbers to the right."""
    wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            f"{cell:{'>' if i else '<'}{n}}"
            for i, (cell, n) in enumerate(zip(row, wide, strict=True))
        ).rstrip()
        for row in rows
    ]
