"""The table "Does it help?" of the README, from the committed results of four benchmarks.

    python examples/benchmarks/headline.py --out examples/benchmarks/headline.md

Points of balanced accuracy with 95 % t intervals: over tables, over draws of the rows, or over
splits and seeds, paired. Against nothing: classes topped up to the largest, half of the added rows
generated, minus nothing added, both at the learner's own decision. Against the best free remedy:
minus the arm with the highest mean that trains no generator, both at the corrected decision; of
tables at a decision tuned on training rows.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from scipy.special import stdtrit

HERE = Path(__file__).parent
OWN, CORRECTED = "balanced_accuracy", "corrected_balanced_accuracy"
NAMES = {
    "none": "corrected decision",
    "balanced_softmax": "balanced softmax",
    "cmo": "CMO",
    "repeats": "repeats",
    "smote": "SMOTE",
}
Line = Mapping[str, Any]


def lines_of(name: str, **about: Any) -> list[Line]:
    """Return the lines of a journal whose fields have the given values."""
    lines = map(json.loads, (HERE / name).read_text(encoding="utf-8").splitlines())
    return [line for line in lines if about.items() <= line.items()]


def shown(differences: Sequence[float]) -> str:
    """Return the mean in points with its 95 % t interval over the units; one unit has none."""
    n, middle = len(differences), mean(differences)
    if n < 2:
        return f"{100 * middle:+.1f}"
    half = float(stdtrit(n - 1, 0.975)) * stdev(differences) / n**0.5
    return f"{100 * middle:+.1f} ({100 * (middle - half):+.1f} to {100 * (middle + half):+.1f})"


def row(name: str, lines: Sequence[Line], unit: str) -> str:
    """Compare the arm "gan" with nothing and with the best other arm, unit by unit."""

    def of(arm: str, figure: str) -> dict[Any, float]:
        own = [line for line in lines if line["arm"] == arm]
        return {
            key: mean(o[figure] for o in own if o[unit] == key) for key in {o[unit] for o in own}
        }

    units = of("gan", OWN).keys()
    arms = {o["arm"] for o in lines if not o["arm"].startswith("gan")}
    free = [arm for arm in sorted(arms) if units <= of(arm, OWN).keys()]
    best = max(free, key=lambda arm: mean(of(arm, CORRECTED)[unit] for unit in units))
    gains = [
        shown([of("gan", figure)[key] - of(arm, figure)[key] for key in sorted(units)])
        for arm, figure in (("none", OWN), (best, CORRECTED))
    ]
    return f"| {name} | {len(units)} | {gains[0]} | {NAMES.get(best, best)}: {gains[1]} |"


def tables() -> Iterator[str]:
    """Yield the line of the public tables, whose differences `tables.py` took itself."""
    found = json.loads((HERE / "tables.json").read_text(encoding="utf-8"))["ours minus"]
    own = found["every size"]["none"]["balanced_accuracy"]
    rivals = {
        arm: found["every size"][arm]["tuned balanced_accuracy"]
        for arm in ("none", "repeats", "smote")
    }
    best = min(rivals, key=lambda arm: rivals[arm]["mean"])
    gains = [
        f"{100 * one['mean']:+.1f} ({100 * one['low']:+.1f} to {100 * one['high']:+.1f})"
        for one in (own, rivals[best])
    ]
    yield f"| tables | {own['tables']} | {gains[0]} | {NAMES[best]}: {gains[1]} |"


def rows() -> Iterator[str]:
    """Yield the lines of the table."""
    yield from tables()
    images = lines_of("images_rivals.jsonl", kind="classifier", length="long")
    for task in dict.fromkeys(line["task"] for line in images):
        yield row(f"images, {task}", [o for o in images if o["task"] == task], "draw")
    photos = lines_of("features.jsonl", head="logistic")
    for task in dict.fromkeys(line["task"] for line in photos):
        yield row(f"photos, {task}", [o for o in photos if o["task"] == task], "seed")
    beats = lines_of("signals.jsonl", kind="classifier", batches="changed")
    yield row("signals, made heart beats", beats, "seed")


def main() -> None:
    """Print the table, or write it with its explanation."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    out = parser.parse_args().out
    head = ["# Does it help?", "", __doc__.split("\n\n", 2)[2].strip(), ""]
    heads = ["| data | units | minus nothing | minus the best free remedy |", "|---|---|---|---|"]
    text = "\n".join([*head, *heads, *rows()])
    if out:
        out.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
