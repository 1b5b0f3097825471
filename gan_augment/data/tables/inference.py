"""A column of labels as class indices, and what gives a label its own type back."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.labels import encode_labels
from gan_augment.data.tables.cells import (
    EXACT,
    TICKS,
    Numbers,
    Storage,
    coded,
    dtype_of_text,
    dtype_text,
    from_wall,
    in_order,
    numbers_of,
    storage_of,
    to_wall,
)
from gan_augment.data.tables.schema import (
    Column,
    ColumnKind,
    Name,
    Overrides,
    TableSchema,
    TargetColumn,
    Unit,
    as_scalar,
)
from gan_augment.data.tables.text import text_moments, text_numbers, unit_of_format
from gan_augment.errors import DataError

if TYPE_CHECKING:
    from pandas import DataFrame, Series

FEWEST_ROWS = 20
DISTINCT_SHARE = 0.95
_NAMES = re.compile(
    r"(id|uuid|guid|index|rowid|__index_level_\d+__|level_0|unnamed: \d+)"
    r"|.*[_\-. ](id|uuid|guid)",
    re.IGNORECASE,
)
_CAMEL = re.compile(r".*[a-z](Id|ID|Uuid|UUID)")
_SYNTHETIC = re.compile(r"synthetic-(\d{6,18})")


def names_rows(name: Name) -> bool:
    """Whether a column's name says that it holds ids.

    >>> [names_rows(n) for n in ("id", "patient_id", "rowId", "paid", "grid", 0)]
    [True, True, True, False, False, False]
    """
    text = str(name) if isinstance(name, str) else ""
    return bool(_NAMES.fullmatch(text) or _CAMEL.fullmatch(text))


def integer_id_reason(known: Numbers, name: Name) -> str | None:
    """Why whole numbers (N,), in the order of the rows, are ids; None where they are not."""
    n = len(known)
    steps = known[1:] - known[:-1]  # wraps, which a step of one never does the other way
    up, down = (steps == 1).all(), (steps == np.array(-1).astype(steps.dtype)).all()
    if n >= FEWEST_ROWS and (up or down):
        return f"{n:,} whole numbers, each one from the last"
    if n >= 2 and names_rows(name) and len(np.unique(known)) == n:
        return f"the name says so, and all {n:,} differ"
    return None


def level_id_reason(known: int, distinct: int, name: Name) -> str | None:
    """Why text (or other single values) is an id; None where it is not."""
    if distinct == known and known >= 2 and names_rows(name):
        return f"the name says so, and all {known:,} differ"
    if known >= FEWEST_ROWS and distinct > DISTINCT_SHARE * known:
        return f"{distinct:,} of {known:,} differ"
    return None


def last_of_strings(levels: Sequence[object]) -> int:
    """The highest number of strings like "synthetic-000007", 0 where there are none."""
    matches = (_SYNTHETIC.fullmatch(level) for level in levels if isinstance(level, str))
    return max((int(match[1]) for match in matches if match), default=0)


SPIKE_SHARE = 0.05
FEWEST_DISTINCT_WITH_SPIKES = 20
MOST_DECIMALS = 12
_UNITS: tuple[Unit, ...] = ("D", "h", "m", "s", "ms", "us", "ns")


@dataclass(frozen=True)
class NumberFacts:
    """The fields of `schema.Column` that describe numbers, and how many of them differ."""

    fields: dict[str, Any]
    distinct: int
    shares: tuple[float, ...] = ()


def number_facts(known: Numbers, precision: int = 15) -> NumberFacts:
    """Of the known cells (N,), N >= 1, in any order.

    precision: significant digits that the storage keeps (float32: 6).
    """
    values, counts = np.unique(known, return_counts=True)
    decimals = 0 if known.dtype.kind in "iu" else decimals_of(values.astype(np.float64), precision)
    low, high = values[0].item(), values[-1].item()
    fields: dict[str, Any] = {"decimals": decimals, "integer": decimals == 0, "origin": 0}
    if known.dtype.kind in "iu" and max(-low, high) > EXACT:
        fields["origin"] = low
    spikes, shares = _spikes(values, counts)
    whole = decimals == 0 and max(-low, high) <= EXACT
    as_written = int if whole else (lambda value: value)
    fields |= {"low": as_written(low), "high": as_written(high)}
    fields["spikes"] = tuple(as_written(spike) for spike in spikes)
    return NumberFacts(fields, len(values), shares)


def moment_facts(ticks: NDArray[np.int64], unit: Unit | None, zone: str) -> NumberFacts:
    """Of known moments (N,) in ticks of the unit since 1970; None: of a period of its own."""
    wall = bool(zone) and _local_days(ticks, unit, zone)
    if wall:
        ticks = to_wall(ticks, unit, zone)
    facts = duration_facts(ticks, unit)
    origin = facts.fields["low"]
    return NumberFacts(
        facts.fields | {"origin": origin, "wall": wall, "zone": zone}, facts.distinct, facts.shares
    )


def duration_facts(ticks: NDArray[np.int64], unit: Unit | None) -> NumberFacts:
    """Of known durations (N,) in ticks of the unit: facts in the coarsest unit that is exact."""
    coarsest = unit
    for wider in _UNITS[: _UNITS.index(unit)] if unit else ():
        if not (ticks % (TICKS[wider] // TICKS[unit or wider])).any():
            coarsest = wider
            break
    if unit and coarsest:
        ticks = ticks // (TICKS[coarsest] // TICKS[unit])
    facts = number_facts(ticks)
    return NumberFacts(facts.fields | {"unit": coarsest}, facts.distinct, facts.shares)


def decimals_of(values: NDArray[np.float64], precision: int = 15) -> int | None:
    """The fewest digits after the point that write all values (distinct, ascending), or None.

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


