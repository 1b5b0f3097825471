"""A column of labels as class indices, and what gives a label its own type back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.cells.levels import coded
from gan_augment.data.cells.storage import storage_of
from gan_augment.data.column_facts import common_facts
from gan_augment.data.labels import encode_labels
from gan_augment.data.schema import Column, Name, TargetColumn
from gan_augment.errors import DataError

if TYPE_CHECKING:
    from pandas import Series

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
