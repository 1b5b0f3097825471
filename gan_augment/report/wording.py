"""The wording of numbers, metrics and arms, for the terminal and the page. No HTML, no layout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gan_augment.errors import plural

NOTHING, OURS = "none", "gan"
ABSENT = "-"
METRICS = {
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro-F1",
    "g_mean": "G-mean",
    "accuracy": "accuracy",
    "average_precision": "average precision",
}
"""{metric: its name}."""
ARMS = {
    "none": "nothing added",
    "class_weight": "class weights",
    "oversample": "oversampling",
    "smote": "SMOTE",
    "gan": "generated rows",
    "balanced_softmax": "balanced softmax",
    "mixup": "oversampling with mixup",
    "mixup_balanced_softmax": "mixup with balanced softmax",
    "cmo": "pasted patches (CMO)",
    "trivial_augment": "oversampling with TrivialAugment",
    "deferred": "deferred re-balancing",
    "gan+balanced_softmax": "generated rows, balanced softmax",
    "gan+mixup": "generated rows with mixup",
    "gan+mixup_balanced_softmax": "generated rows, mixup with balanced softmax",
    "gan+cmo": "generated rows, pasted patches (CMO)",
    "gan+trivial_augment": "generated rows with TrivialAugment",
}
"""{arm: its name}; a user's own arm keeps its name."""
ORIGINS = {
    "real": "real",
    "repeat": "repeated",
    "synthetic": "generated",
    "companion": "generated as companions",
}
"""{origin of a training row: its name}."""
Result = Mapping[str, Any]


def metric_name(result: Result) -> str:
    """Name the primary metric of a result."""
    return METRICS[result["declared"]["metric"]]


def rows_name(result: Result) -> str:
    """Name the generated data of a result: "images", "signals" or "rows"."""
    return {"image": "images", "signal": "signals"}.get(result["data"]["kind"], "rows")


def arm_name(name: str, rows: str = "rows") -> str:
    """Name an arm; a user's own arm keeps its name. rows: as by `rows_name`.

    >>> arm_name("smote"), arm_name("gan", "images")
    ('SMOTE', 'generated images')
    """
    return ARMS[name].replace("rows", rows) if name in ARMS else name


def remedy_name(remedy: Mapping[str, Any], rows: str = "rows") -> str:
    """Name an arm at one decision.

    >>> remedy_name({"arm": "smote", "decision": "corrected"})
    'SMOTE, corrected'
    >>> remedy_name({"arm": "none", "decision": "corrected"})
    'prior correction'
    """
    if remedy["arm"] == NOTHING:
        return "prior correction"
    corrected = remedy["decision"] == "corrected"
    return arm_name(remedy["arm"], rows) + (", corrected" if corrected else "")


def rows_on_top(result: Result) -> str:
    """Say what generated rows add to the recommended remedy; "" where this was not measured."""
    advice, change = result["recommendation"], result["recommendation"]["rows_on_top"]
    if change is None:
        return ""
    how = "instead of repeated ones" if advice["arm"] == "oversample" else "on top of this"
    gain = f"{points(change['mean'])} points ({span(change['interval'])})"
    return f"Generated {rows_name(result)} {how} change {metric_name(result)} by {gain}."


def splits(result: Result) -> str:
    """Describe the splits behind a mean: "5 folds, repeated 3 times", or "a separate test set"."""
    folds, repeats = plural(result["protocol"]["folds"], "fold"), result["protocol"]["repeats"]
    if result["protocol"]["splits"] == "test":
        return f"a separate test set, {plural(repeats, 'seed')} of the classifier"
    return folds if repeats == 1 else f"{folds}, repeated {repeats} times"


def percent(share: float | None) -> str:
    """Write a share in percent, without the sign.

    >>> percent(0.8333), percent(None)
    ('83.3', '-')
    """
    return ABSENT if share is None else f"{100 * share:.1f}"


def points(share: float | None) -> str:
    """Write a difference of shares in percentage points, signed, never -0.0.

    >>> points(-0.0701), points(-0.0001)
    ('-7.0', '+0.0')
    """
    if share is None:
        return ABSENT
    text = f"{100 * share:+.1f}"
    return "+0.0" if text == "-0.0" else text


def signed(value: float | None) -> str:
    """Write a difference with three decimals and its sign.

    >>> signed(0.01234), signed(-0.5), signed(None)
    ('+0.012', '-0.500', '-')
    """
    return ABSENT if value is None else f"{round(value, 3) + 0.0:+.3f}"


def points_size(share: float) -> str:
    """Write the size of a difference: "1 point", "2.5 points"."""
    return f"{100 * share:g} point" + ("" if share == 0.01 else "s")


def span(interval: Sequence[float] | None) -> str:
    """Write both ends of an interval of shares, in points."""
    return "unknown" if interval is None else f"{points(interval[0])} to {points(interval[1])}"


def spread(mean: float | None, deviation: float | None) -> str:
    """Write a mean share and its standard deviation over the splits, in percent.

    >>> spread(0.7, 0.02), spread(0.7, None)
    ('70.0 ± 2.0', '70.0')
    """
    return percent(mean) if deviation is None else f"{percent(mean)} ± {percent(deviation)}"


def count(n: float) -> str:
    """Write a number of rows, with one decimal if it is a small mean.

    >>> count(4265.4), count(8738.0), count(0.25)
    ('4,265', '8,738', '0.2')
    """
    return f"{n:,.0f}" if n >= 100 or float(n).is_integer() else f"{n:.1f}"


def number(value: float | None) -> str:
    """Write a figure with three significant digits.

    >>> number(0.012345), number(1234.5), number(-2.0), number(None)
    ('0.0123', '1,234', '-2', '-')
    """
    if value is None:
        return ABSENT
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def chance(p: float | None) -> str:
    """Write a probability.

    >>> chance(0.0004), chance(0.9996), chance(0.25)
    ('< 0.001', '> 0.999', '0.250')
    """
    if p is None:
        return ABSENT
    if p < 0.001:
        return "< 0.001"
    return "> 0.999" if p > 0.999 else f"{p:.3f}"
