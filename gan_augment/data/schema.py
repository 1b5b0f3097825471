"""What is known of a table's columns: kinds, types, ranges, levels. Models and words only.

The rules that find it out are in `infer_schema.py`; its use on cells is in `columns.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field

from gan_augment.data.cells.scalars import Scalar
from gan_augment.errors import DataError, UsageError, did_you_mean
from gan_augment.frozen import Frozen
from gan_augment.toml import read_toml

ColumnKind = Literal["numeric", "categorical", "boolean", "datetime", "id", "constant"]
LEARNED = ("numeric", "categorical", "boolean", "datetime")
Unit = Literal["D", "h", "m", "s", "ms", "us", "ns"]
Name = str | int
MissingAs = Literal["None", "nan", "NA", "NaT"]


class Column(Frozen):
    """One column: what it holds, and all that writes its cells again as the training data has them.

    name: as in the frame. dtype: `dtypes.dtype_text`. missing: training rows without a value.
    why: the reason for the kind, with its numbers.

    Numbers and moments. low, high, spikes: in whole `unit`s where there is one (of a duration, or
    since 1970 for moments, on the local clock where `wall`), else in the column's own numbers.
    spikes: values with >= 5 % of the known cells. integer: all are whole. decimals: digits after
    the point, at most 12, or None where they have no such end. origin: what `columns.plain`
    subtracts: `low` for moments and for integers beyond 2^53, else 0.
    zone: of moments, or "". python: the type of the objects in an object column of numbers or
    moments. text: how numbers or moments are written in a column of text.

    Levels. levels: the values seen, in order; a constant's one value. categories, ordered,
    categories_dtype: of a pandas category, unused categories included.
    missing_as: what stands for a missing cell in an object column.

    Ids. refill: "integers" continue after `last`, "strings" are synthetic-000001 after number
    `last`, "missing" leaves the cell empty.
    """

    name: Name
    kind: ColumnKind
    dtype: str
    missing: int = 0
    why: str = ""
    integer: bool = False
    decimals: int | None = None
    low: int | float | None = None
    high: int | float | None = None
    spikes: tuple[int | float, ...] = ()
    origin: int = 0
    unit: Unit | None = None
    wall: bool = False
    zone: str = ""
    python: str | None = None
    text: str | None = None
    levels: tuple[Scalar, ...] = ()
    categories: tuple[Scalar, ...] | None = None
    categories_dtype: str | None = None
    ordered: bool = False
    missing_as: MissingAs = "None"
    refill: Literal["integers", "strings", "missing"] | None = None
    last: int | None = None

    @property
    def learned(self) -> bool:
        """Whether a model learns it; ids and constants are filled in afterwards."""
        return self.kind in LEARNED

    @property
    def plain_spikes(self) -> tuple[float, ...]:
        """`spikes` as they stand among the numbers of `columns.plain`."""
        return tuple(float(value - self.origin) for value in self.spikes)


class TargetColumn(Frozen):
    """The column of labels. cells: its levels are the labels themselves, by class index.

    position: among the columns of the input, or None where labels were given beside the frame.
    """

    cells: Column
    position: int | None = None

    @property
    def name(self) -> Name:
        """As in the frame; "target" for labels that have no name."""
        return self.cells.name


class TableSchema(Frozen):
    """The feature columns in the frame's order, and the target where it is known."""

    columns: tuple[Column, ...]
    target: TargetColumn | None = None

    @cached_property
    def by_name(self) -> Mapping[Name, Column]:
        """Feature columns by name."""
        return {column.name: column for column in self.columns}

    @property
    def names(self) -> tuple[Name, ...]:
        """Names of the feature columns, in order."""
        return tuple(column.name for column in self.columns)

    @property
    def learned(self) -> tuple[Column, ...]:
        """The columns that a model learns, in order."""
        return tuple(column for column in self.columns if column.learned)

    def of(self, name: Name) -> Column:
        """The feature column of that name. Raises DataError with the nearest one."""
        try:
            return self.by_name[name]
        except KeyError:
            raise DataError(no_column(name, self.names)) from None

    def lines(self) -> list[str]:
        """A heading and a line a column: name, kind, dtype, missing, values, why."""
        from gan_augment.data.schema_words import schema_lines

        return schema_lines(self)


class Overrides(Frozen):
    """Kinds that the user decides, by column name; all others are inferred."""

    columns: dict[Name, ColumnKind] = Field(default_factory=dict)

    @classmethod
    def of(cls, **names: Iterable[Name]) -> Self:
        """From lists of names by kind. Raises UsageError for a name under two kinds.

        >>> Overrides.of(categorical=["zip"], id=["key"]).columns
        {'zip': 'categorical', 'key': 'id'}
        """
        kinds: dict[Name, Any] = {}
        for kind, listed in names.items():
            for name in listed:
                if kinds.setdefault(name, kind) != kind:
                    raise UsageError(
                        f"column {name!r} is said to be {kinds[name]} and {kind}; name it once"
                    )
        return cls.checked({"columns": kinds}, "column kinds")

    @classmethod
    def read(cls, path: Path) -> Self:
        """From a TOML file with a table `[columns]` of lines like `zip = "categorical"`."""
        values = read_toml(path)
        if "columns" not in values:
            raise UsageError(
                f'{path} has no table [columns]; expected lines like zip = "categorical" under it'
            )
        return cls.checked({"columns": values["columns"]}, str(path))

    def merged(self, later: Overrides) -> Overrides:
        """Both; where both name a column, `later` wins."""
        return Overrides(columns={**self.columns, **later.columns})

    def kinds_of(self, names: Iterable[Name]) -> dict[Name, ColumnKind]:
        """Kinds by the frame's own names; "3" finds column 3 where none is called "3".

        Raises UsageError for a name that the frame does not have.
        """
        held = list(names)
        by_text = {str(name): name for name in held}
        kinds: dict[Name, ColumnKind] = {}
        for name, kind in self.columns.items():
            known = name if name in held else by_text.get(str(name))
            if known is None:
                raise UsageError(no_column(name, held))
            kinds[known] = kind
        return kinds


def no_column(name: Name, names: Iterable[Name]) -> str:
    """The sentence for a name that no column has, with the nearest one that is there."""
    held = list(names)
    shown = ", ".join(repr(one) for one in held[:20])
    more = f" and {len(held) - 20} more" if len(held) > 20 else ""
    guess = did_you_mean(str(name), [str(one) for one in held])
    return f"there is no column {name!r}; the table has {shown}{more}.{guess}"
