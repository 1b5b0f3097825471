"""Commands with odd values of their options."""

from __future__ import annotations

import random
import shutil
from typing import Any

from tools.faults.commands import Place
from tools.faults.disk import Child, Fault

CODES = {0, 1, 2, 3, 4, 5, 74, 75, 130, 143}
VALUES = (
    "", " ", "0", "-1", "1", "2", "1.5", "0.5", "1e400", "-0", "nan", "inf", "1_0", "0x10",
    "9" * 25, "9" * 5_000, "a" * 5_000,
    "true", "None", "auto", "all", "rare", "common",
    "rare,rare", "rare=2", "rare=-1", "rare=,", "=", ",", "1,2", "3x3", "8x0", "1s", "0s", "5",
    "90s90s", "majority", "../..", "..", ".", "~", "/", "/dev/null", "/dev/full", "nowhere",
    "nowhere/at/all", "out", "base", "../base/photos", "../base/t.csv", "../base/images", "-", "--",
    "--help", "*", "{}", "[1]", "%s%n", "caf\u00e9", "\u202egnp", "\u732b", "\U0001f98a", "\udcff",
    "a\nb", "\x1b[31m", "x=numeric", "amount=id",
)  # fmt: skip
COMMANDS = (
    "fit ../base/photos --out out --steps 2",
    "fit ../base/t.csv --target fraud --out out --steps 2",
    "sample ../base/images out --counts 3",
    "sample ../base/table out.csv --counts 3",
    "augment ../base/photos out --model ../base/images",
    "augment ../base/t.csv out.csv --model ../base/table",
    "evaluate ../base/t.csv --target fraud --out out --steps 2 --learner logistic --folds 2 "
    "--repeats 1 --arms oversample --n-jobs 1 --force",
    "report ../base/evaluation --out out.html",
    "inspect ../base/photos",
    "inspect ../base/images",
)


def odd_command(place: Place, seed: int) -> tuple[str, str]:
    """Run one command with one to three odd options; return (its end, a failure or "")."""
    drawn = random.Random(seed)
    words = drawn.choice(COMMANDS).split()
    for option, flag in drawn.sample(_options(words[0]), drawn.randint(1, 3)):
        words += [option] if flag else [option, drawn.choice(VALUES)]
    if not drawn.randrange(4):
        words[1 + drawn.randrange(len(words) - 1)] = drawn.choice(VALUES)
    home = place.home()
    ended = Child(words, home, Fault()).wait(40)
    name = " ".join(word if len(word) < 40 else f"{word[:20]}..." for word in words)
    if ended.code not in CODES:
        return "", f"{name!a} ended with {ended.code}: {ended.err[-600:]!a}"
    if "Traceback" in ended.err:
        return "", f"{name!a} showed a traceback: {ended.err[-600:]!a}"
    shutil.rmtree(home)
    return f"exit {ended.code}", ""


def _options(name: str) -> list[tuple[str, bool]]:
    """List the options of a command, and whether each is a flag."""
    import typer

    from gan_augment_cli.app import app

    group: Any = typer.main.get_command(app)
    parameters = group.get_command(None, name).params
    return [
        (text, bool(getattr(p, "is_flag", False)))
        for p in parameters
        for text in (*p.opts, *p.secondary_opts)
        if text.startswith("--")
    ]
