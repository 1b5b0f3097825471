"""Ticks of UTC as ticks of a zone's wall clock and back, so that local days stay whole days."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pandas import DatetimeIndex

Ticks = NDArray[np.int64]


def to_wall(ticks: Ticks, unit: str | None, zone: str) -> Ticks:
    """(N,) ticks since 1970 in UTC -> what the zone's clocks show, as if it were UTC."""
    return np.asarray(_in_utc(ticks, unit).tz_convert(zone).tz_localize(None).asi8)


def from_wall(ticks: Ticks, unit: str | None, zone: str) -> Ticks:
    """The other way; the first of two equal times, and the next time that there is."""
    naive = _in_utc(ticks, unit).tz_localize(None)
    first = np.ones(len(naive), dtype=bool)
    local = naive.tz_localize(zone, ambiguous=first, nonexistent="shift_forward")
    return np.asarray(local.tz_convert("UTC").asi8)


def _in_utc(ticks: Ticks, unit: str | None) -> DatetimeIndex:
    import pandas as pd

    return pd.DatetimeIndex(ticks.view(f"M8[{unit}]")).tz_localize("UTC")
