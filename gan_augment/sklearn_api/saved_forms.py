"""The containers and dtypes of X and y as JSON and back; no code is loaded with them."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
from pydantic import NonNegativeInt, PositiveInt

from gan_augment.data.tables.cells import as_scalar
from gan_augment.data.tables.columns import restored
from gan_augment.data.tables.containers import Container, given_back
from gan_augment.data.tables.schema import Name, Scalar, TargetColumn
from gan_augment.settings import Frozen
from gan_augment.sklearn_api.containers import (
    ArrayRows,
    ListRows,
    OtherRows,
    PandasRows,
    Rows,
    SparseRows,
)
from gan_augment.sklearn_api.image_form import ImageForm, Scale
from gan_augment.sklearn_api.label_form import LabelForm

Kind = Literal["array", "list", "sparse", "pandas", "other"]
LabelKind = Literal["array", "list", "tuple", "series", "frame", "indicator", "other", "others"]
Format = Literal["bsr", "coo", "csc", "csr", "dia", "dok", "lil"]
_KINDS = "biufUOMm"


class SavedRows(Frozen):
    """A container of rows. name: of one that narwhals knows, such as "polars".

    sparse: name, dtype and fill value of the sparse columns of a pandas frame.
    """

    kind: Kind
    dtype: str = "O"
    format: Format = "csr"
    array: bool = False
    sparse: tuple[tuple[Name, str, Scalar], ...] = ()
    name: str = ""

    @classmethod
    def of(cls, rows: Rows) -> Self:
        """From a container."""
        match rows:
            case ArrayRows(dtype):
                return cls(kind="array", dtype=dtype.str)
            case SparseRows(how, array, dtype):
                return cls(kind="sparse", format=how, array=array, dtype=dtype.str)
            case PandasRows(sparse):
                held = [(n, d.subtype.str, as_scalar(d.fill_value)) for n, d in sparse]
                return cls(kind="pandas", sparse=tuple(held))
            case OtherRows(container):
                return cls(kind="other", name=container.name)
        return cls(kind="list")

    def rows(self) -> Rows:
        """The container; one that narwhals knows has lost its schema, so types are Arrow's."""
        match self.kind:
            case "array":
                return ArrayRows(dtype_of(self.dtype))
            case "sparse":
                return SparseRows(self.format, self.array, dtype_of(self.dtype))
            case "pandas":
                return PandasRows(tuple((n, _sparse(d, fill)) for n, d, fill in self.sparse))
            case "other":
                return OtherRows(Container(self.name))
        return ListRows()


class SavedImages(Frozen):
    """A form of images; see `ImageForm`."""

    shape: tuple[PositiveInt, ...]
    dtype: str
    scale: Scale
    rows: SavedRows | None = None
    columns: tuple[Name, ...] = ()
    nested: bool = False

    @classmethod
    def of(cls, form: ImageForm) -> Self:
        """From a form."""
        return cls(
            shape=form.shape,
            dtype=form.dtype.str,
            scale=form.scale,
            rows=None if form.rows is None else SavedRows.of(form.rows),
            columns=form.columns,
            nested=form.nested,
        )

    def form(self) -> ImageForm:
        """The form again."""
        rows = None if self.rows is None else self.rows.rows()
        dtype = dtype_of(self.dtype)
        return ImageForm(self.shape, dtype, self.scale, rows, self.columns, self.nested)


class SavedLabels(Frozen):
    """Labels and their container. width: columns of an indicator. name: of "other" containers.

    unnamed: whether a series had no name.
    """

    names: tuple[str, ...]
    labels: tuple[Scalar, ...]
    container: LabelKind
    dtype: str
    column: TargetColumn | None = None
    width: NonNegativeInt = 0
    name: str = ""
    unnamed: bool = False

    @classmethod
    def of(cls, form: LabelForm) -> Self:
        """From a form. An indicator of any container is one in an array afterwards."""
        kind, name, width = _label_container(form.examples)
        whole = kind == "indicator" and hasattr(form.examples, "dtype")
        dtype = form.examples.dtype if whole else form.values.dtype
        return cls(
            names=form.names,
            labels=form.labels,
            container=kind,
            dtype=np.dtype(dtype).str,
            column=form.column,
            width=width,
            name=name,
            unnamed=getattr(form.examples, "name", None) in (None, ""),
        )

    def form(self) -> LabelForm:
        """The form again. Raises ValueError where its parts do not belong together."""
        if len(self.names) != len(self.labels):
            raise ValueError(f"{len(self.names)} classes have {len(self.labels)} labels")
        dtype = dtype_of(self.dtype)
        values = np.empty(len(self.labels), dtype=np.int64 if self.width else dtype)
        values[:] = self.labels
        return LabelForm(self.names, self.labels, values, self._examples(values), self.column)

    def _examples(self, values: Any) -> Any:
        match self.container:
            case "list":
                return list(self.labels)
            case "tuple":
                return self.labels
            case "array":
                return values
            case "indicator":
                return np.eye(self.width, dtype=dtype_of(self.dtype))[values]
        if self.column is None:
            raise ValueError("it does not say what the labels are")
        series = restored(np.arange(len(self.labels)), self.column.cells)
        if self.container == "series":
            return series.rename(None) if self.unnamed else series
        frame = series.to_frame()
        if self.container == "frame":
            return frame
        import narwhals as nw

        native = given_back(frame.rename(columns=str), Container(self.name))
        if self.container == "others":
            return native
        found = nw.from_native(native, eager_only=True)[str(self.column.name)]
        return (found.alias("") if self.unnamed else found).to_native()


def dtype_of(text: str) -> np.dtype[Any]:
    """A NumPy dtype of cells. Raises TypeError or ValueError for any other."""
    dtype = np.dtype(text)
    if dtype.kind not in _KINDS or dtype.itemsize > 1 << 16:
        raise ValueError(f"{text!r} is no dtype of cells")
    return dtype


def _sparse(dtype: str, fill: object) -> Any:
    import pandas as pd

    return pd.SparseDtype(dtype_of(dtype), fill)


def _label_container(examples: Any) -> tuple[LabelKind, str, int]:
    """(kind, name of another container, columns of an indicator)."""
    shape: tuple[int, ...] = getattr(examples, "shape", ())
    if len(shape) == 2 and (shape[1] > 1 or hasattr(examples, "tocsr")):
        return "indicator", "", int(shape[1])
    if isinstance(examples, list | tuple):
        if isinstance(examples[0], list | tuple | np.ndarray):
            return "indicator", "", len(examples[0])
        return ("tuple" if isinstance(examples, tuple) else "list"), "", 0
    if isinstance(examples, np.ndarray):
        return "array", "", 0
    if hasattr(examples, "iloc"):
        return ("frame" if len(shape) == 2 else "series"), "", 0
    import narwhals as nw

    known = nw.from_native(examples, allow_series=True)
    return ("others" if len(shape) == 2 else "other"), known.implementation.value, 0
