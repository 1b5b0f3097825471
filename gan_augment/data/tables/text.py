"""Text that holds numbers or moments: read as such where the user says so, and written alike."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.tables.cells import cells_of, coded, level_cells
from gan_augment.errors import DataError

if TYPE_CHECKING:
    from pandas import Series

_WHOLE = re.compile(r"[+-]?\d{1,18}")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_MOMENTS = {  # how a moment is written: its pattern, its unit
    "%Y-%m-%d": "D",
    "%Y-%m-%d %H:%M": "m",
    "%Y-%m-%dT%H:%M": "m",
    "%Y-%m-%d %H:%M:%S": "s",
    "%Y-%m-%dT%H:%M:%S": "s",
}


def text_numbers(
    series: Series,
) -> tuple[NDArray[np.int64] | NDArray[np.float64], str, int | None]:
    """((N,) numbers, anything where missing; how they are written; digits after the point).

    Written "whole", "fixed" (all with as many digits after the point) or "shortest" (digits: None).
    Raises DataError naming the first cell that is no number.
    """
    codes, distinct = coded(series)
    texts = [str(cell) for cell in distinct]
    _check_all(series, codes, [_NUMBER.fullmatch(text) is not None for text in texts], "a number")
    if all(_WHOLE.fullmatch(text) for text in texts):
        return np.array([*map(int, texts), 0], dtype=np.int64)[codes], "whole", 0
    numbers = np.array([*map(float, texts), 0.0])[codes]
    digits = {len(text.partition(".")[2]) for text in texts}
    if len(digits) > 1 or any("e" in text.lower() for text in texts):
        return numbers, "shortest", None
    return numbers, "fixed", digits.pop()


def text_moments(series: Series) -> tuple[NDArray[np.int64], str]:
    """((N,) ticks of the format's unit since 1970, anything where missing; the format).

    Raises DataError naming the first cell that is not written as the others.
    """
    codes, distinct = coded(series)
    texts = [str(cell) for cell in distinct]
    best: tuple[int, str, list[bool]] = (-1, "", [])
    for pattern, unit in _MOMENTS.items():
        read = [_moment(text, unit, pattern) for text in texts]
        good = [moment is not None for moment in read]
        if all(good):
            ticks = [int(m.astype(np.int64)) for m in read if m is not None]
            return np.array([*ticks, 0], dtype=np.int64)[codes], pattern
        best = max(best, (sum(good), pattern, good))
    _check_all(series, codes, best[2], "a date like 2024-01-31 or 2024-01-31 18:30:00")
    raise AssertionError("a cell that no format reads is named above")


def unit_of_format(pattern: str) -> str:
    """The unit of the ticks of `text_moments`."""
    return _MOMENTS[pattern]


def number_texts(
    numbers: Any, missing: NDArray[np.bool_], style: str, decimals: int | None, dtype: Any
) -> Any:
    """Numbers (N,) written as `text_numbers` found them, in the dtype of text."""

    def written(number: float) -> str:
        if style == "whole":
            return str(int(number))
        if decimals is None:
            return repr(number)
        text = f"{number:.{decimals}f}"
        return text if style == "fixed" or "." not in text else text.rstrip("0").rstrip(".")

    return _written(numbers, missing, written, dtype)


def moment_texts(
    ticks: NDArray[np.int64], missing: NDArray[np.bool_], pattern: str, dtype: Any
) -> Any:
    """Ticks (N,) of the format's unit written in it, in the dtype of text."""
    unit = _MOMENTS[pattern]

    def written(tick: int) -> str:
        text = str(np.datetime64(int(tick), unit))  # type: ignore[call-overload]
        return text if "T" in pattern else text.replace("T", " ")

    return _written(ticks, missing, written, dtype)


def _moment(text: str, unit: str, pattern: str) -> np.datetime64 | None:
    if len(text) not in (10, 16, 19) or ("T" in text) != ("T" in pattern):
        return None
    try:
        moment = np.datetime64(text)
    except ValueError:
        return None
    iso = str(moment) if "T" in pattern else str(moment).replace("T", " ")
    return moment if iso == text and np.datetime_data(moment.dtype)[0] == unit else None


def _written(numbers: Any, missing: NDArray[np.bool_], written: Any, dtype: Any) -> Any:
    distinct, inverse = np.unique(numbers[~missing], return_inverse=True)
    codes = np.full(len(numbers), -1, dtype=np.int32)
    codes[~missing] = inverse
    return cells_of(codes, level_cells([written(v) for v in distinct.tolist()], dtype), None)


def _check_all(series: Series, codes: NDArray[np.int64], good: list[bool], what: str) -> None:
    bad = ~np.array([*good, True])[codes]
    if bad.any():
        row = int(bad.argmax())
        raise DataError(
            f"column {series.name!r}, row {row}: {series.iloc[row]!r} is not {what}; "
            f"{int(bad.sum())} of {len(series)} cells are not. Leave the column's kind to be "
            "inferred, or correct those cells."
        )
