"""The journal's diagnoses as sections of result.json: means over folds, and what they warn of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from gan_augment.evaluation.diagnosis.comparing import MOST_CLASSES
from gan_augment.evaluation.journal import Journal, Line
from gan_augment.evaluation.plan import OUTER
from gan_augment.evaluation.statistics import LEVEL

Facts = Mapping[str, Any]


def diagnostics_section(journal: Journal) -> dict[str, Any] | None:
    """Every figure as the mean of the folds that have it; None where nothing was looked at."""
    lines = [line for line in _diagnoses(journal) if line["error"] is None]
    if not lines:
        return None
    names = dict.fromkeys(name for line in lines for name in line["classes"])
    near = any(line["near_by_design"] for line in lines)
    classes = {name: _class([line["classes"].get(name) for line in lines]) for name in names}
    return {
        "extractor": {
            "name": lines[0]["extractor"]["name"],
            "sha256": [line["extractor"]["sha256"] for line in lines],
        },
        "folds": len(lines),
        "near_by_design": near,
        "overall": _figures([line["overall"] for line in lines]),
        "classes": classes,
        "notes": [*_refusals(lines), *_beyond(lines), *_copy_notes(classes, near)],
    }


def pictures_section(journal: Journal) -> dict[str, Any] | None:
    """What is shown, of the first fold that has any."""
    for line in _diagnoses(journal):
        if line["error"] is None and line["pictures"]:
            return {"fold": line["fold"], **line["pictures"]}
    return None


def training_section(journal: Journal) -> list[dict[str, Any]]:
    """How the generators of the first repeat's training parts were trained."""
    return [
        {
            "fold": line["fold"],
            "chosen": line["facts"].get("chosen"),
            "steps": line["facts"].get("steps"),
            "error": line["error"],
            "curve": line["facts"].get("curve"),
        }
        for line in journal.lines()
        if (line["kind"], line["repeat"]) == ("generator", 0)
        and (line.get("source"), line.get("level")) == ("gan", OUTER)
    ]


def averaged(figures: Sequence[Facts | None]) -> dict[str, Any]:
    """Of one figure in several folds: means of what is there, interval ends too; the median p, of
    an even number the larger one in the middle."""
    known = [figure for figure in figures if figure is not None]
    values = [figure["value"] for figure in known]
    intervals = [figure["interval"] for figure in known if figure["interval"] is not None]
    p = sorted(figure["p"] for figure in known if figure["p"] is not None)
    return {
        "value": _mean(values),
        "floor": _mean(figure["floor"] for figure in known),
        "ideal": _mean(figure["ideal"] for figure in known),
        "interval": [_mean(ends) for ends in zip(*intervals, strict=True)] or None,
        "p": p[len(p) // 2] if p else None,
        "caveat": next((figure["caveat"] for figure in known if figure["caveat"]), None),
        "values": values,
    }


def _diagnoses(journal: Journal) -> Iterator[Line]:
    return (line for line in journal.lines() if line["kind"] == "diagnosis")


def _class(found: Sequence[Facts | None]) -> dict[str, Any]:
    """Of one class, in the folds that have generated rows of it."""
    known = [one for one in found if one is not None]
    rows = {key: [one["rows"][key] for one in known] for key in known[0]["rows"]}
    groups = ("figures", "random", "copying", "copying_smote")
    return {"rows": rows, **{group: _group(known, group) for group in groups}}


def _group(known: Sequence[Facts], group: str) -> dict[str, Any] | None:
    there = [one[group] for one in known if one[group] is not None]
    return _figures(there) if there else None


def _figures(folds: Sequence[Facts]) -> dict[str, Any]:
    names = dict.fromkeys(name for fold in folds for name in fold)
    return {name: averaged([fold.get(name) for fold in folds]) for name in names}


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _refusals(lines: Sequence[Line]) -> Iterator[str]:
    """Classes of which nothing could be generated."""
    why: dict[str, list[str]] = {}
    for line in lines:
        for name, reason in line["refused"].items():
            why.setdefault(name, []).append(reason)
    for name, reasons in why.items():
        yield f"nothing was generated of {name!r} in {_folds(len(reasons))}: {reasons[0]}"


def _beyond(lines: Sequence[Line]) -> Iterator[str]:
    """Classes that were not looked at, there being so many."""
    names = dict.fromkeys(name for line in lines for name in line["beyond"])
    if names:
        yield f"only {MOST_CLASSES} classes are looked at; left out: {', '.join(names)}"


def _copy_notes(classes: Facts, near_by_design: bool) -> Iterator[str]:
    """Whether copying was detected, per class, where rows are not near training rows by design."""
    if near_by_design:
        yield (
            "near by design: every generated row starts from real training rows, so copying "
            "figures are shown beside SMOTE's and flag nothing, and distances to those rows look "
            "better than they are"
        )
        return
    detected = [name for name, found in classes.items() if copied(found["copying"])]
    clean = [name for name in classes if name not in detected]
    if detected:
        yield f"copying detected: {', '.join(detected)}"
    if clean:
        yield f"copying not detected at this n: {', '.join(clean)}"


def copied(copying: Facts | None) -> bool:
    """Whether generated rows lie nearer to training rows than to as many held-out ones, or repeat
    training rows more often than held-out rows do, both beyond chance."""
    if copying is None:
        return False
    nearer, same = copying["nearer_share"], copying["identical"]
    low = None if nearer["interval"] is None else nearer["interval"][0]
    repeats = same["p"] is not None and same["p"] <= LEVEL
    return repeats or (low is not None and low > 0.5)


def _folds(n: int) -> str:
    return "one fold" if n == 1 else f"{n} folds"
