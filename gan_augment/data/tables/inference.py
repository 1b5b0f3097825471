"""Infer the schema of a frame: the kind of every column, and its description.

boolean: a boolean dtype. datetime: moments, including Python's dates. categorical: a category
dtype, text and mixed values. numeric: all numbers, including whole ones of few values, which may be
counts (use --columns name=categorical for codes). id: names rows instead of describing them; never
floats, moments or categories. constant: one value in every row, or none.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gan_augment.data.labels import check_classes, encode_labels
from gan_augment.data.tables import check_width
from gan_augment.data.tables.columns import EXACT, Cells, level_of, read_cells
from gan_augment.data.tables.schema import (
    LEARNED,
    Column,
    ColumnKind,
    Name,
    Overrides,
    Scalar,
    TableSchema,
    TargetColumn,
    Unit,
    dtype_text,
)
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
    """Labels of rows, and how they are written. notes: sentences for the user.

    labels: int64 (N,) indices into class_names.
    """

    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    column: TargetColumn
    notes: tuple[str, ...]

    @property
    def levels(self) -> tuple[Scalar, ...]:
        """Return the classes as the labels write them."""
        return self.column.cells.levels


def infer_schema(frame: pd.DataFrame, overrides: Overrides | None = None) -> TableSchema:
    """Infer the schema of the feature columns; `reader.read_frame` adds the target.

    Raises DataError for frames without rows or without a column to learn, and for unsupported names
    or cells; UsageError for overrides of unknown columns.
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
            f"--columns {names[0]}=categorical, or add columns."
        )
    return schema


def infer_column(series: pd.Series, name: Name, forced: ColumnKind | None = None) -> Column:
    """Describe a column of at least one row. Raises DataError."""
    cells = read_cells(series)
    if cells.family == "float":
        infinite = np.isinf(cells.values)
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


def kind_of(series: pd.Series) -> ColumnKind:
    """Infer the kind of a column, without its description."""
    return _kind_of(read_cells(series), series.name)[0]


