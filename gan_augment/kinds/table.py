"""`TABLE`: labelled rows of a data frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from gan_augment.errors import DataError
from gan_augment.kinds.kind import Kind, KindName, Labelled, RecipeKind, check_model_classes

_FAMILIES = {
    "number": ("int", "uint", "float", "double", "halffloat", "decimal"),
    "boolean": ("bool",),
    "time": ("datetime64", "timestamp", "date"),
    "text": ("object", "str", "large_string", "category", "dictionary"),
}


class TableKind(Kind):
    """Tables: a pandas data frame of the feature columns (no target), with unique column names."""

    name: ClassVar[KindName] = "table"
    unit: ClassVar[str] = "rows"
    recipes: ClassVar[RecipeKind] = "table"
    tabular: ClassVar[bool] = True

    def check(self, data: Labelled) -> None:
        """Raise DataError unless the rows are a data frame with unique column names."""
        columns = getattr(data.rows, "columns", None)
        if columns is None or not hasattr(data.rows, "iloc"):
            raise DataError(
                f"the table is a {type(data.rows).__name__}; expected a pandas DataFrame. "
                "gan_augment.read_frame converts other containers."
            )
        if not columns.is_unique:
            twice = list(dict.fromkeys(columns[columns.duplicated()].tolist()))
            raise DataError(
                f"columns {twice} occur more than once; expected unique column names. Rename or "
                "drop the copies."
            )

    def take(self, rows: Any, index: NDArray[np.int64]) -> Any:
        """Return the rows at the given positions, with their index."""
        return rows.iloc[index]

    def concat(self, parts: Sequence[Any]) -> Any:
        """Join data frames, in order, under a new index."""
        import pandas as pd

        return pd.concat(list(parts), ignore_index=True)

    def joined(self, data: Labelled, more: Labelled) -> Any:
        """Return the rows of both; raise DataError if columns are absent or of another type."""
        import pandas as pd

        columns = list(data.frame.columns)
        lacking = [str(name) for name in columns if name not in more.frame.columns]
        if lacking:
            raise DataError(f"the test rows lack the columns {', '.join(lacking)}")
        for name in columns:
            own, other = data.frame[name].dropna(), more.frame[name].dropna()
            numbers = [pd.api.types.is_numeric_dtype(cells.dtype) for cells in (own, other)]
            if len(own) and len(other) and numbers[0] != numbers[1]:
                words = [f"{'numbers' if n else 'texts'}, such as" for n in numbers]
                raise DataError(
                    f"the column {str(name)!r} holds {words[0]} {own.iloc[0]} in the data, and "
                    f"{words[1]} {other.iloc[0]} in the test rows; write it alike in both"
                )
        return self.concat([data.frame, more.frame[columns]])

    def shape(self, data: Labelled) -> list[Any]:
        """Return the column names."""
        return list(data.frame.columns)

    def features(self, data: Labelled) -> Any:
        """Return the data frame."""
        return data.frame

    def flat(self, data: Labelled) -> Any:
        """Return the data frame under a new index."""
        return data.frame.reset_index(drop=True)

    def from_flat(self, flat: Any, like: Labelled) -> Any:
        """Return a data frame with the columns of `like`, under a new index."""
        import pandas as pd

        return pd.DataFrame(flat, columns=like.frame.columns).reset_index(drop=True)

    def item_rows(self, data: Labelled) -> NDArray[np.float64]:
        """Return the cells, (n, columns). Raises DataError if a column is not numbers."""
        dtypes = data.frame.dtypes.items()
        text = [str(name) for name, dtype in dtypes if dtype.kind not in "biuf"]
        if text:
            raise DataError(
                f"columns {text[:10]} are not numbers, so a row is not a vector; encode them "
                "before the model is fitted, or sample a frame from the model itself"
            )
        numbers: NDArray[np.float64] = data.frame.to_numpy(dtype=np.float64)
        return numbers

    def row_keys(self, data: Labelled) -> list[str]:
        """Return one key per row; equal cells have equal keys."""
        import pandas as pd

        return [str(value) for value in pd.util.hash_pandas_object(data.frame, index=False)]

    def sha256(self, data: Labelled, unlabelled: Labelled | None = None) -> str:
        """Return the fingerprint of cells, labels, ids, groups and class names."""
        from gan_augment.data.tables.columns import table_sha256

        return table_sha256(data, unlabelled)

    def schema(self, data: Labelled, overrides: Any = None) -> Any:
        """Return the columns as inferred from the rows; overrides: chosen kinds of columns."""
        from gan_augment.data.tables.inference import infer_schema

        return infer_schema(data.frame, overrides)

    def suffix(self, rate: int | None) -> str:
        """Return ".csv": all rows go to one file."""
        return ".csv"

    def encode(self, data: Labelled) -> list[bytes]:
        """Refuse: rows of a table are not separate files."""
        raise NotImplementedError("rows of a table are written together, by write_table")

    def check_model(self, data: Labelled, meta: Any, schema: Any = None) -> None:
        """Raise DataError if the model has other classes, columns or types."""
        check_model_classes(data, meta)
        mine = {column.name: column.dtype for column in schema.columns}
        theirs = {column.name: column.dtype for column in meta.table.columns}
        for name in [*theirs, *mine]:
            here, there = mine.get(name, "not there"), theirs.get(name, "not there")
            if _family(here) != _family(there):
                raise DataError(
                    f"column {name!r} is {here} in the data and {there} in the model; fit a model "
                    "to this data."
                )

    def describe(self, data: Labelled) -> str:
        """Return the number of rows and columns."""
        n, classes, columns = len(data), len(data.names), len(data.frame.columns)
        return f"{n} rows of {classes} classes; {columns} columns"

    def facts(self, data: Labelled) -> dict[str, Any]:
        """Return the column names."""
        return {"columns": [str(name) for name in data.frame.columns]}


TABLE = TableKind()


def _family(dtype: str) -> str:
    """Return the family of a dtype: CSV and Parquet files may give the same cells different dtypes.

    >>> _family("arrow:int64") == _family("Int64") == _family("float64")
    True
    """
    plain = dtype.removeprefix("arrow:").lower()
    return next((name for name, start in _FAMILIES.items() if plain.startswith(start)), plain)
