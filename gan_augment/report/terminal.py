"""The result of an evaluation as text for a terminal. Start at `lines`."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from gan_augment.report import tables
from gan_augment.report.wording import NOTHING, OURS, Result

WIDTH = 100
MOST_CLASSES = 20
LONGEST_NAME = 26


def lines(result: Result) -> list[str]:
    """Write the verdict, the arms, the classes and the warnings.

    Lines have at most 100 characters, unless a word is longer. Figures are in percent, differences
    in points.
    """
    by_state: dict[str, list[str]] = {}
    for what, rail in tables.guardrails(result):
        by_state.setdefault(rail["state"], []).append(what)
    reasons = tables.reasons(result)
    for state, names in by_state.items():
        more = f" and {len(names) - MOST_CLASSES} more" if len(names) > MOST_CLASSES else ""
        reasons.append(f"guardrails {state}: {', '.join(names[:MOST_CLASSES])}{more}")
    compared = [name for name in tables.compared_arms(result) if name in (NOTHING, OURS)]
    classes = tables.classes(result, compared)
    left = len(classes.rows) - MOST_CLASSES
    remarks = [f"{left} more classes are in result.json"] if left > 0 else []
    unjudged = result["data"]["left_out"].items()
    remarks += [f"{name} is left out: {why}" for name, why in unjudged]
    warnings = [f"warning: {text}" for text in result["warnings"]]
    warnings += [f"left out: {text}" for text in result["protocol"]["left_out"]]
    blocks = [
        [*_wrapped(result["verdict"]["sentence"]), *_items(reasons)],
        [*_table(tables.arms(result)), *_items(tables.missing_arms(result))],
        _table(tables.other_metrics(result)),
        [*_table(classes), *_items(remarks)],
        _items(warnings),
    ]
    return [line for block in filter(None, blocks) for line in ["", *block]][1:]


def _wrapped(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(
        text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _items(texts: Iterable[str]) -> list[str]:
    return [line for text in texts for line in _wrapped(f"- {text}", "  ")]


def _table(table: tables.Table) -> list[str]:
    """Align columns: names to the left, numbers to the right."""
    if not table.rows:
        return []
    rows = [table.heads, *table.rows[:MOST_CLASSES]]
    cells = [[_short(row[0]), *row[1:]] for row in rows]
    wide = [max(map(len, column)) for column in zip(*cells, strict=True)]
    aligned = [
        [name.ljust(wide[0]), *(cell.rjust(n) for cell, n in zip(rest, wide[1:], strict=True))]
        for name, *rest in cells
    ]
    return [*_wrapped(table.caption), *("  ".join(row).rstrip() for row in aligned)]


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
