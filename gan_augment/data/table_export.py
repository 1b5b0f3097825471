"""Tables out: new rows behind an original that stays as it is, and a manifest of the new ones.

How cells become bytes is in `csv_files/rows.py` and `parquet_rows.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from gan_augment.data.csv_files.format import MARK
from gan_augment.errors import UsageError
from gan_augment.storage import new_files
from gan_augment.storage.files import NewFile

if TYPE_CHECKING:
    import pandas as pd

MANIFEST_COLUMNS = ("row", "label", "origin", "source", "index")
AddedOrigin = Literal["repeat", "synthetic", "companion"]
_SPECIAL = re.compile(r'[",\r\n]')


@dataclass(frozen=True)
class NewRows:
    """Rows of one class and one origin, with every column of the file.

    source: the model's name, or for repeats the id of each row's original. first: the number of
    the first one among the rows of its class and origin.
    """

    frame: pd.DataFrame
    label: str
    origin: AddedOrigin
    source: str | Sequence[str]
    first: int = 0


class TableWriter(Protocol):
    """What writes a table into a file: `CsvRows` or `ParquetRows`."""

    def begin(self) -> None:
        """The beginning of a table of new rows alone."""

    def add(self, frame: pd.DataFrame) -> None:
        """More rows."""

    def end(self) -> None:
        """What a file needs at its end."""


@dataclass(frozen=True)
class Original:
    """The table that new rows are put behind: its name, its rows, and how it is copied."""

    name: str
    rows: int
    copy: Callable[[TableWriter], None]


def write_table(
    out: Path,
    writer: Callable[[NewFile], TableWriter],
    added: Iterable[NewRows],
    *,
    original: Original | None = None,
    advance: Callable[[int], None] = lambda done: None,
) -> int:
    """Write a table and its manifest, both whole or not at all; returns the number of new rows.

    The manifest, `OUT.manifest.csv`, has a line for each new row: its number among the rows of OUT
    (from 0), its class, its origin, what it comes from, its number there. Rows of an original are
    one line: row 0, origin `real`, the file's name, and as index how many they are.
    `advance` is told the number of new rows so far. Raises WriteFailedError; OUT is intact then.
    """
    rows = original.rows if original else 0
    done = 0
    with new_files(out, manifest_path(out)) as (table, manifest):
        sink = writer(table)
        manifest.write(_line(MANIFEST_COLUMNS))
        if original:
            original.copy(sink)
            manifest.write(_line((0, "", "real", original.name, rows)))
        else:
            sink.begin()
        for part in added:
            sink.add(part.frame)
            manifest.write("".join(_lines(part, rows + done)).encode("utf-8", "surrogatepass"))
            done += len(part.frame)
            advance(done)
        sink.end()
    return done


def manifest_path(out: Path) -> Path:
    """Where the manifest of an output file lies.

    >>> manifest_path(Path("more.csv")).name
    'more.csv.manifest.csv'
    """
    return out.with_name(f"{out.name}.manifest.csv")


def check_mark(names: Sequence[object]) -> None:
    """Raise UsageError where a column `synthetic` cannot be added, since there is one."""
    if MARK in names:
        raise UsageError(
            f"the data has a column {MARK!r} already, which --mark would add; rename it, or leave "
            "--mark out: the manifest beside the output says which rows are new."
        )


def _lines(part: NewRows, row: int) -> Iterator[str]:
    n = len(part.frame)
    head = f"{_cell(part.label)},{part.origin}"
    if isinstance(part.source, str):
        head += f",{_cell(part.source)}"
        yield from (f"{row + i},{head},{part.first + i}\r\n" for i in range(n))
    else:
        for i, source in enumerate(part.source):
            yield f"{row + i},{head},{_cell(source)},{part.first + i}\r\n"


def _line(cells: Sequence[object]) -> bytes:
    return (",".join(_cell(str(cell)) for cell in cells) + "\r\n").encode()


def _cell(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if _SPECIAL.search(text) else text
