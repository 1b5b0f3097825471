"""How numbers and moments are written as text: learned from a column's cells, read, and written so.

The shape of a cell is its text with 9 for every digit. A column of a million numbers has a few
dozen shapes, and they tell how it is written. Files are read and written in `csv.py`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from decimal import Decimal
from typing import Annotated, Any, Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, model_validator

from gan_augment.errors import DataError
from gan_augment.settings import Frozen

MOST_DECIMALS = 15  # with more, a number is written as short as reads back equal
_NINES = bytes.maketrans(b"012345678", b"9" * 9)
_SHAPE_OF_NUMBER = re.compile(r" *[+-]?(9*)(?:([.,])(9*))?([eE][+-]?9+)? *")
_INFINITE = re.compile(r"[+-]?(inf|Inf|INF|[Ii]nfinity)")
_THOUSANDS = re.compile(r" *[+-]?9{1,3}(?:,999)+ *")
_ZERO_FIRST = re.compile(r"(?:^|\0) *[+-]?0[0-9]")
_MOMENT = re.compile(
    r"(\d{4}|\d\d?)([-/.])(\d\d?)\2(\d{4}|\d\d?)"
    r"(?:([ T])(\d\d?):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d(?::?\d\d)?)?)?",
    re.ASCII,
)
_ZONE = re.compile(r"(Z|[+-]\d\d(:?\d\d)?)$")
_NS_YEARS = (1678, 2261)  # whole years that 64 bits of nanoseconds hold


class NumberNotation(Frozen, extra="ignore"):
    """Holds how the numbers of a column are written.

    low, high: the fewest and most digits after the point. whole: no cell has a point or an
    exponent. exponents: some cells have one; very large and small numbers get one.
    """

    point: Literal[".", ","] = "."
    low: int = 0
    high: int = 0
    whole: bool = False
    exponents: Annotated[bool, BeforeValidator(lambda given: given is not False)] = False

    @classmethod
    def learn(cls, shapes: Collection[str], *, comma: bool = False) -> Self | None:
        """Learn the notation that all shapes have, or None where one is no plain number.

        comma: whether `1,5` may be a number.

        >>> notation = NumberNotation.learn({"9.99", "99.99"})
        >>> notation.low, notation.high
        (2, 2)
        """
        finite = [shape for shape in shapes if not _INFINITE.fullmatch(shape)]
        parts = [_SHAPE_OF_NUMBER.fullmatch(shape) for shape in finite]
        numbers = [part for part in parts if part and (part[1] or part[3])]
        points = {part[2] for part in numbers} - {None}
        if not numbers or len(numbers) < len(parts) or len(points) > 1:
            return None
        if points == {","} and not comma:
            return None
        digits = [len(part[3] or "") for part in numbers if not part[4]]
        exponents = len(digits) < len(numbers)
        return cls(
            point="," if points == {","} else ".",
            low=min(digits, default=0),
            high=max(digits, default=0),
            whole=not points and not exponents and len(finite) == len(shapes),
            exponents=exponents,
        )

    def read(self, cells: Sequence[str]) -> NDArray[np.int64] | NDArray[np.float64]:
        """Read the cells as int64 where `whole`, else float64 (N,), each the nearest to its text.

        Raises OverflowError for whole numbers beyond 64 bits.
        """
        if self.whole:
            return np.fromiter(map(int, cells), np.int64, len(cells))
        if self.point == ",":
            cells = [cell.replace(",", ".") for cell in cells]
        return np.fromiter(map(float, cells), np.float64, len(cells))

    def write(self, values: NDArray[Any]) -> list[str]:
        """Write finite numbers (N,) as the column writes its own."""
        if self.whole and values.dtype.kind == "f" and (np.abs(values) < 2**63).all():
            values = np.rint(values).astype(np.int64)
        if self.whole and values.dtype.kind in "iu":
            return list(map(str, values.tolist()))
        numbers = values.astype(np.float64)
        if self.high <= MOST_DECIMALS and not self.exponents:
            numbers = np.round(numbers, self.high)
        return [self._cell(repr(number)) for number in (numbers + 0.0).tolist()]  # no -0

    def _cell(self, text: str) -> str:
        """Write a number's shortest text with this point, and zeros up to `low` digits."""
        if "e" in text:  # beyond 1e16, or below 1e-4
            if self.exponents:
                return text.replace(".", self.point)
            text = format(Decimal(text), "f")
        before, _, after = text.partition(".")
        after = "0" * self.low if after in ("", "0") else after.ljust(self.low, "0")
        return f"{before}{self.point}{after}" if after else before


