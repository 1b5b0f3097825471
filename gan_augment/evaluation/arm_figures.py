"""An arm of result.json: its figures, over the splits. What is compared with it is elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from gan_augment.evaluation.confusions import METRICS, Counts
from gan_augment.evaluation.journal import Line
from gan_augment.evaluation.readings import Column, Reading, Readings, Values

KEYS = (
    "missing",
    "chosen",
    "rows",
    "default",
    "tuned",
    "per_class",
    "average_precision",
    "calibration",
    "confusion",
    "minus_none",
)


def arm_section(readings: Readings[Any], name: str) -> dict[str, Any]:
    """Everything that is told of one arm; only why, where it is missing."""
    arm, reading = readings.arms[name], readings.of.get(name)
    if reading is None:
        return {**dict.fromkeys(KEYS), "missing": arm.missing}
    names = readings.setup.data.names
    columns: list[Column] = ["default", "tuned"] if readings.column == "tuned" else ["default"]
    chosen = Counter(one.amount for one in arm.splits if one.amount is not None)
    figures = {column: _column(reading, column) for column in columns}
    return {
        "missing": None,
        "chosen": dict(sorted(chosen.items(), key=lambda pair: (-pair[1], pair[0]))),
        "rows": _rows(reading.lines),
        "default": figures["default"],
        "tuned": figures.get("tuned"),
        "per_class": {c: _per_class(reading, c, names) for c in columns},
        "average_precision": _average_precision(reading, names),
        "calibration": _calibration(reading.lines),
        "confusion": {c: reading.first(c).sum(axis=0).tolist() for c in columns},
        "minus_none": None if name == "none" else _minus_none(readings, reading, columns),
    }


def spread(values: Values, places: Sequence[tuple[int, int]]) -> dict[str, Any]:
    """Mean, standard deviation (n - 1) and the values in the order of the splits, None in gaps."""
    held = list(values.values())
    return {
        "mean": float(np.mean(held)) if held else None,
        "sd": float(np.std(held, ddof=1)) if len(held) > 1 else None,
        "values": [values.get(place) for place in places],
    }


def _column(reading: Reading, column: Column) -> dict[str, Any]:
    return {m: spread(reading.values(m, column), reading.places) for m in METRICS}


def _minus_none(
    readings: Readings[Any], reading: Reading, columns: Sequence[Column]
) -> dict[str, Any]:
    delta = readings.setup.delta
    found: dict[str, Any] = {}
    for column in columns:
        by_metric = {m: readings.difference(reading, readings.none, m, column) for m in METRICS}
        found[column] = {m: c.to_dict(delta) for m, c in by_metric.items() if c is not None}
    return found


def _rows(lines: Sequence[Line]) -> dict[str, dict[str, float]]:
    """Mean counts of the training sets by class and origin."""
    first: dict[str, dict[str, int]] = lines[0]["rows"]
    return {
        name: {
            origin: float(np.mean([line["rows"][name][origin] for line in lines]))
            for origin in origins
        }
        for name, origins in first.items()
    }


def _per_class(reading: Reading, column: Column, names: Sequence[str]) -> dict[str, Any]:
    """Figures of each class on the rows of all splits together; its rows in the first repeat."""
    whole, once = reading.confusions[column].sum(axis=0), reading.first(column).sum(axis=0)
    return {
        name: _class_figures(whole, label, int(once[label].sum()))
        for label, name in enumerate(names)
        if whole[label].sum()
    }


def _class_figures(counts: Counts, label: int, support: int) -> dict[str, Any]:
    """A class that is never called has precision and F1 0."""
    right, rows, called = counts[label, label], counts[label].sum(), counts[:, label].sum()
    return {
        "support": support,
        "recall": float(right / rows),
        "precision": float(right / called) if called else 0.0,
        "f1": float(2 * right / (rows + called)),
    }


def _average_precision(reading: Reading, names: Sequence[str]) -> dict[str, Any]:
    """Of each class that has any: the mean over splits, and its share of the test rows."""
    counts = reading.confusions["default"].sum(axis=(0, 2))
    found = {}
    for label, name in enumerate(names):
        told = [line["test"]["average_precision"][label] for line in reading.lines]
        known = [value for value in told if value is not None]
        if known:
            base_rate = float(counts[label] / counts.sum())
            found[name] = {"mean": float(np.mean(known)), "base_rate": base_rate}
    return found


def _calibration(lines: Sequence[Line]) -> dict[str, Any] | None:
    """Mean losses over the splits; bins and calibration error of all their rows together."""
    told = [line["test"]["calibration"] for line in lines]
    if any(one is None for one in told):
        return None
    return {when: _pooled([one[when] for one in told]) for when in ("before", "after")}


def _pooled(told: Sequence[dict[str, Any]]) -> dict[str, Any]:
    bins: list[list[Any]] = []
    for together in zip(*(one["bins"] for one in told), strict=True):
        n = sum(count for count, _, _ in together)
        sums = [sum(b[0] * b[at] for b in together if b[0]) for at in (1, 2)]
        bins.append([n, sums[0] / n, sums[1] / n] if n else [0, None, None])
    gaps = sum(n * abs(confidence - right) for n, confidence, right in bins if n)
    return {
        "log_loss": float(np.mean([one["log_loss"] for one in told])),
        "brier": float(np.mean([one["brier"] for one in told])),
        "calibration_error": gaps / sum(n for n, _, _ in bins),
        "bins": bins,
    }
