"""Build result.json from a journal: figures of the arms, contrasts, the verdict. Fits nothing.

Times and dates are in timings.json, so that result.json holds reproducible content only.
"""

from __future__ import annotations

import hashlib
import json
import math
import platform
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.splits import unit_of_rows
from gan_augment.evaluation.decisions import METRICS, OF_RANKS, Counts, figures_of
from gan_augment.evaluation.design import Column, Design
from gan_augment.evaluation.diagnosis import (
    diagnostics_section,
    pictures_section,
    training_section,
)
from gan_augment.evaluation.options import CHEAP_ARMS, ON_TOP, RIVALS
from gan_augment.evaluation.plan import duplicates_warning
from gan_augment.evaluation.result import SCHEMA
from gan_augment.evaluation.statistics import (
    Contrast,
    contrast,
    contrast_of_seeds,
    more_identical,
    one_flip,
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
from gan_augment.rng import derived_seed
from gan_augment.storage.journal import Journal, Line, unpack_labels

Place = tuple[int, int]
Values = dict[Place, float]
"""A figure by (repeat, fold); splits without a value are absent."""
ERROR_DRAWS = 500
"""Draws of a bootstrap that only estimates a standard error."""
_NOTHING_ADDED = "no row is added to this data"
_ARM_KEYS = (
    *("missing", "rows", "default", "corrected", "per_class", "average_precision"),
    *("calibration", "confusion", "minus_none"),
)


@dataclass(frozen=True, eq=False)
class ArmResult:
    """The figures of an arm in J splits. lines: the journal's lines of the arm, in order."""

    design: Design
    lines: Sequence[Line]

    @cached_property
    def places(self) -> tuple[Place, ...]:
        """(repeat, fold) of each split."""
        return tuple((line["repeat"], line["fold"]) for line in self.lines)

    @cached_property
    def confusions(self) -> dict[Column, Counts]:
        """int64 (J, K, K) of each decision; without probabilities both are the learner's own."""
        counts = [line["confusion"] for line in self.lines]
        fair = [one["corrected"] or one["default"] for one in counts]
        own = [one["default"] for one in counts]
        return {
            "default": np.asarray(own, dtype=np.int64),
            "corrected": np.asarray(fair, dtype=np.int64),
        }

    @cached_property
    def average_precision(self) -> NDArray[np.float64]:
        """float64 (J, K), NaN without a value."""
        return np.array([line["average_precision"] for line in self.lines], np.float64)

    def values(self, metric: str, column: Column, classes: Sequence[int] | None = None) -> Values:
        """Return a metric of every split; average precision is the mean over the rare classes.

        classes: labels for the macro metrics; None for all evaluated classes.
        """
        if metric in OF_RANKS:
            rare = self.average_precision[:, list(self.design.judged_rare)]
            known = [row[np.isfinite(row)] for row in rare]
            return self._placed([row.mean() if len(row) else np.nan for row in known])
        return self._placed(
            figures_of(metric, self.confusions[column], classes or self.design.evaluated)
        )

    def spread(self, metric: str, column: Column) -> dict[str, Any]:
        """Return mean, standard deviation (n - 1) and values of a metric over the splits."""
        values = self.values(metric, column)
        known = list(values.values())
        return {
            "mean": float(np.mean(known)) if known else None,
            "sd": float(np.std(known, ddof=1)) if len(known) > 1 else None,
            "values": [values.get(place) for place in self.places],
        }

    def log_losses(self) -> Values:
        """Return the log losses after correcting the class shares, in nats."""
        calibrations = (line["calibration"] for line in self.lines)
        return self._placed(np.nan if c is None else c["after"]["log_loss"] for c in calibrations)

    def first(self, column: Column) -> Counts:
        """Return the confusions of the first repeat: int64 (k, K, K)."""
        return self.confusions[column][[repeat == 0 for repeat, _ in self.places]]

    def first_called(self, column: Column) -> NDArray[np.int64]:
        """Return the predicted labels of the first repeat's test rows, split by split."""
        called = (line["called"] for line in self.lines if line["repeat"] == 0)
        return np.concatenate([unpack_labels(one[column] or one["default"]) for one in called])

    def _placed(self, values: Iterable[Any]) -> Values:
        pairs = zip(self.places, values, strict=True)
        return {place: float(value) for place, value in pairs if np.isfinite(value)}


@dataclass(frozen=True, eq=False)
class ArmResults:
    """All arms of an evaluation whose journal is complete."""

    design: Design
    journal: Journal

    @cached_property
    def lines(self) -> list[Line]:
        """Lines of the judged splits, in an order independent of the workers."""
        judged = {(split.repeat, split.fold) for split in self.design.protocol.splits}
        return [li for li in self.journal.lines() if (li["repeat"], li["fold"]) in judged]

    @cached_property
    def arms(self) -> dict[str, ArmResult]:
        """The arms that could be judged."""
        lines = {arm.name: self._lines(arm.name) for arm in self.design.arms}
        return {n: ArmResult(self.design, own) for n, own in lines.items() if n not in self.missing}

    @cached_property
    def missing(self) -> dict[str, str]:
        """{arm: reason} of arms that could not be judged: an error, or nothing to add."""
        missing = {}
        for arm in self.design.arms:
            lines = self._lines(arm.name)
            failed = next((str(line["error"]) for line in lines if line["error"]), None)
            if failed:
                missing[arm.name] = failed
            elif not lines:
                missing[arm.name] = f"{self.design.learner.name} does not support class weights"
            elif arm.source not in ("none", "sampler") and not any(map(_adds, lines)):
                missing[arm.name] = _NOTHING_ADDED
        return missing

    @cached_property
    def column(self) -> Column:
        """The declared decision: corrected, or default if the scores do not allow it."""
        known = [line["confusion"]["corrected"] for line in self._lines("none")]
        return "corrected" if any(known) else "default"

    @property
    def none(self) -> ArmResult:
        """The baseline of all contrasts."""
        return self.arms["none"]

    @cached_property
    def smallest(self) -> int:
        """The label of the rare class with the fewest independent rows."""
        units, names = self.design.protocol.units, self.design.data.names
        return min(self.design.judged_rare, key=lambda label: (units[names[label]], label))

    def difference(
        self,
        one: ArmResult,
        other: ArmResult,
        metric: str,
        column: Column,
        label: int | None = None,
    ) -> Contrast | None:
        """Contrast two arms by a metric, `one` minus `other`; None if no split has both.

        label: of the only class in the metric; None for all evaluated classes. The standard error
        is at least the change that one flipped row, of that class or else of the smallest rare one,
        makes in the mean of `none`.
        """
        judged = self.design.judged_rare if metric in OF_RANKS else self.design.evaluated
        classes = None if label is None else [label]
        flipped = self.smallest if label is None else label
        least = one_flip(list(self.none.first(column)), metric, classes or judged, flipped)
        sampling = self._sampling(one, other, metric, column, classes or judged)
        first, second = (arm.values(metric, column, classes) for arm in (one, other))
        return self.paired(first, second, least, sampling)

    def primary(self, one: ArmResult, other: ArmResult) -> Contrast | None:
        """Contrast two arms by the declared metric and decision, `one` minus `other`."""
        return self.difference(one, other, self.design.options.metric, self.column)

    def paired(
        self,
        one: Values,
        other: Values,
        least: float = 0.0,
        sampling: tuple[float, int] | None = None,
    ) -> Contrast | None:
        """Contrast two figures over the splits that have both.

        sampling: on a separate test set, the standard error from its rows and the number of units.
        """
        both = [one[place] - other[place] for place in other if place in one]
        if self.design.protocol.has_test_set:
            return contrast_of_seeds(both, *sampling, least) if both and sampling else None
        return contrast(both, self.design.protocol.shared, least) if both else None

    def _sampling(
        self, one: ArmResult, other: ArmResult, metric: str, column: Column, judged: Sequence[int]
    ) -> tuple[float, int] | None:
        """Return the bootstrap error of a difference on a test set (first seed), and its units."""
        data, test = self.design.data, self.design.protocol.splits[0].test
        if not self.design.protocol.has_test_set or metric in OF_RANKS:
            return None
        drawn = paired_bootstrap(
            data.labels[test],
            one.first_called(column),
            other.first_called(column),
            None if data.groups is None else data.groups[test],
            metric,
            judged,
            classes=len(data.names),
            seed=derived_seed(self.design.options.fit.seed, "evaluation-bootstrap"),
            draws=ERROR_DRAWS,
        )
        return None if drawn["error"] is None else (drawn["error"], drawn["units"])

    def _lines(self, name: str) -> list[Line]:
        keys = (("arm", s.repeat, s.fold, name) for s in self.design.protocol.splits)
        lines = [self.journal.get(key) for key in keys]
        return [line for line in lines if line is not None]


def _adds(line: Line) -> bool:
    """Return whether an arm has any rows that are not real."""
    return any(n for origins in line["rows"].values() for o, n in origins.items() if o != "real")


def build_result(design: Design, journal: Journal) -> dict[str, Any]:
    """Return result.json of a complete journal; the same bytes for the same evaluation."""
    results = ArmResults(design, journal)
    copied, gan, delta = copies_section(results), results.arms.get("gan"), design.options.delta
    gains: dict[str, Contrast | None] = {}
    if gan is not None:
        gains = {n: results.primary(gan, arm) for n, arm in results.arms.items() if arm is not gan}
    return {
        "schema": SCHEMA,
        "library": design.header["asked"]["library"],
        "declared": _declared(results),
        "data": _data(design),
        "protocol": _protocol(design),
        "verdict": verdict_section(results, copied=copied["flag"]),
        "arms": {arm.name: arm_section(results, arm.name) for arm in design.arms},
        "gan_minus": {name: c.to_dict(delta) for name, c in gains.items() if c is not None},
        "few_positives": few_positives_section(results),
        "copies": copied,
        "training": training_section(results.lines),
        "diagnostics": diagnostics_section(results.lines),
        "pictures": pictures_section(results.lines),
        "warnings": list(_warnings(results, copied["flag"])),
        "seen": _seen(results.lines),
    }


def build_timings(design: Design, journal: Journal) -> dict[str, Any]:
    """Return timings.json: seconds of all fits in one thread, by arm, and the machine."""
    arms: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    others = {"generator": 0.0, "diagnosis": 0.0}
    for line in ArmResults(design, journal).lines:
        for what, spent_s in line["seconds"].items():
            if line["kind"] == "arm":
                arms[line["arm"]][what] += spent_s
            else:
                others[line["kind"]] += spent_s
    of_arms = sum(sum(spent.values()) for spent in arms.values())
    return {
        "schema": SCHEMA,
        "seconds": {
            "total": sum(others.values()) + of_arms,
            "generators": others["generator"],
            "diagnoses": others["diagnosis"],
            "arms": {name: dict(spent) for name, spent in arms.items()},
        },
        "machine": {"system": platform.system(), "processor": platform.machine()},
        "python": platform.python_version(),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _declared(results: ArmResults) -> dict[str, Any]:
    """Return what was fixed before any fit, with a hash of it and of the whole request."""
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


def _data(design: Design) -> dict[str, Any]:
    requested, protocol, learned = design.header["asked"], design.protocol, design.learned
    return {
        "kind": requested["kind"],
        "rows": len(learned),
        "classes": {name: int(n) for name, n in learned.counts.items()},
        "rare": list(design.rare),
        "evaluated": list(protocol.evaluated),
        "left_out": dict(protocol.left_out),
        "unit": protocol.unit,
        "units": {name: int(n) for name, n in protocol.units.items()},
        "sha256": requested["data"],
        "duplicates": requested["duplicates"],
    }


def _protocol(design: Design) -> dict[str, Any]:
    requested, protocol = design.header["asked"], design.protocol
    return {
        "splits": protocol.kind,
        "folds": protocol.folds,
        "repeats": protocol.repeats,
        "seed": design.options.fit.seed,
        "learner": requested["learner"],
        "augmenter": {**requested["generator"], "steps": design.steps},
        "to": design.options.top_up.to,
        "splits_sha256": requested["splits"],
        "left_out": list(design.left_out),
        "notes": list(protocol.notes),
    }


def verdict_section(results: ArmResults, *, copied: bool) -> dict[str, Any]:
    """Return the verdict under the declared metric and decision, with its contrasts."""
    design, none, gan = results.design, results.none, results.arms.get("gan")
    cheap = {}
    for name in CHEAP:
        arm = results.arms.get(name)
        gains = None if arm is None else results.primary(arm, none)
        if arm is not None and gains is not None:
            gan_over = None if gan is None else results.primary(gan, arm)
            cheap[name] = Cheap(gains, gan_over, _guardrails(results, arm))
    difference = None if gan is None else results.primary(gan, none)
    on_top: dict[str, Contrast] = {}
    for name, rival in ({"gan": "oversample"} | ON_TOP).items():  # of the same size
        if name in results.arms and rival in results.arms:
            change = results.primary(results.arms[name], results.arms[rival])
            on_top |= {} if change is None else {rival: change}
    asked = {arm.name for arm in design.arms}
    known = (*CHEAP_ARMS, *(arm for arm in RIVALS if arm in design.learner.methods))
    facts = VerdictFacts(
        metric=design.options.metric,
        delta=design.options.delta,
        gan=difference,
        cheap=cheap,
        guardrails=() if gan is None else _guardrails(results, gan),
        rare_units=_rare_units(design),
        unit=design.protocol.unit,
        copied=copied,
        missing={n: why for n, why in results.missing.items() if n in (*CHEAP, "gan")},
        not_asked=tuple(name for name in known if name not in asked),
        on_top=on_top,
    )
    least = math.inf if difference is None else difference.detectable(facts.delta)
    decided, planned = decide(facts), design.protocol.folds * design.protocol.repeats
    if len(design.protocol.splits) < planned:
        rests = f" It rests on {len(design.protocol.splits)} of {planned} splits: the budget was"
        decided = decided._replace(sentence=f"{decided.sentence}{rests} spent.")
    return {
        **decided._asdict(),
        "difference": None if difference is None else difference.to_dict(facts.delta),
        "detectable": least if math.isfinite(least) else None,
        "rare_units": facts.rare_units,
        "guardrails": {rail.what: rail.to_dict() for rail in facts.guardrails},
        "on_top": {n: c.to_dict(facts.delta) for n, c in on_top.items()},
    }


def _guardrails(results: ArmResults, arm: ArmResult) -> tuple[Guardrail, ...]:
    """Contrast accuracy, the recall of the other classes and log loss of an arm with `none`."""
    design, none, column = results.design, results.none, results.column
    accuracy = results.difference(arm, none, "accuracy", column)
    assert accuracy is not None, "every split tests a row"
    changes = {
        design.data.names[label]: results.difference(arm, none, "balanced_accuracy", column, label)
        for label in design.evaluated
        if design.data.names[label] not in design.rare
    }
    recalls = {name: change for name, change in changes.items() if change is not None}
    return guardrails(accuracy, recalls, results.paired(arm.log_losses(), none.log_losses()))


def _rare_units(design: Design) -> int:
    """Count independent rows, or groups, of the judged rare classes among the tested rows."""
    data = design.data
    rows = np.unique(np.concatenate([split.test for split in design.first_repeat]))
    own = rows[np.isin(data.labels[rows], design.judged_rare)]
    return len(np.unique(unit_of_rows(data.groups, len(data))[own]))


def copies_section(results: ArmResults) -> dict[str, Any]:
    """Count generated rows that equal a training row, over the first repeat.

    flag: whether their share exceeds that of held-out real rows, by Fisher's exact test at .05.
    """
    gan = results.arms.get("gan")
    lines = () if gan is None else gan.lines
    known = [line["copies"] for line in lines if line["copies"] and line["repeat"] == 0]
    names = ("generated", "identical", "held", "held_identical")
    counts = {name: sum(one[name] for one in known) for name in names}
    return {**counts, "flag": more_identical(counts)}


def few_positives_section(results: ArmResults) -> dict[str, Any]:
    """Bootstrap gan minus none on the pooled test rows of the first repeat; not in the verdict."""
    design, gan = results.design, results.arms.get("gan")
    data, metric = design.data, design.options.metric
    if gan is None or metric in OF_RANKS:
        return {"bootstrap": None}
    rows = np.concatenate([split.test for split in design.first_repeat])
    bootstrap = paired_bootstrap(
        data.labels[rows],
        gan.first_called(results.column),
        results.none.first_called(results.column),
        None if data.groups is None else data.groups[rows],
        metric,
        design.evaluated,
        classes=len(data.names),
        seed=derived_seed(design.options.fit.seed, "evaluation-bootstrap"),
    )
    return {"bootstrap": bootstrap}


def arm_section(results: ArmResults, name: str) -> dict[str, Any]:
    """Return all figures of one arm; only the reason if it is missing."""
    if name in results.missing:
        return {**dict.fromkeys(_ARM_KEYS), "missing": results.missing[name]}
    arm, columns = results.arms[name], list[Column](dict.fromkeys(["default", results.column]))
    rows = [line["rows"] for line in arm.lines]
    figures = {c: {m: arm.spread(m, c) for m in METRICS} for c in columns}
    minus = {c: _minus_none(results, arm, c) for c in columns} if name != "none" else None
    return {
        "missing": None,
        "rows": {
            name: {o: float(np.mean([one[name][o] for one in rows])) for o in origins}
            for name, origins in rows[0].items()
        },
        "default": figures["default"],
        "corrected": figures.get("corrected"),
        "per_class": {c: _per_class(arm, c) for c in columns},
        "average_precision": _average_precision(arm),
        "calibration": _calibration(arm),
        "confusion": {c: arm.first(c).sum(axis=0).tolist() for c in columns},
        "minus_none": minus,
    }


def _minus_none(results: ArmResults, arm: ArmResult, column: Column) -> dict[str, Any]:
    contrasts = {m: results.difference(arm, results.none, m, column) for m in METRICS}
    delta = results.design.options.delta
    return {m: change.to_dict(delta) for m, change in contrasts.items() if change is not None}


def _per_class(arm: ArmResult, column: Column) -> dict[str, Any]:
    """Return figures of each class over all splits; precision 0 for a class never predicted.

    support: its rows in the first repeat.
    """
    whole, once = arm.confusions[column].sum(axis=0), arm.first(column).sum(axis=0)
    figures = {}
    for label, name in enumerate(arm.design.data.names):
        right, rows, called = whole[label, label], whole[label].sum(), whole[:, label].sum()
        if rows:
            figures[name] = {
                "support": int(once[label].sum()),
                "recall": float(right / rows),
                "precision": float(right / called) if called else 0.0,
                "f1": float(2 * right / (rows + called)),
            }
    return figures


def _average_precision(arm: ArmResult) -> dict[str, Any]:
    """Return the mean of each class over the splits, and its share of the test rows."""
    counts = arm.confusions["default"].sum(axis=(0, 2))
    section = {}
    for label, name in enumerate(arm.design.data.names):
        values = arm.average_precision[:, label]
        known = values[np.isfinite(values)]
        if len(known):
            base_rate = float(counts[label] / counts.sum())
            section[name] = {"mean": float(known.mean()), "base_rate": base_rate}
    return section


def _calibration(arm: ArmResult) -> dict[str, Any] | None:
    """Return mean losses over the splits, with bins and calibration error of all rows."""
    splits = [line["calibration"] for line in arm.lines]
    if None in splits:
        return None
    return {when: _pooled([one[when] for one in splits]) for when in ("before", "after")}


def _pooled(splits: Sequence[dict[str, Any]]) -> dict[str, Any]:
    bins: list[list[Any]] = []
    for together in zip(*(one["bins"] for one in splits), strict=True):
        n = sum(count for count, _, _ in together)
        sums = [sum(b[0] * b[at] for b in together if b[0]) for at in (1, 2)]
        bins.append([n, sums[0] / n, sums[1] / n] if n else [0, None, None])
    gaps = sum(n * abs(confidence - right) for n, confidence, right in bins if n)
    return {
        "log_loss": float(np.mean([one["log_loss"] for one in splits])),
        "brier": float(np.mean([one["brier"] for one in splits])),
        "calibration_error": gaps / sum(n for n, _, _ in bins),
        "bins": bins,
    }


def _warnings(results: ArmResults, copied: bool) -> Iterator[str]:
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


def _seen(lines: Sequence[Line]) -> dict[str, Any]:
    """Count the fits that recorded their training ids, and hash all these records."""
    hashes = [line["seen"]["sha256"] for line in lines if line.get("seen")]
    return {"fits": len(hashes), "sha256": hashlib.sha256("".join(hashes).encode()).hexdigest()}
