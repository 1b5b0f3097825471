"""Containers of rows: lists, arrays, sparse matrices, pandas, and all that narwhals knows.

What is no pandas frame, array, list or sparse matrix goes through narwhals and Arrow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.tables.containers import as_frame, given_back
from gan_augment.errors import DataError

if TYPE_CHECKING:
    from pandas import DataFrame, Index

MOST_DENSE_BYTES = 256 << 20
"""How large a sparse X may become as a dense one."""


def plain_container(x: Any) -> Any:
    """Anything that can only become an array (a tensor, say) as that array."""
    known = isinstance(x, np.ndarray | list | tuple) or any(
        hasattr(type(x), name) for name in ("iloc", "toarray", "__arrow_c_stream__", "columns")
    )
    return np.asarray(x) if not known and hasattr(x, "__array__") else x


def dimensions_of(x: Any) -> tuple[int, int]:
    """(how many dimensions X has, how many rows)."""
    if isinstance(x, list | tuple):
        dimensions, first = 1, x[0] if x else None
        while isinstance(first, list | tuple | np.ndarray) and dimensions < 5:
            dimensions, first = dimensions + 1, first[0] if len(first) else None
        return dimensions, len(x)
    shape = getattr(x, "shape", None)
    if shape is None:
        shape = as_frame(x)[0].shape  # raises, naming what would do
    return len(shape), int(shape[0]) if shape else 1


def take(rows: Any, index: NDArray[np.int64]) -> Any:
    """Rows of a list, an array, a sparse matrix, a series or a frame, in its own container."""
    if isinstance(rows, list | tuple):
        return type(rows)(rows[i] for i in index.tolist())
    if isinstance(rows, np.ndarray):
        return rows[index]
    if hasattr(rows, "iloc"):
        return rows.iloc[index].reset_index(drop=True)
    if hasattr(rows, "tocsr"):
        return rows.tocsr()[index].asformat(rows.format)
    import narwhals as nw

    return nw.from_native(rows, allow_series=True)[index.tolist()].to_native()


def concatenate(x: Any, rows: Any) -> Any:
    """X and, behind it, new rows of the same container.

    In pandas a default index goes on as one. Whole numbers go on after the largest, where their
    dtype has enough of them. Any other index is numbered anew, since no new name can be made up.
    """
    if isinstance(x, list | tuple):
        return [*x, *rows]
    if isinstance(x, np.ndarray):
        return np.concatenate([x, rows])
    if hasattr(x, "iloc"):
        import pandas as pd

        out = pd.concat([x, rows], ignore_index=True) if len(rows) else x.copy()
        out.columns, out.index = x.columns, index_of(x, len(rows))
        return out
    if hasattr(x, "tocsr"):
        from scipy import sparse

        return sparse.vstack([x, rows], format=x.format, dtype=x.dtype)
    import narwhals as nw

    return nw.concat([nw.from_native(x), nw.from_native(rows)]).to_native()


def frame_of(x: Any) -> DataFrame:
    """X (N, columns) as a pandas frame; what is sparse becomes dense, up to 256 MiB."""
    import pandas as pd

    if isinstance(x, list | tuple):
        lengths = {len(row) for row in x}
        if len(lengths) > 1:
            raise DataError(
                f"the rows of X hold {min(lengths)} to {max(lengths)} values; expected as many in "
                "each, one a column"
            )
        return pd.DataFrame([list(row) for row in x])
    if hasattr(x, "toarray"):
        _check_dense_size(x.shape[0] * x.shape[1] * x.dtype.itemsize)
        return pd.DataFrame(x.toarray())
    if isinstance(x, np.ndarray) and x.dtype.kind == "O":  # or pandas makes NaN of None
        return pd.DataFrame(x, dtype=object)
    frame = as_frame(x)[0]
    sparse = _sparse_dtypes(frame)
    if sparse:
        _check_dense_size(sum(len(frame) * dtype.subtype.itemsize for dtype in sparse.values()))
        frame = frame.astype({name: dtype.subtype for name, dtype in sparse.items()})
    return frame


def template_of(x: Any) -> Any:
    """X without its rows, by which new ones become what they are in X."""
    if isinstance(x, list | tuple):
        return []
    if hasattr(x, "iloc"):
        return x.iloc[:0]
    return x.tocsr()[:0] if hasattr(x, "tocsr") else x[:0]


def rows_like(template: Any, frame: DataFrame, sparse_format: str = "") -> Any:
    """New rows in the container of a template."""
    if template is None:
        return frame
    if isinstance(template, list):
        return frame.astype(object).to_numpy().tolist()  # Python's own numbers and texts
    if isinstance(template, np.ndarray):
        text = template.dtype.kind == "U"  # as long as they are
        return frame.to_numpy().astype("U" if text else template.dtype, copy=False)
    if hasattr(template, "iloc"):
        sparse = _sparse_dtypes(template)
        return frame.astype(sparse) if sparse else frame
    if hasattr(template, "tocsr"):
        values = frame.to_numpy().astype(template.dtype, copy=False)
        return type(template)(values).asformat(sparse_format or template.format)
    return given_back(frame, as_frame(template)[1])


def columns_of(template: Any) -> list[Any] | None:
    """The names of the columns; None where there are none."""
    names = getattr(template, "column_names", getattr(template, "columns", None))
    return None if names is None else list(names)


def index_of(frame: Any, added: int) -> Index:
    """The index of a frame or series with so many rows behind it; see `concatenate`."""
    import pandas as pd

    old, n = frame.index, len(frame) + added
    default = isinstance(old, pd.RangeIndex) and old.start == 0 and old.step == 1
    if default or old.nlevels > 1 or old.dtype.kind not in "iu" or not len(old):
        return pd.RangeIndex(n, name=old.name if default else None)
    first = int(old.max()) + 1
    if first + added > np.iinfo(getattr(old.dtype, "numpy_dtype", old.dtype)).max:
        return pd.RangeIndex(n)
    new = np.arange(added) + first
    return old.append(pd.Index(new, dtype=old.dtype, name=old.name))


def _sparse_dtypes(frame: DataFrame) -> dict[Any, Any]:
    import pandas as pd

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
