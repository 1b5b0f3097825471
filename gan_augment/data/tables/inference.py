"""A frame's schema: a kind for every column, inferred or as the user says, and its description.

boolean: a boolean dtype. datetime: moments, also Python's dates. categorical: a category dtype,
text and other single values. numeric: all numbers, whole ones of few values too (they may be
counts; say --categorical where they are codes), and durations. id: names rows instead of describing
them; never floats, moments or categories. constant: one value in every row, or none.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gan_augment.data.labels import check_classes, encode_labels
from gan_augment.data.tables import Unit, check_width
from gan_augment.data.tables.columns import (
    EXACT,
    NANOSECONDS,
    Cells,
    Numbers,
    as_scalar,
    from_wall,
    read_cells,
    to_wall,
)
from gan_augment.data.tables.schema import (
    LEARNED,
    Column,
    ColumnKind,
    Name,
    Overrides,
    TableSchema,
    TargetColumn,
    dtype_text,
)
from gan_augment.data.tables.text import text_moments, text_numbers
from gan_augment.errors import DataError

Facts = dict[str, Any]

FEWEST_ROWS_OF_AN_ID = 20
DISTINCT_SHARE_OF_AN_ID = 0.95
MANY_LEVELS = 50
MANY_LEVELS_SHARE = 0.5
FEW_NUMBERS = 10
SPIKE_SHARE = 0.05
FEWEST_DISTINCT_WITH_SPIKES = 20
MOST_DECIMALS = 12
MANY_CLASSES = 100
_ID_NAME = re.compile(
    r"(?i:(id|uuid|guid|index|rowid|__index_level_\d+__|level_0|unnamed: \d+)"
    r"|.*[_\-. ](id|uuid|guid))|.*[a-z](Id|ID|Uuid|UUID)",
)
_SYNTHETIC = re.compile(r"synthetic-(\d{6,18})")


@dataclass(frozen=True)
class ReadTarget:
    """Labels of rows. notes: sentences for people.

    labels: int64 (N,) indices into class_names. levels: the classes as the labels have them.
    """

    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    levels: tuple[Any, ...]
    notes: tuple[str, ...]
    cells: Cells
    name: Name
    position: int | None

    @cached_property
    def column(self) -> TargetColumn:
        """How the labels are written."""
        why = f"{len(self.class_names):,} classes"
        facts = {"kind": "categorical", "levels": self.levels, "why": why}
        column = _column(self.cells, self.name, facts)
        return TargetColumn(cells=column, position=self.position)


def infer_schema(frame: pd.DataFrame, overrides: Overrides | None = None) -> TableSchema:
    """Infer the schema of the feature columns; the target is for `reader.read_frame` to add.

    Raises DataError for frames without rows, without a column to learn, with names or cells that
    nothing here could give back; UsageError for overrides of columns that are not there.
    """
    names = column_names(frame)
    if not len(frame) or not names:
        raise DataError(
            f"the table has {len(frame)} rows and {len(names)} feature columns; expected at least "
            "one of each"
        )
    kinds = overrides.kinds_of(names) if overrides and overrides.columns else {}
    schema = TableSchema(
        columns=tuple(
            infer_column(frame.iloc[:, i], name, kinds.get(name)) for i, name in enumerate(names)
        )
    )
    if not schema.learned:
        reasons = "; ".join(f"{c.name!r} is {c.kind} ({c.why})" for c in schema.columns[:10])
        raise DataError(
            f"no column can be learned: {reasons}. Override a kind, for example with "
            f"--categorical {names[0]}, or add columns."
        )
    return schema


def infer_column(series: pd.Series, name: Name, forced: ColumnKind | None = None) -> Column:
    """Describe a column of at least one row. Raises DataError."""
    cells = read_cells(series)
    if cells.family in ("float", "decimal"):
        infinite = np.isinf(cells.numbers) & ~cells.missing
        if infinite.any():
            rows = ", ".join(str(row) for row in np.flatnonzero(infinite)[:3])
            raise DataError(
                f"column {name!r} holds {int(infinite.sum())} infinite values (the first: rows "
                f"{rows}); expected finite numbers or missing cells. Replace them: "
                "frame.replace([inf, -inf], nan)"
            )
    kind, reason = (forced, "asked for") if forced else _kind_of(cells, name)
    if cells.missing.all() and kind in LEARNED:
        raise DataError(
            f"every cell of column {name!r} is missing, so it cannot be {kind}; drop it, or leave "
            "its kind to be inferred"
        )
    facts = _FACTS[kind](cells, name)
    why = "; ".join(filter(None, [reason, facts.pop("why", "")]))
    return _column(cells, name, facts | {"kind": kind, "why": why})


def read_target(series: pd.Series, position: int | None) -> ReadTarget:
    """Read labels of type str, int, bool or float, in any dtype; classes are those that occur.

    position: of the column in its frame; None for labels beside it, which are called "target" where
    they have no name. Raises DataError for missing labels, other types, numbers that are no
    classes, and fewer than two classes.
    """
    cells = read_cells(series)
    whole = isinstance(series.name, int | np.integer) and not isinstance(series.name, bool)
    name = int(series.name) if whole else series.name if isinstance(series.name, str) else "target"
    where = "y" if position is None else f"column {name!r}"
    if cells.missing.any():
        raise DataError(
            f"{int(cells.missing.sum()):,} of {len(series):,} rows have no label in {where} (NaN "
            f"or None; the first: row {int(cells.missing.argmax())}); expected one in every row. "
            "Drop those rows."
        )
    codes, levels = cells.coded
    check_classes(levels, where, len(series))
    labels, names = encode_labels(np.fromiter(levels, dtype=object, count=len(levels)))
    by_class = dict(zip(labels.tolist(), levels, strict=True))
    by_label = tuple(by_class[label] for label in range(len(names)))
    notes: tuple[str, ...] = ()
    if len(names) > max(MANY_CLASSES, len(series) // 2):
        notes = (f"{where} has {len(names):,} classes in {len(series):,} rows: a number?",)
    return ReadTarget(labels[codes], names, by_label, notes, cells, name, position)


def column_names(frame: pd.DataFrame) -> list[Name]:
    """Return a frame's column names as str or int. Raises DataError for others, and for copies."""
    columns = frame.columns
    check_width(len(columns))
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
        if isinstance(name, int | np.integer) and not isinstance(name, bool):
            names.append(int(name))
        elif isinstance(name, str) and name.encode("utf-8", "replace").decode() == name:
            names.append(str(name))
        else:
            raise DataError(
                f"a column is called {name!r} ({type(name).__name__}); expected text or a whole "
                "number. Rename it: frame.columns = frame.columns.astype(str)"
            )
    return names


