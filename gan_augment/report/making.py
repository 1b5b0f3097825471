"""How a result was made, so that it can be made again: training, versions, cost, and its limits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from gan_augment.report import charts
from gan_augment.report.arms import splits
from gan_augment.report.wording import (
    NOTHING,
    OURS,
    Result,
    arm_name,
    metric_name,
    number,
    plural,
    points_size,
    seconds,
)

Row = dict[str, Any]

_LOSSES = {
    "d_loss": "Loss of the discriminator",
    "g_loss": "Loss of the generator",
    "reconstruction": "Reconstruction",
}
_SOURCES = {"repeats": "oversample", "smote": "smote", "gan": "gan", "permuted": "permuted"}


def training(result: Result) -> Row:
    """Charts of all folds' training, and what happened in each; {} where the result has none."""
    fits = result.get("training") or []
    if not fits:
        return {}
    events = [event for fit in fits for event in _curve(fit).get("events") or ()]
    failed = [event.get("failed_at", event["step"]) for event in events]
    drawn = []
    for key, title in {"scores": "Held-out score, lower is better", **_LOSSES}.items():
        folds = {}
        for fit in fits:
            curve = _curve(fit)
            found = curve.get(key) if key == "scores" else (curve.get("losses") or {}).get(key)
            if found:
                folds[fit["fold"] + 1] = found
        if folds:
            says = f"{title}: " + "; ".join(_told(fold, found) for fold, found in folds.items())
            drawn.append({"title": title, "chart": charts.training(folds, failed, says)})
    return {"charts": drawn, "fits": [_fit(fit) for fit in fits]}


def facts(result: Result) -> Iterator[tuple[str, str]]:
    """(what, its value) of all that fixes the result."""
    protocol, declared, data = result["protocol"], result["declared"], result["data"]
    learner, augmenter = protocol.get("learner") or {}, protocol.get("augmenter") or {}
    updates = learner.get("updates")
    yield "classifier", str(learner.get("name", "")) + (f", {updates} updates" if updates else "")
    yield "settings of it", _settings(learner.get("params"))
    steps = augmenter.get("steps")
    yield "generator", str(augmenter.get("class", "")) + (f", {steps} steps" if steps else "")
    yield "settings of it", _settings(augmenter.get("params"))
    yield (
        "primary contrast",
        f"{declared['contrast']}, {metric_name(result)}, delta " + points_size(declared["delta"]),
    )
    yield "splits", f"{splits(protocol)}; by {protocol.get('splits', 'rows')}"
    yield "seed", str(protocol.get("seed", ""))
    yield "versions", ", ".join(f"{name} {v}" for name, v in (result.get("library") or {}).items())
    yield "SHA-256 of the data", str(data.get("sha256", ""))
    yield "of the splits", str(protocol.get("splits_sha256", ""))
    yield "of what was declared", str(declared.get("sha256", ""))
    seen = result.get("seen") or {}
    yield (
        "of the rows that fits saw",
        f"{seen.get('sha256', '')} ({plural(seen.get('fits', 0), 'fit')})",
    )


def costs(timings: Mapping[str, Any]) -> Row:
    """What each arm took, over all amounts that it tried; {} without timings.json."""
    spent = timings.get("seconds") or {}
    candidates = spent.get("candidates") or {}
    if not candidates:
        return {}
    by_arm: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for source, fit_s in (spent.get("generators") or {}).items():
        by_arm[_arm_of(source)]["generator"] += fit_s
    for key, parts in candidates.items():
        for what, part_s in parts.items():
            by_arm[_arm_of(key)]["make" if what == "make" else "classifier"] += part_s
    order = sorted(by_arm, key=lambda name: (name != NOTHING, name != OURS))
    machine = timings.get("machine") or {}
    where = [machine.get("system"), machine.get("processor"), f"Python {timings.get('python')}"]
    return {
        "rows": [_cost(name, by_arm[name]) for name in order],
        "total": seconds(spent.get("total", 0.0)),
        "diagnoses": seconds(spent.get("diagnoses", 0.0)),
        "where": ", ".join(str(one) for one in where if one),
        "finished": str(timings.get("finished", "")),
    }


def limits(result: Result) -> Iterator[str]:
    """What the report cannot say."""
    protocol, data, found = result["protocol"], result["data"], result["verdict"]
    learner = (protocol.get("learner") or {}).get("name", "classifier")
    yield (
        f"It is about this data, this classifier ({learner}) and this metric "
        f"({metric_name(result)}). Another classifier may gain or lose where this one does not, "
        "and rows from another place or year are not these."
    )
    if found.get("detectable") is not None:
        yield (
            f"A true gain below {100 * found['detectable']:.1f} points would often go unseen here. "
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
    if data.get("unit", "rows") == "rows":
        yield (
            "Rows were taken to be independent. Where some belong together (a patient, a camera, a "
            "day), evaluate with groups, or the intervals are too narrow."
        )
    if data.get("kind") == "image":
        yield "Images were judged at the size of the model, in every arm."
    yield (
        "Diagnostics of samples do not rank usefulness: generators with better distances have "
        "trained worse classifiers. And “no copying detected” holds for this many rows only."
    )
    for name, why in (data.get("left_out") or {}).items():
        yield f"The class {name} is not judged: {why}."
    for what in protocol.get("left_out") or ():
        yield f"Left out for want of time: {what}."
    yield from (str(note) for note in protocol.get("notes") or ())


def lacking(result: Result) -> list[str]:
    """Sections that this result does not hold, in words."""
    known = {
        "pictures": "samples to look at",
        "diagnostics": "diagnostics of the samples",
        "training": "curves of the training",
    }
    return [said for key, said in known.items() if not result.get(key)]


def _curve(fit: Mapping[str, Any]) -> Mapping[str, Any]:
    return fit.get("curve") or {}


def _told(fold: int, found: charts.Points) -> str:
    return f"fold {fold} from {number(found[0][1])} to {number(found[-1][1])}"


def _fit(fit: Mapping[str, Any]) -> Row:
    events = _curve(fit).get("events") or ()
    return {
        "fold": fit["fold"] + 1,
        "chosen": str(fit.get("chosen") or ""),
        "steps": fit.get("steps"),
        "events": [
            f"{event['event']} at step {event.get('failed_at', event['step'])}, back to "
            f"{event['step']}: {event.get('reason', '')}"
            for event in events
        ],
        "error": str(fit.get("error") or ""),
    }


def _settings(params: Mapping[str, Any] | None) -> str:
    return ", ".join(f"{name} = {value}" for name, value in (params or {}).items())


def _arm_of(candidate: str) -> str:
    """The arm that a candidate of timings.json belongs to, as far as its name tells."""
    source, _, rest = candidate.partition("@")
    if candidate.startswith("sampler:"):
        return candidate.removeprefix("sampler:")
    return "fewer real rows" if source == "real" and rest else _SOURCES.get(source, source)


def _cost(name: str, spent: Mapping[str, float]) -> Row:
    parts = [spent.get(what, 0.0) for what in ("generator", "make", "classifier")]
    return {
        "said": arm_name(name),
        "parts": [seconds(part_s) for part_s in parts],
        "total": seconds(sum(parts)),
    }
