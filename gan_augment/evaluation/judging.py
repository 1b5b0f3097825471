"""From readings to a verdict: its contrasts and guardrails, and the row tests shown beside it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.splits import unit_of_rows
from gan_augment.evaluation.confusions import OF_RANKS
from gan_augment.evaluation.journal import unpack_labels
from gan_augment.evaluation.readings import (
    Reading,
    Readings,
    first_repeat,
    judged_rows,
    rare_labels,
)
from gan_augment.evaluation.row_tests import identical_above, mcnemar_exact, paired_bootstrap
from gan_augment.evaluation.statistics import detectable
from gan_augment.evaluation.verdict import (
    CHEAP,
    Cheap,
    Guardrail,
    VerdictFacts,
    decide,
    guardrails,
)
from gan_augment.randomness import derived_seed


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
