"""A table's schema as lines for people: one a column. No rules, no cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gan_augment.data.cells.local_clock import to_wall

if TYPE_CHECKING:
    from gan_augment.data.schema import Column, TableSchema

HEADING = ("column", "kind", "type", "missing", "values", "why")
WIDEST_NAME = 32
WIDEST_VALUES = 44


def schema_lines(schema: TableSchema) -> list[str]:
    """A heading and a line a column, padded to columns; the target last."""
    rows = [HEADING, *(_row(column, column.kind) for column in schema.columns)]
    if schema.target is not None:
        rows.append(_row(schema.target.cells, "target"))
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADING) - 1)]
    return [
        "  ".join(
            [*(cell.ljust(w) for cell, w in zip(row, widths, strict=False)), row[-1]]
        ).rstrip()
        for row in rows
    ]


def values_in_words(column: Column) -> str:
    """The levels, or the range, of a column.

    >>> from gan_augment.data.schema import Column
    >>> values_in_words(Column(name="a", kind="numeric", dtype="int64", low=1, high=90))
    '1 to 90'
    """
    if column.low is not None and column.high is not None and column.kind != "id":
        return f"{_bound(column, column.low)} to {_bound(column, column.high)}"
    if column.kind == "id" or not column.levels:
        return ""
    shown = ", ".join(str(level) for level in column.levels[:6])
    count = f"{len(column.levels)} levels: " if len(column.levels) > 1 else ""
    more = ", ..." if len(column.levels) > 6 else ""
    return _short(f"{count}{shown}{more}", WIDEST_VALUES)


def _row(column: Column, kind: str) -> tuple[str, ...]:
    name = _short(str(column.name), WIDEST_NAME)
    missing = str(column.missing) if column.missing else ""
    return name, kind, _short(column.dtype, 28), missing, values_in_words(column), column.why


def _bound(column: Column, bound: int | float) -> str:
    if column.unit is None:
        return str(bound) if isinstance(bound, int) else f"{bound:.6g}"
    if column.kind != "datetime":
        return str(np.timedelta64(int(bound), column.unit))
    moment = np.datetime64(int(bound), column.unit)
    if column.zone and not column.wall:  # else it is on the local clock already
        ticks = moment.astype("M8[s]").astype(np.int64).reshape(1)
        moment = to_wall(ticks, "s", column.zone).view("M8[s]")[0]
    return str(moment).replace("T", " ")


def _short(text: str, width: int) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= width else plain[: width - 3] + "..."
