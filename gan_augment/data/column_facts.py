"""The description of a column of a given kind: the fields of `schema.Column`, or why it cannot be.

Which kind a column is: `kind_rules.py`, or the user.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from gan_augment.data.cells.dtypes import dtype_of_text, dtype_text
from gan_augment.data.cells.levels import coded, in_order
from gan_augment.data.cells.numbers import Numbers, numbers_of
from gan_augment.data.cells.scalars import as_scalar
from gan_augment.data.cells.storage import Storage
from gan_augment.data.cells.text import text_moments, text_numbers, unit_of_format
from gan_augment.data.ids import last_of_strings
from gan_augment.data.number_facts import (
    EXACT,
    NumberFacts,
    duration_facts,
    moment_facts,
    number_facts,
)
from gan_augment.data.schema import ColumnKind, Name
from gan_augment.errors import DataError

if TYPE_CHECKING:
    from pandas import Series

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
