"""Build result.json from a journal: figures, contrasts, the verdict; no times, no dates."""

from __future__ import annotations

import hashlib
import json
import math
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import numpy as np

from gan_augment.evaluation.decisions import METRICS
from gan_augment.evaluation.design import Design
from gan_augment.evaluation.diagnosis import diagnostics_section
from gan_augment.evaluation.judged import JudgedArm, Results
from gan_augment.evaluation.options import CHEAP_ARMS, ON_TOP, RIVALS
from gan_augment.evaluation.plan import duplicates_warning
from gan_augment.evaluation.recommendation import recommendation_section
from gan_augment.evaluation.result import SCHEMA
from gan_augment.evaluation.statistics import LEVEL, Contrast, identical_chance
from gan_augment.evaluation.verdict import (
    CHEAP,
    MARGINS,
    Cheap,
    Guardrail,
    VerdictFacts,
    decide,
    guardrails,
)
from gan_augment.storage.journal import Journal


def build_result(design: Design, journal: Journal) -> dict[str, Any]:
    """Return result.json of the judged splits; the same bytes for the same evaluation."""
    results, asked, protocol = Results(design, journal), design.header["asked"], design.protocol
    copied, gan, delta = copies_section(results), results.arm("gan"), design.options.delta
    others = {name: results.arm(name) for name in results.arms if gan is not None and name != "gan"}
    gains = {n: results.difference(gan, arm) for n, arm in others.items() if gan and arm}
    sections = {name: arm_section(results, name) for name in results.arms}
    lacking = dict.fromkeys(sections["none"])
    diagnoses = [li for li in results.lines if li["kind"] == "diagnosis" and not li["error"]]
    shown = (line for line in diagnoses if line["pictures"])
    return {
        "schema": SCHEMA,
        "library": asked["library"],
        "declared": _declared(results),
        "data": {
            "kind": asked["kind"],
            "rows": len(design.learned),
            "classes": design.learned.counts,
            "rare": list(design.rare),
            "evaluated": list(protocol.evaluated),
            "left_out": dict(protocol.left_out),
            "unit": protocol.unit,
            "units": dict(protocol.units),
            "sha256": asked["data"],
            "duplicates": asked["duplicates"],
        },
        "protocol": {
            "splits": protocol.way,
            "folds": protocol.folds,
            "repeats": protocol.repeats,
            "seed": design.options.fit.seed,
            "learner": asked["learner"],
            "augmenter": {**asked["generator"], "steps": design.steps},
            "to": design.options.top_up.to,
            "splits_sha256": asked["splits"],
            "left_out": results.left_out,
            "notes": list(protocol.notes),
        },
        "recommendation": recommendation_section(results),
        "verdict": verdict_section(results, copied=copied["flag"]),
        "arms": {
            arm.name: sections.get(arm.name) or {**lacking, "missing": results.missing[arm.name]}
            for arm in design.arms
        },
        "gan_minus": {name: c.to_dict(delta) for name, c in gains.items() if c is not None},
        "copies": copied,
        "diagnostics": diagnostics_section(diagnoses),
        "pictures": next(({"fold": line["fold"], **line["pictures"]} for line in shown), None),
        "warnings": list(_warnings(results, copied["flag"])),
    }