def read_target(series: pd.Series, position: int | None) -> ReadTarget:
    """Read labels of type str, int, bool or float in any dtype.

    position: of the column in its frame; None for separate labels, which are called "target" unless
    they have a name. Raises DataError for missing labels, other types, continuous numbers, and
    fewer than two classes.
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
    facts = {
        "kind": "categorical",
        "levels": tuple(by_class[label] for label in range(len(names))),
        "why": f"{len(names):,} classes",
    }
    notes: tuple[str, ...] = ()
    if len(names) > max(MANY_CLASSES, len(series) // 2):
        notes = (f"{where} has {len(names):,} classes in {len(series):,} rows: a number?",)
    target = TargetColumn(cells=_column(cells, name, facts), position=position)
    return ReadTarget(labels[codes], names, target, notes)


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
    """Describe a column by its facts. Raises DataError for a dtype that has no name."""
    dtype: Any = cells.series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        facts |= {
            "categories": tuple(level_of(level) for level in dtype.categories),
            "categories_dtype": dtype_text(dtype.categories.dtype),
            "ordered": bool(dtype.ordered),
        }
    missing = int(cells.missing.sum())
    if dtype == np.dtype(object) and missing:
        facts["none"] = cells.series.iloc[int(cells.missing.argmax())] is None
    column = Column(name=name, dtype=dtype_text(dtype), missing=missing, dates=cells.dates, **facts)
    try:
        again = column.pandas_dtype
    except (TypeError, ValueError, NotImplementedError):
        again = None
    if again != dtype:
        raise DataError(
            f"column {name!r} is {dtype}, which is not supported; convert it to a plainer type, or "
            "drop it"
        )
    return column


def _kind_of(cells: Cells, name: Name) -> tuple[ColumnKind, str]:
    """Return (kind, why) by the rules above; why is empty where the description says enough."""
    if cells.missing.all():
        return "constant", "every cell is missing"
    known = cells.known
    if len(known) == len(cells.values) and (known == known[0]).all():
        return "constant", "one value in every row"
    if cells.family == "boolean" or cells.family == "datetime":
        return cells.family, ""
    if cells.family == "float":
        return "numeric", ""
    ordered = isinstance(cells.series.dtype, pd.CategoricalDtype)
    why = "" if ordered else _why_ids(cells, name)
    return ("id", why) if why else ("categorical" if cells.family == "levels" else "numeric", "")


def _why_ids(cells: Cells, name: Name) -> str:
    """Return why whole numbers or levels are ids; "" where they are not."""
    named = isinstance(name, str) and _ID_NAME.fullmatch(name) is not None
    n, known = len(cells.known), cells.known
    if cells.family == "integer":
        steps = np.diff(known)
        if n >= FEWEST_ROWS_OF_AN_ID and ((steps == 1).all() or (steps == -1).all()):
            return f"{n:,} whole numbers, each one from the last"
        if max(-int(known.min()), int(known.max())) > EXACT and _span(known) > EXACT:
            return "whole numbers too far apart to be exact"
        differ = named and len(np.unique(known)) == n >= 2
        return f"the name says so, and all {n:,} differ" if differ else ""
    distinct = len(cells.levels)
    if named and n == distinct >= 2:
        return f"the name says so, and all {n:,} differ"
    if n >= FEWEST_ROWS_OF_AN_ID and distinct > DISTINCT_SHARE_OF_AN_ID * n:
        return f"{distinct:,} of {n:,} differ"
    return ""


def _span(known: NDArray[np.int64]) -> int:
    return int(known.max()) - int(known.min())


def _numeric(cells: Cells, name: Name) -> Facts:
    if cells.family not in ("integer", "float", "boolean"):
        raise DataError(
            f"column {name!r} is {cells.series.dtype} and cannot be numeric; convert it first, for "
            "example with pandas.to_numeric"
        )
    dtype: Any = getattr(cells.series.dtype, "numpy_dtype", cells.series.dtype)
    precision = min(15, np.finfo(dtype).precision) if getattr(dtype, "kind", "") == "f" else 15
    known = cells.known if cells.family != "boolean" else cells.known.astype(np.int64)
    if cells.family == "integer" and _span(known) > EXACT:
        raise DataError(
            f"column {name!r} holds whole numbers too far apart to be exact; make it an id, or "
            "convert it with astype(float)"
        )
    facts, distinct, shares = number_facts(known, precision)
    decimals = facts["decimals"]
    words = f"{distinct:,} distinct {'whole ' if decimals == 0 else ''}numbers"
    if decimals:
        words += f" of up to {decimals} decimals"
    if 2 < distinct <= FEW_NUMBERS and cells.family == "integer":
        words += " (if they are codes: --columns name=categorical)"
    spikes = ", ".join(f"{v:g} ({s:.0%})" for v, s in zip(facts["spikes"], shares, strict=True))
    return facts | {"why": words + (f"; often {spikes}" if spikes else "")}


def _datetime(cells: Cells, name: Name) -> Facts:
    """Describe moments in the coarsest unit that holds all of them."""
    if cells.family != "datetime":
        raise DataError(
            f"column {name!r} is {cells.series.dtype} and cannot be datetime; convert it first, "
            "for example with pandas.to_datetime"
        )
    known = cells.known
    units: tuple[Unit, ...] = get_args(Unit)
    unit = next(unit for unit in units if (known.astype(f"M8[{unit}]") == known).all())
    facts, distinct, _ = number_facts(known.astype(f"M8[{unit}]").astype(np.int64))
    words = {"D": "days", "h": "hours", "m": "minutes", "s": "seconds"}.get(unit, unit)
    why = f"{distinct:,} distinct moments, to whole {words}"
    near = facts["high"] - facts["low"] < 2**62  # distances fit into 64 bits
    return facts | {"unit": unit, "origin": facts["low"] if near else 0, "why": why}


def _categorical(cells: Cells, name: Name) -> Facts:
    levels, known = cells.coded[1], len(cells.known)
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
    if cells.family == "integer" and len(cells.known):
        low, last = int(cells.known.min()), int(cells.known.max())
        return {"refill": "integers", "low": low, "last": last, "high": last}
    ordered = isinstance(cells.series.dtype, pd.CategoricalDtype)
    if cells.levels and not ordered and all(isinstance(level, str) for level in cells.levels):
        matches = (_SYNTHETIC.fullmatch(str(level)) for level in cells.levels)
        return {"refill": "strings", "last": max((int(m[1]) for m in matches if m), default=0)}
    if isinstance(cells.series.dtype, np.dtype) and cells.series.dtype.kind == "b":
        raise DataError(
            f"column {name!r} is boolean and has no room for missing cells, so it cannot be an id; "
            "drop it, or make it text with astype(str)"
        )
    return {"refill": "missing"}


def _constant(cells: Cells, name: Name) -> Facts:
    if cells.missing.all():
        return {}
    known = cells.known
    if cells.missing.any() or (known != known[0]).any():
        raise DataError(
            f"column {name!r} has several values or missing cells, so it is not constant; call it "
            "an id to leave it out of learning, or drop it"
        )
    if cells.family == "datetime":
        return _datetime(cells, name) | {"why": ""}
    return {"levels": cells.coded[1]}


_FACTS: dict[ColumnKind, Callable[[Cells, Name], Facts]] = {
    "numeric": _numeric,
    "datetime": _datetime,
    "categorical": _categorical,
    "boolean": _boolean,
    "id": _id,
    "constant": _constant,
}


def number_facts(
    known: NDArray[np.int64] | NDArray[np.float64], precision: int = 15
) -> tuple[Facts, int, tuple[float, ...]]:
    """Return the facts of known cells (N,), N >= 1, the distinct values, and the spikes' shares.

    precision: significant digits that the storage keeps (float32: 6).
    """
    values, counts = np.unique(known, return_counts=True)
    decimals = 0 if known.dtype.kind == "i" else decimals_of(values.astype(np.float64), precision)
    low, high = values[0].item(), values[-1].item()
    shares = counts / counts.sum()
    often = (shares >= SPIKE_SHARE) & (len(values) > FEWEST_DISTINCT_WITH_SPIKES)
    large = max(-low, high) > EXACT
    number: Callable[[Any], Any] = int if decimals == 0 and not large else lambda value: value
    facts = {
        "decimals": decimals,
        "origin": low if known.dtype.kind == "i" and large else 0,
        "low": number(low),
        "high": number(high),
        "spikes": tuple(number(spike) for spike in values[often].tolist()),
    }
    return facts, len(values), tuple(shares[often].tolist())


def decimals_of(values: NDArray[np.float64], precision: int = 15) -> int | None:
    """Return how many digits after the point write all values (distinct, ascending).

    None where that takes more than 12 digits, or as many as the storage keeps. Whole numbers: 0.

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