class MomentNotation(Frozen):
    """Holds how dates and times are written, as a pattern of strptime: `%d.%m.%Y %H:%M`.

    `%-m` has no leading zero, `%3f` is so many digits of a second; a zone stands as it is written
    (`Z`, `+01:00`) at the end.
    """

    pattern: str = "%Y-%m-%d"

    @model_validator(mode="before")
    @classmethod
    def _of_parts(cls, values: Any) -> Any:
        """Take the separate settings of models up to 0.1, too."""
        if not isinstance(values, dict) or "pattern" in values or not values:
            return values
        known = ("order", "separator", "padded", "joiner", "padded_hour", "seconds", "zone")
        parts = {name: values[name] for name in known if name in values}
        return {"pattern": _pattern(**parts, digits=values.get("fraction", (0, 0))[1])}

    @classmethod
    def learn(cls, shapes: Collection[str]) -> tuple[Self, ...]:
        """Learn the notations that all shapes may have, the likelier first; mostly one or none.

        Days and months cannot be told apart by shape: `/` has the month first, `.` and `-` the day.

        >>> [one.pattern for one in MomentNotation.learn({"99/99/9999"})]
        ['%m/%d/%Y', '%d/%m/%Y']
        """
        parts = [_MOMENT.fullmatch(shape) for shape in shapes]
        moments = [part for part in parts if part and (len(part[1]) == 4) != (len(part[4]) == 4)]
        kinds = {
            (m[2], m[5] or "", m[8] is not None, (m[10] or "").replace("-", "+"), len(m[1]) == 4)
            for m in moments
        }
        if len(kinds) != 1 or len(moments) < len(shapes):
            return ()
        separator, joiner, seconds, zone, year_first = kinds.pop()
        short = {len(m[3]) for m in moments} | {len(m[4 if year_first else 1]) for m in moments}
        either = ("mdy", "dmy") if separator == "/" else ("dmy", "mdy")
        patterns = (
            _pattern(
                order=order,
                separator=separator,
                padded=short == {2},
                joiner=joiner,
                padded_hour=all(len(m[6] or "99") == 2 for m in moments),
                seconds=seconds,
                digits=max(len(m[9] or "") for m in moments),
                zone=zone,
            )
            for order in (("ymd",) if year_first else either)
        )
        return tuple(cls(pattern=pattern) for pattern in patterns)

    @property
    def order(self) -> str:
        """The parts of the date in their order: `dmy`."""
        return "".join(re.findall("%-?([Ymd])", self.pattern)).lower()

    @property
    def zone(self) -> str:
        """The zone that is written behind every time, or ""."""
        match = _ZONE.search(self.pattern)
        return match[0] if match else ""

    @property
    def unit(self) -> Literal["D", "m", "s", "ms", "us", "ns"]:
        """The coarsest unit that holds every moment written so."""
        if self._digits:
            return "ms" if self._digits <= 3 else "us" if self._digits <= 6 else "ns"
        return "s" if "%S" in self.pattern else "m" if "%M" in self.pattern else "D"

    @property
    def _digits(self) -> int:
        """The digits of a second that are written."""
        match = re.search(r"%(\d)f", self.pattern)
        return int(match[1]) if match else 0

    def in_zone_of(self, cell: str) -> Self:
        """Return the notation with the zone that a cell names."""
        match = _MOMENT.fullmatch(cell)
        zone = match[10] if match and self.zone else ""
        return type(self)(pattern=self.pattern.removesuffix(self.zone) + zone)

    def read(self, cells: Sequence[str]) -> NDArray[np.datetime64]:
        """Read the cells as datetime64 of `unit` (N,), in UTC where they name a zone.

        Raises ValueError where one is no moment: a 30th of February, an hour 25.
        """
        if not cells:
            return np.empty(0, f"datetime64[{self.unit}]")
        parts = [match.groups() for match in map(_MOMENT.fullmatch, cells) if match]
        if len(parts) < len(cells):
            raise ValueError("a cell is written otherwise")
        first, _, second, third, _, hour, minute, second_, fraction, zone = zip(*parts, strict=True)
        by_part = dict(zip(self.order, (first, second, third), strict=True))
        low, high = _NS_YEARS if self.unit == "ns" else (1, 9999)
        if not all(low <= int(year) <= high for year in set(by_part["y"])):
            raise ValueError("a year is out of range")
        date = zip(by_part["y"], by_part["m"], by_part["d"], strict=True)
        iso = [f"{y}-{m:0>2}-{d:0>2}" for y, m, d in date]
        if self.unit != "D":
            clock = zip(iso, hour, minute, second_, fraction, strict=True)
            iso = [f"{d}T{h:0>2}:{m}:{s or '00'}.{f or '0'}" for d, h, m, s, f in clock]
        moments = np.array(iso, dtype=f"datetime64[{'ns' if self.unit == 'ns' else 'us'}]")
        if self.zone:
            offsets = {one: _offset_s(one) for one in set(zone)}
            moments -= np.array([offsets[one] for one in zone], dtype="timedelta64[s]")
        return moments.astype(f"datetime64[{self.unit}]")

    def write(self, moments: NDArray[np.datetime64]) -> list[str]:
        """Write moments (N,), UTC where the column names a zone, as the column writes its own."""
        local = moments + np.timedelta64(_offset_s(self.zone), "s") if self.zone else moments
        fields = re.sub(r"%(-?)\d?([YmdHMSf])", r"{\2\1}", self.pattern)
        cells = []
        for iso in np.datetime_as_string(local.astype(f"datetime64[{self.unit}]")).tolist():
            parts = {"Y": iso[:4], "M": iso[14:16], "S": iso[17:19], "f": iso[20:][: self._digits]}
            for name, part in (("m", iso[5:7]), ("d", iso[8:10]), ("H", iso[11:13])):
                parts |= {name: part, f"{name}-": part.removeprefix("0")}
            cells.append(fields.format_map(parts))
        return cells


