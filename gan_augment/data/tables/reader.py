"""What a user has - a frame, an array, a file - as a `LabelledTable` with its schema.

CSV files are read in `csv.py`; nothing is written here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import ArrayLike, NDArray

from gan_augment.data.contract import LabelledTable
from gan_augment.data.groups import group_codes
from gan_augment.data.tables import PARQUET_SUFFIXES, TABLE_SUFFIXES, check_width
from gan_augment.data.tables.columns import plain, row_hashes
from gan_augment.data.tables.containers import arrow_frame, as_frame, as_series
from gan_augment.data.tables.csv import read_csv
from gan_augment.data.tables.export import ParquetFormat, ParquetSource, Source
from gan_augment.data.tables.inference import (
    column_names,
    infer_column,
    infer_schema,
    read_target,
)
from gan_augment.data.tables.schema import Name, Overrides, TableSchema, matching_name
from gan_augment.errors import DataError, UsageError
from gan_augment.input_files import memory_problem, regular_file


@dataclass(frozen=True)
class ReadTable:
    """A table, its schema (target included), sentences for people, and the file if it was one."""

    table: LabelledTable
    schema: TableSchema
    notes: tuple[str, ...] = ()
    source: Source | None = None


def read_frame(
    x: Any,
    target: Name | None = None,
    overrides: Overrides | None = None,
    *,
    y: Any = None,
    groups: ArrayLike | None = None,
) -> ReadTable:
    """Read a pandas or polars frame, an Arrow table, or an array (N, columns).

    The caller's data is not changed. Ids are "row-000000", by position.

    Parameters
    ----------
    x : frame or array (N, columns)
    target : name of the column that holds the labels; else pass them as `y`.
    overrides : kinds of columns that are not to be inferred.
    y : labels (N,) in any container, matched by position.
    groups : (N,) of any kind; rows of one group stay on one side of any split.

    Raises
    ------
    DataError
        Where the data cannot be learned, with the cause and the cure.
    UsageError
        Where the target or an override names no column.

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
    if target is None:
        series = as_series(y, len(frame))
        classes = read_target(series, None)
    else:
        position = names.index(matching_name(target, names, "the target column is not there: "))
        classes = read_target(frame.iloc[:, position], position)
        frame = frame.iloc[:, [i for i in range(len(names)) if i != position]]
        overrides = _without_target(overrides, names[position])
    schema = infer_schema(frame, overrides).model_copy(update={"target": classes.column})
    table = LabelledTable(
        frame=frame,
        labels=classes.labels,
        ids=np.array([f"row-{row:06d}" for row in range(len(frame))]),
        groups=group_codes(groups, len(frame)),
        class_names=classes.class_names,
    )
    return ReadTable(table, schema, (*classes.notes, *_notes(table, schema)))