def _column(cells: Cells, name: Name, facts: Facts) -> Column:
    """Describe a column by its facts. Raises DataError where the dtype could not be given back."""
    dtype: Any = cells.series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        facts |= {
            "categories": tuple(as_scalar(level) for level in dtype.categories.tolist()),
            "categories_dtype": dtype_text(dtype.categories.dtype),
            "ordered": bool(dtype.ordered),
        }
    column = Column(
        name=name,
        dtype=dtype_text(dtype),
        missing=int(cells.missing.sum()),
        missing_as=cells.missing_as,
        python=cells.python,
        **facts,
    )
    try:
        again = column.pandas_dtype
    except (TypeError, ValueError, KeyError, NotImplementedError):
        again = None
    if again != dtype:
        raise DataError(
            f"column {name!r} is {dtype}, which could not be given back; convert it to a "
            "plainer type, or drop it"
        )
    return column


def _kind_of(cells: Cells, name: Name) -> tuple[ColumnKind, str]:
    """Return (kind, why) by the rules above; an empty why: the description says it."""
    if cells.missing.all():
        return "constant", "every cell is missing"
    by_levels = cells.family in ("text", "scalars", "category", "boolean")
    values: Any = cells.coded[0] if by_levels else cells.known
    if not cells.missing.any() and (values == values[0]).all():
        return "constant", "one value in every row"
    if cells.family in ("boolean", "datetime"):
        return cells.family, ""
    why = _why_ids(cells, name) if cells.family in ("integer", "text", "scalars") else ""
    return ("id", why) if why else ("categorical" if by_levels else "numeric", "")


