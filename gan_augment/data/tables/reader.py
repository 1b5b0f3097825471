"""Frames, arrays and files as a `Labelled` with its schema."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from gan_augment.data.tables import is_parquet
from gan_augment.data.tables.columns import Cells, datetimes_of, read_cells
from gan_augment.data.tables.containers import arrow_frame, as_frame, as_series
from gan_augment.data.tables.csv import read_csv
from gan_augment.data.tables.export import TableFile
from gan_augment.data.tables.inference import (
    MONTH_FIRST,
    column_names,
    date_pattern,
    infer_schema,
    read_target,
)
from gan_augment.data.tables.schema import Name, Overrides, TableSchema, matching_name
from gan_augment.errors import DataError, UsageError, plural
from gan_augment.input_files import memory_problem, regular_file
from gan_augment.kinds.kind import Labelled
from gan_augment.kinds.table import TABLE


@dataclass(frozen=True)
class ReadTable:
    """A table, its schema with the target, notes for the user, and its file, if any."""

    table: Labelled
    schema: TableSchema
    notes: tuple[str, ...] = ()
    source: TableFile | None = None

    @property
    def data(self) -> Labelled:
        """Return the table, under the name that all kinds of data share."""
        return self.table

    def __repr__(self) -> str:
        target = f", target {str(self.schema.target.name)!r}" if self.schema.target else ""
        return repr(self.table).replace("Labelled", f"ReadTable{target}", 1)


def read_frame(
    x: Any,
    target: Name | None = None,
    overrides: Overrides | None = None,
    *,
    y: Any = None,
) -> ReadTable:
    """Read a pandas or polars frame, an Arrow table, or an array (N, columns), without changing it.

    Every column has one of pandas' plain dtypes. Ids are "row-000000", by position.

    Parameters
    ----------
    x : frame or array (N, columns)
        The rows.
    target : str or int, optional
        Column that holds the labels; else pass them as `y`.
    overrides : dict, optional
        {column: kind}, for columns whose kind is not inferred.
    y : array-like (N,), optional
        Labels in any container, matched by position.

    Returns
    -------
    ReadTable
        `table`, a `Labelled`, and `schema`, the kinds of its columns.

    Raises
    ------
    DataError, UsageError
        If the data cannot be learned; if the target or an override names no column.

    Examples
    --------
    >>> read = read_frame(np.eye(4), y=["rare", "common", "common", "common"])
    >>> read.table.counts, read.schema.names
    ({'common': 3, 'rare': 1}, (0, 1, 2, 3))
    """
    frame = as_frame(x)
    names = column_names(frame)
    if (target is None) == (y is None):
        raise UsageError("name the target, or pass the labels as y; exactly one of both")
    if not len(frame):
        raise DataError("the table has no rows")
    position = None
    if target is None:
        classes = read_target(as_series(y, len(frame)), separate=True)
    else:
        position = names.index(matching_name(target, names, "target "))
        classes = read_target(frame.iloc[:, position])
        frame = frame.iloc[:, [i for i in range(len(names)) if i != position]]
        overrides = {n: k for n, k in (overrides or {}).items() if str(n) != str(names[position])}
    known = {"target": classes.column, "position": position}
    schema = infer_schema(frame, overrides).model_copy(update=known)
    table = TABLE.of(frame, classes.labels, class_names=classes.class_names)
    return ReadTable(table, schema, tuple(_notes(table, schema)))


def read_table(
    path: str | Path, target: Name | None = None, overrides: Overrides | None = None
) -> ReadTable:
    """Read a `.csv`, `.tsv` or `.parquet` file like `read_frame`; nothing is written.

    Parameters
    ----------
    path
        The file.
    target, overrides
        As in `read_frame`.

    Returns
    -------
    ReadTable
        As from `read_frame`.

    Raises
    ------
    DataError, UsageError
        If the data cannot be learned; for other files, and without a target.
    """
    path = Path(path)
    if target is None:
        raise UsageError(
            f"{str(path)!r}: name the column that holds the labels: --target NAME (target=)"
        )
    frame, source = _read_file(path)
    return replace(read_frame(frame, target, overrides), source=source)


def read_unlabelled(path: str | Path, target: Name) -> Labelled:
    """Read a file of rows of unknown class; a column with the target's name is left out."""
    frame = _read_file(Path(path))[0].drop(columns=target, errors="ignore")
    labels = np.zeros(len(frame), dtype=np.int64)
    return TABLE.of(as_frame(frame), labels, class_names=("unlabelled",))


