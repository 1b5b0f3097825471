"""How much: the primary metric by amount, by generated share, and by the number of real rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gan_augment.evaluation.amount import Amount
from gan_augment.evaluation.arm_figures import spread
from gan_augment.evaluation.arms import chosen_amount, line_of
from gan_augment.evaluation.candidates import NONE, REAL_SHARES, Candidate
from gan_augment.evaluation.confusions import SAID
from gan_augment.evaluation.readings import Reading, Readings
from gan_augment.evaluation.running import ALL_GENERATED
from gan_augment.evaluation.statistics import CERTAIN, Contrast

FARTHEST = 2.0
"""Doublings of the rare rows beyond which a gain is not priced: nothing was measured there."""


def curves_section(readings: Readings[Any]) -> dict[str, list[dict[str, Any]]]:
    """Points under the declared decision; `amount` for people, and the number it stands for.

    to: the GAN's rows added at its usual share, from nothing to parity. share: the generated part
    of what is added, at the amount chosen in each split. real_rows: fewer real rare rows, nothing
    added. A curve of less than two points is empty.
    """
    curves = {"to": _by_amount(readings), "share": _by_share(readings), "real_rows": []}
    if readings.setup.curves:
        curves["real_rows"] = _by_real_rows(readings)
    return {name: points if len(points) > 1 else [] for name, points in curves.items()}


def worth_section(
    real_rows: Sequence[Mapping[str, Any]], gain: Contrast | None, rows: int, metric: str
) -> dict[str, Any]:
    """What the gain of the GAN's rows costs in real rare rows, by the learning curve of those.

    The curve is taken as a line over the logarithm of the number, through its points by least
    squares, and is not followed beyond four times the rows that there are. rows: rare rows now.
    more_rows: None where nothing can be said.
    """
    if gain is None or len(real_rows) < 2:
        return {"sentence": "", "more_rows": None}
    said, points = SAID.get(metric, metric), f"{100 * gain.mean:+.1f} points"
    doublings = np.log2([point["share"] for point in real_rows])
    slope = float(np.polyfit(doublings, [point["mean"] for point in real_rows], 1)[0])
    if gain.mean <= 0:
        return {
            "sentence": f"The GAN's rows are worth no real ones here: {said} {points}.",
            "more_rows": 0,
        }
    if slope <= 0:
        told = f"More real rare rows did not raise {said} here, so {points} have no price in rows."
        return {"sentence": told, "more_rows": None}
    each = f"a doubling of the real ones gains {100 * slope:.1f}"
    what = f"The gain of {points}" + ("" if gain.above(0.0) >= CERTAIN else ", if there is one,")
    if gain.mean / slope > FARTHEST:
        told = (
            f"{what} is worth more than {round(rows * (2**FARTHEST - 1)):,} more "
            f"real rare rows ({each})."
        )
        return {"sentence": told, "more_rows": None}
    more = round(rows * (2 ** (gain.mean / slope) - 1))
    told = f"{what} is worth about {more:,} more real rare rows ({each})."
    return {"sentence": told, "more_rows": more}


def _by_amount(readings: Readings[Any]) -> list[dict[str, Any]]:
    tried = {c.amount.to for c in readings.setup.candidates if c.generated == "gan"}
    points = [_point(readings, "nothing", "to", 0.0, readings.none)]
    for to in sorted(tried):
        said = "parity" if to == 1 else f"{100 * to:g} %"
        reading = readings.candidate(Candidate("amount", Amount("gan", to)))
        points.append(_point(readings, said, "to", to, reading))
    return [point for point in points if point]


def _by_share(readings: Readings[Any]) -> list[dict[str, Any]]:
    """Repeats alone, the usual share, generated rows alone; each at the split's chosen amount."""
    setup, gan = readings.setup, readings.of.get("gan")
    if gan is None or not setup.curves:
        return []
    usual = setup.top_up.resolved("table" if setup.table else "image")[0]
    found: dict[float, Reading | None] = {0.0: _at_chosen(readings, "repeats", None)}
    found[1.0] = _at_chosen(readings, "gan", ALL_GENERATED)
    found[usual] = gan
    points = [_point(readings, f"{100 * s:g} %", "share", s, found[s]) for s in sorted(found)]
    return [point for point in points if point]


def _at_chosen(readings: Readings[Any], source: str, share: float | None) -> Reading | None:
    """A source at the amount that the GAN's arm chose in each split; None with gaps."""
    setup, lines = readings.setup, []
    for split in setup.protocol.splits:
        amount = chosen_amount(setup, readings.journal, split, "gan")
        if amount is None:
            return None
        candidate = Candidate("amount", Amount(source, amount.to), share=share)  # type: ignore[arg-type]
        line = line_of(readings.journal, split, candidate)
        if line is None or line["error"] is not None:
            return None
        lines.append(line)
    return Reading(tuple(lines), readings.none.evaluated, readings.none.rare)


def _by_real_rows(readings: Readings[Any]) -> list[dict[str, Any]]:
    points = []
    for share in (*REAL_SHARES, 1.0):
        candidate = NONE if share == 1 else Candidate("real", share=share)
        reading = readings.candidate(candidate)
        points.append(_point(readings, f"{100 * share:g} %", "share", share, reading))
    return [point for point in points if point]


def _point(
    readings: Readings[Any], said: str, axis: str, at: float, reading: Reading | None
) -> dict[str, Any]:
    """One point; empty where it could not be measured."""
    if reading is None:
        return {}
    setup, column = readings.setup, readings.column
    told = spread(reading.values(setup.metric, column), reading.places)
    if told["mean"] is None or not math.isfinite(told["mean"]):
        return {}
    minus = readings.difference(reading, readings.none, setup.metric, column)
    same = reading.lines == readings.none.lines
    return {
        "amount": said,
        axis: at,
        "mean": told["mean"],
        "sd": told["sd"],
        "minus_none": None if minus is None or same else minus.to_dict(setup.delta),
    }
