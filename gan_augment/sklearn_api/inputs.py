"""Read X and y as labelled data; return rows in the container, dtype and scale of X and y.

>>> parsed = read_input(np.eye(4, dtype=np.float32), ["rare", "common", "common", "common"])
>>> parsed.data.counts, parsed.kind
({'common': 3, 'rare': 1}, 'table')
"""

from __future__ import annotations

import math
import operator
import sys
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, Self

import numpy as np
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
from gan_augment.data.tables.inference import (
    DISTINCT_SHARE_OF_AN_ID,
    ReadTarget,
    column_names,
    infer_schema,
    read_target,
)
from gan_augment.data.tables.schema import Name, Overrides, TableSchema
from gan_augment.data.topup_plan import Layout
from gan_augment.errors import DataError, UnknownClassError, UsageError, did_you_mean, warn
from gan_augment.kinds.kind import Labelled, labelled_of
from gan_augment.kinds.signal import SIGNAL
from gan_augment.kinds.table import TABLE
from gan_augment.recipes import DataKind

Label = Any
"""A label of y: text, a whole number, a boolean or a whole float."""
Scale = Literal["bool", "0..1", "0..255", "signal"]


@dataclass(frozen=True)
class ClassLabels:
    """The classes: internal names, labels of y, and the container of y.

    names: internal names, by class index. labels: the labels in y, as Python scalars. values: (K,)
    labels in the dtype of y. examples: one label per class in the container of y.
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
            dtype = dtype if dtype.kind in "biuf" else np.dtype(object)
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
            label = python_scalar(label)
            return known[label]
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
class PixelFormat:
    """The shape, dtype and scale of the images or signals in X.

    shape: (H, W), (H, W, C) or flattened (H x W x C,); of signals (C, L) or (L,). dtype: NumPy's
    name. scale: the values of black and white, or "signal".
    """

    shape: tuple[int, ...]
    dtype: str
    scale: Scale

    def rows(self, data: Labelled) -> NDArray[Any]:
        """Return images or signals (M, ...) in the shape, dtype and scale of X."""
        values: NDArray[Any]
        dtype = np.dtype(self.dtype)
        if data.kind is SIGNAL:
            values = data.values
            if dtype.kind in "iu":
                limits = np.iinfo(dtype)
                values = np.clip(np.rint(values.astype(np.float64)), limits.min, limits.max)
        elif self.scale == "bool":
            values = data.pixels >= 128
        else:
            values = data.pixels if self.scale == "0..255" else data.pixels / 255.0
        return values.astype(dtype).reshape(-1, *self.shape)


@dataclass(frozen=True)
class OutputFormat:
    """The format of returned rows.

    template: X without rows; None for uint8 images and pandas frames. pixels: of images and
    signals. sparse: the format of a sparse X.
    """

    labels: ClassLabels
    template: Any = None
    pixels: PixelFormat | None = None
    sparse: str = ""

    def rows(self, data: Labelled) -> Any:
        """Return rows in the container, dtype and shape of X."""
        if self.pixels is None:
            return rows_like(self.template, data.frame, self.sparse)
        values = self.pixels.rows(data)
        if isinstance(self.template, list):
            return values.tolist()
        if self.template is None or isinstance(self.template, np.ndarray):
            return values
        import pandas as pd

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

    @property
    def kind(self) -> DataKind:
        """Return the kind of recipes: "image" (also for signals) or "table"."""
        return self.data.kind.recipes

    @cached_property
    def schema(self) -> TableSchema | None:
        """Infer the schema of a table, None for images. Warns about id columns."""
        if not self.data.kind.tabular:
            return None
        schema = infer_schema(self.data.frame, self.overrides)
        if self.target is None:
            return schema
        ids = [f"{column.name!r} ({column.why})" for column in schema.columns if column.is_id]
        if ids:
            warn(
                f"id columns are not learned, and new rows get new ids: {', '.join(ids[:5])}. A "
                "classifier can recognise added rows by their ids: drop these columns before "
                "GANAugmenter, or list columns of levels in categorical_features"
            )
        return schema.model_copy(update={"target": self.target.column})

    @property
    def may_hold_ids(self) -> bool:
        """Return whether a column may hold ids: nearly all cells differ. Repeats need new ids."""
        if not self.data.kind.tabular:
            return False
        columns = (column for _, column in self.data.frame.items())
        candidates = (c for c in columns if getattr(c.dtype, "kind", "O") not in "fbMm")
        try:
            return any(c.nunique() > DISTINCT_SHARE_OF_AN_ID * c.count() for c in candidates)
        except TypeError:  # unhashable cells: `schema` raises
            return True

    def followed_by(
        self, layout: Layout, added: Labelled | None = None, rows: NDArray[np.int64] | None = None
    ) -> tuple[Any, Any]:
        """Return (X, y) in their own containers: the original rows, then the added ones.

        Parameters
        ----------
        layout : Layout
            Class and source of each added row.
        added : Labelled, optional
            The added rows; None if all of them repeat rows of X.
        rows : int64 array, optional
            The rows of X that come first, to which `layout.source` refers; None for all.
        """
        x = self.x if rows is None else take(self.x, rows)
        real = np.arange(len(self.data.labels)) if rows is None else rows
        first, source = np.arange(len(real)), layout.source
        pixels = self.output.pixels
        if added is None:
            x = take(x, np.concatenate([first, source]))
        else:
            x = concatenate(x, self.output.rows(added))
            if pixels is not None and np.dtype(pixels.dtype).kind == "f":  # repeats keep all digits
                own = np.where(source < 0, len(first) + np.arange(len(source)), source)
                x = take(x, np.concatenate([first, own]))
        y = take(self.y, np.concatenate([real, _first_rows(self.data.labels)[layout.label]]))
        return x, y


def read_input(
    x: Any,
    y: Any,
    *,
    image_shape: ArrayLike | None = None,
    categorical_features: ArrayLike | str | None = "infer",
    kind: str = "auto",
) -> ParsedInput:
    """Read X and y as described in `GANAugmenter.fit_resample`, without changing them.

    With kind "signal", X is (N, C, L) or (N, L). Otherwise, arrays of three or four dimensions and
    flattened arrays with `image_shape` are images; everything else is a table. Raises DataError;
    UsageError for parameters that do not fit X.
    """
    if _is_dataset(x) or labelled_of(x) is not None:
        raise UsageError(
            f"fit_resample was given a {type(x).__name__}; expected arrays or frames: X is its "
            "pixels or its frame, y its labels. fit takes it as it is; AugmentedDataset and "
            "augment_loader of gan_augment top up torch's datasets and loaders."
        )
    x, y = plain_container(x), plain_container(y)
    dimensions, n = dimensions_of(x)
    if kind == SIGNAL.name:
        return _read_signals(x, y, n, image_shape)
    _check_dimensions(x, dimensions, n)
    target, labels, y = _read_labels(y, n)
    if dimensions > 2 or image_shape is not None:
        data, output = _read_images(x, target.labels, labels, image_shape)
        return ParsedInput(data, output, x, y)
    frame = as_frame(x)
    if not frame.shape[0] or not frame.shape[1]:
        what = "sample" if frame.shape[1] else "feature"
        raise DataError(
            f"X has 0 {what}(s) (shape={frame.shape}) while a minimum of 1 is required."
        )
    output = OutputFormat(labels, template_of(x), sparse=getattr(x, "format", ""))
    overrides = Overrides()
    if not isinstance(categorical_features, str) or categorical_features != "infer":
        overrides = categorical_overrides(categorical_features, column_names(frame))
    ids = np.array([f"row-{row:06d}" for row in range(n)])
    table = TABLE.of(frame, target.labels, ids, class_names=labels.names)
    return ParsedInput(table, output, x, y, target, overrides)


def read_labelled(x: Any, y: Any = None, *, kind: str = "auto") -> ParsedInput | None:
    """Read data with its own labels; return None for other X.

    These are labelled data, torch datasets and loaders (every item is decoded), and parsed input.
    New rows are uint8 images (N, H, W, C), float32 signals (N, C, L), or pandas frames. kind:
    "signal" for items that are signals. Raises UsageError for an additional `y`, DataError for a
    dataset without images or rows.
    """
    rows = labelled_of(x)
    if rows is None and not _is_dataset(x):
        return None
    if y is not None:
        raise UsageError(
            f"y was given with a {type(x).__name__}, which has its own labels; leave y out"
        )
    if isinstance(x, ParsedInput):
        return x
    if rows is not None:
        return ParsedInput(rows, _plain_output(rows, ClassLabels.of(rows.names, rows.names)))
    from gan_augment.torch_api.read import read_dataset

    data, form = read_dataset(x, signal=kind == SIGNAL.name)
    labels = ClassLabels.of(data.names, tuple(map(python_scalar, form.labels)))
    return ParsedInput(data, _plain_output(data, labels))


def _plain_output(data: Labelled, labels: ClassLabels) -> OutputFormat:
    """Return the format of rows without an X; `read_labelled` describes it."""
    if data.kind.tabular:
        return OutputFormat(labels)
    pixels = PixelFormat(data.image_shape, "|u1", "0..255")
    if data.kind is SIGNAL:
        _, length, channels = data.image_shape
        pixels = PixelFormat((channels, length), "<f4", "signal")
    return OutputFormat(labels, pixels=pixels)


def categorical_overrides(features: ArrayLike | str | None, names: list[Name]) -> Overrides:
    """Return the categorical columns, listed by name, by number, or by a mask.

    >>> categorical_overrides([0, "zip"], ["colour", "price", "zip"]).columns
    {'colour': 'categorical', 'zip': 'categorical'}
    """
    if features is None or (isinstance(features, str) and features == "infer"):
        return Overrides()
    if isinstance(features, str):
        raise UsageError(
            f"categorical_features={features!r}; expected 'infer', or a list of names or numbers "
            f"of columns, such as [{features!r}]"
        )
    listed = list(np.asarray(features, dtype=object).ravel())
    if listed and all(isinstance(one, bool | np.bool_) for one in listed):
        if len(listed) != len(names):
            raise UsageError(
                f"categorical_features is a mask of {len(listed)} values; X has {len(names)} "
                "columns. Expected one value a column."
            )
        return Overrides.of(categorical=[n for n, on in zip(names, listed, strict=True) if on])
    for i, one in enumerate(listed):
        whole = isinstance(one, int | np.integer)
        listed[i] = int(one) if whole else str(one)
        if whole and one not in names:  # the number of a column, not its name
            if not -len(names) <= one < len(names):
                raise UsageError(
                    f"categorical_features names column {one}; X has {len(names)} columns, 0 to "
                    f"{len(names) - 1}"
                )
            listed[i] = names[one]
    return Overrides.of(categorical=listed)


def python_scalar(label: Any) -> Label:
    """Return a NumPy or torch scalar as a Python scalar."""
    return label.item() if hasattr(label, "item") else label


def _is_dataset(x: Any) -> bool:
    """Return whether x is a torch Dataset or DataLoader; torch is not imported to find out."""
    if "torch" not in sys.modules:
        return False
    from torch.utils.data import DataLoader, Dataset

    return isinstance(x, Dataset | DataLoader)


def _check_dimensions(x: Any, dimensions: int, n: int) -> None:
    dtype = getattr(x, "dtype", None)
    if isinstance(dtype, np.dtype) and dtype.kind == "c":
        raise DataError(f"Complex data not supported: X is {dtype}. Split it into two columns.")
    if isinstance(x, np.ma.MaskedArray) and np.ma.is_masked(x):
        raise DataError(
            "X is a masked array; expected missing cells as NaN: X.astype(float).filled(numpy.nan)"
        )
    if not n:
        raise DataError("X has 0 sample(s) while a minimum of 1 is required.")
    if dimensions == 1 and dtype == np.dtype(object) and np.ndim(x[0]) > 1:
        raise DataError("X holds images of different shapes (an object array); resize them to one")
    if dimensions not in (2, 3, 4):
        raise DataError(
            f"X has {dimensions} dimension(s); expected a table (N, columns) or images (N, H, W[, "
            "C]). Reshape your data: X.reshape(-1, 1) for one column, X.reshape(1, -1) for one row."
        )


def _read_labels(y: Any, n: int) -> tuple[ReadTarget, ClassLabels, Any]:
    """Read y (n,): class indices, labels, and y for the output; an (n, 1) array becomes (n,).

    One-hot rows (n, K) are labelled by their column numbers. Raises DataError for y that is None,
    of another length, with missing labels or several labels per row, of one class, or continuous.
    """
    if y is None:
        raise DataError(
            "GANAugmenter requires y to be passed, but the target y is None; expected one class "
            "label a row. Only a dataset or labelled data of gan_augment brings its own labels."
        )
    column, y = _one_column(y)
    series = as_series(column, n)
    target = read_target(series, separate=True)
    if len({isinstance(label, str) for label in target.levels}) > 1:
        raise DataError(
            "y holds both texts and numbers, which have no order; make all labels one type, for "
            "example [str(label) for label in y]"
        )
    dtype = column.dtype if isinstance(column, np.ndarray) else None
    labels = ClassLabels.of(target.class_names, target.levels, dtype)
    examples = take(y, _first_rows(target.labels))
    return target, replace(labels, examples=examples), y


def _first_rows(codes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the first row of each class, (K,)."""
    return np.unique(codes, return_index=True)[1].astype(np.int64)