def _spikes(
    values: NDArray[Any], counts: NDArray[np.int64]
) -> tuple[tuple[Any, ...], tuple[float, ...]]:
    """(values with at least 5 % of the cells, their shares) where more than 20 differ."""
    if len(values) <= FEWEST_DISTINCT_WITH_SPIKES:
        return (), ()
    shares = counts / counts.sum()
    often = shares >= SPIKE_SHARE
    return tuple(values[often].tolist()), tuple(shares[often].tolist())


def _local_days(ticks: NDArray[np.int64], unit: Unit | None, zone: str) -> bool:
    """Whether all are midnights in their zone and not in UTC, and can be found again as such."""
    day = TICKS["D"] // TICKS[unit or "ns"]
    if not (ticks % day).any():
        return False
    wall = to_wall(ticks, unit, zone)
    return not (wall % day).any() and bool((from_wall(wall, unit, zone) == ticks).all())


Facts = dict[str, Any]
MANY_LEVELS = 50
MANY_LEVELS_SHARE = 0.5
FEW_NUMBERS = 10


def common_facts(series: Series, name: Name, storage: Storage) -> Facts:
    """What columns of every kind have. Raises DataError for infinite numbers and odd dtypes."""
    import pandas as pd

    dtype = series.dtype
    facts: Facts = {
        "name": name,
        "dtype": dtype_text(dtype),
        "missing": int(storage.missing.sum()),
        "missing_as": storage.missing_as,
        "python": storage.python,
    }
    if isinstance(dtype, pd.CategoricalDtype):
        facts["categories"] = tuple(as_scalar(level) for level in dtype.categories.tolist())
        facts["categories_dtype"] = dtype_text(dtype.categories.dtype)
        facts["ordered"] = bool(dtype.ordered)
    _check_dtype(dtype, facts)
    if storage.family in ("float", "decimal"):
        _check_finite(series, name, storage)
    return facts


