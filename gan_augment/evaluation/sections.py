"""The sections of result.json, computed from the arms' results: the same bytes always.

Nothing is fitted. Times and dates are in `build_timings`, so that result.json holds only what can
be reproduced.
"""

from __future__ import annotations

import hashlib
import json
import math
import platform
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any

import numpy as np

from gan_augment.data.splits import unit_of_rows
from gan_augment.evaluation.amount import Amount, Source
from gan_augment.evaluation.arm_results import ArmResult, ArmResults, Column
from gan_augment.evaluation.arms import (
    ALL_GENERATED,
    FEATURES,
    ON_TOP,
    REAL_SHARES,
    RIVALS,
    Candidate,
)
from gan_augment.evaluation.diagnosis.folds import (
    diagnostics_section,
    pictures_section,
    training_section,
)
from gan_augment.evaluation.figures import METRICS, OF_RANKS, Counts
from gan_augment.evaluation.options import CHEAP_ARMS
from gan_augment.evaluation.plan import Setup
from gan_augment.evaluation.protocol import INNER_FOLDS
from gan_augment.evaluation.result import SCHEMA
from gan_augment.evaluation.statistics import (
    CERTAIN,
    Contrast,
    more_identical,
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
from gan_augment.generators.generator import Data
from gan_augment.report.wording import METRICS as NAMES
from gan_augment.report.wording import percent
from gan_augment.report.wording import points as points_of
from gan_augment.rng import derived_seed
from gan_augment.storage.journal import Journal

FARTHEST = 2.0
"""Doublings of the rare rows beyond which a gain is not priced: nothing was measured there."""
_ARM_KEYS = "missing chosen rows default {} per_class average_precision calibration confusion"


def build_result(setup: Setup[Data], journal: Journal) -> dict[str, Any]:
    """Build result.json from a journal that lacks nothing."""
    results = ArmResults(setup, journal)
    copies, curves, gan = copies_section(results), curves_section(results), results.arms.get("gan")
    names, gains = setup.data.names, dict[str, Contrast | None]()
    if gan is not None:
        gains = {n: results.primary(gan, arm) for n, arm in results.arms.items() if arm is not gan}
    rare_rows = sum(setup.learned.counts[names[label]] for label in setup.judged_rare)
    delta = setup.options.delta
    return {
        "schema": SCHEMA,
        "library": setup.header["asked"]["library"],
        "declared": _declared(results),
        "data": _data(setup),
        "protocol": _protocol(setup),
        "verdict": verdict_section(results, copied=copies["flag"]),
        "arms": {name: arm_section(results, name) for name in setup.arms},
        "gan_minus": {name: c.to_dict(delta) for name, c in gains.items() if c is not None},
        "few_positives": few_positives_section(results),
        "curves": curves,
        "worth": worth_section(
            curves["real_rows"], gains.get("none"), rare_rows, setup.options.metric
        ),
        "copies": copies,
        "training": training_section(journal),
        "diagnostics": diagnostics_section(journal),
        "pictures": pictures_section(journal),
        "warnings": list(_warnings(results, copies["flag"])),
        "seen": _seen(journal),
    }


def build_timings(journal: Journal) -> dict[str, Any]:
    """Sum the seconds of all fits by candidate and source, one thread each, and say where."""
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
    of_cells = sum(sum(spent.values()) for spent in cells.values())
    return {
        "schema": SCHEMA,
        "seconds": {
            "total": sum(generators.values()) + of_cells + diagnoses,
            "generators": dict(generators),
            "diagnoses": diagnoses,
            "candidates": {name: dict(spent) for name, spent in cells.items()},
        },
        "machine": {"system": platform.system(), "processor": platform.machine()},
        "python": platform.python_version(),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


# what was declared, the data, the protocol


def _declared(results: ArmResults[Any]) -> dict[str, Any]:
    """What was fixed before any fit, with a hash of it and of all that was asked."""
    setup = results.setup
    declared = {
        "metric": setup.options.metric,
        "decision": results.column,
        "contrast": "gan - none",
        "delta": setup.options.delta,
        "margins": dict(MARGINS),
    }
    fixed = {"declared": declared, "asked": setup.header["asked"]}
    text = json.dumps(fixed, sort_keys=True, allow_nan=False)
    return {**declared, "sha256": hashlib.sha256(text.encode()).hexdigest()}


def _data(setup: Setup[Any]) -> dict[str, Any]:
    requested, protocol, learned = setup.header["asked"], setup.protocol, setup.learned
    return {
        "kind": requested["kind"],
        "rows": len(learned),
        "classes": {name: int(n) for name, n in learned.counts.items()},
        "rare": list(setup.rare),
        "evaluated": list(protocol.evaluated),
        "left_out": dict(protocol.left_out),
        "unit": protocol.unit,
        "units": {name: int(n) for name, n in protocol.units.items()},
        "sha256": requested["data"],
        "duplicates": requested["duplicates"],
    }


def _protocol(setup: Setup[Any]) -> dict[str, Any]:
    requested, planned, protocol = setup.header["asked"], setup.header["planned"], setup.protocol
    return {
        "splits": protocol.kind,
        "folds": protocol.folds,
        "repeats": protocol.repeats,
        "inner_folds": INNER_FOLDS if setup.design.inner else 0,
        "seed": setup.options.fit.seed,
        "learner": requested["learner"],
        "augmenter": {**requested["generator"], "steps": planned["steps"]},
        "amounts": [c.key for c in setup.candidates],
        "splits_sha256": protocol.sha256(),
        "left_out": list(planned["left_out"]),
        "notes": list(protocol.notes),
    }


# the verdict


def verdict_section(results: ArmResults[Any], *, copied: bool) -> dict[str, Any]:
    """Give the verdict under the declared metric and decision, with what it stands on."""
    setup, none, gan = results.setup, results.none, results.arms.get("gan")
    cheap = {}
    for name in CHEAP:
        arm = results.arms.get(name)
        gains = None if arm is None else results.primary(arm, none)
        if arm is not None and gains is not None:
            gan_over = None if gan is None else results.primary(gan, arm)
            cheap[name] = Cheap(gains, gan_over, _guardrails(results, arm))
    difference = None if gan is None else results.primary(gan, none)
    on_top: dict[str, Contrast] = {}
    same_size = {} if setup.design.inner else {"gan": "oversample"}  # both go to parity
    for name, rival in (same_size | ON_TOP).items():
        if name in results.arms and rival in results.arms:
            change = results.primary(results.arms[name], results.arms[rival])
            on_top |= {} if change is None else {rival: change}
    methods = (arm for arm in (*RIVALS, FEATURES) if arm in setup.learner.methods)
    known = (*CHEAP_ARMS, *methods)
    facts = VerdictFacts(
        metric=setup.options.metric,
        delta=setup.options.delta,
        gan=difference,
        cheap=cheap,
        guardrails=() if gan is None else _guardrails(results, gan),
        rare_units=_rare_units(setup),
        unit=setup.protocol.unit,
        copied=copied,
        missing={n: why for n, why in results.missing.items() if n in (*CHEAP, "gan")},
        not_asked=tuple(name for name in known if name not in setup.arms),
        on_top=on_top,
    )
    least = math.inf if difference is None else difference.detectable(facts.delta)
    decided, splits = decide(facts), setup.protocol.folds * setup.design.repeats
    if len(setup.protocol.splits) < splits:
        what = "seeds" if setup.protocol.kind == "test" else "folds"
        rests = f" It rests on {len(setup.protocol.splits)} of {splits} {what}: the time was up."
        decided = decided._replace(sentence=decided.sentence + rests)
    return {
        **decided._asdict(),
        "difference": None if difference is None else difference.to_dict(facts.delta),
        "detectable": least if math.isfinite(least) else None,
        "rare_units": facts.rare_units,
        "guardrails": {rail.what: rail.to_dict() for rail in facts.guardrails},
        **({"on_top": {n: c.to_dict(facts.delta) for n, c in on_top.items()}} if on_top else {}),
    }


def _guardrails(results: ArmResults[Any], arm: ArmResult) -> tuple[Guardrail, ...]:
    """Of an arm against none: accuracy, the recall of classes not topped up, and log loss."""
    setup, none, column = results.setup, results.none, results.column
    accuracy = results.difference(arm, none, "accuracy", column)
    assert accuracy is not None, "every split tests a row"
    changes = {
        setup.data.names[label]: results.recall_difference(arm, label, column)
        for label in setup.evaluated
        if setup.data.names[label] not in setup.rare
    }
    recalls = {name: change for name, change in changes.items() if change is not None}
    return guardrails(accuracy, recalls, results.paired(arm.log_losses(), none.log_losses()))


def _rare_units(setup: Setup[Any]) -> int:
    """Independent rows, or groups, of the judged rare classes among the rows that are tested."""
    data = setup.data
    rows = np.unique(np.concatenate([split.test for split in setup.first_repeat]))
    own = rows[np.isin(data.labels[rows], setup.judged_rare)]
    return len(np.unique(unit_of_rows(data.groups, len(data))[own]))


def copies_section(results: ArmResults[Any]) -> dict[str, Any]:
    """Count generated rows of the GAN's arm that equal a training row, over the first repeat.

    flag: a larger share of them than of held-out real rows, by Fisher's exact test at .05.
    """
    gan = results.arms.get("gan")
    lines = () if gan is None else gan.lines
    known = [line["copies"] for line in lines if line["copies"] and line["repeat"] == 0]
    names = ("generated", "identical", "held", "held_identical")
    counts = {name: sum(one[name] for one in known) for name in names}
    return {**counts, "flag": more_identical(counts)}


def few_positives_section(results: ArmResults[Any]) -> dict[str, Any]:
    """Compare row by row on the first repeat: shown where positives are few, never judged by.

    bootstrap: gan minus none, by groups where there are groups; None for a metric of ranks.
    mcnemar: {rare class: rows that only one of the two gets right, and the exact p}.
    """
    setup, gan = results.setup, results.arms.get("gan")
    if gan is None:
        return {"bootstrap": None, "mcnemar": {}}
    data, metric = setup.data, setup.options.metric
    rows = np.concatenate([split.test for split in setup.first_repeat])
    labels = data.labels[rows]
    with_gan, without = (arm.first_called(results.column) for arm in (gan, results.none))
    bootstrap = None
    if metric not in OF_RANKS:
        bootstrap = paired_bootstrap(
            labels,
            with_gan,
            without,
            None if data.groups is None else data.groups[rows],
            metric,
            setup.evaluated,
            classes=len(data.names),
            seed=derived_seed(setup.options.fit.seed, "evaluation-bootstrap"),
        )
    mcnemar = {}
    for label in setup.judged_rare:
        own = labels == label
        right, right_without = with_gan[own] == label, without[own] == label
        only_gan = int((right & ~right_without).sum())
        only_none = int((~right & right_without).sum())
        mcnemar[data.names[label]] = {
            "only_gan": only_gan,
            "only_none": only_none,
            "p": _mcnemar(only_gan, only_none),
        }
    return {"bootstrap": bootstrap, "mcnemar": mcnemar}


def _mcnemar(only_a: int, only_b: int) -> float:
    """Two-sided p of the rows that just one of two arms gets right, were either as likely.

    1 without such rows. Source: McNemar 1947, "Note on the sampling error of the difference between
    correlated proportions".
    """
    from scipy.stats import binomtest

    n = only_a + only_b
    return float(binomtest(only_a, n).pvalue) if n else 1.0


# the arms


def arm_section(results: ArmResults[Any], name: str) -> dict[str, Any]:
    """Compute all figures of one arm; only why, where it is missing."""
    if name in results.missing:
        absent = dict.fromkeys([*_ARM_KEYS.format(results.setup.decision).split(), "minus_none"])
        return {**absent, "missing": results.missing[name]}
    arm, columns = results.arms[name], list[Column](dict.fromkeys(["default", results.column]))
    rows = [line["rows"] for line in arm.lines]
    chosen = sorted(Counter(arm.amounts or ()).items(), key=lambda pair: (-pair[1], pair[0]))
    figures = {c: {m: arm.spread(m, c) for m in METRICS} for c in columns}
    return {
        "missing": None,
        "chosen": dict(chosen),
        "rows": {
            name: {o: float(np.mean([one[name][o] for one in rows])) for o in origins}
            for name, origins in rows[0].items()
        },
        "default": figures["default"],
        results.setup.decision: figures.get(results.setup.decision),
        "per_class": {c: _per_class(arm, c) for c in columns},
        "average_precision": _average_precision(arm),
        "calibration": _calibration(arm),
        "confusion": {c: arm.first(c).sum(axis=0).tolist() for c in columns},
        "minus_none": None
        if name == "none"
        else {c: _minus_none(results, arm, c) for c in columns},
    }


def _minus_none(results: ArmResults[Any], arm: ArmResult, column: Column) -> dict[str, Any]:
    contrasts = {m: results.difference(arm, results.none, m, column) for m in METRICS}
    delta = results.setup.options.delta
    return {m: change.to_dict(delta) for m, change in contrasts.items() if change is not None}


def _per_class(arm: ArmResult, column: Column) -> dict[str, Any]:
    """Figures of each class on the rows of all splits together; its rows in the first repeat."""
    whole, once = arm.confusions[column].sum(axis=0), arm.first(column).sum(axis=0)
    return {
        name: _class_figures(whole, label, int(once[label].sum()))
        for label, name in enumerate(arm.setup.data.names)
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


def _average_precision(arm: ArmResult) -> dict[str, Any]:
    """Of each class that has any: the mean over splits, and its share of the test rows."""
    counts = arm.confusions["default"].sum(axis=(0, 2))
    section = {}
    for label, name in enumerate(arm.setup.data.names):
        values = arm.average_precision[:, label]
        known = values[np.isfinite(values)]
        if len(known):
            base_rate = float(counts[label] / counts.sum())
            section[name] = {"mean": float(known.mean()), "base_rate": base_rate}
    return section


def _calibration(arm: ArmResult) -> dict[str, Any] | None:
    """Mean losses over the splits; bins and calibration error of all their rows together."""
    splits = [line["test"]["calibration"] for line in arm.lines]
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


# the curves


def curves_section(results: ArmResults[Any]) -> dict[str, list[dict[str, Any]]]:
    """Compute points under the declared decision; `amount` is for people.

    to: the GAN's rows added at its usual share, from nothing to parity. share: the generated part
    of what is added, at the amount chosen in each split. real_rows: fewer real rare rows, nothing
    added. A curve of less than two points is empty.
    """
    setup, none, gan = results.setup, results.none, results.arms.get("gan")
    tried = {c.amount.to for c in setup.candidates if c.generated == "gan"}
    arms: dict[str, dict[float, ArmResult | None]] = {"share": {}, "real_rows": {}}
    arms["to"] = {to: results.candidate(Candidate("amount", Amount("gan", to))) for to in tried}
    arms["to"][0.0] = none
    if setup.design.curves:
        real = {share: results.candidate(Candidate("real", share=share)) for share in REAL_SHARES}
        arms["real_rows"] = {**real, 1.0: none}
    if setup.design.curves and gan is not None:
        usual = setup.options.top_up.resolved("table" if setup.table else "image")[0]
        arms["share"] = {
            0.0: _at_chosen(results, "repeats", None),
            1.0: _at_chosen(results, "gan", ALL_GENERATED),
            usual: gan,
        }
    curves = {}
    for name in ("to", "share", "real_rows"):
        axis = "to" if name == "to" else "share"
        points = [
            _point(results, axis, at, arm)
            for at, arm in sorted(arms[name].items(), key=itemgetter(0))
        ]
        known = [point for point in points if point]
        curves[name] = known if len(known) > 1 else []
    return curves


def _at_chosen(results: ArmResults[Any], source: Source, share: float | None) -> ArmResult | None:
    """A candidate at the amount that the GAN's arm chose in each split; None with gaps."""
    lines = []
    for split in results.setup.protocol.splits:
        amount = results.chosen_amount("gan", split)
        if amount is None:
            return None
        lines.append(results.line(split, Candidate("amount", Amount(source, amount.to), share)))
    return results.of_lines(lines)


def _point(
    results: ArmResults[Any], axis: str, at: float, arm: ArmResult | None
) -> dict[str, Any] | None:
    """One point; None where it could not be measured."""
    if arm is None:
        return None
    values = arm.spread(results.setup.options.metric, results.column)
    if values["mean"] is None:
        return None
    minus = None if arm is results.none else results.primary(arm, results.none)
    ends = {0.0: "nothing", 1.0: "parity"} if axis == "to" else {}
    return {
        "amount": ends.get(at, f"{100 * at:g} %"),
        axis: at,
        "mean": values["mean"],
        "sd": values["sd"],
        "minus_none": None if minus is None else minus.to_dict(results.setup.options.delta),
    }


def worth_section(
    real_rows: Sequence[Mapping[str, Any]], gain: Contrast | None, rows: int, metric: str
) -> dict[str, Any]:
    """Price the gain of the GAN's rows in real rare rows, by the learning curve of those.

    The curve is taken as a line over the logarithm of the number, through its points by least
    squares, and is not followed beyond four times the rows that there are. rows: rare rows now.
    more_rows: None where nothing can be said.
    """
    if gain is None or len(real_rows) < 2:
        return {"sentence": "", "more_rows": None}
    name, points = NAMES.get(metric, metric), f"{points_of(gain.mean)} points"
    doublings = np.log2([point["share"] for point in real_rows])
    slope = float(np.polyfit(doublings, [point["mean"] for point in real_rows], 1)[0])
    more: int | None = None
    each = f"a doubling of the real ones gains {percent(slope)}"
    what = f"The gain of {points}" + ("" if gain.above(0.0) >= CERTAIN else ", if there is one,")
    if gain.mean <= 0:
        sentence, more = f"The GAN's rows are worth no real ones here: {name} {points}.", 0
    elif slope <= 0:
        sentence = f"More real rare rows did not raise {name} here, so {points} have no price in "
        sentence += "rows."
    elif gain.mean / slope > FARTHEST:
        most = round(rows * (2**FARTHEST - 1))
        sentence = f"{what} is worth more than {most:,} more real rare rows ({each})."
    else:
        more = round(rows * (2 ** (gain.mean / slope) - 1))
        sentence = f"{what} is worth about {more:,} more real rare rows ({each})."
    return {"sentence": sentence, "more_rows": more}


# what a reader must know


def _warnings(results: ArmResults[Any], copied: bool) -> Iterator[str]:
    duplicates = results.setup.header["asked"]["duplicates"]
    if duplicates["exact"] and not duplicates["grouped"]:
        yield (
            f"{duplicates['exact']} rows equal another in every feature and may be on both sides "
            "of a split; --group-duplicates (group_duplicates=True) keeps them together"
        )
    if copied:
        yield "generated rows repeat training rows more often than held-out real rows do"
    failures: dict[str, list[str]] = defaultdict(list)
    for line in results.journal.lines():
        if line.get("error"):
            match line["kind"]:
                case "diagnosis":
                    who = "the diagnosis of generated rows"
                case "cell":
                    who = line["candidate"]
                case _:
                    who = f"generator {line['source']}"
            failures[who].append(line["error"])
    for who, why in failures.items():
        yield f"{who} failed in {len(why)} fits, first because: {why[0]}"


def _seen(journal: Journal) -> dict[str, Any]:
    """How many fits say which ids they saw, and a hash of them all in order."""
    hashes = [
        fit["sha256"]
        for line in journal.lines()
        for _, fit in sorted((line.get("seen") or {}).items())
    ]
    return {"fits": len(hashes), "sha256": hashlib.sha256("".join(hashes).encode()).hexdigest()}
