"""The sections of result.json, read off a journal: one dictionary, the same bytes always."""

from __future__ import annotations

import hashlib
import json
import math
import platform
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.splits import unit_of_rows
from gan_augment.evaluation.amount import Amount
from gan_augment.evaluation.arm_results import (
    Column,
    Reading,
    Readings,
    Values,
    chosen_amount,
    first_repeat,
    judged_rows,
    line_of,
    rare_labels,
    read_all,
)
from gan_augment.evaluation.arms import ALL_GENERATED, NONE, REAL_SHARES, Candidate
from gan_augment.evaluation.diagnosis.sections import (
    diagnostics_section,
    pictures_section,
    training_section,
)
from gan_augment.evaluation.figures import METRICS, OF_RANKS, SAID, Counts
from gan_augment.evaluation.journal import Journal, Line, unpack_labels
from gan_augment.evaluation.plan import Setup
from gan_augment.evaluation.protocol import INNER_FOLDS
from gan_augment.evaluation.result import SCHEMA
from gan_augment.evaluation.statistics import (
    CERTAIN,
    Contrast,
    detectable,
    identical_above,
    mcnemar_exact,
    paired_bootstrap,
)
from gan_augment.evaluation.verdict import (
    CHEAP,
    MARGINS,
    Cheap,
    Guardrail,
    VerdictFacts,
    decide,
    guardrails,
)
from gan_augment.randomness import derived_seed
from gan_augment.synthesizers.base import Data

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


def facts_of(readings: Readings[Any]) -> VerdictFacts:
    """What the verdict depends on, under the declared metric and decision."""
    setup, none, gan = readings.setup, readings.none, readings.of.get("gan")
    metric, column = setup.metric, readings.column
    over_none = None if gan is None else readings.difference(gan, none, metric, column)
    cheap = {}
    for name in CHEAP:
        arm = readings.of.get(name)
        gains = None if arm is None else readings.difference(arm, none, metric, column)
        if arm is None or gains is None:
            continue
        gan_over = None if gan is None else readings.difference(gan, arm, metric, column)
        cheap[name] = Cheap(gains, gan_over, guardrails_of(readings, arm))
    missing = {
        name: arm.missing
        for name, arm in readings.arms.items()
        if arm.missing is not None and name in (*CHEAP, "gan")
    }
    return VerdictFacts(
        metric=metric,
        delta=setup.delta,
        gan=over_none,
        cheap=cheap,
        guardrails=() if gan is None else guardrails_of(readings, gan),
        rare_units=rare_units(readings),
        unit=setup.protocol.unit,
        copied=copies_section(readings)["flag"],
        missing=missing,
        not_asked=tuple(name for name in CHEAP if name not in setup.arms),
    )


def verdict_section(readings: Readings[Any]) -> dict[str, Any]:
    """The verdict of result.json, with the numbers that it stands on."""
    facts = facts_of(readings)
    found, gan = decide(facts), facts.gan
    seen = math.inf if gan is None else detectable(gan.error, gan.freedom, facts.delta)
    return {
        "word": found.word,
        "arm": found.arm,
        "sentence": found.sentence,
        "reasons": list(found.reasons),
        "difference": None if gan is None else gan.to_dict(facts.delta),
        "detectable": seen if math.isfinite(seen) else None,
        "rare_units": facts.rare_units,
        "guardrails": {rail.what: rail.to_dict() for rail in facts.guardrails},
    }


def guardrails_of(readings: Readings[Any], arm: Reading) -> tuple[Guardrail, ...]:
    """Of an arm against none: accuracy, the recall of classes not topped up, and log loss."""
    setup, none, column = readings.setup, readings.none, readings.column
    accuracy = readings.difference(arm, none, "accuracy", column)
    assert accuracy is not None, "every split tests a row"
    rare = {setup.data.names.index(name) for name in setup.rare}
    changes = {
        setup.data.names[label]: readings.recall_difference(arm, label, column)
        for label in setup.evaluated
        if label not in rare
    }
    recalls = {name: change for name, change in changes.items() if change is not None}
    return guardrails(accuracy, recalls, readings.paired(arm.log_losses(), none.log_losses()))


def rare_units(readings: Readings[Any]) -> int:
    """Independent rows, or groups, of the judged rare classes among the rows that are tested."""
    data = readings.setup.data
    rows = np.unique(judged_rows(first_repeat(readings.setup)))
    own = rows[np.isin(data.labels[rows], rare_labels(readings.setup))]
    if data.groups is None:
        return len(own)
    return len(np.unique(unit_of_rows(data.groups)[own]))


