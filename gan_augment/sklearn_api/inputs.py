"""Read X and y as labelled rows; return rows in the container, dtype and scale of X and y."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_array

from gan_augment.data.arrays import FAINT, label_pixels, to_uint8
from gan_augment.data.signals import from_signals
from gan_augment.data.tables.containers import (
    as_frame,
    as_series,
    concatenate,
    dimensions_of,
    plain_container,
    rows_like,
    take,
    template_of,
)
from gan_augment.data.tables.inference import ReadTarget, column_names, read_target
from gan_augment.data.tables.schema import Name, Overrides, TableSchema
from gan_augment.data.topup_plan import Layout
from gan_augment.errors import DataError, UnknownClassError, UsageError, did_you_mean, warn
from gan_augment.kinds.kind import Labelled, labelled_of
from gan_augment.kinds.signal import SIGNAL
from gan_augment.kinds.table import TABLE

Label = Any
"""A label of y: text, a whole number, a boolean or a whole float."""


@dataclass(frozen=True)
class ClassLabels:
    """The classes: internal names and labels of y as Python scalars, by class index.

    values: (K,) labels in the dtype of y. examples: one label per class in the container of y.
    """

    names: tuple[str, ...]
    labels: tuple[Label, ...]
    values: NDArray[Any]
    examples: Any

    @classmethod
    def of(
        cls, names: tuple[str, ...], labels: tuple[Label, ...], dtype: np.dtype[Any] | None = None
    ) -> Self:
        """Make classes with these names and labels; labels are returned as an array.

        >>> ClassLabels.of(("7", "8"), (7, 8)).take(np.array([1, 0]))
        array([8, 7])
        """
        if dtype is None:  # text as scikit-learn has it, object
            dtype = np.array(labels).dtype
            numbers = np.issubdtype(dtype, np.number) or np.issubdtype(dtype, np.bool_)
            dtype = dtype if numbers else np.dtype(object)
        values = np.empty(len(labels), dtype=dtype)
        values[:] = labels
        return cls(names, labels, values, values)

    def label_of(self, name: str) -> Label:
        """Return the label of a class."""
        return self.labels[self.names.index(name)]

    def name_of(self, label: Label) -> str:
        """Return the class name of a label. Raises UnknownClassError."""
        known: dict[Label, str] = dict(zip(self.labels, self.names, strict=True))
        try:
            return known[python_scalar(label)]
        except (KeyError, TypeError, ValueError):  # ValueError: an array of several
            listed = [repr(one) for one in self.labels]
            raise UnknownClassError(
                f"no row is labelled {label!r}; the labels are {', '.join(listed[:20])}."
                f"{did_you_mean(repr(label), listed)}"
            ) from None

    def take(self, codes: NDArray[np.int64]) -> Any:
        """Return (M,) labels of class indices, in the container of y."""
        return take(self.examples, codes)


@dataclass(frozen=True)
class OutputFormat:
    """The classes, and the container, dtype and scale of X.

    template: X without rows; None for uint8 images and pandas frames. shape: of one image or
    signal, None for tables. white: the value of white, None for signals. sparse: a sparse format.
    """

    labels: ClassLabels
    template: Any = None
    shape: tuple[int, ...] | None = None
    dtype: str = "|u1"
    white: int | None = 255
    sparse: str = ""

    def rows(self, data: Labelled) -> Any:
        """Return rows (M, ...) in the container, shape, dtype and scale of X."""
        if self.shape is None:
            return rows_like(self.template, data.frame, self.sparse)
        values: NDArray[Any]
        dtype = np.dtype(self.dtype)
        if self.white is None:
            values = data.values
            if np.issubdtype(dtype, np.integer):
                limits = np.iinfo(dtype)
                values = np.clip(np.rint(values.astype(np.float64)), limits.min, limits.max)
        elif dtype.kind == "b":
            values = data.pixels >= 128
        else:
            values = data.pixels if self.white == 255 else data.pixels / 255.0
        values = values.astype(dtype).reshape(-1, *self.shape)
        if isinstance(self.template, list):
            return values.tolist()
        if self.template is None or isinstance(self.template, np.ndarray):
            return values
        names = getattr(self.template, "column_names", getattr(self.template, "columns", None))
        frame = pd.DataFrame(values, columns=None if names is None else list(names))
        return rows_like(self.template, frame, self.sparse)


@dataclass(frozen=True)
class ParsedInput:
    """X and y as labelled data, and the format of the output.

    x, y: the originals; None for labelled data and datasets. target: how the labels of a table are
    written. overrides: kinds of columns set by the user.
    """

    data: Labelled
    output: OutputFormat
    x: Any = None
    y: Any = None
    target: ReadTarget | None = None
    overrides: Overrides = field(default_factory=Overrides)

    @property
    def labels(self) -> ClassLabels:
        """Return the classes."""
        return self.output.labels

    @cached_property
    def schema(self) -> TableSchema | None:
        """Infer the schema of a table, None for images. Warns about id columns."""
        schema: TableSchema | None = self.data.kind.schema(self.data, self.overrides)
        if schema is None or self.target is None:
            return schema
        ids = [f"{column.name!r} ({column.why})" for column in schema.columns if column.is_id]
        if ids:
            warn(
                f"id columns are not learned, and new rows get new ids: {', '.join(ids[:5])}. A "
                "classifier can recognise added rows by their ids: drop these columns before "
                "GANAugmenter, or list columns of levels in categorical_features"
            )
        return schema.model_copy(update={"target": self.target.column})

    def followed_by(self, layout: Layout, added: Labelled | None = None) -> tuple[Any, Any]:
        """Return (X, y) in their own containers: the original rows, then those of the layout.

        added: the added rows; None if all of them repeat rows of X.
        """
        codes, source = self.data.labels, layout.source
        first = np.arange(len(codes))
        if added is None:
            x = take(self.x, np.concatenate([first, source]))
        else:
            x = concatenate(self.x, self.output.rows(added))
            if self.output.shape is not None and np.dtype(self.output.dtype).kind == "f":
                # repeated images keep all digits
                own = np.where(source < 0, len(first) + np.arange(len(source)), source)
                x = take(x, np.concatenate([first, own]))
        return x, take(self.y, np.concatenate([first, _first_rows(codes)[layout.label]]))


def read_input(x: Any, y: Any, augmenter: Any) -> ParsedInput:
    """Read X and y as described in `GANAugmenter.fit_resample`, without changing them.

    The `kind`, `image_shape` and `categorical_features` of the augmenter say how. Raises DataError;
    UsageError for parameters that do not fit X.
    """
    if _is_dataset(x) or labelled_of(x) is not None:
        raise UsageError(
            f"X is a {type(x).__name__}; expected arrays or frames: X is its pixels or its frame, "
            "y its labels. Call fit, or use AugmentedDataset or augment_loader of gan_augment."
        )
    x, y = plain_container(x), plain_container(y)
    dimensions, n = dimensions_of(x)
    _check_rows(x, dimensions, n)
    target, labels, y = _read_labels(y, n)
    if augmenter.kind == SIGNAL.name:
        return _read_signals(x, y, target.labels, labels, augmenter.image_shape)
    if dimensions > 2 or augmenter.image_shape is not None:
        return _read_images(x, y, target.labels, labels, augmenter.image_shape)
    frame = as_frame(x)
    if not all(frame.shape):
        what = "sample" if frame.shape[1] else "feature"
        raise DataError(
            f"X has 0 {what}(s) (shape={frame.shape}) while a minimum of 1 is required."
        )
    overrides = categorical_overrides(augmenter.categorical_features, frame)
    ids = np.array([f"row-{row:06d}" for row in range(n)])
    table = TABLE.of(frame, target.labels, ids, class_names=labels.names)
    output = OutputFormat(labels, template_of(x), sparse=getattr(x, "format", ""))
    return ParsedInput(table, output, x, y, target, overrides)


def read_labelled(x: Any, y: Any = None, *, kind: str = "auto") -> ParsedInput | None:
    """Read data with its own labels; return None for other X.

    These are labelled data, torch datasets and loaders (every item is decoded), and parsed input.
    New rows are uint8 images (N, H, W, C), float32 signals (N, C, L), or pandas frames. Raises
    UsageError for an additional `y`, DataError for a dataset without images or rows.
    """
    if isinstance(x, ParsedInput):
        return x
    data = labelled_of(x)
    if data is None and not _is_dataset(x):
        return None
    if y is not None:
        raise UsageError(
            f"y was given with a {type(x).__name__}, which has its own labels; leave y out"
        )
    labels: tuple[Label, ...] | None = None
    if data is None:
        from gan_augment.torch_api.read import read_dataset

        data, form = read_dataset(x, signal=kind == SIGNAL.name)
        labels = tuple(map(python_scalar, form.labels))
    classes = ClassLabels.of(data.names, data.names if labels is None else labels)
    if data.kind.tabular:
        return ParsedInput(data, OutputFormat(classes))
    height, width, channels = data.image_shape
    output = OutputFormat(classes, shape=(height, width, channels))
    if data.kind is SIGNAL:
        output = OutputFormat(classes, shape=(channels, width), dtype="<f4", white=None)
    return ParsedInput(data, output)


def categorical_overrides(features: ArrayLike | str | None, frame: pd.DataFrame) -> Overrides:
    """Return the categorical columns, listed by name, by number, or by a mask.

    >>> frame = pd.DataFrame(columns=["colour", "price", "zip"])
    >>> categorical_overrides([0, -1], frame).columns
    {'colour': 'categorical', 'zip': 'categorical'}
    """
    if features is None or (isinstance(features, str) and features == "infer"):
        return Overrides()
    listed = np.asarray(features)
    names: list[Name] = column_names(frame)
    if listed.ndim != 1:
        raise UsageError(
            f"categorical_features={features!r}; expected 'infer', or a list of names or numbers "
            "of columns, or a mask"
        )
    if listed.dtype == bool or np.issubdtype(listed.dtype, np.integer):
        try:
            listed = np.array(names, dtype=object)[listed]
        except IndexError as error:
            raise UsageError(
                f"categorical_features does not fit the {len(names)} columns of X: {error}"
            ) from None
    return Overrides.of(categorical=listed.tolist())


def python_scalar(label: Any) -> Label:
    """Return a NumPy or torch scalar as a Python scalar."""
    return label.item() if hasattr(label, "item") else label


def _is_dataset(x: Any) -> bool:
    """Return whether x is a torch Dataset or DataLoader; torch is not imported to find out."""
    if "torch" not in sys.modules:
        return False
    from torch.utils.data import DataLoader, Dataset

    return isinstance(x, Dataset | DataLoader)


def _check_rows(x: Any, dimensions: int, n: int) -> None:
    dtype = getattr(x, "dtype", None)
    if isinstance(dtype, np.dtype) and dtype.kind == "c":
        raise DataError(f"Complex data not supported: X is {dtype}. Split it into two columns.")
    if np.ma.is_masked(x):
        raise DataError("X is a masked array; expected missing cells as NaN: X.filled(numpy.nan)")
    if not n:
        raise DataError("X has 0 sample(s) while a minimum of 1 is required.")
    if dimensions not in (2, 3, 4):
        raise DataError(
            f"X has {dimensions} dimension(s); expected a table (N, columns) or images (N, H, W[, "
            "C]). Reshape your data: X.reshape(-1, 1) for one column, X.reshape(1, -1) for one row."
        )


def _read_labels(y: Any, n: int) -> tuple[ReadTarget, ClassLabels, Any]:
    """Read y (n,): class indices, labels, and y for the output; an (n, 1) array becomes (n,).

    One-hot rows (n, K) are labelled by their column numbers. Raises DataError for labels that are
    missing, continuous, several per row, or of one class.
    """
    if y is None:
        raise DataError(
            "GANAugmenter requires y to be passed, but the target y is None; expected one class "
            "label a row"
        )
    if getattr(getattr(y, "dtype", None), "kind", "") == "S":
        raise DataError(f"y holds raw bytes ({y.dtype}); expected text: y.astype(str)")
    column = y
    shape: tuple[int, ...] = getattr(y, "shape", ())
    if len(shape) == 2 and not hasattr(y, "toarray"):
        values = np.asarray(y)
        if shape[1] == 1:
            column = y.iloc[:, 0] if hasattr(y, "iloc") else values[:, 0]
            y = column if isinstance(y, np.ndarray) else y
        elif np.isin(values, (0, 1)).all() and (values.sum(axis=1) == 1).all():
            column = values.argmax(axis=1)
        else:
            raise DataError(
                f"y has shape {shape}, several values per row. Multilabel and multioutput targets "
                "are not supported; expected one label, or a single 1 in each row"
            )
    target = read_target(as_series(column, n), separate=True)
    if len({isinstance(label, str) for label in target.levels}) > 1:
        raise DataError(
            "y holds both texts and numbers; make all labels one type, as with map(str)"
        )
    dtype = column.dtype if isinstance(column, np.ndarray) else None
    labels = ClassLabels.of(target.class_names, target.levels, dtype)
    return target, replace(labels, examples=take(y, _first_rows(target.labels))), y


def _first_rows(codes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the first row of each class, (K,)."""
    return np.unique(codes, return_index=True)[1].astype(np.int64)


