"""Containers of rows: lists, arrays, sparse matrices, pandas, polars, Arrow.

Frames other than pandas go through Arrow, which keeps the types of whole numbers with gaps, dates
and categories.
"""

from __future__ import annotations

from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from gan_augment.errors import DataError

MOST_DENSE_BYTES = 256 << 20
"""Largest dense copy of a sparse table."""


def as_frame(x: Any) -> pd.DataFrame:
    """Read a table (N, columns) as a pandas frame; the data is not changed.

    x: an eager frame that narwhals knows (pandas, polars, Arrow, ...), a list of rows, an array
    (columns are called 0 to C - 1), or a sparse matrix of at most 256 MiB when dense. Raises
    DataError for anything else.
    """
    if isinstance(x, list | tuple):
        lengths = {len(row) if isinstance(row, list | tuple | np.ndarray) else 0 for row in x}
        if len(lengths) > 1:
            raise DataError(
                f"the rows of X are of different lengths: they hold {min(lengths)} to "
                f"{max(lengths)} values; expected the same number in each"
            )
        if lengths - {0}:
            return pd.DataFrame([list(row) for row in x])
        x = np.asarray(x)
    if isinstance(x, np.ndarray):
        if x.ndim != 2:
            cure = "x.reshape(-1, 1)" if x.ndim == 1 else "x.reshape(len(x), -1)"
            raise DataError(f"the array has shape {x.shape}; expected (N, columns). Pass {cure}.")
        if x.dtype.kind not in "biufOUMm":
            raise DataError(f"the array is {x.dtype}; expected numbers, booleans or text")
        return pd.DataFrame(x, dtype=object if x.dtype.kind == "O" else None)  # None stays None
    if hasattr(x, "toarray"):
        _check_dense_size(x.shape[0] * x.shape[1] * x.dtype.itemsize)
        return pd.DataFrame(x.toarray())
    if not isinstance(x, pd.DataFrame):
        try:
            return arrow_frame(nw.from_native(x, eager_only=True).to_arrow())
        except TypeError:
            raise DataError(
                f"the table is a {type(x).__name__}; expected a pandas or polars frame, an Arrow "
                "table or an array of shape (N, columns). Collect a lazy frame: x.collect()"
            ) from None
    sparse = _sparse_dtypes(x)
    _check_dense_size(sum(len(x) * dtype.subtype.itemsize for dtype in sparse.values()))
    return x.astype({name: dtype.subtype for name, dtype in sparse.items()}) if sparse else x


def as_series(y: Any, n: int) -> pd.Series:
    """Read labels (n,) in any container as a series, matched by position, never by index."""
    if isinstance(y, pd.Series):
        series = y
    elif isinstance(y, list | tuple | np.ndarray):
        shape = np.shape(y) if isinstance(y, np.ndarray) else (n,)
        if len(shape) != 1:
            cure = "y.argmax(axis=1)" if len(shape) == 2 and shape[1] > 1 else "y.ravel()"
            raise DataError(f"labels have shape {shape}; expected (N,), one per row. Pass {cure}.")
        series = pd.Series(y if isinstance(y, np.ndarray) else list(y))
    else:
        try:
            native = nw.from_native(y, series_only=True)
        except TypeError:
            raise DataError(
                f"labels are a {type(y).__name__}; expected a list, array or series, one per row"
            ) from None
        series = arrow_frame(pa.table({"y": native.to_arrow()}))["y"].rename(native.name or None)
    if len(series) != n:
        raise DataError(f"{n} rows and {len(series)} labels; expected one label per row")
    return series


def arrow_frame(table: pa.Table) -> pd.DataFrame:
    """Read an Arrow table as a frame of Arrow dtypes; dictionaries become pandas categories.

    pandas' metadata in the table is ignored. Raises DataError for damaged dictionaries.
    """
    views = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}
    fields = [field.with_type(views.get(field.type, field.type)) for field in table.schema]
    table = table.cast(pa.schema(fields)).unify_dictionaries()

    def dtype_of(kind: Any) -> pd.ArrowDtype | None:
        return None if pa.types.is_dictionary(kind) else pd.ArrowDtype(kind)

    try:
        frame: pd.DataFrame = table.to_pandas(types_mapper=dtype_of, ignore_metadata=True)
    except ValueError as error:
        raise DataError(f"a dictionary column of the table is damaged: {error}") from None
    return frame


