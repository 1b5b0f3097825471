"""Tables: containers and files in, kinds of columns, columns as numbers and back.

This file holds the constants that need no pandas.
"""

from __future__ import annotations

from pathlib import Path

from gan_augment.errors import DataError

CSV_SUFFIXES = (".csv", ".tsv", ".txt")
PARQUET_SUFFIXES = (".parquet", ".pq")
TABLE_SUFFIXES = CSV_SUFFIXES + PARQUET_SUFFIXES
MOST_COLUMNS = 50_000


def check_width(columns: int, where: str = "the table") -> None:
    """Raise DataError for a table of too many columns."""
    if columns > MOST_COLUMNS:
        raise DataError(
            f"{where} has {columns:,} columns; {MOST_COLUMNS:,} are the limit. Leave some out."
        )


def manifest_path(out: Path) -> Path:
    """Return the path of the manifest of an output file.

    >>> manifest_path(Path("more.csv")).name
    'more.csv.manifest.csv'
    """
    return out.with_name(f"{out.name}.manifest.csv")
