"""The rules by which a column's kind is inferred, with the reason. Descriptions: column_facts.py.

boolean: a boolean dtype. datetime: moments, also Python's dates. categorical: a category dtype,
text and other single values. numeric: all numbers, whole ones of few values too (they may be
counts; say --categorical where they are codes), and durations. id: see `ids.py`; never floats,
moments or categories. constant: one value in every row, or none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gan_augment.data.cells.levels import coded
from gan_augment.data.cells.numbers import numbers_of
from gan_augment.data.cells.storage import Storage
from gan_augment.data.ids import integer_id_reason, level_id_reason
from gan_augment.data.schema import ColumnKind, Name

if TYPE_CHECKING:
    from pandas import Series


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
