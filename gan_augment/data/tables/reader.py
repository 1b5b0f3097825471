"""Frames, arrays and files as a `Labelled` with its schema.

`csv.py` reads CSV files; nothing is written here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
from numpy.typing import ArrayLike, NDArray

from gan_augment.data.groups import group_codes
from gan_augment.data.tables import PARQUET_SUFFIXES, TABLE_SUFFIXES, check_width
from gan_augment.data.tables.columns import plain, row_hashes
from gan_augment.data.tables.containers import arrow_frame, as_frame, as_series
from gan_augment.data.tables.csv import read_csv
from gan_augment.data.tables.export import ROWS_A_GROUP, ParquetFormat, ParquetSource, Source
from gan_augment.data.tables.inference import (
    column_names,
    infer_column,
    infer_schema,
    kind_of,
    read_target,
)
from gan_augment.data.tables.schema import Column, Name, Overrides, TableSchema, matching_name
from gan_augment.data.topup_plan import rare_classes
from gan_augment.errors import DataError, UsageError
from gan_augment.input_files import memory_problem, regular_file
from gan_augment.kinds.kind import Labelled
from gan_augment.kinds.table import TABLE
from gan_augment.rng import rng_for


@dataclass(frozen=True)
class WholeFile:
    """A file of which only some rows were read. sha256: of its metadata, not of its cells."""

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
    source: Source | None = None
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
    groups: ArrayLike | None = None,
) -> ReadTable:
    """Read a pandas or polars frame, an Arrow table, or an array (N, columns).

    The caller's data is not changed. Ids are "row-000000", by position.

    Parameters
    ----------
    x : frame or array (N, columns)
    target : str or int, optional
        Column that holds the labels; else pass them as `y`.
    overrides : Overrides, optional
        Kinds of columns that are not inferred.
    y : array-like (N,), optional
        Labels in any container, matched by position.
    groups : array-like (N,), optional
        Rows of one group stay on one side of any split.

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
        overrides = overrides and overrides.without_target(names[position])
    schema = infer_schema(frame, overrides).model_copy(update={"target": classes.column})
    table = TABLE.of(
        frame,
        labels=classes.labels,
        ids=np.array([f"row-{row:06d}" for row in range(len(frame))]),
        groups=group_codes(groups, len(frame)),
        class_names=classes.class_names,
    )
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
    suffix = _suffix(path)
    if target is None:
        raise UsageError(f"{str(path)!r}: name the column that holds the labels: --target NAME")
    frame: pd.DataFrame
    source: Source
    if suffix in PARQUET_SUFFIXES:
        with _parquet(path) as file:
            if most_rows is not None and 0 < most_rows < file.metadata.num_rows:
                return _read_sampled(path, file, target, overrides, most_rows)
        frame, source = read_parquet(path)
        return replace(read_frame(frame, target, overrides), source=source)
    frame, source = read_csv(path)
    source.check_labels(target)
    read = read_frame(frame, target, overrides)
    return replace(read, source=source, notes=(*source.notes, *read.notes))


def read_unlabelled(path: str | Path, target: Name) -> Labelled:
    """Read a file of rows of unknown class; a column with the target's name is left out.

    Raises DataError; UsageError for other files.
    """
    path = Path(path)
    read = read_parquet if _suffix(path) in PARQUET_SUFFIXES else read_csv
    frame: pd.DataFrame = read(path)[0]
    return unlabelled_table(frame.drop(columns=target, errors="ignore"))


def unlabelled_table(frame: pd.DataFrame) -> Labelled:
    """Return rows of unknown class as a table of one class."""
    ids = np.array([f"row-{row:06d}" for row in range(len(frame))])
    labels = np.zeros(len(frame), dtype=np.int64)
    return TABLE.of(frame, labels, ids, class_names=("unlabelled",))


def read_parquet(path: Path) -> tuple[pd.DataFrame, ParquetSource]:
    """Read a Parquet file as a frame. Raises DataError."""
    with _parquet(path) as file:
        _check_memory(path, file, file.metadata.num_rows)
        table = file.read()
        return arrow_frame(table), ParquetSource(path, len(table), ParquetFormat.of_file(file))


