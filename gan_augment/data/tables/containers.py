"""Containers of rows: lists, arrays, sparse matrices, pandas, polars, Arrow.

`as_frame` is the door: behind it every column has one of pandas' plain dtypes, which are numbers
and booleans of NumPy or nullable ones, datetime64, text, and categories of Python scalars.
`rows_like` casts new rows to the container and the dtypes of the input.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from gan_augment.data.labels import check_flat
from gan_augment.errors import DataError

MOST_DENSE_BYTES = 256 << 20
"""Largest dense copy of a sparse table."""
_KINDS = "biufM"  # NumPy's letters of the plain dtypes
_OBJECTS = {"integer": "Int64", "integer-na": "Int64", "floating": "float64"}
_OBJECTS |= {"mixed-integer-float": "float64", "boolean": "boolean", "empty": "float64"}
_NULLABLE = {
    pa.type_for_alias(name.lower()): pd.api.types.pandas_dtype(name)
    for name in ("boolean", *(f"{sign}Int{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)))
}
"""pandas' nullable dtypes of Arrow's booleans and whole numbers."""


def as_frame(x: Any) -> pd.DataFrame:
    """Read a table (N, columns) as a pandas frame of plain dtypes; the data is not changed.

    x: a pandas or polars frame, an Arrow table, a list of rows, an array (columns are called 0 to
    C - 1), or a sparse matrix of at most 256 MiB when dense. Raises DataError for anything else.
    """
    if isinstance(x, list | tuple | np.ndarray):
        x = _frame_of_array(x)
    elif hasattr(x, "toarray"):
        _check_dense_size(x.shape[0] * x.shape[1] * x.dtype.itemsize)
        x = pd.DataFrame(x.toarray())
    elif not isinstance(x, pd.DataFrame):
        x = x.to_arrow() if hasattr(x, "to_arrow") else x  # polars
        if not isinstance(x, pa.Table):
            raise DataError(
                f"the table is a {type(x).__name__}; expected a pandas or polars frame, an Arrow "
                "table or an array of shape (N, columns). Collect a lazy frame: x.collect()"
            )
        x = arrow_frame(x)
    sparse = {name: one for name, one in x.dtypes.items() if isinstance(one, pd.SparseDtype)}
    if sparse:
        _check_dense_size(sum(len(x) * dtype.subtype.itemsize for dtype in sparse.values()))
        x = x.astype({name: dtype.subtype for name, dtype in sparse.items()})
    columns = [x.iloc[:, i] for i in range(len(x.columns))]
    plain = [plain_series(column) for column in columns]
    if all(new is old for new, old in zip(plain, columns, strict=True)):
        return x
    frame = pd.DataFrame(dict(enumerate(plain)), index=x.index, copy=False)
    return frame.set_axis(x.columns, axis=1)


def as_series(y: Any, n: int) -> pd.Series:
    """Read labels (n,) in any container as a series, matched by position, never by index."""
    if isinstance(y, np.ndarray):
        check_flat(y)
    if isinstance(y, list | tuple | np.ndarray):
        y = pd.Series(y)
    elif not isinstance(y, pd.Series):
        cells = y.to_arrow() if hasattr(y, "to_arrow") else y  # polars
        if not isinstance(cells, pa.Array | pa.ChunkedArray):
            raise DataError(
                f"labels are a {type(y).__name__}; expected a list, array or series, one per row, "
                "or the name of a column"
            )
        y = arrow_frame(pa.table({"y": cells}))["y"].rename(getattr(y, "name", None) or None)
    if len(y) != n:
        raise DataError(f"{n} rows and {len(y)} labels; expected one label per row")
    return y


def plain_series(series: pd.Series) -> pd.Series:
    """Return the cells in a plain dtype; the series itself where it has one.

    Objects become the type that all of them share; text among them keeps its dtype, with NaN for
    missing cells. Raises DataError for other dtypes and cells.
    """
    dtype: Any = series.dtype
    if dtype == np.dtype(object):
        return _from_objects(series)
    if isinstance(dtype, pd.CategoricalDtype):
        known = pd.Index(dtype.categories.tolist())
        odd = [one for one in known if not isinstance(one, str | bool | int | float)]
        if odd:
            raise _unsupported(series, f"categories of type {type(odd[0]).__name__}")
        if known.dtype == dtype.categories.dtype:
            return series
        return series.astype(pd.CategoricalDtype(known, dtype.ordered))
    plain = dtype.kind in _KINDS or isinstance(dtype, pd.StringDtype)
    if not plain or isinstance(dtype, pd.SparseDtype | pd.ArrowDtype):
        raise _unsupported(series, str(dtype))
    if dtype.kind == "u" and (series >= 2**63).any():
        raise _unsupported(series, f"{dtype} beyond 2^63")
    return series


def arrow_frame(table: pa.Table) -> pd.DataFrame:
    """Read an Arrow table as a frame: nullable whole numbers and booleans, plain other dtypes.

    Dictionaries become categories; pandas' metadata is ignored. Raises DataError for damaged ones.
    """
    views = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}
    fields = [field.with_type(views.get(field.type, field.type)) for field in table.schema]
    table = table.cast(pa.schema(fields)).unify_dictionaries()
    try:
        frame: pd.DataFrame = table.to_pandas(
            types_mapper=_NULLABLE.get, ignore_metadata=True, date_as_object=False
        )
    except ValueError as error:
        raise DataError(f"a column of the table is damaged: {error}") from None
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
        return np.asarray(x[:1], dtype=object).ndim, len(x)
    shape = getattr(x, "shape", None)
    if shape is None:
        shape = as_frame(x).shape  # raises DataError for other types
    return len(shape), int(shape[0]) if shape else 1


def take(rows: Any, index: NDArray[np.int64]) -> Any:
    """Take rows of any container; pandas objects get a default index."""
    if isinstance(rows, list | tuple):
        return type(rows)(rows[i] for i in index.tolist())
    if hasattr(rows, "iloc"):
        return rows.iloc[index].reset_index(drop=True)
    if hasattr(rows, "tocsr"):
        return rows.tocsr()[index].asformat(rows.format)
    arrow = isinstance(rows, pa.Table | pa.Array | pa.ChunkedArray)
    return rows.take(index) if arrow else rows[index]


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
    return pa.concat_tables([x, rows]) if isinstance(x, pa.Table) else x.vstack(rows)


def rows_like(x: Any, frame: pd.DataFrame) -> Any:
    """Return new rows in the container and the dtypes of X."""
    if isinstance(x, list | tuple):
        return frame.to_numpy(dtype=object, na_value=np.nan).tolist()  # Python scalars
    if isinstance(x, np.ndarray):
        if x.dtype == object:
            return frame.to_numpy(dtype=object, na_value=np.nan)
        text = x.dtype.kind == "U"  # of any length
        return frame.to_numpy().astype("U" if text else x.dtype, copy=False)
    if hasattr(x, "iloc"):
        return frame.astype(x.dtypes.to_dict())
    if hasattr(x, "tocsr"):
        return type(x)(frame.to_numpy().astype(x.dtype, copy=False))
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    if isinstance(x, pa.Table):
        return table.cast(x.schema.remove_metadata())
    return type(x)(table).cast(dict(x.schema))


def _frame_of_array(x: list[Any] | tuple[Any, ...] | NDArray[Any]) -> pd.DataFrame:
    cells = x if isinstance(x, np.ndarray) else np.asarray(x, dtype=object)
    if cells is not x and cells.ndim == 1:
        raise DataError(
            "the list holds single values, or rows of different lengths; expected the same number "
            "of values in each row"
        )
    if cells.ndim != 2:
        cure = "x.reshape(-1, 1)" if cells.ndim == 1 else "x.reshape(len(x), -1)"
        raise DataError(f"the array has shape {cells.shape}; expected (N, columns). Pass {cure}.")
    if cells.dtype.kind not in f"{_KINDS}OUm":
        raise DataError(f"the array is {cells.dtype}; expected numbers, booleans or text")
    return pd.DataFrame(cells)


def _from_objects(series: pd.Series) -> pd.Series:
    """Return objects as the dtype of all of them; text stays objects."""
    found = pd.api.types.infer_dtype(series, skipna=True)
    try:
        if found == "string":
            "".join(series.dropna()).encode()
            return series.where(series.notna(), np.nan) if series.hasnans else series
        if found in ("date", "datetime", "datetime64"):
            dates: pd.Series = pd.to_datetime(series)
            if dates.dtype.kind == "M":
                return dates
        elif found in _OBJECTS:
            return series.astype(_OBJECTS[found])
    except (ValueError, OverflowError, TypeError):  # several zones, beyond 64 bits, no UTF-8
        pass
    types = sorted({type(cell).__name__ for cell in series.dropna()})
    raise _unsupported(series, f"objects of type {', '.join(types[:5])}")


def _unsupported(series: pd.Series, what: str) -> DataError:
    return DataError(
        f"column {series.name!r} holds {what}, which is not supported; convert it first: to "
        "numbers with astype(float), to dates with pandas.to_datetime, to text with astype(str), "
        "Arrow's dtypes with pyarrow.Table.from_pandas(frame). Or drop it."
    )


def _check_dense_size(size_bytes: int) -> None:
    if size_bytes > MOST_DENSE_BYTES:
        raise DataError(
            f"X is sparse and would take {size_bytes >> 20:,} MiB as a dense table; at most "
            f"{MOST_DENSE_BYTES >> 20} MiB are made dense. Reduce its columns first, for example "
            "with TruncatedSVD or SelectKBest before GANAugmenter."
        )