def _pattern(
    order: str = "ymd",
    separator: str = "-",
    padded: bool = True,
    joiner: str = "",
    padded_hour: bool = True,
    seconds: bool = True,
    digits: int = 0,
    zone: str = "",
) -> str:
    """Make a pattern; joiner: between date and time, "" for dates alone."""
    short = "%" if padded else "%-"
    parts = {"y": "%Y", "m": f"{short}m", "d": f"{short}d"}
    date = separator.join(parts[part] for part in order)
    if not joiner:
        return date
    clock = ("%H:%M" if padded_hour else "%-H:%M") + ":%S" * seconds
    return f"{date}{joiner}{clock}{f'.%{digits}f' if digits else ''}{zone}"


def shapes_of(cells: Sequence[str]) -> set[str]:
    """Return the distinct shapes of cells; that of a cell with a NUL is the NUL."""
    joined = "\0".join(cells).encode("utf-8", "surrogatepass")
    shapes = set(joined.translate(_NINES).split(b"\0"))
    nul = {"\0"} if joined.count(b"\0") >= len(cells) > 0 else set()
    return {shape.decode("utf-8", "surrogatepass") for shape in shapes} | nul


def starts_with_zero(cells: Iterable[str]) -> bool:
    """Return whether some number begins with a zero that says nothing (`007`): a code does."""
    return _ZERO_FIRST.search("\0".join(cells)) is not None


def looks_like_thousands(shapes: Collection[str]) -> bool:
    """Return whether every comma of a column may part thousands: `1,234`."""
    commas = [shape for shape in shapes if "," in shape]
    return bool(commas) and all(_THOUSANDS.fullmatch(shape) for shape in commas)


