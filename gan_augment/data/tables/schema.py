"""What is known of a table's columns: kinds, types, ranges, levels; as JSON and as lines of text.

The rules that find it out are in `inference.py`; its use on cells is in `columns.py`.
"""

from __future__ import annotations

import base64
import datetime as dt
import math
import re
import zoneinfo
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import numpy as np
from pydantic import BeforeValidator, Field, PlainSerializer

from gan_augment.data.tables import MissingAs, Unit
from gan_augment.errors import DataError, UsageError, did_you_mean
from gan_augment.settings import Frozen, read_toml

ColumnKind = Literal["numeric", "categorical", "boolean", "datetime", "id", "constant"]
if TYPE_CHECKING:
    import pandas as pd

Codec = tuple[str, Callable[[Any], object], Callable[[Any], object]]
_PLAIN = (str, int, float, bool, type(None))
LEARNED = ("numeric", "categorical", "boolean", "datetime")
Name = str | int
_HEADING = ("column", "kind", "type", "missing", "values", "why")
_WIDEST_NAME = 32
_WIDEST_TYPE = 28
_WIDEST_VALUES = 44
_TIMESTAMP = re.compile(r"timestamp\[(\w+), tz=(.+)\]")
_DECIMAL = re.compile(r"(decimal\d+)\((\d+), (-?\d+)\)")
_DICTIONARY = re.compile(r"dictionary<values=(.+), indices=(\w+), ordered=([01])>")


def to_json(cell: object) -> object:
    """Return JSON's form of a cell that `columns.as_scalar` let through.

    What JSON has (text, whole numbers, booleans, finite floats) stands as it is; anything else
    becomes an object of one entry.

    >>> to_json(dt.date(2024, 1, 31))
    {'date': '2024-01-31'}
    """
    if isinstance(cell, float) and not math.isfinite(cell):
        return {"float": repr(cell)}
    if isinstance(cell, str) and cell.encode("utf-8", "replace").decode() != cell:
        return {"surrogates": base64.b64encode(cell.encode("utf-8", "surrogatepass")).decode()}
    if type(cell) in _PLAIN or type(cell) not in _codecs():
        return cell
    name, write, _ = _codecs()[type(cell)]
    return {name: write(cell)}