def _numeric(series: Series, name: Name, storage: Storage) -> Facts:
    _check_known(name, storage, "numeric")
    if storage.family == "text":
        numbers, style, digits = text_numbers(series)
        facts = number_facts(numbers[~storage.missing])
        written = {"text": style} | ({} if digits is None else {"decimals": digits})
        return facts.fields | written | {"why": _number_words(facts, storage)}
    if storage.family not in ("integer", "float", "decimal", "duration", "boolean"):
        raise DataError(
            f"column {name!r} is {series.dtype} ({storage.family}) and cannot be numeric; convert "
            "it first, for example with astype(float)"
        )
    known = numbers_of(series, storage)[~storage.missing]
    if storage.family == "duration":
        facts = duration_facts(known.astype(np.int64), storage.unit)
    else:
        facts = number_facts(known, _precision(series.dtype))
    fields = facts.fields | {"why": _number_words(facts, storage)}
    return fields | _decimal_bounds(series, fields) if storage.family == "decimal" else fields


def _datetime(series: Series, name: Name, storage: Storage) -> Facts:
    _check_known(name, storage, "datetime")
    if storage.family == "text":
        ticks, pattern = text_moments(series)
        unit: Any = unit_of_format(pattern)
        facts = moment_facts(ticks[~storage.missing], unit, "")
        why = f"{facts.distinct:,} distinct moments written {pattern}"
        return facts.fields | {"text": pattern, "why": why}
    if storage.family != "datetime":
        raise DataError(
            f"column {name!r} is {series.dtype} ({storage.family}) and cannot be datetime; convert "
            "it first, for example with pandas.to_datetime"
        )
    known = numbers_of(series, storage)[~storage.missing].astype(np.int64)
    facts = moment_facts(known, storage.unit, storage.zone)
    words = {"D": "days", "h": "hours", "m": "minutes", "s": "seconds", None: "periods"}
    unit = facts.fields["unit"]
    zone = f" in {storage.zone}" if storage.zone else ""
    why = f"{facts.distinct:,} distinct moments, to whole {words.get(unit, unit)}{zone}"
    return facts.fields | {"why": why}


def _categorical(series: Series, name: Name, storage: Storage) -> Facts:
    _check_known(name, storage, "categorical")
    levels = _levels(series)
    known = len(series) - int(storage.missing.sum())
    words = f"{len(levels):,} level{'s' if len(levels) > 1 else ''}"
    if len(levels) > max(MANY_LEVELS, MANY_LEVELS_SHARE * known):
        words += f" in {known:,} rows, so most are rare: an id?"
    if len(levels) == 1 and storage.missing.any():
        words += ", and missing cells"
    return {"levels": levels, "why": words}


def _boolean(series: Series, name: Name, storage: Storage) -> Facts:
    facts = _categorical(series, name, storage)
    if len(facts["levels"]) > 2:
        raise DataError(
            f"column {name!r} has {len(facts['levels'])} values and cannot be boolean; expected at "
            "most two. Call it categorical."
        )
    return facts


def _id(series: Series, name: Name, storage: Storage) -> Facts:
    if storage.family == "integer" and not storage.missing.all():
        known = numbers_of(series, storage)[~storage.missing]
        low, last = int(known.min()), int(known.max())
        return {"refill": "integers", "low": low, "last": last, "high": last}
    if storage.family == "text":
        return {"refill": "strings", "last": last_of_strings(coded(series)[1])}
    if isinstance(series.dtype, np.dtype) and series.dtype.kind in "biu":
        raise DataError(
            f"column {name!r} is {series.dtype}, of which no new ids can be made and which has no "
            "room for missing cells; drop it, or make it text with astype(str)"
        )
    return {"refill": "missing"}


def _constant(series: Series, name: Name, storage: Storage) -> Facts:
    levels = () if storage.missing.all() else _levels(series)
    if len(levels) > 1 or (levels and storage.missing.any()):
        raise DataError(
            f"column {name!r} has {len(levels)} values and {int(storage.missing.sum())} missing "
            "cells, so it is not constant; call it an id to leave it out of learning, or drop it"
        )
    return {"levels": levels}


