"""What is known of a table's columns: kinds, types, ranges, levels. Models and words only.

The rules that find it out are in `infer_schema.py`; its use on cells is in `columns.py`.
"""

from __future__ import annotations

import base64
import datetime as dt
import math
import uuid
import zoneinfo
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import BeforeValidator, Field, PlainSerializer

from gan_augment.errors import DataError, UsageError, did_you_mean
from gan_augment.settings import Frozen, read_toml

_PLAIN = (str, bool, int, float)


def as_scalar(value: Any) -> object | None:
    """The cell as one of the types kept here (NumPy's as Python's), or None where it is none.

    >>> as_scalar(np.int8(3)), as_scalar([3])
    (3, None)
    """
    kept: object = value
    if type(value) in _PLAIN:
        return kept
    if isinstance(value, np.generic) and not isinstance(value, np.datetime64 | np.timedelta64):
        value = kept = value.item()
    if type(value) in (*_WRITE, *_pandas_kinds()):
        return kept
    plain = (type_ for type_ in _PLAIN if isinstance(value, type_))  # enumerations and the like
    return next((type_(value) for type_ in plain), None)


def to_json(value: object) -> object:
    """JSON's form of a cell that `as_scalar` let through."""
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(value)}
    if isinstance(value, str) and not value.isascii():
        return value if _is_unicode(value) else {"surrogates": _base64(value)}
    if type(value) in _PLAIN:
        return value
    kind = type(value)
    if kind in _WRITE:
        name, write, _ = _WRITE[kind]
        return {name: write(value)}
    return _pandas_to_json(value)


def from_json(value: object) -> object:
    """The cell of `to_json`; cells pass as they are."""
    if not isinstance(value, dict) or len(value) != 1:
        return value
    ((name, held),) = value.items()
    if name == "float":
        return float(held)
    if name == "surrogates":
        return base64.b64decode(held).decode("utf-8", "surrogatepass")
    for known, _, read in _WRITE.values():
        if known == name:
            return read(held)
    return _pandas_from_json(name, held)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _base64(text: str) -> str:
    return base64.b64encode(text.encode("utf-8", "surrogatepass")).decode()


def _write_datetime(value: dt.datetime) -> list[object]:
    naive = value.replace(tzinfo=None, fold=0).isoformat()
    if value.tzinfo is None:
        return [naive]
    offset = value.utcoffset() or dt.timedelta()
    key = getattr(value.tzinfo, "key", None)
    return [naive, key or offset.total_seconds(), value.fold]


def _read_datetime(held: list[Any]) -> dt.datetime:
    naive = dt.datetime.fromisoformat(held[0])
    if len(held) == 1:
        return naive
    zone: dt.tzinfo
    if isinstance(held[1], str):
        zone = zoneinfo.ZoneInfo(held[1])
    else:
        zone = dt.timezone(dt.timedelta(seconds=held[1])) if held[1] else dt.UTC
    return naive.replace(tzinfo=zone, fold=held[2])


_WRITE: dict[type, tuple[str, Callable[[Any], object], Callable[[Any], object]]] = {
    Decimal: ("decimal", str, Decimal),
    dt.datetime: ("datetime", _write_datetime, _read_datetime),
    dt.date: ("date", dt.date.isoformat, dt.date.fromisoformat),
    dt.time: ("time", dt.time.isoformat, dt.time.fromisoformat),
    dt.timedelta: (
        "timedelta",
        lambda v: [v.days, v.seconds, v.microseconds],
        lambda held: dt.timedelta(*held),
    ),
    bytes: ("bytes", lambda v: base64.b64encode(v).decode(), base64.b64decode),
    uuid.UUID: ("uuid", str, uuid.UUID),
    tuple: (
        "tuple",
        lambda v: [to_json(one) for one in v],
        lambda held: tuple(from_json(one) for one in held),
    ),
}


def _pandas_kinds() -> tuple[type, ...]:
    import pandas as pd

    return (pd.Timestamp, pd.Timedelta, pd.Interval, pd.Period)


