"""Tables: containers and files in, kinds of columns, columns as numbers and back."""

from __future__ import annotations

from pathlib import Path

from gan_augment.errors import UsageError

PARQUET_SUFFIXES = (".parquet", ".pq")
TABLE_SUFFIXES = (".csv", ".tsv", ".txt", *PARQUET_SUFFIXES)


def is_parquet(path: Path, what: str = "") -> bool:
    """Return whether a table is Parquet, not CSV. Raises UsageError for the suffix of neither."""
    if path.suffix.lower() not in TABLE_SUFFIXES:
        known = ", ".join(TABLE_SUFFIXES)
        raise UsageError(
            f"{what}{str(path)!r}: unsupported table format; expected a file of {known}"
        )
    return path.suffix.lower() in PARQUET_SUFFIXES


def manifest_path(out: Path) -> Path:
    """Return the path of the manifest of an output file: `more.csv.manifest.csv`."""
    return out.with_name(f"{out.name}.manifest.csv")
