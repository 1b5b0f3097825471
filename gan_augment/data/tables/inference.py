"""Infer the schema of a frame: the kind of every column, and its description.

The rules, first match wins: `constant` has one value in every row, or none; `datetime` is a dtype,
or text by one of `PATTERNS`; floats are `numeric`, booleans and pandas' categories `categorical`;
`id` names rows instead of describing them (`_why_ids`); whole numbers are `numeric`, but
`categorical` where few values are far apart, since numbers between them would exist nowhere; text
is `categorical`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any, cast, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gan_augment.data.labels import check_classes, encode_labels
from gan_augment.data.tables.columns import EXACT, Cells, Family, datetimes_of, read_cells
from gan_augment.data.tables.schema import (
    LEARNED,
    Column,
    ColumnKind,
    Name,
    Overrides,
    TableSchema,
    Unit,
    matching_name,
)
from gan_augment.errors import DataError, UsageError

Facts = dict[str, Any]

FEWEST_ROWS_OF_AN_ID = 20
DISTINCT_SHARE_OF_AN_ID = 0.95
MANY_CATEGORIES = 50
MANY_CATEGORIES_SHARE = 0.5
FEW_NUMBERS = 10
MOST_CODES = 20
LEAST_ROWS_OF_A_CODE = 5
SPIKE_SHARE = 0.05
FEWEST_DISTINCT_WITH_SPIKES = 20
MOST_DECIMALS = 12
LARGEST = 1e300  # differences of larger numbers overflow
PATTERNS = tuple(
    date + clock
    for date, clock in product(
        ("%Y-%m-%d", "%Y/%m/%d", "%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%d-%m-%Y"),
        ("", " %H:%M", " %H:%M:%S", "T%H:%M:%S", "T%H:%M:%SZ", " %H:%M:%S.%f"),
    )
)
"""Dates and times that are read from text, the likelier first: `/` has the month first."""
MONTH_FIRST = "read with the month first; the day first would fit, too"
_DATED = re.compile(r"\d{1,4}[-/.]\d")
_ID_NAME = re.compile(
    r"(?i:(id|uuid|guid|index|rowid|__index_level_\d+__|level_0|unnamed: \d+)"
    r"|.*[_\-. ](id|uuid|guid))|.*[a-z](Id|ID|Uuid|UUID)",
)
_ADDED = re.compile(r"(?:synthetic|repeat)-(\d{6,18})")
_FAMILIES: dict[ColumnKind, tuple[Family, ...]] = {
    "numeric": ("integer", "float", "boolean"),
    "datetime": ("datetime",),
}
"""The cells that each kind needs, if it does not take all."""


@dataclass(frozen=True)
class ReadTarget:
    """Labels of rows, int64 (N,) indices into class_names, and the column that writes them."""

    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    column: Column


def infer_schema(frame: pd.DataFrame, overrides: Overrides | None = None) -> TableSchema:
    """Infer the schema of the feature columns; DataError for frames without one to learn."""
    names = column_names(frame)
    if not len(frame) or not names:
        raise DataError(
            f"the table has {len(frame)} rows and {len(names)} feature columns; expected at least "
            "one of each"
        )
    kinds = {matching_name(name, names): kind for name, kind in (overrides or {}).items()}
    columns = [infer_column(frame.iloc[:, i], n, kinds.get(n)) for i, n in enumerate(names)]
    schema = TableSchema(columns=tuple(columns))
    if not schema.learned:
        reasons = "; ".join(f"{c.name!r} is {c.kind} ({c.why})" for c in schema.columns[:10])
        raise DataError(
            f"no column can be learned: {reasons}. Override a kind, for example with "
            f"--columns {names[0]}=categorical (columns={{{names[0]!r}: 'categorical'}}), or add "
            "columns."
        )
    return schema


def infer_column(series: pd.Series, name: Name, forced: str | None = None) -> Column:
    """Describe a column of at least one row. Raises DataError; UsageError for an unknown kind."""
    if forced not in (None, *LEARNED, "id"):
        raise UsageError(
            f"column {name!r} cannot be {forced!r}; the kinds are {', '.join(LEARNED)}, id"
        )
    cells = read_cells(series)
    dtype, pattern, remark = cells.series.dtype, "", ""
    if forced in (None, "datetime"):
        pattern, remark = date_pattern(cells)
    if pattern:
        cells = Cells(datetimes_of(cells.series, pattern))
    if cells.family == "float" and (np.abs(cells.values) > LARGEST).any():
        rows = np.flatnonzero(np.abs(cells.values) > LARGEST)
        raise DataError(
            f"column {name!r} holds {len(rows)} infinite values or numbers beyond {LARGEST:g} (the "
            f"first: rows {', '.join(map(str, rows[:3]))}); expected finite numbers or missing "
            "cells. Replace them: frame.replace([inf, -inf], nan)"
        )
    kind, reason = _kind_of(cells, name)
    if forced:
        kind, reason = cast(ColumnKind, forced), "asked for"
    if cells.missing.all() and kind in LEARNED:
        raise DataError(
            f"every cell of column {name!r} is missing, so it cannot be {kind}; drop it, or leave "
            "its kind to be inferred"
        )
    if cells.family not in _FAMILIES.get(kind, (cells.family,)):
        raise DataError(
            f"column {name!r} is {dtype} and cannot be {kind}; convert it first, with "
            "pandas.to_numeric or pandas.to_datetime"
        )
    facts = _FACTS[kind](cells, name)
    why = "; ".join(filter(None, [reason, facts.pop("why", ""), remark]))
    return _column(cells, name, dtype, facts | {"kind": kind, "why": why, "pattern": pattern})


def date_pattern(cells: Cells) -> tuple[str, str]:
    """Return the pattern by which text writes dates, and a remark if two patterns fit."""
    if cells.family != "category" or isinstance(cells.series.dtype, pd.CategoricalDtype):
        return "", ""
    texts, fits = cells.coded[1], []
    if not texts or not _DATED.match(str(texts[0])):
        return "", ""
    for pattern in PATTERNS:
        try:
            read = pd.to_datetime(pd.Series(texts, dtype=object), format=pattern)
        except (ValueError, OverflowError):
            continue
        if read.notna().all():  # pandas reads the word "nan" as missing
            fits.append(pattern)
    return (fits[0] if fits else ""), MONTH_FIRST * (len(fits) > 1)


def read_target(series: pd.Series, *, separate: bool = False) -> ReadTarget:
    """Read labels of type str, int, bool or float in any dtype.

    separate: whether the labels came as y instead of a column; unless they have a name they are
    called "target". Raises DataError for missing labels, other types, continuous numbers, and
    fewer than two classes.
    """
    cells = read_cells(series.rename("y") if separate else series)
    whole = isinstance(series.name, int | np.integer) and not isinstance(series.name, bool)
    name = int(series.name) if whole else series.name if isinstance(series.name, str) else "target"
    where = "y" if separate else f"column {name!r}"
    if cells.missing.any():
        raise DataError(
            f"{int(cells.missing.sum()):,} of {len(series):,} rows have no label in {where} "
            f"(empty, NA, NaN or None; the first: row {int(cells.missing.argmax())}); expected "
            "one in every row. Drop those rows, or rename a class of that name."
        )
    codes, known = cells.coded
    check_classes(known, where, len(series))
    labels, names = encode_labels(np.fromiter(known, dtype=object, count=len(known)))
    by_class = dict(zip(labels.tolist(), known, strict=True))
    facts = {
        "kind": "categorical",
        "categories": tuple(by_class[label] for label in range(len(names))),
        "why": f"{len(names):,} classes",
    }
    return ReadTarget(labels[codes], names, _column(cells, name, cells.series.dtype, facts))


def column_names(frame: pd.DataFrame) -> list[Name]:
    """Return a frame's column names as str or int. Raises DataError for others, and for copies."""
    columns = frame.columns
    if columns.nlevels > 1:
        raise DataError(
            f"the columns have {columns.nlevels} levels of names; expected one. Join them: "
            'frame.columns = ["_".join(map(str, name)) for name in frame.columns]'
        )
    if not columns.is_unique:
        twice = list(dict.fromkeys(columns[columns.duplicated()].tolist()))[:10]
        raise DataError(f"columns {twice} occur more than once; rename or drop the copies")
    names: list[Name] = []
    for name in columns.tolist():
        whole = isinstance(name, int | np.integer) and not isinstance(name, bool)
        if not whole and not (
            isinstance(name, str) and name.encode("utf-8", "replace").decode() == name
        ):
            raise DataError(
                f"a column is called {name!r} ({type(name).__name__}); expected text or a whole "
                "number. Rename it: frame.columns = frame.columns.astype(str)"
            )
        names.append(int(name) if whole else str(name))
    return names


