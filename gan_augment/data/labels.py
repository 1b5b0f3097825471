"""Turn a user's labels into class names and int64 labels."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gan_augment.errors import DataError, unknown_class

LONGEST_NAME = 200  # characters


def name_problem(name: str) -> str | None:
    """Return why a string cannot be a class name, or None.

    Separators, dots and reserved names are fine: they are encoded where files are written.

    >>> name_problem("a/b") is None
    True
    >>> name_problem("a\\x00b")
    'it holds control characters'
    """
    if not name.strip():
        return "it is empty"
    if len(name) > LONGEST_NAME:
        return f"it is {len(name)} characters long; {LONGEST_NAME} is the limit"
    kinds = {unicodedata.category(character) for character in name}
    if "Cs" in kinds:
        return "it is not valid UTF-8"
    return "it holds control characters" if "Cc" in kinds else None


def _check_names(names: Sequence[str]) -> None:
    for name in names:
        if problem := name_problem(name):
            raise DataError(f"{name[:60]!r} cannot be a class name: {problem}. Rename the class.")


def in_order(names: Sequence[str]) -> tuple[str, ...]:
    """Sort class names: as numbers where all are whole numbers, else as text.

    >>> in_order(["10", "9"]), in_order(["b", "a", "10"])
    (('9', '10'), ('10', 'a', 'b'))
    """
    whole = all(name.isdecimal() and name.isascii() and len(name) < 19 for name in names)
    return tuple(sorted(names, key=(lambda n: (int(n), n)) if whole else (lambda n: (0, n))))


def check_classes(distinct: Sequence[object], where: str, n: int) -> None:
    """Raise DataError if the distinct labels of n rows are not at least two classes.

    As in `sklearn.utils.multiclass.type_of_target`, numbers that are not all whole are a regression
    target. where: the subject of the error messages.
    """
    for label in distinct:
        if not isinstance(label, str | bool | int | float):
            raise DataError(
                f"{where} holds a label that is a {type(label).__name__} ({label}); expected text, "
                "whole numbers, booleans or numbers. Make the labels text with astype(str)"
            )
    numbers = [label for label in distinct if isinstance(label, float) and math.isfinite(label)]
    fractions = [number for number in numbers if not number.is_integer()]
    if fractions:
        raise DataError(
            f"{where} looks like a regression target (Unknown label type: continuous): "
            f"{len(distinct):,} distinct numbers that are not all whole, such as {fractions[0]!r}. "
            "Expected classes: cut it into some (pandas.cut(y, 5).astype(str)), make the labels "
            "text, or name another column."
        )
    if len(distinct) < 2:
        raise DataError(
            f"{where} holds 1 class only ({distinct[0]!r}) in {n:,} rows; expected at least two "
            "classes, since a class is learned against the others"
        )


def encode_labels(
    y: ArrayLike, class_names: Sequence[str] | None = None
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Return labels int64 (N,) and class names of labels (N,) that are str, int, bool or float.

    Names are `str(label)`: "cat", "3", "False", "0.5"; floats that are all whole are named as whole
    numbers ("1", not "1.0"). Classes are in sorted order, numbers as numbers.
    With `class_names`, whole numbers are indices into it and strings are looked up in it.
    Raises DataError for missing labels (None, NaN), other types and other shapes.

    >>> encode_labels([10.0, 9.0, 10.0])
    (array([1, 0, 1]), ('9', '10'))
    """
    values = np.asarray(y)
    if values.ndim != 1:
        cure = "y.argmax(axis=1)" if values.ndim == 2 and values.shape[1] > 1 else "y.ravel()"
        raise DataError(
            f"labels have shape {values.shape}; expected (N,), one per row. Pass {cure}."
        )
    if class_names is not None:
        return _encode_by_names(values, tuple(str(name) for name in class_names))
    if values.dtype.kind in "OU":
        named = _names_of(values) if values.dtype.kind == "O" else values.tolist()
        names = in_order(list(dict.fromkeys(named)))
        _check_names(names)
        index = {name: i for i, name in enumerate(names)}
        return np.array([index[name] for name in named], dtype=np.int64), names
    _check_kind(values)
    distinct, labels = np.unique(values, return_inverse=True)
    whole = distinct.dtype.kind == "f" and bool((distinct == np.floor(distinct)).all())
    names = tuple(str(int(v)) if whole else str(v) for v in distinct.tolist())
    return labels.astype(np.int64), names


def _check_kind(values: NDArray[np.generic]) -> None:
    if values.dtype.kind in "SV":
        raise DataError(f"labels are raw bytes ({values.dtype}); pass y.astype(str)")
    if values.dtype.kind not in "Uiubf":
        raise DataError(
            f"labels are {values.dtype}; expected strings, integers, booleans or floats"
        )
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        missing = int((~np.isfinite(values)).sum())
        raise DataError(
            f"{missing} of {len(values)} labels are NaN or infinite; drop those rows first"
        )


def _names_of(values: NDArray[np.object_]) -> list[str]:
    """Name the labels of an object array (a mixed list, a pandas column of strings)."""
    numbers = [v for v in values if isinstance(v, float | np.floating)]
    whole = all(math.isfinite(v) and v == math.floor(v) for v in numbers)
    first_of: dict[str, object] = {}
    names = []
    for row, value in enumerate(values):
        if isinstance(value, str | bool | np.bool_ | int | np.integer):
            name = str(value)
        elif isinstance(value, float | np.floating) and math.isfinite(value):
            name = str(int(value) if whole else float(value))
        else:
            raise DataError(
                f"label of row {row} is {value!r}; expected a string, integer, boolean or finite "
                "float. Drop rows without a label first."
            )
        first = first_of.setdefault(name, value)
        if type(first) is not type(value):
            raise DataError(
                f"labels {first!r} and {value!r} are of two types and both are called {name!r}; "
                "make them one type, for example y.astype(str)"
            )
        names.append(name)
    return names


def _encode_by_names(
    values: NDArray[np.generic], class_names: tuple[str, ...]
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    _check_names(class_names)
    index = {name: i for i, name in enumerate(class_names)}
    if len(index) != len(class_names):
        raise DataError(f"class_names holds a name twice: {class_names}")
    if values.dtype.kind in "UO":
        names = [str(value) for value in values]
        for name in names:
            if name not in index:
                raise unknown_class(name, {known: names.count(known) for known in class_names})
        return np.array([index[name] for name in names], dtype=np.int64), class_names
    _check_kind(values)
    labels = values.astype(np.int64)
    whole = values.dtype.kind != "f" or bool((labels == values).all())
    if not whole or (len(labels) and not (labels.min() >= 0 and labels.max() < len(class_names))):
        raise DataError(
            f"labels reach from {values.min()} to {values.max()}; with {len(class_names)} "
            f"class_names expected whole numbers from 0 to {len(class_names) - 1}"
        )
    return labels, class_names
