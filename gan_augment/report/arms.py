"""The verdict and the arms of a report, as rows ready for its templates. No HTML, but for marks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gan_augment.report import marks
from gan_augment.report.wording import (
    ABSENT,
    METRICS,
    NOTHING,
    OURS,
    Result,
    arm_name,
    chance,
    count,
    number,
    percent,
    plural,
    points,
    points_size,
    span,
)

Row = dict[str, Any]

STATES = ("broken", "open", "held")
_WORDS = {
    "ADOPT": ("good", "Add the GAN’s rows: they help more than anything cheaper does."),
    "LIKELY HELPS": ("good", "The GAN’s rows probably help; by how much is not certain."),
    "NO PRACTICAL DIFFERENCE": (
        "calm",
        "It makes no difference that matters: leave the data as it is.",
    ),
    "NO EVIDENCE": ("calm", "It is not shown that the GAN’s rows help, nor that they harm."),
    "INSUFFICIENT DATA": ("wary", "There are too few rare rows to tell. Collect more first."),
    "HARMFUL": ("bad", "Do not add the GAN’s rows: they make the classifier worse."),
}


def verdict(result: Result) -> Row:
    """The word, the tone it is shown in, what it means in plain words, and the facts behind it."""
    found = result["verdict"]
    word = str(found["word"])
    tone, plain = _WORDS.get(word, ("calm", ""))
    why = str(found["sentence"]).removeprefix(f"{word}: ")
    if word.startswith("USE "):
        cheap = arm_name(found["arm"])
        tone, plain = "cheap", f"Take {cheap}: it helps, and the GAN is not shown to do more."
    return {
        "word": word,
        "tone": tone,
        "plain": plain,
        "why": why[:1].upper() + why[1:],
        "facts": list(_facts(result)),
        "reasons": _other_reasons(found),
    }


def guardrails(result: Result) -> list[Row]:
    """What must not get worse, the broken ones first."""
    rails = result["verdict"]["guardrails"]
    rows = []
    for what, rail in rails.items():
        shown = number if what == "log loss" else points
        interval, margin = rail["change"]["interval"], rail["margin"]
        rows.append(
            {
                "what": what,
                "state": rail["state"],
                "margin": f"{margin:g}" if what == "log loss" else points_size(margin),
                "change": shown(rail["change"]["mean"]),
                "interval": "unknown"
                if interval is None
                else f"{shown(interval[0])} to {shown(interval[1])}",
                "p_loss": chance(rail["p_loss"]),
            }
        )
    return sorted(rows, key=lambda row: STATES.index(row["state"]))


def arms(result: Result) -> Row:
    """Every arm under both decisions, and how it differs from nothing; the axis of its marks."""
    metric, decision = result["declared"]["metric"], result["declared"]["decision"]
    known = {name: arm for name, arm in result["arms"].items() if arm["missing"] is None}
    changes = {name: _change(arm, decision, metric) for name, arm in known.items()}
    dots = {name: _dots(arm, known.get(NOTHING), decision, metric) for name, arm in known.items()}
    told = {name: change for name, change in changes.items() if change is not None}
    delta = result["declared"]["delta"]
    scale = marks.Scale.holding(
        [
            *(1.5 * delta, -1.5 * delta),
            *(end for change in told.values() for end in change["interval"] or ()),
            *(change["mean"] for change in told.values()),
            *(dot for name in told for dot in dots[name]),
        ]
    )
    rows: list[Row] = []
    for name, arm in result["arms"].items():
        row: Row = {"name": name, "said": arm_name(name), "missing": arm["missing"]}
        row["ours"] = name == OURS
        if name in known:
            row |= {column: _spread(arm[column], metric) for column in ("default", "tuned")}
            row |= {"change": "", "interval": "", "mark": ""}
        if change := changes.get(name):
            row |= {"change": points(change["mean"]), "interval": span(change["interval"])}
            row["mark"] = marks.forest(
                scale, change["mean"], change["interval"], dots[name], delta, arm_name(name)
            )
        rows.append(row)
    columns = ["default", "tuned"] if decision == "tuned" else ["default"]
    return {"rows": rows, "columns": columns, "axis": marks.axis(scale) if told else ""}


def other_metrics(result: Result) -> Row:
    """All other metrics under the declared decision, and log loss after the correction."""
    primary, decision = result["declared"]["metric"], result["declared"]["decision"]
    known = {name: arm for name, arm in result["arms"].items() if arm["missing"] is None}
    table: dict[str, dict[str, str]] = {}
    for metric, said in METRICS.items():
        means = {name: _mean(arm[decision], metric) for name, arm in known.items()}
        if metric != primary and any(mean is not None for mean in means.values()):
            table[f"{said}, %"] = {name: percent(mean) for name, mean in means.items()}
    losses = {
        name: ((arm["calibration"] or {}).get("after") or {}).get("log_loss")
        for name, arm in known.items()
    }
    if any(loss is not None for loss in losses.values()):
        table["log loss"] = {name: number(loss) for name, loss in losses.items()}
    return {"names": {name: arm_name(name) for name in known}, "table": table}


def against_others(result: Result) -> list[Row]:
    """The GAN's rows against every other arm."""
    return [
        {
            "said": arm_name(name),
            "change": points(change["mean"]),
            "interval": span(change["interval"]),
            "p": chance(change.get("p_positive")),
        }
        for name, change in (result.get("gan_minus") or {}).items()
        if name != NOTHING
    ]