def _one_column(y: Any) -> tuple[Any, Any]:
    """Return the labels as one column, and y for the output; see `_read_labels`."""
    if isinstance(y, np.ndarray) and y.dtype.kind == "S":
        raise DataError(f"y holds raw bytes ({y.dtype}); expected text: y.astype(str)")
    shape: tuple[int, ...] = getattr(y, "shape", ())
    if isinstance(y, list | tuple) and dimensions_of(y)[0] > 1:
        raise DataError(f"y is a {type(y).__name__} of lists; expected one label per row")
    if len(shape) < 2:
        return y, y
    array = isinstance(y, np.ndarray)
    if len(shape) == 2 and shape[1] == 1 and not hasattr(y, "toarray"):
        column = y.iloc[:, 0] if hasattr(y, "iloc") else np.asarray(y)[:, 0]
        return column, column if array else y
    one_hot = array and len(shape) == 2 and np.isin(y, (0, 1)).all()
    if not one_hot or (y.sum(axis=1) != 1).any():
        raise DataError(
            f"y has shape {shape}, several values per row. Multilabel and multioutput targets are "
            "not supported; expected one label per row, or an array (n, K) of 0 and 1 with a "
            "single 1 in each row"
        )
    return y.argmax(axis=1), y


def _read_images(
    x: Any, codes: NDArray[np.int64], labels: ClassLabels, image_shape: Any
) -> tuple[Labelled, OutputFormat]:
    """Read X (N, H, W[, C]), or (N, H x W x C) with `image_shape` = (H, W[, C]).

    `data.arrays.to_uint8` has the rules for pixels. Raises DataError for values outside the range
    of pixels, UsageError for an image_shape that does not fit.
    """
    values = _pixel_values(x)
    shaped = _shaped(values, image_shape)
    try:
        pixels, _ = to_uint8(shaped)
    except DataError as error:
        if values.dtype.kind in "if" and (values.min() < 0 or values.max() > 255):
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
    scale: Scale = "0..255"
    if values.dtype.kind == "b":
        scale = "bool"
    elif values.dtype.kind == "f" and float(values.max()) <= 1:
        scale = "0..1"
    data = label_pixels(pixels, codes, class_names=labels.names)
    pixel_format = PixelFormat(values.shape[1:], values.dtype.str, scale)
    return data, OutputFormat(labels, template_of(x), pixel_format, getattr(x, "format", ""))


