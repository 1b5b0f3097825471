"""Schema of a table: kind, dtype and range of each column, as JSON and as lines of text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, Literal

import numpy as np

from gan_augment.errors import UsageError, did_you_mean
from gan_augment.settings import Frozen

ColumnKind = Literal["numeric", "datetime", "categorical", "id", "constant"]
Unit = Literal["D", "h", "m", "s", "ms", "us", "ns"]
Name = str | int
Scalar = str | bool | int | float
Overrides = Mapping[Name, str]
"""{column: kind}, for columns whose kind is not inferred."""
NUMBERS = ("numeric", "datetime")
LEARNED = (*NUMBERS, "categorical")
_HEADING = ("column", "kind", "type", "missing", "values", "why")


class Column(Frozen):
    """One column: its kind, and the facts that turn numbers and codes into new cells.

    dtype: pandas' name of the dtype. missing: training cells without a value. why: the reason for
    the kind. unit: time unit of datetimes since 1970 in UTC; None for other cells. pattern: format
    of datetimes in text, as for strptime; "" for other cells. low, high: the range. spikes: values
    that hold at least 5 % of the known cells. decimals: digits after the point, at most 12, or None
    without a limit. categories: the values seen, in order; the one value of a constant.
    dtype_categories, ordered: those of a pandas category, unused ones included. last: for ids, the
    number after which new ids begin, or None to leave new cells empty.
    """

    name: Name
    kind: ColumnKind
    dtype: str
    missing: int = 0
    why: str = ""
    unit: Unit | None = None
    pattern: str = ""
    low: int | float | None = None
    high: int | float | None = None
    spikes: tuple[int | float, ...] = ()
    decimals: int | None = None
    categories: tuple[Scalar, ...] = ()
    dtype_categories: tuple[Scalar, ...] = ()
    ordered: bool = False
    last: int | None = None

    @property
    def learned(self) -> bool:
        """Return whether a model learns the column; ids and constants are filled in afterwards."""
        return self.kind in LEARNED

    @property
    def has_numbers(self) -> bool:
        """Return whether the column is learned as numbers: numeric or datetime."""
        return self.kind in NUMBERS

    @property
    def origin(self) -> int:
        """Return what `columns.plain` subtracts: the first date if the range fits into 64 bits.

        >>> Column(name="a", kind="datetime", dtype="M8[s]", unit="D", low=9, high=12).origin
        9
        """
        if self.unit is None or self.low is None or self.high is None:
            return 0
        return int(self.low) if self.high - self.low < 2**62 else 0

    @cached_property
    def pandas_dtype(self) -> Any:
        """Return the dtype of the cells. Raises TypeError or ValueError for an unknown name."""
        import pandas as pd

        if self.dtype == "category":
            return pd.CategoricalDtype(list(self.dtype_categories), ordered=self.ordered)
        dtype = pd.api.types.pandas_dtype(self.dtype)
        if isinstance(dtype, np.dtype) and dtype.kind not in "biufMO":  # S2000000000 takes memory
            raise TypeError(f"{self.dtype!r} is not the dtype of a column")
        return dtype

    @property
    def values_in_words(self) -> str:
        """Return the categories, or the range.

        >>> Column(name="a", kind="numeric", dtype="int64", low=1, high=90).values_in_words
        '1 to 90'
        """
        if self.low is not None and self.high is not None:
            ends = (self.low, self.high)
            if self.unit is not None:
                dates = (str(np.datetime64(int(end), self.unit)) for end in ends)
                return " to ".join(date.replace("T", " ") for date in dates)
            return " to ".join(str(end) if isinstance(end, int) else f"{end:.6g}" for end in ends)
        known = self.categories
        count = f"{len(known)} categories: " if len(known) > 1 else ""
        return f"{count}{', '.join(map(str, known[:6]))}{', ...' if len(known) > 6 else ''}"


class TableSchema(Frozen):
    """The feature columns in the order of the frame, and the target if it is known.

    target: its categories are the labels, by class index; called "target" without a name. position:
    the target's place among the columns of the input, or None for separate labels.
    """

    columns: tuple[Column, ...]
    target: Column | None = None
    position: int | None = None

    @property
    def names(self) -> tuple[Name, ...]:
        """Return the names of the feature columns, in order."""
        return tuple(column.name for column in self.columns)

    @property
    def learned(self) -> tuple[Column, ...]:
        """Return the columns that a model learns, in order."""
        return tuple(column for column in self.columns if column.learned)

    @property
    def id_columns(self) -> tuple[Column, ...]:
        """Return the id columns in order; new rows continue the numbers."""
        return tuple(column for column in self.columns if column.kind == "id")

    @property
    def ids(self) -> str:
        """Return the first id columns and why they are ids, in words; "" for none."""
        ids = [f"{column.name!r} ({column.why})" for column in self.id_columns]
        return ", ".join(ids[:5])

    def lines(self) -> list[str]:
        """Return a heading and one aligned line per column; the target is last."""
        columns = [*self.columns, *([self.target] if self.target else [])]
        rows = [_HEADING]
        for column in columns:
            kind = "target" if column is self.target else column.kind
            name, dtype = _short(str(column.name), 32), _short(column.dtype, 28)
            values = _short(column.values_in_words, 44)
            rows.append((name, kind, dtype, str(column.missing or ""), values, column.why))
        widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
        return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def matching_name(name: Name, names: Iterable[Name], what: str = "") -> Name:
    """Return a column's name, "3" for column 3; a UsageError says `what` column it is."""
    known = list(names)
    if name in known:
        return name
    texts = [str(one) for one in known]
    if str(name) in texts:
        return known[texts.index(str(name))]
    shown = ", ".join(repr(one) for one in known[:20])
    more = f" and {len(known) - 20} more" if len(known) > 20 else ""
    raise UsageError(
        f"there is no {what}column {name!r}; the table has {shown}{more}."
        f"{did_you_mean(str(name), texts)}"
    )


def _short(text: str, width: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 3] + "..."