def _read_file(path: Path) -> tuple[pd.DataFrame, TableFile]:
    """Return the frame of a file, and the file. Raises DataError."""
    if not is_parquet(path):
        frame, dialect = read_csv(path)
        return frame, TableFile.of(path, len(frame), dialect)
    try:
        with regular_file(path) as opened:
            file = pq.ParquetFile(opened)
            cells = file.metadata.num_rows * file.metadata.num_columns
            if problem := memory_problem(8 * cells):
                raise DataError(f"{str(path)!r} holds {cells:,} cells, which need {problem}")
            frame = arrow_frame(file.read())
    except OSError as error:
        why = error.strerror or error
        raise DataError(f"{str(path)!r} cannot be read: {why}") from None
    except pa.ArrowException as error:
        raise DataError(f"{str(path)!r} is not a readable Parquet file: {error}") from None
    return frame, TableFile.of(path, len(frame))


def _notes(table: Labelled, schema: TableSchema) -> list[str]:
    notes = []
    for column in schema.columns:
        if column.kind == "id":
            filled = "left empty" if column.last is None else "numbered anew"
            notes.append(
                f"column {column.name!r} is not learned: an id ({column.why}); {filled} in "
                "synthetic rows"
            )
        elif not column.learned:
            notes.append(f"column {column.name!r} is not learned: {column.why}")
        elif column.why.endswith(MONTH_FIRST):
            notes.append(f"column {column.name!r}: its dates are {MONTH_FIRST}")
    keys = pd.util.hash_pandas_object(table.frame, index=False).to_numpy()
    clash = pd.Series(table.labels).groupby(keys).transform("nunique").to_numpy() > 1
    if clash.any():
        found = pd.crosstab(keys[clash], table.labels[clash])
        most = found.loc[found.sum(axis=1).idxmax()]
        listed = " and ".join(
            f"{n:,} of {table.names[label]}" for label, n in most[most > 0].items()
        )
        notes.append(
            f"{clash.sum():,} rows equal a row of a different class in every feature: "
            f"{plural(len(found), 'combination')} of values, the most frequent one in {listed}"
        )
    return notes


def set_aside(
    table: Labelled, group: Name | None = None, time: Name | None = None
) -> tuple[Labelled, NDArray[Any] | None]:
    """Return the table without these columns, with its groups, and the times of its rows or None.

    group: rows with the same value belong together; a row with a missing value is its own group.
    time: as returned by `row_times`. Raises UsageError for an unknown column, DataError where no
    feature is left.

    >>> frame = pd.DataFrame({"size": [1, 2, 3], "who": ["ann", "bo", "ann"]})
    >>> rows = TABLE.of(frame, np.array([0, 1, 0]))
    >>> features, times = set_aside(rows, group="who")
    >>> features.frame.columns.tolist(), features.groups, times
    (['size'], array([0, 1, 0]), None)
    """
    features, groups, times = table.frame, table.groups, None
    names = list(features.columns)
    if group is not None:
        group = matching_name(group, names, "group ")
        groups = pd.factorize(table.frame[group])[0].astype(np.int64)
        features = features.drop(columns=group)
    if time is not None:
        time = matching_name(time, names, "time ")
        times = row_times(table.frame[time])
        features = features.drop(columns=time, errors="ignore")  # it may be the group as well
    if not len(features.columns):
        raise DataError("no feature is left besides the columns of the group and the time")
    return replace(table, rows=features, groups=groups), times


def row_times(series: pd.Series) -> NDArray[Any]:
    """Return numbers or dates to order rows by, (N,); other text is refused: 10 sorts before 9."""
    name, cells = str(series.name), read_cells(series)
    if pattern := date_pattern(cells)[0]:
        cells = Cells(datetimes_of(cells.series, pattern))
    if cells.missing.any():
        raise DataError(
            f"{int(cells.missing.sum()):,} of {len(series):,} rows have no time in column {name!r} "
            f"(the first: row {int(cells.missing.argmax())}); expected one in every row. Drop "
            "those rows."
        )
    if cells.family == "category":
        raise DataError(
            f"column {name!r} cannot order rows in time: it holds {series.iloc[0]!r}; expected "
            "numbers or dates (pandas.to_datetime)"
        )
    return cells.values