def _why_ids(cells: Cells, name: Name) -> str:
    """Why whole numbers, text or single values are ids; "" where they are not."""
    named = isinstance(name, str) and _ID_NAME.fullmatch(name) is not None
    n = len(cells.series) - int(cells.missing.sum())
    if cells.family == "integer":
        steps = np.diff(cells.known)  # a step of one never wraps the other way
        down = np.array(-1).astype(steps.dtype)
        if n >= FEWEST_ROWS_OF_AN_ID and ((steps == 1).all() or (steps == down).all()):
            return f"{n:,} whole numbers, each one from the last"
        differ = named and len(np.unique(cells.known)) == n >= 2
        return f"the name says so, and all {n:,} differ" if differ else ""
    distinct = len(cells.coded[1])
    if named and n == distinct >= 2:
        why = f"the name says so, and all {n:,} differ"
    elif n >= FEWEST_ROWS_OF_AN_ID and distinct > DISTINCT_SHARE_OF_AN_ID * n:
        why = f"{distinct:,} of {n:,} differ"
    else:
        return ""
    if cells.family != "text":
        return why
    try:
        float(str(cells.coded[1][0]))
    except ValueError:
        return why
    return f"{why}; if these are numbers: --numeric {name}"


def _numeric(cells: Cells, name: Name) -> Facts:
    if cells.family == "text":
        numbers, style, digits = text_numbers(cells)
        facts = number_facts(numbers[~cells.missing]) | {"text": style}
        if digits is not None:
            facts["decimals"] = digits
    elif cells.family == "duration":
        facts = _tick_facts(cells.known.astype(np.int64), cells.unit)
    elif cells.family in ("integer", "float", "decimal", "boolean"):
        dtype: Any = getattr(cells.series.dtype, "numpy_dtype", cells.series.dtype)
        real = isinstance(dtype, np.dtype) and dtype.kind == "f"
        facts = number_facts(cells.known, min(15, np.finfo(dtype if real else float).precision))
    else:
        raise DataError(
            f"column {name!r} is {cells.series.dtype} ({cells.family}) and cannot be numeric; "
            "convert it first, for example with astype(float)"
        )
    facts["why"] = _number_words(facts, facts.pop("distinct"), facts.pop("shares"), cells.family)
    return facts | _decimal_bounds(cells, facts) if cells.family == "decimal" else facts


def _datetime(cells: Cells, name: Name) -> Facts:
    if cells.family == "text":
        ticks, notation = text_moments(cells)
        facts = _tick_facts(ticks[~cells.missing], notation.unit) | {"text": notation.pattern}
        written = f"written {notation.pattern}"
    elif cells.family == "datetime":
        ticks = cells.known.astype(np.int64)
        wall = bool(cells.zone) and _local_days(ticks, cells.unit, cells.zone)
        ticks = to_wall(ticks, cells.unit, cells.zone) if wall else ticks
        facts = _tick_facts(ticks, cells.unit) | {"wall": wall, "zone": cells.zone}
        words = {"D": "days", "h": "hours", "m": "minutes", "s": "seconds", None: "periods"}
        written = f"to whole {words.get(facts['unit'], facts['unit'])}" + (
            f" in {cells.zone}" if cells.zone else ""
        )
    else:
        raise DataError(
            f"column {name!r} is {cells.series.dtype} ({cells.family}) and cannot be datetime; "
            "convert it first, for example with pandas.to_datetime"
        )
    del facts["shares"]
    why = f"{facts.pop('distinct'):,} distinct moments, {written}"
    return facts | {"origin": facts["low"], "why": why}


