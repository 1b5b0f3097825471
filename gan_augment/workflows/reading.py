"""The data of a command, read as it is asked for: images, or a table where there is a target."""

from __future__ import annotations

from pathlib import Path

from gan_augment.config import FitOptions
from gan_augment.data.images.reader import ReadImages, read_images
from gan_augment.data.tables.export import TABLE_SUFFIXES
from gan_augment.data.tables.reader import ReadTable, read_table
from gan_augment.data.tables.schema import Overrides
from gan_augment.errors import DataError, UsageError
from gan_augment.progress import Progress, Silent

_OF_IMAGES = ("image_size", "resize", "flips", "skip_bad")


def read_as_asked(
    source: str | Path, options: FitOptions, progress: Progress | None = None
) -> ReadImages | ReadTable:
    """Labelled images, or with `options.target` a table. Nothing is written.

    Raises DataError where the data cannot be used, UsageError where the options are of the other
    kind.
    """
    source = Path(source)
    if options.target is None:
        check_no_table(source, options)
        return images_as_asked(source, options, progress)
    _check_table(source, options)
    (progress or Silent()).phase("reading the table")
    columns = Overrides.checked({"columns": options.columns}, "column kinds")
    return read_table(source, options.target, columns)


def images_as_asked(
    source: str | Path, options: FitOptions, progress: Progress | None = None
) -> ReadImages:
    """Labelled images, read with the settings of a fit."""
    return read_images(
        source,
        image_size=options.image_size,
        resize=options.resize,
        skip_bad=options.skip_bad,
        workers=options.workers,
        progress=progress,
    )


def check_no_table(source: Path, options: FitOptions) -> None:
    """Raise UsageError for what can only be a table, where no target is named."""
    if options.columns:
        raise UsageError("kinds of columns were given and no table: name its --target COLUMN")
    if source.is_file() and source.suffix.lower() in set(TABLE_SUFFIXES) - {".csv"}:
        raise UsageError(
            f"{str(source)!r} is a table; say which column holds the labels, with --target COLUMN. "
            "(A list of images is a .csv with the columns path,label or path,label,group.)"
        )


def _check_table(source: Path, options: FitOptions) -> None:
    if not source.exists():
        raise DataError(f"there is no {str(source)!r}; expected a .csv or .parquet file")
    if source.is_dir() or source.suffix.lower() not in TABLE_SUFFIXES:
        found = "is a folder" if source.is_dir() else "is no table"
        raise UsageError(
            f"--target names a column of a table, and {str(source)!r} {found}; expected a file of "
            f"{', '.join(TABLE_SUFFIXES)}. Leave --target out for images."
        )
    defaults = FitOptions()
    given = [name for name in _OF_IMAGES if getattr(options, name) != getattr(defaults, name)]
    if given:
        flags = ", ".join("--" + name.replace("_", "-") for name in given)
        raise UsageError(f"{flags}: for images only, and with --target this is a table")