DESCRIBE: dict[ColumnKind, Callable[[Series, Name, Storage], Facts]] = {
    "numeric": _numeric,
    "datetime": _datetime,
    "categorical": _categorical,
    "boolean": _boolean,
    "id": _id,
    "constant": _constant,
}


def _levels(series: Series) -> tuple[object, ...]:
    """The levels that occur: in the order that the dtype gives them, else sorted."""
    codes, distinct = coded(series)
    used = np.bincount(codes[codes >= 0], minlength=len(distinct)) > 0
    seen = [level for level, one in zip(distinct, used, strict=True) if one]
    kind = getattr(series.dtype, "pyarrow_dtype", series.dtype)  # an Arrow dictionary has an order
    given = series.dtype == "category" or getattr(kind, "ordered", False)
    return tuple(seen if given else in_order(seen))


def _number_words(facts: NumberFacts, storage: Storage) -> str:
    fields = facts.fields
    written = (
        "durations"
        if storage.family == "duration"
        else "whole numbers"
        if fields["integer"]
        else "numbers"
        if fields["decimals"] is None
        else f"numbers of up to {fields['decimals']} decimals"
    )
    words = f"{facts.distinct:,} distinct {written}"
    if fields["integer"] and 2 < facts.distinct <= FEW_NUMBERS and storage.family == "integer":
        words += " (if they are codes: --categorical)"
    if fields["origin"] and fields["high"] - fields["low"] > EXACT:
        words += ", too far apart to be exact (hashes? say --id)"
    spikes = (f"{v:g} ({s:.0%})" for v, s in zip(fields["spikes"], facts.shares, strict=True))
    listed = ", ".join(spikes)
    return words + (f"; often {listed}" if listed else "")


def _precision(dtype: Any) -> int:
    """Significant decimal digits that a dtype keeps."""
    plain = getattr(dtype, "numpy_dtype", dtype)
    kind = plain if isinstance(plain, np.dtype) and plain.kind == "f" else np.dtype(np.float64)
    return min(15, np.finfo(kind).precision)


def _decimal_bounds(series: Series, fields: Facts) -> Facts:
    """Digits as Python's Decimals are written; bounds that stay within those of the cells.

    A Decimal of more digits than a float keeps might be rounded to beyond the column's range, or
    to a digit more than its dtype has.
    """
    known = [cell for cell in coded(series)[1] if cell is not None]
    bounds: Facts = {}
    if series.dtype == np.dtype(object):
        digits = max(max(0, -cell.as_tuple().exponent) for cell in known)  # type: ignore[attr-defined]
        bounds = {"decimals": digits, "integer": digits == 0}
    decimals = bounds.get("decimals", fields["decimals"])
    low, high = min(known), max(known)  # type: ignore[type-var]
    largest = max(abs(float(low)), abs(float(high)))  # type: ignore[arg-type]
    if decimals is None or largest * 10.0**decimals > EXACT:
        bounds |= {"low": _within(low, 1), "high": _within(high, -1)}
    return bounds


def _within(bound: Any, side: int) -> float:
    """The nearest float not below (side 1) or not above (side -1) a Decimal."""
    near = float(bound)
    outside = type(bound)(near) < bound if side > 0 else type(bound)(near) > bound
    return float(np.nextafter(near, side * np.inf)) if outside else near


def _check_dtype(dtype: Any, facts: Facts) -> None:
    """Raise DataError where the dtype could not be made again from its name."""
    try:
        again = dtype_of_text(
            facts["dtype"],
            facts.get("categories"),
            facts.get("categories_dtype"),
            facts.get("ordered", False),
        )
    except (TypeError, ValueError, KeyError, NotImplementedError):
        again = None
    if again != dtype:
        raise DataError(
            f"column {facts['name']!r} is {dtype}, which could not be given back; convert it to a "
            "plainer type, or drop it"
        )


