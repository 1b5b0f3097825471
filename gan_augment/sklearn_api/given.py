"""X and y as a user gives them: read into the contract once, with the way back to what they were.

>>> import numpy as np
>>> given = read_given(np.eye(4, dtype=np.float32), ["rare", "common", "common", "common"])
>>> given.data.counts, given.form.kind
({'common': 3, 'rare': 1}, 'table')
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gan_augment.data.contract import LabelledImages, LabelledTable
from gan_augment.data.tables.schema import TableSchema
from gan_augment.errors import DataError
from gan_augment.recipes import DataKind
from gan_augment.sklearn_api.containers import index_of
from gan_augment.sklearn_api.image_form import ImageForm, checked_shape, read_image_form
from gan_augment.sklearn_api.label_form import LabelForm, first_rows, read_labels, taken
from gan_augment.sklearn_api.table_form import TableForm, read_table_form

Form = ImageForm | TableForm


@dataclass(frozen=True)
class Labelled:
    """Labelled data and the way back. form: of X, labels: of y."""

    data: LabelledImages | LabelledTable
    form: Form
    labels: LabelForm

    @property
    def kind(self) -> DataKind:
        """Whether X is images or a table."""
        return self.form.kind

    @property
    def schema(self) -> TableSchema | None:
        """What the columns of a table are; None for images."""
        return self.form.schema if isinstance(self.form, TableForm) else None


@dataclass(frozen=True)
class Given(Labelled):
    """What was given. x, y: as they came, for the rows of a result that are real."""

    x: Any
    y: Any

    def rows(self, rows: NDArray[np.int64]) -> Any:
        """Some rows of X in its own container."""
        return taken(self.x, rows)

    def behind(self, x: Any, added: LabelledImages | LabelledTable) -> Any:
        """Rows of X, and behind them those added, in X's container."""
        return self.form.joined(x, new_rows(self.form, added))

    def labels_of_added(
        self, y: NDArray[Any], added: LabelledImages | LabelledTable
    ) -> NDArray[Any]:
        """(M,) labels of added rows, as the given rows are labelled in `y` (N,)."""
        labels: NDArray[Any] = y[first_rows(self.data.labels)[added.labels]]
        return labels

    def followed_by(
        self, added: LabelledImages | LabelledTable, source: NDArray[np.int64]
    ) -> tuple[Any, Any]:
        """(X, y) in their own containers: the rows as they came, and behind them those added.

        source: int64 (M,), the row of X that an added one repeats, -1 where it is new.
        """
        codes, n = self.data.labels, len(self.data)
        x = self.form.joined(self.x, new_rows(self.form, added))
        if isinstance(self.form, ImageForm) and not self.form.exact:
            rows = np.where(source < 0, n + np.arange(len(source)), source)
            x = taken(x, np.concatenate([np.arange(n), rows]))
        y = taken(self.y, np.concatenate([np.arange(n), first_rows(codes)[added.labels]]))
        for out, given in ((x, self.x), (y, self.y)):
            if hasattr(out, "iloc"):
                out.index = index_of(self.x if hasattr(self.x, "iloc") else given, len(added))
        return x, y


def read_given(
    x: Any,
    y: Any,
    *,
    image_shape: ArrayLike | None = None,
    categorical_features: ArrayLike | str | None = "infer",
) -> Given:
    """X and y (`GANAugmenter.fit_resample` says which) as labelled data; they are not changed.

    Arrays of three or four dimensions are images, and flattened ones with `image_shape`; all else
    is a table. Raises DataError, or UsageError for parameters that do not fit X.
    """
    x = plain_container(x)
    dimensions, n = _dimensions(x)
    _check_dimensions(x, dimensions, n)
    shape = checked_shape(image_shape)
    labels = read_labels(y, n)
    data: LabelledImages | LabelledTable
    form: Form
    if dimensions > 2 or shape is not None:
        data, form = read_image_form(x, labels, shape)
    else:
        data, form = read_table_form(x, labels, categorical_features)
    return Given(data, form, labels.form, x, labels.y)


def new_rows(form: Form, made: LabelledImages | LabelledTable) -> Any:
    """Rows of the contract alone in the container, dtype and shape of X."""
    if isinstance(form, ImageForm):
        assert isinstance(made, LabelledImages), "a table was made for a form of images"
        return form.given_back(made)
    assert isinstance(made, LabelledTable), "images were made for the form of a table"
    return form.given_back(made)


def columns_in(given: Labelled) -> Any | None:
    """What has columns that can be counted and named: X, or the frame of a labelled table.

    None for images that are not flattened.
    """
    if isinstance(given.form, ImageForm) and given.form.rows is None:
        return None
    if isinstance(given, Given):
        return given.x
    return given.data.frame if isinstance(given.data, LabelledTable) else None


def plain_container(x: Any) -> Any:
    """Anything that can only become an array (a tensor, say) as that array."""
    known = isinstance(x, np.ndarray | list | tuple) or any(
        hasattr(type(x), name) for name in ("iloc", "toarray", "__arrow_c_stream__", "columns")
    )
    return np.asarray(x) if not known and hasattr(x, "__array__") else x


def _dimensions(x: Any) -> tuple[int, int]:
    """(how many dimensions X has, how many rows)."""
    if isinstance(x, list | tuple):
        dimensions, first = 1, x[0] if x else None
        while isinstance(first, list | tuple | np.ndarray) and dimensions < 5:
            dimensions, first = dimensions + 1, first[0] if len(first) else None
        return dimensions, len(x)
    shape = getattr(x, "shape", None)
    if shape is None:
        from gan_augment.data.tables.containers import as_frame

        shape = as_frame(x)[0].shape  # raises, naming what would do
    return len(shape), int(shape[0]) if shape else 1


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
