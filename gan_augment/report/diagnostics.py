"""What the generated samples look like in numbers: diagnostics and copying, with their floors.

None of it is part of the verdict. What each figure means is said here, in a line.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gan_augment.report.wording import ABSENT, OURS, Result, chance, count, number, percent

Row = dict[str, Any]
Figures = Mapping[str, Mapping[str, Any]]

FIGURES = {
    "class_fidelity": (
        "class fidelity",
        "share that a classifier trained on real rows also calls this class",
    ),
    "kernel_distance": ("kernel distance", "how far generated rows lie from real ones; less is"
        " better, near 0 the same"),
    "frechet_distance": ("Fréchet distance", "the same, by mean and covariance; less is better"),
    "precision": ("precision", "share of generated rows that lie among real ones"),
    "recall": ("recall", "share of real rows that lie among generated ones"),
    "density": ("density", "how deep among real rows generated ones lie; 1 as real ones"),
    "coverage": ("coverage", "share of real rows that have a generated one near"),
    "spread": ("spread", "variety beside that of real rows; 1 the same, near 0 collapsed"),
    "two_sample": (
        "two-sample test",
        "how often a classifier tells real from generated; 0.5 is by chance",
    ),
    "gan_train": ("GAN-train", "mean recall of real rows, by a classifier of generated ones"),
    "gan_test": ("GAN-test", "mean recall of generated rows, by a classifier of real ones"),
}  # fmt: skip
COPYING = {
    "identical": ("identical", "share of generated rows that equal a training row"),
    "near": (
        "nearly identical",
        "share nearer to a training row than 99 % of held-out real rows are",
    ),
    "authenticity": (
        "authenticity",
        "share farther from the nearest training row than that one is from the next",
    ),
    "nearer_share": (
        "nearer to training rows",
        "share nearer to training rows than to as many held-out ones; 0.5 without copying",
    ),
    "data_copying": ("data-copying score", "C_T of Meehan et al.; far below 0 tells of copying"),
}


def tables(result: Result) -> Row:
    """Everything of the section "diagnostics" as rows; {} where the result has none."""
    found = result.get("diagnostics")
    if not found:
        return {}
    overall = {name: one for name, one in (found.get("overall") or {}).items() if one}
    extractor = found.get("extractor") or {}
    hashes = extractor.get("sha256") or []
    return {
        "extractor": str(extractor.get("name", "")),
        "hashes": [str(one)[:12] for one in ([hashes] if isinstance(hashes, str) else hashes)],
        "width": extractor.get("width"),
        "folds": found.get("folds", 1),
        "near_by_design": bool(found.get("near_by_design")),
        "overall": _rows(overall, FIGURES, {}),
        "classes": [
            {**_of_class(name, one), "first": not i}
            for i, (name, one) in enumerate(found["classes"].items())
        ],
        "notes": [str(note) for note in found.get("notes") or ()],
    }


def copies(result: Result) -> Row:
    """Exact copies among generated rows beside those among held-out real ones; {} without any."""
    found = result.get("copies") or {}
    if not found.get("generated"):
        return {}
    held = found.get("held") or 0
    return {
        "flag": bool(found.get("flag")),
        "generated": count(found["generated"]),
        "identical": count(found["identical"]),
        "share": percent(found["identical"] / found["generated"]),
        "held": count(held),
        "held_identical": count(found.get("held_identical") or 0),
        "held_share": percent(found["held_identical"] / held if held else None),
        "arm": OURS,
    }


def _of_class(name: str, one: Mapping[str, Any]) -> Row:
    rows = {who: _mean_count(held) for who, held in (one.get("rows") or {}).items()}
    return {
        "name": name,
        "counts": rows,
        "figures": _rows(one.get("figures") or {}, FIGURES, one.get("random") or {}),
        "has_random": bool(one.get("random")),
        "copying": _rows(one.get("copying") or {}, COPYING, one.get("copying_smote") or {}),
        "has_smote": bool(one.get("copying_smote")),
    }


def _rows(figures: Figures, meanings: Mapping[str, tuple[str, str]], beside: Figures) -> list[Row]:
    """One row a figure: its name, what it means, itself, its floor and ideal, and its caveat."""
    return [
        {
            "said": meanings.get(name, (name, ""))[0],
            "means": meanings.get(name, (name, ""))[1],
            "value": number(one.get("value")),
            "interval": _interval(one.get("interval")),
            "floor": number(one.get("floor")),
            "ideal": number(one.get("ideal")),
            "p": "" if one.get("p") is None else f"p {_relation(chance(one['p']))}",
            "beside": number((beside.get(name) or {}).get("value")),
            "caveat": str(one.get("caveat") or ""),
        }
        for name, one in figures.items()
        if one
    ]


def _relation(p: str) -> str:
    return p if p[0] in "<>" else f"= {p}"


def _interval(interval: Any) -> str:
    return "" if interval is None else f"{number(interval[0])} to {number(interval[1])}"


def _mean_count(held: Any) -> str:
    """Rows of a class in a fold, on average."""
    told = held if isinstance(held, list) else [held]
    return count(sum(told) / len(told)) if told else ABSENT
