"""Columns of a table that say how its rows belong together or follow each other: set aside.

They are no features: a model that learned them would know what it cannot know of new rows.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.columns import plain
from gan_augment.data.contract import LabelledTable
from gan_augment.data.infer_schema import inferred_column
from gan_augment.data.schema import Name, no_column
from gan_augment.errors import DataError, UsageError

if TYPE_CHECKING:
    from pandas import Series


def set_aside(
    table: LabelledTable, group: Name | None = None, time: Name | None = None
) -> tuple[LabelledTable, NDArray[np.float64] | None]:
    """(the table without these columns and with its groups, the times of its rows or None).

    group: rows with the same value belong together; a missing one stands alone. time: as of
    `moments`. Raises UsageError for a column that is not there, DataError where no feature is left.

    >>> import pandas as pd
    >>> frame = pd.DataFrame({"size": [1, 2, 3], "who": ["ann", "bo", "ann"]})
    >>> rows = LabelledTable(frame, np.array([0, 1, 0]), np.array(["a", "b", "c"]))
    >>> found, times = set_aside(rows, group="who")
    >>> found.frame.columns.tolist(), found.groups, times
    (['size'], array([0, 1, 0]), None)
    """
    import pandas as pd

    frame, groups, times = table.frame, table.groups, None
    names = list(frame.columns)
    away = []
    if group is not None:
        at = _position(names, group, "group")
        away.append(at)
        groups = pd.factorize(frame.iloc[:, at])[0].astype(np.int64)
    if time is not None:
        at = _position(names, time, "time")
        away.append(at)
        times = moments(frame.iloc[:, at])
    kept = [i for i in range(len(names)) if i not in away]
    if not kept:
        raise DataError("no feature is left beside the columns of the group and the time")
    return replace(table, frame=frame.iloc[:, kept], groups=groups), times


def moments(series: Series) -> NDArray[np.float64]:
    """What rows can be ordered by (N,): numbers, moments, or text that holds either.

    Raises DataError for missing values, and for text that is neither, since 3.10. would come before
    3.9. as text.
    """
    name = str(series.name)
    missing = series.isna().to_numpy(dtype=bool)
    if missing.any():
        raise DataError(
            f"{int(missing.sum()):,} of {len(series):,} rows have no time in column {name!r} (the "
            f"first: row {int(missing.argmax())}); expected one in every row. Drop those rows."
        )
    for kind in ("datetime", "numeric"):
        try:
            return plain(series, inferred_column(series, name, kind)).astype(np.float64)
        except DataError:
            continue
    raise DataError(
        f"column {name!r} cannot order rows in time: it holds {series.iloc[0]!r}; expected "
        "numbers, or dates such as 2024-01-31 or 2024-01-31 18:30:00"
    )


def _position(names: list[Name], wanted: Name, what: str) -> int:
    """Where a column is; "3" finds column 3 where none is called "3"."""
    if wanted in names:
        return names.index(wanted)
    as_text = [str(name) for name in names]
    if str(wanted) not in as_text:
        raise UsageError(f"the {what} column is not there: {no_column(wanted, names)}")
    return as_text.index(str(wanted))