def _column(cells: Cells, name: Name, dtype: Any, facts: Facts) -> Column:
    if isinstance(dtype, pd.CategoricalDtype):
        own = tuple(dtype.categories.tolist())
        facts |= {"dtype_categories": own, "ordered": bool(dtype.ordered)}
    return Column(name=name, dtype=str(dtype), missing=int(cells.missing.sum()), **facts)


def _kind_of(cells: Cells, name: Name) -> tuple[ColumnKind, str]:
    """Return (kind, why); why is empty where the description says enough."""
    known = cells.known
    if not len(known):
        return "constant", "every cell is missing"
    if len(known) == len(cells.values) and (known == known[0]).all():
        return "constant", "one value in every row"
    if cells.family == "datetime":
        return "datetime", ""
    if cells.family == "float":
        return "numeric", ""
    if cells.family == "boolean" or isinstance(cells.series.dtype, pd.CategoricalDtype):
        return "categorical", ""
    if why := _why_ids(cells, name):
        return "id", why
    if cells.family == "category":
        return "categorical", ""
    distinct = np.unique(known)  # few that recur, most without a neighbour, are codes: zip codes
    few = 1 < len(distinct) <= min(MOST_CODES, len(known) / LEAST_ROWS_OF_A_CODE)
    if few and (np.diff(distinct) == 1).mean() < 0.5:
        return "categorical", "whole numbers far apart, so codes (if not: --columns name=numeric)"
    return "numeric", ""


