"""Containers of tables as pandas frames and back: polars, Arrow, NumPy. No meaning, no files.

Whatever is no pandas frame goes through Arrow, so that whole numbers with gaps, dates, categories
and decimals keep their types.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
import pyarrow as pa

from gan_augment.errors import DataError


@dataclass(frozen=True)
class Container:
    """What a table came in. name: "pandas", "numpy", "pyarrow", "polars", ...; schema: its own."""

    name: str
    schema: Any = None


def as_frame(x: Any) -> tuple[pd.DataFrame, Container]:
    """(a pandas frame, what it came in). The caller's data is not changed, and seldom copied.

    x: a pandas, polars or other eager frame that narwhals knows, an Arrow table, or an array (N, C)
    whose columns are then called 0 .. C - 1. Raises DataError for anything else.
    """
    if isinstance(x, pd.DataFrame):
        return x, Container("pandas")
    if isinstance(x, np.ndarray | list | tuple):
        return _array_frame(x), Container("numpy")
    if hasattr(x, "toarray"):
        raise DataError("the table is a sparse matrix; pass it dense: x.toarray()")
    if hasattr(x, "collect"):
        raise DataError(f"the table is a lazy {type(x).__name__}; pass x.collect()")
    try:
        frame = nw.from_native(x, eager_only=True)
    except TypeError:
        raise DataError(
            f"the table is a {type(x).__name__}; expected a pandas or polars frame, an Arrow table "
            "or an array of shape (N, columns)"
        ) from None
    container = Container(frame.implementation.value, getattr(x, "schema", None))
    return arrow_frame(frame.to_arrow()), container


def as_series(y: Any, n: int) -> pd.Series:
    """Labels (n,) in any container as a series; rows are matched by position, never by index."""
    if isinstance(y, pd.Series):
        series = y
    elif isinstance(y, list | tuple | np.ndarray):
        shape = np.shape(y) if isinstance(y, np.ndarray) else (n,)
        if len(shape) != 1:
            cure = "y.argmax(axis=1)" if len(shape) == 2 and shape[1] > 1 else "y.ravel()"
            raise DataError(f"labels have shape {shape}; expected (N,), one a row. Pass {cure}.")
        series = pd.Series(y if isinstance(y, np.ndarray) else list(y))
    else:
        try:
            native = nw.from_native(y, series_only=True)
        except TypeError:
            raise DataError(
                f"labels are a {type(y).__name__}; expected a list, an array or a series, one a row"
            ) from None
        cells = pd.arrays.ArrowExtensionArray(native.to_arrow())
        series = pd.Series(cells, name=native.name or None)
    if len(series) != n:
        raise DataError(f"{n} rows and {len(series)} labels; expected one label a row")
    return series


def given_back(frame: pd.DataFrame, container: Container) -> Any:
    """A pandas frame in the container that `as_frame` found, types included where it has schema."""
    if container.name == "pandas":
        return frame
    if container.name == "numpy":
        return frame.to_numpy()
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    if container.name == "pyarrow":
        fields = {field.name: field for field in container.schema or ()}
        return table.cast(pa.schema([fields.get(field.name, field) for field in table.schema]))
    backend: Any = container.name
    native: Any = nw.from_arrow(table, backend=backend).to_native()
    if container.name != "polars":
        return native
    dtypes = dict(container.schema or {})
    return native.cast({name: dtypes[name] for name in native.columns if name in dtypes})


def arrow_frame(table: pa.Table) -> pd.DataFrame:
    """An Arrow table as a frame of Arrow dtypes; what pandas once wrote into it is ignored."""
    views = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}
    fields = [field.with_type(views.get(field.type, field.type)) for field in table.schema]
    if any(field.type in views for field in table.schema):
        table = table.cast(pa.schema(fields))
    frame: pd.DataFrame = table.to_pandas(types_mapper=pd.ArrowDtype, ignore_metadata=True)
    return frame


def _array_frame(x: Any) -> pd.DataFrame:
    try:
        values = np.asarray(x)
    except ValueError:
        raise DataError(
            "the rows are of different lengths; expected a table (N, columns)"
        ) from None
    if values.dtype.names is not None:
        raise DataError("the table is a structured array; pass pandas.DataFrame(x)")
    if values.ndim != 2:
        cure = "x.reshape(-1, 1)" if values.ndim == 1 else "x.reshape(len(x), -1)"
        raise DataError(f"the array has shape {values.shape}; expected (N, columns). Pass {cure}.")
    if values.dtype.kind not in "biufOUMm":
        raise DataError(f"the array is {values.dtype}; expected numbers, booleans or text")
    return pd.DataFrame(values)
