"""What a column of numbers or moments is like: whole or of few decimals, its range, its spikes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.cells.local_clock import from_wall, to_wall
from gan_augment.data.cells.numbers import TICKS, Numbers
from gan_augment.data.schema import Unit

SPIKE_SHARE = 0.05
FEWEST_DISTINCT_WITH_SPIKES = 20
MOST_DECIMALS = 12
EXACT = 2**53  # whole numbers up to here are float64s
_UNITS: tuple[Unit, ...] = ("D", "h", "m", "s", "ms", "us", "ns")


@dataclass(frozen=True)
class NumberFacts:
    """The fields of `schema.Column` that describe numbers, and how many of them differ."""

    fields: dict[str, Any]
    distinct: int
    shares: tuple[float, ...] = ()


def number_facts(known: Numbers, precision: int = 15) -> NumberFacts:
    """Of the known cells (N,), N >= 1, in any order.

    precision: significant digits that the storage keeps (float32: 6).
    """
    values, counts = np.unique(known, return_counts=True)
    decimals = 0 if known.dtype.kind in "iu" else decimals_of(values.astype(np.float64), precision)
    low, high = values[0].item(), values[-1].item()
    fields: dict[str, Any] = {"decimals": decimals, "integer": decimals == 0, "origin": 0}
    if known.dtype.kind in "iu" and max(-low, high) > EXACT:
        fields["origin"] = low
    spikes, shares = _spikes(values, counts)
    whole = decimals == 0 and max(-low, high) <= EXACT
    as_written = int if whole else (lambda value: value)
    fields |= {"low": as_written(low), "high": as_written(high)}
    fields["spikes"] = tuple(as_written(spike) for spike in spikes)
    return NumberFacts(fields, len(values), shares)


def moment_facts(ticks: NDArray[np.int64], unit: Unit | None, zone: str) -> NumberFacts:
    """Of known moments (N,) in ticks of the unit since 1970; None: of a period of its own."""
    wall = bool(zone) and _local_days(ticks, unit, zone)
    if wall:
        ticks = to_wall(ticks, unit, zone)
    facts = duration_facts(ticks, unit)
    origin = facts.fields["low"]
    return NumberFacts(
        facts.fields | {"origin": origin, "wall": wall, "zone": zone}, facts.distinct, facts.shares
    )


def duration_facts(ticks: NDArray[np.int64], unit: Unit | None) -> NumberFacts:
    """Of known durations (N,) in ticks of the unit: facts in the coarsest unit that is exact."""
    coarsest = unit
    for wider in _UNITS[: _UNITS.index(unit)] if unit else ():
        if not (ticks % (TICKS[wider] // TICKS[unit or wider])).any():
            coarsest = wider
            break
    if unit and coarsest:
        ticks = ticks // (TICKS[coarsest] // TICKS[unit])
    facts = number_facts(ticks)
    return NumberFacts(facts.fields | {"unit": coarsest}, facts.distinct, facts.shares)


def decimals_of(values: NDArray[np.float64], precision: int = 15) -> int | None:
    """The fewest digits after the point that write all values (distinct, ascending), or None.

    None where that takes more than 12 digits, or as many as the storage keeps: then any value
    would do. Whole numbers: 0.

    >>> decimals_of(np.array([0.25, 1.5])), decimals_of(np.array([1 / 3]))
    (2, None)
    """
    largest = float(np.abs(values[[0, -1]]).max())
    digits_before = max(0, int(np.floor(np.log10(largest))) + 1) if largest >= 1 else 0
    most = min(MOST_DECIMALS, precision - 1 - digits_before)
    kind = np.float16 if precision < 5 else np.float32 if precision < 10 else np.float64
    few = values[:: max(1, len(values) // 1_000)]  # settles most columns at once
    for decimals in range(max(most, 0) + 1):
        for part in (few, values):
            written = np.round(part, decimals).astype(kind)
            if not (written == part.astype(kind)).all():
                break
        else:
            return decimals
    return None


def _spikes(
    values: NDArray[Any], counts: NDArray[np.int64]
) -> tuple[tuple[Any, ...], tuple[float, ...]]:
    """(values with at least 5 % of the cells, their shares) where more than 20 differ."""
    if len(values) <= FEWEST_DISTINCT_WITH_SPIKES:
        return (), ()
    shares = counts / counts.sum()
    often = shares >= SPIKE_SHARE
    return tuple(values[often].tolist()), tuple(shares[often].tolist())


def _local_days(ticks: NDArray[np.int64], unit: Unit | None, zone: str) -> bool:
    """Whether all are midnights in their zone and not in UTC, and can be found again as such."""
    day = TICKS["D"] // TICKS[unit or "ns"]
    if not (ticks % day).any():
        return False
    wall = to_wall(ticks, unit, zone)
    return not (wall % day).any() and bool((from_wall(wall, unit, zone) == ticks).all())
