"""Schema of a table: kind, dtype, range and levels of each column, as JSON and as lines of text.

`inference.py` finds the facts, `columns.py` applies them to cells.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field

from gan_augment.errors import DataError, UsageError, did_you_mean
from gan_augment.settings import Frozen, read_toml

ColumnKind = Literal["numeric", "categorical", "boolean", "datetime", "id", "constant"]
Unit = Literal["D", "h", "m", "s", "ms", "us", "ns"]
Name = str | int
Scalar = str | bool | int | float
LEARNED = ("numeric", "categorical", "boolean", "datetime")
_NUMBERS = ("numeric", "datetime")
_LEVELS = ("categorical", "boolean")
_HEADING = ("column", "kind", "type", "missing", "values", "why")
_WIDEST_NAME = 32
_WIDEST_TYPE = 28
_WIDEST_VALUES = 44


class Column(Frozen):
    """One column: its kind, and every fact that is needed to write new cells in its dtype.

    General. name: as in the frame. dtype: `dtype_text`. missing: training cells without a value.
    none: object columns hold None instead of NaN where a value is missing.
    why: the reason for the kind, with its numbers.

    Numbers and moments. unit: of moments, counted since 1970 in UTC; None for numbers. low, high,
    spikes: in units, or in the column's own numbers; spikes hold at least 5 % of the known cells.
    decimals: digits after the point, at most 12, or None without a limit. origin: the value that
    `columns.plain` subtracts (`low` of moments and of integers beyond 2^53, else 0). dates: object
    cells are `datetime.date`.

    Levels. levels: the values seen, in order; the one value of a constant. categories, ordered,
    categories_dtype: of a pandas category, including unused categories.

    Ids. refill: "integers" continue after `last`, "strings" are synthetic-000001 after number
    `last`, "missing" leaves the cell empty.
    """

    name: Name
    kind: ColumnKind
    dtype: str
    missing: int = 0
    none: bool = True
    why: str = ""
    unit: Unit | None = None
    low: int | float | None = None
    high: int | float | None = None
    spikes: tuple[int | float, ...] = ()
    decimals: int | None = None
    origin: int = 0
    dates: bool = False
    levels: tuple[Scalar, ...] = ()
    categories: tuple[Scalar, ...] | None = None
    categories_dtype: str = "object"
    ordered: bool = False
    refill: Literal["integers", "strings", "missing"] | None = None
    last: int | None = None

    @property
    def learned(self) -> bool:
        """Return whether a model learns the column; ids and constants are filled in afterwards."""
        return self.kind in LEARNED

    @property
    def has_numbers(self) -> bool:
        """Return whether the column is learned as numbers: numeric or datetime."""
        return self.kind in _NUMBERS

    @property
    def has_levels(self) -> bool:
        """Return whether the column is learned as levels: categorical or boolean."""
        return self.kind in _LEVELS

    @property
    def is_id(self) -> bool:
        """Return whether the column holds ids, which are refilled in new rows."""
        return self.refill is not None

    @property
    def plain_spikes(self) -> tuple[float, ...]:
        """Return `spikes` on the scale of `columns.plain`."""
        return tuple(float(value - self.origin) for value in self.spikes)

    @cached_property
    def pandas_dtype(self) -> Any:
        """Return the dtype of the cells. Raises TypeError or ValueError for an unknown name."""
        import pandas as pd

        if self.dtype != "category":
            return dtype_of_text(self.dtype)
        levels = pd.Index(list(self.categories or ()), dtype=dtype_of_text(self.categories_dtype))
        return pd.CategoricalDtype(levels, ordered=self.ordered)

    @property
    def values_in_words(self) -> str:
        """Return the levels, or the range.

        >>> Column(name="a", kind="numeric", dtype="int64", low=1, high=90).values_in_words
        '1 to 90'
        """
        if self.is_id:
            return ""
        if self.low is not None and self.high is not None:
            return f"{_bound(self.low, self.unit)} to {_bound(self.high, self.unit)}"
        count = f"{len(self.levels)} levels: " if len(self.levels) > 1 else ""
        more = ", ..." if len(self.levels) > 6 else ""
        return _short(f"{count}{', '.join(map(str, self.levels[:6]))}{more}", _WIDEST_VALUES)


class TargetColumn(Frozen):
    """The column of labels. cells: its levels are the labels, by class index.

    position: among the columns of the input, or None for separate labels.
    """

    cells: Column
    position: int | None = None

    @property
    def name(self) -> Name:
        """Return the name in the frame; "target" for labels without a name."""
        return self.cells.name


class TableSchema(Frozen):
    """The feature columns in the order of the frame, and the target if it is known."""

    columns: tuple[Column, ...]
    target: TargetColumn | None = None

    @cached_property
    def by_name(self) -> Mapping[Name, Column]:
        """Return the feature columns by name."""
        return {column.name: column for column in self.columns}

    @property
    def names(self) -> tuple[Name, ...]:
        """Return the names of the feature columns, in order."""
        return tuple(column.name for column in self.columns)

    @property
    def learned(self) -> tuple[Column, ...]:
        """Return the columns that a model learns, in order."""
        return tuple(column for column in self.columns if column.kind in LEARNED)

    def of(self, name: Name) -> Column:
        """Return a feature column. Raises DataError with the nearest name."""
        try:
            return self.by_name[name]
        except KeyError:
            raise DataError(no_column(name, self.names)) from None

    def lines(self) -> list[str]:
        """Return a heading and one aligned line per column; the target is last."""
        rows = [_HEADING, *(_row(column, column.kind) for column in self.columns)]
        if self.target is not None:
            rows.append(_row(self.target.cells, "target"))
        widths = [max(len(row[i]) for row in rows) for i in range(len(_HEADING) - 1)]
        padded = [[cell.ljust(w) for cell, w in zip(row, widths, strict=False)] for row in rows]
        return [
            "  ".join([*cells, row[-1]]).rstrip() for cells, row in zip(padded, rows, strict=True)
        ]


class Overrides(Frozen):
    """Kinds set by the user, by column name; other kinds are inferred."""

    columns: dict[Name, ColumnKind] = Field(default_factory=dict)

    @classmethod
    def of(cls, **names: Iterable[Name]) -> Self:
        """Make overrides from names by kind. Raises UsageError for a name under two kinds.

        >>> Overrides.of(categorical=["zip"], id=["key"]).columns
        {'zip': 'categorical', 'key': 'id'}
        """
        kinds: dict[Name, Any] = {}
        for kind, listed in names.items():
            for name in listed:
                if kinds.setdefault(name, kind) != kind:
                    raise UsageError(
                        f"column {name!r} is listed as {kinds[name]} and {kind}; list it once"
                    )
        return cls.checked({"columns": kinds}, "column kinds")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a TOML file with a table `[columns]` of lines like `zip = "categorical"`."""
        values = read_toml(path)
        if "columns" not in values:
            raise UsageError(
                f'{path} has no table [columns]; expected lines like zip = "categorical" under it'
            )
        return cls.checked({"columns": values["columns"]}, str(path))

    def merged(self, later: Overrides) -> Overrides:
        """Return the union; `later` wins for columns in both."""
        return Overrides(columns={**self.columns, **later.columns})

    def without_target(self, target: Name) -> Overrides:
        """Leave out the target. Raises UsageError unless it is listed as categorical or boolean."""
        kinds = {name: kind for name, kind in self.columns.items() if str(name) == str(target)}
        for kind in kinds.values():
            if kind not in _LEVELS:
                raise UsageError(f"column {target!r} is the target, so it cannot be {kind}")
        return Overrides(columns={n: k for n, k in self.columns.items() if n not in kinds})

    def kinds_of(self, names: Iterable[Name]) -> dict[Name, ColumnKind]:
        """Return kinds by the names in the frame. Raises UsageError for an unknown name."""
        listed = list(names)
        return {matching_name(name, listed): kind for name, kind in self.columns.items()}