def sampled_rows(labels: NDArray[np.int64], names: Sequence[str], most: int) -> NDArray[np.int64]:
    """Choose about `most` rows by their labels (N,), ascending.

    Rare classes get at most half of the rows: the smallest class first, each at most an equal part
    of the remainder. The other classes share the rest by their sizes. The seed is fixed.

    >>> labels = np.repeat([0, 1, 2], [90_000, 9_960, 40])
    >>> np.bincount(labels[sampled_rows(labels, ["plain", "bent", "torn"], 6_000)])
    array([3000, 2960,   40])
    """
    counts = dict(zip(names, np.bincount(labels, minlength=len(names)).tolist(), strict=True))
    rare = sorted(rare_classes(counts), key=lambda name: counts[name])
    kept, left = dict[str, int](), most // 2
    for number, name in enumerate(rare):
        kept[name] = min(counts[name], left // (len(rare) - number))
        left -= kept[name]
    others = sum(n for name, n in counts.items() if name not in kept)
    rest, rows = most - sum(kept.values()), []
    for label, (name, n) in enumerate(counts.items()):
        own = np.flatnonzero(labels == label)
        share = kept.get(name, max(1, n * rest // max(others, 1)))
        if share < n:
            own = rng_for(0, "rows of a large table", name).choice(own, share, replace=False)
        rows.append(own)
    return np.sort(np.concatenate(rows))


def _read_sampled(
    path: Path, file: pq.ParquetFile, target: Name, overrides: Overrides | None, most_rows: int
) -> ReadTable:
    """Read the labels of all rows, then the sampled rows, then the ends of the ids."""
    names, n = file.schema_arrow.names, file.metadata.num_rows
    label = matching_name(target, names, "the target column is not there: ")
    classes = read_target(_column(file, label), names.index(label))
    rows = sampled_rows(classes.labels, classes.class_names, most_rows)
    _check_memory(path, file, len(rows))
    counters = {
        field.name: "id"
        for field in file.schema_arrow
        if pa.types.is_integer(field.type) and field.name != label
        if kind_of(_column(file, field.name)) == "id"
    }
    kinds = Overrides(columns={**counters, **(overrides.columns if overrides else {})})
    sampled = ds.dataset(path, format="parquet").take(pa.array(rows))
    read = read_frame(arrow_frame(sampled), label, kinds)
    columns = tuple(_of_all_rows(file, column) for column in read.schema.columns)
    counts = dict(zip(classes.class_names, np.bincount(classes.labels).tolist(), strict=True))
    counts = {name: counts[name] for name in read.table.names}
    chosen = {name: few for name, few in read.table.counts.items() if few < counts[name]}
    listed = ", ".join(f"{few:,} of {counts[name]:,} of {name}" for name, few in chosen.items())
    others = ", and all of the other classes" if len(chosen) < len(counts) else ""
    note = (
        f"learned from {len(rows):,} of {n:,} rows: {listed}{others}; --most-rows (most_rows=) "
        "reads more"
    )
    ids = np.array([f"row-{row:06d}" for row in rows.tolist()])
    return ReadTable(
        replace(read.table, ids=ids),
        read.schema.model_copy(update={"columns": columns}),
        (note, *read.notes),
        ParquetSource(path, n, ParquetFormat.of_file(file)),
        WholeFile(counts, sha256(repr(file.metadata.to_dict()).encode()).hexdigest()),
    )


def _column(file: pq.ParquetFile, name: Name) -> pd.Series:
    return arrow_frame(file.read([name])).iloc[:, 0]


def _of_all_rows(file: pq.ParquetFile, column: Column) -> Column:
    """Return an id with the last number of the whole file, which new ids continue."""
    if column.refill not in ("integers", "strings"):
        return column
    last, low = int(column.last or 0), int(column.low or 0)
    for batch in file.iter_batches(ROWS_A_GROUP, columns=[str(column.name)]):
        part = infer_column(arrow_frame(pa.table(batch)).iloc[:, 0], column.name, "id")
        if part.refill == column.refill:
            last, low = max(last, int(part.last or 0)), min(low, int(part.low or 0))
    ends = {"low": low, "high": last} if column.refill == "integers" else {}
    return column.model_copy(update={"last": last, **ends})


def _suffix(path: Path) -> str:
    """Return the suffix of a table's file. Raises UsageError for other files."""
    suffix = path.suffix.lower()
    if suffix not in TABLE_SUFFIXES:
        known = ", ".join(TABLE_SUFFIXES)
        raise UsageError(f"{str(path)!r}: unsupported table format; expected one of {known}")
    return suffix


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
            filled = {"missing": "left empty"}.get(column.refill or "", "numbered anew")
            notes.append(
                f"column {column.name!r} is not learned: an id ({column.why}); {filled} in "
                "synthetic rows"
            )
        elif not column.learned:
            notes.append(f"column {column.name!r} is not learned: {column.why}")
    _, same = np.unique(row_hashes(table.frame), return_inverse=True)
    pairs = np.unique(same * len(table.names) + table.labels) // len(table.names)
    several = np.bincount(pairs, minlength=int(same.max()) + 1) > 1
    if several.any():
        clashes = int(several[same].sum())
        notes.append(f"{clashes:,} rows equal a row of a different class in every feature")
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
