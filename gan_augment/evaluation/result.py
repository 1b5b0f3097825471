"""The result of an evaluation, read off its journal: one dictionary, the same bytes always.

`build_result` reads a setup and its journal; nothing is fitted. Times and dates are in
`build_timings`, so that result.json holds what can be reproduced only.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from gan_augment.evaluation.arm_figures import arm_section
from gan_augment.evaluation.curves import curves_section, worth_section
from gan_augment.evaluation.diagnosis.sections import (
    diagnostics_section,
    pictures_section,
    training_section,
)
from gan_augment.evaluation.found import SCHEMA
from gan_augment.evaluation.journal import Journal, Line
from gan_augment.evaluation.judging import (
    copies_section,
    few_positives_section,
    verdict_section,
)
from gan_augment.evaluation.protocol import INNER_FOLDS
from gan_augment.evaluation.readings import Readings, read_all
from gan_augment.evaluation.setup import Setup
from gan_augment.evaluation.verdict import MARGINS
from gan_augment.synthesizers.protocol import Data


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
