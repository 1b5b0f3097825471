"""From journal lines of `ablation_images.py` to tables: means over seeds, against repeats."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import mean, stdev
from typing import Any

from scipy.special import stdtrit

Line = Mapping[str, Any]
SEEN = ("agreement_common", "agreement_rare", "spread", "identical", "near", "told_apart")
SCORES = ("rare_recall", "balanced_accuracy", "accuracy")
HEADS = {
    "screen": "Screened: two minutes a fit, seeds 10 and 11",
    "confirm": "Confirmed: ten minutes a fit on other rare classes and test rows, seeds 0, 1, 2",
    "others": "Colour and texture: two minutes a fit, by groups, seeds 0, 1, 2",
}


def summary(found: Mapping[str, Sequence[Line]]) -> dict[str, Any]:
    """{stage: {task: {way: figures}}}; figures of seeds one by one, and their means."""
    return {
        stage: {
            task: _ways([line for line in lines if line["task"] == task])
            for task in dict.fromkeys(line["task"] for line in lines)
        }
        for stage, lines in found.items()
    }


def _ways(lines: Sequence[Line]) -> dict[str, Any]:
    repeats = {line["seed"]: line["arms"]["repeats"] for line in lines if line["way"] == "repeats"}
    names = dict.fromkeys(line["way"] for line in lines)
    return {
        name: _figures([line for line in lines if line["way"] == name], repeats) for name in names
    }


def _figures(lines: Sequence[Line], repeats: Mapping[int, Sequence[Line]]) -> dict[str, Any]:
    facts = {key: [line[key] for line in lines if key in line] for key in (*SEEN, "fit_s")}
    arms = {}
    for arm in lines[0]["arms"]:
        found = [(line["seed"], line["arms"][arm]) for line in lines if arm in line["arms"]]
        arms[arm] = {
            score: {
                "each": [[run[score] for run in runs] for _, runs in found],
                "minus_repeats": compared(
                    [
                        [
                            run[score] - other[score]
                            for run, other in zip(runs, repeats[seed], strict=True)
                        ]
                        for seed, runs in found
                        if seed in repeats
                    ]
                ),
            }
            for score in SCORES
        }
    return {
        "seeds": [line["seed"] for line in lines],
        "samples": {key: values for key, values in facts.items() if values},
        "chosen": [line["chosen"] for line in lines if "chosen" in line],
        "refused": [line["refused"] for line in lines if "refused" in line],
        "arms": arms,
    }


def compared(differences: Sequence[Sequence[float]]) -> dict[str, Any] | None:
    """Paired differences, a list a seed of the generator: mean and 95 % intervals, over all pairs
    and, what is independent, over the seeds' means."""
    pairs = [value for runs in differences for value in runs]
    if not pairs:
        return None
    return {
        "mean": mean(pairs),
        "interval": _interval(pairs),
        "interval_over_seeds": _interval([mean(runs) for runs in differences]),
    }


def _interval(values: Sequence[float]) -> list[float] | None:
    n = len(values)
    if n < 2:
        return None
    half = float(stdtrit(n - 1, 0.975)) * stdev(values) / math.sqrt(n)
    return [mean(values) - half, mean(values) + half]


def lines_of(figures: Mapping[str, Any]) -> list[str]:
    """The summary as Markdown."""
    lines = [
        "# Images: what each way of making rows is worth",
        "",
        "Made by `ablation_images.py`; every number is in `images.json`, every run in "
        "`images_screen.jsonl` and `images_confirm.jsonl`. Agreement: the share of samples that "
        "a CNN trained on unseen rows calls by their label, over its recall on such rows. "
        "Spread: mean pairwise distance in its features, over that of unseen rows. Near: the "
        "share of rare samples nearer to a training row than 99 % of unseen rows are; no sample "
        "may be identical to one. Told apart: balanced accuracy of a CNN that tells samples "
        "from unseen rows (.5: it cannot). Then, in percentage points against repeats, a small "
        "CNN with classical augmentation and as many updates: rare recall and balanced accuracy "
        "on rows that nothing saw, mean over seeds of the generator and of the CNN, with the 95 "
        "% interval over these pairs.",
    ]
    for stage, tasks in figures.items():
        for task, ways in tasks.items():
            lines += ["", f"## {HEADS[stage]}: {task}", "", *_table(ways)]
    return lines


def _table(ways: Mapping[str, Any]) -> Iterable[str]:
    yield (
        "| way | agreement: common, rare | spread | near | told apart "
        "| training set | rare recall | balanced accuracy |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    for name, way in ways.items():
        seen = {key: mean(values) for key, values in way["samples"].items()}
        first = "| | | | "
        if "spread" in seen:
            first = (
                f"| {seen['agreement_common']:.2f}, {seen['agreement_rare']:.2f} "
                f"| {seen['spread']:.2f} | {100 * seen['near']:.0f} % | {seen['told_apart']:.2f} "
            )
        shown = name
        for arm, scores in way["arms"].items():
            yield f"| {shown} {first}| {arm} | {_cell(scores, 'rare_recall')} | " + (
                f"{_cell(scores, 'balanced_accuracy')} |"
            )
            shown, first = "", "| | | | "


def _cell(scores: Mapping[str, Any], score: str) -> str:
    found = scores[score]["minus_repeats"]
    level = 100 * mean(value for runs in scores[score]["each"] for value in runs)
    if found is None or found["interval"] is None or found["interval"] == [0, 0]:
        return f"{level:.1f}"
    low, high = found["interval"]
    return f"{level:.1f}: {100 * found['mean']:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"
