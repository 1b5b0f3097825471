"""The cells of one CSV column as values with a type, once it is known what they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.csv_files.dates import parse_times
from gan_augment.data.csv_files.numbers import parse_floats
from gan_augment.data.csv_files.survey import Surveyed

if TYPE_CHECKING:
    import pandas as pd

_KEPT_ONCE = 100_000  # distinct texts of a column; beyond, they hardly come again
_EXACT = 2**53  # whole numbers below it are exact as float64


class ColumnValues:
    """Takes the cells of a column chunk by chunk; `series` is all of them."""

    def __init__(self, surveyed: Surveyed) -> None:
        self._how = surveyed.how
        self._missing = surveyed.missing
        self._parts: list[NDArray[Any]] = []
        self._gaps: list[NDArray[np.bool_]] = []
        self._texts: dict[str, str] = {}

    def take(self, cells: Sequence[str]) -> None:
        """One more chunk of the column."""
        if self._how.kind == "text":
            self._parts.append(self._text(cells))
            return
        gaps = np.zeros(len(cells), bool)
        if self._missing:
            gaps = np.fromiter(map(self._missing.__contains__, cells), bool, len(cells))
        present = cells
        if gaps.any():
            present = [cell for cell in cells if cell not in self._missing]
        values = self._present(present)
        spread = np.full(len(cells), _filling(values.dtype), values.dtype)
        spread[~gaps] = values
        self._parts.append(spread)
        self._gaps.append(gaps)

    def series(self) -> pd.Series:
        """float64, int64 (Int64), bool (boolean), datetime64 or object, by the kind."""
        import pandas as pd

        values = np.concatenate(self._parts)
        self._parts.clear()
        if values.dtype.kind == "M":
            series = pd.Series(values)
            return series.dt.tz_localize("UTC") if self._how.times.zone else series
        gaps = np.concatenate(self._gaps) if self._gaps else np.zeros(len(values), bool)
        if values.dtype.kind in "Of" or not gaps.any():
            return pd.Series(values, dtype=values.dtype)
        if values.dtype.kind == "b":
            return pd.Series(pd.arrays.BooleanArray(values, gaps))
        if np.abs(values).max() < _EXACT:
            return pd.Series(np.where(gaps, np.nan, values))
        return pd.Series(pd.arrays.IntegerArray(values, gaps))

    def _present(self, cells: Sequence[str]) -> NDArray[Any]:
        how = self._how
        if how.kind == "boolean":
            return np.fromiter((cell == how.booleans[0] for cell in cells), bool, len(cells))
        if how.kind == "number" and how.numbers.whole:
            return np.fromiter(map(int, cells), np.int64, len(cells))
        if how.kind == "number":
            return parse_floats(cells, how.numbers)
        times = parse_times(cells, how.times)
        return np.full(len(cells), "NaT", f"M8[{how.times.unit}]") if times is None else times

    def _text(self, cells: Sequence[str]) -> NDArray[Any]:
        keep = self._texts.setdefault if len(self._texts) < _KEPT_ONCE else self._texts.get
        once = {c: None if c in self._missing else keep(c, c) for c in set(cells)}
        values = np.empty(len(cells), dtype=object)
        values[:] = list(map(once.__getitem__, cells))
        return values


def _filling(dtype: np.dtype[Any]) -> object:
    return {"f": np.nan, "M": np.datetime64("NaT"), "i": 0, "b": False}[dtype.kind]