def _why_ids(cells: Cells, name: Name) -> str:
    """Return why whole numbers or text are ids; "" where they are not."""
    n, known, distinct = len(cells.known), cells.known, len(np.unique(cells.known))
    named = isinstance(name, str) and _ID_NAME.fullmatch(name) is not None
    if named and n == distinct >= 2:
        return f"the name says so, and all {n:,} differ"
    if cells.family == "integer":
        steps = np.diff(known)
        if n >= FEWEST_ROWS_OF_AN_ID and ((steps == 1).all() or (steps == -1).all()):
            return f"{n:,} whole numbers, each one from the last"
        return "whole numbers too large to be exact" if _large(known) else ""
    many = n >= FEWEST_ROWS_OF_AN_ID and distinct > DISTINCT_SHARE_OF_AN_ID * n
    return f"{distinct:,} of {n:,} differ" if many else ""


def _large(known: NDArray[Any]) -> bool:
    return max(-int(known.min()), int(known.max())) > EXACT


def _numeric(cells: Cells, name: Name) -> Facts:
    known = cells.known
    if cells.family == "integer" and _large(known):
        raise DataError(
            f"column {name!r} holds whole numbers too large to be exact; make it an id, or convert "
            "it with astype(float)"
        )
    dtype: Any = getattr(cells.series.dtype, "numpy_dtype", cells.series.dtype)
    facts, distinct = _number_facts(known + 0 if cells.family == "boolean" else known, dtype)
    words = f"{distinct:,} distinct {'whole ' if facts['decimals'] == 0 else ''}numbers"
    if facts["decimals"]:
        words += f" of up to {facts['decimals']} decimals"
    if 2 < distinct <= FEW_NUMBERS and cells.family == "integer":
        words += " (if they are codes: --columns name=categorical)"
    spikes = ", ".join(f"{value:g}" for value in facts["spikes"])
    return facts | {"why": words + (f"; often {spikes}" if spikes else "")}