def matching_name(name: Name, names: list[Name], what: str = "") -> Name:
    """Return the name of a column in the frame: "3" finds column 3 if no column is called "3".

    Raises UsageError that begins with `what` for an unknown column.
    """
    if name in names:
        return name
    by_text = {str(one): one for one in names}
    if str(name) not in by_text:
        raise UsageError(f"{what}{no_column(name, names)}")
    return by_text[str(name)]


def no_column(name: Name, names: Iterable[Name]) -> str:
    """Return the message for an unknown column, with the nearest name."""
    available = list(names)
    shown = ", ".join(repr(one) for one in available[:20])
    more = f" and {len(available) - 20} more" if len(available) > 20 else ""
    guess = did_you_mean(str(name), [str(one) for one in available])
    return f"there is no column {name!r}; the table has {shown}{more}.{guess}"


def dtype_text(dtype: Any) -> str:
    """Return the name of a dtype for `dtype_of_text`; "category" for every category.

    pandas calls two dtypes "string[pyarrow]": Arrow's own types are "arrow:string" here, and
    pandas' text with NaN for missing values is "str[pyarrow]" or "str[python]".
    """
    import pandas as pd

    if isinstance(dtype, pd.ArrowDtype):
        return f"arrow:{dtype.pyarrow_dtype}"
    if isinstance(dtype, pd.StringDtype):
        return f"{'string' if dtype.na_value is pd.NA else 'str'}[{dtype.storage}]"
    return "category" if isinstance(dtype, pd.CategoricalDtype) else str(dtype)


def dtype_of_text(text: str) -> Any:
    """Return the dtype of a name. Raises TypeError or ValueError for an unknown name."""
    import pandas as pd

    if text == "arrow:string":
        import pyarrow as pa

        return pd.ArrowDtype(pa.string())
    if text.startswith("arrow:"):
        return pd.api.types.pandas_dtype(f"{text.removeprefix('arrow:')}[pyarrow]")
    if text.startswith("str["):
        return pd.StringDtype(text[4:-1].removesuffix("_numpy"), na_value=np.nan)
    dtype = pd.api.types.pandas_dtype(text)
    if isinstance(dtype, np.dtype) and dtype.kind not in "biufMO":  # "S2000000000" takes memory
        raise TypeError(f"{text!r} is not the dtype of a column")
    return dtype


def _row(column: Column, kind: str) -> tuple[str, ...]:
    name, dtype = _short(str(column.name), _WIDEST_NAME), _short(column.dtype, _WIDEST_TYPE)
    missing = str(column.missing) if column.missing else ""
    return name, kind, dtype, missing, column.values_in_words, column.why


def _bound(bound: int | float, unit: Unit | None) -> str:
    if unit is not None:
        return str(np.datetime64(int(bound), unit)).replace("T", " ")
    return str(bound) if isinstance(bound, int) else f"{bound:.6g}"


def _short(text: str, width: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 3] + "..."
