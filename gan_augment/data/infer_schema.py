"""A frame's schema: a kind for every column, inferred or as the user says, and its description.

The rules are in `kind_rules.py`, the descriptions in `column_facts.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gan_augment.data.cells.storage import storage_of
from gan_augment.data.column_facts import DESCRIBE, common_facts
from gan_augment.data.kind_rules import inferred_kind
from gan_augment.data.schema import Column, ColumnKind, Name, Overrides, TableSchema
from gan_augment.errors import DataError

if TYPE_CHECKING:
    from pandas import DataFrame, Series


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