def _categorical(cells: Cells, name: Name) -> Facts:
    levels = _levels(cells)
    known = len(cells.series) - int(cells.missing.sum())
    words = f"{len(levels):,} level{'s' if len(levels) > 1 else ''}"
    if len(levels) > max(MANY_LEVELS, MANY_LEVELS_SHARE * known):
        words += f" in {known:,} rows, so most are rare: an id?"
    if len(levels) == 1 and cells.missing.any():
        words += ", and missing cells"
    return {"levels": levels, "why": words}


def _boolean(cells: Cells, name: Name) -> Facts:
    facts = _categorical(cells, name)
    if len(facts["levels"]) > 2:
        raise DataError(
            f"column {name!r} has {len(facts['levels'])} values and cannot be boolean; expected at "
            "most two. Call it categorical."
        )
    return facts


def _id(cells: Cells, name: Name) -> Facts:
    if cells.family == "integer" and not cells.missing.all():
        low, last = int(cells.known.min()), int(cells.known.max())
        return {"refill": "integers", "low": low, "last": last, "high": last}
    if cells.family == "text":
        matches = (_SYNTHETIC.fullmatch(str(level)) for level in cells.coded[1])
        numbers = [int(match[1]) for match in matches if match]
        return {"refill": "strings", "last": max(numbers, default=0)}
    dtype = cells.series.dtype
    if isinstance(dtype, np.dtype) and dtype.kind in "biu":
        raise DataError(
            f"column {name!r} is {dtype}, of which no new ids can be made and which has no "
            "room for missing cells; drop it, or make it text with astype(str)"
        )
    return {"refill": "missing"}


def _constant(cells: Cells, name: Name) -> Facts:
    levels = () if cells.missing.all() else _levels(cells)
    if len(levels) > 1 or (levels and cells.missing.any()):
        raise DataError(
            f"column {name!r} has {len(levels)} values and {int(cells.missing.sum())} missing "
            "cells, so it is not constant; call it an id to leave it out of learning, or drop it"
        )
    return {"levels": levels}


_FACTS: dict[ColumnKind, Callable[[Cells, Name], Facts]] = {
    "numeric": _numeric,
    "datetime": _datetime,
    "categorical": _categorical,
    "boolean": _boolean,
    "id": _id,
    "constant": _constant,
}


def _levels(cells: Cells) -> tuple[object, ...]:
    """Return the levels that occur: in the order that the dtype gives them, else sorted by type.

    Those of a type that knows no order are sorted by how they are written.
    """
    levels: list[Any] = cells.coded[1]
    dtype: Any = cells.series.dtype
    if dtype == "category" or getattr(getattr(dtype, "pyarrow_dtype", None), "ordered", False):
        return tuple(levels)  # a dictionary of Arrow's may have an order
    ordered: list[Any] = []
    for name in sorted({type(level).__name__ for level in levels}):
        same = [level for level in levels if type(level).__name__ == name]
        try:
            ordered += sorted(same)
        except TypeError:
            ordered += sorted(same, key=repr)
    return tuple(ordered)


def number_facts(known: Numbers, precision: int = 15) -> Facts:
    """Return the facts of known cells (N,), N >= 1; `distinct` and `shares` are for the words.

    precision: significant digits that the storage keeps (float32: 6).
    """
    values, counts = np.unique(known, return_counts=True)
    whole_dtype = known.dtype.kind in "iu"
    decimals = 0 if whole_dtype else decimals_of(values.astype(np.float64), precision)
    low, high = values[0].item(), values[-1].item()
    shares = counts / counts.sum()
    often = (shares >= SPIKE_SHARE) & (len(values) > FEWEST_DISTINCT_WITH_SPIKES)
    whole = decimals == 0 and max(-low, high) <= EXACT
    as_written = int if whole else (lambda value: value)
    return {
        "decimals": decimals,
        "integer": decimals == 0,
        "origin": low if whole_dtype and max(-low, high) > EXACT else 0,
        "low": as_written(low),
        "high": as_written(high),
        "spikes": tuple(as_written(spike) for spike in values[often].tolist()),
        "distinct": len(values),
        "shares": tuple(shares[often].tolist()),
    }