def _datetime(cells: Cells, name: Name) -> Facts:
    """Describe dates in the coarsest unit that holds all of them."""
    known = cells.known
    units: tuple[Unit, ...] = get_args(Unit)
    unit = next(unit for unit in units if (known.astype(f"M8[{unit}]") == known).all())
    facts, distinct = _number_facts(known.astype(f"M8[{unit}]").astype(np.int64), known.dtype)
    words = {"D": "days", "h": "hours", "m": "minutes", "s": "seconds"}.get(unit, unit)
    return facts | {"unit": unit, "why": f"{distinct:,} distinct dates, to whole {words}"}


def _categorical(cells: Cells, name: Name) -> Facts:
    categories, known = cells.coded[1], len(cells.known)
    words = f"{len(categories):,} " + ("category" if len(categories) == 1 else "categories")
    if len(categories) > max(MANY_CATEGORIES, MANY_CATEGORIES_SHARE * known):
        words += f" in {known:,} rows, so most are rare: an id?"
    if len(categories) == 1 and cells.missing.any():
        words += ", and missing cells"
    return {"categories": categories, "why": words}


def _id(cells: Cells, name: Name) -> Facts:
    """Return the number after which new ids begin; none for ids that are left empty."""
    dtype = cells.series.dtype
    if dtype == np.dtype(bool):
        raise DataError(
            f"column {name!r} is boolean and has no room for missing cells, so it cannot be an id; "
            "drop it, or make it text with astype(str)"
        )
    if not len(cells.known) or isinstance(dtype, pd.CategoricalDtype):
        return {}
    if cells.family == "integer":
        return {"last": int(cells.known.max())}
    if cells.family == "category":
        matches = (_ADDED.fullmatch(text) for text in map(str, cells.coded[1]))
        return {"last": max((int(match[1]) for match in matches if match), default=0)}
    return {}


def _constant(cells: Cells, name: Name) -> Facts:
    if not len(cells.known):
        return {}
    if cells.family == "datetime":
        return _datetime(cells, name) | {"why": ""}
    return {"categories": cells.coded[1]}


_FACTS: dict[ColumnKind, Callable[[Cells, Name], Facts]] = {
    "numeric": _numeric,
    "datetime": _datetime,
    "categorical": _categorical,
    "id": _id,
    "constant": _constant,
}


def _number_facts(known: NDArray[Any], dtype: Any) -> tuple[Facts, int]:
    """Return the facts of known cells (N,), N >= 1, and the number of distinct values."""
    values, counts = np.unique(known, return_counts=True)
    decimals = decimals_of(values, dtype) if known.dtype.kind == "f" else 0
    often = counts / counts.sum() >= SPIKE_SHARE
    often &= len(values) > FEWEST_DISTINCT_WITH_SPIKES
    low, high = values[0].item(), values[-1].item()
    whole = decimals == 0 and max(-low, high) <= EXACT
    spikes = tuple(int(one) if whole else one for one in values[often].tolist())
    if whole:
        low, high = int(low), int(high)
    return {"decimals": decimals, "low": low, "high": high, "spikes": spikes}, len(values)


def decimals_of(values: NDArray[np.float64], dtype: np.dtype[Any]) -> int | None:
    """Return the number of decimals that writes all values (distinct, ascending).

    dtype: the cells' dtype. None for more than 12 digits, or as many as the dtype keeps.

    >>> decimals_of(np.array([0.25, 1.5]), np.dtype("float64"))
    2
    """
    largest = float(np.abs(values[[0, -1]]).max())
    digits_before = max(0, int(np.floor(np.log10(largest))) + 1) if largest >= 1 else 0
    most = min(MOST_DECIMALS, min(15, np.finfo(dtype).precision) - 1 - digits_before)
    few = values[:: max(1, len(values) // 1_000)]  # settles most columns at once
    for decimals in range(max(most, 0) + 1):
        if all(
            np.array_equal(np.round(part, decimals).astype(dtype), part.astype(dtype))
            for part in (few, values)
        ):
            return decimals
    return None
