"""Columns that name rows instead of describing them: how they are known, and refilled."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.cells.levels import level_cells
from gan_augment.data.cells.numbers import Numbers
from gan_augment.data.schema import Column, Name, TableSchema
from gan_augment.errors import DataError

if TYPE_CHECKING:
    from pandas import DataFrame

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


def refilled(column: Column, dtype: Any, n: int, first: int) -> Any:
    """n new ids in the dtype, for the synthetic rows number `first` on; none occurs in training.

    Integers continue after `last`; above the dtype's maximum they count down from below `low`.
    Raises DataError where no number is left.
    """
    numbers = np.arange(first, first + n, dtype=np.int64)
    if column.refill == "strings":
        start = 1 + (column.last or 0)
        return level_cells([f"synthetic-{start + number:06d}" for number in numbers], dtype)
    if column.refill == "missing":
        return level_cells([None] * n, dtype)
    return level_cells(_free_numbers(column, dtype, numbers), dtype)


def _free_numbers(column: Column, dtype: Any, numbers: NDArray[np.int64]) -> Any:
    last, low = int(column.last or 0), int(column.low or 0)
    smallest, largest = _range_of(dtype, column.python)
    above = largest - last
    end = int(numbers[-1]) + 1 if len(numbers) else 0
    if end <= above:
        return _counted(last + 1, numbers, 1)
    if end - above > low - smallest:
        raise DataError(
            f"id column {column.name!r} is {column.dtype}, which has no numbers left for "
            f"{end:,} synthetic rows; make it int64 before fitting"
        )
    up = _counted(last + 1, numbers[numbers < above], 1)
    return [*up, *_counted(low - 1 + above, numbers[numbers >= above], -1)]


def _counted(start: int, numbers: NDArray[np.int64], sign: int) -> Any:
    """start + sign x numbers, as Python's integers where 64 bits with a sign are too few."""
    if -(2**62) < start < 2**62:
        return start + sign * numbers
    return [start + sign * number for number in numbers.tolist()]


def _range_of(dtype: Any, python: str | None) -> tuple[int, int]:
    import pandas as pd

    if python is not None:
        return -(2**63), 2**63 - 1
    if isinstance(dtype, pd.ArrowDtype):
        kind = np.dtype(dtype.pyarrow_dtype.to_pandas_dtype())
    else:
        kind = getattr(dtype, "numpy_dtype", dtype)
    limits = np.iinfo(kind)
    return int(limits.min), int(limits.max)


def with_new_ids(frame: DataFrame, schema: TableSchema, like: DataFrame, first: int) -> DataFrame:
    """The rows with id-like columns refilled from the synthetic row number `first` on.

    like: a frame with the dtypes of these columns.
    """
    import pandas as pd

    filled = {}
    for column in schema.columns:
        if column.kind == "id":
            dtype = like[column.name].dtype
            cells = refilled(column, dtype, len(frame), first)
            filled[column.name] = pd.Series(cells, index=frame.index, dtype=dtype)
    if not filled:
        return frame
    frame = frame.copy(deep=False)
    for name, cells in filled.items():
        frame[name] = cells
    return frame
