"""How the numbers of a CSV column are written, and numbers written so. One column at a time.

The shape of a cell is its text with every digit replaced by 9: a column of a million numbers has
a few dozen shapes, and they tell all about how it is written.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gan_augment.frozen import Frozen

MOST_DECIMALS = 15  # beyond, a cell is written as short as reads back equal
_SHAPE = re.compile(r" *([+-]?)(9*)(?:([.,])(9*))?(?:([eE])([+-]?)(9+))? *")
_THOUSANDS = re.compile(r" *[+-]?9{1,3}(?:,999)+ *")
INFINITE = frozenset(
    sign + word for sign in ("", "+", "-") for word in ("inf", "Inf", "INF", "Infinity", "infinity")
)


class Exponents(Frozen):
    """How powers of ten are written: e or E, `1e+05` or `1e5`, at least so many digits.

    decimals: fewest and most behind the point where every cell has an exponent; else None, and
    only very large and very small numbers get one.
    """

    letter: Literal["e", "E"] = "e"
    plus: bool = True
    digits: int = 2
    decimals: tuple[int, int] | None = None


class NumberFormat(Frozen):
    """How the numbers of a column are written.

    low, high: fewest and most digits behind the point. significant: at most so many digits where
    the cells have fewer than `high` would give. plus: a sign before positive numbers. zero: `0.5`,
    not `.5`. bare: `5.`, not `5`. whole: no cell has a point or an exponent, or is infinite.
    """

    point: Literal[".", ","] = "."
    low: int = 0
    high: int = 0
    significant: int | None = None
    plus: bool = False
    zero: bool = True
    bare: bool = False
    whole: bool = False
    exponents: Exponents | None = None


@dataclass(frozen=True)
class _Parts:
    sign: str
    before: str
    point: str
    after: str
    letter: str
    exponent_sign: str
    exponent: str


def number_format(shapes: Collection[str], *, comma: bool, digits: int = 99) -> NumberFormat | None:
    """The format that all shapes of a column have, or None where one is no plain number.

    comma: whether `1,5` may be a number. digits: most significant digits of any cell.

    >>> found = number_format({"9.99", "99.99"}, comma=False)
    >>> found.low, found.high
    (2, 2)
    """
    found = [_parts(shape) for shape in shapes if shape.strip() not in INFINITE]
    parts = [part for part in found if part is not None]
    points = {part.point for part in parts} - {""}
    if not parts or len(parts) < len(found) or len(points) > 1 or (points == {","} and not comma):
        return None
    plain = [part for part in parts if not part.letter]
    powers = [part for part in parts if part.letter]
    high = max((len(part.after) for part in plain), default=0)
    longest = max((len(part.before) for part in plain), default=0) + high
    low = min((len(part.after) for part in plain), default=0)
    fewer = low < high and not powers and digits < longest and digits <= MOST_DECIMALS
    signs = {part.sign for part in parts}
    return NumberFormat(
        point="," if points == {","} else ".",
        low=low if low < 2 or not fewer else 0,
        high=high,
        significant=max(digits, 1) if fewer else None,
        plus="+" in signs and "" not in signs,
        zero=all(part.before for part in parts),
        bare=any(part.point and not part.after for part in plain),
        whole=not points and not powers and len(found) == len(shapes),
        exponents=_exponents(powers, alone=not plain) if powers else None,
    )


def looks_like_thousands(shapes: Collection[str]) -> bool:
    """Whether every comma of a column may part thousands: `1,234`."""
    commas = [shape for shape in shapes if "," in shape]
    return bool(commas) and all(_THOUSANDS.fullmatch(shape) for shape in commas)


def significant_digits(cells: Sequence[str]) -> int:
    """The most digits of any cell between its first and its last that is not 0."""
    digits = "\0".join(cells).translate({ord(sign): None for sign in "+-., "})
    return max((len(cell.strip("0")) for cell in digits.split("\0")), default=0)


def parse_floats(cells: Sequence[str], how: NumberFormat) -> NDArray[np.float64]:
    """The cells as float64 (N,), each the nearest to what is written."""
    if how.point == ",":
        cells = "\0".join(cells).replace(",", ".").split("\0") if cells else []
    return np.fromiter(map(float, cells), np.float64, len(cells))


def write_floats(values: NDArray[np.float64], how: NumberFormat) -> list[str]:
    """Finite numbers (N,) as the column writes its own."""
    if how.exponents is not None:
        cells = _with_exponents(values, how.exponents)
    elif how.low == how.high and how.significant is None:
        rounded = np.round(values, how.high) if how.high <= MOST_DECIMALS else values
        cells = list(map(f"%.{how.high}f".__mod__, (rounded + 0.0).tolist()))  # no -0
    else:
        cells = _as_short_as_equal(_rounded(values, how), how)
    return _signed(cells, how)


def write_integers(values: NDArray[np.int64], how: NumberFormat) -> list[str]:
    """Whole numbers (N,) as the column writes its own."""
    return _signed(list(map(str, values.tolist())), how)


def _parts(shape: str) -> _Parts | None:
    match = _SHAPE.fullmatch(shape)
    if match is None or not (match[2] or match[4]):
        return None
    return _Parts(*(group or "" for group in match.groups()))


def _exponents(powers: Sequence[_Parts], *, alone: bool) -> Exponents:
    after = [len(part.after) for part in powers]
    up = [part for part in powers if part.exponent_sign != "-"]
    return Exponents(
        letter="E" if any(part.letter == "E" for part in powers) else "e",
        plus=all(part.exponent_sign == "+" for part in up),
        digits=min(len(part.exponent) for part in powers),
        decimals=(min(after), max(after)) if alone else None,
    )


def _rounded(values: NDArray[np.float64], how: NumberFormat) -> NDArray[np.float64]:
    """To the decimals and the significant digits of the column; quotients by 10^n, so no dust."""
    if how.high <= MOST_DECIMALS:
        values = np.round(values, how.high)
    if how.significant is not None:
        with np.errstate(divide="ignore"):
            power = np.floor(np.log10(np.abs(values)))
        decimals = np.where(values == 0, 0, how.significant - 1 - power)
        scale = 10.0 ** np.abs(decimals)
        down = np.round(values / scale) * scale
        values = np.where(decimals < 0, down, np.round(values * scale) / scale)
    return np.asarray(values + 0.0)


def _as_short_as_equal(values: NDArray[np.float64], how: NumberFormat) -> list[str]:
    cells = list(map(repr, values.tolist()))
    if how.low == 0:
        cells = [cell.removesuffix(".0") for cell in cells]
    if any("e" in cell for cell in cells):  # beyond 1e16, or below 1e-4
        cells = [_positional(cell, how) if "e" in cell else cell for cell in cells]
    if 1 < how.low <= MOST_DECIMALS:
        cells = [_filled(cell, how.low) for cell in cells]
    return cells


def _positional(cell: str, how: NumberFormat) -> str:
    text = format(Decimal(cell), "f")
    return text if "." in text or not how.low else f"{text}.0"


def _filled(cell: str, low: int) -> str:
    before, _, after = cell.partition(".")
    return f"{before}.{after:0<{low}}"


def _with_exponents(values: NDArray[np.float64], how: Exponents) -> list[str]:
    numbers = (values + 0.0).tolist()
    if how.decimals is None:
        return [_as_power(cell, how) if "e" in cell else cell for cell in map(repr, numbers)]
    low, high = how.decimals
    if high > MOST_DECIMALS:
        powers = [np.format_float_scientific(number, trim="0") for number in numbers]
    else:
        powers = list(map(f"%.{high}e".__mod__, numbers))
    return [_as_power(cell, how, low) for cell in powers]


def _as_power(cell: str, how: Exponents, low: int | None = None) -> str:
    """A power of ten as the column has it; with `low`, zeros beyond so many decimals go."""
    mantissa, e, exponent = cell.partition("e")
    if not e:  # infinite
        return cell
    if low is not None and "." in mantissa:
        before, _, after = mantissa.partition(".")
        after = after.rstrip("0").ljust(low, "0")
        mantissa = f"{before}.{after}" if after else before
    sign = "-" if exponent[0] == "-" else "+" * how.plus
    return f"{mantissa}{how.letter}{sign}{exponent.lstrip('+-').lstrip('0').zfill(how.digits)}"


def _signed(cells: list[str], how: NumberFormat) -> list[str]:
    if how.point == ",":
        cells = "\0".join(cells).replace(".", ",").split("\0")
    if how.bare:
        cells = [cell if set(cell) & set(".,e") else f"{cell}{how.point}" for cell in cells]
    if not how.zero:
        cells = [re.sub(r"^(-?)0(?=[.,])", r"\1", cell) for cell in cells]
    if how.plus:
        cells = [cell if cell.startswith("-") else f"+{cell}" for cell in cells]
    return cells