def few_positives_section(readings: Readings[Any]) -> dict[str, Any]:
    """Row by row on the first repeat: never part of the verdict, shown where positives are few.

    bootstrap: gan minus none, by groups where there are groups; None for a metric of ranks.
    mcnemar: {rare class: rows that only one of the two gets right, and the exact p}.
    """
    setup, gan = readings.setup, readings.of.get("gan")
    if gan is None:
        return {"bootstrap": None, "mcnemar": {}}
    rows = judged_rows(first_repeat(setup))
    data = setup.data
    labels = data.labels[rows]
    with_gan, without = _called(readings, gan), _called(readings, readings.none)
    bootstrap = None
    if setup.metric not in OF_RANKS:
        bootstrap = paired_bootstrap(
            labels,
            with_gan,
            without,
            None if data.groups is None else data.groups[rows],
            setup.metric,
            setup.evaluated,
            classes=len(data.names),
            seed=derived_seed(setup.seed, "evaluation-bootstrap"),
        )
    mcnemar = {}
    for label in rare_labels(setup):
        own = labels == label
        right, right_without = with_gan[own] == label, without[own] == label
        only_gan = int((right & ~right_without).sum())
        only_none = int((~right & right_without).sum())
        mcnemar[data.names[label]] = {
            "only_gan": only_gan,
            "only_none": only_none,
            "p": mcnemar_exact(only_gan, only_none),
        }
    return {"bootstrap": bootstrap, "mcnemar": mcnemar}


def copies_section(readings: Readings[Any]) -> dict[str, Any]:
    """Generated rows of the GAN's arm that equal a training row, over the first repeat.

    flag: a larger share of them than of held-out real rows, by Fisher's exact test at .05.
    """
    names = ("generated", "identical", "held", "held_identical")
    gan = readings.of.get("gan")
    told = [] if gan is None else [line for line in gan.lines if line["repeat"] == 0]
    counts = {name: sum(line["copies"][name] for line in told if line["copies"]) for name in names}
    flag = identical_above(
        counts["identical"], counts["generated"], counts["held_identical"], counts["held"]
    )
    return {**counts, "flag": flag}


def _called(readings: Readings[Any], reading: Reading) -> NDArray[np.int64]:
    """int64: what an arm calls the test rows of the first repeat, in the order of the splits."""
    by_place = dict(zip(reading.places, reading.lines, strict=True))
    found = []
    for split in first_repeat(readings.setup):
        called = by_place[(split.repeat, split.fold)]["called"]
        text = called["tuned"] if readings.column == "tuned" else None
        found.append(unpack_labels(text or called["default"]))
    return np.concatenate(found)


def build_result(setup: Setup[Data], journal: Journal) -> dict[str, Any]:
    """Everything that is told of a journal that lacks nothing, by the schema of result.json."""
    readings = read_all(setup, journal)
    verdict, copies = verdict_section(readings), copies_section(readings)
    curves = curves_section(readings)
    gan = readings.of.get("gan")
    gain = None
    if gan is not None:
        gain = readings.difference(gan, readings.none, setup.metric, readings.column)
    rare_rows = sum(setup.data.counts[name] for name in setup.judged_rare)
    return {
        "schema": SCHEMA,
        "library": setup.header["asked"]["library"],
        "declared": _declared(readings),
        "data": _data(setup),
        "protocol": _protocol(setup),
        "verdict": verdict,
        "arms": {name: arm_section(readings, name) for name in readings.arms},
        "gan_minus": _gan_minus(readings),
        "few_positives": few_positives_section(readings),
        "curves": curves,
        "worth": worth_section(curves["real_rows"], gain, rare_rows, setup.metric),
        "copies": copies,
        "training": training_section(journal),
        "diagnostics": diagnostics_section(journal),
        "pictures": pictures_section(journal),
        "warnings": list(_warnings(readings, copies["flag"])),
        "seen": _seen(journal),
    }