def plain_container(x: Any) -> Any:
    """Return array-likes such as tensors as arrays, and other containers as they are."""
    known = isinstance(x, np.ndarray | list | tuple) or any(
        hasattr(type(x), name) for name in ("iloc", "toarray", "__arrow_c_stream__", "columns")
    )
    return np.asarray(x) if not known and hasattr(x, "__array__") else x


def dimensions_of(x: Any) -> tuple[int, int]:
    """Return the number of dimensions of X, and of rows."""
    if isinstance(x, list | tuple):
        dimensions, first = 1, x[0] if x else None
        while isinstance(first, list | tuple | np.ndarray) and dimensions < 5:
            dimensions, first = dimensions + 1, first[0] if len(first) else None
        return dimensions, len(x)
    shape = getattr(x, "shape", None)
    if shape is None:
        shape = as_frame(x).shape  # raises DataError for other types
    return len(shape), int(shape[0]) if shape else 1


def take(rows: Any, index: NDArray[np.int64]) -> Any:
    """Take rows of any container; pandas objects get a default index."""
    if isinstance(rows, list | tuple):
        return type(rows)(rows[i] for i in index.tolist())
    if isinstance(rows, np.ndarray):
        return rows[index]
    if hasattr(rows, "iloc"):
        return rows.iloc[index].reset_index(drop=True)
    if hasattr(rows, "tocsr"):
        return rows.tocsr()[index].asformat(rows.format)
    return nw.from_native(rows, allow_series=True)[index.tolist()].to_native()


def concatenate(x: Any, rows: Any) -> Any:
    """Append new rows in the container of X. Pandas objects get a default index."""
    if isinstance(x, list | tuple):
        return [*x, *rows]
    if isinstance(x, np.ndarray):
        return np.concatenate([x, rows])
    if hasattr(x, "iloc"):
        out = pd.concat([x, rows] if len(rows) else [x], ignore_index=True)
        out.columns = x.columns
        return out
    if hasattr(x, "tocsr"):
        from scipy import sparse

        return sparse.vstack([x, rows], format=x.format, dtype=x.dtype)
    return nw.concat([nw.from_native(x), nw.from_native(rows)]).to_native()


def template_of(x: Any) -> Any:
    """Return X without its rows, as a pattern for new rows."""
    if isinstance(x, list | tuple):
        return []
    if hasattr(x, "iloc"):
        return x.iloc[:0]
    return x.tocsr()[:0] if hasattr(x, "tocsr") else x[:0]


def rows_like(template: Any, frame: pd.DataFrame, sparse_format: str = "") -> Any:
    """Return new rows in the container of a template."""
    if template is None:
        return frame
    if isinstance(template, list):
        return frame.astype(object).to_numpy().tolist()  # Python scalars
    if isinstance(template, np.ndarray):
        text = template.dtype.kind == "U"  # of any length
        return frame.to_numpy().astype("U" if text else template.dtype, copy=False)
    if hasattr(template, "iloc"):
        sparse = _sparse_dtypes(template)
        return frame.astype(sparse) if sparse else frame
    if hasattr(template, "tocsr"):
        values = frame.to_numpy().astype(template.dtype, copy=False)
        return type(template)(values).asformat(sparse_format or template.format)
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    schema: Any = getattr(template, "schema", None)
    if isinstance(template, pa.Table):
        fields = {field.name: field for field in schema}
        return table.cast(pa.schema([fields.get(field.name, field) for field in table.schema]))
    backend: Any = nw.from_native(template, eager_only=True).implementation
    native: Any = nw.from_arrow(table, backend=backend).to_native()
    if not backend.is_polars():
        return native
    dtypes = dict(schema)
    return native.cast({name: dtypes[name] for name in native.columns if name in dtypes})


def _sparse_dtypes(frame: pd.DataFrame) -> dict[Any, Any]:
    return {
        name: dtype for name, dtype in frame.dtypes.items() if isinstance(dtype, pd.SparseDtype)
    }


def _check_dense_size(size_bytes: int) -> None:
    if size_bytes > MOST_DENSE_BYTES:
        raise DataError(
            f"X is sparse and would take {size_bytes >> 20:,} MiB as a dense table; at most "
            f"{MOST_DENSE_BYTES >> 20} MiB are made dense. Reduce its columns first, for example "
            "with TruncatedSVD or SelectKBest before GANAugmenter."
        )