class CodedTexts(Protocol):
    """The cells of a column of text: the series, and (codes int64 (N,), the distinct cells)."""

    @property
    def series(self) -> Any: ...

    @property
    def coded(self) -> tuple[NDArray[np.int64], Sequence[Any]]: ...


def text_numbers(
    cells: CodedTexts,
) -> tuple[NDArray[np.int64] | NDArray[np.float64], str, int | None]:
    """Read text as ((N,) numbers, any where missing; how written; digits after the point).

    Written "whole", "fixed" (all with as many digits after the point) or "shortest" (digits: None).
    Raises DataError naming the first cell that is no number.
    """
    codes, distinct = cells.coded
    texts = [str(cell) for cell in distinct]
    notation = NumberNotation.learn(shapes_of(texts))
    if notation is None or any(map(_INFINITE.fullmatch, texts)):
        good = [
            NumberNotation.learn(shapes_of([text])) is not None and not _INFINITE.fullmatch(text)
            for text in texts
        ]
        raise _not_all(cells, good, "a number")
    if notation.whole and max(map(len, texts)) <= 18:
        return np.append(notation.read(texts), 0)[codes], "whole", 0
    numbers = np.append(notation.model_copy(update={"whole": False}).read(texts), 0.0)[codes]
    if notation.exponents or notation.low != notation.high:
        return numbers, "shortest", None
    return numbers, "fixed", notation.high


def text_moments(cells: CodedTexts) -> tuple[NDArray[np.int64], MomentNotation]:
    """Read text as ((N,) ticks since 1970 in the notation's unit, any where missing; how written).

    Raises DataError naming the first cell that is not written as the others.
    """
    codes, distinct = cells.coded
    texts = [str(cell) for cell in distinct]
    for notation in MomentNotation.learn(shapes_of(texts)):
        if _readable(notation, texts):
            ticks = notation.read(texts).astype(np.int64)
            return np.append(ticks, 0)[codes], notation.in_zone_of(texts[0])

    def kinds(text: str) -> set[str]:  # with and without leading zeros are one kind
        learned = MomentNotation.learn(shapes_of([text]))
        readable = (notation for notation in learned if _readable(notation, [text]))
        return {re.sub(r"(?<=%)-|\.%\df", "", notation.pattern) for notation in readable}

    good = [bool(kinds(text) & kinds(texts[0])) for text in texts]
    raise _not_all(cells, good, "a date like 2024-01-31 or 2024-01-31 18:30:00")


def notation_of(text: str, decimals: int | None) -> NumberNotation | MomentNotation:
    """Return the notation that `text_numbers` (with its decimals) or `text_moments` learned."""
    if "%" in text:
        return MomentNotation(pattern=text)
    return NumberNotation(
        low=(decimals or 0) if text == "fixed" else 0,
        high=MOST_DECIMALS + 1 if decimals is None else decimals,
        whole=text == "whole",
        exponents=decimals is None,
    )


def _readable(notation: MomentNotation, texts: Sequence[str]) -> bool:
    try:
        notation.read(texts)
    except ValueError:
        return False
    return True


def _offset_s(zone: str) -> int:
    """Return the seconds east of UTC of a zone: `Z`, `+01:00`, `-0330`, `+02` or nothing."""
    if not zone or zone == "Z":
        return 0
    digits = zone[1:].replace(":", "").ljust(4, "0")
    seconds = int(digits[:2]) * 3600 + int(digits[2:]) * 60
    return -seconds if zone[0] == "-" else seconds


def _not_all(cells: CodedTexts, good: list[bool], what: str) -> DataError:
    """Make the error for the first cell that is not like the others."""
    bad, series = ~np.array([*good, True])[cells.coded[0]], cells.series
    row = int(bad.argmax())
    return DataError(
        f"column {series.name!r}, row {row}: {series.iloc[row]!r} is not {what}; "
        f"{int(bad.sum())} of {len(series)} cells are not. Leave the column's kind to be "
        "inferred, or correct those cells."
    )


FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def escaped(text: str) -> str:
    """Put `'` before a text that a spreadsheet would compute.

    >>> escaped("=1+1"), escaped("-"), escaped("a=b")
    ("'=1+1", "'-", 'a=b')
    """
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text
