"""Turn a user's labels into class names and int64 labels."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gan_augment.errors import DataError, unknown_class

LONGEST_NAME = 200  # characters
_INFINITE = (math.inf, -math.inf)


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


def check_flat(labels: NDArray[Any]) -> None:
    """Raise DataError unless labels have the shape (N,)."""
    if labels.ndim != 1:
        cure = "y.argmax(axis=1)" if labels.ndim == 2 and labels.shape[1] > 1 else "y.ravel()"
        raise DataError(
            f"labels have shape {labels.shape}; expected (N,), one per row. Pass {cure}."
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
    check_flat(values)
    if values.dtype.kind not in "OUiubf":
        raise DataError(
            f"labels are {values.dtype}; expected strings, integers, booleans or floats, such as "
            "y.astype(str)"
        )
    labels = [v.item() if isinstance(v, np.generic) else v for v in values.tolist()]
    for row, label in enumerate(labels):
        if not isinstance(label, str | bool | int | float) or label != label or label in _INFINITE:
            raise DataError(
                f"label of row {row} is {label!r}; expected a string, integer, boolean or finite "
                "float. Drop rows without a label first."
            )
    if class_names is not None:
        return _encode_by_names(labels, tuple(map(str, class_names)))
    kinds = {type(label) for label in labels}
    if len(kinds) > 1 and kinds != {int, float}:
        raise DataError(
            f"labels are of several types ({', '.join(sorted(kind.__name__ for kind in kinds))}); "
            "make them one type, for example y.astype(str)"
        )
    distinct = in_order(list(set(labels))) if kinds == {str} else sorted(set(labels))
    whole = float in kinds and all(float(label).is_integer() for label in distinct)
    names = tuple(str(int(label) if whole else label) for label in distinct)
    _check_names(names)
    number = {label: code for code, label in enumerate(distinct)}
    return np.array([number[label] for label in labels], dtype=np.int64), names


def _encode_by_names(
    labels: Sequence[str | int | float], class_names: tuple[str, ...]
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    _check_names(class_names)
    index = {name: i for i, name in enumerate(class_names)}
    if len(index) != len(class_names):
        raise DataError(f"class_names holds a name twice: {class_names}")
    codes = np.empty(len(labels), dtype=np.int64)
    for row, label in enumerate(labels):
        if isinstance(label, str) and label not in index:
            raise unknown_class(label, {known: labels.count(known) for known in class_names})
        code = index[label] if isinstance(label, str) else label
        if code not in range(len(class_names)):
            raise DataError(
                f"label of row {row} is {label!r}; with {len(class_names)} class_names expected "
                f"whole numbers from 0 to {len(class_names) - 1}"
            )
        codes[row] = code
    return codes, class_names
