"""`samples.csv` of a run: some real rows beside synthetic ones, to be looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from gan_augment.data.tables.csv import CellFormat, CsvFormat, format_rows, plain_format
from gan_augment.data.tables.export import FileFormat
from gan_augment.data.tables.reader import ReadTable
from gan_augment.randomness import generator

if TYPE_CHECKING:
    import pandas as pd

ROWS_A_CLASS = 5
CLASSES_SHOWN = 50


class RowSource(Protocol):
    """What makes the rows: a fitted or loaded `TabularGAN`."""

    classes_: dict[str, int]
    topped_up_: tuple[str, ...]

    def sample_range(
        self, name: str, start: int, stop: int, random_state: int = 0, first_id: int = 0
    ) -> pd.DataFrame:
        """Rows [start, stop) of the endless sequence of a class."""


def samples_csv(gan: RowSource, read: ReadTable, stored: FileFormat) -> bytes:
    """A CSV: per class reals, then synthetics, topped-up classes first, 50 at most.

    The columns `class` and `origin` stand before those of the data, whose cells are written as in
    the training file.
    """
    import pandas as pd

    data, parts, labels, origins = read.table, [], [], []
    first = sorted(gan.classes_, key=lambda name: name not in gan.topped_up_)
    for name in first[:CLASSES_SHOWN]:
        own = np.flatnonzero(data.labels == data.names.index(name))
        if not len(own):
            continue
        shown = np.sort(generator(0, "samples sheet", name).permutation(own)[:ROWS_A_CLASS])
        made = gan.sample_range(name, 0, ROWS_A_CLASS)
        parts += [data.frame.iloc[shown], made]
        labels += [name] * (len(shown) + len(made))
        origins += ["real"] * len(shown) + ["synthetic"] * len(made)
    frame = pd.concat(parts, ignore_index=True)
    names = [_free("class", frame), _free("origin", frame)]
    how = _format(frame, names, stored)
    first_two = pd.DataFrame({names[0]: labels, names[1]: origins})
    frame = pd.concat([first_two, frame], axis=1)
    return how.first_line() + format_rows(frame, how)


def _format(frame: pd.DataFrame, names: list[str], stored: FileFormat) -> CsvFormat:
    plain = plain_format(frame)
    known = {column.name: column for column in (stored.csv or plain).columns}
    own = tuple(known.get(column.name, column) for column in plain.columns)
    dialect = stored.csv.dialect if stored.csv else plain.dialect
    return CsvFormat.of([*(CellFormat(name=name) for name in names), *own], dialect)


def _free(name: str, frame: pd.DataFrame) -> str:
    """The name, with as many `_` behind it as columns of the data make necessary."""
    while name in frame.columns:
        name += "_"
    return name
