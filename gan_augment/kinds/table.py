"""`TABLE`: labelled rows of a data frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from gan_augment.errors import DataError, plural
from gan_augment.kinds.kind import Kind, KindName, Labelled, RecipeKind, check_model_classes


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

    def features(self, data: Labelled) -> Any:
        """Return the data frame under a new index."""
        return data.frame.reset_index(drop=True)

    def from_features(self, features: Any, like: Labelled) -> Any:
        """Return a data frame with the columns of `like`, under a new index."""
        import pandas as pd

        return pd.DataFrame(features, columns=like.frame.columns).reset_index(drop=True)

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

    def content(self, data: Labelled) -> Iterator[bytes | memoryview]:
        """Yield names, dtypes and cells; the index does not count."""
        import pandas as pd

        for number, (name, dtype) in enumerate(data.frame.dtypes.items()):
            yield repr((name, str(dtype))).encode("utf-8", "surrogatepass")
            column = data.frame.iloc[:, number]
            yield pd.util.hash_pandas_object(column, index=False).to_numpy().data

    def schema(self, data: Labelled, overrides: Any = None) -> Any:
        """Return the columns as inferred from the rows; overrides: chosen kinds of columns."""
        from gan_augment.data.tables.inference import infer_schema

        return infer_schema(data.frame, overrides)

    def suffix(self, rate: int | None) -> str:
        """Return ".csv": all rows go to one file."""
        return ".csv"

    def check_model(self, data: Labelled, meta: Any, schema: Any = None) -> None:
        """Raise DataError if the model has other classes, columns or types.

        All numbers are of one type, and so are all dates: CSV and Parquet files give the same cells
        other dtypes.
        """
        check_model_classes(data, meta)
        mine, theirs = (
            {column.name: column for column in one.columns} for one in (schema, meta.table)
        )
        for name in [*theirs, *mine]:
            both = [columns.get(name) for columns in (mine, theirs)]
            types = {one and ("M" if one.unit else one.pandas_dtype.kind) for one in both}
            if len(types) > 1 and not types <= set("iuf"):
                here, there = (one.dtype if one else "not there" for one in both)
                raise DataError(
                    f"column {name!r} is {here} in the data and {there} in the model; fit a model "
                    "to this data."
                )

    def describe(self, data: Labelled) -> str:
        """Return the number of rows and columns."""
        rows, classes = plural(len(data), "row"), plural(len(data.names), "class")
        return f"{rows} of {classes}; {plural(len(data.frame.columns), 'column')}"

    def html(self, data: Labelled) -> str:
        """Return the rows of each class under the names of the columns."""
        names = [data.names[label] for label in data.labels]
        table = data.frame.set_axis(names).to_html(max_cols=12)
        return f'<div style="overflow-x: auto">{table}</div>'

    def facts(self, data: Labelled) -> dict[str, Any]:
        """Return the column names."""
        return {"columns": [str(name) for name in data.frame.columns]}


TABLE = TableKind()