def from_json(value: object) -> object:
    """Return the cell of `to_json`; cells pass as they are. Raises ValueError for anything else."""
    if not isinstance(value, dict) or len(value) != 1:
        return value
    ((name, content),) = value.items()
    try:
        if name == "surrogates":
            return base64.b64decode(content).decode("utf-8", "surrogatepass")
        if name == "float":
            return float(content)
        readers = {key: read for key, _, read in _codecs().values()}
        return readers[name](content)
    except (TypeError, LookupError, ArithmeticError, AttributeError, OSError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from None


def _datetime_to_json(cell: dt.datetime) -> list[object]:
    naive = cell.replace(tzinfo=None, fold=0).isoformat()
    if cell.tzinfo is None:
        return [naive]
    offset = cell.utcoffset() or dt.timedelta()
    return [naive, getattr(cell.tzinfo, "key", None) or offset.total_seconds(), cell.fold]


def _datetime_from_json(content: list[Any]) -> dt.datetime:
    naive = dt.datetime.fromisoformat(content[0])
    if len(content) == 1:
        return naive
    key = content[1]
    fixed = not isinstance(key, str)
    zone = dt.timezone(dt.timedelta(seconds=key)) if fixed else zoneinfo.ZoneInfo(key)
    return naive.replace(tzinfo=zone, fold=content[2])


@cache
def _codecs() -> dict[type, Codec]:
    """Give {type of a cell: (its name in JSON, to JSON, from JSON)}; loads pandas."""
    import pandas as pd

    def ticks(cell: pd.Timestamp | pd.Timedelta) -> list[object]:
        return [int(cell.asm8.view("int64")), cell.unit]

    def timedelta(content: list[Any]) -> pd.Timedelta:
        return pd.Timedelta(np.timedelta64(*content)).as_unit(content[1])

    def timestamp(content: list[Any]) -> pd.Timestamp:
        number, unit, zone = content
        moment = pd.Timestamp(np.datetime64(number, unit)).as_unit(unit)
        return moment if zone is None else moment.tz_localize("UTC").tz_convert(zone)

    def period(content: list[Any]) -> pd.Period:
        return pd.Period(ordinal=content[0], freq=content[1])

    def parts(cell: dt.timedelta) -> list[object]:
        return [cell.days, cell.seconds, cell.microseconds]

    return {
        Decimal: ("decimal", str, Decimal),
        dt.datetime: ("datetime", _datetime_to_json, _datetime_from_json),
        dt.date: ("date", dt.date.isoformat, dt.date.fromisoformat),
        dt.time: ("time", dt.time.isoformat, dt.time.fromisoformat),
        dt.timedelta: ("timedelta", parts, lambda content: dt.timedelta(*content)),
        pd.Period: ("period", lambda cell: [cell.ordinal, cell.freqstr], period),
        pd.Timedelta: ("Timedelta", ticks, timedelta),
        pd.Timestamp: (
            "Timestamp",
            lambda cell: [*ticks(cell), cell.tz and str(cell.tz)],
            timestamp,
        ),
    }


Scalar = Annotated[object, BeforeValidator(from_json), PlainSerializer(to_json)]


class Column(Frozen):
    """One column: what it holds, and all that writes its cells again as the training data has them.

    name: as in the frame. dtype: `dtype_text`. missing: training rows without a value.
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

    @cached_property
    def pandas_dtype(self) -> Any:
        """The dtype of its cells. Raises TypeError or ValueError where `dtype` is no such text."""
        import pandas as pd

        if self.dtype != "category":
            return dtype_of_text(self.dtype)
        levels = pd.Index(
            list(self.categories or ()), dtype=dtype_of_text(self.categories_dtype or "object")
        )
        return pd.CategoricalDtype(levels, ordered=self.ordered)

    @property
    def missing_cell(self) -> object:
        """What stands for a missing cell in an object column."""
        import pandas as pd

        return {"None": None, "nan": np.nan, "NA": pd.NA, "NaT": pd.NaT}[self.missing_as]

    @property
    def values_in_words(self) -> str:
        """The levels, or the range.

        >>> Column(name="a", kind="numeric", dtype="int64", low=1, high=90).values_in_words
        '1 to 90'
        """
        if self.low is not None and self.high is not None and self.kind != "id":
            return f"{_bound(self, self.low)} to {_bound(self, self.high)}"
        if self.kind == "id" or not self.levels:
            return ""
        shown = ", ".join(str(level) for level in self.levels[:6])
        count = f"{len(self.levels)} levels: " if len(self.levels) > 1 else ""
        more = ", ..." if len(self.levels) > 6 else ""
        return _short(f"{count}{shown}{more}", _WIDEST_VALUES)


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
        return tuple(column for column in self.columns if column.kind in LEARNED)

    def of(self, name: Name) -> Column:
        """Return the feature column of that name. Raises DataError with the nearest one."""
        try:
            return self.by_name[name]
        except KeyError:
            raise DataError(no_column(name, self.names)) from None

    def lines(self) -> list[str]:
        """Return a heading and a line a column, padded to columns; the target last."""
        rows = [_HEADING, *(_row(column, column.kind) for column in self.columns)]
        if self.target is not None:
            rows.append(_row(self.target.cells, "target"))
        widths = [max(len(row[i]) for row in rows) for i in range(len(_HEADING) - 1)]
        padded = [[cell.ljust(w) for cell, w in zip(row, widths, strict=False)] for row in rows]
        return [
            "  ".join([*cells, row[-1]]).rstrip() for cells, row in zip(padded, rows, strict=True)
        ]


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
        """Return both; where both name a column, `later` wins."""
        return Overrides(columns={**self.columns, **later.columns})

    def kinds_of(self, names: Iterable[Name]) -> dict[Name, ColumnKind]:
        """Kinds by the frame's own names. Raises UsageError for a name that it does not have."""
        listed = list(names)
        return {matching_name(name, listed): kind for name, kind in self.columns.items()}


def matching_name(name: Name, names: list[Name], what: str = "") -> Name:
    """Return the frame's own name of a column: "3" finds column 3 where none is called "3".

    Raises UsageError, which begins with `what` the column is, where there is none.
    """
    if name in names:
        return name
    by_text = {str(one): one for one in names}
    if str(name) not in by_text:
        raise UsageError(f"{what}{no_column(name, names)}")
    return by_text[str(name)]


def no_column(name: Name, names: Iterable[Name]) -> str:
    """Return the sentence for a name that no column has, with the nearest one that is there."""
    available = list(names)
    shown = ", ".join(repr(one) for one in available[:20])
    more = f" and {len(available) - 20} more" if len(available) > 20 else ""
    guess = did_you_mean(str(name), [str(one) for one in available])
    return f"there is no column {name!r}; the table has {shown}{more}.{guess}"


def dtype_text(dtype: Any) -> str:
    """Return a dtype's name, from which `dtype_of_text` makes it again; categories apart.

    pandas calls two dtypes "string[pyarrow]"; here Arrow's own types are "arrow:string", and
    text whose missing value is NaN (the default of pandas 3) is "str[pyarrow]" or "str[python]".
    """
    import pandas as pd

    if isinstance(dtype, pd.ArrowDtype):
        return f"arrow:{dtype.pyarrow_dtype}"
    if isinstance(dtype, pd.StringDtype):
        return f"{'string' if dtype.na_value is pd.NA else 'str'}[{dtype.storage}]"
    return "category" if isinstance(dtype, pd.CategoricalDtype) else str(dtype)


def dtype_of_text(text: str) -> Any:
    """Return the dtype of `dtype_text`. Raises TypeError or ValueError where there is none."""
    import pandas as pd

    if text.startswith("arrow:"):
        return pd.ArrowDtype(_parsed_type(text.removeprefix("arrow:")))
    if text.startswith("str["):
        return pd.StringDtype(text[4:-1].removesuffix("_numpy"), na_value=np.nan)
    dtype = pd.api.types.pandas_dtype(text)
    if isinstance(dtype, np.dtype) and dtype.kind not in "biufcmMO":  # "S2000000000" takes memory
        raise TypeError(f"{text!r} is no dtype of a column")
    return dtype


def _parsed_type(text: str) -> Any:
    import pyarrow as pa

    if match := _TIMESTAMP.fullmatch(text):
        return pa.timestamp(match[1], tz=match[2])
    if match := _DECIMAL.fullmatch(text):
        return getattr(pa, match[1])(int(match[2]), int(match[3]))
    if match := _DICTIONARY.fullmatch(text):
        values, indices = _parsed_type(match[1]), _parsed_type(match[2])
        return pa.dictionary(indices, values, ordered=match[3] == "1")
    return pa.type_for_alias(text)


def _row(column: Column, kind: str) -> tuple[str, ...]:
    name, dtype = _short(str(column.name), _WIDEST_NAME), _short(column.dtype, _WIDEST_TYPE)
    missing = str(column.missing) if column.missing else ""
    return name, kind, dtype, missing, column.values_in_words, column.why


def _bound(column: Column, bound: int | float) -> str:
    if column.unit is None:
        return str(bound) if isinstance(bound, int) else f"{bound:.6g}"
    if column.kind != "datetime":
        return str(np.timedelta64(int(bound), column.unit))
    moment = np.datetime64(int(bound), column.unit)
    if column.zone and not column.wall:  # else it is on the local clock already
        import pandas as pd

        index = pd.DatetimeIndex(moment.astype("M8[s]").reshape(1)).tz_localize("UTC")
        moment = index.tz_convert(column.zone).tz_localize(None).to_numpy()[0]
    return str(moment).replace("T", " ")


def _short(text: str, width: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 3] + "..."
