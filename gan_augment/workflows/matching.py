"""Data read as a trained model wants it: its size, its target, its classes, or a clear refusal."""

from __future__ import annotations

from collections.abc import Iterable

from gan_augment.config import FitOptions
from gan_augment.data.images.reader import ReadImages
from gan_augment.data.tables.reader import ReadTable
from gan_augment.errors import DataError, UsageError
from gan_augment.synthesizers.model_file import ModelMeta, TableMeta

_FAMILIES = {
    "number": ("int", "uint", "float", "double", "halffloat", "decimal"),
    "boolean": ("bool",),
    "time": ("datetime64", "timestamp", "date"),
    "text": ("object", "str", "large_string", "category", "dictionary"),
}


def as_the_image_model(options: FitOptions, facts: ModelMeta) -> FitOptions:
    """The options with the size and the topped-up classes of the model."""
    height, width, _ = facts.image_shape
    classes = facts.topped_up if options.classes == "rare" else options.classes
    values = {"image_size": (height, width), "resize": facts.resize, "classes": classes}
    return options.model_copy(update=values)


def as_the_table_model(options: FitOptions, facts: TableMeta) -> FitOptions:
    """The options with the target, the ids and the classes of the model."""
    target = facts.table.target
    assert target is not None  # a run is fitted to a file
    if options.target not in (None, str(target.name)):
        raise UsageError(
            f"the model's target is {str(target.name)!r}, not {options.target!r}; leave --target "
            "out, or fit a model."
        )
    ids = {str(column.name): "id" for column in facts.table.columns if column.kind == "id"}
    values = {
        "target": str(target.name),
        "columns": ids | {str(name): kind for name, kind in options.columns.items()},
        "classes": facts.topped_up if options.classes == "rare" else options.classes,
    }
    return options.model_copy(update=values)


def check_images_fit(read: ReadImages, facts: ModelMeta) -> None:
    """Raise DataError where the images have other classes or channels than the model."""
    check_classes_known(read.data.names, facts)
    given, known = read.data.image_shape[2], facts.image_shape[2]
    if given != known:
        raise DataError(
            f"the data has images of {given} channels, the model makes {known}; fit a model to it."
        )


def check_table_fits(read: ReadTable, facts: TableMeta) -> None:
    """Raise DataError where the data has other classes, columns or types than the model."""
    check_classes_known(read.table.names, facts)
    given = {column.name: column.dtype for column in read.schema.columns}
    known = {column.name: column.dtype for column in facts.table.columns}
    for name in [*known, *given]:
        mine, theirs = given.get(name, "not there"), known.get(name, "not there")
        if _family(mine) != _family(theirs):
            raise DataError(
                f"column {name!r} is {mine} in the data and {theirs} in the model; fit a model to "
                "this data."
            )


def check_classes_known(names: Iterable[str], facts: ModelMeta | TableMeta) -> None:
    """Raise DataError where the data holds a class that the model does not know."""
    unknown = [name for name in names if name not in facts.classes]
    if unknown:
        raise DataError(
            f"the model knows the classes {', '.join(facts.classes)}, not {', '.join(unknown)}, "
            "which the data holds; fit a model to this data."
        )


def _family(dtype: str) -> str:
    """Types that a file of one kind and one of the other may have for the same cells.

    >>> _family("arrow:int64") == _family("Int64") == _family("float64")
    True
    """
    plain = dtype.removeprefix("arrow:").lower()
    return next((name for name, start in _FAMILIES.items() if plain.startswith(start)), plain)
