"""X of two dimensions in whatever container it comes, as a pandas frame, and rows behind it again.

Whatever is no pandas frame, array, list or sparse matrix goes through narwhals and Arrow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.tables import containers as frames
from gan_augment.errors import DataError

if TYPE_CHECKING:
    from pandas import DataFrame, Index

MOST_DENSE_BYTES = 256 << 20
"""How large a sparse X may become as a dense one."""


class Rows(Protocol):
    """A container of rows (N, columns)."""

    def frame(self, x: Any) -> DataFrame:
        """x as a pandas frame; x is not changed."""

    def given_back(self, frame: DataFrame) -> Any:
        """New rows in this container."""

    def joined(self, x: Any, rows: Any) -> Any:
        """x and, behind it, new rows of the same container."""


@dataclass(frozen=True)
class ArrayRows:
    """A NumPy array of one dtype."""

    dtype: np.dtype[Any]

    def frame(self, x: Any) -> DataFrame:
        """Columns 0 .. C - 1."""
        import pandas as pd

        if x.dtype.kind == "O":  # or pandas makes text of it, and NaN of None
            return pd.DataFrame(x, dtype=object)
        return frames.as_frame(x)[0]

    def given_back(self, frame: DataFrame) -> NDArray[Any]:
        """(M, C), texts as long as they are."""
        values: NDArray[Any] = frame.to_numpy()
        return values.astype("U" if self.dtype.kind == "U" else self.dtype, copy=False)

    def joined(self, x: Any, rows: Any) -> NDArray[Any]:
        """(N + M, C)."""
        return np.concatenate([np.asarray(x), rows])


@dataclass(frozen=True)
class ListRows:
    """A list of lists, of which every column has a type of its own."""

    def frame(self, x: Any) -> DataFrame:
        """Columns 0 .. C - 1."""
        import pandas as pd

        lengths = {len(row) for row in x}
        if len(lengths) > 1:
            raise DataError(
                f"the rows of X hold {min(lengths)} to {max(lengths)} values; expected as many in "
                "each, one a column"
            )
        return pd.DataFrame([list(row) for row in x])

    def given_back(self, frame: DataFrame) -> list[list[Any]]:
        """Lists of Python's own numbers and texts."""
        cells: list[list[Any]] = frame.astype(object).to_numpy().tolist()
        return cells

    def joined(self, x: Any, rows: Any) -> list[Any]:
        """The same lists, and new ones."""
        return [*x, *rows]


@dataclass(frozen=True)
class SparseRows:
    """A SciPy sparse matrix or array; format: "csr", "coo", ...."""

    format: str
    array: bool
    dtype: np.dtype[Any]

    def frame(self, x: Any) -> DataFrame:
        """Dense, up to 256 MiB. Raises DataError beyond."""
        import pandas as pd

        check_dense_size(x.shape[0] * x.shape[1] * x.dtype.itemsize)
        return pd.DataFrame(x.toarray())

    def given_back(self, frame: DataFrame) -> Any:
        """Sparse again."""
        from scipy import sparse

        kind = sparse.csr_array if self.array else sparse.csr_matrix
        return kind(frame.to_numpy().astype(self.dtype, copy=False)).asformat(self.format)

    def joined(self, x: Any, rows: Any) -> Any:
        """In x's format."""
        from scipy import sparse

        return sparse.vstack([x, rows], format=self.format, dtype=self.dtype)


@dataclass(frozen=True)
class PandasRows:
    """A pandas frame. sparse: the dtypes of its sparse columns, by name.

    A default index goes on as one. Whole numbers go on after the largest, where their dtype has
    enough of them. Any other index is numbered anew, since no new name can be made up.
    """

    sparse: tuple[tuple[Any, Any], ...] = ()

    def frame(self, x: Any) -> DataFrame:
        """x itself; sparse columns are made dense, up to 256 MiB. Raises DataError beyond."""
        if not self.sparse:
            return x
        check_dense_size(sum(len(x) * dtype.subtype.itemsize for _, dtype in self.sparse))
        dense: DataFrame = x.astype({name: dtype.subtype for name, dtype in self.sparse})
        return dense

    def given_back(self, frame: DataFrame) -> DataFrame:
        """The rows, columns sparse as they were."""
        return frame.astype(dict(self.sparse)) if self.sparse else frame

    def joined(self, x: Any, rows: Any) -> DataFrame:
        """One frame, dtypes kept."""
        import pandas as pd

        out: DataFrame = pd.concat([x, rows], ignore_index=True) if len(rows) else x.copy()
        out.columns = x.columns
        out.index = index_of(x, len(rows))
        return out


@dataclass(frozen=True)
class OtherRows:
    """A polars frame, an Arrow table, or whatever else narwhals knows."""

    container: frames.Container

    def frame(self, x: Any) -> DataFrame:
        """Columns of Arrow dtypes."""
        return frames.as_frame(x)[0]

    def given_back(self, frame: DataFrame) -> Any:
        """In the container, types as they were."""
        return frames.given_back(frame, self.container)

    def joined(self, x: Any, rows: Any) -> Any:
        """One frame."""
        import narwhals as nw

        return nw.concat([nw.from_native(x), nw.from_native(rows)]).to_native()


def rows_of(x: Any) -> Rows:
    """The container that x is. Raises DataError for anything that has no rows and columns."""
    if isinstance(x, np.ndarray):
        return ArrayRows(x.dtype)
    if isinstance(x, list | tuple):
        return ListRows()
    if hasattr(x, "toarray"):
        from scipy import sparse

        return SparseRows(x.format, isinstance(x, sparse.sparray), x.dtype)
    if hasattr(x, "iloc"):
        import pandas as pd

        names = [(n, d) for n, d in x.dtypes.items() if isinstance(d, pd.SparseDtype)]
        return PandasRows(tuple(names))
    return OtherRows(frames.as_frame(x)[1])


def index_of(frame: Any, added: int) -> Index:
    """The index of a frame or series with so many rows behind it; see `PandasRows`."""
    import pandas as pd

    old, n = frame.index, len(frame) + added
    plain = isinstance(old, pd.RangeIndex) and old.start == 0 and old.step == 1
    if plain or old.nlevels > 1 or old.dtype.kind not in "iu" or not len(old):
        return pd.RangeIndex(n, name=old.name if plain else None)
    first = int(old.max()) + 1
    if first + added > np.iinfo(getattr(old.dtype, "numpy_dtype", old.dtype)).max:
        return pd.RangeIndex(n)
    new = np.arange(added) + first
    return old.append(pd.Index(new, dtype=old.dtype, name=old.name))


def check_dense_size(size_bytes: int) -> None:
    """Raise DataError where a dense copy would be too large."""
    if size_bytes > MOST_DENSE_BYTES:
        raise DataError(
            f"X is sparse and would take {size_bytes >> 20:,} MiB as a dense table; at most "
            f"{MOST_DENSE_BYTES >> 20} MiB are made dense. Reduce its columns first, for example "
            "with TruncatedSVD or SelectKBest before GANAugmenter."
        )