def _read_images(
    x: Any, y: Any, codes: NDArray[np.int64], labels: ClassLabels, image_shape: Any
) -> ParsedInput:
    """Read X (N, H, W[, C]), or (N, H x W x C) with `image_shape` = (H, W[, C])."""
    try:
        rows = x if isinstance(x, np.ndarray | list | tuple) else as_frame(x)
        values = x if isinstance(x, np.ndarray) else check_array(rows, allow_nd=True)
    except ValueError as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"X cannot be read as images of one shape: {reason}") from None
    shaped = values
    if values.ndim == 2:
        try:
            shaped = values.reshape(len(values), *image_shape)
        except (TypeError, ValueError):
            raise UsageError(
                f"image_shape={image_shape!r} does not fit rows of {values.shape[1]} numbers; "
                "expected (height, width) or (height, width, channels) in px, or None for a table"
            ) from None
    try:
        pixels, _ = to_uint8(shaped)
    except DataError as error:
        numbers = np.issubdtype(values.dtype, np.number)
        if numbers and (values.min() < 0 or values.max() > 255):
            raise DataError(
                f"{error}. In a pipeline, put a scaler such as StandardScaler after GANAugmenter, "
                "not before it."
            ) from None
        raise
    most = int(pixels.max())
    if most < FAINT:
        warn(
            f"the brightest pixel of X is {most} of 255, so the images are nearly black to the "
            "generator; if it stands for white, scale X to 0..1 first (X / X.max())"
        )
    unit = values.dtype.kind == "f" and float(values.max()) <= 1
    output = OutputFormat(
        labels,
        template_of(x),
        shape=values.shape[1:],
        dtype=values.dtype.str,
        white=1 if unit else 255,
        sparse=getattr(x, "format", ""),
    )
    return ParsedInput(label_pixels(pixels, codes, class_names=labels.names), output, x, y)


def _read_signals(
    x: Any, y: Any, codes: NDArray[np.int64], labels: ClassLabels, image_shape: Any
) -> ParsedInput:
    """Read X (N, C, L), or (N, L) of one channel."""
    if image_shape is not None:
        raise UsageError(f"image_shape={image_shape!r} is for images, and kind='signal'; leave it")
    data = from_signals(x, codes, class_names=labels.names)
    values = np.asarray(x)
    output = OutputFormat(
        labels, template_of(x), shape=values.shape[1:], dtype=values.dtype.str, white=None
    )
    return ParsedInput(data, output, x, y)
