"""Read X and y as labelled rows; return tables in the container of X, images as arrays."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.utils._indexing import _get_column_indices

from gan_augment.data.arrays import faint, label_pixels, to_uint8
from gan_augment.data.signals import from_signals
from gan_augment.data.tables.containers import (
    as_frame,
    as_series,
    concatenate,
    dimensions_of,
    plain_container,
    rows_like,
    take,
)
from gan_augment.data.tables.inference import ReadTarget, column_names, read_target
from gan_augment.data.tables.schema import Column, Overrides, TableSchema
from gan_augment.data.topup_plan import TopUpPlan
from gan_augment.errors import DataError, UnknownClassError, UsageError, did_you_mean, warn
from gan_augment.generators.generator import Generator, added_rows
from gan_augment.kinds.image import IMAGE
from gan_augment.kinds.kind import Labelled, labelled_of
from gan_augment.kinds.signal import SIGNAL
from gan_augment.kinds.table import TABLE

Label = Any
"""A label of y: text, a whole number, a boolean or a whole float."""


@dataclass(frozen=True)
class ClassLabels:
    """The classes by index: internal names, and labels (K,) in the dtype of y."""

    names: tuple[str, ...]
    values: NDArray[Any]

    @cached_property
    def by_name(self) -> dict[str, Label]:
        """Return the label of each class as a Python scalar."""
        return dict(zip(self.names, self.values.tolist(), strict=True))

    def name_of(self, label: Label) -> str:
        """Return the class name of a label. Raises UnknownClassError."""
        known = {label: name for name, label in self.by_name.items()}
        try:
            return known[label.item() if hasattr(label, "item") else label]
        except (KeyError, TypeError, ValueError):  # ValueError: an array of several
            listed = [repr(one) for one in known]
            raise UnknownClassError(
                f"no row is labelled {label!r}; the labels are {', '.join(listed[:20])}."
                f"{did_you_mean(str(label), [*map(str, known)])}"
            ) from None


@dataclass(frozen=True)
class ParsedInput:
    """X and y as labelled data, with the originals, and how a table writes its labels."""

    data: Labelled
    labels: ClassLabels
    x: Any = None
    y: Any = None
    target: Column | None = None
    overrides: Overrides = field(default_factory=dict)

    @cached_property
    def schema(self) -> TableSchema | None:
        """Infer the schema of a table, None for images. Warns about id columns."""
        schema: TableSchema | None = self.data.kind.schema(self.data, self.overrides)
        if schema is None or self.target is None:
            return schema
        if schema.ids:
            warn(
                f"id columns are not learned, and new rows get new ids: {schema.ids}. A "
                "classifier can recognise added rows by their ids: drop these columns before "
                "GANAugmenter, or list columns of categories in categorical_features"
            )
        return schema.model_copy(update={"target": self.target})

    def topped_up(
        self, plan: TopUpPlan, generator: Generator | None, seed: int
    ) -> tuple[tuple[Any, Any], TopUpPlan, NDArray[np.str_]]:
        """Add the planned rows; generator: fitted, None if the plan generates nothing.

        Return (X, y), the original rows first, with the plan without refused classes, and the
        origin of each row.
        """
        codes, x = self.data.labels, self.x
        generates = bool(plan.generated)
        if generates:
            added = added_rows(self.data, plan, generator, seed, schema=self.schema)
            plan, layout = added.plan, added.layout
            x = concatenate(x, self._like_x(added.data))
        else:
            plan.warn_of_refused()
            layout = plan.layout(codes, seed)
        if not (generates and self.data.kind.tabular):  # repeated images keep all digits
            x = take(x, np.where(layout.source < 0, np.arange(len(layout.label)), layout.source))
        _, first = np.unique(codes, return_index=True)
        return (x, take(self.y, first[layout.label])), plan, layout.origin

    def _like_x(self, data: Labelled) -> Any:
        """Return rows in the container, shape, dtype and scale of X."""
        if data.kind.tabular:
            return rows_like(self.x, data.frame)
        dtype, values = self.x.dtype, data.values if data.kind is SIGNAL else data.pixels
        if data.kind is IMAGE and (dtype.kind == "b" or (dtype.kind == "f" and self.x.max() <= 1)):
            values = values / 255.0
        if dtype.kind == "b":
            values = values >= 0.5
        elif dtype.kind in "iu" and values.dtype.kind == "f":
            limits = np.iinfo(dtype)
            values = np.clip(np.rint(values.astype(np.float64)), limits.min, limits.max)
        return values.astype(dtype).reshape(-1, *self.x.shape[1:])


def read_input(x: Any, y: Any, augmenter: Any) -> ParsedInput:
    """Read X and y as described in `GANAugmenter.fit_resample`, without changing them.

    The `kind`, `image_shape` and `categorical_features` of the augmenter say how. Raises DataError;
    UsageError for parameters that do not fit X.
    """
    if is_dataset(x) or labelled_of(x) is not None:
        raise UsageError(
            f"X is a {type(x).__name__}; expected arrays or frames: X is its pixels or its frame, "
            "y its labels. Call fit, or use AugmentedDataset or augment_loader of gan_augment."
        )
    x, y = plain_container(x), plain_container(y)
    dimensions, n = dimensions_of(x)
    dtype = getattr(x, "dtype", None)
    if isinstance(dtype, np.dtype) and dtype.kind == "c":
        raise DataError(f"Complex data not supported: X is {dtype}. Split it into two columns.")
    if not n:
        raise DataError("X has 0 sample(s) while a minimum of 1 is required.")
    if dimensions not in (2, 3, 4):
        raise DataError(
            f"X has {dimensions} dimension(s); expected a table (N, columns) or images (N, H, W[, "
            "C]). Reshape your data: X.reshape(-1, 1) for one column, X.reshape(1, -1) for one row."
        )
    target, labels, y = _read_labels(y, n)
    shape = augmenter.image_shape
    if augmenter.kind == SIGNAL.name:
        if shape is not None:
            raise UsageError(f"image_shape={shape!r} is for images, and kind='signal'; leave it")
        data = from_signals(x, target.labels, class_names=labels.names)
        return ParsedInput(data, labels, np.asarray(x), y)
    if dimensions > 2 or shape is not None:
        return _read_images(x, y, target.labels, labels, shape)
    frame = as_frame(x)
    if not column_names(frame):
        raise DataError(
            f"X has 0 feature(s) (shape={frame.shape}) while a minimum of 1 is required."
        )
    overrides = categorical_overrides(augmenter.categorical_features, frame)
    table = TABLE.of(frame, target.labels, class_names=labels.names)
    return ParsedInput(table, labels, x, y, target.column, overrides)


def read_labelled(x: Any, y: Any = None, *, kind: str = "auto") -> ParsedInput | None:
    """Read data with its own labels; return None for other X.

    These are labelled data, torch datasets and loaders (every item is decoded), and parsed input.
    Labels are the names of the classes. Raises UsageError for an additional `y`, DataError for a
    dataset without images or rows.
    """
    if isinstance(x, ParsedInput):
        return x
    data = labelled_of(x)
    if data is None and not is_dataset(x):
        return None
    if y is not None:
        raise UsageError(
            f"y was given with a {type(x).__name__}, which has its own labels; leave y out"
        )
    if data is None:
        from gan_augment.torch_api.read import describe_dataset

        data = describe_dataset(x, signal=kind == SIGNAL.name).read()
    return ParsedInput(data, ClassLabels(data.names, np.array(data.names)))


def categorical_overrides(features: ArrayLike | str | None, frame: pd.DataFrame) -> Overrides:
    """Return the categorical columns, listed by name, by number, or by a mask. Raises UsageError.

    >>> frame = pd.DataFrame(columns=["colour", "price", "zip"])
    >>> categorical_overrides([0, -1], frame)
    {'colour': 'categorical', 'zip': 'categorical'}
    """
    if features is None or (isinstance(features, str) and features == "infer"):
        return {}
    try:
        numbers = _get_column_indices(frame, features)
    except (ValueError, IndexError) as error:
        raise UsageError(
            f"categorical_features={features!r} does not fit the columns of X: {error}; expected "
            "'infer', or a list of names or numbers of columns, or a mask"
        ) from None
    names = column_names(frame)
    return {names[number]: "categorical" for number in numbers}


def is_dataset(x: Any) -> bool:
    """Return whether x is a torch Dataset or DataLoader; torch is not imported to find out."""
    return any(one.__module__.startswith("torch.utils.data") for one in type(x).__mro__)


def _read_labels(y: Any, n: int) -> tuple[ReadTarget, ClassLabels, Any]:
    """Read y: class indices, labels, and y for the output; one-hot rows by column number."""
    if y is None:
        raise DataError(
            "this requires y to be passed, but the target y is None; expected one class label per "
            "row, or in `evaluate` the name of a column of a frame"
        )
    column, shape = y, tuple[int, ...](getattr(y, "shape", ()))
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
    dtype = column.dtype if isinstance(column, np.ndarray) else None
    return (
        target,
        ClassLabels(target.class_names, np.array(target.column.categories, dtype=dtype)),
        y,
    )


def _read_images(
    x: Any, y: Any, codes: NDArray[np.int64], labels: ClassLabels, image_shape: Any
) -> ParsedInput:
    """Read X (N, H, W[, C]), or (N, H x W x C) with `image_shape` = (H, W[, C])."""
    if not isinstance(x, np.ndarray):
        raise DataError(
            f"X is a {type(x).__name__}; expected images as an array: numpy.asarray(X), or "
            "X.to_numpy() of a frame"
        )
    shaped = x
    if x.ndim == 2:
        try:
            shaped = x.reshape(len(x), *image_shape)
        except (TypeError, ValueError):
            raise UsageError(
                f"image_shape={image_shape!r} does not fit rows of {x.shape[1]} numbers; expected "
                "(height, width) or (height, width, channels) in px, or None for a table"
            ) from None
    pixels, _ = to_uint8(shaped)
    if problem := faint(int(pixels.max())):
        warn(problem)
    return ParsedInput(label_pixels(pixels, codes, class_names=labels.names), labels, x, y)
