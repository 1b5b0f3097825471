"""Intervals of a share. Counts in, two bounds out."""

from __future__ import annotations

import math
from typing import NamedTuple

from gan_augment.errors import UsageError


class Share(NamedTuple):
    """A share 0..1 with the bounds of its 95 % interval."""

    value: float
    low: float
    high: float


def wilson_interval(hits: float, of: float) -> tuple[float, float]:
    """The 95 % interval of a share, from `hits` successes in `of` independent trials.

    Bounds: (p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n), with z = 1.96. Half hits
    (ties) are welcome. Source: Wilson 1927, "Probable inference, the law of succession", JASA 22.
    Raises UsageError where not 0 <= hits <= of, of > 0.

    >>> [round(bound, 4) for bound in wilson_interval(5, of=10)]
    [0.2366, 0.7634]
    """
    if not (of > 0 and 0 <= hits <= of):
        raise UsageError(f"{hits} hits of {of}; expected 0 <= hits <= trials and a trial at least.")
    z = 1.959963984540054
    share, scale = hits / of, 1 + z * z / of
    centre = share + z * z / (2 * of)
    half = z * math.sqrt(share * (1 - share) / of + (z / (2 * of)) ** 2)
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def share_worth(value: float, trials: float) -> Share:
    """A share with its Wilson interval, where its spread is that of so many independent trials."""
    return Share(value, *wilson_interval(value * trials, of=trials))
