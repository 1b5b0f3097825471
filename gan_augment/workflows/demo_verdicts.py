"""What a demo ends with: the `evaluate` command for its data, and what that said when it was run.

The verdicts lie in demo_verdicts.json; examples/benchmarks/demo_verdicts.py makes them.
"""

from __future__ import annotations

import json
import shlex
import textwrap
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

DemoData = Literal["digits", "cells"]
FLAGS: dict[DemoData, tuple[str, ...]] = {
    "digits": ("--steps", "400", "--updates", "150", "--n-jobs", "2"),
    "cells": ("--target", "diagnosis", "--n-jobs", "2"),
}
"""Options of the command beside DATA and --out, by what the demo cut to a few rows."""
WIDTH = 100


def evaluate_command(which: DemoData, data: Path) -> list[str]:
    """The words of the command that evaluates a demo's data, its report beside them.

    >>> shlex.join(evaluate_command("cells", Path("demo/cells.csv")))
    'gan-augment evaluate demo/cells.csv --target diagnosis --n-jobs 2 --out demo/report'
    """
    report = data.parent / "report"
    return ["gan-augment", "evaluate", str(data), *FLAGS[which], "--out", str(report)]


def committed_verdict(which: DemoData) -> dict[str, Any]:
    """What that command said: flags, verdict, sentence, date, library."""
    text = files("gan_augment.workflows").joinpath("demo_verdicts.json").read_text("utf-8")
    verdict: dict[str, Any] = json.loads(text)[which]
    return verdict


def closing_lines(which: DemoData, data: Path) -> list[str]:
    """The command to run next, and what it said."""
    told = committed_verdict(which)
    said = textwrap.wrap(told["sentence"], WIDTH - 2, break_on_hyphens=False)
    return [
        "For splits, repetitions, cheaper arms, an interval and a verdict, run next:",
        f"  {shlex.join(evaluate_command(which, data))}",
        f"In {told['date']}, with version {told['library']}, it said:",
        *(f"  {line}" for line in said),
    ]