def _read_signals(x: Any, y: Any, n: int, image_shape: Any) -> ParsedInput:
    """Read X (N, C, L), or (N, L) of one channel. Raises DataError, UsageError for a shape."""
    if image_shape is not None:
        raise UsageError(f"image_shape={image_shape!r} is of images, and kind='signal'; leave it")
    if not n:
        raise DataError("X has 0 sample(s) while a minimum of 1 is required.")
    target, labels, y = _read_labels(y, n)
    try:
        values = np.asarray(x)
    except ValueError:
        values = np.empty(0, dtype=object)  # of different lengths
    data = from_signals(values, target.labels, class_names=labels.names)
    silent = int((data.pixels.std(axis=2) == 0).all(axis=(1, 2)).sum())
    if silent:
        warn(
            f"{silent} of {n} signals of X are silent (one constant value); the generator learns "
            "that. Leave them out."
        )
    pixels = PixelFormat(values.shape[1:], values.dtype.str, "signal")
    return ParsedInput(data, OutputFormat(labels, template_of(x), pixels), x, y)


def _pixel_values(x: Any) -> NDArray[Any]:
    """Return pixels (N, ...) as an array of one dtype."""
    if isinstance(x, np.ndarray):
        return x
    rows = x if isinstance(x, list | tuple) else as_frame(x)
    try:
        values: NDArray[Any] = check_array(rows, allow_nd=True, input_name="X")
    except ValueError as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"X cannot be read as images of one shape: {reason}") from None
    return values


def _shaped(values: NDArray[Any], image_shape: Any) -> NDArray[Any]:
    """Return (N, ...) as (N, H, W) or (N, H, W, C). Raises UsageError."""
    if image_shape is None:
        return values
    numbers = values.shape[1:]
    try:
        shape = tuple(operator.index(side) for side in image_shape)
    except TypeError:
        shape = ()
    fits = len(shape) in (2, 3) and min(shape) > 0 and math.prod(shape) == math.prod(numbers)
    if not fits or (values.ndim > 2 and numbers[:2] != shape[:2]):
        raise UsageError(
            f"image_shape={image_shape!r} and X holds rows of shape {numbers}; expected (height, "
            "width) or (height, width, channels) in whole px, whose product is the numbers of a "
            "row, or None for a table and for images that are not flattened"
        )
    return values.reshape(-1, *shape) if values.ndim == 2 else values