def chosen(result: Result) -> list[Row]:
    """Which amounts the arms took, the most frequent first."""
    rows = []
    for name, arm in result["arms"].items():
        often = sorted((arm["chosen"] or {}).items(), key=lambda pair: -pair[1])
        if often:
            told = ", ".join(f"{amount} ({n}×)" for amount, n in often)
            rows.append({"said": arm_name(name), "amounts": told})
    return rows


def splits(protocol: Mapping[str, Any]) -> str:
    """Over what a mean is taken: "5 folds, dealt 3 times"."""
    folds, repeats = plural(protocol["folds"], "fold"), protocol["repeats"]
    return folds if repeats == 1 else f"{folds}, dealt {repeats} times"


def _facts(result: Result) -> Iterator[tuple[str, str]]:
    """(what, how much) of the primary contrast."""
    found = result["verdict"]
    change = found["difference"]
    if change is not None:
        yield "GAN minus nothing", f"{points(change['mean'])} points"
        yield "95 % interval", span(change["interval"])
    if found.get("detectable") is not None:
        yield "smallest gain that would show", f"{100 * found['detectable']:.1f} points"
    if found.get("rare_units") is not None:
        yield f"rare {result['data'].get('unit', 'rows')}", count(found["rare_units"])


def _other_reasons(found: Mapping[str, Any]) -> list[str]:
    """The checks in words, but for guardrails, which have a table."""
    about = tuple(f"{what}: " for what in found["guardrails"])
    return [text for text in found["reasons"] if not text.startswith(about)]


def _change(arm: Mapping[str, Any], decision: str, metric: str) -> Mapping[str, Any] | None:
    found: Mapping[str, Any] | None = ((arm["minus_none"] or {}).get(decision) or {}).get(metric)
    return found


def _dots(
    arm: Mapping[str, Any], none: Mapping[str, Any] | None, decision: str, metric: str
) -> list[float]:
    """The paired difference of every split that both arms have."""
    pairs = zip(_values(arm, decision, metric), _values(none, decision, metric), strict=False)
    return [a - b for a, b in pairs if a is not None and b is not None]


def _values(arm: Mapping[str, Any] | None, decision: str, metric: str) -> list[float | None]:
    column = (arm or {}).get(decision) or {}
    return list((column.get(metric) or {}).get("values") or [])


def _mean(column: Mapping[str, Any] | None, metric: str) -> float | None:
    mean: float | None = ((column or {}).get(metric) or {}).get("mean")
    return mean


def _spread(column: Mapping[str, Any] | None, metric: str) -> str:
    mean = _mean(column, metric)
    if column is None or mean is None:
        return ABSENT
    deviation = column[metric]["sd"]
    return percent(mean) if deviation is None else f"{percent(mean)} ± {100 * deviation:.1f}"