def _check_finite(series: Series, name: Name, storage: Storage) -> None:
    numbers: Numbers = numbers_of(series, storage)
    bad = np.isinf(numbers) & ~storage.missing
    if bad.any():
        rows = ", ".join(str(row) for row in np.flatnonzero(bad)[:3])
        more = ", ..." if bad.sum() > 3 else ""
        raise DataError(
            f"column {name!r} holds {int(bad.sum())} infinite values (rows {rows}{more}); expected "
            "finite numbers or missing cells. Replace them: frame.replace([inf, -inf], nan)"
        )


def _check_known(name: Name, storage: Storage, kind: str) -> None:
    if storage.missing.all():
        raise DataError(
            f"every cell of column {name!r} is missing, so it cannot be {kind}; drop it, or leave "
            "its kind to be inferred"
        )


def inferred_kind(series: Series, name: Name, storage: Storage) -> tuple[ColumnKind, str]:
    """(kind, why) of a column of at least one row; an empty why: the description says it."""
    if storage.missing.all():
        return "constant", "every cell is missing"
    if storage.family in ("text", "scalars", "category", "boolean"):
        return _kind_of_levels(series, name, storage)
    return _kind_of_numbers(series, name, storage)


def _kind_of_numbers(series: Series, name: Name, storage: Storage) -> tuple[ColumnKind, str]:
    known = numbers_of(series, storage)[~storage.missing]
    if not storage.missing.any() and (known == known[0]).all():
        return "constant", "one value in every row"
    if storage.family == "datetime":
        return "datetime", ""
    why = integer_id_reason(known, name) if storage.family == "integer" else None
    return ("numeric", "") if why is None else ("id", why)


def _kind_of_levels(series: Series, name: Name, storage: Storage) -> tuple[ColumnKind, str]:
    codes, distinct = coded(series)
    known = len(series) - int(storage.missing.sum())
    if not storage.missing.any() and (codes == codes[0]).all():
        return "constant", "one value in every row"
    if storage.family == "boolean":
        return "boolean", ""
    if storage.family == "category":
        return "categorical", ""
    why = level_id_reason(known, len(distinct), name)
    if why is None:
        return "categorical", ""
    number = storage.family == "text" and _reads_as_number(str(distinct[0]))
    return "id", why + (f"; if these are numbers: --numeric {name}" if number else "")


def _reads_as_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def infer_schema(frame: DataFrame, overrides: Overrides | None = None) -> TableSchema:
    """The schema of the feature columns; the target is for `tables.read_frame` to add.

    Raises DataError for frames without rows, without a column to learn, with names or cells that
    nothing here could give back; UsageError for overrides of columns that are not there.
    """
    names = column_names(frame)
    if not len(frame) or not names:
        raise DataError(
            f"the table has {len(frame)} rows and {len(names)} feature columns; expected at least "
            "one of each"
        )
    kinds = (overrides or Overrides()).kinds_of(names)
    schema = TableSchema(
        columns=tuple(
            inferred_column(frame.iloc[:, i], name, kinds.get(name)) for i, name in enumerate(names)
        )
    )
    if not schema.learned:
        said = "; ".join(f"{c.name!r} is {c.kind} ({c.why})" for c in schema.columns[:10])
        raise DataError(
            f"no column can be learned: {said}. Override a kind, for example with "
            f"--categorical {names[0]}, or add columns."
        )
    return schema


def inferred_column(series: Series, name: Name, forced: ColumnKind | None = None) -> Column:
    """The description of a column of at least one row. Raises DataError."""
    storage = storage_of(series)
    common = common_facts(series, name, storage)
    kind, reason = (forced, "") if forced else inferred_kind(series, name, storage)
    facts = DESCRIBE[kind](series, name, storage)
    said = ["asked for" if forced else "", reason, facts.pop("why", "")]
    return Column(kind=kind, why="; ".join(filter(None, said)), **{**common, **facts})


