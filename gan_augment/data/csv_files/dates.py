"""How the dates and times of a CSV column are written, and times written so. One column at a time.

Shapes are those of `numbers`: the text of a cell with 9 for every digit.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gan_augment.frozen import Frozen

Order = Literal["ymd", "dmy", "mdy"]
Unit = Literal["s", "ms", "us", "ns"]

_DATE = r"(\d{1,4})([-/.])(\d{1,2})\2(\d{1,4})"
_TIME = r"(?:([ T])(\d{1,2}):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d(?::?\d\d)?)?)?"
_CELL = re.compile(rf"{_DATE}{_TIME}", re.ASCII)
_MANY = re.compile(rf"(?:^|(?<=\0)){_DATE}{_TIME}(?=\0|$)", re.ASCII)
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_NS_YEARS = (1678, 2261)


class TimeFormat(Frozen):
    """How the times of a column are written.

    separator: between the parts of the date. padded: `05`, not `5`. joiner: between date and time;
    "" for dates alone. seconds: whether they are written; fraction: fewest and most digits behind
    them. zone: "" for none, else what is written: `Z`, `+01:00`. unit: of the values.
    """

    order: Order = "ymd"
    separator: Literal["-", "/", "."] = "-"
    padded: bool = True
    joiner: Literal["", " ", "T"] = ""
    padded_hour: bool = True
    seconds: bool = True
    fraction: tuple[int, int] = (0, 0)
    zone: str = ""
    unit: Unit = "s"


@dataclass(frozen=True)
class _Shape:
    first: int
    separator: str
    second: int
    third: int
    joiner: str
    hour: int
    seconds: bool
    fraction: int
    zone: str


def time_formats(shapes: Collection[str]) -> tuple[TimeFormat, ...]:
    """The formats that all shapes of a column may have, the likelier first; mostly one or none.

    Days and months cannot be told apart by shape: `/` has the month first, `.` and `-` the day.

    >>> [found.order for found in time_formats({"99/99/9999"})]
    ['mdy', 'dmy']
    """
    found = [_shape(shape) for shape in shapes]
    parts = [part for part in found if part is not None]
    alike = {(p.separator, p.joiner, p.seconds, p.zone, p.first == 4) for p in parts}
    if not parts or len(parts) < len(found) or len(alike) > 1:
        return ()
    one = parts[0]
    short = {p.second for p in parts} | {p.third if one.first == 4 else p.first for p in parts}
    digits = [p.fraction for p in parts]
    orders: tuple[Order, ...] = ("mdy", "dmy") if one.separator == "/" else ("dmy", "mdy")
    return tuple(
        TimeFormat.model_validate(
            {
                "order": order,
                "separator": one.separator,
                "padded": short == {2},
                "joiner": one.joiner,
                "padded_hour": all(p.hour != 1 for p in parts),
                "seconds": one.seconds,
                "fraction": (min(digits), max(digits)),
                "zone": one.zone,
                "unit": _unit(max(digits)),
            }
        )
        for order in (("ymd",) if one.first == 4 else orders)
    )


def parse_times(cells: Sequence[str], how: TimeFormat) -> NDArray[np.datetime64] | None:
    """The cells as datetime64 (N,), in UTC where they name a zone; None where a day is not one."""
    if not cells:
        return np.empty(0, f"datetime64[{how.unit}]")
    found = _MANY.findall("\0".join(cells))
    if len(found) != len(cells):
        return None
    first, _, second, third, _, hour, minute, second_, fraction, zone = zip(*found, strict=True)
    dates = {"ymd": (first, second, third), "dmy": (third, second, first)}
    year, month, day = map(_whole, dates.get(how.order, (third, first, second)))
    h, m, s = map(_whole, (hour, minute, second_))
    if min(month.min(), day.min()) < 1 or month.max() > 12 or day.max() > 31:
        return None
    if h.max() > 23 or m.max() > 59 or s.max() > 59 or not _in_range(year, how.unit):
        return None
    months = (year - 1970).astype("datetime64[Y]").astype("datetime64[M]") + (month - 1)
    days = months.astype("datetime64[D]") + (day - 1)
    if (days.astype("datetime64[M]") != months).any():
        return None
    total = (days.astype("datetime64[s]") + (h * 3600 + m * 60 + s)).astype(
        f"datetime64[{how.unit}]"
    )
    total = total + _fraction(fraction, how.unit)
    return np.asarray(total - _offsets(zone) * _PER_SECOND[how.unit])


def most_used_zone(cells: Sequence[str]) -> str:
    """The zone that most cells name, as they write it; "" for none."""
    zones = Counter(match[9] for match in _MANY.findall("\0".join(cells)))
    return str(zones.most_common(1)[0][0]) if zones else ""


def write_times(values: NDArray[np.datetime64], how: TimeFormat) -> list[str]:
    """Times (N,), UTC where the column names a zone, as the column writes its own."""
    ticks = _PER_SECOND[how.unit]
    local = values.astype(f"datetime64[{how.unit}]") + _offsets([how.zone])[0] * ticks
    days = local.astype("datetime64[D]")
    months = days.astype("datetime64[M]")
    year = months.astype("datetime64[Y]").astype(np.int64) + 1970
    parts = {
        "y": year,
        "m": months.astype(np.int64) % 12 + 1,
        "d": (days - months.astype("datetime64[D]")).astype(np.int64) + 1,
    }
    two = "%02d" if how.padded else "%d"
    template = how.separator.join("%04d" if part == "y" else two for part in how.order)
    columns = [parts[part] for part in how.order]
    if how.joiner:
        tick = (local - days.astype(local.dtype)).astype(np.int64)
        second = tick // ticks
        template += how.joiner + ("%02d:%02d" if how.padded_hour else "%d:%02d")
        columns += [second // 3600, second // 60 % 60]
        if how.seconds:
            template += ":%02d"
            columns.append(second % 60)
    cells = list(map(template.__mod__, zip(*(column.tolist() for column in columns), strict=True)))
    if how.fraction[1]:
        cells = _with_fractions(cells, tick % ticks, how)
    return [cell + how.zone for cell in cells] if how.zone else cells


def _with_fractions(cells: list[str], ticks: NDArray[np.int64], how: TimeFormat) -> list[str]:
    low, high = how.fraction
    wide = {"s": 0, "ms": 3, "us": 6, "ns": 9}[how.unit]
    written = [f"{tick:0{wide}d}"[:high] for tick in ticks.tolist()]
    if low < high:
        written = [digits.rstrip("0").ljust(low, "0") for digits in written]
    return [f"{cell}.{end}" if end else cell for cell, end in zip(cells, written, strict=True)]


def _shape(shape: str) -> _Shape | None:
    match = _CELL.fullmatch(shape)
    if match is None:
        return None
    first, separator, second, third, joiner, hour, _, seconds, fraction, zone = match.groups()
    lengths = (len(first), len(third))
    if not (lengths[0] == 4 and lengths[1] <= 2) and not (lengths[0] <= 2 and lengths[1] == 4):
        return None
    named = "" if zone is None else zone.lstrip("+-")
    return _Shape(
        first=lengths[0],
        separator=separator,
        second=len(second),
        third=lengths[1],
        joiner=joiner or "",
        hour=len(hour or "99"),
        seconds=seconds is not None,
        fraction=len(fraction or ""),
        zone=named,
    )


def _unit(digits: int) -> Unit:
    return "s" if digits == 0 else "ms" if digits <= 3 else "us" if digits <= 6 else "ns"


def _whole(texts: Sequence[str]) -> NDArray[np.int64]:
    return np.fromiter((int(text or 0) for text in texts), np.int64, len(texts))


def _fraction(texts: Sequence[str], unit: Unit) -> NDArray[np.int64]:
    wide = {"s": 0, "ms": 3, "us": 6, "ns": 9}[unit]
    return _whole([text.ljust(wide, "0") for text in texts])


def _in_range(year: NDArray[np.int64], unit: Unit) -> bool:
    low, high = _NS_YEARS if unit == "ns" else (1, 9999)
    return bool(low <= year.min() and year.max() <= high)


def _offsets(zones: Sequence[str]) -> NDArray[np.int64]:
    """Seconds east of UTC of what follows a time: `Z`, `+01:00`, `-0330`, `+02` or nothing."""
    known = {zone: _offset_s(zone) for zone in set(zones)}
    return np.fromiter((known[zone] for zone in zones), np.int64, len(zones))


def _offset_s(zone: str) -> int:
    if zone in ("", "Z"):
        return 0
    digits = zone[1:].replace(":", "").ljust(4, "0")
    seconds = int(digits[:2]) * 3600 + int(digits[2:]) * 60
    return -seconds if zone[0] == "-" else seconds
