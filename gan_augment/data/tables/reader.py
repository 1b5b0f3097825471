"""Frames, arrays and files as a `Labelled` with its schema.

`csv.py` reads CSV files; nothing is written here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from numpy.typing import NDArray

from gan_augment.data.tables import PARQUET_SUFFIXES, TABLE_SUFFIXES, check_width
from gan_augment.data.tables.columns import plain
from gan_augment.data.tables.containers import arrow_frame, as_frame, as_series
from gan_augment.data.tables.csv import read_csv
from gan_augment.data.tables.export import TableFile
from gan_augment.data.tables.inference import (
    MONTH_FIRST,
    column_names,
    infer_column,
    infer_schema,
    read_target,
)
from gan_augment.data.tables.schema import Name, Overrides, TableSchema, matching_name
from gan_augment.errors import DataError, UsageError, plural
from gan_augment.input_files import memory_problem, regular_file
from gan_augment.kinds.kind import Labelled
from gan_augment.kinds.table import TABLE
from gan_augment.rng import rng_for


@dataclass(frozen=True)
class WholeFile:
    """A file that was read in part. sha256: hash of its metadata, not of its cells."""

    counts: dict[str, int]
    sha256: str


@dataclass(frozen=True)
class ReadTable:
    """A table, its schema with the target, notes for the user, and the file it came from, if any.

    whole: where the table holds only some of the file's rows.
    """

    table: Labelled
    schema: TableSchema
    notes: tuple[str, ...] = ()
    source: TableFile | None = None
    whole: WholeFile | None = None

    @property
    def data(self) -> Labelled:
        """Return the table."""
        return self.table

    @property
    def counts(self) -> dict[str, int]:
        """Return {class: rows of the file}."""
        return self.whole.counts if self.whole else self.table.counts


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
    target : str or int, optional
        Column that holds the labels; else pass them as `y`.
    overrides : dict, optional
        {column: kind}, for columns whose kind is not inferred.
    y : array-like (N,), optional
        Labels in any container, matched by position.

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
        position = names.index(matching_name(target, names, "the target column is not there: "))
        classes = read_target(frame.iloc[:, position])
        frame = frame.iloc[:, [i for i in range(len(names)) if i != position]]
        overrides = {n: k for n, k in (overrides or {}).items() if str(n) != str(names[position])}
    known = {"target": classes.column, "position": position}
    schema = infer_schema(frame, overrides).model_copy(update=known)
    table = TABLE.of(frame, classes.labels, _row_ids(len(frame)), class_names=classes.class_names)
    return ReadTable(table, schema, (*classes.notes, *_notes(table, schema)))


def read_table(
    path: str | Path,
    target: Name | None = None,
    overrides: Overrides | None = None,
    *,
    most_rows: int | None = None,
) -> ReadTable:
    """Read a `.csv`, `.tsv` or `.parquet` file like `read_frame`; nothing is written.

    most_rows: read at most so many rows of a larger Parquet file, chosen by `sampled_rows`; a note
    counts them by class. Ids and `counts` are those of the whole file.
    Raises DataError; UsageError for other files and without a target.
    """
    path = Path(path)
    if target is None:
        raise UsageError(
            f"{str(path)!r}: name the column that holds the labels: --target NAME (target=)"
        )
    if most_rows is not None and _is_parquet(path):
        with _parquet(path) as file:
            if 0 < most_rows < file.metadata.num_rows:
                return _read_sampled(path, file, target, overrides, most_rows)
    frame, source = _read_file(path)
    return replace(read_frame(frame, target, overrides), source=source)


def read_unlabelled(path: str | Path, target: Name) -> Labelled:
    """Read a file of rows of unknown class; a column with the target's name is left out.

    Raises DataError; UsageError for other files.
    """
    frame = _read_file(Path(path))[0]
    return unlabelled_table(frame.drop(columns=target, errors="ignore"))


def unlabelled_table(frame: pd.DataFrame) -> Labelled:
    """Return rows of unknown class as a table of one class."""
    labels = np.zeros(len(frame), dtype=np.int64)
    return TABLE.of(as_frame(frame), labels, _row_ids(len(frame)), class_names=("unlabelled",))


def _row_ids(rows: int | NDArray[np.int64]) -> NDArray[np.str_]:
    """Return the ids of so many rows, or of rows with these numbers."""
    numbers = range(rows) if isinstance(rows, int) else rows.tolist()
    return np.array([f"row-{row:06d}" for row in numbers], dtype=np.str_)


def sampled_rows(labels: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Choose at most `most` rows by their labels (N,), ascending; the seed is fixed.

    The smallest class comes first; each class gets at most an equal part of the remainder.

    >>> labels = np.repeat([0, 1, 2], [90_000, 9_960, 40])
    >>> np.bincount(labels[sampled_rows(labels, 6_000)])
    array([2980, 2980,   40])
    """
    counts, left, rows = np.bincount(labels), most, []
    for number, label in enumerate(np.argsort(counts, kind="stable").tolist()):
        kept = min(int(counts[label]), left // (len(counts) - number))
        left -= kept
        rng = rng_for(0, "rows of a large table", label)
        rows.append(rng.choice(np.flatnonzero(labels == label), kept, replace=False))
    return np.sort(np.concatenate(rows))


def _read_sampled(
    path: Path, file: pq.ParquetFile, target: Name, overrides: Overrides | None, most_rows: int
) -> ReadTable:
    """Read the labels of all rows, then the sampled rows, then all cells of the ids."""
    names, n = file.schema_arrow.names, file.metadata.num_rows
    label = matching_name(target, names, "the target column is not there: ")
    classes = read_target(_column(file, label))
    rows = sampled_rows(classes.labels, most_rows)
    _check_memory(path, file, len(rows))
    read = read_frame(
        arrow_frame(ds.dataset(path, format="parquet").take(pa.array(rows))), label, overrides
    )
    asked = {str(name) for name in overrides or {}}
    columns = tuple(
        infer_column(_column(file, one.name), one.name, "id" if one.is_id else None)
        if one.is_id or ("int" in one.dtype.lower() and str(one.name) not in asked)
        else one
        for one in read.schema.columns
    )
    schema = read.schema.model_copy(update={"columns": columns})
    counts = dict(zip(classes.class_names, np.bincount(classes.labels).tolist(), strict=True))
    counts = {name: counts[name] for name in read.table.names}
    chosen = {name: few for name, few in read.table.counts.items() if few < counts[name]}
    listed = ", ".join(f"{few:,} of {counts[name]:,} of {name}" for name, few in chosen.items())
    others = ", and all of the other classes" if len(chosen) < len(counts) else ""
    note = (
        f"learned from {len(rows):,} of {n:,} rows: {listed}{others}; --most-rows (most_rows=) "
        "reads more"
    )
    return ReadTable(
        replace(read.table, ids=_row_ids(rows)),
        schema,
        (note, *classes.notes, *_notes(read.table, schema)),
        TableFile.of(path, n),
        WholeFile(counts, sha256(repr(file.metadata.to_dict()).encode()).hexdigest()),
    )


def _column(file: pq.ParquetFile, name: Name) -> pd.Series:
    return arrow_frame(file.read([str(name)])).iloc[:, 0]


def _is_parquet(path: Path) -> bool:
    """Return whether a file is Parquet, or CSV. Raises UsageError for other files."""
    suffix = path.suffix.lower()
    if suffix not in TABLE_SUFFIXES:
        known = ", ".join(TABLE_SUFFIXES)
        raise UsageError(f"{str(path)!r}: unsupported table format; expected one of {known}")
    return suffix in PARQUET_SUFFIXES


def _read_file(path: Path) -> tuple[pd.DataFrame, TableFile]:
    """Return the frame of a file, and the file. Raises DataError."""
    if _is_parquet(path):
        with _parquet(path) as file:
            _check_memory(path, file, file.metadata.num_rows)
            frame = arrow_frame(file.read())
        return frame, TableFile.of(path, len(frame))
    frame, dialect = read_csv(path)
    return frame, TableFile.of(path, len(frame), dialect)


def _check_memory(path: Path, file: pq.ParquetFile, rows: int) -> None:
    check_width(file.metadata.num_columns, repr(str(path)))
    cells = rows * file.metadata.num_columns
    if problem := memory_problem(8 * cells):
        raise DataError(f"{str(path)!r} holds {cells:,} cells, which need {problem}")


@contextmanager
def _parquet(path: Path) -> Iterator[pq.ParquetFile]:
    """Open a Parquet file. Raises DataError if it cannot be read."""
    try:
        with regular_file(path) as opened:
            yield pq.ParquetFile(opened)
    except OSError as error:
        why = error.strerror or error
        raise DataError(f"{str(path)!r} cannot be read: {why}") from None
    except pa.ArrowException as error:
        raise DataError(f"{str(path)!r} is not a readable Parquet file: {error}") from None


def _notes(table: Labelled, schema: TableSchema) -> list[str]:
    notes = []
    for column in schema.columns:
        if column.is_id:
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
) -> tuple[Labelled, NDArray[np.float64] | None]:
    """Return the table without these columns, with its groups, and the times of its rows or None.

    group: rows with the same value belong together; a row with a missing value is its own group.
    time: as returned by `moments`. Raises UsageError for an unknown column, DataError where no
    feature is left.

    >>> frame = pd.DataFrame({"size": [1, 2, 3], "who": ["ann", "bo", "ann"]})
    >>> rows = TABLE.of(frame, np.array([0, 1, 0]), np.array(["a", "b", "c"]))
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
        raise DataError("no feature is left besides the columns of the group and the time")
    return replace(table, rows=features, groups=groups), times


def moments(series: pd.Series) -> NDArray[np.float64]:
    """Return numbers or moments by which rows can be ordered, (N,).

    Raises DataError for missing values, and for text: 10 would come before 9.
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
        "numbers or dates (pandas.to_datetime)"
    )