def build_timings(setup: Setup[Data], journal: Journal) -> dict[str, Any]:
    """Seconds of all fits by candidate and source, one thread each, and where they were spent."""
    cells: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    generators: dict[str, float] = defaultdict(float)
    diagnoses = 0.0
    for line in journal.lines():
        if line["kind"] == "generator":
            generators[line["source"]] += line["seconds"]["fit"]
        elif line["kind"] == "diagnosis":
            diagnoses += line["seconds"]["diagnosis"]
        else:
            for what, spent_s in line["seconds"].items():
                cells[line["candidate"]][what] += spent_s
    total = sum(generators.values()) + sum(sum(spent.values()) for spent in cells.values())
    total += diagnoses
    return {
        "schema": SCHEMA,
        "seconds": {
            "total": total,
            "generators": dict(generators),
            "diagnoses": diagnoses,
            "candidates": {name: dict(spent) for name, spent in cells.items()},
        },
        "machine": {"system": platform.system(), "processor": platform.machine()},
        "python": platform.python_version(),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _declared(readings: Readings[Any]) -> dict[str, Any]:
    """What was fixed before any fit, with a hash of it and of all that was asked."""
    setup = readings.setup
    declared = {
        "metric": setup.metric,
        "decision": readings.column,
        "contrast": "gan - none",
        "delta": setup.delta,
        "margins": dict(MARGINS),
    }
    asked = {"declared": declared, "asked": setup.header["asked"]}
    text = json.dumps(asked, sort_keys=True, allow_nan=False)
    return {**declared, "sha256": hashlib.sha256(text.encode()).hexdigest()}


def _data(setup: Setup[Any]) -> dict[str, Any]:
    asked, protocol = setup.header["asked"], setup.protocol
    return {
        "kind": asked["kind"],
        "rows": len(setup.data),
        "classes": {name: int(n) for name, n in setup.data.counts.items()},
        "rare": list(setup.rare),
        "evaluated": list(protocol.evaluated),
        "left_out": dict(protocol.left_out),
        "unit": protocol.unit,
        "units": {name: int(n) for name, n in protocol.units.items()},
        "sha256": asked["data"],
        "duplicates": asked["duplicates"],
    }


def _protocol(setup: Setup[Any]) -> dict[str, Any]:
    asked, planned, protocol = setup.header["asked"], setup.header["planned"], setup.protocol
    return {
        "splits": protocol.kind,
        "folds": protocol.folds,
        "repeats": protocol.repeats,
        "inner_folds": INNER_FOLDS,
        "seed": setup.seed,
        "learner": asked["learner"],
        "augmenter": {**asked["generator"], "steps": planned["steps"]},
        "amounts": [c.key for c in setup.candidates],
        "splits_sha256": protocol.sha256(),
        "left_out": list(planned["left_out"]),
        "notes": list(protocol.notes),
    }


def _gan_minus(readings: Readings[Any]) -> dict[str, Any]:
    """The primary contrast against every other arm, under the declared decision."""
    setup, gan = readings.setup, readings.of.get("gan")
    if gan is None:
        return {}
    others = {name: one for name, one in readings.of.items() if name != "gan"}
    found = {
        name: readings.difference(gan, other, setup.metric, readings.column)
        for name, other in others.items()
    }
    return {name: c.to_dict(setup.delta) for name, c in found.items() if c is not None}


def _warnings(readings: Readings[Any], copied: bool) -> Iterator[str]:
    """What a reader must know before the figures."""
    setup = readings.setup
    duplicates = setup.header["asked"]["duplicates"]
    if duplicates["exact"] and not duplicates["grouped"]:
        yield (
            f"{duplicates['exact']} rows equal another in every feature and may be on both sides "
            "of a split; --group-duplicates (group_duplicates=True) keeps them together"
        )
    if copied:
        yield "generated rows repeat training rows more often than held-out real rows do"
    failed: dict[str, list[str]] = defaultdict(list)
    for line in readings.journal.lines():
        if line.get("error"):
            failed[_who(line)].append(line["error"])
    for who, why in failed.items():
        yield f"{who} failed in {len(why)} fits, first because: {why[0]}"


def _who(line: Line) -> str:
    """What failed, for people."""
    if line["kind"] == "diagnosis":
        return "the diagnosis of generated rows"
    return line["candidate"] if line["kind"] == "cell" else f"generator {line['source']}"


def _seen(journal: Journal) -> dict[str, Any]:
    """How many fits say which ids they saw, and a hash of them all in order."""
    told = [
        fit["sha256"]
        for line in journal.lines()
        for _, fit in sorted((line.get("seen") or {}).items())
    ]
    return {"fits": len(told), "sha256": hashlib.sha256("".join(told).encode()).hexdigest()}
