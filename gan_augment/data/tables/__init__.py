"""Tables: containers and files in, what each column holds, and columns as numbers and back.

Here: what their modules share and need no pandas for.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from gan_augment.errors import DataError

Unit = Literal["D", "h", "m", "s", "ms", "us", "ns"]
MissingAs = Literal["None", "nan", "NA", "NaT"]

CSV_SUFFIXES = (".csv", ".tsv", ".txt")
PARQUET_SUFFIXES = (".parquet", ".pq")
TABLE_SUFFIXES = CSV_SUFFIXES + PARQUET_SUFFIXES
MOST_COLUMNS = 50_000
PART = re.compile(r"part-\d{5}-of-\d{5}\.parquet")
"""The name of one shard of a table."""


def check_width(columns: int, where: str = "the table") -> None:
    """Raise DataError for a table of more columns than are learned."""
    if columns > MOST_COLUMNS:
        raise DataError(
            f"{where} has {columns:,} columns; {MOST_COLUMNS:,} are the limit. Leave some out."
        )


def manifest_path(out: Path) -> Path:
    """Return where the manifest of an output file lies.

    That of a shard begins with an underscore, so that readers of folders pass it over.

    >>> manifest_path(Path("more.csv")).name
    'more.csv.manifest.csv'
    >>> manifest_path(Path("out/part-00003-of-00016.parquet")).name
    '_part-00003-of-00016.parquet.manifest.csv'
    """
    hidden = "_" if PART.fullmatch(out.name) else ""
    return out.with_name(f"{hidden}{out.name}.manifest.csv")