def _pandas_to_json(value: Any) -> object:
    import pandas as pd

    if isinstance(value, pd.Interval):
        left, right = (to_json(as_scalar(end)) for end in (value.left, value.right))
        return {"interval": [left, right, value.closed]}
    if isinstance(value, pd.Period):
        return {"period": [value.ordinal, value.freqstr]}
    ticks = int(value.asm8.view("int64"))
    if isinstance(value, pd.Timedelta):
        return {"Timedelta": [ticks, value.unit]}
    return {"Timestamp": [ticks, value.unit, None if value.tz is None else str(value.tz)]}


def _pandas_from_json(name: str, held: Any) -> object:
    import pandas as pd

    if name == "interval":
        return pd.Interval(from_json(held[0]), from_json(held[1]), closed=held[2])
    if name == "period":
        return pd.Period(ordinal=held[0], freq=held[1])
    if name == "Timedelta":
        return pd.Timedelta(np.timedelta64(held[0], held[1])).as_unit(held[1])
    if name == "Timestamp":
        moment = pd.Timestamp(np.datetime64(held[0], held[1])).as_unit(held[1])
        return moment if held[2] is None else moment.tz_localize("UTC").tz_convert(held[2])
    raise ValueError(f"there is no kind of cell called {name!r}")


def _read(value: object) -> object:
    """`from_json` for pydantic, which takes a ValueError alone as a refusal."""
    try:
        return from_json(value)
    except (TypeError, LookupError, ArithmeticError, AttributeError, OSError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from None


Scalar = Annotated[object, BeforeValidator(_read), PlainSerializer(to_json)]


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


HEADING = ("column", "kind", "type", "missing", "values", "why")
WIDEST_NAME = 32
WIDEST_VALUES = 44


def schema_lines(schema: TableSchema) -> list[str]:
    """A heading and a line a column, padded to columns; the target last."""
    rows = [HEADING, *(_row(column, column.kind) for column in schema.columns)]
    if schema.target is not None:
        rows.append(_row(schema.target.cells, "target"))
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADING) - 1)]
    return [
        "  ".join(
            [*(cell.ljust(w) for cell, w in zip(row, widths, strict=False)), row[-1]]
        ).rstrip()
        for row in rows
    ]


def values_in_words(column: Column) -> str:
    """The levels, or the range, of a column.

    >>> from gan_augment.data.tables.schema import Column
    >>> values_in_words(Column(name="a", kind="numeric", dtype="int64", low=1, high=90))
    '1 to 90'
    """
    if column.low is not None and column.high is not None and column.kind != "id":
        return f"{_bound(column, column.low)} to {_bound(column, column.high)}"
    if column.kind == "id" or not column.levels:
        return ""
    shown = ", ".join(str(level) for level in column.levels[:6])
    count = f"{len(column.levels)} levels: " if len(column.levels) > 1 else ""
    more = ", ..." if len(column.levels) > 6 else ""
    return _short(f"{count}{shown}{more}", WIDEST_VALUES)


def _row(column: Column, kind: str) -> tuple[str, ...]:
    name = _short(str(column.name), WIDEST_NAME)
    missing = str(column.missing) if column.missing else ""
    return name, kind, _short(column.dtype, 28), missing, values_in_words(column), column.why


def _bound(column: Column, bound: int | float) -> str:
    if column.unit is None:
        return str(bound) if isinstance(bound, int) else f"{bound:.6g}"
    if column.kind != "datetime":
        return str(np.timedelta64(int(bound), column.unit))
    moment = np.datetime64(int(bound), column.unit)
    if column.zone and not column.wall:  # else it is on the local clock already
        import pandas as pd

        utc = pd.DatetimeIndex([moment.astype("M8[s]")]).tz_localize("UTC")
        moment = utc.tz_convert(column.zone).tz_localize(None).to_numpy()[0]
    return str(moment).replace("T", " ")


def _short(text: str, width: int) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= width else plain[: width - 3] + "..."