def build_timings(design: Design, journal: Journal) -> dict[str, Any]:
    """Return timings.json: seconds of all fits in one thread, by arm."""
    spent: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    lines = Results(design, journal).lines
    for line in lines:
        for what, spent_s in line["seconds"].items():
            spent[line["arm"] if line["kind"] == "arm" else f"{line['kind']}s"][what] += spent_s
    judged = {line["arm"] for line in lines if line["kind"] == "arm"}
    return {
        "schema": SCHEMA,
        "seconds": {
            "total": sum(sum(parts.values()) for parts in spent.values()),
            "generators": sum(spent["generators"].values()),
            "arms": {name: dict(parts) for name, parts in spent.items() if name in judged},
        },
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _declared(results: Results) -> dict[str, Any]:
    """Return the pre-registered settings, with a hash of them and of the whole request."""
    design = results.design
    declared = {
        "metric": design.options.metric,
        "decision": results.column,
        "contrast": "gan - none",
        "delta": design.options.delta,
        "margins": dict(MARGINS),
    }
    fixed = {"declared": declared, "asked": design.header["asked"]}
    text = json.dumps(fixed, sort_keys=True, allow_nan=False)
    return {**declared, "sha256": hashlib.sha256(text.encode()).hexdigest()}


def verdict_section(results: Results, *, copied: bool) -> dict[str, Any]:
    """Return the verdict under the declared metric and decision, with its contrasts."""
    facts = _facts(results, copied=copied)
    least = math.inf if facts.gan is None else facts.gan.detectable(facts.delta)
    verdict = decide(facts)._asdict()
    if results.left_out:
        done, planned = len(results.splits), len(results.design.protocol.splits)
        verdict["sentence"] += (
            f" It rests on {done} of {planned} splits, since the budget was spent; --resume "
            "(resume=True) judges the others."
        )
    return {
        **verdict,
        "difference": None if facts.gan is None else facts.gan.to_dict(facts.delta),
        "detectable": least if math.isfinite(least) else None,
        "rare_units": facts.rare_units,
        "guardrails": {rail.what: rail.to_dict() for rail in facts.guardrails},
        "on_top": {n: c.to_dict(facts.delta) for n, c in facts.on_top.items()},
    }


def _facts(results: Results, *, copied: bool) -> VerdictFacts:
    """Return the contrasts that the verdict rests on."""
    design, none, gan = results.design, results.arms["none"][results.column], results.arm("gan")
    cheap = {}
    for name in CHEAP:
        arm = results.arm(name)
        gains = None if arm is None else results.difference(arm, none)
        if arm is not None and gains is not None:
            gan_over = None if gan is None else results.difference(gan, arm)
            cheap[name] = Cheap(gains, gan_over, _guardrails(results, arm))
    on_top: dict[str, Contrast] = {}
    for name, rival in ({"gan": "oversample"} | ON_TOP).items():  # of the same size
        with_rows, without = results.arm(name), results.arm(rival)
        if with_rows is not None and without is not None:
            change = results.difference(with_rows, without)
            on_top |= {} if change is None else {rival: change}
    lines = [] if gan is None else gan.lines
    made = (o["synthetic"] + o["companion"] for line in lines for o in line["rows"].values())
    asked = {arm.name for arm in design.arms}
    known = (*CHEAP_ARMS, *(arm for arm in RIVALS if arm in design.learner.methods))
    return VerdictFacts(
        metric=design.options.metric,
        delta=design.options.delta,
        gan=None if gan is None else results.difference(gan, none),
        cheap=cheap,
        guardrails=() if gan is None else _guardrails(results, gan),
        generated=float(sum(made)) / max(1, len(lines)),
        rare_units=design.rare_units,
        unit=design.protocol.unit,
        copied=copied,
        missing={n: why for n, why in results.missing.items() if n in (*CHEAP, "gan")},
        not_asked=tuple(name for name in known if name not in asked),
        on_top=on_top,
    )


def _guardrails(results: Results, arm: JudgedArm) -> tuple[Guardrail, ...]:
    """Contrast accuracy, the recall of every class and log loss of an arm with `none`."""
    design, none = results.design, results.arms["none"][results.column]
    accuracy = results.difference(arm, none, "accuracy")
    assert accuracy is not None, "every split tests a row"
    changes = {
        design.data.names[label]: results.difference(arm, none, "balanced_accuracy", label)
        for label in design.evaluated
    }
    recalls = {name: change for name, change in changes.items() if change is not None}
    new, old = (each.losses("log_loss", corrected=True) for each in (arm, none))
    return guardrails(accuracy, recalls, results.paired(new - old))


def copies_section(results: Results) -> dict[str, Any]:
    """Count generated rows that equal a training row; flag a share above that of real rows."""
    gan = results.arm("gan")
    lines = () if gan is None else gan.lines
    known = [line["copies"] for line in lines if line["copies"] and line["repeat"] == 0]
    names = ("generated", "identical", "held", "held_identical")
    counts = {name: sum(one[name] for one in known) for name in names}
    chance = identical_chance(counts)
    return {**counts, "flag": chance is not None and chance <= LEVEL}


def arm_section(results: Results, name: str) -> dict[str, Any]:
    """Return all figures of a judged arm."""
    judged, none, delta = results.arms[name], results.arms["none"], results.design.options.delta
    lines = judged[results.column].lines
    rows = [line["rows"] for line in lines]
    losses = None  # over the splits, before and after correcting the class shares
    if all(known := [line["calibration"] for line in lines]):
        losses = {
            when: {n: float(np.mean([one[when][n] for one in known])) for n in known[0][when]}
            for when in ("before", "after")
        }
    figures = {c: {m: arm.figure(m) for m in METRICS} for c, arm in judged.items()}
    gains = {
        c: {m: results.difference(arm, none[c], m) for m in METRICS}
        for c, arm in judged.items()
        if name != "none"
    }
    return {
        "missing": None,
        "rows": {
            label: {o: float(np.mean([one[label][o] for one in rows])) for o in origins}
            for label, origins in rows[0].items()
        },
        "default": figures["default"],
        "corrected": figures.get("corrected"),
        "per_class": {c: _per_class(arm) for c, arm in judged.items()},
        "calibration": losses,
        "confusion": {c: arm.first.sum(axis=0).tolist() for c, arm in judged.items()},
        "minus_none": {
            c: {m: one.to_dict(delta) for m, one in by_metric.items() if one is not None}
            for c, by_metric in gains.items()
        }
        or None,
    }


def _per_class(arm: JudgedArm) -> dict[str, Any]:
    """Return recall and precision of each class over all splits; 0 for a class never predicted."""
    whole, once = arm.confusions.sum(axis=0), arm.first.sum(axis=(0, 2))
    figures = {}
    for label, name in enumerate(arm.design.data.names):
        right, rows, called = whole[label, label], whole[label].sum(), whole[:, label].sum()
        if rows:
            figures[name] = {
                "support": int(once[label]),
                "recall": float(right / rows),
                "precision": float(right / called) if called else 0.0,
            }
    return figures


def _warnings(results: Results, copied: bool) -> Iterator[str]:
    duplicates = results.design.header["asked"]["duplicates"]
    if duplicates["exact"] and not duplicates["grouped"]:
        yield duplicates_warning(duplicates["exact"])
    if copied:
        yield "generated rows repeat training rows more often than held-out real rows do"
    failures: dict[str, list[str]] = defaultdict(list)
    names = {"diagnosis": "the diagnosis of generated rows", "generator": "generator gan"}
    for line in results.lines:
        if line.get("error"):
            failures[names.get(line["kind"]) or line["arm"]].append(line["error"])
    for who, why in failures.items():
        yield f"{who} failed in {len(why)} fits, first because: {why[0]}"
