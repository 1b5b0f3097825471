"""X as a table: any container of rows and columns, read into the contract and given back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from gan_augment.data.contract import LabelledTable
from gan_augment.data.tables.inference import column_names, infer_schema
from gan_augment.data.tables.schema import Name, Overrides, TableSchema
from gan_augment.errors import DataError, UsageError, warn
from gan_augment.sklearn_api.containers import Rows, rows_of
from gan_augment.sklearn_api.label_form import ReadLabels


@dataclass(frozen=True)
class TableForm:
    """The container of a table, and what its columns are (`schema`, the labels' among them)."""

    rows: Rows
    schema: TableSchema
    kind: Literal["table"] = "table"

    def given_back(self, data: LabelledTable) -> Any:
        """New rows of the contract in X's container, dtypes and columns as there."""
        return self.rows.given_back(data.frame)

    def joined(self, x: Any, rows: Any) -> Any:
        """X, and new rows behind it."""
        return self.rows.joined(x, rows)


def read_table_form(
    x: Any, labels: ReadLabels, categorical_features: ArrayLike | str | None
) -> tuple[LabelledTable, TableForm]:
    """X (N, columns) as a labelled table. categorical_features: as of `GANAugmenter`.

    Raises DataError for what no table can be read from, UsageError for unknown columns.
    """
    rows = rows_of(x)
    frame = rows.frame(x)
    n, columns = frame.shape
    if not columns or not n:
        what = "sample" if columns else "feature"
        raise DataError(
            f"X has 0 {what}(s) (shape={frame.shape}) while a minimum of 1 is required."
        )
    overrides = columns_of_levels(categorical_features, column_names(frame))
    schema = infer_schema(frame, overrides).model_copy(update={"target": labels.form.column})
    table = LabelledTable(
        frame=frame,
        labels=labels.codes,
        ids=np.array([f"row-{row:06d}" for row in range(n)]),
        class_names=labels.form.names,
    )
    _warn_of_ids(schema)
    return table, TableForm(rows, schema)


def columns_of_levels(features: ArrayLike | str | None, names: list[Name]) -> Overrides:
    """Kinds of the columns that are said to hold levels: by name, by number, or by a mask.

    >>> columns_of_levels([0, "zip"], ["colour", "price", "zip"]).columns
    {'colour': 'categorical', 'zip': 'categorical'}
    """
    if features is None or (isinstance(features, str) and features == "infer"):
        return Overrides()
    if isinstance(features, str):
        raise UsageError(
            f"categorical_features={features!r}; expected 'infer', or a list of names or numbers "
            f"of columns, such as [{features!r}]"
        )
    listed = list(np.asarray(features, dtype=object).ravel())
    if listed and all(isinstance(one, bool | np.bool_) for one in listed):
        if len(listed) != len(names):
            raise UsageError(
                f"categorical_features is a mask of {len(listed)} values; X has {len(names)} "
                "columns. Expected one value a column."
            )
        return Overrides.of(categorical=[n for n, on in zip(names, listed, strict=True) if on])
    return Overrides.of(categorical=[_column(one, names) for one in listed])


def _warn_of_ids(schema: TableSchema) -> None:
    """Numbers that go on tell a classifier which rows were added; so does text that is numbered."""
    ids = [f"{column.name!r} ({column.why})" for column in schema.columns if column.kind == "id"]
    if ids:
        warn(
            f"columns taken for ids are not learned, and new rows are numbered on: "
            f"{', '.join(ids[:5])}. A classifier could tell added rows by them: drop them before "
            "GANAugmenter, or name those that hold levels in categorical_features"
        )


def _column(one: Any, names: list[Name]) -> Name:
    """A column's name from its name or, where none is called so, its number."""
    if isinstance(one, int | np.integer) and int(one) not in names:
        if not -len(names) <= one < len(names):
            raise UsageError(
                f"categorical_features names column {int(one)}; X has {len(names)} columns, "
                f"0 to {len(names) - 1}"
            )
        return names[int(one)]
    return int(one) if isinstance(one, int | np.integer) else str(one)