def column_names(frame: DataFrame) -> list[Name]:
    """The names of a frame's columns as str or int. Raises DataError for others, and for copies."""
    columns = frame.columns
    if columns.nlevels > 1:
        raise DataError(
            f"the columns have {columns.nlevels} levels of names; expected one. Join them: "
            'frame.columns = ["_".join(map(str, name)) for name in frame.columns]'
        )
    if not columns.is_unique:
        twice = list(dict.fromkeys(columns[columns.duplicated()].tolist()))[:10]
        raise DataError(f"columns {twice} occur more than once; rename or drop the copies")
    return [_name(name) for name in columns.tolist()]


def _name(name: object) -> Name:
    if isinstance(name, int | np.integer) and not isinstance(name, bool):
        return int(name)
    if isinstance(name, str) and name.encode("utf-8", "replace").decode() == name:
        return str(name)
    raise DataError(
        f"a column is called {name!r} ({type(name).__name__}); expected text or a whole number. "
        "Rename it: frame.columns = frame.columns.astype(str)"
    )


MOST_REAL_LABELS = 20
MANY_CLASSES = 100


@dataclass(frozen=True)
class ReadTarget:
    """labels: int64 (N,) indices into class_names. notes: sentences for people."""

    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    column: TargetColumn
    notes: tuple[str, ...]


def read_target(series: Series, name: Name, position: int | None) -> ReadTarget:
    """Labels of type str, int, bool or float, in any dtype; classes are those that occur.

    position: of the column in its frame; None for labels beside it. Raises DataError for missing
    labels, other types, numbers that are no classes, and fewer than two classes.
    """
    storage = storage_of(series)
    _check_all_labelled(storage.missing, name)
    common = common_facts(series, name, storage)
    codes, cells = coded(series)
    used = np.bincount(codes, minlength=len(cells)) > 0
    cells = [cell for cell, seen in zip(cells, used, strict=True) if seen]
    codes = (np.cumsum(used) - 1)[codes]
    _check_classes(cells, codes, name)
    distinct = np.empty(len(cells), dtype=object)
    distinct[:] = cells
    labels, names = encode_labels(distinct)
    if len(names) < 2:
        raise DataError(
            f"every label in column {name!r} is {names[0]!r}; expected at least two classes, since "
            "a class is learned against the others"
        )
    by_class = dict(zip(labels.tolist(), cells, strict=True))
    levels = tuple(by_class[label] for label in range(len(names)))
    why = f"{len(names):,} classes"
    column = Column(kind="categorical", levels=levels, why=why, **common)
    notes: tuple[str, ...] = ()
    if len(names) > max(MANY_CLASSES, len(series) // 2):
        notes = (f"column {name!r} has {len(names):,} classes in {len(series):,} rows: a number?",)
    return ReadTarget(labels[codes], names, TargetColumn(cells=column, position=position), notes)


def _check_all_labelled(missing: NDArray[np.bool_], name: Name) -> None:
    if missing.any():
        raise DataError(
            f"{int(missing.sum()):,} of {len(missing):,} rows have no label in column {name!r} "
            f"(the first: row {int(missing.argmax())}). Drop them: "
            f"frame.dropna(subset=[{name!r}])"
        )


def _check_classes(cells: list[object], codes: NDArray[np.int64], name: Name) -> None:
    for code, cell in enumerate(cells):
        if not isinstance(cell, str | bool | int | float):
            row = int((codes == code).argmax())
            raise DataError(
                f"the label of row {row} in column {name!r} is a {type(cell).__name__} ({cell}); "
                "expected text, whole numbers, booleans or numbers. Make them text with astype(str)"
            )
    fractions = [cell for cell in cells if isinstance(cell, float) and not cell.is_integer()]
    if len(fractions) > MOST_REAL_LABELS:
        raise DataError(
            f"column {name!r} looks like a regression target: {len(fractions):,} distinct numbers "
            f"that are not whole, such as {fractions[0]}. Expected classes; cut it into some, for "
            "example with pandas.cut(...).astype(str), or name another column."
        )