def _tick_facts(ticks: NDArray[np.int64], unit: Unit | None) -> Facts:
    """Return the facts of known durations or moments (N,), in the coarsest unit that is exact."""
    if unit is None:
        return number_facts(ticks) | {"unit": None}
    ratios = {wider: ticks_of // NANOSECONDS[unit] for wider, ticks_of in NANOSECONDS.items()}
    coarsest = next(wider for wider, ratio in ratios.items() if not (ticks % ratio).any())
    return number_facts(ticks // ratios[coarsest]) | {"unit": coarsest}


def decimals_of(values: NDArray[np.float64], precision: int = 15) -> int | None:
    """Count the digits after the point that write all values (distinct, ascending), or None.

    None where that takes more than 12 digits, or as many as the storage keeps: then any value
    would do. Whole numbers: 0.

    >>> decimals_of(np.array([0.25, 1.5])), decimals_of(np.array([1 / 3]))
    (2, None)
    """
    largest = float(np.abs(values[[0, -1]]).max())
    digits_before = max(0, int(np.floor(np.log10(largest))) + 1) if largest >= 1 else 0
    most = min(MOST_DECIMALS, precision - 1 - digits_before)
    kind = np.float16 if precision < 5 else np.float32 if precision < 10 else np.float64
    few = values[:: max(1, len(values) // 1_000)]  # settles most columns at once
    for decimals in range(max(most, 0) + 1):
        for part in (few, values):
            written = np.round(part, decimals).astype(kind)
            if not (written == part.astype(kind)).all():
                break
        else:
            return decimals
    return None


def _number_words(facts: Facts, distinct: int, shares: tuple[float, ...], family: str) -> str:
    written = "whole numbers" if facts["integer"] else "numbers"
    if family == "duration":
        written = "durations"
    elif facts["decimals"]:
        written += f" of up to {facts['decimals']} decimals"
    words = f"{distinct:,} distinct {written}"
    if facts["integer"] and 2 < distinct <= FEW_NUMBERS and family == "integer":
        words += " (if they are codes: --categorical)"
    if facts["origin"] and facts["high"] - facts["low"] > EXACT:
        words += ", too far apart to be exact (hashes? say --id)"
    spikes = ", ".join(f"{v:g} ({s:.0%})" for v, s in zip(facts["spikes"], shares, strict=True))
    return words + (f"; often {spikes}" if spikes else "")


def _local_days(ticks: NDArray[np.int64], unit: Unit | None, zone: str) -> bool:
    """Return whether all are midnights in their zone, not in UTC, and can be restored as such."""
    day = NANOSECONDS["D"] // NANOSECONDS[unit or "ns"]
    if not (ticks % day).any():
        return False
    wall = to_wall(ticks, unit, zone)
    return not (wall % day).any() and bool((from_wall(wall, unit, zone) == ticks).all())


def _decimal_bounds(cells: Cells, facts: Facts) -> Facts:
    """Digits as Python's Decimals are written; bounds that stay within those of the cells.

    A Decimal of more digits than a float keeps might be rounded to beyond the column's range, or
    to a digit more than its dtype has.
    """
    known: list[Any] = cells.coded[1]
    bounds: Facts = {}
    if cells.python == "Decimal":
        digits = max(max(0, -cell.as_tuple().exponent) for cell in known)
        bounds = {"decimals": digits, "integer": digits == 0}
    decimals = bounds.get("decimals", facts["decimals"])
    low, high = min(known), max(known)
    largest = max(abs(float(low)), abs(float(high)))
    if decimals is None or largest * 10.0**decimals > EXACT:
        near_low, near_high = float(low), float(high)
        if type(low)(near_low) < low:
            near_low = float(np.nextafter(near_low, np.inf))
        if type(high)(near_high) > high:
            near_high = float(np.nextafter(near_high, -np.inf))
        bounds |= {"low": near_low, "high": near_high}
    return bounds
