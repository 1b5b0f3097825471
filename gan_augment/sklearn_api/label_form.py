"""y in whatever form it comes, as class indices, and labels of classes in that form again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.tables.containers import as_series
from gan_augment.data.tables.inference import read_target
from gan_augment.data.tables.schema import TargetColumn
from gan_augment.errors import DataError, UnknownClassError, did_you_mean

Label = Any
"""A label as the user has it: text, a whole number, a boolean, a whole float."""


@dataclass(frozen=True)
class LabelForm:
    """What the classes are called outside, and what y came in.

    names: class names of the contract, by class index. labels: the same classes as the user calls
    them, Python's scalars. values: (K,) the same in y's own dtype. examples: one label a class in
    y's own container, from which any others are taken. column: how the labels are written.
    """

    names: tuple[str, ...]
    labels: tuple[Label, ...]
    values: NDArray[Any]
    examples: Any
    column: TargetColumn | None = None

    @property
    def classes(self) -> NDArray[Any]:
        """(K,) the labels, sorted as scikit-learn sorts them."""
        return np.unique(self.values)

    def label_of(self, name: str) -> Label:
        """What the user calls the class of that name."""
        return self.labels[self.names.index(name)]

    def name_of(self, label: Label) -> str:
        """The name of a class, given as the user calls it. Raises UnknownClassError."""
        known: dict[Label, str] = dict(zip(self.labels, self.names, strict=True))
        try:
            return known[label]
        except (KeyError, TypeError):
            shown = [repr(one) for one in self.labels]
            raise UnknownClassError(
                f"no row is labelled {label!r}; the labels are {', '.join(shown[:20])}."
                f"{did_you_mean(repr(label), shown)}"
            ) from None

    def of(self, codes: NDArray[np.int64]) -> Any:
        """(M,) labels of class indices, as y came."""
        return taken(self.examples, codes)


@dataclass(frozen=True)
class ReadLabels:
    """codes: int64 (N,), indices into `form.names`. y: what came; (n, 1) of an array as (n,)."""

    codes: NDArray[np.int64]
    form: LabelForm
    y: Any


def read_labels(y: Any, n: int) -> ReadLabels:
    """y (n,) as class indices: a list, an array, a series or a frame of one column.

    (n, K) of 0 and 1 with a single 1 a row is one class against all others; its labels are the
    numbers of its columns. Raises DataError for a y that is missing, of another length, with
    missing labels, of several labels a row, of one class, or of numbers that are no classes.
    """
    if y is None:
        raise DataError(
            "GANAugmenter requires y to be passed, but the target y is None; expected one class "
            "label a row. Only a dataset or labelled data of gan_augment brings its own labels."
        )
    y = _known_container(y)
    column, y = _one_column(y)
    series = as_series(column, n)
    _check_classes(series)
    found = read_target(series, None)
    examples = taken(y, first_rows(found.labels))
    labels = tuple(found.column.cells.levels)
    dtype = column.dtype if isinstance(column, np.ndarray) else _dtype_of(labels)
    form = LabelForm(found.class_names, labels, _array_of(labels, dtype), examples, found.column)
    return ReadLabels(found.labels, form, y)


def form_of_labels(names: tuple[str, ...], labels: tuple[Label, ...]) -> LabelForm:
    """Classes of these names that are called by these labels, given back as an array.

    >>> form_of_labels(("7", "8"), (7, 8)).of(np.array([1, 0]))
    array([8, 7])
    """
    values = _array_of(labels, _dtype_of(labels))
    return LabelForm(names, labels, values, values)


def plain(label: Any) -> Label:
    """NumPy's scalars as Python's."""
    return label.item() if isinstance(label, np.generic) else label


def first_rows(codes: NDArray[np.int64]) -> NDArray[np.int64]:
    """(K,) the first row of each class; every class must have one."""
    return np.unique(codes, return_index=True)[1].astype(np.int64)


def taken(rows: Any, index: NDArray[np.int64]) -> Any:
    """Rows of a list, an array, a sparse matrix, a series or a frame, in its own container."""
    if isinstance(rows, list | tuple):
        cells = (rows[i] for i in index.tolist())
        return tuple(cells) if isinstance(rows, tuple) else list(cells)
    if hasattr(rows, "iloc"):
        return rows.iloc[index].reset_index(drop=True)
    if hasattr(rows, "tocsr"):
        return rows.tocsr()[index].asformat(rows.format)
    if isinstance(rows, np.ndarray):
        return rows[index]
    import narwhals as nw

    return nw.from_native(rows, allow_series=True)[index.tolist()].to_native()


def _known_container(y: Any) -> Any:
    """Anything that only knows how to become an array, as that array."""
    if isinstance(y, list | tuple | np.ndarray) or hasattr(y, "iloc") or hasattr(y, "tocsr"):
        return y
    import narwhals as nw

    try:
        nw.from_native(y, eager_only=True, allow_series=True)
    except TypeError:
        if hasattr(y, "__array__") and np.ndim(y):
            return np.asarray(y)
        raise DataError(
            f"y is a {type(y).__name__}; expected a list, an array or a series of labels, one a row"
        ) from None
    return y


def _one_column(y: Any) -> tuple[Any, Any]:
    """(the labels as one column, y as it is given back: (n, 1) of an array or list as (n,))."""
    if isinstance(y, list | tuple):
        nested = bool(y) and isinstance(y[0], list | tuple | np.ndarray)
        if not nested:
            return y, y
        cells = _array_of_rows(y)
        return (cells[:, 0], cells[:, 0].tolist()) if cells.shape[1] == 1 else (_argmax(cells), y)
    if hasattr(y, "tocsr"):
        return _argmax(y.toarray()), y
    if isinstance(y, np.ndarray):
        if y.dtype.kind == "S":
            raise DataError(f"y holds raw bytes ({y.dtype}); expected text: y.astype(str)")
        if y.ndim == 2 and y.shape[1] == 1:
            return y[:, 0], y[:, 0]
        return (_argmax(y) if y.ndim != 1 else y), y
    if len(getattr(y, "shape", ())) < 2:
        return y, y
    if y.shape[1] != 1:
        return _argmax(np.asarray(y)), y
    import narwhals as nw

    frame = nw.from_native(y, eager_only=True)
    return frame[frame.columns[0]].to_native() if not hasattr(y, "iloc") else y.iloc[:, 0], y


def _array_of_rows(y: Any) -> NDArray[Any]:
    try:
        return np.asarray(y)
    except ValueError:
        raise DataError("y holds rows of different lengths; expected one label a row") from None


def _argmax(indicator: NDArray[Any]) -> NDArray[np.int64]:
    """The column of the one 1 in every row (n, K)."""
    shape = indicator.shape
    numbers = indicator.ndim == 2 and indicator.dtype.kind in "biuf"
    if not numbers or not np.isin(indicator, (0, 1)).all() or (indicator.sum(axis=1) > 1).any():
        raise DataError(
            f"y has shape {shape}, several values a row. Multilabel and multioutput targets are "
            "not supported: a top-up needs one class a row. Expected (n,), or (n, K) of 0 and 1 "
            "with one 1 a row; make one label of several, or one GANAugmenter a column."
        )
    empty = indicator.sum(axis=1) == 0
    if empty.any():
        raise DataError(
            f"{int(empty.sum()):,} of {len(empty):,} rows of y are of no class (the first: row "
            f"{int(empty.argmax())}); expected one 1 a row. Drop those rows."
        )
    return np.asarray(indicator.argmax(axis=1), dtype=np.int64)


def _check_classes(series: Any) -> None:
    """Raise DataError for missing labels, numbers that are no classes, one class, mixed types."""
    missing = series.isna().to_numpy(dtype=bool)
    if missing.any():
        raise DataError(
            f"y holds NaN or None in {int(missing.sum()):,} of {len(series):,} rows (the first: "
            f"row {int(missing.argmax())}); expected a label a row. Drop those rows of X and y."
        )
    distinct = series.unique()
    fractions = [
        v for v in distinct if isinstance(v, float | np.floating) and not float(v).is_integer()
    ]
    if fractions:
        raise DataError(
            f"y looks like a regression target (Unknown label type: continuous): {len(distinct):,} "
            f"distinct numbers that are not all whole, such as {float(fractions[0])!r}. Expected "
            "classes: cut it into some (pandas.cut(y, 5).astype(str)), or make them text."
        )
    if len(distinct) == 1:
        raise DataError(
            f"y holds 1 class only ({plain(distinct[0])!r}) in {len(series):,} rows; expected two "
            "or more, since a class is topped up to the size of another"
        )
    if len({isinstance(label, str) for label in distinct}) > 1:
        raise DataError(
            "y holds both texts and numbers, which have no order; make all labels one type, for "
            "example [str(label) for label in y]"
        )


def _dtype_of(labels: tuple[Label, ...]) -> np.dtype[Any]:
    """What an array of these labels is; text as scikit-learn has it, object."""
    dtype = np.array(labels).dtype
    return dtype if dtype.kind in "biuf" else np.dtype(object)


def _array_of(labels: tuple[Label, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    out = np.empty(len(labels), dtype=dtype)
    out[:] = labels
    return out
