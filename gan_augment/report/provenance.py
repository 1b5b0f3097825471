"""How a result was made, so that it can be made again: training, settings, cost, and its limits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from gan_augment.report import charts
from gan_augment.report.wording import (
    NOTHING,
    OURS,
    Result,
    metric_name,
    number,
    percent,
    plural,
    points_size,
    splits,
)

_CURVES = {
    "scores": "Held-out score, lower is better",
    "d_loss": "Loss of the discriminator",
    "g_loss": "Loss of the generator",
    "reconstruction": "Reconstruction",
}
_ARMS = {"repeats": "oversample"}
"""The arms of candidates of timings.json that are called otherwise."""


def training_charts(result: Result) -> list[tuple[str, Any]]:
    """Draw every curve of the training over all folds: (title, chart)."""
    curves = {fit["fold"] + 1: fit.get("curve") or {} for fit in result["training"] or ()}
    events = [event for curve in curves.values() for event in curve.get("events") or ()]
    failed = [event.get("failed_at", event["step"]) for event in events]
    drawn = []
    for key, title in _CURVES.items():
        known = {
            fold: curve.get(key) or (curve.get("losses") or {}).get(key)
            for fold, curve in curves.items()
        }
        folds = {fold: points for fold, points in known.items() if points}
        if folds:
            ends = (
                f"fold {fold} from {number(points[0][1])} to {number(points[-1][1])}"
                for fold, points in folds.items()
            )
            drawn.append((title, charts.training(folds, failed, f"{title}: {'; '.join(ends)}")))
    return drawn


def facts(result: Result) -> Iterator[tuple[str, str]]:
    """Tell (what, its value) of all that fixes the result."""
    protocol, declared, data = result["protocol"], result["declared"], result["data"]
    learner, augmenter, seen = protocol["learner"], protocol["augmenter"], result["seen"]
    updates, steps = learner.get("updates"), augmenter.get("steps")
    yield "classifier", learner["name"] + (f", {updates} updates" if updates else "")
    yield "settings of it", _settings(learner.get("params"))
    yield "generator", str(augmenter.get("class", "")) + (f", {steps} steps" if steps else "")
    yield "settings of it", _settings(augmenter.get("params"))
    yield (
        "primary contrast",
        f"{declared['contrast']}, {metric_name(result)}, delta " + points_size(declared["delta"]),
    )
    yield "splits", f"{splits(result)}; by {protocol['splits']}"
    yield "seed", str(protocol["seed"])
    yield "versions", ", ".join(f"{name} {v}" for name, v in result["library"].items())
    yield "SHA-256 of the data", data["sha256"]
    yield "of the splits", protocol["splits_sha256"]
    yield "of what was declared", declared["sha256"]
    yield "of the rows that fits saw", f"{seen['sha256']} ({plural(seen['fits'], 'fit')})"


def costs(timings: Mapping[str, Any]) -> list[tuple[str, list[float]]]:
    """Sum (arm, seconds of generator, making rows, classifier, all) over all amounts it tried."""
    spent = timings.get("seconds") or {}
    by_arm: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    for source, fit_s in (spent.get("generators") or {}).items():
        by_arm[_arm_of(source)][0] += fit_s
    for key, parts in (spent.get("candidates") or {}).items():
        for what, part_s in parts.items():
            by_arm[_arm_of(key)][1 if what == "make" else 2] += part_s
    order = sorted(by_arm, key=lambda name: (name != NOTHING, name != OURS))
    return [(name, [*by_arm[name], sum(by_arm[name])]) for name in order]


def limits(result: Result) -> Iterator[str]:
    """Say what the report cannot say."""
    protocol, data = result["protocol"], result["data"]
    yield (
        f"It is about this data, this classifier ({protocol['learner']['name']}) and this metric "
        f"({metric_name(result)}). Another classifier may gain or lose where this one does not, "
        "and rows from another place or year are not these."
    )
    detectable = result["verdict"].get("detectable")
    if detectable is not None:
        yield (
            f"A true gain below {percent(detectable)} points would often go unseen here. "
            "Not shown is not the same as not there."
        )
    yield (
        "One contrast was fixed before any fit. Everything else is exploratory: among many figures "
        "some look good by chance."
    )
    yield (
        "Intervals allow for the overlap of training parts, by a correction that is itself an "
        "approximation. With few splits they are wide for a reason."
    )
    if data["unit"] == "rows":
        yield (
            "Rows were taken to be independent. Where some belong together (a patient, a camera, a "
            "day), evaluate with groups, or the intervals are too narrow."
        )
    if data["kind"] == "image":
        yield "Images were judged at the size of the model, in every arm."
    yield (
        "Diagnostics of samples do not rank usefulness: generators with better distances have "
        "trained worse classifiers. And “no copying detected” holds for this many rows only."
    )
    for name, why in data["left_out"].items():
        yield f"The class {name} is not judged: {why}."
    for what in protocol["left_out"]:
        yield f"Left out for want of time: {what}."
    yield from protocol["notes"]


def lacking(result: Result) -> list[str]:
    """Name the sections that this result does not hold."""
    sections = {
        "pictures": "samples to look at",
        "diagnostics": "diagnostics of the samples",
        "training": "curves of the training",
    }
    return [name for key, name in sections.items() if not result[key]]


def _settings(params: Mapping[str, Any] | None) -> str:
    return ", ".join(f"{name} = {value}" for name, value in (params or {}).items())


def _arm_of(candidate: str) -> str:
    """The arm that a candidate of timings.json belongs to, as far as its name tells."""
    source, _, amount = candidate.partition("@")
    if candidate.startswith("sampler:"):
        return candidate.removeprefix("sampler:")
    return "fewer real rows" if source == "real" and amount else _ARMS.get(source, source)