def read_table(
    path: str | Path, target: Name | None = None, overrides: Overrides | None = None
) -> ReadTable:
    """Read a `.csv`, `.tsv` or `.parquet` file as `read_frame` reads a frame; nothing is written.

    Raises DataError, or UsageError for other files and without a target.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in TABLE_SUFFIXES:
        known = ", ".join(TABLE_SUFFIXES)
        raise UsageError(f"{str(path)!r} is no table that is read here; expected one of {known}")
    if target is None:
        raise UsageError(f"{str(path)!r}: say which column holds the labels, with --target NAME")
    frame: pd.DataFrame
    source: Source
    if suffix in PARQUET_SUFFIXES:
        frame, source = read_parquet(path)
    else:
        frame, source = read_csv(path)
        source.check_labels(target)
    read = read_frame(frame, target, overrides)
    notes = (*getattr(source, "notes", ()), *read.notes)
    return replace(read, source=source, notes=notes)


def read_unlabelled(path: str | Path, target: Name) -> LabelledTable:
    """Read a file whose rows are of no known class: a column called as the target is left out.

    Raises DataError, or UsageError for other files.
    """
    path = Path(path)
    if path.suffix.lower() not in TABLE_SUFFIXES:
        known = ", ".join(TABLE_SUFFIXES)
        raise UsageError(f"{str(path)!r} is no table that is read here; expected one of {known}")
    read = read_parquet if path.suffix.lower() in PARQUET_SUFFIXES else read_csv
    frame: pd.DataFrame = read(path)[0]
    return unlabelled_table(frame.drop(columns=[c for c in frame.columns if c == target]))


def unlabelled_table(frame: pd.DataFrame) -> LabelledTable:
    """Rows whose class nobody knows as a table of one class."""
    ids = np.array([f"row-{row:06d}" for row in range(len(frame))])
    labels = np.zeros(len(frame), dtype=np.int64)
    return LabelledTable(frame, labels, ids, class_names=("unlabelled",))


def read_parquet(path: Path) -> tuple[pd.DataFrame, ParquetSource]:
    """Read a Parquet file as a frame of Arrow dtypes. Raises DataError."""
    try:
        with regular_file(path) as opened:
            file = pq.ParquetFile(opened)
            check_width(file.metadata.num_columns, repr(str(path)))
            cells = file.metadata.num_rows * file.metadata.num_columns
            if problem := memory_problem(8 * cells):
                raise DataError(f"{str(path)!r} holds {cells:,} cells, which need {problem}")
            table = file.read()
    except OSError as error:
        why = error.strerror or error
        raise DataError(f"{str(path)!r} cannot be read: {why}") from None
    except pa.ArrowException as error:
        raise DataError(f"{str(path)!r} is no readable Parquet file: {error}") from None
    return arrow_frame(table), ParquetSource(path, len(table), ParquetFormat.of_file(file))


def _without_target(overrides: Overrides | None, target: Name) -> Overrides | None:
    """Leave the target out, which may be listed as what it is and as nothing else."""
    if overrides is None:
        return None
    rest = {name: kind for name, kind in overrides.columns.items() if str(name) != str(target)}
    for kind in (kind for name, kind in overrides.columns.items() if name not in rest):
        if kind not in ("categorical", "boolean"):
            raise UsageError(f"column {target!r} is the target, so it cannot be {kind}")
    return Overrides(columns=rest)


def _notes(table: LabelledTable, schema: TableSchema) -> list[str]:
    notes = []
    for column in schema.columns:
        if column.kind == "id":
            filled = {"missing": "left empty"}.get(column.refill or "", "numbered anew")
            notes.append(
                f"column {column.name!r} is not learned: an id ({column.why}); {filled} in "
                "synthetic rows"
            )
        elif column.kind == "constant":
            notes.append(f"column {column.name!r} is not learned: {column.why}")
    _, same = np.unique(row_hashes(table.frame), return_inverse=True)
    pairs = np.unique(same * len(table.names) + table.labels) // len(table.names)
    several = np.bincount(pairs, minlength=int(same.max()) + 1) > 1
    if several.any():
        clashes = int(several[same].sum())
        notes.append(f"{clashes:,} rows equal a row of another class in every feature")
    return notes


def set_aside(
    table: LabelledTable, group: Name | None = None, time: Name | None = None
) -> tuple[LabelledTable, NDArray[np.float64] | None]:
    """Return (the table without these columns, with its groups; the times of its rows or None).

    group: rows with the same value belong together; a missing one stands alone. time: as of
    `moments`. Raises UsageError for a column that is not there, DataError where no feature is left.

    >>> frame = pd.DataFrame({"size": [1, 2, 3], "who": ["ann", "bo", "ann"]})
    >>> rows = LabelledTable(frame, np.array([0, 1, 0]), np.array(["a", "b", "c"]))
    >>> features, times = set_aside(rows, group="who")
    >>> features.frame.columns.tolist(), features.groups, times
    (['size'], array([0, 1, 0]), None)
    """
    features, groups, times = table.frame, table.groups, None
    names = list(features.columns)
    if group is not None:
        group = matching_name(group, names, "the group column is not there: ")
        groups = pd.factorize(table.frame[group])[0].astype(np.int64)
        features = features.drop(columns=group)
    if time is not None:
        time = matching_name(time, names, "the time column is not there: ")
        times = moments(table.frame[time])
        features = features.drop(columns=time, errors="ignore")  # it may be the group as well
    if not len(features.columns):
        raise DataError("no feature is left beside the columns of the group and the time")
    return replace(table, frame=features, groups=groups), times


def moments(series: pd.Series) -> NDArray[np.float64]:
    """Return what rows can be ordered by (N,): numbers, moments, or text that holds either.

    Raises DataError for missing values, and for text that is neither: 10 would come before 9.
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
            return plain(series, infer_column(series, name, kind)).astype(np.float64)
        except DataError:
            continue
    raise DataError(
        f"column {name!r} cannot order rows in time: it holds {series.iloc[0]!r}; expected "
        "numbers, or dates such as 2024-01-31 or 2024-01-31 18:30:00"
    )
